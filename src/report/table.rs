//! Text in columns.

/// A table with a heading. Columns are as wide as their widest cell; the last
/// one is not padded.
#[derive(Debug, Clone)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new<'a>(headings: impl IntoIterator<Item = &'a str>) -> Table {
        Table { rows: vec![headings.into_iter().map(str::to_owned).collect()] }
    }

    /// Adds a row.
    pub fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// The lines, the heading first, without trailing blanks. Lines are cut at
    /// `width` characters where there is one.
    pub fn lines(&self, width: Option<usize>) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        self.rows.iter().map(|row| fit(&line(row, &widths), width)).collect()
    }
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (cell, width) in row.iter().zip(widths) {
        text.push_str(cell);
        let pad = width - cell.chars().count() + 2;
        text.extend(std::iter::repeat_n(' ', pad));
    }
    text.truncate(text.trim_end().len());
    text
}

/// `text`, cut at `width` characters with a mark.
pub fn fit(text: &str, width: Option<usize>) -> String {
    match width {
        Some(width) if text.chars().count() > width => {
            let kept: String = text.chars().take(width.saturating_sub(1)).collect();
            format!("{}…", kept.trim_end())
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_cut() {
        let mut table = Table::new(["client", "state", "why"]);
        table.push(vec!["a".into(), "executing".into(), String::new()]);
        table.push(vec!["lpar0007".into(), "held".into(), "because".into()]);
        assert_eq!(
            table.lines(None),
            ["client    state      why", "a         executing", "lpar0007  held       because"]
        );
        assert_eq!(table.lines(Some(12))[2], "lpar0007  h…");
    }
}

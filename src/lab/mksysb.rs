//! A mksysb of the lab: one text file that holds all files of a system, and
//! says how much data its file systems hold beside them. `docs/native-steps.md`
//! describes it.

use std::fmt::Write as _;

use super::tree::{Kind, Node};

/// The first line.
const MAGIC: &str = "mksysb of the lab 1\n";

/// What an archive holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Archive {
    /// Files by path from `./` on, in their order.
    pub nodes: Vec<(String, Node)>,
    /// Data of the site in MB by mount point from `.` on.
    pub data_mb: Vec<(String, u64)>,
}

impl Archive {
    /// The archive as a text.
    pub(crate) fn to_text(&self) -> String {
        let mut text = MAGIC.to_owned();
        for (point, mb) in &self.data_mb {
            let _ = writeln!(text, "data {mb} {point}");
        }
        for (path, node) in &self.nodes {
            let _ = match &node.kind {
                Kind::Dir => writeln!(text, "dir {:o} {path}", node.mode),
                Kind::File(body) => {
                    writeln!(text, "file {:o} {} {path}\n{body}", node.mode, body.len())
                }
                Kind::Link(to) => writeln!(text, "link {:o} {} {path}\n{to}", node.mode, to.len()),
            };
        }
        let _ = writeln!(text, "end {}", self.nodes.len());
        text
    }

    /// Whether the text claims to be one.
    pub(crate) fn is_one(text: &str) -> bool {
        text.starts_with(MAGIC)
    }

    /// Reads a text; `None` when it is cut off or none at all.
    pub(crate) fn parse(text: &str) -> Option<Archive> {
        let mut rest = text.strip_prefix(MAGIC)?;
        let mut archive = Archive::default();
        loop {
            let (line, after) = rest.split_once('\n')?;
            rest = after;
            let (word, line) = line.split_once(' ')?;
            match word {
                "end" => {
                    let whole = line.parse() == Ok(archive.nodes.len()) && rest.is_empty();
                    return whole.then_some(archive);
                }
                "data" => {
                    let (mb, point) = line.split_once(' ')?;
                    archive.data_mb.push((point.to_owned(), mb.parse().ok()?));
                }
                _ => {
                    let (mode, line) = line.split_once(' ')?;
                    let mode = u32::from_str_radix(mode, 8).ok()?;
                    let mut path = line;
                    let mut body = String::new();
                    if word != "dir" {
                        let (length, name) = line.split_once(' ')?;
                        path = name;
                        let length: usize = length.parse().ok()?;
                        rest.get(..length)?.clone_into(&mut body);
                        rest = rest.get(length..)?.strip_prefix('\n')?;
                    }
                    let kind = match word {
                        "dir" => Kind::Dir,
                        "file" => Kind::File(body),
                        "link" => Kind::Link(body),
                        _ => return None,
                    };
                    archive.nodes.push((path.to_owned(), Node { mode, kind }));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_comes_back_as_it_was_and_never_in_part() {
        let link = Node { mode: 0o777, kind: Kind::Link("/usr/lib/unix".to_owned()) };
        let archive = Archive {
            nodes: vec![
                ("./etc".to_owned(), Node::dir()),
                ("./etc/a b".to_owned(), Node::file("file 644 3 ./x\nend 0\n")),
                ("./unix".to_owned(), link),
            ],
            data_mb: vec![(".".to_owned(), 220), ("./usr".to_owned(), 1400)],
        };
        let text = archive.to_text();
        assert_eq!(Archive::parse(&text), Some(archive));
        for cut in 0..text.len() {
            assert_eq!(Archive::parse(&text[..cut]), None, "cut at {cut}");
        }
    }
}

//! Host patterns of inventories: `lpar[01:20]`, `db-[a:c]`, `lpar[01:20:2]`.

use crate::base::limits;

/// The names that `pattern` stands for, at most `max`; what is wrong with it
/// otherwise.
pub(super) fn expand(pattern: &str, max: usize) -> Result<Vec<String>, String> {
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some(open) = rest.find('[') {
        let (before, inside) = rest.split_at(open);
        let Some((range, after)) = inside[1..].split_once(']') else {
            return Err("a range has no closing bracket".to_owned());
        };
        let members = members(range, max)?;
        if names.len().saturating_mul(members.len()) > max {
            return Err(format!("it stands for more than {max} hosts"));
        }
        names = names
            .iter()
            .flat_map(|name| members.iter().map(move |member| format!("{name}{before}{member}")))
            .collect();
        if names.iter().any(|name| name.len() > 4 * limits::CAUSE_BYTES_MAX) {
            return Err("it is too long".to_owned());
        }
        rest = after;
    }
    for name in &mut names {
        name.push_str(rest);
    }
    Ok(names)
}

fn members(range: &str, max: usize) -> Result<Vec<String>, String> {
    let wrong = || format!("`[{range}]` is not a range: write `[01:20]` or `[a:f]`");
    let parts: Vec<&str> = range.split(':').collect();
    let (first, last, step) = match parts.as_slice() {
        [first, last] => (*first, *last, 1),
        [first, last, step] => (*first, *last, step.parse().map_err(|_| wrong())?),
        _ => return Err(wrong()),
    };
    if step == 0 {
        return Err("a range has a step of 0".to_owned());
    }
    // Ansible begins at 0 where no beginning is given.
    let first = if first.is_empty() { "0" } else { first };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if is_number(first) && is_number(last) {
        let (from, to): (u32, u32) =
            (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
        let width = if first.starts_with('0') && first.len() > 1 { first.len() } else { 0 };
        if width > 0 && last.len() != width {
            return Err(format!("`[{range}]`: its ends are not of the same width"));
        }
        if from > to {
            return Err(format!("`[{range}]` ends before it begins"));
        }
        if ((to - from) / step) as usize >= max {
            return Err(format!("it stands for more than {max} hosts"));
        }
        return Ok((from..=to).step_by(step as usize).map(|n| format!("{n:0width$}")).collect());
    }
    let letter = |text: &str| match text.as_bytes() {
        [letter] if letter.is_ascii_alphabetic() => Some(*letter),
        _ => None,
    };
    match (letter(first), letter(last)) {
        (Some(from), Some(to)) if from > to => Err(format!("`[{range}]` ends before it begins")),
        (Some(from), Some(to)) if from.is_ascii_lowercase() == to.is_ascii_lowercase() => {
            Ok((from..=to).step_by(step as usize).map(|b| char::from(b).to_string()).collect())
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_expanded_in_order() {
        let names = |pattern| expand(pattern, 100).unwrap();
        assert_eq!(names("lpar"), ["lpar"]);
        assert_eq!(names("lpar[08:11].x"), ["lpar08.x", "lpar09.x", "lpar10.x", "lpar11.x"]);
        assert_eq!(names("l[8:10]"), ["l8", "l9", "l10"]);
        assert_eq!(names("l[1:7:3]"), ["l1", "l4", "l7"]);
        assert_eq!(names("[a:b]-[1:2]"), ["a-1", "a-2", "b-1", "b-2"]);
        assert_eq!(names("l[:1]"), ["l0", "l1"]);
    }

    #[test]
    fn what_is_no_range_or_too_large_is_refused() {
        for pattern in [
            "a[1:2",
            "a[]",
            "a[1]",
            "a[2:1]",
            "a[1:2:0]",
            "a[01:100]",
            "a[a:5]",
            "a[a:F]",
            "a[1:101]",
            "a[1:50][1:50]",
            "a[1:99999999999]",
            "a[é:ü]",
            "a[1:2:3:4]",
            "[::1]",
        ] {
            assert!(expand(pattern, 100).is_err(), "{pattern}");
        }
        let many = "[1:10]".repeat(1_000);
        assert!(expand(&many, 20_000).is_err());
    }

    proptest! {
        #[test]
        fn no_pattern_panics(pattern in ".{0,40}", digits in "[a-c0-9\\[\\]:]{0,30}") {
            for pattern in [pattern, digits] {
                if let Ok(names) = expand(&pattern, 1_000) {
                    prop_assert!(names.len() <= 1_000);
                }
            }
        }
    }
}

//! Text that comes from elsewhere, made fit to be stored and shown.

use super::clock::Millis;

/// Removes control characters but for line feeds and tabs, and keeps at most
/// `max` bytes, cut at a character, with a mark where it was cut.
pub fn sanitize(text: &str, max: usize) -> String {
    cut(clean(text), max)
}

fn clean(text: &str) -> String {
    text.replace("\r\n", "\n")
        .chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c })
        .collect()
}

/// As [`sanitize`], but keeps the end: what failed is told last.
pub fn sanitize_end(text: &str, max: usize) -> String {
    const MARK: &str = "[cut] ";
    let clean = clean(text);
    if clean.len() <= max {
        return clean;
    }
    let mut start = clean.len() - max.saturating_sub(MARK.len());
    while !clean.is_char_boundary(start) {
        start += 1;
    }
    format!("{MARK}{}", &clean[start..])
}

/// As [`sanitize`], on one line.
pub fn sanitize_line(text: &str, max: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    sanitize(&words.join(" "), max)
}

fn cut(mut text: String, max: usize) -> String {
    const MARK: &str = " [cut]";
    if text.len() <= max {
        return text;
    }
    let mut end = max.saturating_sub(MARK.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push_str(MARK);
    text
}

/// Hides the values of words that look like secrets: `password=…`, `-p …` of
/// known tools are not used by nimshift, so names of variables decide.
pub fn redact(text: &str) -> String {
    const SECRET: [&str; 5] = ["password", "passwd", "secret", "token", "passphrase"];
    text.split_inclusive(char::is_whitespace)
        .map(|word| match word.split_once('=') {
            Some((name, value))
                if SECRET.iter().any(|secret| name.to_ascii_lowercase().contains(secret)) =>
            {
                let end = value.trim_end();
                format!("{name}=***{}", &value[end.len()..])
            }
            _ => word.to_owned(),
        })
        .collect()
}

/// The one of `known` that was probably meant by `word`, if any is near.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

/// A length of time as people say it: `450ms`, `12s`, `3m05s`, `2h07m`.
pub fn duration_text(ms: Millis) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 if ms == 0 => "0s".to_owned(),
        0 => format!("{ms}ms"),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        // Hours are easier to compare as long as nights are meant.
        3600..172_800 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A time as `2026-11-23T06:16:48Z`.
pub fn time_text(ms: Millis) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms);
    humantime::format_rfc3339_seconds(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(sanitize("a\u{1b}[31mb\r\nc", 100), "a\u{fffd}[31mb\nc");
        assert_eq!(sanitize_line("  a\n\tb ", 100), "a b");
    }

    #[test]
    fn what_is_cut_is_marked() {
        assert_eq!(sanitize("äääääääää", 12), "äää [cut]");
        assert_eq!(sanitize_end("äääääääää\u{7}ö", 12), "[cut] \u{fffd}ö");
        assert_eq!(sanitize_end("ä\u{7}ö", 12), "ä\u{fffd}ö");
    }

    #[test]
    fn values_of_secrets_are_hidden() {
        assert_eq!(redact("env DB_PASSWORD=abc USER=x\n"), "env DB_PASSWORD=*** USER=x\n");
    }

    #[test]
    fn only_a_near_word_is_proposed() {
        assert_eq!(nearest("lpp_sorce", ["lpp_source", "spot"]), Some("lpp_source"));
        assert_eq!(nearest("banana", ["lpp_source", "spot"]), None);
    }

    #[test]
    fn durations_read_as_people_say_them() {
        let shown: Vec<String> = [0, 450, 12_000, 185_000, 7_620_000, 172_740_000, 1_881_000_000]
            .iter()
            .map(|ms| duration_text(*ms))
            .collect();
        assert_eq!(shown, ["0s", "450ms", "12s", "3m05s", "2h07m", "47h59m", "21d18h"]);
    }
}

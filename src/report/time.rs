//! Times as reports show them: UTC, on the estate's clock.

use crate::base::{Millis, time_text};

/// The time of day: `22:14:05`.
pub fn clock_text(ms: Millis) -> String {
    let text = time_text(ms);
    let from = text.find('T').map_or(0, |at| at + 1);
    text[from..].trim_end_matches('Z').to_owned()
}

/// Both: `2026-11-23 22:14:05`.
pub fn when_text(ms: Millis) -> String {
    format!("{} {}", day_text(ms), clock_text(ms))
}

/// The day: `2026-11-23`.
pub fn day_text(ms: Millis) -> String {
    let text = time_text(ms);
    text.split('T').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_and_time_are_shown_apart() {
        assert_eq!(day_text(1_795_415_808_000), "2026-11-23");
        assert_eq!(clock_text(1_795_415_808_000), "06:36:48");
    }
}

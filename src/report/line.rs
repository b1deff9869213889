//! The lines before phases that are full.

use std::collections::BTreeMap;

use crate::domain::{MigrationId, Phase};
use crate::machine::State;

use super::view::MigrationView;

/// The places in line, from 1, of those that wait: first come, first let in.
pub(super) fn places_in_line(views: &[MigrationView]) -> BTreeMap<MigrationId, usize> {
    let mut lines: BTreeMap<Phase, Vec<(u64, MigrationId)>> = BTreeMap::new();
    for view in views {
        if let (State::WaitingForPlace { since_ms, .. }, Some(step)) = (&view.state, view.step()) {
            lines.entry(step.phase).or_default().push((*since_ms, view.id));
        }
    }
    let mut places = BTreeMap::new();
    for mut line in lines.into_values() {
        line.sort();
        places.extend(line.into_iter().zip(1..).map(|((_, id), place)| (id, place)));
    }
    places
}

/// `waits for phase 6, 3rd in line`.
pub(super) fn wait_text(phase: Phase, place: usize) -> String {
    let ending = match (place % 10, place % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("waits for phase {}, {place}{ending} in line", phase.number())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_as_they_are_spoken() {
        let told = |place| wait_text(Phase::MigrateFilesets, place);
        assert_eq!(told(3), "waits for phase 6, 3rd in line");
        let endings: Vec<String> = [1, 2, 4, 11, 12, 21, 102, 113]
            .map(|place| told(place).split(' ').nth(4).expect("a place").to_owned())
            .to_vec();
        assert_eq!(endings, ["1st", "2nd", "4th", "11th", "12th", "21st", "102nd", "113th"]);
    }
}

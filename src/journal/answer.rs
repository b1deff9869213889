//! What becomes of a request of an operator.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::MigrationId;
use crate::machine::State;

/// What became of a request: journaled with it, for whoever waits for it. Its words are
/// for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderAnswer {
    /// The order was taken, and has led to this state.
    Done(Box<State>),
    /// The work was taken, but not that of these clients, each for its reason.
    Taken(Vec<(String, String)>),
    /// Nothing came of it.
    Refused(WhyRefused),
    /// The words of an engine that journaled nothing else: what they mean is for people
    /// to read.
    #[serde(skip)]
    Prose(String),
}

/// Why nothing came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyRefused {
    /// What is to be abandoned still works on its host.
    StillRuns,
    /// The engine that runs does not work on the migration.
    NotPartOfRun(MigrationId),
    /// It means nothing in the state that the migration is in, as the machine says.
    Rejected(String),
    /// It is of the kind that comes with work, and came with none.
    NoWork,
    /// No new work is taken any more.
    Stopping,
    /// None of the work was taken: of each client the reason.
    Clients(Vec<(String, String)>),
    /// The migration stands still: its entries are not stored.
    JournalFailed,
    /// It cannot be followed, for this reason.
    Said(String),
}

impl OrderAnswer {
    /// As it is journaled.
    pub(super) fn text(&self) -> String {
        match self {
            OrderAnswer::Prose(words) => words.clone(),
            answer => serde_json::to_string(answer).expect("an answer has text for keys"),
        }
    }

    /// What was journaled. Words that have no other form are kept as they are.
    pub(super) fn read(text: String) -> OrderAnswer {
        serde_json::from_str(&text).unwrap_or(OrderAnswer::Prose(text))
    }
}

impl fmt::Display for OrderAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OrderAnswer::Done(state) => write!(f, "done: {}", state.told()),
            OrderAnswer::Taken(but) => {
                f.write_str("done")?;
                lines(f, but)
            }
            OrderAnswer::Refused(WhyRefused::Clients(all)) => {
                f.write_str("refused")?;
                lines(f, all)
            }
            OrderAnswer::Refused(why @ WhyRefused::JournalFailed) => why.fmt(f),
            OrderAnswer::Refused(why) => write!(f, "refused: {why}"),
            OrderAnswer::Prose(words) => f.write_str(words),
        }
    }
}

impl fmt::Display for WhyRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhyRefused::StillRuns => f.write_str("its step in flight has not ended"),
            WhyRefused::NotPartOfRun(id) => write!(f, "{id} is not part of this run"),
            WhyRefused::NoWork => f.write_str("it names no work"),
            WhyRefused::Stopping => f.write_str("the run is stopping"),
            WhyRefused::Clients(all) => lines(f, all),
            WhyRefused::JournalFailed => f.write_str("the journal cannot be written"),
            WhyRefused::Rejected(why) | WhyRefused::Said(why) => f.write_str(why),
        }
    }
}

fn lines(f: &mut fmt::Formatter<'_>, clients: &[(String, String)]) -> fmt::Result {
    clients.iter().try_for_each(|(client, why)| write!(f, "\n{client}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_journaled_and_read_and_their_words_stay() {
        let clients = || vec![("lpar01".to_owned(), "m7 was started meanwhile".to_owned())];
        let refused = |why| OrderAnswer::Refused(why);
        let held = State::Held { resume: Box::new(State::Pending) };
        let answers = [
            (OrderAnswer::Done(Box::new(held)), r#"{"done":{"#, "done: held(pending)"),
            (
                OrderAnswer::Taken(clients()),
                r#"{"taken":[["lpar01","m7 was started meanwhile"]]}"#,
                "done\nlpar01: m7 was started meanwhile",
            ),
            (OrderAnswer::Taken(Vec::new()), r#"{"taken":[]}"#, "done"),
            (
                refused(WhyRefused::StillRuns),
                r#"{"refused":"still_runs"}"#,
                "refused: its step in flight has not ended",
            ),
            (
                refused(WhyRefused::NotPartOfRun(MigrationId(3))),
                r#"{"refused":{"not_part_of_run":3}}"#,
                "refused: m3 is not part of this run",
            ),
            (
                refused(WhyRefused::Clients(clients())),
                r#"{"refused":{"clients":[["lpar01","m7 was started meanwhile"]]}}"#,
                "refused\nlpar01: m7 was started meanwhile",
            ),
            (
                refused(WhyRefused::JournalFailed),
                r#"{"refused":"journal_failed"}"#,
                "the journal cannot be written",
            ),
            (
                refused(WhyRefused::Said("outlived".to_owned())),
                r#"{"refused":{"said":"outlived"}}"#,
                "refused: outlived",
            ),
        ];
        for (answer, journaled, words) in answers {
            let text = answer.text();
            assert!(text.starts_with(journaled), "{text}");
            assert_eq!(answer.to_string(), words);
            assert_eq!(OrderAnswer::read(text), answer);
        }
    }

    #[test]
    fn words_of_before_are_kept() {
        for words in ["done: held(executing(step 3 #1))", "refused: the run is stopping", "held"] {
            let answer = OrderAnswer::read(words.to_owned());
            assert_eq!(answer, OrderAnswer::Prose(words.to_owned()));
            assert_eq!((answer.text(), answer.to_string()), (words.to_owned(), words.to_owned()));
        }
    }
}

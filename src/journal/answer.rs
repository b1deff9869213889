//! What becomes of a request of an operator.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::MigrationId;
use crate::machine::State;

/// What became of a request: journaled with it, for whoever waits for it.
///
/// A night may see two versions of nimshift at once: the engine began it, and the program
/// was replaced. So an answer is journaled as the words that programs up to 0bee027 wrote
/// and read, and below them, in parentheses, as JSON, which counts where it can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderAnswer {
    /// The order was taken, and has led to this state.
    Done(Box<State>),
    /// The work was taken, but not that of these clients, each for its reason.
    Taken(Vec<(String, String)>),
    /// Nothing came of it.
    Refused(WhyRefused),
    /// The order was taken, and has led to what an older engine says in these words.
    Told(String),
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
        let json = serde_json::to_string(self).expect("an answer has text for keys");
        // Older programs take a line with `: ` for a client and a reason. It stands in
        // strings only, where it may be escaped.
        format!("{self}\n({})", json.replace(": ", ":\\u0020"))
    }

    /// What was journaled.
    pub(super) fn read(text: &str) -> OrderAnswer {
        let json = text.rsplit_once("\n(").and_then(|(_, json)| json.strip_suffix(')'));
        // For a while it was JSON alone.
        match serde_json::from_str(json.unwrap_or(text)) {
            Ok(answer) => answer,
            Err(_) => OrderAnswer::of_words(text),
        }
    }

    /// What an older engine wrote, or one that answers what is not known yet.
    fn of_words(text: &str) -> OrderAnswer {
        let (word, rest) = text.split_once('\n').unwrap_or((text, ""));
        let lines = rest.lines().filter_map(|line| line.split_once(": "));
        let clients = lines.map(|(client, why)| (client.to_owned(), why.to_owned())).collect();
        match (word.split_once(": "), word) {
            (None, "done") => OrderAnswer::Taken(clients),
            (None, "refused") => OrderAnswer::Refused(WhyRefused::Clients(clients)),
            (Some(("done", words)), _) => OrderAnswer::Told(words.to_owned()),
            (Some(("refused", why)), _) => {
                let all = [WhyRefused::StillRuns, WhyRefused::Stopping, WhyRefused::NoWork];
                let known = all.into_iter().find(|known| known.to_string() == why);
                OrderAnswer::Refused(known.unwrap_or_else(|| WhyRefused::Said(why.to_owned())))
            }
            _ => OrderAnswer::Refused(WhyRefused::Said(word.to_owned())),
        }
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
            OrderAnswer::Told(words) => write!(f, "done: {words}"),
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
        for (answer, json, words) in answers {
            let text = answer.text();
            assert!(text.starts_with(&format!("{words}\n({json}")), "{text}");
            assert_eq!(answer.to_string(), words);
            assert_eq!(OrderAnswer::read(&text), answer);
            assert_eq!(OrderAnswer::read(&serde_json::to_string(&answer).unwrap()), answer);
        }
    }

    #[test]
    fn words_of_an_older_engine_are_read() {
        let said = |why: &str| OrderAnswer::Refused(WhyRefused::Said(why.to_owned()));
        let clients = || vec![("lpar01".to_owned(), "m7: started".to_owned())];
        for (words, answer) in [
            ("done: held", OrderAnswer::Told("held".to_owned())),
            ("done", OrderAnswer::Taken(Vec::new())),
            ("done\nlpar01: m7: started", OrderAnswer::Taken(clients())),
            ("refused\nlpar01: m7: started", OrderAnswer::Refused(WhyRefused::Clients(clients()))),
            ("refused: the run is stopping", OrderAnswer::Refused(WhyRefused::Stopping)),
            (
                "refused: migration m3 is not part of this run",
                said("migration m3 is not part of this run"),
            ),
            (
                "what comes with the next version\n({\"new\":1})",
                said("what comes with the next version"),
            ),
        ] {
            assert_eq!(OrderAnswer::read(words), answer);
            assert_eq!(OrderAnswer::read(&answer.text()), answer);
        }
    }

    /// How programs up to b01cc72 read an answer: the client and the reason of each that
    /// was not taken, or why nothing was.
    fn understood_before(answer: &str) -> Result<Vec<(String, String)>, String> {
        let (word, rest) = answer.split_once('\n').unwrap_or((answer, ""));
        let lines = rest.lines().filter_map(|line| line.split_once(": "));
        let but = lines.map(|(client, why)| (client.to_owned(), why.to_owned())).collect();
        match word.strip_prefix("refused: ") {
            Some(why) => Err(why.to_owned()),
            None => Ok(but),
        }
    }

    #[test]
    fn an_older_program_understands_what_is_journaled() {
        let clients = || vec![("lpar01".to_owned(), "it is: started (m7)".to_owned())];
        let refused = |why| OrderAnswer::Refused(why);
        for (answer, read) in [
            (OrderAnswer::Taken(Vec::new()), Ok(Vec::new())),
            (OrderAnswer::Taken(clients()), Ok(clients())),
            (refused(WhyRefused::Clients(clients())), Ok(clients())),
            (refused(WhyRefused::Stopping), Err("the run is stopping".to_owned())),
            (refused(WhyRefused::Said("so: it is".to_owned())), Err("so: it is".to_owned())),
        ] {
            assert_eq!(understood_before(&answer.text()), read);
        }
        // And of an order, whether it was done, and in which state that has ended.
        let held = State::Held { resume: Box::new(State::Pending) };
        let text = OrderAnswer::Done(Box::new(held)).text();
        assert!(text.starts_with("done"), "{text}");
        assert_eq!(text.split('(').next(), Some("done: held"));
    }
}

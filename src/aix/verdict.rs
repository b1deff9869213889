//! What the words and the exit status of a command mean.

use crate::base::limits::CAUSE_BYTES_MAX;
use crate::base::sanitize_line;
use crate::domain::{Cause, FailureClass, MessageRule};

use super::catalogue::{Entry, catalogue};

/// What the catalogue says of a command's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Its class; never `Informative`.
    pub class: FailureClass,
    /// The message id, where there is one.
    pub message: Option<String>,
    /// The line that decided, made fit to be shown.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Verdict {
    /// The verdict as the cause of a failure.
    pub fn into_cause(self) -> Cause {
        let Verdict { class, message, text, hint } = self;
        Cause { class, message, text, hint }
    }
}

/// What a line was found to mean.
struct Met<'a> {
    class: FailureClass,
    id: Option<&'a str>,
    hint: &'a str,
}

/// Judges the output of a command that ended with `status`: by the `rules` of
/// the plan first, then by the catalogue.
///
/// A wrapper counts only where nothing inside it is known. `AlreadyDone` next
/// to a real failure is not success. A message of a permanent failure counts
/// even where the status says success; a transient one does not, for then a
/// retry within the command has helped.
pub fn classify(rules: &[MessageRule], text: &str, status: i32) -> Option<Verdict> {
    let mut found: Option<(u8, Met<'_>, &str)> = None;
    for line in text.lines() {
        for met in met_by(rules, line) {
            let rank = rank(met.class);
            // The deepest message of a rank is the last that was printed inside,
            // and the first that is not a wrapper stands nearest to it.
            if rank > 0 && found.as_ref().is_none_or(|(best, ..)| rank > *best) {
                found = Some((rank, met, line));
            }
        }
    }
    let (_, met, line) = found?;
    if status == 0 && met.class != FailureClass::Permanent {
        return None;
    }
    let class = match met.class {
        // Nothing inside is known: what failed, failed for good.
        FailureClass::Wrapper => FailureClass::Permanent,
        class => class,
    };
    Some(Verdict {
        class,
        message: met.id.map(str::to_owned),
        text: sanitize_line(line, CAUSE_BYTES_MAX),
        hint: Some(met.hint).filter(|hint| !hint.is_empty()).map(str::to_owned),
    })
}

/// The entry that decides on a line alone, whatever stands beside it.
pub fn matching(line: &str) -> Option<&'static Entry> {
    let entries = entries_of(line, &line.to_ascii_lowercase());
    let gravest = entries.iter().map(|(_, entry)| rank(entry.class)).max()?;
    entries.into_iter().find(|(_, entry)| rank(entry.class) == gravest).map(|(_, entry)| entry)
}

/// Whether `rules` or the catalogue know what a line means.
pub fn is_known(rules: &[MessageRule], line: &str) -> bool {
    !met_by(rules, line).is_empty()
}

fn rank(class: FailureClass) -> u8 {
    match class {
        FailureClass::Informative => 0,
        FailureClass::AlreadyDone => 1,
        FailureClass::Wrapper => 2,
        FailureClass::Transient => 3,
        FailureClass::NeedsOperator => 4,
        FailureClass::Permanent => 5,
    }
}

/// What a line means: by the first rule that it meets, or by the catalogue.
fn met_by<'a>(rules: &'a [MessageRule], line: &'a str) -> Vec<Met<'a>> {
    let lower = line.to_ascii_lowercase();
    let rule = rules.iter().find_map(|rule| Some((rule, rule_fits(rule, line, &lower)?)));
    if let Some((rule, id)) = rule {
        return vec![Met { class: rule.class, id, hint: rule.hint.as_deref().unwrap_or("") }];
    }
    let met = |(id, entry): (Option<&'a str>, &'static Entry)| Met {
        class: entry.class,
        id,
        hint: &entry.hint,
    };
    entries_of(line, &lower).into_iter().map(met).collect()
}

/// The id by which a rule fits the line, if it does.
#[expect(clippy::option_option, reason = "the outer one says whether it fits")]
fn rule_fits<'a>(rule: &MessageRule, line: &'a str, lower: &str) -> Option<Option<&'a str>> {
    let ids = message_ids(line);
    let id = match &rule.id {
        Some(wanted) => Some(*ids.iter().find(|id| *id == wanted)?),
        None => ids.first().copied(),
    };
    let words = rule.pattern.as_ref().map(|words| words.to_ascii_lowercase());
    words.is_none_or(|words| lower.contains(&words)).then_some(id)
}

/// The entries that a line meets, by its ids, or by words alone where none of
/// its ids is known.
fn entries_of<'a>(line: &'a str, lower: &str) -> Vec<(Option<&'a str>, &'static Entry)> {
    let by_id: Vec<(Option<&str>, &Entry)> = message_ids(line)
        .into_iter()
        .filter_map(|id| {
            let fits =
                |entry: &&Entry| entry.ids.iter().any(|known| known == id) && entry.fits(lower);
            Some((Some(id), catalogue().iter().find(fits)?))
        })
        .collect();
    if by_id.iter().any(|(_, entry)| entry.class != FailureClass::Wrapper) {
        return by_id;
    }
    let fits = |entry: &&Entry| entry.ids.is_empty() && entry.fits(lower);
    let by_words = catalogue().iter().find(fits).map(|entry| (None, entry));
    by_id.into_iter().chain(by_words).collect()
}

/// The message ids in `line`: four digits, a hyphen, three or four digits, and
/// no digit or letter next to them.
pub fn message_ids(line: &str) -> Vec<&str> {
    let bytes = line.as_bytes();
    let is_word =
        |at: usize| bytes.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'-');
    let digits = |from: usize| {
        bytes[from.min(bytes.len())..].iter().take_while(|b| b.is_ascii_digit()).count()
    };
    let mut ids = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let first = digits(at);
        if first == 0 {
            at += 1;
            continue;
        }
        let second = digits(at + 5);
        let end = at + 5 + second;
        let fits = first == 4
            && bytes.get(at + 4) == Some(&b'-')
            && (3..=4).contains(&second)
            && !is_word(end)
            && (at == 0 || !is_word(at - 1));
        if fits {
            ids.push(&line[at..end]);
            at = end;
        } else {
            at += first;
        }
    }
    ids
}

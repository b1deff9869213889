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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use FailureClass::{AlreadyDone, Permanent, Transient};

    #[test]
    fn ids_are_found_in_both_orders() {
        assert_eq!(message_ids("0516-404 allocp: Not enough"), ["0516-404"]);
        assert_eq!(message_ids("alt_disk_copy: 0505-218 ATTENTION"), ["0505-218"]);
        assert_eq!(message_ids("0516-1201 lsvg: locked"), ["0516-1201"]);
        assert_eq!(message_ids("RPC: 1832-018 and 1831-010"), ["1832-018", "1831-010"]);
        for none in ["7300-02-01-2346", "10516-404", "0516-40", "0516-40456", "a0516-404", ""] {
            assert_eq!(message_ids(none), Vec::<&str>::new(), "{none}");
        }
    }

    #[test]
    fn words_and_status_decide_together() {
        type Row = (&'static str, i32, Option<(FailureClass, &'static str)>);
        let table: [Row; 23] = [
            (
                "0505-126 alt_disk_install- target disk hdisk1 has a volume group assigned to it",
                1,
                Some((Permanent, "0505-126")),
            ),
            (
                "alt_disk_copy: 0505-218 ATTENTION: init_multibos() returned an unexpected result.\n0505-187 nimadm: Error cloning altinst_rootvg on client.",
                1,
                Some((Permanent, "0505-218")),
            ),
            (
                "0505-187 nimadm: Error cloning altinst_rootvg on client.",
                1,
                Some((Permanent, "0505-187")),
            ),
            (
                "0516-404 allocp: Not enough resources available to fulfill allocation.\n0516-788 extendlv: Unable to extend logical volume.",
                1,
                Some((Permanent, "0516-404")),
            ),
            (
                "0503-008 installp: There is not enough free disk space in file system /usr",
                0,
                Some((Permanent, "0503-008")),
            ),
            (
                "0503-434 installp: incomplete installation operations",
                255,
                Some((Transient, "0503-434")),
            ),
            (
                "umount: 0506-347 Cannot find anything to unmount.",
                1,
                Some((AlreadyDone, "0506-347")),
            ),
            (
                "umount: 0506-349 Cannot unmount /dev/alt_hd4: The requested resource is busy.",
                1,
                Some((Transient, "0506-349")),
            ),
            (
                "mount: 0506-324 Cannot mount a on b: The requested resource is busy.",
                1,
                Some((AlreadyDone, "0506-324")),
            ),
            ("0516-010 : Volume group must be varied on; use varyonvg command.", 1, None),
            (
                "0042-001 nim: processing error encountered on \"master\":\n   0042-006 c_rsh: (From_Master) connect Connection timed out",
                1,
                Some((Transient, "0042-006")),
            ),
            (
                "0042-001 nim: processing error encountered on \"lpar7\":\n0042-175 c_mount: An unexpected result was returned by the \"mount\" command:\nmount: 1831-011 access denied for nim1:/export/spot",
                175,
                Some((Permanent, "1831-011")),
            ),
            ("0042-175 c_ch_nfsexp: An unexpected result", 175, Some((Permanent, "0042-175"))),
            (
                "0042-175 sm_inst: Input device or directory does not exist",
                175,
                Some((Transient, "0042-175")),
            ),
            (
                "0042-053 lsnim: there is no NIM object named \"x\"",
                53,
                Some((Permanent, "0042-053")),
            ),
            (
                "0301-150 bosboot: Invalid or no boot device specified!\n0301-165 bosboot: WARNING! bosboot failed",
                1,
                Some((Permanent, "0301-150")),
            ),
            (
                "0301-165 bosboot: WARNING! bosboot failed - do not attempt to boot device.",
                1,
                Some((Permanent, "0301-165")),
            ),
            ("0514-508 savebase: Cannot save", 1, Some((Permanent, "0514-508"))),
            (
                "mount: 1831-010 server nim1 not responding: RPC: 1832-018",
                1,
                Some((Transient, "1831-010")),
            ),
            ("0513-029 The nfsd Subsystem is already active.", 1, Some((AlreadyDone, "0513-029"))),
            ("umount: 0506-349 Cannot unmount: busy", 0, None),
            // What is printed first was met first.
            (
                "0516-404 allocp: Not enough\n0503-008 installp: not enough",
                1,
                Some((Permanent, "0516-404")),
            ),
            ("something else", 3, None),
        ];
        for (text, status, wanted) in table {
            let verdict = classify(&[], text, status);
            let shown = verdict.as_ref().map(|v| (v.class, v.message.as_deref().unwrap_or("")));
            assert_eq!(shown, wanted, "{text}");
        }
    }

    #[test]
    fn words_decide_where_there_is_no_id() {
        let verdict = classify(&[], "exportfs: nim1: unknown host", 1).unwrap();
        assert_eq!((verdict.class, verdict.message), (Permanent, None));
        assert!(verdict.hint.unwrap().contains("/etc/hosts"));
        let verdict = classify(&[], "tar: Stale NFS file handle", 2).unwrap();
        assert_eq!(verdict.class, Transient);
    }

    #[test]
    fn a_rule_of_the_plan_goes_before_the_catalogue() {
        let rule = |id: Option<&str>, pattern: Option<&str>, class| MessageRule {
            id: id.map(str::to_owned),
            pattern: pattern.map(str::to_owned),
            class,
            hint: Some("ask the storage team".to_owned()),
        };
        let rules = [
            rule(Some("0516-404"), Some("Hdisk7"), Permanent),
            rule(Some("0516-404"), None, Transient),
            rule(None, Some("quota exceeded"), Transient),
        ];
        let told = |text: &str, status| {
            let verdict = classify(&rules, text, status)?;
            Some((verdict.class, verdict.message))
        };
        let id = Some("0516-404".to_owned());
        assert_eq!(told("0516-404 allocp: no", 1), Some((Transient, id.clone())));
        assert_eq!(told("0516-404 allocp: no on hdisk7", 1), Some((Permanent, id)));
        assert_eq!(told("tar: Quota Exceeded", 1), Some((Transient, None)));
        assert_eq!(told("0506-349 busy", 1).unwrap().0, Transient);
        assert_eq!(told("quota exceeded", 0), None);
        let hint = classify(&rules, "quota exceeded", 1).unwrap().hint;
        assert_eq!(hint.as_deref(), Some("ask the storage team"));
    }

    proptest! {
        #[test]
        fn no_input_panics(text in ".{0,200}(\n.{0,80}){0,4}", tail in any::<Vec<u8>>(), status in any::<i32>()) {
            let _ = classify(&[], &text, status);
            let _ = classify(&[], &String::from_utf8_lossy(&tail), status);
        }
    }
}

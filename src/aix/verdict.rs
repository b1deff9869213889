//! What the words and the exit status of a command mean.

use crate::base::limits::CAUSE_BYTES_MAX;
use crate::base::sanitize_line;
use crate::domain::{Cause, FailureClass};

use super::catalogue::{CATALOGUE, Entry};

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

/// Judges the output of a command that ended with `status`.
///
/// A wrapper counts only where nothing inside it is known. `AlreadyDone` next
/// to a real failure is not success. A message of a permanent failure counts
/// even where the status says success; a transient one does not, for then a
/// retry within the command has helped.
pub fn classify(text: &str, status: i32) -> Option<Verdict> {
    let mut found: Option<(u8, &Entry, &str)> = None;
    for line in text.lines() {
        for entry in entries_of(line) {
            let rank = rank(entry.class);
            // The deepest message of a rank is the last that was printed inside,
            // and the first that is not a wrapper stands nearest to it.
            if rank > 0 && found.is_none_or(|(best, ..)| rank > best) {
                found = Some((rank, entry, line));
            }
        }
    }
    let (_, entry, line) = found?;
    if status == 0 && entry.class != FailureClass::Permanent {
        return None;
    }
    let class = match entry.class {
        // Nothing inside is known: what failed, failed for good.
        FailureClass::Wrapper => FailureClass::Permanent,
        class => class,
    };
    let message = Some(entry.id).filter(|id| !id.is_empty());
    Some(Verdict {
        class,
        message: message.map(str::to_owned),
        text: sanitize_line(line, CAUSE_BYTES_MAX),
        hint: Some(entry.hint).filter(|hint| !hint.is_empty()).map(str::to_owned),
    })
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

/// The rows that a line meets, by its ids, or by words alone where none of its
/// ids is known.
fn entries_of(line: &str) -> Vec<&'static Entry> {
    let by_id: Vec<&Entry> = message_ids(line)
        .into_iter()
        .filter_map(|id| CATALOGUE.iter().find(|row| row.id == id && line.contains(row.words)))
        .collect();
    let decided = by_id.iter().any(|row| row.class != FailureClass::Wrapper);
    if decided {
        return by_id;
    }
    let by_words = CATALOGUE.iter().find(|row| row.id.is_empty() && line.contains(row.words));
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
            let verdict = classify(text, status);
            let shown = verdict.as_ref().map(|v| (v.class, v.message.as_deref().unwrap_or("")));
            assert_eq!(shown, wanted, "{text}");
        }
    }

    #[test]
    fn words_decide_where_there_is_no_id() {
        let verdict = classify("exportfs: nim1: unknown host", 1).unwrap();
        assert_eq!((verdict.class, verdict.message), (Permanent, None));
        assert!(verdict.hint.unwrap().contains("/etc/hosts"));
        let verdict = classify("tar: Stale NFS file handle", 2).unwrap();
        assert_eq!(verdict.class, Transient);
    }

    proptest! {
        #[test]
        fn no_input_panics(text in ".{0,200}(\n.{0,80}){0,4}", tail in any::<Vec<u8>>(), status in any::<i32>()) {
            let _ = classify(&text, status);
            let _ = classify(&String::from_utf8_lossy(&tail), status);
        }
    }
}

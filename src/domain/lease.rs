//! What a lease says: who holds it, and where that was begun.
//!
//! ```text
//! s1.m7@control1,batch=overnight,epoch=3,since=2026-11-25T19:00:00Z
//! ```
//!
//! The owner alone, the first word, decides whose it is: a later engine of the
//! same journal holds what an earlier one took. The rest is for people, and for
//! those who may take it over. Leases of 0.1.0 have the owner only.

use std::fmt;

use crate::base::{Millis, sanitize_line, time_text};

/// The engine that has a step carried out, as a lease tells of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Control {
    /// The machine that it runs on; empty where that is not told.
    pub host: String,
    /// The batch of the migration.
    pub batch: String,
    /// The epoch of its journal.
    pub epoch: u64,
    /// The directory of durable jobs on hosts; empty where it is the usual one.
    pub job_dir: String,
    /// The engine's own process among those of the master, where it runs there: it
    /// may have been begun under the name `nimadm`.
    pub on_master: Option<u32>,
}

/// Where durable jobs are kept on a host.
pub(super) const JOB_DIR: &str = "/var/adm/nimshift-jobs";

impl Control {
    /// The directory of durable jobs on hosts.
    pub fn job_dir(&self) -> &str {
        if self.job_dir.is_empty() { JOB_DIR } else { &self.job_dir }
    }
}

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it: the scope of a journal, and a migration of it.
    pub owner: String,
    /// The control host that took it.
    pub host: Option<String>,
    /// The batch that it was taken for.
    pub batch: Option<String>,
    /// The epoch of the engine that took it.
    pub epoch: Option<u64>,
    pub since_ms: Option<Millis>,
    /// The lease that it was taken over from, as that said.
    pub over: Option<String>,
}

/// Words of a lease are no longer, and a lease that was taken over is kept so far.
const WORD_MAX: usize = 64;
const OVER_MAX: usize = 300;

fn is_plain(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    (1..=WORD_MAX).contains(&word.len()) && word.chars().all(plain)
}

/// `text` as a word of a lease: what no word may hold is left out.
fn word(text: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || "_.-".contains(*c);
    text.chars().filter(plain).take(WORD_MAX).collect()
}

impl Lease {
    /// The lease that `owner` takes now.
    pub fn new(owner: &str, control: &Control, now_ms: Millis) -> Lease {
        let is_told = !control.host.is_empty();
        Lease {
            owner: owner.to_owned(),
            host: is_told.then(|| word(&control.host)),
            batch: is_told.then(|| word(&control.batch)),
            epoch: is_told.then_some(control.epoch),
            since_ms: is_told.then_some(now_ms),
            over: None,
        }
    }

    /// The same, taken over from `other`.
    #[must_use]
    pub fn over(mut self, other: &Lease) -> Lease {
        let text = Lease { over: None, ..other.clone() }.to_string();
        self.over = Some(text.chars().take(OVER_MAX).collect());
        self
    }

    /// What the text of a lease says. What cannot be understood is left out; an
    /// owner that nobody can be is one all the same.
    pub fn read(text: &str) -> Lease {
        let end = text.find(['@', ',']).unwrap_or(text.len());
        let (owner, rest) = text.split_at(end);
        let (rest, over) = match rest.split_once(",over=") {
            Some((rest, over)) => (rest, Some(sanitize_line(over, OVER_MAX))),
            None => (rest, None),
        };
        let mut lease = Lease {
            owner: sanitize_line(owner, WORD_MAX * 2),
            host: None,
            batch: None,
            epoch: None,
            since_ms: None,
            over,
        };
        for (index, part) in rest.split(',').enumerate() {
            let value = |key: &str| part.strip_prefix(key);
            let text = |value: &str| is_plain(value).then(|| value.to_owned());
            if let Some(host) = value("@").filter(|_| index == 0) {
                lease.host = text(host);
            } else if let Some(batch) = value("batch=") {
                lease.batch = text(batch);
            } else if let Some(epoch) = value("epoch=") {
                lease.epoch = epoch.parse().ok();
            } else if let Some(since) = value("since=") {
                lease.since_ms = millis(since);
            }
        }
        lease
    }

    /// How the jobs of its holder's journal begin; none where the owner is not
    /// one of nimshift's.
    pub fn job_prefix(&self) -> Option<String> {
        let (scope, migration) = self.owner.rsplit_once('.')?;
        let number = migration.strip_prefix('m')?;
        let is_ours = is_plain(&self.owner) && number.bytes().all(|byte| byte.is_ascii_digit());
        is_ours.then(|| format!("{scope}."))
    }

    /// How the jobs of the migration that took it begin.
    pub fn own_prefix(&self) -> Option<String> {
        self.job_prefix().map(|_| format!("{}.", self.owner))
    }

    /// How long it has been held; none where that is not told.
    pub fn age_ms(&self, now_ms: Millis) -> Option<Millis> {
        self.since_ms.map(|since| now_ms.saturating_sub(since))
    }

    /// All of it, for people.
    pub fn words(&self) -> String {
        let more = [
            self.host.as_ref().map(|host| format!(" on {host}")),
            self.batch.as_ref().map(|batch| format!(", batch {batch}")),
            self.epoch.map(|epoch| format!(", epoch {epoch}")),
            self.since_ms.map(|since| format!(", since {}", time_text(since))),
            self.over.as_ref().map(|over| format!(", taken over from {}", Lease::read(over).owner)),
        ];
        more.into_iter().flatten().fold(self.owner.clone(), |text, more| text + &more)
    }
}

fn millis(text: &str) -> Option<Millis> {
    let time = humantime::parse_rfc3339(text).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    Millis::try_from(since.as_millis()).ok()
}

/// The text of the lease: one word for a shell.
impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.owner)?;
        if let Some(host) = &self.host {
            write!(f, "@{host}")?;
        }
        if let Some(batch) = &self.batch {
            write!(f, ",batch={batch}")?;
        }
        if let Some(epoch) = self.epoch {
            write!(f, ",epoch={epoch}")?;
        }
        if let Some(since) = self.since_ms {
            write!(f, ",since={}", time_text(since))?;
        }
        if let Some(over) = &self.over {
            write!(f, ",over={over}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "s1.m7@control1,batch=overnight,epoch=3,since=2026-11-25T19:00:00Z";

    #[test]
    fn a_lease_says_who_holds_it_and_where_that_was_begun() {
        let control = Control {
            host: "control1".to_owned(),
            batch: "overnight".to_owned(),
            epoch: 3,
            ..Control::default()
        };
        let lease = Lease::new("s1.m7", &control, 1_795_633_200_999);
        assert_eq!(lease.to_string(), TEXT);
        assert_eq!(
            Lease::read(TEXT).words(),
            "s1.m7 on control1, batch overnight, epoch 3, since 2026-11-25T19:00:00Z"
        );
        assert_eq!(Lease::read(TEXT).job_prefix().as_deref(), Some("s1."));
        assert_eq!(Lease::read(TEXT).own_prefix().as_deref(), Some("s1.m7."));
        assert_eq!(Lease::read(TEXT).age_ms(1_795_633_260_000), Some(60_000));
    }

    #[test]
    fn one_that_was_taken_over_says_from_whom() {
        let lease = Lease::new("s9.m1", &Control::default(), 0).over(&Lease::read(TEXT));
        assert_eq!(lease.to_string(), format!("s9.m1,over={TEXT}"));
        assert_eq!(Lease::read(&lease.to_string()), lease);
        assert_eq!(lease.words(), "s9.m1, taken over from s1.m7");
    }

    #[test]
    fn older_leases_have_an_owner_only() {
        let plain = Lease::read("s1.m7");
        assert_eq!((plain.owner.as_str(), plain.since_ms), ("s1.m7", None));
        assert_eq!(plain.to_string(), "s1.m7");
    }

    #[test]
    fn what_is_no_owner_of_ours_has_no_jobs() {
        for text in ["", "x", "../etc.m1", "a b.m1", "s1.7", "s1.mx", "@h", ".", "s1.m7;rm"] {
            assert_eq!(Lease::read(text).job_prefix(), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_read_breaks_out_of_a_line(text in "\\PC*|[ -~]*") {
            let lease = Lease::read(&text);
            prop_assert!(!lease.words().contains(char::is_control));
            prop_assert!(lease.words().len() < 1_000);
        }
    }
}

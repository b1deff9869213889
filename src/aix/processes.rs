//! `ps -eo pid,user,etime,args`, and the shorter `ps -eo pid,args`.

use super::nim::NimObject;
use super::unread::{Unread, lines};
use crate::base::sanitize_line;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    /// Whose it is, and for how long it has run: `[[days-]hours:]minutes:seconds`.
    pub since: Option<(String, String)>,
    /// Its command line, as far as `ps` shows it.
    pub args: String,
}

/// What runs scripts.
const SHELLS: [&str; 6] = ["sh", "ksh", "ksh93", "bsh", "bash", "perl"];

impl Process {
    /// It, for people: `process 4711 of root, for 02:10`.
    pub fn words(&self) -> String {
        match &self.since {
            Some((user, time)) => {
                let [user, time] = [user, time].map(|text| sanitize_line(text, 20));
                format!("process {} of {user}, for {time}", self.pid)
            }
            None => format!("process {}", self.pid),
        }
    }

    /// Whether it runs `program`, with or without a directory, itself or by a shell.
    /// A command of that name is no such program: `nimshift nimadm`, `sudo nimadm`.
    pub fn runs(&self, program: &str) -> bool {
        let name = |word: &'_ str| word.rsplit('/').next().unwrap_or_default().to_owned();
        let mut words = self.args.split_whitespace();
        let first = name(words.next().unwrap_or_default());
        let is_shell = SHELLS.contains(&first.trim_start_matches('-'));
        let mut script = words.skip_while(|word| word.starts_with('-'));
        first == program || (is_shell && script.next().is_some_and(|word| name(word) == program))
    }

    /// Whether `flag` stands on its command line with this value.
    pub fn has(&self, flag: &str, value: &str) -> bool {
        let words: Vec<&str> = self.args.split_whitespace().collect();
        let attached = format!("{flag}{value}");
        words.windows(2).any(|pair| pair == [flag, value]) || words.contains(&attached.as_str())
    }
}

/// The process that has locked a NIM object, if it still runs.
pub fn lock_holder<'a>(object: &NimObject, running: &'a [Process]) -> Option<&'a Process> {
    let pid: u32 = object.get("locked")?.parse().ok()?;
    running.iter().find(|process| process.pid == pid)
}

/// Reads either layout. Lines of a command line that has several are left out; a
/// list without its heading is an error.
pub fn processes(text: &str) -> Result<Vec<Process>, Unread> {
    const COMMAND: &str = "ps -eo pid,user,etime,args";
    let is_heading = |line: &&str| {
        let mut words = line.split_whitespace();
        words.next() == Some("PID") && words.next().is_some()
    };
    let mut rows = lines(text).skip_while(|line| !is_heading(line));
    let Some(heading) = rows.next() else {
        return Err(Unread::missing(COMMAND, "heading `PID USER ELAPSED COMMAND`"));
    };
    let has_user = heading.split_whitespace().nth(1) == Some("USER");
    let first = |line: &'_ str| {
        let (word, rest) = line.trim_start().split_once(char::is_whitespace)?;
        Some((word.to_owned(), rest.to_owned()))
    };
    let row = |line: &str| {
        let (pid, mut args) = first(line)?;
        let mut since = None;
        if has_user {
            let (user, rest) = first(&args)?;
            let (time, rest) = first(&rest)?;
            (since, args) = (Some((user, time)), rest);
        }
        Some(Process { pid: pid.parse().ok()?, since, args: args.trim().to_owned() })
    };
    Ok(rows.filter_map(row).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn processes_are_read_by_their_ids() {
        let text = "    PID COMMAND\n      1 /etc/init\n9371914 tar -cf - /lpar7_alt\nsecond\n";
        let rows = processes(text).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[1].pid, rows[1].args.as_str()), (9_371_914, "tar -cf - /lpar7_alt"));
        assert_eq!(processes("    PID COMMAND\n").unwrap(), []);
        assert!(processes("ps: 0551-200 no\n").is_err());
    }

    #[test]
    fn whose_it_is_and_since_when_is_told() {
        let text = "    PID     USER     ELAPSED COMMAND\n9371914     root  1-02:13:05 /usr/bin/ksh \
                    /usr/sbin/nimadm -c lpar7\n      0     root\n";
        let rows = processes(text).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].words(), "process 9371914 of root, for 1-02:13:05");
        assert!(rows[0].runs("nimadm") && rows[0].has("-c", "lpar7"));
    }

    #[test]
    fn programs_and_flags_are_told_by_words() {
        let text = "PID COMMAND\n12 /usr/bin/ksh /usr/sbin/nimadm -c lpar7 -P1\n13 vi nimadm.log\n";
        let rows = processes(text).unwrap();
        assert!(rows[0].runs("nimadm") && rows[0].has("-c", "lpar7") && rows[0].has("-P", "1"));
        assert!(!rows[0].has("-c", "lpar70") && !rows[1].runs("nimadm"));
        let is_run =
            |args: &str| processes(&format!("PID COMMAND\n12 {args}\n")).unwrap()[0].runs("nimadm");
        assert!(is_run("nimadm -c lpar7") && is_run("ksh -p /usr/sbin/nimadm -c lpar7"));
        for ours in ["nimshift nimadm -c lpar7", "sudo nimadm -c lpar7", "vi /usr/sbin/nimadm"] {
            assert!(!is_run(ours), "{ours}");
        }
    }

    proptest! {
        #[test]
        fn no_input_panics(text in ".{0,200}(\n.{0,80}){0,4}") {
            let _ = processes(&text);
            let _ = processes(&format!("PID COMMAND\n{text}"));
            let _ = processes(&format!("PID USER ELAPSED COMMAND\n{text}"));
        }
    }
}

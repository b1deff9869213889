//! `ps -ef`.

use super::unread::{Unread, lines};

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u64,
    /// The rest of its line: times, terminal, command line.
    pub rest: String,
}

impl Process {
    /// Whether it runs `program`, with or without a directory.
    pub fn runs(&self, program: &str) -> bool {
        self.rest.split_whitespace().any(|word| word.rsplit('/').next() == Some(program))
    }

    /// Whether `flag` stands on its command line with this value.
    pub fn has(&self, flag: &str, value: &str) -> bool {
        let words: Vec<&str> = self.rest.split_whitespace().collect();
        let attached = format!("{flag}{value}");
        words.windows(2).any(|pair| pair == [flag, value]) || words.contains(&attached.as_str())
    }
}

/// Reads `ps -ef`. How many words a start time has depends on its age, so that
/// only the first columns are told apart.
pub fn processes(text: &str) -> Result<Vec<Process>, Unread> {
    let is_head = |line: &&str| {
        let mut words = line.split_whitespace();
        words.next() == Some("UID") && words.next() == Some("PID")
    };
    let mut rows = lines(text).skip_while(|line| !is_head(line));
    if rows.next().is_none() {
        return Err(Unread::missing("ps -ef", "heading"));
    }
    let row = |line: &str| {
        let (_, after) = line.trim_start().split_once(char::is_whitespace)?;
        let (pid, rest) = after.trim_start().split_once(char::is_whitespace)?;
        Some(Process { pid: pid.parse().ok()?, rest: rest.trim().to_owned() })
    };
    let found: Vec<Process> = rows
        .filter(|line| !line.trim().is_empty())
        .map(|line| row(line).ok_or_else(|| Unread::line("ps -ef", line)))
        .collect::<Result<_, _>>()?;
    if found.is_empty() {
        return Err(Unread::missing("ps -ef", "process"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
     UID     PID    PPID   C    STIME    TTY  TIME CMD
    root       1       0   0   Mar 02      -  0:07 /etc/init
    root 6029701       1   0 21:04:05  pts/0  0:00 /usr/bin/ksh /usr/sbin/nimadm -c lpar7 -P1
    root 6029800       1   0 21:04:05      -  0:00 
";

    #[test]
    fn processes_are_told_by_id_and_words() {
        let found = processes(TEXT).unwrap();
        assert_eq!(found.iter().map(|p| p.pid).collect::<Vec<_>>(), [1, 6_029_701, 6_029_800]);
        assert!(found[1].runs("nimadm") && found[1].has("-c", "lpar7") && found[1].has("-P", "1"));
        assert!(!found[1].has("-c", "lpar70") && !found[0].runs("nimadm"));
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        assert!(processes("").is_err());
        assert!(processes("     UID     PID    PPID\n").is_err());
        assert!(processes("UID PID\nroot x 1\n").is_err());
        assert!(processes("0403-006 Execute permission denied.\n").is_err());
    }
}

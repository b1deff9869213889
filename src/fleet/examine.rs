//! What `doctor` asks of a host, and what the answers mean. No I/O.

use serde::Serialize;

use crate::aix::argv;
use crate::base::{Millis, duration_text, sanitize_line};
use crate::domain::{FailureClass, Lease};
use crate::phases::Objection;
use crate::report::cause_text;
use crate::transport::{Command, CommandOutput, JobState, Output, Script, TransportError};

/// How a finding is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gravity {
    /// As it should be.
    Good,
    /// A night could begin, and may go wrong.
    Warning,
    /// No night should begin.
    Bad,
}

impl Gravity {
    /// As it is shown.
    pub fn word(self) -> &'static str {
        match self {
            Gravity::Good => "ok",
            Gravity::Warning => "warn",
            Gravity::Bad => "BAD",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub check: &'static str,
    /// How it is to be taken.
    pub verdict: Gravity,
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// All checks, in the order in which they are shown.
const CHECKS: [&str; 15] = [
    "login",
    "user",
    "system",
    "commands",
    "clock",
    "room",
    "job",
    "lease",
    "master-name",
    "client-name",
    "nim",
    "c_rsh",
    "nfs-to-master",
    "nfs-to-client",
    "may-begin",
];

/// Commands that the programs on a host use.
const NEEDED: &str = "awk sed sort cksum dd ps who ln cat mv rm mkdir rmdir kill tr ls sync sleep";

/// Room that the jobs of a night want, in KiB.
const ROOM_KIB: u64 = 10 * 1024;

/// Clocks that differ more make logs hard to read.
const SKEW_WARN_MS: Millis = 60_000;

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    User,
    System,
    Missing,
    Clock,
    Room,
    Fuser,
    Name,
    Exports,
    Lease,
    NimObject,
    RemoteShell,
}

/// Questions to a host, each of which may fail.
#[derive(Debug)]
pub(super) struct Questions(Vec<(Ask, Command)>);

/// What a host has said, by what it was asked.
#[derive(Debug, Default)]
pub(super) struct Told(Vec<(Ask, CommandOutput)>);

impl Told {
    fn get(&self, ask: Ask) -> Option<&CommandOutput> {
        self.0.iter().find(|(asked, _)| *asked == ask).map(|(_, said)| said)
    }
}

fn sh(text: &str, words: &[&str]) -> Command {
    let argv = ["/bin/sh", "-c", text, "sh"].into_iter().chain(words.iter().copied());
    Command::new(argv).tolerated()
}

/// A name as an address, and the address as a name.
const RESOLVE: &str =
    r#"host "$1" && host "$(host "$1" | awk 'NR == 1 { sub(",", "", $3); print $3 }')""#;

/// Who holds the lease, and which jobs of the holder's journal have not ended.
const LEASE: &str = r#"
    [ -h "$1" ] || exit 0
    lease=$(ls -l "$1" | sed 's/.* -> //')
    echo "$lease"
    owner=${lease%%[@,]*}
    for job in "$2/${owner%.*}".*; do
      if [ -f "$job/claim" ] && [ ! -f "$job/done" ]; then echo "${job##*/}"; fi
    done"#;

impl Questions {
    /// Of a host itself; of a client, also what it sees of its master.
    pub(super) fn of_itself(job_dir: &str, master: Option<&str>) -> Questions {
        let parent = match job_dir.rsplit_once('/') {
            Some(("", _)) | None => "/",
            Some((parent, _)) => parent,
        };
        let missing = r#"for c in $1; do command -v "$c" >/dev/null 2>&1 || echo "$c"; done"#;
        let mut commands = vec![
            (Ask::User, Command::new(["id", "-u"]).tolerated()),
            (Ask::System, sh("uname -s; oslevel -s 2>/dev/null", &[])),
            (Ask::Missing, sh(missing, &[NEEDED])),
            (Ask::Clock, Command::new(["date", "-u", "+%Y-%m-%dT%H:%M:%SZ"]).tolerated()),
            (Ask::Room, Command::new(["df", "-kP", parent]).tolerated()),
            (Ask::Fuser, sh("command -v fuser", &[])),
        ];
        if let Some(master) = master {
            commands.push((Ask::Name, sh(RESOLVE, &[master])));
            commands.push((Ask::Exports, Command::new(["showmount", "-e", master]).tolerated()));
            commands.push((Ask::Lease, sh(LEASE, &[argv::LEASE, job_dir])));
        }
        Questions(commands)
    }

    /// Of a client, on the master.
    pub(super) fn of_client_on_master(client: &str, remote_shell: &str) -> Questions {
        let hostname = [remote_shell, client, "hostname"];
        Questions(vec![
            (Ask::Name, sh(RESOLVE, &[client])),
            (Ask::NimObject, Command::new(["lsnim", "-l", client]).tolerated()),
            (Ask::RemoteShell, Command::new(hostname).tolerated()),
            (Ask::Exports, Command::new(["showmount", "-e", client]).tolerated()),
        ])
    }

    /// All of them in one call.
    pub(super) fn script(&self) -> Script {
        Script::new(self.0.iter().map(|(_, command)| command.clone()))
    }

    /// What `output` of [`Questions::script`] tells.
    pub(super) fn told(&self, output: Output) -> Told {
        Told(self.0.iter().map(|(ask, _)| *ask).zip(output.commands).collect())
    }

    /// A job that does nothing.
    pub(super) fn job() -> Script {
        Script::new([Command::new(["echo", "job"])])
    }
}

impl Finding {
    fn good(check: &'static str, text: impl Into<String>) -> Finding {
        Finding { check, verdict: Gravity::Good, text: text.into(), help: None }
    }

    fn other(check: &'static str, verdict: Gravity, text: &str, help: &str) -> Finding {
        let help = Some(help.to_owned());
        Finding { check, verdict, text: sanitize_line(text, 200), help }
    }

    fn bad(check: &'static str, text: &str, help: &str) -> Finding {
        Finding::other(check, Gravity::Bad, text, help)
    }

    /// The host was not asked.
    pub fn unreached(error: &TransportError) -> Finding {
        let help = error.way_out().unwrap_or("is the host up, and reachable from here?");
        Finding::bad("login", &error.to_string(), help)
    }

    /// What became of a job that does nothing.
    pub fn of_job(state: &Result<JobState, TransportError>) -> Finding {
        let help =
            "look at `job_dir` and its file system there; jobs need it to be writable by root";
        match state {
            Ok(JobState::Done(output))
                if output.get(0).is_some_and(|echo| echo.stdout == "job\n") =>
            {
                Finding::good("job", "a job was begun, ended and can be removed")
            }
            Ok(JobState::Running { .. }) => Finding::other(
                "job",
                Gravity::Warning,
                "a job that does nothing has not ended within 10 s",
                "is the host very busy?",
            ),
            Ok(state) => Finding::bad("job", &format!("a job ended as {state:?}"), help),
            Err(error) => Finding::bad("job", &error.to_string(), help),
        }
    }

    /// What the checks that the migration of `client` begins with have found. Who
    /// holds the lease is told by itself.
    pub fn of_checks(client: &str, objections: &[Objection]) -> Vec<Finding> {
        let finding = |Objection { cause, .. }: &Objection| {
            let verdict = match cause.class {
                FailureClass::AlreadyDone => Gravity::Good,
                FailureClass::Transient | FailureClass::Informative => Gravity::Warning,
                _ => Gravity::Bad,
            };
            let help = cause.hint.clone().filter(|_| verdict != Gravity::Good);
            Finding { check: "may-begin", verdict, text: cause_text(cause), help }
        };
        let told = objections.iter().filter(|one| one.step.as_str() != "take-lease");
        let found: Vec<Finding> = told.map(finding).collect();
        if found.is_empty() {
            let text =
                format!("the checks of `run` find nothing against the migration of {client}");
            return vec![Finding::good("may-begin", text)];
        }
        found
    }

    /// Its place among the findings of a host.
    pub fn order(&self) -> usize {
        CHECKS.iter().position(|check| *check == self.check).unwrap_or(CHECKS.len())
    }
}

/// What went wrong with a command, in its own words.
fn words(output: Option<&CommandOutput>) -> String {
    let Some(output) = output else { return "it was not run".to_owned() };
    let text = output.text();
    let line = text.lines().find(|line| !line.trim().is_empty());
    line.map_or_else(|| format!("exit status {}", output.status), |line| sanitize_line(line, 150))
}

/// What a host says of itself, and a client of its master.
pub(super) fn self_findings(
    host: &str,
    master: Option<&str>,
    told: &Told,
    now_ms: Millis,
) -> Vec<Finding> {
    let said = |ask| told.get(ask).map_or("", |command| command.stdout.trim());
    let mut findings = vec![Finding::good("login", "a program ran in its shell")];
    findings.push(match said(Ask::User) {
        "0" => Finding::good("user", "root"),
        id => Finding::bad(
            "user",
            &format!("the user has the id `{id}`, not 0"),
            "log in as root (`user = \"root\"`), or set `sudo = true`",
        ),
    });
    let mut system = said(Ask::System).lines();
    let (name, level) = (system.next().unwrap_or_default(), system.next().unwrap_or_default());
    findings.push(match (name, level) {
        ("AIX", level) if !level.is_empty() => Finding::good("system", format!("AIX {level}")),
        ("AIX", _) => Finding::bad("system", "`oslevel -s` prints nothing", "run it there by hand"),
        (name, _) => Finding::bad(
            "system",
            &format!("`uname -s` says `{name}`, not `AIX`"),
            "is this the host that is meant?",
        ),
    });
    let missing: Vec<&str> = match told.get(Ask::Missing) {
        Some(missing) => missing.stdout.lines().collect(),
        None => vec!["it was not asked"],
    };
    findings.push(match (missing.is_empty(), said(Ask::Fuser).is_empty()) {
        (false, _) => Finding::bad(
            "commands",
            &format!("not found: {}", missing.join(" ")),
            "they belong to bos.rte: look at PATH and /usr/bin there",
        ),
        (true, true) => Finding::other(
            "commands",
            Gravity::Warning,
            "fuser is missing: processes that a job leaves behind cannot be found",
            "it belongs to bos.rte.filesystem: look at /usr/sbin",
        ),
        (true, false) => Finding::good("commands", "all commands that nimshift uses are there"),
    });
    findings.push(clock(said(Ask::Clock), now_ms));
    findings.push(room(told.get(Ask::Room)));
    if let Some(master) = master {
        findings.push(name_of("master-name", master, host, told.get(Ask::Name)));
        findings.push(exports("nfs-to-master", master, told.get(Ask::Exports)));
        findings.push(lease(told.get(Ask::Lease)));
    }
    findings
}

/// What the master says of a client.
pub(super) fn peer_findings(client: &str, master: &str, told: &Told) -> Vec<Finding> {
    let nim = match told.get(Ask::NimObject) {
        Some(lsnim) if lsnim.ok() && lsnim.stdout.contains("standalone") => {
            Finding::good("nim", format!("{master} knows it as a standalone machine"))
        }
        Some(lsnim) if lsnim.ok() => Finding::bad(
            "nim",
            &format!("{master} knows {client}, but not as a standalone machine"),
            "name the NIM object of a standalone client",
        ),
        lsnim => Finding::bad(
            "nim",
            &format!("`lsnim -l {client}` on {master}: {}", words(lsnim)),
            "define it: `nim -o define -t standalone …`, or correct the name in the plan",
        ),
    };
    let remote = match told.get(Ask::RemoteShell) {
        Some(hostname) if hostname.ok() && !hostname.stdout.trim().is_empty() => {
            let name = sanitize_line(&hostname.stdout, 80);
            Finding::good("c_rsh", format!("{master} reaches it; it calls itself {name}"))
        }
        failed => Finding::bad(
            "c_rsh",
            &format!("{master} does not reach it: {}", words(failed)),
            "is nimsh (or rsh) running there? `startsrc -s nimsh`; does /etc/niminfo name this master?",
        ),
    };
    vec![
        name_of("client-name", client, master, told.get(Ask::Name)),
        nim,
        remote,
        exports("nfs-to-client", client, told.get(Ask::Exports)),
    ]
}

/// A name is to be known where it is used, and its address by that name.
fn name_of(check: &'static str, name: &str, on: &str, output: Option<&CommandOutput>) -> Finding {
    let help = format!("add {name} to /etc/hosts or DNS as {on} sees it, forward and backward");
    let Some(said) = output.filter(|output| output.ok()) else {
        let text = format!("{on} does not resolve {name}: {}", words(output));
        return Finding::bad(check, &text, &help);
    };
    let mut lines = said.stdout.lines().map(|line| line.split_whitespace().next().unwrap_or(""));
    let (_, back) = (lines.next(), lines.next_back().unwrap_or_default());
    let short = |name: &str| name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    if short(back) == short(name) {
        return Finding::good(check, format!("{on} resolves {name} and its address"));
    }
    let text = format!("on {on}, the address of {name} has the name `{back}`");
    Finding::other(check, Gravity::Warning, &text, &help)
}

/// A lease is shown with the jobs of its holder that may run.
fn lease(output: Option<&CommandOutput>) -> Finding {
    let Some(said) = output.filter(|output| output.ok()) else {
        let text = format!("cannot tell who holds it: {}", words(output));
        return Finding::other("lease", Gravity::Warning, &text, "look at it by hand");
    };
    let mut lines = said.stdout.lines();
    let Some(holder) = lines.next().map(|line| Lease::read(line).words()) else {
        return Finding::good("lease", "nobody holds it");
    };
    let jobs: Vec<&str> = lines.collect();
    let (text, help) = if jobs.is_empty() {
        (
            format!("held by {holder}, without unfinished jobs"),
            "`nimshift resume` where that migration was started; if that is not possible, \
             `nimshift retry --take-lease CLIENT` here"
                .to_owned(),
        )
    } else {
        (
            format!("held by {holder}, with unfinished jobs: {}", jobs.join(" ")),
            "`nimshift resume` where that migration was started; no other may start before its \
             jobs have ended"
                .to_owned(),
        )
    };
    Finding::other("lease", Gravity::Warning, &text, &help)
}

fn exports(check: &'static str, host: &str, output: Option<&CommandOutput>) -> Finding {
    match output {
        Some(said) if said.ok() || said.text().contains("no exported") => {
            Finding::good(check, format!("the NFS server of {host} answers"))
        }
        failed => Finding::bad(
            check,
            &format!("the NFS server of {host} does not answer: {}", words(failed)),
            "`startsrc -g nfs` there; are ports 111 and 2049 open between the two?",
        ),
    }
}

fn clock(said: &str, now_ms: Millis) -> Finding {
    let time = humantime::parse_rfc3339(said).ok();
    let since = time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let Some(since) = since else {
        return Finding::other(
            "clock",
            Gravity::Warning,
            &format!("`date` says `{said}`"),
            "look at the clock of the host",
        );
    };
    let there = Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX);
    let skew = there.abs_diff(now_ms);
    if skew < SKEW_WARN_MS {
        // Seconds and the way there and back: no more can be told.
        return Finding::good("clock", "within a minute of this machine's");
    }
    let text = format!("{} from this machine's", duration_text(skew));
    Finding::other("clock", Gravity::Warning, &text, "run NTP on both (`startsrc -s xntpd`)")
}

fn room(output: Option<&CommandOutput>) -> Finding {
    let free = output.filter(|df| df.ok()).and_then(|df| {
        // POSIX: file system, blocks, used, available.
        df.stdout.lines().last()?.split_whitespace().nth(3)?.parse::<u64>().ok()
    });
    let help = "make room: `chfs -a size=+64M` of the file system of `job_dir`, or name another";
    match free {
        Some(free) if free >= ROOM_KIB => {
            Finding::good("room", format!("{} MiB where jobs are kept", free / 1024))
        }
        Some(free) => Finding::bad("room", &format!("{free} KiB where jobs are kept"), help),
        None => Finding::bad("room", &format!("`df -kP`: {}", words(output)), help),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: i32, stdout: &str) -> CommandOutput {
        CommandOutput { status, stdout: stdout.to_owned(), ..CommandOutput::default() }
    }

    use Gravity::{Bad, Good, Warning};

    /// A client where all is well, on 2026-11-25 at 12:00.
    fn well() -> Told {
        let df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n\
                  /dev/hd9var 524288 100000 424288 20% /var\n";
        let names = "nim1 is 10.1.1.5\nnim1.site.example is 10.1.1.5,  Aliases:   nim1\n";
        Told(vec![
            (Ask::User, said(0, "0\n")),
            (Ask::System, said(0, "AIX\n7200-05-06-2320\n")),
            (Ask::Missing, said(0, "")),
            (Ask::Clock, said(0, "2026-11-25T12:00:00Z\n")),
            (Ask::Room, said(0, df)),
            (Ask::Fuser, said(0, "/usr/sbin/fuser\n")),
            (Ask::Name, said(0, names)),
            (Ask::Exports, said(0, "export list for nim1:\n")),
            (Ask::Lease, said(0, "")),
        ])
    }

    const NOON: Millis = 1_795_608_000_000;

    fn verdicts(told: &Told) -> Vec<(&'static str, Gravity)> {
        let findings = self_findings("lpar01", Some("nim1"), told, NOON);
        findings
            .into_iter()
            .filter(|finding| finding.verdict != Gravity::Good)
            .map(|finding| {
                assert!(finding.help.is_some(), "{finding:?}");
                (finding.check, finding.verdict)
            })
            .collect()
    }

    #[test]
    fn a_client_that_is_well_has_nothing_to_be_done() {
        assert_eq!(verdicts(&well()), []);
    }

    #[test]
    fn each_fault_is_found_and_has_a_way_out() {
        let cases = [
            (Ask::User, said(0, "207\n"), ("user", Bad)),
            (Ask::System, said(0, "Linux\n"), ("system", Bad)),
            (Ask::System, said(0, "AIX\n"), ("system", Bad)),
            (Ask::Missing, said(0, "cksum\n"), ("commands", Bad)),
            (Ask::Clock, said(0, "2026-11-25T12:05:00Z\n"), ("clock", Warning)),
            (Ask::Clock, said(127, ""), ("clock", Warning)),
            (Ask::Room, said(1, ""), ("room", Bad)),
            (Ask::Room, said(0, "h\n/dev/hd9var 524288 524287 1 100% /var\n"), ("room", Bad)),
            (Ask::Fuser, said(1, ""), ("commands", Warning)),
            (Ask::Name, said(1, ""), ("master-name", Bad)),
            (Ask::Name, said(0, "nim1 is 10.1.1.5\nother is 10.1.1.5\n"), ("master-name", Warning)),
            (Ask::Exports, said(1, ""), ("nfs-to-master", Bad)),
            (Ask::Lease, said(0, "s9.m1\n"), ("lease", Warning)),
        ];
        for (ask, answer, wanted) in cases {
            let mut told = well();
            told.0.retain(|(asked, _)| *asked != ask);
            told.0.push((ask, answer));
            assert_eq!(verdicts(&told), [wanted]);
        }
    }

    #[test]
    fn a_host_that_says_nothing_is_not_well() {
        let found = self_findings("lpar01", Some("nim1"), &Told::default(), NOON);
        let good: Vec<&str> = found
            .iter()
            .filter(|finding| finding.verdict == Gravity::Good)
            .map(|finding| finding.check)
            .collect();
        assert_eq!(good, ["login"]);
        let found = peer_findings("lpar01", "nim1", &Told::default());
        assert!(found.iter().all(|finding| finding.verdict == Gravity::Bad), "{found:?}");
    }

    #[test]
    fn the_master_knows_its_clients() {
        let told = |hostname: CommandOutput, lsnim: CommandOutput| {
            let names = said(0, "lpar01 is 10.1.1.21\nlpar01 is 10.1.1.21\n");
            let exports = said(1, "showmount: no exported file systems for lpar01\n");
            let told = Told(vec![
                (Ask::Name, names),
                (Ask::NimObject, lsnim),
                (Ask::RemoteShell, hostname),
                (Ask::Exports, exports),
            ]);
            peer_findings("lpar01", "nim1", &told).iter().map(|f| f.verdict).collect::<Vec<_>>()
        };
        let (host, lsnim) = (said(0, "lpar01\n"), said(0, "lpar01:\n   type = standalone\n"));
        assert_eq!(told(host.clone(), lsnim.clone()), [Good; 4]);
        assert_eq!(told(said(1, ""), lsnim), [Good, Good, Bad, Good]);
        assert_eq!(told(host, said(1, "")), [Good, Bad, Good, Good]);
    }
}

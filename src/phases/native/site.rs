//! Phases 5 and 6: what a site has made its own is there after the migration.
//!
//! What merges it says of itself that it did, and no more. So it is read in the
//! copy before the base is migrated, and again afterwards; each time by the files
//! themselves, whatever driver has changed them.

use crate::aix::{self, DeviceAttribute, argv};
use crate::domain::{Facts, HostRole, Phase, SiteOwn, SiteRows};
use crate::transport::{Command, Script};

use crate::phases::copy::{master_paths, mounted};
use crate::phases::read::{HostAnswers, Read, judged, last_words};
use crate::phases::step::{Answers, Context, Drivers, Finding, Probe, STEP, StepDef, minutes};
use crate::phases::{marks, nimadm};

pub(crate) const STEPS: &[StepDef] = &[RECORD_SITE];

/// Where rows of a kind come from, below the root of the copy.
enum Source {
    /// The first field of each line. It has this row in every system.
    Field(&'static str, &'static str),
    /// What is made of each line.
    Lines(&'static str, fn(&str) -> Option<String>),
    /// The names in a directory.
    Names(&'static str),
    /// Attributes of devices that meet a criterion of the ODM.
    Attributes(&'static str),
}

/// What is looked for. What a release brings and takes away by itself is left
/// out: entries of inittab that are AIX's own, and `/etc/services`, in which a
/// site's lines cannot be told from those of a release; and what crontabs hold,
/// which can be secret.
const KINDS: [(&str, Source); 10] = [
    ("users", Source::Field("/etc/passwd", "root")),
    ("groups", Source::Field("/etc/group", "system")),
    ("entries of /etc/inittab", Source::Field("/etc/inittab", "init")),
    ("lines of /etc/hosts", Source::Lines("/etc/hosts", host_line)),
    ("stanzas of /etc/filesystems", Source::Lines("/etc/filesystems", stanza)),
    ("crontabs", Source::Names("/var/spool/cron/crontabs")),
    ("start scripts", Source::Names("/etc/rc.d/rc2.d")),
    ("attributes of sys0", Source::Attributes("name=sys0")),
    ("attributes of inet0", Source::Attributes("name=inet0")),
    ("attributes of interfaces", Source::Attributes("name LIKE en*")),
];

/// Entries of inittab that a release may take away.
const OF_AIX: [&str; 40] = [
    "aso",
    "artex",
    "atmsvcd",
    "cimservices",
    "clcomd",
    "cons",
    "cron",
    "ctrmc",
    "diagd",
    "dt",
    "dt_nogb",
    "fbcheck",
    "ha_star",
    "hntr2mig",
    "isapi",
    "l2",
    "l3",
    "load64bit",
    "logsymp",
    "mkatmpvc",
    "mkcifs_fs",
    "naudio2",
    "naudio",
    "pfcdaemon",
    "perfstat",
    "piobe",
    "platform_agent",
    "powerfail",
    "qdaemon",
    "random",
    "rcemgr",
    "rcwpars",
    "securityboot",
    "shdaemon",
    "sniinst",
    "tunables",
    "uprintfd",
    "trustedboot",
    "writesrv",
    "xmdaily",
];

/// So many lines of a file are read before, and twice as many after it: what
/// has come besides must not push one out.
pub(super) const LINES: usize = 1_000;

fn host_line(line: &str) -> Option<String> {
    let line = plain_line(line)?;
    let is_loopback = line.starts_with("127.") || line.starts_with("::1");
    (!is_loopback).then_some(line)
}

fn stanza(line: &str) -> Option<String> {
    let name = line.trim_end().strip_suffix(':')?;
    name.starts_with('/').then(|| name.to_owned())
}

/// A line that is no comment, with single blanks.
fn plain_line(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_comment = words.first().is_none_or(|word| word.starts_with('#'));
    (!is_comment).then(|| words.join(" "))
}

impl Source {
    fn command(&self, root: &str, lines: usize) -> Command {
        let cat = |path: &str| Command::new(["cat", &format!("{root}{path}")]);
        match self {
            Source::Field(path, _) => cat(path).piped_to(["cut", "-d:", "-f1"]),
            Source::Lines(path, _) => cat(path).piped_to(["head", "-n", &lines.to_string()]),
            Source::Names(path) => Command::new(["ls", &format!("{root}{path}")]),
            Source::Attributes(criterion) => Command::new(["odmget", "-q", criterion, "CuAt"])
                .with_env("ODMDIR", format!("{root}/etc/objrepos")),
        }
        .tolerated()
    }

    fn rows(&self, said: HostAnswers<'_>, question: Command) -> Read<Vec<String>> {
        let output = said.output(question.clone())?;
        if let Source::Attributes(_) = self {
            if !output.ok() {
                let words = last_words(output).unwrap_or_default();
                return Err(format!("the copy's device attributes cannot be read: {words}"));
            }
            let text = |row: DeviceAttribute| {
                let DeviceAttribute { device, attribute, value } = row;
                format!("{device} {attribute}={value}")
            };
            let rows = said.read(question, aix::device_attributes)?;
            return Ok(rows.into_iter().map(text).collect());
        }
        let lines = || output.stdout.lines();
        match self {
            Source::Field(path, always) => {
                let rows: Vec<String> = lines().map(|line| line.trim().to_owned()).collect();
                if !output.ok() || !rows.iter().any(|row| row == always) {
                    let words = last_words(output).unwrap_or_default();
                    return Err(format!("{path} of the copy cannot be read: {words}"));
                }
                let is_own = |row: &String| !row.is_empty() && !OF_AIX.contains(&row.as_str());
                Ok(rows.into_iter().filter(is_own).collect())
            }
            // Not every system has it.
            _ if is_absent(output) => Ok(Vec::new()),
            _ if !output.ok() => Err(last_words(output)
                .unwrap_or_else(|| "a file of the copy cannot be read".to_owned())),
            Source::Lines(_, row) => Ok(lines().filter_map(row).collect()),
            Source::Names(_) | Source::Attributes(_) => Ok(aix::names(&output.stdout)),
        }
    }
}

fn is_absent(output: &crate::transport::CommandOutput) -> bool {
    let text = output.text();
    !output.ok() && (aix::is_missing(&text) || text.contains("annot open"))
}

/// Where it is marked what was begun in this copy.
fn marked(ctx: &Context<'_>) -> String {
    if ctx.spec.task.uses_nimadm() { nimadm::marks(ctx) } else { marks::directory(ctx) }
}

pub(super) fn looks(ctx: &Context<'_>, lines: usize) -> Probe {
    let root = ctx.spec.master_root();
    let first = [argv::mounts(), argv::ls(&marked(ctx))].into_iter();
    let kinds = KINDS.iter().map(|(_, source)| source.command(&root, lines));
    let commands = first.map(|argv| Command::new(argv).tolerated()).chain(kinds);
    vec![(HostRole::Master, Script::new(commands))]
}

/// What the copy has of each kind, by so many `lines`.
pub(super) fn read_kinds(
    ctx: &Context<'_>,
    answers: &Answers,
    lines: usize,
) -> Read<Vec<(&'static str, Vec<String>)>> {
    let (said, root) = (answers.master(), ctx.spec.master_root());
    let (there, wanted) = mounted(&said.mounts()?, &master_paths(ctx));
    if there < wanted || wanted == 0 {
        return Err(format!(
            "{there} of {wanted} file systems of the copy are mounted on the master"
        ));
    }
    let rows = |source: &Source| source.rows(said, source.command(&root, lines));
    KINDS.iter().map(|(name, source)| Ok((*name, rows(source)?))).collect()
}

/// Whether the copy's base or filesets have been touched: what it has now is not
/// what it had.
fn is_begun(ctx: &Context<'_>, answers: &Answers) -> Read<bool> {
    let begun = ["restore-bos.begun", "install-filesets.begun", "05.begun"];
    let names = answers.master().names(&marked(ctx))?;
    Ok(names.iter().any(|name| begun.contains(&name.as_str())))
}

/// Before the first change of the copy's system; a script of phase 4 has run.
const RECORD_SITE: StepDef = StepDef {
    phase: Phase::MigrateBase,
    name: "record-site",
    about: "record the site's own settings in the copy",
    host: HostRole::Master,
    drivers: Drivers::Both,
    timeout: minutes(10),
    looks: |ctx| looks(ctx, LINES),
    judge: |ctx, answers| {
        judged((|| {
            let kinds = read_kinds(ctx, answers, LINES)?;
            if is_begun(ctx, answers)? {
                return Ok(Finding::found(Facts::default()));
            }
            let kinds = kinds.into_iter().map(|(kind, rows)| (kind.to_owned(), SiteRows::of(rows)));
            let site = Some(SiteOwn { kinds: kinds.collect() });
            Ok(Finding::found(Facts { site, ..Facts::default() }))
        })())
    },
    ..STEP
};

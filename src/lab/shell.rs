//! How a command line finds its command: the registry, other hosts (`c_rsh`),
//! other roots (`chroot`), pipes, and the few lines of shell that NIM scripts
//! may hold.

use std::fmt::Write as _;

use super::commands::{REGISTRY, Row};
use super::place::PathError;
use super::tree::{Kind, Tree, normal};
use super::world::World;
use crate::base::Millis;

/// A command about to run.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// On which host.
    pub host: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Variables.
    pub env: Vec<(String, String)>,
    /// Directory to run in, as the program sees it.
    pub cwd: String,
    /// Directory that the program sees as `/`.
    pub root: String,
    /// What it reads.
    pub input: Option<Stream>,
    /// The time.
    pub now: Millis,
    /// Whether the first part of its effect was made before.
    pub begun: bool,
}

/// What goes through a pipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Text.
    Text(String),
    /// A `tar` archive of one file system.
    Archive {
        /// The files.
        tree: Tree,
        /// What the site's data takes.
        data_mb: u64,
    },
}

impl Stream {
    /// The first half, of what was cut off.
    pub(crate) fn first_half(self) -> Stream {
        match self {
            Stream::Text(text) => {
                let end = (0..=text.len() / 2).rev().find(|end| text.is_char_boundary(*end));
                Stream::Text(text[..end.unwrap_or(0)].to_owned())
            }
            Stream::Archive { tree, data_mb } => {
                Stream::Archive { tree: tree.first_half(), data_mb: data_mb / 2 }
            }
        }
    }
}

/// What a command gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Exit status.
    pub status: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// Output that is not text.
    pub archive: Option<Stream>,
}

impl Reply {
    /// Success with output.
    pub(crate) fn ok(out: impl Into<String>) -> Reply {
        Reply { out: out.into(), ..Reply::default() }
    }

    /// Failure with a message, a line feed added.
    pub(crate) fn fail(status: i32, err: impl Into<String>) -> Reply {
        let mut err = err.into();
        err.push('\n');
        Reply { status, err, ..Reply::default() }
    }

    /// Failure to use a path.
    pub(crate) fn path(call: &Call, path: &str, error: &PathError) -> Reply {
        Reply::fail(
            if matches!(error, PathError::Absent) { 2 } else { 1 },
            format!("{}: {path}: {error}", call.name()),
        )
    }
}

impl Call {
    /// The command's own name.
    pub(crate) fn name(&self) -> &str {
        self.argv.first().map_or("", |program| program.rsplit('/').next().unwrap_or(""))
    }

    /// The arguments.
    pub(crate) fn args(&self) -> &[String] {
        self.argv.get(1..).unwrap_or(&[])
    }

    /// `path` as the host sees it.
    pub(crate) fn path(&self, path: &str) -> String {
        let inner = normal(&self.cwd, path);
        if self.root == "/" { inner } else { normal("/", &format!("{}{inner}", self.root)) }
    }

    /// The command line, for faults and people.
    pub(crate) fn line(&self) -> String {
        self.argv.join(" ")
    }
}

/// How long a command takes, and whether its effect comes in two stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// How long.
    pub ms: Millis,
    /// Whether [`begin`] does something.
    pub staged: bool,
    /// Whether it runs other commands, one after the other.
    pub stepwise: bool,
}

/// A command line of a script: a call, perhaps with a second one that reads its
/// output.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The first.
    pub call: Call,
    /// The second's argv.
    pub pipe_to: Option<Vec<String>>,
}

impl Line {
    fn second(&self, input: Option<Stream>) -> Option<Call> {
        let argv = self.pipe_to.clone()?;
        Some(Call { argv, input, ..self.call.clone() })
    }
}

/// What the line takes.
pub(crate) fn span(world: &World, line: &Line) -> Span {
    let first = span_of(world, &line.call);
    match line.second(None) {
        None => first,
        Some(second) => {
            let second = span_of(world, &second);
            Span {
                ms: first.ms.max(second.ms),
                staged: first.staged || second.staged,
                stepwise: false,
            }
        }
    }
}

fn span_of(world: &World, call: &Call) -> Span {
    let mut extra = 0;
    let mut call = call.clone();
    loop {
        match find(world, &call) {
            Found::Row(row) => match row.wrap.map(|wrap| wrap(world, &call)) {
                Some(Ok(inner)) => {
                    extra += row.base_ms;
                    call = inner;
                }
                Some(Err(_)) => return Span { ms: row.base_ms, staged: false, stepwise: false },
                None => {
                    let more = row.more_ms.map_or(0, |more| more(world, &call));
                    return Span {
                        ms: extra + row.base_ms + more,
                        staged: row.begin.is_some(),
                        // Through a cover it runs at once.
                        stepwise: row.stepwise && extra == 0,
                    };
                }
            },
            Found::Script(_) => return Span { ms: extra + 20_000, staged: false, stepwise: false },
            Found::Nothing(_) => return Span { ms: extra + 100, staged: false, stepwise: false },
        }
    }
}

/// Makes the first part of the line's effect; an error ends it at once.
pub(crate) fn begin(world: &mut World, line: &Line) -> Result<(), Reply> {
    if line.pipe_to.is_none() {
        return begin_one(world, &line.call);
    }
    let given = run_one(world, &line.call);
    if given.status != 0 {
        return Err(given);
    }
    let Some(second) = line.second(Some(stream_of(&given).first_half())) else { return Ok(()) };
    let reply = run_one(world, &second);
    if reply.status == 0 { Ok(()) } else { Err(reply) }
}

fn begin_one(world: &mut World, call: &Call) -> Result<(), Reply> {
    match find(world, call) {
        Found::Row(row) => match (row.wrap, row.begin) {
            (Some(wrap), _) => {
                let inner = wrap(world, call)?;
                begin_one(world, &inner)
            }
            (None, Some(begin)) => begin(world, call),
            (None, None) => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Runs the line: all of its effect, or the rest of it.
pub(crate) fn run(world: &mut World, line: &Line) -> Reply {
    if line.call.cwd != "/" && !world.is_dir(&line.call.host, &line.call.path("."), line.call.now) {
        return Reply::fail(
            2,
            format!("cd: 0403-036 The specified directory {} is not valid.", line.call.cwd),
        );
    }
    let first = run_one(world, &line.call);
    match line.second(Some(stream_of(&first))) {
        None => first,
        Some(second) => {
            let mut reply = run_one(world, &second);
            reply.err.insert_str(0, &first.err);
            if first.status != 0 {
                reply.status = first.status;
            }
            reply
        }
    }
}

fn stream_of(reply: &Reply) -> Stream {
    reply.archive.clone().unwrap_or_else(|| Stream::Text(reply.out.clone()))
}

/// Runs one command with all that it calls.
pub(crate) fn run_one(world: &mut World, call: &Call) -> Reply {
    match find(world, call) {
        Found::Row(row) => match row.wrap {
            Some(wrap) => match wrap(world, call) {
                Ok(inner) => run_one(world, &inner),
                Err(reply) => reply,
            },
            None => (row.run)(world, call),
        },
        Found::Script(text) => script(world, call, &text),
        Found::Nothing(reply) => reply,
    }
}

/// The command behind those that only run another one.
pub(crate) fn innermost(world: &World, call: &Call) -> Call {
    let mut call = call.clone();
    while let Found::Row(Row { wrap: Some(wrap), .. }) = find(world, &call) {
        match wrap(world, &call) {
            Ok(inner) => call = inner,
            Err(_) => break,
        }
    }
    call
}

enum Found {
    Row(&'static Row),
    Script(String),
    Nothing(Reply),
}

/// Directories in which every command of the registry is found.
const PATH: [&str; 13] = [
    "/usr/sbin",
    "/usr/bin",
    "/bin",
    "/sbin",
    "/etc",
    "/usr/lib",
    "/usr/lib/instl",
    "/usr/lpp/bosinst",
    "/usr/lpp/bos.sysmgt/nim/methods",
    "/usr/lib/lpd",
    "/usr/lib/ras",
    "/usr/local/bin",
    "/usr/es/sbin",
];

fn find(world: &World, call: &Call) -> Found {
    let program = call.argv.first().map_or("", String::as_str);
    let absent = || Found::Nothing(Reply::fail(127, format!("ksh: {program}:  not found")));
    let row = || REGISTRY.iter().find(|row| row.name == call.name());
    if let Some((directory, name)) = program.rsplit_once('/') {
        if PATH.contains(&directory) {
            return match row() {
                Some(row) => Found::Row(row),
                None => absent(),
            };
        }
        return match world.look(&call.host, &call.path(program), call.now) {
            Ok(node) => match node.kind {
                Kind::File(_) if node.mode & 0o100 == 0 => Found::Nothing(Reply::fail(
                    126,
                    format!("ksh: {program}: 0403-006 Execute permission denied."),
                )),
                Kind::File(text) if text.starts_with("AIX ") && text.contains(name) => {
                    match row() {
                        Some(row) => Found::Row(row),
                        None => absent(),
                    }
                }
                Kind::File(text) => Found::Script(text),
                _ => absent(),
            },
            Err(PathError::Absent) => absent(),
            Err(error) => Found::Nothing(Reply::path(call, program, &error)),
        };
    }
    match row() {
        Some(row) => Found::Row(row),
        None => absent(),
    }
}

/// The lines of shell that a NIM script may hold: `echo`, `touch`, `exit`.
fn script(world: &mut World, call: &Call, text: &str) -> Reply {
    let mut reply = Reply::default();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some(words) = split(line) else {
            reply.err.push_str("ksh: syntax error\n");
            reply.status = 2;
            return reply;
        };
        let words: Vec<String> = words.iter().map(|word| with_variables(word, &call.env)).collect();
        match words.first().map_or("", String::as_str) {
            "echo" => {
                reply.out.push_str(&words[1..].join(" "));
                reply.out.push('\n');
            }
            "exit" => {
                reply.status = words.get(1).and_then(|word| word.parse().ok()).unwrap_or(0);
                return reply;
            }
            "touch" => {
                let inner = run_one(world, &Call { argv: words, ..call.clone() });
                reply.err.push_str(&inner.err);
                reply.status = inner.status;
            }
            other => {
                let _ = writeln!(reply.err, "ksh: {other}:  not found");
                reply.status = 127;
            }
        }
    }
    reply
}

fn with_variables(word: &str, env: &[(String, String)]) -> String {
    let mut names: Vec<&(String, String)> = env.iter().collect();
    // The longest first: NAME must not be taken for a part of NAME_2.
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    names.into_iter().fold(word.to_owned(), |text, (name, value)| {
        text.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value)
    })
}

/// Splits a command line by POSIX quoting. `None` when a quote is not closed.
pub(crate) fn split(line: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => word.push(chars.next()?),
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        let words = split(r#"tar -C '/a b' "x\"y" it\'s '' z"#).unwrap();
        assert_eq!(words, ["tar", "-C", "/a b", "x\"y", "it's", "", "z"]);
        assert_eq!(split("'open"), None);
    }

    #[test]
    fn the_longest_variable_is_taken() {
        let env = [("A".to_owned(), "1".to_owned()), ("AB".to_owned(), "2".to_owned())];
        assert_eq!(with_variables("$AB-${A}", &env), "2-1");
    }
}

//! What is sent to a shell for one call: a program of its own, complete, with
//! the commands in it.

use std::fmt::Write as _;

use super::cksum::cksum;
use super::quote::{all_quoted, quoted};
use crate::base::limits::{
    ARGUMENT_BYTES_MAX, INPUT_BYTES_MAX, OUTPUT_BYTES_MAX, OUTPUT_PIECE_BYTES_MAX,
    SCRIPT_COMMANDS_MAX,
};
use crate::transport::command::{Command, Script};
use crate::transport::reach::OutputMark;

/// The functions that each program holds.
const TOOL: &str = include_str!("tool.sh");

/// The block size of `dd` on every host.
pub(in crate::transport) const BLOCK: usize = 512;

/// What is asked of a host.
#[derive(Debug, Clone, Copy)]
pub(in crate::transport) enum Ask<'a> {
    /// Run these commands.
    Exec(&'a Script),
    /// Start them as a job.
    Start(&'a str, &'a Script),
    /// What has become of a job.
    Poll(&'a str),
    /// End it.
    Kill(&'a str),
    /// Remove all that begin so.
    Forget(&'a str),
    /// Those that begin so and have not ended.
    Unfinished(&'a str),
    /// Begin none any more that begins so, in somebody's name; or do again.
    Bar { prefix: &'a str, by: &'a str, bars: bool },
    /// The bars that stand.
    Bars,
    /// Its output behind a mark.
    Output(&'a str, OutputMark),
}

/// How a host wants to be talked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::transport) struct Manner {
    /// The absolute path of a POSIX shell there.
    pub(in crate::transport) shell: String,
    /// The directory of the jobs.
    pub(in crate::transport) job_dir: String,
}

/// A program, and the word that marks what it says.
#[derive(Debug)]
pub(in crate::transport) struct Program {
    /// A word that nobody else says.
    pub(in crate::transport) nonce: String,
    /// Its text, for a shell that was started with [`guard`].
    pub(in crate::transport) text: String,
}

/// The command line that takes a program from its input. Nothing of it runs if
/// its beginning is missing: where a shared connection breaks, OpenSSH tries
/// another with what is left of the input.
pub(in crate::transport) fn guard(manner: &Manner, nonce: &str) -> String {
    let shell = &manner.shell;
    format!(
        r##"{shell} -c 'unset ENV; IFS= read -r nm_l && [ "$nm_l" = "#{nonce}" ] && exec {shell}'"##
    )
}

impl Program {
    /// The program for `ask`, or why there is none.
    pub(in crate::transport) fn new(
        ask: Ask<'_>,
        manner: &Manner,
        nonce: String,
    ) -> Result<Program, String> {
        let mut text = format!("#{nonce}\n");
        let _ = writeln!(text, "nm_nonce={}", quoted(&nonce));
        head(&mut text, manner);
        match ask {
            Ask::Exec(script) => text.push_str(&commands(script)?),
            Ask::Start(id, script) => {
                let job = job(id, script, manner)?;
                let end = format!("NM_JOB_{nonce}");
                if job.contains(&end) {
                    return Err("the commands hold the mark of their own end".to_owned());
                }
                let _ = writeln!(text, "nm_count={}", script.commands.len());
                let _ = writeln!(text, "nm_sum={}", quoted(&cksum(job.as_bytes())));
                let _ = writeln!(text, "nm_job() {{\n  cat <<'{end}'\n{job}{end}\n}}");
            }
            Ask::Poll(_)
            | Ask::Kill(_)
            | Ask::Forget(_)
            | Ask::Unfinished(_)
            | Ask::Bar { .. }
            | Ask::Bars
            | Ask::Output(..) => {}
        }
        text.push_str(TOOL);
        let call = match ask {
            Ask::Exec(_) => "nm_exec".to_owned(),
            Ask::Start(id, _) => with_job("nm_start", id, manner)?,
            Ask::Poll(id) => with_job("nm_tell", id, manner)?,
            Ask::Kill(id) => with_job("nm_kill", id, manner)?,
            Ask::Forget(prefix) => format!("nm_forget {}", quoted(job_name(prefix)?)),
            Ask::Unfinished(prefix) => format!("nm_unfinished {}", quoted(job_name(prefix)?)),
            Ask::Bars => "nm_bars".to_owned(),
            Ask::Bar { prefix, by, bars } => {
                let call = if bars { "nm_shut" } else { "nm_reopen" };
                format!("{call} {} {}", quoted(job_name(prefix)?), quoted(job_name(by)?))
            }
            Ask::Output(id, OutputMark { command, stdout, stderr }) => {
                let blocks = OUTPUT_PIECE_BYTES_MAX / BLOCK + 1;
                let skip = |bytes: u64| bytes / BLOCK as u64;
                let call = format!("nm_read {command} {} {} {blocks}", skip(stdout), skip(stderr));
                with_job(&call, id, manner)?
            }
        };
        let _ = write!(text, "nm_main() {{\n  nm_hello\n  {call}\n  nm_end\n}}\nnm_main; exit 0\n");
        Ok(Program { nonce, text })
    }

    /// The program that hands `within` to the input of `argv`, a remote shell.
    pub(in crate::transport) fn relay(
        within: &Program,
        argv: &[String],
        manner: &Manner,
        nonce: String,
    ) -> Program {
        let mut text = format!("#{nonce}\n");
        let _ = writeln!(text, "nm_nonce={}", quoted(&nonce));
        head(&mut text, manner);
        text.push_str(TOOL);
        let (call, inner, end) = (all_quoted(argv), &within.text, format!("NM_IN_{nonce}"));
        let _ = write!(
            text,
            "nm_main() {{\n  nm_hello\n  {call} <<'{end}'\n{inner}{end}\n  \
             nm_status $?\n  nm_mark \"r $nm_s\"\n  nm_end\n}}\nnm_main; exit 0\n"
        );
        Program { nonce, text }
    }
}

fn head(text: &mut String, manner: &Manner) {
    let _ = writeln!(text, "nm_sh={}", quoted(&manner.shell));
    let _ = writeln!(text, "nm_root={}", quoted(&manner.job_dir));
    // A little more than is kept, so that a cut is seen.
    let _ = writeln!(text, "nm_blocks={}", OUTPUT_BYTES_MAX / BLOCK + 1);
}

fn with_job(call: &str, id: &str, manner: &Manner) -> Result<String, String> {
    Ok(format!("nm_j={}\n  {call}", quoted(&job_path(id, manner)?)))
}

fn job_path(id: &str, manner: &Manner) -> Result<String, String> {
    Ok(format!("{}/{}", manner.job_dir, job_name(id)?))
}

/// Ids of jobs become names of directories.
fn job_name(id: &str) -> Result<&str, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let fits = (1..=80).contains(&id.len()) && id.chars().all(plain);
    // Names without a job that jobs must not be taken for.
    let taken = ["gone.", "b.", "bar."];
    if fits && !id.starts_with(['.', '-']) && !taken.iter().any(|name| id.starts_with(name)) {
        Ok(id)
    } else {
        Err(format!("`{}` is no name for a job", id.escape_default()))
    }
}

/// The program that a job's directory holds. The same script gives the same
/// text, whoever sends it.
fn job(id: &str, script: &Script, manner: &Manner) -> Result<String, String> {
    let mut text = String::new();
    head(&mut text, manner);
    let _ = writeln!(text, "nm_j={}", quoted(&job_path(id, manner)?));
    text.push_str(&commands(script)?);
    text.push_str(TOOL);
    text.push_str("nm_run; exit 0\n");
    Ok(text)
}

/// The function that runs the command of a number.
fn commands(script: &Script) -> Result<String, String> {
    let count = script.commands.len();
    if count > SCRIPT_COMMANDS_MAX {
        return Err(format!("{count} commands in one script: at most {SCRIPT_COMMANDS_MAX}"));
    }
    let mut text = format!("nm_count={count}\nnm_tolerate=' ");
    for index in (0..count).filter(|index| script.commands[*index].tolerate) {
        let _ = write!(text, "{index} ");
    }
    text.push_str("'\n");
    text.push_str("nm_command() {\n  case $1 in\n");
    for (index, command) in script.commands.iter().enumerate() {
        let _ = writeln!(text, "  {index})");
        one(&mut text, command)?;
        text.push_str("    ;;\n");
    }
    text.push_str("  *) return 1 ;;\n  esac\n}\n");
    Ok(text)
}

fn one(text: &mut String, command: &Command) -> Result<(), String> {
    let Command { argv, env, cwd, stdin, pipe_to, tolerate: _ } = command;
    let words =
        argv.iter().chain(pipe_to.iter().flatten()).chain(cwd).chain(env.iter().map(|e| &e.1));
    for word in words {
        if word.contains('\0') {
            return Err("a command has a zero byte in a word".to_owned());
        }
        if word.len() > ARGUMENT_BYTES_MAX {
            return Err(format!("a word of a command has more than {ARGUMENT_BYTES_MAX} bytes"));
        }
    }
    if argv.is_empty() || pipe_to.as_ref().is_some_and(Vec::is_empty) {
        return Err("a command has no program".to_owned());
    }
    let mut line = String::new();
    for (name, value) in env {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty()
            || !name.chars().all(plain)
            || name.starts_with(|c: char| c.is_ascii_digit())
        {
            return Err(format!("`{}` is no name for a variable", name.escape_default()));
        }
        let _ = write!(line, "{name}={} ", quoted(value));
    }
    line.push_str(&all_quoted(argv));
    if let Some(directory) = cwd {
        // A directory that begins with `-` is no option.
        let directory = match directory.strip_prefix('-') {
            Some(_) => format!("./{directory}"),
            None => directory.clone(),
        };
        let _ = writeln!(text, "    cd {} || return 1", quoted(&directory));
    }
    if let Some(input) = stdin {
        line = reader(text, &line, input)?;
    }
    let Some(second) = pipe_to else {
        let _ = writeln!(text, "    {line}");
        return Ok(());
    };
    // The first status that is not 0, without `pipefail`. `sort` reads to the
    // end: ksh93 waits for the last program of a pipe only. Where a status is
    // missing, somebody has killed the shell that would have told it.
    let _ = writeln!(
        text,
        "    exec 4>&1\n    \
         nm_a=$({{ {{ {{ {line} 3>&- 4>&-; echo \"a $?\" >&3; }} | \
         {{ {} 3>&- 4>&-; echo \"b $?\" >&3; }} >&4; }} 3>&1; }} | sort)\n    \
         exec 4>&-\n    \
         set -- $nm_a\n    \
         [ $# -eq 4 ] || return 137\n    \
         nm_status \"$4\"\n    nm_b=$nm_s\n    \
         nm_status \"$2\"\n    \
         [ \"$nm_s\" = 0 ] || return \"$nm_s\"\n    \
         return \"$nm_b\"",
        all_quoted(second)
    );
    Ok(())
}

/// A function that runs `line` on `input`: in a command substitution, some shells
/// do not find the end of a here-document.
fn reader(text: &mut String, line: &str, input: &str) -> Result<String, String> {
    if input.contains('\0') {
        return Err("what a command reads has a zero byte".to_owned());
    }
    if input.len() > INPUT_BYTES_MAX {
        return Err(format!("a command reads more than {INPUT_BYTES_MAX} bytes"));
    }
    if !input.is_empty() && !input.ends_with('\n') {
        return Err("the last line that a command reads has no end".to_owned());
    }
    let mut end = "NM_END".to_owned();
    while input.lines().any(|one| one == end) {
        end.push('_');
    }
    let _ = write!(text, "    nm_reader() {{\n      {line} <<'{end}'\n{input}{end}\n    }}\n");
    Ok("nm_reader".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manner() -> Manner {
        Manner { shell: "/bin/sh".to_owned(), job_dir: "/var/jobs".to_owned() }
    }

    #[test]
    fn names_that_would_be_paths_or_options_are_refused() {
        for id in [
            "",
            "a/b",
            "..",
            ".x",
            "-x",
            "a b",
            "gone.1",
            "b.7",
            "bar.s1.@s2.m1",
            "a\nb",
            &"x".repeat(81),
        ] {
            assert!(Program::new(Ask::Poll(id), &manner(), "n".to_owned()).is_err(), "{id:?}");
        }
        assert!(
            Program::new(Ask::Poll("s1.m7.01-take-lease.f0.1"), &manner(), "n".to_owned()).is_ok()
        );
    }

    #[test]
    fn what_no_shell_can_be_given_is_refused() {
        let words = |word: &str| Script::new([Command::new(["echo", word])]);
        let named = Script::new([Command::new(["echo"]).with_env("A-B", "x")]);
        let empty = Script::new([Command::new(Vec::<String>::new())]);
        let reads = |text: String| {
            let mut command = Command::new(["cat"]);
            command.stdin = Some(text);
            Script::new([command])
        };
        let inputs =
            ["a\0b\n".to_owned(), "no end".to_owned(), "x\n".repeat(INPUT_BYTES_MAX)].map(reads);
        let scripts = [words("a\0b"), words(&"x".repeat(ARGUMENT_BYTES_MAX + 1)), named, empty];
        for script in scripts.into_iter().chain(inputs) {
            assert!(Program::new(Ask::Exec(&script), &manner(), "n".to_owned()).is_err());
        }
    }

    /// What a shell makes of `input`, given to it as a host is given it.
    async fn feed(manner: &Manner, input: &str) {
        use tokio::io::AsyncWriteExt as _;
        let mut child = tokio::process::Command::new("/bin/sh")
            .args(["-c", &guard(manner, "n")])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        child.wait().await.unwrap();
    }

    #[tokio::test]
    async fn a_part_of_a_program_does_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let manner = Manner { shell: "/bin/sh".to_owned(), job_dir: path("jobs") };
        let script = Script::new([Command::new(["touch", &path("effect")])]);
        let start = Program::new(Ask::Start("a", &script), &manner, "n".to_owned()).unwrap();
        let exec = Program::new(Ask::Exec(&script), &manner, "n".to_owned()).unwrap();
        for program in [start, exec] {
            let whole = program.text.len() - "; exit 0\n".len();
            for cut in (1..whole).step_by(311).chain(whole - 12..whole) {
                feed(&manner, &program.text[..cut]).await;
                feed(&manner, &program.text[cut..]).await;
                assert!(!dir.path().join("jobs").exists(), "cut at {cut}");
                assert!(!dir.path().join("effect").exists(), "cut at {cut}");
            }
            feed(&manner, &program.text).await;
            while !dir.path().join("effect").exists() {
                tokio::task::yield_now().await;
            }
            std::fs::remove_file(dir.path().join("effect")).unwrap();
            let _ = std::fs::remove_dir_all(dir.path().join("jobs"));
        }
    }
}

//! Commands and their outputs as the journal keeps them: redacted, made fit to
//! be shown, bounded.

use crate::base::limits::OUTPUT_BYTES_MAX;
use crate::base::{redact, sanitize, sanitize_end};
use crate::domain::CommandRecord;
use crate::transport::{Command, CommandOutput, HostId, Output, Script};

/// The commands of a script that has not answered.
pub(crate) fn unanswered(script: &Script) -> Vec<CommandRecord> {
    script.commands.iter().map(|command| record(Some(command), None)).collect()
}

/// The commands of a script with their outputs. Where more was answered than
/// was asked, another process has asked: those lines are not known.
pub(crate) fn answered(script: &Script, output: &Output) -> Vec<CommandRecord> {
    let known = output.commands.len() <= script.commands.len();
    let count = if known { script.commands.len() } else { output.commands.len() };
    (0..count).map(|at| record(script.commands.get(at).filter(|_| known), output.get(at))).collect()
}

/// The commands of a look at `host`, with their outputs.
pub(crate) fn looked(host: &HostId, script: &Script, output: &Output) -> Vec<CommandRecord> {
    let mut records = answered(script, output);
    for record in &mut records {
        record.host = Some(host.to_string());
    }
    records
}

/// Something that was done by no command.
pub(crate) fn note(text: &str) -> CommandRecord {
    CommandRecord {
        line: sanitize(&redact(&format!("({text})")), OUTPUT_BYTES_MAX),
        status: Some(0),
        output: String::new(),
        took_s: None,
        host: None,
    }
}

fn record(command: Option<&Command>, output: Option<&CommandOutput>) -> CommandRecord {
    let line = command.map_or_else(
        || "(started before a restart)".to_owned(),
        |command| sanitize(&redact(&command.shell_text()), OUTPUT_BYTES_MAX),
    );
    CommandRecord {
        line,
        status: output.map(|output| output.status),
        output: output
            .map(|output| sanitize(&redact(&text(output)), OUTPUT_BYTES_MAX))
            .unwrap_or_default(),
        took_s: output.and_then(|output| output.took_s),
        host: None,
    }
}

/// What a command said: of either stream the end, where both are too much.
fn text(output: &CommandOutput) -> String {
    let CommandOutput { stdout, stderr, .. } = output;
    if stdout.len() + stderr.len() < OUTPUT_BYTES_MAX {
        return output.text();
    }
    let [stdout, stderr] =
        [stdout, stderr].map(|said| sanitize_end(said, OUTPUT_BYTES_MAX / 2 - 1));
    CommandOutput { stdout, stderr, ..CommandOutput::default() }.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(count: usize) -> Output {
        let one = CommandOutput {
            status: 0,
            stdout: "ok \u{1b}[1m DB_PASSWORD=x\n".into(),
            took_s: Some(75),
            ..CommandOutput::default()
        };
        Output { commands: vec![one; count] }
    }

    #[test]
    fn outputs_are_made_fit_to_be_kept() {
        let script = Script::new([Command::new(["true"]), Command::new(["false"])]);
        let records = answered(&script, &output(1));
        assert_eq!(records[0].output, "ok \u{fffd}[1m DB_PASSWORD=***\n");
        assert_eq!(records[0].took_s, Some(75));
        assert_eq!((records[1].line.as_str(), records[1].status), ("false", None));
    }

    #[test]
    fn the_end_of_both_streams_is_kept() {
        let mut output = output(1);
        output.commands[0].stdout = "o".repeat(OUTPUT_BYTES_MAX - 3) + "end";
        output.commands[0].stderr = "e".repeat(OUTPUT_BYTES_MAX - 3) + "fin";
        let kept = answered(&Script::new([Command::new(["true"])]), &output).remove(0).output;
        assert!(kept.len() <= OUTPUT_BYTES_MAX);
        assert!(kept.contains("eefin\n[cut] oo") && kept.ends_with("ooend"), "{}", kept.len());
    }

    #[test]
    fn lines_that_are_not_known_are_not_made_up() {
        let records = answered(&Script::new([Command::new(["true"])]), &output(2));
        assert!(records.iter().all(|record| record.line == "(started before a restart)"));
    }
}

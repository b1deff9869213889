//! What the words of a step's commands mean for the step.

use crate::aix::{self, Verdict};
use crate::base::limits::CAUSE_BYTES_MAX;
use crate::base::{redact, sanitize_line};
use crate::domain::{Cause, FailureClass, MessageRule};
use crate::transport::{CommandOutput, End, Output, Script};

use crate::phases::read::last_words;
use crate::phases::step::{Answers, Is, StepDef};

/// The cause that the commands' own words and statuses give, if they tell of a
/// failure: that of the command which ended the script, else the gravest.
pub(crate) fn words(
    rules: &[MessageRule],
    def: &StepDef,
    script: &Script,
    output: Option<&Output>,
) -> Option<Cause> {
    let output = output?;
    let fatal = fatal(script, output);
    if let Some((at, failed)) = fatal {
        // A site's own script may say anything: its status alone counts.
        let own = def.is(Is::SiteScript);
        let verdict = aix::classify(rules, &failed.text(), failed.status).filter(|_| !own);
        return Some(match verdict {
            Some(Verdict { class: FailureClass::AlreadyDone, .. }) | None => {
                unknown(script, at, failed)
            }
            Some(verdict) => verdict.into_cause(),
        });
    }
    let mut verdicts: Vec<Verdict> = output
        .commands
        .iter()
        .filter_map(|command| aix::classify(rules, &command.text(), command.status))
        .filter(|verdict| verdict.class != FailureClass::AlreadyDone)
        .collect();
    let gravest = verdicts.iter().position(|verdict| verdict.class == FailureClass::Permanent);
    if verdicts.is_empty() {
        return None;
    }
    Some(verdicts.swap_remove(gravest.unwrap_or(0)).into_cause())
}

/// Whether `cause` stands although the effect is there: a command that was not
/// tolerated told of a permanent failure, whatever its status.
pub(crate) fn overrules(
    rules: &[MessageRule],
    cause: &Cause,
    script: &Script,
    output: Option<&Output>,
) -> bool {
    let told = |(at, command): (usize, &CommandOutput)| {
        let tolerated = script.commands.get(at).is_some_and(|command| command.tolerate);
        let verdict = aix::classify(rules, &command.text(), command.status);
        !tolerated && verdict.is_some_and(|v| v.class == FailureClass::Permanent)
    };
    cause.class == FailureClass::Permanent
        && output.is_some_and(|output| output.commands.iter().enumerate().any(told))
}

/// Whether a look failed for a reason that may pass: a stale handle, a lock.
pub(crate) fn is_passing(rules: &[MessageRule], answers: &Answers) -> bool {
    answers.all().any(|command| {
        let verdict = aix::classify(rules, &command.text(), command.status);
        verdict.is_some_and(|verdict| verdict.class == FailureClass::Transient)
    })
}

/// The command that ended the script.
fn fatal<'a>(script: &Script, output: &'a Output) -> Option<(usize, &'a CommandOutput)> {
    let at = output.commands.len().checked_sub(1)?;
    let last = output.get(at)?;
    let tolerated = script.commands.get(at).is_some_and(|command| command.tolerate);
    (!last.ok() && !tolerated).then_some((at, last))
}

/// A failure that the catalogue does not know.
fn unknown(script: &Script, at: usize, failed: &CommandOutput) -> Cause {
    let program = script.commands.get(at).and_then(|command| command.argv.first());
    let program = program.map_or("the command", String::as_str);
    let name = program.rsplit('/').next().unwrap_or(program);
    let words = last_words(failed).unwrap_or_else(|| "it said nothing".to_owned());
    let text = format!("{name} ended with status {}: {words}", failed.status);
    // 128 and a signal: somebody, or a shutdown, has ended it.
    let class = match failed.end() {
        End::Signal(_) => FailureClass::Transient,
        End::Exit(_) => FailureClass::Permanent,
    };
    Cause::new(class, sanitize_line(&redact(&text), CAUSE_BYTES_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phases::registry;
    use crate::transport::Command;

    fn cause(step: &str, status: i32, text: &str, tolerated: bool) -> Option<Cause> {
        let def = registry().iter().find(|def| def.name == step).unwrap();
        let mut command = Command::new(["/usr/bin/tool"]);
        command.tolerate = tolerated;
        let said = CommandOutput { status, stderr: text.to_owned(), ..CommandOutput::default() };
        words(&[], def, &Script::new([command]), Some(&Output { commands: vec![said] }))
    }

    #[test]
    fn the_catalogue_decides_before_the_status() {
        let busy = cause("clone-rootvg", 1, "umount: 0506-349 resource is busy", false).unwrap();
        assert_eq!(busy.class, FailureClass::Transient);
        let unknown = cause("clone-rootvg", 7, "strange\n", false).unwrap();
        assert_eq!(unknown.class, FailureClass::Permanent);
        assert_eq!(unknown.text, "tool ended with status 7: strange");
        let killed = cause("clone-rootvg", 143, "Terminated", false).unwrap();
        assert_eq!(killed.class, FailureClass::Transient);
        assert_eq!(cause("clone-rootvg", 0, "fine", false), None);
        assert_eq!(cause("clone-rootvg", 1, "strange", true), None);
        let false_success = cause("install-filesets", 0, "0503-008 not enough space", false);
        assert_eq!(false_success.unwrap().message.as_deref(), Some("0503-008"));
    }

    #[test]
    fn a_sites_own_script_is_judged_by_its_status_alone() {
        let cause = cause("run-pre-script", 1, "umount: 0506-349 resource is busy", false).unwrap();
        assert_eq!((cause.class, cause.message), (FailureClass::Permanent, None));
    }
}

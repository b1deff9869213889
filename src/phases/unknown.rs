//! Messages that neither the plan nor the catalogue knows.

use crate::aix;
use crate::base::limits::CAUSE_BYTES_MAX;
use crate::base::sanitize_line;
use crate::domain::{AttemptRecord, MessageRule};

use super::step::{Is, StepDef};

/// What the command that ended a failed attempt said and nobody knows: the ids
/// of its messages, or its last line where nothing of what it said is known. A
/// site's own script may say anything.
pub fn unknown_messages(
    rules: &[MessageRule],
    def: &StepDef,
    record: &AttemptRecord,
) -> Vec<String> {
    let ran = record.commands.iter().rev().find(|command| command.status.is_some());
    // What a signal has ended says nothing of AIX.
    let failed = ran.filter(|command| !matches!(command.status, Some(0 | 129..=159)));
    let Some(command) = failed else { return Vec::new() };
    let said = command.output.trim_end();
    if said.is_empty() || def.is(Is::SiteScript) {
        return Vec::new();
    }
    let unknown = said.lines().filter(|line| !aix::is_known(rules, line));
    let ids: Vec<String> = unknown.flat_map(aix::message_ids).map(str::to_owned).collect();
    if !ids.is_empty() || said.lines().any(|line| aix::is_known(rules, line)) {
        return ids;
    }
    let last = said.lines().next_back();
    last.map(|line| sanitize_line(line.trim(), CAUSE_BYTES_MAX)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CommandRecord, FailureClass, Way};
    use crate::phases::registry;

    fn unknown(step: &str, status: i32, output: &str) -> Vec<String> {
        let def = registry().iter().find(|def| def.name == step).unwrap();
        let command = |status, output: &str| CommandRecord {
            line: "/usr/bin/tool".into(),
            status,
            output: output.into(),
            took_s: None,
            host: None,
        };
        let record = AttemptRecord {
            host: "lpar".into(),
            started_ms: 0,
            ended_ms: 0,
            way: Way::Ran,
            before: None,
            after: None,
            commands: vec![command(Some(status), output), command(None, "")],
            looks: Vec::new(),
            evidence: Vec::new(),
        };
        let rule = MessageRule {
            id: Some("0516-998".into()),
            pattern: None,
            class: FailureClass::Informative,
            hint: None,
        };
        unknown_messages(&[rule], def, &record)
    }

    #[test]
    fn what_nobody_knows_of_a_failed_command_is_told() {
        let step = "clone-rootvg";
        assert_eq!(unknown(step, 1, "0516-999 mkthing: no\n0516-404 allocp: no\n"), ["0516-999"]);
        assert_eq!(unknown(step, 1, "begun\nit is the moon\n"), ["it is the moon"]);
        let none: [String; 0] = [];
        assert_eq!(unknown(step, 1, "0516-404 allocp: no"), none);
        assert_eq!(unknown(step, 1, "0516-998 mkthing: the plan knows this\n0516-404 no"), none);
        assert_eq!(unknown(step, 0, "0516-999 mkthing: no"), none);
        assert_eq!(unknown(step, 1, ""), none);
        assert_eq!(unknown(step, 143, "Terminated"), none);
        assert_eq!(unknown(step, 1, "0504-132 lslpp: Fileset x not installed.\n"), none);
        assert_eq!(unknown("run-pre-script", 1, "0516-999 mkthing: no"), none);
    }
}

//! `nimshift explain`: what a message of AIX or NIM means, and what to do.

use std::collections::BTreeSet;
use std::io::Read as _;

use crate::aix::{Entry, catalogue, matching, message_ids};
use crate::base::limits::{CAUSE_BYTES_MAX, PARSE_BYTES_MAX};
use crate::base::sanitize_line;
use crate::domain::{FailureClass, MessageRule};

use super::args::ExplainArgs;
use super::error::CliError;
use super::exit::Exit;
use super::out::Out;
use super::plan_file::read_plan;

/// Ids that are named instead of one that is not known.
const NEAR_MAX: usize = 3;

/// `nimshift explain MESSAGE…`.
pub(super) fn explain(out: &Out, args: &ExplainArgs) -> Result<Exit, CliError> {
    let rules = match &args.plan {
        Some(plan) => {
            let plan = read_plan(plan)?.plan;
            plan.migrations.first().map(|spec| spec.messages.clone()).unwrap_or_default()
        }
        None => Vec::new(),
    };
    if args.list {
        return Ok(list(out));
    }
    if args.message == ["-"] {
        return lines(out, &rules);
    }
    let mut missing = Vec::new();
    let (mut own, mut entries): (Vec<&MessageRule>, Vec<&Entry>) = (Vec::new(), Vec::new());
    for query in queries(&args.message) {
        let (of_plan, known) = find(&rules, &query);
        if of_plan.is_empty() && known.is_empty() {
            missing.push(query);
        }
        for rule in of_plan {
            if !own.contains(&rule) {
                own.push(rule);
            }
        }
        for entry in known {
            if !entries.iter().any(|shown| std::ptr::eq(*shown, entry)) {
                entries.push(entry);
            }
        }
    }
    let mut first = true;
    let mut gap = || {
        if !std::mem::take(&mut first) {
            out.line("");
        }
    };
    for rule in own {
        gap();
        show_rule(out, rule);
    }
    for entry in entries {
        gap();
        show(out, entry);
    }
    match missing.as_slice() {
        [] => Ok(Exit::Ok),
        missing => Err(unknown(missing)),
    }
}

/// What is asked for: each id where several stand beside each other, else the
/// words as one line.
fn queries(words: &[String]) -> Vec<String> {
    let is_id = |word: &String| message_ids(word) == [word.as_str()];
    if words.iter().all(is_id) { words.to_vec() } else { vec![words.join(" ")] }
}

/// What fits a query: by its ids, by a whole line, or by part of a pattern.
fn find<'a>(rules: &'a [MessageRule], query: &str) -> (Vec<&'a MessageRule>, Vec<&'static Entry>) {
    let ids = message_ids(query);
    let lower = query.trim().to_ascii_lowercase();
    let own = rules.iter().filter(|rule| {
        let id = rule.id.as_deref().is_some_and(|id| ids.contains(&id));
        let words = rule.pattern.as_ref().map(|words| words.to_ascii_lowercase());
        id || words.is_some_and(|words| lower.contains(&words) || words.contains(&lower))
    });
    let own = own.collect();
    if !ids.is_empty() {
        // A line has one meaning; an id alone may have several.
        let alone = ids == [query.trim()];
        if let Some(entry) = matching(query).filter(|_| !alone) {
            return (own, vec![entry]);
        }
        let known = |entry: &&Entry| entry.ids.iter().any(|id| ids.contains(&id.as_str()));
        return (own, catalogue().iter().filter(known).collect());
    }
    if let Some(entry) = matching(query) {
        return (own, vec![entry]);
    }
    let part =
        |entry: &&Entry| lower.len() >= 3 && entry.patterns.iter().any(|p| p.contains(&lower));
    (own, catalogue().iter().filter(part).collect())
}

fn unknown(queries: &[String]) -> CliError {
    let shown: Vec<String> =
        queries.iter().map(|query| format!("`{}`", sanitize_line(query, 80))).collect();
    let error = CliError::usage(format!("the catalogue does not know {}", shown.join(", ")));
    let near: Vec<&str> = queries.iter().flat_map(|query| mistyped(query.trim())).collect();
    if near.is_empty() {
        return error.help("`nimshift explain --list` shows what it knows");
    }
    near.into_iter().fold(error, |error, id| error.help(format!("`nimshift explain {id}` is near")))
}

/// Ids that differ from `query` in one digit: of ids, more would be another
/// message.
fn mistyped(query: &str) -> Vec<&'static str> {
    let by_one_digit = |id: &&str| {
        let pairs = || id.bytes().zip(query.bytes());
        id.len() == query.len()
            && pairs().filter(|(one, other)| one != other).count() == 1
            && pairs().all(|(one, other)| one == other || one.is_ascii_digit())
    };
    let ids = catalogue().iter().flat_map(|entry| entry.ids.iter().map(String::as_str));
    let near: BTreeSet<&str> = ids.filter(by_one_digit).collect();
    near.into_iter().take(NEAR_MAX).collect()
}

fn show(out: &Out, entry: &Entry) {
    let name = if entry.ids.is_empty() {
        entry.patterns.iter().map(|words| format!("`{words}`")).collect::<Vec<_>>().join(" or ")
    } else {
        let words = entry.patterns.iter().map(|words| format!(" with `{words}`"));
        format!("{}{}", entry.ids.join(", "), words.collect::<Vec<_>>().join(" or"))
    };
    out.line(&name);
    let class = match entry.remark.as_str() {
        "" => class_text(entry.class).to_owned(),
        remark => format!("{} ({remark})", class_text(entry.class)),
    };
    let sources = entry.sources.join(", ");
    let rows = [
        ("said by", entry.tool.as_str()),
        ("says", &entry.text),
        ("cause", &entry.cause),
        ("class", &class),
        ("fix", &entry.hint),
        ("known by", entry.trust.sentence()),
        ("source", &sources),
    ];
    for (key, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) {
        out.line(&format!("  {key:<8} {value}"));
    }
}

fn show_rule(out: &Out, rule: &MessageRule) {
    let words = rule.pattern.as_ref().map(|words| format!("`{words}`"));
    let name: Vec<String> = rule.id.iter().cloned().chain(words).collect();
    out.line(&name.join(" with "));
    out.line(&format!("  class    {}", class_text(rule.class)));
    if let Some(hint) = &rule.hint {
        out.line(&format!("  fix      {hint}"));
    }
    out.line("  known by the plan, which overrides the catalogue");
}

fn class_text(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Transient => "transient: worth a few retries",
        FailureClass::Permanent => "permanent: retrying does not help",
        FailureClass::AlreadyDone => "already done: counts as success",
        FailureClass::Informative => "informative: no failure",
        FailureClass::Wrapper => "wrapper: another line gives the reason",
        FailureClass::NeedsOperator => "needs an operator: everything is kept as it is",
    }
}

/// Classifies the lines of stdin.
fn lines(out: &Out, rules: &[MessageRule]) -> Result<Exit, CliError> {
    let mut bytes = Vec::new();
    let max = PARSE_BYTES_MAX as u64;
    std::io::stdin()
        .take(max)
        .read_to_end(&mut bytes)
        .map_err(|error| CliError::internal("cannot read stdin").because(&error))?;
    let text = String::from_utf8_lossy(&bytes);
    let (mut known, mut unknown) = (0, BTreeSet::new());
    for line in text.lines() {
        // A line of its own, as if its command had failed.
        let (own, entries) = (rule_of(rules, line), matching(line));
        let (class, hint) = match (own, entries) {
            (Some(rule), _) => (rule.class, rule.hint.as_deref().unwrap_or_default()),
            (None, Some(entry)) => (entry.class, entry.hint.as_str()),
            (None, None) => {
                unknown.extend(message_ids(line).into_iter().map(str::to_owned));
                continue;
            }
        };
        known += 1;
        out.line(&sanitize_line(line, CAUSE_BYTES_MAX));
        out.line(&format!("  {}", class_text(class)));
        if !hint.is_empty() {
            out.line(&format!("  fix: {hint}"));
        }
    }
    for id in &unknown {
        Out::note(&format!("the catalogue does not know {id}"));
    }
    if known == 0 {
        Out::note("the catalogue knows none of these lines");
        return Ok(Exit::Ok);
    }
    if let Some(verdict) = crate::aix::classify(rules, &text, 1) {
        out.line("");
        out.line(&format!("All together: {}", class_text(verdict.class)));
        out.line(&format!("  because of: {}", verdict.text));
    }
    Ok(Exit::Ok)
}

fn rule_of<'a>(rules: &'a [MessageRule], line: &str) -> Option<&'a MessageRule> {
    let (ids, lower) = (message_ids(line), line.to_ascii_lowercase());
    rules.iter().find(|rule| {
        let id = rule.id.as_deref().is_none_or(|id| ids.contains(&id));
        let words = rule.pattern.as_ref().map(|words| words.to_ascii_lowercase());
        id && words.is_none_or(|words| lower.contains(&words))
    })
}

fn list(out: &Out) -> Exit {
    for entry in catalogue() {
        let class = class_text(entry.class).split(':').next().unwrap_or_default();
        let name = if entry.ids.is_empty() { "-".to_owned() } else { entry.ids.join(" ") };
        out.line(&format!("{name:<28} {class:<13} {}", entry.text));
    }
    Exit::Ok
}

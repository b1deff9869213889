//! The clients of a plan, by what is to be done with them: decided by the latest
//! migration of each.
//!
//! | its latest migration | what happens | beside an engine that runs |
//! | --- | --- | --- |
//! | none | it is begun | the same |
//! | of this plan, unfinished | it goes on | the same |
//! | of this very plan, ended | left alone | the same, unless it ended badly and is reached otherwise now |
//! | of an earlier text of this plan, and another now, unfinished | the run is refused | called off and begun where it has not begun, else refused alone |
//! | of an earlier text of this plan, and the same, ended badly | a new one is begun | left alone |
//! | of another plan, unfinished | the run is refused | refused alone |
//! | refused, after one that has migrated | the one before it counts | the same |
//! | ended, and its copy is gone by now, which its client is asked | a new one is begun | the same |
//! | of another plan, migrated or skipped to the same target in the same mode | left alone, as done | the same |
//! | of another plan, ended otherwise | a new one is begun | the same |
//!
//! Plans are the same by their digest, and of one batch by its name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::domain::{CopyIs, MigrationSpec, Part, Plan, RealHosts, phases_text};
use crate::journal::{BatchId, BatchRow, Loaded};
use crate::machine::State;
use crate::report::{MigrationView, Standing, is_ordered, spoken_as, ways_out, when_text};

use super::current::{current, unhidden};
use super::settings::BatchSettings;

/// A client that is not begun though the plan asks for it.
pub struct Refusal {
    pub client: String,
    /// How it stands.
    pub why: String,
    /// What to do, beside an engine.
    pub help: String,
    /// What to do where no engine runs.
    pub way: String,
}

/// The clients of a plan, by what is to be done with them.
pub struct Sorted<'a> {
    /// What is begun, with its place in the plan.
    pub fresh: Vec<(u32, Cow<'a, MigrationSpec>)>,
    /// What is said of the others, and of whom.
    pub said: Vec<(String, String)>,
    /// What is neither begun nor left.
    pub refused: Vec<Refusal>,
}

/// What a plan is sorted by.
pub struct Known<'a> {
    /// All migrations, the oldest first.
    pub loaded: &'a [Loaded],
    pub batches: &'a BTreeMap<BatchId, BatchRow>,
    /// What counts for each client of the plan, as it says itself.
    pub views: &'a [MigrationView],
    /// Whether an engine runs.
    pub beside: bool,
}

impl<'a> Sorted<'a> {
    /// Sorts the clients of `plan`.
    pub fn new(plan: &'a Plan, digest: &str, known: &Known<'_>) -> Sorted<'a> {
        let mut sorted = Sorted { fresh: Vec::new(), said: Vec::new(), refused: Vec::new() };
        let latest: BTreeMap<&str, &Loaded> = current(unhidden(known.loaded))
            .into_iter()
            .map(|one| (one.client.as_str(), one))
            .collect();
        for (number, spec) in (1..).zip(&plan.migrations) {
            match latest.get(spec.client.as_str()) {
                None => sorted.fresh.push((number, Cow::Borrowed(spec))),
                Some(before) => sorted.put((plan, digest), known, (number, spec), before),
            }
        }
        sorted
    }

    fn put(
        &mut self,
        (plan, digest): (&Plan, &str),
        known: &Known<'_>,
        (number, spec): (u32, &'a MigrationSpec),
        before: &Loaded,
    ) {
        let state = before.machine.state();
        let batch = known.batches.get(&before.batch);
        let same_plan = batch.is_some_and(|batch| batch.digest == digest);
        let same_batch = batch.is_some_and(|batch| batch.name == plan.name.as_str());
        let same = same_batch && is_same(spec, &before.spec);
        let name = batch.map_or("another", |batch| batch.name.as_str());
        let reached = matches!(state, State::Migrated { .. } | State::Skipped { .. });
        let ended_operation = !before.spec.task.is_migration() && state.is_terminal();
        let view = known.views.iter().find(|view| view.id == before.id);
        let standing =
            || view.map_or_else(|| Standing::new(state, &before.spec), MigrationView::standing);
        let cleaned = spec.task.changes_client() && view.is_some_and(is_cleaned);
        // A way that was corrected is tried, where nothing of the client stands.
        let corrected = known.beside && !reached && is_reached_otherwise(plan, spec, batch);
        let is_part = matches!(state, State::Migrated { .. }) && !before.spec.is_whole();
        let spoken = spoken_as(state, &before.spec);
        let already = || match view.filter(|view| view.is_silent) {
            Some(_) => format!("{} (as last seen: it gave no answer)", standing().already()),
            None => standing().already(),
        };
        if !state.is_terminal() {
            if same_plan || same {
                self.say(spec, &format!("continues ({spoken})"));
            } else if known.beside && same_batch && matches!(state, State::Pending) {
                self.fresh.push((number, Cow::Borrowed(spec)));
            } else {
                let way = ways_out(spec.client.as_str(), state);
                self.refuse(spec, &spoken, (same_batch && known.beside, name), way);
            }
        } else if ended_operation {
            self.fresh.push((number, Cow::Borrowed(spec)));
        } else if cleaned {
            self.say(spec, "its copy is gone: it is migrated again");
            self.fresh.push((number, Cow::Borrowed(spec)));
        } else if same_plan && reached {
            self.say(spec, &already());
        } else if is_part {
            let rest = rest_of(spec, before);
            let phases = rest.options.phases.as_deref().unwrap_or_default();
            self.say(spec, &format!("{spoken}, continues with phases {}", phases_text(phases)));
            self.fresh.push((number, Cow::Owned(rest)));
        } else if reached && makes_same(spec, &before.spec) {
            self.say(spec, &format!("{}, by batch `{name}`", already()));
        } else if (same_plan || known.beside && same) && !corrected {
            let how = format!("`nimshift retry {}` starts it again", spec.client);
            let ended = ended(before, standing());
            self.say(spec, &format!("{ended}, and its plan has not changed: {how}"));
        } else {
            self.say(spec, &format!("{}; a new migration starts", ended(before, standing())));
            self.fresh.push((number, Cow::Borrowed(spec)));
        }
    }

    fn say(&mut self, spec: &MigrationSpec, what: &str) {
        self.said.push((spec.client.to_string(), what.to_owned()));
    }

    fn refuse(
        &mut self,
        spec: &MigrationSpec,
        spoken: &str,
        (is_changed, batch): (bool, &str),
        way: String,
    ) {
        let client = spec.client.to_string();
        let (why, help) = if is_changed {
            let help =
                format!("wait until it ends, or take it back with `nimshift cancel {client}`");
            (format!("is {spoken}, and the plan has changed since"), help)
        } else {
            // The engine that runs takes no orders for it.
            let why = format!("is {spoken} in batch `{batch}`, which is another plan");
            (why, format!("once the running engine has ended, {way}"))
        };
        let help = format!("{help}; then run this again");
        self.refused.push(Refusal { client, why, help, way });
    }

    /// Whether `client` is begun.
    pub fn is_fresh(&self, client: &str) -> bool {
        self.fresh.iter().any(|(_, spec)| spec.client.as_str() == client)
    }
}

/// How a migration has ended: of one that is not at its target also when, and by whom
/// where that was ordered.
fn ended(before: &Loaded, standing: Standing<'_>) -> String {
    let state = before.machine.state();
    let how = match (state, state.cause()) {
        (State::Migrated { .. } | State::Skipped { .. }, _) => return standing.spoken(),
        (State::RolledBack { .. }, Some(cause)) if is_ordered(state) => cause.text.clone(),
        _ => standing.spoken(),
    };
    format!("was {how} on {}", when_text(before.updated_ms))
}

/// Whether what was made is gone, and the client does not run from it.
fn is_cleaned(view: &MigrationView) -> bool {
    match view.state {
        State::Migrated { .. } => view.standing().is_cleaned(),
        _ => {
            view.cleaned_ms.is_some()
                && view.seen.as_ref().is_none_or(|seen| seen.is != CopyIs::Running)
        }
    }
}

/// Whether a plan asks for what a migration was begun for: orders that took a lease
/// included.
fn is_same(asked: &MigrationSpec, begun: &MigrationSpec) -> bool {
    let mut asked = after_part(asked, begun);
    asked.dead_lease_after_ms = begun.dead_lease_after_ms;
    asked == *begun
}

/// What is asked for, where `begun` may be a later part of it: of a whole migration only
/// the rest was begun.
pub(super) fn after_part(asked: &MigrationSpec, begun: &MigrationSpec) -> MigrationSpec {
    let mut asked = asked.clone();
    asked.part.clone_from(&begun.part);
    if begun.part.is_some() && asked.options.phases.is_none() && begun.is_whole() {
        asked.options.phases.clone_from(&begun.options.phases);
    }
    asked
}

/// Whether a plan asks for what there is already: a client at that level, or that mksysb.
fn makes_same(asked: &MigrationSpec, begun: &MigrationSpec) -> bool {
    let made = |spec: &MigrationSpec| {
        let aim = spec.task.aim()?;
        Some((aim.mode, aim.target.clone(), spec.options.output.clone()))
    };
    made(asked) == made(begun)
}

/// Whether the plan names another way to the client than its batch did.
fn is_reached_otherwise(plan: &Plan, spec: &MigrationSpec, batch: Option<&BatchRow>) -> bool {
    let was = batch.and_then(|batch| BatchSettings::read(batch).ok()?.real);
    let reach = |real: Option<&RealHosts>| real?.hosts.get(spec.client.as_str()).cloned();
    reach(was.as_ref()) != reach(plan.estate.real.as_ref())
}

/// What is asked for, after the parts that have been done: the phases that are
/// named, or all that are left.
pub fn rest_of(spec: &MigrationSpec, before: &Loaded) -> MigrationSpec {
    let first = before.spec.part.as_ref().map_or(before.id, |part| part.first);
    let mut rest = spec.clone();
    rest.part = Some(Part::of(first, before.facts.clone()));
    rest.options.phases.get_or_insert_with(|| before.spec.phases_left());
    rest
}

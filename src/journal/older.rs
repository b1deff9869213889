//! Entries that were made by older decisions: they are not decided anew. What
//! they led to is taken from what was stored beside them.

use std::sync::Arc;

use crate::domain::{Cause, Direction, FailureClass, Ticket};
use crate::machine::{Blueprint, Course, Effect, Event, EventKind, Machine, Place, State, Then};

/// A machine in the stored `state`, if that can follow from an entry which
/// wanted `effects` in flight.
pub(super) fn seated(
    blueprint: Arc<Blueprint>,
    state: &str,
    effects: &str,
) -> Result<Machine, String> {
    let state: State = serde_json::from_str(state).map_err(|error| error.to_string())?;
    let machine = Machine::at(blueprint, state).map_err(|rejected| rejected.to_string())?;
    let effects: Vec<Effect> = serde_json::from_str(effects).unwrap_or_default();
    let place = machine.state().place();
    let fits = |effect: &Effect| {
        let ticket = ticket(effect);
        place.is_some_and(|at| machine.blueprint().ticket(at, ticket.direction) == *ticket)
    };
    match effects.iter().find(|effect| !fits(effect)) {
        None => Ok(machine),
        Some(effect) => Err(format!("a state that wants {}", ticket(effect))),
    }
}

fn ticket(effect: &Effect) -> &Ticket {
    match effect {
        Effect::Run { ticket, .. }
        | Effect::Interrupt { ticket }
        | Effect::Sleep { ticket, .. } => ticket,
    }
}

/// What is known of the state after an entry of a history.
pub(super) enum After {
    /// Today's decisions give it.
    Decided,
    /// It was stored.
    Stored(Box<State>),
    /// Older decisions gave it, and others followed.
    Between,
}

/// Leads `machine` over an entry of a history. States between two entries are
/// not stored: where today's decisions do not lead to the `effects` that were
/// recorded, the state is told from these.
pub(super) fn retell(machine: &mut Machine, event: &Event, effects: &[Effect]) {
    let before = machine.state().clone();
    let blueprint = Arc::clone(machine.blueprint());
    let applied = machine.apply(event).ok();
    if applied.is_some_and(|transition| transition.effects == effects) {
        return;
    }
    let told = told(&blueprint, &before, event, effects).unwrap_or(before);
    if let Ok(told) = Machine::at(blueprint, told) {
        *machine = told;
    }
}

fn told(blueprint: &Blueprint, before: &State, event: &Event, effects: &[Effect]) -> Option<State> {
    let effect = effects.first()?;
    let ticket = ticket(effect);
    let is_step =
        |step: &crate::domain::StepSpec| step.phase == ticket.phase && step.step == ticket.step;
    let step = blueprint.steps.iter().position(is_step)?;
    let rewinds = before.place().map_or(0, |at| at.rewinds);
    let step = u16::try_from(step).ok()?;
    let at = Place { step, round: ticket.round, attempt: ticket.attempt, rewinds };
    let cause = match &event.kind {
        EventKind::Failed { cause, .. } => cause.clone(),
        kind => before
            .cause()
            .cloned()
            .unwrap_or_else(|| Cause::new(FailureClass::NeedsOperator, kind.name())),
    };
    let course = match before {
        State::Undoing { course, .. }
        | State::UndoBackingOff { course, .. }
        | State::UndoStuck { course, .. } => course.clone(),
        before => Course {
            from: before.place().unwrap_or(at),
            until: 0,
            then: Then::Stop,
            cause: cause.clone(),
        },
    };
    Some(match (effect, ticket.direction) {
        (Effect::Sleep { until_ms, .. }, Direction::Forward) => {
            State::BackingOff { at, wake_at_ms: *until_ms, dirty: false, cause }
        }
        (Effect::Sleep { until_ms, .. }, Direction::Undo) => {
            State::UndoBackingOff { at, course, wake_at_ms: *until_ms, cause }
        }
        (_, Direction::Forward) => {
            let stops = effects.iter().any(|one| matches!(one, Effect::Interrupt { .. }));
            State::Executing { at, stopping: stops.then_some(cause) }
        }
        (_, Direction::Undo) => State::Undoing { at, course },
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rusqlite::{Connection, params};

    use super::*;
    use crate::domain::MigrationId;
    use crate::journal::connect::{int, uint};
    use crate::journal::digest::{EntrySum, Sum};
    use crate::journal::head::HeadSum;
    use crate::journal::{Journal, JournalError, OpenOptions, Reader, verify};

    const EVENT: &str = r#"{"at_ms":1795500900000,"kind":{"event":"release","by":"eve"}}"#;

    /// Appends to migration 1 of the fixture, which was begun under decisions 1,
    /// an entry as other rules might have made it.
    fn append(connection: &Connection, effects: &str, state: &str) {
        let (seq, last, chain): (u64, u64, Sum) = connection
            .query_row("SELECT seq, entry, chain FROM head WHERE migration = 1", [], |row| {
                Ok((uint(row, "seq")?, uint(row, "entry")?, row.get("chain")?))
            })
            .unwrap();
        let newest: u64 =
            connection.query_row("SELECT max(entry) FROM event", [], |row| uint(row, 0)).unwrap();
        let (seq, entry, updated_ms) = (seq + 1, newest + 1, 1_795_500_900_000_u64);
        let chain = EntrySum {
            before: &chain,
            migration: 1,
            seq,
            entry,
            version: 1,
            epoch: 1,
            event: EVENT.as_bytes(),
            effects: effects.as_bytes(),
            attempt: None,
        }
        .sum();
        let insert =
            "INSERT INTO event (entry, migration, seq, prev, v, epoch, event, effects, chain)
                      VALUES (?1, 1, ?2, ?3, 1, 1, ?4, ?5, ?6)";
        let row = params![int(entry), int(seq), int(last), EVENT, effects, &chain[..]];
        connection.execute(insert, row).unwrap();
        let state_bytes = state.as_bytes();
        let sum =
            HeadSum { migration: 1, seq, entry, updated_ms, state: state_bytes, chain: &chain };
        let update =
            "UPDATE head SET seq = ?1, entry = ?2, updated_ms = ?3, state = ?4, chain = ?5,
                      sum = ?6 WHERE migration = 1";
        let sum = sum.sum();
        connection
            .execute(
                update,
                params![int(seq), int(entry), int(updated_ms), state, &chain[..], &sum[..]],
            )
            .unwrap();
    }

    fn options() -> OpenOptions {
        OpenOptions::new("h", 1, 1)
    }

    /// The fixture, opened by this program and with an entry that it would not
    /// have made under decisions 1.
    fn changed(dir: &Path, effects: &str, state: &str) {
        let file = dir.join("journal.db");
        std::fs::copy("fixtures/journal/v1.db", &file).unwrap();
        // The tables as this program has them, and nothing adopted yet.
        let connection = Connection::open(&file).unwrap();
        crate::journal::schema::migrate(&connection, &file, 1).unwrap();
        append(&connection, effects, state);
        connection.close().unwrap();
    }

    const HELD: &str = r#"{"state":"held","resume":{"state":"executing","at":{"step":1,"round":0,"attempt":1,"rewinds":0}}}"#;

    #[test]
    fn what_other_rules_decided_is_not_decided_anew() {
        let dir = tempfile::tempdir().unwrap();
        changed(dir.path(), "[]", HELD);
        let reader = Reader::open(dir.path()).unwrap();
        let rows = reader.migrations(None).unwrap();
        let history = reader.history(MigrationId(1)).unwrap();
        assert_eq!(history.last().unwrap().state, rows[0].state);
        drop(reader);
        verify(dir.path()).unwrap();
        let (journal, loaded) = Journal::open(dir.path(), &options()).unwrap();
        assert_eq!(loaded[0].machine.state(), &rows[0].state);
        assert_eq!(loaded[0].seq, rows[0].seq + 1, "it is taken up by an entry");
        journal.close().unwrap();
        let (journal, again) = Journal::open(dir.path(), &options()).unwrap();
        assert_eq!(again[0].seq, loaded[0].seq, "and by one alone");
        journal.close().unwrap();
        verify(dir.path()).unwrap();
    }

    #[test]
    fn a_state_that_the_last_entry_cannot_have_led_to_is_refused() {
        let elsewhere = r#"[{"effect":"run","ticket":{"phase":"clone","step":"take-lease","direction":"forward","round":0,"attempt":9}}]"#;
        assert!(serde_json::from_str::<Vec<Effect>>(elsewhere).is_ok());
        for (effects, state) in [
            (elsewhere, HELD),
            ("[]", r#"{"state":"migrated","at":{"step":99,"round":0,"attempt":1,"rewinds":0}}"#),
        ] {
            let dir = tempfile::tempdir().unwrap();
            changed(dir.path(), effects, state);
            let refused = Journal::open(dir.path(), &options()).unwrap_err();
            assert!(matches!(refused, JournalError::Differs { .. }), "{refused}");
        }
    }

    #[test]
    fn a_stored_state_that_was_changed_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        changed(dir.path(), "[]", HELD);
        let connection = Connection::open(dir.path().join("journal.db")).unwrap();
        let changed = HELD.replace("\"step\":1", "\"step\":2");
        connection.execute("UPDATE head SET state = ?1 WHERE migration = 1", [changed]).unwrap();
        connection.close().unwrap();
        let refused = Journal::open(dir.path(), &options()).unwrap_err();
        assert!(matches!(refused, JournalError::Differs { .. }), "{refused}");
    }

    #[test]
    fn a_journal_of_newer_decisions_names_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        Journal::open(dir.path(), &options()).unwrap().0.close().unwrap();
        let connection = Connection::open(dir.path().join("journal.db")).unwrap();
        connection.execute("UPDATE engine_epoch SET decisions = 99", []).unwrap();
        connection.close().unwrap();
        for refused in [
            Journal::open(dir.path(), &options()).map(drop).unwrap_err(),
            Reader::open(dir.path()).map(drop).unwrap_err(),
        ] {
            assert!(matches!(refused, JournalError::NewerDecisions { found: 99, .. }));
            assert!(refused.to_string().contains("use the newer nimshift"), "{refused}");
        }
    }
}

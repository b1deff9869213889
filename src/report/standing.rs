//! How a migration stands, for people and for programs: the state that the
//! journal has, told apart where one state means several things to who reads it.

use crate::domain::{Bootlist, CopyIs, CopySeen, MigrationSpec, phases_text};
use crate::machine::State;

/// How a migration stands.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    state: &'a State,
    spec: &'a MigrationSpec,
    is_cleaned: bool,
    seen: Option<&'a CopySeen>,
}

/// Names of all standings in the order in which counts are told: of what asks
/// least of a person first.
const ORDER: [&str; 23] = [
    "migrated",
    "reboot_pending",
    "copy_ready",
    "mksysb_made",
    "part_done",
    "done",
    "nothing_to_do",
    "skipped",
    "cleaned",
    "taken_back",
    "rolled_back",
    "failed",
    "refused",
    "abandoned",
    "awaiting_operator",
    "undo_stuck",
    "held",
    "undoing",
    "undo_backing_off",
    "backing_off",
    "executing",
    "waiting_for_place",
    "pending",
];

impl<'a> Standing<'a> {
    /// How what is asked for by `spec` stands in `state`.
    pub fn new(state: &'a State, spec: &'a MigrationSpec) -> Standing<'a> {
        Standing { state, spec, is_cleaned: false, seen: None }
    }

    /// The same, where an operation has cleaned the client up since.
    #[must_use]
    pub fn cleaned(self, is_cleaned: bool) -> Standing<'a> {
        Standing { is_cleaned, ..self }
    }

    /// The same, by how the copy was seen last.
    #[must_use]
    pub fn seen(self, seen: Option<&'a CopySeen>) -> Standing<'a> {
        Standing { seen, ..self }
    }

    /// Whether the copy waits for somebody to boot it.
    pub fn waits_for_boot(self) -> bool {
        ["reboot_pending", "copy_ready"].contains(&self.name())
    }

    /// Whether what was made is gone: it was cleaned up, or removed by hand.
    pub fn is_cleaned(self) -> bool {
        self.name() == "cleaned"
    }

    /// The name in documents.
    pub fn name(self) -> &'static str {
        match self.state {
            State::Migrated { .. } if !self.spec.task.is_migration() => "done",
            State::Skipped { .. } if !self.spec.task.is_migration() => "nothing_to_do",
            State::RolledBack { .. } if self.spec.task.is_undoable() => "taken_back",
            State::RolledBack { .. } if !self.spec.task.is_migration() => "failed",
            State::Migrated { .. } if !self.spec.is_whole() => match self.copy() {
                // What the client runs from is never cleaned away.
                Some(CopyIs::Running) => "part_done",
                _ if self.is_cleaned => "cleaned",
                _ => "part_done",
            },
            State::Migrated { .. } if self.spec.task.writes_mksysb() => "mksysb_made",
            state @ State::Migrated { .. } if self.spec.task.changes_client() => {
                match self.copy() {
                    Some(CopyIs::Running) => state.name(),
                    None if self.spec.options.reboot => state.name(),
                    None if self.is_cleaned => "cleaned",
                    Some(CopyIs::Gone) => "cleaned",
                    _ if self.boots_copy() => "reboot_pending",
                    _ => "copy_ready",
                }
            }
            state => state.name(),
        }
    }

    fn copy(self) -> Option<CopyIs> {
        self.seen.map(|seen| seen.is)
    }

    /// Whether the client boots its copy next: as it was seen, else as it was asked for.
    fn boots_copy(self) -> bool {
        let options = &self.spec.options;
        let asked = options.bootlist == Bootlist::Set && !options.reboot;
        self.seen.and_then(CopySeen::boots_next).unwrap_or(asked)
    }

    /// The same for people, as it is counted.
    pub fn counted(self) -> String {
        match self.name() {
            "part_done" => {
                let phases = self.spec.options.phases.as_deref().unwrap_or_default();
                format!("phases {} done", phases_text(phases))
            }
            name => name.replace('_', " "),
        }
    }

    /// The same of one migration: of what is held, also what it goes on as.
    pub fn spoken(self) -> String {
        match self.state {
            State::Held { .. } => spoken(self.state),
            _ => self.counted(),
        }
    }

    /// The same of what is not begun again.
    pub fn already(self) -> String {
        match self.name() {
            "reboot_pending" | "copy_ready" => format!("migrated already, {}", self.spoken()),
            "migrated" if self.copy() == Some(CopyIs::Running) => {
                "migrated already, runs the migrated system".to_owned()
            }
            _ => format!("{} already", self.spoken()),
        }
    }

    /// Where it stands among others in counts.
    fn rank(self) -> usize {
        ORDER.iter().position(|known| *known == self.name()).unwrap_or(ORDER.len())
    }
}

/// The name of a state, for people.
pub fn spoken(state: &State) -> String {
    match state {
        State::Held { resume } => format!("held ({})", resume.name().replace('_', " ")),
        state => state.name().replace('_', " "),
    }
}

/// How what `spec` asks for stands in `state`, for people.
pub fn spoken_as(state: &State, spec: &MigrationSpec) -> String {
    Standing::new(state, spec).spoken()
}

/// How many stand how, each by what `called` gives; in a fixed order, without
/// what none is.
fn counted_by<'a, T: PartialEq>(
    standings: impl IntoIterator<Item = Standing<'a>>,
    called: impl Fn(Standing<'a>) -> T,
) -> Vec<(T, usize)> {
    let mut found: Vec<(usize, T, usize)> = Vec::new();
    for standing in standings {
        let name = called(standing);
        match found.iter_mut().find(|(_, known, _)| *known == name) {
            Some((_, _, count)) => *count += 1,
            None => found.push((standing.rank(), name, 1)),
        }
    }
    found.sort_by_key(|(rank, ..)| *rank);
    found.into_iter().map(|(_, name, count)| (name, count)).collect()
}

/// How many stand how, by the names in documents.
pub fn counts<'a>(standings: impl IntoIterator<Item = Standing<'a>>) -> Vec<(&'static str, usize)> {
    counted_by(standings, Standing::name)
}

/// Counts as a line: `7 migrated, 1 skipped, 2 rolled back`.
pub fn counts_text<'a>(standings: impl IntoIterator<Item = Standing<'a>>) -> String {
    let parts: Vec<String> = counted_by(standings, Standing::counted)
        .into_iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    if parts.is_empty() { "no migrations".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Aim, Cause, Driver, FailureClass, Mode, Phase, Task, parse_plan};
    use crate::machine::Place;

    fn spec() -> MigrationSpec {
        let text = "[batch]\nname = \"b\"\n[estate]\nkind = \"lab\"\n[master]\nname = \"nim1\"\n\
                    [target]\nspot = \"s\"\nlpp_source = \"l\"\nlevel = \"7300-02\"\n\
                    [defaults]\ndisks = [\"hdisk1\"]\naccept_licenses = true\n\
                    [[client]]\nname = \"a\"\n";
        parse_plan("p", text, false).expect("a plan").migrations.remove(0)
    }

    fn with(change: impl FnOnce(&mut MigrationSpec)) -> MigrationSpec {
        let mut spec = spec();
        change(&mut spec);
        spec
    }

    /// What a migration that has ended well is called, and after a cleanup.
    #[test]
    fn what_ended_well_is_told_apart_by_what_is_left_to_do() {
        let done = State::Migrated { at: Place::start() };
        let target = spec().target().clone();
        let image =
            Task::Migrate(Aim { mode: Mode::ClientToMksysb, driver: Driver::Native, target });
        let cases = [
            (spec(), "reboot_pending", "cleaned"),
            (with(|spec| spec.options.bootlist = Bootlist::Keep), "copy_ready", "cleaned"),
            (with(|spec| spec.options.reboot = true), "migrated", "migrated"),
            (with(|spec| spec.task = image.clone()), "mksysb_made", "mksysb_made"),
            (with(|spec| spec.options.phases = Some(vec![Phase::Clone])), "part_done", "cleaned"),
            (with(|spec| spec.task = Task::Cleanup(None)), "done", "done"),
        ];
        for (spec, standing, cleaned) in &cases {
            let told = Standing::new(&done, spec);
            assert_eq!((told.name(), told.cleaned(true).name()), (*standing, *cleaned));
            assert!(ORDER.contains(&told.name()));
        }
    }

    #[test]
    fn counts_stand_in_a_fixed_order_and_tell_parts_by_their_phases() {
        let cause = Cause::new(FailureClass::Permanent, "why");
        let back = State::RolledBack { cause };
        let done = State::Migrated { at: Place::start() };
        let plain = spec();
        let part = with(|spec| {
            spec.options.phases = Some(vec![Phase::Clone, Phase::Export, Phase::Mount]);
        });
        let all = [
            Standing::new(&State::Pending, &plain),
            Standing::new(&back, &plain),
            Standing::new(&done, &part),
            Standing::new(&done, &plain),
            Standing::new(&State::Pending, &plain),
        ];
        assert_eq!(
            counts_text(all),
            "1 reboot pending, 1 phases 1-3 done, 1 rolled back, 2 pending"
        );
        assert_eq!(counts(all)[1], ("part_done", 1));
    }
}

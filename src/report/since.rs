//! What has become of a migration's copy since: by what operations and later
//! migrations of its client saw and did.

use std::collections::BTreeMap;

use crate::base::Millis;
use crate::domain::{Facts, MigrationId, MigrationSpec, Pvid, Systems, TaskKind};
use crate::machine::State;
use crate::phases::copy_seen;

use super::view::MigrationView;

/// Whether a migration has begun: none does where the copy of another stands.
pub fn has_begun(state: &State) -> bool {
    !matches!(state, State::Pending | State::Refused { .. } | State::Skipped { .. })
}

/// Marks what has become of each copy since: by what operations saw last, else by
/// what the migration itself did. `views` are all, in the order of the journal;
/// `facts` are what is known of copies.
pub(super) fn mark_since(views: &mut [MigrationView], facts: &BTreeMap<MigrationId, Facts>) {
    let mut since: BTreeMap<String, Since> = BTreeMap::new();
    for view in views.iter_mut().rev() {
        let own = facts.get(&view.id);
        let since = since.entry(view.client.clone()).or_default();
        let has_ended = matches!(view.state, State::Migrated { .. });
        if !view.spec.task.is_migration() {
            // One that was refused has changed nothing.
            if view.state.is_terminal() && !matches!(view.state, State::Refused { .. }) {
                if has_ended && view.spec.task.kind() == TaskKind::Cleanup {
                    since.cleaned_ms.get_or_insert(view.since_ms);
                }
                if !since.has_operation {
                    since.seen = own.filter(|_| has_ended).and_then(|own| own.systems.clone());
                }
                since.has_operation = true;
            }
            if let Some(systems) = since.seen.as_ref().filter(|_| !since.is_superseded) {
                view.seen = Some(copy_seen(&view.spec, &Facts::default(), systems));
            }
            continue;
        }
        view.cleaned_ms = since.cleaned_ms;
        let own = known(&view.spec, own.cloned().unwrap_or_default());
        if since.is_superseded {
            // No copy is made where another stands, unless the client runs from that.
            let is_gone = match (&view.state, &own.copy, &since.boot) {
                (State::RolledBack { .. }, ..) => true,
                (State::Migrated { .. }, Some(copy), Some(boot)) => {
                    copy.disks.iter().all(|disk| disk.pvid != *boot)
                }
                _ => false,
            };
            view.seen =
                is_gone.then(|| copy_seen(&view.spec, &Facts::default(), &Systems::default()));
            continue;
        }
        since.boot = own.baseline.as_ref().and_then(|baseline| baseline.boot_pvid.clone());
        let ended = own.systems.clone().filter(|_| has_ended);
        let systems = if since.has_operation { since.seen.clone() } else { ended };
        view.seen = systems.map(|systems| copy_seen(&view.spec, &own, &systems));
        since.is_superseded = has_begun(&view.state);
    }
}

/// What has happened to a client since.
#[derive(Default)]
struct Since {
    /// When the latest cleanup ended.
    cleaned_ms: Option<Millis>,
    has_operation: bool,
    /// What the latest operation saw; nothing where it did not end well.
    seen: Option<Systems>,
    /// Whether a later migration has begun.
    is_superseded: bool,
    /// What the client ran from when the last one that has begun did so.
    boot: Option<Pvid>,
}

/// What a migration knows, with what the parts before it have found out.
fn known(spec: &MigrationSpec, own: Facts) -> Facts {
    let mut all = spec.part.as_ref().map_or_else(Facts::default, |part| part.facts.clone());
    all.absorb(own);
    all
}

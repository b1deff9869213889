//! What must hold when a night is over: every client is where it says it is.

use nimshift::domain::{Bootlist, CopyPolicy, Direction};
use nimshift::lab::{BootsFrom, CopyExpected, Expectation, FaultKind};
use nimshift::machine::State;
use nimshift::report::{MigrationView, Story, remains};
use nimshift::transport::HostId;
use serde_json::Value;

use super::left::{THINGS, is_hedged, is_so};
use super::night::Night;
use super::picture::{Path, differences, groups, host, told};
use super::sample::{Golden, Sample};

/// Differences that are told of one host.
const TOLD_MAX: usize = 6;

/// An estate after a night, and what it is held against.
pub(crate) struct Held<'a> {
    pub(crate) sample: &'a Sample,
    pub(crate) golden: &'a Golden,
    pub(crate) night: &'a Night,
    pub(crate) now: Value,
    pub(crate) views: Vec<MigrationView>,
}

impl Held<'_> {
    /// All that is wrong after the last order.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for view in &self.views {
            self.client(view, &mut wrong);
            self.jobs(view, &mut wrong);
        }
        self.master(&mut wrong);
        self.boots(&mut wrong);
        wrong.extend(self.claims());
        let expected: Vec<Expectation> = self.views.iter().map(|one| self.expected(one)).collect();
        let violations = self.night.lab.check(&expected).expect("a check");
        let told = violations.iter().filter(|one| !self.is_told(&one.host, &one.what));
        wrong.extend(told.map(|one| format!("lab check: {one}")));
        wrong.extend(self.night.replay());
        wrong
    }

    /// Whether the report names what the check finds in a client's old system, which
    /// it was booted away from.
    fn is_told(&self, client: &str, what: &str) -> bool {
        let mut of_client = self.views.iter().filter(|view| view.client == client);
        let names_old = of_client.any(|view| {
            let story = self.night.story(view.clone());
            // Whether a reboot's own script has come so far as to remove them, nothing
            // tells that runs after it.
            let names =
                if tried(&story, Direction::Forward) { "old_rootvg" } else { "in old_rootvg" };
            remains(&story).iter().any(|line| line.contains(names))
        });
        let ours = ["/var/adm/nimshift of hd9var is left", "/ALT_MIG_SPOT of hd4 is left"];
        // What nimadm itself could not remove has a name that the lab has made up.
        self.was_rebooted(client) && names_old && ours.contains(&what)
            || what.starts_with("/ALT_MIG_IMAGE") && self.sample.name.contains("nimadm")
    }

    /// Of those that wait or failed: what the report names as left is there, and
    /// what is there is named.
    pub(crate) fn claims(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for view in &self.views {
            let spec = &*view.spec;
            if matches!(view.state, State::Migrated { .. }) {
                continue;
            }
            let left = remains(&self.night.story(view.clone()));
            for thing in THINGS {
                let is_left = thing.is_left(&self.golden.first, &self.now, spec);
                let (client, state, name) = (&view.client, view.state.name(), thing.name);
                match thing.claim(&left, spec) {
                    Some(line) if !is_so(line, &self.now, spec) && !is_hedged(line) => wrong.push(
                        format!("{client} is {state}: left is told `{line}`, and it is not there"),
                    ),
                    None if is_left => wrong.push(format!(
                        "{client} is {state}: {name} is there, and is not named as left: {left:?}"
                    )),
                    _ => {}
                }
            }
        }
        wrong
    }

    /// The host of a client is what its state says.
    fn client(&self, view: &MigrationView, wrong: &mut Vec<String>) {
        let (client, state) = (&view.client, &view.state);
        let Some(now) = host(&self.now, client) else { return };
        let first = host(&self.golden.first, client).expect("a host of the estate");
        let golden = self.golden.states[client];
        match state {
            State::Migrated { .. } if golden != "migrated" => {
                wrong.push(format!(
                    "{client} is migrated, and never can be: {golden} in a good night"
                ));
            }
            State::Migrated { .. } => {
                let wanted = host(&self.golden.last, client).expect("a host");
                let rebooted = host(&self.golden.rebooted, client).expect("a host");
                // In what it does not run any more may be what the report names.
                let is_past = |at: &Path| {
                    let at: Vec<&str> = at.iter().map(String::as_str).collect();
                    let ["vgs", group, "lvs", _, "files", path] = at.as_slice() else {
                        return false;
                    };
                    let left = ["adm/nimshift", "ALT_MIG_SPOT"];
                    *group == "old_rootvg" && left.iter().any(|own| path.starts_with(own))
                        // An empty directory: files in it are told by themselves.
                        || *group == "altinst_rootvg" && *path == "adm/nimshift"
                };
                // Somebody may have rebooted it before its own time.
                let is_booted =
                    self.was_rebooted(client) && now.get("boot_disk") == rebooted.get("boot_disk");
                let wanted = if is_booted { rebooted } else { wanted };
                tell(client, "migrated", wanted, now, |at| !is_past(at), wrong);
            }
            State::RolledBack { .. } if view.spec.failed_copy != CopyPolicy::Remove => {
                let aside = |at: &Path| {
                    let woken = |key: &String| key.trim_start_matches('/').starts_with("alt_inst");
                    !at.iter().any(|key| key == "altinst_rootvg" || woken(key))
                        && at.first().is_none_or(|key| key != "disks")
                };
                tell(client, "rolled back", first, now, aside, wrong);
            }
            State::RolledBack { .. } | State::Refused { .. } | State::Skipped { .. } => {
                let is_made_up = |at: &Path| at.last().is_some_and(|key| key == "ALT_MIG_IMAGE");
                tell(client, state.name(), first, now, |at| !is_made_up(at), wrong);
            }
            State::Abandoned { .. } => {}
            _ => wrong.push(format!("{client} waits still: {}", why(view))),
        }
    }

    fn was_rebooted(&self, client: &str) -> bool {
        self.reboots_by_faults(client) > 0
    }

    fn reboots_by_faults(&self, client: &str) -> u32 {
        let faults = self.night.faults_met();
        let of_client = faults.iter().filter(|fault| {
            fault.spec.kind == FaultKind::Reboot
                && fault.spec.host.as_deref().is_none_or(|host| host == client)
        });
        of_client.map(|fault| fault.hits).sum()
    }

    /// No job of a migration that has ended goes on.
    fn jobs(&self, view: &MigrationView, wrong: &mut Vec<String>) {
        if !view.state.is_terminal() {
            return;
        }
        for name in [view.client.as_str(), view.spec.master.as_str()] {
            if host(&self.now, name).is_none() {
                continue;
            }
            for job in self.night.unfinished(view, &HostId::new(name)) {
                let state = view.state.name();
                wrong.push(format!("{} is {state}: its job {job} goes on on {name}", view.client));
            }
        }
    }

    /// The master has what the migrated ones have made, and nothing more.
    fn master(&self, wrong: &mut Vec<String>) {
        let name = self.sample.plan.master.as_str();
        let of = |image| host(image, name).expect("the master");
        let first = of(&self.golden.first);
        let wanted = differences(first, of(&self.golden.last));
        let made = differences(first, of(&self.now));
        let mut found = Vec::new();
        for (at, (was, is)) in &made {
            let owner = self.owner(at);
            let good = wanted.get(at).is_some_and(|(_, good)| good == is);
            let by = |view: &&MigrationView| match view.state {
                State::Migrated { .. } => good,
                // What is left of others is told of them.
                _ => !view.state.is_terminal() || matches!(view.state, State::Abandoned { .. }),
            };
            if !owner.as_ref().map_or(good, by) {
                found.push(format!("{name}: {}", told(at, was, is)));
            }
        }
        for (at, (was, good)) in &wanted {
            let is_migrated = |view: &MigrationView| matches!(view.state, State::Migrated { .. });
            if !made.contains_key(at) && self.owner(at).is_some_and(is_migrated) {
                found.push(format!("{name}: missing: {}", told(at, was, good)));
            }
        }
        found.truncate(TOLD_MAX);
        wrong.append(&mut found);
    }

    /// Whose something on the master is, by its name: of several that fit, the one
    /// with the longest.
    fn owner(&self, at: &Path) -> Option<&MigrationView> {
        let mut words = at.clone();
        // A cache file system has a name of its own.
        if let [vgs, group, lvs, volume, ..] = at.as_slice() {
            let master = host(&self.now, self.sample.plan.master.as_str());
            let point = master.and_then(|m| m.get(vgs)?.get(group)?.get(lvs)?.get(volume));
            let point = point.and_then(|volume| volume.get("mount_point")?.as_str());
            words.extend(point.map(str::to_owned));
        }
        let fit = |view: &&MigrationView| {
            let spec = &*view.spec;
            let output = spec.options.output.as_deref();
            let output = output.map(|path| path.trim_start_matches("/export/nim/").to_owned());
            let object = spec.options.new_mksysb.as_ref().map(ToString::to_string);
            let client = view.client.clone();
            let names = [spec.master_top(), format!("nimshift-{client}"), client];
            let names = names.into_iter().chain(output).chain(object);
            let fits = |name: &String| {
                words.iter().any(|word| {
                    word == name
                        || word.starts_with(&format!("{name}/"))
                        || word.ends_with(&format!("/{name}"))
                        || *word == name[1..]
                })
            };
            names.filter(fits).map(|name| name.len()).max()
        };
        self.views.iter().filter(|view| fit(view).is_some()).max_by_key(|view| fit(view))
    }

    /// No host was rebooted more than once forward, and once back, by a migration.
    fn boots(&self, wrong: &mut Vec<String>) {
        let all = self.night.all_views();
        for shown in self.night.lab.show().expect("the hosts") {
            let own: u32 = all
                .iter()
                .filter(|view| view.client == shown.name)
                .map(|view| {
                    let story = self.night.story(view.clone());
                    [Direction::Forward, Direction::Undo]
                        .map(|direction| u32::from(tried(&story, direction)))
                        .iter()
                        .sum::<u32>()
                })
                .sum();
            let by_faults = self.reboots_by_faults(&shown.name);
            let by_hand = self.night.boots_told(&shown.name);
            if shown.boots > own + by_faults + by_hand {
                wrong.push(format!(
                    "{} was booted {} times: {by_faults} by faults, {by_hand} by hand, and {own} \
                     may be its own",
                    shown.name, shown.boots
                ));
            }
        }
    }

    /// What `lab check` is to hold of a client.
    fn expected(&self, view: &MigrationView) -> Expectation {
        let untouched = Expectation::untouched(view.client.clone());
        let spec = &*view.spec;
        let target = || {
            let disk = spec.options.disks.iter().take(1).map(ToString::to_string).collect();
            BootsFrom::Disks(disk)
        };
        let now = host(&self.now, &view.client);
        let has_copy =
            now.is_some_and(|host| groups(host).any(|(name, _)| name == "altinst_rootvg"));
        match &view.state {
            State::Migrated { .. } if !spec.task.changes_client() => untouched,
            State::Migrated { .. } => {
                let runs_copy =
                    spec.options.reboot || (!has_copy && self.was_rebooted(&view.client));
                let copy = if runs_copy { CopyExpected::Running } else { CopyExpected::Asleep };
                let boots_from = match spec.options.bootlist {
                    Bootlist::Set => target(),
                    Bootlist::Keep => BootsFrom::Baseline,
                };
                Expectation { copy, boots_from, ..untouched }
            }
            State::RolledBack { .. } => match spec.failed_copy {
                CopyPolicy::Sleep if spec.task.changes_client() => {
                    Expectation { copy: CopyExpected::Kept, ..untouched }
                }
                CopyPolicy::Wake => Expectation { settled: !has_copy, ..untouched },
                _ => untouched,
            },
            state => Expectation {
                settled: state.is_terminal() && !matches!(state, State::Abandoned { .. }),
                ..untouched
            },
        }
    }
}

/// Whether its reboot was begun.
fn tried(story: &Story, direction: Direction) -> bool {
    story.entries.iter().any(|entry| {
        entry.attempt.as_ref().is_some_and(|attempt| {
            attempt.ticket.step.as_str() == "reboot" && attempt.ticket.direction == direction
        })
    })
}

/// Where a migration stands, in a line.
pub(crate) fn why(view: &MigrationView) -> String {
    let step = view.step().map_or(String::new(), |step| format!(" at {}", step.step));
    let cause = view.state.cause().map_or("", |cause| cause.text.as_str());
    format!("{}{step}: {cause}", view.state.name())
}

/// Tells where a host is not as it is said to be.
fn tell(
    client: &str,
    state: &str,
    wanted: &Value,
    now: &Value,
    counts: impl Fn(&Path) -> bool,
    wrong: &mut Vec<String>,
) {
    let found = differences(wanted, now);
    let found = found.iter().filter(|(at, _)| counts(at));
    wrong.extend(found.take(TOLD_MAX).map(|(at, (was, is))| {
        format!("{client} is {state}: {}", told(at, was, is).replace(": was ", ": should be "))
    }));
}

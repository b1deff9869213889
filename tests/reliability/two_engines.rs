//! Two state directories and one client: whatever the order in which their
//! engines run, die, clean up, take over, resume and roll back, one at a time
//! works on the client, and who has lost it touches nothing.

use std::fmt::Write as _;
use std::sync::Arc;

use nimshift::base::Millis;
use nimshift::domain::{Lease, MigrationSpec, Options, Task};
use nimshift::journal::{Reader, RequestKind};
use nimshift::lab::{CopyExpected, Stage};

use super::world::{CLIENT, Flavour, MASTER, World, assert_same, is_soak, virtual_time};

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    One,
    Two,
}

use Who::{One, Two};

impl Who {
    fn scope(self) -> &'static str {
        match self {
            One => "one",
            Two => "two",
        }
    }
}

/// What is done by one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// A migration that takes the lease over, killed at this entry.
    TakeAndDie(u64),
    /// The same, to its end.
    Take,
    CleanupByForce,
    Resume,
    Rollback,
}

/// What follows the death of the first in the midst of its migration.
const DEEDS: [(Who, What); 8] = [
    (Two, What::CleanupByForce),
    (Two, What::Take),
    (Two, What::TakeAndDie(20)),
    (Two, What::Resume),
    (Two, What::Rollback),
    (One, What::Resume),
    (One, What::Rollback),
    (One, What::CleanupByForce),
];

fn spec(task: Option<Task>) -> MigrationSpec {
    let spec = Flavour::Plain.spec();
    let force = task.is_some();
    MigrationSpec {
        task: task.unwrap_or(spec.task),
        dead_lease_after_ms: Some(0),
        options: Options { force, reboot: false, ..spec.options },
        ..spec
    }
}

struct Night {
    one: World,
    two: World,
    story: String,
    /// Whether the last that each was asked for is a cleanup.
    cleans: [bool; 2],
}

impl Night {
    /// The first has died after so many entries of its migration; none where it came
    /// to rest before.
    async fn after(entries: u64) -> Option<Night> {
        let one = World::of(&Flavour::Plain.estate(), spec(None));
        let night = Night {
            two: one.beside(),
            one,
            story: format!("dead at entry {entries}"),
            cleans: [false; 2],
        };
        let performer =
            Arc::new(night.one.performer_of(One.scope(), Arc::new(night.one.lab.clone())));
        night.one.live_so_long(entries, performer).await.then_some(night)
    }

    fn world(&self, who: Who) -> &World {
        match who {
            One => &self.one,
            Two => &self.two,
        }
    }

    fn image(&self) -> serde_json::Value {
        self.one.lab.image().expect("an image")
    }

    fn now_ms(&self) -> Millis {
        self.one.clock.now_ms()
    }

    fn holder(&self) -> Option<String> {
        let words = ["ls", "-l", "/var/adm/nimshift/lease"].map(str::to_owned);
        let said = self.one.lab.exec_words(CLIENT, &words).ok()?.stdout;
        let lease = Lease::read(said.split(" -> ").nth(1)?.trim());
        lease.owner.split('.').next().map(str::to_owned)
    }

    /// Whether its last order is not at its end; none where it has none.
    fn is_under_way(&self, who: Who) -> Option<bool> {
        let reader = Reader::open(self.world(who).dir()).ok()?;
        let last = reader.migrations(None).expect("migrations").last()?.state.clone();
        Some(!last.is_terminal())
    }

    fn has_finished(&self, who: Who) -> bool {
        let reader = Reader::open(self.world(who).dir());
        let last = reader.ok().and_then(|reader| reader.migrations(None).expect("some").pop());
        !self.cleans[usize::from(who == Two)]
            && last.is_some_and(|last| last.state.name() == "migrated")
    }

    /// Whether it makes sense: a command would not refuse it before it begins.
    fn makes_sense(&self, who: Who, what: What) -> bool {
        let other = if who == One { Two } else { One };
        match what {
            // A finished copy is removed by nobody's mistake, but by order.
            What::CleanupByForce => {
                self.is_under_way(who) != Some(true)
                    && !self.has_finished(other)
                    && !self.has_finished(who)
            }
            What::Take | What::TakeAndDie(_) => self.is_under_way(who) != Some(true),
            What::Resume => self.is_under_way(who) == Some(true),
            What::Rollback => self.is_under_way(who) == Some(true) || self.has_finished(who),
        }
    }

    async fn does(&mut self, who: Who, what: What) {
        if !self.makes_sense(who, what) {
            return;
        }
        write!(self.story, "; {who:?} {what:?}").expect("room");
        let (before, holder, begun_ms) = (self.image(), self.holder(), self.now_ms());
        let had_finished = self.has_finished(who);
        let other_has = holder.as_deref().is_some_and(|scope| scope != who.scope());
        if !matches!(what, What::Resume | What::Rollback) {
            self.cleans[usize::from(who == Two)] = what == What::CleanupByForce;
        }
        let world = self.world(who);
        let performer = Arc::new(world.performer_of(who.scope(), Arc::new(world.lab.clone())));
        match what {
            What::Take | What::TakeAndDie(_) => world.again(spec(None)),
            What::CleanupByForce => world.again(spec(Some(Task::Cleanup(None)))),
            What::Rollback => world.order_of_last(RequestKind::Rollback),
            What::Resume => {}
        }
        match what {
            What::TakeAndDie(entry) => drop(world.live_so_long(entry, performer).await),
            _ => drop(world.live(performer).await),
        }
        let takes = matches!(what, What::Take | What::TakeAndDie(_) | What::CleanupByForce);
        if !takes && (other_has || holder.is_none() && !had_finished) {
            // It may have had nothing to do; it must have done nothing.
            assert_same(&before, &self.image(), &self.story);
        }
        self.assert_one_stream(begun_ms);
    }

    /// Once one has changed the copy, the other changes nothing beside it.
    fn assert_one_stream(&self, begun_ms: Millis) {
        let log = self.one.lab.log().expect("a log");
        let changes = |line: &str| {
            ["alt_disk_copy", "alt_rootvg_op", "bootlist -m normal hdisk", "restore ", "installp "]
                .iter()
                .any(|word| line.contains(word))
        };
        let mut at_work: Option<&str> = None;
        for entry in log.iter().filter(|entry| entry.at_ms >= begun_ms) {
            let Some(job) = entry.job.as_deref().filter(|_| changes(&entry.line)) else { continue };
            let scope = job.split('.').next().unwrap_or_default();
            if entry.stage == Stage::Started {
                let by = at_work.get_or_insert(scope);
                assert_eq!(*by, scope, "{}: {} beside it", self.story, entry.line);
            }
        }
    }
}

fn orders(length: usize) -> Vec<Vec<(Who, What)>> {
    let mut all = vec![Vec::new()];
    for _ in 0..length {
        all = all
            .into_iter()
            .flat_map(|order| {
                DEEDS.into_iter().map(move |deed| {
                    let mut longer = order.clone();
                    longer.push(deed);
                    longer
                })
            })
            .collect();
    }
    all
}

#[test]
fn whatever_the_order_one_works_on_the_client_at_a_time() {
    let (length, deaths) = if is_soak() { (4, 6..40) } else { (3, 6..40) };
    // Behind the lease and the baseline, and up to the end.
    for (index, entries) in deaths.step_by(if is_soak() { 3 } else { 11 }).enumerate() {
        for (at, order) in orders(length).into_iter().enumerate() {
            // Beside a soak, each death meets every third order, another third each.
            if !is_soak() && at % 3 != index % 3 {
                continue;
            }
            virtual_time(async || {
                let Some(mut night) = Night::after(entries).await else { return };
                for (who, what) in order {
                    night.does(who, what).await;
                }
                for who in [One, Two] {
                    if night.is_under_way(who).is_some() {
                        night.world(who).assert_replays(&night.story);
                    }
                }
            });
        }
    }
}

#[test]
fn who_comes_back_after_a_cleanup_and_another_migration_touches_nothing() {
    // At every entry of the first's migration behind its lease.
    for entries in 6..46 {
        virtual_time(async || {
            let Some(mut night) = Night::after(entries).await else { return };
            if night.has_finished(One) {
                return;
            }
            night.does(Two, What::CleanupByForce).await;
            assert_eq!(night.two.state(), "migrated", "{}: {}", night.story, night.two.story());
            night.does(Two, What::Take).await;
            assert_eq!(night.two.state(), "migrated", "{}: {}", night.story, night.two.story());
            let finished = night.image();
            night.does(One, What::Resume).await;
            assert_same(&finished, &night.image(), &night.story);
            night.does(One, What::Rollback).await;
            assert_same(&finished, &night.image(), &night.story);
        });
    }
}

/// A migration of the client's disks has its lease on the client, one to a mksysb on
/// the master. Both work in one directory of the master.
#[test]
fn disks_and_a_mksysb_of_one_client_are_not_worked_on_beside_each_other() {
    const PAIRS: [(Flavour, Flavour); 6] = [
        (Flavour::Plain, Flavour::ClientToMksysb),
        (Flavour::Cached, Flavour::NimadmClientToMksysb),
        (Flavour::NimadmPlain, Flavour::ClientToMksysb),
        (Flavour::ClientToMksysb, Flavour::Plain),
        (Flavour::ClientToMksysb, Flavour::MksysbToClient),
        (Flavour::NimadmClientToMksysb, Flavour::NimadmPlain),
    ];
    for (first, second) in PAIRS {
        for entries in (4..60).step_by(if is_soak() { 1 } else { 7 }) {
            virtual_time(async || {
                let what = format!("{second:?} beside {first:?}, dead at entry {entries}");
                let performer = |world: &World, who: Who| {
                    Arc::new(world.performer_of(who.scope(), Arc::new(world.lab.clone())))
                };
                let one = World::of(&first.estate(), asleep(first));
                let lives = one.live_so_long(entries, performer(&one, One)).await;
                if !lives || !is_leased(&one) {
                    return;
                }
                let two = one.beside();
                two.again(asleep(second));
                two.live(performer(&two, Two)).await;
                let state = two.state();
                assert!(["refused", "rolled_back"].contains(&state), "{what}: {}", two.story());
                one.live(performer(&one, One)).await;
                assert_eq!(one.state(), "migrated", "{what}: {}", one.story());
                let mut expected = first.expected();
                if expected.copy == CopyExpected::Running {
                    expected.copy = CopyExpected::Asleep;
                }
                let violations = one.lab.check(&[expected]).expect("a check");
                assert!(violations.is_empty(), "{what}: {violations:?}");
                let log = one.lab.log().expect("a log");
                let touches = |line: &str| ["_alt", "alt_"].iter().any(|part| line.contains(part));
                let mut theirs = log.iter().filter(|entry| {
                    entry.job.as_deref().is_some_and(|job| job.starts_with(Two.scope()))
                });
                let found = theirs.find(|entry| touches(&entry.line));
                assert!(found.is_none(), "{what}: {found:?}");
            });
        }
    }
}

/// Nothing is rebooted.
fn asleep(flavour: Flavour) -> MigrationSpec {
    let spec = flavour.spec();
    MigrationSpec { options: Options { reboot: false, ..spec.options }, ..spec }
}

/// Whether a migration holds either lease.
fn is_leased(world: &World) -> bool {
    let lease = |host: &str, path: &str| {
        let words = ["ls", "-l", path].map(str::to_owned);
        world.lab.exec_words(host, &words).is_ok_and(|said| said.status == 0)
    };
    lease(CLIENT, "/var/adm/nimshift/lease") || lease(MASTER, "/var/adm/nimshift-lpar01/lease")
}

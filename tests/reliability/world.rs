//! One client, a lab in memory under a virtual clock, and lives of an engine
//! over one journal.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex};

use nimshift::base::{ClockRef, TokioClock};
use nimshift::domain::{
    self, Aim, BootFailure, Control, Driver, Facts, MigrationId, MigrationSpec, Mode, NimName,
    Options, Phase, RetryPolicy, SoftwareSync, Target, Task, TaskKind,
};
use nimshift::engine::{
    Delays, Ended, Engine, EngineLimits, Observer, OperatorRequest, Performer, RequestSource,
    SlotView, StepPerformer, stop_handle,
};
use nimshift::journal::{
    Journal, JournalError, Loaded, NewBatch, NewMigration, NewRequest, OpenOptions, Reader,
    RequestKind, Requests, verify,
};
use nimshift::lab::{
    BootsFrom, CopyExpected, EstateFile, Expectation, FileResourceSpec, Lab, MksysbSpec,
    PlainClient, PlainMaster,
};
use nimshift::machine::{Blueprint, Operator, State};
use nimshift::phases::{EvidenceSink, StepDef, plan_steps, registry};
use nimshift::transport::Transport;
use tokio::sync::Notify;

pub(crate) use super::same::assert_same;

use super::faulty::Dies;

pub(crate) const CLIENT: &str = "lpar01";
pub(crate) const MASTER: &str = "nim1";
const TARGET: &str = "7300-02-01-2346";
const UPDATED: &str = "7300-03-00-2446";
const IMAGE_DATA: &str = include_str!("../../fixtures/image.data");
/// 2026-03-02T20:00:00Z
pub(crate) const EVENING_MS: u64 = 1_772_481_600_000;

/// A kind of migration that the registry is walked through for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    Plain,
    Cached,
    Update,
    /// With an exclude list, image.data, bosinst.data and mount options.
    Shaped,
    ClientToMksysb,
    MksysbToMksysb,
    MksysbToClient,
    /// By nimadm, which cleans up when a phase fails.
    NimadmPlain,
    /// By nimadm, which leaves all as it is then.
    NimadmCached,
    NimadmUpdate,
    NimadmShaped,
    NimadmClientToMksysb,
    NimadmMksysbToMksysb,
    NimadmMksysbToClient,
    /// Phases 4 to 12, after others have done those before.
    Part,
    /// The lease of another, which is no more, is taken over.
    TakenOver,
    Cleanup,
    Wake,
    Sleep,
    Sync,
}

use Flavour::{
    Cached, ClientToMksysb, MksysbToClient, MksysbToMksysb, NimadmCached, NimadmClientToMksysb,
    NimadmMksysbToClient, NimadmMksysbToMksysb, NimadmPlain, NimadmShaped, NimadmUpdate, Plain,
    Shaped, Update,
};

pub(crate) const FLAVOURS: [Flavour; 20] = [
    Plain,
    Cached,
    Update,
    Shaped,
    ClientToMksysb,
    MksysbToMksysb,
    MksysbToClient,
    NimadmPlain,
    NimadmCached,
    NimadmUpdate,
    NimadmShaped,
    NimadmClientToMksysb,
    NimadmMksysbToMksysb,
    NimadmMksysbToClient,
    Flavour::Part,
    Flavour::TakenOver,
    Flavour::Cleanup,
    Flavour::Wake,
    Flavour::Sleep,
    Flavour::Sync,
];

/// All flavours; or those whose name begins as `NIMSHIFT_FLAVOURS` says, while one
/// works on them.
pub(crate) fn flavours() -> impl Iterator<Item = Flavour> {
    let wanted = std::env::var("NIMSHIFT_FLAVOURS").unwrap_or_default();
    FLAVOURS.into_iter().filter(move |flavour| format!("{flavour:?}").starts_with(&wanted))
}

/// Whether every point of every flavour is tried.
pub(crate) fn is_soak() -> bool {
    std::env::var_os("NIMSHIFT_SOAK").is_some()
}

impl Flavour {
    /// Of so many points one is tried. The steps of nimadm are the same in all
    /// modes, and so are their probes and undos but for a few: beside a
    /// plain disk migration every fourth is tried, in each mode another.
    pub(crate) fn sample<T>(self, points: impl IntoIterator<Item = T>) -> Vec<T> {
        let sampled = self.driver() == Driver::Nimadm && self != NimadmPlain && !is_soak();
        let first = FLAVOURS.iter().position(|flavour| *flavour == self).unwrap_or(0);
        let stride = if sampled { 4 } else { 1 };
        points.into_iter().skip(first % stride).step_by(stride).collect()
    }

    /// With scripts and a reboot, so that every step of the registry is in one
    /// of the flavours.
    pub(crate) fn spec(self) -> MigrationSpec {
        let mode = self.mode();
        let given = |is: bool, text: &str| is.then(|| name(text));
        let shaped = matches!(self, Shaped | NimadmShaped);
        let disks = if mode.changes_client() { vec!["hdisk1"] } else { Vec::new() };
        let target = Target {
            spot: name("spot_7300_02"),
            lpp_source: name("lpp_7300_02"),
            level: self.target().parse().expect("a level"),
        };
        let retry = RetryPolicy {
            attempts: 4,
            delay_ms: 30_000,
            delay_max_ms: 300_000,
            jitter_percent: 20,
        };
        let master = MASTER.parse().expect("a host name");
        let Target { spot, lpp_source, .. } = target.clone();
        let aim = Aim { mode, driver: self.driver(), target };
        let task = match self {
            Flavour::Cleanup => Task::Cleanup(None),
            Flavour::Wake => Task::Wake(None),
            Flavour::Sleep => Task::Sleep(None),
            Flavour::Sync => {
                Task::Sync(SoftwareSync { spot, lpp_source, device: None, preview: false })
            }
            _ => Task::Migrate(aim),
        };
        MigrationSpec {
            options: Options {
                disks: disks.iter().map(|disk| disk.parse().expect("a disk")).collect(),
                cache_vg: (matches!(self, Cached | NimadmCached) || mode != Mode::Disk)
                    .then(|| "nimadmvg".parse().expect("a VG")),
                pre_script: Some(name("before")),
                post_script: Some(name("after")),
                exclude_files: given(shaped || mode == Mode::ClientToMksysb, "no_oper"),
                image_data: given(shaped, "image"),
                bosinst_data: given(shaped || mode == Mode::MksysbToMksysb, "bosinst"),
                mount_options: shaped.then(|| "rsize=65536".to_owned()),
                accept_licenses: true,
                update: self.updates(),
                reboot: mode.changes_client(),
                phases: (self == Flavour::Part).then(|| Phase::ALL[3..].to_vec()),
                mksysb: given(mode.reads_mksysb(), "old_mksysb"),
                output: mode.writes_mksysb().then(|| "/export/nim/mksysb/new".to_owned()),
                new_mksysb: given(mode.writes_mksysb(), "new_mksysb"),
                ..Options::default()
            },
            on_boot_failure: BootFailure::Backout,
            reboot_timeout_ms: 2_700_000,
            dead_lease_after_ms: (self == Flavour::TakenOver).then_some(0),
            ..MigrationSpec::plain(name(CLIENT), master, task, retry)
        }
    }

    fn mode(self) -> Mode {
        match self {
            ClientToMksysb | NimadmClientToMksysb => Mode::ClientToMksysb,
            MksysbToMksysb | NimadmMksysbToMksysb | Flavour::Sync => Mode::MksysbToMksysb,
            MksysbToClient | NimadmMksysbToClient => Mode::MksysbToClient,
            _ => Mode::Disk,
        }
    }

    /// What carries it out.
    pub(crate) fn driver(self) -> Driver {
        match self {
            NimadmPlain | NimadmCached | NimadmUpdate | NimadmShaped | NimadmClientToMksysb
            | NimadmMksysbToMksysb | NimadmMksysbToClient => Driver::Nimadm,
            _ => Driver::Native,
        }
    }

    fn updates(self) -> bool {
        matches!(self, Update | NimadmUpdate)
    }

    /// What is to be of the client in the end.
    pub(crate) fn expected(self) -> Expectation {
        if !self.mode().changes_client() || self == Flavour::Cleanup {
            return Expectation::untouched(CLIENT);
        }
        if let Flavour::Wake | Flavour::Sleep = self {
            let asleep =
                Expectation { copy: CopyExpected::Asleep, ..Expectation::untouched(CLIENT) };
            return Expectation { settled: self == Flavour::Sleep, ..asleep };
        }
        Expectation {
            client: CLIENT.to_owned(),
            settled: true,
            copy: CopyExpected::Running,
            boots_from: BootsFrom::Disks(vec!["hdisk1".to_owned()]),
        }
    }

    /// Whether it is an operation that is taken back by nothing: where it fails,
    /// it is ordered again.
    pub(crate) fn only_goes_on(self) -> bool {
        matches!(self, Flavour::Cleanup | Flavour::Sleep | Flavour::Sync)
    }

    /// Whether its boundaries are all tried: few, or the core of it all.
    pub(crate) fn is_tried_whole(self) -> bool {
        matches!(self, Flavour::Plain | Flavour::Cached | Flavour::Wake) || self.only_goes_on()
    }

    /// What has been done by hand before it begins.
    fn before(self) -> Vec<(&'static str, String)> {
        let client = |line: &str| (CLIENT, line.to_owned());
        let master = |line: &str| (MASTER, line.to_owned());
        let awake = [
            client("mkdir -p /ALT_MIG_SPOT"),
            client("mount -o ro nim1:/export/nim/spot_7300_02/usr /ALT_MIG_SPOT"),
            client("/ALT_MIG_SPOT/sbin/alt_disk_copy -M 7.3 -P1 -d hdisk1"),
        ];
        let asleep = [client("alt_disk_copy -B -d hdisk1")];
        let woken = [client("alt_rootvg_op -W -d hdisk1")];
        let offered = ["", "/home", "/opt", "/tmp", "/usr", "/var"].into_iter().flat_map(|fs| {
            [
                client(&format!("exportfs -i -o rw=nim1,root=nim1,access=nim1 /alt_inst{fs}")),
                master(&format!("mkdir -p /lpar01_alt/alt_inst{fs}")),
                master(&format!("mount lpar01:/alt_inst{fs} /lpar01_alt/alt_inst{fs}")),
            ]
        });
        let mess = [
            client("mknfsexp -d /alt_inst/mnt -t rw -r nim1 -I"),
            client("bootlist -m normal hdisk1"),
            client("mkdir -p /var/adm/nimshift"),
            client("ln -s test.m77 /var/adm/nimshift/lease"),
            master("crfs -v jfs2 -g nimadmvg -m /lpar01_alt/cache -a size=512M -A no"),
            master("mkdir -p /var/adm/nimshift-lpar01"),
            master("nim -Fo change -a locked=4711 lpar01"),
        ];
        match self {
            Flavour::Part => awake.into_iter().chain(offered).collect(),
            Flavour::Cleanup => awake.into_iter().chain(offered).chain(mess).collect(),
            Flavour::TakenOver => {
                vec![client("mkdir -p /var/adm/nimshift"), client(&leased(DEAD_LEASE))]
            }
            Flavour::Wake => asleep.to_vec(),
            Flavour::Sleep => asleep.into_iter().chain(woken).chain(offered).collect(),
            _ => Vec::new(),
        }
    }

    fn target(self) -> &'static str {
        if self.updates() { UPDATED } else { TARGET }
    }

    /// Its hosts.
    pub(crate) fn estate(self) -> EstateFile {
        let level = if self.updates() { TARGET } else { "7200-05-03-2148" };
        let mut estate = estate(self.target(), level);
        estate.master.nimadm_keeps = matches!(self, NimadmCached | NimadmMksysbToClient);
        if self == Flavour::Sync {
            // Newer than what master and SPOT have.
            "7300-02-02-2420".clone_into(&mut estate.lpp_source[0].level);
        }
        estate
    }

    /// The steps of the registry that this flavour has.
    pub(crate) fn steps(self) -> Vec<&'static StepDef> {
        let spec = self.spec();
        registry().iter().filter(|def| def.is_in(&spec)).collect()
    }
}

/// The lease of a nimshift that is no more.
pub(crate) const DEAD_LEASE: &str =
    "s1.m7@control1,batch=overnight,epoch=3,since=2026-03-02T19:00:00Z";

/// Makes the client's lease say this.
pub(crate) fn leased(text: &str) -> String {
    format!("ln -s {text} /var/adm/nimshift/lease")
}

/// The same, for a cleanup: with what stands on the client's second disk known as a
/// copy that was made here.
pub(crate) fn as_made_here(lab: &Lab, spec: MigrationSpec) -> MigrationSpec {
    let words = ["getlvodm", "-j", "hdisk1"].map(str::to_owned);
    let id = lab.exec_words(CLIENT, &words).expect("a host");
    if spec.task.kind() != TaskKind::Cleanup || id.status != 0 {
        return spec;
    }
    let made = vec![id.stdout.trim().to_owned()];
    let part = domain::Part { made, ..domain::Part::of(MigrationId(1), Facts::default()) };
    MigrationSpec { part: Some(part), ..spec }
}

fn name(text: &str) -> NimName {
    text.parse().expect("a NIM name")
}

fn estate(target: &str, level: &str) -> EstateFile {
    let text = |text: &str| text.to_owned();
    let master = PlainMaster::new(MASTER, target, "spot_7300_02", "lpp_7300_02")
        .with(&["nimadmvg"], &["before", "after"]);
    let client = PlainClient::new(CLIENT, level, &["hdisk1"]);
    let mut estate = EstateFile::from_clients(&master, &[client]);
    let resource = |name: &str, kind: &str, content: &str| FileResourceSpec {
        name: text(name),
        kind: text(kind),
        location: None,
        content: text(content),
    };
    estate.file_resource = vec![
        resource("no_oper", "exclude_files", "^./home/oper/\n"),
        resource("image", "image_data", IMAGE_DATA),
        resource("bosinst", "bosinst_data", "control_flow:\n    PROMPT = no\n"),
    ];
    estate.mksysb = vec![MksysbSpec {
        name: text("old_mksysb"),
        level: text(level),
        host: text("lpar9"),
        location: None,
        data_mb: BTreeMap::new(),
    }];
    estate
}

/// Runs `test` under a clock that jumps to the next timer.
pub(crate) fn virtual_time<F: Future>(test: impl FnOnce() -> F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(async { test().await })
}

/// Evidence is counted, and its content forgotten.
#[derive(Default)]
pub(crate) struct Evidence(Mutex<usize>);

impl EvidenceSink for Evidence {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<String, String> {
        *self.0.lock().expect("no panic") += 1;
        Ok(format!("{name}-{}", bytes.len()))
    }
}

pub(crate) struct World {
    pub(crate) lab: Lab,
    pub(crate) clock: ClockRef,
    /// The same: the engine's machine's clock, which can be set. The lab has its own.
    pub(crate) set: TokioClock,
    /// Before anything was done.
    pub(crate) first_image: serde_json::Value,
    /// When what is tested began.
    pub(crate) begun_image: serde_json::Value,
    pub(crate) options: OpenOptions,
    dir: tempfile::TempDir,
    is_ordered: Cell<bool>,
    is_of_last: Cell<bool>,
}

impl World {
    /// An estate, and a journal with one migration that has not begun.
    pub(crate) fn new(flavour: Flavour) -> World {
        let options = OpenOptions::new("test", 1, EVENING_MS);
        World::with(&flavour.estate(), flavour.spec(), &flavour.before(), options)
    }

    pub(crate) fn of(estate: &EstateFile, spec: MigrationSpec) -> World {
        World::with(estate, spec, &[], OpenOptions::new("test", 1, EVENING_MS))
    }

    /// As [`World::new`], with the journal on the SQLite VFS `vfs`.
    pub(crate) fn on_vfs(flavour: Flavour, vfs: &str) -> World {
        let mut options = OpenOptions::new("test", 1, EVENING_MS);
        options.vfs = Some(vfs.to_owned());
        // The lock knows files, and not what a VFS has.
        options.lock = false;
        World::with(&flavour.estate(), flavour.spec(), &flavour.before(), options)
    }

    fn with(
        estate: &EstateFile,
        spec: MigrationSpec,
        before: &[(&str, String)],
        options: OpenOptions,
    ) -> World {
        let set = TokioClock::starting_at(EVENING_MS);
        let clock: ClockRef = Arc::new(set.clone());
        let its_own = Arc::new(TokioClock::starting_at(EVENING_MS));
        let lab = Lab::in_memory(estate, its_own).expect("an estate");
        let first_image = lab.image().expect("an image");
        for (host, line) in before {
            by_hand(&lab, host, line);
        }
        let spec = if before.is_empty() { spec } else { as_made_here(&lab, spec) };
        let begun_image = lab.image().expect("an image");
        let dir = tempfile::tempdir().expect("a folder");
        let world = World {
            begun_image,
            lab,
            clock,
            set,
            first_image,
            options,
            dir,
            is_ordered: Cell::new(false),
            is_of_last: Cell::new(false),
        };
        let (journal, _) = Journal::open(world.dir(), &world.options).expect("a journal");
        create(&journal, spec);
        journal.close().expect("a clean end");
        world
    }

    /// Another state directory for the same estate, with nothing in it yet.
    pub(crate) fn beside(&self) -> World {
        let dir = tempfile::tempdir().expect("a folder");
        let options = OpenOptions::new("test", 1, EVENING_MS);
        let image = self.lab.image().expect("an image");
        World {
            lab: self.lab.clone(),
            clock: Arc::clone(&self.clock),
            set: self.set.clone(),
            first_image: image.clone(),
            begun_image: image,
            options,
            dir,
            is_ordered: Cell::new(false),
            is_of_last: Cell::new(false),
        }
    }

    /// Journals what is asked for once more.
    pub(crate) fn again(&self, spec: MigrationSpec) {
        let (journal, _) = Journal::open(self.dir(), &self.options).expect("a journal");
        create(&journal, as_made_here(&self.lab, spec));
        journal.close().expect("a clean end");
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What makes attempts here, over `transport`.
    pub(crate) fn performer(&self, transport: Arc<dyn Transport>) -> StepPerformer {
        self.performer_of("test", transport)
    }

    /// As [`World::performer`], for the journal of `scope`.
    pub(crate) fn performer_of(&self, scope: &str, transport: Arc<dyn Transport>) -> StepPerformer {
        StepPerformer {
            transport,
            clock: Arc::clone(&self.clock),
            evidence: Arc::new(Evidence::default()),
            scope: scope.to_owned(),
            control: Control {
                host: "here".to_owned(),
                batch: String::new(),
                epoch: 1,
                ..Control::default()
            },
            batches: Arc::default(),
        }
    }

    /// What makes attempts here, with nothing in between.
    pub(crate) fn plain_performer(&self) -> StepPerformer {
        self.performer(Arc::new(self.lab.clone()))
    }

    /// One life of an engine, to its end.
    pub(crate) async fn live(&self, performer: Arc<dyn Performer>) -> Ended {
        let (journal, loaded) = Journal::open(self.dir(), &self.options).expect("the journal");
        let ended = self.live_on(&journal, loaded, performer, &mut ()).await;
        journal.close().expect("a clean end");
        ended
    }

    /// One life over a journal that may fail at any time.
    pub(crate) async fn live_or_fail(&self, performer: Arc<dyn Performer>) {
        if let Ok((journal, loaded)) = Journal::open(self.dir(), &self.options) {
            self.live_on(&journal, loaded, performer, &mut ()).await;
            // It cannot be closed cleanly without power.
            let _ = journal.close();
        }
    }

    /// One life of an engine over a journal that is open.
    pub(crate) async fn live_on(
        &self,
        journal: &Journal,
        loaded: Vec<Loaded>,
        performer: Arc<dyn Performer>,
        observer: &mut dyn Observer,
    ) -> Ended {
        let (_handle, stop) = stop_handle();
        let mut requests = Posted(Some(self.dir().to_owned()), self.is_of_last.get());
        let engine = Engine {
            journal,
            acks: journal.acks().expect("taken once"),
            performer,
            clock: Arc::clone(&self.clock),
            observer,
            requests: self.is_ordered.get().then_some(&mut requests as &mut dyn RequestSource),
            stop,
        };
        engine.run(loaded, &EngineLimits::of_migrations(10), Delays::seeded(1)).await
    }

    /// One life that ends when `dies` says so.
    pub(crate) async fn live_until_dead(&self, dies: &Arc<Dies>) {
        let (journal, loaded) = Journal::open(self.dir(), &self.options).expect("the journal");
        let performer = Arc::new(self.performer(dies.clone()));
        let mut nobody = ();
        tokio::select! {
            biased;
            () = dies.around.dead.notified() => {}
            ended = self.live_on(&journal, loaded, performer, &mut nobody) => {
                panic!("the engine outlived its death: {ended:?}")
            }
        }
    }

    /// One life that ends as soon as entry `entry` is stored.
    pub(crate) async fn live_until_entry(&self, entry: u64) {
        let lasts = self.live_so_long(entry, Arc::new(self.plain_performer())).await;
        assert!(lasts, "the engine outlived entry {entry}");
    }

    /// As [`World::live_until_entry`], with `performer`. False where the engine came
    /// to rest before.
    pub(crate) async fn live_so_long(&self, entry: u64, performer: Arc<dyn Performer>) -> bool {
        let (journal, loaded) = Journal::open(self.dir(), &self.options).expect("the journal");
        let dead = Arc::new(Notify::new());
        let mut counts = Counts { left: entry, dead: dead.clone() };
        tokio::select! {
            biased;
            () = dead.notified() => true,
            _ = self.live_on(&journal, loaded, performer, &mut counts) => false,
        }
    }

    /// Posts an order to the running engine next.
    pub(crate) fn order(&self, kind: RequestKind) {
        let request = NewRequest {
            kind,
            client: Some(CLIENT.to_owned()),
            migration: None,
            operator: "test".to_owned(),
            at_ms: self.clock.now_ms(),
        };
        Requests::post(self.dir(), &request).expect("a request");
        self.is_ordered.set(true);
    }

    /// The same, for the migration that was asked for last.
    pub(crate) fn order_of_last(&self, kind: RequestKind) {
        self.order(kind);
        self.is_of_last.set(true);
    }

    /// The name of the state that the journal has.
    pub(crate) fn state(&self) -> &'static str {
        let reader = Reader::open(self.dir()).expect("a journal");
        reader.migrations(None).expect("migrations").last().expect("one").state.name()
    }

    /// The events that failed, and the last attempts' records: for a message.
    pub(crate) fn story(&self) -> String {
        let reader = Reader::open(self.dir()).expect("a journal");
        let id = reader.migrations(None).expect("migrations").last().expect("one").id;
        let history = reader.history(id).expect("a history");
        let told = history.iter().rev().filter(|entry| {
            matches!(entry.event.kind, nimshift::machine::EventKind::Failed { .. })
        });
        format!("{:#?}", told.take(2).collect::<Vec<_>>())
    }

    /// All that the journal keeps of the migration.
    pub(crate) fn journal_text(&self) -> String {
        let reader = Reader::open(self.dir()).expect("a journal");
        let id = reader.migrations(None).expect("migrations")[0].id;
        format!("{:?}", reader.history(id).expect("a history"))
    }

    /// Why the latest failure was one, or nothing.
    pub(crate) fn last_cause(&self) -> String {
        let reader = Reader::open(self.dir()).expect("a journal");
        let state = reader.migrations(None).expect("migrations")[0].state.clone();
        format!("{state:?}")
    }

    pub(crate) fn entries(&self) -> u64 {
        let reader = Reader::open(self.dir()).expect("a journal");
        reader.migrations(None).expect("migrations")[0].seq
    }

    /// A replay of the journal gives what is stored.
    pub(crate) fn assert_replays(&self, what: &str) {
        if let Err(differences) = verify(self.dir()) {
            panic!("{what}: {differences:?}");
        }
    }

    /// The estate is as it was at first.
    pub(crate) fn assert_untouched(&self, what: &str) {
        assert_same(&self.first_image, &self.lab.image().expect("an image"), what);
    }
}

/// What an administrator does on a host, which must go well.
pub(crate) fn by_hand(lab: &Lab, host: &str, line: &str) {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let output = lab.exec_words(host, &words).expect("a host");
    assert_eq!(output.status, 0, "{host}: {line}: {}{}", output.stdout, output.stderr);
}

/// Journals a batch of one migration.
pub(crate) fn create(journal: &Journal, spec: MigrationSpec) {
    let batch = NewBatch {
        name: "test".to_owned(),
        digest: "0".to_owned(),
        plan_text: String::new(),
        created_ms: EVENING_MS,
        operator: "test".to_owned(),
        estate: serde_json::Value::Null,
    };
    let plan = plan_steps(&spec);
    let blueprint = Blueprint::new(&spec, plan.steps).expect("a blueprint");
    let migration = NewMigration {
        client: spec.client.clone(),
        number: 1,
        spec: Arc::new(spec),
        blueprint: Arc::new(blueprint),
        skipped_phases: plan.skipped,
    };
    journal.create_batch(&batch, vec![migration]).expect("a batch");
}

/// Says when so many entries are stored.
struct Counts {
    left: u64,
    dead: Arc<Notify>,
}

impl Observer for Counts {
    fn moved(&mut self, _now_ms: u64, _view: SlotView<'_>, _from: &State) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.dead.notify_one();
        }
    }
}

/// The requests that were posted before the engine started: under a virtual
/// clock a night has a hundred thousand looks.
/// They are for the first migration, or for the last.
struct Posted(Option<std::path::PathBuf>, bool);

impl RequestSource for Posted {
    fn take(&mut self) -> Result<Vec<OperatorRequest>, JournalError> {
        let Some(dir) = self.0.take() else {
            return Ok(Vec::new());
        };
        let reader = Reader::open(&dir)?;
        let all = reader.migrations(None)?;
        let migration = if self.1 { all.last() } else { all.first() }.expect("one").id;
        let requests = reader.pending_requests()?;
        Ok(requests
            .into_iter()
            .map(|request| OperatorRequest {
                id: request.id,
                kind: request.kind,
                migration,
                by: Operator(request.operator),
            })
            .collect())
    }
}

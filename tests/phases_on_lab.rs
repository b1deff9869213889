//! The native driver's steps against the lab, one after the other, without
//! machine and engine.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use nimshift::base::{ClockRef, TokioClock};
use nimshift::domain::{
    Aim, Answer, Control, CopyPolicy, Direction, Driver, Facts, FailureClass, MigrationId,
    MigrationSpec, Mode, Options, Outcome, Repeat, Residue, RetryPolicy, StepSpec, Target, Task,
    Ticket, UndoKind, Way,
};
use nimshift::lab::{
    BootsFrom, CopyExpected, DiskSpec, EstateFile, Expectation, FaultKind, FaultSpec, Lab,
    PlainClient, PlainMaster, Stage,
};
use nimshift::phases::{Carrier, EvidenceSink, Order, perform, plan_steps};

const TARGET: &str = "7300-02-01-2346";

fn estate() -> EstateFile {
    let master =
        PlainMaster::new("nim1", TARGET, "spot73", "lpp73").with(&["cachevg"], &["pre", "post"]);
    let client = PlainClient::new("lpar7", "7200-05-03-2148", &["hdisk1", "hdisk2"]);
    EstateFile::from_clients(&master, &[client])
}

fn spec() -> MigrationSpec {
    let target = Target {
        spot: "spot73".parse().unwrap(),
        lpp_source: "lpp73".parse().unwrap(),
        level: TARGET.parse().unwrap(),
    };
    let retry = RetryPolicy { attempts: 5, delay_ms: 1000, delay_max_ms: 8000, jitter_percent: 0 };
    let options = Options {
        disks: vec!["hdisk1".parse().unwrap()],
        accept_licenses: true,
        ..Options::default()
    };
    let task = Task::Migrate(Aim { mode: Mode::Disk, driver: Driver::Native, target });
    let plain =
        MigrationSpec::plain("lpar7".parse().unwrap(), "nim1".parse().unwrap(), task, retry);
    MigrationSpec { options, reboot_timeout_ms: 3_600_000, ..plain }
}

fn by() -> Carrier {
    Carrier { scope: "test".into(), control: Control::default() }
}

fn cached() -> MigrationSpec {
    let mut spec = spec();
    spec.options.cache_vg = Some("cachevg".parse().unwrap());
    spec.options.disks.push("hdisk2".parse().unwrap());
    spec.options.pre_script = Some("pre".parse().unwrap());
    spec.options.post_script = Some("post".parse().unwrap());
    spec.options.reboot = true;
    spec
}

#[derive(Default)]
struct Sink(Mutex<Vec<(String, String)>>);

impl EvidenceSink for Sink {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<String, String> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        self.0.lock().unwrap().push((name.to_owned(), text));
        Ok(name.to_owned())
    }
}

/// One migration, driven by hand.
struct Night {
    lab: Lab,
    clock: ClockRef,
    sink: Sink,
    spec: Arc<MigrationSpec>,
    facts: Facts,
    /// The last forward ticket of each step that was tried.
    tried: Vec<(StepSpec, Ticket)>,
    round: u32,
}

impl Night {
    fn new(spec: MigrationSpec) -> Night {
        Night::on(&estate(), spec)
    }

    fn on(estate: &EstateFile, spec: MigrationSpec) -> Night {
        let clock: ClockRef = Arc::new(TokioClock::starting_at(1_780_000_000_000));
        let lab = Lab::in_memory(estate, clock.clone()).unwrap();
        let spec = Arc::new(spec);
        let (sink, facts) = (Sink::default(), Facts::default());
        Night { lab, clock, sink, spec, facts, tried: Vec::new(), round: 0 }
    }

    fn steps(&self) -> Vec<StepSpec> {
        plan_steps(&self.spec).steps
    }

    fn order(&self, ticket: Ticket, undo_of: Option<Ticket>) -> Order {
        Order {
            migration: MigrationId(1),
            ticket,
            spec: self.spec.clone(),
            facts: Arc::new(self.facts.clone()),
            undo_of,
            issued: false,
            since_ms: 0,
            interrupt: None,
        }
    }

    async fn attempt(&self, ticket: Ticket, undo_of: Option<Ticket>) -> Answer {
        let order = self.order(ticket, undo_of);
        perform(&self.lab, &self.clock, &self.sink, &by(), &order).await
    }

    fn ticket(step: &StepSpec, direction: Direction, round: u32, attempt: u32) -> Ticket {
        Ticket { phase: step.phase, step: step.step.clone(), direction, round, attempt }
    }

    /// Carries a step out as the machine would: transient failures are tried
    /// again, after an undo where that is asked for.
    async fn forward(&mut self, step: &StepSpec) -> Answer {
        for attempt in 1.. {
            let ticket = Night::ticket(step, Direction::Forward, self.round, attempt);
            self.tried.retain(|(known, _)| known.step != step.step);
            self.tried.push((step.clone(), ticket.clone()));
            let answer = self.attempt(ticket.clone(), None).await;
            if let Some(facts) = answer.facts.clone() {
                self.facts.absorb(facts);
            }
            let Outcome::Failed { cause, trace } = &answer.outcome else { return answer };
            if cause.class != FailureClass::Transient || attempt >= self.spec.retry.attempts {
                return answer;
            }
            if *trace == Residue::Left && step.repeat == Repeat::AfterUndo {
                self.undo(step, &ticket).await;
                self.round += 1;
            }
            if *trace == Residue::Left && step.repeat == Repeat::Never {
                return answer;
            }
            self.clock.sleep(Duration::from_secs(60)).await;
        }
        unreachable!()
    }

    async fn undo(&mut self, step: &StepSpec, forward: &Ticket) -> Answer {
        for attempt in 1.. {
            let ticket = Night::ticket(step, Direction::Undo, self.round, attempt);
            let answer = self.attempt(ticket, Some(forward.clone())).await;
            if let Some(facts) = answer.facts.clone() {
                self.facts.absorb(facts);
            }
            if answer.outcome == Outcome::Done || attempt > 5 {
                return answer;
            }
            self.clock.sleep(Duration::from_secs(60)).await;
        }
        unreachable!()
    }

    /// Takes everything back that was tried, the last first.
    async fn roll_back(&mut self) {
        let tried: Vec<_> = self.tried.iter().rev().cloned().collect();
        for (step, forward) in tried {
            if step.undo == UndoKind::Reverse {
                let answer = self.undo(&step, &forward).await;
                assert_eq!(answer.outcome, Outcome::Done, "undo {}: {answer:#?}", step.step);
            }
        }
    }

    async fn all_the_way(&mut self) {
        for step in self.steps() {
            let answer = self.forward(&step).await;
            assert_eq!(answer.outcome, Outcome::Done, "{}: {answer:#?}", step.step);
        }
    }

    /// As [`Night::all_the_way`], going back to a fresh clone where a step must
    /// not be repeated.
    async fn with_rewinds(&mut self) {
        let steps = self.steps();
        let clone = steps.iter().position(|step| step.repeat == Repeat::AfterUndo).unwrap();
        let mut at = 0;
        while let Some(step) = steps.get(at) {
            let answer = self.forward(step).await;
            if answer.outcome == Outcome::Done {
                at += 1;
                continue;
            }
            let passing = matches!(
                &answer.outcome,
                Outcome::Failed { cause, trace: Residue::Left }
                    if cause.class == FailureClass::Transient
            );
            assert!(passing && at > clone && self.round == 0, "{}: {answer:#?}", step.step);
            self.tried.retain(|(known, _)| steps[..clone].iter().all(|s| s.step != known.step));
            self.roll_back().await;
            self.round += 1;
            at = clone;
        }
    }

    async fn forget_jobs(&self) {
        use nimshift::transport::{HostId, Transport};
        for host in ["nim1", "lpar7"] {
            self.lab.forget(&HostId::new(host), "test.m1.").await.unwrap();
        }
    }

    fn violations(&self, copy: CopyExpected, boots_from: BootsFrom) -> Vec<String> {
        let expectation = Expectation { client: "lpar7".into(), settled: true, copy, boots_from };
        let violations = self.lab.check(&[expectation]).unwrap();
        violations.iter().map(ToString::to_string).collect()
    }

    fn sh(&self, host: &str, argv: &[&str]) -> String {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        let output = self.lab.exec_words(host, &argv).unwrap();
        assert_eq!(output.status, 0, "{argv:?}: {output:?}");
        output.stdout
    }
}

fn disks(names: &[&str]) -> BootsFrom {
    BootsFrom::Disks(names.iter().map(|name| (*name).to_owned()).collect())
}

#[tokio::test(start_paused = true)]
async fn a_plain_migration_arrives() {
    let mut night = Night::new(spec());
    let passwd = night.sh("lpar7", &["cat", "/etc/passwd"]);
    night.all_the_way().await;
    night.forget_jobs().await;
    assert_eq!(night.violations(CopyExpected::Asleep, disks(&["hdisk1"])), Vec::<String>::new());
    assert_eq!(night.sh("lpar7", &["oslevel", "-s"]).trim(), "7200-05-03-2148");
    assert_eq!(night.sh("lpar7", &["cat", "/etc/passwd"]), passwd);
    assert!(night.sh("lpar7", &["bootlist", "-m", "normal", "-o"]).starts_with("hdisk1 "));
}

#[tokio::test(start_paused = true)]
async fn a_cached_migration_with_scripts_and_reboot_arrives() {
    let mut night = Night::new(cached());
    let passwd = night.sh("lpar7", &["cat", "/etc/passwd"]);
    night.all_the_way().await;
    night.forget_jobs().await;
    assert_eq!(night.violations(CopyExpected::Running, disks(&["hdisk1"])), Vec::<String>::new());
    assert_eq!(night.sh("lpar7", &["oslevel", "-s"]).trim(), TARGET);
    assert_eq!(night.sh("lpar7", &["cat", "/etc/passwd"]), passwd);
    assert!(night.sh("lpar7", &["lspv"]).contains("old_rootvg"));
    assert_eq!(night.facts.level.as_ref().unwrap().as_str(), TARGET);
}

#[tokio::test(start_paused = true)]
async fn every_step_can_be_asked_for_again() {
    for spec in [spec(), cached()] {
        let mut night = Night::new(spec);
        for step in night.steps() {
            let first = night.forward(&step).await;
            assert_eq!(first.outcome, Outcome::Done, "{}: {first:#?}", step.step);
            let log = night.lab.log().unwrap();
            let jobs = |log: &[nimshift::lab::LogEntry]| {
                log.iter().filter(|entry| entry.job.is_some()).count()
            };
            for attempt in [1, 9] {
                let again = Night::ticket(&step, Direction::Forward, 0, attempt);
                let answer = night.attempt(again, None).await;
                assert_eq!(answer.outcome, Outcome::Done, "{}: {answer:#?}", step.step);
                assert_ne!(answer.record.way, Way::Ran, "{}", step.step);
            }
            assert_eq!(jobs(&night.lab.log().unwrap()), jobs(&log), "{} ran again", step.step);
        }
    }
}

/// As a crash does: the attempt is dropped, and the ticket is carried out anew.
#[tokio::test(start_paused = true)]
async fn a_step_that_is_cut_off_goes_on_and_is_started_once() {
    for spec in [spec(), cached()] {
        for cut_ms in [150, 2_000, 20_000] {
            let mut night = Night::new(spec.clone());
            for step in night.steps() {
                let ticket = Night::ticket(&step, Direction::Forward, 0, 1);
                let cut = Duration::from_millis(cut_ms);
                let _ = tokio::time::timeout(cut, night.attempt(ticket.clone(), None)).await;
                let answer = night.forward(&step).await;
                let name = &step.step;
                assert_eq!(answer.outcome, Outcome::Done, "{name} at {cut_ms}: {answer:#?}");
            }
            night.forget_jobs().await;
            let log = night.lab.log().unwrap();
            let mut started: Vec<(&String, &String)> = log
                .iter()
                .filter(|entry| entry.stage == Stage::Started)
                .filter_map(|entry| Some((entry.job.as_ref()?, &entry.line)))
                .collect();
            let count = started.len();
            assert!(count > 40, "{count} commands of jobs are in the log");
            started.sort_unstable();
            started.dedup();
            assert_eq!(started.len(), count, "a command ran twice for one ticket");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn from_every_step_the_way_back_ends_where_it_began() {
    for spec in [spec(), cached()] {
        let steps = plan_steps(&spec).steps;
        // Beyond the reboot, only a backout leads back.
        let before_reboot = steps.iter().take_while(|step| step.undo != UndoKind::Backout).count();
        for last in 0..before_reboot {
            let mut night = Night::new(spec.clone());
            let first = night.lab.digest().unwrap();
            let image = night.lab.image().unwrap();
            for step in &steps[..=last] {
                let answer = night.forward(step).await;
                assert_eq!(answer.outcome, Outcome::Done, "{}: {answer:#?}", step.step);
            }
            night.roll_back().await;
            night.roll_back().await;
            night.forget_jobs().await;
            let name = &steps[last].step;
            let none = Vec::<String>::new();
            assert_eq!(night.violations(CopyExpected::None, BootsFrom::Baseline), none, "{name}");
            if night.lab.digest().unwrap() != first {
                let now = night.lab.image().unwrap();
                panic!("{name}: {}", difference(&image, &now, ""));
            }
        }
    }
}

/// As a cancellation does: the attempt is given up while its job runs.
#[tokio::test(start_paused = true)]
async fn a_step_that_is_given_up_half_way_is_taken_back_wholly() {
    let mut given_up = 0;
    for spec in [spec(), cached()] {
        let steps = plan_steps(&spec).steps;
        let before_reboot = steps.iter().take_while(|step| step.undo != UndoKind::Backout).count();
        for (last, cut_ms) in (0..before_reboot).flat_map(|at| [(at, 300), (at, 12_000)]) {
            let mut night = Night::new(spec.clone());
            let first = night.lab.digest().unwrap();
            for step in &steps[..last] {
                assert_eq!(night.forward(step).await.outcome, Outcome::Done);
            }
            let step = &steps[last];
            let ticket = Night::ticket(step, Direction::Forward, 0, 1);
            night.tried.push((step.clone(), ticket.clone()));
            let (switch, interrupt) = tokio::sync::watch::channel(false);
            let order = Order { interrupt: Some(interrupt), ..night.order(ticket, None) };
            let clock = night.clock.clone();
            let by = by();
            let attempt = perform(&night.lab, &night.clock, &night.sink, &by, &order);
            let (answer, ()) = tokio::join!(attempt, async {
                clock.sleep(Duration::from_millis(cut_ms)).await;
                switch.send_replace(true);
            });
            if answer.outcome != Outcome::Done {
                given_up += 1;
            }
            night.roll_back().await;
            night.forget_jobs().await;
            if night.lab.digest().unwrap() != first {
                let image = Night::new(spec.clone()).lab.image().unwrap();
                let now = night.lab.image().unwrap();
                panic!("{} at {cut_ms}: {}", step.step, difference(&image, &now, ""));
            }
        }
    }
    assert!(given_up > 20, "only {given_up} attempts were given up half way");
}

/// The first places in which two images differ.
fn difference(a: &serde_json::Value, b: &serde_json::Value, at: &str) -> String {
    use serde_json::Value::Object;
    match (a, b) {
        (Object(x), Object(y)) => {
            let keys: std::collections::BTreeSet<&String> = x.keys().chain(y.keys()).collect();
            let null = serde_json::Value::Null;
            keys.into_iter()
                .map(|key| {
                    let (x, y) = (x.get(key).unwrap_or(&null), y.get(key).unwrap_or(&null));
                    difference(x, y, &format!("{at}/{key}"))
                })
                .collect()
        }
        _ if a == b => String::new(),
        _ => format!("{at}: {a} became {b}\n"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_backout_leads_back_to_the_old_system_and_the_copy_can_be_removed() {
    let mut night = Night::new(cached());
    night.all_the_way().await;
    let reboot = night.steps().into_iter().find(|step| step.undo == UndoKind::Backout).unwrap();
    let verify = night.steps().pop().unwrap();
    for step in [verify, reboot] {
        let forward = Night::ticket(&step, Direction::Forward, 0, 1);
        let answer = night.undo(&step, &forward).await;
        assert_eq!(answer.outcome, Outcome::Done, "{answer:#?}");
    }
    night.tried.retain(|(step, _)| step.step.as_str() != "verify-boot");
    assert_eq!(night.sh("lpar7", &["oslevel", "-s"]).trim(), "7200-05-03-2148");
    night.roll_back().await;
    night.forget_jobs().await;
    let none = Vec::<String>::new();
    assert_eq!(night.violations(CopyExpected::None, BootsFrom::Baseline), none);
}

#[tokio::test(start_paused = true)]
async fn a_copy_put_to_sleep_stays_and_boots_nothing() {
    let mut spec = spec();
    spec.failed_copy = CopyPolicy::Sleep;
    let mut night = Night::new(spec);
    for step in night.steps().iter().take_while(|step| step.step.as_str() != "finish-clone") {
        assert_eq!(night.forward(step).await.outcome, Outcome::Done);
    }
    night.roll_back().await;
    night.forget_jobs().await;
    let none = Vec::<String>::new();
    assert_eq!(night.violations(CopyExpected::Asleep, BootsFrom::Baseline), none);
}

/// What each fault does to a night; all of them pass.
#[tokio::test(start_paused = true)]
async fn passing_faults_are_survived() {
    let faults = [
        FaultSpec::once(FaultKind::Unreachable, "lpar7"),
        FaultSpec { skip: 12, ..FaultSpec::once(FaultKind::LostReply, "lpar7") },
        FaultSpec { times: Some(4), skip: 20, ..FaultSpec::once(FaultKind::LostReply, "nim1") },
        FaultSpec::once(FaultKind::Slow, "lpar7").on("alt_disk_copy"),
        FaultSpec::once(FaultKind::Stalled, "lpar7").on("exportfs -i"),
        FaultSpec { seconds: Some(200), ..FaultSpec::once(FaultKind::NetworkCut, "lpar7") }
            .on("alt_disk_copy"),
        FaultSpec::once(FaultKind::BusyUnmount, "nim1").on("umount"),
        FaultSpec::once(FaultKind::BusyUnmount, "lpar7").on("umount"),
        // A witness of the boot image that could not be asked says nothing of it.
        FaultSpec::once(FaultKind::StaleHandle, "lpar7").on("blvset"),
        FaultSpec { skip: 1, ..FaultSpec::once(FaultKind::ExitStatus, "lpar7") }.on("blvset"),
        FaultSpec::once(FaultKind::StaleHandle, "lpar7").on("ipl_varyon"),
    ];
    for fault in faults {
        let mut night = Night::new(spec());
        night.lab.add_fault(fault.clone()).unwrap();
        let reached = async {
            night.all_the_way().await;
            night.forget_jobs().await;
            night.violations(CopyExpected::Asleep, disks(&["hdisk1"]))
        };
        let violations = tokio::time::timeout(Duration::from_secs(40 * 3600), reached).await;
        assert_eq!(violations, Ok(Vec::new()), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_reboots_costs_a_fresh_clone_at_most() {
    for (host, command) in [
        ("lpar7", "alt_disk_copy -M 7.3 -P1"),
        ("nim1", "restore -xqf"),
        ("nim1", "installp -R"),
        ("nim1", "umount"),
    ] {
        let mut night = Night::new(spec());
        night.lab.add_fault(FaultSpec::once(FaultKind::Reboot, host).on(command)).unwrap();
        night.with_rewinds().await;
        night.forget_jobs().await;
        let violations = night.violations(CopyExpected::Asleep, disks(&["hdisk1"]));
        assert_eq!(violations, Vec::<String>::new(), "{host} in {command}");
    }
}

/// Steps that would do harm on a client that has lost the copy's mounts.
const NEED_THE_COPY: [&str; 5] =
    ["export-filesystems", "fill-cache", "make-boot-image", "return-cache", "finish-clone"];

/// Whatever step comes next: nothing is exported, copied or finished that is
/// not the copy, and the way back is open.
#[tokio::test(start_paused = true)]
async fn a_client_that_was_rebooted_is_noticed_and_taken_back() {
    for spec in [spec(), cached()] {
        let steps = plan_steps(&spec).steps;
        let at = |name: &str| steps.iter().position(|step| step.step.as_str() == name).unwrap();
        for next in at("clone-rootvg") + 1..=at("finish-clone") {
            let mut night = Night::new(spec.clone());
            let first = night.lab.digest().unwrap();
            for step in &steps[..next] {
                assert_eq!(night.forward(step).await.outcome, Outcome::Done);
            }
            night.lab.boot_host("lpar7", None).unwrap();
            night.clock.sleep(Duration::from_secs(3600)).await;
            let mut failed = None;
            for step in &steps[next..=at("finish-clone")] {
                if let Outcome::Failed { cause, .. } = night.forward(step).await.outcome {
                    failed = Some((step.step.clone(), cause));
                    break;
                }
            }
            let name = &steps[next].step;
            let (failed, cause) =
                failed.unwrap_or_else(|| panic!("{name}: the reboot was not noticed"));
            if NEED_THE_COPY[..4].contains(&failed.as_str()) {
                assert!(
                    cause.text.contains(" file systems of the copy are mounted on "),
                    "{name}, {failed}: {cause:?}"
                );
            }
            // At the next step that needs the client's copy, and no later.
            let needs = |step: &&StepSpec| NEED_THE_COPY.contains(&step.step.as_str());
            let latest = &steps[next..].iter().find(needs).unwrap().step;
            assert!(at(failed.as_str()) <= at(latest.as_str()), "{name}: {failed} after {latest}");
            night.roll_back().await;
            night.forget_jobs().await;
            let none = Vec::<String>::new();
            let left = night.violations(CopyExpected::None, BootsFrom::Baseline);
            assert_eq!(left, none, "{name}, {failed}");
            if night.lab.digest().unwrap() != first {
                let image = Night::new(spec.clone()).lab.image().unwrap();
                let now = night.lab.image().unwrap();
                panic!("{name}, {failed}: {}", difference(&image, &now, ""));
            }
        }
    }
}

/// What fails for good leaves evidence, and the way back is open.
#[tokio::test(start_paused = true)]
async fn a_permanent_failure_is_told_and_taken_back() {
    for (command, kind, wanted) in [
        ("alt_disk_copy", FaultKind::Partial, FailureClass::Permanent),
        ("tar -x", FaultKind::Partial, FailureClass::Permanent),
        ("installp -R", FaultKind::DiskFull, FailureClass::Permanent),
        ("installp -R", FaultKind::MessageWithSuccess, FailureClass::Permanent),
        ("bosboot", FaultKind::MessageWithSuccess, FailureClass::Permanent),
    ] {
        let mut night = Night::new(if command.contains("tar") { cached() } else { spec() });
        let first = night.lab.digest().unwrap();
        let fault = FaultSpec { times: None, host: None, ..FaultSpec::once(kind, "") }.on(command);
        night.lab.add_fault(fault).unwrap();
        let mut failure = None;
        for step in night.steps() {
            let answer = night.forward(&step).await;
            if let Outcome::Failed { cause, .. } = answer.outcome {
                failure = Some((cause, answer.record));
                break;
            }
        }
        let (cause, record) = failure.expect("a failure");
        assert_eq!(cause.class, wanted, "{command} {kind:?}: {cause:?}");
        assert!(!record.evidence.is_empty(), "{command} {kind:?}: {cause:?}");
        assert!(night.sink.0.lock().unwrap().iter().any(|(_, text)| text.contains("# lspv")));
        night.lab.clear_faults().unwrap();
        night.roll_back().await;
        night.forget_jobs().await;
        assert_eq!(night.lab.digest().unwrap(), first, "{command} {kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn remains_of_multibos_end_phase_eleven_by_their_message() {
    let mut estate = estate();
    estate.client[0].multibos_hidden = true;
    let mut night = Night::on(&estate, spec());
    let first = night.lab.digest().unwrap();
    let mut failed = None;
    for step in night.steps() {
        if let Outcome::Failed { cause, .. } = night.forward(&step).await.outcome {
            failed = Some((step.step.to_string(), cause));
            break;
        }
    }
    let (step, cause) = failed.expect("a failure");
    assert_eq!(step, "finish-clone");
    assert_eq!(cause.class, FailureClass::Permanent);
    assert_eq!(cause.message.as_deref(), Some("0505-218"));
    assert!(cause.hint.unwrap().contains("multibos -RX"));
    night.roll_back().await;
    night.forget_jobs().await;
    assert_eq!(night.lab.digest().unwrap(), first);
}

#[tokio::test(start_paused = true)]
async fn what_stops_the_clone_in_the_end_is_found_before_it_begins() {
    type Spoil = fn(&mut EstateFile);
    let spoilt: [(Spoil, &str); 3] = [
        (|estate| estate.client[0].multibos_leftovers = true, "rootvg has bos_hd5, of multibos"),
        (|estate| estate.client[0].disk[1].dlpar = true, "firmware cannot boot from hdisk1"),
        (
            |estate| estate.client[0].level = "7200-05-08-2420".to_owned(),
            "bos.mp64 on the client was built in week 2420 (YYWW), that of the target in week 2346",
        ),
    ];
    for (spoil, wanted) in spoilt {
        let mut estate = estate();
        spoil(&mut estate);
        let mut night = Night::on(&estate, spec());
        let first = night.lab.digest().unwrap();
        let step = night.steps().into_iter().find(|step| step.step.as_str() == "check-client");
        let Outcome::Failed { cause, .. } = night.forward(&step.unwrap()).await.outcome else {
            panic!("not refused: {wanted}");
        };
        assert!(cause.text.starts_with(wanted), "{cause:?}");
        night.forget_jobs().await;
        assert_eq!(night.lab.digest().unwrap(), first, "{wanted}");
    }
}

/// A mirror is copied to as many disks; on one, alt_disk_copy finds no room for the second
/// copy, and so the check refuses.
#[tokio::test(start_paused = true)]
async fn a_mirrored_root_is_copied_with_its_mirror_or_not_at_all() {
    let mut estate = estate();
    let client = &mut estate.client[0];
    client.mirrored = true;
    let second = DiskSpec { name: "hdisk9".to_owned(), ..client.disk[0].clone() };
    client.disk.push(second);
    let mut night = Night::on(&estate, spec());
    let first = night.lab.digest().unwrap();
    let check = night.steps().into_iter().find(|step| step.step.as_str() == "check-client");
    let Outcome::Failed { cause, .. } = night.forward(&check.unwrap()).await.outcome else {
        panic!("a mirror on one disk");
    };
    assert!(cause.text.contains("has 2 copies), and cannot be copied to 1 disk"), "{cause:?}");
    night.forget_jobs().await;
    assert_eq!(night.lab.digest().unwrap(), first);
    // As it is without the check.
    let say = |lab: &Lab, line: &str| {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        lab.exec_words("lpar7", &words).unwrap()
    };
    let lab = Lab::in_memory(&estate, night.clock.clone()).unwrap();
    assert!(say(&lab, "alt_disk_copy -d hdisk1").stderr.contains("0516-404"));

    let mut both = spec();
    both.options.disks.push("hdisk2".parse().unwrap());
    let mut night = Night::on(&estate, both);
    night.all_the_way().await;
    let lab = Lab::in_memory(&estate, night.clock.clone()).unwrap();
    let clone = ["alt_disk_copy", "-P1", "-d", "hdisk1 hdisk2"].map(str::to_owned);
    assert_eq!(lab.exec_words("lpar7", &clone).unwrap().status, 0);
    let told = say(&lab, "lsvg -l altinst_rootvg").stdout;
    let volume = |name: &str| told.lines().find(|line| line.starts_with(name)).unwrap();
    let columns: Vec<&str> = volume("alt_hd2 ").split_whitespace().collect();
    let number = |at: usize| columns[at].parse::<u64>().unwrap();
    assert_eq!((number(3), number(4)), (number(2) * 2, 2), "{told}");

    // The mirror is given up, and made again.
    let told = say(&lab, "unmirrorvg rootvg hdisk9").stdout;
    assert!(told.contains("0516-1144") && told.ends_with("just include:  hdisk0.\n"), "{told}");
    assert!(say(&lab, "lsvg -l rootvg").stdout.contains("boot       1       1       1 "));
    assert_eq!(say(&lab, "mklvcopy hd5 2 hdisk9").status, 0);
    assert!(say(&lab, "lslv hd5").stdout.contains("COPIES:             2 "));
    assert!(say(&lab, "mklvcopy hd5 3").stderr.contains("0516-404"));
    assert!(
        say(&lab, "mirrorvg rootvg hdisk9").stdout.contains("bootlist to include:  hdisk0 hdisk9.")
    );
    assert!(say(&lab, "lsvg -M rootvg").stdout.contains("\thd5:1:2\n"));
}

/// What the gate refuses, it refuses by looks alone.
#[tokio::test(start_paused = true)]
async fn the_gate_refuses_without_touching_anything() {
    let mut owned = estate();
    owned.client[0].disk.iter_mut().find(|disk| disk.name == "hdisk1").unwrap().vg =
        Some("datavg".into());
    let mut small = estate();
    small.client[0].disk.iter_mut().find(|disk| disk.name == "hdisk1").unwrap().size_mb = 4096;
    let mut done = estate();
    done.client[0].level = TARGET.into();
    let mut locked = estate();
    locked.client[0].locked = true;
    let mut incomplete = estate();
    incomplete.lpp_source[0].simages = false;
    let mut apart = estate();
    apart.spot[0].alt_disk_level = Some("7.3.1.0".into());
    for (estate, class, words) in [
        (
            owned,
            FailureClass::Permanent,
            "hdisk1 holds datavg, which is not nimshift's: it is left alone",
        ),
        (small, FailureClass::Permanent, "the target disks have 4096 MB"),
        (done, FailureClass::AlreadyDone, "lpar7 is at 7300-02-01-2346 already"),
        (locked, FailureClass::Transient, "lpar7 is locked in NIM by process"),
        (incomplete, FailureClass::Permanent, "the lpp_source lpp73 lacks simages"),
        (apart, FailureClass::Permanent, "bos.alt_disk_install.rte is"),
    ] {
        let night = Night::on(&estate, spec());
        let first = night.lab.digest().unwrap();
        let gate = &night.steps()[0];
        let answer = night.attempt(Night::ticket(gate, Direction::Forward, 0, 1), None).await;
        let Outcome::Failed { cause, .. } = &answer.outcome else { panic!("{words}: done") };
        assert_eq!(cause.class, class, "{cause:?}");
        assert!(cause.text.starts_with(words), "{cause:?}");
        assert!(!cause.text.contains("; "), "{cause:?}");
        assert!(answer.record.evidence.is_empty());
        assert_eq!(night.lab.digest().unwrap(), first, "{words}");
    }
}

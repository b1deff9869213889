//! The executor against a host that does as it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use super::host::{Host, Job, World, said};
use crate::base::TokioClock;
use crate::domain::{
    Answer, Control, Direction, Driver, FailureClass, MigrationId, Mode, Outcome, Phase, Presence,
    Residue, StepName, Ticket, Way,
};
use crate::phases::sample;
use crate::phases::{Carrier, EvidenceSink, Order, find, perform};
use crate::transport::{Command, HostId, JobId, JobState, Output, Script, Transport as _};

/// Keeps names of evidence, or fails.
#[derive(Default)]
struct Sink {
    names: Mutex<Vec<String>>,
    broken: bool,
}

impl EvidenceSink for Sink {
    fn put(&self, name: &str, _: &[u8]) -> Result<String, String> {
        if self.broken {
            return Err("disk full".into());
        }
        self.names.lock().unwrap().push(name.to_owned());
        Ok(format!("digest-of-{name}"))
    }
}

pub(crate) fn host(world: World) -> Host {
    Host { clock: Arc::new(TokioClock::starting_at(1_000_000)), world: Mutex::new(world) }
}

pub(crate) fn ticket(
    phase: Phase,
    step: &'static str,
    direction: Direction,
    attempt: u32,
) -> Ticket {
    Ticket { phase, step: StepName::new(step), direction, round: 0, attempt }
}

pub(crate) fn order(ticket: Ticket) -> Order {
    Order {
        migration: MigrationId(7),
        ticket,
        spec: Arc::new(sample::spec()),
        facts: Arc::new(sample::facts()),
        undo_of: None,
        issued: false,
        since_ms: 1_000_000,
        interrupt: None,
    }
}

fn by() -> Carrier {
    Carrier { scope: "s1".into(), control: Control::default() }
}

pub(crate) fn lease(attempt: u32) -> Order {
    order(ticket(Phase::Clone, "take-lease", Direction::Forward, attempt))
}

fn drop_lease(attempt: u32) -> Order {
    Order {
        undo_of: Some(lease(1).ticket),
        ..order(ticket(Phase::Clone, "take-lease", Direction::Undo, attempt))
    }
}

pub(crate) async fn run(host: &Host, order: &Order) -> Answer {
    perform(host, &host.clock, &Sink::default(), &by(), order).await
}

pub(crate) fn failure(answer: &Answer) -> (FailureClass, Residue, String) {
    match &answer.outcome {
        Outcome::Failed { cause, trace } => (cause.class, *trace, cause.text.clone()),
        Outcome::Done => panic!("done: {answer:?}"),
    }
}

pub(crate) const LEASE_JOB: &str = "s1.m7.01-take-lease.f0.1";

pub(crate) fn job(ends_ms: u64) -> Job {
    Job {
        ends_ms,
        output: Output { commands: vec![said(0, "", ""); 2] },
        lost: false,
        unbegun: false,
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_run_once_and_recorded() {
    let host = host(World { job_ms: 40_000, ..World::default() });
    let answer = run(&host, &lease(1)).await;
    assert_eq!(answer.outcome, Outcome::Done);
    assert_eq!(answer.record.way, Way::Ran);
    assert_eq!(answer.record.before, Some(Presence::Absent));
    assert_eq!(answer.record.after, Some(Presence::Present));
    assert_eq!(answer.record.commands[1].line, "ln -s s1.m7 /var/adm/nimshift/lease");
    assert_eq!(answer.record.commands[1].status, Some(0));
    assert_eq!(answer.record.ended_ms - answer.record.started_ms, 40_000);
    assert_eq!(host.world.lock().unwrap().started, [LEASE_JOB]);
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_not_run() {
    let host = host(World { lease: Some("s1.m7".into()), ..World::default() });
    let answer = run(&host, &lease(1)).await;
    assert_eq!((answer.outcome, answer.record.way), (Outcome::Done, Way::Found));
    assert!(host.world.lock().unwrap().started.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_part_of_what_a_host_says_is_not_taken_for_all_of_it() {
    for lease in [None, Some("s1.m7".to_owned())] {
        let host = host(World { lease, talks_on: true, ..World::default() });
        let (class, trace, text) = failure(&run(&host, &self::lease(1)).await);
        assert_eq!((class, trace), (FailureClass::Transient, Residue::Left));
        assert!(text.contains("more than 262144 bytes"), "{text}");
        assert!(host.world.lock().unwrap().started.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_bar_stands_before_the_run() {
    let host = host(World { lease: Some("s9.m1".into()), ..World::default() });
    let answer = run(&host, &lease(1)).await;
    let (class, _, text) = failure(&answer);
    assert_eq!(class, FailureClass::Permanent);
    assert_eq!(text, "s9.m1 holds the client's lease");
    assert!(host.world.lock().unwrap().started.is_empty());
}

/// A start of the job that arrives only now begins nothing.
async fn comes_too_late(host: &Host, id: &str) {
    let script = Script::new([Command::new(["true"])]);
    let state = host.start(&HostId::new("lpar01"), &JobId::new(id), &script).await;
    assert!(matches!(state, Ok(JobState::Lost | JobState::NotBegun)), "{id}: {state:?}");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_ended_before_it_began_may_be_made_again() {
    // Its commands are not said to have succeeded.
    let unbegun = || Job { unbegun: true, ..job(0) };
    let mut world = World::default();
    world.jobs.insert(LEASE_JOB.into(), unbegun());
    let host = host(world);
    let (class, trace, text) = failure(&run(&host, &Order { issued: true, ..lease(1) }).await);
    assert_eq!((class, trace), (FailureClass::Transient, Residue::Clean));
    assert_eq!(text, "the job ended on lpar7 before it began: take the lease on the client");
    assert!(host.world.lock().unwrap().started.is_empty());
    assert_eq!(run(&host, &lease(2)).await.outcome, Outcome::Done);
    // An undo that did not begin is made again as well.
    let mut world = World { lease: Some("s1.m7".into()), ..World::default() };
    world.jobs.insert("s1.m7.01-take-lease.u0.1".into(), unbegun());
    let host = self::host(world);
    let order = Order { issued: true, ..drop_lease(1) };
    assert_eq!(failure(&run(&host, &order).await).0, FailureClass::Transient);
    assert_eq!(run(&host, &drop_lease(2)).await.outcome, Outcome::Done);
}

#[tokio::test(start_paused = true)]
async fn what_a_boot_may_have_taken_the_traces_of_is_not_begun_again() {
    // The journal says that the attempt was taken up; its effect is not there.
    let boot = || World { rebooted: true, ..World::default() };
    let absent = host(boot());
    let answer = run(&absent, &Order { issued: true, ..lease(1) }).await;
    let (class, trace, text) = failure(&answer);
    assert_eq!((class, trace), (FailureClass::Transient, Residue::Clean));
    assert!(text.contains("was lost"), "{text}");
    assert!(absent.world.lock().unwrap().started.is_empty());
    comes_too_late(&absent, LEASE_JOB).await;
    // Its effect is there.
    let present = host(World { lease: Some("s1.m7".into()), ..boot() });
    let answer = run(&present, &Order { issued: true, ..lease(1) }).await;
    assert_eq!(answer.outcome, Outcome::Done);
    assert!(present.world.lock().unwrap().started.is_empty());
    // An undo looks as well, and begins nothing.
    let left = host(World { lease: Some("s1.m7".into()), ..boot() });
    let answer = run(&left, &Order { issued: true, ..drop_lease(1) }).await;
    assert_eq!(failure(&answer).0, FailureClass::Transient);
    assert!(left.world.lock().unwrap().started.is_empty());
    comes_too_late(&left, LEASE_JOB).await;
    comes_too_late(&left, "s1.m7.01-take-lease.u0.1").await;
    // A fresh attempt has nothing that could have been lost.
    let fresh = host(boot());
    assert_eq!(run(&fresh, &lease(2)).await.outcome, Outcome::Done);
    assert_eq!(fresh.world.lock().unwrap().started.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_reply_and_traces_a_boot_took_is_not_repeated() {
    let host =
        host(World { starts_lose_reply: 1, loses_traces: true, idle: true, ..World::default() });
    let (class, _, text) = failure(&run(&host, &lease(1)).await);
    assert_eq!(class, FailureClass::Transient);
    assert!(text.contains("was lost"), "{text}");
    assert_eq!(host.world.lock().unwrap().started.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_only_a_person_can_help_is_kept_for_one() {
    let host = host(World { barred: true, ..World::default() });
    let (class, trace, text) = failure(&run(&host, &lease(1)).await);
    assert_eq!((class, trace), (FailureClass::NeedsOperator, Residue::Clean));
    assert_eq!(text, "no login on lpar01: Permission denied");
}

#[tokio::test(start_paused = true)]
async fn the_result_of_a_finished_job_is_taken() {
    let mut world = World { lease: Some("s1.m7".into()), ..World::default() };
    world.jobs.insert(LEASE_JOB.into(), job(0));
    let host = host(world);
    let answer = run(&host, &lease(1)).await;
    assert_eq!((&answer.outcome, answer.record.way), (&Outcome::Done, Way::Taken));
    assert!(host.world.lock().unwrap().started.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_running_job_is_attached_to_also_that_of_an_earlier_attempt() {
    for attempt in [1, 3] {
        let mut world = World { lease: Some("s1.m7".into()), ..World::default() };
        world.jobs.insert(LEASE_JOB.into(), job(1_090_000));
        let host = host(world);
        let answer = run(&host, &lease(attempt)).await;
        assert_eq!((&answer.outcome, answer.record.way), (&Outcome::Done, Way::Attached));
        assert!(answer.record.ended_ms >= 1_090_000);
        assert!(host.world.lock().unwrap().started.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_job_is_judged_by_its_effect() {
    for (there, attempt) in [(Some("s1.m7".to_owned()), 1), (None, 1)] {
        let mut world = World { lease: there.clone(), ..World::default() };
        world.jobs.insert(LEASE_JOB.into(), Job { lost: true, ..job(0) });
        let host = host(world);
        let answer = run(&host, &lease(attempt)).await;
        if there.is_some() {
            assert_eq!(answer.outcome, Outcome::Done);
        } else {
            let (class, trace, _) = failure(&answer);
            assert_eq!((class, trace), (FailureClass::Transient, Residue::Clean));
        }
        assert!(host.world.lock().unwrap().started.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_that_outlasts_the_time_for_the_effect_is_not_the_last() {
    // As when this machine sleeps in the middle of a look.
    let day_ms = 24 * 3600 * 1000;
    let lease = Some("s1.m7".to_owned());
    let mut world = World { lease, execs_fail: 1, fail_ms: day_ms, ..World::default() };
    world.jobs.insert(LEASE_JOB.into(), job(0));
    let answer = run(&host(world), &self::lease(1)).await;
    assert_eq!(answer.outcome, Outcome::Done);
}

#[tokio::test(start_paused = true)]
async fn half_an_effect_is_not_run_over_where_it_must_be_undone_first() {
    let world =
        World { lspv: "hdisk1 00f7a1b2c3d4e5f7 altinst_rootvg\n".into(), ..World::default() };
    let host = host(world);
    let clone = order(ticket(Phase::Clone, "clone-rootvg", Direction::Forward, 1));
    let answer = run(&host, &clone).await;
    let (class, trace, text) = failure(&answer);
    assert_eq!((class, trace), (FailureClass::Transient, Residue::Left));
    assert!(text.starts_with("found half done"), "{text}");
    assert!(host.world.lock().unwrap().started.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_start_that_arrives_late_is_attached_to_or_kept_from_coming() {
    const CLONE_JOB: &str = "s1.m7.01-clone-rootvg.f0.1";
    let lspv = || "hdisk1 00f7a1b2c3d4e5f7 altinst_rootvg\n".to_owned();
    let clone = order(ticket(Phase::Clone, "clone-rootvg", Direction::Forward, 1));
    let clone = Order { issued: true, ..clone };
    // What is half done is the doing of a job that begins just now.
    let late = host(World { lspv: lspv(), ..World::default() });
    let ends_ms = late.clock.now_ms() + 60_000;
    late.world.lock().unwrap().under_way = Some((CLONE_JOB.into(), job(ends_ms)));
    let answer = run(&late, &clone).await;
    assert_eq!(answer.record.way, Way::Attached);
    assert!(late.world.lock().unwrap().killed.is_empty());
    // It is nobody's: whoever still asks for it comes too late.
    let left = host(World { lspv: lspv(), ..World::default() });
    let (_, trace, text) = failure(&run(&left, &clone).await);
    assert!(text.starts_with("found half done"), "{text}");
    assert_eq!(trace, Residue::Left);
    assert_eq!(left.world.lock().unwrap().killed, [CLONE_JOB]);
    let (client, id) = (HostId::new("lpar01"), JobId::new(CLONE_JOB));
    let script = Script::new([Command::new(["alt_disk_copy"])]);
    assert_eq!(left.start(&client, &id, &script).await, Ok(JobState::NotBegun));
    assert!(left.world.lock().unwrap().started.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lost_start_of_an_earlier_attempt_or_of_what_is_undone_comes_no_more() {
    let host = host(World::default());
    let answer = run(&host, &lease(3)).await;
    assert_eq!(answer.outcome, Outcome::Done);
    let killed = host.world.lock().unwrap().killed.clone();
    assert_eq!(killed, [LEASE_JOB, "s1.m7.01-take-lease.f0.2"]);
    let host = self::host(World { lease: Some("s1.m7".into()), ..World::default() });
    assert_eq!(run(&host, &drop_lease(1)).await.outcome, Outcome::Done);
    assert_eq!(host.world.lock().unwrap().killed, [LEASE_JOB]);
    // Nothing is there, and nothing is to come that an engine has asked for.
    let host = self::host(World::default());
    let order = Order { issued: true, ..drop_lease(1) };
    assert_eq!(run(&host, &order).await.outcome, Outcome::Done);
    assert_eq!(host.world.lock().unwrap().killed, [LEASE_JOB, "s1.m7.01-take-lease.u0.1"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_started_where_a_host_cannot_be_read() {
    let host = host(World { lspv: "hdisk1 what\n".into(), ..World::default() });
    let clone = order(ticket(Phase::Clone, "clone-rootvg", Direction::Forward, 1));
    let (class, trace, text) = failure(&run(&host, &clone).await);
    assert_eq!((class, trace), (FailureClass::Transient, Residue::Left));
    assert!(text.contains("hdisk1 what"), "{text}");
    assert!(host.world.lock().unwrap().started.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_job_beyond_its_time_is_ended() {
    let host = host(World { job_ms: 7_200_000, ..World::default() });
    let answer = run(&host, &lease(1)).await;
    let (class, trace, text) = failure(&answer);
    // The fake makes its effect at once: what is left is seen by the probe.
    assert_eq!((class, trace), (FailureClass::Transient, Residue::Left));
    assert_eq!(text, "the job did not end within 5m00s");
    assert_eq!(host.world.lock().unwrap().killed, [LEASE_JOB]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_says_nothing_is_ended_and_one_that_talks_is_not() {
    let stall = find(Phase::Clone, &StepName::new("clone-rootvg")).unwrap().stall.unwrap();
    let job_ms = u64::try_from(stall.as_millis()).unwrap() + 3_600_000;
    for talks in [false, true] {
        let lspv = "hdisk1 none None\nhdisk0 00f7a1b2c3d4e5f6 rootvg active\n".to_owned();
        let host = host(World { lspv, job_ms, talks, ..World::default() });
        let clone = order(ticket(Phase::Clone, "clone-rootvg", Direction::Forward, 1));
        let (class, _, text) = failure(&run(&host, &clone).await);
        let killed = host.world.lock().unwrap().killed.len();
        if talks {
            assert_eq!((class, killed), (FailureClass::Permanent, 0), "{text}");
        } else {
            assert_eq!((class, killed), (FailureClass::Transient, 1), "{text}");
            assert_eq!(text, "the job said nothing for 2h00m");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_nimadm_that_says_nothing_lives_as_long_as_its_log_grows() {
    for log_grows in [0, 80] {
        let mut order = order(ticket(Phase::Clone, "nimadm-clone", Direction::Forward, 1));
        order.spec = Arc::new(sample::spec_of(Mode::Disk, Driver::Nimadm));
        let mut world = World { log_grows, ..World::default() };
        let id = order.ticket.job_id("s1", order.migration);
        world.jobs.insert(id, job(1_000_000 + 5 * 3_600_000));
        let host = host(world);
        let (_, _, text) = failure(&run(&host, &order).await);
        let killed = host.world.lock().unwrap().killed.len();
        assert_eq!(killed, usize::from(log_grows == 0), "{text}");
        assert_eq!(text == "the job said nothing for 2h00m", log_grows == 0, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_of_the_host_is_waited_out_while_a_job_runs() {
    let mut world = World { lease: Some("s1.m7".into()), ..World::default() };
    world.jobs.insert(LEASE_JOB.into(), job(1_060_000));
    let host = host(world);
    let order = lease(1);
    let answer = async {
        let attempt = run(&host, &order);
        tokio::pin!(attempt);
        tokio::select! {
            answer = &mut attempt => answer,
            () = host.clock.sleep(Duration::from_secs(5)) => {
                host.world.lock().unwrap().polls_fail = 4;
                attempt.await
            }
        }
    };
    let answer = answer.await;
    assert_eq!((answer.outcome, answer.record.way), (Outcome::Done, Way::Attached));
    assert_eq!(host.world.lock().unwrap().polls_fail, 0);
}

#[tokio::test(start_paused = true)]
async fn success_without_effect_is_a_permanent_failure() {
    let host = host(World { idle: true, ..World::default() });
    let (class, trace, text) = failure(&run(&host, &lease(1)).await);
    assert_eq!((class, trace), (FailureClass::Permanent, Residue::Clean));
    assert!(text.starts_with("the commands exited 0"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn words_and_statuses_are_weighed_against_the_effect() {
    let table = [
        // (status, words, effect missing, class)
        (0, "0503-008 not enough space", false, Some(FailureClass::Permanent)),
        (1, "strange", false, None),
        (1, "umount: 0506-349 resource is busy", true, Some(FailureClass::Transient)),
        (1, "strange", true, Some(FailureClass::Permanent)),
        (0, "umount: 0506-349 resource is busy", false, None),
    ];
    for (status, words, idle, wanted) in table {
        let host = host(World { status, words: words.into(), idle, ..World::default() });
        let answer = run(&host, &lease(1)).await;
        let class = match &answer.outcome {
            Outcome::Done => None,
            Outcome::Failed { cause, .. } => Some(cause.class),
        };
        assert_eq!(class, wanted, "{status} {words} {idle}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_only_looks_fails_by_what_it_sees() {
    let verify = order(ticket(Phase::MigrateFilesets, "verify-level", Direction::Forward, 1));
    let table = [
        ("7300-02-01-2346\n", 0, None),
        ("7200-05-03-2148\n", 0, Some(FailureClass::Permanent)),
        ("timedout\n", 0, Some(FailureClass::Permanent)),
        ("7300-02-01-2346\n", 1, Some(FailureClass::Transient)),
    ];
    for (level, execs_fail, wanted) in table {
        let host = host(World { level: level.into(), execs_fail, ..World::default() });
        let answer = run(&host, &verify).await;
        let class = match &answer.outcome {
            Outcome::Done => None,
            Outcome::Failed { cause, .. } => Some(cause.class),
        };
        assert_eq!((class, answer.record.way), (wanted, Way::Looked), "{level}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_for_a_reason_that_may_pass_is_tried_again() {
    let verify = order(ticket(Phase::MigrateFilesets, "verify-level", Direction::Forward, 1));
    let stale = World { stale: true, ..World::default() };
    assert_eq!(failure(&run(&host(stale), &verify).await).0, FailureClass::Transient);
}

#[tokio::test(start_paused = true)]
async fn an_undo_ends_the_forward_job_first() {
    let mut world = World { lease: Some("s1.m7".into()), ..World::default() };
    world.jobs.insert(LEASE_JOB.into(), job(9_000_000));
    let host = host(world);
    let answer = run(&host, &drop_lease(1)).await;
    assert_eq!((answer.outcome, answer.record.way), (Outcome::Done, Way::Ran));
    let world = host.world.lock().unwrap();
    assert_eq!(world.killed, [LEASE_JOB]);
    assert_eq!(world.started, ["s1.m7.01-take-lease.u0.1"]);
    assert_eq!(world.lease, None);
}

#[tokio::test(start_paused = true)]
async fn an_undo_waits_while_the_forward_job_does_not_end() {
    let mut world = World { lease: Some("s1.m7".into()), stubborn: true, ..World::default() };
    world.jobs.insert(LEASE_JOB.into(), job(u64::MAX));
    let host = host(world);
    let (class, trace, text) = failure(&run(&host, &drop_lease(1)).await);
    assert_eq!((class, trace), (FailureClass::Transient, Residue::Left));
    let told = format!("the job {LEASE_JOB} on lpar7 does not end");
    assert!(text.starts_with(&told), "{text}");
    assert!(host.world.lock().unwrap().started.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_first_undo_ends_what_the_migration_runs_and_no_other() {
    const OTHERS: [&str; 2] = ["s1.m70.05-restore-bos.f0.1", "s1.m8.05-restore-bos.f0.1"];
    let restore = "s1.m7.05-restore-bos.f0.1";
    // A look has no job and nothing to undo, and what runs is ended all the same.
    for step in ["take-lease", "record-baseline"] {
        let mut world = World { lease: Some("s1.m7".into()), ..World::default() };
        for id in OTHERS.into_iter().chain([restore]) {
            world.jobs.insert(id.into(), job(9_000_000));
        }
        let host = host(world);
        let first = Order {
            undo_of: Some(ticket(Phase::Clone, step, Direction::Forward, 1)),
            ..order(ticket(Phase::Clone, step, Direction::Undo, 1))
        };
        assert_eq!(run(&host, &first).await.outcome, Outcome::Done);
        let killed = host.world.lock().unwrap().killed.clone();
        assert!(killed.contains(&restore.to_owned()), "{killed:?}");
        assert!(OTHERS.iter().all(|id| !killed.contains(&(*id).to_owned())), "{killed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_jobs_of_the_first_part_are_ended_as_well() {
    let mut order = drop_lease(1);
    let part = crate::domain::Part::of(MigrationId(3), sample::facts());
    Arc::make_mut(&mut order.spec).part = Some(part);
    let mut world = World { lease: Some("s1.m3".into()), ..World::default() };
    world.jobs.insert("s1.m3.02-export.f0.1".into(), job(9_000_000));
    let host = host(world);
    assert_eq!(run(&host, &order).await.outcome, Outcome::Done);
    assert!(host.world.lock().unwrap().killed.contains(&"s1.m3.02-export.f0.1".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_may_come_after_a_boot_is_forestalled() {
    let host = host(World { rebooted: true, ..World::default() });
    assert_eq!(run(&host, &drop_lease(1)).await.outcome, Outcome::Done);
    assert_eq!(host.world.lock().unwrap().killed, [LEASE_JOB]);
    let (client, id) = (HostId::new("lpar7"), JobId::new(LEASE_JOB));
    let script = Script::new([Command::new(["ln"])]);
    assert_eq!(host.start(&client, &id, &script).await, Ok(JobState::Lost));
}

#[tokio::test(start_paused = true)]
async fn an_undo_of_nothing_and_of_somebody_elses_runs_nothing() {
    for lease in [None, Some("s9.m1".to_owned())] {
        let host = host(World { lease: lease.clone(), ..World::default() });
        let answer = run(&host, &drop_lease(1)).await;
        assert_eq!((answer.outcome, answer.record.way), (Outcome::Done, Way::Found));
        let world = host.world.lock().unwrap();
        assert!(world.started.is_empty());
        assert_eq!(world.lease, lease);
    }
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_leaves_something_is_tried_again() {
    let host = host(World { lease: Some("s1.m7".into()), idle: true, ..World::default() });
    let (class, trace, _) = failure(&run(&host, &drop_lease(1)).await);
    assert_eq!((class, trace), (FailureClass::Transient, Residue::Left));
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_host_leaves_no_trace_and_a_lost_reply_is_asked_for_again() {
    let host_down = host(World { polls_fail: 1, ..World::default() });
    let (class, trace, text) = failure(&run(&host_down, &lease(1)).await);
    assert_eq!((class, trace), (FailureClass::Transient, Residue::Clean));
    assert_eq!(text, "lpar7 is unreachable: no route");
    let host = host(World { starts_lose_reply: 2, ..World::default() });
    assert_eq!(run(&host, &lease(1)).await.outcome, Outcome::Done);
    assert_eq!(host.world.lock().unwrap().started, [LEASE_JOB]);
}

#[tokio::test(start_paused = true)]
async fn evidence_is_taken_of_permanent_failures_alone() {
    for (words, broken, kept) in
        [("strange", false, 2), ("0506-349 resource is busy", false, 0), ("strange", true, 0)]
    {
        let host = host(World { status: 1, words: words.into(), idle: true, ..World::default() });
        let sink = Sink { broken, ..Sink::default() };
        let answer = perform(&host, &host.clock, &sink, &by(), &lease(1)).await;
        assert_eq!(answer.record.evidence.len(), kept, "{words}");
        assert!(matches!(answer.outcome, Outcome::Failed { .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_attempt_ends_its_job() {
    let host = host(World { job_ms: 100_000, ..World::default() });
    let (give_up, interrupt) = watch::channel(false);
    let order = Order { interrupt: Some(interrupt), ..lease(1) };
    let clock = host.clock.clone();
    let (answer, ()) = tokio::join!(run(&host, &order), async {
        clock.sleep(Duration::from_secs(10)).await;
        give_up.send(true).unwrap();
    });
    let (class, _, text) = failure(&answer);
    assert_eq!(class, FailureClass::Permanent);
    assert_eq!(text, "interrupted by the operator");
    assert_eq!(host.world.lock().unwrap().killed, [LEASE_JOB]);
    assert_eq!(answer.record.ended_ms, 1_010_000);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_cannot_be_ended_needs_an_operator() {
    let mut world = World { stubborn: true, ..World::default() };
    world.jobs.insert(LEASE_JOB.into(), job(u64::MAX));
    let (class, trace, text) = failure(&run(&host(world), &lease(1)).await);
    assert_eq!((class, trace), (FailureClass::NeedsOperator, Residue::Left));
    assert!(text.ends_with("may still run"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_step_of_another_version_needs_an_operator() {
    let host = host(World::default());
    let answer = run(&host, &order(ticket(Phase::End, "dance", Direction::Forward, 1))).await;
    assert_eq!(failure(&answer).0, FailureClass::NeedsOperator);
}

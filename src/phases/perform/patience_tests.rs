//! The executor against a host that is silent, and a machine that stands still.

use super::host::{Host, World};
use super::tests::{LEASE_JOB, failure, host, job, lease, order, run, ticket};
use crate::domain::{Direction, FailureClass, Outcome, Phase, Residue, StepName, Way};
use crate::phases::{Order, StepDef, find};

const HOUR_MS: u64 = 3_600_000;

/// A clone that an engine which is gone has begun just now, and that goes on until
/// `ends_ms`.
fn clone_that_runs(ends_ms: u64, world: World) -> (Host, Order) {
    let order = order(ticket(Phase::Clone, "clone-rootvg", Direction::Forward, 1));
    let host = host(world);
    let id = order.ticket.job_id("s1", order.migration);
    host.world.lock().unwrap().jobs.insert(id, job(ends_ms));
    (host, Order { issued: true, ..order })
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_taken_up_waits_for_a_silent_host_as_long_as_its_job_may_run() {
    // It comes back after two hours.
    let silent = World { silent_until_ms: 1_000_000 + 2 * HOUR_MS, ..World::default() };
    let (host, order) = clone_that_runs(1_000_000 + HOUR_MS, silent);
    let answer = run(&host, &order).await;
    assert_eq!(answer.record.way, Way::Taken, "{answer:?}");
    assert!(host.world.lock().unwrap().killed.is_empty());
    // It does not, and a person has to see to it: nothing may run beside its job.
    let silent = || World { silent_until_ms: u64::MAX, ..World::default() };
    let (host, order) = clone_that_runs(u64::MAX, silent());
    let answer = run(&host, &order).await;
    let (class, trace, text) = failure(&answer);
    assert_eq!((class, trace), (FailureClass::NeedsOperator, Residue::Left));
    assert!(text.contains("may still run"), "{text}");
    let limit = u64::try_from(find_clone().timeout.as_millis()).unwrap();
    let waited = answer.record.ended_ms - answer.record.started_ms;
    assert!((limit..limit + 60_000).contains(&waited), "{waited}");
    // The limit counts from the job's beginning, whoever waits.
    let (host, order) = clone_that_runs(u64::MAX, silent());
    let order = Order { since_ms: 1_000_000 - (limit - 4 * HOUR_MS).min(999_999), ..order };
    let answer = run(&host, &order).await;
    let ran = 1_000_000 - order.since_ms;
    let waited = answer.record.ended_ms - answer.record.started_ms;
    assert!((limit - ran..limit - ran + 60_000).contains(&waited), "{waited}");
}

fn find_clone() -> &'static StepDef {
    find(Phase::Clone, &StepName::new("clone-rootvg")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_does_not_begin_anew_with_each_attempt_that_attaches() {
    let mut world = World { lease: Some("s1.m7".into()), ..World::default() };
    world.jobs.insert(LEASE_JOB.into(), job(u64::MAX));
    let host = host(world);
    let answer = run(&host, &Order { issued: true, since_ms: 710_000, ..lease(1) }).await;
    assert_eq!(failure(&answer).2, "the job did not end within 5m00s");
    let waited = answer.record.ended_ms - answer.record.started_ms;
    assert!((10_000..20_000).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_host_has_no_stalled_jobs_and_none_that_are_late() {
    // Three hours of silence, where two without a word are too much.
    let stall = find_clone().stall.unwrap();
    assert!(stall < std::time::Duration::from_secs(3 * 3600));
    let (host, order) = clone_that_runs(1_000_000 + 9 * HOUR_MS / 2, World::default());
    let answer = async {
        let attempt = run(&host, &order);
        tokio::pin!(attempt);
        tokio::select! {
            answer = &mut attempt => answer,
            () = host.clock.sleep(std::time::Duration::from_secs(3600)) => {
                host.world.lock().unwrap().silent_until_ms = 1_000_000 + 4 * HOUR_MS;
                attempt.await
            }
        }
    };
    let answer = answer.await;
    assert!(host.world.lock().unwrap().killed.is_empty(), "{answer:?}");
    assert_eq!(answer.record.way, Way::Attached);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_stood_still_looks_before_it_ends_a_job() {
    // For longer than the clone may say nothing, and than it may run at all.
    let limit = u64::try_from(find_clone().timeout.as_millis()).unwrap();
    for stands_still_ms in [3 * HOUR_MS, limit + HOUR_MS] {
        let world = World { stands_still_ms, ..World::default() };
        let ends_ms = 1_000_000 + stands_still_ms.min(limit - HOUR_MS) + 600_000;
        let (host, order) = clone_that_runs(ends_ms, world);
        // The first look is the one in the midst of which it stands still: of it
        // the second knows.
        host.world.lock().unwrap().stands_still_ms = 0;
        let answer = async {
            let attempt = run(&host, &order);
            tokio::pin!(attempt);
            tokio::select! {
                answer = &mut attempt => answer,
                () = host.clock.sleep(std::time::Duration::from_secs(300)) => {
                    host.world.lock().unwrap().stands_still_ms = stands_still_ms;
                    attempt.await
                }
            }
        };
        let answer = answer.await;
        assert!(host.world.lock().unwrap().killed.is_empty(), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_reply_was_lost_is_waited_for_while_its_host_is_silent() {
    let host = host(World { starts_lose_reply: 1, job_ms: 60_000, ..World::default() });
    let answer = async {
        let order = lease(1);
        let attempt = run(&host, &order);
        tokio::pin!(attempt);
        tokio::select! {
            answer = &mut attempt => answer,
            () = host.clock.sleep(std::time::Duration::from_millis(500)) => {
                host.world.lock().unwrap().silent_until_ms = 1_000_000 + 2 * HOUR_MS;
                attempt.await
            }
        }
    };
    assert_eq!(answer.await.outcome, Outcome::Done);
    assert_eq!(host.world.lock().unwrap().started, [LEASE_JOB]);
}

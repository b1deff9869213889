//! Connections to hosts: how many calls share one, how many are made at once,
//! and how long a host is left alone that did not answer.
//!
//! A call has places by what is known of its host. Where the host was heard
//! lately it takes one among the sessions. Elsewhere it tries: one call at a time
//! to a host, for all that wait, at one of a few places, which are others for
//! hosts that did not answer the last time. So dead hosts cost neither those that
//! answer nor those that nobody has asked yet. Once the host is heard, the call is
//! a session like any other. What a call waits for places is not its own time.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use super::reach::{HostId, TransportError};
use super::ssh::Gaps;
use crate::base::{ClockRef, doubling};

/// How much is done at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Calls at once to one host. sshd of AIX takes ten sessions in a connection
    /// (MaxSessions).
    pub per_host: usize,
    /// Calls at once to all hosts that were heard lately: each is a process of
    /// this machine.
    pub in_all: usize,
    /// Hosts at once that are tried beside these, and as many again of those that
    /// did not answer.
    pub trying: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { per_host: 8, in_all: 64, trying: 16 }
    }
}

/// The first wait after a connection that was not made, and the longest.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// How often one call tries to connect.
const TRIES: u32 = 3;

/// How long a host counts as heard: as long as `ssh` keeps a shared connection.
const HEARD_FOR: Duration = Duration::from_secs(60);

/// What is known of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Heard,
    Unknown,
    Silent,
}

/// Places by [`Standing`].
#[derive(Debug, Clone)]
struct Lanes([Arc<Semaphore>; 3]);

impl Lanes {
    fn new(heard: usize, unknown: usize, silent: usize) -> Lanes {
        Lanes([heard, unknown, silent].map(|places| Arc::new(Semaphore::new(places.max(1)))))
    }

    fn of(&self, standing: Standing) -> &Arc<Semaphore> {
        &self.0[standing as usize]
    }
}

/// All connections.
#[derive(Debug)]
pub(super) struct Links {
    bounds: Bounds,
    clock: ClockRef,
    lanes: Lanes,
    by_host: Mutex<BTreeMap<HostId, Arc<Link>>>,
}

/// The connection to a host.
#[derive(Debug)]
pub(super) struct Link {
    host: HostId,
    clock: ClockRef,
    /// The host that it is reached through, by a remote shell there.
    through: Option<Arc<Link>>,
    lanes: Lanes,
    /// For hosts that are reached through this one: those that do not answer hold
    /// the sessions here until a remote shell gives up.
    beyond: Lanes,
    calls: Arc<Semaphore>,
    /// Held by the call that tries, so that the others share what comes of it.
    first: Arc<Semaphore>,
    state: Mutex<State>,
    /// What the ssh configuration leaves open.
    pub(super) gaps: OnceCell<Gaps>,
}

#[derive(Debug, Default)]
struct State {
    /// When it was last heard.
    heard: Option<Duration>,
    is_silent: bool,
    /// How often it was not reached, ever.
    failures: u64,
    /// Why it was not the last time.
    last: Option<TransportError>,
}

/// A call that has its places.
#[derive(Debug)]
pub(super) struct Pass {
    own: Hold,
    gate: Option<Hold>,
}

#[derive(Debug)]
struct Hold {
    link: Arc<Link>,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    is_heard: bool,
    first: Option<OwnedSemaphorePermit>,
    places: [OwnedSemaphorePermit; 2],
}

impl Links {
    pub(super) fn new(bounds: Bounds, clock: ClockRef) -> Links {
        let lanes = Lanes::new(bounds.in_all, bounds.trying, bounds.trying);
        Links { bounds, clock, lanes, by_host: Mutex::default() }
    }

    /// The connection to `host`, which is reached through another or not.
    pub(super) fn to(&self, host: &HostId, through: Option<&HostId>) -> Arc<Link> {
        let through = through.map(|through| self.to(through, None));
        let mut links = self.by_host.lock().unwrap_or_else(PoisonError::into_inner);
        let link = links.entry(host.clone()).or_insert_with(|| {
            let most = self.bounds.per_host;
            let lanes = through.as_ref().map_or(&self.lanes, |through| &through.beyond);
            Arc::new(Link {
                host: host.clone(),
                clock: Arc::clone(&self.clock),
                lanes: lanes.clone(),
                through,
                beyond: Lanes::new(most, most / 2, most / 4),
                calls: Arc::new(Semaphore::new(most.max(1))),
                first: Arc::new(Semaphore::new(1)),
                state: Mutex::default(),
                gaps: OnceCell::new(),
            })
        });
        Arc::clone(link)
    }

    /// Begins anew with `host`: calls that are under way end as they are.
    pub(super) fn forget(&self, host: &HostId) {
        self.by_host.lock().unwrap_or_else(PoisonError::into_inner).remove(host);
    }
}

impl Link {
    /// Makes a call of at most `limit` when it has its places. Where the host is
    /// not reached it is made again.
    pub(super) async fn call<T, F>(
        self: &Arc<Self>,
        limit: Duration,
        mut call: impl FnMut(Arc<Pass>) -> F,
    ) -> Result<T, TransportError>
    where
        F: Future<Output = Result<T, TransportError>>,
    {
        let mut left = limit;
        for tried in 1.. {
            let answer = match self.enter().await {
                Err(shared) => Err(shared),
                Ok(pass) => {
                    let pass = Arc::new(pass);
                    let begun = self.clock.steady();
                    let answer = tokio::time::timeout(left, call(Arc::clone(&pass))).await;
                    left = left.saturating_sub(self.clock.steady().saturating_sub(begun));
                    let answer = answer.unwrap_or_else(|_| {
                        Err(TransportError::TimedOut { host: self.host.clone(), limit })
                    });
                    pass.learn(answer.as_ref().err());
                    answer
                }
            };
            match (&answer, again(tried)) {
                (Err(error), Some(pause)) if error.is_silence() && !left.is_zero() => {
                    tokio::time::sleep(pause).await;
                }
                _ => return answer,
            }
        }
        unreachable!("the tries are counted")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn standing(&self) -> Standing {
        let now = self.clock.steady();
        let state = self.state();
        match state.heard {
            _ if state.is_silent => Standing::Silent,
            Some(heard) if now.saturating_sub(heard) < HEARD_FOR => Standing::Heard,
            _ => Standing::Unknown,
        }
    }

    /// Waits for its places: its turn, where the host has to be tried, and then
    /// those that are counted. Always in this order, so that none waits for
    /// another in a circle.
    async fn enter(self: &Arc<Self>) -> Result<Pass, TransportError> {
        let gate = match &self.through {
            Some(through) => Some((through, through.turn().await?)),
            None => None,
        };
        let turn = self.turn().await?;
        let own = self.hold(turn).await;
        let gate = match gate {
            Some((through, turn)) => Some(through.hold(turn).await),
            None => None,
        };
        Ok(Pass { own, gate })
    }

    /// The turn of a call that tries. One that waited for another's shares its
    /// failure, and needs none after its success.
    async fn turn(&self) -> Result<Option<OwnedSemaphorePermit>, TransportError> {
        let known = self.state().failures;
        if self.standing() == Standing::Heard {
            return Ok(None);
        }
        let turn = place(&self.first).await;
        if self.standing() == Standing::Heard {
            return Ok(None);
        }
        let state = self.state();
        match &state.last {
            Some(error) if state.failures > known => Err(error.clone()),
            _ => Ok(Some(turn)),
        }
    }

    async fn hold(self: &Arc<Self>, first: Option<OwnedSemaphorePermit>) -> Hold {
        let call = place(&self.calls).await;
        // Who has no turn was told that the host is heard.
        let standing = if first.is_some() { self.standing() } else { Standing::Heard };
        let places = [call, place(self.lanes.of(standing)).await];
        let held = Mutex::new(Held { is_heard: false, first, places });
        Hold { link: Arc::clone(self), held }
    }
}

/// A place, when there is one. These semaphores are never closed.
async fn place(places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(places).acquire_owned().await.expect("a semaphore that is never closed")
}

impl Pass {
    /// The host was heard.
    pub(super) fn heard(&self) {
        self.own.heard();
    }

    /// The host was heard that the call goes through.
    pub(super) fn heard_gate(&self) {
        if let Some(gate) = &self.gate {
            gate.heard();
        }
    }

    /// What an answer, or the lack of one, tells of the hosts.
    fn learn(&self, error: Option<&TransportError>) {
        let Some(error) = error else {
            self.heard_gate();
            self.heard();
            return;
        };
        let of_gate = |gate: &&Hold| match error {
            TransportError::Unreachable { host, .. }
            | TransportError::Refused { host, .. }
            | TransportError::Unresolved { host, .. } => *host == gate.link.host,
            _ => !gate.is_heard(),
        };
        let hold = self.gate.as_ref().filter(of_gate).unwrap_or(&self.own);
        match error {
            error if error.is_silence() => hold.failed(error.clone()),
            // Where it was heard, a command took its time, or a connection broke.
            TransportError::TimedOut { limit, .. } if !hold.is_heard() => {
                let limit = humantime::format_duration(*limit);
                let why = format!("another call had no answer within {limit}");
                hold.failed(TransportError::Unreachable { host: hold.link.host.clone(), why });
            }
            TransportError::Lost { .. } => hold.link.state().heard = None,
            _ => {}
        }
    }
}

impl Hold {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_heard(&self) -> bool {
        self.held().is_heard
    }

    fn heard(&self) {
        let mut state = self.link.state();
        state.heard = Some(self.link.clock.steady());
        state.is_silent = false;
        drop(state);
        let mut held = self.held();
        held.is_heard = true;
        // The others go on, and the place is left to the next that tries.
        if held.first.take().is_some()
            && let Ok(session) = Arc::clone(self.link.lanes.of(Standing::Heard)).try_acquire_owned()
        {
            held.places[1] = session;
        }
    }

    fn failed(&self, error: TransportError) {
        let mut state = self.link.state();
        state.is_silent = true;
        state.failures += 1;
        state.last = Some(error);
    }
}

/// How long a call waits that has tried `tried` times; none when that is enough.
fn again(tried: u32) -> Option<Duration> {
    (tried < TRIES).then(|| doubling(AGAIN.0, AGAIN.1, tried))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::base::TokioClock;

    const LIMIT: Duration = Duration::from_secs(90);

    fn links(bounds: Bounds) -> Links {
        Links::new(bounds, Arc::new(TokioClock::starting_at(0)))
    }

    fn silence(host: &HostId) -> TransportError {
        TransportError::Refused { host: host.clone(), why: "refused".to_owned() }
    }

    /// A call that is heard at once and takes `secs`.
    async fn good(link: &Arc<Link>, secs: u64) -> Result<(), TransportError> {
        let call = async |pass: Arc<Pass>| {
            pass.heard_gate();
            pass.heard();
            tokio::time::sleep(Duration::from_secs(secs)).await;
            Ok(())
        };
        link.call(LIMIT, call).await
    }

    /// A call to a host that never answers, which takes `secs` to find out.
    async fn dead(link: &Arc<Link>, secs: u64, tries: &AtomicUsize) -> Result<(), TransportError> {
        let call = async |pass: Arc<Pass>| {
            pass.heard_gate();
            tries.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(secs)).await;
            Err(silence(&link.host))
        };
        link.call(LIMIT, call).await
    }

    async fn took(call: impl Future<Output = Result<(), TransportError>>) -> Duration {
        let clock = TokioClock::starting_at(0);
        call.await.unwrap();
        crate::base::Clock::steady(&clock)
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_tries_and_the_others_share_what_comes_of_it() {
        let links = links(Bounds::default());
        let link = links.to(&HostId::new("a"), None);
        let tries = AtomicUsize::new(0);
        let calls = futures_of(20, || dead(&link, 15, &tries)).await;
        assert!(calls.iter().all(Result::is_err));
        assert!(tries.load(Ordering::SeqCst) <= 2 * TRIES as usize, "{tries:?}");
        // Who comes later tries for itself.
        good(&link, 1).await.unwrap();
        assert_eq!(link.standing(), Standing::Heard);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_call_waits_for_its_place_is_not_its_time() {
        let links = links(Bounds::default());
        let master = HostId::new("master");
        // 48 clients of one master, whose remote shell takes 60 s for each call: the
        // last waits for eight minutes.
        let clients: Vec<_> =
            (0..48).map(|n| links.to(&HostId::new(format!("c{n}")), Some(&master))).collect();
        let mut calls = tokio::task::JoinSet::new();
        for client in clients {
            calls.spawn(async move { good(&client, 60).await });
        }
        while let Some(call) = calls.join_next().await {
            call.unwrap().unwrap();
        }
        // One that has its place has its limit.
        let link = links.to(&HostId::new("c1"), Some(&master));
        let error = good(&link, 91).await.unwrap_err();
        assert_eq!(error, TransportError::TimedOut { host: HostId::new("c1"), limit: LIMIT });
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_that_do_not_answer_keep_nobody_waiting() {
        let links = links(Bounds::default());
        let healthy = links.to(&HostId::new("healthy"), None);
        good(&healthy, 1).await.unwrap();
        let mut calls = tokio::task::JoinSet::new();
        for n in 0..300 {
            let link = links.to(&HostId::new(format!("dead{n}")), None);
            calls.spawn(async move {
                loop {
                    let _ = dead(&link, 15, &AtomicUsize::new(0)).await;
                }
            });
        }
        // They have all been tried once; another three hundred are known.
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(took(good(&healthy, 1)).await <= Duration::from_secs(2));
        // One that nobody has asked yet waits for none of them either.
        let new = links.to(&HostId::new("new"), None);
        assert!(took(good(&new, 1)).await <= Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn clients_that_do_not_answer_leave_their_master_sessions_for_others() {
        let links = links(Bounds::default());
        let master = HostId::new("master");
        let mut calls = tokio::task::JoinSet::new();
        for n in 0..40 {
            let link = links.to(&HostId::new(format!("dead{n}")), Some(&master));
            calls.spawn(async move {
                loop {
                    let _ = dead(&link, 75, &AtomicUsize::new(0)).await;
                }
            });
        }
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        let client = links.to(&HostId::new("healthy"), Some(&master));
        assert!(took(good(&client, 1)).await <= Duration::from_secs(2));
        let master = links.to(&master, None);
        assert!(took(good(&master, 1)).await <= Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_to_a_host_are_bounded() {
        let links = links(Bounds { per_host: 2, ..Bounds::default() });
        let link = links.to(&HostId::new("a"), None);
        good(&link, 0).await.unwrap();
        let (one, two, three) =
            tokio::join!(took(good(&link, 10)), took(good(&link, 10)), took(good(&link, 10)));
        assert_eq!([one, two, three].map(|took| took.as_secs()), [10, 10, 20]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_falls_silent_is_tried_by_one_call() {
        let links = links(Bounds::default());
        let link = links.to(&HostId::new("a"), None);
        good(&link, 0).await.unwrap();
        let hangs = async |_: Arc<Pass>| std::future::pending::<Result<(), TransportError>>().await;
        let error = link.call(LIMIT, hangs).await.unwrap_err();
        assert!(error.may_have_arrived());
        assert_eq!(link.standing(), Standing::Silent);
        let tries = AtomicUsize::new(0);
        let calls = futures_of(8, || dead(&link, 15, &tries)).await;
        assert!(calls.iter().all(Result::is_err));
        assert!(tries.load(Ordering::SeqCst) <= 2 * TRIES as usize, "{tries:?}");
    }

    /// `count` of them at once.
    async fn futures_of<F: Future>(count: usize, one: impl Fn() -> F) -> Vec<F::Output> {
        let mut going: Vec<_> = (0..count).map(|_| Some(Box::pin(one()))).collect();
        let mut given = Vec::new();
        std::future::poll_fn(|context| {
            for slot in &mut going {
                if let Some(future) = slot
                    && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
                {
                    given.push(output);
                    *slot = None;
                }
            }
            if going.iter().any(Option::is_some) {
                std::task::Poll::Pending
            } else {
                std::task::Poll::Ready(())
            }
        })
        .await;
        given
    }
}

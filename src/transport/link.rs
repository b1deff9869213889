//! Connections to hosts: how many calls share one, how many are made at once,
//! and how long a host is left alone that did not answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use super::reach::{HostId, TransportError};
use super::ssh::Gaps;
use crate::base::doubling;

/// How much is done at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Calls at once to one host. sshd of AIX takes ten sessions in a connection
    /// (MaxSessions).
    pub per_host: usize,
    /// Calls at once to all hosts: each is a process of this machine.
    pub in_all: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { per_host: 8, in_all: 64 }
    }
}

/// The first wait after a connection that was not made, and the longest.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// How often one call tries to connect.
const TRIES: u32 = 3;

/// All connections.
#[derive(Debug)]
pub(super) struct Links {
    bounds: Bounds,
    all: Arc<Semaphore>,
    links: Mutex<BTreeMap<HostId, Arc<Link>>>,
}

/// The connection to a host.
#[derive(Debug)]
pub(super) struct Link {
    all: Arc<Semaphore>,
    calls: Arc<Semaphore>,
    /// Held by the call that makes the connection, so that the others share it.
    first: Arc<Semaphore>,
    state: Mutex<State>,
    /// What the ssh configuration leaves open.
    pub(super) gaps: OnceCell<Gaps>,
}

#[derive(Debug, Default)]
struct State {
    is_up: bool,
    /// How many connections were not made, ever.
    failures: u64,
    /// Why the last one was not.
    last: Option<TransportError>,
}

/// A call's leave to go on, or why not.
pub(super) enum Leave {
    Go(Pass),
    /// Another call has just found out that no connection is made.
    Failed(TransportError),
}

/// A call that has its place.
pub(super) struct Pass {
    link: Arc<Link>,
    _places: (OwnedSemaphorePermit, OwnedSemaphorePermit),
    _first: Option<OwnedSemaphorePermit>,
}

impl Links {
    pub(super) fn new(bounds: Bounds) -> Links {
        let all = Arc::new(Semaphore::new(bounds.in_all.max(1)));
        Links { bounds, all, links: Mutex::default() }
    }

    /// The connection to `host`.
    pub(super) fn to(&self, host: &HostId) -> Arc<Link> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let link = links.entry(host.clone()).or_insert_with(|| {
            Arc::new(Link {
                all: Arc::clone(&self.all),
                calls: Arc::new(Semaphore::new(self.bounds.per_host.max(1))),
                first: Arc::new(Semaphore::new(1)),
                state: Mutex::default(),
                gaps: OnceCell::new(),
            })
        });
        Arc::clone(link)
    }
}

impl Link {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place. While there is no connection, one call makes it: the
    /// others wait for what comes of it.
    pub(super) async fn enter(self: &Arc<Self>) -> Leave {
        let known = self.state().failures;
        let mut first = None;
        if !self.state().is_up {
            first = Some(place(&self.first).await);
            let state = self.state();
            if state.is_up {
                first = None;
            } else if state.failures > known
                && let Some(error) = &state.last
            {
                return Leave::Failed(error.clone());
            }
        }
        let places = (place(&self.calls).await, place(&self.all).await);
        Leave::Go(Pass { link: Arc::clone(self), _places: places, _first: first })
    }
}

/// A place, when there is one. These semaphores are never closed.
async fn place(places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(places).acquire_owned().await.expect("a semaphore that is never closed")
}

impl Pass {
    /// The connection was made.
    pub(super) fn connected(&self) {
        self.link.state().is_up = true;
    }

    /// No connection was made.
    pub(super) fn failed(&self, error: &TransportError) {
        let mut state = self.link.state();
        state.is_up = false;
        state.failures += 1;
        state.last = Some(error.clone());
    }
}

/// How long a call waits that has tried `tried` times; none when that is enough.
pub(super) fn again(tried: u32) -> Option<Duration> {
    (tried < TRIES).then(|| doubling(AGAIN.0, AGAIN.1, tried))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error() -> TransportError {
        TransportError::Refused { host: HostId::new("a"), why: "refused".to_owned() }
    }

    async fn pass(link: &Arc<Link>) -> Pass {
        match link.enter().await {
            Leave::Go(pass) => pass,
            Leave::Failed(error) => panic!("{error}"),
        }
    }

    #[tokio::test]
    async fn one_call_connects_and_the_others_share_what_comes_of_it() {
        let links = Links::new(Bounds::default());
        let link = links.to(&HostId::new("a"));
        let first = pass(&link).await;
        let waiting: Vec<_> = (0..5)
            .map(|_| {
                let link = Arc::clone(&link);
                tokio::spawn(async move { matches!(link.enter().await, Leave::Failed(_)) })
            })
            .collect();
        tokio::task::yield_now().await;
        first.failed(&error());
        drop(first);
        for one in waiting {
            assert!(one.await.unwrap());
        }
        // Who comes later tries for itself.
        let later = pass(&link).await;
        later.connected();
        drop(later);
        let (_one, _two) = (pass(&link).await, pass(&link).await);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_to_a_host_are_bounded() {
        let links = Links::new(Bounds { per_host: 2, in_all: 64 });
        let link = links.to(&HostId::new("a"));
        pass(&link).await.connected();
        let held = [pass(&link).await, pass(&link).await];
        let third = tokio::time::timeout(Duration::from_secs(1), link.enter()).await;
        assert!(third.is_err());
        drop(held);
        pass(&link).await.connected();
    }
}

//! A virtual clock, and who moves it: one timer at a time, and only when nothing
//! else is to be done anywhere, the journal's own thread included. So a night is
//! the same whenever it is repeated.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use nimshift::base::{Clock, Millis};
use nimshift::journal::{Ack, Journal};
use tokio::sync::{mpsc, oneshot};

/// Timers that may fire in one life. A migration that never comes to rest
/// meets it.
const TIMERS_MAX: u64 = 3_000_000;

#[derive(Debug)]
pub(crate) struct NightClock(Mutex<Timers>);

#[derive(Debug)]
struct Timers {
    now_ms: Millis,
    count: u64,
    /// By the time that they are due at, and then in the order in which they
    /// were set.
    set: BTreeMap<(Millis, u64), oneshot::Sender<()>>,
}

impl NightClock {
    pub(crate) fn starting_at(now_ms: Millis) -> Arc<NightClock> {
        Arc::new(NightClock(Mutex::new(Timers { now_ms, count: 0, set: BTreeMap::new() })))
    }

    fn timers(&self) -> MutexGuard<'_, Timers> {
        self.0.lock().expect("no panic while it is held")
    }

    /// Time passes in which nobody does anything.
    pub(crate) fn pass(&self, ms: Millis) {
        let mut timers = self.timers();
        timers.now_ms += ms;
        timers.set.clear();
    }

    /// Moves to the next timer that somebody waits for. False: there is none.
    fn step(&self) -> bool {
        let mut timers = self.timers();
        while let Some(((due_ms, _), waiting)) = timers.set.pop_first() {
            if waiting.is_closed() {
                continue;
            }
            timers.now_ms = timers.now_ms.max(due_ms);
            if waiting.send(()).is_ok() {
                return true;
            }
        }
        false
    }

    /// Moves the clock for a call that is made by itself.
    pub(crate) async fn alone(&self) {
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if !self.step() {
                return;
            }
        }
    }

    /// Moves the clock while an engine lives on `journal`, and hands it what the
    /// journal says. Returns when nothing can happen any more.
    pub(crate) async fn drive(
        &self,
        journal: &Journal,
        mut said: mpsc::UnboundedReceiver<Vec<Ack>>,
        told: mpsc::UnboundedSender<Vec<Ack>>,
    ) -> &'static str {
        for _ in 0..TIMERS_MAX {
            // Under tokio's paused clock this ends when all others wait.
            tokio::time::sleep(Duration::from_millis(1)).await;
            journal.flush().expect("a journal that writes");
            let mut acks = Vec::new();
            while let Ok(some) = said.try_recv() {
                acks.extend(some);
            }
            if acks.is_empty() {
                if !self.step() {
                    return "it waits, and for nothing";
                }
            } else if told.send(acks).is_err() {
                return "the engine hears nothing any more";
            }
        }
        "it does not come to rest"
    }
}

impl Clock for NightClock {
    fn now_ms(&self) -> Millis {
        self.timers().now_ms
    }

    fn steady(&self) -> Duration {
        Duration::from_millis(self.timers().now_ms)
    }

    fn sleep(&self, wait: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        let wait_ms = Millis::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(Millis::MAX);
        if wait_ms == 0 {
            return Box::pin(std::future::ready(()));
        }
        let mut timers = self.timers();
        let (fire, fired) = oneshot::channel();
        timers.count += 1;
        let key = (timers.now_ms.saturating_add(wait_ms), timers.count);
        timers.set.insert(key, fire);
        Box::pin(async move {
            let _ = fired.await;
        })
    }
}

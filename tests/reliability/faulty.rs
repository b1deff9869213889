//! Performers and transports that fail on purpose: wrappers around the real
//! ones.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nimshift::domain::{
    Answer, AttemptRecord, Cause, Direction, FailureClass, Outcome, Residue, StepName, Ticket, Way,
};
use nimshift::engine::{Performer, PerformerFuture};
use nimshift::lab::{FaultKind, FaultSpec, Lab};
use nimshift::phases::Order;
use nimshift::transport::{HostId, JobId, Script, Transport as _};
use tokio::sync::Notify;

use super::over_lab::{Around, Call, OverLab};

/// A step and a direction.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub(crate) step: StepName,
    pub(crate) direction: Direction,
}

impl Mark {
    fn is(&self, ticket: &Ticket) -> bool {
        self.step == ticket.step && self.direction == ticket.direction
    }
}

/// Does something when the marked attempt is about to be made for the first time.
pub(crate) struct First<P> {
    pub(crate) inner: Arc<P>,
    pub(crate) mark: Mark,
    pub(crate) act: Box<dyn Fn() + Send + Sync>,
    /// How long it takes.
    pub(crate) takes: Duration,
    pub(crate) done: AtomicBool,
}

impl<P: Performer + 'static> Performer for First<P> {
    fn perform(&self, order: Order) -> PerformerFuture {
        if !self.mark.is(&order.ticket) || self.done.swap(true, Ordering::SeqCst) {
            return self.inner.perform(order);
        }
        (self.act)();
        let (inner, takes) = (Arc::clone(&self.inner), self.takes);
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            inner.perform(order).await
        })
    }
}

/// Makes the marked attempt twice, as if its first answer had been lost and its
/// job forgotten, and gives the second answer. `None` marks every step.
pub(crate) struct Twice<P> {
    pub(crate) inner: Arc<P>,
    pub(crate) mark: Option<Mark>,
    pub(crate) direction: Direction,
}

impl<P: Performer + 'static> Performer for Twice<P> {
    fn perform(&self, order: Order) -> PerformerFuture {
        let marked = order.ticket.direction == self.direction
            && self.mark.as_ref().is_none_or(|mark| mark.is(&order.ticket));
        if !marked {
            return self.inner.perform(order);
        }
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let first = inner.perform(order.clone()).await;
            if first.outcome != Outcome::Done {
                return first;
            }
            let mut again = order;
            again.ticket.attempt += 1;
            let ticket = again.ticket.clone();
            let second = inner.perform(again).await;
            assert_eq!(second.outcome, Outcome::Done, "{ticket}: {:#?}", second.record);
            Answer { facts: first.facts, ..second }
        })
    }
}

/// How far an attempt comes before it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Nothing was done.
    Before,
    /// Half of it was done.
    Half,
    /// All was done, and the reply is lost.
    Reply,
}

pub(crate) const FORMS: [Form; 3] = [Form::Before, Form::Half, Form::Reply];

/// Fails the marked attempt once, for good.
pub(crate) struct Fails<P> {
    pub(crate) inner: Arc<P>,
    pub(crate) mark: Mark,
    pub(crate) form: Form,
    pub(crate) done: AtomicBool,
}

impl<P: Performer + 'static> Performer for Fails<P> {
    fn perform(&self, order: Order) -> PerformerFuture {
        if !self.mark.is(&order.ticket) || self.done.swap(true, Ordering::SeqCst) {
            return self.inner.perform(order);
        }
        let (inner, form) = (Arc::clone(&self.inner), self.form);
        Box::pin(async move {
            let cause = Cause::new(FailureClass::Permanent, "made to fail by the test");
            if form == Form::Before {
                let outcome = Outcome::Failed { cause, trace: Residue::Clean };
                return Answer { outcome, facts: None, record: empty_record() };
            }
            let answer = inner.perform(order).await;
            let outcome = Outcome::Failed { cause, trace: Residue::Left };
            Answer { outcome, facts: None, record: answer.record }
        })
    }
}

pub(crate) fn empty_record() -> AttemptRecord {
    AttemptRecord {
        host: "nowhere".to_owned(),
        started_ms: 0,
        ended_ms: 0,
        way: Way::Ran,
        before: None,
        after: None,
        commands: Vec::new(),
        looks: Vec::new(),
        evidence: Vec::new(),
    }
}

/// Makes half of the script of each job of a step, and lets the rest fail.
pub(crate) struct Halves {
    pub(crate) lab: Lab,
    pub(crate) mark: Mark,
    pub(crate) done: AtomicBool,
}

impl Around for Halves {
    async fn before(&self, call: &Call<'_>) {
        let Call::Start(host, id, script) = call else { return };
        let direction = if self.mark.direction == Direction::Forward { ".f" } else { ".u" };
        let marked = format!("-{}{direction}", self.mark.step);
        if id.as_str().contains(&marked) && !self.done.swap(true, Ordering::SeqCst) {
            let skip = u32::try_from(script.commands.len() / 2).expect("a short script");
            let fault = FaultSpec { skip, ..FaultSpec::once(FaultKind::Partial, host.as_str()) };
            self.lab.add_fault(fault).expect("a fault");
        }
    }
}

/// Counts the calls to hosts, twice each: before it is made, and after it was
/// made and before its answer is seen. At the chosen one the engine dies.
pub(crate) struct Dying {
    pub(crate) count: AtomicU64,
    pub(crate) last: u64,
    pub(crate) dead: Notify,
    /// Which of the boundaries stand before a start.
    pub(crate) starts: Mutex<Vec<u64>>,
    /// The start that the engine died over.
    under_way: Mutex<Option<Asked>>,
}

pub(crate) type Dies = OverLab<Dying>;

/// A start that was asked for.
type Asked = (HostId, JobId, Script);

impl Dies {
    pub(crate) fn at(lab: Lab, last: u64) -> Arc<Dies> {
        let around = Dying {
            count: AtomicU64::new(0),
            last,
            dead: Notify::new(),
            starts: Mutex::default(),
            under_way: Mutex::default(),
        };
        Arc::new(OverLab { lab, around })
    }
}

impl Dying {
    async fn boundary(&self) {
        if self.count.fetch_add(1, Ordering::SeqCst) + 1 == self.last {
            self.dead.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

impl Around for Dying {
    async fn before(&self, call: &Call<'_>) {
        match call {
            Call::Kill | Call::Forget | Call::Output => return,
            Call::Start(host, id, script) => {
                let next = self.count.load(Ordering::SeqCst) + 1;
                self.starts.lock().expect("a lock").push(next);
                if next == self.last {
                    let asked = ((*host).clone(), (*id).clone(), (*script).clone());
                    *self.under_way.lock().expect("a lock") = Some(asked);
                }
            }
            Call::Exec | Call::Poll | Call::Unfinished | Call::Bar => {}
        }
        self.boundary().await;
    }

    async fn after(&self, call: &Call<'_>) {
        match call {
            Call::Poll | Call::Kill | Call::Forget | Call::Output => {}
            Call::Exec | Call::Start(..) | Call::Unfinished | Call::Bar => self.boundary().await,
        }
    }
}

/// The start that a dead engine asked for arrives after so many calls of the
/// next one.
pub(crate) struct Arriving {
    lab: Lab,
    asked: Mutex<Option<Asked>>,
    left: AtomicU64,
}

pub(crate) type Arrives = OverLab<Arriving>;

impl Arrives {
    pub(crate) fn after(calls: u64, dies: &Dies) -> Arrives {
        let asked = dies.around.under_way.lock().expect("a lock").take();
        assert!(asked.is_some(), "it died over a start");
        let (asked, left) = (Mutex::new(asked), AtomicU64::new(calls));
        let lab = dies.lab.clone();
        OverLab { lab: lab.clone(), around: Arriving { lab, asked, left } }
    }

    pub(crate) fn has_arrived(&self) -> bool {
        self.around.asked.lock().expect("a lock").is_none()
    }
}

impl Around for Arriving {
    async fn before(&self, call: &Call<'_>) {
        if !matches!(call, Call::Exec | Call::Start(..) | Call::Poll | Call::Kill) {
            return;
        }
        let asked = match self.left.load(Ordering::SeqCst) {
            0 => self.asked.lock().expect("a lock").take(),
            left => {
                self.left.store(left - 1, Ordering::SeqCst);
                None
            }
        };
        if let Some((host, id, script)) = asked {
            // Nobody hears its answer.
            let _ = self.lab.start(&host, &id, &script).await;
        }
    }
}

//! A panic of one attempt: a fault of ours, which stops one migration and not
//! the night.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Once;
use std::task::{Context, Poll};

use crate::base::limits::CAUSE_BYTES_MAX;
use crate::base::sanitize_line;

use super::work::PerformerFuture;

thread_local! {
    /// Where the last panic of this thread was.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Has panics remember their place, beside what is done about them already.
pub(super) fn remember_places() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PLACE.set(info.location().map(ToString::to_string));
            before(info);
        }));
    });
}

/// The future of an attempt, which gives what it panicked with instead.
pub(super) struct Caught(pub(super) PerformerFuture);

impl Future for Caught {
    type Output = Result<crate::domain::Answer, String>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // It is not polled again after a panic.
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))) {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(told(panic.as_ref()))),
        }
    }
}

/// What a panic says, on one line.
fn told(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().copied();
    let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let place = PLACE.take().unwrap_or_else(|| "an unknown place".to_owned());
    let text = format!("a panic at {place}: {}", said.unwrap_or("without a word"));
    sanitize_line(&text, CAUSE_BYTES_MAX / 2)
}

//! A command that waits for an engine's answer and is told to end: what it asked for
//! stands in the journal, and that is said before it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, mpsc};

use tokio::signal::unix::{SignalKind, signal};

use crate::base::limits;

static CAME: AtomicBool = AtomicBool::new(false);
static WATCH: Once = Once::new();

/// From now on SIGINT and SIGTERM do not end the command: [`came`] tells of them.
pub(super) fn watch() {
    WATCH.call_once(|| {
        let (ready, is_ready) = mpsc::channel();
        std::thread::spawn(move || listen(&ready));
        // An error: they cannot be caught, and end it as ever.
        let _ = is_ready.recv();
    });
}

/// Whether one has come.
pub(super) fn came() -> bool {
    CAME.load(Ordering::SeqCst)
}

/// Between two looks for an answer.
#[expect(clippy::disallowed_methods, reason = "a command that waits has nothing else to do")]
pub(super) fn pause() {
    std::thread::sleep(limits::REQUEST_POLL);
}

fn listen(ready: &mpsc::Sender<()>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    runtime.block_on(async {
        let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        // Who waits for it may be gone.
        let _ = ready.send(());
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        CAME.store(true, Ordering::SeqCst);
    });
}

//! The one place that reads a clock or waits on one.
//!
//! Every other module is handed a [`Clock`], so that a test runs a night under
//! a virtual clock and a rehearsal on the lab runs it at a multiple of real time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Milliseconds since the Unix epoch, on whichever clock is in use.
pub type Millis = u64;

/// A clock that can be waited on.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The time now, in milliseconds since the Unix epoch.
    fn now_ms(&self) -> Millis;

    /// Completes once [`Clock::now_ms`] is at or after `due_ms`.
    fn sleep_until(&self, due_ms: Millis) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

    /// The real time that `ms` of this clock take: what a file lock or a
    /// terminal has to wait.
    fn real(&self, ms: Millis) -> Duration {
        Duration::from_millis(ms)
    }

    /// What passes on this clock in a real time.
    fn spans(&self, real: Duration) -> Millis {
        u64::try_from(real.as_millis()).unwrap_or(Millis::MAX)
    }
}

/// A clock that is shared.
pub type ClockRef = Arc<dyn Clock>;

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The machine's time, for those who keep time outside of a run.
    #[expect(clippy::disallowed_methods, reason = "this is the module that may")]
    pub fn read_ms() -> Millis {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> Millis {
        SystemClock::read_ms()
    }

    fn sleep_until(&self, due_ms: Millis) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        Box::pin(async move {
            loop {
                let now = SystemClock::read_ms();
                if now >= due_ms {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(due_ms - now)).await;
            }
        })
    }
}

/// A clock that began at `origin_ms` when the machine's clock stood at
/// `real_origin_ms`, and has since run `scale` times as fast.
///
/// The lab keeps the three numbers on disk, so that all processes of one estate
/// share one time, and a rehearsal goes on from where it was.
#[derive(Debug, Clone, Copy)]
pub struct ScaledClock {
    /// Time of this clock at its origin.
    pub origin_ms: Millis,
    /// Time of the machine's clock at the origin.
    pub real_origin_ms: Millis,
    /// How many milliseconds pass on this clock in a real one. At least 1.
    pub scale: u32,
}

impl Clock for ScaledClock {
    fn now_ms(&self) -> Millis {
        let elapsed = SystemClock::read_ms().saturating_sub(self.real_origin_ms);
        self.origin_ms.saturating_add(elapsed.saturating_mul(u64::from(self.scale.max(1))))
    }

    fn sleep_until(&self, due_ms: Millis) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        let clock = *self;
        Box::pin(async move {
            loop {
                let now = clock.now_ms();
                if now >= due_ms {
                    return;
                }
                // At least a millisecond: a busy loop would not be a wait.
                tokio::time::sleep(clock.real(due_ms - now).max(Duration::from_millis(1))).await;
            }
        })
    }

    fn real(&self, ms: Millis) -> Duration {
        Duration::from_micros(ms.saturating_mul(1000) / u64::from(self.scale.max(1)))
    }

    fn spans(&self, real: Duration) -> Millis {
        let ms = u64::try_from(real.as_millis()).unwrap_or(Millis::MAX);
        ms.saturating_mul(u64::from(self.scale.max(1)))
    }
}

/// tokio's clock, which a test can pause: time then jumps to the next timer
/// whenever nothing else is to be done.
#[derive(Debug, Clone, Copy)]
pub struct TokioClock {
    origin_ms: Millis,
    origin: tokio::time::Instant,
}

impl TokioClock {
    /// A clock that shows `origin_ms` now. Must be made within a tokio runtime.
    #[expect(clippy::disallowed_methods, reason = "this is the module that may")]
    pub fn starting_at(origin_ms: Millis) -> TokioClock {
        TokioClock { origin_ms, origin: tokio::time::Instant::now() }
    }
}

impl Clock for TokioClock {
    fn now_ms(&self) -> Millis {
        let elapsed = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.origin_ms.saturating_add(elapsed)
    }

    fn sleep_until(&self, due_ms: Millis) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        let due = self.origin + Duration::from_millis(due_ms.saturating_sub(self.origin_ms));
        Box::pin(tokio::time::sleep_until(due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_clock_turns_its_time_into_real_time() {
        let clock = ScaledClock { origin_ms: 0, real_origin_ms: 0, scale: 600 };
        assert_eq!(clock.real(600_000), Duration::from_secs(1));
        assert_eq!(clock.spans(Duration::from_secs(1)), 600_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_jumps_to_the_timer_that_is_waited_for() {
        let clock = TokioClock::starting_at(5_000);
        clock.sleep_until(65_000).await;
        assert_eq!(clock.now_ms(), 65_000);
    }
}

//! The one place that reads a clock or waits on one.
//!
//! Every other module is handed a [`Clock`], so that a test runs a night under
//! a virtual clock and a rehearsal on the lab runs it at a multiple of real time.
//!
//! A clock has two sides. What it shows ([`Clock::now_ms`]) can be set, by a
//! person or by NTP, and is for stamps that people and other hosts compare. What
//! has passed ([`Clock::steady`]) cannot, and is for waits and limits: an hour
//! that the machine's clock is set by neither stalls a night nor ends anything.
//! The two have different types, so that neither is taken for the other.
//!
//! Linux counts the steady side by CLOCK_MONOTONIC, which stands still while the
//! machine is suspended. CLOCK_BOOTTIME goes on, and was not taken: timers run by
//! the former, and a limit is there to bound how long a host was silent while
//! somebody listened; a machine that slept has not listened. What a host did
//! meanwhile is seen by the next look at it.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Milliseconds since the Unix epoch, on whichever clock is in use.
pub type Millis = u64;

/// A moment, on both sides of a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// What the clock shows: for stamps.
    pub shown_ms: Millis,
    /// What had passed: for waits and limits.
    pub steady: Duration,
}

/// A clock that can be waited on.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// What the clock shows, in milliseconds since the Unix epoch. It may be set
    /// at any time: for stamps, never for waits.
    fn now_ms(&self) -> Millis;

    /// What has passed since some moment of this process. Never set.
    fn steady(&self) -> Duration;

    /// Completes when `wait` has passed on [`Clock::steady`].
    fn sleep(&self, wait: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

    /// Now, on both sides.
    fn moment(&self) -> Moment {
        Moment { shown_ms: self.now_ms(), steady: self.steady() }
    }

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

    /// What has passed since this process first asked.
    #[expect(clippy::disallowed_methods, reason = "this is the module that may")]
    pub fn read_steady() -> Duration {
        static ORIGIN: OnceLock<std::time::Instant> = OnceLock::new();
        ORIGIN.get_or_init(std::time::Instant::now).elapsed()
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> Millis {
        SystemClock::read_ms()
    }

    fn steady(&self) -> Duration {
        SystemClock::read_steady()
    }

    fn sleep(&self, wait: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        Box::pin(tokio::time::sleep(wait))
    }
}

/// A clock that began at `origin_ms` when the machine's clock stood at
/// `real_origin_ms`, and has since run `scale` times as fast.
///
/// The lab keeps the three numbers on disk, so that all processes of one estate
/// share what it shows, and a rehearsal goes on from where it was.
#[derive(Debug, Clone, Copy)]
pub struct ScaledClock {
    /// Time of this clock at its origin.
    pub origin_ms: Millis,
    /// Time of the machine's clock at the origin.
    pub real_origin_ms: Millis,
    /// How many milliseconds pass on this clock in a real one. At least 1.
    pub scale: u32,
}

impl ScaledClock {
    fn real_of(&self, span: Duration) -> Duration {
        span / self.scale.max(1)
    }
}

impl Clock for ScaledClock {
    fn now_ms(&self) -> Millis {
        let elapsed = SystemClock::read_ms().saturating_sub(self.real_origin_ms);
        self.origin_ms.saturating_add(elapsed.saturating_mul(u64::from(self.scale.max(1))))
    }

    fn steady(&self) -> Duration {
        SystemClock::read_steady().saturating_mul(self.scale.max(1))
    }

    fn sleep(&self, wait: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        // At least a millisecond: a busy loop would not be a wait.
        let least = if wait.is_zero() { Duration::ZERO } else { Duration::from_millis(1) };
        Box::pin(tokio::time::sleep(self.real_of(wait).max(least)))
    }

    fn real(&self, ms: Millis) -> Duration {
        self.real_of(Duration::from_millis(ms))
    }

    fn spans(&self, real: Duration) -> Millis {
        let ms = u64::try_from(real.as_millis()).unwrap_or(Millis::MAX);
        ms.saturating_mul(u64::from(self.scale.max(1)))
    }
}

/// tokio's clock, which a test can pause: time then jumps to the next timer
/// whenever nothing else is to be done. A test can also set what it shows.
#[derive(Debug, Clone)]
pub struct TokioClock {
    origin: tokio::time::Instant,
    /// What it showed, or would have, at the origin. Clones are set together.
    origin_ms: Arc<AtomicU64>,
}

impl TokioClock {
    /// A clock that shows `now_ms` now. Must be made within a tokio runtime.
    #[expect(clippy::disallowed_methods, reason = "this is the module that may")]
    pub fn starting_at(now_ms: Millis) -> TokioClock {
        let origin_ms = Arc::new(AtomicU64::new(now_ms));
        TokioClock { origin: tokio::time::Instant::now(), origin_ms }
    }

    /// Sets what it shows, as a person or NTP sets a machine's clock. Waits go on
    /// as they were.
    pub fn set(&self, now_ms: Millis) {
        self.origin_ms.store(now_ms.wrapping_sub(self.steady_ms()), Ordering::Relaxed);
    }

    fn steady_ms(&self) -> Millis {
        Millis::try_from(self.steady().as_millis()).unwrap_or(Millis::MAX)
    }
}

impl Clock for TokioClock {
    fn now_ms(&self) -> Millis {
        self.origin_ms.load(Ordering::Relaxed).wrapping_add(self.steady_ms())
    }

    fn steady(&self) -> Duration {
        self.origin.elapsed()
    }

    fn sleep(&self, wait: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        Box::pin(tokio::time::sleep(wait))
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
        clock.sleep(Duration::from_secs(60)).await;
        assert_eq!(clock.now_ms(), 65_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_shows_another_time_and_waits_as_long_as_before() {
        const HOUR: Millis = 3_600_000;
        for set_to in [100 * HOUR - 5 * HOUR, 100 * HOUR + 5 * HOUR] {
            let clock = TokioClock::starting_at(100 * HOUR);
            let begun = clock.steady();
            let wait = clock.sleep(Duration::from_secs(60));
            clock.set(set_to);
            wait.await;
            assert_eq!(clock.steady().saturating_sub(begun), Duration::from_secs(60));
            assert_eq!(clock.now_ms(), set_to + 60_000);
        }
    }
}

//! Waits that double. The one user of the `backoff` crate, which is unmaintained
//! (RUSTSEC-2025-0012) and asked for by the project: it gives the exponential
//! series and nothing else, so that it can be replaced here.

use std::time::Duration;

use backoff::ExponentialBackoffBuilder;
use backoff::backoff::Backoff as _;

/// The wait of number `number` (from 1) in a series that begins with `first`,
/// doubles, and stays at `max`. Without jitter, which is for the caller.
pub fn doubling(first: Duration, max: Duration, number: u32) -> Duration {
    let mut series = ExponentialBackoffBuilder::new()
        .with_initial_interval(first)
        .with_max_interval(max)
        .with_multiplier(2.0)
        // Chance is the caller's, so that a test can repeat it.
        .with_randomization_factor(0.0)
        .with_max_elapsed_time(None)
        .build();
    let mut wait = first;
    // Far out the series stands at its maximum.
    for _ in 0..number.min(64) {
        wait = series.next_backoff().unwrap_or(wait);
    }
    wait
}

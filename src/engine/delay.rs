//! How long a retry waits.

use std::time::Duration;

use crate::base::doubling;
use crate::domain::RetryPolicy;

/// Delays with jitter. The seed makes them repeatable.
#[derive(Debug, Clone)]
pub struct Delays {
    seed: u64,
}

/// The longest wait that `policy` has.
pub(super) fn longest(policy: &RetryPolicy) -> Duration {
    let jitter_ms = policy.delay_max_ms.saturating_mul(u64::from(policy.jitter_percent.min(100)));
    Duration::from_millis(policy.delay_max_ms.saturating_add(jitter_ms / 100))
}

impl Delays {
    /// Delays whose chance comes from `seed`.
    pub fn seeded(seed: u64) -> Delays {
        Delays { seed }
    }

    /// The wait after attempt `attempt` (from 1) failed.
    pub fn after(&mut self, policy: &RetryPolicy, attempt: u32) -> Duration {
        let (first, max) = (policy.delay_ms, policy.delay_max_ms);
        let wait = doubling(Duration::from_millis(first), Duration::from_millis(max), attempt);
        self.jittered(wait, policy.jitter_percent)
    }

    fn jittered(&mut self, wait: Duration, percent: u32) -> Duration {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let span = wait_ms.saturating_mul(u64::from(percent.min(100))) / 100;
        if span == 0 {
            return wait;
        }
        let offset = self.next_random() % (2 * span + 1);
        Duration::from_millis(wait_ms - span + offset)
    }

    /// splitmix64: enough to spread retries.
    fn next_random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(jitter_percent: u32) -> RetryPolicy {
        RetryPolicy { attempts: 9, delay_ms: 1_000, delay_max_ms: 10_000, jitter_percent }
    }

    #[test]
    fn waits_double_up_to_the_bound() {
        let mut delays = Delays::seeded(1);
        let waits: Vec<u128> =
            (1..=6).map(|attempt| delays.after(&policy(0), attempt).as_millis()).collect();
        assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    }

    #[test]
    fn jitter_spreads_within_its_share() {
        let mut delays = Delays::seeded(7);
        let waits: Vec<u128> = (0..100).map(|_| delays.after(&policy(20), 1).as_millis()).collect();
        assert!(waits.iter().all(|wait| (800..=1_200).contains(wait)), "{waits:?}");
        assert_eq!(longest(&policy(20)), Duration::from_secs(12));
        assert!(waits.iter().any(|wait| *wait < 900) && waits.iter().any(|wait| *wait > 1_100));
    }
}

//! Random nights: every sample plan with random faults, engines that are killed,
//! and then, the faults being gone, one round of the orders that the program
//! prints. In the end every client must be where it says it is.
//!
//! One number decides everything that happens in a night. A handful of nights is
//! lived through each time; `NIMSHIFT_SOAK_NIGHTS=2000` lives through so many,
//! `NIMSHIFT_SOAK_SEED=N` through the one of that number alone, and tells its
//! story; `NIMSHIFT_SOAK_CLIENT=lpar04` adds every attempt of that client.
//! `NIMSHIFT_SOAK_FIRST` says where to begin. The same nights of two programs that
//! decide alike have the same digest.

#![expect(clippy::print_stderr, reason = "a night that is wrong tells its story")]

mod clock;
mod dice;
mod left;
mod lived;
mod night;
mod picture;
mod sample;
mod script;
mod wrong;

use nimshift::base::SystemClock;
use sha2::{Digest as _, Sha256};

use lived::{Lived, lived};
use sample::{Golden, samples};

/// Nights that are lived through each time, and the first of them.
const NIGHTS: u64 = 36;
const FIRST: u64 = 20;

fn asked(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

fn tell(lived: &Lived) {
    eprintln!("\nnight {} is wrong: {}", lived.seed, lived.story);
    for line in &lived.wrong {
        eprintln!("  WRONG {line}");
    }
    eprintln!("  alone: NIMSHIFT_SOAK_SEED={} cargo nextest run --test soak", lived.seed);
}

#[test]
fn every_client_is_where_it_says_it_is() {
    let begun_ms = SystemClock::read_ms();
    let all: Vec<_> = samples()
        .into_iter()
        .map(|sample| {
            let golden = Golden::of(&sample);
            (sample, golden)
        })
        .collect();
    let first = asked("NIMSHIFT_SOAK_FIRST").unwrap_or(FIRST);
    let seeds = match asked("NIMSHIFT_SOAK_SEED") {
        Some(seed) => seed..seed + 1,
        None => first..first + asked("NIMSHIFT_SOAK_NIGHTS").unwrap_or(NIGHTS),
    };
    let is_one = seeds.end - seeds.start == 1;
    let (mut faults, mut wrong, mut digest) = (0, Vec::new(), Sha256::new());
    let count = seeds.end - seeds.start;
    for seed in seeds {
        let night = lived(seed, &all);
        faults += night.faults;
        digest.update(&night.record);
        if !night.wrong.is_empty() {
            tell(&night);
            wrong.push(seed);
        } else if is_one {
            eprintln!("night {seed}: {}", night.story);
        }
    }
    let took = (SystemClock::read_ms() - begun_ms) / 1000;
    eprintln!("\n{count} nights with {faults} faults in {took} s: {} wrong", wrong.len());
    let digest = digest.finalize();
    eprintln!("digest of these nights: {digest:x}");
    assert!(wrong.is_empty(), "nights that are wrong: {wrong:?}");
}

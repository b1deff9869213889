//! A night from its seed to what is wrong after it.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nimshift::domain::CopyPolicy;
use nimshift::lab::HostShow;
use nimshift::machine::{EventKind, Operator, State};
use nimshift::report::next_step;

use super::dice::Dice;
use super::night::Night;
use super::sample::{Golden, Sample};
use super::script::Script;
use super::wrong::{Held, why};

/// Orders that a client which waits is given at most: what is printed first may
/// fail again, for a reason that no fault has made.
const ORDERS_MAX: u32 = 2;

/// A night that has been lived through.
pub(crate) struct Lived {
    pub(crate) seed: u64,
    /// What happened, for whoever repeats it.
    pub(crate) story: String,
    /// What is wrong: nothing, in a good one.
    pub(crate) wrong: Vec<String>,
    /// How many faults it had.
    pub(crate) faults: usize,
    /// The estate in the end, and all that was journaled but its texts: the same night
    /// of two programs has the same.
    pub(crate) record: String,
}

/// Lives through the night of `seed`.
pub(crate) fn lived(seed: u64, samples: &[(Sample, Golden)]) -> Lived {
    let mut dice = Dice::new(seed);
    let (sample, golden) = dice.pick(samples);
    let script = Script::new(&mut dice, sample, golden);
    let mut story = format!("fixtures/{}.toml\n{script}", sample.name);
    let mut record = String::new();
    let run = catch_unwind(AssertUnwindSafe(|| {
        let night = Night::new(sample, &sample.estate, script.specs(sample));
        let wrong = run(&mut dice, &night, sample, golden, &script, &mut story);
        record = night.record();
        wrong
    }));
    let wrong = run.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        vec![format!("it panicked: {}", text.unwrap_or_default())]
    });
    Lived { seed, story, wrong, faults: script.faults.len(), record }
}

fn run(
    dice: &mut Dice,
    night: &Night,
    sample: &Sample,
    golden: &Golden,
    script: &Script,
    story: &mut String,
) -> Vec<String> {
    for fault in &script.faults {
        night.lab.add_fault(fault.clone()).expect("a fault");
    }
    for (entry, ms) in &script.kills {
        let ended = night.live(Some(*entry));
        let _ = writeln!(story, "  a life: {ended}");
        night.pass(*ms);
    }
    let ended = night.live(None);
    let _ = writeln!(story, "  the last life: {ended}");
    if !ended.is_at_rest() {
        return vec![format!("the engine is not at rest: {ended}")];
    }
    night.clear_faults();
    night.rests();
    let mut held = Held { sample, golden, night, now: night.image(), views: night.views() };
    for view in &held.views {
        let _ = writeln!(story, "  morning: {} {}", view.client, why(view));
    }
    let mut wrong: Vec<String> =
        held.claims().into_iter().map(|claim| format!("in the morning, {claim}")).collect();
    for round in 1..=ORDERS_MAX {
        let ordered = orders(dice, &held, round, story, &mut wrong);
        if !ordered {
            break;
        }
        let kill = dice.chance(20).then(|| dice.within(1, 40));
        let ended = night.live(kill);
        let ended = if ended.is_at_rest() { ended } else { night.live(None) };
        if !ended.is_at_rest() {
            wrong.push(format!("after orders the engine is not at rest: {ended}"));
            return wrong;
        }
        night.rests();
        held = Held { now: night.image(), views: night.views(), ..held };
        for view in &held.views {
            let _ = writeln!(story, "  then: {} {}", view.client, why(view));
        }
    }
    let down = |host: &HostShow| host.power != "up";
    for host in night.lab.show().expect("the hosts").iter().filter(|host| down(host)) {
        wrong.push(format!("{} is down: {}", host.name, host.power));
    }
    wrong.extend(held.wrong());
    if let Ok(client) = std::env::var("NIMSHIFT_SOAK_CLIENT") {
        for view in night.all_views().iter().filter(|view| view.client == client) {
            let _ = writeln!(story, "{}", night.told(view));
        }
    }
    wrong
}

/// Gives each client that waits one of the orders that the report names for it,
/// and some that failed another try. False: nobody was given one.
fn orders(
    dice: &mut Dice,
    held: &Held<'_>,
    round: u32,
    story: &mut String,
    wrong: &mut Vec<String>,
) -> bool {
    let mut ordered = false;
    for view in &held.views {
        let client = view.client.as_str();
        let next = next_step(view);
        let printed = printed_orders(next.as_deref().unwrap_or_default(), client);
        let waits = view.state.waits_for_operator();
        // Where it says so, a person boots the old disk first.
        let boots_old = waits.then(|| printed_bootlist(next.as_deref()?)).flatten();
        let by_hand = ["by hand", "if it is booted from"];
        let by_hand =
            by_hand.iter().any(|words| next.as_deref().is_some_and(|n| n.contains(words)));
        let order = if boots_old.is_some() || waits && by_hand && round > 1 {
            "retry".to_owned()
        } else if waits && round > 1 {
            // The cause is the estate's own, and stays: what is left is to give up.
            let never = held.golden.states[client] != "migrated";
            let back = printed.iter().find(|order| *order == "rollback");
            let Some(back) = back.filter(|_| never) else { continue };
            back.clone()
        } else if waits {
            if printed.is_empty() {
                wrong.push(format!("{client} waits, and no order is printed: {next:?}"));
                continue;
            }
            dice.pick(&printed).clone()
        } else if round == 1
            && matches!(view.state, State::RolledBack { .. } | State::Refused { .. })
            && printed.iter().any(|order| order == "retry")
            // A copy that is kept is to be removed first.
            && view.spec.failed_copy == CopyPolicy::Remove
            && dice.chance(40)
        {
            "anew".to_owned()
        } else {
            continue;
        };
        let _ = writeln!(story, "  order: {order} {client}");
        ordered = true;
        if let Some(disks) = &boots_old {
            held.night.boots_by_hand(client, disks);
        }
        // Who was told to reboot once is booted by a person.
        if order == "retry" && by_hand {
            let disk = view.spec.options.disks.first().expect("a target disk").to_string();
            held.night.boots_by_hand(client, &[disk]);
        }
        let by = Operator("soak".to_owned());
        let event = match order.as_str() {
            "anew" => {
                held.night.begin_anew(client);
                continue;
            }
            "retry" => EventKind::Retry { by },
            "rollback" => EventKind::Rollback { by },
            "release" => EventKind::Release { by },
            "cancel" => EventKind::Cancel { by },
            "abandon" => EventKind::Abandon { by },
            other => panic!("`{other}` is an order of the report, and none of this test"),
        };
        if !held.night.order(client, event) {
            wrong.push(format!("{client}: `{order}` is printed and refused: {}", why(view)));
        }
    }
    ordered
}

/// The disks of the bootlist that a hint asks for.
fn printed_bootlist(hint: &str) -> Option<Vec<String>> {
    let (_, rest) = hint.split_once("`bootlist -m normal ")?;
    let (disks, _) = rest.split_once(" && shutdown -Fr`")?;
    Some(disks.split_whitespace().map(str::to_owned).collect())
}

/// The orders for `client` in a hint: what stands between backticks. Abandoning
/// is no way out, and is left out.
fn printed_orders(hint: &str, client: &str) -> Vec<String> {
    hint.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|command| {
            let mut words = command.strip_prefix("nimshift ")?.split_whitespace();
            let order = words.next()?;
            (words.next() == Some(client) && order != "abandon").then(|| order.to_owned())
        })
        .collect()
}

//! `lab keep`: the process that all hosts depend on.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Pid, chdir, setsid};

use super::address::{Address, HOSTS_MAX};
use super::disk;
use super::guest::{Guest, Told};
use super::kept::Kept;
use super::links::{self, Shaping};
use crate::base::{Millis, SystemClock};
use crate::lab::handle::Lab;
use crate::lab::net::identity::Identity;
use crate::lab::net::layout::{Layout, NetError, Record, Way, refused, write};

/// How often world and links are looked at.
const LOOK_MS: Millis = 100;

/// How long hosts may take until all of them answer: in all, and for each.
const UP_MS: Millis = 30_000;
const UP_MS_EACH: Millis = 1_000;

/// How long `lab up` waits for so many hosts.
pub(super) fn patience_ms(hosts: usize) -> Millis {
    UP_MS + UP_MS_EACH * u64::try_from(hosts).unwrap_or(u64::MAX / UP_MS_EACH / 2)
}

/// What the keeper waits for.
enum Event {
    /// Something from a host.
    Host(usize, Told),
    /// Who asked for the hosts is gone.
    Abandoned,
}

/// Makes the hosts of a lab and keeps them, until it is killed or the lab is
/// gone. Tells on stdout, in one line, whether all of them came up: `ready`, or
/// why not. Until then it ends when its input does.
pub fn keep(dir: &Path) -> Result<(), NetError> {
    // It is nobody's group and holds no directory.
    refused("leave the terminal", setsid())?;
    refused("go to /", chdir("/"))?;
    let outcome = Keeper::make(dir).and_then(|mut keeper| {
        keeper.bring_up()?;
        Ok(keeper)
    });
    let mut stdout = std::io::stdout();
    match outcome {
        Ok(mut keeper) => {
            let _ = writeln!(stdout, "ready").and_then(|()| stdout.flush());
            keeper.watch()
        }
        Err(error) => {
            let _ = writeln!(stdout, "{error}").and_then(|()| stdout.flush());
            Err(error)
        }
    }
}

/// Hosts whose network waits for its cable.
#[derive(Default)]
struct Cables {
    lines: String,
    guests: Vec<usize>,
}

struct Keeper {
    layout: Layout,
    lab: Lab,
    this: Identity,
    shaping: Shaping,
    guests: Vec<Guest>,
    cables: Cables,
    events: Receiver<Event>,
    sender: Sender<Event>,
}

impl Keeper {
    /// Network, disks, and nobody there yet.
    fn make(dir: &Path) -> Result<Keeper, NetError> {
        let layout = Layout::new(dir);
        let lab = Lab::open(dir)?;
        let names = lab.hosts()?;
        let addresses: Vec<Address> = (0..names.len()).map_while(Address::of).collect();
        if addresses.len() < names.len() {
            return Err(NetError::Refused {
                what: format!("connect {} hosts", names.len()),
                why: format!("a bridge takes {HOSTS_MAX}"),
            });
        }
        let this = Identity::of(Pid::this()).ok_or_else(|| NetError::Refused {
            what: "find this process".to_owned(),
            why: "/proc does not have it".to_owned(),
        })?;
        refused(
            "make a network and mounts of its own",
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS),
        )?;
        // What the machine unmounts is not held; what is mounted here is not seen.
        let (none, follow) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE);
        refused("keep mounts private", mount(none, "/", none, follow, none))?;
        links::make_control(&addresses)?;
        let shaping = links::find_shaping();
        let kept = Kept { keeper: this.clone(), shaping };
        let text = serde_json::to_string(&kept).expect("it is plain data");
        write(&layout.file("keeper.json"), &text)?;
        for name in &names {
            disk::make(&layout, name)?;
        }
        let (sender, events) = channel();
        let guests =
            names.into_iter().zip(addresses).map(|(name, at)| Guest::new(name, at)).collect();
        let cables = Cables::default();
        Ok(Keeper { layout, lab, this, shaping, guests, cables, events, sender })
    }

    /// Until every host that is up answers. Only then there is a record, which
    /// makes the lab one that is reached by ssh.
    fn bring_up(&mut self) -> Result<(), NetError> {
        let sender = self.sender.clone();
        std::thread::spawn(move || {
            let mut byte = [0];
            // Nothing is ever written there: it ends.
            let _ = std::io::stdin().read(&mut byte);
            let _ = sender.send(Event::Abandoned);
        });
        let limit = SystemClock::read_ms() + patience_ms(self.guests.len());
        let mut due_ms = 0;
        loop {
            self.look(&mut due_ms)?;
            let mut up = self.guests.iter().filter(|guest| guest.boot_ms().is_some());
            let Some(late) = up.find(|guest| !guest.is_settled()) else { break };
            if SystemClock::read_ms() > limit {
                return Err(self.silent(late));
            }
            for event in self.next_events(due_ms) {
                match event {
                    Event::Abandoned => {
                        return Err(NetError::Refused {
                            what: "bring the hosts up".to_owned(),
                            why: "`lab up` was ended".to_owned(),
                        });
                    }
                    Event::Host(index, Told::Ended) if !self.guests[index].is_ending() => {
                        return Err(self.silent(&self.guests[index]));
                    }
                    Event::Host(index, told) => self.hear(index, &told),
                }
            }
            self.lay_cables()?;
        }
        let hosts = self.guests.iter().map(|guest| guest.name.clone()).collect();
        self.layout.write_record(&Record { format: 1, way: Way::Namespaces, hosts })
    }

    fn silent(&self, guest: &Guest) -> NetError {
        NetError::Silent { host: guest.name.clone(), console: guest.console(&self.layout) }
    }

    /// For as long as the lab is there and this process is its keeper.
    fn watch(&mut self) -> Result<(), NetError> {
        let mut due_ms = 0;
        loop {
            for event in self.next_events(due_ms) {
                if let Event::Host(index, told) = event {
                    self.hear(index, &told);
                }
            }
            if let Err(error) = self.lay_cables().and_then(|()| self.look(&mut due_ms)) {
                if !Kept::read(&self.layout).is_some_and(|kept| kept.keeper == self.this) {
                    return Err(error);
                }
                log(&error);
            }
        }
    }

    /// What came until the time when world and links are to be looked at.
    fn next_events(&self, due_ms: Millis) -> Vec<Event> {
        let wait = Duration::from_millis(due_ms.saturating_sub(SystemClock::read_ms()));
        let first = self.events.recv_timeout(wait).ok();
        first.into_iter().chain(self.events.try_iter()).collect()
    }

    fn hear(&mut self, index: usize, told: &Told) {
        let guest = &mut self.guests[index];
        match told {
            Told::Line(line) => {
                if let Some(lines) = guest.hear(&self.layout, line) {
                    self.cables.lines += &lines;
                    self.cables.guests.push(index);
                }
            }
            Told::Ended => {
                if guest.ended(&self.layout, self.shaping) {
                    // Nobody wanted that: the machine crashed, and boots.
                    log(&format!("`{}` has ended by itself", guest.name));
                    if let Err(error) = self.lab.reboot(&guest.name) {
                        log(&error);
                    }
                }
            }
        }
    }

    /// All at once: a program for each would take most of the time.
    fn lay_cables(&mut self) -> Result<(), NetError> {
        let Cables { lines, guests } = std::mem::take(&mut self.cables);
        if guests.is_empty() {
            return Ok(());
        }
        let laid = links::batch(&lines);
        for index in guests {
            let guest = &mut self.guests[index];
            let done = match &laid {
                Ok(()) => guest.cabled(&self.layout, self.shaping),
                Err(_) => Ok(()),
            };
            if laid.is_err() || done.is_err() {
                guest.cut_power(&self.layout, self.shaping);
            }
            done?;
        }
        laid
    }

    /// Makes it so that those hosts run that the world has running, and that
    /// their links are what their files say.
    fn look(&mut self, due_ms: &mut Millis) -> Result<(), NetError> {
        let now = SystemClock::read_ms();
        if now < *due_ms {
            return Ok(());
        }
        *due_ms = now + LOOK_MS;
        let powered: BTreeMap<String, Option<Millis>> = self.lab.powered()?.into_iter().collect();
        for index in 0..self.guests.len() {
            let guest = &mut self.guests[index];
            let wanted = powered.get(&guest.name).copied().flatten();
            let runs = guest.boot_ms();
            if runs.is_some() && runs != wanted {
                guest.cut_power(&self.layout, self.shaping);
            }
            if let (None, Some(boot_ms)) = (runs, wanted) {
                let sender = self.sender.clone();
                // Nobody hears it when the keeper ends.
                let tell = move |told| drop(sender.send(Event::Host(index, told)));
                guest.begin(&self.layout, boot_ms, tell)?;
            }
            guest.look_at_link(&self.layout, self.shaping)?;
        }
        Ok(())
    }
}

/// For `keeper.log`.
fn log(what: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{} {what}", SystemClock::read_ms());
}

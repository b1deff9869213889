//! The hosts that a command line of nimadm is about, which the line itself does
//! not name: those of `nimadm.toml` in the state directory, or those of its lab.

use std::path::PathBuf;

use crate::aix::argv;
use crate::base::limits;
use crate::domain::{
    BatchName, EstateKind, HostName, Level, NimadmLine, UPDATES_SINCE, parse_plan,
};
use crate::fleet::{PlanFile, SpotError, level_of_spot};
use crate::lab::Lab;
use crate::transport::{Command, CommandOutput, HostId, Script};

use super::error::CliError;
use super::estate::{Estate, check_hosts, open_lab, runtime};
use super::exit::Exit;
use super::plan_file::{absolute_config, licences_by_environment};
use super::state_dir::StateDir;

/// The part of a plan that is the same for all lines: `[estate]`, `[master]`, and
/// what else a site wants.
struct Common {
    text: String,
    /// How messages call it.
    name: String,
    folder: PathBuf,
    /// Of a lab.
    master: Option<HostName>,
}

impl Common {
    fn read(place: &StateDir) -> Result<Common, CliError> {
        let path = place.dir().join("nimadm.toml");
        let (name, folder) = (path.display().to_string(), place.dir().to_owned());
        if path.exists() {
            let unread = |error| CliError::file(Exit::Usage, "read", &path, &error);
            let size = std::fs::metadata(&path).map_err(unread)?.len();
            if size > limits::PLAN_BYTES_MAX / 2 {
                return Err(CliError::usage(format!("`{name}` has {size} bytes: too many")));
            }
            let text = std::fs::read_to_string(&path).map_err(unread)?;
            return Ok(Common { text, name, folder, master: None });
        }
        if !Lab::exists(&place.lab()) {
            let dir = place.dir().display();
            return Err(CliError::usage(format!("`{dir}` has neither a lab nor a `nimadm.toml`"))
                .help("`nimshift lab up --estate FILE` makes a lab")
                .help("`nimadm.toml` names real hosts: [estate] and [master] as in a plan"));
        }
        let master = open_lab(place)?.master()?;
        let text = format!("[estate]\nkind = \"lab\"\n\n[master]\nname = \"{master}\"\n");
        let master = master
            .parse()
            .map_err(|error| CliError::internal("the lab's master has no name").because(&error))?;
        Ok(Common { text, name: "nimadm".to_owned(), folder, master: Some(master) })
    }

    /// The plan that `line` stands for.
    fn plan(&self, line: &NimadmLine, level: &Level) -> Result<PlanFile, CliError> {
        if let (Some(name), Some(master)) = (line.name(), &self.master)
            && name.as_str().eq_ignore_ascii_case(master.as_str())
        {
            return Err(CliError::usage(format!("{name} is the NIM master itself"))
                .help("a master cannot migrate itself: name another client with -c"));
        }
        let updates = UPDATES_SINCE.parse().is_ok_and(|since| level.reaches(&since));
        if line.options.update && !updates {
            return Err(CliError::usage(format!(
                "-U updates within a release from {UPDATES_SINCE} on, and {} is at {level}",
                line.spot
            ))
            .help("leave -U out, or name a later SPOT and lpp_source"));
        }
        let batch: BatchName = "nimadm".parse().expect("a name of a batch");
        let text = format!("{}\n\n{}", self.text.trim_end(), line.plan_text(&batch, level));
        let mut plan =
            parse_plan(&self.name, &text, licences_by_environment()).map_err(|errors| {
                CliError::usage(format!("nimadm: `{}` does not fit the line\n{errors}", self.name))
            })?;
        absolute_config(&mut plan, &self.folder)?;
        Ok(PlanFile { plan, text })
    }
}

/// The hosts of a line.
pub(super) struct Settled {
    common: Common,
    pub(super) estate: Estate,
    master: HostName,
}

impl Settled {
    /// The hosts that the state directory is settled on. Nothing is asked of
    /// them.
    pub(super) fn of(place: &StateDir, line: &NimadmLine) -> Result<Settled, CliError> {
        let common = Common::read(place)?;
        // The level is not known yet, and decides nothing here.
        let level: Level = UPDATES_SINCE.parse().expect("a level");
        let plan = common.plan(line, &level)?.plan;
        let estate = Estate::of_plan(place, &plan, None, None)?;
        Ok(Settled { common, estate, master: plan.master })
    }

    /// Whether there are hosts at all.
    pub(super) fn check(place: &StateDir) -> Result<(), CliError> {
        if place.journal().exists() { Ok(()) } else { Common::read(place).map(drop) }
    }

    /// The plan that `line` stands for.
    pub(super) fn plan(&self, line: &NimadmLine, level: &Level) -> Result<PlanFile, CliError> {
        self.common.plan(line, level)
    }

    /// The same, with a look at whether a lab has its hosts.
    pub(super) fn checked_plan(
        &self,
        place: &StateDir,
        line: &NimadmLine,
        level: Option<&Level>,
    ) -> Result<PlanFile, CliError> {
        let plan = match level {
            Some(level) => self.plan(line, level)?,
            None => self.plan(line, &self.level(line)?)?,
        };
        if plan.plan.estate.kind == EstateKind::Lab {
            check_hosts(&plan.plan, &open_lab(place)?.hosts()?)?;
        }
        Ok(plan)
    }

    /// The level that the line leads to: the SPOT's.
    fn level(&self, line: &NimadmLine) -> Result<Level, CliError> {
        let (spot, master) = (&line.spot, &self.master);
        let output = self.ask(&argv::lsnim(spot))?;
        level_of_spot(spot, &output).map_err(|error| match error {
            SpotError::Undefined => {
                CliError::usage(format!("{spot} is not defined in NIM on {master}"))
                    .help("`lsnim -t spot` on the master lists the SPOTs")
            }
            SpotError::Unread { said, because } => {
                CliError::usage(format!("cannot read {spot} on {master}: {said}")).because(&because)
            }
            SpotError::NotASpot(kind) => {
                CliError::usage(format!("{spot} is not a SPOT in NIM but {kind}"))
                    .help("-s names the SPOT of the target level, -l its lpp_source")
            }
            SpotError::NoLevel => {
                CliError::usage(format!("the SPOT {spot} has no level in NIM")).help(
                    "`nim -Fo check` it, or give the level: `nimshift nimadm --level 7300-02 …`, or \
                     NIMSHIFT_NIMADM_LEVEL in the environment",
                )
            }
        })
    }

    /// What one command says on the master.
    fn ask(&self, argv: &[String]) -> Result<CommandOutput, CliError> {
        let script = Script::new([Command::new(argv.iter().cloned())]);
        let host = HostId::new(self.master.as_str());
        let runtime = runtime()?;
        let asked = self.estate.transport.exec(&host, &script, limits::PROBE_TIMEOUT);
        let output = runtime.block_on(asked).map_err(|error| {
            CliError::internal(format!("cannot ask the master {host}"))
                .because(&error)
                .help("nothing was begun: run the line again when it answers")
        })?;
        output.get(0).cloned().ok_or_else(|| CliError::internal(format!("{host} gave no answer")))
    }
}

//! The estate of a plan: made, or opened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::base::{ClockRef, SystemClock, limits};
use crate::domain::{EstateKind, MigrationSpec, NimName, Plan, RealHosts};
use crate::fleet::BatchSettings;
use crate::lab::{EstateFile, Lab, LabError, MksysbSpec, PlainClient, PlainMaster};
use crate::transport::Transport;

use super::error::CliError;
use super::exit::Exit;
use super::real;
use super::state_dir::StateDir;

/// Hosts, and the clock that they live by.
pub(super) struct Estate {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) clock: ClockRef,
    /// Where hosts keep durable jobs; empty where that is the usual place.
    pub(super) job_dir: String,
    /// Real hosts, as they are known.
    pub(super) real: Option<real::Known>,
}

/// What calls to hosts are waited for by.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::internal("cannot start the runtime").because(&error))
}

impl Estate {
    fn of_lab(lab: Lab) -> Estate {
        let clock = lab.clock();
        Estate { clock, transport: Arc::new(lab), job_dir: String::new(), real: None }
    }

    /// The estate of real hosts. Nothing is asked of them yet.
    fn of_real(real: Option<&RealHosts>) -> Result<Estate, CliError> {
        let job_dir = real.map(|real| real.job_dir.clone()).unwrap_or_default();
        let hosts = Arc::new(real::hosts(real)?);
        let real = real.map(|real| real::Known::new(Arc::clone(&hosts), real.clone()));
        Ok(Estate { transport: hosts, clock: Arc::new(SystemClock), job_dir, real })
    }

    /// Learns how a plan that joins the one that runs reaches its hosts, `clients`
    /// of it are new. Or why it does not fit.
    pub(super) fn learn(&self, settings: &BatchSettings, clients: &[&str]) -> Result<(), String> {
        match (&self.real, &settings.real) {
            (None, None) => Ok(()),
            (Some(known), Some(asked)) => known.learn(asked, clients),
            _ => Err("the running engine works with another kind of hosts".to_owned()),
        }
    }

    /// This process, where the master's list of processes shows it.
    pub(super) fn own_process(&self) -> Option<u32> {
        let is_here = self.real.as_ref().is_some_and(real::Known::master_is_here);
        is_here.then(std::process::id)
    }

    /// The lab of a state directory.
    pub(super) fn lab(place: &StateDir) -> Result<Estate, CliError> {
        open_lab(place).map(Estate::of_lab)
    }

    /// The estate of a plan: opened, or made first.
    pub(super) fn of_plan(
        place: &StateDir,
        plan: &Plan,
        lab: Option<EstateFile>,
        scale: Option<u32>,
    ) -> Result<Estate, CliError> {
        match (plan.estate.kind, lab) {
            (EstateKind::Lab, Some(file)) => create_lab(place, &file, scale).map(Estate::of_lab),
            (EstateKind::Lab, None) => open_lab(place).map(Estate::of_lab),
            (EstateKind::Ssh | EstateKind::Local, _) => Estate::of_real(plan.estate.real.as_ref()),
        }
    }

    /// The estate that earlier runs have talked to.
    pub(super) fn open(place: &StateDir, settings: &BatchSettings) -> Result<Estate, CliError> {
        match settings.kind {
            EstateKind::Lab => open_lab(place).map(Estate::of_lab),
            EstateKind::Ssh | EstateKind::Local => Estate::of_real(settings.real.as_ref()),
        }
    }
}

impl From<LabError> for CliError {
    fn from(error: LabError) -> CliError {
        let exit = match &error {
            LabError::Estate(_) | LabError::UnknownHost(_) => Exit::Usage,
            LabError::Store(_) | LabError::Unreachable { .. } => Exit::Internal,
        };
        CliError::new(exit, format!("the lab: {error}"))
    }
}

/// Opens the lab of a state directory.
pub(super) fn open_lab(place: &StateDir) -> Result<Lab, CliError> {
    if !Lab::exists(&place.lab()) {
        let text = format!("there is no lab in `{}`", place.lab().display());
        return Err(CliError::usage(text)
            .help("`nimshift lab up --plan PLAN` makes one; so does `nimshift run PLAN`"));
    }
    Ok(Lab::open(&place.lab())?)
}

/// Makes a lab.
pub(super) fn create_lab(
    place: &StateDir,
    file: &EstateFile,
    scale: Option<u32>,
) -> Result<Lab, CliError> {
    Ok(Lab::create(&place.lab(), file, scale)?)
}

/// The estate file that a plan names, read; or a plain estate for its clients.
/// Writes nothing.
pub(super) fn estate_of(plan: &Plan, plan_path: &Path) -> Result<EstateFile, CliError> {
    match &plan.estate.file {
        Some(file) => {
            let folder = plan_path.parent().unwrap_or(Path::new(""));
            read_estate(&folder.join(file))
        }
        None => Ok(plain_estate(plan)),
    }
}

/// Reads an estate file.
pub(super) fn read_estate(path: &Path) -> Result<EstateFile, CliError> {
    let unread = |error| {
        CliError::file(Exit::Usage, "read the estate file", path, &error)
            .help("`file` in [estate] is relative to the plan file")
    };
    let size = std::fs::metadata(path).map_err(unread)?.len();
    if size > limits::PLAN_BYTES_MAX {
        return Err(CliError::usage(format!("`{}` has {size} bytes: too many", path.display())));
    }
    let text = std::fs::read_to_string(path).map_err(unread)?;
    EstateFile::parse(&text).map_err(|error| {
        CliError::usage(format!("the estate file `{}` has errors", path.display())).because(&error)
    })
}

/// The hosts that an estate file makes.
pub(super) fn hosts_of(file: &EstateFile) -> Vec<String> {
    let clients = file.client.iter().map(|client| client.name.clone());
    std::iter::once(file.master.name.clone()).chain(clients).collect()
}

/// Whether a plan names hosts of the estate only.
pub(super) fn check_hosts(plan: &Plan, hosts: &[String]) -> Result<(), CliError> {
    let with_client = plan.migrations.iter().filter(|spec| spec.task.has_client());
    let clients = with_client.map(|spec| spec.client.as_str());
    let missing: Vec<&str> = std::iter::once(plan.master.as_str())
        .chain(clients)
        .filter(|name| !hosts.iter().any(|host| host == name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let text = format!("the lab has no host {}", missing.join(", "));
    Err(CliError::usage(text).help(
        "name hosts of the lab (`nimshift lab show`), add them to the estate file, or use another `--state-dir`",
    ))
}

fn plain_estate(plan: &Plan) -> EstateFile {
    let names = |pick: fn(&MigrationSpec) -> Vec<String>| -> Vec<String> {
        let all: BTreeSet<String> = plan.migrations.iter().flat_map(pick).collect();
        all.into_iter().collect()
    };
    let level = plan.migrations.iter().map(|spec| spec.target().level.as_str()).max();
    let master = PlainMaster {
        name: plan.master.to_string(),
        level: full_level(level.unwrap_or("7300-02")),
        spots: names(|spec| vec![spec.target().spot.to_string()]),
        lpp_sources: names(|spec| vec![spec.target().lpp_source.to_string()]),
        cache_vgs: names(|spec| spec.options.cache_vg.iter().map(ToString::to_string).collect()),
        scripts: names(|spec| {
            let options = &spec.options;
            let scripts = options.pre_script.iter().chain(&options.post_script);
            scripts.map(NimName::to_string).collect()
        }),
    };
    let clients: Vec<PlainClient> = plan
        .migrations
        .iter()
        .filter(|spec| spec.task.has_client())
        .map(|spec| PlainClient {
            name: spec.client.to_string(),
            level: level_before(spec),
            targets: spec.options.disks.iter().map(ToString::to_string).collect(),
        })
        .collect();
    let mut estate = EstateFile::from_clients(&master, &clients);
    let made = plan.migrations.iter().filter_map(|spec| {
        let name = spec.options.mksysb.as_ref()?.to_string();
        let level = level_before(spec);
        let host = name.clone();
        Some((
            name.clone(),
            MksysbSpec { name, level, host, location: None, data_mb: BTreeMap::new() },
        ))
    });
    estate.mksysb = made.collect::<BTreeMap<_, _>>().into_values().collect();
    estate
}

/// A level as `oslevel -s` prints it, from its beginning as plans have it.
fn full_level(level: &str) -> String {
    const USUAL: [&str; 4] = ["7300", "00", "01", "2346"];
    let given: Vec<&str> = level.split('-').collect();
    let parts = (0..USUAL.len()).map(|part| given.get(part).copied().unwrap_or(USUAL[part]));
    parts.collect::<Vec<_>>().join("-")
}

/// A level that gets to a migration's target: the release before it, or the
/// technology level before it where it is an update.
fn level_before(spec: &MigrationSpec) -> String {
    let target = spec.target().level.as_str();
    if spec.options.update {
        let before = target.get(5..7).and_then(|part| part.parse::<u32>().ok());
        let before = before.map_or(0, |level| level.saturating_sub(1));
        return format!("{}-{before:02}-01-2346", target.get(..4).unwrap_or("7300"));
    }
    match target.get(..2) {
        Some("72") => "7100-05-09-2114",
        Some("71") => "6100-09-12-1846",
        _ => "7200-05-06-2320",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_level_is_completed() {
        assert_eq!(full_level("7300-02"), "7300-02-01-2346");
        assert_eq!(full_level("7300-02-02-2420"), "7300-02-02-2420");
    }
}

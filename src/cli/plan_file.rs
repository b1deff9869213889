//! The plan file that a command is given.

use std::path::Path;

use crate::base::limits;
use crate::domain::{NimName, Plan, PlanErrors, parse_plan_bytes};
use crate::fleet::PlanFile;

use super::error::CliError;
use super::exit::Exit;

/// Whether the environment accepts the software licences, as for nimadm.
pub(super) fn licences_by_environment() -> bool {
    std::env::var("ADM_ACCEPT_LICENSES").is_ok_and(|value| value == "yes")
}

/// Reads a plan. Writes nothing.
pub(super) fn read_plan(path: &Path) -> Result<PlanFile, CliError> {
    let unread = |error| CliError::file(Exit::Usage, "read the plan", path, &error);
    let size = std::fs::metadata(path).map_err(unread)?.len();
    if size > limits::PLAN_BYTES_MAX {
        let text = format!("the plan `{}` has {size} bytes: too many", path.display());
        return Err(CliError::usage(text).help("put its clients in several plans"));
    }
    let bytes = std::fs::read(path).map_err(unread)?;
    let accepted = licences_by_environment();
    let mut plan = parse_plan_bytes(&path.display().to_string(), &bytes, accepted)
        .map_err(|errors: PlanErrors| CliError::from(errors))?;
    absolute_config(&mut plan, path.parent().unwrap_or(Path::new("")))?;
    Ok(PlanFile { plan, text: String::from_utf8_lossy(&bytes).into_owned() })
}

/// Names the ssh configuration, which is relative to `folder`, from the root on:
/// `resume` is called from anywhere.
pub(super) fn absolute_config(plan: &mut Plan, folder: &Path) -> Result<(), CliError> {
    if let Some(config) = plan.estate.real.as_mut().and_then(|real| real.ssh_config.as_mut()) {
        let file = folder.join(&*config);
        let unread = |error| {
            CliError::file(Exit::Usage, "read the ssh configuration", &file, &error)
                .help("`ssh_config` in [estate] is relative to the plan file")
        };
        // `ssh` would say so of each host, in the night.
        std::fs::File::open(&file).map_err(unread)?;
        *config = std::path::absolute(&file).map_err(unread)?.display().to_string();
    }
    Ok(())
}

/// Keeps of a plan `clients`, where any are named.
pub(super) fn only(plan: &mut Plan, clients: &[NimName]) -> Result<(), CliError> {
    for client in clients {
        if !plan.migrations.iter().any(|spec| spec.client == *client) {
            return Err(CliError::usage(format!("the plan has no client `{client}`"))
                .help("`nimshift plan PLAN` shows its clients"));
        }
    }
    if !clients.is_empty() {
        plan.migrations.retain(|spec| clients.contains(&spec.client));
    }
    Ok(())
}

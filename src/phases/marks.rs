//! Marks in the copy: which work on it was begun, and which was done.
//!
//! They lie in the copy itself, so that a fresh clone has none.

use crate::aix::argv;
use crate::domain::HostRole;
use crate::transport::{Command, Script};

use super::copy::{CLIENT_ROOT, master_paths, mounted};
use super::read::{Read, all_or_any, look};
use super::step::{Answers, Context, Finding, Probe};

/// Where marks lie within the copy.
pub(super) const IN_COPY: &str = "/var/adm/nimshift";

/// Where a script of the site lies within the copy while it runs.
pub(super) const SCRIPT: &str = "/tmp/nimshift-script";

/// Where bosboot writes the image, within the copy.
pub(super) const IMAGE: &str = "/tmp/nimshift-boot";

/// Where marks lie, as the master sees it.
pub(super) fn directory(ctx: &Context<'_>) -> String {
    format!("{}{IN_COPY}", ctx.spec.master_root())
}

/// Where marks lie, as the client sees it.
pub(super) fn on_client() -> String {
    format!("{CLIENT_ROOT}{IN_COPY}")
}

/// The looks that tell marks.
pub(super) fn looks(ctx: &Context<'_>) -> Probe {
    vec![look(HostRole::Master, [argv::ls(&directory(ctx)), argv::mounts()])]
}

/// What the marks of `step` tell. Without the copy's mounts they tell nothing.
pub(super) fn judge(ctx: &Context<'_>, answers: &Answers, step: &str) -> Read<Finding> {
    let said = answers.master();
    let (there, wanted) = mounted(&said.mounts()?, &master_paths(ctx));
    if there < wanted || wanted == 0 {
        let why = format!("{there} of {wanted} file systems of the copy are mounted on the master");
        return Ok(Finding::unmounted(why));
    }
    let has = |suffix: &str| said.lists(&format!("{}/{step}.{suffix}", directory(ctx)));
    Ok(all_or_any(has("done")?, has("begun")?))
}

/// Removes the marks at `directory`, and makes sure of it: `mkdir` fails where one
/// is left. None may get into what is booted, or archived.
pub(super) fn remove(directory: &str) -> [Command; 3] {
    [
        Command::new(["rm", "-rf", directory]),
        Command::new(["mkdir", directory]),
        Command::new(["rmdir", directory]),
    ]
}

/// Removes all of ours from the copy below `root`: what a step that was cut off has
/// left in it, too. None of it may stay in a copy that is kept.
pub(super) fn remove_all(root: &str) -> Command {
    let ours = [IN_COPY, SCRIPT, IMAGE].map(|path| format!("{root}{path}"));
    Command::new(["rm", "-rf"].into_iter().chain(ours.iter().map(String::as_str))).tolerated()
}

/// `commands` between the marks that `step` was begun and done.
pub(super) fn between(
    ctx: &Context<'_>,
    step: &str,
    commands: impl IntoIterator<Item = Command>,
) -> Script {
    let directory = directory(ctx);
    let mut script = vec![
        Command::new(["mkdir", "-p", &directory]),
        Command::new(["touch", &format!("{directory}/{step}.begun")]),
    ];
    script.extend(commands);
    script.push(Command::new(["touch", &format!("{directory}/{step}.done")]));
    Script::new(script)
}

//! What nimadm says: on its output, in its log, and in NIM's `info`.

use super::args::Args;
use super::lock;
use super::op::Run;
use crate::lab::call::Call;
use crate::lab::commands::system::long_date;
use crate::lab::tree::Node;
use crate::lab::world::World;

/// Where the logs lie on the master.
const DIRECTORY: &str = "/var/adm/ras/alt_mig";

/// The rule of a banner.
fn rule() -> String {
    format!("+{}+", "-".repeat(77))
}

/// The banner of a phase.
pub(super) fn banner(phase: u8) -> String {
    format!("{0}\nExecuting nimadm phase {phase}.\n{0}", rule())
}

/// The log of these arguments.
pub(super) fn path(args: &Args) -> String {
    format!("{DIRECTORY}/{}_alt_mig.log", args.name())
}

/// Says `text` everywhere, a line feed added.
pub(super) fn say(world: &mut World, call: &Call, args: &Args, run: &mut Run, text: &str) {
    run.out.push_str(text);
    run.out.push('\n');
    write(world, call, args, text);
    if let Some(last) = text.lines().rfind(|line| !line.trim().is_empty() && !line.starts_with('+'))
    {
        lock::info(world, args, last.trim());
    }
}

/// Says an error: not among the output.
pub(super) fn complain(world: &mut World, call: &Call, args: &Args, run: &mut Run, text: &str) {
    run.err.push_str(text);
    run.err.push('\n');
    write(world, call, args, text);
}

/// The beginning of a run in the log.
pub(super) fn begin(world: &mut World, call: &Call, args: &Args) {
    let date = long_date(call.now);
    let parameters = call.args().join(" ");
    let head = format!("MASTER DATE: {date}\nCLIENT DATE: {date}\nNIMADM PARAMETERS: {parameters}");
    write(world, call, args, &head);
}

/// Adds to the log, which stops nobody when it cannot be written.
fn write(world: &mut World, call: &Call, args: &Args, text: &str) {
    for directory in ["/var/adm/ras", DIRECTORY] {
        if !world.is_dir(&call.host, directory, call.now) {
            let _ = world.put(&call.host, directory, Node::dir(), call.now);
        }
    }
    let path = path(args);
    let mut log = world.text(&call.host, &path, call.now).unwrap_or_default();
    log.push_str(text);
    log.push('\n');
    let _ = world.put(&call.host, &path, Node::file(log), call.now);
}

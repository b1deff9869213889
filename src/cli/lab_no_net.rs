//! The lab of a program that was built without `lab-net`: its hosts are no real
//! processes, and what would make them such says so.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use crate::lab::{Extent, Lab, Trouble};
use crate::transport::CommandOutput;

use super::args::{LabNetCommand, SshWay};
use super::error::CliError;
use super::exit::Ending;
use super::out::Out;

fn missing(what: &str) -> CliError {
    CliError::usage(format!(
        "{what} needs the lab's network, which this nimshift was built without"
    ))
    .help("build it with the feature `lab-net`, which is on by default: `cargo install --path .`")
}

pub(super) fn way(_: SshWay) -> Result<Infallible, CliError> {
    Err(missing("`nimshift lab up --ssh`"))
}

pub(super) fn up(_: &Lab, _: &Path, way: Infallible) -> Result<PathBuf, CliError> {
    match way {}
}

pub(super) fn run(_: &Out, _: &LabNetCommand) -> Result<Ending, CliError> {
    Err(missing("this command"))
}

/// Only where there are no real processes that would be left.
pub(super) fn down(dir: &Path) -> Result<(), CliError> {
    if dir.join("ssh").exists() {
        return Err(missing("ending what `nimshift lab up --ssh` made"));
    }
    Ok(())
}

pub(super) fn exec(
    lab: &Lab,
    _: &Path,
    host: &str,
    command: &[String],
) -> Result<CommandOutput, CliError> {
    Ok(lab.exec_words(host, command)?)
}

pub(super) fn make_trouble(
    lab: &Lab,
    _: &Path,
    trouble: Trouble,
    host: &str,
    extent: &Extent,
) -> Result<(), CliError> {
    match trouble {
        Trouble::LinkCut => Ok(lab.cut(host, extent.for_ms)?),
        Trouble::HostReboot => Ok(lab.reboot(host)?),
        _ => Err(missing(&format!("`{}`", trouble.name()))),
    }
}

pub(super) fn end_trouble(lab: &Lab, _: &Path) -> Result<(), CliError> {
    for host in lab.hosts()? {
        lab.cut(&host, 0)?;
    }
    Ok(())
}

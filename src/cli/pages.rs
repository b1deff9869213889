//! `nimshift schema`, `nimshift completions` and `nimshift man`.

use std::path::Path;

use clap::CommandFactory as _;

use crate::domain::plan_schema;

use super::args::Cli;
use super::error::CliError;
use super::exit::Exit;
use super::out::Out;

/// `nimshift schema`.
pub(super) fn schema(out: &Out) -> Exit {
    out.json(&plan_schema());
    Exit::Ok
}

/// `nimshift completions SHELL`.
pub(super) fn completions(out: &Out, shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "nimshift", &mut script);
    out.write(&script);
    Exit::Ok
}

/// `nimshift man`.
pub(super) fn man(out: &Out, directory: Option<&Path>) -> Result<Exit, CliError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: std::io::Error| {
            CliError::file(Exit::Internal, "write the manual", &path, &error)
        }
    };
    let Some(directory) = directory else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(failed(Path::new("-")))?;
        out.write(&page);
        return Ok(Exit::Ok);
    };
    std::fs::create_dir_all(directory).map_err(failed(directory))?;
    clap_mangen::generate_to(Cli::command(), directory).map_err(failed(directory))?;
    out.line(&format!("manual pages are in {}", directory.display()));
    Ok(Exit::Ok)
}

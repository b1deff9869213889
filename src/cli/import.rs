//! `nimshift import …`: a plan from what a site has already.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write as _};
use std::path::Path;

use crate::base::limits;
use crate::domain::{EstateKind, HostName};
use crate::import::{FILL_IN, Format, Head, Ways};
use crate::transport::{Command, HostId, Script};

use super::args::{ImportArgs, ImportCommand, ImportKind, InventoryFormat};
use super::error::CliError;
use super::estate::{Estate, runtime};
use super::exit::Exit;
use super::out::Out;
use super::state_dir::StateDir;

/// `nimshift import …`.
pub(super) fn import(
    out: &Out,
    place: &StateDir,
    command: ImportCommand,
) -> Result<Exit, CliError> {
    let (source, format, groups, args) = match command {
        ImportCommand::Lsnim { file, import, .. } => {
            let source = match (&file, &import.master) {
                (Some(file), _) => Source::read(file)?,
                (None, Some(master)) => Source::ask(place, master)?,
                (None, None) => {
                    return Err(CliError::usage("name a file or a master"));
                }
            };
            (source, Format::Lsnim, Vec::new(), import)
        }
        ImportCommand::Csv { file, import } => {
            (Source::read(&file)?, Format::Csv, Vec::new(), import)
        }
        ImportCommand::Ansible { file, format, groups, import } => {
            let source = Source::read(&file)?;
            let format = match format {
                Some(InventoryFormat::Ini) => Format::AnsibleIni,
                Some(InventoryFormat::Yaml) => Format::AnsibleYaml,
                None => inventory_format(&file, &source.bytes),
            };
            (source, format, groups, import)
        }
    };
    let ImportArgs { output, force, short_names, accept_licenses, .. } = args;
    let ImportArgs { name, kind, master, spot, lpp_source, level, disks, .. } = args;
    let kind = kind.map(|kind| match kind {
        ImportKind::Lab => EstateKind::Lab,
        ImportKind::Ssh => EstateKind::Ssh,
        ImportKind::Local => EstateKind::Local,
    });
    let head = Head { name, kind, master, spot, lpp_source, level, disks, accept_licenses };
    let ways = Ways { short_names, groups };
    let imported = crate::import::import(&source.name, &source.bytes, format, &ways, &head)
        .map_err(|errors| CliError::usage(format!("nothing was imported\n{errors}")))?;
    match &output {
        None => out.write(imported.text.as_bytes()),
        Some(path) => write(path, &imported.text, force)?,
    }
    let noun = if imported.clients == 1 { "client" } else { "clients" };
    let open = match imported.open {
        0 => "the plan is complete".to_owned(),
        1 => format!("1 line is marked {FILL_IN}: complete it"),
        lines => format!("{lines} lines are marked {FILL_IN}: complete them"),
    };
    Out::note(&format!("{} {noun} imported; {open}", imported.clients));
    Ok(Exit::Ok)
}

/// What is imported, and how messages call it.
struct Source {
    name: String,
    bytes: Vec<u8>,
}

impl Source {
    /// A file, or standard input.
    fn read(path: &Path) -> Result<Source, CliError> {
        let unread = |error| CliError::file(Exit::Usage, "read", path, &error);
        // A byte more than is allowed: what is too large is told from what fits.
        let most = limits::IMPORT_BYTES_MAX as u64 + 1;
        let mut bytes = Vec::new();
        if path == Path::new("-") {
            std::io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(unread)?;
            return Ok(Source { name: "stdin".to_owned(), bytes });
        }
        let file = File::open(path).map_err(unread)?;
        file.take(most).read_to_end(&mut bytes).map_err(unread)?;
        Ok(Source { name: path.display().to_string(), bytes })
    }

    /// What the master of the estate says.
    fn ask(place: &StateDir, master: &HostName) -> Result<Source, CliError> {
        let estate = Estate::lab(place)?;
        let host = HostId::new(master.as_str());
        let command = Command::new(["lsnim", "-l", "-t", "standalone"]);
        let name = format!("{master}: {}", command.shell_text());
        let script = Script::new([command]);
        let runtime = runtime()?;
        let asked = estate.transport.exec(&host, &script, limits::PROBE_TIMEOUT);
        let refused = |error| {
            CliError::usage(format!("cannot ask {master}"))
                .because(&error)
                .help("`nimshift lab show` lists the hosts of the lab")
        };
        let output = runtime.block_on(asked).map_err(refused)?;
        let Some(answer) = output.get(0).filter(|answer| answer.ok()) else {
            let said = output.get(0).map(crate::transport::CommandOutput::text);
            let said =
                crate::base::sanitize_line(&said.unwrap_or_default(), limits::CAUSE_BYTES_MAX);
            return Err(CliError::usage(format!(
                "{master} does not answer as a NIM master: {said}"
            )));
        };
        // An answer that long was cut: clients would be missing without a word.
        if answer.stdout.len() + 16 >= limits::OUTPUT_BYTES_MAX {
            let text = format!("{master} has too many machines for one query");
            return Err(CliError::usage(text)
                .help("on the master, `lsnim -l -t standalone > FILE`, and import that file"));
        }
        Ok(Source { name, bytes: answer.stdout.clone().into_bytes() })
    }
}

/// By the name of the file, and where that does not tell, by its first line.
fn inventory_format(path: &Path, bytes: &[u8]) -> Format {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        Some("yml" | "yaml" | "json") => return Format::AnsibleYaml,
        Some("ini" | "cfg") => return Format::AnsibleIni,
        _ => {}
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut rows = text.lines().map(str::trim);
    match rows.find(|row| !row.is_empty() && !row.starts_with(['#', ';'])) {
        Some(row) if row == "---" || row.starts_with('{') || row.ends_with(':') => {
            Format::AnsibleYaml
        }
        _ => Format::AnsibleIni,
    }
}

fn write(path: &Path, text: &str, force: bool) -> Result<(), CliError> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let unwritten = |error: std::io::Error| {
        let told = CliError::file(Exit::Usage, "write", path, &error);
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => told.help("`--force` overwrites it"),
            _ => told,
        }
    };
    let mut file = options.open(path).map_err(unwritten)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(unwritten)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inventory_is_known_by_its_name_or_its_first_line() {
        let format = |name: &str, text: &str| inventory_format(Path::new(name), text.as_bytes());
        assert_eq!(format("hosts.yml", "[a]"), Format::AnsibleYaml);
        assert_eq!(format("hosts", "# x\n\n---\nall:\n"), Format::AnsibleYaml);
        assert_eq!(format("hosts", "all:\n  hosts:\n"), Format::AnsibleYaml);
        assert_eq!(format("hosts", "[aix]\nlpar01\n"), Format::AnsibleIni);
        assert_eq!(format("-", ""), Format::AnsibleIni);
    }
}

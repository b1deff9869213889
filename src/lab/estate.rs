//! The estate file: what a lab is made of.

use serde::{Deserialize, Serialize};

use super::fault::FaultSpec;

/// Why an estate file is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EstateError {
    /// It is not TOML.
    #[error("the estate file is not TOML: {0}")]
    Syntax(String),
    /// It has a key or value that is not allowed.
    #[error("the estate file does not fit: {0}")]
    Shape(String),
    /// It contradicts itself.
    #[error("the estate cannot be made: {0}")]
    Sense(String),
}

/// An estate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EstateFile {
    /// How many milliseconds pass in the lab in a real one.
    #[serde(default = "default_scale")]
    pub time_scale: u32,
    pub master: MasterSpec,
    #[serde(default)]
    pub spot: Vec<SpotSpec>,
    #[serde(default)]
    pub lpp_source: Vec<LppSourceSpec>,
    #[serde(default)]
    pub script: Vec<ScriptSpec>,
    /// installp bundles.
    #[serde(default)]
    pub bundle: Vec<ScriptSpec>,
    /// Exclude lists, image data and the like: a resource that is one file.
    #[serde(default)]
    pub file_resource: Vec<FileResourceSpec>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mksysb: Vec<MksysbSpec>,
    #[serde(default)]
    pub client: Vec<ClientSpec>,
    #[serde(default)]
    pub fault: Vec<FaultSpec>,
}

fn default_scale() -> u32 {
    1500
}

/// The NIM master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MasterSpec {
    pub name: String,
    pub level: String,
    /// Volume groups for local disk caching.
    #[serde(default)]
    pub cache_vg: Vec<CacheVgSpec>,
    /// Whether `nimadm` leaves all as it is when a run of single phases (`-P`)
    /// fails. A run of all phases always cleans up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nimadm_keeps: bool,
}

/// A volume group for local disk caching.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheVgSpec {
    pub name: String,
    pub size_mb: u64,
}

/// A SPOT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpotSpec {
    pub name: String,
    pub level: String,
    /// Where it lies; `/export/nim/NAME/usr` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The level of its bos.alt_disk_install.rte, where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt_disk_level: Option<String>,
}

/// An lpp_source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LppSourceSpec {
    pub name: String,
    pub level: String,
    /// Where it lies; `/export/nim/NAME` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Whether it has all base images.
    #[serde(default = "default_true")]
    pub simages: bool,
    /// Filesets that are missing from it.
    #[serde(default)]
    pub missing: Vec<String>,
    /// Filesets that it has beside those of every system.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<String>,
}

fn default_true() -> bool {
    true
}

/// A script or bundle resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptSpec {
    pub name: String,
    /// Where it lies; `/export/nim/scripts/NAME` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Its text: for a script lines of `echo`, `touch`, `exit`.
    pub content: String,
}

/// A resource that is one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileResourceSpec {
    pub name: String,
    /// Its type: `exclude_files`, `image_data`, `bosinst_data`, `mksysb`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it lies; `/export/nim/scripts/NAME` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(default)]
    pub content: String,
}

/// A mksysb: the backup of a machine that need not be in the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MksysbSpec {
    pub name: String,
    /// The level of the system in it.
    pub level: String,
    /// The machine that it was made of.
    pub host: String,
    /// Where it lies; `/export/nim/mksysb/NAME` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Data of the site in MB, by mount point.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub data_mb: std::collections::BTreeMap<String, u64>,
}

/// A client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "keys of a file, each by itself")]
pub struct ClientSpec {
    /// Its name: NIM name and host name.
    pub name: String,
    pub level: String,
    pub disk: Vec<DiskSpec>,
    /// File systems beside those of every rootvg.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filesystem: Vec<FileSystemSpec>,
    /// Sizes of rootvg's own file systems in MB, by mount point, where they
    /// differ from the usual.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub size_mb: std::collections::BTreeMap<String, u64>,
    /// Data of the site in rootvg's file systems in MB, by mount point.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub data_mb: std::collections::BTreeMap<String, u64>,
    /// Whether rootvg is mirrored, on its two disks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mirrored: bool,
    /// Remains of multibos that make the end of the clone fail: its boot volume is seen.
    #[serde(default)]
    pub multibos_leftovers: bool,
    /// The same, of which nothing is seen before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub multibos_hidden: bool,
    /// How the master reaches it: `nimsh` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<String>,
    /// Whether its NIM object is locked.
    #[serde(default)]
    pub locked: bool,
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskSpec {
    pub name: String,
    pub size_mb: u64,
    /// Its id; made up when absent, none when it is `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pvid: Option<String>,
    /// The group on it: `rootvg`, or one of the site's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vg: Option<String>,
    /// Whether DLPAR has added it since the last boot: `bootinfo -B` answers 0 until the
    /// next one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dlpar: bool,
}

/// A file system beside those of every rootvg.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSystemSpec {
    pub lv: String,
    /// Its group; rootvg when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vg: Option<String>,
    /// Where it is mounted.
    pub mount_point: String,
    pub size_mb: u64,
    /// What the site's data takes of it.
    #[serde(default)]
    pub data_mb: u64,
}

/// What a plain estate has for a client: its name, its level, and its disks
/// that are to become targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainClient {
    pub name: String,
    pub level: String,
    /// Free disks.
    pub targets: Vec<String>,
}

/// What a plain estate has beside its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainMaster {
    pub name: String,
    /// The level of master, SPOTs and lpp_sources.
    pub level: String,
    pub spots: Vec<String>,
    pub lpp_sources: Vec<String>,
    /// Cache groups by name.
    pub cache_vgs: Vec<String>,
    pub scripts: Vec<String>,
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

impl PlainClient {
    /// A client that boots from a disk that is none of `targets`.
    pub fn new(name: &str, level: &str, targets: &[&str]) -> PlainClient {
        PlainClient { name: name.to_owned(), level: level.to_owned(), targets: texts(targets) }
    }
}

impl PlainMaster {
    /// A master with one SPOT and one lpp_source.
    pub fn new(name: &str, level: &str, spot: &str, lpp_source: &str) -> PlainMaster {
        PlainMaster {
            name: name.to_owned(),
            level: level.to_owned(),
            spots: texts(&[spot]),
            lpp_sources: texts(&[lpp_source]),
            cache_vgs: Vec::new(),
            scripts: Vec::new(),
        }
    }

    /// With these cache groups and scripts.
    #[must_use]
    pub fn with(mut self, cache_vgs: &[&str], scripts: &[&str]) -> PlainMaster {
        self.cache_vgs = texts(cache_vgs);
        self.scripts = texts(scripts);
        self
    }
}

impl EstateFile {
    /// Reads an estate file.
    pub fn parse(text: &str) -> Result<EstateFile, EstateError> {
        let value =
            toml_span::parse(text).map_err(|error| EstateError::Syntax(error.to_string()))?;
        let estate: EstateFile = serde_json::from_value(to_json(value))
            .map_err(|error| EstateError::Shape(error.to_string()))?;
        estate.check()?;
        Ok(estate)
    }

    /// A plain estate: every client has what it needs, and nothing goes wrong.
    pub fn from_clients(master: &PlainMaster, clients: &[PlainClient]) -> EstateFile {
        let disk = |name: &str, vg: Option<&str>| DiskSpec {
            name: name.to_owned(),
            size_mb: 32_768,
            pvid: None,
            vg: vg.map(str::to_owned),
            dlpar: false,
        };
        let running = |targets: &[String]| {
            let mut names = (0..).map(|number| format!("hdisk{number}"));
            names.find(|name| !targets.contains(name)).unwrap_or_default()
        };
        EstateFile {
            time_scale: default_scale(),
            master: MasterSpec {
                name: master.name.clone(),
                level: master.level.clone(),
                nimadm_keeps: false,
                cache_vg: master
                    .cache_vgs
                    .iter()
                    .map(|name| CacheVgSpec { name: name.clone(), size_mb: 1_048_576 })
                    .collect(),
            },
            spot: master
                .spots
                .iter()
                .map(|name| SpotSpec {
                    name: name.clone(),
                    level: master.level.clone(),
                    location: None,
                    alt_disk_level: None,
                })
                .collect(),
            lpp_source: master
                .lpp_sources
                .iter()
                .map(|name| LppSourceSpec {
                    name: name.clone(),
                    level: master.level.clone(),
                    location: None,
                    simages: true,
                    missing: Vec::new(),
                    extra: Vec::new(),
                })
                .collect(),
            script: master
                .scripts
                .iter()
                .map(|name| ScriptSpec {
                    name: name.clone(),
                    location: None,
                    content: format!("echo {name} of phase $NIMSHIFT_PHASE for $NIMSHIFT_CLIENT\n"),
                })
                .collect(),
            bundle: Vec::new(),
            file_resource: Vec::new(),
            mksysb: Vec::new(),
            client: clients
                .iter()
                .map(|client| ClientSpec {
                    name: client.name.clone(),
                    level: client.level.clone(),
                    disk: std::iter::once(disk(&running(&client.targets), Some("rootvg")))
                        .chain(client.targets.iter().map(|name| disk(name, None)))
                        .collect(),
                    ..ClientSpec::default()
                })
                .collect(),
            fault: Vec::new(),
        }
    }

    /// What serde cannot tell.
    fn check(&self) -> Result<(), EstateError> {
        let sense = |why: String| Err(EstateError::Sense(why));
        let mut names = std::collections::BTreeSet::from([self.master.name.as_str()]);
        for client in &self.client {
            if !names.insert(&client.name) {
                return sense(format!("there are two hosts named `{}`", client.name));
            }
            if !client.disk.iter().any(|disk| disk.vg.as_deref() == Some("rootvg")) {
                return sense(format!("`{}` has no disk with rootvg", client.name));
            }
        }
        let mut resources = std::collections::BTreeSet::new();
        let all = (self.spot.iter().map(|r| &r.name))
            .chain(self.lpp_source.iter().map(|r| &r.name))
            .chain(self.script.iter().chain(&self.bundle).map(|r| &r.name))
            .chain(self.file_resource.iter().map(|r| &r.name))
            .chain(self.mksysb.iter().map(|r| &r.name));
        for name in all {
            if names.contains(name.as_str()) || !resources.insert(name) {
                return sense(format!("there are two NIM objects named `{name}`"));
            }
        }
        let others = (self.client.iter())
            .flat_map(|client| {
                let disks = client.disk.iter();
                let volumes = client.filesystem.iter();
                disks
                    .flat_map(|disk| std::iter::once(&disk.name).chain(&disk.vg))
                    .chain(volumes.flat_map(|fs| std::iter::once(&fs.lv).chain(&fs.vg)))
            })
            .chain(self.master.cache_vg.iter().map(|vg| &vg.name));
        let all =
            names.iter().copied().chain(resources.into_iter().chain(others).map(String::as_str));
        if let Some(bad) = all.into_iter().find(|name| !is_name(name)) {
            return sense(format!("`{bad}` cannot be a name"));
        }
        let levels = (self.client.iter().map(|c| &c.level))
            .chain(
                self.spot.iter().flat_map(|s| std::iter::once(&s.level).chain(&s.alt_disk_level)),
            )
            .chain(self.lpp_source.iter().map(|l| &l.level))
            .chain(self.mksysb.iter().map(|m| &m.level))
            .chain([&self.master.level]);
        for level in levels {
            if level.parse::<crate::domain::Level>().is_err() || level.len() != 15 {
                return sense(format!("`{level}` is not a level such as 7300-02-01-2346"));
            }
        }
        Ok(())
    }
}

/// Whether a name can stand in a path of the lab's directory.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    !name.is_empty() && name.len() <= 39 && !name.starts_with('.') && name.chars().all(plain)
}

/// TOML as JSON, which serde can read; the two have the same shapes here.
fn to_json(mut value: toml_span::Value<'_>) -> serde_json::Value {
    use toml_span::value::ValueInner;
    match value.take() {
        ValueInner::String(text) => serde_json::Value::from(text.into_owned()),
        ValueInner::Integer(number) => serde_json::Value::from(number),
        ValueInner::Float(number) => serde_json::Value::from(number),
        ValueInner::Boolean(truth) => serde_json::Value::from(truth),
        ValueInner::Array(items) => items.into_iter().map(to_json).collect(),
        ValueInner::Table(table) => {
            table.into_iter().map(|(key, value)| (key.name.into_owned(), to_json(value))).collect()
        }
    }
}

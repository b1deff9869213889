//! What a migration can leave on its hosts: whether it is there, and whether the
//! report says so.

use nimshift::domain::MigrationSpec;
use serde_json::Value;

use super::picture::{groups, has_file, host};

/// Something that a migration makes.
pub(crate) struct Thing {
    pub(crate) name: &'static str,
    /// Whether a line of the report's "left" is about it.
    claimed: fn(&str, &MigrationSpec) -> bool,
    /// Whether an estate has it.
    there: fn(&Value, &MigrationSpec) -> bool,
    /// Whether an estate has some of it, which the report calls "in part".
    in_part: fn(&Value, &MigrationSpec) -> bool,
}

impl Thing {
    /// Whether it is there now and was not in the beginning.
    pub(crate) fn is_left(&self, first: &Value, now: &Value, spec: &MigrationSpec) -> bool {
        (self.there)(now, spec) && !(self.there)(first, spec)
    }

    /// The line that says that it is left.
    pub(crate) fn claim<'a>(&self, left: &'a [String], spec: &MigrationSpec) -> Option<&'a str> {
        left.iter().map(String::as_str).find(|line| (self.claimed)(line, spec))
    }
}

/// Whether something of what `line` says is there.
pub(crate) fn is_so(line: &str, now: &Value, spec: &MigrationSpec) -> bool {
    let in_part = line.ends_with(", in part");
    let mut told = THINGS.iter().filter(|thing| (thing.claimed)(line, spec));
    told.any(|thing| (thing.there)(now, spec) || in_part && (thing.in_part)(now, spec))
}

/// Whether a line says only that something may be there.
pub(crate) fn is_hedged(line: &str) -> bool {
    ["perhaps", "if it was made", "if made", "last seen", "not asked", "what the step"]
        .iter()
        .any(|word| line.contains(word))
}

fn of_client<'a>(image: &'a Value, spec: &MigrationSpec) -> Option<&'a Value> {
    host(image, spec.client.as_str())
}

fn of_master<'a>(image: &'a Value, spec: &MigrationSpec) -> Option<&'a Value> {
    host(image, spec.master.as_str())
}

fn has_spot(image: &Value, spec: &MigrationSpec) -> bool {
    of_client(image, spec).is_some_and(|client| has_file(client, "hd4", "ALT_MIG_SPOT"))
}

fn has_top(image: &Value, spec: &MigrationSpec) -> bool {
    let top = spec.master_top();
    of_master(image, spec)
        .is_some_and(|master| has_file(master, "hd4", top.trim_start_matches('/')))
}

fn has_work(image: &Value, spec: &MigrationSpec) -> bool {
    let path = spec.work_directory();
    of_master(image, spec)
        .is_some_and(|master| has_file(master, "hd9var", path.trim_start_matches("/var/")))
}

/// All of them.
pub(crate) const THINGS: [Thing; 9] = [
    Thing {
        name: "the lease",
        claimed: |line, _| line.contains("lease on the client"),
        there: |image, spec| {
            of_client(image, spec).is_some_and(|c| has_file(c, "hd9var", "adm/nimshift/lease"))
        },
        in_part: |image, spec| {
            of_client(image, spec).is_some_and(|c| has_file(c, "hd9var", "adm/nimshift"))
        },
    },
    Thing {
        // Its directory goes with it.
        name: "the SPOT's mount",
        claimed: |line, _| line.contains("SPOT's mount"),
        there: |image, spec| {
            of_client(image, spec).is_some_and(|client| has_file(client, "hd4", "ALT_MIG_SPOT"))
        },
        in_part: |_, _| false,
    },
    Thing {
        name: "the copy",
        claimed: |line, _| line.contains("altinst_rootvg") || line.contains("the copy"),
        there: |image, spec| {
            of_client(image, spec)
                .is_some_and(|client| groups(client).any(|(name, _)| name == "altinst_rootvg"))
        },
        in_part: |image, spec| has_spot(image, spec) || has_work(image, spec),
    },
    Thing {
        name: "exports of the copy",
        claimed: |line, _| line.contains("/alt_inst"),
        there: |image, spec| {
            let exports = of_client(image, spec).and_then(|c| c.get("exports")?.as_object());
            exports.is_some_and(|all| all.keys().any(|path| path.starts_with("/alt_inst")))
        },
        in_part: |_, _| false,
    },
    Thing {
        name: "cache file systems",
        claimed: |line, _| line.contains("cache file system"),
        there: |image, spec| {
            let root = format!("{}/", spec.master_top());
            of_master(image, spec).is_some_and(|master| {
                groups(master).any(|(_, group)| {
                    let volumes = group.get("lvs").and_then(Value::as_object);
                    volumes.into_iter().flatten().any(|(_, volume)| {
                        let point = volume.get("mount_point").and_then(Value::as_str);
                        point.is_some_and(|point| point.starts_with(&root))
                    })
                })
            })
        },
        in_part: has_top,
    },
    Thing {
        // Their directory goes with them.
        name: "the master's mounts",
        claimed: |line, spec| line.contains(&spec.master_top()) || line.contains("cache file"),
        there: has_top,
        in_part: |_, _| false,
    },
    Thing {
        name: "the master's directory",
        claimed: |line, spec| {
            line.contains(&spec.work_directory()) || line.contains("lease on the master")
        },
        there: has_work,
        in_part: |_, _| false,
    },
    Thing {
        name: "the mksysb",
        claimed: |line, spec| {
            spec.options.output.as_deref().is_some_and(|output| line.contains(output))
        },
        there: |image, spec| {
            let Some(output) = &spec.options.output else { return false };
            let path = output.trim_start_matches("/export/nim/");
            of_master(image, spec).is_some_and(|master| has_file(master, "nimlv", path))
        },
        in_part: has_work,
    },
    Thing {
        name: "the mksysb's NIM object",
        claimed: |line, spec| {
            let name = spec.options.new_mksysb.as_ref();
            line.contains("NIM resource") || name.is_some_and(|name| line.contains(name.as_str()))
        },
        there: |image, spec| {
            let Some(name) = &spec.options.new_mksysb else { return false };
            of_master(image, spec).is_some_and(|master| {
                master.get("nim").is_some_and(|nim| nim.get(name.as_str()).is_some())
            })
        },
        in_part: |_, _| false,
    },
];

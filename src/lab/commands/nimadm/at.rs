//! What a phase finds: the copy on the client, what is mounted on the master,
//! and where resources lie.

use super::args::Args;
use crate::lab::call::Call;
use crate::lab::commands::alt_disk::COPY;
use crate::lab::software;
use crate::lab::world::{Lv, Source, World};
use crate::transport::Command;

const C_RSH: &str = "/usr/lpp/bos.sysmgt/nim/methods/c_rsh";

/// The fileset whose levels must agree.
pub(super) const ALT_FILESET: &str = "bos.alt_disk_install.rte";

/// Where and for whom a phase runs.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) world: &'a World,
    pub(super) call: &'a Call,
    pub(super) args: &'a Args,
}

/// `words` on the client, by NIM's own remote command.
pub(super) fn on_client(client: &str, words: &[&str]) -> Command {
    let line = Command::new(words.iter().copied()).shell_text();
    Command::new([C_RSH, client, &line])
}

/// Where a NIM resource lies.
pub(super) fn location(world: &World, name: &str) -> Option<String> {
    world.at(&world.master).nim.get(name)?.get("location").map(str::to_owned)
}

/// The fileset of alternate disks in a list of software.
pub(super) fn alt_level(world: &World, call: &Call, list: &str) -> Option<String> {
    let text = world.text(&call.host, list, call.now).ok()?;
    software::from_text(&text).into_iter().find(|f| f.name == ALT_FILESET).map(|f| f.vrmf)
}

/// The software list of the SPOT.
pub(super) fn spot_list(world: &World, args: &Args) -> String {
    let usr = location(world, &args.spot).unwrap_or_default();
    format!("{usr}/{}", software::LIST)
}

impl At<'_> {
    /// The version and release of the SPOT.
    pub(super) fn release(&self) -> String {
        let object = self.world.at(&self.world.master).nim.get(&self.args.spot);
        let get = |key| object.and_then(|object| object.get(key)).unwrap_or("0");
        format!("{}.{}", get("version"), get("release"))
    }

    pub(super) fn client(&self) -> &str {
        self.args.client.as_deref().unwrap_or_default()
    }

    pub(super) fn resource(&self, name: Option<&String>) -> Option<String> {
        location(self.world, name?)
    }

    /// The text of a resource that is a file.
    pub(super) fn text(&self, name: Option<&String>) -> Option<String> {
        let path = self.resource(name)?;
        self.world.text(&self.call.host, &path, self.call.now).ok()
    }

    /// The file systems of a group on the client that are mounted there: what
    /// stands after `top` in the mount point, with the volume.
    pub(super) fn mounted(&self, group: &str, top: &str) -> Vec<(String, &Lv)> {
        let Some(host) = self.world.find(self.client()) else { return Vec::new() };
        let Some(vg) = host.vgs.get(group) else { return Vec::new() };
        let mut found: Vec<(String, &Lv)> = host
            .mounts
            .iter()
            .filter_map(|mount| match &mount.source {
                Source::Lv { vg: of, lv } if of == group => {
                    let lv = vg.lvs.get(lv).filter(|lv| lv.is_file_system())?;
                    let rest = mount.point.strip_prefix(top)?.trim_end_matches('/');
                    Some((rest.to_owned(), lv))
                }
                _ => None,
            })
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }

    /// The copy's file systems on the client, which must be mounted.
    pub(super) fn copy(&self) -> Result<Vec<(String, &Lv)>, String> {
        let found = self.mounted(COPY, "/alt_inst");
        if found.first().is_none_or(|(rest, _)| !rest.is_empty()) {
            return Err(format!("nimadm: {COPY} is not mounted on client {}.", self.client()));
        }
        Ok(found)
    }

    /// What is mounted at or below the master's root of the copy, parents first:
    /// what stands after that root, with the size and use of its volume.
    pub(super) fn at_hand(&self) -> Result<Vec<(String, u64, u64)>, String> {
        let root = self.args.root();
        let mut points = self.world.at(&self.world.master).mounted_below(&root);
        points.dedup();
        if points.first() != Some(&root.as_str()) {
            return Err(format!("nimadm: {root} is not mounted on the NIM master."));
        }
        let sized = |point: &&str| {
            let place = self.world.place(&self.call.host, point, self.call.now);
            let volume = place.and_then(|place| {
                Ok((self.world.volume(&place)?, place.vg.clone(), place.host.clone()))
            });
            match volume {
                Ok((lv, vg, host)) => {
                    let pp_mb = self.world.pp_mb(&host, &vg);
                    Ok((point[root.len()..].to_owned(), lv.lps() * pp_mb, lv.used_mb()))
                }
                Err(error) => Err(format!("nimadm: {point}: {error}")),
            }
        };
        points.iter().map(sized).collect()
    }

    /// `words` in the copy.
    pub(super) fn in_root(&self, words: &[&str]) -> Command {
        let root = self.args.root();
        Command::new(["chroot", root.as_str()].into_iter().chain(words.iter().copied()))
    }
}

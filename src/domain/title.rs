//! What is asked for, and what each phase does for it, for people.

use super::aim::{Mode, Target};
use super::name::DiskName;
use super::phase::Phase;
use super::spec::{Bootlist, MigrationSpec, Options};

impl MigrationSpec {
    /// What is migrated to what, and where it is in the end: a line for people.
    pub fn aim(&self) -> String {
        let Options { mksysb, output, disks, .. } = &self.options;
        let from = mksysb.as_ref().map_or_else(String::new, |name| format!("mksysb {name} "));
        let on = output.as_ref().map_or_else(
            || {
                let disks: Vec<&str> = disks.iter().map(DiskName::as_str).collect();
                format!("on {}", disks.join(" "))
            },
            |file| format!("into {file}"),
        );
        let Target { level, spot, lpp_source } = self.target();
        format!("{from}to {level} with SPOT {spot} and lpp_source {lpp_source}, {on}")
    }

    /// What `phase` does in this migration, for people.
    pub fn title(&self, phase: Phase) -> &'static str {
        let is_kept = self.options.bootlist == Bootlist::Keep;
        match (phase, self.task.mode()) {
            (Phase::Clone, Some(Mode::Disk)) => "clone rootvg to the target disks",
            (Phase::Clone, Some(Mode::MksysbToClient)) => "make a rootvg on the target disks",
            (Phase::Clone, Some(Mode::ClientToMksysb)) => "check and record the client",
            (Phase::Clone, _) => "check and record the mksysb",
            (Phase::Export, _) if self.caches() => "make the cache file systems on the master",
            (Phase::Export, _) => "export the copy's file systems to the master",
            (Phase::Mount, _) if self.task.reads_mksysb() => "restore the mksysb into the cache",
            (Phase::Mount, _) if self.caches() => "copy the client's data into the cache",
            (Phase::Mount, _) => "mount them on the master",
            (Phase::PreScript, _) => "run the pre-migration script",
            (Phase::MigrateBase, _) => "restore the base operating system, merge configuration",
            (Phase::MigrateFilesets, _) => "migrate filesets",
            (Phase::PostScript, _) => "run the post-migration script",
            (Phase::BootImage, _) => "make the copy's boot image",
            (Phase::Unmount, _) if self.caches() => "copy the cache to the client, unmount it",
            (Phase::Unmount, _) => "unmount on the master",
            (Phase::Unexport, _) if self.caches() => "remove the cache",
            (Phase::Unexport, _) => "remove the exports",
            (Phase::Finish, _) if self.task.writes_mksysb() => "write the mksysb",
            (Phase::Finish, _) if is_kept => "put the copy to sleep",
            (Phase::Finish, _) => "put the copy to sleep, set the bootlist",
            (Phase::End, _) if self.task.writes_mksysb() => "remove the cache, clean up",
            (Phase::End, _) if self.options.reboot => "clean up, reboot the client",
            (Phase::End, _) => "clean up",
        }
    }
}

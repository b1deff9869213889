//! Commands as argument vectors. Which step runs which is written in
//! `docs/native-steps.md`.

use crate::domain::{DiskName, NimName, VgName};

/// A program and its arguments.
pub type Argv = Vec<String>;

/// Where the client mounts the SPOT.
pub const SPOT_MOUNT: &str = "/ALT_MIG_SPOT";

/// Where a client that is worked on is marked, and by whom.
pub const LEASE_DIR: &str = "/var/adm/nimshift";

/// See [`LEASE_DIR`].
pub const LEASE: &str = "/var/adm/nimshift/lease";

/// On the running system: the copy was put to sleep by us. A copy that a reboot
/// has left varied off looks the same otherwise.
pub const FINISHED: &str = "/var/adm/nimshift/finish-clone.done";

/// On the running system: a job of the lease's holder has begun to make the copy.
pub const BEGUN: &str = "/var/adm/nimshift/clone.begun";

/// On the client that is cloned: the files that are left out.
pub const EXCLUDE: &str = "/var/adm/nimshift/exclude_files";

/// On the client that is cloned: the sizes that the copy is made by.
pub const IMAGE_DATA: &str = "/var/adm/nimshift/image.data";

/// On the client: the clone is whole. Where files are left out, sizes do not
/// tell it.
pub const CLONED: &str = "/var/adm/nimshift/clone-rootvg.done";

/// The fileset whose levels must agree on the master and in the SPOT.
pub const ALT_FILESET: &str = "bos.alt_disk_install.rte";

/// IBM's own, and not a link of that name to this program that stands before it
/// in somebody's `PATH`.
pub const NIMADM: &str = "/usr/sbin/nimadm";

/// The fileset by which the level of a system, a SPOT and an lpp_source is told.
pub const LEVEL_FILESET: &str = "bos.mp64";

/// The fileset by which the build of a system is told where its level does not tell it.
pub const BUILD_FILESET: &str = "bos.sysmgt.sysbr";

/// The words of a command that needs no more.
pub fn words(words: &[&str]) -> Argv {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The words, and more of them.
fn with(first: &[&str], rest: impl IntoIterator<Item = String>) -> Argv {
    let mut argv = words(first);
    argv.extend(rest);
    argv
}

/// `ls PATH`: the names in a directory.
pub fn ls(path: &str) -> Argv {
    words(&["ls", path])
}

/// `ls -d PATH`: whether it is there.
pub fn ls_d(path: &str) -> Argv {
    words(&["ls", "-d", path])
}

/// `ls -l PATH`: what a link says.
pub fn ls_l(path: &str) -> Argv {
    words(&["ls", "-l", path])
}

/// `ls -lid PATH`: what a file is told by.
pub fn ls_lid(path: &str) -> Argv {
    words(&["ls", "-lid", path])
}

/// `cat FILE`.
pub fn cat(file: &str) -> Argv {
    words(&["cat", file])
}

/// `oslevel -s`.
pub fn level() -> Argv {
    words(&["oslevel", "-s"])
}

/// The same within `root`.
pub fn level_below(root: &str) -> Argv {
    chroot(root, &["/usr/bin/oslevel", "-s"])
}

/// `lslpp -Lqc bos.rte` within `root`: of which release its base is.
pub fn base_below(root: &str) -> Argv {
    chroot(root, &["/usr/bin/lslpp", "-Lqc", "bos.rte"])
}

/// `lspv`: the disks, and what is on them.
pub fn lspv() -> Argv {
    words(&["lspv"])
}

/// `mount`: what is mounted.
pub fn mounts() -> Argv {
    words(&["mount"])
}

/// `exportfs`: what is exported.
pub fn exports() -> Argv {
    words(&["exportfs"])
}

/// `lsfs -c`: the file systems that have stanzas.
pub fn lsfs() -> Argv {
    words(&["lsfs", "-c"])
}

/// `who -b`: when the system was booted.
pub fn boot_time() -> Argv {
    words(&["who", "-b"])
}

/// `getconf BOOT_DEVICE`: the disk that the system was booted from.
pub fn boot_device() -> Argv {
    words(&["getconf", "BOOT_DEVICE"])
}

/// Removes the lease, and what was marked under it.
pub fn drop_lease() -> Argv {
    words(&["rm", "-f", FINISHED, BEGUN, LEASE])
}

/// `lsnim -l NAME`.
pub fn lsnim(name: &NimName) -> Argv {
    words(&["lsnim", "-l", name.as_str()])
}

/// `lslpp -Lqc FILESET …`.
pub fn lslpp(filesets: &[&str]) -> Argv {
    with(&["lslpp", "-Lqc"], words(filesets))
}

/// The same within a SPOT.
pub fn spot_lslpp(spot: &NimName, filesets: &[&str]) -> Argv {
    let filesets = format!("filesets={}", filesets.join(" "));
    words(&["nim", "-o", "lslpp", "-a", "lslpp_flags=-Lqc", "-a", &filesets, spot.as_str()])
}

/// What there is to install in an lpp_source.
pub fn showres(lpp_source: &NimName) -> Argv {
    words(&["nim", "-o", "showres", "-a", "installp_flags=L", lpp_source.as_str()])
}

/// The filesets that `sync` levels.
pub const ALT_FILESETS: [&str; 2] = [ALT_FILESET, "bos.alt_disk_install.boot_images"];

/// The filesets that `sync` levels, as `lslpp` takes them.
pub const ALT_PATTERN: &str = "bos.alt_disk_install.*";

/// `installp -L -d DIRECTORY`: what there is to install.
pub fn installable(directory: &str) -> Argv {
    words(&["installp", "-L", "-d", directory])
}

/// Installs [`ALT_FILESETS`] from `directory`.
pub fn install_alt(directory: &str) -> Argv {
    with(&["installp", "-acgNXY", "-d", directory], ALT_FILESETS.map(str::to_owned))
}

/// The same in a SPOT, from an lpp_source or a directory.
pub fn customize_spot(spot: &NimName, source: &str) -> Argv {
    let filesets = format!("filesets={}", ALT_FILESETS.join(" "));
    let source = format!("lpp_source={source}");
    let flags = "installp_flags=-acgNXY";
    words(&["nim", "-o", "cust", "-a", &source, "-a", &filesets, "-a", flags, spot.as_str()])
}

/// `lsvg VG`.
pub fn lsvg(vg: &str) -> Argv {
    words(&["lsvg", vg])
}

/// `lsvg -l VG`.
pub fn lsvg_l(vg: &str) -> Argv {
    words(&["lsvg", "-l", vg])
}

/// `bootinfo -s DISK`: its size in MiB.
pub fn disk_size(disk: &DiskName) -> Argv {
    words(&["bootinfo", "-s", disk.as_str()])
}

/// `getlvodm -j DISK`: the id of the volume group that the disk is of, also where
/// that is varied off.
pub fn vg_of_disk(disk: &DiskName) -> Argv {
    words(&["getlvodm", "-j", disk.as_str()])
}

/// `getlvodm -v VG`: its id, by its name.
pub fn id_of_vg(vg: &str) -> Argv {
    words(&["getlvodm", "-v", vg])
}

/// `bootinfo -B DISK`: 1 if firmware can boot from it, whatever is on it. nimadm asks it
/// before it clones; a disk that DLPAR added since the last IPL has 0 (IBM node/631797).
pub fn bootable(disk: &DiskName) -> Argv {
    words(&["bootinfo", "-B", disk.as_str()])
}

/// The level of the boot image on the copy's boot volume.
pub fn boot_image_level() -> Argv {
    words(&["/usr/lpp/bosinst/blvset", "-d", "/dev/alt_hd5", "-g", "level"])
}

/// `ipl_varyon -i`: which disks have a boot record.
pub fn boot_records() -> Argv {
    words(&["ipl_varyon", "-i"])
}

/// `bootlist -m normal -o`.
pub fn show_bootlist() -> Argv {
    words(&["bootlist", "-m", "normal", "-o"])
}

/// `bootlist -m normal DISK…`.
pub fn set_bootlist<'a>(disks: impl IntoIterator<Item = &'a DiskName>) -> Argv {
    with(&["bootlist", "-m", "normal"], disks.into_iter().map(ToString::to_string))
}

/// `df -k` or `df -m` of some paths, or of all.
pub fn df(unit: &str, paths: &[String]) -> Argv {
    with(&["df", unit], paths.iter().cloned())
}

/// What `alt_disk_copy` is to do: nimadm's own two of its phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyPhase {
    /// `-P1`: make the copy and leave it awake.
    Make,
    /// `-P3 -B`: put it to sleep, and leave the bootlist alone.
    Finish,
}

/// The SPOT's `alt_disk_copy`. Its own `-M` and `-j` are not in its synopsis:
/// nimadm calls it so (reference 2.0). `files` are options that take a file.
pub fn alt_disk_copy(
    cached: bool,
    version_release: &str,
    phase: CopyPhase,
    files: &[(&str, &str)],
    disks: &[DiskName],
) -> Argv {
    let mut argv = vec![format!("{SPOT_MOUNT}/sbin/alt_disk_copy")];
    if cached {
        argv.push("-j".to_owned());
    }
    argv.extend(words(&["-M", version_release]));
    argv.extend(match phase {
        CopyPhase::Make => words(&["-P1"]),
        CopyPhase::Finish => words(&["-P3", "-B"]),
    });
    argv.extend(files.iter().flat_map(|(flag, file)| words(&[flag, file])));
    argv.extend(target_disks(disks));
    argv
}

/// One argument for all disks.
fn target_disks(disks: &[DiskName]) -> [String; 2] {
    let disks: Vec<&str> = disks.iter().map(DiskName::as_str).collect();
    ["-d".to_owned(), disks.join(" ")]
}

/// A rootvg by image.data, awake and empty. Nothing public tells which program
/// nimadm uses: this one stands in for it.
pub fn make_rootvg(version_release: &str, image_data: &str, disks: &[DiskName]) -> Argv {
    let program = format!("{SPOT_MOUNT}/sbin/alt_disk_mksysb");
    let base = [program.as_str(), "-j", "-M", version_release, "-P1", "-i", image_data];
    with(&base, target_disks(disks))
}

/// `alt_rootvg_op -X VG`: removes an alternate rootvg. It sets the bootlist.
pub fn remove_copy(vg: &str) -> Argv {
    words(&["alt_rootvg_op", "-X", vg])
}

/// `alt_rootvg_op -W -d DISK`: wakes the rootvg that sleeps on it.
pub fn wake_copy(disk: &DiskName) -> Argv {
    words(&["alt_rootvg_op", "-W", "-d", disk.as_str()])
}

/// `alt_rootvg_op -v NAME -d DISK`: renames a rootvg that sleeps.
pub fn rename_copy(name: &str, disk: &DiskName) -> Argv {
    words(&["alt_rootvg_op", "-v", name, "-d", disk.as_str()])
}

/// `ps -eo pid,user,etime,args`.
pub fn processes() -> Argv {
    words(&["ps", "-eo", "pid,user,etime,args"])
}

/// Files below `top`, in its own file system.
pub fn files_below(top: &str) -> Argv {
    words(&["find", top, "-xdev", "!", "-type", "d"])
}

/// Removes `top` and the directories below it that are empty.
pub fn remove_empty(top: &str) -> Argv {
    words(&["find", top, "-xdev", "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"])
}

/// `alt_rootvg_op -S`: puts the woken alternate rootvg to sleep.
pub fn sleep_copy() -> Argv {
    words(&["alt_rootvg_op", "-S"])
}

/// `chpv -C DISK`: clears what a volume group left on a disk.
pub fn clear_disk(disk: &DiskName) -> Argv {
    words(&["chpv", "-C", disk.as_str()])
}

/// Exports `directory` to `host`, as root, until the next boot.
pub fn export(directory: &str, host: &str) -> Argv {
    let options = format!("rw={host},root={host},access={host}");
    words(&["exportfs", "-i", "-o", &options, directory])
}

/// `exportfs -u DIRECTORY`.
pub fn unexport(directory: &str) -> Argv {
    words(&["exportfs", "-u", directory])
}

/// Removes the line of `directory` from /etc/exports, and its export.
pub fn forget_export(directory: &str) -> Argv {
    words(&["rmnfsexp", "-d", directory, "-B"])
}

/// Makes a file system of the cache.
pub fn make_fs(vg: &VgName, mount_point: &str, size_mb: u64) -> Argv {
    let size = format!("size={size_mb}M");
    let base = ["crfs", "-v", "jfs2", "-g", vg.as_str(), "-m", mount_point];
    with(&base, words(&["-a", &size, "-A", "no"]))
}

/// `rmfs -r MOUNT_POINT`.
pub fn remove_fs(mount_point: &str) -> Argv {
    words(&["rmfs", "-r", mount_point])
}

/// `chfs -a size=SIZE MOUNT_POINT`.
pub fn resize_fs(mount_point: &str, size: &str) -> Argv {
    let size = format!("size={size}");
    words(&["chfs", "-a", &size, mount_point])
}

/// `mount -o OPTIONS HOST:DIRECTORY OVER`.
pub fn mount_nfs(options: Option<&str>, host: &str, directory: &str, over: &str) -> Argv {
    let mut argv = words(&["mount"]);
    if let Some(options) = options {
        argv.extend(words(&["-o", options]));
    }
    argv.extend([format!("{host}:{directory}"), over.to_owned()]);
    argv
}

/// `umount PATH`, or by force.
pub fn unmount(path: &str, by_force: bool) -> Argv {
    if by_force { words(&["umount", "-f", path]) } else { words(&["umount", path]) }
}

/// NIM's own remote command: `line` is one line for the client's shell.
pub fn c_rsh(client: &NimName, line: &str) -> Argv {
    words(&["/usr/lpp/bos.sysmgt/nim/methods/c_rsh", client.as_str(), line])
}

/// `chroot ROOT PROGRAM…`.
pub fn chroot(root: &str, program: &[&str]) -> Argv {
    with(&["chroot", root], words(program))
}

/// Writes `directory`, of its own file system only, to standard output.
pub fn pack(directory: &str) -> Argv {
    words(&["tar", "-cUf", "-", "-C", directory, "."])
}

/// Reads what [`pack`] wrote into `directory`.
pub fn unpack(directory: &str) -> Argv {
    words(&["tar", "-xpUf", "-", "-C", directory])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_disks_are_one_argument() {
        let disks: Vec<DiskName> =
            ["hdisk1", "hdisk2"].iter().map(|d| d.parse().unwrap()).collect();
        assert_eq!(
            alt_disk_copy(true, "7.3", CopyPhase::Make, &[], &disks),
            ["/ALT_MIG_SPOT/sbin/alt_disk_copy", "-j", "-M", "7.3", "-P1", "-d", "hdisk1 hdisk2"]
        );
        assert_eq!(
            alt_disk_copy(false, "7.3", CopyPhase::Finish, &[], &disks[..1])[1..],
            ["-M", "7.3", "-P3", "-B", "-d", "hdisk1"]
        );
    }

    #[test]
    fn mount_options_are_left_out_where_there_are_none() {
        assert_eq!(mount_nfs(None, "a", "/b", "/c"), ["mount", "a:/b", "/c"]);
        assert_eq!(mount_nfs(Some("ro"), "a", "/b", "/c"), ["mount", "-o", "ro", "a:/b", "/c"]);
    }
}

//! The commands that hosts of the lab answer, one file a topic, all in one
//! table. A command is a function of the world, its call and the time.

mod alt_disk;
mod archive;
mod boot;
mod exports_file;
mod file_systems;
mod files;
mod find;
mod install;
mod lvm;
mod mirror;
mod mksysb;
mod mounts;
mod names;
mod nfs;
mod nim;
mod nim_software;
pub(super) mod nimadm;
mod odm;
pub(super) mod processes;
pub(super) mod remote;
mod show;
mod system;
mod words;

pub(crate) use mounts::{unmount_busy, unmounted};

use super::call::{Call, Reply};
use super::world::World;
use crate::base::Millis;

/// Makes the effect of a command, and gives its output.
pub(crate) type Run = fn(&mut World, &Call) -> Reply;

/// Makes the first part of a long command's effect.
pub(crate) type Begin = fn(&mut World, &Call) -> Result<(), Reply>;

/// Gives the call that a command makes elsewhere: on another host, in another
/// root.
pub(crate) type Wrap = fn(&World, &Call) -> Result<Call, Reply>;

/// What a command does.
#[derive(Clone, Copy)]
pub(crate) enum Does {
    /// Its effect.
    Run(Run),
    /// It is only a cover of another command.
    Cover(Wrap),
    /// It runs other commands, one after the other: nimadm.
    Steps,
}

/// A command.
pub(crate) struct Row {
    /// Its name, without a directory.
    pub name: &'static str,
    /// How it is used.
    pub usage: &'static str,
    /// What it takes.
    pub base_ms: Millis,
    /// What it takes beside that, by what it works on.
    pub more_ms: Option<fn(&World, &Call) -> Millis>,
    /// The first part of its effect.
    pub begin: Option<Begin>,
    /// The rest of it.
    pub does: Does,
}

const fn row(name: &'static str, base_ms: Millis, run: Run, usage: &'static str) -> Row {
    other(name, base_ms, Does::Run(run), usage)
}

const fn other(name: &'static str, base_ms: Millis, does: Does, usage: &'static str) -> Row {
    Row { name, usage, base_ms, more_ms: None, begin: None, does }
}

const fn long(mut row: Row, begin: Begin) -> Row {
    row.begin = Some(begin);
    row
}

const fn sized(mut row: Row, more: fn(&World, &Call) -> Millis) -> Row {
    row.more_ms = Some(more);
    row
}

/// Every command.
pub(crate) static REGISTRY: &[Row] = &[
    // Volume groups and disks.
    row("lspv", 200, lvm::lspv, "lspv [PhysicalVolume]"),
    row("lsvg", 200, lvm::lsvg, "lsvg [-o] | [-l | -p | -M] VolumeGroup ..."),
    row("lslv", 200, lvm::lslv, "lslv [-m] LogicalVolume"),
    row("varyonvg", 2000, lvm::varyonvg, "varyonvg VolumeGroup"),
    row("varyoffvg", 2000, lvm::varyoffvg, "varyoffvg VolumeGroup"),
    row("exportvg", 2000, lvm::exportvg, "exportvg VolumeGroup"),
    row("reducevg", 3000, lvm::reducevg, "reducevg [-d] [-f] VolumeGroup PhysicalVolume ..."),
    row("chpv", 1000, lvm::chpv, "chpv -C PhysicalVolume"),
    row("getlvodm", 200, lvm::getlvodm, "getlvodm {-j PhysicalVolume | -v VolumeGroup}"),
    // File systems.
    row("lsfs", 200, file_systems::lsfs, "lsfs [-c] [-q] [-v vfs] [FileSystem ...]"),
    row("df", 300, file_systems::df, "df [-k | -m | -g] [-I | -P] [FileSystem ...]"),
    row(
        "crfs",
        4000,
        file_systems::crfs,
        "crfs -v Vfs -g VolumeGroup -m MountPoint -a size=N [-A no] [-p rw]",
    ),
    row("chfs", 5000, file_systems::chfs, "chfs -a size=N FileSystem"),
    row("rmfs", 3000, file_systems::rmfs, "rmfs [-r] FileSystem"),
    row(
        "mount",
        500,
        mounts::mount,
        "mount [-o Options] [-v Vfs] [-n Node] [Node:Directory | Device] [Directory]",
    ),
    row("umount", 500, mounts::umount, "umount [-f] FileSystem"),
    // NFS.
    row("exportfs", 500, nfs::exportfs, "exportfs [-a] [-u] [-F] [-i -o Options] [Directory]"),
    row(
        "mknfsexp",
        500,
        exports_file::mknfsexp,
        "mknfsexp -d Directory [-t Type] [-r Hosts] [-c Hosts] [-B | -I | -N]",
    ),
    row("rmnfsexp", 500, exports_file::rmnfsexp, "rmnfsexp -d Directory [-B | -I | -N]"),
    row("showmount", 500, nfs::showmount, "showmount -e [Host]"),
    // Files.
    row("mkdir", 100, files::mkdir, "mkdir [-p] Directory ..."),
    row("rmdir", 100, files::rmdir, "rmdir Directory ..."),
    row("rm", 200, files::rm, "rm [-f] [-r] File ..."),
    row("ls", 100, files::ls, "ls [-l] [-d] [-a] [-i] [File ...]"),
    row("cat", 100, files::cat, "cat [File ...]"),
    row("touch", 100, files::touch, "touch File ..."),
    row("chmod", 100, files::chmod, "chmod Mode File ..."),
    row("ln", 100, files::ln, "ln -s [-f] Source Target"),
    row("cp", 3000, files::cp, "cp [-h] [-p] [-R] Source ... Target"),
    row("test", 100, words::test, "test Expression"),
    row("grep", 50, words::grep, "grep -F [-w] -e Text"),
    row("cut", 50, words::cut, "cut -d: -f1"),
    row("head", 50, words::head, "head -n Number"),
    row("readlink", 100, files::readlink, "readlink File"),
    sized(
        long(row("dd", 1000, archive::dd, "dd [if=File] [of=File] [bs=N]"), archive::begin_dd),
        archive::dd_ms,
    ),
    sized(
        row("tar", 2000, archive::tar, "tar {-c | -x} [-U] [-p] -f - [-C Directory] [File ...]"),
        archive::tar_ms,
    ),
    row("mv", 200, files::mv, "mv [-f] Source Target"),
    row("printf", 50, words::printf, "printf Format [Text ...]"),
    row(
        "find",
        5000,
        find::find,
        "find {. [-print] | Directory -xdev {! -type d | [-depth] -type d [-exec rmdir {} ;]}}",
    ),
    sized(
        long(
            row("backup", 60_000, mksysb::backup, "backup -i [-q] [-v] [-p] -f Device"),
            mksysb::begin_backup,
        ),
        mksysb::backup_ms,
    ),
    // Installation.
    long(
        row("restore", 600_000, install::restore, "restore -x [-q] [-v] -f Device [File ...]"),
        install::begin_restore,
    ),
    row("ODM_merge", 30_000, install::odm_merge, "ODM_merge Class ..."),
    row("merge_config", 120_000, install::merge_config, "merge_config Directory"),
    sized(
        long(
            row("installp", 15_000, install::installp, install::INSTALLP),
            install::begin_installp,
        ),
        install::installp_ms,
    ),
    sized(
        long(
            row(
                "geninstall",
                15_000,
                install::geninstall,
                "geninstall [-R Root] [-I Flags] -d Device {all | Package ...}",
            ),
            install::begin_geninstall,
        ),
        install::geninstall_ms,
    ),
    row("lslpp", 500, show::lslpp, "lslpp {-L | -l | -w} [-c] [-q] [Fileset ...]"),
    row("oslevel", 500, show::oslevel, "oslevel [-s | -r]"),
    row("instfix", 1000, show::instfix, "instfix -i [-k Keyword]"),
    row("lppchk", 4000, show::lppchk, "lppchk -v"),
    row("emgr", 500, show::emgr, "emgr -l | -r -L label"),
    row("rpm", 500, show::rpm, "rpm -qa"),
    // Boot.
    sized(row("bosboot", 60_000, boot::bosboot, "bosboot -a [-d Device] [-b File]"), boot::vary_ms),
    row("bootinfo", 200, boot::bootinfo, "bootinfo {-s Disk | -B Disk | -b | -v | -K | -T}"),
    row("multibos", 30_000, boot::multibos, "multibos -R [-X]"),
    row("mklvcopy", 5000, mirror::mklvcopy, "mklvcopy [-k] LogicalVolume Copies [PhysicalVolume]"),
    row("rmlvcopy", 2000, mirror::rmlvcopy, "rmlvcopy LogicalVolume Copies [PhysicalVolume]"),
    row(
        "mirrorvg",
        60_000,
        mirror::mirrorvg,
        "mirrorvg [-S | -m] [-c Copies] VolumeGroup [PhysicalVolume ...]",
    ),
    row(
        "unmirrorvg",
        10_000,
        mirror::unmirrorvg,
        "unmirrorvg [-c Copies] VolumeGroup [PhysicalVolume ...]",
    ),
    row("ipl_varyon", 200, boot::ipl_varyon, "ipl_varyon -i"),
    row("blvset", 200, boot::blvset, "blvset -d Device -g level"),
    row("bootlist", 300, boot::bootlist, "bootlist -m normal {-o | Device ...}"),
    row("getconf", 100, boot::getconf, "getconf {BOOT_DEVICE | DISK_SIZE Device | KERNEL_BITMODE}"),
    row("shutdown", 30_000, boot::shutdown, "shutdown -Fr"),
    // Alternate disks.
    sized(
        long(
            row(
                "alt_disk_copy",
                60_000,
                alt_disk::alt_disk_copy,
                "alt_disk_copy -d TargetDisks [-P Phase] [-B] [-e File] [-i File]",
            ),
            alt_disk::begin,
        ),
        alt_disk::copy_ms,
    ),
    sized(
        long(
            row(
                "alt_disk_mksysb",
                60_000,
                mksysb::alt_disk_mksysb,
                "alt_disk_mksysb -P1 -i ImageData -d TargetDisks",
            ),
            mksysb::begin_make,
        ),
        mksysb::make_ms,
    ),
    row(
        "alt_rootvg_op",
        20_000,
        alt_disk::alt_rootvg_op,
        "alt_rootvg_op {-q | -v Name | -W} -d Disk | -S [-t] | -X [VolumeGroup]",
    ),
    // NIM.
    row("lsnim", 300, nim::lsnim, "lsnim [-l] [-Z -a Attribute ...] [-t Type | -c Class] [Object]"),
    row("nim", 2000, nim::nim, "nim [-F] -o Operation [-a Attribute=Value ...] [-t Type] Object"),
    other("nimadm", 5000, Does::Steps, nimadm::USAGE),
    row("alog", 300, nim::alog, "alog -o -t nim"),
    other("c_rsh", 1000, Does::Cover(remote::c_rsh), "c_rsh Client CommandLine"),
    other("chroot", 100, Does::Cover(remote::chroot), "chroot Directory Command"),
    // The system.
    row("host", 100, names::host, "host [-n] {HostName | Address}"),
    row("hostname", 50, system::hostname, "hostname"),
    row("uname", 50, system::uname, "uname [-n | -s | -M | -L]"),
    row("uptime", 100, system::uptime, "uptime"),
    row("ps", 200, processes::ps, "ps {-e | -p ProcessId} [-o pid,[user,etime,]args]"),
    row("kill", 100, processes::kill, "kill [-9 | -15] ProcessId ..."),
    row("who", 100, system::who, "who -b"),
    row("date", 50, system::date, "date [-u] [+Format]"),
    row("prtconf", 3000, system::prtconf, "prtconf"),
    row("errpt", 300, system::errpt, "errpt [-s Time]"),
    row("lsdev", 300, system::lsdev, "lsdev -Cc disk"),
    row("odmget", 200, odm::odmget, "odmget [-q Criterion] Class"),
    row("lsattr", 300, system::lsattr, "lsattr -El Disk [-a Attribute] [-F Format] [-O]"),
    row("lssrc", 200, system::lssrc, "lssrc -s Subsystem | -g Group"),
    row("startsrc", 1000, system::startsrc, "startsrc -s Subsystem | -g Group"),
    row("echo", 50, words::echo, "echo [Text ...]"),
    row("true", 50, words::yes, "true"),
    row("false", 50, words::no, "false"),
];

#[cfg(test)]
mod registry_tests;

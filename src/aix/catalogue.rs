//! AIX's and NIM's messages: what each means for a migration, and what to do.
//!
//! From section 4 of the technical reference. Where one id means several
//! things, the row with the words stands before the row without.

use crate::domain::FailureClass;

/// How well a row is founded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Read in a public source.
    Read,
    /// General knowledge of AIX: confirm on a machine.
    General,
}

/// A row of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The message id; empty where there is none and the words decide alone.
    pub id: &'static str,
    /// Words that must be in the line as well; may be empty beside an id.
    pub words: &'static str,
    /// What it means.
    pub class: FailureClass,
    /// What to do; may be empty.
    pub hint: &'static str,
    /// How well this is founded.
    pub trust: Trust,
}

/// A row.
const fn row(
    id: &'static str,
    words: &'static str,
    class: FailureClass,
    hint: &'static str,
    trust: Trust,
) -> Entry {
    Entry { id, words, class, hint, trust }
}

/// All rows.
pub const CATALOGUE: &[Entry] = &[
    row(
        "0505-126",
        "",
        FailureClass::Permanent,
        "`lspv`: if the disk holds an old copy, remove it by `alt_rootvg_op -X`, then `chpv -C`; otherwise choose another disk",
        Trust::Read,
    ),
    row(
        "0505-158",
        "",
        FailureClass::Permanent,
        "remote commands answer with something else: test a remote `hostname` both ways, look for login banners",
        Trust::Read,
    ),
    row(
        "0505-187",
        "",
        FailureClass::Wrapper,
        "read the alt_disk_copy line before it and alt_disk_inst.log on the client",
        Trust::Read,
    ),
    row(
        "0505-218",
        "",
        FailureClass::Permanent,
        "remains of multibos: `multibos -RX`, check `bootinfo -v` and `lsvg -l rootvg` for bos_*, then start again",
        Trust::Read,
    ),
    row(
        "",
        "larger than the target disk",
        FailureClass::Permanent,
        "a larger disk, or an image_data with SHRINK",
        Trust::Read,
    ),
    row(
        "",
        "target disk is too small",
        FailureClass::Permanent,
        "a larger disk, or an image_data with SHRINK",
        Trust::Read,
    ),
    row(
        "",
        "bos.alt_disk_install levels",
        FailureClass::Permanent,
        "`nimadm -M`, or `nim -o cust` the SPOT with the master's level",
        Trust::Read,
    ),
    row(
        "0511-449",
        "",
        FailureClass::Informative,
        "a file vanished while it was copied",
        Trust::Read,
    ),
    row(
        "0565-020",
        "",
        FailureClass::Permanent,
        "only if multibos is in use: remove it",
        Trust::Read,
    ),
    row(
        "0565-022",
        "",
        FailureClass::Permanent,
        "only if multibos is in use: remove it",
        Trust::Read,
    ),
    row(
        "0565-035",
        "",
        FailureClass::Permanent,
        "only if multibos is in use: remove it",
        Trust::Read,
    ),
    row("0042-001", "", FailureClass::Wrapper, "the deepest line tells why", Trust::Read),
    row(
        "0042-002",
        "",
        FailureClass::Transient,
        "`nim -Fo reset` the client, deallocate, and try again",
        Trust::Read,
    ),
    row(
        "0042-006",
        "Connection refused",
        FailureClass::Transient,
        "`startsrc -s nimsh` on the client; check the port filter",
        Trust::Read,
    ),
    row(
        "0042-006",
        "",
        FailureClass::Transient,
        "the client is down or booting, or a firewall is between",
        Trust::Read,
    ),
    row(
        "0042-008",
        "",
        FailureClass::Permanent,
        "clear the client's cpuid on the master and run `niminit` on the client",
        Trust::General,
    ),
    row(
        "0042-032",
        "",
        FailureClass::AlreadyDone,
        "the object exists: compare its attributes",
        Trust::Read,
    ),
    row("0042-053", "", FailureClass::Permanent, "the name is wrong: `lsnim`", Trust::Read),
    row(
        "0042-081",
        "",
        FailureClass::Permanent,
        "use another location, or the SPOT that is there",
        Trust::Read,
    ),
    row(
        "0042-137",
        "",
        FailureClass::Permanent,
        "rebuild /etc/niminfo by `niminit` or `nimconfig -r`",
        Trust::Read,
    ),
    row("0042-154", "", FailureClass::Permanent, "correct the path", Trust::Read),
    row(
        "0042-175",
        "Input device or directory does not exist",
        FailureClass::Transient,
        "`showmount -e`, then allocate again",
        Trust::Read,
    ),
    row(
        "0042-175",
        "",
        FailureClass::Wrapper,
        "the text after it tells why: NFS, installp or a script",
        Trust::Read,
    ),
    row(
        "0042-207",
        "",
        FailureClass::Transient,
        "another NIM operation holds the SPOT",
        Trust::Read,
    ),
    row(
        "",
        "object is locked",
        FailureClass::Transient,
        "another NIM operation runs; if its process is gone, force (`-F`)",
        Trust::General,
    ),
    row(
        "",
        "Cstate does not allow",
        FailureClass::Permanent,
        "`nim -Fo reset` the client, deallocate subclass=all",
        Trust::Read,
    ),
    row(
        "",
        "lacks simages",
        FailureClass::Permanent,
        "`nim -o check -F` the lpp_source, add the missing images",
        Trust::Read,
    ),
    row("0503-005", "", FailureClass::Permanent, "`inutoc` the directory", Trust::Read),
    row(
        "",
        "format of the toc file is invalid",
        FailureClass::Permanent,
        "`inutoc` the directory, remove foreign files",
        Trust::Read,
    ),
    row(
        "0503-008",
        "",
        FailureClass::Permanent,
        "free space in the volume group, raise MAX LPs (`chlv -x`), or use a larger disk",
        Trust::Read,
    ),
    row("0503-105", "", FailureClass::Transient, "check the mount", Trust::Read),
    row("0503-409", "", FailureClass::Informative, "", Trust::Read),
    row(
        "0503-434",
        "",
        FailureClass::Transient,
        "`installp -C` in that root, then again",
        Trust::General,
    ),
    row("0503-464", "", FailureClass::Wrapper, "the reason stands before it", Trust::Read),
    row(
        "0503-465",
        "",
        FailureClass::Permanent,
        "the client's fixes are newer than the lpp_source: use a newer one",
        Trust::Read,
    ),
    row(
        "0503-497",
        "",
        FailureClass::Permanent,
        "`ln -f /dev/rhdiskN /dev/ipldevice`, bosboot, again",
        Trust::Read,
    ),
    row(
        "",
        "Missing Filesets",
        FailureClass::Permanent,
        "add the filesets to the lpp_source and run `inutoc`",
        Trust::Read,
    ),
    row(
        "",
        "MISSING REQUISITES",
        FailureClass::Permanent,
        "add the filesets to the lpp_source and run `inutoc`",
        Trust::Read,
    ),
    row("", "Nothing to commit", FailureClass::AlreadyDone, "", Trust::Read),
    row("", "already installed", FailureClass::AlreadyDone, "", Trust::Read),
    row(
        "",
        "license agreement",
        FailureClass::Permanent,
        "accept the licences in the plan (`-Y`)",
        Trust::Read,
    ),
    row(
        "",
        "Not enough disk space for sni_lv",
        FailureClass::Permanent,
        "free 256 MB in rootvg",
        Trust::Read,
    ),
    row(
        "3001-038",
        "",
        FailureClass::Permanent,
        "make the missing system group before the migration",
        Trust::Read,
    ),
    row(
        "3001-003",
        "",
        FailureClass::Permanent,
        "make the missing system user or group before the migration",
        Trust::Read,
    ),
    row(
        "3001-017",
        "",
        FailureClass::Permanent,
        "make the missing system user or group before the migration",
        Trust::Read,
    ),
    row("0645-065", "", FailureClass::AlreadyDone, "", Trust::Read),
    row("0645-066", "", FailureClass::AlreadyDone, "", Trust::Read),
    row("0645-081", "", FailureClass::AlreadyDone, "", Trust::Read),
    row("0645-082", "", FailureClass::AlreadyDone, "", Trust::Read),
    row(
        "",
        "EFIXLOCKED",
        FailureClass::Permanent,
        "remove the interim fix before the clone (`emgr -r -L`)",
        Trust::Read,
    ),
    row(
        "0301-150",
        "",
        FailureClass::Permanent,
        "relink /dev/ipldevice, `savebase`, bosboot again; do not reboot before",
        Trust::General,
    ),
    row(
        "0301-152",
        "",
        FailureClass::Permanent,
        "grow /tmp in the copy and repeat",
        Trust::General,
    ),
    row(
        "0301-154",
        "",
        FailureClass::Permanent,
        "bos is damaged: start again from a fresh clone",
        Trust::General,
    ),
    row(
        "0301-165",
        "",
        FailureClass::Wrapper,
        "never set the bootlist after this; the lines before tell why",
        Trust::General,
    ),
    row(
        "0301-168",
        "",
        FailureClass::Permanent,
        "hd5 is on another disk: name the right one",
        Trust::General,
    ),
    row("0514-061", "", FailureClass::Informative, "", Trust::General),
    row(
        "0514-508",
        "",
        FailureClass::Permanent,
        "relink /dev/ipldevice, then `savebase`",
        Trust::Read,
    ),
    row(
        "0514-609",
        "",
        FailureClass::Permanent,
        "relink /dev/ipldevice, then `savebase`",
        Trust::Read,
    ),
    row("0514-546", "", FailureClass::Informative, "", Trust::Read),
    row(
        "",
        "hd5 does not exist",
        FailureClass::Permanent,
        "recreate hd5, bosboot again; do not reboot before",
        Trust::Read,
    ),
    row(
        "",
        "savebase failed",
        FailureClass::Permanent,
        "`savebase`, bosboot again; do not reboot before",
        Trust::Read,
    ),
    row("0516-010", "", FailureClass::Informative, "the volume group sleeps", Trust::Read),
    row("0516-012", "", FailureClass::Transient, "unmount first", Trust::General),
    row("0516-052", "", FailureClass::Permanent, "a disk is missing", Trust::General),
    row(
        "0516-062",
        "",
        FailureClass::Transient,
        "check paths, reserves and `errpt`",
        Trust::General,
    ),
    row("0516-304", "", FailureClass::Permanent, "`synclvodm`, check the name", Trust::General),
    row("0516-306", "", FailureClass::Permanent, "`synclvodm`, check the name", Trust::Read),
    row("0516-312", "", FailureClass::Permanent, "there is no such logical volume", Trust::Read),
    row("0516-320", "", FailureClass::Informative, "the disk is free", Trust::Read),
    row("0516-1396", "", FailureClass::Informative, "the disk is free", Trust::Read),
    row("0516-321", "", FailureClass::Permanent, "`cfgmgr`, or `mkdev` the disk", Trust::Read),
    row("0516-404", "", FailureClass::Permanent, "no free partitions: more disk", Trust::Read),
    row(
        "0516-787",
        "",
        FailureClass::Permanent,
        "`chlv -x` the logical volume, then repeat",
        Trust::Read,
    ),
    row("0516-788", "", FailureClass::Wrapper, "the line beside it tells why", Trust::Read),
    row("0516-862", "", FailureClass::Wrapper, "the line beside it tells why", Trust::Read),
    row("0516-942", "", FailureClass::Transient, "unmount, end its users, again", Trust::General),
    row("0516-949", "", FailureClass::Permanent, "", Trust::Read),
    row("0516-764", "", FailureClass::Permanent, "`varyoffvg` first", Trust::General),
    row(
        "0516-1201",
        "",
        FailureClass::Transient,
        "another LVM command runs; unlock by `chvg -u` only when none does",
        Trust::Read,
    ),
    row("0516-1254", "", FailureClass::Informative, "", Trust::Read),
    row(
        "0516-1397",
        "",
        FailureClass::Permanent,
        "remains of an old volume group: `chpv -C` with the owner's consent",
        Trust::General,
    ),
    row(
        "0516-1398",
        "",
        FailureClass::Permanent,
        "remains of an old volume group: `chpv -C` with the owner's consent",
        Trust::General,
    ),
    row(
        "0516-1734",
        "",
        FailureClass::Permanent,
        "`savebase` and bosboot before any reboot",
        Trust::Read,
    ),
    row(
        "0516-2038",
        "",
        FailureClass::Permanent,
        "encrypted logical volumes: check that the target supports their copy",
        Trust::Read,
    ),
    row("0506-324", "", FailureClass::AlreadyDone, "it is mounted already", Trust::General),
    row("0506-347", "", FailureClass::AlreadyDone, "it is not mounted", Trust::Read),
    row(
        "0506-349",
        "",
        FailureClass::Transient,
        "children first; `fuser -cx`; `umount -f` for NFS",
        Trust::General,
    ),
    row("0506-945", "", FailureClass::Permanent, "`fsck`; throw the copy away", Trust::Read),
    row("0507-545", "", FailureClass::Permanent, "`fsck`; throw the copy away", Trust::Read),
    row("0512-054", "", FailureClass::Permanent, "", Trust::Read),
    row("1831-008", "", FailureClass::Wrapper, "the line beside it tells why", Trust::Read),
    row(
        "1831-010",
        "",
        FailureClass::Transient,
        "`rpcinfo -p` of the server, `startsrc -g nfs`",
        Trust::General,
    ),
    row(
        "1831-011",
        "",
        FailureClass::Permanent,
        "check both names and addresses both ways; export by the name that the server sees",
        Trust::Read,
    ),
    row("1831-019", "", FailureClass::Wrapper, "", Trust::General),
    row(
        "",
        "unknown host",
        FailureClass::Permanent,
        "put the name into /etc/hosts on both sides",
        Trust::Read,
    ),
    row("1831-187", "", FailureClass::AlreadyDone, "it is exported already", Trust::General),
    row(
        "1831-185",
        "",
        FailureClass::Permanent,
        "a parent is exported: unexport it first",
        Trust::General,
    ),
    row(
        "1831-186",
        "",
        FailureClass::Permanent,
        "a subdirectory is exported: unexport it first",
        Trust::General,
    ),
    row(
        "",
        "vmount: Not owner",
        FailureClass::Permanent,
        "`nfso -o nfs_use_reserved_ports=1` on the NFS client",
        Trust::General,
    ),
    row(
        "",
        "vmount: Operation not permitted",
        FailureClass::Permanent,
        "`nfso -o nfs_use_reserved_ports=1` on the NFS client",
        Trust::General,
    ),
    row(
        "",
        "vmount: Permission denied",
        FailureClass::Permanent,
        "check root= and access= of the export",
        Trust::General,
    ),
    row(
        "",
        "not responding still trying",
        FailureClass::Transient,
        "the NFS server is overloaded or dead",
        Trust::Read,
    ),
    row(
        "",
        "exports line too long",
        FailureClass::Permanent,
        "`chnfs`: restrict_nfs_exports=no, or a global export",
        Trust::Read,
    ),
    row(
        "",
        "tale NFS file handle",
        FailureClass::Transient,
        "unmount and mount again",
        Trust::General,
    ),
    row(
        "",
        "issing file handle",
        FailureClass::Transient,
        "unmount and mount again",
        Trust::General,
    ),
    row("0513-029", "", FailureClass::AlreadyDone, "", Trust::Read),
    row("0513-044", "", FailureClass::Informative, "", Trust::Read),
    row("0513-059", "", FailureClass::Informative, "", Trust::Read),
    row("0513-071", "", FailureClass::Informative, "", Trust::Read),
    row("0513-004", "", FailureClass::Permanent, "`startsrc` the subsystem", Trust::General),
    row("0513-085", "", FailureClass::Permanent, "the subsystem is not on file", Trust::General),
    row(
        "0826-813",
        "",
        FailureClass::Permanent,
        ".rhosts of both sides: mode 600, name as resolved",
        Trust::General,
    ),
    row(
        "",
        "rcmd: connect: Connection refused",
        FailureClass::Transient,
        "inetd's shell line, `refresh -s inetd`",
        Trust::General,
    ),
    row(
        "0403-027",
        "",
        FailureClass::Permanent,
        "shorter argument lists, or a larger ncargs",
        Trust::Read,
    ),
    row(
        "",
        "timedout",
        FailureClass::Transient,
        "this client does not answer; the others can go on",
        Trust::Read,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_met() {
        for (index, entry) in CATALOGUE.iter().enumerate() {
            assert!(!entry.id.is_empty() || !entry.words.is_empty(), "row {index}");
            let hidden = CATALOGUE[..index].iter().any(|earlier| {
                earlier.id == entry.id && (earlier.words.is_empty() || earlier.words == entry.words)
            });
            assert!(!hidden, "row {index} ({} {}) is never met", entry.id, entry.words);
        }
    }
}

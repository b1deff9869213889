//! The files that systems, SPOTs and lpp_sources are made of.

use std::fmt::Write as _;

use super::estate::LppSourceSpec;
use super::software::{self, BOS_IMAGE, LIST, RPM_LIST, filesets, to_text};
use super::tree::{Kind, Node, Tree};

/// Users and groups that every AIX has.
const BASE_PASSWD: &str = "root:!:0:0::/:/usr/bin/ksh\ndaemon:!:1:1::/etc:\nbin:!:2:2::/bin:\n\
    sys:!:3:3::/usr/sys:\nadm:!:4:4::/var/adm:\nnobody:!:4294967294:4294967294::/:\n";
const BASE_GROUP: &str = "system:!:0:root\nstaff:!:1:daemon\nbin:!:2:root,bin\nsecurity:!:7:root\n";
const BASE_INITTAB: &str =
    "init:2:initdefault:\nbrc::sysinit:/sbin/rc.boot 3\nrc:23456789:wait:/etc/rc\n";

/// Configuration files that a migration saves and merges, below `/etc`.
pub(crate) const MERGED: [&str; 6] =
    ["passwd", "group", "hosts", "inittab", "security/passwd", "ntp.conf"];

/// Files of the device database, below `/etc/objrepos`.
pub(crate) const DEVICE_ODM: [&str; 3] = ["CuDv", "CuAt", "CuDep"];

/// What the file system at `point` of a system at `level` holds.
pub(crate) fn of_system(point: &str, host: &str, level: &str) -> Tree {
    let mut tree = Tree::default();
    match point {
        "/" => {
            for (path, node) in base_root(level) {
                tree.put(&path, node);
            }
            site_root(&mut tree, host);
        }
        "/usr" => {
            for (path, node) in base_usr(level) {
                tree.put(&path, node);
            }
            tree.put(LIST, Node::file(to_text(&filesets(level))));
        }
        "/var" => {
            tree.put("adm/ras/errlog", Node::file(""));
            tree.put("adm/wtmp", Node::file(""));
            tree.put("spool/cron/crontabs/root", Node::file("0 3 * * * /usr/lib/ras/dumpcheck\n"));
        }
        "/tmp" => tree.put("lost+found", Node::dir()),
        "/home" => {
            tree.put("app/data/orders.csv", Node::file(format!("id,host\n1,{host}\n2,{host}\n")));
            tree.put("app/.profile", Node::file("export APP_HOME=/home/app\n"));
            tree.put("oper/.profile", Node::file("set -o vi\n"));
        }
        "/opt" => {
            tree.put(RPM_LIST, Node::file("wget-1.21-1\nbash-5.1-2\n"));
            tree.put("freeware/bin/bash", Node { mode: 0o755, ..Node::file("AIX toolbox bash\n") });
        }
        _ => {}
    }
    tree
}

/// What the bos image puts into the root file system.
pub(crate) fn base_root(level: &str) -> Vec<(String, Node)> {
    let release = software::version_release(level);
    let mut files: Vec<(String, Node)> = [
        ("etc/passwd", BASE_PASSWD.to_owned()),
        ("etc/group", BASE_GROUP.to_owned()),
        ("etc/hosts", "127.0.0.1 loopback localhost\n".to_owned()),
        ("etc/inittab", BASE_INITTAB.to_owned()),
        ("etc/ntp.conf", "driftfile /etc/ntp.drift\n".to_owned()),
        ("etc/motd", format!("Welcome to AIX Version {release}!\n")),
        ("etc/release", format!("AIX {level}\n")),
        ("etc/rc.d/rc", format!("# rc of AIX {release}\n")),
        ("etc/security/passwd", "root:password = *\n".to_owned()),
        ("etc/objrepos/CuDv", "sys0:system\n".to_owned()),
        ("etc/objrepos/CuAt", "sys0:ncargs=256\n".to_owned()),
        ("etc/objrepos/CuDep", "sys0:-\n".to_owned()),
    ]
    .into_iter()
    .map(|(path, text)| (path.to_owned(), Node::file(text)))
    .collect();
    files.push((
        "unix".to_owned(),
        Node { mode: 0o777, kind: Kind::Link("/usr/lib/boot/unix_64".to_owned()) },
    ));
    files
}

/// What the bos image puts into `/usr`, without the list of filesets.
pub(crate) fn base_usr(level: &str) -> Vec<(String, Node)> {
    let program = |name: &str| {
        let path = name.to_owned();
        let name = name.rsplit('/').next().unwrap_or(name);
        (path, Node { mode: 0o755, ..Node::file(format!("AIX {level} {name}\n")) })
    };
    let mut files: Vec<(String, Node)> = [
        "bin/ksh",
        "bin/ls",
        "bin/lslpp",
        "bin/oslevel",
        "sbin/lsvg",
        "sbin/bosboot",
        "sbin/alt_disk_copy",
    ]
    .into_iter()
    .map(program)
    .collect();
    for name in [
        "bin/chroot_probe",
        "lib/boot/unix_64",
        "lib/libc.a",
        "lpp/bosinst/ODM_merge",
        "lpp/bosinst/merge_config",
        "lpp/bosinst/blvset",
    ] {
        files.push(program(name));
    }
    files
}

/// What the site has put into the root file system.
fn site_root(tree: &mut Tree, host: &str) {
    let mut add = |path: &str, text: &str| {
        let before = tree.text(path).unwrap_or("").to_owned();
        tree.write(path, before + text);
    };
    add(
        "etc/passwd",
        "app:!:501:1:application owner:/home/app:/usr/bin/ksh\noper:!:502:1::/home/oper:/usr/bin/ksh\n",
    );
    add("etc/group", "appgrp:!:501:app,oper\n");
    add("etc/hosts", &format!("10.1.1.10 {host}\n"));
    add("etc/inittab", "app:2:once:/home/app/start >/dev/console 2>&1\n");
    add("etc/security/passwd", "app:password = {ssha256}06$x\n");
    add("etc/ntp.conf", "server 10.1.1.1\n");
    add("etc/objrepos/CuDv", "hdisk0:disk\nen0:interface\n");
    add("etc/objrepos/CuAt", &format!("inet0:hostname={host}\n"));
    add("etc/objrepos/CuAt", "sys0:maxuproc=2048\nen0:netaddr=10.1.1.10\n");
    add("etc/objrepos/CuDep", "inet0:en0\n");
    add("etc/filesystems", "/home:\n\tdev = /dev/hd1\n\tvfs = jfs2\n");
    add("etc/rc.d/rc2.d/S90app", "/home/app/start\n");
    add(
        "etc/ssh/ssh_host_ed25519_key.pub",
        &format!("ssh-ed25519 AAAAC3Nz{} root@{host}\n", super::world::made_up_id(host)),
    );
    for directory in ["dev", "mnt", "export", "proc"] {
        tree.put(directory, Node::dir());
    }
}

/// Puts a SPOT at `at`.
pub(crate) fn put_spot(tree: &mut Tree, at: &str, level: &str, alt_disk_level: Option<&str>) {
    for (path, node) in base_usr(level) {
        tree.put(&format!("{at}/{path}"), node);
    }
    let mut list = filesets(level);
    if let Some(other) = alt_disk_level {
        for fileset in list.iter_mut().filter(|f| f.name.starts_with("bos.alt_disk_install")) {
            fileset.vrmf = software::vrmf(other);
            other.clone_into(&mut fileset.aix);
        }
    }
    tree.put(&format!("{at}/{LIST}"), Node::file(to_text(&list)));
    for name in ["alt_disk_copy", "alt_disk_mksysb", "alt_rootvg_op", "alt_disk_install"] {
        let node = Node { mode: 0o755, ..Node::file(format!("AIX {level} {name}\n")) };
        tree.put(&format!("{at}/sbin/{name}"), node);
    }
}

/// Puts an lpp_source at `at`.
pub(crate) fn put_lpp_source(tree: &mut Tree, at: &str, spec: &LppSourceSpec) {
    let level = spec.level.as_str();
    let mut list: Vec<_> = filesets(level)
        .into_iter()
        .filter(|fileset| !spec.missing.contains(&fileset.name))
        .collect();
    list.extend(spec.extra.iter().map(|name| software::extra_fileset(name, level)));
    tree.put(&format!("{at}/installp/ppc/.toc"), Node::file(to_text(&list)));
    tree.put(&format!("{at}/installp/ppc/bos"), Node::file(format!("bos {level}\n")));
    for fileset in list.iter().filter(|fileset| !BOS_IMAGE.contains(&fileset.name.as_str())) {
        let mut text = String::new();
        let _ = writeln!(text, "{} {}", fileset.name, fileset.vrmf);
        tree.put(
            &format!("{at}/installp/ppc/{}.{}.I", fileset.name, fileset.vrmf),
            Node::file(text),
        );
    }
    for rpm in ["wget-1.24-1", "bash-5.2-1", "dnf-4.2-5"] {
        tree.put(&format!("{at}/RPMS/ppc/{rpm}.aix7.3.ppc.rpm"), Node::file(format!("{rpm}\n")));
    }
}

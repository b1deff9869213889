//! NFS between hosts of the lab through the kernel: real programs on the master,
//! the emulation's files on the client, and the network between them. Skipped,
//! with a note, where there is no root or no FUSE.
#![cfg(all(target_os = "linux", feature = "lab-net"))]
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod night;
mod site;
#[path = "../skipped/mod.rs"]
mod skipped;

use site::{Site, until};

#[test]
fn programs_and_commands_see_the_same_files() {
    let Some(site) = Site::up() else { return };
    site.export_and_mount("/data", "/mnt/data", "");
    site.shell(
        "cd mnt/data && echo one >a && echo two >>a && mkdir d && mv a d/b && ln -s d/b l && \
         cat l && cp -p d/b c && chmod 640 c && mkdir -p deep/er && printf 'x' >deep/er/f",
    );
    assert_eq!(site.does("lpar01", "cat /data/d/b"), "one\ntwo\n");
    assert_eq!(site.does("lpar01", "readlink /data/l"), "d/b\n");
    assert!(site.does("lpar01", "ls -l /data/c").starts_with("-rw-r-----"));
    assert_eq!(site.does("nim1", "cat /mnt/data/deep/er/f"), "x");
    // What a command changes is seen at once.
    site.does("lpar01", "cp /data/c /data/new");
    site.does("nim1", "rm /mnt/data/d/b");
    let text = site.shell("cd mnt/data && cat new && cat l 2>&1; ls d; ls -a .; stat -c %a c");
    let expected =
        "one\ntwo\ncat: l: No such file or directory\n.\n..\nREADME\nc\nd\ndeep\nl\nnew\n640\n";
    assert_eq!(text, expected);
    // An archive there and back, and a whole tree removed.
    let tar = "tar cf all.tar -C mnt/data . && mkdir back && tar xf all.tar -C back && \
               mkdir mnt/data/copy && tar xf all.tar -C mnt/data/copy && \
               diff --no-dereference -r back mnt/data/copy && rm -r mnt/data/copy mnt/data/deep && ls mnt/data";
    assert_eq!(site.shell(tar), "README\nc\nd\nl\nnew\n");
    assert_eq!(site.does("lpar01", "ls /data"), "README\nc\nd\nl\nnew\n");
    assert!(site.shell("df -k mnt/data | tail -1").starts_with("lpar01:/data"));
}

#[test]
fn a_file_system_knows_its_rules() {
    let Some(site) = Site::up() else { return };
    site.export_and_mount("/data", "/mnt/data", "");
    let fails = |script: &str, why: &str| {
        let (status, text) = site.sh(&format!("cd mnt/data && {script}"));
        assert!(status != 0 && text.contains(why), "{script}: {status} {text}");
    };
    site.shell("cd mnt/data && mkdir -p full/inner && echo x >f && echo y >g");
    fails("rmdir full", "Directory not empty");
    fails("mkdir full", "File exists");
    fails("set -C; echo >f", "File exists");
    fails("mv -T full f", "cannot overwrite non-directory");
    fails("mv full full/inner/", "subdirectory of itself");
    fails("cat full", "Is a directory");
    fails("ln f hard", "Operation not permitted");
    fails("mkfifo pipe", "Operation not permitted");
    fails("chown 5 f", "Operation not permitted");
    fails("touch $(printf %0256d 1)", "File name too long");
    fails("truncate -s 9M f", "File too large");
    site.shell("cd mnt/data && touch $(printf %0255d 1) && truncate -s 3 f && mv f g && od -c g");
    // Bytes that are no text, in content and name.
    site.shell(
        "cd mnt/data && printf '\\377\\0\\200x' >\"$(printf 'n\\351')\" && \
         printf '\\377\\0\\200x' | cmp - \"$(printf 'n\\351')\" && touch -d @86400 g && \
         [ \"$(stat -c %Y g)\" = 86400 ] && [ \"$(stat -c %s n*)\" = 4 ]",
    );
    // One that is open is there until it is closed; then nothing of it is left.
    let open = "cd mnt/data && exec 3<>o && echo kept >&3 && rm o && cat /proc/self/fd/3 && \
                echo next >o && cat /proc/self/fd/3 && exec 3>&- && cat o";
    assert_eq!(site.shell(open), "kept\nkept\nnext\n");
    until("a hidden file gone", || !site.does("lpar01", "ls -a /data").contains(".nfs"));
}

#[test]
fn a_hard_mount_waits_and_goes_on() {
    let Some(mut site) = Site::up() else { return };
    site.export_and_mount("/data", "/mnt/data", "");
    site.shell("echo first >mnt/data/log");
    site.cable("down");
    let mut waiting = site.begin("echo second >>mnt/data/log && cat mnt/data/log");
    until("a mount that waits", || site.log().contains("lpar01 not responding still trying"));
    assert!(waiting.runs() && waiting.said().is_empty());
    site.cable("up");
    assert_eq!(waiting.end(), (0, "first\nsecond\n".to_owned()));
    assert!(site.log().contains("NFS server lpar01 ok"), "{}", site.log());
    // The same with a server that is stopped: once is once.
    site.stop_server();
    let mut waiting = site.begin("echo third >>mnt/data/log && cat mnt/data/log");
    until("a mount that waits", || site.log().matches("still trying").count() == 2);
    assert!(waiting.runs());
    site.start_server();
    assert_eq!(waiting.end(), (0, "first\nsecond\nthird\n".to_owned()));
}

#[test]
fn a_soft_mount_gives_up() {
    let Some(site) = Site::up() else { return };
    site.export_and_mount("/data", "/mnt/data", "soft,timeo=5,retrans=2");
    site.cable("down");
    let (status, text) = site.sh("ls mnt/data");
    assert!(status != 0 && text.contains("Connection timed out"), "{text}");
    site.cable("up");
    until("the file system again", || site.sh("ls mnt/data").0 == 0);
}

#[test]
fn a_cut_of_the_emulated_network_is_waited_for() {
    let Some(site) = Site::up() else { return };
    site.export_and_mount("/data", "/mnt/data", "");
    site.fault(&["link-cut", "--host", "lpar01", "--seconds", "600"]);
    let mut waiting = site.begin("ls -d mnt/data/.");
    until("a mount that waits", || site.log().contains("still trying"));
    assert!(waiting.runs());
    site.fault(&["--clear"]);
    assert_eq!(waiting.end(), (0, "mnt/data/.\n".to_owned()));
}

#[test]
fn what_is_no_longer_there_is_stale() {
    let Some(site) = Site::up() else { return };
    let stale = |script: &str| {
        let (status, text) = site.sh(script);
        assert!(status != 0 && text.contains("Stale file handle"), "{script}: {text}");
    };
    site.export_and_mount("/data", "/mnt/data", "");
    let mut reader = site
        .begin("exec 3<>mnt/data/open; echo ready; while [ ! -e go ]; do :; done; /bin/echo x >&3");
    until("an open file", || reader.said() == "ready\n");
    site.does("lpar01", "exportfs -u /data");
    stale("ls mnt/data");
    stale("touch mnt/data/f");
    site.shell("touch go");
    until("its end", || !reader.runs());
    let (status, text) = reader.end();
    assert!(status != 0 && text.contains("Stale file handle"), "{text}");
    // Exported again, the mount is good again: it is the same file system.
    site.does("lpar01", "exportfs -i -o rw=nim1 /data");
    site.shell("ls mnt/data");
    // Not so when it was made anew.
    site.does("lpar01", "umount /data");
    stale("ls mnt/data");
    site.does("lpar01", "rmfs /data");
    site.does("lpar01", "crfs -v jfs2 -g rootvg -m /data -a size=512M");
    site.does("lpar01", "mount /data");
    stale("ls mnt/data");
    site.does("nim1", "umount /mnt/data");
    site.mount("/data", "/mnt/data", "");
    site.shell("[ -z \"$(ls mnt/data)\" ]");
}

#[test]
fn a_mount_that_is_not_allowed_is_refused() {
    let Some(site) = Site::up() else { return };
    site.does("lpar01", "exportfs -i -o access=lpar01 /data");
    site.does("nim1", "mkdir -p /mnt/data");
    let (status, text) = site.exec("nim1", "mount lpar01:/data /mnt/data");
    assert!(status != 0 && text.contains("1831-011 access denied for lpar01:/data"), "{text}");
    assert_eq!((site.mounts(), site.daemons()), (String::new(), 0));
    // Nor is one that is allowed no longer.
    site.does("lpar01", "exportfs -i -o rw=nim1 /data");
    site.mount("/data", "/mnt/data", "");
    site.does("lpar01", "exportfs -u /data");
    site.does("lpar01", "exportfs -i -o access=lpar01 /data");
    let (status, text) = site.sh("ls mnt/data");
    assert!(status != 0 && text.contains("Permission denied"), "{text}");
}

#[test]
fn room_and_writing_have_their_bounds() {
    let Some(site) = Site::up() else { return };
    site.export_and_mount("/small", "/mnt/small", "");
    let (status, text) = site.sh("dd if=/dev/urandom of=mnt/small/big bs=64k count=64");
    assert!(status != 0 && text.contains("No space left on device"), "{text}");
    site.does("lpar01", "chfs -a size=256M /small");
    site.shell("dd if=/dev/zero of=mnt/small/more bs=64k count=24 && rm mnt/small/*");
    site.fault(&["disk-full", "--host", "lpar01", "--command", "nfs write"]);
    let (status, text) = site.sh("echo x >mnt/small/f");
    assert!(status != 0 && text.contains("No space left on device"), "{text}");
    site.shell("echo x >mnt/small/f");
    // Exported for reading, from now on.
    site.does("lpar01", "exportfs -u /small");
    site.does("lpar01", "exportfs -i -o ro /small");
    let read_only = || {
        let (status, text) = site.sh("cat mnt/small/f && echo y >mnt/small/f");
        assert!(status != 0 && text.starts_with("x\n"), "{text}");
        assert!(text.contains("Read-only file system"), "{text}");
    };
    read_only();
    site.does("nim1", "umount /mnt/small");
    site.mount("/small", "/mnt/small", "");
    assert!(site.mounts().contains(" ro,"), "{}", site.mounts());
    read_only();
}

#[test]
fn a_mount_that_is_used_is_busy() {
    let Some(site) = Site::up() else { return };
    site.export_and_mount("/data", "/mnt/data", "");
    let before = site.does("nim1", "mount");
    for use_it in ["cd mnt/data", "exec 3>mnt/data/f"] {
        let mut user = site.begin(&format!("{use_it} && echo in && exec sleep 600"));
        until("a user", || user.said() == "in\n" && user.runs());
        let busy = "umount: 0506-349 Cannot unmount /mnt/data: The requested resource is busy.\n";
        assert_eq!(site.exec("nim1", "umount /mnt/data"), (1, busy.to_owned()));
        assert_eq!(site.does("nim1", "mount"), before);
        assert!(site.mounts().contains("lpar01:/data"));
        user.kill();
    }
    // What the emulation refuses, the kernel has again.
    site.fault(&["busy-unmount", "--host", "nim1"]);
    let (status, text) = site.exec("nim1", "umount /mnt/data");
    assert!(status != 0 && text.contains("0506-349"), "{text}");
    site.shell("echo still >mnt/data/f");
    assert_eq!(site.does("lpar01", "cat /data/f"), "still\n");
    site.does("nim1", "umount /mnt/data");
    assert_eq!((site.mounts(), site.daemons()), (String::new(), 0));
    site.shell("[ -z \"$(ls mnt/data)\" ]");
}

#[test]
fn a_forced_unmount_lets_go_who_waits() {
    let Some(site) = Site::up() else { return };
    site.export_and_mount("/data", "/mnt/data", "");
    site.cable("down");
    let mut waiting = site.begin("ls mnt/data");
    until("a mount that waits", || site.log().contains("still trying"));
    assert!(waiting.runs());
    // Killed it is, but it does not go.
    site.does("nim1", "umount -f /mnt/data");
    let (status, _) = waiting.end();
    assert_ne!(status, 0);
    assert_eq!((site.mounts(), site.daemons()), (String::new(), 0));
    site.cable("up");
    site.mount("/data", "/mnt/data", "");
    site.shell("ls mnt/data");
}

#[test]
fn mounts_follow_the_table() {
    let Some(mut site) = Site::up() else { return };
    site.does("lpar01", "mkdir /data/inner");
    site.export_and_mount("/data", "/mnt/data", "");
    site.export_and_mount("/small", "/mnt/data/inner", "");
    site.shell("echo outer >mnt/data/f && echo inner >mnt/data/inner/f");
    assert_eq!(site.does("lpar01", "cat /small/f"), "inner\n");
    assert_eq!(site.does("lpar01", "ls /data/inner"), "");
    let (status, text) = site.exec("nim1", "umount /mnt/data");
    assert!(status != 0 && text.contains("busy"), "{text}");
    // A mounter that is new finds what an old one has left.
    site.stop_mounter();
    site.start_mounter();
    until("both mounts", || site.mounts().lines().count() == 2 && site.daemons() == 2);
    assert_eq!(site.shell("cat mnt/data/f mnt/data/inner/f"), "outer\ninner\n");
    // A mount whose process is gone is made again.
    site.kill_daemons();
    until("both mounts", || site.sh("cat mnt/data/f mnt/data/inner/f").1 == "outer\ninner\n");
    site.does("nim1", "umount /mnt/data/inner");
    site.does("nim1", "umount /mnt/data");
    assert_eq!((site.mounts(), site.daemons()), (String::new(), 0));
}

#[test]
fn without_fuse_there_is_the_emulation() {
    let Some(mut site) = Site::up() else { return };
    site.stop_mounter();
    site.shell("mount -t tmpfs none /dev");
    site.start_mounter();
    site.does("lpar01", "exportfs -i -o rw=nim1 /data");
    site.shell("mkdir -p mnt/data");
    site.does("nim1", "mkdir -p /mnt/data");
    site.does("nim1", "mount lpar01:/data /mnt/data");
    site.does("nim1", "touch /mnt/data/f");
    site.does("nim1", "umount /mnt/data");
    assert_eq!(site.does("lpar01", "ls /data/f"), "/data/f\n");
    let log = site.log();
    assert_eq!(
        log.matches("seen by commands of the emulation alone: /dev/fuse").count(),
        1,
        "{log}"
    );
    assert_eq!((site.mounts(), site.daemons()), (String::new(), 0));
}

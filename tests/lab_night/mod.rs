//! A small estate, and the commands of a migration on it.

mod checks;
mod estates;
mod faults;
mod persistence;

use std::time::Duration;

use nimshift::base::{ClockRef, TokioClock};
use nimshift::lab::{EstateFile, Lab, PlainClient, PlainMaster};
use nimshift::transport::{Command, HostId, JobId, JobState, Output, Script, Transport};

pub(crate) const CLIENT: &str = "lpar7";
pub(crate) const MASTER: &str = "nim1";
pub(crate) const SOURCE: &str = "7200-05-03-2148";
pub(crate) const TARGET: &str = "7300-02-01-2346";

pub(crate) fn estate(clients: &[&str]) -> EstateFile {
    let master = PlainMaster::new(MASTER, TARGET, "spot73", "lpp73").with(&["cachevg"], &["pre"]);
    let clients: Vec<PlainClient> =
        clients.iter().map(|name| PlainClient::new(name, SOURCE, &["hdisk1"])).collect();
    EstateFile::from_clients(&master, &clients)
}

pub(crate) struct Night {
    pub(crate) lab: Lab,
    pub(crate) clock: ClockRef,
    count: std::cell::Cell<u32>,
}

/// Splits at blanks; `'…'` holds words together.
pub(crate) fn command(text: &str) -> Command {
    let mut stages = text.split(" | ").map(|stage| {
        let mut words = Vec::new();
        for (index, part) in stage.split('\'').enumerate() {
            if index % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    });
    let command = Command::new(stages.next().unwrap());
    match stages.next() {
        Some(second) => command.piped_to(second),
        None => command,
    }
}

const SPOT: &str = "/ALT_MIG_SPOT/sbin/alt_disk_copy";
const RSH: &str = "/usr/lpp/bos.sysmgt/nim/methods/c_rsh";
pub(crate) const FS: [&str; 6] = ["", "/usr", "/var", "/tmp", "/home", "/opt"];

impl Night {
    pub(crate) fn new() -> Night {
        Night::of(&estate(&[CLIENT]))
    }

    pub(crate) fn of(estate: &EstateFile) -> Night {
        let clock: ClockRef = std::sync::Arc::new(TokioClock::starting_at(1_780_000_000_000));
        let lab = Lab::in_memory(estate, clock.clone()).unwrap();
        Night { lab, clock, count: std::cell::Cell::new(0) }
    }

    pub(crate) async fn wait(&self, seconds: u64) {
        self.clock.sleep(Duration::from_millis(seconds * 1000)).await;
    }

    pub(crate) fn say(&self, host: &str, argv: &[&str]) -> String {
        let words: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        self.lab.exec_words(host, &words).unwrap().stdout
    }

    pub(crate) fn job(&self) -> JobId {
        self.count.set(self.count.get() + 1);
        JobId::new(format!("t.m1.{}", self.count.get()))
    }

    /// Starts a job of one command.
    pub(crate) async fn begin(&self, host: &str, line: &str) -> JobId {
        let id = self.job();
        self.lab.start(&HostId::new(host), &id, &Script::new([command(line)])).await.unwrap();
        id
    }

    /// Runs a job to its end.
    pub(crate) async fn job_of(&self, host: &str, commands: Vec<Command>) -> JobState {
        let (host, id) = (HostId::new(host), self.job());
        self.lab.start(&host, &id, &Script::new(commands)).await.unwrap();
        let mut seen = 0;
        loop {
            match self.lab.poll(&host, &id, seen, Duration::from_secs(3600)).await {
                Ok(JobState::Running { output_bytes, .. }) => seen = output_bytes,
                Ok(state) => return state,
                Err(_) => self.wait(60).await,
            }
        }
    }

    /// Runs a job whose commands must all succeed, but for a reboot.
    pub(crate) async fn run(&self, host: &str, lines: &[&str]) -> Output {
        let state = self.job_of(host, lines.iter().map(|line| command(line)).collect()).await;
        match state {
            JobState::Done(output) => {
                let good = output.commands.len() == lines.len()
                    && output.commands.iter().all(nimshift::transport::CommandOutput::ok);
                assert!(good, "{lines:#?} gave {output:#?}");
                output
            }
            other => {
                assert!(lines.last().unwrap().starts_with("shutdown"), "{lines:?}: {other:?}");
                Output::default()
            }
        }
    }

    pub(crate) async fn lines(&self, host: &str, lines: Vec<String>) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        self.run(host, &lines).await;
    }

    /// Phases 1 to 3.
    pub(crate) async fn start_of(&self, cached: bool) {
        let j = if cached { "-j " } else { "" };
        let root = format!("/{CLIENT}_alt/alt_inst");
        self.run(CLIENT, &["mkdir -p /var/adm/nimshift", "ln -s s.m1 /var/adm/nimshift/lease"])
            .await;
        self.run(
            CLIENT,
            &[
                "mkdir -p /ALT_MIG_SPOT",
                "mount -o ro,soft,intr nim1:/export/nim/spot73/usr /ALT_MIG_SPOT",
            ],
        )
        .await;
        self.lines(CLIENT, vec![format!("{SPOT} {j}-M 7.3 -P1 -d hdisk1")]).await;
        if cached {
            let mut make = vec![];
            for fs in FS {
                make.push(format!("crfs -v jfs2 -g cachevg -m {root}{fs} -a size=4096M -A no"));
                make.push(format!("mkdir -p {root}{fs}"));
                make.push(format!("mount {root}{fs}"));
            }
            self.lines(MASTER, make).await;
            let fill = FS.map(|fs| {
                format!(
                    "{RSH} {CLIENT} 'tar -cUf - -C /alt_inst{fs} .' | tar -xpUf - -C {root}{fs}"
                )
            });
            self.lines(MASTER, fill.to_vec()).await;
        } else {
            let exports =
                FS.map(|fs| format!("exportfs -i -o rw=nim1,root=nim1,access=nim1 /alt_inst{fs}"));
            self.lines(CLIENT, exports.to_vec()).await;
            let mut mounts = vec![];
            for fs in FS {
                mounts.push(format!("mkdir -p {root}{fs}"));
                mounts.push(format!("mount {CLIENT}:/alt_inst{fs} {root}{fs}"));
            }
            self.lines(MASTER, mounts).await;
        }
    }

    /// Phases 4 to 8.
    pub(crate) async fn middle(&self, cached: bool) {
        let root = format!("/{CLIENT}_alt/alt_inst");
        let chroot = |line: &str| format!("chroot {root} {line}");
        self.lines(
            MASTER,
            vec![
                format!("mkdir -p {root}/var/adm/nimshift {root}/lpp/save.config"),
                format!("cp /export/nim/scripts/pre {root}/tmp/nimshift-script"),
                format!("chmod 700 {root}/tmp/nimshift-script"),
                chroot("/tmp/nimshift-script"),
                format!("rm -f {root}/tmp/nimshift-script"),
                format!("cp -hpR {root}/etc {root}/lpp/save.config/"),
            ],
        )
        .await;
        let grow = if cached {
            format!("chfs -a size=4500M {root}/usr")
        } else {
            format!("{RSH} {CLIENT} 'chfs -a size=4500M /alt_inst/usr'")
        };
        self.lines(MASTER, vec![grow]).await;
        let restore =
            command("restore -xqf /export/nim/lpp73/installp/ppc/bos").within(root.clone());
        assert!(
            matches!(self.job_of(MASTER, vec![restore]).await, JobState::Done(output) if output.commands[0].ok())
        );
        self.lines(
            MASTER,
            vec![
                chroot("/usr/lpp/bosinst/ODM_merge CuDv CuAt CuDep"),
                chroot("/usr/lpp/bosinst/merge_config /lpp/save.config"),
            ],
        )
        .await;
        assert_eq!(
            self.say(MASTER, &["chroot", &root, "/usr/bin/oslevel", "-s"]),
            format!("{SOURCE}\n")
        );
        self.lines(MASTER, vec![
            format!("installp -C -R {root}"),
            format!("installp -R {root} -acgNXY -d /export/nim/lpp73/installp/ppc all"),
            format!("geninstall -R {root} -I acgXY -d /export/nim/lpp73 R:all"),
            chroot("/usr/bin/lppchk -v"),
            chroot("/usr/sbin/bosboot -a -d hdisk1 -b /tmp/nimshift-boot"),
            format!("dd if={root}/tmp/nimshift-boot bs=4k | {RSH} {CLIENT} 'dd of=/dev/alt_hd5 bs=4k'"),
            format!("rm -f {root}/tmp/nimshift-boot"),
        ]).await;
        assert_eq!(
            self.say(CLIENT, &["/usr/lpp/bosinst/blvset", "-d", "/dev/alt_hd5", "-g", "level"]),
            "7.3\n"
        );
    }

    /// Phases 9 to 12.
    pub(crate) async fn end(&self, cached: bool) {
        let root = format!("/{CLIENT}_alt/alt_inst");
        let j = if cached { "-j " } else { "" };
        if cached {
            let grow = format!("{RSH} {CLIENT} 'chfs -a size=4500M /alt_inst/usr'");
            let back = FS.map(|fs| {
                format!(
                    "tar -cUf - -C {root}{fs} . | {RSH} {CLIENT} 'tar -xpUf - -C /alt_inst{fs}'"
                )
            });
            self.lines(MASTER, vec![grow]).await;
            self.lines(MASTER, back.to_vec()).await;
        }
        let mut down: Vec<String> =
            FS.iter().rev().map(|fs| format!("umount {root}{fs}")).collect();
        if cached {
            down.extend(FS.iter().rev().map(|fs| format!("rmfs -r {root}{fs}")));
            down.push(format!("rmdir /{CLIENT}_alt"));
        } else {
            down.extend([format!("rmdir {root}"), format!("rmdir /{CLIENT}_alt")]);
        }
        self.lines(MASTER, down).await;
        if !cached {
            self.lines(CLIENT, FS.map(|fs| format!("exportfs -u /alt_inst{fs}")).to_vec()).await;
        }
        self.lines(
            CLIENT,
            vec![
                "rm -rf /alt_inst/var/adm/nimshift".to_owned(),
                format!("{SPOT} {j}-M 7.3 -P3 -B -d hdisk1"),
                "bootlist -m normal hdisk1".to_owned(),
            ],
        )
        .await;
        self.clean_client().await;
    }

    async fn clean_client(&self) {
        self.run(
            CLIENT,
            &[
                "umount /ALT_MIG_SPOT",
                "rmdir /ALT_MIG_SPOT",
                "rm -f /var/adm/nimshift/lease",
                "rmdir /var/adm/nimshift",
            ],
        )
        .await;
    }

    pub(crate) async fn whole(&self, cached: bool) {
        self.start_of(cached).await;
        self.middle(cached).await;
        self.end(cached).await;
        self.run(CLIENT, &["shutdown -Fr"]).await;
        self.wait(400).await;
    }

    /// Takes phases 1 to 3 back.
    pub(crate) async fn undo(&self) {
        let root = format!("/{CLIENT}_alt/alt_inst");
        let mut down: Vec<String> =
            FS.iter().rev().map(|fs| format!("umount {root}{fs}")).collect();
        down.extend([format!("rmdir {root}"), format!("rmdir /{CLIENT}_alt")]);
        self.lines(MASTER, down).await;
        self.lines(CLIENT, FS.map(|fs| format!("exportfs -u /alt_inst{fs}")).to_vec()).await;
        self.run(CLIENT, &["alt_rootvg_op -X altinst_rootvg", "bootlist -m normal hdisk0"]).await;
        self.clean_client().await;
    }
}

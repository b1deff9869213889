//! Every fault by name, and what it does.

use std::time::Duration;

use nimshift::lab::{FaultKind, FaultSpec};
use nimshift::transport::{
    CommandOutput, HostId, JobId, JobState, Output, Script, Transport, TransportError,
};

use super::{CLIENT, MASTER, Night, command};

const CLONE: &str = "alt_disk_copy -P1 -d hdisk1";

fn with(kind: FaultKind, text: &str) -> Night {
    let night = Night::new();
    night.lab.add_fault(FaultSpec::once(kind, CLIENT).on(text)).unwrap();
    night
}

fn done(state: JobState) -> CommandOutput {
    match state {
        JobState::Done(Output { mut commands }) => commands.pop().unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn exec(night: &Night, line: &str) -> Result<Output, TransportError> {
    let script = Script::new([command(line)]);
    night.lab.exec(&HostId::new(CLIENT), &script, Duration::from_secs(60)).await
}

fn copies(night: &Night) -> usize {
    night.say(CLIENT, &["lspv"]).matches("altinst_rootvg").count()
}

#[tokio::test(start_paused = true)]
async fn unreachable_is_refused_before_anything_is_done() {
    let night = with(FaultKind::Unreachable, "touch");
    assert!(matches!(exec(&night, "touch /tmp/x").await, Err(TransportError::Unreachable { .. })));
    assert_eq!(night.say(CLIENT, &["ls", "/tmp/x"]), "");
    assert!(exec(&night, "touch /tmp/x").await.is_ok());
    assert_eq!(night.lab.faults().unwrap()[0].hits, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_leaves_the_effect() {
    let night = with(FaultKind::LostReply, "touch");
    assert!(matches!(exec(&night, "touch /tmp/x").await, Err(TransportError::Lost { .. })));
    assert_eq!(night.say(CLIENT, &["ls", "/tmp/x"]), "/tmp/x\n");
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_reply_is_lost_has_begun_once() {
    let night = with(FaultKind::LostReply, "alt_disk_copy");
    let (host, id) = (HostId::new(CLIENT), night.job());
    let script = Script::new([command(CLONE)]);
    assert!(night.lab.start(&host, &id, &script).await.is_err());
    assert!(matches!(night.lab.start(&host, &id, &script).await, Ok(JobState::Running { .. })));
    night.wait(3600).await;
    assert!(matches!(night.lab.start(&host, &id, &script).await, Ok(JobState::Done(_))));
    let starts =
        night.lab.log().unwrap().into_iter().filter(|e| e.stage == nimshift::lab::Stage::Started);
    assert_eq!(starts.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn slow_takes_ten_times_as_long() {
    let mut times = Vec::new();
    for night in [Night::new(), with(FaultKind::Slow, "alt_disk_copy")] {
        let before = night.clock.now_ms();
        assert!(done(night.job_of(CLIENT, vec![command(CLONE)]).await).ok());
        times.push(night.clock.now_ms() - before);
    }
    assert!(times[1] > times[0] * 9, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn stalled_never_ends_until_it_is_killed() {
    let night = with(FaultKind::Stalled, "alt_disk_copy");
    let id = night.begin(CLIENT, CLONE).await;
    night.wait(86_400).await;
    let host = HostId::new(CLIENT);
    let state = night.lab.poll(&host, &id, 0, Duration::from_secs(1)).await.unwrap();
    assert!(matches!(state, JobState::Running { output_bytes: 0, .. }), "{state:?}");
    assert_eq!(night.lab.kill(&host, &id).await.unwrap(), JobState::Lost);
    assert_eq!(copies(&night), 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_ended_before_it_begins_never_begins() {
    let night = Night::new();
    let (host, id) = (HostId::new(CLIENT), JobId::new("s1.m1.01-clone-rootvg.f0.1"));
    let script = Script::new([command(CLONE)]);
    assert_eq!(night.lab.kill(&host, &id).await, Ok(JobState::NotBegun));
    assert_eq!(night.lab.start(&host, &id, &script).await, Ok(JobState::NotBegun));
    night.lab.boot_host(CLIENT, None).unwrap();
    night.wait(3_600).await;
    assert_eq!(night.lab.start(&host, &id, &script).await, Ok(JobState::NotBegun));
    assert_eq!(copies(&night), 0);
}

#[tokio::test(start_paused = true)]
async fn partial_leaves_half_and_fails() {
    let night = with(FaultKind::Partial, "alt_disk_copy");
    assert!(!done(night.job_of(CLIENT, vec![command(CLONE)]).await).ok());
    let mounted = night.say(CLIENT, &["mount"]).matches("/alt_inst").count();
    assert!((1..6).contains(&mounted), "{mounted}");
    night.run(CLIENT, &["alt_rootvg_op -X altinst_rootvg", CLONE]).await;
    assert_eq!(night.say(CLIENT, &["mount"]).matches(" /alt_inst").count(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_reboot_takes_job_mounts_and_temporary_exports_away() {
    let night = with(FaultKind::Reboot, "sleepless");
    night.run(CLIENT, &[CLONE, "exportfs -i -o rw=nim1 /alt_inst"]).await;
    night.run(MASTER, &["mkdir /r", "mount lpar7:/alt_inst /r"]).await;
    night.lab.add_fault(FaultSpec::once(FaultKind::Reboot, CLIENT).on("-P3")).unwrap();
    assert_eq!(
        night.job_of(CLIENT, vec![command("alt_disk_copy -P3 -d hdisk1")]).await,
        JobState::Lost
    );
    assert_eq!(night.say(CLIENT, &["mount"]).matches("alt_inst").count(), 0);
    assert_eq!(night.say(CLIENT, &["exportfs"]), "");
    assert_eq!(copies(&night), 1);
    let words = ["ls", "/r/etc"].map(str::to_owned);
    let listed = night.lab.exec_words(MASTER, &words).unwrap();
    assert!(listed.status != 0 && listed.stderr.contains("stale"), "{listed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_cut_network_comes_back_and_jobs_go_on() {
    let night = with(FaultKind::NetworkCut, "alt_disk_copy");
    let id = night.begin(CLIENT, CLONE).await;
    let host = HostId::new(CLIENT);
    let gone = night.lab.poll(&host, &id, 0, Duration::from_secs(1)).await;
    assert!(matches!(gone, Err(TransportError::Unreachable { .. })));
    let words = ["c_rsh", CLIENT, "hostname"].map(str::to_owned);
    assert!(night.lab.exec_words(MASTER, &words).unwrap().stderr.starts_with("0042-006"));
    night.wait(7200).await;
    assert!(matches!(night.lab.poll(&host, &id, 0, Duration::ZERO).await, Ok(JobState::Done(_))));
}

#[tokio::test(start_paused = true)]
async fn faults_of_one_command_say_what_aix_says() {
    let cases: [(FaultKind, &str, i32, &str); 6] = [
        (FaultKind::DiskFull, "chfs -a size=+128M /home", 1, "0516-404"),
        (FaultKind::ExitStatus, "chfs -a size=+128M /home", 1, ""),
        (FaultKind::MessageWithSuccess, "touch /tmp/x", 0, "0042-175"),
        (FaultKind::BusyUnmount, "umount /home", 1, "0506-349"),
        (FaultKind::StaleHandle, "ls /tmp", 1, "stale"),
        (FaultKind::Partial, "touch /tmp/x", 1, "killed"),
    ];
    for (kind, line, status, message) in cases {
        let night = with(kind, line.split(' ').next().unwrap());
        let output = done(night.job_of(CLIENT, vec![command(line)]).await);
        assert_eq!(output.status, status, "{kind:?} {output:?}");
        assert!(output.stderr.contains(message), "{kind:?} {output:?}");
        let again = done(night.job_of(CLIENT, vec![command(line)]).await);
        assert_eq!(again.status, 0, "{kind:?} {again:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn exit_status_makes_the_effect_and_message_with_success_does_not() {
    let night = with(FaultKind::ExitStatus, "touch");
    assert_eq!(exec(&night, "touch /tmp/x").await.unwrap().commands[0].status, 1);
    assert_eq!(night.say(CLIENT, &["ls", "/tmp/x"]), "/tmp/x\n");
    let night = with(FaultKind::MessageWithSuccess, "touch");
    assert_eq!(exec(&night, "touch /tmp/x").await.unwrap().commands[0].status, 0);
    assert_eq!(night.say(CLIENT, &["ls", "/tmp/x"]), "");
}

#[tokio::test(start_paused = true)]
async fn a_locked_nim_object_shows_and_refuses() {
    let night = Night::new();
    let mut spec = FaultSpec::once(FaultKind::NimLocked, CLIENT);
    spec.times = Some(2);
    night.lab.add_fault(spec).unwrap();
    assert!(night.say(MASTER, &["lsnim", "-l", CLIENT]).contains("locked"));
    let words = ["nim", "-o", "change", "-a", "comments=x", CLIENT].map(str::to_owned);
    let refused = night.lab.exec_words(MASTER, &words).unwrap();
    assert!(refused.status != 0 && refused.stderr.contains("locked"), "{refused:?}");
    assert_eq!(night.lab.exec_words(MASTER, &words).unwrap().status, 0);
    assert!(!night.say(MASTER, &["lsnim", "-l", CLIENT]).contains("locked"));
}

#[tokio::test(start_paused = true)]
async fn a_copy_without_a_boot_image_does_not_come_up() {
    let night = Night::new();
    night.run(CLIENT, &[CLONE, "alt_disk_copy -P3 -d hdisk1"]).await;
    assert_eq!(night.say(CLIENT, &["alt_rootvg_op", "-q", "-d", "hdisk1"]), "hdisk1\n");
    // A clone of 7.2 with its own boot image boots; one whose image is spoilt
    // does not.
    let spoilt = Night::new();
    spoilt.lab.add_fault(FaultSpec::once(FaultKind::Partial, CLIENT).on("dd of=")).unwrap();
    spoilt.run(CLIENT, &[CLONE]).await;
    assert!(!done(spoilt.job_of(CLIENT, vec![command("dd of=/dev/alt_hd5 bs=4k")]).await).ok());
    // Firmware could boot from the disk, and it has a boot record: of the image they say nothing.
    assert_eq!(spoilt.say(CLIENT, &["bootinfo", "-B", "hdisk1"]), "1\n");
    let records = spoilt.say(CLIENT, &["ipl_varyon", "-i"]);
    assert!(records.contains("\nhdisk1          YES  "), "{records}");
    assert_eq!(spoilt.say(CLIENT, &["blvset", "-d", "/dev/alt_hd5", "-g", "level"]), "0.0\n");
    spoilt.run(CLIENT, &["alt_disk_copy -P3 -d hdisk1"]).await;
    for (night, comes_up) in [(&night, true), (&spoilt, false)] {
        night.begin(CLIENT, "shutdown -Fr").await;
        night.wait(600).await;
        assert_eq!(exec(night, "hostname").await.is_ok(), comes_up);
    }
    spoilt.lab.boot_host(CLIENT, Some("hdisk0")).unwrap();
    spoilt.wait(600).await;
    assert!(exec(&spoilt, "hostname").await.is_ok());
}

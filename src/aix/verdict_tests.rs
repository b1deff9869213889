//! Lines and outputs with what they must mean.

use proptest::prelude::*;

use super::verdict::{classify, message_ids};
use crate::domain::{FailureClass, MessageRule};
use FailureClass::{AlreadyDone, Permanent, Transient};

#[test]
fn ids_are_found_in_both_orders() {
    assert_eq!(message_ids("0516-404 allocp: Not enough"), ["0516-404"]);
    assert_eq!(message_ids("alt_disk_copy: 0505-218 ATTENTION"), ["0505-218"]);
    assert_eq!(message_ids("0516-1201 lsvg: locked"), ["0516-1201"]);
    assert_eq!(message_ids("RPC: 1832-018 and 1831-010"), ["1832-018", "1831-010"]);
    for none in ["7300-02-01-2346", "10516-404", "0516-40", "0516-40456", "a0516-404", ""] {
        assert_eq!(message_ids(none), Vec::<&str>::new(), "{none}");
    }
}

#[test]
fn words_and_status_decide_together() {
    type Row = (&'static str, i32, Option<(FailureClass, &'static str)>);
    let table: [Row; 23] = [
        (
            "0505-126 alt_disk_install- target disk hdisk1 has a volume group assigned to it",
            1,
            Some((Permanent, "0505-126")),
        ),
        (
            "alt_disk_copy: 0505-218 ATTENTION: init_multibos() returned an unexpected result.\n0505-187 nimadm: Error cloning altinst_rootvg on client.",
            1,
            Some((Permanent, "0505-218")),
        ),
        (
            "0505-187 nimadm: Error cloning altinst_rootvg on client.",
            1,
            Some((Permanent, "0505-187")),
        ),
        (
            "0516-404 allocp: Not enough resources available to fulfill allocation.\n0516-788 extendlv: Unable to extend logical volume.",
            1,
            Some((Permanent, "0516-404")),
        ),
        (
            "0503-008 installp: There is not enough free disk space in file system /usr",
            0,
            Some((Permanent, "0503-008")),
        ),
        (
            "0503-434 installp: incomplete installation operations",
            255,
            Some((Transient, "0503-434")),
        ),
        ("umount: 0506-347 Cannot find anything to unmount.", 1, Some((AlreadyDone, "0506-347"))),
        (
            "umount: 0506-349 Cannot unmount /dev/alt_hd4: The requested resource is busy.",
            1,
            Some((Transient, "0506-349")),
        ),
        (
            "mount: 0506-324 Cannot mount a on b: The requested resource is busy.",
            1,
            Some((AlreadyDone, "0506-324")),
        ),
        ("0516-010 : Volume group must be varied on; use varyonvg command.", 1, None),
        (
            "0042-001 nim: processing error encountered on \"master\":\n   0042-006 c_rsh: (From_Master) connect Connection timed out",
            1,
            Some((Transient, "0042-006")),
        ),
        (
            "0042-001 nim: processing error encountered on \"lpar7\":\n0042-175 c_mount: An unexpected result was returned by the \"mount\" command:\nmount: 1831-011 access denied for nim1:/export/spot",
            175,
            Some((Permanent, "1831-011")),
        ),
        ("0042-175 c_ch_nfsexp: An unexpected result", 175, Some((Permanent, "0042-175"))),
        (
            "0042-175 sm_inst: Input device or directory does not exist",
            175,
            Some((Transient, "0042-175")),
        ),
        ("0042-053 lsnim: there is no NIM object named \"x\"", 53, Some((Permanent, "0042-053"))),
        (
            "0301-150 bosboot: Invalid or no boot device specified!\n0301-165 bosboot: WARNING! bosboot failed",
            1,
            Some((Permanent, "0301-150")),
        ),
        (
            "0301-165 bosboot: WARNING! bosboot failed - do not attempt to boot device.",
            1,
            Some((Permanent, "0301-165")),
        ),
        ("0514-508 savebase: Cannot save", 1, Some((Permanent, "0514-508"))),
        (
            "mount: 1831-010 server nim1 not responding: RPC: 1832-018",
            1,
            Some((Transient, "1831-010")),
        ),
        ("0513-029 The nfsd Subsystem is already active.", 1, Some((AlreadyDone, "0513-029"))),
        ("umount: 0506-349 Cannot unmount /x: The requested resource is busy.", 0, None),
        // What is printed first was met first.
        (
            "0516-404 allocp: Not enough\n0503-008 installp: not enough",
            1,
            Some((Permanent, "0516-404")),
        ),
        ("something else", 3, None),
    ];
    for (text, status, wanted) in table {
        let verdict = classify(&[], text, status);
        let shown = verdict.as_ref().map(|v| (v.class, v.message.as_deref().unwrap_or("")));
        assert_eq!(shown, wanted, "{text}");
    }
}

#[test]
fn words_decide_where_there_is_no_id() {
    let verdict = classify(&[], "exportfs: nim1: unknown host", 1).unwrap();
    assert_eq!((verdict.class, verdict.message), (Permanent, None));
    assert!(verdict.hint.unwrap().contains("/etc/hosts"));
    let verdict = classify(&[], "tar: Stale NFS file handle", 2).unwrap();
    assert_eq!(verdict.class, Transient);
}

/// An id that stands before different texts: the text decides.
#[test]
fn of_an_id_with_several_texts_the_text_decides() {
    let table = [
        ("mount: 0506-324 Cannot mount a on b: The requested resource is busy.", AlreadyDone),
        (
            "mount: 0506-324 Cannot mount a on b: The media is not formatted or the format is not correct.",
            Permanent,
        ),
        (
            "mount: 0506-324 Cannot mount on b: A file or directory in the path name does not exist.",
            Permanent,
        ),
        ("mount: 0506-324 Cannot mount a on b: something new", Permanent),
        ("umount: 0506-349 Cannot unmount a: There is an input or output error.", Permanent),
        ("0042-006 c_rsh: (From_Master) rcmd Permission is denied", Permanent),
        ("0042-006 c_rsh: (exec_nimsh_cmd) recv Connection reset by peer", Transient),
        (
            "mount: 1831-010 server nim1 not responding: RPC: 1832-010 Authentication error",
            Permanent,
        ),
    ];
    for (line, class) in table {
        let verdict = classify(&[], line, 1).unwrap();
        assert_eq!(verdict.class, class, "{line}");
        assert!(verdict.hint.is_some(), "{line}");
    }
    let dirty = "Replaying log for /dev/fslv00.\nmount: 0506-324 Cannot mount /dev/fslv00 on /u2: The media is not formatted or the format is not correct.\n0506-342 The superblock on /dev/fslv00 is dirty.  Run a full fsck to fix.";
    assert!(classify(&[], dirty, 1).unwrap().hint.unwrap().contains("fsck -y"));
}

/// The section of filesets that were there before is in most logs.
#[test]
fn a_fileset_that_failed_is_a_failure_beside_others_that_were_there() {
    let there = "WARNINGS\n--------\n  Already Installed\n  -----------------\n  The following filesets which were selected are either already installed\n  or effectively installed through superseding updates.\n    bos.rte 7.3.2.1\n";
    assert_eq!(classify(&[], there, 1), None);
    let row = "bos.rte.install             7.3.2.1         USR         APPLY       FAILED     ";
    let failed = classify(&[], &format!("{there}{row}\n"), 1).unwrap();
    assert_eq!((failed.class, failed.text.contains("bos.rte.install")), (Permanent, true));
    let why = "0503-465 installp: The build date requisite check failed for fileset bos.rte.";
    let known = classify(&[], &format!("{there}{why}\n{row}\n"), 1).unwrap();
    assert_eq!(known.message.as_deref(), Some("0503-465"));
    let done = format!("{there}installp: Nothing to commit.\n");
    // What `installp -C` says where nothing is to be cleaned up.
    let clean = "installp: No filesets were found in the Software Vital Product\n\tDatabase that could be cleaned up.";
    assert_eq!(classify(&[], clean, 0), None);
    assert_eq!(classify(&[], &done, 1).unwrap().class, AlreadyDone);
}

#[test]
fn a_rule_of_the_plan_goes_before_the_catalogue() {
    let rule = |id: Option<&str>, pattern: Option<&str>, class| MessageRule {
        id: id.map(str::to_owned),
        pattern: pattern.map(str::to_owned),
        class,
        hint: Some("ask the storage team".to_owned()),
    };
    let rules = [
        rule(Some("0516-404"), Some("Hdisk7"), Permanent),
        rule(Some("0516-404"), None, Transient),
        rule(None, Some("quota exceeded"), Transient),
    ];
    let told = |text: &str, status| {
        let verdict = classify(&rules, text, status)?;
        Some((verdict.class, verdict.message))
    };
    let id = Some("0516-404".to_owned());
    assert_eq!(told("0516-404 allocp: no", 1), Some((Transient, id.clone())));
    assert_eq!(told("0516-404 allocp: no on hdisk7", 1), Some((Permanent, id)));
    assert_eq!(told("tar: Quota Exceeded", 1), Some((Transient, None)));
    assert_eq!(told("0506-349 The requested resource is busy.", 1).unwrap().0, Transient);
    assert_eq!(told("quota exceeded", 0), None);
    let hint = classify(&rules, "quota exceeded", 1).unwrap().hint;
    assert_eq!(hint.as_deref(), Some("ask the storage team"));
}

proptest! {
    #[test]
    fn no_input_panics(text in ".{0,200}(\n.{0,80}){0,4}", tail in any::<Vec<u8>>(), status in any::<i32>()) {
        let _ = classify(&[], &text, status);
        let _ = classify(&[], &String::from_utf8_lossy(&tail), status);
    }
}

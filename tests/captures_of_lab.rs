//! What the lab prints, read as captures, is the lab's own state.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use nimshift::aix::parse::parse;
use nimshift::base::{ClockRef, TokioClock};
use nimshift::lab::{EstateFile, HostShow, Lab, PlainClient, PlainMaster};
use serde_json::{Value, json};

fn lab() -> Lab {
    let master =
        PlainMaster::new("nim1", "7300-02-01-2346", "spot", "lpp").with(&["cachevg"], &["pre"]);
    let client = PlainClient::new("lpar1", "7200-05-03-2148", &["hdisk1"]);
    let clock: ClockRef = std::sync::Arc::new(TokioClock::starting_at(1_780_000_000_000));
    Lab::in_memory(&EstateFile::from_clients(&master, &[client]), clock).unwrap()
}

/// Both streams, as a capture has them.
fn said(lab: &Lab, host: &str, line: &str) -> String {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let output = lab.exec_words(host, &words).unwrap();
    format!("{}{}", output.stderr, output.stdout)
}

fn read(lab: &Lab, host: &str, kind: &str, line: &str) -> Value {
    let text = said(lab, host, line);
    parse(kind, text.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}\n{text}")).value
}

fn column(rows: &Value, key: &str) -> Vec<Value> {
    rows.as_array().unwrap().iter().map(|row| row[key].clone()).collect()
}

fn shown(lab: &Lab, host: &str) -> HostShow {
    lab.show().unwrap().into_iter().find(|shown| shown.name == host).unwrap()
}

#[tokio::test]
async fn disks_and_groups_are_those_of_the_lab() {
    let lab = lab();
    for host in ["nim1", "lpar1"] {
        let shown = shown(&lab, host);
        let lspv = read(&lab, host, "lspv", "lspv");
        let disks: Vec<(Value, Value)> =
            lspv.as_array().unwrap().iter().map(|d| (d["disk"].clone(), d["vg"].clone())).collect();
        let wanted: Vec<(Value, Value)> =
            shown.disks.iter().map(|(disk, _, vg)| (json!(disk), json!(vg))).collect();
        assert_eq!(disks, wanted);
        for group in shown.vgs.iter().filter(|group| group.on) {
            let name = &group.name;
            let vg = &read(&lab, host, "lsvg", &format!("lsvg {name}"))[0];
            let mb = |key: &str| vg[key].as_u64().unwrap() * vg["pp_size_mb"].as_u64().unwrap();
            assert_eq!(vg["vg"], json!(name));
            assert_eq!((mb("total_pps"), mb("free_pps")), (group.total_mb, group.free_mb));
            let members = read(&lab, host, "lsvg-p", &format!("lsvg -p {name}"));
            let wanted: Vec<Value> = shown
                .disks
                .iter()
                .filter(|(_, _, vg)| vg.as_ref() == Some(name))
                .map(|(disk, ..)| json!(disk))
                .collect();
            assert_eq!(column(&members, "disk"), wanted);
            let total = |rows: &Value, key| {
                column(rows, key).iter().map(|pps| pps.as_u64().unwrap()).sum::<u64>()
            };
            let volumes = read(&lab, host, "lsvg-l", &format!("lsvg -l {name}"));
            assert_eq!(total(&volumes, "pps"), vg["used_pps"].as_u64().unwrap());
            let map = read(&lab, host, "lsvg-M", &format!("lsvg -M {name}"));
            let used = column(&map, "lv").iter().filter(|lv| !lv.is_null()).count() as u64;
            assert_eq!(used, vg["used_pps"].as_u64().unwrap());
            let disk =
                read(&lab, host, "lspv-disk", &format!("lspv {}", wanted[0].as_str().unwrap()));
            assert_eq!(disk[0]["vg"], json!(name));
        }
        let told = read(&lab, host, "prtconf", "prtconf");
        assert_eq!(told["network"]["Host Name"], json!(host));
        let in_use: Vec<Value> = shown
            .disks
            .iter()
            .filter(|(_, _, vg)| vg.is_some())
            .map(|(disk, ..)| json!(disk))
            .collect();
        let mut members = column(&told["volume_groups"], "disk");
        members.sort_by_key(ToString::to_string);
        assert_eq!(members, in_use);
        assert_eq!(read(&lab, host, "oslevel", "oslevel -s")["level"], json!(shown.level));
        let bootlist = read(&lab, host, "bootlist", "bootlist -m normal -o");
        assert_eq!(bootlist["devices"], json!(shown.bootlist));
    }
}

#[tokio::test]
async fn file_systems_mounts_and_exports_are_those_of_the_lab() {
    let lab = lab();
    said(&lab, "lpar1", "exportfs -i -o rw,root=nim1,access=nim1 /home");
    said(&lab, "nim1", "mkdir -p /mnt/x");
    said(&lab, "nim1", "mount -o soft,intr lpar1:/home /mnt/x");
    let (master, client) = (shown(&lab, "nim1"), shown(&lab, "lpar1"));
    assert_eq!(
        (master.mounts.as_slice(), client.exports.as_slice()),
        (["lpar1:/home on /mnt/x".to_owned()].as_slice(), ["/home".to_owned()].as_slice())
    );
    let exports = read(&lab, "lpar1", "exportfs", "exportfs");
    assert_eq!(column(&exports, "path"), [json!("/home")]);
    assert_eq!(exports[0]["access"], json!(["nim1"]));
    let offered = read(&lab, "nim1", "showmount", "showmount -e lpar1");
    assert_eq!(column(&offered, "path"), [json!("/home")]);
    let mounts = read(&lab, "nim1", "mount", "mount");
    let nfs = mounts.as_array().unwrap().iter().find(|row| !row["node"].is_null()).unwrap();
    assert_eq!((&nfs["node"], &nfs["mount_point"]), (&json!("lpar1"), &json!("/mnt/x")));
    // Every logical volume with a mount point is mounted, listed and measured.
    let volumes = read(&lab, "lpar1", "lsvg-l", "lsvg -l rootvg");
    let points: Vec<Value> =
        column(&volumes, "mount_point").into_iter().filter(|point| !point.is_null()).collect();
    assert!(points.len() >= 5);
    let listed = column(&read(&lab, "lpar1", "lsfs-c", "lsfs -c"), "mount_point");
    let mounted = column(&read(&lab, "lpar1", "mount", "mount"), "mount_point");
    for (kind, line) in [("df-k", "df -k"), ("df-m", "df -m")] {
        let usage = read(&lab, "lpar1", kind, line);
        for row in usage.as_array().unwrap() {
            assert!(row["free"].as_f64() <= row["total"].as_f64(), "{row}");
        }
        for point in &points {
            assert!(column(&usage, "mount_point").contains(point), "{kind} {point}");
            assert!(listed.contains(point) && mounted.contains(point), "{point}");
        }
    }
}

#[tokio::test]
async fn software_and_nim_objects_are_those_of_the_lab() {
    let lab = lab();
    let big = read(&lab, "lpar1", "lslpp-Lc", "lslpp -Lc");
    let bos = big.as_array().unwrap().iter().find(|row| row["fileset"] == "bos.rte").unwrap();
    assert_eq!(bos["level"], "7.2.5.3");
    let small = read(&lab, "lpar1", "lslpp-lc", "lslpp -lc");
    let filesets = column(&small, "fileset");
    let missing: Vec<Value> = big
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["type"] == "F")
        .map(|row| row["fileset"].clone())
        .filter(|name| !filesets.contains(name))
        .collect();
    assert_eq!(missing, Vec::<Value>::new());
    let levels = read(&lab, "lpar1", "instfix", "instfix -i");
    assert_eq!(levels[0]["keyword"], "7200-05_AIX_ML");
    assert_eq!(read(&lab, "lpar1", "emgr", "emgr -l"), json!([]));
    let client = &read(&lab, "nim1", "lsnim-l", "lsnim -l lpar1")[0];
    assert_eq!(
        (&client["type"], &client["attributes"]["class"]),
        (&json!("standalone"), &json!("machines"))
    );
    assert_eq!(client["attributes"]["Cstate"], "ready for a NIM operation");
    let spots = read(&lab, "nim1", "lsnim-t", "lsnim -t spot");
    assert_eq!(column(&spots, "name"), [json!("spot")]);
    let broken = parse("lsnim-l", said(&lab, "nim1", "lsnim -l nobody").as_bytes());
    assert!(broken.unwrap_err().to_string().contains("0042-053"));
}

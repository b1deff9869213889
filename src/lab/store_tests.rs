//! A process that ends in the middle of a change.

use super::*;
use crate::lab::estate::{EstateFile, PlainClient, PlainMaster};
use crate::lab::tree::Node;

fn world() -> World {
    let master = PlainMaster::new("nim1", "7300-02-01-2346", "spot", "lpp");
    let client = PlainClient::new("lpar1", "7200-05-03-2148", &["hdisk1"]);
    crate::lab::build::world(&EstateFile::from_clients(&master, &[client]), 1_780_000_000_000)
        .unwrap()
}

/// The world with a file more, a file less, a directory where a file was, and
/// another bootlist.
fn changed(before: &World) -> World {
    let mut after = before.clone();
    let host = after.at_mut("lpar1");
    host.bootlist = vec!["hdisk1".to_owned()];
    let root = host.vgs.get_mut("rootvg").unwrap().lvs.get_mut("hd4").unwrap().tree_mut();
    root.put("etc/new", Node::file("x\n"));
    root.remove("etc/motd");
    root.remove("etc/hosts");
    root.put("etc/hosts/inside", Node::file("y\n"));
    after
}

fn entry(line: &str) -> LogEntry {
    LogEntry::new(5, "lpar1", None, line, crate::lab::log::Stage::Ended, Some(0))
}

fn image(dir: &Path) -> serde_json::Value {
    crate::lab::image::image(&DirStore::open(dir).unwrap().1)
}

#[test]
fn a_change_that_was_only_announced_is_made_by_the_next_who_opens() {
    let dir = tempfile::tempdir().unwrap();
    let before = world();
    let after = changed(&before);
    let mut store = DirStore::create(dir.path(), &before, new_clock(1)).unwrap();
    store.commit(&before, &before, vec![entry("first")]).unwrap();
    let text = "{\"seq\":2,\"at_ms\":5,\"host\":\"lpar1\",\"line\":\"second\",\"stage\":\"ended\",\"status\":0}\n";
    let redo = store.difference(&before, &after, text).unwrap();
    write_json(&dir.path().join("redo.json"), &redo).unwrap();
    drop(store);
    assert_eq!(image(dir.path()), crate::lab::image::image(&after));
    let log = DirStore::open(dir.path()).unwrap().0.read_log().unwrap();
    assert_eq!(
        log.iter().map(|e| (e.seq, e.line.as_str())).collect::<Vec<_>>(),
        [(1, "first"), (2, "second")]
    );
    assert!(!dir.path().join("redo.json").exists());
}

#[test]
fn a_change_that_was_half_made_is_made_whole() {
    let before = world();
    let after = changed(&before);
    let count = DirStore::create(tempfile::tempdir().unwrap().path(), &before, new_clock(1))
        .unwrap()
        .difference(&before, &after, "")
        .unwrap()
        .files
        .len();
    assert!(count >= 4, "{count}");
    for made in 0..=count {
        let dir = tempfile::tempdir().unwrap();
        let store = DirStore::create(dir.path(), &before, new_clock(1)).unwrap();
        let redo = store.difference(&before, &after, "{}\n").unwrap();
        write_json(&dir.path().join("redo.json"), &redo).unwrap();
        for op in &redo.files[..made] {
            op.apply(dir.path()).unwrap();
        }
        if made == count {
            // Even the log was written, and the host's record half renamed.
            fs::write(dir.path().join("log.jsonl"), "{}\n").unwrap();
            fs::write(dir.path().join("hosts/lpar1/host.new"), "{").unwrap();
        }
        assert_eq!(image(dir.path()), crate::lab::image::image(&after), "cut after {made}");
        assert_eq!(fs::read_to_string(dir.path().join("log.jsonl")).unwrap(), "{}\n");
    }
}

#[test]
fn a_record_that_was_not_finished_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let before = world();
    drop(DirStore::create(dir.path(), &before, new_clock(1)).unwrap());
    fs::write(dir.path().join("redo.new"), "{\"state\":").unwrap();
    assert_eq!(image(dir.path()), crate::lab::image::image(&before));
}

#[test]
fn a_line_of_the_log_that_was_not_finished_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut before = world();
    let mut store = DirStore::create(dir.path(), &before, new_clock(1)).unwrap();
    store.commit(&before, &before, vec![entry("first")]).unwrap();
    let log = dir.path().join("log.jsonl");
    let whole = fs::read_to_string(&log).unwrap();
    fs::write(&log, format!("{whole}{{\"seq\":2,")).unwrap();
    let held = store.begin(&mut before).unwrap();
    store.commit(&before, &before, vec![entry("second")]).unwrap();
    drop(held);
    let lines: Vec<u64> = store.read_log().unwrap().iter().map(|entry| entry.seq).collect();
    assert_eq!(lines, [1, 2]);
}

#[test]
fn a_look_writes_no_more_than_its_line_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut before = world();
    let mut store = DirStore::create(dir.path(), &before, new_clock(1)).unwrap();
    let state = fs::read_to_string(dir.path().join("state.json")).unwrap();
    let held = store.begin(&mut before).unwrap();
    // Taken out to be changed, and put back as it was.
    let mut after = before.clone();
    let _ = after.at_mut("lpar1");
    store.commit(&before, &after, vec![entry("lspv")]).unwrap();
    drop(held);
    assert_eq!(fs::read_to_string(dir.path().join("state.json")).unwrap(), state);
}

#[test]
fn the_whole_of_a_host_is_read_while_it_is_true() {
    let dir = tempfile::tempdir().unwrap();
    let before = world();
    let mut store = DirStore::create(dir.path(), &before, new_clock(1)).unwrap();
    let whole = dir.path().join("hosts/lpar1/whole.json");
    assert_eq!(image(dir.path()), crate::lab::image::image(&before));
    assert!(whole.is_file());
    assert_eq!(image(dir.path()), crate::lab::image::image(&before), "by the one file");
    let after = changed(&before);
    store.commit(&before, &after, Vec::new()).unwrap();
    assert_eq!(image(dir.path()), crate::lab::image::image(&after), "it was of an earlier time");
    fs::write(&whole, "{\"generation\":").unwrap();
    assert_eq!(image(dir.path()), crate::lab::image::image(&after), "it was cut off");
    assert_eq!(image(dir.path()), crate::lab::image::image(&after));
}

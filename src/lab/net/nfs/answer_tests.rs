use super::*;
use crate::lab::build;
use crate::lab::estate::EstateFile;
use crate::lab::net::nfs::wire::Handle;
use crate::lab::world::{Export, Power};

const ESTATE: &str = r#"
[master]
name = "nim1"
level = "7300-02-01-2346"

[[client]]
name = "lpar01"
level = "7200-05-03-2148"
disk = [{ name = "hdisk0", size_mb = 32768, vg = "rootvg" }, { name = "hdisk1", size_mb = 32768 }]
filesystem = [{ lv = "fslv00", mount_point = "/data", size_mb = 128, data_mb = 126 }]
"#;

const NOW: Time = (1_000, 5);

struct Asked {
    world: World,
    request: Request,
}

impl Asked {
    /// A world in which the master has mounted a directory of the client.
    fn new(path: &str, sub: &str, lv: &str, options: &str) -> Asked {
        let estate = EstateFile::parse(ESTATE).unwrap();
        let mut world = build::world(&estate, 0).unwrap();
        let export = Export { options: options.to_owned(), permanent: false };
        world.at_mut("lpar01").exports.insert(path.to_owned(), export);
        let serial = world.at("lpar01").vgs["rootvg"].lvs[lv].serial;
        let (vg, lv) = ("rootvg".to_owned(), lv.to_owned());
        let handle = Handle { path: path.to_owned(), vg, lv, sub: sub.to_owned(), serial };
        let from = "nim1".to_owned();
        Asked { world, request: Request { mount: 1, number: 1, from, handle, op: Op::Space } }
    }

    fn data() -> Asked {
        Asked::new("/data", "", "fslv00", "rw=nim1")
    }

    fn full(&mut self, op: Op, content: &[u8]) -> Option<Full> {
        self.request.op = op;
        let asked = (&self.request, content);
        answer(&mut self.world, 0, "lpar01", asked, &|_| Some((77, 0)), NOW)
    }

    fn ask(&mut self, op: Op) -> Reply {
        self.full(op, b"").expect("an answer").0
    }

    fn write(&mut self, path: &str, offset: Option<u64>, content: &[u8]) -> Reply {
        self.full(Op::Write { path: path.to_owned(), offset }, content).expect("an answer").0
    }

    fn read(&mut self, path: &str, offset: u64, size: u32) -> Vec<u8> {
        let op = Op::Read { path: path.to_owned(), offset, size };
        let (reply, read) = self.full(op, b"").expect("an answer");
        assert_eq!(reply, Ok(Answer::Content));
        read
    }

    fn create(&mut self, path: &str) -> Reply {
        self.ask(Op::Create { path: path.to_owned(), mode: 0o4640, exclusive: true })
    }
}

fn look(path: &str) -> Op {
    Op::Look { path: path.to_owned() }
}

#[test]
fn a_file_is_made_written_and_read_by_pieces() {
    let mut asked = Asked::data();
    let made = Attributes { what: What::File, mode: 0o640, size: 0, mtime: NOW };
    assert_eq!(asked.create("f"), Ok(Answer::Found(made)));
    assert_eq!(asked.create("f"), Err(Refusal::Exists));
    assert_eq!(asked.write("f", Some(2), "né".as_bytes()), Ok(Answer::Written(3)));
    assert_eq!(asked.write("f", None, b"\xff"), Ok(Answer::Written(1)));
    assert_eq!(asked.read("f", 0, 100), b"\0\0n\xc3\xa9\xff");
    assert_eq!(asked.read("f", 4, 1), b"\xa9", "the half of a character");
    assert_eq!(asked.read("f", 100, 5), b"");
    let found = Attributes { what: What::File, mode: 0o640, size: 6, mtime: (77, 0) };
    assert_eq!(asked.ask(look("f")), Ok(Answer::Found(found)));
    let change = Change { mode: Some(0o7), size: Some(3), mtime: Some((9, 9)) };
    let found = Attributes { what: What::File, mode: 0o607, size: 3, mtime: (9, 9) };
    assert_eq!(asked.ask(Op::Change { path: "f".to_owned(), change }), Ok(Answer::Found(found)));
    assert_eq!(asked.world.text("lpar01", "/data/f", 0).unwrap(), "\0\0n");
}

#[test]
fn paths_do_not_lead_out_of_the_mount() {
    let mut asked = Asked::new("/home/app", "app", "hd1", "rw");
    assert!(matches!(asked.ask(look("data")), Ok(Answer::Found(_))));
    for path in ["../oper", "..", ".", "data/../../oper", "/etc", "data//orders.csv", "a\0"] {
        assert_eq!(asked.ask(look(path)), Err(Refusal::Invalid), "{path:?}");
    }
    let to = "../oper/x".to_owned();
    let op = Op::Rename { path: "data".to_owned(), to, replace: true };
    assert_eq!(asked.ask(op), Err(Refusal::Invalid));
    assert_eq!(asked.create(&"x".repeat(256)), Err(Refusal::NameTooLong));
    let deep = vec!["x".repeat(200); 6].join("/");
    assert_eq!(asked.ask(look(&deep)), Err(Refusal::NameTooLong));
    // The mounted directory itself is gone.
    asked.world.remove("lpar01", "/home/app", 0).unwrap();
    assert_eq!(asked.ask(look("")), Err(Refusal::Stale));
}

#[test]
fn whoever_may_not_is_refused_and_who_is_cut_off_hears_nothing() {
    let mut asked = Asked::data();
    assert!(asked.ask(look("")).is_ok());
    asked.request.from = "stranger".to_owned();
    assert_eq!(asked.ask(look("")), Err(Refusal::Denied));
    asked.request.from = "nim1".to_owned();
    let options = |asked: &mut Asked, options: &str| {
        let export = Export { options: options.to_owned(), permanent: false };
        asked.world.at_mut("lpar01").exports.insert("/data".to_owned(), export);
    };
    options(&mut asked, "access=lpar02");
    assert_eq!(asked.ask(look("")), Err(Refusal::Denied));
    options(&mut asked, "ro");
    assert!(asked.ask(look("")).is_ok());
    assert_eq!(asked.create("f"), Err(Refusal::ReadOnly));
    options(&mut asked, "rw");
    asked.request.handle.serial += 1;
    assert_eq!(asked.ask(look("")), Err(Refusal::Stale), "made anew");
    asked.request.handle.serial -= 1;
    let mounts = asked.world.at("lpar01").mounts.clone();
    asked.world.at_mut("lpar01").mounts.retain(|mount| mount.point != "/data");
    assert_eq!(asked.ask(look("")), Err(Refusal::Stale), "not mounted");
    asked.world.at_mut("lpar01").mounts = mounts;
    for host in ["lpar01", "nim1"] {
        asked.world.at_mut(host).cut_until_ms = 1;
        assert_eq!(asked.full(look(""), b""), None, "{host} is cut off");
        asked.world.at_mut(host).cut_until_ms = 0;
    }
    asked.world.at_mut("lpar01").power = Power::Booting { up_at_ms: 1 };
    assert_eq!(asked.full(look(""), b""), None, "it boots");
    asked.world.at_mut("lpar01").power = Power::Up;
    asked.world.at_mut("lpar01").exports.clear();
    assert_eq!(asked.ask(look("")), Err(Refusal::Stale), "not exported");
}

#[test]
fn the_volumes_size_is_the_room_there_is() {
    let mut asked = Asked::data();
    let Ok(Answer::Space(space)) = asked.ask(Op::Space) else { panic!("no space") };
    assert_eq!(space.total, 128 * MB);
    assert!((MB..=2 * MB).contains(&space.free), "{space:?}");
    asked.create("f").unwrap();
    let piece = vec![b'x'; 1 << 20];
    assert_eq!(asked.write("f", None, &piece), Ok(Answer::Written(1 << 20)));
    assert_eq!(asked.write("f", None, &piece), Err(Refusal::NoSpace));
    assert_eq!(asked.write("f", Some(0), &piece), Ok(Answer::Written(1 << 20)), "no more of it");
    let grown = |size| Op::Change {
        path: "f".to_owned(),
        change: Change { size: Some(size), ..Change::default() },
    };
    assert_eq!(asked.ask(grown(3 * MB)), Err(Refusal::NoSpace));
    assert_eq!(asked.ask(grown(NFS_FILE_BYTES_MAX + 1)), Err(Refusal::TooBig));
    assert_eq!(asked.write("f", Some(u64::MAX), b"x"), Err(Refusal::TooBig));
}

#[test]
fn directories_and_names_keep_the_usual_rules() {
    let mut asked = Asked::data();
    let dir = |path: &str| Op::MakeDir { path: path.to_owned(), mode: 0 };
    let remove = |path: &str| Op::Remove { path: path.to_owned() };
    let remove_dir = |path: &str| Op::RemoveDir { path: path.to_owned() };
    let rename = |path: &str, to: &str, replace| Op::Rename {
        path: path.to_owned(),
        to: to.to_owned(),
        replace,
    };
    let made = Attributes { what: What::Dir, mode: 0o700, size: 4096, mtime: NOW };
    assert_eq!(asked.ask(dir("d")), Ok(Answer::Found(made)));
    assert_eq!(asked.ask(dir("no/d")), Err(Refusal::Absent));
    asked.create("d/f").unwrap();
    asked.ask(Op::Symlink { path: "l".to_owned(), target: "d".to_owned() }).unwrap();
    assert_eq!(asked.create("d/f/x"), Err(Refusal::NotDirectory));
    assert_eq!(asked.ask(remove_dir("d")), Err(Refusal::NotEmpty));
    assert_eq!(asked.ask(remove("d")), Err(Refusal::IsDirectory));
    assert_eq!(asked.ask(remove_dir("d/f")), Err(Refusal::NotDirectory));
    assert_eq!(asked.ask(rename("d", "d/in/it", true)), Err(Refusal::Absent));
    assert_eq!(asked.ask(rename("d", "d/it", true)), Err(Refusal::Invalid));
    assert_eq!(asked.ask(rename("d", "l", false)), Err(Refusal::Exists));
    assert_eq!(asked.ask(rename("d", "l", true)), Err(Refusal::NotDirectory));
    assert_eq!(asked.ask(rename("l", "d", true)), Err(Refusal::IsDirectory));
    assert_eq!(asked.ask(rename("d", "e", false)), Ok(Answer::Done));
    assert!(asked.ask(look("e/f")).is_ok() && asked.ask(look("d/f")) == Err(Refusal::Absent));
    let Ok(Answer::Names(names)) = asked.ask(Op::List { path: String::new() }) else {
        panic!("no names")
    };
    let names: Vec<_> = names.iter().map(|(name, what)| (name.as_str(), *what)).collect();
    assert_eq!(names, [("README", What::File), ("e", What::Dir), ("l", What::Link)]);
    // Where the client has mounted something itself, nothing is removed.
    let mut root = Asked::new("/", "", "hd4", "rw");
    assert_eq!(root.ask(remove_dir("data")), Err(Refusal::Busy));
    assert_eq!(root.ask(rename("data", "other", true)), Err(Refusal::Busy));
}

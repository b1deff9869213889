//! `explain` and `parse`.

use std::io::Write as _;
use std::process::Stdio;

use super::world::{Ran, World, plan};

fn fed(args: &[&str], input: &[u8]) -> Ran {
    let world = World::new();
    let mut child = world
        .command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses its command line does not read.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn a_message_is_explained() {
    insta::assert_snapshot!("explain", World::new().shown(&["explain", "0505-218"]));
}

#[test]
fn every_id_of_the_catalogue_is_explained() {
    let world = World::new();
    for id in nimshift::aix::catalogue().iter().flat_map(|entry| &entry.ids) {
        let ran = world.run(&["explain", id]);
        assert_eq!(ran.code, 0, "{id}: {}", ran.stderr);
        assert!(ran.stdout.contains(id.as_str()) && ran.stdout.contains("class"), "{}", ran.stdout);
    }
    let list = world.run(&["explain", "--list"]);
    assert_eq!((list.code, list.stdout.lines().count()), (0, nimshift::aix::catalogue().len()));
}

#[test]
fn of_an_unknown_id_those_with_one_other_digit_are_near() {
    let ran = World::new().run(&["explain", "0505-219"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert_eq!(
        ran.stderr,
        "error: the catalogue does not know `0505-219`\n  help: `nimshift explain 0505-218` is near\n"
    );
    for far in ["nothing of the kind", "0301-300", "0505-12", "0505-2188"] {
        let ran = World::new().run(&["explain", far]);
        assert_eq!(ran.code, 2, "{far}");
        let text = format!(
            "error: the catalogue does not know `{far}`\n  help: `nimshift explain --list` shows what it knows\n"
        );
        assert_eq!(ran.stderr, text);
    }
}

#[test]
fn each_of_several_ids_is_explained_or_named_as_unknown() {
    let world = World::new();
    let headings = |stdout: &str| -> Vec<String> {
        stdout.lines().filter(|row| row.starts_with('0')).map(str::to_owned).collect()
    };
    let both = world.run(&["explain", "0505-126", "0505-218", "0505-126"]);
    assert_eq!(both.code, 0, "{}", both.stderr);
    assert_eq!(headings(&both.stdout), ["0505-126", "0505-218"]);
    let one = world.run(&["explain", "9999-999", "0505-126"]);
    assert_eq!((one.code, headings(&one.stdout)), (2, vec!["0505-126".to_owned()]));
    assert!(one.stderr.contains("does not know `9999-999`"), "{}", one.stderr);
}

#[test]
fn lines_are_classified() {
    let text = b"0042-001 nim: processing error encountered on \"lpar7\":\nfine\nmount: 1831-011 access denied for nim1:/x\n9999-999 what\n";
    let ran = fed(&["explain", "-"], text);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stdout.contains("1831-011 access denied for nim1:/x\n  permanent: "),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.ends_with(
        "All together: permanent: retrying does not help\n  because of: mount: 1831-011 access \
         denied for nim1:/x\n"
    ));
    assert_eq!(ran.stderr, "the catalogue does not know 9999-999\n");
}

#[test]
fn a_plan_goes_before_the_catalogue() {
    let world = World::new();
    let rule =
        "[[message]]\nid = \"0516-404\"\nclass = \"transient\"\nhint = \"ask the storage team\"\n";
    world.write("plan.toml", &format!("{}{rule}", plan(&["lpar01"])));
    let ran = world.run(&["explain", "--plan", "plan.toml", "0516-404"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stdout.starts_with(
            "0516-404\n  class    transient: worth a few retries\n  fix      ask the storage team\n"
        ),
        "{}",
        ran.stdout
    );
    for (rule, said) in [
        ("[[message]]\nclass = \"transient\"\n", "matches no message"),
        ("[[message]]\nid = \"516\"\nclass = \"transient\"\n", "is not a message id"),
        ("[[message]]\npattern = \"a\"\nclass = \"transient\"\n", "matches nearly every line"),
        ("[[message]]\npattern = \"quota\"\nclass = \"final\"\n", "cannot be `final`"),
        ("[[message]]\npattern = \"quota\"\n", "has no `class`"),
    ] {
        world.write("bad.toml", &format!("{}{rule}", plan(&["lpar01"])));
        let ran = world.run(&["plan", "bad.toml"]);
        assert_eq!(ran.code, 2, "{rule}");
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
}

#[test]
fn a_capture_is_json_and_a_broken_one_an_error() {
    let ran = fed(&["parse", "lspv"], b"hdisk0 00f7a1b2c3d4e5f6 rootvg active\r\n");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let value: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(value[0]["disk"], "hdisk0");
    let broken = fed(&["parse", "lspv"], b"hdisk0 00f7\x1b[31m\xff\n");
    assert_eq!((broken.code, broken.stdout.as_str()), (2, ""));
    assert_eq!(
        broken.stderr,
        "error: cannot parse this as lspv\n  caused by: cannot read the output of `lspv`: `hdisk0 00f7\u{fffd}`\n"
    );
    let unknown = fed(&["parse", "lspvv"], b"");
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("did you mean `lspv`?"), "{}", unknown.stderr);
    let list = World::new().run(&["parse", "--list"]);
    assert_eq!(list.stdout.lines().count(), nimshift::aix::parse::PARSERS.len());
}

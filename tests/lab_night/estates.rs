//! Estate files: the sample night's, and broken ones.

use nimshift::lab::EstateFile;

use super::{Night, TARGET};

const OVERNIGHT: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/estates/overnight.toml"));

fn overnight() -> Night {
    Night::of(&EstateFile::parse(OVERNIGHT).unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_sample_night_has_what_its_plan_needs() {
    let night = overnight();
    let shown = night.lab.show().unwrap();
    assert_eq!(shown.len(), 13);
    let old: Vec<&str> = shown[1..]
        .iter()
        .filter(|h| h.level.starts_with("7200-05"))
        .map(|h| h.name.as_str())
        .collect();
    assert_eq!(old.len(), 11, "{old:?}");
    assert_eq!(shown.iter().find(|host| host.name == "lpar10").unwrap().level, TARGET);
    assert_eq!(night.lab.check(&[]).unwrap(), []);
    assert_eq!(night.lab.faults().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_disk_is_too_small_where_two_are_not() {
    let night = overnight();
    let copy = |disks: &str| {
        vec!["alt_disk_copy".to_owned(), "-P1".to_owned(), "-d".to_owned(), disks.to_owned()]
    };
    let small = night.lab.exec_words("lpar05", &copy("hdisk1")).unwrap();
    assert!(small.status != 0 && small.stderr.contains("not enough disk space"), "{small:?}");
    let both = night.lab.exec_words("lpar05", &copy("hdisk1 hdisk2")).unwrap();
    assert_eq!(both.status, 0, "{both:?}");
    let foreign = night.lab.exec_words("lpar09", &copy("hdisk1")).unwrap();
    assert!(
        foreign.stderr.starts_with("alt_disk_copy: 0505-126 target disk hdisk1"),
        "{foreign:?}"
    );
    assert_eq!(night.lab.exec_words("lpar08", &copy("hdisk1")).unwrap().status, 0);
}

#[tokio::test(start_paused = true)]
async fn the_tight_disk_has_room_for_the_base_and_not_for_the_filesets() {
    let night = overnight();
    night
        .run(
            "lpar08",
            &[
                "alt_disk_copy -P1 -d hdisk1",
                "chfs -a size=3096M /alt_inst/usr",
                "exportfs -i -o rw=nim1 /alt_inst",
                "exportfs -i -o rw=nim1 /alt_inst/usr",
            ],
        )
        .await;
    night
        .run(
            "nim1",
            &["mkdir -p /r", "mount lpar08:/alt_inst /r", "mount lpar08:/alt_inst/usr /r/usr"],
        )
        .await;
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let output = night
        .lab
        .exec_words(
            "nim1",
            &words("installp -R /r -acgNXY -d /export/nim/lpp_7300_02/installp/ppc all"),
        )
        .unwrap();
    assert!(output.status != 0 && output.stderr.contains("0503-008"), "{output:?}");
    let grown =
        night.lab.exec_words("lpar08", &words("chfs -a size=+4096M /alt_inst/usr")).unwrap();
    assert!(grown.stderr.contains("0516-404") && grown.stderr.contains("0516-788"), "{grown:?}");
}

#[tokio::test(start_paused = true)]
async fn leftovers_of_multibos_show_only_at_the_end() {
    let night = overnight();
    assert_eq!(night.say("lpar07", &["bootinfo", "-v"]), "hd5\n");
    night.run("lpar07", &["alt_disk_copy -P1 -d hdisk1"]).await;
    let words = ["alt_disk_copy", "-P3", "-d", "hdisk1"].map(str::to_owned);
    let output = night.lab.exec_words("lpar07", &words).unwrap();
    let line = "alt_disk_copy: 0505-218 ATTENTION: init_multibos() returned an unexpected result.";
    assert!(output.status == 1 && output.stderr.lines().any(|l| l == line), "{output:?}");
    assert!(night.say("lpar07", &["lspv"]).contains("altinst_rootvg  active"));
}

#[test]
fn broken_estates_are_refused_with_the_reason() {
    let head = "[master]\nname = \"nim1\"\nlevel = \"7300-02-01-2346\"\n";
    let client = "[[client]]\nname = \"a\"\nlevel = \"7200-05-03-2148\"\n";
    let root = "disk = [{ name = \"hdisk0\", size_mb = 32768, vg = \"rootvg\" }]\n";
    let cases = [
        ("[master".to_owned(), "not TOML"),
        (format!("{head}colour = 1\n"), "colour"),
        (format!("{head}{client}"), "disk"),
        (format!("{head}{client}disk = []\n"), "no disk with rootvg"),
        (format!("{head}{client}{root}{client}{root}"), "two hosts named `a`"),
        (
            format!("{head}[[spot]]\nname = \"../x\"\nlevel = \"7300-02-01-2346\"\n"),
            "cannot be a name",
        ),
        (format!("{head}[[fault]]\nkind = \"earthquake\"\n"), "earthquake"),
        (
            format!(
                "{head}{client}{root}filesystem = [{{ lv = \"../x\", mount_point = \"/x\", size_mb = 1 }}]\n"
            ),
            "cannot be a name",
        ),
        (format!("{head}[[spot]]\nname = \"s\"\nlevel = \"sevenish\"\n"), "not a level"),
    ];
    for (text, wanted) in cases {
        let error = EstateFile::parse(&text).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{text}\n{error}");
    }
}

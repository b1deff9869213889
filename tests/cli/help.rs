//! The help pages, whole.

use std::fmt::Write as _;

use super::world::World;

/// Help of a command and of all below it.
fn pages(world: &World, command: &clap::Command, words: &[&str], shown: &mut String) {
    let mut args = words.to_vec();
    args.push("--help");
    writeln!(shown, "{}", world.shown(&args)).unwrap();
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        let mut words = words.to_vec();
        words.push(below.get_name());
        pages(world, below, &words, shown);
    }
}

#[test]
fn every_command_explains_itself() {
    let world = World::new();
    let mut shown = String::new();
    pages(&world, &nimshift::cli::command(), &[], &mut shown);
    insta::assert_snapshot!("help", shown);
    assert!(world.files().is_empty(), "help makes nothing");
}

#[test]
fn a_manual_page_is_written_for_every_command() {
    let world = World::new();
    let ran = world.run(&["man", "pages"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for below in nimshift::cli::command().get_subcommands() {
        let page = format!("pages/nimshift-{}.1", below.get_name());
        assert!(world.files().contains_key(&page), "{page}");
    }
}

//! The process is killed under load, again and again.

use super::{
    super::scene::{arguments, new_database, prepare},
    assert_recorded,
    load::Load,
    settings,
};
use crate::harness::program::Serving;

fn killed_under_load(mode: &str, times: usize) {
    let url = new_database();
    let folder = prepare(&url, &settings(&format!("mode = \"{mode}\"")));
    let mut answered = Vec::new();
    for time in 0..times {
        let serving = Serving::start(folder.path(), &arguments(&url));
        let load = Load::begin(&serving.address, 4);
        // Sometimes early, sometimes in the middle of shipping.
        load.until_more(1 + time * 37 % 400);
        serving.kill();
        answered.extend(load.end());
    }
    let serving = Serving::start(folder.path(), &arguments(&url));
    assert_recorded(folder.path(), &url, &answered);
    assert_eq!(serving.stop(), Some(0));
}

#[test]
fn fifty_times_and_every_decision_that_was_answered_is_in_the_log_once() {
    killed_under_load("spooled", 50);
}

#[test]
fn the_same_where_decisions_are_on_the_disk_before_they_are_answered() {
    killed_under_load("durable", 10);
}

#[test]
fn what_a_second_process_of_the_folder_left_is_shipped_by_the_next_first() {
    let url = new_database();
    let folder = prepare(&url, &settings(""));
    let first = Serving::start(folder.path(), &arguments(&url));
    let second = Serving::start(folder.path(), &arguments(&url));
    let mut answered = Vec::new();
    for serving in [second, first] {
        let load = Load::begin(&serving.address, 4);
        load.until_more(100);
        serving.kill();
        answered.extend(load.end());
    }
    assert!(folder.path().join("regate-spool-2").is_dir());
    let _serving = Serving::start(folder.path(), &arguments(&url));
    assert_recorded(folder.path(), &url, &answered);
}

#[test]
fn a_process_that_is_told_to_end_loses_nothing() {
    let url = new_database();
    let folder = prepare(&url, &settings(""));
    let serving = Serving::start(folder.path(), &arguments(&url));
    let load = Load::begin(&serving.address, 4);
    load.until_more(200);
    assert_eq!(serving.stop(), Some(0));
    // What the end did not wait for, the next process ships.
    let _next = Serving::start(folder.path(), &arguments(&url));
    assert_recorded(folder.path(), &url, &load.end());
}

//! There is no room for records.

use super::{
    super::scene::{Scene, arguments, new_database, prepare},
    assert_recorded,
    load::{Answered, Load},
    settings,
};
use crate::harness::{postgres::Postgres, program::Serving};

const UNAVAILABLE: &str = "audit.unavailable";

fn without_the_unrecorded(answered: Vec<Answered>) -> Vec<Answered> {
    let (refused, recorded): (Vec<_>, Vec<_>) =
        answered.into_iter().partition(|one| one.reason == UNAVAILABLE);
    assert!(!refused.is_empty() && refused.iter().all(|one| !one.allow));
    assert!(!recorded.is_empty());
    recorded
}

#[test]
fn a_spool_that_is_full_denies_until_the_database_takes_records_again() {
    let mut postgres = Postgres::start();
    let url = postgres.url("postgres");
    let scene = Scene::with(&url, &url, &settings("segment_bytes = 65536\nmax_spool_bytes = 131072"));
    let load = Load::begin(&scene.serving.address, 4);
    load.until_more(10);
    postgres.kill();
    load.until_told(UNAVAILABLE);
    // Whatever is asked, and for as long as it lasts.
    load.until_more(100);
    postgres.start_again();
    super::super::until("decisions go on", || {
        let seen = super::super::scene::ask(&scene.serving.address, "reader");
        seen.allow.then_some(())
    });
    assert_recorded(scene.folder.path(), &url, &without_the_unrecorded(load.end()));
}

#[test]
fn a_disk_that_is_full_denies_what_it_does_not_take() {
    for mode in ["spooled", "durable"] {
        let url = new_database();
        let folder = prepare(&url, &settings(&format!("mode = \"{mode}\"\nsegment_bytes = 1048576")));
        // No file grows beyond 64 KiB: there its writes fail, as on a full disk.
        let full = ["/bin/sh", "-c", "trap '' XFSZ; ulimit -f 128; exec \"$@\"", "sh"];
        let serving = Serving::start_under(&full, folder.path(), &arguments(&url));
        let load = Load::begin(&serving.address, 4);
        load.until_told(UNAVAILABLE);
        load.until_more(100);
        drop(serving);
        let mut answered = load.end();
        let serving = Serving::start(folder.path(), &arguments(&url));
        let load = Load::begin(&serving.address, 2);
        load.until_more(50);
        let again = load.end();
        assert!(again.iter().all(|one| one.reason != UNAVAILABLE), "{mode}: there is room again");
        answered.extend(again);
        assert_recorded(folder.path(), &url, &without_the_unrecorded(answered));
        drop(serving);
    }
}

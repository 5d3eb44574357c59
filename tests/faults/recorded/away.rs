//! The database is away under load.

use std::time::{Duration, Instant};

use super::{super::scene::Scene, assert_recorded, load::Load, settings};
use crate::harness::postgres::Postgres;

/// How long it is away: `REGATE_TEST_AWAY_SECONDS` for those who want to see a minute of it.
fn away() -> Duration {
    let seconds = std::env::var("REGATE_TEST_AWAY_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(3))
}

#[test]
fn a_database_that_is_away_loses_nothing_doubles_nothing_and_stops_no_decision() {
    let mut postgres = Postgres::start();
    let url = postgres.url("postgres");
    let scene = Scene::with(&url, &url, &settings(""));
    let load = Load::begin(&scene.serving.address, 4);
    load.until_more(500);
    // In the middle of whatever it is doing.
    postgres.kill();
    let gone = Instant::now();
    while gone.elapsed() < away() {
        load.until_more(100);
    }
    postgres.start_again();
    load.until_more(500);
    let answered = load.end();
    assert!(answered.iter().any(|one| one.allow) && answered.iter().any(|one| !one.allow));
    let refused = answered.iter().find(|one| one.reason == "audit.unavailable");
    assert!(refused.is_none(), "there was room for all of it: {refused:?}");
    assert_recorded(scene.folder.path(), &url, &answered);
}

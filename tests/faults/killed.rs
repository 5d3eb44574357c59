//! Postgres ends without a word, and comes back.

use std::time::Instant;

use super::{
    scene::{ALLOWED, INVITE, REVOKE, REVOKED, SETTINGS, Scene},
    sessions,
};
use crate::harness::postgres::Postgres;

#[test]
fn a_postgres_killed_and_started_again_within_the_bound_is_not_noticed_by_those_who_ask() {
    let mut postgres = Postgres::start();
    let url = postgres.url("postgres");
    // Longer than a slow machine takes for the start: what is shown is that nobody is denied until then.
    let scene = Scene::with(&url, &url, &SETTINGS.replace("2s", "60s"));
    let watch = scene.watch("reader");
    scene.until_told("reader", ALLOWED);
    // The last that it does before it dies is in its log alone.
    scene.sql(INVITE);
    postgres.kill();
    scene.until_logged("changes cannot be read: trying again");
    postgres.start_again();
    watch.end().assert_all_allowed();

    let watch = scene.watch("reader");
    sessions::sql(&url, REVOKE);
    let revoked = Instant::now();
    scene.until_told("reader", REVOKED);
    scene.until_told("guest", ALLOWED);
    scene.until_logged("changes can be read again: the data is current");
    watch.end().assert_no_allow_beyond_the_bound(revoked);
    assert!(!scene.serving.log().contains("stale"), "{}", scene.serving.log());
}

//! Postgres is away, or hangs, for longer than the bound.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    MAX_STALENESS,
    scene::{ALLOWED, INVITE, NOT_INVITED, REVOKE, REVOKED, STALE, Scene, ask_as},
};
use crate::harness::postgres::Postgres;

/// From the moment the database is gone until it is back.
fn decisions_end_with_the_bound(
    postgres: &mut Postgres,
    scene: &Scene,
    leave: fn(&mut Postgres),
    come_back: fn(&mut Postgres),
) {
    scene.until_told("guest", NOT_INVITED);
    let unknown_gateway = || ask_as("nobody", &scene.serving.address, "reader");
    assert_eq!(unknown_gateway().status, 401);
    let watch = scene.watch("reader");
    scene.until_told("reader", ALLOWED);
    let leaving = Instant::now();
    leave(postgres);
    let gone = Instant::now();

    scene.until_told("reader", STALE);
    scene.until_logged("the data is stale: decisions are denied until changes can be read");
    assert_eq!(scene.ready(), (503, json!("stale")));
    // It may have been made since: nobody can say that it is unknown.
    let answer = unknown_gateway();
    assert_eq!((answer.status, answer.json()["code"].clone()), (503, json!("data.stale")));
    assert_eq!(answer.json()["allow"], false);

    let coming_back = Instant::now();
    come_back(postgres);
    // At once, so most likely before regate is there again.
    scene.sql(INVITE);
    scene.until_told("guest", ALLOWED);
    scene.until_told("reader", ALLOWED);
    scene.until_logged("changes can be read again: the data is current");
    assert_eq!(scene.ready(), (200, json!("current")));
    assert_eq!(unknown_gateway().status, 401);
    let answers = watch.end();
    answers.assert_no_allow_between(gone + MAX_STALENESS, coming_back);
    // And not long before the bound either. What is left out is the time since the last look.
    let stale = answers.first(STALE).asked;
    assert!(stale > leaving + MAX_STALENESS / 2, "{:?}", stale.duration_since(leaving));

    let watch = scene.watch("reader");
    scene.sql(REVOKE);
    let revoked = Instant::now();
    scene.until_told("reader", REVOKED);
    watch.end().assert_no_allow_beyond_the_bound(revoked);
}

#[test]
fn a_postgres_stopped_for_longer_than_the_bound_denies_until_it_is_back() {
    let mut postgres = Postgres::start();
    let scene = Scene::over(&postgres.url("postgres"));
    decisions_end_with_the_bound(&mut postgres, &scene, Postgres::stop, Postgres::start_again);
}

#[test]
fn a_postgres_that_hangs_for_longer_than_the_bound_denies_until_it_goes_on() {
    let mut postgres = Postgres::start();
    let scene = Scene::over(&postgres.url("postgres"));
    decisions_end_with_the_bound(&mut postgres, &scene, Postgres::freeze, Postgres::thaw);
    scene.serving.wait_for_log("the database has not answered for");
    // Nor does the end wait for it.
    postgres.freeze();
    scene.until_told("guest", STALE);
    let told = Instant::now();
    assert_eq!(scene.serving.stop(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
}

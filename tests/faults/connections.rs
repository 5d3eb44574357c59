//! The connection that listens is lost, loudly or silently.

use std::time::Instant;

use super::{
    scene::{ALLOWED, REVOKE, REVOKED, Scene, UNREVOKE},
    sessions::Frozen,
    until,
};

/// Those of regate's connections to the database of the test.
const REGATES: &str =
    "from pg_stat_activity where application_name = 'regate' and datname = current_database()";

#[test]
fn connections_that_an_operator_ends_are_made_again() {
    let scene = Scene::over_shared_postgres();
    for _ in 0..5 {
        let ended = scene.sql(&format!("select count(pg_terminate_backend(pid)) {REGATES}"));
        assert_ne!(ended, "0");
        let watch = scene.watch("reader");
        scene.sql(REVOKE);
        let revoked = Instant::now();
        scene.until_told("reader", REVOKED);
        watch.end().assert_no_allow_beyond_the_bound(revoked);
        scene.sql(UNREVOKE);
        scene.until_told("reader", ALLOWED);
        // Or there is nothing to end in the next round.
        until("a connection", || (scene.sql(&format!("select count(*) {REGATES}")) != "0").then_some(()));
    }
    // Whichever came first: the end of the connection, or the time to ask.
    let lines = ["the listening connection ended: connecting again", "changes cannot be read: trying again"];
    let log = until("the end of the connection", || {
        Some(scene.serving.log()).filter(|log| lines.iter().any(|line| log.contains(line)))
    });
    assert_eq!(log.matches("decision data loaded").count(), 1, "nothing was lost: {log}");
}

#[test]
fn a_connection_that_falls_silent_is_replaced() {
    let scene = Scene::over_shared_postgres();
    scene.until_told("reader", ALLOWED);
    let watch = scene.watch("reader");
    let frozen = Frozen::new(&scene.sql(&format!("select pid {REGATES}")));
    scene.sql(REVOKE);
    let revoked = Instant::now();
    scene.until_told("reader", REVOKED);
    watch.end().assert_no_allow_beyond_the_bound(revoked);
    let words = "error=the database has not answered for 500ms";
    scene.serving.wait_for_log(words);
    scene.until_logged("changes can be read again: the data is current");
    // The new one gets on without the old.
    scene.sql(UNREVOKE);
    scene.until_told("reader", ALLOWED);
    drop(frozen);
    scene.sql(REVOKE);
    scene.until_told("reader", REVOKED);
}

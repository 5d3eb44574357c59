//! PgBouncer in transaction mode between regate and Postgres.

use std::time::Instant;

use super::scene::{
    self, ALLOWED, INVITE, NOT_INVITED, REVOKE, REVOKED, SETTINGS, Scene, UNINVITE, UNREVOKE, new_database,
};
use crate::harness::{
    pgbouncer::PgBouncer,
    program::{run, stderr, stdout},
};

const NO_NOTIFICATIONS: &str = "no notification of changes arrives";

/// The command line through PgBouncer, seen by the process that serves.
fn the_command_line_works(scene: &Scene, through: &str) {
    let command = |arguments: &[&str]| {
        let output = run(scene.folder.path(), &[arguments, &scene::arguments(through)[..]].concat(), "");
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    };
    for _ in 0..2 {
        let minted =
            command(&["token", "mint", "--kind", "global", "--name", "ci", "--user", "u1", "--json"]);
        let minted: serde_json::Value = serde_json::from_str(&minted).unwrap();
        let (token, id) = (minted["token"].as_str().unwrap(), minted["id"].as_str().unwrap());
        scene.until_told(token, ALLOWED);
        command(&["token", "revoke", id]);
        scene.until_told(token, REVOKED);
    }
    assert!(command(&["token", "list"]).contains("revoked"));
    assert!(command(&["migrate"]).starts_with("nothing to do"));
}

/// Changes by `psql`, some of which take a right away.
fn changes_are_decided(scene: &Scene) {
    for _ in 0..2 {
        let watch = scene.watch("reader");
        scene.sql(REVOKE);
        let revoked = Instant::now();
        scene.until_told("reader", REVOKED);
        watch.end().assert_no_allow_beyond_the_bound(revoked);
        for (sql, token, reason) in
            [(UNREVOKE, "reader", ALLOWED), (INVITE, "guest", ALLOWED), (UNINVITE, "guest", NOT_INVITED)]
        {
            scene.sql(sql);
            scene.until_told(token, reason);
        }
    }
}

#[test]
fn with_a_listener_url_changes_are_announced_as_ever() {
    let url = new_database();
    let pooler = PgBouncer::before(&url, "extra_float_digits");
    let through = pooler.url(&url);
    let settings = format!("{SETTINGS}[database]\nlistener_url = \"{url}\"\n");
    let scene = Scene::with(&url, &through, &settings);
    the_command_line_works(&scene, &through);
    changes_are_decided(&scene);
    assert!(!scene.serving.log().contains(NO_NOTIFICATIONS), "{}", scene.serving.log());
}

fn changes_are_found_by_asking(ignored: &str) {
    let url = new_database();
    let pooler = PgBouncer::before(&url, ignored);
    let through = pooler.url(&url);
    let scene = Scene::with(&url, &through, SETTINGS);
    the_command_line_works(&scene, &through);
    changes_are_decided(&scene);
    // The operator is told what to do about it.
    scene.until_logged(NO_NOTIFICATIONS);
}

#[test]
fn without_a_listener_url_changes_are_found_by_asking() {
    changes_are_found_by_asking("extra_float_digits");
}

#[test]
fn a_pooler_that_passes_over_what_it_does_not_know_is_recognised_too() {
    changes_are_found_by_asking("extra_float_digits, options");
}

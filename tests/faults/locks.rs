//! Tables are locked by a migration while regate serves.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    scene::{ALLOWED, INVITE, REVOKE, REVOKED, STALE, Scene, UNREVOKE, arguments},
    sessions::Session,
    until,
};
use crate::harness::program::{run, stderr, stdout};

#[test]
fn a_table_locked_for_a_moment_holds_up_nothing() {
    let scene = Scene::over_shared_postgres();
    let watch = scene.watch("reader");
    let mut migration = Session::open(&scene.url);
    migration.run("begin; alter table tokens add column note text;");
    let locked = Instant::now();
    // As long as nothing waits behind the lock, it may even take longer than the bound.
    until("longer than the bound", || (locked.elapsed() > Duration::from_millis(2_500)).then_some(()));
    scene.sql(INVITE);
    scene.until_told("guest", ALLOWED);
    migration.run("commit;");
    watch.end().assert_all_allowed();
    // regate's own migrations do not disturb it either.
    let migrated = run(scene.folder.path(), &[&["migrate"], &arguments(&scene.url)[..]].concat(), "");
    assert!(migrated.status.success(), "{}", stderr(&migrated));
    assert!(stdout(&migrated).starts_with("nothing to do"), "{}", stdout(&migrated));
    scene.sql(REVOKE);
    scene.until_told("reader", REVOKED);
}

#[test]
fn a_change_behind_a_lock_denies_when_it_has_waited_for_longer_than_the_bound() {
    let scene = Scene::over_shared_postgres();
    scene.until_told("reader", ALLOWED);
    let watch = scene.watch("reader");
    let mut writer = Session::open(&scene.url);
    writer.run(&format!("begin; {REVOKE};"));
    // It stands in line before regate, which can only come when the writer is through.
    let mut migration = Session::open(&scene.url);
    migration.begin("begin; alter table tokens add column note text;");
    let waiting = "select count(*) from pg_locks join pg_database on pg_database.oid = database \
                   where not granted and datname = current_database()";
    until("the migration waits", || (scene.sql(waiting) == "1").then_some(()));
    writer.run("commit;");
    let revoked = Instant::now();
    scene.until_told("reader", STALE);
    assert_eq!(scene.ready(), (503, json!("stale")));
    scene.until_logged("the data is stale: decisions are denied until changes can be read");
    migration.run("commit;");
    scene.until_told("reader", REVOKED);
    scene.until_logged("changes can be read again: the data is current");
    watch.end().assert_no_allow_beyond_the_bound(revoked);
    scene.sql(UNREVOKE);
    scene.until_told("reader", ALLOWED);
}

//! The database is put back to what it was, while regate serves.

use std::time::Instant;

use super::{
    scene::{ALLOWED, INVITE, NOT_INVITED, REVOKE, REVOKED, Scene},
    sessions::{Session, dump, run_script},
};

/// Because the tables are other ones, and if they were not, because the history is another.
const LOADS_AGAIN: &str = "loading all decision data again because=";

/// A dump in which `reader` may and `guest` may not, and a database in which it is the other way round.
fn dumped() -> (Scene, String) {
    let scene = Scene::over_shared_postgres();
    let dump = dump(&scene.url);
    scene.sql(INVITE);
    scene.sql(REVOKE);
    scene.until_told("guest", ALLOWED);
    scene.until_told("reader", REVOKED);
    (scene, dump)
}

#[test]
fn an_older_dump_is_followed() {
    let (scene, dump) = dumped();
    let watch = scene.watch("guest");
    run_script(&scene.url, &[], &dump);
    let restored = Instant::now();
    scene.until_told("guest", NOT_INVITED);
    scene.until_told("reader", ALLOWED);
    scene.until_logged(LOADS_AGAIN);
    watch.end().assert_no_allow_beyond_the_bound(restored);
    // And what comes after it.
    scene.sql(REVOKE);
    scene.until_told("reader", REVOKED);
}

#[test]
fn another_history_with_the_same_numbers_is_noticed() {
    // After the dump there were two changes. In one transaction, so that regate sees but the outcome:
    // as many others, or one more.
    for others in [2, 3] {
        let (scene, dump) = dumped();
        let next = "set constraints all immediate; set constraints all deferred;";
        let other = |number| format!("insert into users (id) values ('other{number}'); {next}");
        let others: String = (0..others).map(other).collect();
        // A dump leaves its session without a search path.
        let script = format!("{dump}\nset search_path = public; {others}");
        let before = scene.sql("select revision from data_revision");
        run_script(&scene.url, &["--single-transaction"], &script);
        assert!(scene.sql("select revision from data_revision") >= before);
        scene.until_told("guest", NOT_INVITED);
        scene.until_told("reader", ALLOWED);
        scene.until_logged(LOADS_AGAIN);
    }
}

#[test]
fn a_restore_is_not_taken_for_whole_half_way() {
    let (scene, dump) = dumped();
    let watches = ["guest", "disabled"].map(|token| scene.watch(token));
    // The number of the last change is back and the tokens are, but no users yet: nobody is disabled.
    let (first, second) = dump.split_once("COPY public.users ").unwrap();
    let mut restoring = Session::open(&scene.url);
    restoring.run(first);
    // It has had a look at that.
    scene.until_logged("the triggers that note changes are not all in force");
    restoring.run(&format!("COPY public.users {second}"));
    let restored = Instant::now();
    scene.until_told("guest", NOT_INVITED);
    scene.until_told("reader", ALLOWED);
    scene.until_logged("changes can be read again: the data is current");
    let [guest, disabled] = watches.map(super::watch::Watch::end);
    guest.assert_no_allow_beyond_the_bound(restored);
    disabled.assert_none_allowed();
}

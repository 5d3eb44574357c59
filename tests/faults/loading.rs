//! The end comes before the first load has.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    scene::{self, ALLOWED, SETTINGS, arguments, ask_as, new_database, prepare, until_told},
    sessions::Session,
    until,
};
use crate::harness::program::Serving;

/// It waits for the lock, and would for as long as that is held.
fn loading_behind_a_lock() -> (tempfile::TempDir, Session, Serving) {
    let url = new_database();
    let folder = prepare(&url, SETTINGS);
    let mut lock = Session::open(&url);
    // It is let go in the end even if nobody ends the session.
    lock.run("set idle_in_transaction_session_timeout = '30s'; begin; lock table users;");
    let serving = Serving::start_loading(folder.path(), &arguments(&url));
    until("it waits", || serving.log().contains("changes cannot be read: trying again").then_some(()));
    (folder, lock, serving)
}

#[test]
fn a_process_that_has_not_loaded_yet_refuses_and_ends_when_told_to() {
    let (_folder, lock, serving) = loading_behind_a_lock();
    assert_eq!(scene::ready(&serving), (503, json!("loading")));
    let answer = ask_as("gateway", &serving.address, "reader");
    assert_eq!((answer.status, answer.json()["code"].clone()), (503, json!("data.not_loaded")));
    assert_eq!(answer.json()["allow"], false);
    assert_eq!(serving.output.lock().unwrap().as_str(), "", "it is not ready");
    let told = Instant::now();
    assert_eq!(serving.stop(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
    drop(lock);
}

#[test]
fn a_process_whose_first_load_was_held_up_serves_when_it_can() {
    let (_folder, lock, serving) = loading_behind_a_lock();
    drop(lock);
    until("it is ready", || (scene::ready(&serving).0 == 200).then_some(()));
    until_told(&serving, "reader", ALLOWED);
    until("the line", || serving.output.lock().unwrap().starts_with("regate is ready: ").then_some(()));
    assert_eq!(serving.stop(), Some(0));
}

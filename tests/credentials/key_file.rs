//! A file of keys that changes while regate runs.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::Arc,
    time::Duration,
};

use regate::upstream::{KeyRing, keep_keys};

use super::{Scene, eventually, ring, ring_text};
use crate::store::database::{TestDatabase, on_both_databases};

on_both_databases!(keys_that_open_something_stay_whatever_the_file_says);

fn write(path: &Path, text: &str) {
    // As a careful program does, so that nobody reads half of it.
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&beside, path).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_keys_are_taken_and_broken_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let text = |seeds: &[u64]| ring_text(seeds).expose().to_owned();
    write(&path, &text(&[1]));
    let keys = Arc::new(KeyRing::from_file(&path).unwrap());
    // What changed before anybody looked is seen as well.
    write(&path, &text(&[2, 1]));
    let database = TestDatabase::sqlite().await;
    let watch = keep_keys(Arc::clone(&keys), database.store.clone(), Duration::from_millis(5));
    let until_sealing = async |seed: u64| {
        let wanted = ring(&[seed]).sealing();
        eventually(async || keys.sealing(), |sealing| *sealing == wanted).await;
    };
    until_sealing(2).await;
    assert!(keys.knows(ring(&[1]).sealing()) && !watch.is_failing());
    write(&path, "nonsense");
    eventually(async || watch.is_failing(), |failing| *failing).await;
    fs::remove_file(&path).unwrap();
    assert_eq!(keys.sealing(), ring(&[2]).sealing());
    // As Kubernetes does it: the name leads to a link that leads elsewhere.
    fs::create_dir(folder.path().join("one")).unwrap();
    write(&folder.path().join("one/keys"), &text(&[3, 2]));
    symlink("one", folder.path().join("data")).unwrap();
    symlink("data/keys", &path).unwrap();
    until_sealing(3).await;
    eventually(async || watch.is_failing(), |failing| !failing).await;
    fs::create_dir(folder.path().join("two")).unwrap();
    write(&folder.path().join("two/keys"), &text(&[4, 3]));
    symlink("two", folder.path().join("next")).unwrap();
    fs::rename(folder.path().join("next"), folder.path().join("data")).unwrap();
    until_sealing(4).await;
    assert!(!keys.knows(ring(&[2]).sealing()));
    // The right keys with the wrong mode are not taken.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    eventually(async || watch.is_failing(), |failing| *failing).await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    eventually(async || watch.is_failing(), |failing| !failing).await;
}

#[tokio::test]
async fn keys_that_came_from_no_file_stay() {
    let keys = ring(&[1]);
    let database = TestDatabase::sqlite().await;
    let watch = keep_keys(Arc::clone(&keys), database.store.clone(), Duration::from_millis(1));
    assert!(!watch.is_failing());
    assert_eq!(keys.sealing(), ring(&[1]).sealing());
}

async fn keys_that_open_something_stay_whatever_the_file_says(database: TestDatabase) {
    // Two client secrets are stored, sealed with the first key.
    let scene = Scene::new(database).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let text = |seeds: &[u64]| ring_text(seeds).expose().to_owned();
    write(&path, &text(&[1, 9]));
    let keys = Arc::new(KeyRing::from_file(&path).unwrap());
    let store = Arc::clone(&scene.database.store);
    let watch = keep_keys(Arc::clone(&keys), store.clone(), Duration::from_millis(5));
    let id = |seed: u64| ring(&[seed]).sealing();
    // Good keys, but not those that are needed.
    write(&path, &text(&[2]));
    eventually(async || watch.is_failing(), |failing| *failing).await;
    assert!(keys.sealing() == id(1) && !keys.knows(id(2)));
    // One that nothing needs may go.
    write(&path, &text(&[2, 1]));
    eventually(async || keys.sealing() == id(2), |taken| *taken).await;
    eventually(async || watch.is_failing(), |failing| !failing).await;
    assert!(keys.knows(id(1)) && !keys.knows(id(9)));
    // Who cannot be asked may need any.
    store.close().await;
    write(&path, &text(&[3]));
    eventually(async || keys.sealing() == id(3), |taken| *taken).await;
    eventually(async || watch.is_failing(), |failing| *failing).await;
    assert!(keys.knows(id(1)) && keys.knows(id(2)));
}

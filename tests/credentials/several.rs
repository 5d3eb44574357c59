//! Several processes over one database.

use std::{sync::Arc, time::Duration};

use regate::store::{self, ConnectOptions};

use super::{MINUTE, Scene, eventually, of_user, renewals};
use crate::store::database::{TestDatabase, on_both_databases};

on_both_databases!(of_several_processes_one_renews_a_credential, a_process_that_died_is_followed_by_another);

async fn of_several_processes_one_renews_a_credential(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let keys = ["ada", "bob"].map(|user| of_user("gitlab", user));
    for key in &keys {
        scene.consented(key).await;
    }
    scene.clock.passes(61 * MINUTE);
    let mut processes = Vec::new();
    for _ in 0..3 {
        let store = store::connect(&scene.database.url, ConnectOptions::default()).await.unwrap();
        let begun = renewals(&store, &scene.keys, &scene.clock, Duration::from_millis(5));
        for key in &keys {
            begun.0.nudge(key.clone());
        }
        processes.push((begun, store));
    }
    let renewed = async || processes.iter().map(|((renewals, _), _)| renewals.counts().renewed).sum::<u64>();
    for round in 1..=5 {
        eventually(&renewed, |renewed| *renewed == 2 * round).await;
        scene.clock.passes(61 * MINUTE);
    }
    eventually(&renewed, |renewed| *renewed == 12).await;
    for ((renewals, work), store) in processes {
        work.finish().await;
        assert_eq!((renewals.counts().failed, renewals.counts().refused), (0, 0));
        store.close().await;
    }
    assert_eq!((scene.server.refreshes(), scene.server.reused(), scene.server.most_at_once()), (12, 0, 1));
}

async fn a_process_that_died_is_followed_by_another(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("gitlab", "ada");
    scene.consented(&key).await;
    scene.clock.passes(56 * MINUTE);
    scene.server.holds(true);
    let (_, work) = scene.renewals();
    eventually(async || scene.server.calls(), |calls| *calls == 2).await;
    drop(work);
    let store = Arc::clone(&scene.database.store);
    let (other, work) = renewals(&store, &scene.keys, &scene.clock, Duration::from_millis(5));
    scene.server.does_not_rotate();
    scene.server.holds(false);
    // What the first held is free again after a minute.
    scene.clock.passes(MINUTE + Duration::from_millis(1));
    eventually(async || other.counts().renewed, |renewed| *renewed == 1).await;
    work.finish().await;
}

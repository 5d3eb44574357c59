//! Several processes over one database.

use std::{sync::Arc, time::Duration};

use regate::{
    store::{self, ConnectOptions, Store},
    upstream::{RenewalWork, Renewals},
};

use super::{MINUTE, Scene, eventually, of_user, renewals};
use crate::store::database::{TestDatabase, on_both_databases};

on_both_databases!(
    of_several_processes_one_renews_what_is_due,
    of_several_processes_one_renews_what_all_ask_for,
    a_process_that_died_is_followed_by_another,
);

/// What renews credentials in processes of their own.
struct Processes(Vec<(Renewals, RenewalWork, Arc<dyn Store>)>);

impl Processes {
    async fn start(scene: &Scene) -> Self {
        let mut processes = Vec::new();
        for _ in 0..3 {
            let store = store::connect(&scene.database.url, ConnectOptions::default()).await.unwrap();
            let (renewals, work) = renewals(&store, &scene.keys, &scene.clock, Duration::from_millis(5));
            processes.push((renewals, work, store));
        }
        Self(processes)
    }

    async fn until_renewed(&self, wanted: u64) {
        let renewed = async || self.0.iter().map(|(renewals, _, _)| renewals.counts().renewed).sum::<u64>();
        eventually(renewed, |renewed| *renewed == wanted).await;
    }

    /// Ends them, and looks whether each refresh token was shown once.
    async fn end(self, scene: &Scene, renewed: usize) {
        for (renewals, work, store) in self.0 {
            work.finish().await;
            assert_eq!((renewals.counts().failed, renewals.counts().refused), (0, 0));
            store.close().await;
        }
        let server = &scene.server;
        assert_eq!((server.refreshes(), server.reused(), server.most_at_once()), (renewed, 0, 1));
    }
}

async fn of_several_processes_one_renews_what_is_due(database: TestDatabase) {
    let scene = Scene::new(database).await;
    for user in ["ada", "bob"] {
        scene.consented(&of_user("gitlab", user)).await;
    }
    let processes = Processes::start(&scene).await;
    for round in 1..=5 {
        scene.clock.passes(61 * MINUTE);
        processes.until_renewed(2 * round).await;
    }
    processes.end(&scene, 10).await;
}

async fn of_several_processes_one_renews_what_all_ask_for(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("gitlab", "ada");
    scene.consented(&key).await;
    scene.clock.passes(61 * MINUTE);
    scene.server.holds(true);
    let processes = Processes::start(&scene).await;
    let ask = || {
        for _ in 0..50 {
            processes.0.iter().for_each(|(renewals, _, _)| renewals.nudge(key.clone()));
        }
    };
    ask();
    eventually(async || scene.server.calls(), |calls| *calls == 2).await;
    ask();
    scene.server.holds(false);
    processes.until_renewed(1).await;
    ask();
    processes.end(&scene, 1).await;
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

//! All that is sealed, with another key; and what nobody can use any more, swept.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rand::{SeedableRng, rngs::StdRng};
use regate::{
    store::{
        StoreError,
        upstreams::{SealedPlace, Swept},
    },
    upstream::{KeyRing, RekeyReport, SweepSettings, WrongKeys, check_keys, keep_swept, rekey, sweep},
};
use tokio::task::JoinSet;

use super::{BACK, MINUTE, Scene, credentials, eventually, of_token, of_user, renewals, ring, tenant, token};
use crate::store::database::{TestDatabase, on_both_databases};

on_both_databases!(
    all_that_is_sealed_is_sealed_anew,
    what_does_not_open_is_told_and_left_and_the_rest_is_sealed_anew,
    rekeying_goes_on_beside_everything_else,
    a_key_that_is_missing_is_an_error_at_the_start,
    what_nobody_can_use_is_swept,
);

async fn reseal(scene: &Scene, keys: &KeyRing) -> RekeyReport {
    let mut random = StdRng::seed_from_u64(11);
    rekey(scene.store(), keys, &mut random, &mut |_| {}).await.unwrap()
}

async fn all_that_is_sealed_is_sealed_anew(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let (consented, given) = (of_user("gitlab", "ada"), of_user("plain", "ada"));
    scene.consented(&consented).await;
    scene.put(&given, token("hunter2-given")).await.unwrap();
    let begun = scene.begin(&consented).await;
    let with = scene.agreed(&begun);
    // Two client secrets, two credentials, a refresh token, a verifier.
    assert_eq!(scene.sealed().await.len(), 6);
    let (both, new) = (ring(&[2, 1]), ring(&[2]));
    let mut told = Vec::new();
    let mut random = StdRng::seed_from_u64(11);
    let report = rekey(scene.store(), &both, &mut random, &mut |progress| told.push(progress)).await.unwrap();
    assert_eq!(report, RekeyReport { sealed_anew: 6, ..RekeyReport::default() });
    assert_eq!(told.last().unwrap().sealed_anew, 6);
    assert!(scene.sealed().await.iter().all(|(_, sealed)| sealed.key == new.sealing()));
    assert_eq!(reseal(&scene, &both).await, RekeyReport::default());
    // The old key is needed no more: the flow is completed, and what came of it renewed.
    let later = credentials(&scene.database.store, Some(&new), &[BACK]);
    later.complete(&tenant(), &begun.flow.flow.id, &super::ada(), with, scene.now()).await.unwrap();
    scene.clock.passes(56 * MINUTE);
    let (renewing, work) = renewals(&scene.database.store, &new, &scene.clock, Duration::from_millis(20));
    eventually(async || renewing.counts().renewed, |renewed| *renewed == 1).await;
    work.finish().await;
    assert!(scene.stored_with(&new, &given).await.is_some() && scene.stored(&given).await.is_none());
}

async fn what_does_not_open_is_told_and_left_and_the_rest_is_sealed_anew(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let (of_ada, of_bob) = (of_user("plain", "ada"), of_user("plain", "bob"));
    scene.put(&of_ada, token("hunter2-ada")).await.unwrap();
    scene.put(&of_bob, token("hunter2-bob")).await.unwrap();
    // A key that was lost.
    let elsewhere = credentials(&scene.database.store, Some(&ring(&[3])), &[]);
    let lost = of_user("jira", "ada");
    let values = ["x-api-key", "x-account"].map(|name| (name.to_owned(), super::secret("hunter2")));
    let given = regate::upstream::Given::Headers(values.into());
    elsewhere.put(&lost, given, None, scene.now()).await.unwrap();
    let broken =
        "update upstream_credentials set sealed = 'AAAA' where upstream_id = 'plain' and holder_id = 'ada'";
    assert_eq!(scene.database.execute(broken).await.unwrap(), 1);
    let both = ring(&[2, 1]);
    for sealed_anew in [3, 0] {
        let report = reseal(&scene, &both).await;
        let mut cannot_open = report.cannot_open;
        cannot_open.sort();
        assert_eq!(
            cannot_open,
            [SealedPlace::Credential(lost.clone()), SealedPlace::Credential(of_ada.clone())]
        );
        assert_eq!((report.sealed_anew, report.remaining), (sealed_anew, 2));
    }
    assert!(scene.stored_with(&both, &of_ada).await.is_none());
    assert!(scene.stored_with(&both, &of_bob).await.is_some());
    assert!(scene.stored_with(&ring(&[3]), &lost).await.is_some());
}

async fn rekeying_goes_on_beside_everything_else(database: TestDatabase) {
    let scene = Arc::new(Scene::new(database).await);
    let (consented, given) = (of_user("gitlab", "ada"), of_user("plain", "ada"));
    scene.consented(&consented).await;
    scene.put(&given, token("hunter2-0")).await.unwrap();
    let (both, new) = (ring(&[2, 1]), ring(&[2]));
    let over = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    // A process that has the new key, and one that has not yet.
    for (keys, user) in [(Arc::clone(&both), "ada"), (Arc::clone(&scene.keys), "bob")] {
        let (scene, over) = (Arc::clone(&scene), Arc::clone(&over));
        let writing = credentials(&scene.database.store, Some(&keys), &[]);
        writers.spawn(async move {
            let key = of_user("plain", user);
            let mut number = 0;
            while !over.load(Ordering::Relaxed) {
                number += 1;
                writing.put(&key, token(&format!("hunter2-{number}")), None, scene.now()).await.unwrap();
            }
            number
        });
    }
    let (renewing, work) = renewals(&scene.database.store, &both, &scene.clock, Duration::from_millis(2));
    for round in 1..=5 {
        scene.clock.passes(56 * MINUTE);
        assert_eq!(reseal(&scene, &both).await.cannot_open, []);
        eventually(async || renewing.counts().renewed, |renewed| *renewed >= round).await;
    }
    over.store(true, Ordering::Relaxed);
    for written in writers.join_all().await {
        assert!(written > 0);
    }
    work.finish().await;
    let report = reseal(&scene, &both).await;
    assert_eq!((report.cannot_open, report.remaining), (Vec::new(), 0));
    for key in [&consented, &given, &of_user("plain", "bob")] {
        assert!(scene.stored_with(&new, key).await.is_some(), "{key:?}");
    }
    assert_eq!((renewing.counts().refused, scene.server.reused()), (0, 0));
}

async fn a_key_that_is_missing_is_an_error_at_the_start(database: TestDatabase) {
    let scene = Scene::new(database).await;
    assert!(check_keys(scene.store(), Some(&scene.keys)).await.is_ok());
    assert!(check_keys(scene.store(), Some(&ring(&[2, 1]))).await.is_ok());
    let missing = check_keys(scene.store(), Some(&ring(&[2]))).await.unwrap_err();
    let none = check_keys(scene.store(), None).await.unwrap_err();
    let WrongKeys::Missing(keys) = &missing else { panic!("{missing:?}") };
    assert_eq!(keys.0, [(scene.keys.sealing(), 2)]);
    assert!(matches!(none, WrongKeys::None(_)), "{none:?}");
    for error in [missing, none] {
        let said = error.to_string();
        assert!(said.contains(&format!("{} (2 secrets)", scene.keys.sealing())), "{said}");
        assert!(said.contains("key_file"), "{said}");
    }
    for upstream in ["github", "gitlab"] {
        scene.credentials.put_client_secret(&tenant(), upstream, None).await.unwrap();
    }
    assert!(check_keys(scene.store(), None).await.is_ok());
}

async fn what_nobody_can_use_is_swept(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let (orphaned, kept) = (of_token("github", "t1"), of_user("gitlab", "ada"));
    scene.consented(&orphaned).await;
    scene.consented(&kept).await;
    scene.grants(&[]).await;
    let flow = scene.begin(&kept).await.flow.flow.id;
    let settings = SweepSettings { interval: Duration::from_millis(5), ..SweepSettings::default() };
    let store = Arc::clone(&scene.database.store);
    assert_eq!(sweep(&*store, &*scene.clock, &settings).await.unwrap(), Swept::default());
    scene.clock.passes(16 * MINUTE);
    // Whoever comes late is told that it is over, for an hour.
    assert_eq!(sweep(&*store, &*scene.clock, &settings).await.unwrap(), Swept::default());
    scene.clock.passes(60 * MINUTE);
    let sweeping = keep_swept(store, Arc::clone(&scene.clock) as _, settings);
    let flows = async || scene.store().flow(&tenant(), &flow).await;
    let swept = eventually(flows, |found| matches!(found, Err(StoreError::NotFound { .. }))).await;
    assert!(swept.is_err());
    assert!(scene.row(&orphaned).await.is_some());
    scene.clock.passes(31 * 24 * 60 * MINUTE);
    eventually(async || scene.row(&orphaned).await.is_none(), |gone| *gone).await;
    assert!(scene.row(&kept).await.is_some());
    drop(sweeping);
}

//! A database that goes away in the middle of it.

use std::time::Duration;

use regate::{store::ConnectOptions, upstream::RenewalCounts};

use super::{MINUTE, Scene, eventually, of_user};
use crate::{harness::postgres::Postgres, store::database::TestDatabase};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_gave_is_stored_when_the_database_is_back() {
    let mut postgres = Postgres::start();
    let options = ConnectOptions { acquire_timeout: Duration::from_secs(1), ..ConnectOptions::default() };
    let scene = Scene::new(TestDatabase::postgres_at(postgres.url("postgres"), options).await).await;
    let key = of_user("gitlab", "ada");
    scene.consented(&key).await;
    scene.clock.passes(56 * MINUTE);
    scene.server.holds(true);
    let (renewals, work) = scene.renewals();
    eventually(async || scene.server.calls(), |calls| *calls == 2).await;
    postgres.kill();
    // The old refresh token is worth nothing from here on, and the new one is in memory alone.
    scene.server.holds(false);
    eventually(async || scene.server.refreshes(), |refreshes| *refreshes == 1).await;
    assert!(scene.store().credential(&key).await.is_err());
    postgres.start_again();
    eventually(async || renewals.counts().renewed, |renewed| *renewed == 1).await;
    assert!(scene.is_token(&key, "hunter2-access-3").await);
    scene.clock.passes(56 * MINUTE);
    eventually(async || renewals.counts().renewed, |renewed| *renewed == 2).await;
    work.finish().await;
    assert_eq!(renewals.counts(), RenewalCounts { renewed: 2, ..RenewalCounts::default() });
    assert_eq!(scene.server.reused(), 0);
}

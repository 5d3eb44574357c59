//! Old records go, and what is left can be verified.

use std::time::Duration;

use regate::{
    audit::{
        retention::prune,
        verify::{NotedHeads, verify},
    },
    store::StoreError,
};

use super::{Standing, at, record, ship};
use crate::store::database::{TestDatabase, on_both_databases};

on_both_databases![
    what_is_older_goes_in_steps,
    the_newest_record_always_stays,
    nothing_goes_beyond_the_first_record_that_is_younger,
    evidence_of_a_missing_record_stays,
    a_record_that_goes_meanwhile_does_not_disturb_who_verifies,
];

async fn sequences(database: &TestDatabase) -> Vec<u64> {
    let part = database.store.walk_decisions(0, 5_000).await.unwrap();
    part.rows.iter().map(|row| row.sequence).collect()
}

async fn assert_fits(database: &TestDatabase) {
    let verified = verify(&*database.store, &NotedHeads::default(), &mut |_| {}).await.unwrap();
    assert_eq!(verified.misfit, None);
}

/// Prunes what is older than an hour, as of a moment after nine.
async fn prune_at(database: &TestDatabase, seconds: i64) -> Result<u64, StoreError> {
    let clock = Standing(at(seconds));
    prune(&*database.store, &clock, Duration::from_secs(3_600), Duration::ZERO).await
}

async fn what_is_older_goes_in_steps(database: TestDatabase) {
    ship(&database.store, (1..=2_500).map(record)).await;
    assert_eq!(prune_at(&database, 3_600).await.unwrap(), 0);
    // Record 2,301 was made an hour before, and not earlier.
    assert_eq!(prune_at(&database, 3_600 + 2_301).await.unwrap(), 2_300);
    assert_eq!(sequences(&database).await, (2_301..=2_500).collect::<Vec<_>>());
    assert_fits(&database).await;
    let step = database.store.prune_decisions(at(2_500), 10, at(9_000)).await.unwrap();
    assert_eq!((step.records, step.anchor.sequence, step.more), (10, 2_310, true));
    ship(&database.store, (2_501..=2_600).map(record)).await;
    assert_eq!(prune_at(&database, 3_600 + 2_401).await.unwrap(), 90);
    assert_eq!(sequences(&database).await.len(), 200);
    assert_fits(&database).await;
}

async fn the_newest_record_always_stays(database: TestDatabase) {
    assert_eq!(prune_at(&database, 100_000).await.unwrap(), 0);
    ship(&database.store, (1..=3).map(record)).await;
    assert_eq!(prune_at(&database, 100_000).await.unwrap(), 2);
    assert_eq!(prune_at(&database, 100_000).await.unwrap(), 0);
    assert_eq!(sequences(&database).await, [3]);
    assert_fits(&database).await;
}

async fn nothing_goes_beyond_the_first_record_that_is_younger(database: TestDatabase) {
    // Processes ship one after the other: the log is not quite in the order of time.
    ship(&database.store, [1, 2, 5_000, 3, 4].map(record)).await;
    assert_eq!(prune_at(&database, 3_600 + 100).await.unwrap(), 2);
    assert_eq!(sequences(&database).await, [3, 4, 5]);
    assert_fits(&database).await;
}

async fn evidence_of_a_missing_record_stays(database: TestDatabase) {
    ship(&database.store, (1..=12).map(record)).await;
    database.execute("delete from decisions where sequence = 4").await.unwrap();
    let error = prune_at(&database, 100_000).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert_eq!(sequences(&database).await.len(), 11);
}

async fn a_record_that_goes_meanwhile_does_not_disturb_who_verifies(database: TestDatabase) {
    ship(&database.store, (1..=2_500).map(record)).await;
    let (mut pages, handle) = (0, tokio::runtime::Handle::current());
    let mut meanwhile = |_| {
        pages += 1;
        if pages == 1 {
            tokio::task::block_in_place(|| {
                let done = handle.block_on(prune_at(&database, 3_600 + 2_001)).unwrap();
                assert_eq!(done, 2_000);
                handle.block_on(ship(&database.store, (2_501..=2_510).map(record)));
            });
        }
    };
    let heads = NotedHeads::default();
    let verified = verify(&*database.store, &heads, &mut meanwhile).await.unwrap();
    assert_eq!((verified.misfit, verified.head.sequence), (None, 2_510));
}

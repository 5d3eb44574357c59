//! Each record gets to the database once, whatever ends in between.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use regate::{
    audit::{
        RecordedQuestion, RecordedRequest, UNREADABLE,
        chain::link,
        shipping::{ShippingNumbers, ShippingSettings, ShippingStatus},
        verify::{NotedHeads, verify},
    },
    store::{
        ConnectOptions, Store,
        decisions::{Appended, DecisionBatch, DecisionFilter, DecisionRow, SpoolPosition},
    },
};
use serde_json::Value;

use super::{at, compact, eager, id, record, shipper, source::Memory};
use crate::{
    harness::postgres::Postgres,
    store::database::{TestDatabase, on_both_databases},
};

on_both_databases![
    records_arrive_in_their_order_with_what_they_are_found_by,
    who_ships_goes_on_where_the_one_before_ended,
    who_is_dropped_at_any_moment_loses_and_doubles_nothing,
    a_commit_whose_answer_was_lost_is_not_repeated,
    a_record_that_cannot_be_read_is_in_the_log_as_one_that_says_so,
    a_record_that_the_database_refuses_holds_up_no_other,
    a_text_that_no_column_can_hold_holds_up_nothing,
    a_database_that_was_put_back_gets_what_is_on_disk_still,
    a_database_that_forgot_the_spool_gets_all_that_is_on_disk,
    what_is_gone_from_the_disk_is_told_as_lost,
    a_spool_under_another_name_doubles_nothing,
    two_records_with_one_id_are_both_kept_and_told,
];

async fn rows(store: &dyn Store) -> Vec<DecisionRow> {
    let verified = verify(store, &NotedHeads::default(), &mut |_| {}).await.unwrap();
    assert_eq!(verified.misfit, None);
    store.walk_decisions(0, 100_000).await.unwrap().rows
}

/// All of these are there, each once, and nothing else, and the chain fits.
async fn assert_has_once(store: &dyn Store, numbers: impl Iterator<Item = u32>) {
    let rows = rows(store).await;
    let found: BTreeSet<&str> = rows.iter().map(|row| row.columns.decision_id.as_str()).collect();
    assert_eq!(found.len(), rows.len(), "one is there twice");
    let expected: Vec<String> = numbers.map(|number| id(number).to_string()).collect();
    assert_eq!(found, expected.iter().map(String::as_str).collect());
}

fn holding(numbers: impl Iterator<Item = u32>) -> Memory {
    let memory = Memory::default();
    memory.extend(numbers.map(|number| compact(&record(number))));
    memory
}

async fn ship_all(memory: &Memory, store: &Arc<dyn Store>) -> Arc<ShippingStatus> {
    let (mut shipper, status) = shipper(memory, Arc::clone(store), eager());
    assert!(shipper.drain().await);
    status
}

async fn records_arrive_in_their_order_with_what_they_are_found_by(database: TestDatabase) {
    let memory = holding(1..=1_203);
    let status = ship_all(&memory, &database.store).await.numbers();
    assert_eq!((status.shipped, status.batches, memory.acknowledged()), (1_203, 3, 1_203));
    assert_eq!((status.failing, status.oldest_unshipped), (false, None));
    assert_eq!(status.last_shipped_at, Some(at(0)));
    let rows = rows(&*database.store).await;
    assert!(rows.iter().zip(1..).all(|(row, number)| row.columns.decision_id == id(number).to_string()));
    let columns = &rows[4].columns;
    assert_eq!(columns.time_millis, at(5).unix_millis());
    assert_eq!((columns.tenant.as_str(), columns.face.as_str()), ("default", "/v1/decide"));
    assert_eq!((columns.allow, columns.status, columns.reason.as_str()), (true, 200, "global_token.read"));
    assert_eq!((columns.token_id.as_deref(), columns.user_id.as_deref()), (Some("t5"), Some("u1")));
    assert_eq!((columns.project_id.as_deref(), columns.upstream_id.as_deref()), (Some("p0"), None));
    assert_eq!(columns.path.as_deref(), Some("/api/v1/projects/p0/builds"));
    let json: Value = serde_json::from_str(&rows[4].record).unwrap();
    assert_eq!(json, record(5).to_json());
    // No revision of the data was taken.
    assert_eq!(database.revision().await, 0);
}

async fn who_ships_goes_on_where_the_one_before_ended(database: TestDatabase) {
    let memory = holding(1..=700);
    ship_all(&memory, &database.store).await;
    memory.extend((701..=900).map(|number| compact(&record(number))));
    let status = ship_all(&memory, &database.store).await.numbers();
    assert_eq!((status.shipped, status.doubles), (200, 0));
    let position = database.store.shipped_position(memory.id()).await.unwrap();
    assert_eq!(position, Some(SpoolPosition { segment: 1, offset: 900 }));
    assert_has_once(&*database.store, 1..=900).await;
}

async fn who_is_dropped_at_any_moment_loses_and_doubles_nothing(database: TestDatabase) {
    let memory = holding(1..=600);
    let settings = ShippingSettings { most_records: 7, ..eager() };
    let (mut one, _) = shipper(&memory, Arc::clone(&database.store), settings);
    for round in 0..60_u64 {
        // The future goes in the middle of whatever it does; the one who ships stays, or another comes.
        let _ = tokio::time::timeout(Duration::from_micros(round * 300), one.run()).await;
        if round % 3 == 0 {
            (one, _) = shipper(&memory, Arc::clone(&database.store), settings);
        }
    }
    assert!(one.drain().await);
    assert_has_once(&*database.store, 1..=600).await;
}

async fn a_commit_whose_answer_was_lost_is_not_repeated(database: TestDatabase) {
    let memory = holding(1..=10);
    ship_all(&memory, &database.store).await;
    let part = database.store.walk_decisions(0, 10).await.unwrap();
    let to = SpoolPosition { segment: 1, offset: 10 };
    let again = DecisionBatch { spool: memory.id(), after: None, to, records: &[] };
    let appended = database.store.append_decisions(&again, &link).await.unwrap();
    assert_eq!(appended, Appended::Elsewhere(Some(to)));
    assert_eq!(database.store.walk_decisions(0, 10).await.unwrap(), part);
}

async fn a_record_that_cannot_be_read_is_in_the_log_as_one_that_says_so(database: TestDatabase) {
    let memory = holding(1..=1);
    let mut cut = compact(&record(2));
    cut.truncate(20);
    memory.extend([cut.clone(), vec![9, 1, 2], Vec::new(), compact(&record(3))]);
    let status = ship_all(&memory, &database.store).await.numbers();
    assert_eq!((status.shipped, status.stubs), (5, 3));
    let rows = rows(&*database.store).await;
    let problems: Vec<Value> = rows[1..4]
        .iter()
        .map(|row| {
            assert_eq!((row.columns.reason.as_str(), row.columns.allow), (UNREADABLE, false));
            serde_json::from_str::<Value>(&row.record).unwrap()["unreadable"].clone()
        })
        .collect();
    assert_eq!(problems[0]["problem"], "the record is damaged");
    assert_eq!(problems[0]["length"], 20);
    assert_eq!(problems[0]["bytes"].as_str().unwrap().len(), 40);
    assert!(problems[1]["problem"].as_str().unwrap().contains("form 9"), "{}", problems[1]);
    assert_eq!(problems[2]["bytes"], "");
    assert_eq!(rows[4].columns.decision_id, id(3).to_string());
}

/// Has the database refuse each record of this token.
async fn refuse(database: &TestDatabase, token: &str) {
    let sql = if database.is_postgres() {
        format!("alter table decisions add constraint refused check (token_id <> '{token}')")
    } else {
        format!(
            "create trigger refuse before insert on decisions when new.token_id = '{token}' \
             begin select raise(abort, 'refused'); end"
        )
    };
    database.execute(&sql).await.unwrap();
}

async fn a_record_that_the_database_refuses_holds_up_no_other(database: TestDatabase) {
    refuse(&database, "t4").await;
    let memory = holding(1..=30);
    let status = ship_all(&memory, &database.store).await.numbers();
    assert_eq!((status.shipped, status.stubs, status.failing), (30, 4, false));
    let rows = rows(&*database.store).await;
    for (row, number) in rows.iter().zip(1..) {
        if number % 7 == 4 {
            let json: Value = serde_json::from_str(&row.record).unwrap();
            let problem = json["unreadable"]["problem"].as_str().unwrap().to_owned();
            assert!(problem.starts_with("the database did not take it: "), "{problem}");
        } else {
            assert_eq!(row.columns.decision_id, id(number).to_string());
        }
    }
}

async fn a_text_that_no_column_can_hold_holds_up_nothing(database: TestDatabase) {
    let mut odd = record(1);
    odd.reasons = vec!["a\0b".into(), "\u{1}\\u0000".into()];
    odd.project = Some("p".repeat(100_000).into());
    odd.asked = RecordedQuestion::Request(RecordedRequest {
        method: "G\0T".into(),
        path: "/\0\u{10ffff}\"'$1".into(),
        ..RecordedRequest::default()
    });
    let memory = Memory::default();
    memory.extend([compact(&odd), compact(&record(2))]);
    let status = ship_all(&memory, &database.store).await.numbers();
    assert_eq!((status.shipped, status.stubs), (2, 0));
    let rows = rows(&*database.store).await;
    assert_eq!(rows[0].columns.reason, "a\u{fffd}b");
    // The record has all of it.
    assert_eq!(serde_json::from_str::<Value>(&rows[0].record).unwrap(), odd.to_json());
}

/// The state that the database had when it had so many records, all of one spool.
async fn put_back(database: &TestDatabase, records: u32) {
    let sql = format!(
        "delete from decisions where sequence > {records}; \
         update decision_log_head set (sequence, hash) = (select sequence, hash from decisions where sequence = {records}); \
         update decision_log_spools set position_offset = {records}"
    );
    database.execute(&sql).await.unwrap();
}

async fn a_database_that_was_put_back_gets_what_is_on_disk_still(database: TestDatabase) {
    let memory = holding(1..=100);
    let (mut shipper, status) = shipper(&memory, Arc::clone(&database.store), eager());
    assert!(shipper.drain().await);
    put_back(&database, 40).await;
    memory.extend((101..=110).map(|number| compact(&record(number))));
    assert!(shipper.drain().await);
    assert_eq!(status.numbers().gaps, 0);
    assert_has_once(&*database.store, 1..=110).await;
    // And what was thrown away since is lost, and told.
    put_back(&database, 40).await;
    memory.lose(60);
    memory.extend([compact(&record(111))]);
    assert!(shipper.drain().await);
    assert_eq!(status.numbers().gaps, 1);
    assert_has_once(&*database.store, (1..=40).chain(61..=111)).await;
}

async fn a_database_that_forgot_the_spool_gets_all_that_is_on_disk(database: TestDatabase) {
    let memory = holding(1..=20);
    let (mut shipper, status) = shipper(&memory, Arc::clone(&database.store), eager());
    assert!(shipper.drain().await);
    database.execute("delete from decision_log_spools").await.unwrap();
    memory.extend([compact(&record(21))]);
    assert!(shipper.drain().await);
    let numbers = status.numbers();
    assert_eq!((numbers.gaps, numbers.doubles, numbers.shipped), (1, 20, 21));
    assert_has_once(&*database.store, 1..=21).await;
}

async fn what_is_gone_from_the_disk_is_told_as_lost(database: TestDatabase) {
    let memory = holding(1..=20);
    ship_all(&memory, &database.store).await;
    memory.extend((21..=30).map(|number| compact(&record(number))));
    memory.lose(25);
    let status = ship_all(&memory, &database.store).await.numbers();
    assert_eq!((status.gaps, status.shipped), (1, 5));
    assert_has_once(&*database.store, (1..=20).chain(26..=30)).await;
}

async fn a_spool_under_another_name_doubles_nothing(database: TestDatabase) {
    ship_all(&holding(1..=50), &database.store).await;
    let status = ship_all(&holding(30..=70), &database.store).await.numbers();
    assert_eq!((status.doubles, status.shipped, status.clashes), (21, 20, 0));
    assert_has_once(&*database.store, 1..=70).await;
}

async fn two_records_with_one_id_are_both_kept_and_told(database: TestDatabase) {
    let memory = holding(1..=3);
    let mut other = record(2);
    other.allow = !other.allow;
    let mut third = record(2);
    third.latency_micros += 1;
    memory.extend([compact(&other), compact(&third), compact(&third), compact(&record(4))]);
    let status = ship_all(&memory, &database.store).await.numbers();
    assert_eq!((status.shipped, status.clashes, status.doubles), (6, 2, 1));
    let rows = rows(&*database.store).await;
    assert_eq!(rows.iter().filter(|row| row.columns.decision_id == id(2).to_string()).count(), 3);
    // The first is the one that is found by its id.
    let found = database.store.decision(id(2), None).await.unwrap();
    assert_eq!(found.sequence, 2);
    let everything = DecisionFilter { limit: 10, ..DecisionFilter::default() };
    assert_eq!(database.store.list_decisions(&everything).await.unwrap().len(), 6);
}

/// How the two who ship are.
type Statuses = [Arc<ShippingStatus>; 2];

/// Two ship all the while, as two processes would, and the database is broken and mended by `disturb`.
async fn under_load(disturb: impl AsyncFnOnce(&mut Postgres, &Statuses)) {
    let mut postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let url = postgres.url("postgres");
    let options = ConnectOptions { acquire_timeout: Duration::from_millis(300), ..ConnectOptions::default() };
    let store = regate::store::connect(&url, options).await.unwrap();
    store.migrate().await.unwrap();
    let memories = [Memory::default(), Memory::default()];
    let mut shipping = tokio::task::JoinSet::new();
    let statuses = [0, 1].map(|one: usize| {
        let answer_time = Duration::from_millis(700);
        let settings = ShippingSettings { most_records: 20, answer_time, ..eager() };
        let (mut shipper, status) = shipper(&memories[one], Arc::clone(&store), settings);
        shipping.spawn(async move { shipper.run().await });
        status
    });
    let writing = tokio::spawn({
        let memories = memories.clone();
        async move {
            for number in 1..=4_000_u32 {
                memories[number as usize % 2].extend([compact(&record(number))]);
                if number.is_multiple_of(20) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    });
    disturb(&mut postgres, &statuses).await;
    writing.await.unwrap();
    while memories.iter().any(|memory| memory.acknowledged() < 2_000) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    shipping.shutdown().await;
    // A connection that was given up may be held still by what was asked on it.
    let store = regate::store::connect(&url, ConnectOptions::default()).await.unwrap();
    assert_has_once(&*store, 1..=4_000).await;
    for status in statuses {
        let numbers = status.numbers();
        assert!(!numbers.failing && numbers.gaps == 0 && numbers.stubs == 0, "{numbers:?}");
    }
}

async fn until(statuses: &Statuses, holds: impl Fn(ShippingNumbers) -> bool) {
    while !statuses.iter().all(|status| holds(status.numbers())) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_stopped_under_load_loses_and_doubles_nothing() {
    under_load(async |postgres, statuses| {
        until(statuses, |numbers| numbers.shipped > 200).await;
        postgres.stop();
        until(statuses, |numbers| numbers.failing).await;
        assert!(statuses[0].numbers().oldest_unshipped.is_some());
        postgres.start_again();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_hangs_under_load_loses_and_doubles_nothing() {
    under_load(async |postgres, statuses| {
        until(statuses, |numbers| numbers.shipped > 200).await;
        postgres.freeze();
        until(statuses, |numbers| numbers.failing).await;
        postgres.thaw();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    under_load(async |postgres, statuses| {
        for round in 1..=4 {
            until(statuses, |numbers| numbers.shipped > 200 * round).await;
            postgres.kill();
            postgres.start_again();
        }
    })
    .await;
}

//! The decision log as a table: one chain, whoever appends; lists and their filters.

use std::{collections::HashMap, time::Duration};

use regate::{
    audit::chain::{BEGINNING, link},
    store::{
        ConnectOptions, StoreError,
        decisions::{
            Appended, Appending, DecisionBatch, DecisionColumns, DecisionFilter, DecisionStore, NewDecision,
            SpoolPosition,
        },
    },
    types::{TenantId, Timestamp},
};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::database::{TestDatabase, on_both_databases};

on_both_databases![
    a_batch_is_numbered_chained_and_moves_its_spool,
    a_batch_that_begins_elsewhere_writes_nothing,
    an_empty_batch_moves_its_spool,
    many_who_append_at_once_make_one_chain,
    lists_are_filtered_and_go_on_from_page_to_page,
    one_is_found_by_its_id_in_its_tenant_alone,
    records_outlive_their_tenant_and_take_no_revision,
    a_database_of_an_older_version_says_what_to_do,
];

fn id(number: u32) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

fn at(offset: u64) -> SpoolPosition {
    SpoolPosition { segment: 3, offset }
}

fn millis(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(millis)
}

/// Every third is of another tenant, every second allowed.
fn decision(number: u32) -> NewDecision {
    let columns = DecisionColumns {
        decision_id: id(number).to_string(),
        tenant: if number.is_multiple_of(3) { "acme" } else { "default" }.into(),
        time_millis: i64::from(number) * 10,
        face: "/v1/decide".into(),
        allow: number.is_multiple_of(2),
        status: 200,
        reason: format!("r{}", number % 4),
        token_id: Some(format!("t{}", number % 5)),
        user_id: (!number.is_multiple_of(5)).then(|| "u1".into()),
        project_id: Some("p1".into()),
        upstream_id: None,
        method: Some("GET".into()),
        path: Some("/a".into()),
    };
    NewDecision { columns, record: format!("{{\"number\":{number}}}") }
}

fn decisions(numbers: impl IntoIterator<Item = u32>) -> Vec<NewDecision> {
    numbers.into_iter().map(decision).collect()
}

async fn append(
    store: &dyn DecisionStore,
    spool: u32,
    after: Option<u64>,
    to: u64,
    records: &[NewDecision],
) -> Result<Appended, StoreError> {
    let batch = DecisionBatch { spool: id(spool), after: after.map(at), to: at(to), records };
    store.append_decisions(&batch, &link).await
}

async fn appended(
    store: &dyn DecisionStore,
    after: Option<u64>,
    to: u64,
    records: &[NewDecision],
) -> Appending {
    match append(store, 1, after, to, records).await.unwrap() {
        Appended::Now(appending) => appending,
        Appended::Elsewhere(position) => panic!("the spool is at {position:?}"),
    }
}

async fn a_batch_is_numbered_chained_and_moves_its_spool(database: TestDatabase) {
    let store = &*database.store;
    assert_eq!(store.shipped_position(id(1)).await.unwrap(), None);
    let empty = store.walk_decisions(0, 10).await.unwrap();
    assert_eq!((empty.head.sequence, empty.head.hash.as_str(), empty.rows.len()), (0, BEGINNING, 0));
    assert_eq!((empty.anchor, empty.pruned_at), (empty.head, None));

    let first = appended(store, None, 70, &decisions(1..=3)).await;
    assert_eq!((first.records, first.doubles, first.clashes.len(), first.head.sequence), (3, 0, 0, 3));
    let second = appended(store, Some(70), 90, &decisions(4..=5)).await;
    assert_eq!(store.shipped_position(id(1)).await.unwrap(), Some(at(90)));
    assert_eq!(store.shipped_position(id(2)).await.unwrap(), None);

    let part = store.walk_decisions(0, 10).await.unwrap();
    assert_eq!((part.head.clone(), part.rows.len()), (second.head, 5));
    let mut hash = BEGINNING.to_owned();
    for (row, number) in part.rows.iter().zip(1..) {
        let NewDecision { columns, record } = decision(number);
        hash = link(&hash, number.into(), &record);
        assert_eq!(
            (row.sequence, &row.columns, &row.record, &row.hash),
            (number.into(), &columns, &record, &hash)
        );
    }
    assert_eq!(part.head.hash, hash);
    let later = store.walk_decisions(3, 1).await.unwrap();
    assert_eq!(later.rows.iter().map(|row| row.sequence).collect::<Vec<_>>(), [4]);
}

async fn a_batch_that_begins_elsewhere_writes_nothing(database: TestDatabase) {
    let store = &*database.store;
    appended(store, None, 70, &decisions(1..=3)).await;
    let before = store.walk_decisions(0, 10).await.unwrap();
    // The same once more; one that overlaps; one before which something is missing.
    for (after, to) in [(None, 70), (None, 90), (Some(30), 60), (Some(90), 110)] {
        let told = append(store, 1, after, to, &decisions(1..=9)).await.unwrap();
        assert_eq!(told, Appended::Elsewhere(Some(at(70))), "{after:?} {to}");
    }
    let told = append(store, 2, Some(70), 90, &decisions(4..=9)).await.unwrap();
    assert_eq!(told, Appended::Elsewhere(None));
    assert_eq!(store.walk_decisions(0, 10).await.unwrap(), before);
}

async fn an_empty_batch_moves_its_spool(database: TestDatabase) {
    let store = &*database.store;
    assert_eq!(appended(store, None, 16, &[]).await.head.sequence, 0);
    appended(store, Some(16), 70, &decisions(1..=1)).await;
    assert_eq!(store.shipped_position(id(1)).await.unwrap(), Some(at(70)));
}

async fn many_who_append_at_once_make_one_chain(database: TestDatabase) {
    const BATCHES: u32 = 30;
    const RECORDS: u32 = 40;
    let mut appending = tokio::task::JoinSet::new();
    for process in 0..4_u32 {
        // Each as a process of its own.
        let options = ConnectOptions { max_connections: 2, ..ConnectOptions::default() };
        let store = regate::store::connect(&database.url, options).await.unwrap();
        appending.spawn(async move {
            for batch in 0..BATCHES {
                let first = (process * BATCHES + batch) * RECORDS;
                let records = decisions(first..first + RECORDS);
                let after = (batch > 0).then_some(u64::from(batch));
                let to = u64::from(batch) + 1;
                loop {
                    match append(&*store, process, after, to, &records).await {
                        Ok(Appended::Now(appended)) => {
                            break assert_eq!(appended.records, u64::from(RECORDS));
                        }
                        Ok(Appended::Elsewhere(position)) => panic!("it is at {position:?}"),
                        // On a busy machine somebody may hold the end for longer than others wait.
                        Err(StoreError::Locked(_) | StoreError::Unavailable(_)) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            }
            store.close().await;
        });
    }
    while let Some(done) = appending.join_next().await {
        done.unwrap();
    }
    let part = database.store.walk_decisions(0, 10_000).await.unwrap();
    assert_eq!(part.rows.len() as u32, 4 * BATCHES * RECORDS);
    let (mut hash, mut last_of) = (BEGINNING.to_owned(), HashMap::new());
    for (row, number) in part.rows.iter().zip(1..) {
        hash = link(&hash, number, &row.record);
        assert_eq!((row.sequence, &row.hash), (number, &hash));
        // Each process's own order is kept.
        let decision = Uuid::parse_str(&row.columns.decision_id).unwrap().as_u128();
        let process = decision / u128::from(BATCHES * RECORDS);
        assert!(last_of.insert(process, decision).is_none_or(|before| before < decision));
    }
    assert_eq!(part.head.hash, hash);
}

async fn lists_are_filtered_and_go_on_from_page_to_page(database: TestDatabase) {
    let store = &*database.store;
    appended(store, None, 70, &decisions(1..=60)).await;
    let listed = async |filter: DecisionFilter| -> Vec<u64> {
        let filter = DecisionFilter { limit: if filter.limit == 0 { 100 } else { filter.limit }, ..filter };
        store.list_decisions(&filter).await.unwrap().iter().map(|row| row.sequence).collect()
    };
    let all = DecisionFilter::default;
    // In these tests the sequence is the decision's number.
    let expected = |holds: fn(u64) -> bool| (1..=60).rev().filter(|n| holds(*n)).collect::<Vec<u64>>();
    let text = |text: &str| Some(text.to_owned());
    let acme = TenantId::try_from("acme").ok();
    assert_eq!(listed(all()).await, expected(|_| true));
    assert_eq!(listed(DecisionFilter { tenant: acme.clone(), ..all() }).await, expected(|n| n % 3 == 0));
    assert_eq!(listed(DecisionFilter { token_id: text("t2"), ..all() }).await, expected(|n| n % 5 == 2));
    assert_eq!(listed(DecisionFilter { user_id: text("u1"), ..all() }).await, expected(|n| n % 5 != 0));
    assert_eq!(listed(DecisionFilter { reason: text("r1"), ..all() }).await, expected(|n| n % 4 == 1));
    assert_eq!(listed(DecisionFilter { allow: Some(false), ..all() }).await, expected(|n| n % 2 == 1));
    assert_eq!(listed(DecisionFilter { project_id: text("p1"), ..all() }).await.len(), 60);
    for nothing in [
        DecisionFilter { project_id: text("p2"), ..all() },
        DecisionFilter { upstream_id: text("github"), ..all() },
        DecisionFilter { reason: text("r1' or true --"), ..all() },
        DecisionFilter { token_id: text(""), ..all() },
    ] {
        assert_eq!(listed(nothing).await, [0; 0]);
    }
    // From is a part of it, until is not.
    let (from, until) = (Some(millis(200)), Some(millis(230)));
    assert_eq!(listed(DecisionFilter { from, until, ..all() }).await, [22, 21, 20]);
    let both = DecisionFilter { tenant: acme, token_id: text("t2"), allow: Some(true), ..all() };
    assert_eq!(listed(both.clone()).await, expected(|n| n % 3 == 0 && n % 5 == 2 && n % 2 == 0));
    assert_eq!(listed(DecisionFilter { before: Some(42), limit: 1, ..both }).await, [12]);

    let mut pages = Vec::new();
    loop {
        let page = DecisionFilter { user_id: text("u1"), before: pages.last().copied(), limit: 7, ..all() };
        let page = listed(page).await;
        pages.extend(&page);
        if page.len() < 7 {
            break;
        }
    }
    assert_eq!(pages, expected(|n| n % 5 != 0));
    let oldest = DecisionFilter { after: Some(5), oldest_first: true, limit: 3, ..all() };
    assert_eq!(listed(oldest).await, [6, 7, 8]);
}

async fn one_is_found_by_its_id_in_its_tenant_alone(database: TestDatabase) {
    let store = &*database.store;
    appended(store, None, 70, &decisions(1..=6)).await;
    let (acme, default) = (TenantId::try_from("acme").unwrap(), TenantId::default_tenant());
    assert_eq!(store.decision(id(3), None).await.unwrap().sequence, 3);
    assert_eq!(store.decision(id(3), Some(&acme)).await.unwrap().record, "{\"number\":3}");
    for (number, tenant) in [(3, Some(&default)), (2, Some(&acme)), (7, None)] {
        let error = store.decision(id(number), tenant).await.unwrap_err();
        assert!(matches!(error, StoreError::NotFound { what: "decision" }), "{error:?}");
    }
}

async fn records_outlive_their_tenant_and_take_no_revision(database: TestDatabase) {
    database.import(r#"{"tenants": [{"id": "acme"}], "users": [{"id": "u1", "tenant": "acme"}]}"#).await;
    let before = database.revision().await;
    appended(&*database.store, None, 70, &decisions(1..=6)).await;
    database.store.prune_decisions(millis(30), 10, millis(1_000)).await.unwrap();
    assert_eq!(database.revision().await, before);
    database.execute("delete from tenants where id = 'acme'").await.unwrap();
    let acme = TenantId::try_from("acme").ok();
    let filter = DecisionFilter { tenant: acme, limit: 10, ..DecisionFilter::default() };
    assert_eq!(database.store.list_decisions(&filter).await.unwrap().len(), 2);
}

async fn a_database_of_an_older_version_says_what_to_do(database: TestDatabase) {
    database.execute("drop table decisions; drop table decision_log_head").await.unwrap();
    for error in [
        append(&*database.store, 1, None, 70, &decisions(1..=1)).await.unwrap_err(),
        database.store.walk_decisions(0, 1).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::NotMigrated(_)), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_the_end_of_the_chain_is_not_waited_for_for_long() {
    let database = TestDatabase::postgres().await;
    let mut other = PgConnection::connect(&database.url).await.unwrap();
    sqlx::raw_sql("begin; update decision_log_head set sequence = sequence")
        .execute(&mut other)
        .await
        .unwrap();
    let records = decisions(1..=1);
    let waiting = append(&*database.store, 1, None, 70, &records);
    // A write waits for as long as a connection: ten seconds here.
    let error = tokio::time::timeout(Duration::from_secs(9), waiting).await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::Locked(_)), "{error:?}");
    // Nor does it hold up what decisions see, or who looks.
    database.import(r#"{"users": [{"id": "u1"}]}"#).await;
    assert_eq!(database.store.walk_decisions(0, 1).await.unwrap().rows.len(), 0);
    sqlx::raw_sql("commit").execute(&mut other).await.unwrap();
    appended(&*database.store, None, 70, &decisions(1..=1)).await;
}

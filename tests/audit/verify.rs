//! Whatever is done to the log behind regate's back is found, and the first record named that does not fit.

use regate::audit::{
    chain::{BEGINNING, link},
    verify::{Misfit, NotedHeads, Verified, VerifyProgress, Wrong, verify},
};

use super::{at, id, record, ship};
use crate::store::database::{TestDatabase, on_both_databases};

on_both_databases![
    a_log_that_nobody_touched_fits,
    an_empty_log_fits,
    a_long_log_is_verified_page_by_page,
    an_edited_record_is_named,
    an_edited_last_record_is_named,
    an_edited_hash_is_named,
    an_edited_column_is_named,
    a_record_deleted_in_the_middle_is_named,
    records_deleted_at_the_end_are_named,
    two_swapped_records_are_found_at_the_first,
    an_inserted_record_is_found,
    a_forged_end_is_found,
    what_was_pruned_is_no_misfit,
    a_forged_anchor_is_found,
    a_log_of_which_all_is_gone_does_not_fit,
    a_chain_made_anew_is_found_where_an_end_was_noted,
    a_log_that_was_cut_short_with_its_end_is_found_where_it_was_noted,
    a_missing_row_of_the_ends_is_a_misfit,
];

async fn look_with(database: &TestDatabase, heads: &str) -> Verified {
    let heads = NotedHeads::read(heads).unwrap();
    verify(&*database.store, &heads, &mut |_| {}).await.unwrap()
}

async fn look(database: &TestDatabase) -> Verified {
    look_with(database, "").await
}

/// Twelve records, and something done to them.
async fn after(database: &TestDatabase, sql: &str) -> Misfit {
    ship(&database.store, (1..=12).map(record)).await;
    database.execute(sql).await.unwrap();
    look(database).await.misfit.expect("it does not fit")
}

fn at_record(number: u32, wrong: Wrong) -> Misfit {
    let decision_id = Some(id(number).to_string());
    Misfit { sequence: number.into(), decision_id, time: Some(at(number.into())), wrong }
}

fn absent(sequence: u64, wrong: Wrong) -> Misfit {
    Misfit { sequence, decision_id: None, time: None, wrong }
}

async fn a_log_that_nobody_touched_fits(database: TestDatabase) {
    ship(&database.store, (1..=12).map(record)).await;
    ship(&database.store, (13..=20).map(record)).await;
    let verified = look(&database).await;
    assert_eq!((verified.records, verified.head.sequence, verified.misfit), (20, 20, None));
    let rows = database.store.walk_decisions(0, 100).await.unwrap().rows;
    let mut hash = BEGINNING.to_owned();
    for (number, row) in (1..).zip(&rows) {
        hash = link(&hash, number, &row.record);
        assert_eq!((row.sequence, &row.hash), (number, &hash));
    }
}

async fn an_empty_log_fits(database: TestDatabase) {
    let verified = look(&database).await;
    assert_eq!((verified.records, verified.head.sequence, verified.misfit), (0, 0, None));
}

async fn a_long_log_is_verified_page_by_page(database: TestDatabase) {
    ship(&database.store, (1..=2_500).map(record)).await;
    let mut seen = Vec::new();
    let (heads, mut see) = (NotedHeads::default(), |step: VerifyProgress| seen.push((step.records, step.of)));
    let verified = verify(&*database.store, &heads, &mut see).await.unwrap();
    assert_eq!(verified.records, 2_500);
    assert_eq!(seen, [(1_000, 2_500), (2_000, 2_500), (2_500, 2_500)]);
    // At the edge of a page, and the record that tells what was changed is on the next.
    database.execute("update decisions set record = '{}' where sequence = 1000").await.unwrap();
    assert_eq!(look(&database).await.misfit, Some(at_record(1_000, Wrong::Changed)));
}

async fn an_edited_record_is_named(database: TestDatabase) {
    let sql = "update decisions set record = replace(record, '403', '200') where sequence = 6";
    assert_eq!(after(&database, sql).await, at_record(6, Wrong::Changed));
    assert_eq!(look(&database).await.records, 5);
}

async fn an_edited_last_record_is_named(database: TestDatabase) {
    let sql = "update decisions set record = replace(record, '403', '200') where sequence = 12";
    assert_eq!(after(&database, sql).await, at_record(12, Wrong::Changed));
}

async fn an_edited_hash_is_named(database: TestDatabase) {
    let sql = format!("update decisions set hash = '{BEGINNING}' where sequence in (6, 12)");
    assert_eq!(after(&database, &sql).await, at_record(6, Wrong::Hash));
}

async fn an_edited_column_is_named(database: TestDatabase) {
    let sql = "update decisions set token_id = 'another', reason = 'x' where sequence = 5";
    assert_eq!(after(&database, sql).await, at_record(5, Wrong::Columns(vec!["reason", "token_id"])));
    for column in ["tenant = 'x'", "user_id = null", "project_id = 'x'", "path = 'x'", "status = 70000"] {
        let sql = format!("update decisions set {column} where sequence = 4");
        database.execute(&sql).await.unwrap();
        let name = column.split(' ').next().unwrap();
        let Some(Misfit { sequence: 4, wrong: Wrong::Columns(names), .. }) = look(&database).await.misfit
        else {
            panic!("{column}")
        };
        assert!(names.contains(&name), "{names:?}");
    }
}

async fn a_record_deleted_in_the_middle_is_named(database: TestDatabase) {
    let sql = "delete from decisions where sequence in (6, 7, 9)";
    assert_eq!(after(&database, sql).await, absent(6, Wrong::Missing { through: 7 }));
}

async fn records_deleted_at_the_end_are_named(database: TestDatabase) {
    let sql = "delete from decisions where sequence > 10";
    assert_eq!(after(&database, sql).await, absent(11, Wrong::CutOff { end: 12 }));
}

async fn two_swapped_records_are_found_at_the_first(database: TestDatabase) {
    let sql = "update decisions set sequence = 100 where sequence = 5; \
               update decisions set sequence = 5 where sequence = 8; \
               update decisions set sequence = 8 where sequence = 100";
    let misfit = after(&database, sql).await;
    assert_eq!((misfit.sequence, misfit.wrong), (5, Wrong::Order));
    // It is told which decision stands there now.
    assert_eq!(misfit.decision_id, Some(id(8).to_string()));
}

async fn an_inserted_record_is_found(database: TestDatabase) {
    let copy = |sequence: u32| {
        format!(
            "insert into decisions select {sequence}, decision_id, tenant, time_millis, face, allow, status, reason, \
             token_id, user_id, project_id, upstream_id, method, path, record, hash from decisions where sequence = 3"
        )
    };
    let mut expected = at_record(3, Wrong::BeyondTheEnd);
    expected.sequence = 13;
    assert_eq!(after(&database, &copy(13)).await, expected);
    // In the middle the others must make room.
    let sql = format!(
        "delete from decisions where sequence = 13; update decisions set sequence = sequence + 1000 where sequence > 6; \
         update decisions set sequence = sequence - 999 where sequence > 1000; {}; \
         update decision_log_head set sequence = 13",
        copy(7)
    );
    database.execute(&sql).await.unwrap();
    let misfit = look(&database).await.misfit.unwrap();
    assert_eq!((misfit.sequence, misfit.wrong), (7, Wrong::Order));
}

async fn a_forged_end_is_found(database: TestDatabase) {
    let sql = format!("update decision_log_head set hash = '{BEGINNING}'");
    assert_eq!(after(&database, &sql).await, at_record(12, Wrong::End));
    // An end before the last record.
    let sql = "update decision_log_head set (sequence, hash) = (select sequence, hash from decisions where sequence = 9)";
    database.execute(sql).await.unwrap();
    assert_eq!(look(&database).await.misfit, Some(at_record(10, Wrong::BeyondTheEnd)));
}

async fn what_was_pruned_is_no_misfit(database: TestDatabase) {
    ship(&database.store, (1..=12).map(record)).await;
    let head = look(&database).await.head;
    database.store.prune_decisions(at(6), 100, at(50)).await.unwrap();
    let heads = format!("12 {}\n4 {}", head.hash, head.hash);
    let verified = look_with(&database, &heads).await;
    assert_eq!((verified.records, verified.anchor.sequence), (7, 5));
    // What was noted of the fourth can be compared with nothing.
    assert_eq!((verified.noted, verified.noted_gone), (1, 1));
    assert_eq!((verified.pruned_at, verified.misfit), (Some(at(50)), None));
    // All that was noted is gone, and so nothing tells this chain from another.
    let verified = look_with(&database, &format!("3 {0}\n4 {0}", head.hash)).await;
    assert_eq!(verified.misfit, Some(absent(4, Wrong::NotedGone)));
    ship(&database.store, [record(13)]).await;
    assert_eq!(look(&database).await.records, 8);
}

async fn a_forged_anchor_is_found(database: TestDatabase) {
    ship(&database.store, (1..=12).map(record)).await;
    let honest = look(&database).await;
    database.store.prune_decisions(at(6), 100, at(50)).await.unwrap();
    let anchor = |sequence: u64, hash: &str| {
        format!("update decision_log_anchor set sequence = {sequence}, hash = '{hash}'")
    };
    let pruned = look(&database).await.anchor;
    for (sequence, hash, expected) in [
        (5, BEGINNING, at_record(6, Wrong::Beginning)),
        (3, &*pruned.hash, absent(4, Wrong::Missing { through: 5 })),
        (7, &*pruned.hash, at_record(6, Wrong::BeforeTheBeginning)),
        (0, &*pruned.hash, absent(0, Wrong::Beginning)),
        (0, BEGINNING, absent(1, Wrong::Missing { through: 5 })),
    ] {
        database.execute(&anchor(sequence, hash)).await.unwrap();
        assert_eq!(look(&database).await.misfit, Some(expected), "{sequence}");
    }
    // A note of the very place tells as well.
    database.execute(&anchor(5, &pruned.hash)).await.unwrap();
    let misfit = look_with(&database, &format!("5 {}", honest.head.hash)).await.misfit;
    assert_eq!(misfit, Some(absent(5, Wrong::Noted)));
}

async fn a_log_of_which_all_is_gone_does_not_fit(database: TestDatabase) {
    assert_eq!(after(&database, "delete from decisions").await, absent(1, Wrong::CutOff { end: 12 }));
    // As if retention had taken all, which it never does.
    let sql =
        "update decision_log_anchor set (sequence, hash) = (select sequence, hash from decision_log_head)";
    database.execute(sql).await.unwrap();
    assert_eq!(look(&database).await.misfit, Some(absent(12, Wrong::CutOff { end: 12 })));
}

/// Makes all hashes anew, as somebody could who can write to the database.
async fn make_anew(database: &TestDatabase) {
    let part = database.store.walk_decisions(0, 1_000).await.unwrap();
    let mut last = part.anchor;
    for row in part.rows {
        last.hash = link(&last.hash, row.sequence, &row.record);
        last.sequence = row.sequence;
        let sql = format!("update decisions set hash = '{}' where sequence = {}", last.hash, last.sequence);
        database.execute(&sql).await.unwrap();
    }
    let sql = format!("update decision_log_head set sequence = {}, hash = '{}'", last.sequence, last.hash);
    database.execute(&sql).await.unwrap();
}

async fn a_chain_made_anew_is_found_where_an_end_was_noted(database: TestDatabase) {
    ship(&database.store, (1..=8).map(record)).await;
    let early = look(&database).await.head;
    ship(&database.store, (9..=12).map(record)).await;
    let late = look(&database).await.head;
    let heads = format!("{} {}\n{} {}\n", early.sequence, early.hash, late.sequence, late.hash);
    assert_eq!(look_with(&database, &heads).await.noted, 2);
    let sql = "update decisions set record = replace(record, '10.0.0.1', '10.0.0.2') where sequence = 3";
    database.execute(sql).await.unwrap();
    make_anew(&database).await;
    assert_eq!(look(&database).await.misfit, None, "nothing in the database tells");
    assert_eq!(look_with(&database, &heads).await.misfit, Some(at_record(8, Wrong::Noted)));
}

async fn a_log_that_was_cut_short_with_its_end_is_found_where_it_was_noted(database: TestDatabase) {
    ship(&database.store, (1..=12).map(record)).await;
    let head = look(&database).await.head;
    database.execute("delete from decisions where sequence > 10").await.unwrap();
    make_anew(&database).await;
    assert_eq!(look(&database).await.misfit, None, "nothing in the database tells");
    let misfit = look_with(&database, &format!("12 {}", head.hash)).await.misfit;
    assert_eq!(misfit, Some(absent(12, Wrong::NotedBeyondTheEnd)));
}

async fn a_missing_row_of_the_ends_is_a_misfit(database: TestDatabase) {
    let misfit = after(&database, "delete from decision_log_head").await;
    assert!(matches!(misfit.wrong, Wrong::Unreadable(_)), "{misfit:?}");
}

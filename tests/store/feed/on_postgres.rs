//! What only Postgres can do to the feed.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::{ConnectOptions, Fact, LostBecause, Replica, Since, TestDatabase, found, hash, token};

#[tokio::test]
async fn copy_and_truncate_are_followed() {
    let database = TestDatabase::postgres().await;
    let mut replica = Replica::load(&database).await;
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let mut copy = connection.copy_in_raw("copy users (id) from stdin").await.unwrap();
    copy.send("u1\nu2\nu3\n".as_bytes()).await.unwrap();
    copy.finish().await.unwrap();
    assert_eq!(replica.follow(&database).await, 1);
    database.execute("truncate users cascade").await.unwrap();
    assert!(matches!(replica.step().await, Since::Lost(_)));
    assert_eq!(Replica::load(&database).await.facts.len(), 1);
}

/// Triggers that are switched off for replication count all the same, and who may write the tables
/// needs no right to regate's own, nor can it stand in for them.
#[tokio::test]
async fn nobody_writes_past_the_triggers() {
    let database = TestDatabase::postgres().await;
    database.execute(super::ROWS).await.unwrap();
    let mut replica = Replica::load(&database).await;
    database.execute("set session_replication_role = replica; delete from grants; update users set role = 'admin'; reset session_replication_role").await.unwrap();
    assert_eq!(replica.follow(&database).await, 1);
    let name = database.url.rsplit('/').next().unwrap();
    let writer = format!("writer_of_{name}");
    let sql =
        format!("create role {writer} login; grant insert, update, delete, select on users to {writer}");
    database.execute(&sql).await.unwrap();
    let url = database.url.replace("regate:never-shown@", &format!("{writer}@"));
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection
        .execute("create temp table data_changes (id int, revision bigint, changed text, keys jsonb, follows uuid); create temp table data_revision (revision bigint, mark uuid)")
        .await
        .unwrap();
    connection.execute("insert into users (id) values ('u9')").await.unwrap();
    assert_eq!(replica.follow(&database).await, 1);
    assert!(
        connection
            .execute("delete from data_revision where false; select * from public.data_changes")
            .await
            .is_err()
    );
}

/// Whoever may connect may make triggers of its own; none of them may run what runs with the owner's rights.
#[tokio::test]
async fn nobody_puts_the_functions_of_the_triggers_to_use() {
    let database = TestDatabase::postgres().await;
    let name = database.url.rsplit('/').next().unwrap();
    let lowly = format!("lowly_of_{name}");
    database.execute(&format!("create role {lowly} login")).await.unwrap();
    let url = database.url.replace("regate:never-shown@", &format!("{lowly}@"));
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection
        .execute("create temp table users (id text); create temp table data_changes (id int)")
        .await
        .unwrap();
    for function in ["note_data_change", "take_data_revision"] {
        let sql = format!(
            "create trigger t after insert on users for each statement execute function {function}('x', 'y')"
        );
        let error = connection.execute(AssertSqlSafe(sql)).await.unwrap_err().to_string();
        assert!(error.contains("permission denied"), "{error}");
    }
    let safe = database
        .text("select string_agg(array_to_string(proconfig, ','), ';') from pg_proc where proname in ('note_data_change', 'take_data_revision')")
        .await;
    assert_eq!(safe, "search_path=pg_catalog, public, pg_temp;search_path=pg_catalog, public, pg_temp");
    // Nor does the owner by mistake.
    database.execute("create table mine (id text); create trigger t after insert on mine referencing new table as new_rows for each statement execute function note_data_change('id', 'id')").await.unwrap();
    let error = database.execute("insert into mine values ('x')").await.unwrap_err().to_string();
    assert!(error.contains("for the tables of decision data"), "{error}");
}

#[tokio::test]
async fn what_changes_tables_without_a_trigger_is_noticed() {
    for (sql, expected) in [
        ("alter table users alter column disabled type boolean using true", Ok(())),
        (
            "create table rebuilt (like users including all); alter table users rename to old; alter table rebuilt rename to users",
            Err("incomplete"),
        ),
        ("alter table users disable trigger note_update", Err("incomplete")),
        (
            "create table base (disabled boolean not null); alter table users inherit base; update base set disabled = true",
            Err("incomplete"),
        ),
        ("drop function note_data_change cascade", Err("failed")),
    ] {
        let database = TestDatabase::postgres().await;
        database.execute(super::ROWS).await.unwrap();
        let mut replica = Replica::load(&database).await;
        database.execute(sql).await.unwrap();
        match (found(&mut replica).await, expected) {
            (Ok(since), Ok(())) => assert_eq!(since, Since::Lost(LostBecause::TablesChanged), "{sql}"),
            (Err(error), Err(code)) => assert_eq!(error.code(), code, "{sql}"),
            (other, _) => panic!("{sql}: {other:?}"),
        }
    }
    // Rows of a table that inherits from ours are nobody's.
    let database = TestDatabase::postgres().await;
    let mut replica = Replica::load(&database).await;
    database
        .execute("create table more () inherits (users); insert into more (id) values ('u7')")
        .await
        .unwrap();
    database.execute("insert into users (id) values ('u8')").await.unwrap();
    replica.follow(&database).await;
    assert_eq!(replica.facts.values().filter(|fact| matches!(fact, Fact::User(_))).count(), 1);
}

/// Who holds the row of the revision and does nothing keeps others from writing, and they learn of it.
#[tokio::test]
async fn a_write_that_another_holds_up_says_so() {
    let database = TestDatabase::postgres().await;
    database.execute(&format!("{} {}", super::ROWS, token(1, "u1"))).await.unwrap();
    let mut idle = PgConnection::connect(&database.url).await.unwrap();
    idle.execute("begin; insert into users (id) values ('x'); set constraints all immediate").await.unwrap();
    let options = ConnectOptions {
        acquire_timeout: std::time::Duration::from_millis(300),
        ..ConnectOptions::default()
    };
    let store = regate::store::connect(&database.url, options).await.unwrap();
    let now = regate::types::Timestamp::from_unix_seconds(5);
    let error = store.revoke_token("t1", None, now).await.unwrap_err();
    assert_eq!(error.code(), "locked");
    idle.execute("rollback").await.unwrap();
    assert!(store.revoke_token("t1", None, now).await.unwrap().changed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_databases_default_isolation_does_not_matter() {
    let database = TestDatabase::postgres().await;
    let name = database.url.rsplit('/').next().unwrap();
    database
        .execute(&format!("alter database {name} set default_transaction_isolation = 'serializable'"))
        .await
        .unwrap();
    let store = regate::store::connect(&database.url, ConnectOptions::default()).await.unwrap();
    let document = |n: u32| format!(r#"{{"users": [{{"id": "u{n}"}}]}}"#);
    let imports: Vec<_> = (0..8)
        .map(|n| {
            let store = store.clone();
            let document =
                regate::store::import::check(&regate::store::import::parse(document(n).as_bytes()).unwrap())
                    .unwrap();
            tokio::spawn(async move { store.import(&document, &mut |_| {}).await })
        })
        .collect();
    for import in imports {
        import.await.unwrap().unwrap();
    }
}

/// What regate gave up waiting for does not wait on in the database.
#[tokio::test]
async fn given_up_questions_do_not_pile_up() {
    let database = TestDatabase::postgres().await;
    let mut replica = Replica::load(&database).await;
    let mut holder = PgConnection::connect(&database.url).await.unwrap();
    holder.execute("begin; lock table data_revision in access exclusive mode").await.unwrap();
    let waiting = "select count(*)::text from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    for _ in 0..3 {
        let mut sink = |_| {};
        let asking = replica.feed.changes_since(&replica.position, &mut sink);
        let _ = tokio::time::timeout(std::time::Duration::from_millis(200), asking).await;
        replica.feed.disconnect();
    }
    let begun = std::time::Instant::now();
    while database.text(waiting).await != "0" {
        assert!(begun.elapsed().as_secs() < 20, "they wait on");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    holder.execute("rollback").await.unwrap();
    assert_eq!(replica.step().await, Since::Nothing);
}

/// Many writers, each with several statements and a pause of its own before its commit, over rows that
/// they share: the order of their statements says nothing about that of their commits. One reader
/// follows as fast as it can, and must see every revision's rows; another compares at the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_commit_is_missed_however_they_overlap() {
    const WRITERS: u32 = 12;
    const TRANSACTIONS: u32 = 25;
    let database = Arc::new(TestDatabase::postgres().await);
    database.execute(super::ROWS).await.unwrap();
    let mut replica = Replica::load(&database).await;
    let begun = replica.position.revision.0;
    let done = Arc::new(AtomicBool::new(false));
    let following = tokio::spawn({
        let done = Arc::clone(&done);
        async move {
            let mut seen = Vec::new();
            loop {
                // In this order: what was committed before the last look is seen by it.
                let last = done.load(Ordering::SeqCst);
                match replica.step().await {
                    Since::Advanced(position) => seen.push(position.revision.0),
                    Since::Nothing if last => return (replica, seen),
                    Since::Nothing => {}
                    lost @ Since::Lost(_) => panic!("{lost:?}"),
                }
            }
        }
    });
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let url = database.url.clone();
            tokio::spawn(async move {
                let mut connection = PgConnection::connect(&url).await.unwrap();
                for round in 0..TRANSACTIONS {
                    let number = 1_000 + writer * TRANSACTIONS + round;
                    // Shared rows in one order, as any writer must who does not want to deadlock by itself;
                    // the revision must not add a deadlock of its own.
                    let sql = format!(
                        "begin; {} select pg_sleep({} / 1000.0);
                         update collaborators set role = '{}' where project_id = 'p1' and user_id = 'u1';
                         insert into users (id) values ('w{writer}-{round}');
                         update collaborators set role = '{}' where project_id = 'p2' and user_id = 'u1';
                         {} commit;",
                        token(number, "u1"),
                        (writer * 7 + round * 13) % 10,
                        ["owner", "viewer"][(round % 2) as usize],
                        ["developer", "viewer"][(writer % 2) as usize],
                        if round % 5 == 0 {
                            format!("delete from tokens where id = 't{number}';")
                        } else {
                            String::new()
                        },
                    );
                    if let Err(error) = connection.execute(AssertSqlSafe(sql)).await {
                        panic!("writer {writer}, round {round}: {error}");
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    let (replica, seen) = following.await.unwrap();
    assert!(seen.is_sorted());
    assert!(seen.len() > 20, "the reader did not keep up: {}", seen.len());
    assert_eq!(replica.position.revision.0 - begun, u64::from(WRITERS * TRANSACTIONS));
    replica.check(&database).await;
    // Without gaps, each of one transaction.
    let numbers = database
        .text("select count(distinct revision) || ' ' || max(revision) - min(revision) + 1 from data_changes where keys::text like '%sha256%'")
        .await;
    let count = WRITERS * TRANSACTIONS;
    assert_eq!(numbers, format!("{count} {count}"));
}

/// The number is taken at the commit, so a writer that has changed rows and waits for others' rows
/// holds nothing that they wait for.
#[tokio::test]
async fn an_open_transaction_holds_nobody_up() {
    let database = TestDatabase::postgres().await;
    database.execute(super::ROWS).await.unwrap();
    let mut replica = Replica::load(&database).await;
    let mut open = PgConnection::connect(&database.url).await.unwrap();
    open.execute("begin; update users set role = 'admin' where id = 'u2'").await.unwrap();
    database.execute("update users set role = 'viewer' where id = 'u3'").await.unwrap();
    assert_eq!(replica.follow(&database).await, 1);
    // Taken early on demand, it is still one revision a transaction with what was changed before.
    open.execute("set constraints all immediate").await.unwrap();
    open.execute("commit").await.unwrap();
    assert_eq!(replica.follow(&database).await, 1);
}

/// With a number that is taken early, the first writer would hold it and wait for the second's own row,
/// and the second would wait for the number.
#[tokio::test]
async fn writers_that_lock_rows_of_their_own_do_not_deadlock_over_the_revision() {
    let database = TestDatabase::postgres().await;
    database.execute(super::ROWS).await.unwrap();
    database
        .execute("create table orders (id int, total int); insert into orders values (1, 0)")
        .await
        .unwrap();
    let mut replica = Replica::load(&database).await;
    let mut first = PgConnection::connect(&database.url).await.unwrap();
    let mut second = PgConnection::connect(&database.url).await.unwrap();
    first.execute("begin; update users set role = 'admin' where id = 'u2'").await.unwrap();
    second.execute("begin; update orders set total = 2 where id = 1").await.unwrap();
    let first =
        tokio::spawn(async move { first.execute("update orders set total = 1 where id = 1; commit").await });
    while database.text("select count(*)::text from pg_locks where not granted").await == "0" {
        tokio::task::yield_now().await;
    }
    second.execute("insert into users (id) values ('u8'); commit").await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(replica.follow(&database).await, 2);
}

#[tokio::test]
async fn a_hint_comes_with_the_commit() {
    let database = TestDatabase::postgres().await;
    let mut replica = Replica::load(&database).await;
    database.execute(&format!("{} {}", super::ROWS, token(1, "u1"))).await.unwrap();
    let hints = replica.feed.hint().await.unwrap();
    assert_eq!(hints, [regate::store::Hint::Data]);
    assert_eq!(replica.follow(&database).await, 1);
    assert!(
        replica
            .facts
            .values()
            .any(|fact| matches!(fact, Fact::Token(token) if token.sha256.to_string() == hash(1)))
    );
}

#[tokio::test]
async fn a_listener_url_that_leads_nowhere_is_an_error() {
    let database = TestDatabase::postgres().await;
    let options = ConnectOptions {
        listener_url: Some(regate::types::SecretText::new("postgres://u:never-shown@127.0.0.1:1/x".into())),
        acquire_timeout: std::time::Duration::from_secs(1),
        ..ConnectOptions::default()
    };
    let store = regate::store::connect(&database.url, options).await.unwrap();
    let error = store.feed(&[]).load(&mut |_| {}).await.unwrap_err();
    assert_eq!(error.code(), "unavailable");
    assert!(!format!("{error:?}").contains("never-shown"));
}

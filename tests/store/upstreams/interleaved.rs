//! Two transactions of other programs, each in the middle of the other, on Postgres: B7 and B8.

use regate::{
    decision::facts::CredentialState::{self, Active, Orphaned},
    store::upstreams::UpstreamChange,
};
use sqlx::{Connection, Executor, PgConnection};

use super::{TestDatabase, credential, of_token, tenant};

/// A grant of `a1` for `x`, with what it holds there.
async fn scene() -> (TestDatabase, PgConnection) {
    let database = TestDatabase::postgres().await;
    database.with_upstreams().await;
    database.grant("a1", ["x", "y"]).await;
    let other = PgConnection::connect(&database.url).await.unwrap();
    (database, other)
}

async fn until_somebody_waits(database: &TestDatabase) {
    let begun = std::time::Instant::now();
    let waiting = "select count(*)::text from pg_locks where not granted and database = \
                   (select oid from pg_database where datname = current_database()) or locktype = 'transactionid' and not granted";
    while database.text(waiting).await == "0" {
        assert!(begun.elapsed().as_secs() < 60, "nobody waits");
        tokio::task::yield_now().await;
    }
}

/// The first has changed something and not committed; the second comes in between, and has to wait.
async fn second_waits(before: &str, first: &str, second: &str, expected: CredentialState) {
    let (database, mut one) = scene().await;
    database.give(of_token("a1", "x")).await;
    database.execute(before).await.unwrap();
    let mut two = PgConnection::connect(&database.url).await.unwrap();
    one.execute(sqlx::AssertSqlSafe(format!("begin; {first}"))).await.unwrap();
    let second_sql = second.to_owned();
    let waiting = tokio::spawn(async move { two.execute(sqlx::AssertSqlSafe(second_sql)).await });
    until_somebody_waits(&database).await;
    one.execute("commit").await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(database.state(&of_token("a1", "x")).await, expected, "{first} / {second}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_the_second_sees_what_the_first_has_done() {
    let ungrant = "delete from grants where token_id = 'a1' and upstream_id = 'x'";
    let grant = "insert into grants (tenant, token_id, upstream_id) values ('a', 'a1', 'x')";
    let mark =
        |mark: u8| format!("update upstreams set allow_all = (1 = {mark}) where tenant = 'a' and id = 'x'");
    second_waits("", ungrant, &mark(1), Active).await;
    second_waits("", &mark(1), ungrant, Active).await;
    second_waits(&mark(1), ungrant, &mark(0), Orphaned).await;
    second_waits(&mark(1), &mark(0), ungrant, Orphaned).await;
    let both = format!("{ungrant}; {}", mark(1));
    second_waits(&both, &mark(0), grant, Active).await;
    second_waits(&both, grant, &mark(0), Active).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_a_credential_that_is_stored_while_the_grant_goes_is_orphaned() {
    let (database, mut one) = scene().await;
    one.execute("begin; delete from grants where token_id = 'a1' and upstream_id = 'x'").await.unwrap();
    let store = database.store.clone();
    let storing = tokio::spawn(async move { store.put_credential(&credential(of_token("a1", "x"))).await });
    until_somebody_waits(&database).await;
    one.execute("commit").await.unwrap();
    assert_eq!(storing.await.unwrap().unwrap().state, Orphaned);
    // The other way round: it is stored, and not committed.
    database.grant("a1", ["x"]).await;
    database.store.remove_credential(&of_token("a1", "x")).await.unwrap();
    one.execute(
        "begin; select from upstreams where tenant = 'a' and id = 'x' for no key update;
         insert into upstream_credentials (tenant, upstream_id, holder, holder_id, token_id, key_id, sealed)
         values ('a', 'x', 'token', 'a1', 'a1', '0123456789abcdef', 'AAAA')",
    )
    .await
    .unwrap();
    let store = database.store.clone();
    let ungranting = tokio::spawn(async move {
        store.set_token_grants(&tenant("a"), "a1", &super::ids([]), super::at(0)).await
    });
    until_somebody_waits(&database).await;
    one.execute("commit").await.unwrap();
    assert!(ungranting.await.unwrap().unwrap().changed);
    assert_eq!(database.state(&of_token("a1", "x")).await, Orphaned);
}

/// Of one token on two upstreams nobody waits for anybody.
#[tokio::test]
async fn b8_changes_for_different_upstreams_do_not_wait_for_each_other() {
    let (database, mut one) = scene().await;
    for upstream in ["x", "y"] {
        database.give(of_token("a1", upstream)).await;
    }
    one.execute("begin; delete from grants where token_id = 'a1' and upstream_id = 'x'").await.unwrap();
    let second = "set lock_timeout = '10s'; delete from grants where token_id = 'a1' and upstream_id = 'y'";
    database.execute(second).await.unwrap();
    assert_eq!(database.state(&of_token("a1", "x")).await, Active);
    assert_eq!(database.state(&of_token("a1", "y")).await, Orphaned);
    one.execute("commit").await.unwrap();
    for upstream in ["x", "y"] {
        assert_eq!(database.state(&of_token("a1", upstream)).await, Orphaned);
    }
}

/// A transaction that keeps seeing the old state cannot reconcile by it.
#[tokio::test]
async fn b8_who_sees_an_old_state_is_told_to_do_it_again() {
    for level in ["repeatable read", "serializable"] {
        let (database, mut one) = scene().await;
        let open = UpstreamChange { allow_all: Some(true), ..UpstreamChange::default() };
        database.change("x", open).await;
        database.give(of_token("a1", "x")).await;
        let begin = format!("begin isolation level {level}; select from grants");
        one.execute(sqlx::AssertSqlSafe(begin)).await.unwrap();
        database.execute("delete from grants").await.unwrap();
        let error =
            one.execute("update upstreams set allow_all = false where id = 'x'; commit").await.unwrap_err();
        let code = error.as_database_error().and_then(|error| error.code().map(|code| code.to_string()));
        assert_eq!(code.as_deref(), Some("40001"), "{level}");
        one.execute("rollback").await.unwrap();
        one.execute("update upstreams set allow_all = false where id = 'x'").await.unwrap();
        assert_eq!(database.state(&of_token("a1", "x")).await, Orphaned);
    }
}

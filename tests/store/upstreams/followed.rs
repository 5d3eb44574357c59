//! Credentials as part of what decisions follow: the feed, what guards the triggers, who may use their functions.

use regate::{
    decision::facts::{CredentialState, Fact},
    store::Since,
    types::Holder,
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::{TestDatabase, of, of_token, of_user, on_both_databases};
use crate::store::feed::{Replica, found};

on_both_databases![
    every_change_of_a_credential_is_handed_over,
    a_lost_grant_is_handed_over_with_what_it_did,
    a_key_that_nobody_could_have_noted_is_a_load,
];

async fn every_change_of_a_credential_is_handed_over(database: TestDatabase) {
    database.with_upstreams().await;
    let mut replica = Replica::load(&database).await;
    let mut follow = async || {
        assert!(matches!(replica.step().await, Since::Advanced(_)));
        replica.check(&database).await;
        replica.facts.values().filter(|fact| matches!(fact, Fact::Credential(_))).count()
    };
    database.give(of(Holder::Shared, "all")).await;
    assert_eq!(follow().await, 1);
    database.give(of_user("u1", "people")).await;
    database.give(of_token("a1", "x")).await;
    assert_eq!(follow().await, 3);
    for (sql, left) in [
        ("update upstream_credentials set sealed = 'AAAA', key_id = '0123456789abcdef'", 3),
        ("update upstream_credentials set upstream_id = 'y' where holder = 'token'", 3),
        ("update upstream_credentials set expires_at = '2026-01-01T00:00:00Z' where holder = 'shared'", 3),
        ("update upstreams set header = 'X-Key', pass_headers = '[\"accept\"]' where tenant = 'a'", 3),
        ("delete from upstream_credentials where holder = 'user'", 2),
        ("delete from users where tenant = 'a'", 1),
        ("delete from tenants where id = 'a'", 0),
    ] {
        database.execute(sql).await.unwrap();
        assert_eq!(follow().await, left, "{sql}");
    }
}

async fn a_lost_grant_is_handed_over_with_what_it_did(database: TestDatabase) {
    database.with_upstreams().await;
    database.grant("a1", ["x"]).await;
    database.give(of_token("a1", "x")).await;
    let mut replica = Replica::load(&database).await;
    database.grant("a1", []).await;
    let before = replica.position.revision.0;
    assert!(matches!(replica.step().await, Since::Advanced(_)));
    assert_eq!(replica.position.revision.0, before + 1);
    replica.check(&database).await;
    let orphaned = |fact: &Fact| matches!(fact, Fact::Credential(credential) if credential.state == CredentialState::Orphaned);
    assert!(replica.facts.values().any(orphaned));
    assert!(!replica.facts.values().any(|fact| matches!(fact, Fact::Grant(_))));
}

async fn a_key_that_nobody_could_have_noted_is_a_load(database: TestDatabase) {
    database.with_upstreams().await;
    database.give(of_user("u1", "people")).await;
    for (year, key) in [
        (2027, r#"{"tenant": "a", "upstream_id": "x", "holder": "group", "holder_id": "g"}"#),
        (2028, r#"{"tenant": "a", "upstream_id": "x", "holder": "user"}"#),
        (2029, r#"{"tenant": "a", "upstream_id": "x", "holder_id": "u1"}"#),
    ] {
        let mut replica = Replica::load(&database).await;
        let change = format!("update upstream_credentials set expires_at = '{year}-01-01T00:00:00Z'");
        database.execute(&change).await.unwrap();
        let last = "where revision = (select revision from data_revision)";
        database.execute(&format!("update data_changes set keys = '{key}' {last}")).await.unwrap();
        assert!(matches!(replica.step().await, Since::Lost(_)), "{key}");
    }
}

/// Without one of them a credential outlives its grant, so nothing is decided from what is stored.
#[tokio::test]
async fn a_reconciliation_that_is_switched_off_is_noticed() {
    for trigger in [
        "reconcile_token_credentials",
        "reconcile_upstream_credentials",
        "grants_reconcile_insert",
        "grants_reconcile_update",
        "grants_reconcile_delete",
        "upstreams_reconcile_insert",
        "upstreams_reconcile_update",
        "upstreams_reconcile_oauth",
        "tokens_reconcile_update",
        "forget_tenant_rows",
        "forget_user_rows",
        "forget_token_rows",
        "forget_upstream_rows",
        "tenants_reconcile_delete",
        "users_reconcile_insert",
        "users_reconcile_move",
        "users_reconcile_delete",
        "tokens_reconcile_insert",
        "tokens_reconcile_move",
        "tokens_reconcile_delete",
        "upstreams_reconcile_move",
        "upstreams_reconcile_delete",
        "upstream_credentials_update",
    ] {
        let database = TestDatabase::sqlite().await;
        database.execute(&format!("drop trigger {trigger}")).await.unwrap();
        let refused = database.store.feed(&[]).load(&mut |_| {}).await.unwrap_err();
        assert_eq!(refused.code(), "incomplete", "{trigger}");
    }
    let database = TestDatabase::postgres().await;
    let mut replica = Replica::load(&database).await;
    for (table, trigger) in [
        ("grants", "reconcile_insert"),
        ("grants", "reconcile_update"),
        ("grants", "reconcile_delete"),
        ("grants", "reconcile_truncate"),
        ("upstreams", "reconcile_update"),
        ("tokens", "reconcile_update"),
        ("upstream_credentials", "note_update"),
    ] {
        database.execute(&format!("alter table {table} disable trigger {trigger}")).await.unwrap();
        let refused = database.store.feed(&[]).load(&mut |_| {}).await.unwrap_err();
        assert_eq!(refused.code(), "incomplete", "{table} {trigger}");
        database.execute(&format!("alter table {table} enable always trigger {trigger}")).await.unwrap();
    }
    // Who follows finds out as well; and so does who meets another function under the same name.
    database
        .execute(
            "drop trigger reconcile_update on upstreams;
             create function nothing() returns trigger language plpgsql as 'begin return null; end';
             create trigger reconcile_update after update on upstreams for each statement execute function nothing()",
        )
        .await
        .unwrap();
    assert_eq!(found(&mut replica).await.unwrap_err().code(), "incomplete");
}

#[tokio::test]
async fn copy_truncate_and_replication_reconcile() {
    let database = TestDatabase::postgres().await;
    database.with_upstreams().await;
    for token in ["a1", "a2"] {
        database.give(of_token(token, "x")).await;
    }
    let states =
        async || [database.state(&of_token("a1", "x")).await, database.state(&of_token("a2", "x")).await];
    use CredentialState::{Active, Orphaned};
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let mut copy =
        connection.copy_in_raw("copy grants (tenant, token_id, upstream_id) from stdin").await.unwrap();
    copy.send("a\ta1\tx\na\ta2\tx\na\ta2\ty\n".as_bytes()).await.unwrap();
    copy.finish().await.unwrap();
    assert_eq!(states().await, [Active, Active]);
    database.begin("f", of_token("a1", "x")).await;
    database.execute("truncate grants").await.unwrap();
    assert_eq!(states().await, [Orphaned, Orphaned]);
    assert!(!database.has_flow("f").await);
    database
        .execute(
            "set session_replication_role = replica;
             insert into grants (tenant, token_id, upstream_id) values ('a', 'a1', 'x');
             reset session_replication_role",
        )
        .await
        .unwrap();
    assert_eq!(states().await, [Active, Orphaned]);
    database.execute("truncate upstream_credentials").await.unwrap();
    assert!(database.seen().await.is_empty());
    database.execute("truncate tokens cascade").await.unwrap();
    database.execute("truncate upstreams cascade").await.unwrap();
}

/// Who may write grants needs no right to credentials, and puts the functions to no use of its own.
#[tokio::test]
async fn nobody_needs_a_right_to_credentials_nor_gets_one() {
    let database = TestDatabase::postgres().await;
    database.with_upstreams().await;
    database.give(of_token("a1", "x")).await;
    let writer = format!("granter_of_{}", database.url.rsplit('/').next().unwrap());
    let sql = format!("create role {writer} login; grant insert, delete, select on grants to {writer}");
    database.execute(&sql).await.unwrap();
    let url = database.url.replace("regate:never-shown@", &format!("{writer}@"));
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection
        .execute("create temp table token_reach (tenant text, token_id text, upstream_id text); create temp table upstreams (tenant text, id text); create temp table upstream_credentials (state text)")
        .await
        .unwrap();
    connection
        .execute("insert into grants (tenant, token_id, upstream_id) values ('a', 'a1', 'x')")
        .await
        .unwrap();
    assert_eq!(database.state(&of_token("a1", "x")).await, CredentialState::Active);
    connection.execute("delete from grants").await.unwrap();
    assert_eq!(database.state(&of_token("a1", "x")).await, CredentialState::Orphaned);
    for sql in [
        "select * from public.upstream_credentials",
        "select * from public.credential_flows",
        "select reconcile_credentials(array['a'], array['x'], null)",
        "create temp table mine (id text); create trigger t after insert on mine for each statement execute function reconcile_after_grants()",
        "create trigger t after insert on mine for each statement execute function reconcile_after_tokens()",
        "create trigger t after insert on mine for each statement execute function reconcile_after_upstreams()",
    ] {
        let refused = connection.execute(AssertSqlSafe(sql)).await.unwrap_err().to_string();
        assert!(
            refused.contains("permission denied") || refused.contains("does not exist"),
            "{sql}: {refused}"
        );
    }
    let safe = "select string_agg(distinct array_to_string(proconfig, ','), ';') || count(*) from pg_proc \
                where prosecdef and proname like 'reconcile%' or proname = 'note_data_change'";
    assert_eq!(database.text(safe).await, "search_path=pg_catalog, public, pg_temp5");
    // Nor does the owner by mistake.
    let sql = "create table mine (tenant text); create trigger t after insert on mine referencing new table as new_rows \
               for each statement execute function reconcile_after_grants(); insert into mine values ('a')";
    let refused = database.execute(sql).await.unwrap_err().to_string();
    assert!(refused.contains("is for the table of grants"), "{refused}");
}

//! What belongs to a user, a token or an upstream is nobody else's, whoever changes, removes or makes these rows.

use regate::{decision::facts::CredentialState::Active, types::Holder};

use super::{TestDatabase, hash, of, of_token, of_user, on_both_databases, sealed, tenant};

on_both_databases![a_token_that_becomes_another_users_has_nothing_of_the_first];

/// Something of each kind: for the user `u1`, the token `a1`, and everybody.
async fn scene(database: &TestDatabase) {
    database.execute("delete from tenants where id in ('a', 'b')").await.unwrap();
    database.with_upstreams().await;
    for token in ["a1", "a2"] {
        database.grant(token, ["x", "y"]).await;
        assert_eq!(database.give(of_token(token, "x")).await, Active);
        assert_eq!(database.give(of_token(token, "y")).await, Active);
        database.begin(token, of_token(token, "x")).await;
    }
    for user in ["u1", "u2"] {
        database.give(of_user(user, "people")).await;
        database.begin(user, of_user(user, "people")).await;
    }
    database.give(of(Holder::Shared, "all")).await;
    database.store.put_client_secret(&tenant("a"), "x", Some(&sealed("client"))).await.unwrap();
}

async fn a_token_that_becomes_another_users_has_nothing_of_the_first(database: TestDatabase) {
    let token = |user: &str| {
        let sha256 = hash(1);
        format!(
            r#"{{"tokens": [{{"id": "a1", "tenant": "a", "kind": "mcp", "name": "n"{user}, "sha256": "{sha256}"}}]}}"#
        )
    };
    for change in [
        &token(r#", "user_id": "u2""#),
        &token(""),
        "update tokens set user_id = 'u2' where id = 'a1'",
        "update tokens set user_id = null where id = 'a1'",
    ] {
        scene(&database).await;
        let before = database.revision().await;
        if change.starts_with('{') {
            database.import(change).await;
        } else {
            database.execute(change).await.unwrap();
        }
        assert!(database.revision().await > before, "{change}");
        let left = database.seen().await;
        assert!(left.iter().all(|it| it.holder != Holder::Token("a1".to_owned())), "{change}");
        assert_eq!(left.len(), 5, "{change}");
        assert!(!database.has_flow("a1").await && database.has_flow("a2").await, "{change}");
        // What it may reach is its own.
        assert_eq!(database.store.token_grants(&tenant("a"), "a1").await.unwrap().value, ["x", "y"]);
        assert_eq!(database.give(of_token("a1", "x")).await, Active);
    }
    // The same user again, and a token that had none.
    scene(&database).await;
    database.import(&token(r#", "user_id": "u1""#)).await;
    database.execute("update tokens set user_id = user_id, name = 'other'").await.unwrap();
    assert_eq!(database.seen().await.len(), 7);
    assert_eq!(database.give(of_token("a3", "x")).await, regate::decision::facts::CredentialState::Orphaned);
    database.execute("update tokens set user_id = 'u1' where id = 'a3'").await.unwrap();
    assert_eq!(database.seen().await.len(), 7);
}

/// What is there of these rows' belongings, by table.
const BELONGINGS: &str = "
    select 'credential ' || upstream_id || ' ' || holder || ' ' || holder_id from upstream_credentials where tenant = 'a'
    union all select 'flow ' || id from credential_flows where tenant = 'a'
    union all select 'secret ' || upstream_id from upstream_client_secrets where tenant = 'a'
    union all select 'grant ' || token_id || ' ' || upstream_id from grants where tenant = 'a'
    order by 1";

/// SQLite leaves it to each program whether foreign keys are in force; most leave them off.
#[tokio::test]
async fn a_row_of_the_same_id_inherits_nothing_where_foreign_keys_are_off() {
    let token = |id: &str, hashed: u32| {
        let sha256 = hash(hashed);
        format!(
            "into tokens (tenant, id, kind, name, user_id, sha256) values ('a', '{id}', 'mcp', 'n', 'u1', '{sha256}')"
        )
    };
    let of_u1 = ["credential people user u1", "flow u1"].as_slice();
    let of_a1 =
        ["credential x token a1", "credential y token a1", "flow a1", "grant a1 x", "grant a1 y"].as_slice();
    let of_x = [
        "credential x token a1",
        "credential x token a2",
        "flow a1",
        "flow a2",
        "grant a1 x",
        "grant a2 x",
        "secret x",
    ]
    .as_slice();
    let upstream =
        "into upstreams (tenant, id, url, credential) values ('a', 'x', 'https://x.example', 'per_token')";
    let user = "into users (tenant, id) values ('a', 'u1')";
    let database = TestDatabase::sqlite().await;
    for (change, gone) in [
        ("delete from users where tenant = 'a' and id = 'u1'".to_owned(), of_u1),
        (format!("insert or replace {user}"), of_u1),
        ("update or replace users set id = 'u1' where tenant = 'a' and id = 'free'".to_owned(), of_u1),
        ("delete from tokens where id = 'a1'".to_owned(), of_a1),
        (format!("insert or replace {}", token("a1", 1)), of_a1),
        // Another row of the same hash is put aside: the token that comes next under its id has nothing.
        (format!("insert or replace {}; insert {}", token("other", 1), token("a1", 77)), of_a1),
        ("update or replace tokens set id = 'a1' where id = 'a3'".to_owned(), of_a1),
        ("delete from upstreams where tenant = 'a' and id = 'x'".to_owned(), of_x),
        (format!("insert or replace {upstream}"), of_x),
        ("update or replace upstreams set id = 'x' where tenant = 'a' and id = 'plain'".to_owned(), of_x),
    ] {
        scene(&database).await;
        database.execute("insert into users (tenant, id) values ('a', 'free')").await.unwrap();
        let before = database.texts(BELONGINGS).await;
        database
            .execute(&format!("pragma foreign_keys = off; {change}; pragma foreign_keys = on"))
            .await
            .unwrap();
        let expected: Vec<_> = before.into_iter().filter(|line| !gone.contains(&line.as_str())).collect();
        assert_eq!(database.texts(BELONGINGS).await, expected, "{change}");
    }
    scene(&database).await;
    let off = "pragma foreign_keys = off; delete from tenants where id = 'a'; pragma foreign_keys = on";
    database.execute(off).await.unwrap();
    assert_eq!(database.texts(BELONGINGS).await, [""; 0]);
}

/// What regate writes over a row that is there takes nothing from it.
#[tokio::test]
async fn a_row_that_is_brought_up_to_date_keeps_what_belongs_to_it() {
    let database = TestDatabase::sqlite().await;
    scene(&database).await;
    let before = database.texts(BELONGINGS).await;
    database
        .import(&format!(
            r#"{{"tenants": [{{"id": "a"}}], "users": [{{"id": "u1", "tenant": "a", "role": "admin"}}],
                 "tokens": [{{"id": "a1", "tenant": "a", "kind": "mcp", "name": "new", "user_id": "u1", "sha256": "{}"}}],
                 "upstreams": [{{"id": "x", "tenant": "a", "url": "https://new.example", "credential": "per_token"}}]}}"#,
            hash(1)
        ))
        .await;
    database
        .execute(
            "insert or ignore into users (tenant, id) values ('a', 'u1');
             insert into users (tenant, id) values ('a', 'u1') on conflict do update set role = 'user'",
        )
        .await
        .unwrap();
    assert_eq!(database.texts(BELONGINGS).await, before);
}

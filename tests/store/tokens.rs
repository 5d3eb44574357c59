//! Tokens one at a time.

use std::collections::{BTreeMap, BTreeSet};

use regate::{
    decision::facts::Fact,
    store::{ConnectOptions, NewToken, StoreError, TokenFilter, TokenState},
    types::{DataRevision, TenantId, Timestamp, TokenKind},
};

use super::database::{TestDatabase, hash, on_both_databases};

on_both_databases![
    a_minted_token_is_listed_without_its_hash_and_loaded_with_it,
    a_token_that_collides_or_refers_nowhere_is_refused_and_says_which,
    a_list_is_filtered_and_paged,
    a_list_is_oldest_first_to_the_millisecond,
    revoking_is_soft_and_harmless_when_repeated,
    another_tenants_token_is_not_found,
    the_revision_moves_only_when_something_changed,
    minting_at_once_loses_no_revision,
];

const MINTED: Timestamp = Timestamp::from_unix_millis(1_700_000_000_123);

fn token(number: u32) -> NewToken {
    NewToken {
        id: format!("t{number}"),
        tenant: Some(TenantId::default_tenant()),
        kind: TokenKind::Mcp,
        name: "agent".into(),
        sha256: hash(number).parse().unwrap(),
        prefix: Some("rgt_mcp_abcd".into()),
        user_id: None,
        project_id: None,
        scope_pull: false,
        scope_push: false,
        projects: None,
        tools: None,
        expires_at: None,
        created_at: MINTED,
    }
}

fn tenant(id: &str) -> Option<TenantId> {
    Some(TenantId::try_from(id).unwrap())
}

async fn a_minted_token_is_listed_without_its_hash_and_loaded_with_it(database: TestDatabase) {
    database.import(r#"{"users": [{"id": "u"}], "projects": [{"id": "p"}]}"#).await;
    let expiry = Timestamp::from_unix_millis(1_800_000_000_999);
    let minted = NewToken {
        user_id: Some("u".into()),
        project_id: Some("p".into()),
        scope_pull: true,
        scope_push: true,
        projects: Some(BTreeMap::from([("p".into(), Some(expiry)), ("q".into(), None)])),
        tools: Some(vec!["search".into()]),
        expires_at: Some(expiry),
        ..token(1)
    };
    assert_eq!(database.store.mint_token(&minted, 20).await.unwrap(), DataRevision(2));

    let listed = database.store.list_tokens(&TokenFilter::default()).await.unwrap().value;
    let [row] = listed.as_slice() else { panic!("{listed:?}") };
    let projects = BTreeMap::from([("p".to_owned(), Some(1_800_000_000)), ("q".to_owned(), None)]);
    assert_eq!((row.id.as_str(), &row.tenant, row.kind), ("t1", &minted.tenant, TokenKind::Mcp));
    assert_eq!((row.name.as_str(), row.prefix.as_deref()), ("agent", Some("rgt_mcp_abcd")));
    assert_eq!((row.user_id.as_deref(), row.project_id.as_deref()), (Some("u"), Some("p")));
    assert_eq!((row.scope_pull, row.scope_push, row.allow_trigger), (true, true, false));
    assert_eq!(row.projects.as_ref(), Some(&projects));
    assert_eq!(row.tools.as_deref(), Some(["search".to_owned()].as_slice()));
    assert_eq!((row.created_at, row.expires_at), (MINTED, Some(expiry)));
    assert_eq!((row.revoked_at, row.last_used_at), (None, None));
    assert!(!format!("{row:?} {minted:?}").contains(&hash(1)));
    assert_eq!(row.state(Timestamp::from_unix_millis(1_799_999_999_999)), TokenState::Live);
    assert_eq!(row.state(Timestamp::from_unix_seconds(1_800_000_000)), TokenState::Expired);

    let (facts, _) = database.facts().await;
    let loaded = facts.iter().find_map(|fact| match fact {
        Fact::Token(token) => Some(token),
        _ => None,
    });
    let loaded = loaded.unwrap();
    assert_eq!(loaded.sha256, minted.sha256);
    assert_eq!((loaded.expires_at, &loaded.projects), (Some(1_800_000_000), &Some(projects)));
}

async fn a_token_that_collides_or_refers_nowhere_is_refused_and_says_which(database: TestDatabase) {
    database
        .import(r#"{"tenants": [{"id": "a"}], "users": [{"id": "ua", "tenant": "a"}], "projects": [{"id": "pa", "tenant": "a"}]}"#)
        .await;
    database.store.mint_token(&NewToken { tenant: tenant("a"), ..token(1) }, 20).await.unwrap();
    let mint = async |token: NewToken| database.store.mint_token(&token, 20).await.unwrap_err();

    let same_id = mint(NewToken { id: "t1".into(), ..token(2) }).await;
    assert!(matches!(same_id, StoreError::Duplicate { what: "token id" }), "{same_id:?}");
    let same_hash = mint(NewToken { sha256: token(1).sha256, ..token(2) }).await;
    assert!(matches!(same_hash, StoreError::Duplicate { what: "token hash" }), "{same_hash:?}");
    let no_tenant = mint(NewToken { tenant: tenant("b"), ..token(2) }).await;
    assert!(matches!(no_tenant, StoreError::UnknownReference { what: "tenant" }), "{no_tenant:?}");
    let no_user = mint(NewToken { user_id: Some("ua".into()), ..token(2) }).await;
    assert!(matches!(no_user, StoreError::UnknownReference { what: "user" }), "{no_user:?}");
    let no_project = mint(NewToken { project_id: Some("pa".into()), ..token(2) }).await;
    assert!(matches!(no_project, StoreError::UnknownReference { what: "project" }), "{no_project:?}");

    for (rule, broken) in [
        ("tokens_global_needs_a_user", NewToken { kind: TokenKind::Global, ..token(2) }),
        ("tokens_project_needs_a_project", NewToken { kind: TokenKind::Project, ..token(2) }),
        ("tokens_only_a_gateway_has_no_tenant", NewToken { tenant: None, ..token(2) }),
        ("tokens_name_has_1_to_128_characters", NewToken { name: String::new(), ..token(2) }),
    ] {
        let error = mint(broken).await;
        assert!(matches!(&error, StoreError::Rejected { rule: named } if named == rule), "{error:?}");
        // The database's own error holds the whole row that it refused.
        assert!(!format!("{error} {error:?}").contains(&hash(2)), "{error:?}");
    }
    assert_eq!(database.revision().await, 2);
    let gateway = NewToken { kind: TokenKind::Gateway, tenant: None, ..token(2) };
    assert_eq!(database.store.mint_token(&gateway, 20).await.unwrap(), DataRevision(3));
}

async fn a_list_is_oldest_first_to_the_millisecond(database: TestDatabase) {
    for (number, millis) in [(1, 178), (2, 170), (3, 17), (4, 1_000), (5, 100)] {
        let created_at = Timestamp::from_unix_millis(1_700_000_000_000 + millis);
        let token = NewToken { created_at, kind: TokenKind::Admin, ..token(number) };
        database.store.mint_token(&token, 20).await.unwrap();
    }
    let list = async |after: Option<&str>| {
        let filter = TokenFilter { after: after.map(str::to_owned), ..TokenFilter::default() };
        let rows = database.store.list_tokens(&filter).await.unwrap().value;
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(list(None).await, ["t3", "t5", "t2", "t1", "t4"]);
    assert_eq!(list(Some("t2")).await, ["t1", "t4"]);
}

async fn a_list_is_filtered_and_paged(database: TestDatabase) {
    database.import(r#"{"tenants": [{"id": "a"}], "users": [{"id": "u"}], "projects": [{"id": "p"}]}"#).await;
    // Oldest first; the ids of those made at the same moment decide among them.
    let made = |seconds: i64| Timestamp::from_unix_seconds(1_700_000_000 + seconds);
    for (number, seconds) in [(5, 0), (3, 1), (4, 1), (1, 2), (2, 3)] {
        database
            .store
            .mint_token(&NewToken { created_at: made(seconds), ..token(number) }, 20)
            .await
            .unwrap();
    }
    let other = NewToken { tenant: tenant("a"), kind: TokenKind::Admin, created_at: made(9), ..token(6) };
    database.store.mint_token(&other, 20).await.unwrap();
    let own = NewToken {
        user_id: Some("u".into()),
        project_id: Some("p".into()),
        created_at: made(10),
        ..token(7)
    };
    database.store.mint_token(&own, 20).await.unwrap();
    database.store.revoke_token("t4", None, made(20)).await.unwrap();

    let list = async |filter: TokenFilter| {
        let rows = database.store.list_tokens(&filter).await.unwrap().value;
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let all = TokenFilter::default();
    assert_eq!(list(all.clone()).await, ["t5", "t3", "t4", "t1", "t2", "t6", "t7"]);
    assert_eq!(
        list(TokenFilter { include_revoked: false, ..all.clone() }).await,
        ["t5", "t3", "t1", "t2", "t6", "t7"]
    );
    assert_eq!(list(TokenFilter { tenant: tenant("a"), ..all.clone() }).await, ["t6"]);
    assert_eq!(list(TokenFilter { kind: Some(TokenKind::Admin), ..all.clone() }).await, ["t6"]);
    assert_eq!(list(TokenFilter { user_id: Some("u".into()), ..all.clone() }).await, ["t7"]);
    assert_eq!(list(TokenFilter { project_id: Some("p".into()), ..all.clone() }).await, ["t7"]);
    assert_eq!(list(TokenFilter { user_id: Some("' or 1=1 --".into()), ..all.clone() }).await, [""; 0]);

    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = list(TokenFilter { limit: 2, after, ..all.clone() }).await;
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        pages.push(page.len());
    }
    assert_eq!(pages, [2, 2, 2, 1]);
    assert_eq!(
        list(TokenFilter { limit: 3, after: Some("t3".into()), ..all.clone() }).await,
        ["t4", "t1", "t2"]
    );
    let lost = database.store.list_tokens(&TokenFilter { after: Some("t404".into()), ..all }).await;
    assert!(matches!(lost, Err(StoreError::NotFound { what: "token" })), "{lost:?}");
}

async fn revoking_is_soft_and_harmless_when_repeated(database: TestDatabase) {
    database.store.mint_token(&token(1), 20).await.unwrap();
    let first = database.store.revoke_token("t1", None, Timestamp::from_unix_seconds(1_000)).await.unwrap();
    assert!(first.changed);
    assert_eq!((first.revision, first.revoked_at), (DataRevision(2), Timestamp::from_unix_seconds(1_000)));
    let second = database.store.revoke_token("t1", None, Timestamp::from_unix_seconds(2_000)).await.unwrap();
    assert!(!second.changed);
    assert_eq!((second.revision, second.revoked_at), (first.revision, first.revoked_at));

    let row = &database.store.list_tokens(&TokenFilter::default()).await.unwrap().value[0];
    assert_eq!(row.revoked_at, Some(first.revoked_at));
    assert_eq!(row.state(Timestamp::from_unix_seconds(0)), TokenState::Revoked);
    let (facts, _) = database.facts().await;
    assert!(facts.iter().any(|fact| matches!(fact, Fact::Token(token) if token.revoked)));
}

async fn another_tenants_token_is_not_found(database: TestDatabase) {
    database.import(r#"{"tenants": [{"id": "a"}, {"id": "b"}]}"#).await;
    database.store.mint_token(&NewToken { tenant: tenant("a"), ..token(1) }, 20).await.unwrap();
    let gateway = NewToken { tenant: None, kind: TokenKind::Gateway, ..token(2) };
    database.store.mint_token(&gateway, 20).await.unwrap();
    for (id, of) in [("t1", tenant("b")), ("t2", tenant("b")), ("t404", tenant("b")), ("t404", None)] {
        let error = database.store.revoke_token(id, of.as_ref(), MINTED).await.unwrap_err();
        assert!(matches!(error, StoreError::NotFound { what: "token" }), "{error:?}");
    }
    assert_eq!(database.revision().await, 3);
    for (id, of) in [("t1", tenant("a")), ("t2", None)] {
        assert!(database.store.revoke_token(id, of.as_ref(), MINTED).await.unwrap().changed);
    }
}

async fn the_revision_moves_only_when_something_changed(database: TestDatabase) {
    assert_eq!(database.revision().await, 0);
    assert_eq!(database.import("{}").await.revision, DataRevision(0));
    assert_eq!(database.import(r#"{"tenants": [{"id": "default"}]}"#).await.revision, DataRevision(0));
    assert_eq!(database.import(r#"{"users": [{"id": "u"}]}"#).await.revision, DataRevision(1));
    assert_eq!(database.import(r#"{"users": [{"id": "u"}]}"#).await.revision, DataRevision(1));
    assert_eq!(database.store.mint_token(&token(1), 20).await.unwrap(), DataRevision(2));
    assert!(database.store.mint_token(&token(1), 20).await.is_err());
    assert!(database.store.revoke_token("t404", None, MINTED).await.is_err());
    assert_eq!(database.revision().await, 2);
}

async fn minting_at_once_loses_no_revision(database: TestDatabase) {
    let mut tasks = Vec::new();
    for number in 0..40 {
        let store = database.store.clone();
        tasks.push(tokio::spawn(async move { store.mint_token(&token(number), 20).await.unwrap().0 }));
    }
    let mut revisions = BTreeSet::new();
    for task in tasks {
        revisions.insert(task.await.unwrap());
    }
    assert_eq!(revisions, (1..=40).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_in_memory_is_one_for_all_callers_and_gone_afterwards() {
    let store = regate::store::connect("sqlite::memory:", ConnectOptions::default()).await.unwrap();
    store.migrate().await.unwrap();
    let mut tasks = Vec::new();
    for number in 0..20 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move { store.mint_token(&token(number), 20).await.unwrap() }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store.list_tokens(&TokenFilter::default()).await.unwrap().value.len(), 20);
    let other = regate::store::connect("sqlite::memory:", ConnectOptions::default()).await.unwrap();
    assert!(matches!(other.list_tokens(&TokenFilter::default()).await, Err(StoreError::NotMigrated(_))));
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_an_error_without_the_password() {
    let options = ConnectOptions {
        acquire_timeout: std::time::Duration::from_secs(1),
        max_connections: 1,
        ..ConnectOptions::default()
    };
    for (url, code) in [
        ("", "configuration"),
        ("mysql://root:hunter2@localhost/db", "configuration"),
        ("postgres://u:hunter2@127.0.0.1:99999/db", "configuration"),
        ("postgres://u:hunter2@127.0.0.1:1/db", "unavailable"),
        ("sqlite:///nowhere/regate.sqlite", "unavailable"),
    ] {
        let Err(error) = regate::store::connect(url, options.clone()).await else {
            panic!("{url} was accepted")
        };
        assert_eq!(error.code(), code, "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        if url.contains("127.0.0.1:1/") {
            let said = format!("{error:?}");
            assert!(said.contains("127.0.0.1:1: ") && said.contains("refused"), "{said}");
        }
        // A path is no secret.
        if url.starts_with("sqlite:") {
            assert!(format!("{error:?}").contains("/nowhere/regate.sqlite cannot be opened"), "{error:?}");
        }
    }
}

//! What may be done to a token while it is live: how many there may be, changes, the right to trigger, uses.

use std::{collections::BTreeMap, sync::Arc};

use regate::{
    store::{
        ConnectOptions, NewToken, Store, StoreError, TokenChange, TokenFilter, TokenRow, TokenState, TokenUse,
    },
    types::{DataRevision, TenantId, Timestamp, TokenKind},
};

use sqlx::Connection;

use super::database::{TestDatabase, hash, on_both_databases};

on_both_databases![
    one_token_is_read_by_its_id_within_its_tenant,
    a_user_has_no_more_live_tokens_than_the_cap_however_many_mint_at_once,
    expired_and_revoked_tokens_leave_room_and_users_have_room_of_their_own,
    a_live_token_is_changed_and_a_dead_one_is_not,
    a_token_that_a_mint_did_not_count_gets_no_more_time,
    the_right_to_trigger_is_granted_to_live_mcp_tokens_and_withdrawn_from_any,
    tokens_are_listed_by_state_and_by_use,
    pages_have_no_gap_and_a_cursor_of_another_tenant_is_unknown,
    a_use_moves_forward_only_and_moves_no_revision,
    uses_in_opposite_orders_beside_other_writers_are_all_noted,
    a_use_of_a_token_that_is_held_waits_and_the_others_do_not,
];

const SECOND: i64 = 1_000_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_seconds(SECOND + second)
}

fn tenant(id: &str) -> TenantId {
    TenantId::try_from(id).unwrap()
}

/// A token of the user `u` of the tenant `a`, made at second 0.
fn token(number: u32) -> NewToken {
    NewToken {
        id: format!("t{number:04}"),
        tenant: Some(tenant("a")),
        kind: TokenKind::Mcp,
        name: "agent".into(),
        sha256: hash(number).parse().unwrap(),
        prefix: None,
        user_id: Some("u".into()),
        project_id: None,
        scope_pull: false,
        scope_push: false,
        projects: None,
        tools: None,
        expires_at: None,
        created_at: at(0),
    }
}

/// At revision 1: the tenants `a` and `b`, each with the users `u` and `v`.
async fn with_users(database: &TestDatabase) -> Arc<dyn Store> {
    database
        .import(
            r#"{"tenants": [{"id": "a"}, {"id": "b"}],
                "users": [{"id": "u", "tenant": "a"}, {"id": "v", "tenant": "a"},
                          {"id": "u", "tenant": "b"}, {"id": "v", "tenant": "b"}]}"#,
        )
        .await;
    database.store.clone()
}

async fn shown(store: &Arc<dyn Store>, id: &str) -> TokenRow {
    store.token(id, None).await.unwrap().value
}

async fn listed(store: &Arc<dyn Store>, filter: TokenFilter) -> Vec<String> {
    store.list_tokens(&filter).await.unwrap().value.into_iter().map(|row| row.id).collect()
}

fn is_unknown<T: std::fmt::Debug>(found: Result<T, StoreError>) {
    assert!(matches!(found, Err(StoreError::NotFound { what: "token" })), "{found:?}");
}

fn is_not_live<T: std::fmt::Debug>(found: Result<T, StoreError>, expected: &str) {
    assert!(matches!(&found, Err(StoreError::NotLive { state }) if *state == expected), "{found:?}");
}

async fn one_token_is_read_by_its_id_within_its_tenant(database: TestDatabase) {
    let store = with_users(&database).await;
    store.mint_token(&token(1), 20).await.unwrap();
    let gateway = NewToken { tenant: None, kind: TokenKind::Gateway, user_id: None, ..token(2) };
    store.mint_token(&gateway, 0).await.unwrap();
    let found = store.token("t0001", Some(&tenant("a"))).await.unwrap();
    assert_eq!((found.revision, found.value.id.as_str()), (DataRevision(3), "t0001"));
    assert_eq!(found.value, shown(&store, "t0001").await);
    assert_eq!(shown(&store, "t0002").await.tenant, None);
    for (id, of) in [("t0001", "b"), ("t0002", "a"), ("t0404", "a"), ("", "a")] {
        is_unknown(store.token(id, Some(&tenant(of))).await);
    }
    is_unknown(store.token("t0404", None).await);
}

async fn a_user_has_no_more_live_tokens_than_the_cap_however_many_mint_at_once(database: TestDatabase) {
    let store = with_users(&database).await;
    // Two processes.
    let other = regate::store::connect(&database.url, ConnectOptions::default()).await.unwrap();
    let mut tasks = Vec::new();
    for number in 0..50 {
        let store = if number % 2 == 0 { store.clone() } else { other.clone() };
        tasks.push(tokio::spawn(async move { store.mint_token(&token(number), 20).await }));
    }
    let mut revisions = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok(revision) => revisions.push(revision.0),
            Err(error) => {
                assert!(matches!(error, StoreError::TooMany { what: "user", limit: 20 }), "{error:?}")
            }
        }
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (2..22).collect::<Vec<_>>());
    let live = TokenFilter { state: Some(TokenState::Live), now: at(0), ..TokenFilter::default() };
    assert_eq!(listed(&store, live).await.len(), 20);
    let refused = store.mint_token(&token(99), 20).await.unwrap_err();
    assert_eq!(refused.code(), "too_many");
    store.mint_token(&token(99), 21).await.unwrap();
}

async fn expired_and_revoked_tokens_leave_room_and_users_have_room_of_their_own(database: TestDatabase) {
    let store = with_users(&database).await;
    let mint = async |token: NewToken| store.mint_token(&token, 2).await;
    // It expires at second 10, of which it still has the milliseconds before.
    let expiring = Timestamp::from_unix_millis((SECOND + 10) * 1000 + 999);
    mint(NewToken { expires_at: Some(expiring), ..token(1) }).await.unwrap();
    mint(token(2)).await.unwrap();
    assert!(matches!(mint(token(3)).await, Err(StoreError::TooMany { limit: 2, .. })));
    for (number, of, user) in [(10, "a", "v"), (11, "b", "u"), (12, "b", "v")] {
        let theirs = NewToken { tenant: Some(tenant(of)), user_id: Some(user.into()), ..token(number) };
        mint(theirs).await.unwrap();
    }
    // Nobody's tokens are not counted.
    for number in 20..24 {
        mint(NewToken { user_id: None, kind: TokenKind::Admin, ..token(number) }).await.unwrap();
    }
    let just_before = Timestamp::from_unix_millis((SECOND + 10) * 1000 - 1);
    let refused = mint(NewToken { created_at: just_before, ..token(3) }).await;
    assert!(matches!(refused, Err(StoreError::TooMany { .. })), "{refused:?}");
    mint(NewToken { created_at: at(10), ..token(3) }).await.unwrap();
    let refused = mint(NewToken { created_at: at(10), ..token(4) }).await;
    assert!(matches!(refused, Err(StoreError::TooMany { .. })), "{refused:?}");
    store.revoke_token("t0002", None, at(11)).await.unwrap();
    mint(NewToken { created_at: at(11), ..token(4) }).await.unwrap();
    // A cap of none is one.
    let refused = store.mint_token(&NewToken { user_id: Some("v".into()), ..token(5) }, 0).await;
    assert!(matches!(refused, Err(StoreError::TooMany { limit: 0, .. })), "{refused:?}");
}

async fn a_live_token_is_changed_and_a_dead_one_is_not(database: TestDatabase) {
    let store = with_users(&database).await;
    store.mint_token(&NewToken { expires_at: Some(at(100)), ..token(1) }, 20).await.unwrap();
    let a = tenant("a");
    let change =
        async |change: &TokenChange, now: i64| store.change_token("t0001", Some(&a), change, at(now)).await;
    let none = change(&TokenChange::default(), 1).await.unwrap();
    assert_eq!((none.revision, none.created, none.changed), (DataRevision(2), false, false));
    // Decisions do not see the name.
    let name = TokenChange { name: Some("renamed".into()), ..TokenChange::default() };
    let renamed = change(&name, 1).await.unwrap();
    assert_eq!((renamed.revision, renamed.changed), (DataRevision(2), true));
    assert!(!change(&name, 1).await.unwrap().changed);
    let lists = TokenChange {
        projects: Some(Some(BTreeMap::from([("p".into(), Some(at(50))), ("q".into(), None)]))),
        tools: Some(Some(vec!["search".into()])),
        expires_at: Some(Some(at(200))),
        ..TokenChange::default()
    };
    let written = change(&lists, 99).await.unwrap();
    assert_eq!((written.revision, written.created, written.changed), (DataRevision(3), false, true));
    let again = change(&lists, 99).await.unwrap();
    assert_eq!((again.revision, again.changed), (DataRevision(3), false));
    let row = shown(&store, "t0001").await;
    let projects = BTreeMap::from([("p".to_owned(), Some(SECOND + 50)), ("q".to_owned(), None)]);
    assert_eq!((row.name.as_str(), row.projects, row.expires_at), ("renamed", Some(projects), Some(at(200))));
    assert_eq!(row.tools, Some(vec!["search".to_owned()]));
    // An empty list is one, and no list is another.
    let empty = TokenChange {
        projects: Some(Some(BTreeMap::new())),
        tools: Some(Some(Vec::new())),
        ..TokenChange::default()
    };
    assert_eq!(change(&empty, 99).await.unwrap().revision, DataRevision(4));
    let row = shown(&store, "t0001").await;
    assert_eq!((row.projects, row.tools), (Some(BTreeMap::new()), Some(Vec::new())));
    let lifted = TokenChange { projects: Some(None), tools: Some(None), ..TokenChange::default() };
    assert_eq!(change(&lifted, 99).await.unwrap().revision, DataRevision(5));
    let row = shown(&store, "t0001").await;
    assert_eq!((row.projects, row.tools, row.expires_at), (None, None, Some(at(200))));

    for bad in [String::new(), "x".repeat(129)] {
        let refused = change(&TokenChange { name: Some(bad), ..TokenChange::default() }, 99).await;
        assert!(matches!(refused, Err(StoreError::Rejected { .. })), "{refused:?}");
    }
    is_unknown(store.change_token("t0001", Some(&tenant("b")), &name, at(1)).await);
    is_unknown(store.change_token("t0404", None, &name, at(1)).await);

    is_not_live(change(&name, 200).await, "expired");
    let revived = TokenChange { expires_at: Some(None), ..TokenChange::default() };
    is_not_live(change(&revived, 200).await, "expired");
    assert_eq!(change(&revived, 199).await.unwrap().revision, DataRevision(6));
    store.revoke_token("t0001", None, at(300)).await.unwrap();
    is_not_live(change(&name, 1).await, "revoked");
    is_not_live(change(&TokenChange::default(), 1).await, "revoked");
    assert_eq!(database.revision().await, 7);
}

async fn a_token_that_a_mint_did_not_count_gets_no_more_time(database: TestDatabase) {
    let store = with_users(&database).await;
    store.mint_token(&NewToken { expires_at: Some(at(10)), ..token(1) }, 1).await.unwrap();
    // Asked for at second 9, and written after a mint of second 10.
    store.mint_token(&NewToken { created_at: at(10), ..token(2) }, 1).await.unwrap();
    let change = TokenChange { expires_at: Some(None), ..TokenChange::default() };
    is_not_live(store.change_token("t0001", None, &change, at(9)).await, "expired");
    // Tokens of others, and what an import says of years to come, take no time from it.
    let others = NewToken { created_at: at(10), user_id: Some("v".into()), ..token(3) };
    store.mint_token(&others, 1).await.unwrap();
    store
        .mint_token(&NewToken { user_id: Some("v".into()), expires_at: Some(at(30)), ..token(4) }, 2)
        .await
        .unwrap();
    store
        .mint_token(&NewToken { user_id: Some("v".into()), created_at: at(900_000), ..token(5) }, 9)
        .await
        .unwrap();
    assert!(store.change_token("t0004", None, &change, at(20)).await.unwrap().changed);
}

async fn the_right_to_trigger_is_granted_to_live_mcp_tokens_and_withdrawn_from_any(database: TestDatabase) {
    let store = with_users(&database).await;
    store.mint_token(&NewToken { expires_at: Some(at(100)), ..token(1) }, 20).await.unwrap();
    store.mint_token(&NewToken { kind: TokenKind::Global, ..token(2) }, 20).await.unwrap();
    let a = tenant("a");
    let set = async |id: &str, allowed, now| store.set_trigger(id, Some(&a), allowed, at(now)).await;
    let granted = set("t0001", true, 1).await.unwrap();
    assert_eq!((granted.revision, granted.created, granted.changed), (DataRevision(4), false, true));
    let again = set("t0001", true, 1).await.unwrap();
    assert_eq!((again.revision, again.changed), (DataRevision(4), false));
    assert!(shown(&store, "t0001").await.allow_trigger);
    let refused = set("t0002", true, 1).await;
    assert!(
        matches!(&refused, Err(StoreError::WrongKind { wanted: TokenKind::Mcp, kind: TokenKind::Global })),
        "{refused:?}"
    );
    assert!(!set("t0002", false, 1).await.unwrap().changed);
    is_unknown(store.set_trigger("t0001", Some(&tenant("b")), false, at(1)).await);
    is_unknown(set("t0404", true, 1).await);

    is_not_live(set("t0001", true, 100).await, "expired");
    assert_eq!(set("t0001", false, 100).await.unwrap().revision, DataRevision(5));
    set("t0001", true, 99).await.unwrap();
    store.revoke_token("t0001", None, at(1)).await.unwrap();
    is_not_live(set("t0001", true, 1).await, "revoked");
    assert!(set("t0001", false, 1).await.unwrap().changed);
    let again = set("t0001", false, 1).await.unwrap();
    assert_eq!((again.revision, again.changed), (DataRevision(8), false));
}

async fn tokens_are_listed_by_state_and_by_use(database: TestDatabase) {
    let store = with_users(&database).await;
    let expiry = Timestamp::from_unix_millis((SECOND + 10) * 1000 + 500);
    for (number, expires_at) in [(1, None), (2, Some(expiry)), (3, None), (4, Some(at(5)))] {
        store.mint_token(&NewToken { expires_at, ..token(number) }, 20).await.unwrap();
    }
    for id in ["t0003", "t0004"] {
        store.revoke_token(id, None, at(1)).await.unwrap();
    }
    let state = async |state, now| {
        listed(&store, TokenFilter { state: Some(state), now, ..TokenFilter::default() }).await
    };
    let just_before = Timestamp::from_unix_millis((SECOND + 10) * 1000 - 1);
    assert_eq!(state(TokenState::Live, just_before).await, ["t0001", "t0002"]);
    assert_eq!(state(TokenState::Live, at(10)).await, ["t0001"]);
    assert_eq!(state(TokenState::Expired, just_before).await, [""; 0]);
    assert_eq!(state(TokenState::Expired, at(10)).await, ["t0002"]);
    assert_eq!(state(TokenState::Revoked, at(10)).await, ["t0003", "t0004"]);
    // What the list says of each is what it was asked for.
    let all = store.list_tokens(&TokenFilter::default()).await.unwrap().value;
    for now in [at(0), just_before, at(10), at(11)] {
        for asked in [TokenState::Live, TokenState::Expired, TokenState::Revoked] {
            let expected = all.iter().filter(|row| row.state(now) == asked).map(|row| row.id.clone());
            assert_eq!(state(asked, now).await, expected.collect::<Vec<_>>());
        }
    }

    let used = |id: &str, second| TokenUse { token_id: id.into(), at: at(second) };
    store.note_uses(&[used("t0001", 50), used("t0002", 60)]).await.unwrap();
    let unused = async |since| {
        listed(&store, TokenFilter { unused_since: Some(since), ..TokenFilter::default() }).await
    };
    assert_eq!(unused(at(50)).await, ["t0003", "t0004"]);
    assert_eq!(unused(at(51)).await, ["t0001", "t0003", "t0004"]);
    assert_eq!(unused(at(61)).await, ["t0001", "t0002", "t0003", "t0004"]);
    // One that was never used counts from when it was made.
    let made = store.token("t0003", None).await.unwrap().value.created_at;
    assert_eq!(unused(made).await, [""; 0]);
    assert!(unused(Timestamp::from_unix_millis(made.unix_millis() + 1)).await.contains(&"t0003".to_owned()));
}

async fn pages_have_no_gap_and_a_cursor_of_another_tenant_is_unknown(database: TestDatabase) {
    let store = with_users(&database).await;
    let tokens: Vec<_> = (0..620)
        .map(|n| {
            serde_json::json!({"id": format!("t{n:04}"), "tenant": if n % 31 == 0 { "b" } else { "a" },
                "kind": "mcp", "name": "n", "sha256": hash(n), "user_id": "u",
                "created_at": format!("2020-01-01T00:00:0{}Z", n % 4)})
        })
        .collect();
    database.import(&serde_json::json!({"tokens": tokens}).to_string()).await;
    let of = |tenant: TenantId, after: Option<String>| TokenFilter {
        tenant: Some(tenant),
        after,
        limit: 250,
        ..TokenFilter::default()
    };
    let mut found: Vec<String> = Vec::new();
    let mut pages = Vec::new();
    loop {
        let page = listed(&store, of(tenant("a"), found.last().cloned())).await;
        if page.is_empty() {
            break;
        }
        pages.push(page.len());
        found.extend(page);
    }
    assert_eq!(pages, [250, 250, 100]);
    let mut expected: Vec<u32> = (0..620).filter(|n| n % 31 != 0).collect();
    expected.sort_by_key(|n| (n % 4, *n));
    assert_eq!(found, expected.into_iter().map(|n| format!("t{n:04}")).collect::<Vec<_>>());

    for id in ["t0031", "t0404x", ""] {
        let unknown = store.list_tokens(&of(tenant("a"), Some(id.into()))).await.unwrap_err();
        assert_eq!(format!("{unknown:?}"), r#"NotFound { what: "token" }"#, "{id}");
    }
    assert_eq!(listed(&store, of(tenant("b"), Some("t0031".into()))).await.len(), 4);
}

async fn a_use_moves_forward_only_and_moves_no_revision(database: TestDatabase) {
    let store = with_users(&database).await;
    for number in 1..4 {
        store.mint_token(&token(number), 20).await.unwrap();
    }
    store.revoke_token("t0003", None, at(1)).await.unwrap();
    let notes = "select cast(count(*) as text) from data_changes";
    let (revision, noted) = (database.revision().await, database.text(notes).await);
    let used = |id: &str, millis| TokenUse {
        token_id: id.into(),
        at: Timestamp::from_unix_millis(SECOND * 1000 + millis),
    };
    let last =
        async |id: &str| shown(&store, id).await.last_used_at.map(|at| at.unix_millis() - SECOND * 1000);
    store.note_uses(&[]).await.unwrap();
    let uses = [used("t0001", 7), used("nobody", 9), used("t0001", 9), used("t0001", 8), used("t0003", 5)];
    store.note_uses(&uses).await.unwrap();
    assert_eq!((last("t0001").await, last("t0002").await, last("t0003").await), (Some(9), None, Some(5)));
    store.note_uses(&[used("t0001", 8), used("t0002", 1_000)]).await.unwrap();
    store.note_uses(&uses).await.unwrap();
    assert_eq!((last("t0001").await, last("t0002").await), (Some(9), Some(1_000)));
    // What another program wrote in another form is earlier or later all the same.
    database
        .execute("update tokens set last_used_at = '2001-09-09T03:46:40+02:00' where id = 't0002'")
        .await
        .unwrap();
    assert_eq!(last("t0002").await, Some(0));
    store.note_uses(&[used("t0002", -1)]).await.unwrap();
    assert_eq!(last("t0002").await, Some(0));
    store.note_uses(&[used("t0002", 1)]).await.unwrap();
    assert_eq!(last("t0002").await, Some(1));
    assert_eq!((database.revision().await, database.text(notes).await), (revision, noted));
}

async fn uses_in_opposite_orders_beside_other_writers_are_all_noted(database: TestDatabase) {
    let store = with_users(&database).await;
    let other = regate::store::connect(&database.url, ConnectOptions::default()).await.unwrap();
    let tokens: Vec<_> = (0..5_001)
        .map(|n| {
            serde_json::json!({"id": format!("t{n:04}"), "tenant": "a", "kind": "mcp", "name": "n",
                "sha256": hash(n), "user_id": if n < 5_000 { "u" } else { "v" }})
        })
        .collect();
    database.import(&serde_json::json!({"tokens": tokens}).to_string()).await;
    let uses = |second: i64| {
        (0..5_001).map(move |n| TokenUse { token_id: format!("t{n:04}"), at: at(second) }).collect::<Vec<_>>()
    };
    let mut tasks = Vec::new();
    for (store, second, backwards) in
        [(&store, 1, false), (&other, 2, true), (&store, 3, true), (&other, 4, false)]
    {
        let (store, mut uses) = (store.clone(), uses(second));
        if backwards {
            uses.reverse();
        }
        tasks.push(tokio::spawn(async move { store.note_uses(&uses).await }));
    }
    // An import that writes them all in an order of its own, and one after the other revoked.
    let mut renamed: Vec<_> = tokens.iter().cloned().rev().collect();
    for token in &mut renamed {
        token["name"] = "renamed".into();
    }
    assert_eq!(database.import(&serde_json::json!({"tokens": renamed}).to_string()).await.changed(), 5_001);
    for number in [0, 2_500, 5_000] {
        assert!(store.revoke_token(&format!("t{number:04}"), None, at(9)).await.unwrap().changed);
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let late = TokenFilter { unused_since: Some(at(4)), ..TokenFilter::default() };
    assert_eq!(listed(&store, late).await, [""; 0]);
    let later = TokenFilter { unused_since: Some(at(5)), limit: 6_000, ..TokenFilter::default() };
    assert_eq!(listed(&store, later).await.len(), 5_001);
}

async fn a_use_of_a_token_that_is_held_waits_and_the_others_do_not(database: TestDatabase) {
    if !database.is_postgres() {
        // SQLite has one lock for all.
        return;
    }
    let store = with_users(&database).await;
    for number in 1..4 {
        store.mint_token(&token(number), 20).await.unwrap();
    }
    let mut holder = sqlx::PgConnection::connect(&database.url).await.unwrap();
    sqlx::raw_sql("begin; update tokens set name = 'held' where id = 't0001'")
        .execute(&mut holder)
        .await
        .unwrap();
    let uses: Vec<_> = (1..4).map(|n| TokenUse { token_id: format!("t{n:04}"), at: at(n) }).collect();
    let noting = tokio::spawn({
        let store = store.clone();
        async move { store.note_uses(&uses).await }
    });
    while shown(&store, "t0003").await.last_used_at.is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(shown(&store, "t0001").await.last_used_at, None);
    sqlx::raw_sql("commit").execute(&mut holder).await.unwrap();
    noting.await.unwrap().unwrap();
    let row = shown(&store, "t0001").await;
    assert_eq!((row.name.as_str(), row.last_used_at), ("held", Some(at(1))));
}

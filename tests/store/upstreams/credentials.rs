//! Credentials, one at a time and in lists.

use regate::{
    decision::facts::{CredentialState, UpstreamCredential},
    store::{
        StoreError,
        upstreams::{CredentialFilter, CredentialForm, CredentialRow, NewCredential, UpstreamChange},
    },
    types::{DataRevision, Holder, HolderKind},
};

use super::{
    KEY, TestDatabase, at, credential, flow, oauth, of, of_token, of_user, on_both_databases, sealed, tenant,
};

on_both_databases![
    a_credential_is_stored_replaced_read_and_removed,
    a_credential_that_nobody_could_hold_is_refused,
    what_does_not_fit_the_upstream_any_more_needs_an_update,
    the_value_of_a_header_that_is_another_by_now_needs_an_update,
    b12_removing_a_credential_removes_its_flows_first,
    b15_credentials_are_listed_with_filters_search_and_pages,
    no_debug_output_shows_what_is_sealed,
    what_cannot_be_read_is_nothing_that_a_key_opens,
];

async fn a_credential_is_stored_replaced_read_and_removed(database: TestDatabase) {
    database.with_upstreams().await;
    database
        .change("people", UpstreamChange { oauth: Some(Some(oauth())), ..UpstreamChange::default() })
        .await;
    let store = &database.store;
    let key = of_user("u1", "people");
    let first = NewCredential {
        refresh: Some(sealed("the refresh token")),
        expires_at: Some(at(3600)),
        ..credential(key.clone())
    };
    let written = store.put_credential(&first).await.unwrap();
    assert_eq!(
        (written.revision, written.created, written.state),
        (DataRevision(4), true, CredentialState::Active)
    );
    let expected = CredentialRow {
        key: key.clone(),
        user_id: Some("u1".to_owned()),
        state: CredentialState::Active,
        header_names: vec!["authorization".to_owned()],
        sealed_by: KEY,
        renewable: true,
        expires_at: Some(at(3600)),
        created_at: at(0),
        updated_at: at(0),
        orphaned_at: None,
    };
    assert_eq!(store.credential(&key).await.unwrap().value, expected);
    let seen = UpstreamCredential {
        tenant: tenant("a"),
        upstream_id: "people".to_owned(),
        holder: Holder::User("u1".to_owned()),
        state: CredentialState::Active,
        expires_at: Some(at(3600).unix_seconds()),
        sealed: sealed("the sealed secret"),
    };
    assert_eq!(database.seen().await, [seen]);
    database.set_state(&key, CredentialState::NeedsReauth).await;
    let second = NewCredential { sealed: sealed("another"), now: at(5), ..credential(key.clone()) };
    let written = store.put_credential(&second).await.unwrap();
    assert_eq!(
        (written.revision, written.created, written.state),
        (DataRevision(6), false, CredentialState::Active)
    );
    let expected = CredentialRow { renewable: false, expires_at: None, updated_at: at(5), ..expected };
    assert_eq!(store.credential(&key).await.unwrap().value, expected);
    assert_eq!(database.seen().await[0].sealed, sealed("another"));
    assert_eq!(store.remove_credential(&key).await.unwrap(), DataRevision(7));
    for missing in [key, of_user("u2", "people"), of_user("u1", "nowhere"), of_token("u1", "people")] {
        let refused = store.credential(&missing).await.unwrap_err();
        assert!(matches!(refused, StoreError::NotFound { what: "credential" }), "{refused:?}");
        let refused = store.remove_credential(&missing).await.unwrap_err();
        assert!(matches!(refused, StoreError::NotFound { what: "credential" }), "{refused:?}");
    }
    // One for all, and a token's that its upstream is open to.
    assert_eq!(database.give(of(Holder::Shared, "all")).await, CredentialState::Active);
    database.grant("a3", ["x"]).await;
    assert_eq!(database.give(of_token("a3", "x")).await, CredentialState::Active);
    assert_eq!(store.credential(&of_token("a3", "x")).await.unwrap().value.user_id, None);
    // Without the grant it is stored, and waits.
    assert_eq!(database.give(of_token("a1", "x")).await, CredentialState::Orphaned);
    let found = store.credential(&of_token("a1", "x")).await.unwrap().value;
    assert_eq!((found.user_id.as_deref(), found.orphaned_at), (Some("u1"), Some(at(0))));
}

async fn a_credential_that_nobody_could_hold_is_refused(database: TestDatabase) {
    database.with_upstreams().await;
    let store = &database.store;
    store.revoke_token("a2", None, at(0)).await.unwrap();
    let dead = |error: &StoreError| matches!(error, StoreError::NotLive { state: "revoked" });
    let no_upstream = |error: &StoreError| matches!(error, StoreError::NotFound { what: "upstream" });
    let no_user = |error: &StoreError| matches!(error, StoreError::UnknownReference { what: "user" });
    let no_token = |error: &StoreError| matches!(error, StoreError::UnknownReference { what: "token" });
    let wrong = |error: &StoreError| matches!(error, StoreError::WrongHolder { .. });
    for (key, is_right) in [
        (of_token("a2", "x"), dead as fn(&_) -> _),
        (of_token("nobody", "x"), no_token),
        (of_token("b1", "x"), no_token),
        (of_user("nobody", "people"), no_user),
        (of_user("u1", "nowhere"), no_upstream),
        (of_token("nobody", "nowhere"), no_upstream),
        (of_user("u1", "x"), wrong),
        (of_token("a1", "people"), wrong),
        (of(Holder::Shared, "people"), wrong),
        (of_user("u1", "all"), wrong),
        (of_user("u1", "plain"), wrong),
        (of(Holder::Shared, "plain"), wrong),
    ] {
        let refused = store.put_credential(&credential(key.clone())).await.unwrap_err();
        assert!(is_right(&refused), "{key:?}: {refused:?}");
        let refused = store.begin_flow(&flow("f", key.clone())).await.unwrap_err();
        assert!(is_right(&refused), "{key:?}: {refused:?}");
    }
    assert_eq!(database.revision().await, 4);
}

/// The value of the one header, given as it is in place of a token.
async fn the_value_of_a_header_that_is_another_by_now_needs_an_update(database: TestDatabase) {
    use CredentialState::{Active, NeedsUpdate, Orphaned};
    database.with_upstreams().await;
    let rename = async |upstream: &str, header: &str| {
        let change = UpstreamChange { header: Some(header.to_owned()), ..UpstreamChange::default() };
        database.change(upstream, change).await;
    };
    let give = async |key: &regate::store::upstreams::CredentialKey, name: &str| {
        let new = NewCredential {
            form: CredentialForm::Headers,
            header_names: vec![name.to_owned()],
            ..credential(key.clone())
        };
        database.store.put_credential(&new).await.unwrap().state
    };
    let (one, two) = (of_user("u1", "people"), of_user("u2", "people"));
    rename("people", "X-Key").await;
    assert_eq!(give(&one, "authorization").await, NeedsUpdate);
    assert_eq!(give(&one, "x-key").await, Active);
    assert_eq!(database.give(two.clone()).await, Active);
    rename("people", "x-KEY").await;
    assert_eq!(database.state(&one).await, Active);
    let before = database.revision().await;
    rename("people", "X-Other").await;
    assert_eq!(database.revision().await, before + 1);
    assert_eq!((database.state(&one).await, database.state(&two).await), (NeedsUpdate, Active));
    // It is the same header, however it is asked for.
    assert_eq!(give(&one, "x-other").await, Active);
    for (value_headers, expected) in [(Some(vec!["x-other".to_owned()]), Active), (None, Active)] {
        let change = UpstreamChange { value_headers: Some(value_headers), ..UpstreamChange::default() };
        database.change("people", change).await;
        assert_eq!(database.state(&one).await, expected);
    }
    // By another program, and of a token without the grant.
    let token = of_token("a1", "x");
    assert_eq!(give(&token, "authorization").await, Orphaned);
    database.execute("update upstreams set header = 'X-Key' where tenant = 'a'").await.unwrap();
    assert_eq!((database.state(&token).await, database.state(&one).await), (NeedsUpdate, NeedsUpdate));
}

async fn what_does_not_fit_the_upstream_any_more_needs_an_update(database: TestDatabase) {
    database.with_upstreams().await;
    let want = async |names: Option<&[&str]>| {
        let names = names.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let change = UpstreamChange { value_headers: Some(names), ..UpstreamChange::default() };
        database.change("people", change).await;
    };
    let give = async |user: &str, form, names: &[&str]| {
        let header_names = names.iter().map(|name| (*name).to_owned()).collect();
        let new = NewCredential { form, header_names, ..credential(of_user(user, "people")) };
        database.store.put_credential(&new).await.unwrap().state
    };
    use CredentialState::{Active, NeedsUpdate};
    assert_eq!(give("u1", CredentialForm::Token, &["authorization"]).await, Active);
    // A token goes into whichever header, as long as it is one.
    let header = UpstreamChange { header: Some("X-Key".to_owned()), ..UpstreamChange::default() };
    database.change("people", header).await;
    assert_eq!(database.state(&of_user("u1", "people")).await, Active);
    want(Some(&["x-a", "x-b"])).await;
    assert_eq!(database.state(&of_user("u1", "people")).await, NeedsUpdate);
    assert_eq!(give("u1", CredentialForm::Headers, &["x-a", "x-b", "x-c"]).await, Active);
    assert_eq!(give("u2", CredentialForm::Headers, &["x-a"]).await, NeedsUpdate);
    assert_eq!(give("u2", CredentialForm::Headers, &["x-b", "x-a"]).await, Active);
    // Fewer are enough, one more is not, and what needs an update is not made right by a change back.
    want(Some(&["x-b"])).await;
    assert_eq!(database.state(&of_user("u2", "people")).await, Active);
    want(Some(&["x-c"])).await;
    assert_eq!(database.state(&of_user("u1", "people")).await, Active);
    assert_eq!(database.state(&of_user("u2", "people")).await, NeedsUpdate);
    want(Some(&["x-a"])).await;
    assert_eq!(database.state(&of_user("u2", "people")).await, NeedsUpdate);
    want(None).await;
    assert_eq!(database.state(&of_user("u1", "people")).await, NeedsUpdate);
    // An orphaned one too: the grant would not mend it.
    database.give(of_token("a1", "x")).await;
    let change =
        UpstreamChange { value_headers: Some(Some(vec!["x-a".into()])), ..UpstreamChange::default() };
    database.change("x", change).await;
    let found = database.store.credential(&of_token("a1", "x")).await.unwrap().value;
    assert_eq!((found.state, found.orphaned_at), (NeedsUpdate, None));
}

async fn b12_removing_a_credential_removes_its_flows_first(database: TestDatabase) {
    database.with_upstreams().await;
    let (store, key) = (&database.store, of_user("u1", "people"));
    database.give(key.clone()).await;
    database.begin("f1", key.clone()).await;
    database.begin("f2", key.clone()).await;
    database.begin("other", of_user("u2", "people")).await;
    database.taken("f2").await;
    store.remove_credential(&key).await.unwrap();
    let late = store.complete_flow("f2", &credential(key.clone())).await.unwrap_err();
    assert!(matches!(late, StoreError::NotFound { what: "flow" }), "{late:?}");
    assert!(!database.has_flow("f1").await && database.has_flow("other").await);
    assert!(database.seen().await.is_empty());
    // One that was never completed is taken back in the same way.
    let before = store.remove_credential(&of_user("u2", "people")).await.unwrap();
    assert_eq!(before.0, database.revision().await);
    assert!(!database.has_flow("other").await);
}

async fn b15_credentials_are_listed_with_filters_search_and_pages(database: TestDatabase) {
    database.with_upstreams().await;
    database.grant("a1", ["x", "y"]).await;
    for key in [
        of_token("a1", "x"),
        of_token("a1", "y"),
        of_token("a2", "x"),
        of_user("u1", "people"),
        of(Holder::Shared, "all"),
    ] {
        database.give(key).await;
    }
    let everything = CredentialFilter {
        tenant: tenant("a"),
        upstream_id: None,
        holder: None,
        holder_id: None,
        user_id: None,
        state: None,
        search: None,
        after: None,
        limit: 250,
    };
    let listed = async |filter: CredentialFilter| {
        let found = database.store.list_credentials(&filter).await.unwrap().value;
        found
            .into_iter()
            .map(|row| format!("{} {}", row.key.upstream_id, row.key.holder.id()))
            .collect::<Vec<_>>()
    };
    let all = listed(everything.clone()).await;
    assert_eq!(all, ["all ", "people u1", "x a1", "x a2", "y a1"]);
    let filter = |change: fn(&mut CredentialFilter)| {
        let mut filter = everything.clone();
        change(&mut filter);
        filter
    };
    for (filter, expected) in [
        (filter(|f| f.tenant = tenant("b")), &[][..]),
        (filter(|f| f.upstream_id = Some("x".into())), &["x a1", "x a2"]),
        (filter(|f| f.holder = Some(HolderKind::User)), &["people u1"]),
        (filter(|f| f.holder = Some(HolderKind::Shared)), &["all "]),
        (filter(|f| f.holder_id = Some("a1".into())), &["x a1", "y a1"]),
        // Those of a user's tokens are the user's too.
        (filter(|f| f.user_id = Some("u1".into())), &["people u1", "x a1", "y a1"]),
        (filter(|f| f.state = Some(CredentialState::Orphaned)), &["x a2"]),
        (filter(|f| f.search = Some("A2".into())), &["x a2"]),
        (filter(|f| f.search = Some("EOPL".into())), &["people u1"]),
        // It is a text, no pattern.
        (filter(|f| f.search = Some("%".into())), &[]),
        (filter(|f| f.search = Some("_".into())), &[]),
        (filter(|f| f.search = Some("'; drop table users; --".into())), &[]),
        (filter(|f| f.limit = 2), &["all ", "people u1"]),
    ] {
        assert_eq!(listed(filter.clone()).await, expected, "{filter:?}");
    }
    let mut paged = Vec::new();
    let mut after = None;
    loop {
        let page = CredentialFilter { after, limit: 2, ..everything.clone() };
        let found = database.store.list_credentials(&page).await.unwrap().value;
        let Some(last) = found.last() else { break };
        after = Some((last.key.upstream_id.clone(), last.key.holder.clone()));
        paged.extend(found.into_iter().map(|row| format!("{} {}", row.key.upstream_id, row.key.holder.id())));
    }
    assert_eq!(paged, all);
}

async fn no_debug_output_shows_what_is_sealed(database: TestDatabase) {
    database.with_upstreams().await;
    let key = of_user("u1", "people");
    let new = NewCredential { refresh: Some(sealed("the sealed refresh")), ..credential(key.clone()) };
    database.store.put_credential(&new).await.unwrap();
    database.begin("f", key.clone()).await;
    let shown = format!(
        "{new:?} {:?} {:?} {:?} {:?}",
        database.store.credential(&key).await.unwrap(),
        database.taken("f").await,
        database.facts().await,
        database.store.sealed_by_others(regate::types::KeyId([0; 8]), None, 10).await.unwrap(),
    );
    let bytes = format!("{:?}", "the sealed".as_bytes());
    for secret in ["the sealed", "dGhlIHNlYWxlZ", bytes.trim_matches(['[', ']'])] {
        assert!(!shown.contains(secret), "{shown}");
    }
    // Nor does a refusal by a constraint.
    let bad = NewCredential { header_names: vec!["x".repeat(20_000)], ..new };
    let refused = database.store.put_credential(&bad).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Rejected { rule } if rule == "upstream_credentials_header_names_is_small")
    );
    assert!(!format!("{refused:?}").contains("dGhlIHNlYWxlZ"));
}

/// Base64 by its alphabet, and none by its length.
async fn what_cannot_be_read_is_nothing_that_a_key_opens(database: TestDatabase) {
    database.with_upstreams().await;
    database.give(of_user("u1", "people")).await;
    database.give(of_user("u2", "people")).await;
    database.execute("update upstream_credentials set sealed = 'A' where holder_id = 'u1'").await.unwrap();
    let mut seen = database.seen().await;
    seen.sort_by(|one, other| one.holder.cmp(&other.holder));
    assert_eq!((seen.len(), seen[0].sealed.bytes.len()), (2, 0));
    assert_eq!(seen[1].sealed, sealed("the sealed secret"));
}

//! Upstreams and grants, one at a time and in lists.

use regate::{
    decision::facts::{CredentialMode, Fact, Grant, Upstream},
    store::{
        StoreError, Written,
        upstreams::{UpstreamChange, UpstreamFilter, UpstreamGrants, UpstreamRow},
    },
    types::DataRevision,
};

use super::{TestDatabase, at, ids, oauth, on_both_databases, sealed, tenant, upstream_with};

on_both_databases![
    an_upstream_is_made_changed_read_and_removed,
    what_is_left_out_stays_and_what_is_null_goes,
    an_upstream_without_a_url_or_a_tenant_is_refused,
    upstreams_are_listed,
    the_grants_of_a_token_are_a_whole_list,
    the_grants_for_an_upstream_are_a_whole_list,
    unknown_ids_write_nothing,
    a_client_secret_is_kept_and_taken_away,
];

fn same(revision: u64) -> Written {
    Written { revision: DataRevision(revision), created: false, changed: false }
}

fn changed(revision: u64) -> Written {
    Written { changed: true, ..same(revision) }
}

async fn an_upstream_is_made_changed_read_and_removed(database: TestDatabase) {
    database.with_upstreams().await;
    let (store, a) = (&database.store, tenant("a"));
    let change = UpstreamChange {
        header: Some("X-Key".to_owned()),
        format: Some("{token}".to_owned()),
        pass_headers: Some(Some(vec!["accept".to_owned()])),
        oauth: Some(Some(oauth())),
        ..upstream_with(CredentialMode::PerUser)
    };
    let made = Written { revision: DataRevision(4), created: true, changed: true };
    assert_eq!(store.put_upstream(&a, "new", &change).await.unwrap(), made);
    assert_eq!(store.put_upstream(&a, "new", &change).await.unwrap(), same(4));
    let found = store.upstream(&a, "new").await.unwrap();
    let row = UpstreamRow {
        tenant: a.clone(),
        id: "new".to_owned(),
        url: "https://new.example".to_owned(),
        allow_all: false,
        credential: CredentialMode::PerUser,
        header: "X-Key".to_owned(),
        format: "{token}".to_owned(),
        value_headers: None,
        pass_headers: Some(vec!["accept".to_owned()]),
        oauth: Some(oauth()),
        has_client_secret: false,
    };
    assert_eq!((found.revision, found.value), (DataRevision(4), row));
    let fact = Fact::Upstream(Upstream {
        credential: CredentialMode::PerUser,
        header: "X-Key".to_owned(),
        format: "{token}".to_owned(),
        pass_headers: Some(vec!["accept".to_owned()]),
        ..Upstream::new(a.clone(), "new")
    });
    assert!(database.facts().await.0.contains(&fact));
    // Its address and where people consent are nothing that a decision sees.
    let elsewhere = UpstreamChange {
        url: Some("http://other".to_owned()),
        oauth: Some(None),
        ..UpstreamChange::default()
    };
    assert_eq!(store.put_upstream(&a, "new", &elsewhere).await.unwrap(), changed(4));
    let header = UpstreamChange { header: Some("Authorization".to_owned()), ..UpstreamChange::default() };
    assert_eq!(store.put_upstream(&a, "new", &header).await.unwrap(), changed(5));
    assert_eq!(store.remove_upstream(&a, "new").await.unwrap(), DataRevision(6));
    for (of, id) in [("a", "new"), ("b", "new"), ("c", "x")] {
        let missing = store.upstream(&tenant(of), id).await;
        assert!(matches!(missing, Err(StoreError::NotFound { what: "upstream" })), "{missing:?}");
        let missing = store.remove_upstream(&tenant(of), id).await;
        assert!(matches!(missing, Err(StoreError::NotFound { what: "upstream" })), "{missing:?}");
    }
    assert_eq!(database.revision().await, 6);
}

async fn what_is_left_out_stays_and_what_is_null_goes(database: TestDatabase) {
    database.with_upstreams().await;
    let (store, a) = (&database.store, tenant("a"));
    let all = UpstreamChange {
        allow_all: Some(true),
        value_headers: Some(Some(vec!["x-a".to_owned(), "x-b".to_owned()])),
        pass_headers: Some(Some(Vec::new())),
        oauth: Some(Some(oauth())),
        ..upstream_with(CredentialMode::Shared)
    };
    store.put_upstream(&a, "new", &all).await.unwrap();
    let before = store.upstream(&a, "new").await.unwrap();
    let nothing = UpstreamChange::default();
    let written = store.put_upstream(&a, "new", &nothing).await.unwrap();
    assert!(!written.changed && !written.created);
    assert_eq!(store.upstream(&a, "new").await.unwrap(), before);
    let null = UpstreamChange {
        value_headers: Some(None),
        pass_headers: Some(None),
        oauth: Some(None),
        ..UpstreamChange::default()
    };
    assert!(store.put_upstream(&a, "new", &null).await.unwrap().changed);
    assert!(!store.put_upstream(&a, "new", &null).await.unwrap().changed);
    let expected = UpstreamRow { value_headers: None, pass_headers: None, oauth: None, ..before.value };
    assert_eq!(store.upstream(&a, "new").await.unwrap().value, expected);
}

async fn an_upstream_without_a_url_or_a_tenant_is_refused(database: TestDatabase) {
    database.with_upstreams().await;
    let change = UpstreamChange { allow_all: Some(true), ..UpstreamChange::default() };
    let refused = database.store.put_upstream(&tenant("a"), "new", &change).await;
    assert!(matches!(refused, Err(StoreError::Required { what: "upstream", field: "url" })), "{refused:?}");
    let refused =
        database.store.put_upstream(&tenant("c"), "new", &upstream_with(CredentialMode::None)).await;
    assert!(matches!(refused, Err(StoreError::UnknownReference { what: "tenant" })), "{refused:?}");
    assert_eq!(database.revision().await, 3);
}

async fn upstreams_are_listed(database: TestDatabase) {
    database.with_upstreams().await;
    database.open_to("y", &[], Some(true)).await;
    let all =
        UpstreamFilter { tenant: tenant("a"), credential: None, allow_all: None, after: None, limit: 250 };
    let listed = async |filter: UpstreamFilter| {
        let found = database.store.list_upstreams(&filter).await.unwrap().value;
        found.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(all.clone()).await, ["all", "people", "plain", "x", "y", "z"]);
    assert_eq!(listed(UpstreamFilter { allow_all: Some(true), ..all.clone() }).await, ["y"]);
    let shared = UpstreamFilter { credential: Some(CredentialMode::Shared), ..all.clone() };
    assert_eq!(listed(shared).await, ["all"]);
    let page = UpstreamFilter { after: Some("people".to_owned()), limit: 2, ..all.clone() };
    assert_eq!(listed(page).await, ["plain", "x"]);
    assert_eq!(listed(UpstreamFilter { tenant: tenant("c"), ..all }).await, [""; 0]);
}

async fn the_grants_of_a_token_are_a_whole_list(database: TestDatabase) {
    database.with_upstreams().await;
    let (store, a) = (&database.store, tenant("a"));
    let set = async |list| store.set_token_grants(&a, "a1", &list, at(0)).await;
    assert_eq!(set(ids(["x", "y"])).await.unwrap(), changed(4));
    assert_eq!(set(ids(["x", "y"])).await.unwrap(), same(4));
    assert_eq!(set(ids(["y", "z"])).await.unwrap(), changed(5));
    assert_eq!(store.token_grants(&a, "a1").await.unwrap().value, ["y", "z"]);
    assert_eq!(store.upstream_grants(&a, "y").await.unwrap().value, ["a1"]);
    assert_eq!(store.upstream_grants(&a, "x").await.unwrap().value, [""; 0]);
    let grant = Fact::Grant(Grant { tenant: a.clone(), token_id: "a1".into(), upstream_id: "z".into() });
    assert!(database.facts().await.0.contains(&grant));
    assert_eq!(set(ids([])).await.unwrap(), changed(6));
    store.revoke_token("a1", Some(&a), at(0)).await.unwrap();
    assert!(matches!(set(ids(["x"])).await, Err(StoreError::NotLive { state: "revoked" })));
}

async fn the_grants_for_an_upstream_are_a_whole_list(database: TestDatabase) {
    database.with_upstreams().await;
    let (store, a) = (&database.store, tenant("a"));
    let set = async |tokens, allow_all| {
        store.set_upstream_grants(&a, "x", &UpstreamGrants { tokens, allow_all }).await.unwrap()
    };
    assert_eq!(set(ids(["a1", "a2"]), None).await, changed(4));
    assert_eq!(set(ids(["a1", "a2"]), Some(false)).await, same(4));
    assert_eq!(set(ids(["a2", "a3"]), Some(true)).await, changed(5));
    assert_eq!(store.upstream_grants(&a, "x").await.unwrap().value, ["a2", "a3"]);
    assert!(store.upstream(&a, "x").await.unwrap().value.allow_all);
    // What is left out stays.
    assert_eq!(set(ids([]), None).await, changed(6));
    assert!(store.upstream(&a, "x").await.unwrap().value.allow_all);
    assert_eq!(set(ids([]), Some(false)).await, changed(7));
}

async fn unknown_ids_write_nothing(database: TestDatabase) {
    database.with_upstreams().await;
    let (store, a) = (&database.store, tenant("a"));
    database.grant("a1", ["x"]).await;
    for (token, list, is_right) in [
        (
            "a1",
            ids(["x", "nowhere"]),
            (|error| matches!(error, StoreError::UnknownReference { what: "upstream" })) as fn(&_) -> _,
        ),
        ("nobody", ids(["x"]), |error| matches!(error, StoreError::NotFound { what: "token" })),
        // Another tenant's.
        ("b1", ids(["x"]), |error| matches!(error, StoreError::NotFound { what: "token" })),
    ] {
        let refused = store.set_token_grants(&a, token, &list, at(0)).await.unwrap_err();
        assert!(is_right(&refused), "{refused:?}");
    }
    for (upstream, tokens, is_right) in [
        (
            "x",
            ids(["a2", "b1"]),
            (|error| matches!(error, StoreError::UnknownReference { what: "token" })) as fn(&_) -> _,
        ),
        ("nowhere", ids(["a2", "nobody"]), |error| {
            matches!(error, StoreError::NotFound { what: "upstream" })
        }),
    ] {
        let grants = UpstreamGrants { tokens, allow_all: Some(true) };
        let refused = store.set_upstream_grants(&a, upstream, &grants).await.unwrap_err();
        assert!(is_right(&refused), "{refused:?}");
    }
    let refused = store.token_grants(&a, "b1").await.unwrap_err();
    assert!(matches!(refused, StoreError::NotFound { what: "token" }), "{refused:?}");
    let refused = store.upstream_grants(&a, "nowhere").await.unwrap_err();
    assert!(matches!(refused, StoreError::NotFound { what: "upstream" }), "{refused:?}");
    assert_eq!(store.token_grants(&a, "a1").await.unwrap().value, ["x"]);
    assert_eq!(database.revision().await, 4);
}

async fn a_client_secret_is_kept_and_taken_away(database: TestDatabase) {
    database.with_upstreams().await;
    let (store, a) = (&database.store, tenant("a"));
    assert_eq!(store.client_secret(&a, "x").await.unwrap(), None);
    for text in ["first", "second"] {
        store.put_client_secret(&a, "x", Some(&sealed(text))).await.unwrap();
        assert_eq!(store.client_secret(&a, "x").await.unwrap(), Some(sealed(text)));
    }
    assert!(store.upstream(&a, "x").await.unwrap().value.has_client_secret);
    assert!(!store.upstream(&tenant("b"), "x").await.unwrap().value.has_client_secret);
    store.put_client_secret(&a, "x", None).await.unwrap();
    store.put_client_secret(&a, "x", None).await.unwrap();
    assert_eq!(store.client_secret(&a, "x").await.unwrap(), None);
    let refused = store.put_client_secret(&a, "nowhere", Some(&sealed("s"))).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotFound { what: "upstream" }), "{refused:?}");
    assert_eq!(database.revision().await, 3);
    // It goes with its upstream.
    store.put_client_secret(&a, "x", Some(&sealed("s"))).await.unwrap();
    store.remove_upstream(&a, "x").await.unwrap();
    assert_eq!(store.client_secret(&a, "x").await.unwrap(), None);
}

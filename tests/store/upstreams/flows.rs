//! Consent flows.

use regate::{
    decision::facts::CredentialState,
    store::{
        StoreError,
        upstreams::{FlowEnd, FlowFilter, FlowRow, NewFlow, UpstreamChange},
    },
    types::{HolderKind, Timestamp},
};

use super::{TestDatabase, at, credential, flow, of_token, of_user, on_both_databases, tenant};

on_both_databases![
    a_flow_is_begun_taken_and_completed,
    of_many_that_take_a_flow_one_gets_it,
    a_flow_that_is_over_says_why,
    a_flow_needs_the_grant,
    a_flow_gives_what_it_was_begun_for_and_nothing_else,
    b9_a_flow_completed_after_its_grant_was_lost_stays_unusable,
    b15_flows_are_listed,
    flows_are_no_decision_data,
    a_holders_newest_five_flows_are_pending,
    a_beginners_newest_fifty_flows_are_pending,
];

async fn a_flow_is_begun_taken_and_completed(database: TestDatabase) {
    database.with_upstreams().await;
    let (store, a, key) = (&database.store, tenant("a"), of_user("u1", "people"));
    database.begin("f", key.clone()).await;
    let row = FlowRow { flow: flow("f", key.clone()), user_id: Some("u1".to_owned()), taken: false };
    assert_eq!(store.flow(&a, "f").await.unwrap(), row);
    assert!(matches!(store.flow(&tenant("b"), "f").await, Err(StoreError::NotFound { what: "flow" })));
    // Nobody completes what nobody took.
    let early = store.complete_flow("f", &credential(key.clone())).await;
    assert!(matches!(early, Err(StoreError::NotFound { what: "flow" })), "{early:?}");
    assert_eq!(database.taken("f").await, FlowRow { taken: true, ..row.clone() });
    assert_eq!(store.flow(&a, "f").await.unwrap(), FlowRow { taken: true, ..row });
    let written = store.complete_flow("f", &credential(key.clone())).await.unwrap();
    assert_eq!((written.created, written.state), (true, CredentialState::Active));
    assert_eq!(database.revision().await, written.revision.0);
    let again = store.complete_flow("f", &credential(key)).await;
    assert!(matches!(again, Err(StoreError::NotFound { what: "flow" })), "{again:?}");
    assert!(!database.has_flow("f").await);
    // A short one: no authorization server.
    let short = NewFlow {
        state_sha256: None,
        verifier: None,
        redirect_uri: None,
        ..flow("g", of_user("u2", "people"))
    };
    store.begin_flow(&short).await.unwrap();
    assert_eq!(store.flow(&a, "g").await.unwrap().flow, short);
    store.remove_flow(&a, "g").await.unwrap();
    assert!(matches!(store.remove_flow(&a, "g").await, Err(StoreError::NotFound { what: "flow" })));
}

async fn of_many_that_take_a_flow_one_gets_it(database: TestDatabase) {
    database.with_upstreams().await;
    for round in 0..5 {
        let id = format!("f{round}");
        database.begin(&id, of_user("u1", "people")).await;
        let takers: Vec<_> = (0..8)
            .map(|_| {
                let (store, id) = (database.store.clone(), id.clone());
                tokio::spawn(async move { store.take_flow(&tenant("a"), &id, at(1)).await })
            })
            .collect();
        let mut winners = 0;
        for taker in takers {
            match taker.await.unwrap() {
                Ok(row) => winners += u32::from(row.taken),
                Err(StoreError::FlowOver(FlowEnd::Taken)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!(winners, 1);
    }
}

async fn a_flow_that_is_over_says_why(database: TestDatabase) {
    database.with_upstreams().await;
    let (store, a) = (&database.store, tenant("a"));
    database.begin("f", of_user("u1", "people")).await;
    let late = store.take_flow(&a, "f", at(900)).await;
    assert!(matches!(late, Err(StoreError::FlowOver(FlowEnd::Expired))), "{late:?}");
    store.take_flow(&a, "f", at(899)).await.unwrap();
    let twice = store.take_flow(&a, "f", at(899)).await;
    assert!(matches!(twice, Err(StoreError::FlowOver(FlowEnd::Taken))), "{twice:?}");
    for (of, id) in [("a", "unknown"), ("b", "f")] {
        let unknown = store.take_flow(&tenant(of), id, at(1)).await;
        assert!(matches!(unknown, Err(StoreError::NotFound { what: "flow" })), "{unknown:?}");
    }
    let again = store.begin_flow(&flow("f", of_user("u2", "people"))).await;
    assert!(matches!(again, Err(StoreError::Duplicate { .. })), "{again:?}");
}

async fn a_flow_needs_the_grant(database: TestDatabase) {
    database.with_upstreams().await;
    let begin =
        async |id: &str, token: &str| database.store.begin_flow(&flow(id, of_token(token, "x"))).await;
    assert!(matches!(begin("f1", "a1").await, Err(StoreError::NotGranted)));
    database.grant("a1", ["x"]).await;
    begin("f1", "a1").await.unwrap();
    assert!(matches!(begin("f2", "a2").await, Err(StoreError::NotGranted)));
    database.open_to("x", &["a1"], Some(true)).await;
    begin("f2", "a2").await.unwrap();
    assert_eq!(database.store.flow(&tenant("a"), "f2").await.unwrap().user_id.as_deref(), Some("u2"));
}

async fn a_flow_gives_what_it_was_begun_for_and_nothing_else(database: TestDatabase) {
    database.with_upstreams().await;
    database.begin("f", of_user("u1", "people")).await;
    database.taken("f").await;
    for key in [of_user("u2", "people"), of_user("u1", "nowhere"), of_token("u1", "people")] {
        let refused = database.store.complete_flow("f", &credential(key)).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    assert!(database.seen().await.is_empty() && database.has_flow("f").await);
    // The upstream has become one of tokens.
    let change = UpstreamChange {
        credential: Some(regate::decision::facts::CredentialMode::PerToken),
        ..UpstreamChange::default()
    };
    database.change("people", change).await;
    let refused = database.store.complete_flow("f", &credential(of_user("u1", "people"))).await;
    assert!(matches!(refused, Err(StoreError::WrongHolder { .. })), "{refused:?}");
}

async fn b9_a_flow_completed_after_its_grant_was_lost_stays_unusable(database: TestDatabase) {
    database.with_upstreams().await;
    database.grant("a1", ["x"]).await;
    for (id, lose) in [("f1", true), ("f2", false)] {
        database.begin(id, of_token("a1", "x")).await;
        database.taken(id).await;
        if lose {
            database.grant("a1", []).await;
        } else {
            database.store.revoke_token("a1", None, at(2)).await.unwrap();
        }
        let late = database.store.complete_flow(id, &credential(of_token("a1", "x"))).await;
        assert!(matches!(late, Err(StoreError::NotFound { what: "flow" })), "{late:?}");
        if lose {
            // Nor when the grant is back.
            database.grant("a1", ["x"]).await;
            let late = database.store.complete_flow(id, &credential(of_token("a1", "x"))).await;
            assert!(matches!(late, Err(StoreError::NotFound { what: "flow" })), "{late:?}");
        }
    }
    assert!(database.seen().await.is_empty());
}

async fn b15_flows_are_listed(database: TestDatabase) {
    database.with_upstreams().await;
    database.grant("a1", ["x", "y"]).await;
    for (place, (id, key)) in [
        ("f9", of_token("a1", "x")),
        ("f5", of_token("a1", "y")),
        ("f7", of_user("u1", "people")),
        ("f1", of_user("u2", "people")),
    ]
    .into_iter()
    .enumerate()
    {
        let created_at = Timestamp::from_unix_millis(at(0).unix_millis() + place as i64);
        database.store.begin_flow(&NewFlow { created_at, ..flow(id, key) }).await.unwrap();
    }
    for (id, created_at, expires_at) in [("taken", at(0), at(900)), ("old", at(1), at(1))] {
        let key = of_user("u1", "people");
        database.store.begin_flow(&NewFlow { created_at, expires_at, ..flow(id, key) }).await.unwrap();
    }
    database.store.take_flow(&tenant("a"), "taken", at(0)).await.unwrap();
    let everything = FlowFilter {
        tenant: tenant("a"),
        upstream_id: None,
        holder: None,
        holder_id: None,
        user_id: None,
        search: None,
        after: None,
        limit: 250,
        now: at(1),
    };
    let listed = async |filter: FlowFilter| {
        let found = database.store.list_flows(&filter).await.unwrap();
        found.into_iter().map(|row| row.flow.id).collect::<Vec<_>>()
    };
    let filter = |change: fn(&mut FlowFilter)| {
        let mut filter = everything.clone();
        change(&mut filter);
        filter
    };
    for (filter, expected) in [
        (everything.clone(), &["f9", "f5", "f7", "f1"][..]),
        (filter(|f| f.now = at(0)), &["f9", "f5", "f7", "f1", "old"]),
        (filter(|f| f.now = at(900)), &[]),
        (filter(|f| f.tenant = tenant("b")), &[]),
        (filter(|f| f.upstream_id = Some("people".into())), &["f7", "f1"]),
        (filter(|f| f.holder = Some(HolderKind::Token)), &["f9", "f5"]),
        (filter(|f| f.holder_id = Some("u2".into())), &["f1"]),
        (filter(|f| f.user_id = Some("u1".into())), &["f9", "f5", "f7"]),
        (filter(|f| f.search = Some("PEO".into())), &["f7", "f1"]),
        (filter(|f| f.search = Some("%".into())), &[]),
        (filter(|f| f.limit = 1), &["f9"]),
        (filter(|f| f.after = Some("f5".into())), &["f7", "f1"]),
        // Also after one that is taken by now, and as old as the first.
        (filter(|f| f.after = Some("taken".into())), &["f5", "f7", "f1"]),
    ] {
        assert_eq!(listed(filter.clone()).await, expected, "{filter:?}");
    }
    let lost = database.store.list_flows(&filter(|f| f.after = Some("gone".into()))).await;
    assert!(matches!(lost, Err(StoreError::NotFound { what: "flow" })), "{lost:?}");
}

async fn flows_are_no_decision_data(database: TestDatabase) {
    database.with_upstreams().await;
    let before = database.revision().await;
    database.begin("f", of_user("u1", "people")).await;
    database.begin("g", of_user("u1", "people")).await;
    database.taken("f").await;
    database.store.remove_flow(&tenant("a"), "f").await.unwrap();
    assert_eq!(database.store.sweep_credentials(at(0), at(900)).await.unwrap().flows, 1);
    assert_eq!(database.revision().await, before);
}

async fn begin_at(database: &TestDatabase, number: u16, flow: NewFlow) {
    let id = format!("f{number:03}");
    let moment = at(i64::from(number));
    let flow = NewFlow { id, created_at: moment, ..flow };
    database.store.begin_flow(&flow).await.unwrap();
}

async fn flow_ids(database: &TestDatabase) -> Vec<String> {
    database.texts("select id from credential_flows order by id").await
}

async fn a_holders_newest_five_flows_are_pending(database: TestDatabase) {
    database.with_upstreams().await;
    // Neither one that is being completed, nor one that has expired, nor another's is pending, or goes.
    database.begin("taken", of_user("u1", "people")).await;
    database.taken("taken").await;
    let expired = NewFlow { expires_at: at(0), ..flow("expired", of_user("u1", "people")) };
    database.store.begin_flow(&expired).await.unwrap();
    database.begin("other", of_user("u2", "people")).await;
    database.grant("a1", ["x"]).await;
    database.begin("another", of_token("a1", "x")).await;
    let before = database.revision().await;
    for number in 1..=7 {
        begin_at(&database, number, flow("f", of_user("u1", "people"))).await;
        assert!(database.has_flow(&format!("f{number:03}")).await);
    }
    let left = ["another", "expired", "f003", "f004", "f005", "f006", "f007", "other", "taken"];
    assert_eq!(flow_ids(&database).await, left);
    assert_eq!(database.revision().await, before);
}

async fn a_beginners_newest_fifty_flows_are_pending(database: TestDatabase) {
    database.with_upstreams().await;
    let users = (0..26).map(|number| format!(r#"{{"id": "p{number}", "tenant": "a"}}"#)).collect::<Vec<_>>();
    database.import(&format!(r#"{{"users": [{}]}}"#, users.join(","))).await;
    let someone = of_user("u2", "people");
    for (id, kind, who) in [("kind", "admin", "u1"), ("who", "session", "u2")] {
        let begun_by = regate::store::upstreams::BegunBy { kind: kind.to_owned(), id: who.to_owned() };
        database.store.begin_flow(&NewFlow { begun_by, ..flow(id, someone.clone()) }).await.unwrap();
    }
    for number in 1..=52 {
        let holder = of_user(&format!("p{}", number % 26), "people");
        begin_at(&database, number, flow("f", holder)).await;
    }
    let mut left: Vec<String> = (3..=52).map(|number| format!("f{number:03}")).collect();
    left.extend(["kind".to_owned(), "who".to_owned()]);
    assert_eq!(flow_ids(&database).await, left);
    // Of another upstream as well.
    database.grant("a1", ["x"]).await;
    begin_at(&database, 53, flow("f", of_token("a1", "x"))).await;
    assert!(!database.has_flow("f003").await && database.has_flow("f053").await);
}

//! What a change of grants does to credentials and flows, whoever makes it: systems.md B1 to B10.

use regate::{
    decision::facts::CredentialState::{Active, NeedsReauth, NeedsUpdate, Orphaned},
    store::{StoreError, upstreams::UpstreamChange},
    types::Holder,
};

use super::{TestDatabase, at, credential, of, of_token, of_user, on_both_databases, tenant};

on_both_databases![
    b1_a_token_reaches_its_grants_and_what_is_open_to_all,
    b2_a_lost_grant_orphans_credentials_and_deletes_flows,
    b3_a_grant_that_returns_makes_the_same_rows_active_again,
    b4_other_states_are_left_alone_in_both_directions,
    b5_only_what_tokens_hold_follows_their_grants,
    b6_it_starts_from_either_side_and_looks_at_all_that_the_token_holds,
    b7_it_is_one_revision_and_is_undone_with_its_cause,
    b10_what_is_deleted_takes_its_credentials_and_flows,
    a_revoked_tokens_credentials_and_flows_are_gone,
    an_import_reconciles,
    an_import_says_what_an_upstream_wants,
    another_tenant_is_not_touched,
    what_no_decision_sees_moves_no_revision,
];

async fn b1_a_token_reaches_its_grants_and_what_is_open_to_all(database: TestDatabase) {
    database.with_upstreams().await;
    // Nothing.
    assert_eq!(database.give(of_token("a1", "x")).await, Orphaned);
    // A grant, a mark, both.
    database.grant("a1", ["x"]).await;
    assert_eq!(database.give(of_token("a1", "x")).await, Active);
    database.open_to("y", &[], Some(true)).await;
    assert_eq!(database.give(of_token("a1", "y")).await, Active);
    database.open_to("x", &["a1"], Some(true)).await;
    for (mark, tokens, expected) in [
        (true, &["a1"][..], Active),
        (true, &[], Active),
        (false, &["a1"], Active),
        (false, &["a2"], Orphaned),
    ] {
        database.open_to("x", tokens, Some(mark)).await;
        assert_eq!(database.state(&of_token("a1", "x")).await, expected, "{mark} {tokens:?}");
    }
    // Decisions load what is stored, and a grant or mark of the same revision.
    let reach = "select count(*) || ' ' || min(token_id) || max(token_id) from token_reach where tenant = 'a' and \
                 upstream_id = 'y'";
    assert_eq!(database.text(reach).await, "3 a1a3");
}

async fn b2_a_lost_grant_orphans_credentials_and_deletes_flows(database: TestDatabase) {
    for lose in [
        "store: token",
        "store: upstream",
        "delete from grants where token_id = 'a1' and upstream_id = 'x'",
        "update grants set upstream_id = 'z' where token_id = 'a1' and upstream_id = 'x'",
        "update grants set token_id = 'a3' where token_id = 'a1' and upstream_id = 'x'",
    ] {
        // Each anew, in the same database.
        database.execute("delete from tenants where id in ('a', 'b')").await.unwrap();
        database.with_upstreams().await;
        database.grant("a1", ["x", "y"]).await;
        database.grant("a2", ["x"]).await;
        for key in [of_token("a1", "x"), of_token("a1", "y"), of_token("a2", "x")] {
            assert_eq!(database.give(key).await, Active);
        }
        database.begin("f1", of_token("a1", "x")).await;
        database.begin("taken", of_token("a1", "x")).await;
        database.begin("f2", of_token("a1", "y")).await;
        database.begin("f3", of_token("a2", "x")).await;
        database.taken("taken").await;
        match lose {
            "store: token" => database.grant("a1", ["y"]).await,
            "store: upstream" => database.open_to("x", &["a2"], None).await,
            sql => assert_eq!(database.execute(sql).await.unwrap(), 1),
        }
        let row = database.store.credential(&of_token("a1", "x")).await.unwrap().value;
        assert_eq!((row.state, row.orphaned_at.is_some()), (Orphaned, true), "{lose}");
        assert!(!database.has_flow("f1").await && !database.has_flow("taken").await, "{lose}");
        for other in [of_token("a1", "y"), of_token("a2", "x")] {
            assert_eq!(database.state(&other).await, Active, "{lose}");
        }
        assert!(database.has_flow("f2").await && database.has_flow("f3").await, "{lose}");
    }
}

async fn b3_a_grant_that_returns_makes_the_same_rows_active_again(database: TestDatabase) {
    database.with_upstreams().await;
    let key = of_token("a1", "x");
    database.give(key.clone()).await;
    let row = database.store.credential(&key).await.unwrap().value;
    for (back, lose) in [
        ("insert into grants (tenant, token_id, upstream_id) values ('a', 'a1', 'x')", "delete from grants"),
        (
            "update upstreams set allow_all = (1 = 1) where tenant = 'a' and id = 'x'",
            "update upstreams set allow_all = (1 = 0)",
        ),
    ] {
        database.execute(back).await.unwrap();
        let found = database.store.credential(&key).await.unwrap().value;
        assert_eq!((found.state, found.orphaned_at), (Active, None), "{back}");
        assert_eq!((found.created_at, found.updated_at), (row.created_at, row.updated_at));
        // Doing it again changes nothing.
        let before = database.revision().await;
        database.execute(back).await.err();
        assert_eq!(database.revision().await, before);
        database.execute(lose).await.unwrap();
        assert_eq!(database.state(&key).await, Orphaned, "{lose}");
    }
    assert_eq!(database.seen().await[0].sealed, super::sealed("the sealed secret"));
}

async fn b4_other_states_are_left_alone_in_both_directions(database: TestDatabase) {
    database.with_upstreams().await;
    database.grant("a1", ["x", "y"]).await;
    for (upstream, state) in [("x", NeedsReauth), ("y", NeedsUpdate)] {
        let key = of_token("a1", upstream);
        database.give(key.clone()).await;
        database.set_state(&key, state).await;
        database.grant("a1", []).await;
        assert_eq!(database.state(&key).await, state);
        database.grant("a1", ["x", "y"]).await;
        assert_eq!(database.state(&key).await, state);
        for mark in [true, false] {
            database.open_to(upstream, &[], Some(mark)).await;
            assert_eq!(database.state(&key).await, state);
        }
        assert_eq!(database.store.credential(&key).await.unwrap().value.orphaned_at, None);
    }
}

async fn b5_only_what_tokens_hold_follows_their_grants(database: TestDatabase) {
    database.with_upstreams().await;
    // A user with the id of a token, for the same upstream.
    database.import(r#"{"users": [{"id": "a1", "tenant": "a"}]}"#).await;
    database.grant("a1", ["x", "people"]).await;
    database.give(of_token("a1", "x")).await;
    database.give(of_user("a1", "people")).await;
    database.give(of(Holder::Shared, "all")).await;
    database.begin("f", of_user("a1", "people")).await;
    let user_held = "insert into upstream_credentials (tenant, upstream_id, holder, holder_id, user_id, key_id, sealed) \
                     values ('a', 'x', 'user', 'a1', 'a1', '0123456789abcdef', 'AAAA')";
    database.execute(user_held).await.unwrap();
    database.grant("a1", []).await;
    assert_eq!(database.state(&of_token("a1", "x")).await, Orphaned);
    for key in [of_user("a1", "people"), of_user("a1", "x"), of(Holder::Shared, "all")] {
        assert_eq!(database.state(&key).await, Active);
    }
    assert!(database.has_flow("f").await);
}

async fn b6_it_starts_from_either_side_and_looks_at_all_that_the_token_holds(database: TestDatabase) {
    database.with_upstreams().await;
    let spoil = async || {
        // What no trigger has seen: as if they had been switched off for a while.
        for (upstream, state) in [("x", "active"), ("y", "active")] {
            let sql = format!(
                "update upstream_credentials set state = '{state}', orphaned_at = null where upstream_id = '{upstream}'"
            );
            database.execute(&sql).await.unwrap();
        }
    };
    for upstream in ["x", "y"] {
        database.give(of_token("a1", upstream)).await;
    }
    let states =
        async || [database.state(&of_token("a1", "x")).await, database.state(&of_token("a1", "y")).await];
    spoil().await;
    assert_eq!(states().await, [Active, Active]);
    // A rename, another address: nothing.
    database.execute("update upstreams set url = 'https://other.example' where tenant = 'a'").await.unwrap();
    database
        .change("x", UpstreamChange { format: Some("{token}".into()), ..UpstreamChange::default() })
        .await;
    assert_eq!(states().await, [Active, Active]);
    // From the token's side all that it holds.
    database.grant("a1", ["z"]).await;
    assert_eq!(states().await, [Orphaned, Orphaned]);
    spoil().await;
    database.execute("delete from grants").await.unwrap();
    assert_eq!(states().await, [Orphaned, Orphaned]);
    // From an upstream's side all tokens that hold something for it.
    spoil().await;
    database.open_to("x", &["a2"], None).await;
    assert_eq!(states().await, [Orphaned, Active]);
    database
        .execute("update upstreams set allow_all = (1 = 1) where tenant = 'a' and id = 'y'")
        .await
        .unwrap();
    assert_eq!(states().await, [Orphaned, Active]);
    database.execute("update upstreams set allow_all = (1 = 0)").await.unwrap();
    assert_eq!(states().await, [Orphaned, Orphaned]);
}

async fn b7_it_is_one_revision_and_is_undone_with_its_cause(database: TestDatabase) {
    database.with_upstreams().await;
    database.grant("a1", ["x", "y"]).await;
    for upstream in ["x", "y"] {
        database.give(of_token("a1", upstream)).await;
    }
    database.begin("f", of_token("a1", "x")).await;
    let before = database.revision().await;
    // Half of a request is none.
    let refused =
        database.store.set_token_grants(&tenant("a"), "a1", &super::ids(["y", "nowhere"]), at(0)).await;
    assert!(matches!(refused, Err(StoreError::UnknownReference { .. })));
    database.execute("begin; delete from grants; rollback").await.unwrap();
    assert_eq!(database.state(&of_token("a1", "x")).await, Active);
    assert!(database.has_flow("f").await);
    assert_eq!(database.revision().await, before);
    database.grant("a1", []).await;
    assert_eq!(database.revision().await, before + 1);
    database.grant("a1", []).await;
    assert_eq!(database.revision().await, before + 1);
    database.open_to("x", &["a1", "a2"], Some(true)).await;
    assert_eq!(database.revision().await, before + 2);
    // What is given comes before what is taken: nobody is without in between.
    database.begin("g", of_token("a1", "x")).await;
    database.open_to("x", &["a1"], Some(false)).await;
    database.open_to("x", &[], Some(true)).await;
    assert!(database.has_flow("g").await);
    assert_eq!(database.state(&of_token("a1", "x")).await, Active);
}

async fn b10_what_is_deleted_takes_its_credentials_and_flows(database: TestDatabase) {
    for delete in [
        "delete from tokens where id = 'a1'",
        "delete from users where tenant = 'a' and id = 'u1'",
        "store: user",
        "store: token",
        "delete from upstreams where tenant = 'a' and id in ('x', 'people')",
        "store: upstreams",
        "delete from tenants where id = 'a'",
    ] {
        database.execute("delete from tenants where id in ('a', 'b')").await.unwrap();
        database.with_upstreams().await;
        database.grant("a1", ["x", "y"]).await;
        database.open_to("z", &[], Some(true)).await;
        for upstream in ["x", "y", "z"] {
            database.give(of_token("a1", upstream)).await;
        }
        database.give(of_user("u1", "people")).await;
        database.grant("a1", ["x", "z"]).await;
        database.begin("f", of_token("a1", "x")).await;
        database.begin("g", of_user("u1", "people")).await;
        let a = tenant("a");
        match delete {
            "store: user" => drop(database.store.remove_user(&a, "u1").await.unwrap()),
            "store: token" => assert!(database.store.remove_unshown_token("a1").await.unwrap()),
            "store: upstreams" => {
                database.store.remove_upstream(&a, "x").await.unwrap();
                database.store.remove_upstream(&a, "people").await.unwrap();
            }
            sql => drop(database.execute(sql).await.unwrap()),
        }
        let upstreams = delete.contains("upstreams");
        let tokens_alone = delete.contains("token");
        let left = database.seen().await.len();
        let expected = if upstreams { 2 } else { usize::from(tokens_alone) };
        assert_eq!(left, expected, "{delete}");
        assert!(!database.has_flow("f").await, "{delete}");
        assert_eq!(database.has_flow("g").await, tokens_alone, "{delete}");
    }
}

async fn a_revoked_tokens_credentials_and_flows_are_gone(database: TestDatabase) {
    database.with_upstreams().await;
    for token in ["a1", "a2", "a3"] {
        database.grant(token, ["x", "y"]).await;
        database.give(of_token(token, "x")).await;
        database.give(of_token(token, "y")).await;
        database.begin(token, of_token(token, "x")).await;
    }
    let before = database.revision().await;
    database.store.revoke_token("a1", None, at(1)).await.unwrap();
    assert_eq!(database.revision().await, before + 1);
    assert_eq!(database.seen().await.len(), 4);
    assert!(!database.has_flow("a1").await && database.has_flow("a2").await);
    // Uses and names are no revocations.
    database
        .execute("update tokens set last_used_at = '2026-01-01T00:00:00Z', name = 'other'")
        .await
        .unwrap();
    assert_eq!(database.seen().await.len(), 4);
    database
        .execute("update tokens set revoked_at = '2026-01-01T00:00:00Z' where tenant = 'a'")
        .await
        .unwrap();
    assert!(database.seen().await.is_empty() && !database.has_flow("a3").await);
}

async fn an_import_reconciles(database: TestDatabase) {
    database.with_upstreams().await;
    for upstream in ["x", "y"] {
        database.give(of_token("a1", upstream)).await;
    }
    database
        .import(
            r#"{"grants": [{"tenant": "a", "token_id": "a1", "upstream_id": "x"}],
                "upstreams": [{"id": "y", "tenant": "a", "url": "https://y.example", "credential": "per_token",
                               "allow_all": true}]}"#,
        )
        .await;
    for upstream in ["x", "y"] {
        assert_eq!(database.state(&of_token("a1", upstream)).await, Active);
    }
    // What an upstream's entry leaves out is what it is for a new one.
    database
        .import(
            r#"{"upstreams": [{"id": "y", "tenant": "a", "url": "https://y.example", "credential": "per_token"},
                              {"id": "x", "tenant": "a", "url": "https://x.example", "credential": "per_token",
                               "value_headers": ["X-Key"]}]}"#,
        )
        .await;
    assert_eq!(database.state(&of_token("a1", "y")).await, Orphaned);
    assert_eq!(database.state(&of_token("a1", "x")).await, NeedsUpdate);
}

async fn an_import_says_what_an_upstream_wants(database: TestDatabase) {
    let entry = |more: &str| {
        let url = "https://x.example";
        format!(r#"{{"upstreams": [{{"id": "x", "url": "{url}", "credential": "per_user"{more}}}]}}"#)
    };
    let all = entry(r#", "value_headers": [" X-Key ", "x-key", "X-Org"], "pass_headers": ["Accept"]"#);
    assert_eq!(database.import(&all).await.changed(), 1);
    let again = database.import(&all).await;
    assert_eq!((again.changed(), again.revision.0), (0, 1));
    let row = database.store.upstream(&tenant("default"), "x").await.unwrap().value;
    assert_eq!(row.value_headers.unwrap(), ["x-key", "x-org"]);
    assert_eq!(row.pass_headers.unwrap(), ["accept"]);
    let consent = entry(
        r#", "oauth": {"authorization_endpoint": "https://as/a", "token_endpoint": "https://as/t", "client_id": "c"}"#,
    );
    assert_eq!(database.import(&consent).await.changed(), 1);
    let row = database.store.upstream(&tenant("default"), "x").await.unwrap().value;
    assert_eq!(row.oauth.unwrap().client_id, "c");
    // What is left out is what it is for a new one.
    assert_eq!(database.import(&entry("")).await.changed(), 1);
    let row = database.store.upstream(&tenant("default"), "x").await.unwrap().value;
    assert_eq!((row.value_headers, row.pass_headers, row.oauth), (None, None, None));
}

async fn another_tenant_is_not_touched(database: TestDatabase) {
    database.with_upstreams().await;
    let other = regate::store::upstreams::CredentialKey { tenant: tenant("b"), ..of_token("b1", "x") };
    database.store.set_token_grants(&tenant("b"), "b1", &super::ids(["x"]), at(0)).await.unwrap();
    database.store.put_credential(&credential(other.clone())).await.unwrap();
    database.grant("a1", ["x"]).await;
    database.open_to("x", &[], Some(true)).await;
    database.open_to("x", &[], Some(false)).await;
    assert_eq!(database.state(&other).await, Active);
    database.store.remove_upstream(&tenant("a"), "x").await.unwrap();
    assert_eq!(database.state(&other).await, Active);
}

async fn what_no_decision_sees_moves_no_revision(database: TestDatabase) {
    database.with_upstreams().await;
    database.give(of_token("a1", "x")).await;
    database.begin("f", of_user("u1", "people")).await;
    let before = database.revision().await;
    for sql in [
        "update upstream_credentials set version = version + 1, renew_after = '2026-01-01T00:00:00Z'",
        "update upstream_credentials set sealed_refresh = 'AAAA', refresh_key_id = '0123456789abcdef'",
        "update upstream_credentials set updated_at = '2026-01-01T00:00:00Z', header_names = '[]'",
        "update credential_flows set taken_at = '2026-01-01T00:00:00Z'",
        "insert into upstream_client_secrets (tenant, upstream_id, key_id, sealed) \
         values ('a', 'x', '0123456789abcdef', 'AAAA')",
        "delete from credential_flows",
        "delete from upstream_client_secrets",
    ] {
        database.execute(sql).await.unwrap();
        assert_eq!(database.revision().await, before, "{sql}");
    }
    for (place, sql) in [
        "update upstream_credentials set key_id = '0123456789abcdef'",
        "update upstream_credentials set sealed = 'AAAA'",
        "update upstream_credentials set expires_at = '2026-01-01T00:00:00Z'",
        "update upstream_credentials set state = 'needs_reauth', orphaned_at = null",
        "delete from upstream_credentials",
        "update upstreams set pass_headers = '[]' where tenant = 'a' and id = 'x'",
        "update upstreams set value_headers = '[\"x-a\"]' where tenant = 'a' and id = 'x'",
        "update upstreams set header = 'X-Key' where tenant = 'a' and id = 'x'",
        "update upstreams set format = '{token}' where tenant = 'a' and id = 'x'",
    ]
    .into_iter()
    .enumerate()
    {
        database.execute(sql).await.unwrap();
        assert_eq!(database.revision().await, before + 1 + place as u64, "{sql}");
    }
}

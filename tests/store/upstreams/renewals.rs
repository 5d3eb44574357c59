//! Renewing, sweeping, sealing anew.

use regate::{
    decision::facts::CredentialState,
    store::upstreams::{
        CredentialKey, NewCredential, Renewal, RenewalsWanted, Renewed, SealedPlace, Swept, UpstreamChange,
    },
    types::{Holder, KeyId, Sealed},
};

use super::{
    KEY, TestDatabase, at, credential, oauth, of, of_token, of_user, on_both_databases, sealed, tenant,
};

on_both_databases![
    a_renewal_is_claimed_by_one_and_written_unless_the_credential_is_another,
    what_is_not_due_is_not_renewed,
    one_is_renewed_on_demand,
    what_nobody_could_use_is_not_renewed,
    what_an_expired_token_holds_is_swept_in_the_end,
    a_refused_renewal_needs_a_new_consent,
    a_renewal_for_one_that_is_gone_and_given_anew_writes_nothing,
    many_who_claim_at_once_get_each_once,
    b14_what_was_orphaned_long_ago_is_swept,
    everything_sealed_is_sealed_anew,
];

const OTHER: KeyId = KeyId([9; 8]);

fn due() -> RenewalsWanted {
    RenewalsWanted { only: None, expiring_before: at(100), now: at(10), held_until: at(40), limit: 10 }
}

async fn with_a_renewable(database: &TestDatabase, key: &CredentialKey, expires: i64) {
    let change = UpstreamChange { oauth: Some(Some(oauth())), ..UpstreamChange::default() };
    database.change(&key.upstream_id, change).await;
    let new = NewCredential {
        refresh: Some(sealed("refresh")),
        expires_at: Some(at(expires)),
        ..credential(key.clone())
    };
    database.store.put_credential(&new).await.unwrap();
}

async fn claimed(database: &TestDatabase, wanted: &RenewalsWanted) -> Vec<Renewal> {
    database.store.claim_renewals(wanted).await.unwrap()
}

async fn a_renewal_is_claimed_by_one_and_written_unless_the_credential_is_another(database: TestDatabase) {
    database.with_upstreams().await;
    let (store, key) = (&database.store, of_user("u1", "people"));
    with_a_renewable(&database, &key, 60).await;
    store.put_client_secret(&tenant("a"), "people", Some(&sealed("client"))).await.unwrap();
    let before = database.revision().await;
    let claim = claimed(&database, &due()).await;
    let version = claim[0].version;
    let expected = Renewal {
        key: key.clone(),
        oauth: oauth(),
        client_secret: Some(sealed("client")),
        refresh: sealed("refresh"),
        version,
        held_until: due().held_until,
    };
    assert_eq!(claim, [expected]);
    assert_eq!(claimed(&database, &due()).await, []);
    // Who claimed it may have died.
    let later = RenewalsWanted { now: at(40), held_until: at(70), ..due() };
    assert_eq!(claimed(&database, &later).await.len(), 1);
    // The first one, which stood still, lets go of what is not its own any more.
    let let_go = |held_until| Renewed::NotBefore { moment: at(300), held_until };
    let late = store.finish_renewal(&key, version, &let_go(due().held_until), at(41)).await.unwrap();
    assert_eq!(late, None);
    assert_eq!(claimed(&database, &RenewalsWanted { now: at(41), ..due() }).await, []);
    let not_yet = store.finish_renewal(&key, version, &let_go(at(70)), at(41)).await.unwrap();
    assert_eq!(not_yet.unwrap().0, before);
    assert_eq!(database.revision().await, before);
    assert_eq!(claimed(&database, &RenewalsWanted { now: at(299), ..due() }).await, []);
    let much_later = RenewalsWanted { now: at(300), ..due() };
    assert_eq!(claimed(&database, &much_later).await[0].version, version);
    let new = Renewed::As { sealed: sealed("new"), refresh: None, expires_at: Some(at(9000)) };
    let written = store.finish_renewal(&key, version, &new, at(301)).await.unwrap().unwrap();
    assert_eq!(written.0, before + 1);
    let row = store.credential(&key).await.unwrap().value;
    assert_eq!((row.expires_at, row.created_at, row.updated_at), (Some(at(9000)), at(0), at(301)));
    assert!(row.renewable);
    assert_eq!(database.seen().await[0].sealed, sealed("new"));
    // It is another now.
    assert_eq!(store.finish_renewal(&key, version, &new, at(302)).await.unwrap(), None);
    assert_eq!(store.finish_renewal(&key, version, &Renewed::Refused, at(302)).await.unwrap(), None);
    assert_eq!(database.state(&key).await, CredentialState::Active);
    assert_eq!(database.revision().await, before + 1);
    // It has the refresh token that it had, and then another.
    let wanted = RenewalsWanted { expiring_before: at(9001), now: at(400), ..due() };
    let claim = claimed(&database, &wanted).await;
    assert_eq!((claim[0].refresh.clone(), claim[0].version), (sealed("refresh"), version + 1));
    let new =
        Renewed::As { sealed: sealed("new"), refresh: Some(sealed("refresh 2")), expires_at: Some(at(9000)) };
    store.finish_renewal(&key, version + 1, &new, at(401)).await.unwrap().unwrap();
    assert_eq!(
        claimed(&database, &RenewalsWanted { now: at(401), ..wanted }).await[0].refresh,
        sealed("refresh 2")
    );
}

async fn what_is_not_due_is_not_renewed(database: TestDatabase) {
    database.with_upstreams().await;
    with_a_renewable(&database, &of_user("u1", "people"), 100).await;
    with_a_renewable(&database, &of_user("u2", "people"), 99).await;
    with_a_renewable(&database, &of(Holder::Shared, "all"), 5).await;
    // What is orphaned is kept alive for the day when the grant is back.
    with_a_renewable(&database, &of_token("a1", "x"), 7).await;
    let keys = |renewals: Vec<Renewal>| renewals.into_iter().map(|renewal| renewal.key).collect::<Vec<_>>();
    let first = RenewalsWanted { limit: 2, ..due() };
    assert_eq!(keys(claimed(&database, &first).await), [of(Holder::Shared, "all"), of_token("a1", "x")]);
    assert_eq!(keys(claimed(&database, &first).await), [of_user("u2", "people")]);
    for state in [CredentialState::NeedsReauth, CredentialState::NeedsUpdate] {
        database.set_state(&of_user("u2", "people"), state).await;
        assert_eq!(claimed(&database, &RenewalsWanted { now: at(50), limit: 9, ..due() }).await.len(), 2);
        database.execute("update upstream_credentials set renew_after = null").await.unwrap();
    }
    // Nobody consents there any more.
    database.change("all", UpstreamChange { oauth: Some(None), ..UpstreamChange::default() }).await;
    assert_eq!(keys(claimed(&database, &due()).await), [of_token("a1", "x")]);
}

async fn one_is_renewed_on_demand(database: TestDatabase) {
    database.with_upstreams().await;
    let (one, other) = (of_user("u1", "people"), of_user("u2", "people"));
    with_a_renewable(&database, &one, 5000).await;
    with_a_renewable(&database, &other, 20).await;
    let only = RenewalsWanted { only: Some(one.clone()), ..due() };
    assert_eq!(claimed(&database, &only).await[0].key, one);
    assert_eq!(claimed(&database, &only).await, []);
    assert_eq!(claimed(&database, &RenewalsWanted { only: Some(of_user("u1", "x")), ..due() }).await, []);
}

async fn what_nobody_could_use_is_not_renewed(database: TestDatabase) {
    database.with_upstreams().await;
    let keys = [
        of(Holder::Shared, "all"),
        of_user("u1", "people"),
        of_user("u2", "people"),
        of_token("a1", "x"),
        of_token("a2", "x"),
        of_token("a3", "x"),
    ];
    let [all, one, two, first, second, nobodys] = &keys;
    for key in &keys {
        with_a_renewable(&database, key, 60).await;
    }
    // By whole seconds, as decisions see it: at the second of its expiry a token is dead. This is at(10) and one more.
    let (at_10, at_11) = ("2026-09-21T14:13:30Z", "2026-09-21T14:13:31Z");
    let expires = |token: &str, moment: &str| {
        format!("update tokens set expires_at = '{moment}' where tenant = 'a' and id = '{token}'")
    };
    let disabled = "update users set disabled = (1 = 1) where tenant = 'a' and id = 'u1'".to_owned();
    let revoked = "update tokens set revoked_at = '2026-01-01T00:00:00Z' where id = 'a2'".to_owned();
    for (change, expected) in [
        (disabled.clone(), vec![all, two, second, nobodys]),
        (disabled.replace("(1 = 1)", "(1 = 0)"), vec![all, one, two, first, second, nobodys]),
        (expires("a1", at_10), vec![all, one, two, second, nobodys]),
        (expires("a1", at_11), vec![all, one, two, first, second, nobodys]),
        (expires("a3", "2020-01-01T02:00:00+02:00"), vec![all, one, two, first, second]),
        (revoked, vec![all, one, two, first]),
    ] {
        database.execute(&change).await.unwrap();
        let mut expected: Vec<CredentialKey> = expected.into_iter().cloned().collect();
        let claim = claimed(&database, &due()).await;
        let mut found: Vec<CredentialKey> = claim.into_iter().map(|renewal| renewal.key).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{change}");
        database.execute("update upstream_credentials set renew_after = null").await.unwrap();
        // Neither when a request asks for it.
        for key in &keys {
            let only = RenewalsWanted { only: Some(key.clone()), ..due() };
            assert_eq!(
                claimed(&database, &only).await.len(),
                usize::from(expected.contains(key)),
                "{change}"
            );
        }
        database.execute("update upstream_credentials set renew_after = null").await.unwrap();
    }
}

async fn what_an_expired_token_holds_is_swept_in_the_end(database: TestDatabase) {
    database.with_upstreams().await;
    for token in ["a1", "a2", "a3"] {
        database.grant(token, ["x"]).await;
        database.give(of_token(token, "x")).await;
    }
    database.give(of_user("u1", "people")).await;
    // at(10), and much later.
    for (token, moment) in [("a1", "2026-09-21T14:13:30Z"), ("a2", "2030-01-01T00:00:00Z")] {
        let expire =
            format!("update tokens set expires_at = '{moment}' where tenant = 'a' and id = '{token}'");
        database.execute(&expire).await.unwrap();
    }
    let sweep = async |orphaned| database.store.sweep_credentials(at(orphaned), at(900)).await.unwrap();
    assert_eq!(sweep(10).await, Swept::default());
    assert_eq!(sweep(11).await, Swept { credentials: 1, flows: 0 });
    let left: Vec<Holder> = database.seen().await.into_iter().map(|it| it.holder).collect();
    assert!(left.len() == 3 && !left.contains(&Holder::Token("a1".to_owned())), "{left:?}");
}

async fn a_refused_renewal_needs_a_new_consent(database: TestDatabase) {
    database.with_upstreams().await;
    for (key, before, after) in [
        (of_user("u1", "people"), CredentialState::Active, CredentialState::NeedsReauth),
        (of_token("a1", "x"), CredentialState::Orphaned, CredentialState::NeedsReauth),
        (of_user("u2", "people"), CredentialState::NeedsUpdate, CredentialState::NeedsUpdate),
    ] {
        with_a_renewable(&database, &key, 20).await;
        let only = RenewalsWanted { only: Some(key.clone()), ..due() };
        let version = claimed(&database, &only).await[0].version;
        if before == CredentialState::NeedsUpdate {
            database.set_state(&key, before).await;
        }
        assert_eq!(database.state(&key).await, before);
        let written = database.store.finish_renewal(&key, version, &Renewed::Refused, at(20)).await.unwrap();
        assert_eq!(written.unwrap().0, database.revision().await);
        let row = database.store.credential(&key).await.unwrap().value;
        assert_eq!((row.state, row.orphaned_at, row.renewable), (after, None, false));
    }
}

async fn a_renewal_for_one_that_is_gone_and_given_anew_writes_nothing(database: TestDatabase) {
    database.with_upstreams().await;
    let key = of_user("u1", "people");
    with_a_renewable(&database, &key, 20).await;
    let version = claimed(&database, &due()).await[0].version;
    database.store.remove_credential(&key).await.unwrap();
    database.give(key.clone()).await;
    let new = Renewed::As { sealed: sealed("late"), refresh: None, expires_at: None };
    assert_eq!(database.store.finish_renewal(&key, version, &new, at(20)).await.unwrap(), None);
    assert_eq!(database.seen().await[0].sealed, sealed("the sealed secret"));
}

async fn many_who_claim_at_once_get_each_once(database: TestDatabase) {
    database.with_upstreams().await;
    for token in ["a1", "a2", "a3"] {
        for upstream in ["x", "y", "z"] {
            with_a_renewable(&database, &of_token(token, upstream), 20).await;
        }
    }
    let claiming: Vec<_> = (0..6)
        .map(|_| {
            let store = database.store.clone();
            tokio::spawn(async move { store.claim_renewals(&RenewalsWanted { limit: 2, ..due() }).await })
        })
        .collect();
    let mut keys = Vec::new();
    for claim in claiming {
        keys.extend(claim.await.unwrap().unwrap().into_iter().map(|renewal| renewal.key));
    }
    keys.extend(claimed(&database, &due()).await.into_iter().map(|renewal| renewal.key));
    let all = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!((keys.len(), all), (9, 9));
}

async fn b14_what_was_orphaned_long_ago_is_swept(database: TestDatabase) {
    database.with_upstreams().await;
    database.grant("a3", ["x"]).await;
    let orphans = [(of_token("a1", "x"), 0), (of_token("a2", "x"), 100)];
    for (key, since) in &orphans {
        database
            .store
            .put_credential(&NewCredential { now: at(*since), ..credential(key.clone()) })
            .await
            .unwrap();
    }
    database.give(of_token("a3", "x")).await;
    database.begin("f", of_user("u1", "people")).await;
    let before = database.revision().await;
    let sweep = async |orphaned, now| database.store.sweep_credentials(at(orphaned), at(now)).await.unwrap();
    assert_eq!(sweep(0, 899).await, Swept::default());
    assert_eq!(database.revision().await, before);
    assert_eq!(sweep(100, 900).await, Swept { credentials: 1, flows: 1 });
    assert_eq!(database.revision().await, before + 1);
    assert_eq!(sweep(100, 900).await, Swept::default());
    assert_eq!(sweep(5000, 900).await, Swept { credentials: 1, flows: 0 });
    assert_eq!(database.seen().await.len(), 1);
}

async fn everything_sealed_is_sealed_anew(database: TestDatabase) {
    database.with_upstreams().await;
    let (store, a) = (&database.store, tenant("a"));
    let keys = [of_user("u1", "people"), of(Holder::Shared, "all"), of_token("a1", "x")];
    for key in &keys {
        with_a_renewable(&database, key, 20).await;
    }
    store.put_client_secret(&a, "x", Some(&sealed("client"))).await.unwrap();
    database.begin("f", of_user("u1", "people")).await;
    assert_eq!(store.sealing_keys().await.unwrap(), [(KEY, 8)]);
    assert_eq!(store.sealed_by_others(KEY, None, 100).await.unwrap(), []);
    let mut found: Vec<(SealedPlace, Sealed)> = Vec::new();
    loop {
        let after = found.last().map(|(place, _)| place.clone());
        let page = store.sealed_by_others(OTHER, after.as_ref(), 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    let places: Vec<&SealedPlace> = found.iter().map(|(place, _)| place).collect();
    assert!(places.is_sorted() && places.len() == 8, "{places:?}");
    let mut rows: Vec<(SealedPlace, Sealed, Sealed)> = found
        .into_iter()
        .map(|(place, old)| {
            let new = Sealed { key: OTHER, bytes: [old.bytes.to_vec(), b" anew".to_vec()].concat().into() };
            (place, old, new)
        })
        .collect();
    // Meanwhile somebody gave another one.
    let key = of_user("u1", "people");
    store
        .put_credential(&NewCredential { sealed: sealed("newer"), ..credential(key.clone()) })
        .await
        .unwrap();
    let before = database.revision().await;
    assert_eq!(store.reseal(&rows).await.unwrap(), 6);
    assert_eq!(database.revision().await, before + 1);
    assert_eq!(store.sealing_keys().await.unwrap(), [(KEY, 1), (OTHER, 6)]);
    let left = store.sealed_by_others(OTHER, None, 100).await.unwrap();
    assert_eq!(left, [(SealedPlace::Credential(key), sealed("newer"))]);
    assert_eq!(store.client_secret(&a, "x").await.unwrap().unwrap().bytes[..], *b"client anew");
    assert_eq!(store.flow(&a, "f").await.unwrap().flow.verifier.unwrap().bytes[..], *b"the verifier anew");
    // Doing it again finds nothing of the old.
    assert_eq!(store.reseal(&rows).await.unwrap(), 0);
    // What no decision sees is no revision.
    rows.retain(|(place, ..)| {
        matches!(place, SealedPlace::RefreshToken(_) | SealedPlace::ClientSecret { .. })
    });
    for (_, old, new) in &mut rows {
        std::mem::swap(old, new);
    }
    assert_eq!(store.reseal(&rows).await.unwrap(), 3);
    assert_eq!(database.revision().await, before + 1);
    assert_eq!(store.reseal(&[]).await.unwrap(), 0);
}

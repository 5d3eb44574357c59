//! Credentials that are renewed before they expire.

use std::{sync::Arc, time::Duration};

use regate::{
    decision::facts::CredentialState,
    store::upstreams::{CredentialKey, RenewalsWanted, UpstreamChange},
    upstream::{RenewalCounts, Renewals},
};
use serde_json::json;
use tokio::task::JoinSet;

use super::{MINUTE, Scene, eventually, of_token, of_user, tenant, token};
use crate::{
    harness::oauth::{CLIENT_SECRET, TokenAnswer},
    store::database::{TestDatabase, on_both_databases},
};

on_both_databases!(
    a_credential_is_renewed_before_it_expires_again_and_again,
    a_refresh_token_that_stays_is_kept,
    many_that_ask_at_once_make_one_request,
    one_that_lives_for_a_short_time_is_left_for_most_of_it,
    a_server_that_fails_is_asked_later_and_the_credential_is_used_on,
    a_grant_that_the_server_knows_no_more_needs_a_new_consent,
    a_mistake_in_regates_own_settings_costs_nobody_a_credential,
    what_is_removed_while_it_is_renewed_stays_removed,
    what_is_replaced_while_it_is_renewed_stays_the_new_one,
    what_lost_its_grant_is_renewed_for_when_it_comes_back,
    what_needs_no_renewal_is_left_alone,
);

async fn until_renewed(renewals: &Renewals, count: u64) {
    eventually(async || renewals.counts().renewed, |renewed| *renewed == count).await;
}

/// Whether this credential could be claimed now; it is not held by that.
async fn is_due(scene: &Scene, key: &CredentialKey) -> bool {
    let now = scene.now();
    let expiring_before = now.later_by(5 * MINUTE);
    let wanted = RenewalsWanted { only: Some(key.clone()), expiring_before, now, held_until: now, limit: 1 };
    !scene.store().claim_renewals(&wanted).await.unwrap().is_empty()
}

async fn a_credential_is_renewed_before_it_expires_again_and_again(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("gitlab", "ada");
    scene.consented(&key).await;
    let (renewals, work) = scene.renewals();
    for round in 1..=3 {
        scene.clock.passes(56 * MINUTE);
        until_renewed(&renewals, round).await;
        let row = scene.row(&key).await.unwrap();
        assert_eq!(row.state, CredentialState::Active);
        assert_eq!(row.expires_at, Some(scene.now().later_by(60 * MINUTE)));
        assert!(row.renewable && row.updated_at > row.created_at);
        assert!(scene.is_token(&key, &format!("hunter2-access-{}", 2 + round)).await);
    }
    work.finish().await;
    assert_eq!(renewals.counts(), RenewalCounts { renewed: 3, ..RenewalCounts::default() });
    assert_eq!((scene.server.refreshes(), scene.server.reused()), (3, 0));
    assert_eq!(scene.server.last("grant_type").as_deref(), Some("refresh_token"));
    assert_eq!(scene.server.last("scope"), None);
}

async fn a_refresh_token_that_stays_is_kept(database: TestDatabase) {
    let scene = Scene::new(database).await;
    scene.server.does_not_rotate();
    let key = of_user("gitlab", "ada");
    scene.consented(&key).await;
    let (renewals, work) = scene.renewals();
    for round in 1..=2 {
        scene.clock.passes(56 * MINUTE);
        until_renewed(&renewals, round).await;
    }
    work.finish().await;
    assert!(scene.row(&key).await.unwrap().renewable);
    assert_eq!(scene.server.refreshes(), 2);
}

async fn many_that_ask_at_once_make_one_request(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("gitlab", "ada");
    scene.consented(&key).await;
    // It has expired, and questions meet it.
    scene.clock.passes(61 * MINUTE);
    scene.server.holds(true);
    let (renewals, work) = scene.renewals();
    let ask = async || {
        let mut tasks = JoinSet::new();
        for _ in 0..50 {
            let (renewals, key) = (renewals.clone(), key.clone());
            tasks.spawn(async move { renewals.nudge(key) });
        }
        tasks.join_all().await;
    };
    ask().await;
    eventually(async || scene.server.calls(), |calls| *calls == 2).await;
    ask().await;
    scene.server.holds(false);
    until_renewed(&renewals, 1).await;
    // Some have not heard of it yet: they are heard, and the server is not asked.
    let heard = async || {
        // Where it was looked for in vain, because another had it, it is not looked for again at once.
        scene.clock.passes(Duration::from_secs(31));
        ask().await;
        !is_due(&scene, &key).await
    };
    eventually(heard, |heard| *heard).await;
    work.finish().await;
    assert_eq!((scene.server.calls(), scene.server.most_at_once(), scene.server.reused()), (2, 1, 0));
    // Nobody listens any more, and nobody waits for that.
    ask().await;
}

async fn one_that_lives_for_a_short_time_is_left_for_most_of_it(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let (long, short) = (of_user("gitlab", "ada"), of_user("gitlab", "bob"));
    scene.consented(&long).await;
    scene.clock.passes(59 * MINUTE);
    scene.server.answers(TokenAnswer::With(json!({"expires_in": 60})));
    scene.consented(&short).await;
    scene.server.answers(TokenAnswer::Good);
    let (renewals, work) = scene.renewals();
    // Both are looked at in the same round, and one is renewed.
    until_renewed(&renewals, 1).await;
    eventually(async || is_due(&scene, &short).await, |due| !due).await;
    assert_eq!(scene.server.refreshes(), 1);
    scene.clock.passes(Duration::from_secs(41));
    let as_time_passes = async || {
        scene.clock.passes(Duration::from_millis(50));
        renewals.counts().renewed
    };
    eventually(as_time_passes, |renewed| *renewed == 2).await;
    work.finish().await;
    assert_eq!(scene.server.refreshes(), 2);
    assert!(scene.row(&short).await.unwrap().expires_at > Some(scene.now().later_by(50 * MINUTE)));
}

async fn a_server_that_fails_is_asked_later_and_the_credential_is_used_on(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("gitlab", "ada");
    scene.consented(&key).await;
    let expires_at = scene.row(&key).await.unwrap().expires_at;
    scene.clock.passes(56 * MINUTE);
    for answer in [
        TokenAnswer::Body(500, b"hunter2".to_vec()),
        TokenAnswer::Body(200, b"hunter2".to_vec()),
        TokenAnswer::With(json!({"token_type": "mac", "refresh_token": null})),
    ] {
        // What answers badly with 200 has used the refresh token up; one that stays is good still.
        scene.server.does_not_rotate();
        scene.server.answers(answer);
        let (renewals, work) = scene.renewals();
        eventually(async || renewals.counts().failed, |failed| *failed == 1).await;
        work.finish().await;
        let row = scene.row(&key).await.unwrap();
        assert_eq!((row.state, row.expires_at), (CredentialState::Active, expires_at));
        assert!(scene.is_token(&key, "hunter2-access-2").await);
        // Not for half a minute, and then soon.
        scene.clock.passes(Duration::from_secs(29));
        assert!(!is_due(&scene, &key).await);
        scene.clock.passes(Duration::from_secs(17));
        assert!(is_due(&scene, &key).await);
        scene.clock.passes(Duration::from_secs(1));
    }
    scene.server.answers(TokenAnswer::Good);
    let (renewals, work) = scene.renewals();
    until_renewed(&renewals, 1).await;
    work.finish().await;
}

async fn a_grant_that_the_server_knows_no_more_needs_a_new_consent(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("gitlab", "ada");
    scene.consented(&key).await;
    scene.server.revokes_all();
    scene.clock.passes(56 * MINUTE);
    let (renewals, work) = scene.renewals();
    eventually(async || renewals.counts().refused, |refused| *refused == 1).await;
    assert_eq!(scene.state(&key).await, CredentialState::NeedsReauth);
    assert!(!scene.row(&key).await.unwrap().renewable);
    // It is asked no more.
    scene.clock.passes(2 * MINUTE);
    assert!(!is_due(&scene, &key).await);
    // Its holder mends it.
    let written = scene.consented(&key).await;
    assert_eq!((written.state, written.created), (CredentialState::Active, false));
    scene.clock.passes(56 * MINUTE);
    until_renewed(&renewals, 1).await;
    work.finish().await;
    let counts = RenewalCounts { renewed: 1, refused: 1, failed: 0 };
    assert_eq!((renewals.counts(), scene.state(&key).await), (counts, CredentialState::Active));
}

async fn a_mistake_in_regates_own_settings_costs_nobody_a_credential(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("gitlab", "ada");
    scene.consented(&key).await;
    scene.clock.passes(56 * MINUTE);
    scene.client_secret("gitlab", "hunter2-wrong").await;
    let (renewals, work) = scene.renewals();
    eventually(async || renewals.counts().failed, |failed| *failed == 1).await;
    assert_eq!(scene.state(&key).await, CredentialState::Active);
    scene.client_secret("gitlab", CLIENT_SECRET).await;
    scene.clock.passes(MINUTE);
    until_renewed(&renewals, 1).await;
    work.finish().await;
}

/// A credential whose renewal waits for the server, and what renews it.
async fn in_the_middle(scene: &Scene, key: &CredentialKey) -> (Renewals, regate::upstream::RenewalWork) {
    scene.consented(key).await;
    scene.clock.passes(56 * MINUTE);
    scene.server.holds(true);
    let begun = scene.renewals();
    eventually(async || scene.server.calls(), |calls| *calls == 2).await;
    begun
}

async fn what_is_removed_while_it_is_renewed_stays_removed(database: TestDatabase) {
    let scene = Arc::new(Scene::new(database).await);
    let key = of_user("gitlab", "ada");
    let (renewals, work) = in_the_middle(&scene, &key).await;
    scene.store().remove_credential(&key).await.unwrap();
    // Who ends the work waits for what was begun.
    let finished = tokio::spawn(work.finish());
    scene.server.holds(false);
    finished.await.unwrap();
    assert!(scene.row(&key).await.is_none());
    assert_eq!(renewals.counts(), RenewalCounts::default());
}

async fn what_is_replaced_while_it_is_renewed_stays_the_new_one(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("gitlab", "ada");
    let (_, work) = in_the_middle(&scene, &key).await;
    // Removed and given again is another one, too.
    scene.store().remove_credential(&key).await.unwrap();
    scene.put(&key, token("hunter2-new")).await.unwrap();
    scene.server.holds(false);
    work.finish().await;
    assert!(scene.is_token(&key, "hunter2-new").await);
    assert_eq!(scene.row(&key).await.unwrap().expires_at, None);
    let (_, work) = in_the_middle_again(&scene, &key).await;
    scene.put(&key, token("hunter2-newer")).await.unwrap();
    scene.server.revokes_all();
    scene.server.holds(false);
    work.finish().await;
    assert!(scene.is_token(&key, "hunter2-newer").await);
    assert_eq!(scene.state(&key).await, CredentialState::Active);
}

async fn in_the_middle_again(
    scene: &Scene,
    key: &CredentialKey,
) -> (Renewals, regate::upstream::RenewalWork) {
    let calls = scene.server.calls();
    scene.consented(key).await;
    scene.clock.passes(56 * MINUTE);
    scene.server.holds(true);
    let begun = scene.renewals();
    eventually(async || scene.server.calls(), |now| *now == calls + 2).await;
    begun
}

async fn what_lost_its_grant_is_renewed_for_when_it_comes_back(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_token("github", "t1");
    scene.consented(&key).await;
    scene.grants(&[]).await;
    assert_eq!(scene.state(&key).await, CredentialState::Orphaned);
    scene.clock.passes(56 * MINUTE);
    let (renewals, work) = scene.renewals();
    until_renewed(&renewals, 1).await;
    work.finish().await;
    assert_eq!(scene.state(&key).await, CredentialState::Orphaned);
    scene.grants(&["github"]).await;
    assert_eq!(scene.state(&key).await, CredentialState::Active);
    assert!(scene.is_token(&key, "hunter2-access-3").await);
}

async fn what_needs_no_renewal_is_left_alone(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let (endless, due, plain) = (of_user("gitlab", "ada"), of_user("gitlab", "bob"), of_user("plain", "ada"));
    scene.server.answers(TokenAnswer::With(json!({"expires_in": null})));
    scene.consented(&endless).await;
    scene.server.answers(TokenAnswer::Good);
    scene.put(&plain, token("hunter2")).await.unwrap();
    scene.consented(&due).await;
    scene.clock.passes(56 * MINUTE);
    let (renewals, work) = scene.renewals();
    for key in [&endless, &plain, &of_user("nowhere", "nobody")] {
        renewals.nudge(key.clone());
    }
    until_renewed(&renewals, 1).await;
    let heard = async || {
        // Where it was looked for in vain, because another had it, it is not looked for again at once.
        scene.clock.passes(Duration::from_secs(31));
        renewals.nudge(due.clone());
        !is_due(&scene, &due).await
    };
    eventually(heard, |heard| *heard).await;
    work.finish().await;
    assert_eq!((scene.server.calls(), scene.server.refreshes()), (3, 1));
    // Where nobody consents any more there is nobody to ask.
    scene.clock.passes(56 * MINUTE);
    let change = UpstreamChange { oauth: Some(None), ..UpstreamChange::default() };
    scene.store().put_upstream(&tenant(), "gitlab", &change).await.unwrap();
    assert!(!is_due(&scene, &due).await);
}

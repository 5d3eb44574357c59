//! What one authorization server does costs nobody else a renewal.

use std::{sync::Arc, time::Duration};

use rand::{SeedableRng, rngs::StdRng};
use regate::{
    store::upstreams::{CredentialForm, CredentialKey, NewCredential, OauthSettings, UpstreamChange},
    types::{Holder, SealedFor, TenantId},
    upstream::{RenewalSettings, RenewalWork, Renewals},
};
use serde_json::json;

use super::{MINUTE, Scene, eventually, of_user, renewal_settings, token};
use crate::{
    harness::oauth::{OauthServer, TokenAnswer},
    store::database::{TestDatabase, on_both_databases},
};

on_both_databases!(
    a_server_that_hangs_holds_up_nobody_else,
    what_somebody_waits_for_comes_before_what_is_due,
    a_server_that_cannot_be_reached_is_left_alone_as_a_whole,
    the_end_waits_for_no_server_that_hangs,
    what_had_nothing_to_renew_is_not_looked_for_again_at_once,
);

/// More than are claimed at a time.
const MANY: usize = 60;

fn other() -> TenantId {
    TenantId::try_from("other").unwrap()
}

fn of_other(number: usize) -> CredentialKey {
    CredentialKey {
        tenant: other(),
        upstream_id: "dead".to_owned(),
        holder: Holder::User(format!("u{number}")),
    }
}

/// Many credentials of another tenant at this server, which expire before those of anybody else.
async fn many(scene: &Scene, oauth: OauthSettings) {
    let users: Vec<_> =
        (0..MANY).map(|number| json!({"id": format!("u{number}"), "tenant": "other"})).collect();
    let document = json!({"tenants": [{"id": "other"}], "users": users});
    scene.database.import(&document.to_string()).await;
    let change = UpstreamChange {
        url: Some("https://mcp.example/x".to_owned()),
        credential: Some(regate::decision::facts::CredentialMode::PerUser),
        oauth: Some(Some(oauth)),
        ..UpstreamChange::default()
    };
    scene.store().put_upstream(&other(), "dead", &change).await.unwrap();
    let mut random = StdRng::seed_from_u64(5);
    for number in 0..MANY {
        let key = of_other(number);
        let place = SealedFor::refresh_token(&key.tenant, &key.upstream_id, &key.holder);
        let credential = NewCredential {
            sealed: scene.keys.seal(
                SealedFor::credential(&key.tenant, &key.upstream_id, &key.holder),
                b"\0hunter2",
                &mut random,
            ),
            refresh: Some(scene.keys.seal(place, b"hunter2-refresh", &mut random)),
            form: CredentialForm::Token,
            header_names: vec!["authorization".to_owned()],
            expires_at: Some(scene.now().later_by(30 * MINUTE)),
            now: scene.now(),
            key,
        };
        scene.store().put_credential(&credential).await.unwrap();
    }
}

fn begin(scene: &Scene, settings: RenewalSettings) -> (Renewals, RenewalWork) {
    let (store, keys, clock) =
        (Arc::clone(&scene.database.store), Arc::clone(&scene.keys), Arc::clone(&scene.clock));
    Renewals::begin(store, keys, clock, settings, StdRng::seed_from_u64(9))
}

async fn a_server_that_hangs_holds_up_nobody_else(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let dead = OauthServer::start();
    dead.holds(true);
    let victim = of_user("gitlab", "ada");
    scene.consented(&victim).await;
    many(&scene, dead.settings()).await;
    scene.clock.passes(56 * MINUTE);
    // All is looked through in the first round: there is no second.
    let (renewals, work) = begin(&scene, renewal_settings(60 * MINUTE));
    eventually(async || renewals.counts().renewed, |renewed| *renewed == 1).await;
    assert!(scene.is_token(&victim, "hunter2-access-3").await);
    // No more than two of the many wait at the server that hangs.
    assert!(dead.calls() <= 2, "{}", dead.calls());
    drop(work);
}

async fn what_somebody_waits_for_comes_before_what_is_due(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let dead = OauthServer::start();
    dead.holds(true);
    many(&scene, dead.settings()).await;
    let (victim, second) = (of_user("gitlab", "ada"), of_user("gitlab", "bob"));
    scene.consented(&victim).await;
    scene.consented(&second).await;
    scene.clock.passes(31 * MINUTE);
    let (renewals, work) = begin(&scene, renewal_settings(60 * MINUTE));
    eventually(async || dead.calls(), |calls| *calls == 2).await;
    // The first round is over; these expire while the dead server hangs.
    scene.clock.passes(Duration::from_secs(30 * 60));
    for (number, key) in [&victim, &second].into_iter().enumerate() {
        renewals.nudge(of_other(number + 10));
        renewals.nudge(key.clone());
        eventually(async || renewals.counts().renewed, |renewed| *renewed == number as u64 + 1).await;
    }
    assert_eq!(dead.calls(), 2);
    drop(work);
}

async fn a_server_that_cannot_be_reached_is_left_alone_as_a_whole(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let dead = OauthServer::start();
    dead.answers(TokenAnswer::Body(503, Vec::new()));
    dead.is_public();
    dead.does_not_rotate();
    many(&scene, dead.settings()).await;
    scene.clock.passes(31 * MINUTE);
    let begun = scene.now();
    let (renewals, work) = begin(&scene, renewal_settings(Duration::from_millis(5)));
    let as_time_passes = async || {
        scene.clock.passes(Duration::from_secs(5));
        dead.calls()
    };
    // One or two ask it, and then nobody for half a minute, a minute, two: so many are the fourth who do.
    eventually(as_time_passes, |calls| *calls >= 7).await;
    assert!(scene.now() >= begun.later_by(Duration::from_secs(30 + 60 + 120)));
    // When it is back, all are renewed.
    dead.answers(TokenAnswer::With(json!({"refresh_token": "hunter2-refresh"})));
    dead.knows("hunter2-refresh");
    let as_time_passes = async || {
        scene.clock.passes(Duration::from_secs(5));
        renewals.counts().renewed
    };
    eventually(as_time_passes, |renewed| *renewed >= MANY as u64).await;
    work.finish().await;
}

async fn the_end_waits_for_no_server_that_hangs(database: TestDatabase) {
    let scene = Scene::new(database).await;
    scene.consented(&of_user("gitlab", "ada")).await;
    scene.clock.passes(56 * MINUTE);
    scene.server.holds(true);
    let patience = Duration::from_millis(20);
    let (renewals, work) =
        begin(&scene, RenewalSettings { patience, ..renewal_settings(Duration::from_millis(20)) });
    eventually(async || scene.server.calls(), |calls| *calls == 2).await;
    // The server is let go only after the end.
    work.finish().await;
    assert_eq!(renewals.counts().failed, 0);
    scene.server.holds(false);
    assert!(RenewalSettings::default().patience <= Duration::from_secs(12));
}

async fn what_had_nothing_to_renew_is_not_looked_for_again_at_once(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let (by_hand, consented) = (of_user("gitlab", "bob"), of_user("gitlab", "ada"));
    let expired = Some(scene.now().later_by(MINUTE));
    scene.credentials.put(&by_hand, token("hunter2"), expired, scene.now()).await.unwrap();
    scene.consented(&consented).await;
    scene.clock.passes(61 * MINUTE);
    let (renewals, work) = begin(&scene, renewal_settings(600 * MINUTE));
    let until_renewed = async |count| {
        eventually(async || renewals.counts().renewed, |renewed| *renewed == count).await;
    };
    // The first round, and the only one.
    until_renewed(1).await;
    let expires = async |key: &CredentialKey| {
        scene.server.answers(TokenAnswer::With(json!({"expires_in": 1})));
        scene.consented(key).await;
        scene.server.answers(TokenAnswer::Good);
        scene.clock.passes(Duration::from_secs(2));
    };
    // Nudges are heard in their order.
    renewals.nudge(by_hand.clone());
    expires(&consented).await;
    renewals.nudge(consented.clone());
    until_renewed(2).await;
    expires(&by_hand).await;
    renewals.nudge(by_hand.clone());
    expires(&consented).await;
    renewals.nudge(consented.clone());
    until_renewed(3).await;
    scene.clock.passes(Duration::from_secs(30));
    assert!(scene.row(&by_hand).await.unwrap().expires_at < Some(scene.now()));
    renewals.nudge(by_hand.clone());
    until_renewed(4).await;
    work.finish().await;
}

//! Authorization servers that answer badly, or not at all.

use regate::{
    store::upstreams::UpstreamChange,
    upstream::{CredentialError, RenewalCounts},
};
use serde_json::json;

use super::{MINUTE, Scene, eventually, of_user, shows_no_secret, tenant};
use crate::{
    harness::oauth::TokenAnswer,
    store::database::{TestDatabase, on_both_databases},
};

on_both_databases!(
    of_what_is_no_token_nothing_is_taken_and_nothing_is_repeated,
    tokens_come_with_or_without_what_is_optional,
    a_server_that_is_gone_is_told_from_one_that_refuses,
);

/// What no token can be taken from, and a word of what is said of it.
fn bad_answers() -> Vec<(TokenAnswer, &'static str)> {
    let body = |status, text: &str| TokenAnswer::Body(status, text.as_bytes().to_vec());
    let large = json!({"access_token": "hunter2", "token_type": "Bearer", "x": "x".repeat(64 * 1024)});
    vec![
        (body(500, "hunter2"), "cannot be reached"),
        (body(503, r#"{"error":"invalid_grant"}"#), "cannot be reached"),
        (body(429, "hunter2"), "cannot be reached"),
        (TokenAnswer::Redirect, "elsewhere"),
        (body(200, &large.to_string()), "64 KiB"),
        (body(200, "hunter2"), "no token"),
        (body(200, ""), "no token"),
        (body(204, ""), "no token"),
        (body(201, r#"{"access_token":"hunter2","token_type":"Bearer"}"#), "no token"),
        (body(200, "access_token=hunter2&token_type=bearer"), "no token"),
        (body(404, "<html>hunter2</html>"), "other"),
        (body(401, ""), "other"),
        (body(400, r#"{"error":"hunter2"}"#), "other"),
        (body(400, r#"{"error":"invalid_scope","error_description":"hunter2"}"#), "invalid_scope"),
        (body(200, r#"{"error":"bad_verification_code","error_description":"hunter2"}"#), "invalid_grant"),
        (TokenAnswer::With(json!({"token_type": "mac"})), "bearer"),
        (TokenAnswer::With(json!({"token_type": null})), "no token"),
        (TokenAnswer::With(json!({"access_token": null})), "no token"),
        (TokenAnswer::With(json!({"access_token": ""})), "header"),
        (TokenAnswer::With(json!({"access_token": "hunter2\r\nx-admin: 1"})), "header"),
        (TokenAnswer::With(json!({"access_token": "hunter2é"})), "header"),
        (TokenAnswer::With(json!({"expires_in": -1})), "no token"),
    ]
}

async fn of_what_is_no_token_nothing_is_taken_and_nothing_is_repeated(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("gitlab", "ada");
    for (answer, word) in bad_answers() {
        let begun = scene.begin(&key).await;
        let with = scene.agreed(&begun);
        scene.server.answers(answer.clone());
        let error = scene.complete(&begun.flow.flow.id, with).await.unwrap_err();
        shows_no_secret(&error);
        assert!(
            matches!(error, CredentialError::NotExchanged(_) | CredentialError::Unreachable)
                && error.to_string().contains(word),
            "{word}: {error}"
        );
        assert!(scene.row(&key).await.is_none());
    }
    // Nobody followed a redirect.
    assert_eq!(scene.server.reused(), 0);
}

async fn tokens_come_with_or_without_what_is_optional(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("gitlab", "ada");
    for (members, renewable, expires) in [
        (json!({"expires_in": null}), true, false),
        (json!({"refresh_token": null, "token_type": "BEARER"}), false, true),
        (json!({"refresh_token": "", "token_type": "bearer", "scope": "less"}), false, true),
        (json!({"id_token": "x", "expires_in": 1}), true, true),
    ] {
        scene.server.answers(TokenAnswer::With(members.clone()));
        scene.consented(&key).await;
        let row = scene.row(&key).await.unwrap();
        assert_eq!((row.renewable, row.expires_at.is_some()), (renewable, expires), "{members}");
    }
}

async fn a_server_that_is_gone_is_told_from_one_that_refuses(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("gitlab", "ada");
    scene.consented(&key).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut settings = scene.server.settings();
    settings.token_endpoint = format!("http://{closed}/token");
    let change = UpstreamChange { oauth: Some(Some(settings)), ..UpstreamChange::default() };
    // Another address keeps nothing to renew with: as if it had been the same server all the while.
    let sql = async |sql: &str| scene.database.execute(sql).await.unwrap();
    sql("create table kept as select refresh_key_id as key_id, sealed_refresh as sealed from upstream_credentials").await;
    scene.store().put_upstream(&tenant(), "gitlab", &change).await.unwrap();
    sql("update upstream_credentials set refresh_key_id = (select key_id from kept), \
         sealed_refresh = (select sealed from kept)")
    .await;
    let begun = scene.begin(&key).await;
    let with = scene.agreed(&begun);
    let error = scene.complete(&begun.flow.flow.id, with).await.unwrap_err();
    shows_no_secret(&error);
    // Nothing of why is for the caller.
    assert_eq!(error.to_string(), "the authorization server cannot be reached");
    // What is there is used on.
    scene.clock.passes(56 * MINUTE);
    let (renewals, work) = scene.renewals();
    eventually(async || renewals.counts(), |counts| counts.failed > 0).await;
    work.finish().await;
    assert_eq!(renewals.counts(), RenewalCounts { failed: 1, ..RenewalCounts::default() });
    assert!(scene.is_token(&key, "hunter2-access-2").await);
}

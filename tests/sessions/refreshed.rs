//! Keys that change, and issuers that do not answer.

use serde_json::{Value, json};

use super::{
    Answer, Issuer, Scene, claims,
    keys::{EC, ED, Key, OTHER_RSA, RSA},
    section, with_issuer,
};
use crate::{harness::http::send, live::until};

fn session(key: &Key, id: &str) -> String {
    key.jwt(id, &claims("ada", json!({})))
}

#[test]
fn a_new_key_is_fetched_when_it_is_first_seen_and_one_that_is_gone_is_forgotten() {
    let (issuer, scene) = with_issuer(&[&RSA], "", &[]);
    let (old, new) = (session(&RSA, "RS256"), session(&OTHER_RSA, "next"));
    assert_eq!(scene.reason(&old), "session.project_read");
    assert_eq!(scene.reason(&new), "session.key_unknown");
    issuer.answers(Answer::Keys(vec![RSA.jwk("RS256"), OTHER_RSA.jwk("next")]));
    scene.until_reason(&new, "session.project_read");
    assert_eq!(scene.reason(&old), "session.project_read");
    // A session that was verified a moment ago is no exception.
    issuer.answers(Answer::Keys(vec![OTHER_RSA.jwk("next")]));
    until(|| (scene.reason(&session(&ED, "x")), scene.reason(&old)), |(_, old)| old == "session.key_unknown");
    assert_eq!(scene.reason(&new), "session.project_read");
    // A key without a name that is exchanged.
    let unnamed =
        |key: &Key| key.jwt_of(r#"{"alg":"RS256"}"#, &claims("ada", json!({})).to_string(), "RS256");
    assert_eq!(scene.reason(&unnamed(&OTHER_RSA)), "session.project_read");
    issuer.answers(Answer::Keys(vec![RSA.jwk("again")]));
    scene.until_reason(&unnamed(&RSA), "session.project_read");
    assert_eq!(scene.reason(&unnamed(&OTHER_RSA)), "session.signature_invalid");
}

#[test]
fn keys_are_read_anew_at_the_interval() {
    let (issuer, scene) = with_issuer(&[&EC], "refresh_interval = \"20ms\"", &[]);
    let good = session(&EC, "ES256");
    assert_eq!(scene.reason(&good), "session.project_read");
    issuer.answers(Answer::Keys(vec![ED.jwk("EdDSA")]));
    scene.until_reason(&good, "session.key_unknown");
}

#[test]
fn an_issuer_that_withdraws_all_its_keys_is_believed() {
    let (issuer, scene) = with_issuer(&[&EC], "refresh_interval = \"20ms\"", &[]);
    let good = session(&EC, "ES256");
    assert_eq!(scene.reason(&good), "session.project_read");
    for none in [Vec::new(), vec![json!({"kty": "oct", "k": "AAAA"})]] {
        issuer.answers(Answer::Keys(none));
        scene.until_reason(&good, "session.key_unknown");
        assert_eq!(scene.reason(&session(&EC, "ES256")), "session.key_unknown");
        issuer.answers(Answer::Keys(vec![EC.jwk("ES256")]));
        scene.until_reason(&good, "session.project_read");
    }
}

#[test]
fn unknown_keys_do_not_make_us_ask_more_often_than_the_limit() {
    let issuer = Issuer::start(Answer::Keys(vec![EC.jwk("ES256")]));
    let toml = section(&issuer.url, "").replace("20ms", "1h");
    let scene = Scene::start(&toml, &[]);
    scene.until_reason(&session(&EC, "ES256"), "session.project_read");
    for number in 0..300 {
        assert_eq!(scene.reason(&session(&EC, &format!("unknown-{number}"))), "session.key_unknown");
    }
    assert_eq!(issuer.requests(), 1);
}

#[test]
fn what_an_issuer_answers_that_is_no_key_set_leaves_the_last_keys_in_force() {
    let (issuer, scene) =
        with_issuer(&[&EC], "refresh_interval = \"20ms\"\n[metrics]\nlisten = \"127.0.0.1:0\"", &[]);
    let good = session(&EC, "ES256");
    let metrics = scene.serving.metrics_address();
    for answer in [
        Answer::Status(500),
        Answer::Status(404),
        Answer::Status(204),
        Answer::Body(b"<html>hunter2</html>".to_vec()),
        Answer::Body(vec![b' '; 1024 * 1024 + 1]),
        Answer::Redirect("http://login.example/jwks".into()),
        Answer::Redirect("ftp://127.0.0.1/jwks".into()),
        Answer::Redirect(issuer.url.clone()),
    ] {
        let failures = metric(&metrics, "regate_session_key_fetch_failures_total");
        issuer.answers(answer.clone());
        until(|| metric(&metrics, "regate_session_key_fetch_failures_total"), |now| *now > failures);
        assert_eq!(scene.reason(&good), "session.project_read", "{answer:?}");
        issuer.answers(Answer::Keys(vec![EC.jwk("ES256")]));
        let requests = issuer.requests();
        until(|| issuer.requests(), |now| *now > requests);
    }
    // Gone altogether.
    let failures = metric(&metrics, "regate_session_key_fetch_failures_total");
    drop(issuer);
    until(|| metric(&metrics, "regate_session_key_fetch_failures_total"), |now| *now > failures);
    assert_eq!(scene.reason(&good), "session.project_read");
    assert_eq!(scene.reason(&session(&EC, "unknown")), "session.key_unknown");
    assert!(metric(&metrics, "regate_session_keys_age_seconds") >= 0.0);
    scene.logged_no_secret();
}

#[test]
fn without_keys_nobody_can_tell_until_the_issuer_answers() {
    let issuer = Issuer::start(Answer::Status(503));
    let scene = Scene::start(&section(&issuer.url, ""), &[]);
    let good = session(&EC, "ES256");
    let answer = scene.ask(&good, "/api/v1/projects/p1");
    assert_eq!((&answer["reason"], &answer["status"]), (&json!("session.keys_unavailable"), &json!(503)));
    assert_eq!((&answer["allow"], &answer["challenge"]), (&json!(false), &json!(null)));
    until(|| scene.serving.log(), |log| log.contains("cannot be read, and never were"));
    let authorization = format!("Bearer {good}");
    let headers = [("authorization", authorization.as_str())];
    let call = send(&scene.serving.address, "GET", "/v1/policies", &headers, b"");
    assert_eq!((call.status, &call.json()["code"]), (503, &json!("session.keys_unavailable")));
    assert_eq!(call.json()["allow"], json!(false));
    // Everybody else is decided about meanwhile.
    assert_eq!(scene.reason("nobody"), "token.unknown");
    issuer.answers(Answer::Keys(vec![EC.jwk("ES256")]));
    scene.until_reason(&good, "session.project_read");
}

#[test]
fn a_file_of_keys_is_read_anew_and_a_broken_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let write = |keys: Value| {
        // As a careful program does, so that nobody reads half of it.
        std::fs::write(path.with_extension("new"), keys.to_string()).unwrap();
        std::fs::rename(path.with_extension("new"), &path).unwrap();
    };
    write(json!({"keys": [EC.jwk("ES256")]}));
    let toml =
        section("x", "refresh_interval = \"20ms\"").replace("keys_url = \"x\"", "keys_file = \"keys.json\"");
    let scene = Scene::start_in(folder, &toml, &[]);
    let (old, new) = (session(&EC, "ES256"), session(&ED, "EdDSA"));
    // There from the first question on.
    assert_eq!(scene.reason(&old), "session.project_read");
    assert_eq!(scene.reason(&new), "session.key_unknown");
    write(json!({"keys": "none"}));
    until(|| scene.serving.log(), |log| log.contains("the issuer's keys cannot be read"));
    assert_eq!(scene.reason(&old), "session.project_read");
    write(json!({"keys": [ED.jwk("EdDSA")]}));
    scene.until_reason(&new, "session.project_read");
    assert_eq!(scene.reason(&old), "session.key_unknown");
}

fn metric(address: &str, name: &str) -> f64 {
    let text = String::from_utf8(send(address, "GET", "/metrics", &[], b"").body).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(line.contains("issuer=\"https://login.example\""), "{line}");
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

//! Good sessions: by whom, for whom, and what the data makes of them.

use serde_json::{Value, json};

use super::{
    ISSUER, Scene, claims, document, import, imported,
    keys::{EC, ED, Key, RSA},
    section, with_issuer,
};
use crate::{harness::http::send, live::until};

#[test]
fn each_algorithm_is_verified_and_the_answer_says_whose_session_it_is() {
    let (_issuer, scene) =
        with_issuer(&[&RSA, &EC, &ED], "algorithms = [\"RS256\", \"ES256\", \"EdDSA\", \"PS256\"]", &[]);
    for key in [&RSA, &EC, &ED] {
        let jwt = key.jwt(key.algorithm(), &claims("ada", json!({"jti": "j1", "aud": ["x", "regate"]})));
        let answer = scene.ask(&jwt, "/api/v1/projects/p1");
        assert_eq!(answer["reason"], "session.project_read", "{answer}");
        let subject = json!({"kind": "session", "token_id": "j1", "user_id": "ada", "tenant": "default"});
        assert_eq!(answer["subject"], subject);
        assert_eq!(answer["headers"]["remove"], json!(["authorization"]));
    }
    let header = r#"{"alg": "PS256", "kid": "RS256"}"#;
    let jwt = RSA.jwt_of(header, &claims("ada", json!({})).to_string(), "PS256");
    assert_eq!(scene.reason(&jwt), "session.project_read");
    // One key of the type: it need not be named.
    for key in [&EC, &ED] {
        let header = json!({"alg": key.algorithm()}).to_string();
        let jwt = key.jwt_of(&header, &claims("ada", json!({})).to_string(), key.algorithm());
        let answer = scene.ask(&jwt, "/api/v1/projects/p1");
        assert_eq!(
            (&answer["reason"], &answer["subject"]["token_id"]),
            (&json!("session.project_read"), &json!(null))
        );
    }
    scene.logged_no_secret();
}

#[test]
fn a_session_comes_in_the_header_or_bare_and_never_as_two() {
    let (_issuer, scene) = with_issuer(&[&EC], "", &[]);
    let [ada, bob] = ["ada", "bob"].map(|user| EC.jwt("ES256", &claims(user, json!({}))));
    let ask = |question: Value| {
        let mut question = question;
        question["request"]["method"] = json!("GET");
        question["request"]["path"] = json!("/api/v1/projects/p1");
        crate::harness::http::decide(&scene.serving.address, &question)["reason"].clone()
    };
    let header = |value: Value| json!({"request": {"headers": {"Authorization": value}}});
    assert_eq!(ask(header(json!(format!("bearer {ada}")))), "session.project_read");
    let mut both = header(json!(format!("Bearer {ada}")));
    both["token"] = json!(ada);
    assert_eq!(ask(both.clone()), "session.project_read");
    both["token"] = json!(bob);
    assert_eq!(ask(both), "request.ambiguous_credential");
    let twice = header(json!([format!("Bearer {ada}"), format!("Bearer {ada}")]));
    assert_eq!(ask(twice), "request.ambiguous_credential");
    // A gateway has a token: a session is none, though its user may ask.
    let question = json!({"request": {"method": "GET", "path": "/"}}).to_string();
    let authorization = format!("Bearer {ada}");
    let headers = [("authorization", authorization.as_str())];
    let answer = send(&scene.serving.address, "POST", "/v1/decide", &headers, question.as_bytes());
    assert_eq!((answer.status, &answer.json()["code"]), (401, &json!("gateway.unauthenticated")));
    // The management API takes it, and the bundle decides.
    let answer = send(&scene.serving.address, "GET", "/v1/policies", &headers, b"");
    assert_eq!((answer.status, &answer.json()["code"]), (403, &json!("management.denied")));
}

#[test]
fn the_user_is_the_rows_and_its_removal_decides_at_once() {
    let (_issuer, scene) = with_issuer(&[&EC], "", &[]);
    let ada = EC.jwt("ES256", &claims("ada", json!({"roles": ["admin"], "role": "admin"})));
    let administration = |credential: &str| scene.ask(credential, "/api/v1/admin/x")["reason"].clone();
    assert_eq!(scene.reason(&ada), "session.project_read");
    assert_eq!(administration(&ada), "session.administration_read");
    assert_eq!(scene.reason(&EC.jwt("ES256", &claims("nobody", json!({})))), "session.unknown_user");
    let mut changed = document(&[]);
    changed["users"][0]["disabled"] = json!(true);
    import(scene.folder.path(), &changed);
    scene.until_reason(&ada, "user.disabled");
    changed["users"][0] = json!({"id": "ada", "role": "admin", "disabled": false});
    import(scene.folder.path(), &changed);
    until(|| administration(&ada), |reason| reason == "session.administration");
}

#[test]
fn the_role_comes_from_the_claim_where_the_configuration_says_so() {
    let (_issuer, scene) = with_issuer(&[&EC], "role_from = \"claim\"\nroles_claim = \"realm.roles\"", &[]);
    let reason = |user: &str, roles: Value| {
        let jwt = EC.jwt("ES256", &claims(user, json!({"realm": {"roles": roles}})));
        scene.ask(&jwt, "/api/v1/admin/x")["reason"].clone()
    };
    assert_eq!(reason("ada", json!(["other", "admin"])), "session.administration");
    assert_eq!(reason("nobody", json!("viewer")), "session.administration_read");
    assert_eq!(reason("bob", json!(["owner"])), "session.administration_needs_admin");
}

#[test]
fn a_session_of_one_tenant_sees_nothing_of_another() {
    let more = "tenant_claim = \"org\"\ntenants = [\"default\", \"acme\"]";
    let (_issuer, scene) = with_issuer(&[&EC], more, &[]);
    let reason = |user: &str, org: Value, path: &str| {
        let answer = scene.ask(&EC.jwt("ES256", &claims(user, json!({"org": org}))), path);
        (answer["reason"].as_str().unwrap().to_owned(), answer["subject"]["tenant"].clone())
    };
    let expected = |reason: &str, tenant: Value| (reason.to_owned(), tenant);
    let (p1, p9) = ("/api/v1/projects/p1", "/api/v1/projects/p9");
    assert_eq!(reason("ada", json!("acme"), p9), expected("session.project_read", json!("acme")));
    assert_eq!(reason("ada", json!("acme"), p1), expected("session.not_a_collaborator", json!("acme")));
    assert_eq!(reason("ada", json!("default"), p9), expected("session.not_a_collaborator", json!("default")));
    assert_eq!(reason("eve", json!("default"), p9), expected("session.unknown_user", json!("default")));
    for other in [json!("blue"), json!("_acme"), json!(["acme"]), json!(null)] {
        assert_eq!(reason("ada", other, p9), expected("session.claim_missing", json!(null)));
    }
}

#[test]
fn an_imported_token_that_looks_like_a_jwt_goes_on_to_be_that_token() {
    let own = EC.jwt("ES256", &claims("bob", json!({})));
    let foreign = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJvdGhlciJ9.c2lnbmF0dXJl";
    for text in [foreign, own.as_str()] {
        let (_issuer, scene) = with_issuer(&[&EC], "", &[imported(text)]);
        let answer = scene.ask(text, "/api/v1/projects/p1");
        assert_eq!(
            (&answer["reason"], &answer["subject"]["token_id"]),
            (&json!("global_token.read"), &json!("imported"))
        );
    }
    // Without an issuer, there are no sessions at all.
    let scene = Scene::start("", &[imported(foreign)]);
    assert_eq!(scene.reason(foreign), "global_token.read");
    assert_eq!(scene.reason(&own), "token.unknown");
}

#[test]
fn a_shared_secret_signs_for_the_issuer_that_shares_it_and_for_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let secret = b"a secret that is shared and long enough".to_vec();
    std::fs::write(folder.path().join("secret"), [&secret[..], b"\n"].concat()).unwrap();
    std::fs::write(folder.path().join("keys"), json!({"keys": [EC.jwk("e")]}).to_string()).unwrap();
    let toml = format!(
        "[[issuers]]\nissuer = \"shared\"\nshared_secret_file = \"secret\"\naudience = \"regate\"\n\
         algorithms = [\"HS256\", \"HS512\"]\n\
         [[issuers]]\nissuer = \"{ISSUER}\"\nkeys_file = \"keys\"\naudience = \"regate\"\n"
    );
    let scene = Scene::start_in(folder, &toml, &[]);
    let shared = Key::Secret(secret);
    let signed = |key: &Key, algorithm: &str, issuer: &str| {
        let header = json!({"alg": algorithm}).to_string();
        scene.reason(&key.jwt_of(&header, &claims("ada", json!({"iss": issuer})).to_string(), algorithm))
    };
    assert_eq!(signed(&shared, "HS256", "shared"), "session.project_read");
    assert_eq!(signed(&shared, "HS512", "shared"), "session.project_read");
    assert_eq!(signed(&shared, "HS384", "shared"), "session.algorithm_not_allowed");
    assert_eq!(signed(&shared, "HS256", ISSUER), "session.algorithm_not_allowed");
    assert_eq!(signed(&EC, "ES256", "shared"), "session.algorithm_not_allowed");
    assert_eq!(signed(&EC, "ES256", ISSUER), "session.project_read");
    let other = Key::Secret(b"another secret that is long enough too".to_vec());
    assert_eq!(signed(&other, "HS256", "shared"), "session.signature_invalid");
    scene.logged_no_secret();
}

#[test]
fn an_explanation_shows_claims_and_not_the_jwt() {
    let (_issuer, scene) = with_issuer(&[&EC], "", &[]);
    let jwt = EC.jwt("ES256", &claims("ada", json!({"groups": ["a", "b"]})));
    let question =
        json!({"token": jwt, "explain": true, "request": {"method": "GET", "path": "/api/v1/projects/p1"}});
    let answer = crate::harness::http::decide(&scene.serving.address, &question);
    assert_eq!(answer["explanation"]["input"]["token"]["claims"]["groups"], json!(["a", "b"]));
    assert!(!answer.to_string().contains(jwt.rsplit('.').next().unwrap()));
}

#[test]
fn a_configuration_that_cannot_be_used_ends_the_start() {
    let folder = tempfile::tempdir().unwrap();
    for (toml, expected) in [
        (section("http://login.example/jwks", ""), "keys_url: use https"),
        (section("http://127.0.0.1:9/jwks", "keys_file = \"x\""), "keys_url: say one of"),
        (section("https://login.example/jwks", "tenant = \"_x\""), "a tenant id has"),
        (section("https://login.example/jwks", "algorithms = [\"none\"]"), "algorithms"),
        (
            section("x", "").replace("keys_url = \"x\"", "keys_file = \"nowhere\""),
            "issuers[0].keys_file: nowhere cannot be used",
        ),
    ] {
        std::fs::write(folder.path().join("regate.toml"), &toml).unwrap();
        let started =
            crate::harness::program::Serving::try_start(folder.path(), &["--config", "regate.toml"]);
        let (code, log) = started.err().unwrap();
        assert_eq!(code, Some(1), "{toml}");
        assert!(log.contains(expected), "{toml}: {log}");
    }
}

#[test]
fn the_offline_decision_reads_the_keys_once_and_says_what_is_missing() {
    let issuer = super::Issuer::start(super::Answer::Keys(vec![EC.jwk("ES256")]));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("regate.toml"), section(&issuer.url, "")).unwrap();
    std::fs::write(folder.path().join("data.json"), document(&[]).to_string()).unwrap();
    let jwt = EC.jwt("ES256", &claims("ada", json!({})));
    let question =
        json!({"token": jwt, "request": {"method": "GET", "path": "/api/v1/projects/p1"}}).to_string();
    let decided = || {
        let arguments = ["decide", "--config", "regate.toml", "--data", "data.json", "--format", "json"];
        let output = crate::harness::program::run(folder.path(), &arguments, &question);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        (answer["reason"].clone(), crate::harness::program::stderr(&output))
    };
    assert_eq!(decided(), (json!("session.project_read"), String::new()));
    issuer.answers(super::Answer::Status(503));
    let (reason, complaint) = decided();
    assert_eq!(reason, "session.keys_unavailable");
    let expected = "the keys of the issuer https://login.example cannot be read: the answer is 503";
    assert!(complaint.contains(expected), "{complaint}");
}

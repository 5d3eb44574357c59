//! What is no session: each with its reason, and each of the classic attacks.

use serde_json::{Value, json};

use super::{
    ISSUER, Scene, claims,
    keys::{EC, ED, Key, OTHER_RSA, RSA, encode},
    now, with_issuer,
};

/// Signed with the EC key, with these claims changed.
fn changed(changes: Value) -> String {
    EC.jwt("ES256", &claims("ada", changes))
}

fn refused(scene: &Scene, jwt: &str, reason: &str, what: &str) {
    let answer = scene.ask(jwt, "/api/v1/projects/p1");
    assert_eq!(answer["reason"], reason, "{what}");
    assert_eq!((&answer["allow"], &answer["status"]), (&json!(false), &json!(401)), "{what}");
    assert_eq!(answer["challenge"], "Bearer error=\"invalid_token\"", "{what}");
}

#[test]
fn claims_that_are_not_for_here_or_not_for_now() {
    let (_issuer, scene) = with_issuer(&[&EC], "leeway = \"5s\"", &[]);
    for (changes, reason) in [
        (json!({"iss": "https://login.example/"}), "session.issuer_unknown"),
        (json!({"iss": "HTTPS://login.example"}), "session.issuer_unknown"),
        (json!({"iss": [ISSUER]}), "session.issuer_unknown"),
        (json!({"iss": null}), "session.issuer_unknown"),
        (json!({"aud": "other"}), "session.wrong_audience"),
        (json!({"aud": ["other", ["regate"]]}), "session.wrong_audience"),
        (json!({"aud": null}), "session.wrong_audience"),
        (json!({"exp": now() - 6}), "session.expired"),
        (json!({"exp": 0}), "session.expired"),
        (json!({"exp": -1e300}), "session.expired"),
        (json!({"exp": null}), "session.expiry_missing"),
        (json!({"exp": (now() + 600).to_string()}), "session.malformed"),
        (json!({"nbf": now() + 600}), "session.not_yet_valid"),
        (json!({"nbf": "x"}), "session.malformed"),
        (json!({"sub": null}), "session.claim_missing"),
        (json!({"sub": ""}), "session.claim_missing"),
        (json!({"sub": ["ada"]}), "session.claim_missing"),
        (json!({"sub": {"id": "ada"}}), "session.claim_missing"),
    ] {
        refused(&scene, &changed(changes.clone()), reason, &changes.to_string());
    }
    // Within the leeway.
    for changes in [json!({"exp": now() - 1}), json!({"nbf": now() + 2})] {
        assert_eq!(scene.reason(&changed(changes.clone())), "session.project_read", "{changes}");
    }
    scene.logged_no_secret();
}

#[test]
fn nothing_is_signed_by_saying_so() {
    let (_issuer, scene) = with_issuer(&[&RSA, &EC, &ED], "", &[]);
    let claimed = encode(claims("ada", json!({})).to_string());
    for none in ["none", "None", "NONE", "nOnE", "", "NULL"] {
        let header = encode(json!({"alg": none, "kid": "RS256"}).to_string());
        for signature in ["", "AA", "c2lnbmF0dXJl"] {
            refused(
                &scene,
                &format!("{header}.{claimed}.{signature}"),
                "session.algorithm_not_allowed",
                none,
            );
        }
    }
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let header = encode(json!({"alg": algorithm, "kid": algorithm}).to_string());
        for signature in ["", "AA", "!", &"A".repeat(86), &"A".repeat(342)] {
            let jwt = format!("{header}.{claimed}.{signature}");
            let reason = if signature == "!" { "token.malformed" } else { "session.signature_invalid" };
            refused(&scene, &jwt, reason, algorithm);
        }
    }
}

#[test]
fn a_public_key_is_no_secret() {
    let (_issuer, scene) = with_issuer(&[&RSA], "", &[]);
    for secret in RSA.published() {
        for id in [json!("RS256"), json!(null)] {
            let mut header = json!({"alg": "HS256", "kid": id});
            header.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            let jwt = Key::Secret(secret.clone()).jwt_of(
                &header.to_string(),
                &claims("ada", json!({})).to_string(),
                "HS256",
            );
            refused(&scene, &jwt, "session.algorithm_not_allowed", "HS256 over a public key");
        }
    }
}

#[test]
fn a_secret_in_the_published_keys_is_not_taken() {
    let secret = Key::Secret(vec![7; 64]);
    let (_issuer, scene) = with_issuer(&[&EC, &secret], "", &[]);
    refused(&scene, &secret.jwt("HS256", &claims("ada", json!({}))), "session.algorithm_not_allowed", "oct");
}

#[test]
fn keys_that_a_header_brings_along_are_not_looked_at() {
    let (issuer, scene) = with_issuer(&[&RSA], "", &[]);
    let asked = issuer.requests();
    let attacker = super::issuer::Issuer::start(super::Answer::Keys(vec![OTHER_RSA.jwk("RS256")]));
    for more in [
        json!({"jwk": OTHER_RSA.jwk("RS256")}),
        json!({"jku": attacker.url}),
        json!({"x5u": attacker.url}),
        json!({"x5c": ["AAAA"]}),
    ] {
        let mut header = json!({"alg": "RS256", "kid": "RS256", "typ": "JWT"});
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let claims = claims("ada", json!({})).to_string();
        refused(
            &scene,
            &OTHER_RSA.jwt_of(&header.to_string(), &claims, "RS256"),
            "session.signature_invalid",
            "brought along",
        );
        assert_eq!(scene.reason(&RSA.jwt_of(&header.to_string(), &claims, "RS256")), "session.project_read");
    }
    assert_eq!(attacker.requests(), 0);
    assert_eq!(issuer.requests(), asked);
}

#[test]
fn what_was_changed_after_signing_is_refused() {
    let (_issuer, scene) = with_issuer(&[&RSA, &EC], "", &[]);
    let good = changed(json!({}));
    assert_eq!(scene.reason(&good), "session.project_read");
    let parts: Vec<&str> = good.split('.').collect();
    let [header, _, signature] = parts[..] else { panic!("three parts") };
    let bob = encode(claims("bob", json!({})).to_string());
    refused(&scene, &format!("{header}.{bob}.{signature}"), "session.signature_invalid", "claims");
    let other = encode(json!({"alg": "ES256", "kid": "ES256"}).to_string());
    refused(&scene, &format!("{other}.{}.{signature}", parts[1]), "session.signature_invalid", "header");
    // The same bytes, written in another way: base64 has one spelling here.
    assert_ne!(scene.reason(&format!("{good}=")), "session.project_read");
    let last = good.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for other in alphabet.chars().filter(|other| *other != last) {
        let spelled = format!("{}{other}", &good[..good.len() - 1]);
        refused(&scene, &spelled, "session.signature_invalid", "the last character");
    }
    // Another key of the same kind, under this one's name; another kind under it.
    refused(
        &scene,
        &OTHER_RSA.jwt("RS256", &claims("ada", json!({}))),
        "session.signature_invalid",
        "another key",
    );
    let header = json!({"alg": "ES256", "kid": "RS256"}).to_string();
    let jwt = EC.jwt_of(&header, &claims("ada", json!({})).to_string(), "ES256");
    refused(&scene, &jwt, "session.algorithm_not_allowed", "a key of another kind");
    refused(&scene, &EC.jwt("unknown", &claims("ada", json!({}))), "session.key_unknown", "kid");
    let header = json!({"alg": "RS512", "kid": "RS256"}).to_string();
    let jwt = RSA.jwt_of(&header, &claims("ada", json!({})).to_string(), "RS256");
    refused(&scene, &jwt, "session.algorithm_not_allowed", "not in the list");
}

#[test]
fn a_key_speaks_for_its_own_issuer_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut toml = String::new();
    for (name, key, tenant) in [("one", &EC, "default"), ("two", &ED, "acme")] {
        std::fs::write(folder.path().join(name), json!({"keys": [key.jwk("k")]}).to_string()).unwrap();
        toml.push_str(&format!(
            "[[issuers]]\nissuer = \"{name}\"\nkeys_file = \"{name}\"\naudience = \"regate\"\ntenant = \"{tenant}\"\n"
        ));
    }
    let scene = Scene::start_in(folder, &toml, &[]);
    let signed = |key: &Key, issuer: &str| key.jwt("k", &claims("ada", json!({"iss": issuer})));
    assert_eq!(scene.reason(&signed(&EC, "one")), "session.project_read");
    assert_eq!(scene.reason(&signed(&ED, "two")), "session.not_a_collaborator");
    refused(&scene, &signed(&ED, "one"), "session.algorithm_not_allowed", "two signs for one");
    refused(&scene, &signed(&EC, "two"), "session.algorithm_not_allowed", "one signs for two");
    refused(&scene, &signed(&EC, "three"), "session.issuer_unknown", "three");
}

#[test]
fn what_has_two_readings_or_asks_for_too_much_is_malformed() {
    let (_issuer, scene) = with_issuer(&[&EC], "", &[]);
    let header = r#"{"alg":"ES256","kid":"ES256"}"#;
    let good = claims("ada", json!({})).to_string();
    let with = |member: &str| format!("{},{member}}}", good.strip_suffix('}').unwrap());
    let malformed = |header: &str, claims: &str| {
        refused(
            &scene,
            &EC.jwt_of(header, claims, "ES256"),
            "session.malformed",
            &format!("{header} {claims}"),
        );
    };
    for header in [
        r#"{"alg":"ES256","alg":"ES256","kid":"ES256"}"#,
        r#"{"alg":"none","alg":"ES256","kid":"ES256"}"#,
        r#"{"alg":"ES256","kid":"x","kid":"ES256"}"#,
        r#"{"alg":"ES256","kid":"ES256","typ":"secevent+jwt"}"#,
        r#"{"alg":"ES256","kid":"ES256","crit":["exp"],"exp":1}"#,
        r#"{"alg":"ES256","kid":"ES256","crit":[]}"#,
        r#"{"alg":"ES256","kid":"ES256","b64":false}"#,
        r#"{"alg":"ES256","kid":["ES256"]}"#,
        r#"{"alg":["ES256"],"kid":"ES256"}"#,
    ] {
        malformed(header, &good);
    }
    malformed(header, &with(r#""sub":"bob""#));
    malformed(header, &with(r#""\u0073ub":"bob""#));
    malformed(header, &with(r#""x":{"y":1,"y":2}"#));
    malformed(header, &with(&format!("\"x\":{}{}", "[".repeat(200), "]".repeat(200))));
    malformed(header, &with(r#""x":1e999"#));
    malformed(header, "[]");
    malformed(header, "null");
    malformed(header, "{");
    // Larger than a token may be, in the header, whose own bound is larger.
    let jwt = EC.jwt_of(header, &with(&format!("\"x\":\"{}\"", "x".repeat(17_000))), "ES256");
    let question = json!({"request": {
        "method": "GET", "path": "/", "headers": {"authorization": format!("Bearer {jwt}")},
    }});
    let answer = crate::harness::http::decide(&scene.serving.address, &question);
    assert_eq!(answer["reason"], "session.malformed");
    // As large as it may be.
    let jwt = EC.jwt_of(header, &with(&format!("\"x\":\"{}\"", "x".repeat(11_000))), "ES256");
    assert_eq!(scene.reason(&jwt), "session.project_read");
}

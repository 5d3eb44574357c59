//! What a user's session costs: the first time, when its signature is verified, and from then on.

use std::{fs, hint::black_box, sync::Arc};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use regate::{
    api::{Asker, HttpBounds, QuestionMessage},
    auth::{
        CredentialReader,
        sessions::{IssuerSettings, KeysFrom, RoleFrom, Sessions, TenantFrom},
    },
    decision::{DecisionRules, Evaluator, Moment, decide},
    types::{IdSource, PresentedCredential, RandomIds, SystemClock, TenantId, Timestamp},
};
use serde_json::{Value, json};

use crate::{in_process::measure, world};

const ROWS: usize = 1_000;
const ISSUER: &str = "https://login.example";
const NOW: i64 = 1_800_000_000;
/// So many sessions of each algorithm are read once: more than the rounds of the measurement use up.
const SESSIONS: usize = 2_100;
const CALLS: usize = 50;

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// Each algorithm, its key as it is published, and its signatures.
fn keys() -> Vec<(&'static str, Value, Sign)> {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let n = encode(rsa.public_key().modulus().big_endian_without_leading_zero());
    let rsa_jwk = json!({"kty": "RSA", "kid": "RS256", "n": n, "e": "AQAB"});
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let point = ec.public_key().as_ref();
    let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
    let ec_jwk = json!({"kty": "EC", "crv": "P-256", "kid": "ES256", "x": x, "y": y});
    let ed = Ed25519KeyPair::generate().expect("a key");
    let x = encode(ed.public_key().as_ref());
    let ed_jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "EdDSA", "x": x});
    let sign_rsa = move |signed: &[u8]| {
        let mut signature = vec![0; rsa.public_modulus_len()];
        rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed, &mut signature).expect("a signature");
        signature
    };
    vec![
        ("RS256", rsa_jwk, Box::new(sign_rsa)),
        (
            "ES256",
            ec_jwk,
            Box::new(move |s| ec.sign(&SystemRandom::new(), s).expect("one").as_ref().to_vec()),
        ),
        ("EdDSA", ed_jwk, Box::new(move |s| ed.sign(s).as_ref().to_vec())),
    ]
}

/// The JWT of that user's session with that number, as large as issuers make them.
fn jwt(algorithm: &str, sign: &Sign, user: &str, number: usize) -> String {
    let header = json!({"alg": algorithm, "kid": algorithm, "typ": "JWT"});
    let claims = json!({
        "iss": ISSUER, "aud": ["regate", "account"], "sub": user, "exp": NOW + 3_600, "iat": NOW, "nbf": NOW,
        "jti": format!("session-{number}"), "email": "ada@example.org", "email_verified": true, "name": "Ada",
        "realm_access": {"roles": ["offline_access", "developer"]}, "scope": "openid email profile",
        "sid": "5f4c2b0e-0d6b-4f0e-9a52-8c8a8f4c2b0e", "azp": "gateway",
    });
    let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// A reader that knows the issuer of these keys, and nothing that it ever signed.
fn reader(jwks: &[Value]) -> CredentialReader {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys");
    fs::write(&path, json!({ "keys": jwks }).to_string()).expect("a file");
    let settings = IssuerSettings {
        issuer: ISSUER.to_owned(),
        keys: KeysFrom::File(path),
        audience: vec!["regate".to_owned()],
        algorithms: Vec::new(),
        user_claim: "sub".to_owned(),
        tenant: TenantFrom::Fixed(TenantId::default_tenant()),
        role: RoleFrom::Database,
        leeway: std::time::Duration::from_secs(30),
        require_expiry: true,
        refresh_interval: std::time::Duration::from_secs(600),
        refetch_limit: std::time::Duration::from_secs(30),
    };
    let sessions = Sessions::new(vec![settings], 16_384, Arc::new(SystemClock)).expect("an issuer");
    CredentialReader::with_sessions(Arc::new(sessions))
}

/// Prints the table.
pub fn run() {
    println!("Sessions: microseconds, medians, over {ROWS} rows\n");
    println!(
        "{:<10} {:>8} {:>14} {:>14} {:>26}",
        "algorithm", "bytes", "first read", "read again", "JSON in to decision, again"
    );
    let keys = keys();
    let jwks: Vec<Value> = keys.iter().map(|(_, jwk, _)| jwk.clone()).collect();
    let reader = reader(&jwks);
    let basis = world::basis(ROWS, 1);
    let user = format!("user-{}", ROWS / 2);
    let (bounds, rules) = (HttpBounds::default(), DecisionRules::default());
    for (algorithm, _, sign) in &keys {
        let texts: Vec<String> = (0..SESSIONS).map(|number| jwt(algorithm, sign, &user, number)).collect();
        let read = |text: &str| {
            let credential = reader.read(Some(text), []);
            assert!(matches!(credential, PresentedCredential::Session { session: Ok(_), .. }));
            credential
        };
        let mut next = texts.iter();
        let first = measure(CALLS, || drop(black_box(read(next.next().expect("enough of them")))));
        let again = measure(2_000, || drop(black_box(read(&texts[0]))));
        let question = json!({
            "token": texts[0], "request": {"method": "GET", "path": world::builds(ROWS / 2)},
        });
        let question = question.to_string();
        let (mut evaluator, mut ids) = (Evaluator::new(0), RandomIds::seeded(1));
        let moment = Moment { now: Timestamp::from_unix_seconds(NOW), data_is_stale: false };
        let mut answer = || {
            let message = QuestionMessage::read(question.as_bytes(), &bounds).expect("a question");
            let question =
                message.into_question(Asker::offline(None), &bounds, &reader).expect("within the bounds");
            let id = ids.next_id(moment.now);
            decide(&mut evaluator, &basis, &rules, &question, id, moment)
        };
        assert_eq!(answer().reasons.first.as_str(), "session.project_read");
        let whole = measure(2_000, || drop(black_box(answer())));
        let cell = |nanoseconds: f64| format!("{:.2}", nanoseconds / 1_000.0);
        println!(
            "{algorithm:<10} {:>8} {:>14} {:>14} {:>26}",
            texts[0].len(),
            cell(first.median),
            cell(again.median),
            cell(whole.median)
        );
    }
}

//! Users' sessions, through the whole program: a real issuer over HTTP, keys made for the test.

mod accepted;
mod attacks;
mod issuer;
mod keys;
mod refreshed;

use std::{path::Path, time::SystemTime};

use regate::auth;
use serde_json::{Value, json};
use tempfile::TempDir;

use self::{
    issuer::{Answer, Issuer},
    keys::Key,
};
use crate::{
    harness::{
        http::decide,
        program::{Serving, run, stderr},
    },
    live::until,
};

/// The issuer of all these tests.
const ISSUER: &str = "https://login.example";

/// Seconds since 1970, for claims.
#[allow(clippy::disallowed_methods, reason = "the program under test has the machine's clock as well")]
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// What a good session of this user claims, with these changes; `null` takes a claim away.
fn claims(user: &str, changes: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": "regate", "sub": user, "exp": now() + 600, "iat": now(), "email": "hunter2@example.org",
    });
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        members.insert(name.clone(), value.clone());
    }
    members.retain(|_, value| !value.is_null());
    claims
}

/// A token of user `ada` whose secret is this text.
fn imported(secret: &str) -> Value {
    json!({
        "id": "imported", "kind": "global", "name": "imported", "user_id": "ada",
        "sha256": auth::hash(secret).to_string(), "scope_pull": true, "scope_push": false,
    })
}

fn document(tokens: &[Value]) -> Value {
    json!({
        "tenants": [{"id": "default"}, {"id": "acme"}],
        "users": [
            {"id": "ada", "role": "viewer"}, {"id": "bob", "role": "admin"},
            {"id": "ada", "tenant": "acme"}, {"id": "eve", "tenant": "acme"},
        ],
        "projects": [{"id": "p1", "name": "one"}, {"id": "p9", "name": "nine", "tenant": "acme"}],
        "collaborators": [
            {"project_id": "p1", "user_id": "ada", "role": "developer"},
            {"project_id": "p9", "user_id": "ada", "role": "owner", "tenant": "acme"},
        ],
        "tokens": tokens,
    })
}

/// A running regate, and the folder with its data.
struct Scene {
    serving: Serving,
    folder: TempDir,
}

impl Scene {
    /// With this configuration and these tokens.
    fn start(toml: &str, tokens: &[Value]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start_in(folder, toml, tokens)
    }

    fn start_in(folder: TempDir, toml: &str, tokens: &[Value]) -> Self {
        import(folder.path(), &document(tokens));
        std::fs::write(folder.path().join("regate.toml"), toml).unwrap();
        let serving = Serving::start(folder.path(), &["--config", "regate.toml"]);
        Self { serving, folder }
    }

    /// The answer to `GET path` with this credential.
    fn ask(&self, credential: &str, path: &str) -> Value {
        let question = json!({"token": credential, "request": {"method": "GET", "path": path}});
        decide(&self.serving.address, &question)
    }

    /// The reason for the answer to the reading of project `p1`.
    fn reason(&self, credential: &str) -> String {
        self.ask(credential, "/api/v1/projects/p1")["reason"].as_str().unwrap().to_owned()
    }

    /// Asks until the reason is this one.
    fn until_reason(&self, credential: &str, reason: &str) {
        until(|| self.reason(credential), |found| found == reason);
    }

    /// Nothing of a credential or of the claims is in the log.
    fn logged_no_secret(&self) {
        let log = self.serving.log();
        assert!(!log.contains("eyJ") && !log.contains("hunter2"), "{log}");
    }
}

fn import(folder: &Path, document: &Value) {
    let output = run(folder, &["import", "-"], &document.to_string());
    assert!(output.status.success(), "{}", stderr(&output));
}

/// The section of the issuer behind this address.
fn section(url: &str, more: &str) -> String {
    format!(
        "[[issuers]]\nissuer = \"{ISSUER}\"\nkeys_url = \"{url}\"\naudience = \"regate\"\n\
         refetch_limit = \"20ms\"\n{more}\n"
    )
}

/// An issuer with these keys, their ids their algorithms, and regate that knows it and has its keys.
fn with_issuer(keys: &[&Key], more: &str, tokens: &[Value]) -> (Issuer, Scene) {
    let published = keys.iter().map(|key| key.jwk(key.algorithm())).collect();
    let issuer = Issuer::start(Answer::Keys(published));
    let scene = Scene::start(&section(&issuer.url, more), tokens);
    let first = keys[0].jwt(keys[0].algorithm(), &claims("nobody", json!({})));
    until(|| scene.reason(&first), |reason| reason != "session.keys_unavailable");
    (issuer, scene)
}

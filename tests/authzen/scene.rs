//! What the tests share: a process over some rows, and calls with the JSON that AuthZEN sends.

use std::{fs, path::Path};

use regate::auth;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{
    http::{Answer, send},
    program::{Serving, run, stderr},
};

pub const URL: &str = "sqlite://data.sqlite";

/// A process, and the folder that it runs in.
pub struct Scene {
    pub serving: Serving,
    pub folder: TempDir,
}

/// Users, projects, collaborators, in two tenants, and a gateway's token for each and for both.
fn rows() -> Value {
    let gateway = |id: &str, tenant: Value| json!({"id": id, "kind": "gateway", "name": id, "tenant": tenant, "sha256": auth::hash(id).to_string()});
    json!({
        "tenants": [{"id": "acme"}],
        "users": [{"id": "u1"}, {"id": "u2"}, {"id": "u3"}, {"id": "off", "disabled": true}, {"id": "u1", "tenant": "acme"}],
        "projects": [
            {"id": "p1", "name": "one"}, {"id": "p2", "name": "two"}, {"id": "open", "name": "open", "public": true},
            {"id": "p9", "name": "acme's own", "tenant": "acme"},
        ],
        "collaborators": [
            {"project_id": "p1", "user_id": "u1", "role": "owner"},
            {"project_id": "p1", "user_id": "u2", "role": "viewer"},
            {"project_id": "p1", "user_id": "off", "role": "owner"},
            {"project_id": "p2", "user_id": "u2", "role": "developer"},
            {"project_id": "p9", "user_id": "u1", "role": "owner", "tenant": "acme"},
        ],
        "tokens": [
            gateway("g-default", json!("default")), gateway("g-acme", json!("acme")), gateway("g-all", Value::Null),
            {"id": "operator", "kind": "admin", "name": "operator", "user_id": "u1", "sha256": auth::hash("operator").to_string()},
        ],
    })
}

/// Imports a document into the database of a folder.
pub fn import(folder: &Path, document: &Value) {
    let imported = run(folder, &["import", "-", "--database-url", URL], &document.to_string());
    assert!(imported.status.success(), "{}", stderr(&imported));
}

impl Scene {
    /// The shipped policies over the rows, with lines of configuration and more flags.
    pub fn new(configuration: &str, flags: &[&str]) -> Self {
        Self::over(tempfile::tempdir().unwrap(), configuration, flags)
    }

    /// The same with a policy of the test's own for AuthZEN.
    pub fn with_policy(rules: &str, configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("policies")).unwrap();
        fs::write(folder.path().join("policies/gateways.rego"), "package regate\n\ndecision := false\n")
            .unwrap();
        let text = format!("package regate.authzen\n\n{rules}\n");
        fs::write(folder.path().join("policies/authzen.rego"), text).unwrap();
        Self::over(folder, configuration, &["--policies", "policies"])
    }

    fn over(folder: TempDir, configuration: &str, flags: &[&str]) -> Self {
        import(folder.path(), &rows());
        fs::write(folder.path().join("regate.toml"), configuration).unwrap();
        let flags = [&["--database-url", URL, "--config", "regate.toml"], flags].concat();
        Self { serving: Serving::start(folder.path(), &flags), folder }
    }

    /// A call, whatever comes of it.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let headers = [&[("content-type", "application/json")], headers].concat();
        send(&self.serving.address, "POST", path, &headers, body)
    }

    /// A call that is answered with 200.
    pub fn ask(&self, path: &str, body: &Value) -> Value {
        self.ask_as(path, &[], body)
    }

    /// The same with more headers.
    pub fn ask_as(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Value {
        let answer = self.post(path, headers, body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{body} {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        answer.json()
    }
}

/// An evaluation.
pub fn evaluation(subject: &str, action: &str, resource: &str) -> Value {
    json!({
        "subject": {"type": "user", "id": subject}, "action": {"name": action},
        "resource": {"type": "project", "id": resource},
    })
}

/// The message of an error, which no client can take for a decision.
pub fn message(answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(serde_json::from_slice::<Value>(&answer.body).is_err());
    String::from_utf8(answer.body.clone()).unwrap()
}

/// A value with some members put over it.
pub fn with(mut value: Value, more: &Value) -> Value {
    value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    value
}

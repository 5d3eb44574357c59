//! A policy folder that changes while decisions are made: through the whole program, and through the parts
//! as `serve` puts them together.

mod bad_folders;
mod live;
mod management;
mod under_load;
mod ways;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use regate::auth;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{
    http::{Answer, decide, send},
    program::{Serving, run, stderr},
};
pub use crate::live::{ready, until};

/// Rules that name themselves, and the data that they were decided from.
pub fn rules(name: &str) -> String {
    format!(
        "package regate\n\nname := \"{name}\"\n\ndecision := {{\"allow\": true, \"reasons\": [\"rules.{name}\", data.release.name]}}\n"
    )
}

/// The data file that goes with [`rules`].
pub fn data(name: &str) -> String {
    json!({"name": format!("data.{name}"), "rules": name, "good": name != "failing"}).to_string()
}

/// What a bundle must hold: its rules and data are of one release, and the release is good.
pub const TESTS: &str = "package release_test

test_rules_and_data_are_of_one_release if data.regate.name == data.release.rules

test_the_release_is_good if data.release.good
";

/// Writes the two files of a bundle into a folder.
pub fn write_bundle(folder: &Path, name: &str) {
    fs::create_dir_all(folder.join("release")).unwrap();
    fs::write(folder.join("rules.rego"), rules(name)).unwrap();
    fs::write(folder.join("release/data.json"), data(name)).unwrap();
}

/// Makes `link` lead to `target`, in one step.
pub fn swap_link(link: &Path, target: &Path) {
    let new = link.with_file_name(".new-link");
    symlink(target, &new).unwrap();
    fs::rename(new, link).unwrap();
}

/// The program over a folder `policies`, with a token of each kind; the secret of a token is its id.
pub struct Scene {
    pub folder: TempDir,
    pub serving: Serving,
}

const DATABASE: &str = "sqlite://data.sqlite";

/// Told of changes, and never looking by itself.
pub const TOLD_ALONE: &str = "[policy]\ncheck_interval = \"1h\"\n";

impl Scene {
    /// Bundle `A` in `policies`.
    pub fn start(toml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_bundle(&folder.path().join("policies"), "A");
        Self::over(folder, toml, &["--policies", "policies"])
    }

    /// What the folder holds already.
    pub fn over(folder: TempDir, toml: &str, arguments: &[&str]) -> Self {
        Self::under(&[], folder, toml, arguments)
    }

    /// The same, started by another program.
    pub fn under(starter: &[&str], folder: TempDir, toml: &str, arguments: &[&str]) -> Self {
        import_tokens(folder.path());
        fs::write(folder.path().join("regate.toml"), toml).unwrap();
        let all = [&["--config", "regate.toml", "--database-url", DATABASE], arguments].concat();
        let serving = Serving::start_under(starter, folder.path(), &all);
        Self { folder, serving }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The name of the bundle that decides; its rules and its data must be of one.
    pub fn decided_by(&self) -> String {
        let question = json!({"request": {"method": "GET", "path": "/a"}});
        let answer = decide(&self.serving.address, &question);
        let reasons: Vec<&str> =
            answer["reasons"].as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect();
        let [rules, data] = reasons[..] else { panic!("{answer}") };
        let name = rules.strip_prefix("rules.").unwrap();
        assert_eq!(Some(name), data.strip_prefix("data."), "{answer}");
        name.to_owned()
    }

    pub fn wait_for(&self, name: &str) {
        until(|| self.decided_by(), |decided| decided == name);
    }

    /// A call of the management API.
    pub fn call(&self, method: &str, path: &str, secret: &str) -> Answer {
        let authorization = format!("Bearer {secret}");
        send(&self.serving.address, method, path, &[("authorization", &authorization)], b"")
    }

    /// `GET /v1/policies`.
    pub fn policies(&self) -> Value {
        let answer = self.call("GET", "/v1/policies", "operator");
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.json()
    }

    /// Waits until the folder is refused, and gives the failure.
    pub fn wait_for_failure(&self, stage: &str) -> Value {
        until(|| self.policies()["failure"].clone(), |failure| failure["stage"] == stage)
    }

    pub fn wait_for_recovery(&self) {
        until(|| self.policies()["failure"].clone(), Value::is_null);
    }

    /// Lines of the log that say that a policy was refused.
    pub fn refusals(&self) -> usize {
        self.serving.log().matches("the policy was not activated").count()
    }
}

fn import_tokens(folder: &Path) {
    let row = |id: &str, kind: &str| json!({"id": id, "kind": kind, "name": id, "sha256": auth::hash(id).to_string()});
    let with = |mut row: Value, more: Value| {
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    let document = json!({
        "tenants": [{"id": "acme"}],
        "users": [{"id": "root"}, {"id": "gone", "disabled": true}],
        "projects": [{"id": "p1", "name": "one"}],
        "tokens": [
            row("operator", "admin"),
            with(row("acme-operator", "admin"), json!({"tenant": "acme"})),
            with(row("root-operator", "admin"), json!({"user_id": "root"})),
            with(row("gone-operator", "admin"), json!({"user_id": "gone"})),
            with(row("revoked-operator", "admin"), json!({"revoked_at": "2020-01-01T00:00:00Z"})),
            with(row("expired-operator", "admin"), json!({"expires_at": "2020-01-01T00:00:00Z"})),
            row("agent", "mcp"),
            with(row("everywhere", "global"), json!({"user_id": "root", "scope_push": true})),
            with(row("builder", "project"), json!({"project_id": "p1", "scope_push": true, "scope_pull": true})),
            row("edge", "gateway"),
        ],
    });
    let imported = run(folder, &["import", "-", "--database-url", DATABASE], &document.to_string());
    assert!(imported.status.success(), "{}", stderr(&imported));
}

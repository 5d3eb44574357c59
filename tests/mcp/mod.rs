//! MCP: messages in questions and bodies, lists of tools, challenges, JSON-RPC errors.

mod bodies;
mod challenges;
mod errors;
mod questions;
mod sloppy;

use std::fs;

use regate::auth;
use serde_json::{Value, json};

use crate::harness::{
    http::send,
    policies,
    program::{Serving, run, stderr},
};

const METADATA: &str = "https://mcp.example/.well-known/oauth-protected-resource/mcp";

/// A token without a list of tools, one that may call `read` and `search`, one of another kind, and one that is revoked.
const AGENT: &str = "key-of-the-agent";
const LISTED: &str = "key-of-the-listed";
const GLOBAL: &str = "key-of-the-cli";
const DEAD: &str = "key-of-the-dead";

/// A running regate with a few rows.
struct Scene {
    serving: Serving,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// With these rules in place of the shipped ones, if any.
    fn start(rules: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token = |id: &str, kind: &str, key: &str| json!({"id": id, "kind": kind, "name": id, "user_id": "ada", "sha256": auth::hash(key).to_string()});
        let with = |mut token: Value, field: &str, value: Value| {
            token[field] = value;
            token
        };
        let rows = json!({
            "users": [{"id": "ada", "role": "user"}],
            "projects": [{"id": "p1", "name": "one"}],
            "collaborators": [{"project_id": "p1", "user_id": "ada", "role": "developer"}],
            "tokens": [
                token("agent", "mcp", AGENT),
                with(token("listed", "mcp", LISTED), "tools", json!(["search", "read"])),
                token("cli", "global", GLOBAL),
                with(token("dead", "mcp", DEAD), "revoked_at", json!("2020-01-01T00:00:00Z")),
            ],
        });
        fs::write(folder.path().join("rows.json"), rows.to_string()).unwrap();
        let mut settings = format!("[mcp]\nresource_metadata = \"{METADATA}\"\n");
        if let Some(rules) = rules {
            fs::create_dir(folder.path().join("rules")).unwrap();
            fs::write(folder.path().join("rules/rules.rego"), rules).unwrap();
            settings.push_str("[policy]\nfolder = \"rules\"\n");
        } else {
            policies::with_high_limits(folder.path());
            settings.push_str("[policy]\nfolder = \"policies\"\n");
        }
        fs::write(folder.path().join("regate.toml"), settings).unwrap();
        let database = ["--database-url", "sqlite://regate.sqlite"];
        let imported = run(folder.path(), &[&["import", "rows.json"][..], &database].concat(), "");
        assert!(imported.status.success(), "{}", stderr(&imported));
        let serving = Serving::start(folder.path(), &[&["--config", "regate.toml"][..], &database].concat());
        Self { serving, _folder: folder }
    }

    /// The answer to a `POST /mcp` with these messages, and the text of it.
    fn ask(&self, key: Option<&str>, mcp: &str, more: &str) -> (Value, String) {
        self.ask_at("/v1/decide", key, mcp, more)
    }

    fn ask_at(&self, call: &str, key: Option<&str>, mcp: &str, more: &str) -> (Value, String) {
        let answer = send(&self.serving.address, "POST", call, &[], question(key, mcp, more).as_bytes());
        let text = String::from_utf8(answer.body.clone()).unwrap();
        assert_eq!(answer.status, 200, "{mcp}: {text}");
        (answer.json(), text)
    }
}

/// A question as it is on the wire. `more` are more members of it, each with a comma before it.
fn question(key: Option<&str>, mcp: &str, more: &str) -> String {
    let token = key.map_or_else(String::new, |key| format!(r#""token": "{key}", "#));
    format!(r#"{{{token}"request": {{"method": "POST", "path": "/mcp"}}, "mcp": {mcp}{more}}}"#)
}

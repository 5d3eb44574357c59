//! The program over a database with a few rows in it.

use std::time::{Duration, Instant};

use regate::auth;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{sessions, until, watch::Watch};
use crate::harness::{
    http::{Answer, send},
    postgres,
    program::{Serving, run, stderr},
};

/// A bound that a test can wait for, and an interval well within it.
pub const SETTINGS: &str =
    "[data]\nmax_staleness = \"2s\"\npoll_interval = \"200ms\"\nanswer_time = \"500ms\"\n";

/// Takes a right away from `reader`.
pub const REVOKE: &str = "update tokens set revoked_at = now() where id = 'reader'";
/// Gives it back.
pub const UNREVOKE: &str = "update tokens set revoked_at = null where id = 'reader'";
/// Gives `guest` a right.
pub const INVITE: &str =
    "insert into collaborators (project_id, user_id, role) values ('p1', 'u2', 'viewer')";
/// Takes it away.
pub const UNINVITE: &str = "delete from collaborators where user_id = 'u2'";

/// What `reader` is told while it has its right, and `guest` when it has one.
pub const ALLOWED: &str = "global_token.read";
/// What `reader` is told after [`REVOKE`].
pub const REVOKED: &str = "token.revoked";
/// What `guest` is told without a right.
pub const NOT_INVITED: &str = "global_token.not_a_collaborator";
/// What everybody is told when changes cannot be read for longer than the bound.
pub const STALE: &str = "data.stale";

/// A serving process, its folder, and its database.
pub struct Scene {
    pub folder: TempDir,
    /// Leads to the database itself.
    pub url: String,
    pub serving: Serving,
}

/// What a question got.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Before it was asked.
    pub asked: Instant,
    pub allow: bool,
    pub reason: String,
}

impl Scene {
    /// Rows in the database at `url`, and a process that serves from them.
    pub fn over(url: &str) -> Self {
        Self::with(url, url, SETTINGS)
    }

    /// The same in a database of the Postgres that all tests share.
    pub fn over_shared_postgres() -> Self {
        Self::over(&new_database())
    }

    /// With these settings, `regate` being given another way to the database.
    pub fn with(url: &str, regates_url: &str, settings: &str) -> Self {
        let folder = prepare(regates_url, settings);
        let serving = Serving::start(folder.path(), &arguments(regates_url));
        Self { folder, url: url.to_owned(), serving }
    }

    /// Runs SQL with `psql`.
    pub fn sql(&self, sql: &str) -> String {
        sessions::sql(&self.url, sql)
    }

    /// Asks until the reason is this one.
    pub fn until_told(&self, token: &str, reason: &str) -> Seen {
        until_told(&self.serving, token, reason)
    }

    /// Asks all the time.
    pub fn watch(&self, token: &'static str) -> Watch {
        Watch::over(&self.serving.address, token)
    }

    /// Waits for a line of the log.
    pub fn until_logged(&self, words: &str) {
        until(words, || self.serving.log().contains(words).then_some(()));
    }

    /// `GET /ready`: the status and the state.
    pub fn ready(&self) -> (u16, Value) {
        ready(&self.serving)
    }
}

/// A new database of the Postgres that all tests share.
pub fn new_database() -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(postgres::new_database())
}

/// The rows, and the folder with the settings.
pub fn prepare(url: &str, settings: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("regate.toml"), settings).unwrap();
    let document = document().to_string();
    let imported = run(folder.path(), &[&["import", "-"], &arguments(url)[..]].concat(), &document);
    assert!(imported.status.success(), "{}", stderr(&imported));
    folder
}

/// What every command is given.
pub fn arguments(url: &str) -> [&str; 4] {
    ["--config", "regate.toml", "--database-url", url]
}

fn document() -> Value {
    let token = |id: &str, kind: &str, user: Option<&str>| {
        let hash = auth::hash(id).to_string();
        json!({"id": id, "kind": kind, "name": id, "user_id": user, "sha256": hash, "scope_pull": true})
    };
    json!({
        "users": [{"id": "u1"}, {"id": "u2"}, {"id": "u3", "disabled": true}],
        "projects": [{"id": "p1", "name": "one"}],
        "collaborators": [
            {"project_id": "p1", "user_id": "u1", "role": "viewer"},
            {"project_id": "p1", "user_id": "u3", "role": "viewer"},
        ],
        "tokens": [
            token("reader", "global", Some("u1")),
            token("guest", "global", Some("u2")),
            token("disabled", "global", Some("u3")),
            token("gateway", "gateway", None),
        ],
    })
}

/// Asks whether a token may read the project, as the gateway with this token.
pub fn ask_as(gateway: &str, address: &str, token: &str) -> Answer {
    let question = json!({"token": token, "request": {"method": "GET", "path": "/api/v1/projects/p1"}});
    let gateway = format!("Bearer {gateway}");
    send(address, "POST", "/v1/decide", &[("authorization", &gateway)], question.to_string().as_bytes())
}

/// Asks whether a token may read the project. The answer is a decision, whatever is broken.
pub fn ask(address: &str, token: &str) -> Seen {
    let asked = Instant::now();
    let answer = ask_as("gateway", address, token);
    let decision = answer.json();
    assert_eq!(answer.status, 200, "{decision}");
    let allow = decision["allow"] == true;
    assert_eq!(allow, decision["status"] == 200, "{decision}");
    let reason = decision["reason"].as_str().unwrap().to_owned();
    if reason == STALE {
        assert_eq!(decision["status"], 503, "{decision}");
    }
    Seen { asked, allow, reason }
}

/// Asks until the reason is this one.
pub fn until_told(serving: &Serving, token: &str, reason: &str) -> Seen {
    let mut last = String::new();
    let begun = Instant::now();
    loop {
        let seen = ask(&serving.address, token);
        if seen.reason == reason {
            return seen;
        }
        last.clone_from(&seen.reason);
        let log = || serving.log();
        assert!(begun.elapsed() < Duration::from_secs(30), "{token}: {last}, not {reason}: {}", log());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `GET /ready`: the status and the state.
pub fn ready(serving: &Serving) -> (u16, Value) {
    let answer = send(&serving.address, "GET", "/ready", &[], b"");
    (answer.status, answer.json()["state"].clone())
}

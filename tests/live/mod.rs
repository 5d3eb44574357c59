//! Changes decide at once: through the whole program, and through the parts as `serve` puts them together.

mod explanations;
mod own_documents;
mod writes;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{harness::http::send, store::database::TestDatabase};

/// So long a test waits for something that should come at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until `wanted` says yes, and gives what it said yes to.
pub fn until<T: std::fmt::Debug>(mut ask: impl FnMut() -> T, wanted: impl Fn(&T) -> bool) -> T {
    let begun = Instant::now();
    loop {
        let answer = ask();
        if wanted(&answer) {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "it did not come: {answer:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `/ready`: the status and the body.
pub fn ready(address: &str) -> (u16, Value) {
    let answer = send(address, "GET", "/ready", &[], b"");
    (answer.status, answer.json())
}

/// `GET path` with this secret.
pub fn question(secret: &str, path: &str) -> Value {
    json!({"token": secret, "request": {"method": "GET", "path": path}})
}

/// Starts regate over the database with this configuration.
pub fn serve(database: &TestDatabase, folder: &Path, toml: &str) -> crate::harness::program::Serving {
    std::fs::write(folder.join("regate.toml"), toml).unwrap();
    let arguments = ["--database-url", &database.url, "--config", "regate.toml"];
    crate::harness::program::Serving::start(folder, &arguments)
}

//! What an operator sees: metrics, lines of the log, traces, and the dashboard and alert rules that are made of them.

mod logs;
mod names;
mod shown;
mod traces;

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{http::send, program::Serving};

/// `regate serve --demo` with this configuration, and its folder.
fn serve(toml: &str) -> (TempDir, Serving) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("regate.toml"), toml).unwrap();
    let serving = Serving::start(folder.path(), &["--demo", "--config", "regate.toml"]);
    (folder, serving)
}

/// A question that is allowed, since the path is public, with these headers of the request that is asked about.
fn question(headers: Value) -> Value {
    json!({"request": {"method": "GET", "path": "/health", "headers": headers}})
}

/// What `/metrics` shows.
fn metrics(address: &str) -> String {
    let answer = send(address, "GET", "/metrics", &[], b"");
    assert_eq!(answer.status, 200);
    String::from_utf8(answer.body).unwrap()
}

/// The value of a series, written as it is shown.
fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in:\n{metrics}")).parse().unwrap()
}

//! Lines about requests, and the level that changes while the program runs.

use std::{fs, process::Command};

use serde_json::{Value, json};

use super::{question, serve};
use crate::harness::{
    http::{decide, send},
    program::{Serving, run, stderr},
};

/// The lines about requests in a log of JSON lines.
fn lines(log: &str) -> Vec<Value> {
    let all = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    all.filter(|line| line["target"] == "regate::request").map(|line| line["fields"].clone()).collect()
}

/// Sends SIGHUP.
fn hang_up(serving: &Serving) {
    let sent = Command::new("kill").args(["-HUP", &serving.process().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn each_request_has_a_line_where_all_are_wanted() {
    let (_folder, serving) = serve("[log]\nformat = \"json\"\nrequests = \"all\"\n");
    let answer = decide(&serving.address, &question(json!({})));
    send(&serving.address, "GET", "/v1/tokens/some-token?secret=hunter2", &[], b"");
    send(&serving.address, "GET", "/nowhere/hunter2", &[], b"");
    // A request that has no one reading is answered before anybody looks for its route.
    crate::harness::http::raw(&serving.address, b"GET http://hunter2/ HTTP/1.1\r\nhost: a\r\n\r\n");
    send(&serving.address, "GET", "/ready", &[], b"");
    let log = serving.wait_for_log("\"/ready\"");
    assert!(!log.contains("hunter2"), "{log}");
    let lines = lines(&log);
    let shown: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["method"].as_str().unwrap(),
                line["path"].as_str().unwrap(),
                line["status"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("POST", "/v1/decide", 200),
            ("GET", "/v1/tokens/{id}", 401),
            ("GET", "unmatched", 404),
            ("GET", "unmatched", 400),
            ("GET", "/ready", 200),
        ]
    );
    let first = &lines[0];
    assert_eq!(first["decision_id"], answer["decision_id"]);
    assert_eq!((&first["allow"], &first["reason"]), (&json!(true), &answer["reason"]));
    assert!(first["latency_micros"].is_u64(), "{first}");
    assert!(first["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{first}");
}

#[test]
fn without_a_word_only_what_was_refused_has_a_line() {
    let (_folder, serving) = serve("[log]\nformat = \"json\"\n");
    decide(&serving.address, &question(json!({})));
    let denied = json!({"request": {"method": "GET", "path": "/api/v1/projects/website/builds"}});
    assert_eq!(decide(&serving.address, &denied)["allow"], false);
    send(&serving.address, "POST", "/v1/decide", &[], b"{");
    let log = serving.wait_for_log("regate::request");
    let lines = lines(&log);
    assert_eq!(lines.len(), 1, "{log}");
    assert_eq!((&lines[0]["path"], &lines[0]["status"]), (&json!("/v1/decide"), &json!(400)));
}

#[test]
fn refused_requests_cannot_flood_the_log() {
    let (_folder, serving) = serve("[log]\nformat = \"json\"\n");
    let ask = || send(&serving.address, "GET", "/nowhere", &[], b"");
    // Until a line says that some were left out: so many come in one second.
    for _ in 0..100_000 {
        ask();
        if serving.log().contains("\"left_out\":") {
            return;
        }
    }
    panic!("each had a line");
}

#[test]
fn the_level_changes_with_sighup_and_nothing_else_does() {
    let (folder, serving) = serve("[log]\nformat = \"json\"\nrequests = \"all\"\nlevel = \"warn\"\n");
    let write = |text: &str| fs::write(folder.path().join("regate.toml"), text).unwrap();
    let ask = |path: &str| send(&serving.address, "GET", path, &[], b"").status;
    assert_eq!(ask("/health"), 200);
    write("[log]\nformat = \"json\"\nlevel = \"info\"\n");
    hang_up(&serving);
    serving.wait_for_log("the log level has changed");
    assert_eq!(ask("/ready"), 200);
    let log = serving.wait_for_log("\"/ready\"");
    assert!(!log.contains("\"/health\""), "{log}");

    // What cannot be used changes nothing.
    write("[log]\nlevel = \"regate=loud\"\n");
    hang_up(&serving);
    serving.wait_for_log("the log level stays");
    write("[log]\nlevel = \"wran\"\n");
    hang_up(&serving);
    serving.wait_for_log("\\\"wran\\\" is no level");
    write("[log]\nlevels = \"hunter2\"\n");
    hang_up(&serving);
    let log = serving.wait_for_log("the configuration cannot be read");
    assert!(!log.contains("hunter2"), "{log}");
    assert_eq!(ask("/openapi.json"), 200);
    serving.wait_for_log("\"/openapi.json\"");

    // That it changed is said, also where the new level keeps such lines away.
    write("[log]\nlevel = \"error\"\n");
    hang_up(&serving);
    let log = serving.wait_for_log("\"level\":\"error\"");
    assert_eq!(log.matches("the log level has changed").count(), 2, "{log}");
}

#[test]
fn a_word_that_is_no_level_ends_the_start() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("regate.toml"), "[log]\nlevel = \"wran\"\n").unwrap();
    let ran = run(folder.path(), &["serve", "--demo", "--config", "regate.toml"], "");
    let said = stderr(&ran);
    assert!(!ran.status.success() && said.contains("\"wran\" is no level"), "{said}");
}

//! `regate import`: what its report says.

use serde_json::{Value, json};

use super::{Scene, on_both_databases, with_url, write};
use crate::harness::program::{run, stderr, stdout};

on_both_databases!(
    a_report_says_what_was_taken_renewed_and_unchanged,
    an_import_with_a_mistake_names_the_places_and_writes_nothing,
    an_existing_key_is_imported_by_its_hash,
);

fn a_report_says_what_was_taken_renewed_and_unchanged(scene: &Scene) {
    let mut document = json!({"users": [{"id": "u1"}, {"id": "u2"}]});
    let import = |document: &Value, more: &[&str]| {
        let output = scene.output(&[&["import", "-"], more].concat(), &document.to_string());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
    };
    assert_eq!(import(&document, &[]), "users: 2 taken, 0 renewed, 0 unchanged\n0 refused, revision 1\n");
    assert_eq!(import(&document, &[]), "users: 0 taken, 0 renewed, 2 unchanged\n0 refused, revision 1\n");
    document["users"] = json!([{"id": "u1", "role": "admin"}, {"id": "u2"}, {"id": "u3"}]);
    let report: Value = serde_json::from_str(&import(&document, &["--json"])).unwrap();
    let users = report["tables"].as_array().unwrap().iter().find(|table| table["table"] == "users").unwrap();
    assert_eq!(*users, json!({"table": "users", "taken": 1, "renewed": 1, "unchanged": 1}));
    assert_eq!((&report["refused"], &report["problems"]), (&json!(0), &json!([])));
    assert!(report["revision"].as_u64().unwrap() > 1);
}

fn an_import_with_a_mistake_names_the_places_and_writes_nothing(scene: &Scene) {
    let hash = "ab".repeat(32);
    let token = |id: &str, user: &str| json!({"id": id, "kind": "global", "name": "n", "user_id": user, "sha256": hash});
    let mut soon = token("t1", "u1");
    soon["expires_at"] = json!("soon");
    // The document alone shows the one mistake, the store the other.
    for (tokens, places) in [
        (
            json!([soon, {"id": "", "kind": "mcp", "name": "n", "sha256": "cd".repeat(32)}]),
            &["tokens[0].expires_at", "tokens[1].id"][..],
        ),
        (json!([token("t1", "nobody")]), &["tokens[0].user_id"]),
    ] {
        let document = json!({"users": [{"id": "u1"}], "tokens": tokens}).to_string();
        let output = scene.output(&["import", "-"], &document);
        assert_eq!((output.status.code(), stdout(&output)), (Some(1), String::new()));
        let said = stderr(&output);
        assert!(said.contains("regate: nothing was imported\n  ") && said.contains(" refused"), "{said}");
        assert!(places.iter().all(|place| said.contains(place)) && !said.contains(&hash), "{places:?}");
        let output = scene.output(&["import", "-", "--json"], &document);
        assert_eq!(output.status.code(), Some(1));
        let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert_eq!((&report["tables"], &report["revision"]), (&json!([]), &Value::Null));
        let problems = report["problems"].as_array().unwrap();
        assert_eq!(report["refused"], problems.len());
        for (problem, place) in problems.iter().zip(places) {
            assert!(problem["place"].as_str().unwrap().starts_with(place), "{problem}");
        }
        assert!(!stdout(&output).contains(&hash));
    }
    assert_eq!(scene.said(0, &["user", "list"]), "no users\n");
    let missing = run(scene.path(), &with_url(&["import", "nowhere.json"]), "");
    assert!(stderr(&missing).contains("nowhere.json cannot be read"), "{}", stderr(&missing));
}

fn an_existing_key_is_imported_by_its_hash(scene: &Scene) {
    let hash = "ec030ae14ff95cd7edde6937b197e072e02422eae22edd60534aa5863b527509";
    let document = json!({
        "users": [{"id": "u1"}],
        "tokens": [{"id": "old-key", "kind": "mcp", "name": "old key", "user_id": "u1", "sha256": hash, "prefix": "ib_mcp_"}],
    });
    write(scene.path(), "keys.json", &document.to_string());
    let report = scene.said(0, &["import", "keys.json"]);
    assert!(report.contains("tokens: 1 taken, 0 renewed, 0 unchanged"), "{report}");
    let shown = scene.object(&["token", "show", "old-key"]);
    assert_eq!((&shown["state"], &shown["prefix"]), (&json!("live"), &json!("ib_mcp_")));
    // A key that was revoked here does not come back with the next import.
    scene.said(0, &["token", "revoke", "old-key"]);
    scene.said(0, &["import", "keys.json"]);
    assert_eq!(scene.object(&["token", "show", "old-key"])["state"], "revoked");
}

#[test]
fn a_large_import_shows_its_progress() {
    let folder = tempfile::tempdir().unwrap();
    let users: Vec<Value> = (0..30_000).map(|n| json!({"id": format!("u{n}")})).collect();
    let output = run(folder.path(), &with_url(&["import", "-"]), &json!({"users": users}).to_string());
    assert!(stderr(&output).contains("users: 30000 of 30000"), "{}", stderr(&output));
}

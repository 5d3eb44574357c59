//! The three rules that the product was made for, and what goes with them, on both databases.

use regate::auth;
use serde_json::{Value, json};

use crate::harness::{
    http::{decide, send},
    policies, postgres,
    program::{Serving, run, stderr},
};

/// A token's row, its secret being its id.
fn token(id: &str, kind: &str, more: Value) -> Value {
    let mut row = json!({
        "id": id, "kind": kind, "name": id, "user_id": "u1", "sha256": auth::hash(id).to_string(),
        "scope_pull": true, "scope_push": false,
    });
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

fn document() -> Value {
    json!({
        "tenants": [{"id": "default"}, {"id": "acme"}],
        "users": [
            {"id": "u1"}, {"id": "u2"}, {"id": "u3", "disabled": true}, {"id": "u1", "tenant": "acme"},
        ],
        "projects": [
            {"id": "p1", "name": "one"}, {"id": "p2", "name": "two"},
            {"id": "open", "name": "open", "public": true},
            {"id": "p1", "name": "another one", "tenant": "acme"},
            {"id": "p9", "name": "acme's own", "tenant": "acme"},
        ],
        "collaborators": [
            {"project_id": "p1", "user_id": "u1", "role": "developer"},
            {"project_id": "p1", "user_id": "u3", "role": "owner"},
            {"project_id": "p9", "user_id": "u1", "role": "owner", "tenant": "acme"},
        ],
        "tokens": [
            token("reader", "global", json!({})),
            token("writer", "global", json!({"scope_push": true})),
            token("stranger", "global", json!({"user_id": "u2", "scope_push": true})),
            token("disabled", "global", json!({"user_id": "u3"})),
            token("agent", "mcp", json!({})),
            token("ib_mcp_test", "mcp", json!({"allow_trigger": true})),
            token("listed", "mcp", json!({"projects": {"p2": null}})),
            token("none", "mcp", json!({"projects": []})),
            token("short", "mcp", json!({"projects": {"p1": "2020-01-01T00:00:00Z"}})),
            token("shared", "mcp", json!({"user_id": null})),
            token("ci", "project", json!({"user_id": null, "project_id": "p1", "scope_push": true, "scope_pull": false})),
            token("operator", "admin", json!({})),
            token("revoked", "global", json!({"revoked_at": "2020-01-01T00:00:00Z"})),
            token("expired", "global", json!({"expires_at": "2020-01-01T00:00:00Z"})),
            token("acme-reader", "global", json!({"tenant": "acme"})),
        ],
    })
}

/// Token, method, path, and the reason with `+` for allowed, `-` for denied.
const QUESTIONS: &[(&str, &str, &str, &str)] = &[
    // A global token may read where its user is a collaborator.
    ("reader", "GET", "/api/v1/projects/p1", "+global_token.read"),
    ("reader", "GET", "/api/v1/projects/p1/builds?limit=5", "+global_token.read"),
    ("reader", "HEAD", "/api/v1/projects/p1/builds/7/", "+global_token.read"),
    ("reader", "GET", "/api/v1/projects", "+global_token.list"),
    ("reader", "GET", "/api/v1/projects/p2", "-global_token.not_a_collaborator"),
    ("reader", "GET", "/api/v1/projects/open", "-global_token.not_a_collaborator"),
    ("stranger", "GET", "/api/v1/projects/p1", "-global_token.not_a_collaborator"),
    ("disabled", "GET", "/api/v1/projects/p1", "-user.disabled"),
    ("reader", "GET", "/api/v1/projects/p1/secrets", "-global_token.reserved_section"),
    ("reader", "GET", "/api/v1/admin/users", "-global_token.outside_projects"),
    ("reader", "GET", "/mcp", "-global_token.outside_projects"),
    // Writes need scope_push.
    ("reader", "POST", "/api/v1/projects/p1/builds", "-global_token.write_needs_scope_push"),
    ("reader", "delete", "/api/v1/projects/p1/builds/7", "-global_token.write_needs_scope_push"),
    ("reader", "GET", "/api/v1/projects/p1/builds/7/restart", "-global_token.write_needs_scope_push"),
    ("writer", "POST", "/api/v1/projects/p1/builds", "+global_token.write"),
    ("writer", "GET", "/api/v1/projects/p1/builds/7/restart", "+global_token.write"),
    ("stranger", "POST", "/api/v1/projects/p1/builds", "-global_token.not_a_collaborator"),
    // MCP tokens are confined to /mcp.
    ("agent", "POST", "/mcp", "+mcp_token.mcp"),
    ("agent", "GET", "/api/v1/mcp/projects/p1/builds", "+mcp_token.project_read"),
    ("agent", "POST", "/api/v1/mcp/projects/p1/trigger", "-mcp_token.trigger_not_allowed"),
    ("ib_mcp_test", "POST", "/api/v1/mcp/projects/p1/trigger", "+mcp_token.project_trigger"),
    ("agent", "GET", "/api/v1/mcp/tokens", "-mcp_token.token_management"),
    ("agent", "GET", "/api/v1/projects/p1", "-mcp_token.outside_mcp"),
    ("agent", "GET", "/api/v1/projects/open", "-mcp_token.outside_mcp"),
    ("agent", "GET", "/mcpx", "-mcp_token.outside_mcp"),
    ("agent", "GET", "/MCP", "-mcp_token.outside_mcp"),
    ("agent", "GET", "/api/mcp", "-mcp_token.outside_mcp"),
    ("agent", "GET", "/mcp/../api/v1/projects/p1", "-request.ambiguous_path"),
    ("agent", "GET", "/mcp/%2e%2e/api", "-request.ambiguous_path"),
    ("listed", "GET", "/api/v1/mcp/projects/p1/builds", "-mcp_token.project_not_listed"),
    ("listed", "GET", "/api/v1/mcp/projects/p2/builds", "-mcp_token.not_a_collaborator"),
    ("none", "GET", "/api/v1/mcp/projects/p1/builds", "-mcp_token.project_not_listed"),
    ("short", "GET", "/api/v1/mcp/projects/p1/builds", "-mcp_token.project_expired"),
    ("shared", "POST", "/mcp", "+mcp_token.mcp"),
    ("shared", "GET", "/api/v1/mcp/projects/p1/builds", "-mcp_token.no_user"),
    // The others.
    ("ci", "POST", "/api/v1/projects/p1/upload", "+project_token.write"),
    ("ci", "GET", "/api/v1/projects/p1/builds", "-project_token.read_needs_scope_pull"),
    ("ci", "POST", "/api/v1/projects/p2/upload", "-project_token.other_project"),
    ("operator", "GET", "/api/v1/projects/p1", "+session.project_read"),
    ("operator", "GET", "/api/v1/projects/p2", "-session.not_a_collaborator"),
    ("", "GET", "/api/v1/projects/open", "+anonymous.public_read"),
    ("", "GET", "/api/v1/projects/p1", "-token.missing"),
    ("revoked", "GET", "/api/v1/projects/p1", "-token.revoked"),
    ("revoked", "GET", "/api/v1/projects/open", "-token.revoked"),
    ("expired", "GET", "/api/v1/projects/p1", "-token.expired"),
    ("nobody's", "GET", "/api/v1/projects/open", "-token.malformed"),
    ("nobodys", "GET", "/api/v1/projects/open", "-token.unknown"),
    ("nobodys", "GET", "/health", "+request.public_path"),
    // Another tenant's project of the same id is another project.
    ("acme-reader", "GET", "/api/v1/projects/p1", "-global_token.not_a_collaborator"),
    ("acme-reader", "GET", "/api/v1/projects/p9", "+global_token.read"),
    ("reader", "GET", "/api/v1/projects/p9", "-global_token.not_a_collaborator"),
];

fn answers_are_right(database_url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let imported =
        run(folder.path(), &["import", "-", "--database-url", database_url], &document().to_string());
    assert!(imported.status.success(), "{}", stderr(&imported));
    policies::with_high_limits(folder.path());
    let arguments = ["--policies", "policies", "--database-url", database_url];
    let serving = Serving::start(folder.path(), &arguments);
    let question = |token: &str, method: &str, path: &str| {
        let token = (!token.is_empty()).then_some(token);
        json!({"token": token, "request": {"method": method, "path": path}})
    };
    let expect = |answer: &Value, expected: &str, what: &str| {
        let sign = if answer["allow"] == true { '+' } else { '-' };
        assert_eq!(format!("{sign}{}", answer["reason"].as_str().unwrap()), expected, "{what}: {answer}");
        assert_eq!(answer["allow"] == true, answer["status"] == 200, "{answer}");
        assert_eq!(answer["reasons"][0], answer["reason"]);
        assert!(answer["headers"]["remove"].as_array().unwrap().contains(&json!("authorization")));
    };
    for (token, method, path, expected) in QUESTIONS {
        let answer = decide(&serving.address, &question(token, method, path));
        expect(&answer, expected, &format!("{token} {method} {path}"));
        // The same with the credential where a gateway finds it.
        let mut in_header = question("", method, path);
        if !token.is_empty() {
            in_header["request"]["headers"] = json!({"Authorization": format!("bEaReR {token}")});
        }
        expect(&decide(&serving.address, &in_header), expected, "in a header");
    }
    // All of them at once, answered in order and from one state.
    let batch: Vec<Value> =
        QUESTIONS.iter().map(|(token, method, path, _)| question(token, method, path)).collect();
    let body = json!({"requests": batch}).to_string();
    let answer = send(&serving.address, "POST", "/v1/decide/batch", &[], body.as_bytes()).json();
    let decisions = answer["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), QUESTIONS.len());
    for (decision, (token, method, path, expected)) in decisions.iter().zip(QUESTIONS) {
        expect(decision, expected, &format!("batch: {token} {method} {path}"));
        assert_eq!(decision["data_revision"], decisions[0]["data_revision"]);
    }
    let ready = send(&serving.address, "GET", "/ready", &[], b"");
    assert_eq!((ready.status, ready.json()["ready"].clone()), (200, json!(true)));
    assert_eq!(serving.stop(), Some(0));
}

#[test]
fn the_rules_of_the_mission_hold_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    answers_are_right(&format!("sqlite://{}", folder.path().join("data.sqlite").display()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rules_of_the_mission_hold_on_postgres() {
    let url = postgres::new_database().await;
    tokio::task::spawn_blocking(move || answers_are_right(&url)).await.unwrap();
}

#[test]
fn a_whole_answer() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("data.sqlite").display());
    run(folder.path(), &["import", "-", "--database-url", &url], &document().to_string());
    let serving = Serving::start(folder.path(), &["--database-url", &url]);
    let question =
        json!({"token": "reader", "request": {"method": "POST", "path": "/api/v1/projects/p1/builds"}});
    insta::assert_json_snapshot!(decide(&serving.address, &question), {
        ".decision_id" => "[uuid]", ".policy_revision" => "[sha256]",
    });
    let question = json!({"token": "nobodys", "request": {"method": "GET", "path": "/api/v1/projects/p1"}});
    insta::assert_json_snapshot!(decide(&serving.address, &question), {
        ".decision_id" => "[uuid]", ".policy_revision" => "[sha256]",
    });
}

#[test]
fn a_question_for_a_later_revision_waits_and_is_then_refused() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "[http]\nrevision_wait = \"50ms\"\n";
    std::fs::write(folder.path().join("regate.toml"), settings).unwrap();
    let serving = Serving::start(folder.path(), &["--demo", "--config", "regate.toml"]);
    let question = |revision: u64| {
        let body =
            json!({"request": {"method": "GET", "path": "/health"}, "min_revision": revision}).to_string();
        send(&serving.address, "POST", "/v1/decide", &[], body.as_bytes())
    };
    assert_eq!(question(1).json()["allow"], true);
    let refused = question(2);
    assert_eq!(refused.status, 503);
    assert_eq!(refused.json()["code"], "data.revision_not_reached");
    assert_eq!(refused.json()["allow"], false);
    assert_eq!(refused.header("retry-after"), Some("1"));
}

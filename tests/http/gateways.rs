//! Who may ask.

use regate::auth;
use serde_json::json;

use crate::harness::{
    http::send,
    program::{Serving, run, stderr, stdout},
};

#[test]
fn a_listener_that_others_can_reach_refuses_to_start_without_authentication() {
    let folder = tempfile::tempdir().unwrap();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let (code, log) = Serving::try_start(folder.path(), &["--demo", "--listen", address]).err().unwrap();
        assert_eq!(code, Some(1));
        assert!(log.contains("authentication = \"required\""), "{log}");
    }
    let serving =
        Serving::start(folder.path(), &["--demo", "--listen", "0.0.0.0:0", "--gateways-must-authenticate"]);
    let address = serving.address.replace("0.0.0.0", "127.0.0.1");
    let answer = send(&address, "POST", "/v1/decide", &[], b"{}");
    assert_eq!((answer.status, answer.json()["code"].clone()), (401, json!("gateway.unauthenticated")));
    let told = "a gateway's call was refused face=\"/v1/decide\" code=\"gateway.unauthenticated\"";
    let _ = send(&address, "POST", "/v1/decide", &[("authorization", "Bearer hunter2")], b"{}");
    let log = loop {
        let log = serving.log();
        if log.contains(told) {
            break log;
        }
        std::thread::yield_now();
    };
    assert!(log.matches(told).count() == 1 && !log.contains("hunter2"), "{log}");
}

/// The lines that `--demo` prints are asked as a gateway asks.
#[test]
fn the_demo_has_a_gateway_where_gateways_must_authenticate() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--demo", "--gateways-must-authenticate"]);
    let printed = loop {
        let printed = serving.output.lock().unwrap().clone();
        if printed.matches("\ncurl ").count() == 6 && printed.ends_with("'\n") {
            break printed;
        }
        std::thread::yield_now();
    };
    let mut allowed = Vec::new();
    for line in printed.lines().filter(|line| line.starts_with("curl ")) {
        let gateway = line.split_once("-H 'authorization: ").unwrap().1.split_once('\'').unwrap().0;
        let body = line.split_once("-d '").unwrap().1.trim_end_matches('\'');
        let headers = [("authorization", gateway)];
        let answer = send(&serving.address, "POST", "/v1/decide", &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "the demo's gateway may not ask");
        allowed.push(answer.json()["allow"] == true);
    }
    assert_eq!(allowed, [true, false, true, false, true, false]);
    assert!(!serving.log().contains("a gateway's call was refused"));
}

#[test]
fn only_a_live_gateway_token_authenticates_a_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let row = |id: &str, kind: &str| json!({"id": id, "kind": kind, "name": id, "sha256": auth::hash(id).to_string()});
    let mut revoked = row("g-revoked", "gateway");
    revoked["revoked_at"] = json!("2020-01-01T00:00:00Z");
    let mut expired = row("g-expired", "gateway");
    expired["expires_at"] = json!("2020-01-01T00:00:00Z");
    let mut all = row("g-all", "gateway");
    all["tenant"] = json!(null);
    let mut foreign = row("acme-token", "mcp");
    foreign["tenant"] = json!("acme");
    let document = json!({
        "tenants": [{"id": "acme"}],
        "tokens": [row("g1", "gateway"), revoked, expired, all, row("operator", "admin"), row("agent", "mcp"), foreign],
    });
    let url = "sqlite://data.sqlite";
    let imported = run(folder.path(), &["import", "-", "--database-url", url], &document.to_string());
    assert!(imported.status.success(), "{}", stderr(&imported));
    let minted = run(
        folder.path(),
        &["token", "mint", "--kind", "gateway", "--name", "edge", "--all-tenants", "--database-url", url],
        "",
    );
    let minted = stdout(&minted).trim().to_owned();
    let serving = Serving::start(folder.path(), &["--database-url", url, "--gateways-must-authenticate"]);
    let body =
        |token: &str| json!({"token": token, "request": {"method": "POST", "path": "/mcp"}}).to_string();
    let ask = |header: &[(&str, &str)], token: &str| {
        send(&serving.address, "POST", "/v1/decide", header, body(token).as_bytes())
    };
    for authorization in [
        "Bearer g-revoked",
        "Bearer g-expired",
        "Bearer operator",
        "Bearer agent",
        "Bearer nobody",
        "g1",
        "Basic g1",
        "",
    ] {
        let answer = ask(&[("authorization", authorization)], "agent");
        assert_eq!((answer.status, answer.json()["allow"].clone()), (401, json!(false)), "{authorization}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    assert_eq!(ask(&[], "agent").status, 401);
    assert_eq!(ask(&[("authorization", "Bearer g1"), ("authorization", "Bearer g1")], "agent").status, 401);
    // Health needs nobody, and is not harmed by a bad credential.
    for path in ["/health", "/ready"] {
        assert_eq!(send(&serving.address, "GET", path, &[("authorization", "garbage")], b"").status, 200);
    }
    let reason = |gateway: &str, token: &str| {
        let answer = ask(&[("authorization", &format!("bearer {gateway}"))], token);
        assert_eq!(answer.status, 200);
        answer.json()["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(reason("g1", "agent"), "mcp_token.mcp");
    // A gateway of one tenant cannot learn of another's tokens.
    assert_eq!(reason("g1", "acme-token"), "token.unknown");
    assert_eq!(reason("g-all", "acme-token"), "mcp_token.mcp");
    assert_eq!(reason(&minted, "acme-token"), "mcp_token.mcp");
    // And is itself never a caller.
    assert_eq!(reason("g1", "g1"), "token.unknown");
    // On a listener where gateways need not say who they are, a wrong word is still wrong.
    drop(serving);
    let serving = Serving::start(folder.path(), &["--database-url", url]);
    let answer = send(
        &serving.address,
        "POST",
        "/v1/decide",
        &[("authorization", "Bearer nobody")],
        body("agent").as_bytes(),
    );
    assert_eq!(answer.status, 401);
    assert_eq!(
        send(&serving.address, "POST", "/v1/decide", &[], body("agent").as_bytes()).json()["allow"],
        true
    );
}

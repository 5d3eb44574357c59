//! `WWW-Authenticate`: RFC 6750 section 3, RFC 9728 section 5.1, MCP 2025-11-25 "Authorization".

use std::sync::Arc;

use regate::{
    decision::{Challenges, CompileOptions, McpEndpoint, PathRules, facts::Fact},
    types::TokenKind,
};
use serde_json::json;

use super::{AGENT, DEAD, GLOBAL, LISTED, METADATA, Scene};
use crate::{
    decisions::{World, compile, gist, question as asked, token, user},
    harness::http::decide,
};

#[test]
fn an_mcp_client_is_told_what_it_needs() {
    let scene = Scene::start(None);
    let named = format!("resource_metadata=\"{METADATA}\"");
    let missing = format!("Bearer {named}");
    let dead = format!("Bearer error=\"invalid_token\", {named}");
    let tool = format!("Bearer error=\"insufficient_scope\", scope=\"tools:delete\", {named}");
    let delete = json!({"method": "tools/call", "params": {"name": "delete"}});
    let odd = json!({"method": "tools/call", "params": {"name": "a \"b\""}});
    let ping = json!({"method": "ping"});
    for (key, method, path, mcp, status, challenge) in [
        (None, "POST", "/mcp", &ping, 401, Some(missing.as_str())),
        (None, "POST", "/mcp/", &ping, 401, Some(missing.as_str())),
        (None, "GET", "/mcp", &json!(null), 401, Some(missing.as_str())),
        (Some(DEAD), "POST", "/mcp", &ping, 401, Some(dead.as_str())),
        (Some("no such key"), "POST", "/mcp", &ping, 401, Some(dead.as_str())),
        (Some(LISTED), "POST", "/mcp", &delete, 403, Some(tool.as_str())),
        // A name that cannot stand in a scope does not.
        (Some(LISTED), "POST", "/mcp", &odd, 403, None),
        (Some(LISTED), "POST", "/mcp", &ping, 200, None),
        (Some(AGENT), "POST", "/mcp", &json!({"method": "x"}), 403, None),
        // The metadata is that of the MCP endpoint.
        (None, "GET", "/api/v1/projects/p1", &json!(null), 401, Some("Bearer")),
        (Some(DEAD), "GET", "/mcp/x", &json!(null), 401, Some("Bearer error=\"invalid_token\"")),
        (
            Some(AGENT),
            "POST",
            "/mcp/projects/p1/builds",
            &json!(null),
            403,
            Some("Bearer error=\"insufficient_scope\", scope=\"trigger\""),
        ),
        // The example of the contract.
        (Some(GLOBAL), "POST", "/api/v1/projects/p1/builds", &json!(null), 403, None),
    ] {
        let mut question = json!({"request": {"method": method, "path": path}, "mcp": mcp});
        if let Some(key) = key {
            question["token"] = json!(key);
        }
        let answer = decide(&scene.serving.address, &question);
        assert_eq!(answer["status"], status, "{method} {path} {mcp}: {answer}");
        assert_eq!(answer["challenge"].as_str(), challenge, "{method} {path} {mcp}");
    }
}

/// regate's own refusal, whatever the bundle allows.
#[test]
fn a_tool_off_the_list_is_challenged_under_every_bundle() {
    let mut limited = token("default", "t1", TokenKind::Mcp);
    limited.tools = Some(vec!["search".to_owned()]);
    let bundle = compile("package regate\n\ndecision := true", &CompileOptions::default()).unwrap();
    let mut world = World::new(bundle, [Fact::Token(limited), user("default", "u1")]);
    let mut challenge = |body: &str| {
        let mut question = asked(Some("t1"), "/mcp");
        question.request.method = "POST".into();
        question.body = regate::decision::Body::Whole(body.as_bytes().into());
        let decision = world.ask(&question);
        assert_eq!(gist(&decision), (false, 403, vec!["token.tool_not_listed"]), "{body}");
        decision.challenge.unwrap().into_owned()
    };
    let call = |name: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":{name}}}}}"#)
    };
    assert_eq!(challenge(&call("\"a.b\"")), "Bearer error=\"insufficient_scope\", scope=\"tools:a.b\"");
    let long = format!("\"{}\"", "x".repeat(129));
    for name in ["\"a b\"", "\"a\\\"b\"", "\"a\\r\\nb\"", "\"\"", "null", "1", &long] {
        assert_eq!(challenge(&call(name)), "Bearer error=\"insufficient_scope\"", "{name}");
    }
    // What is no call of a tool is helped by no scope of one.
    let odd = r#"{"jsonrpc":"2.0","id":1,"method":"tools call","params":{"name":"search"}}"#;
    assert_eq!(challenge(odd), "Bearer error=\"insufficient_scope\"");
}

#[test]
fn an_anonymous_caller_is_told_the_scopes_that_the_rules_name() {
    let rules = "package regate\n\ndecision := {\"allow\": false, \"scopes\": [\"tools:search\", \"read\"]}";
    let bundle = compile(rules, &CompileOptions::default()).unwrap();
    let mut world = World::new(bundle, []);
    let mut challenge = |path: &str| world_challenge(&mut world, path);
    assert_eq!(challenge("/mcp"), "Bearer scope=\"tools:search read\"");
    let bundle = compile(rules, &CompileOptions::default()).unwrap();
    let mut named = World::new(Arc::clone(&bundle), []);
    named.rules.challenges = Challenges::new(Some(METADATA));
    named.rules.mcp_endpoints = vec![McpEndpoint::read("/servers/*", PathRules::default()).unwrap()];
    let expected = format!("Bearer resource_metadata=\"{METADATA}\", scope=\"tools:search read\"");
    assert_eq!(world_challenge(&mut named, "/servers/github/"), expected);
    assert_eq!(world_challenge(&mut named, "/mcp"), "Bearer scope=\"tools:search read\"");
}

fn world_challenge(world: &mut World, path: &str) -> String {
    let decision = world.ask(&asked(None, path));
    assert_eq!((decision.allow, decision.status), (false, 401), "{path}");
    decision.challenge.unwrap().into_owned()
}

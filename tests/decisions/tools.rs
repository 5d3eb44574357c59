//! Tokens that are limited to a list of tools.

use regate::{
    decision::{Body, CompileOptions, Headers, Mcp, Question, document, facts::Fact},
    types::TokenKind,
};
use serde_json::{Value, json};

use super::{World, compile, question, token, user};

const EVERYTHING: &str =
    "package regate\n\ndecision := {\"allow\": true, \"reasons\": [\"acme.everything\"]}";

fn world(kind: TokenKind, tools: Option<&[&str]>) -> World {
    let mut limited = token("default", "t1", kind);
    limited.tools = tools.map(|tools| tools.iter().map(|tool| (*tool).to_owned()).collect());
    let facts = vec![Fact::Token(limited), user("default", "u1")];
    World::new(compile(EVERYTHING, &CompileOptions::default()).unwrap(), facts)
}

fn message(method: &'static str, params: Value) -> Option<Mcp<'static>> {
    Some(Mcp { method: Some(method.into()), params: document(params) })
}

fn ask(world: &mut World, method: &'static str, mcp: Option<Mcp<'static>>) -> (bool, String) {
    let mut asked = Question { mcp: mcp.into_iter().collect(), ..question(Some("t1"), "/mcp") };
    asked.request.method = method.into();
    let decision = world.ask(&asked);
    (decision.allow, decision.reasons.first.as_str().to_owned())
}

#[test]
fn a_tool_on_the_list_is_called_and_no_other_whatever_the_bundle_allows() {
    let world = &mut world(TokenKind::Mcp, Some(&["search", "read", "a b"]));
    let mut calls = |name: Value| ask(world, "POST", message("tools/call", json!({"name": name})));
    for listed in ["search", "read", "a b"] {
        assert_eq!(calls(json!(listed)), (true, "acme.everything".into()), "{listed}");
    }
    let refused = (false, "token.tool_not_listed".to_owned());
    for other in
        [json!("delete"), json!("Search"), json!("search "), json!(""), Value::Null, json!(["search"])]
    {
        assert_eq!(calls(other.clone()), refused, "{other}");
    }
    for params in [Value::Null, json!({}), json!(["search"]), json!("search"), json!({"Name": "search"})] {
        assert_eq!(ask(world, "POST", message("tools/call", params.clone())), refused, "{params}");
    }
    // Another spelling is the same call to whoever is not strict.
    for spelling in
        [" tools/call", "TOOLS/CALL\n", "tools/call\0", "\u{feff}tools/call", "tools\u{2215}call", "x y"]
    {
        assert_eq!(ask(world, "POST", message(spelling, json!({"name": "read"}))), refused, "{spelling:?}");
    }
    // Neither is it known which tool another spelling of the call would call, nor that it calls none.
    for spelling in [
        "Tools/Call",
        "TOOLS/CALL",
        "tools//call",
        "tools/call/",
        "/tools/call",
        "tools/./call",
        "tools.call",
        "notifications/tools/call",
        "notifications/../tools/call",
        "notifications/Tools/Call/",
    ] {
        assert_eq!(ask(world, "POST", message(spelling, json!({"name": "read"}))), refused, "{spelling}");
    }
    // What else a message does, rules decide.
    for method in ["initialize", "tools/list", "ping", "notifications/initialized", "tools/called"] {
        assert!(ask(world, "POST", message(method, Value::Null)).0, "{method}");
    }
}

#[test]
fn what_is_called_must_be_known() {
    let mut listed = world(TokenKind::Mcp, Some(&["search"]));
    for (method, goes_on) in
        [("GET", true), ("get", true), ("DELETE", true), ("POST", false), ("PUT", false), ("X", false)]
    {
        assert_eq!(ask(&mut listed, method, None).0, goes_on, "{method}");
    }
    // Where nobody sees whether there is a body, there may be a message in it.
    let mut unseen = question(Some("t1"), "/mcp");
    unseen.body = Body::Unseen;
    assert!(!listed.ask(&unseen).allow);
    // A list on a token of another kind came with an import: nothing is known of what it calls.
    let mut global = world(TokenKind::Global, Some(&["search"]));
    assert!(!ask(&mut global, "GET", None).0 && !ask(&mut global, "POST", None).0);
    // An empty list allows none, and no list does not limit.
    let mut none = world(TokenKind::Mcp, Some(&[]));
    assert!(!ask(&mut none, "POST", message("tools/call", json!({"name": "search"}))).0);
    let mut unlimited = world(TokenKind::Mcp, None);
    assert!(ask(&mut unlimited, "POST", message("tools/call", json!({"name": "search"}))).0);
    assert!(ask(&mut unlimited, "POST", None).0);
}

#[test]
fn what_opens_another_protocol_may_say_anything() {
    let mut listed = world(TokenKind::Mcp, Some(&["search"]));
    let mut unlimited = world(TokenKind::Mcp, None);
    for (name, value, goes_on) in [
        ("Upgrade", "websocket", false),
        ("upgrade", "h2c", false),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", false),
        ("Sec_WebSocket_Version", "13", false),
        ("HTTP2-Settings", "AAMAAABkAAQAAP__", false),
        ("Content-Length", "1", false),
        ("Content-Length", "0", true),
        ("Accept", "text/event-stream", true),
    ] {
        let mut asked = question(Some("t1"), "/mcp");
        asked.request.headers = Headers::new(vec![(name.into(), value.into())]);
        assert_eq!(listed.ask(&asked).allow, goes_on, "{name}: {value}");
        assert!(unlimited.ask(&asked).allow, "{name}: {value}");
    }
}

#[test]
fn rules_see_the_list() {
    let text = "package regate\n\ndecision := {\"allow\": false, \"reasons\": [sprintf(\"tools.%v\", [json.marshal(input.token.tools)])]}";
    for (tools, seen) in [(Some(&["b", "a"][..]), "tools.[\"a\",\"b\"]"), (None, "tools.null")] {
        let mut limited = token("default", "t1", TokenKind::Mcp);
        limited.tools = tools.map(|tools| tools.iter().map(|tool| (*tool).to_owned()).collect());
        let facts = vec![Fact::Token(limited), user("default", "u1")];
        let mut world = World::new(compile(text, &CompileOptions::default()).unwrap(), facts);
        assert_eq!(world.ask(&question(Some("t1"), "/mcp")).reasons.first.as_str(), seen);
    }
}

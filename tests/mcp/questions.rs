//! Messages that a gateway tells in its question.

use serde_json::json;

use super::{AGENT, GLOBAL, LISTED, Scene, question};
use crate::harness::http::send;

const SEARCH: &str = r#"{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "search", "arguments": {"q": "x"}}}"#;
const DELETE: &str = r#"{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "delete"}}"#;
const PING: &str = r#"{"jsonrpc": "2.0", "id": 3, "method": "ping"}"#;
const NOTIFICATION: &str = r#"{"jsonrpc": "2.0", "method": "notifications/initialized"}"#;
const RESPONSE: &str = r#"{"jsonrpc": "2.0", "id": 4, "result": {"roots": []}}"#;
const FAILED: &str = r#"{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "no"}}"#;
const UNKNOWN: &str = r#"{"jsonrpc": "2.0", "id": 5, "method": "tools/delete"}"#;

#[test]
fn each_message_of_a_body_is_judged() {
    let scene = Scene::start(None);
    let ok = "mcp_token.mcp";
    let list = |messages: &[&str]| format!("[{}]", messages.join(", "));
    let cases = [
        (LISTED, SEARCH.to_owned(), ok),
        (LISTED, DELETE.to_owned(), "token.tool_not_listed"),
        (AGENT, DELETE.to_owned(), ok),
        (LISTED, PING.to_owned(), ok),
        (LISTED, NOTIFICATION.to_owned(), ok),
        (LISTED, RESPONSE.to_owned(), ok),
        (LISTED, FAILED.to_owned(), ok),
        (AGENT, UNKNOWN.to_owned(), "mcp.method_unknown"),
        (LISTED, UNKNOWN.to_owned(), "mcp.method_unknown"),
        (GLOBAL, UNKNOWN.to_owned(), "mcp.method_unknown"),
        (GLOBAL, PING.to_owned(), "global_token.outside_projects"),
        // Without what a gateway need not tell.
        (LISTED, r#"{"method": "tools/call", "params": {"name": "read"}}"#.to_owned(), ok),
        (LISTED, r#"{"method": "tools/list", "params": null}"#.to_owned(), ok),
        (LISTED, r#"{"method": "tools/call"}"#.to_owned(), "token.tool_not_listed"),
        (
            LISTED,
            r#"{"method": "Tools/Call", "params": {"name": "search"}}"#.to_owned(),
            "mcp.method_unknown",
        ),
        // A batch is allowed only if each message is.
        (LISTED, list(&[SEARCH]), ok),
        (LISTED, list(&[SEARCH, PING, NOTIFICATION, RESPONSE]), ok),
        (LISTED, list(&[SEARCH, DELETE, PING]), "token.tool_not_listed"),
        (LISTED, list(&[DELETE, SEARCH]), "token.tool_not_listed"),
        (AGENT, list(&[SEARCH, PING, UNKNOWN]), "mcp.method_unknown"),
        (LISTED, list(&[SEARCH; 20]), ok),
        (LISTED, list(&[&[SEARCH; 19][..], &[DELETE]].concat()), "token.tool_not_listed"),
        // No message is told: nobody knows what it calls.
        (LISTED, "null".to_owned(), "token.tool_not_listed"),
    ];
    for (key, mcp, reason) in cases {
        let (answer, _) = scene.ask(Some(key), &mcp, "");
        assert_eq!((&answer["reason"], &answer["allow"]), (&json!(reason), &json!(reason == ok)), "{mcp}");
        assert_eq!(answer["status"], if reason == ok { 200 } else { 403 }, "{mcp}");
    }
}

#[test]
fn what_is_no_message_is_no_question() {
    let scene = Scene::start(None);
    let many = format!("[{}]", [PING; 21].join(","));
    let deep = format!(r#"{{"method": "ping", "params": {{"a": {}1{}}}}}"#, "[".repeat(70), "]".repeat(70));
    for (mcp, told) in [
        ("[]", "1 to 20"),
        (many.as_str(), "1 to 20"),
        ("1", "a message or a list"),
        ("\"ping\"", "a message or a list"),
        ("[1]", "an object"),
        ("[[]]", "an object"),
        ("[null]", "an object"),
        (r#"["2.0", 1, "ping"]"#, "an object"),
        ("{}", "not a request"),
        (r#"{"id": 1}"#, "not a request"),
        (r#"{"method": null}"#, "mcp"),
        (r#"{"method": 1}"#, "mcp"),
        (r#"{"method": ""}"#, "`method`"),
        (r#"{"method": "ping", "result": {}}"#, "not a request"),
        (r#"{"id": 1, "result": {}, "error": {}}"#, "not a request"),
        (r#"{"result": {}}"#, "not a request"),
        (r#"{"id": null, "result": {}}"#, "`id`"),
        (r#"{"id": null, "method": "ping"}"#, "`id`"),
        (r#"{"id": {}, "method": "ping"}"#, "`id`"),
        (r#"{"id": [1], "method": "ping"}"#, "`id`"),
        (r#"{"id": true, "method": "ping"}"#, "`id`"),
        (r#"{"jsonrpc": "1.0", "method": "ping"}"#, "mcp"),
        (r#"{"jsonrpc": 2.0, "method": "ping"}"#, "mcp"),
        (r#"{"jsonrpc": null, "method": "ping"}"#, "mcp"),
        (r#"{"method": "ping", "params": [1]}"#, "`params`"),
        (r#"{"method": "ping", "params": "x"}"#, "`params`"),
        (r#"{"method": "ping", "Method": "tools/call"}"#, "unknown field"),
        (r#"{"method": "ping", "method": "tools/call"}"#, "duplicate field"),
        (r#"{"method": "tools/call", "params": {"name": "search", "name": "delete"}}"#, "comes twice"),
        (r#"{"method": "tools/call", "params": {"name": "search", "NAME": "delete"}}"#, "spelt almost like"),
        (r#"{"method": "tools/call", "params": {"name": 1e999}}"#, "mcp"),
        (r#"[{"method": "ping"}, {"method": "ping", "params": [1]}]"#, "mcp[1]"),
        (deep.as_str(), "nested"),
    ] {
        let answer = send(
            &scene.serving.address,
            "POST",
            "/v1/decide",
            &[],
            question(Some(AGENT), mcp, "").as_bytes(),
        );
        let body = answer.json();
        assert_eq!((answer.status, &body["allow"]), (400, &json!(false)), "{mcp}: {body}");
        assert!(body["detail"].as_str().unwrap().contains(told), "{mcp}: {body}");
    }
}

/// One set of headers goes on with the whole body.
#[test]
fn messages_that_want_different_headers_are_denied_together() {
    let scene = Scene::start(Some(
        "package regate\n\ndecision := {\"allow\": true, \"headers\": {\"set\": {\"x-method\": input.mcp.method}}} if input.mcp.method != \"logging/setLevel\"\n\nelse := {\"allow\": true}\n",
    ));
    let ask = |mcp: &str| scene.ask(Some(AGENT), mcp, "").0;
    let answer = ask(PING);
    assert_eq!((&answer["allow"], &answer["headers"]["set"]), (&json!(true), &json!({"x-method": "ping"})));
    let same = ask(&format!("[{PING}, {PING}]"));
    assert_eq!((&same["allow"], &same["headers"]["set"]), (&json!(true), &json!({"x-method": "ping"})));
    // Neither does one of them go on with a header that only the other was given.
    for other in [NOTIFICATION, r#"{"id": 9, "method": "logging/setLevel"}"#] {
        for batch in [format!("[{PING}, {other}]"), format!("[{other}, {PING}]")] {
            let differ = ask(&batch);
            assert_eq!(
                (&differ["allow"], &differ["reason"]),
                (&json!(false), &json!("policy.error")),
                "{batch}"
            );
            assert_eq!(differ["headers"]["set"], json!({}), "{batch}");
        }
    }
}

#[test]
fn an_explanation_is_about_the_message_that_decides() {
    let scene = Scene::start(None);
    let batch = format!("[{PING}, {DELETE}, {SEARCH}]");
    let (answer, _) = scene.ask(Some(LISTED), &batch, r#", "explain": true"#);
    assert_eq!(answer["reason"], "token.tool_not_listed");
    assert_eq!(answer["explanation"]["input"]["mcp"]["tool"], "delete");
    assert_eq!(answer["explanation"]["result"]["scopes"], json!(["tools:delete"]));
    let (answer, _) = scene.ask(Some(LISTED), &format!("[{SEARCH}, {RESPONSE}]"), r#", "explain": true"#);
    let last = &answer["explanation"]["input"]["mcp"];
    assert_eq!(
        (&answer["allow"], last),
        (&json!(true), &json!({"method": null, "params": null, "tool": null}))
    );
}

//! The JSON-RPC error that goes with a deny, on request.

use serde_json::{Value, json};

use super::{AGENT, LISTED, Scene, question};
use crate::harness::http::send;

const ASKED: &str = r#", "json_rpc_error": true"#;

fn call(id: &str, tool: &str) -> String {
    format!(r#"{{"jsonrpc": "2.0", "id": {id}, "method": "tools/call", "params": {{"name": "{tool}"}}}}"#)
}

#[test]
fn a_denied_request_has_an_error_for_its_client() {
    let scene = Scene::start(None);
    let (answer, _) = scene.ask(Some(LISTED), &call("7", "delete"), ASKED);
    let expected = json!({
        "jsonrpc": "2.0",
        "id": 7,
        "error": {
            "code": -32003,
            "message": "this token may not call this tool",
            "data": {
                "status": 403, "reason": "token.tool_not_listed", "decision_id": answer["decision_id"],
            },
        },
    });
    assert_eq!(answer["json_rpc_error"], expected);
    let (answer, _) = scene.ask(None, &call("7", "search"), ASKED);
    let error = &answer["json_rpc_error"]["error"];
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32003), &json!("token.missing")));
    assert_eq!(error["data"]["status"], 401);
    // An allow has none, and nobody gets one without asking.
    for (tool, more) in [("search", ASKED), ("delete", ""), ("delete", r#", "json_rpc_error": false"#)] {
        let (answer, _) = scene.ask(Some(LISTED), &call("7", tool), more);
        assert_eq!(answer.get("json_rpc_error"), None, "{tool} {more}");
    }
}

#[test]
fn an_id_goes_back_as_it_came() {
    let scene = Scene::start(None);
    for id in
        ["0", "-1", "1.50", "1e2", "123456789012345678901234567890", "\"\"", "\"a\\u0062\\\"\"", "\"\u{e4}\""]
    {
        let (_, text) = scene.ask(Some(LISTED), &call(id, "delete"), ASKED);
        assert!(text.contains(&format!(r#""json_rpc_error":{{"jsonrpc":"2.0","id":{id},"#)), "{id}: {text}");
    }
}

#[test]
fn each_request_of_a_batch_has_its_own() {
    let scene = Scene::start(None);
    let notification = r#"{"jsonrpc": "2.0", "method": "notifications/initialized"}"#;
    let response = r#"{"jsonrpc": "2.0", "id": 9, "result": {}}"#;
    let unknown = r#"{"jsonrpc": "2.0", "method": "tools/delete"}"#;
    let ids = |mcp: &str| {
        let (answer, _) = scene.ask(Some(LISTED), mcp, ASKED);
        assert_eq!(answer["allow"], false, "{mcp}");
        match &answer["json_rpc_error"] {
            Value::Array(errors) => errors.iter().map(|error| error["id"].clone()).collect::<Value>(),
            one => json!({"one": one["id"]}),
        }
    };
    let batch = [&call("1", "search"), notification, response, &call("\"b\"", "delete"), &call("3", "read")]
        .join(", ");
    assert_eq!(ids(&format!("[{batch}]")), json!([1, "b", 3]));
    assert_eq!(ids(&format!("[{}]", call("1", "delete"))), json!([1]));
    // The HTTP response has a body, though nobody waits for an answer of its own.
    assert_eq!(ids(&format!("[{notification}, {unknown}]")), json!({"one": null}));
    assert_eq!(ids(unknown), json!({"one": null}));
    assert_eq!(ids("null"), json!({"one": null}));
}

#[test]
fn each_question_of_a_batch_of_questions_asks_for_itself() {
    let scene = Scene::start(None);
    let questions = [
        question(Some(LISTED), &call("1", "delete"), ASKED),
        question(Some(LISTED), &call("2", "delete"), ""),
        question(Some(AGENT), &call("3", "delete"), ASKED),
        question(Some(LISTED), &call("4", "delete"), ASKED),
    ];
    let body = format!(r#"{{"requests": [{}]}}"#, questions.join(", "));
    let answer = send(&scene.serving.address, "POST", "/v1/decide/batch", &[], body.as_bytes()).json();
    let told: Vec<Value> = answer["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|decision| json!([decision["allow"], decision["json_rpc_error"]["id"]]))
        .collect();
    assert_eq!(json!(told), json!([[false, 1], [false, null], [true, null], [false, 4]]));
}

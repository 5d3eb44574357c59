//! What the log tells of calls on the gRPC listener.

use serde_json::{Value, json};

use super::messages::{CHECK, Caller, asks, http_of};

#[test]
fn a_call_has_a_line_with_its_decision_or_its_grpc_status() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let caller = Caller::with("[log]\nformat = \"json\"\nrequests = \"all\"\n");
    let mut message = asks(&caller.stage.mcp, "GET", "/mcp");
    let traceparent = format!("00-{TRACE}-b7ad6b7169203331-01");
    http_of(&mut message).headers.insert("traceparent".to_owned(), traceparent);
    caller.check(message);
    caller.send("POST", CHECK, "application/grpc", vec![9; 9]);
    caller.send("POST", "/hunter2", "application/grpc", Vec::new());
    let log = caller.stage.regate().serving.wait_for_log("\"path\":\"unmatched\"");
    assert!(!log.contains("hunter2"), "{log}");
    let all = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<Value> = all
        .filter(|line| line["target"] == "regate::request")
        .map(|line| line["fields"].clone())
        .filter(|fields| fields["path"] == CHECK || fields["path"] == "unmatched")
        .collect();
    let [decided, refused, unmatched] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&decided["allow"], &decided["trace_id"]), (&json!(true), &json!(TRACE)));
    assert_eq!(decided["decision_id"].as_str().map(str::len), Some(36));
    assert_eq!(decided["grpc_status"], Value::Null);
    assert!(refused["grpc_status"].is_u64() && refused["decision_id"].is_null(), "{refused}");
    assert_eq!(unmatched["grpc_status"], 12);
}

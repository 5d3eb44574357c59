//! Spans: whose trace they belong to, what they say, and that nothing waits for the collector.

use serde_json::json;

use super::{metrics, question, serve, value};
use crate::{
    harness::{
        collector::{Behaviour, Collector, attribute, hex},
        http::{decide, send},
    },
    live::until,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const OTHER_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const OTHER_PARENT: &str = "00f067aa0ba902b7";

fn settings(collector: &Collector) -> String {
    format!(
        "[log]\nrequests = \"all\"\n[traces]\notlp_endpoint = {:?}\nservice_name = \"pdp\"\n",
        collector.endpoint
    )
}

#[test]
fn a_span_belongs_to_the_trace_of_whoever_asks() {
    let collector = Collector::start(Behaviour::Take);
    let (_folder, serving) = serve(&settings(&collector));
    let own = format!("00-{TRACE}-{PARENT}-01");
    let held = format!("00-{OTHER_TRACE}-{OTHER_PARENT}-01");
    let body = question(json!({"traceparent": held})).to_string();
    let answer =
        send(&serving.address, "POST", "/v1/decide", &[("traceparent", &own)], body.as_bytes()).json();
    let (resource, span) = collector.wait_for(|span| hex(&span.trace_id) == TRACE);
    assert_eq!(hex(&span.parent_span_id), PARENT);
    assert_eq!(span.name, "POST /v1/decide");
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano && span.start_time_unix_nano > 0);
    let said = |key| attribute(&span.attributes, key).unwrap_or_else(|| panic!("no {key}: {span:?}"));
    assert_eq!(said("http.route"), "/v1/decide");
    assert_eq!(said("http.request.method"), "POST");
    assert_eq!(said("http.response.status_code"), "200");
    assert_eq!(said("network.peer.address"), "127.0.0.1");
    assert_eq!(said("regate.allow"), "true");
    assert_eq!(said("regate.reason"), answer["reason"].as_str().unwrap());
    assert_eq!(said("regate.decision_id"), answer["decision_id"].as_str().unwrap());
    assert_eq!(attribute(&resource.attributes, "service.name").as_deref(), Some("pdp"));
    assert!(attribute(&resource.attributes, "service.version").is_some());
    assert!(serving.wait_for_log(TRACE).contains(answer["decision_id"].as_str().unwrap()));

    // Where the call says none, the request that the gateway holds may.
    decide(&serving.address, &serde_json::from_str(&body).unwrap());
    let (_, span) = collector.wait_for(|span| hex(&span.trace_id) == OTHER_TRACE);
    assert_eq!(hex(&span.parent_span_id), OTHER_PARENT);
}

#[test]
fn a_trace_begins_here_where_nobody_names_one_and_what_its_sender_does_not_record_is_not_recorded() {
    let collector = Collector::start(Behaviour::Take);
    let (_folder, serving) = serve(&settings(&collector));
    let ask = |traceparent: &str| {
        let body = question(json!({})).to_string();
        send(&serving.address, "POST", "/v1/decide", &[("traceparent", traceparent)], body.as_bytes());
    };
    ask(&format!("00-{OTHER_TRACE}-{OTHER_PARENT}-00"));
    // Nothing that can be read: a trace of its own.
    ask(&format!("01-{OTHER_TRACE}-{OTHER_PARENT}-01"));
    send(&serving.address, "GET", "/health", &[], b"");
    ask(&format!("00-{TRACE}-{PARENT}-01"));
    collector.wait_for(|span| hex(&span.trace_id) == TRACE);
    // They come in the order in which they were made.
    let spans = collector.spans();
    assert_eq!(spans.len(), 2, "{spans:?}");
    assert!(spans[0].1.parent_span_id.is_empty() && hex(&spans[0].1.trace_id) != OTHER_TRACE);
}

#[test]
fn each_decision_of_a_batch_is_told() {
    let collector = Collector::start(Behaviour::Take);
    let (_folder, serving) = serve(&settings(&collector));
    let denied = json!({"request": {"method": "GET", "path": "/api/v1/projects/website/builds"}});
    let body = json!({"requests": [question(json!({})), denied]}).to_string();
    let answer = send(&serving.address, "POST", "/v1/decide/batch", &[], body.as_bytes()).json();
    let (_, span) = collector.wait_for(|span| span.name == "POST /v1/decide/batch");
    assert_eq!(attribute(&span.attributes, "regate.decisions").as_deref(), Some("2"));
    for (event, decision) in span.events.iter().zip(answer["decisions"].as_array().unwrap()) {
        let said = |key| attribute(&event.attributes, key).unwrap();
        assert_eq!(said("regate.decision_id"), decision["decision_id"].as_str().unwrap());
        assert_eq!(said("regate.allow"), decision["allow"].to_string());
    }
    assert_eq!(span.events.len(), 2);
}

#[test]
fn no_secret_leaves_with_a_span_nor_with_a_line() {
    let collector = Collector::start(Behaviour::Take);
    let (_folder, serving) = serve(&settings(&collector));
    let send = |method: &str, path: &str, body: &[u8]| {
        let headers = [
            ("authorization", "Bearer hunter2-gateway"),
            ("cookie", "session=hunter2"),
            ("x-api-key", "hunter2"),
            ("traceparent", "00-hunter2"),
            ("tracestate", "v=hunter2"),
        ];
        send(&serving.address, method, path, &headers, body).status
    };
    let asked = json!({
        "token": "hunter2-token",
        "request": {
            "method": "GET", "path": "/hunter2?token=hunter2",
            "headers": {"cookie": "a=hunter2", "authorization": "Bearer hunter2", "traceparent": "hunter2"},
        },
        "context": {"secret": "hunter2"},
    });
    send("POST", "/v1/decide?token=hunter2", asked.to_string().as_bytes());
    assert_eq!(send("GET", "/v1/hunter2", b""), 404);
    assert_eq!(send("HUNTER2", "/v1/decide", b""), 405);
    send("GET", "/v1/tokens/hunter2", b"");
    decide(&serving.address, &asked);
    send("GET", "/openapi.json", b"");
    collector.wait_for(|span| span.name == "GET /openapi.json");
    let names: Vec<String> = collector.spans().into_iter().map(|(_, span)| span.name).collect();
    for name in ["POST /v1/decide", "GET unmatched", "_OTHER /v1/decide", "GET /v1/tokens/{id}"] {
        assert!(names.iter().any(|there| there == name), "{name}: {names:?}");
    }
    let sent = String::from_utf8_lossy(&collector.bytes()).to_lowercase();
    assert!(!sent.contains("hunter2"), "{sent}");
    let log = serving.wait_for_log("/openapi.json").to_lowercase();
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn decisions_go_on_whatever_the_collector_does() {
    let collector = Collector::start(Behaviour::Refuse(400));
    let toml = format!("{}[metrics]\nlisten = \"127.0.0.1:0\"\n", settings(&collector));
    let (_folder, serving) = serve(&toml);
    let shown = serving.metrics_address();
    let spans =
        |result: &str| value(&metrics(&shown), &format!("regate_trace_spans_total{{result=\"{result}\"}}"));
    let asked = question(json!({}));
    let ask = || assert_eq!(decide(&serving.address, &asked)["allow"], true);
    ask();
    until(|| spans("failed"), |failed| *failed == 1.0);
    ask();
    until(|| spans("failed"), |failed| *failed == 2.0);
    collector.behave(Behaviour::Take);
    ask();
    until(|| spans("exported"), |exported| *exported == 1.0);
    let log = serving.wait_for_log("takes spans again");
    assert_eq!(log.matches("does not take spans").count(), 1, "{log}");
    // It hangs, and what waits has no end but the bound.
    collector.behave(Behaviour::Hang);
    let taken = collector.spans().len();
    ask();
    until(|| collector.spans().len(), |count| *count > taken);
    ask();
    assert_eq!(spans("failed"), 2.0);
    assert_eq!(serving.stop(), Some(0));
}

#[test]
fn nobody_is_needed_at_the_endpoint() {
    // The port was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_folder, serving) = serve(&format!("[traces]\notlp_endpoint = \"http://{free}\"\n"));
    assert_eq!(decide(&serving.address, &question(json!({})))["allow"], true);
    serving.wait_for_log("does not take spans");
    assert_eq!(decide(&serving.address, &question(json!({})))["allow"], true);
    assert_eq!(serving.stop(), Some(0));
}

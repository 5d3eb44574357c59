//! Whatever is sent: a clear 4xx with `"allow": false`, never a 5xx, never an allow.

use serde_json::{Value, json};

use crate::harness::{
    http::{Answer, raw, send},
    program::Serving,
};

fn problem(answer: &Answer, status: u16, code: &str) {
    let body = answer.json();
    assert_eq!((answer.status, body["code"].as_str()), (status, Some(code)), "{body}");
    assert_eq!(body["allow"], false);
    assert_eq!(body["status"], status);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert!(!body["detail"].as_str().unwrap().is_empty() && !body["title"].as_str().unwrap().is_empty());
}

fn deep(levels: usize) -> String {
    format!(
        r#"{{"request": {{"method": "GET", "path": "/a"}}, "context": {}1{}}}"#,
        "[".repeat(levels),
        "]".repeat(levels)
    )
}

fn question(more: Value) -> Vec<u8> {
    let mut question = json!({"request": {"method": "GET", "path": "/a"}});
    question.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    question.to_string().into_bytes()
}

#[test]
fn each_bad_question_has_its_own_clear_answer() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--demo"]);
    let long = |length| "a".repeat(length);
    let cases: Vec<(&str, Vec<u8>, u16, &str, &str)> = vec![
        ("nothing", vec![], 400, "question.malformed", "EOF"),
        ("no JSON", b"hello".to_vec(), 400, "question.malformed", "expected value"),
        ("half a question", b"{\"request\": {".to_vec(), 400, "question.malformed", "request"),
        (
            "two questions",
            [question(json!({})), question(json!({}))].concat(),
            400,
            "question.malformed",
            "trailing",
        ),
        ("a list", b"[]".to_vec(), 400, "question.malformed", "an object"),
        (
            "fields by position",
            br#"["t", ["GET", "/a", null, {}, null], null, null, null, null, false]"#.to_vec(),
            400,
            "question.malformed",
            "an object",
        ),
        (
            "a request by position",
            br#"{"request": ["GET", "/a", null, {}, null]}"#.to_vec(),
            400,
            "question.malformed",
            "request",
        ),
        ("a number", b"1".to_vec(), 400, "question.malformed", "invalid type"),
        ("null", b"null".to_vec(), 400, "question.malformed", "invalid type"),
        ("no request", b"{}".to_vec(), 400, "question.malformed", "request"),
        ("no path", br#"{"request": {"method": "GET"}}"#.to_vec(), 400, "question.malformed", "path"),
        ("no method", br#"{"request": {"path": "/a"}}"#.to_vec(), 400, "question.malformed", "method"),
        ("an unknown field", question(json!({"tokn": "x"})), 400, "question.malformed", "tokn"),
        (
            "a field twice",
            br#"{"request": {"method": "GET", "path": "/a", "path": "/b"}}"#.to_vec(),
            400,
            "question.malformed",
            "duplicate field",
        ),
        (
            "a tool's name twice",
            br#"{"request": {"method": "POST", "path": "/mcp"}, "mcp": {"method": "tools/call", "params": {"name": "a", "name": "b"}}}"#.to_vec(),
            400,
            "question.malformed",
            "mcp.params",
        ),
        (
            "a path of a wrong type",
            br#"{"request": {"method": "GET", "path": 1}}"#.to_vec(),
            400,
            "question.malformed",
            "request.path",
        ),
        (
            "headers of a wrong type",
            br#"{"request": {"method": "GET", "path": "/a", "headers": [1]}}"#.to_vec(),
            400,
            "question.malformed",
            "request.headers",
        ),
        (
            "a header of a wrong type",
            br#"{"request": {"method": "GET", "path": "/a", "headers": {"a": 1}}}"#.to_vec(),
            400,
            "question.malformed",
            "request.headers",
        ),
        ("a token of a wrong type", question(json!({"token": 7})), 400, "question.malformed", "token"),
        (
            "a revision of a wrong type",
            question(json!({"min_revision": -1})),
            400,
            "question.malformed",
            "min_revision",
        ),
        ("a flag of a wrong type", question(json!({"explain": "yes"})), 400, "question.malformed", "explain"),
        (
            "a number beyond all",
            br#"{"request": {"method": "GET", "path": "/a"}, "context": 1e999999}"#.to_vec(),
            400,
            "question.malformed",
            "number",
        ),
        (
            "invalid UTF-8",
            b"{\"request\": {\"method\": \"GET\", \"path\": \"/\xff\"}}".to_vec(),
            400,
            "question.malformed",
            "UTF-8",
        ),
        (
            "a lone surrogate",
            br#"{"request": {"method": "GET", "path": "/\ud800"}}"#.to_vec(),
            400,
            "question.malformed",
            "request.path",
        ),
        ("200 levels", deep(200).into_bytes(), 400, "question.too_deep", "64"),
        ("100,000 levels", deep(100_000).into_bytes(), 400, "question.too_deep", "64"),
        (
            "a path of 100 KB",
            question(json!({"request": {"method": "GET", "path": format!("/{}", long(100_000))}})),
            400,
            "question.part_too_long",
            "request.path",
        ),
        (
            "a token of 1 MB",
            question(json!({"token": long(1_000_000)})),
            400,
            "question.part_too_long",
            "token",
        ),
        (
            "headers of 100 KB",
            question(json!({"request": {"method": "GET", "path": "/a", "headers": {"a": long(100_000)}}})),
            400,
            "question.part_too_long",
            "request.headers",
        ),
        ("a body of 10 MB", question(json!({"context": long(10_000_000)})), 413, "body.too_large", "1048576"),
        ("a body of 10 MB that is no JSON", vec![b'x'; 10_000_000], 413, "body.too_large", "1048576"),
    ];
    for (name, body, status, code, detail) in cases {
        let answer = send(&serving.address, "POST", "/v1/decide", &[], &body);
        problem(&answer, status, code);
        let text = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(text.contains(detail), "{name}: {text}");
    }
    // The service is as well as before.
    assert_eq!(send(&serving.address, "POST", "/v1/decide", &[], &question(json!({}))).status, 200);
}

#[test]
fn an_object_that_the_json_reader_knows_by_name_is_an_object() {
    // The engine's own reader would take it for a number, and compute it for ever.
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--demo"]);
    let number = json!({"$serde_json::private::Number": "1e999999999"});
    let body = question(
        json!({"explain": true, "context": {"a": number}, "mcp": {"method": "m", "params": number}}),
    );
    let answer = send(&serving.address, "POST", "/v1/decide", &[], &body).json();
    assert_eq!(answer["explanation"]["input"]["context"]["a"], number);
    assert_eq!(answer["explanation"]["input"]["mcp"]["params"], number);
}

#[test]
fn a_header_that_http_could_not_carry_is_no_way_around_the_credential() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--demo"]);
    let ask = |headers: Value| {
        let body =
            json!({"request": {"method": "GET", "path": "/api/v1/projects/handbook", "headers": headers}});
        send(&serving.address, "POST", "/v1/decide", &[], body.to_string().as_bytes())
    };
    assert_eq!(ask(json!({})).json()["reason"], "anonymous.public_read");
    for headers in [
        json!({"authorization ": "Bearer dead"}),
        json!({"Authorization\n": "Bearer dead"}),
        json!({"Authorization\u{0}": "Bearer dead"}),
        json!({"": "Bearer dead"}),
        json!({"x": "a\r\nAuthorization: Bearer dead"}),
    ] {
        problem(&ask(headers), 400, "question.malformed");
    }
    assert_eq!(ask(json!({"authorization": []})).json()["reason"], "token.malformed");
    assert_eq!(
        ask(json!({"authorization": ["Bearer a", "Bearer b"]})).json()["reason"],
        "request.ambiguous_credential"
    );
}

#[test]
fn a_bad_batch_is_refused_whole_and_names_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--demo"]);
    let good = json!({"request": {"method": "GET", "path": "/a"}});
    let ask =
        |body: Value| send(&serving.address, "POST", "/v1/decide/batch", &[], body.to_string().as_bytes());
    problem(&ask(json!({"requests": vec![good.clone(); 10_000]})), 400, "batch.too_long");
    problem(&ask(json!({"requests": vec![good.clone(); 101]})), 400, "batch.too_long");
    // Each message counts: it is judged like a question.
    let mut messages = good.clone();
    messages["mcp"] = json!(vec![json!({"method": "ping"}); 20]);
    let with = |more: usize| {
        let requests = [vec![messages.clone(); 4], vec![good.clone(); more]].concat();
        ask(json!({"requests": requests}))
    };
    assert_eq!(with(20).status, 200);
    problem(&with(21), 400, "batch.too_long");
    assert_eq!(
        ask(json!({"requests": vec![good.clone(); 100]})).json()["decisions"].as_array().unwrap().len(),
        100
    );
    assert_eq!(ask(json!({"requests": []})).json(), json!({"decisions": []}));
    let bad = ask(json!({"requests": [good, {"request": {"method": "GET"}}]}));
    problem(&bad, 400, "question.malformed");
    assert!(bad.json()["detail"].as_str().unwrap().contains("requests[1]"), "{}", bad.json());
    let long = ask(json!({"requests": [good, {"request": {"method": "GET", "path": "a".repeat(20_000)}}]}));
    problem(&long, 400, "question.part_too_long");
    assert!(long.json()["detail"].as_str().unwrap().contains("requests[1].request.path"), "{}", long.json());
    problem(&ask(json!({"request": good})), 400, "question.malformed");
}

#[test]
fn what_is_not_a_question_at_all_is_refused_in_the_same_form() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--demo"]);
    let address = &serving.address;
    problem(&send(address, "GET", "/v1/decide", &[], b""), 405, "route.method_not_allowed");
    problem(&send(address, "POST", "/health", &[], b""), 405, "route.method_not_allowed");
    for path in ["/", "/v1", "/v1/decide/", "/v1/decide/../decide", "/metrics", "/v1/nothing", "//v1/decide"]
    {
        problem(&send(address, "POST", path, &[], b"{}"), 404, "route.not_found");
    }
    let large = "a".repeat(40_000);
    problem(&send(address, "POST", "/v1/decide", &[("x", &large)], b"{}"), 431, "header.too_large");
    // Not HTTP, or more header than is ever read: the connection is refused, without an allow.
    for message in [
        b"hello\r\n\r\n".to_vec(),
        b"POST /v1/decide HTTP/1.1\r\ncontent-length: x\r\n\r\n".to_vec(),
        format!("POST /v1/decide HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(1_000_000)).into_bytes(),
    ] {
        let answer = raw(address, &message);
        assert!((400..500).contains(&answer.status), "{}", answer.status);
        assert!(!String::from_utf8_lossy(&answer.body).contains("true"));
    }
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("regate.toml"), "[http]\nreceive_time = \"100ms\"\n").unwrap();
    let serving = Serving::start(folder.path(), &["--demo", "--config", "regate.toml"]);
    let answer =
        raw(&serving.address, b"POST /v1/decide HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{");
    problem(&answer, 408, "body.not_received");
}

#[test]
fn no_answer_repeats_what_might_be_a_credential() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--demo"]);
    let secret = "rgt_global_ThisIsASecretThatMustNotComeBackToAnybody0000";
    let bodies = [
        json!({"request": secret}),
        json!({"request": {"method": "GET", "path": "/a", "headers": secret}}),
        json!({"request": {"method": "GET", "path": "/a"}, "mcp": secret}),
        json!({"request": {"method": "GET", "path": "/a"}, "min_revision": secret}),
        json!(secret),
        json!({"token": secret, "request": {"method": "GET", "path": "/a"}}),
        json!({"explain": true, "request": {"method": "GET", "path": "/a", "headers": {"authorization": format!("Bearer {secret}")}}}),
        json!({"token": [secret], "request": {"method": "GET", "path": "/a"}}),
    ];
    for body in bodies {
        let answer = send(&serving.address, "POST", "/v1/decide", &[], body.to_string().as_bytes());
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains("ThisIsASecret"), "{text}");
    }
    let log = serving.log.lock().unwrap().clone();
    assert!(!log.contains("ThisIsASecret"), "{log}");
}

#[test]
fn a_client_that_does_not_read_loses_its_place() {
    use std::{io::Write, net::TcpStream, time::Duration};
    let folder = tempfile::tempdir().unwrap();
    let settings = "[http]\nmax_connections = 1\nreceive_time = \"200ms\"\n";
    std::fs::write(folder.path().join("regate.toml"), settings).unwrap();
    let serving = Serving::start(folder.path(), &["--demo", "--config", "regate.toml"]);
    let mut stream = TcpStream::connect(&serving.address).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    // Asks until the server has nowhere to put its answers, and then some: it must hang up.
    let asked = b"GET /ready HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1_000);
    let hung_up = (0..10_000).any(|_| stream.write_all(&asked).is_err());
    assert!(hung_up, "the server reads for ever");
    // The one place is free again.
    assert_eq!(send(&serving.address, "GET", "/health", &[], b"").status, 200);
}

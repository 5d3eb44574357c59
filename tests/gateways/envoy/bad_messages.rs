//! Check messages that no Envoy sends, straight to regate: each is denied, or an error of the protocol.

use envoy_types::pb::{
    envoy::{
        config::core::v3::{HeaderMap, HeaderValue, Metadata},
        service::auth::v3::CheckRequest,
    },
    google::protobuf::{Struct, Value, value::Kind},
};
use tonic::Code;

use super::{
    super::scene::{Stage, UPSTREAM_SECRET},
    messages::{CHECK, Caller, asks, denied, extend, http_of},
};

/// Makes a good message unreadable.
type Spoil = fn(&mut CheckRequest);

const UNREADABLE: &[(&str, Spoil)] = &[
    ("no attributes", |m| m.attributes = None),
    ("no request", |m| m.attributes.as_mut().unwrap().request = None),
    ("no HTTP", |m| m.attributes.as_mut().unwrap().request.as_mut().unwrap().http = None),
    ("no method", |m| http_of(m).method.clear()),
    ("no path", |m| http_of(m).path.clear()),
    ("another method", |m| http_of(m).method = "HEAD".to_owned()),
    ("another path", |m| http_of(m).path = "/health".to_owned()),
    ("another host", |m| http_of(m).host = "evil.example".to_owned()),
    ("another scheme", |m| http_of(m).scheme = "https".to_owned()),
    ("a second host", |m| {
        http_of(m).headers.insert("host".to_owned(), "evil.example".to_owned());
    }),
    ("two hosts in one", |m| {
        http_of(m).headers.remove(":authority");
        http_of(m).host = "api.example,evil.example".to_owned();
    }),
    ("a host with a user", |m| {
        http_of(m).headers.remove(":authority");
        http_of(m).host = "api.example@evil.example".to_owned();
    }),
    ("another query", |m| http_of(m).query = "a=b".to_owned()),
    ("an ambiguous path", |m| {
        http_of(m).headers.remove(":path");
        http_of(m).path = "/api/v1/projects/p1;a=b".to_owned();
    }),
    ("a line break in a header", |m| {
        http_of(m).headers.insert("x-a".to_owned(), "b\r\nx-c: d".to_owned());
    }),
    ("a header that is none", |m| {
        http_of(m).headers.insert("x a".to_owned(), "b".to_owned());
    }),
    ("both kinds of headers", |m| {
        let header = HeaderValue { key: "x-a".to_owned(), value: "b".to_owned(), ..HeaderValue::default() };
        http_of(m).header_map = Some(HeaderMap { headers: vec![header] });
    }),
    ("a header with two values", |m| {
        let header = HeaderValue { key: "x-a".to_owned(), value: "b".to_owned(), raw_value: b"c".to_vec() };
        http_of(m).headers.clear();
        http_of(m).header_map = Some(HeaderMap { headers: vec![header] });
    }),
    ("both kinds of bodies", |m| {
        http_of(m).body = "a".to_owned();
        http_of(m).raw_body = b"b".to_vec();
    }),
    ("more body than was announced", |m| {
        http_of(m).headers.insert("content-length".to_owned(), "1".to_owned());
        http_of(m).body = "two".to_owned();
    }),
    ("a length that is no number", |m| {
        http_of(m).headers.insert("content-length".to_owned(), "1, 2".to_owned());
    }),
    ("a long path", |m| {
        http_of(m).headers.remove(":path");
        http_of(m).path = format!("/{}", "a".repeat(17 * 1024));
    }),
    ("long headers", |m| {
        http_of(m).headers.insert("x-long".to_owned(), "a".repeat(40 * 1024));
    }),
    ("an unclear wish", |m| extend(m, "json_rpc_errors", "yes")),
    ("deep metadata", |m| {
        let mut deep = Struct::default();
        for _ in 0..30 {
            let inner = Value { kind: Some(Kind::StructValue(deep)) };
            deep = Struct { fields: [("a".to_owned(), inner)].into() };
        }
        let number = Value { kind: Some(Kind::NumberValue(f64::INFINITY)) };
        let bad = Struct { fields: [("a".to_owned(), number)].into() };
        m.attributes.as_mut().unwrap().metadata_context = Some(Metadata {
            filter_metadata: [("deep".to_owned(), deep), ("bad".to_owned(), bad)].into(),
            ..Metadata::default()
        });
    }),
];

#[test]
fn what_cannot_be_read_in_one_way_is_denied() {
    let caller = Caller::new();
    for (what, spoil) in UNREADABLE {
        let mut message = asks(&caller.stage.global, "GET", "/api/v1/projects/p1");
        assert_eq!(caller.check(message.clone()).status.unwrap().code, 0);
        spoil(&mut message);
        let (status, _, body) = denied(caller.check(message));
        assert_eq!(status, 400, "{what}: {body}");
        let told: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(told["allow"], false, "{what}");
    }
    let mut unknown = asks(&caller.stage.mcp, "GET", "/mcp");
    extend(&mut unknown, "upstream", "");
    assert_eq!(denied(caller.check(unknown)).0, 403);
}

#[test]
fn a_body_is_whole_or_cut_or_untold() {
    let caller = Caller::new();
    let call = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search"}}"#;
    let length = call.len().to_string();
    let reason = |headers: &[(&str, &str)], body: &[u8]| {
        let mut message = asks(&caller.stage.mcp_search, "POST", "/mcp");
        for (name, value) in headers {
            http_of(&mut message).headers.insert((*name).to_owned(), (*value).to_owned());
        }
        http_of(&mut message).raw_body = body.to_vec();
        let answer = caller.check(message);
        if answer.status.as_ref().unwrap().code == 0 {
            return "allowed".to_owned();
        }
        let (_, headers, _) = denied(answer);
        headers.into_iter().find(|(name, _)| name == "x-regate-reason").unwrap().1
    };
    let partial = "x-envoy-auth-partial-body";
    let cut = "request.body_incomplete";
    let untold = "token.tool_not_listed";
    assert_eq!(reason(&[(partial, "false"), ("content-length", &length)], call), "allowed");
    assert_eq!(reason(&[], call), "allowed");
    assert_eq!(reason(&[(partial, "true")], call), cut);
    assert_eq!(reason(&[(partial, "False")], call), cut);
    assert_eq!(reason(&[("x-acme-auth-partial-body", "true")], call), cut);
    assert_eq!(reason(&[(partial, "false"), ("content-length", "9999")], call), cut);
    assert_eq!(reason(&[("content-length", "9999")], &call[..9]), cut);
    assert_eq!(reason(&[("content-length", &length)], b""), untold);
    assert_eq!(reason(&[], b""), untold);
    assert_eq!(reason(&[("content-length", "0"), ("transfer-encoding", "chunked")], b""), untold);
    assert_eq!(reason(&[("content-length", "0")], b""), "mcp.malformed_message");
    assert_eq!(reason(&[(partial, "false")], b""), "mcp.malformed_message");
    assert_eq!(
        reason(&[("content-length", &length)], &[call.as_slice(), b"}"].concat()),
        "question.malformed"
    );
}

/// One message in its frame.
fn framed(flag: u8, length: usize, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(length).unwrap();
    [&[flag][..], &length.to_be_bytes(), message].concat()
}

#[test]
fn calls_that_are_none_are_errors_of_the_protocol() {
    let caller = Caller::new();
    let good = envoy_types::util::pack_any(asks(&caller.stage.global, "GET", "/api/v1/projects/p1")).value;
    let grpc = "application/grpc";
    let size = good.len();
    assert_eq!(caller.send("POST", CHECK, grpc, framed(0, size, &good)), (200, Some(Code::Ok)));
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("half a frame's head", vec![0, 0]),
        ("a message cut short", framed(0, size, &good[..size / 2])),
        ("no message for a length", framed(0, size, b"")),
        ("a length beyond the bound", framed(0, u32::MAX as usize, b"")),
        ("more than the bound", framed(0, 70_000, &vec![0; 70_000])),
        ("compressed, without saying how", framed(1, size, &good)),
        ("a flag that is none", framed(7, size, &good)),
        ("no protobuf", framed(0, 4, b"\xff\xff\xff\xff")),
        ("text that is no text", framed(0, 9, b"\x0a\x07\x22\x05\x12\x03\x12\x01\xff")),
        ("two messages", [framed(0, size, &good), framed(0, size, &good)].concat()),
    ];
    for (what, body) in &bad {
        let (status, code) = caller.send("POST", CHECK, grpc, body.clone());
        assert!(status == 200 && code.is_some_and(|code| code != Code::Ok), "{what}: {status} {code:?}");
    }
    let oversized = caller.send("POST", CHECK, grpc, framed(0, 70_000, &vec![0; 70_000]));
    assert_eq!(oversized.1, Some(Code::ResourceExhausted));
    // A message of nothing is a message, and denied.
    assert_eq!(denied(caller.check(CheckRequest::default())).0, 400);

    for (method, path, content_type) in [
        ("POST", "/envoy.service.auth.v3.Authorization/Chek", grpc),
        ("POST", "/envoy.service.auth.v2.Authorization/Check", grpc),
        ("POST", "/", grpc),
        ("POST", "/v1/decide", grpc),
        ("GET", CHECK, grpc),
    ] {
        let (status, code) = caller.send(method, path, content_type, framed(0, size, &good));
        assert_eq!((status, code), (200, Some(Code::Unimplemented)), "{method} {path}");
    }
    let (status, code) = caller.send("POST", CHECK, "application/json", framed(0, size, &good));
    assert_eq!((status, code), (415, None));

    for _ in 0..50 {
        for (_, body) in bad.iter().filter(|(_, body)| body.len() < 10_000) {
            assert_ne!(caller.send("POST", CHECK, grpc, body.clone()).1, Some(Code::Ok));
        }
    }
    assert_eq!(caller.send("POST", CHECK, grpc, framed(0, size, &good)), (200, Some(Code::Ok)));
}

#[test]
fn nothing_secret_is_logged_at_any_level() {
    let caller = Caller::with("[log]\nlevel = \"trace\"\n");
    let Stage { global, mcp, gateway_token, .. } = &caller.stage;
    let mut message = asks(mcp, "GET", "/mcp");
    extend(&mut message, "upstream", "github");
    assert_eq!(caller.check(message.clone()).status.unwrap().code, 0);
    http_of(&mut message).path.clear();
    denied(caller.check(message));
    denied(caller.check(asks(global, "GET", "/mcp")));
    let body = framed(0, 9, b"\x0a\x07\x22\x05\x12\x03\x12\x01\xff");
    caller.send("POST", CHECK, "application/grpc", body);
    let log = caller.stage.regate().serving.wait_for_log("TRACE");
    for secret in [global, mcp, gateway_token, &UPSTREAM_SECRET.to_owned()] {
        assert!(!log.contains(secret.as_str()), "a secret is in the log");
    }
}

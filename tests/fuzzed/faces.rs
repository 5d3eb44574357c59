//! The same request, asked at each face that can carry it.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Request, StatusCode, Uri},
};
use envoy_types::pb::envoy::{
    config::core::v3::{HeaderMap, HeaderValue as EnvoyHeader},
    service::auth::v3::{
        AttributeContext, CheckRequest, CheckResponse,
        attribute_context::{HttpRequest, Request as EnvoyRequest},
        check_response::HttpResponse,
    },
};
use prost::Message;
use serde_json::json;

use super::{
    stated::{assert_denial, assert_denies, assert_problem, assert_refuses},
    world::{Answer, GATEWAY, ask, ask_grpc, post},
};

/// What a client sent to its gateway.
#[derive(Clone, Copy, Default)]
pub struct Held<'a> {
    pub method: &'a str,
    /// Path and query.
    pub target: &'a [u8],
    /// The values of its `authorization` headers.
    pub authorization: &'a [&'a [u8]],
    /// Empty for none.
    pub body: &'a [u8],
}

/// What a face said to it.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    Allowed,
    /// Decided, for this reason.
    Denied(String),
    /// The call itself was refused.
    Refused,
}

impl Said {
    pub fn allows(&self) -> bool {
        *self == Self::Allowed
    }

    /// Whether two faces that both decided decided otherwise.
    pub fn contradicts(&self, other: &Self) -> bool {
        *self != Self::Refused && *other != Self::Refused && self != other
    }
}

/// All faces that can carry it; the others' places are empty.
pub fn ask_all(held: Held<'_>) -> [Option<Said>; 5] {
    [decide(held), forward_auth(held), nginx(held), ext_authz(held), envoy(held)]
}

fn texts<'a>(values: &[&'a [u8]]) -> Option<Vec<&'a str>> {
    values.iter().map(|value| std::str::from_utf8(value).ok()).collect()
}

/// `/v1/decide`: UTF-8, and no body.
pub fn decide(held: Held<'_>) -> Option<Said> {
    let target = std::str::from_utf8(held.target).ok()?;
    let authorization = texts(held.authorization)?;
    if !held.body.is_empty() {
        return None;
    }
    let headers = if authorization.is_empty() { json!({}) } else { json!({"authorization": authorization}) };
    let question = json!({"request": {"method": held.method, "path": target, "headers": headers}});
    Some(said_by_decide(&post("/v1/decide", question.to_string())))
}

/// What an answer of `/v1/decide` comes to.
pub fn said_by_decide(answer: &Answer) -> Said {
    let told = answer.json();
    if answer.status != StatusCode::OK {
        assert_problem(answer.status, &told);
        assert!(answer.records.is_empty(), "a refused call was recorded as a decision");
        return Said::Refused;
    }
    let [record] = answer.records.as_slice() else {
        panic!("{} records of one decision", answer.records.len())
    };
    assert_eq!(record["decision"]["allow"], told["allow"], "recorded otherwise than answered");
    if told["allow"] == true {
        return Said::Allowed;
    }
    assert_denies(&told);
    Said::Denied(told["reason"].as_str().unwrap().to_owned())
}

/// As Traefik and Caddy ask.
pub fn forward_auth(held: Held<'_>) -> Option<Said> {
    let names = ["x-forwarded-method", "x-forwarded-uri", "x-forwarded-host", "x-forwarded-for"];
    let answer = ask(sub_request("/v1/forward-auth?upstream=-", names, held)?);
    Some(said_by_status(&answer, answer.status))
}

/// As nginx asks.
pub fn nginx(held: Held<'_>) -> Option<Said> {
    let names = ["x-original-method", "x-original-uri", "x-original-host", "x-original-for"];
    let answer = ask(sub_request("/v1/forward-auth/nginx?upstream=-", names, held)?);
    Some(said_by_nginx_status(&answer))
}

/// nginx knows three statuses; what it would make a 500 of stands in a header.
pub fn said_by_nginx_status(answer: &Answer) -> Said {
    assert!(matches!(answer.status.as_u16(), 200 | 401 | 403), "nginx makes a 500 of {}", answer.status);
    let told = answer.header("x-regate-status").map(|status| status.parse().unwrap());
    assert!(told.is_none() || answer.status == StatusCode::FORBIDDEN, "two statuses");
    said_by_status(answer, told.unwrap_or(answer.status))
}

fn sub_request(path: &str, names: [&'static str; 4], held: Held<'_>) -> Option<Request<Body>> {
    let values: [&[u8]; 4] = [held.method.as_bytes(), held.target, b"api.example", b"192.0.2.7"];
    let mut request = Request::builder().method(if held.body.is_empty() { "GET" } else { "POST" }).uri(path);
    let headers = request.headers_mut()?;
    headers.insert("x-regate-gateway-token", HeaderValue::from_static(GATEWAY));
    for (name, value) in names.into_iter().zip(values) {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_bytes(value).ok()?);
    }
    with_credentials(request, held)
}

fn with_credentials(mut request: axum::http::request::Builder, held: Held<'_>) -> Option<Request<Body>> {
    let headers = request.headers_mut()?;
    for value in held.authorization {
        headers.append("authorization", HeaderValue::from_bytes(value).ok()?);
    }
    if !held.body.is_empty() {
        headers.insert("content-type", HeaderValue::from_static("application/json"));
    }
    request.body(Body::from(held.body.to_vec())).ok()
}

/// What an answer of a sub-request comes to.
pub fn said_by_status(answer: &Answer, status: StatusCode) -> Said {
    if status == StatusCode::OK {
        let [record] = answer.records.as_slice() else {
            panic!("allowed, with {} records", answer.records.len())
        };
        assert_eq!(record["decision"]["allow"], true, "recorded otherwise than answered");
        return Said::Allowed;
    }
    assert_refuses(answer, status);
    match answer.records.as_slice() {
        [] => Said::Refused,
        _ => Said::Denied(answer.header("x-regate-reason").unwrap_or_default().to_owned()),
    }
}

/// As Envoy asks over HTTP. A target that is none, or that has a fragment, does not come over HTTP.
pub fn ext_authz(held: Held<'_>) -> Option<Said> {
    if held.target.contains(&b'#') || held.target.first() != Some(&b'/') {
        return None;
    }
    let uri = Uri::try_from([b"/v1/ext-authz", held.target].concat()).ok()?;
    let request = Request::builder()
        .method(held.method)
        .uri(uri)
        .header("host", "api.example")
        .header("x-regate-gateway-token", GATEWAY)
        .header("x-regate-upstream", "-");
    let answer = ask(with_credentials(request, held)?);
    Some(said_by_status(&answer, answer.status))
}

/// As Envoy asks over gRPC: path and headers as they came, if they are UTF-8.
pub fn envoy(held: Held<'_>) -> Option<Said> {
    let target = std::str::from_utf8(held.target).ok()?;
    let header = |key: &str, value: &[u8]| EnvoyHeader {
        key: key.to_owned(),
        raw_value: value.to_vec(),
        ..EnvoyHeader::default()
    };
    let mut headers = vec![header("user-agent", b"fuzz")];
    headers.extend(held.authorization.iter().map(|value| header("authorization", value)));
    let http = HttpRequest {
        method: held.method.to_owned(),
        path: target.to_owned(),
        host: "api.example".to_owned(),
        header_map: Some(HeaderMap { headers }),
        raw_body: held.body.to_vec(),
        ..HttpRequest::default()
    };
    let request = Some(EnvoyRequest { http: Some(http), ..EnvoyRequest::default() });
    let attributes = Some(AttributeContext { request, ..AttributeContext::default() });
    Some(said_by_envoy(&check(&CheckRequest { attributes }.encode_to_vec())))
}

/// Calls `Check` with these bytes as its message.
pub fn check(message: &[u8]) -> Answer {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    check_framed([&[0], &length[..], message].concat())
}

/// Calls `Check` with these bytes as the whole body.
pub fn check_framed(body: Vec<u8>) -> Answer {
    let request = Request::post("/envoy.service.auth.v3.Authorization/Check")
        .version(axum::http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {GATEWAY}"));
    ask_grpc(request.body(Body::from(body)).unwrap())
}

/// The statuses of a call that was refused: CANCELLED and UNKNOWN are none of them.
const REFUSALS: [i32; 8] = [3, 4, 8, 11, 12, 13, 14, 16];

/// What an answer of `Check` comes to.
pub fn said_by_envoy(answer: &Answer) -> Said {
    assert_eq!(answer.status, StatusCode::OK, "the HTTP status of a gRPC call");
    let status = answer.trailers.get("grpc-status").or_else(|| answer.headers.get("grpc-status"));
    let status: i32 = status.expect("a gRPC status").to_str().unwrap().parse().unwrap();
    if status != 0 {
        assert!(REFUSALS.contains(&status), "the gRPC status {status}");
        assert!(answer.body.is_empty(), "a message beside the gRPC status {status}");
        return Said::Refused;
    }
    let response = CheckResponse::decode(answer.body.slice(5..)).expect("a CheckResponse");
    let code = response.status.expect("a status").code;
    match response.http_response.expect("a response") {
        HttpResponse::OkResponse(_) => {
            assert_eq!(code, 0, "ok_response beside another status than OK");
            let [record] = answer.records.as_slice() else {
                panic!("allowed, with {} records", answer.records.len())
            };
            assert_eq!(record["decision"]["allow"], true, "recorded otherwise than answered");
            Said::Allowed
        }
        HttpResponse::DeniedResponse(denied) => {
            assert!(matches!(code, 7 | 16), "the status {code} beside denied_response");
            let Some(record) = answer.records.first() else { return Said::Refused };
            let decision = &record["decision"];
            assert_eq!(decision["allow"], false, "recorded otherwise than answered");
            let reason = decision["reason"].as_str().unwrap();
            let status = u64::try_from(denied.status.expect("an HTTP status").code).unwrap();
            assert_denial(status, reason);
            Said::Denied(reason.to_owned())
        }
        _ => panic!("neither ok_response nor denied_response"),
    }
}

//! Envoy's messages: whatever stands in a `CheckRequest`, nobody without a right is let through, and nobody gets past the
//! path that Envoy names.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Request, Uri},
};
use envoy_types::pb::envoy::{
    config::core::v3::HeaderValue as EnvoyHeader,
    service::auth::v3::{CheckRequest, attribute_context::HttpRequest},
};
use prost::Message;

use super::{
    faces::{check, check_framed, said_by_envoy, said_by_status},
    world::{GATEWAY, READER, ask},
};

/// What the bytes are: the message, as protobuf.
pub fn holds(bytes: &[u8]) {
    assert!(!said_by_envoy(&check(bytes)).allows(), "let through without a right");
    assert!(
        !said_by_envoy(&check_framed(bytes.to_vec())).allows(),
        "let through without a right, by its frame"
    );
    let Ok(mut message) = CheckRequest::decode(bytes) else { return };
    let request = message.attributes.as_mut().and_then(|attributes| attributes.request.as_mut());
    let Some(http) = request.and_then(|request| request.http.as_mut()) else { return };
    if let Some(request) = over_http(http) {
        let answer = ask(request);
        assert!(!said_by_status(&answer, answer.status).allows(), "let through without a right, over HTTP");
    }
    // What Envoy says itself, and a client who may read the website.
    http.path = "/api/v1/projects/payroll".to_owned();
    http.query.clear();
    http.headers.retain(|name, _| !is_set(name));
    if let Some(map) = &mut http.header_map {
        map.headers.retain(|header| !is_set(&header.key));
    }
    let authorization = format!("Bearer {READER}");
    match &mut http.header_map {
        Some(map) if http.headers.is_empty() => map.headers.push(EnvoyHeader {
            key: "authorization".to_owned(),
            value: authorization,
            ..EnvoyHeader::default()
        }),
        _ => drop(http.headers.insert("authorization".to_owned(), authorization)),
    }
    assert!(!said_by_envoy(&check(&message.encode_to_vec())).allows(), "a client gets elsewhere");
}

/// What the harness says itself.
fn is_set(name: &str) -> bool {
    name.eq_ignore_ascii_case(":path") || name == "authorization"
}

/// The same, asked as Envoy does over HTTP; if HTTP could carry it.
fn over_http(http: &HttpRequest) -> Option<Request<Body>> {
    let path = http.path.strip_prefix('/')?;
    let uri = Uri::try_from(format!("/v1/ext-authz/{path}")).ok()?;
    let mut request = Request::builder().method(http.method.as_str()).uri(uri);
    let headers = request.headers_mut()?;
    headers.insert("x-regate-gateway-token", HeaderValue::from_static(GATEWAY));
    headers.insert("x-regate-upstream", HeaderValue::from_static("-"));
    let plain = http.headers.iter().map(|(name, value)| (name, value.as_bytes()));
    let raw = http.header_map.iter().flat_map(|map| &map.headers).map(|header| {
        let value =
            if header.value.is_empty() { header.raw_value.as_slice() } else { header.value.as_bytes() };
        (&header.key, value)
    });
    for (name, value) in plain.chain(raw).filter(|(name, _)| !name.starts_with(':')) {
        headers.append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(value).ok()?);
    }
    let body = if http.raw_body.is_empty() { http.body.clone().into_bytes() } else { http.raw_body.clone() };
    request.body(Body::from(body)).ok()
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::{
        super::{
            faces::{Held, Said, envoy, ext_authz},
            world::READER,
        },
        CheckRequest, check, check_framed,
    };

    #[test]
    fn a_request_that_may_pass_does_and_half_a_message_is_refused() {
        let authorization = format!("Bearer {READER}");
        let (target, authorization) = (&b"/api/v1/projects/website"[..], &[authorization.as_bytes()]);
        let held = Held { method: "GET", target, authorization, ..Held::default() };
        assert_eq!((envoy(held), ext_authz(held)), (Some(Said::Allowed), Some(Said::Allowed)));
        let message = CheckRequest::default().encode_to_vec();
        assert_eq!(super::said_by_envoy(&check(&message)), Said::Refused);
        assert_eq!(super::said_by_envoy(&check_framed(message)), Said::Refused);
    }
}

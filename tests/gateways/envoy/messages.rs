//! Check messages straight to regate, and what is answered.

use envoy_types::pb::{
    envoy::{
        config::core::v3::{
            Address, HeaderMap, HeaderValue, SocketAddress, address, header_value_option::HeaderAppendAction,
        },
        service::auth::v3::{
            AttributeContext, CheckRequest, CheckResponse,
            attribute_context::{HttpRequest, Peer, Request},
            authorization_client::AuthorizationClient,
            check_response::HttpResponse,
        },
    },
    google::protobuf::{Struct, value::Kind},
};
use tonic::{
    Code, Status,
    body::Body,
    codegen::Service,
    transport::{Channel, Endpoint},
};

use super::super::{
    forward_auth::until_logged,
    scene::{Stage, UPSTREAM_SECRET, upstream_authorization},
};

pub const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// regate, and a channel to its gRPC listener.
pub struct Caller {
    pub stage: Stage,
    channel: Channel,
    runtime: tokio::runtime::Runtime,
}

impl Caller {
    pub fn new() -> Self {
        Self::with("[http]\nmax_body_bytes = 65536\n")
    }

    /// With more settings of regate's.
    pub fn with(settings: &str) -> Self {
        let stage = Stage::with(&format!("[gateways]\nauthentication = \"required\"\n{settings}"));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{}", stage.regate().serving.grpc)).unwrap();
        let channel = runtime.block_on(endpoint.connect()).unwrap();
        Self { stage, channel, runtime }
    }

    fn check_as(&self, gateway: Option<&str>, message: CheckRequest) -> Result<CheckResponse, Status> {
        let mut request = tonic::Request::new(message);
        if let Some(gateway) = gateway {
            request.metadata_mut().insert("authorization", gateway.parse().unwrap());
        }
        let mut client = AuthorizationClient::new(self.channel.clone());
        self.runtime.block_on(client.check(request)).map(tonic::Response::into_inner)
    }

    pub fn check(&self, message: CheckRequest) -> CheckResponse {
        self.check_as(Some(&format!("Bearer {}", self.stage.gateway_token)), message).unwrap()
    }

    /// Sends bytes as they are; gives the HTTP status and, if there is one, the gRPC status.
    pub fn send(&self, method: &str, path: &str, content_type: &str, body: Vec<u8>) -> (u16, Option<Code>) {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.stage.regate().serving.grpc))
            .header("content-type", content_type)
            .header("te", "trailers")
            .header("authorization", format!("Bearer {}", self.stage.gateway_token))
            .body(Body::new(http_body_util::Full::new(bytes::Bytes::from(body))))
            .unwrap();
        let mut channel = self.channel.clone();
        self.runtime.block_on(async {
            std::future::poll_fn(|context| channel.poll_ready(context)).await.unwrap();
            let response = channel.call(request).await.unwrap();
            let status = response.status().as_u16();
            let mut code = Status::from_header_map(response.headers()).map(|status| status.code());
            let collected = http_body_util::BodyExt::collect(response.into_body()).await.unwrap();
            if let Some(trailers) = collected.trailers() {
                code = code.or_else(|| Status::from_header_map(trailers).map(|status| status.code()));
            }
            (status, code)
        })
    }
}

/// A question about a path, as Envoy asks it.
pub fn asks(token: &str, method: &str, path: &str) -> CheckRequest {
    let headers = [
        (":method", method),
        (":path", path),
        (":authority", "api.example"),
        (":scheme", "http"),
        ("authorization", &format!("Bearer {token}")),
    ];
    let http = HttpRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        host: "api.example".to_owned(),
        scheme: "http".to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..HttpRequest::default()
    };
    let socket = SocketAddress { address: "192.0.2.7".to_owned(), ..SocketAddress::default() };
    let source = Peer {
        address: Some(Address { address: Some(address::Address::SocketAddress(socket)) }),
        ..Peer::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(source),
            request: Some(Request { http: Some(http), ..Request::default() }),
            ..AttributeContext::default()
        }),
    }
}

pub fn http_of(message: &mut CheckRequest) -> &mut HttpRequest {
    message.attributes.as_mut().unwrap().request.as_mut().unwrap().http.as_mut().unwrap()
}

pub fn extend(message: &mut CheckRequest, name: &str, value: &str) {
    message.attributes.as_mut().unwrap().context_extensions.insert(name.to_owned(), value.to_owned());
}

/// The HTTP status of a denial, its headers and its body. Anything else is no denial.
pub fn denied(answer: CheckResponse) -> (i32, Vec<(String, String)>, String) {
    let code = answer.status.unwrap().code;
    assert!([Code::PermissionDenied as i32, Code::Unauthenticated as i32].contains(&code), "{code}");
    let Some(HttpResponse::DeniedResponse(denied)) = answer.http_response else {
        panic!("no denied_response")
    };
    let headers = denied.headers.into_iter().map(|option| option.header.unwrap());
    let status = denied.status.unwrap().code;
    assert_eq!(status == 401, code == Code::Unauthenticated as i32);
    (status, headers.map(|header| (header.key, header.value)).collect(), denied.body)
}

fn kind<'s>(structure: &'s Struct, name: &str) -> &'s Kind {
    structure.fields[name].kind.as_ref().unwrap()
}

#[test]
fn an_allow_sets_and_removes_headers_and_tells_what_was_decided() {
    let caller = Caller::new();
    let mut message = asks(&caller.stage.mcp, "GET", "/mcp");
    extend(&mut message, "upstream", "github");
    http_of(&mut message).headers.insert("x_authorization".to_owned(), "a".to_owned());
    http_of(&mut message).headers.insert("cookie".to_owned(), "a=b".to_owned());
    let answer = caller.check(message.clone());
    assert_eq!(answer.status.as_ref().unwrap().code, 0);
    let Some(HttpResponse::OkResponse(ok)) = answer.http_response else { panic!("denied") };
    let [set] = &ok.headers[..] else { panic!("{} headers", ok.headers.len()) };
    let header = set.header.as_ref().unwrap();
    assert_eq!(header.key, "authorization");
    assert!(header.value == upstream_authorization(), "another value");
    assert_eq!(set.append_action, HeaderAppendAction::OverwriteIfExistsOrAdd as i32);
    // Envoy sets first and removes then: it would take away what it has set.
    assert!(!ok.headers_to_remove.contains(&"authorization".to_owned()), "{:?}", ok.headers_to_remove);

    let metadata = answer.dynamic_metadata.unwrap();
    assert!(!format!("{metadata:?}").contains(UPSTREAM_SECRET));
    assert!(matches!(kind(&metadata, "decision_id"), Kind::StringValue(id) if id.len() == 36));
    assert!(matches!(kind(&metadata, "connection_key"), Kind::StringValue(key) if !key.is_empty()));
    let Kind::StructValue(subject) = kind(&metadata, "subject") else { panic!("no subject") };
    assert_eq!(kind(subject, "user_id"), &Kind::StringValue("u1".to_owned()));
    assert!(matches!(kind(&metadata, "data_revision"), Kind::NumberValue(revision) if *revision > 0.0));

    // Without the upstream, the caller's credential still does not go on.
    let answer = caller.check(asks(&caller.stage.mcp, "GET", "/mcp"));
    let Some(HttpResponse::OkResponse(ok)) = answer.http_response else { panic!("denied") };
    assert_eq!((ok.headers.len(), ok.headers_to_remove), (0, vec!["authorization".to_owned()]));
    // What regate says of callers is not theirs to say.
    for (token, path) in [(caller.stage.mcp.as_str(), "/mcp"), ("", "/health")] {
        let mut forged = asks(token, "GET", path);
        http_of(&mut forged).headers.insert("x-regate-user".to_owned(), "admin".to_owned());
        let Some(HttpResponse::OkResponse(ok)) = caller.check(forged).http_response else { panic!("denied") };
        assert_eq!(ok.headers_to_remove, ["authorization", "x-regate-user"]);
    }

    // The same headers, as Envoy tells them raw.
    let http = http_of(&mut message);
    let raw = |(name, value): (String, String)| HeaderValue {
        key: name,
        raw_value: value.into_bytes(),
        ..HeaderValue::default()
    };
    http.header_map =
        Some(HeaderMap { headers: std::mem::take(&mut http.headers).into_iter().map(raw).collect() });
    assert_eq!(caller.check(message.clone()).status.unwrap().code, 0);
    // Twice, and bytes that are no text: a credential that is there is never nothing.
    let map = &mut http_of(&mut message).header_map.as_mut().unwrap().headers;
    map.push(HeaderValue {
        key: "authorization".to_owned(),
        raw_value: vec![0xff],
        ..HeaderValue::default()
    });
    assert_eq!(denied(caller.check(message.clone())).0, 400);
    let map = &mut http_of(&mut message).header_map.as_mut().unwrap().headers;
    map.retain(|header| header.key != "authorization" || header.raw_value == [0xff]);
    assert_eq!(denied(caller.check(message)).0, 401);
}

#[test]
fn a_denial_says_why_to_the_client() {
    let caller = Caller::new();
    let (status, headers, body) = denied(caller.check(asks("nothing", "GET", "/api/v1/projects/p1")));
    let value = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    assert_eq!((status, value("www-authenticate")), (401, Some("Bearer error=\"invalid_token\"")));
    assert_eq!((value("content-type"), value("cache-control")), (Some("application/json"), Some("no-store")));
    let told: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&told["allow"], &told["status"]), (&false.into(), &401.into()));
    assert_eq!(Some(told["reason"].as_str().unwrap()), value("x-regate-reason"));
    assert_eq!(Some(told["decision_id"].as_str().unwrap()), value("x-regate-decision-id"));
}

#[test]
fn a_gateway_says_who_it_is_and_for_which_tenant_it_asks() {
    let caller = Caller::new();
    let good = || asks(&caller.stage.global, "GET", "/api/v1/projects/p1");
    let bearer = |token: &str| format!("Bearer {token}");
    for wrong in [
        None,
        Some(String::new()),
        Some(caller.stage.gateway_token.clone()),
        Some(bearer("nothing")),
        Some(bearer(&caller.stage.global)),
        Some(bearer(&caller.stage.regate().admin)),
    ] {
        let refused = caller.check_as(wrong.as_deref(), good()).unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
        assert!(!refused.message().contains("rgt_"));
    }
    until_logged(
        &caller.stage,
        "face=\"/envoy.service.auth.v3.Authorization/Check\" code=\"gateway.unauthenticated\"",
    );
    assert_eq!(caller.check(good()).status.unwrap().code, 0);

    let named = |tenant: &str| {
        let mut message = good();
        extend(&mut message, "tenant", tenant);
        caller.check_as(Some(&bearer(&caller.stage.gateway_token)), message)
    };
    assert_eq!(named("default").unwrap().status.unwrap().code, 0);
    assert_eq!(named("acme").unwrap_err().code(), Code::Unauthenticated);
    for wrong in ["", "_", "a b", "../default"] {
        assert_eq!(denied(named(wrong).unwrap()).0, 400, "{wrong:?}");
    }
    // A gateway of all tenants is that of one.
    let regate = caller.stage.regate();
    let url = regate.database_url();
    let arguments =
        ["token", "mint", "--kind", "gateway", "--name", "all", "--all-tenants", "--database-url", &url];
    let minted = crate::harness::program::run(regate.folder.path(), &arguments, "");
    assert!(minted.status.success(), "{}", crate::harness::program::stderr(&minted));
    let all = bearer(crate::harness::program::stdout(&minted).trim_end());
    let narrowed = |tenant: Option<&str>| {
        let mut message = good();
        if let Some(tenant) = tenant {
            extend(&mut message, "tenant", tenant);
        }
        regate.until(|| caller.check_as(Some(&all), message.clone()).ok())
    };
    assert_eq!(narrowed(None).status.unwrap().code, 0);
    assert_eq!(narrowed(Some("default")).status.unwrap().code, 0);
    // There the token is nobody's.
    assert_eq!(denied(narrowed(Some("acme"))).0, 401);
}

//! The same question by each face, beside `/v1/decide`, of one server in one run.

use std::{io::Write, sync::Arc, time::Duration};

use envoy_types::pb::envoy::service::auth::v3::{
    AttributeContext, CheckRequest,
    attribute_context::{HttpRequest, Request},
};
use prost::Message;
use regate::{
    api::{
        self, AuthzenOptions, Channel, DecisionPoint, Faces, ForwardAuthOptions, GatewayAuthentication,
        HttpBounds, NewIds, OpaOptions, Server, Shared, TokenUses,
    },
    auth::{self, CredentialReader},
    decision::{
        DecisionRules, SnapshotBuilder,
        facts::{Fact, Token},
    },
    policy::{Live, Source},
    types::{Clock, DataRevision, RandomIds, SystemClock, TokenKind},
};
use serde_json::json;

use crate::{
    figures::middle,
    grpc::{self, Call},
    http::{self, CONNECTIONS, Started, TURN, Turn},
    world::{self, ROWS},
};

const TURNS: usize = 7;
pub const GATEWAY: &str = "gateway-token";

/// regate over these rows, with all its faces: prints the address of HTTP and that of gRPC.
pub fn serve(rows: usize) {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut builder = SnapshotBuilder::default();
    world::fill(&mut builder, rows);
    builder.add(Fact::Token(Token {
        kind: TokenKind::Gateway,
        user_id: None,
        sha256: auth::hash(GATEWAY),
        ..world::token(TokenKind::Gateway, 0)
    }));
    let live = Arc::new(Live::new(world::bundle(workers), builder.finish(DataRevision(1))));
    live.confirm(Source::Tables, SystemClock.reading());
    let new_ids: NewIds = Arc::new(|| Box::new(RandomIds::new()));
    let point = DecisionPoint::new(
        live,
        DecisionRules::default(),
        Arc::new(SystemClock),
        new_ids,
        GatewayAuthentication::Optional,
        Duration::MAX,
    );
    let faces = Faces {
        authzen: AuthzenOptions::default(),
        forward_auth: ForwardAuthOptions::default(),
        opa: OpaOptions::new(Vec::new(), vec!["authorization".into()]),
        ..Faces::default()
    };
    let shared = Shared {
        point: Arc::new(point.noting(Arc::new(TokenUses::default()))),
        bounds: Arc::new(HttpBounds::default()),
        channel: Channel::Loopback,
        faces: Arc::new(faces),
        credentials: CredentialReader::default(),
        feed: None,
        policies: None,
        management: None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let bind = || Server::bind("127.0.0.1:0", Arc::new(HttpBounds::default()));
        let (http, grpc) = (bind().await.expect("a port"), bind().await.expect("a port"));
        let address = |server: &Server| server.address().expect("an address");
        println!("{} {}", address(&http), address(&grpc));
        let (end, ended) = tokio::sync::watch::channel(());
        tokio::task::spawn_blocking(move || {
            let _ = std::io::Read::read(&mut std::io::stdin(), &mut [0]);
            drop(end);
        });
        let until = |mut ended: tokio::sync::watch::Receiver<()>| async move {
            let _ = ended.changed().await;
        };
        tokio::join!(
            http.serve(api::router(shared.clone()), until(ended.clone())),
            grpc.serve(api::grpc_router(shared), until(ended)),
        );
    });
}

/// How one face is asked.
enum Face {
    Http(Vec<u8>),
    Grpc(Call),
}

/// The question of `/v1/decide`, as each face brings it, with what every right answer has in it.
fn faces() -> Vec<(&'static str, Face, &'static str)> {
    let user = ROWS / 2;
    let case = world::cases(ROWS).remove(0).question;
    let token = case["token"].as_str().expect("a token");
    let target = world::builds(user);
    let path = target.split('?').next().expect("a path");
    let common = "host: api.example\r\nuser-agent: curl/8.5.0\r\naccept: */*\r\n";
    let gateway = format!("x-regate-gateway-token: {GATEWAY}\r\n");
    let caller = format!("authorization: Bearer {token}\r\n");
    let get = |path: &str, headers: &str| {
        Face::Http(format!("GET {path} HTTP/1.1\r\n{common}{headers}\r\n").into_bytes())
    };
    let post = |path: &str, kind: &str, headers: &str, body: &str| {
        let length = body.len();
        Face::Http(
            format!(
                "POST {path} HTTP/1.1\r\nhost: regate\r\n{headers}content-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
            )
            .into_bytes(),
        )
    };
    let bearer = format!("authorization: Bearer {GATEWAY}\r\n");
    let json_post =
        |path: &str, body: &serde_json::Value| post(path, "application/json", &bearer, &body.to_string());
    let forwarded = format!(
        "{gateway}{caller}x-forwarded-method: GET\r\nx-forwarded-uri: {target}\r\nx-forwarded-host: api.example\r\n\
         x-forwarded-proto: https\r\nx-forwarded-for: 192.0.2.7\r\n"
    );
    let original = format!(
        "{gateway}{caller}x-original-method: GET\r\nx-original-uri: {target}\r\n\
         x-original-host: api.example\r\nx-original-for: 192.0.2.7\r\n"
    );
    let headers =
        json!({"user-agent": "curl/8.5.0", "accept": "*/*", "authorization": format!("Bearer {token}")});
    let apisix = json!({"input": {"type": "http", "request": {"scheme": "http", "method": "GET", "host": "api.example",
        "port": 80, "path": path, "headers": headers, "query": {"limit": "5"}}, "var": {"timestamp": 1}}});
    let kong = json!({"input": {"request": {"http": {"scheme": "http", "method": "GET", "host": "api.example",
        "port": 80, "path": path, "headers": headers, "querystring": {"limit": "5"}}}, "client_ip": "192.0.2.7"}});
    let authzen = json!({"subject": {"type": "user", "id": format!("user-{user}")}, "action": {"name": "read"},
        "resource": {"type": "project", "id": format!("project-{}", user / world::PROJECT_SIZE)}});
    let check = CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(Request {
                http: Some(HttpRequest {
                    method: "GET".into(),
                    path: target.clone(),
                    host: "api.example".into(),
                    scheme: "http".into(),
                    headers: [
                        (":method", "GET".to_owned()),
                        (":path", target.clone()),
                        (":authority", "api.example".to_owned()),
                        (":scheme", "http".to_owned()),
                        ("user-agent", "curl/8.5.0".to_owned()),
                        ("accept", "*/*".to_owned()),
                        ("x-request-id", "6f1c2d1e-6d5b-4a52-8f2c-3a6a3c1f0e11".to_owned()),
                        ("authorization", format!("Bearer {token}")),
                    ]
                    .map(|(name, value)| (name.to_owned(), value))
                    .into(),
                    ..HttpRequest::default()
                }),
                ..Request::default()
            }),
            ..AttributeContext::default()
        }),
    };
    let check = Call::new("/envoy.service.auth.v3.Authorization/Check", &check.encode_to_vec());
    let read = "global_token.read";
    vec![
        ("/v1/decide", json_post("/v1/decide", &case), read),
        ("forward auth", get("/v1/forward-auth?upstream=-", &forwarded), read),
        ("forward auth, nginx", get("/v1/forward-auth/nginx?upstream=-", &original), read),
        (
            "Envoy over HTTP",
            get(&format!("/v1/ext-authz{target}"), &format!("{gateway}{caller}x-regate-upstream: -\r\n")),
            read,
        ),
        ("Envoy over gRPC", Face::Grpc(check), read),
        ("OPA, APISIX's plugin", json_post("/v1/data/regate/apisix", &apisix), "\"allow\":true"),
        ("OPA, Kong's plugin", json_post("/v1/data/regate/kong", &kong), "\"allow\":true"),
        ("AuthZEN evaluation", json_post("/access/v1/evaluation", &authzen), "\"decision\":true"),
        (
            "introspection",
            post("/v1/introspect", "application/x-www-form-urlencoded", &bearer, &format!("token={token}")),
            "\"active\":true",
        ),
    ]
}

/// Prints the table.
pub fn run() {
    print!("Faces: loading {ROWS} tokens and {ROWS} collaborators … ");
    let _ = std::io::stdout().flush();
    let server = Started::new(&["serve-faces", &ROWS.to_string()]);
    let (http, grpc) = server.address.split_once(' ').expect("two addresses");
    println!("loaded\n");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let faces = faces();
    let round = || -> Vec<Turn> {
        let turn = |(_, face, expected): &(&str, Face, &str)| match face {
            Face::Http(message) => runtime.block_on(http::ask(http, message, expected.as_bytes(), None)),
            Face::Grpc(call) => runtime.block_on(grpc::ask(grpc, call, expected.as_bytes())),
        };
        faces.iter().map(turn).collect()
    };
    // The first round warms up, and is not counted.
    round();
    let rounds: Vec<Vec<Turn>> = (0..TURNS).map(|_| round()).collect();
    println!(
        "{TURNS} rounds of {} s for each face, {CONNECTIONS} connections; median (least to most); the ratio is to \
         /v1/decide in the same round\n",
        TURN.as_secs()
    );
    println!("{:<22} {:>9} {:>26} {:>9} {:>9}", "face", "per s", "ratio", "p50 ms", "p99 ms");
    for (index, (name, _, _)) in faces.iter().enumerate() {
        let of = |value: &dyn Fn(&[Turn]) -> f64| middle(rounds.iter().map(|round| value(round)).collect());
        let (per_second, _, _) = of(&|round| round[index].per_second);
        let (ratio, least, most) = of(&|round| round[index].per_second / round[0].per_second);
        let (p50, _, _) = of(&|round| round[index].p50);
        let (p99, _, _) = of(&|round| round[index].p99);
        println!("{name:<22} {per_second:>9.0} {ratio:>9.3} ({least:.3} to {most:.3}) {p50:>9.3} {p99:>9.3}");
    }
}

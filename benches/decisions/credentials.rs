//! Decisions that carry an upstream credential beside those that carry none.

use std::{io::Write, sync::Arc, time::Duration};

use rand::{SeedableRng, rngs::StdRng};
use regate::{
    api::{self, Channel, DecisionPoint, GatewayAuthentication, HttpBounds, NewIds, Shared, TokenUses},
    auth::{self, CredentialReader},
    decision::{
        DecisionRules, SnapshotBuilder,
        facts::{CredentialMode, CredentialState, Fact, Token, Upstream, UpstreamCredential},
    },
    policy::{Live, Source},
    telemetry,
    types::{
        Clock, DataRevision, Holder, RandomIds, SealedFor, SecretText, SystemClock, TenantId, TokenKind,
        UpstreamSecret,
    },
    upstream::KeyRing,
};
use serde_json::Value;

use crate::{
    figures::middle,
    http::{self, CONNECTIONS, Started, TURN, Turn},
    world::{self, ROWS},
};

const TURNS: usize = 7;
const GATEWAY: &str = "gateway-token";
/// A GitHub token has 40 characters, a JWT some hundreds.
const SECRET: &str = "gho_16C7e42F292c6912E7710c838347Ae178B4a";

/// The rows of the other benchmarks, a gateway, an upstream without credentials, and one for which each user has one.
fn facts(rows: usize, keys: &KeyRing) -> impl Iterator<Item = Fact> {
    let tenant = TenantId::default_tenant();
    let mut random = StdRng::seed_from_u64(1);
    let gateway = Fact::Token(Token {
        kind: TokenKind::Gateway,
        user_id: None,
        sha256: auth::hash(GATEWAY),
        ..world::token(TokenKind::Gateway, 0)
    });
    let upstream = |id: &str, credential| {
        let upstream = Upstream::new(tenant.clone(), id);
        Fact::Upstream(Upstream { allow_all: true, credential, ..upstream })
    };
    let upstreams = [upstream("plain", CredentialMode::None), upstream("github", CredentialMode::PerUser)];
    let credentials = (0..rows).map(move |index| {
        let tenant = TenantId::default_tenant();
        let holder = Holder::User(format!("user-{index}"));
        let place = SealedFor::credential(&tenant, "github", &holder);
        let value = UpstreamSecret::Token(SecretText::new(SECRET.to_owned()));
        let sealed = keys.seal_credential(place, &value, &mut random);
        Fact::Credential(UpstreamCredential {
            upstream_id: "github".to_owned(),
            state: CredentialState::Active,
            expires_at: None,
            sealed,
            tenant,
            holder,
        })
    });
    [gateway].into_iter().chain(upstreams).chain(credentials)
}

/// regate over these rows, with the log that `regate serve` writes.
pub fn serve(rows: usize) {
    telemetry::start_log(telemetry::LogFormat::Json, "info").expect("a log");
    let keys = KeyRing::from_text(&KeyRing::generate(&mut StdRng::seed_from_u64(7))).expect("a key");
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut builder = SnapshotBuilder::default();
    world::fill(&mut builder, rows);
    facts(rows, &keys).for_each(|fact| builder.add(fact));
    let live = Arc::new(Live::new(world::bundle(workers), builder.finish(DataRevision(1))));
    live.confirm(Source::Tables, SystemClock.reading());
    let rules = DecisionRules { keys: Arc::new(keys), ..DecisionRules::default() };
    let new_ids: NewIds = Arc::new(|| Box::new(RandomIds::new()));
    let point = DecisionPoint::new(
        live,
        rules,
        Arc::new(SystemClock),
        new_ids,
        GatewayAuthentication::Optional,
        Duration::MAX,
    );
    http::serve(api::router(Shared {
        point: Arc::new(point.noting(Arc::new(TokenUses::default()))),
        bounds: Arc::new(HttpBounds::default()),
        channel: Channel::Loopback,
        faces: Arc::default(),
        credentials: CredentialReader::default(),
        feed: None,
        policies: None,
        management: None,
    }));
}

/// Puts a question of the gateway as an HTTP message.
fn message(question: &Value) -> Vec<u8> {
    let body = question.to_string();
    format!(
        "POST /v1/decide HTTP/1.1\r\nhost: regate\r\nauthorization: Bearer {GATEWAY}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Prints the table.
pub fn run() {
    let question = world::cases(ROWS).remove(0).question;
    let naming = |upstream: Option<&str>| {
        let mut question = question.clone();
        if let Some(id) = upstream {
            question["upstream"] = id.into();
        }
        message(&question)
    };
    let (none, plain, with) = (naming(None), naming(Some("plain")), naming(Some("github")));
    print!("With credentials: loading {ROWS} tokens, collaborators and credentials … ");
    let _ = std::io::stdout().flush();
    let server = Started::quiet(&["serve-credentials", &ROWS.to_string()]);
    println!("loaded\n");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let turn = |message: &[u8], expected: &[u8]| {
        runtime.block_on(http::ask(&server.address, message, expected, None))
    };
    let secret = format!("\"authorization\":\"Bearer {SECRET}\"");
    let turns = || {
        let without = turn(&none, b"\"reason\":\"global_token.read\"");
        let plain = turn(&plain, b"\"connection_key\":\"default/user/");
        (without, plain, turn(&with, secret.as_bytes()))
    };
    // The first turns warm up, and are not counted.
    turns();
    let turns: Vec<(Turn, Turn, Turn)> = (0..TURNS).map(|_| turns()).collect();
    println!(
        "{TURNS} turns of {} s each, {CONNECTIONS} connections; median (least to most)\n",
        TURN.as_secs()
    );
    let row = |name: &str, of: &dyn Fn(&(Turn, Turn, Turn)) -> f64, digits: usize| {
        let (median, least, most) = middle(turns.iter().map(of).collect());
        println!("{name:<44} {median:>12.digits$} ({least:.digits$} to {most:.digits$})");
    };
    row("without an upstream, requests/s", &|t| t.0.per_second, 0);
    row("to an upstream without credentials, requests/s", &|t| t.1.per_second, 0);
    row("with a credential, requests/s", &|t| t.2.per_second, 0);
    row("ratio to without an upstream", &|t| t.2.per_second / t.0.per_second, 3);
    row("ratio to an upstream without credentials", &|t| t.2.per_second / t.1.per_second, 3);
    row("without, p50 ms", &|t| t.0.p50, 3);
    row("with, p50 ms", &|t| t.2.p50, 3);
    row("without, p99 ms", &|t| t.0.p99, 3);
    row("with, p99 ms", &|t| t.2.p99, 3);
}

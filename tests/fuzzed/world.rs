//! regate as the properties ask it: the real routes, the shipped rules, some rows in memory, each decision recorded to a
//! spool in a temporary folder. The clock stands still, so that the same bytes get the same answer. One world for each
//! thread, made once.

use std::{
    cell::RefCell,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Request, StatusCode},
};
use http_body_util::BodyExt;
use regate::{
    api::{
        self, Channel, DecisionPoint, Faces, GatewayAuthentication, HttpBounds, NewIds, OpaOptions, Shared,
    },
    audit::{DecisionRecord, Promise, RecordedParts, Recorder, Spool, SpoolOptions, SpoolReader},
    auth::{self, CredentialReader},
    decision::{
        Bundle, CompileOptions, DecisionRules, EvaluationBudget, SnapshotBuilder,
        facts::{Collaborator, CredentialMode, Fact, Project, ProjectRole, Token, Upstream, User, UserRole},
    },
    limits::{Limiter, LimiterOptions},
    policy::{self, Live, PolicySource, Source},
    types::{Clock, DataRevision, RandomIds, TenantId, Timestamp, TokenKind},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::codegen::Service;

/// A global token that reads the project `website`, and nothing else.
pub const READER: &str = "k-the-reader-of-the-website";
/// An MCP token that calls the tool `search`, and nothing else.
pub const AGENT: &str = "k-the-agent-that-searches";
/// A gateway of all tenants.
pub const GATEWAY: &str = "k-the-gateway-of-all-tenants";
/// Callers' credentials that are known here and may do nothing at all, wherever they come.
#[cfg(test)]
pub const MAY_NOTHING: [&str; 7] = [
    "no-projects",
    "no-scopes",
    "disabled-agent",
    "revoked",
    "expired",
    "nobodys-admin",
    "in-another-tenant",
];

/// The moment of all that is asked, in unix seconds.
const NOW: i64 = 1_800_000_000;

struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(NOW)
    }

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }
}

/// The limiter's own: a day is over each time it looks, so that no call is one too many and the same bytes get the same answer.
struct LeapingClock(AtomicU64);

impl Clock for LeapingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(NOW).later_by(self.uptime())
    }

    fn uptime(&self) -> Duration {
        Duration::from_secs(self.0.fetch_add(24 * 60 * 60, Ordering::Relaxed))
    }
}

fn tenant(name: &str) -> TenantId {
    TenantId::try_from(name).unwrap()
}

fn token(secret: &str, kind: TokenKind, user: Option<&str>) -> Token {
    Token {
        // Ids are recorded; secrets must not be.
        id: format!("id-of-{}", secret.trim_start_matches("k-the-")),
        tenant: Some(TenantId::default_tenant()),
        kind,
        sha256: auth::hash(secret),
        user_id: user.map(Into::into),
        project_id: None,
        scope_pull: true,
        scope_push: false,
        allow_trigger: false,
        projects: None,
        tools: None,
        expires_at: None,
        revoked: false,
    }
}

fn tokens() -> Vec<Token> {
    let alice = Some("alice");
    let global = |secret| token(secret, TokenKind::Global, alice);
    let nothing = || Some(std::collections::BTreeMap::new());
    vec![
        global(READER),
        Token { tools: Some(vec!["search".into()]), ..token(AGENT, TokenKind::Mcp, alice) },
        Token { tenant: None, ..token(GATEWAY, TokenKind::Gateway, None) },
        Token { projects: nothing(), scope_push: true, ..global("no-projects") },
        Token {
            project_id: Some("website".into()),
            scope_pull: false,
            ..token("no-scopes", TokenKind::Project, None)
        },
        token("disabled-agent", TokenKind::Mcp, Some("mallory")),
        Token { revoked: true, scope_push: true, ..global("revoked") },
        Token { expires_at: Some(NOW), scope_push: true, ..global("expired") },
        token("nobodys-admin", TokenKind::Admin, None),
        Token {
            tenant: Some(tenant("other")),
            projects: nothing(),
            ..token("in-another-tenant", TokenKind::Global, Some("eve"))
        },
    ]
}

fn rows() -> impl Iterator<Item = Fact> {
    let user = |owner: &str, id: &str, disabled| {
        Fact::User(User { tenant: tenant(owner), id: id.into(), role: UserRole::User, disabled })
    };
    let project = |owner: &str, id: &str| {
        let (tenant, id) = (tenant(owner), id.to_owned());
        Fact::Project(Project { tenant, name: id.clone(), id, public: false })
    };
    let works_on = |owner: &str, project: &str, user: &str, role| {
        let (tenant, project_id, user_id) = (tenant(owner), project.into(), user.into());
        Fact::Collaborator(Collaborator { tenant, project_id, user_id, role })
    };
    let upstream = |id, allow_all, credential| {
        Fact::Upstream(Upstream { allow_all, credential, ..Upstream::new(TenantId::default_tenant(), id) })
    };
    let rows = [
        Fact::Tenant(tenant("default")),
        Fact::Tenant(tenant("other")),
        user("default", "alice", false),
        user("default", "bob", false),
        user("default", "mallory", true),
        user("other", "eve", false),
        project("default", "website"),
        project("default", "payroll"),
        project("other", "website"),
        works_on("default", "website", "alice", ProjectRole::Developer),
        works_on("default", "website", "mallory", ProjectRole::Owner),
        works_on("default", "payroll", "bob", ProjectRole::Owner),
        works_on("other", "website", "eve", ProjectRole::Owner),
        upstream("open", true, CredentialMode::None),
        upstream("closed", false, CredentialMode::None),
        upstream("sealed", true, CredentialMode::PerUser),
    ];
    rows.into_iter().chain(tokens().into_iter().map(Fact::Token))
}

/// The shipped rules, compiled once. A budget of time would make the same bytes get another answer on a busy machine; the
/// budget of instructions is the usual one.
static BUNDLE: LazyLock<Arc<Bundle>> = LazyLock::new(|| {
    let files = policy::load(&PolicySource::Shipped).unwrap();
    let budget = EvaluationBudget { time: Duration::from_secs(3600), ..EvaluationBudget::default() };
    let options = CompileOptions { budget, workers: 4, ..CompileOptions::default() };
    Arc::new(Bundle::compile(&files.sources, files.data, files.revision, &options).unwrap())
});

/// An answer, and what was recorded before it was given.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
    /// As JSON, in the order in which it was recorded.
    pub records: Vec<Value>,
    /// The same as it lies on disk.
    pub compact: Vec<Vec<u8>>,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        let read = serde_json::from_slice(&self.body);
        read.unwrap_or_else(|error| panic!("the answer {} is not JSON: {error}", self.status))
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

struct World {
    runtime: Runtime,
    http: Router,
    grpc: Router,
    log: RefCell<SpoolReader>,
    // Behind the spool in it.
    _folder: TempDir,
}

thread_local! {
    static WORLD: World = World::new();
}

impl World {
    fn new() -> Self {
        let mut builder = SnapshotBuilder::default();
        rows().for_each(|row| builder.add(row));
        let live = Arc::new(Live::new(Arc::clone(&BUNDLE), builder.finish(DataRevision(1))));
        live.confirm(Source::Tables, StillClock.reading());
        let folder = tempfile::tempdir().unwrap();
        let options = SpoolOptions {
            folder: folder.path().join("spool"),
            promise: Promise::Spooled,
            max_bytes: 64 * 1024 * 1024,
            segment_bytes: 4 * 1024 * 1024,
        };
        let (spool, log) = Spool::open(&options, uuid::Uuid::from_u128(1)).unwrap();
        let new_ids: NewIds = Arc::new(|| Box::new(RandomIds::seeded(1)));
        let point = DecisionPoint::new(
            live,
            // No path is public here: nothing may be allowed that nobody has a right to.
            DecisionRules { public_paths: Vec::new(), ..DecisionRules::default() },
            Arc::new(StillClock),
            new_ids,
            GatewayAuthentication::Optional,
            Duration::MAX,
        );
        let recorder = Arc::new(Recorder::new(Arc::new(spool), RecordedParts::default()));
        let clock = Arc::new(LeapingClock(AtomicU64::new(0)));
        let limiter = Arc::new(Limiter::local(LimiterOptions::default(), clock));
        let faces =
            Faces { opa: OpaOptions::new(Vec::new(), vec!["authorization".into()]), ..Faces::default() };
        let shared = Shared {
            point: Arc::new(point.limiting(limiter).recording(Some(recorder))),
            // Nothing changes here: who waits for a revision that is not there waits in vain.
            bounds: Arc::new(HttpBounds { revision_wait: Duration::ZERO, ..HttpBounds::default() }),
            channel: Channel::Loopback,
            faces: Arc::new(faces),
            credentials: CredentialReader::default(),
            feed: None,
            policies: None,
            management: None,
        };
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            http: api::router(shared.clone()),
            grpc: api::grpc_router(shared),
            log: RefCell::new(log),
            _folder: folder,
        }
    }

    fn ask(&self, router: &Router, request: Request<Body>) -> Answer {
        let mut router = router.clone();
        self.runtime.block_on(async {
            let Ok(response) = router.call(request).await;
            let (parts, body) = response.into_parts();
            let collected = body.collect().await.unwrap();
            let trailers = collected.trailers().cloned().unwrap_or_default();
            let (records, compact) = self.recorded().await;
            let (status, headers) = (parts.status, parts.headers);
            Answer { status, headers, body: collected.to_bytes(), trailers, records, compact }
        })
    }

    /// What was recorded since the last time. A record can always be read, and holds no credential that the harness gave.
    #[expect(clippy::await_holding_refcell_ref, reason = "one question at a time, on one thread")]
    async fn recorded(&self) -> (Vec<Value>, Vec<Vec<u8>>) {
        let mut log = self.log.borrow_mut();
        let (mut records, mut compact) = (Vec::new(), Vec::new());
        loop {
            let batch = log.next_batch(1000, 1024 * 1024).await.unwrap();
            if batch.is_empty() {
                return (records, compact);
            }
            assert!(batch.damaged.is_none(), "what was just recorded is damaged");
            for bytes in batch.records() {
                let record = DecisionRecord::read_compact(bytes).unwrap().to_json();
                let text = record.to_string();
                assert!(
                    [READER, AGENT, GATEWAY].iter().all(|secret| !text.contains(secret)),
                    "a caller's credential is in a record"
                );
                records.push(record);
                compact.push(bytes.to_vec());
            }
            log.acknowledge(batch.to).unwrap();
        }
    }
}

/// Asks the listener for HTTP.
pub fn ask(request: Request<Body>) -> Answer {
    WORLD.with(|world| world.ask(&world.http, request))
}

/// Asks the listener for gRPC.
pub fn ask_grpc(request: Request<Body>) -> Answer {
    WORLD.with(|world| world.ask(&world.grpc, request))
}

/// Posts JSON.
pub fn post(path: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post(path).header("content-type", "application/json");
    ask(request.body(body.into()).unwrap())
}

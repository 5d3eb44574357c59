//! The decision itself, with policies of the tests' own and a clock that stands still: each way in
//! which something can go wrong ends in a deny with its reason.

mod engines;
mod explain;
mod fail_closed;
mod generated;
mod input;
mod live;
mod management;
mod remembered;
mod sessions;
mod tenants;
mod tools;
mod upstreams;

use std::{borrow::Cow, sync::Arc};

use regate::{
    auth,
    decision::{
        Basis, Body, Bundle, CompileError, CompileOptions, Decision, DecisionRules, Delivery, Document,
        Evaluator, Headers, Moment, Question, RegoSource, Request, SnapshotBuilder, decide,
        facts::{Fact, Token, User, UserRole},
    },
    types::{DataRevision, PolicyRevision, PresentedCredential, TenantId, Timestamp, TokenKind},
};
use uuid::Uuid;

/// The moment of all these tests.
pub const NOW: i64 = 1_800_000_000;

/// Compiles one file of rules with the package `regate`.
pub fn compile(rego: &str, options: &CompileOptions) -> Result<Arc<Bundle>, CompileError> {
    let sources = [RegoSource { name: "policy.rego".into(), text: rego.into() }];
    let revision = PolicyRevision::from_digest(&[0xab; 4]);
    Bundle::compile(&sources, Document::new_object(), revision, options).map(Arc::new)
}

pub fn tenant(id: &str) -> TenantId {
    TenantId::try_from(id).unwrap()
}

/// A token of a tenant, whose secret is its id.
pub fn token(tenant_id: &str, id: &str, kind: TokenKind) -> Token {
    Token {
        id: id.into(),
        tenant: Some(tenant(tenant_id)),
        kind,
        sha256: auth::hash(id),
        user_id: (kind != TokenKind::Gateway).then(|| "u1".into()),
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

pub fn user(tenant_id: &str, id: &str) -> Fact {
    Fact::User(User { tenant: tenant(tenant_id), id: id.into(), role: UserRole::User, disabled: false })
}

/// A bundle and rows, ready to be asked.
pub struct World {
    pub basis: Basis,
    pub rules: DecisionRules,
    pub evaluator: Evaluator,
}

impl World {
    pub fn new(bundle: Arc<Bundle>, facts: impl IntoIterator<Item = Fact>) -> Self {
        let mut builder = SnapshotBuilder::default();
        facts.into_iter().for_each(|fact| builder.add(fact));
        let basis = Basis::new(bundle, builder.finish(DataRevision(7)));
        Self { basis, rules: DecisionRules::default(), evaluator: Evaluator::new(0) }
    }

    /// The shipped entrypoint's name, these rules, and a global token `t1` of user `u1`.
    pub fn with_policy(rego: &str) -> Self {
        let bundle = compile(rego, &CompileOptions::default()).unwrap();
        Self::new(bundle, [user("default", "u1"), Fact::Token(token("default", "t1", TokenKind::Global))])
    }

    pub fn ask(&mut self, question: &Question<'_>) -> Decision {
        let moment = Moment { now: Timestamp::from_unix_seconds(NOW), data_is_stale: false };
        decide(&mut self.evaluator, &self.basis, &self.rules, question, Uuid::nil(), moment)
    }
}

/// `GET path` with this secret.
pub fn question<'a>(secret: Option<&str>, path: &'a str) -> Question<'a> {
    Question {
        face: "test",
        credential: secret.map_or(PresentedCredential::Absent, |s| PresentedCredential::Token(auth::hash(s))),
        request: Request {
            method: Cow::Borrowed("GET"),
            target: Cow::Borrowed(path),
            host: None,
            headers: Headers::default(),
            source_ip: None,
        },
        upstream: None,
        mcp: Vec::new(),
        body: Body::Untold,
        context: Document::new_object(),
        gateway: None,
        explain: false,
        delivery: Delivery::Refused,
        abilities: None,
    }
}

/// Whether it was allowed, the status and all reasons.
pub fn gist(decision: &Decision) -> (bool, u16, Vec<&str>) {
    (decision.allow, decision.status, decision.reasons.codes().collect())
}

//! The data and the questions that are measured.

use std::sync::Arc;

use regate::{
    auth,
    decision::{
        Basis, Bundle, CompileOptions, Snapshot, SnapshotBuilder,
        facts::{Collaborator, Fact, Project, ProjectRole, Token, User, UserRole},
    },
    policy::{self, PolicySource},
    types::{DataRevision, TenantId, TokenKind},
};
use serde_json::{Value, json};

/// Tokens, and collaborators, where there are many.
pub const ROWS: usize = 1_000_000;
/// Collaborators of one project.
pub const PROJECT_SIZE: usize = 100;

/// One question, and the answer that it must get: a benchmark of wrong answers measures nothing.
pub struct Case {
    pub name: &'static str,
    pub question: Value,
    pub reason: &'static str,
}

/// The secret of the token of user number `index`.
fn secret(kind: TokenKind, index: usize) -> String {
    format!("{kind}-token-{index}")
}

pub fn token(kind: TokenKind, index: usize) -> Token {
    Token {
        id: format!("{kind}-{index}"),
        tenant: Some(TenantId::default_tenant()),
        kind,
        sha256: auth::hash(&secret(kind, index)),
        user_id: Some(format!("user-{index}")),
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

/// `rows` collaborators, as many users and as many global tokens, a hundredth as many projects.
pub fn snapshot(rows: usize) -> Snapshot {
    let mut builder = SnapshotBuilder::default();
    fill(&mut builder, rows);
    builder.finish(DataRevision(1))
}

/// Puts these rows into a snapshot that is being made.
pub fn fill(builder: &mut SnapshotBuilder, rows: usize) {
    let tenant = TenantId::default_tenant();
    builder.add(Fact::Tenant(tenant.clone()));
    for index in 0..rows {
        let id = format!("user-{index}");
        builder.add(Fact::User(User { tenant: tenant.clone(), id, role: UserRole::User, disabled: false }));
    }
    for index in 0..rows.div_ceil(PROJECT_SIZE) {
        let id = format!("project-{index}");
        let name = id.clone();
        builder.add(Fact::Project(Project { tenant: tenant.clone(), id, name, public: false }));
    }
    for index in 0..rows {
        builder.add(Fact::Collaborator(Collaborator {
            tenant: tenant.clone(),
            project_id: format!("project-{}", index / PROJECT_SIZE),
            user_id: format!("user-{index}"),
            role: ProjectRole::Developer,
        }));
    }
    for index in 0..rows {
        builder.add(Fact::Token(token(TokenKind::Global, index)));
    }
    builder.add(Fact::Token(token(TokenKind::Mcp, rows / 2)));
}

/// The shipped bundle.
pub fn bundle(workers: usize) -> Arc<Bundle> {
    let files = policy::load(&PolicySource::Shipped).expect("the shipped bundle");
    let options = CompileOptions { workers, ..CompileOptions::default() };
    Arc::new(Bundle::compile(&files.sources, files.data, files.revision, &options).expect("it compiles"))
}

/// The shipped bundle over that many rows.
pub fn basis(rows: usize, workers: usize) -> Basis {
    Basis::new(bundle(workers), snapshot(rows))
}

/// The question of a token of user number `user`, as it is on the wire.
fn question(kind: TokenKind, user: usize, method: &str, path: &str) -> Value {
    json!({
        "token": secret(kind, user),
        "request": {
            "method": method, "path": path, "host": "api.example",
            "headers": {"user-agent": "curl/8.5.0", "accept": "*/*", "content-type": "application/json"},
            "source_ip": "192.0.2.7",
        },
    })
}

/// A path of the project that the user collaborates on.
pub fn builds(user: usize) -> String {
    format!("/api/v1/projects/project-{}/builds?limit=5", user / PROJECT_SIZE)
}

/// A read of the user's own project by its global token: allowed, `global_token.read`.
pub fn read_of(user: usize) -> Value {
    question(TokenKind::Global, user, "GET", &builds(user))
}

/// The questions, as they are on the wire.
pub fn cases(rows: usize) -> Vec<Case> {
    let user = rows / 2;
    let path = builds(user);
    let question = |kind, method: &str, path: &str| question(kind, user, method, path);
    vec![
        Case {
            name: "global token reads",
            question: question(TokenKind::Global, "GET", &path),
            reason: "global_token.read",
        },
        Case {
            name: "global token writes, denied",
            question: question(TokenKind::Global, "POST", &path),
            reason: "global_token.write_needs_scope_push",
        },
        Case {
            name: "MCP token asks a tool",
            question: question(TokenKind::Mcp, "POST", "/mcp"),
            reason: "mcp_token.mcp",
        },
        Case {
            name: "MCP token outside /mcp, denied",
            question: question(TokenKind::Mcp, "GET", &path),
            reason: "mcp_token.outside_mcp",
        },
    ]
}

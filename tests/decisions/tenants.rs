//! One tenant's decisions see that tenant's rows, whatever is interleaved.

use regate::{
    decision::{
        CompileOptions,
        facts::{Collaborator, Fact, Project, ProjectRole},
    },
    types::TokenKind,
};

use super::{World, compile, question, tenant, token, user};

/// Allows whoever has a role on the project of the path, and answers with what it sees.
const POLICY: &str = r#"package regate
decision := {"allow": true, "reasons": [data.collaborators[input.request.path[0]][input.token.user_id].role],
    "message": sprintf("%v %v %v", [input.token.tenant, count(data.projects), count(data.users)])}"#;

fn rows(tenant_id: &str, role: ProjectRole, others: usize) -> Vec<Fact> {
    let project = |id: String| {
        Fact::Project(Project { tenant: tenant(tenant_id), name: id.clone(), id, public: false })
    };
    let mut facts = vec![
        Fact::Tenant(tenant(tenant_id)),
        user(tenant_id, "u1"),
        project("p1".into()),
        Fact::Collaborator(Collaborator {
            tenant: tenant(tenant_id),
            project_id: "p1".into(),
            user_id: "u1".into(),
            role,
        }),
        Fact::Token(token(tenant_id, &format!("{tenant_id}-token"), TokenKind::Global)),
    ];
    for index in 0..others {
        facts.push(project(format!("{tenant_id}-{index}")));
    }
    facts
}

#[test]
fn two_tenants_with_the_same_ids_never_mix() {
    let bundle = compile(POLICY, &CompileOptions::default()).unwrap();
    let mut facts = rows("acme", ProjectRole::Owner, 1);
    facts.extend(rows("zeta", ProjectRole::Viewer, 4));
    facts.push(user("lonely", "u1"));
    facts.push(Fact::Token(token("lonely", "lonely-token", TokenKind::Global)));
    let mut world = World::new(bundle, facts);
    let expected = [
        ("acme-token", "/p1", "owner", "acme 2 1"),
        ("zeta-token", "/p1", "viewer", "zeta 5 1"),
        ("acme-token", "/zeta-0", "policy.error", ""),
        ("lonely-token", "/p1", "policy.error", ""),
    ];
    for round in 0..1_000 {
        let (secret, path, reason, message) = expected[round * 7 % expected.len()];
        let decision = world.ask(&question(Some(secret), path));
        assert_eq!(decision.reasons.first.as_str(), reason, "{secret} {path}");
        if decision.allow {
            assert_eq!(decision.message.as_str(), message);
        }
    }
}

#[test]
fn an_anonymous_caller_is_of_the_asking_gateways_tenant() {
    let policy =
        "package regate\ndecision := {\"allow\": true, \"message\": sprintf(\"%v\", [count(data.projects)])}";
    let bundle = compile(policy, &CompileOptions::default()).unwrap();
    let mut facts = rows("default", ProjectRole::Owner, 0);
    facts.extend(rows("acme", ProjectRole::Owner, 2));
    let mut world = World::new(bundle, facts);
    let mut projects = |tenant_id: Option<&str>| {
        let gateway = regate::decision::AskingGateway { id: "g".into(), tenant: tenant_id.map(tenant) };
        let asked = regate::decision::Question { gateway: Some(&gateway), ..question(None, "/") };
        world.ask(&asked).message.as_str().to_owned()
    };
    assert_eq!(projects(Some("acme")), "3");
    assert_eq!(projects(None), "1");
    assert_eq!(projects(Some("nobody")), "0");
}

//! Who there is in the soak, and what everybody may do when it begins.

use std::path::Path;

use regate::auth;
use serde_json::{Value, json};

use super::model::Role;

/// Users, each with a global token; every second one's has `scope_push`.
pub const USERS: usize = 2_000;
/// Projects, each with a project token; every second one's has `scope_push`, every third project is public.
pub const PROJECTS: usize = 200;
/// Users who have an MCP token as well. Nobody changes anything about them.
pub const AGENTS: usize = 24;
/// Nobody changes anything about users and projects below these.
pub const FIXED_USERS: usize = 100;
pub const FIXED_PROJECTS: usize = 20;
/// Calls of the group `builds` that an agent may make in a minute (policies/limits/data.json).
pub const AGENT_CALLS: usize = 30;

const MEMBERSHIPS: usize = 4;

/// The projects that a user works on.
pub fn projects_of(user: usize) -> impl Iterator<Item = usize> {
    (0..MEMBERSHIPS).map(move |place| (user * 7 + place * 31) % PROJECTS)
}

/// The role of a user on a project.
pub fn role(user: usize, project: usize) -> Role {
    match projects_of(user).any(|own| own == project) {
        true if user.is_multiple_of(3) => Role::Viewer,
        true => Role::Developer,
        false => Role::None,
    }
}

/// Whether everybody may read it.
pub const fn is_public(project: usize) -> bool {
    project.is_multiple_of(3)
}

/// Whether a token may write.
pub const fn pushes(number: usize) -> bool {
    number.is_multiple_of(2)
}

/// The operator's token.
pub const ADMIN: &str = "soak-admin";

/// Somebody's token, as it is presented.
pub fn key(kind: &str, number: usize) -> String {
    format!("soak-{kind}-{number}")
}

/// What `regate import` takes.
pub fn document() -> Value {
    let hash = |key: &str| auth::hash(key).to_string();
    let users = (0..USERS).map(|user| json!({"id": format!("u{user}")}));
    let projects = (0..PROJECTS)
        .map(|project| json!({"id": format!("p{project}"), "name": "soak", "public": is_public(project)}));
    let collaborators = (0..USERS).flat_map(|user| {
        projects_of(user).map(move |project| {
            let role = role(user, project).name();
            json!({"project_id": format!("p{project}"), "user_id": format!("u{user}"), "role": role})
        })
    });
    let global = (0..USERS).map(|user| {
        json!({"id": format!("g{user}"), "kind": "global", "name": "soak", "user_id": format!("u{user}"),
            "scope_pull": true, "scope_push": pushes(user), "sha256": hash(&key("global", user))})
    });
    let own = (0..PROJECTS).map(|project| {
        json!({"id": format!("o{project}"), "kind": "project", "name": "soak", "project_id": format!("p{project}"),
            "scope_pull": true, "scope_push": pushes(project), "sha256": hash(&key("project", project))})
    });
    let agents = (0..AGENTS).map(|user| {
        json!({"id": format!("m{user}"), "kind": "mcp", "name": "soak", "user_id": format!("u{user}"),
            "sha256": hash(&key("mcp", user))})
    });
    let admin = json!({"id": "admin", "kind": "admin", "name": "soak", "sha256": hash(ADMIN)});
    json!({
        "users": users.collect::<Vec<_>>(),
        "projects": projects.collect::<Vec<_>>(),
        "collaborators": collaborators.collect::<Vec<_>>(),
        "tokens": global.chain(own).chain(agents).chain([admin]).collect::<Vec<_>>(),
    })
}

/// What is unusual in the configuration: clients that hang are cut sooner, so that more of them come and go, and
/// no evaluation is cut because the machine has other work.
pub fn configuration(postgres: &str, redis: &str, policies: &Path, tests: &Path) -> String {
    format!(
        "[http]\nlisten = \"127.0.0.1:0\"\nidle_time = \"10s\"\nreceive_time = \"5s\"\n\
         [grpc]\nlisten = \"off\"\n\
         [database]\nurl = \"{postgres}\"\n\
         [policy]\nfolder = {policies:?}\ntests = {tests:?}\nmax_time = \"1s\"\n\
         [limits]\nredis_url = \"{redis}\"\n\
         [metrics]\nlisten = \"127.0.0.1:0\"\n"
    )
}

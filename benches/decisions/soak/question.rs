//! The questions of the soak, and by the model what may be answered to each.

use std::time::Instant;

use rand::{Rng, RngExt};
use serde_json::{Value, json};

use super::{
    model::{Key, Model, Role},
    world::{self, PROJECTS, USERS, key},
};

/// One question.
#[derive(Clone, Copy, Debug)]
pub enum Question {
    /// A user's token on a project.
    Global { user: usize, project: usize, what: What },
    /// A project's token on a project.
    Project { token: usize, project: usize, what: What },
    /// Nobody.
    Anonymous { project: usize, what: What },
    /// An agent, whose calls are counted.
    Agent { user: usize },
    /// A token that is not there.
    Unknown,
    /// A token that cannot be one.
    Malformed,
    /// A path with two readings, by a token that may read either.
    Ambiguous { user: usize },
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Read,
    /// What a change of the policy closes and opens.
    Archive,
    Write,
    /// What no token of the soak reaches.
    Secrets,
}

/// The reason that a change of the policy gives.
pub const CLOSED: &str = "soak.archive_is_closed";

/// The reasons of answers that allow.
pub const ALLOWS: [&str; 6] = [
    "global_token.read",
    "global_token.write",
    "project_token.read",
    "project_token.write",
    "anonymous.public_read",
    "mcp_token.project_read",
];

impl What {
    const fn method(self) -> &'static str {
        if matches!(self, Self::Write) { "POST" } else { "GET" }
    }

    const fn tail(self) -> &'static str {
        match self {
            Self::Read | Self::Write => "builds",
            Self::Archive => "archive",
            Self::Secrets => "secrets",
        }
    }
}

impl Question {
    /// Any but an agent's.
    pub fn random(random: &mut impl Rng) -> Self {
        let user = random.random_range(0..USERS);
        // Half are about one of the user's own projects.
        let own = world::projects_of(user).nth(random.random_range(0..4)).unwrap_or(0);
        let any = random.random_range(0..PROJECTS);
        let project = if random.random() { own } else { any };
        let what = match random.random_range(0..20) {
            0..10 => What::Read,
            10..15 => What::Write,
            15..19 => What::Archive,
            _ => What::Secrets,
        };
        match random.random_range(0..100) {
            0..70 => Self::Global { user, project, what },
            70..80 => Self::Project { token: any, project: any, what },
            80..83 => Self::Project { token: own, project: any, what },
            83..94 => Self::Anonymous { project: any, what },
            94..96 => Self::Unknown,
            96..98 => Self::Malformed,
            _ => Self::Ambiguous { user },
        }
    }

    /// As it is asked.
    pub fn message(&self) -> Value {
        let path = |project: usize, what: What| format!("/api/v1/projects/p{project}/{}", what.tail());
        let (token, method, path) = match *self {
            Self::Global { user, project, what } => {
                (Some(key("global", user)), what.method(), path(project, what))
            }
            Self::Project { token, project, what } => {
                (Some(key("project", token)), what.method(), path(project, what))
            }
            Self::Anonymous { project, what } => (None, what.method(), path(project, what)),
            Self::Agent { user } => {
                let project = world::projects_of(user).next().unwrap_or(0);
                (Some(key("mcp", user)), "GET", format!("/api/v1/mcp/projects/p{project}/builds"))
            }
            Self::Unknown => (Some("soak-nobody".to_owned()), "GET", path(0, What::Read)),
            Self::Malformed => (Some("rgt_global_none".to_owned()), "GET", path(0, What::Read)),
            Self::Ambiguous { user } => {
                (Some(key("global", user)), "GET", "/api/v1/projects/p0/../p1".to_owned())
            }
        };
        let mut message = json!({"request": {"method": method, "path": path}});
        if let Some(token) = token {
            message["token"] = token.into();
        }
        message
    }

    /// The reasons that may be answered to it if it was asked and answered at these moments.
    pub fn reasons(&self, model: &Model, asked: Instant, answered: Instant) -> Vec<&'static str> {
        let possible = |key| model.possible(key, asked, answered);
        let is = |value: &u8| *value == 1;
        match *self {
            Self::Global { user, project, what } => {
                let mut reasons = Vec::new();
                let revoked = possible(Key::Revoked(user));
                if revoked.iter().any(is) {
                    reasons.push("token.revoked");
                }
                if revoked.iter().all(is) {
                    return reasons;
                }
                let closed = if what == What::Archive { possible(Key::Closed) } else { vec![0] };
                if closed.iter().any(is) {
                    reasons.push(CLOSED);
                }
                if closed.iter().all(is) {
                    return reasons;
                }
                let disabled = possible(Key::Disabled(user));
                if disabled.iter().any(is) {
                    reasons.push("user.disabled");
                }
                if !disabled.iter().all(is) {
                    let roles = possible(Key::Role(user, project));
                    reasons.extend(roles.iter().map(|role| global(user, *role, what)));
                }
                reasons
            }
            Self::Project { token, project, what } => {
                let closed = if what == What::Archive { possible(Key::Closed) } else { vec![0] };
                closed.iter().map(|c| if is(c) { CLOSED } else { of_project(token, project, what) }).collect()
            }
            Self::Anonymous { project, what } => {
                // Whatever denies it, the reason is that there is no credential.
                let closed = if what == What::Archive { possible(Key::Closed) } else { vec![0] };
                let public = possible(Key::Public(project));
                let pairs =
                    closed.iter().flat_map(|closed| public.iter().map(move |public| (closed, public)));
                pairs
                    .map(|(closed, public)| {
                        let reads = matches!(what, What::Read | What::Archive);
                        if reads && is(public) && !is(closed) {
                            "anonymous.public_read"
                        } else {
                            "token.missing"
                        }
                    })
                    .collect()
            }
            Self::Agent { .. } => vec!["mcp_token.project_read", "rate_limit.exceeded"],
            Self::Unknown => vec!["token.unknown"],
            Self::Malformed => vec!["token.malformed"],
            Self::Ambiguous { .. } => vec!["request.ambiguous_path"],
        }
    }
}

/// What a live token of a user who is not disabled is told.
const fn global(user: usize, role: u8, what: What) -> &'static str {
    if matches!(what, What::Secrets) {
        return "global_token.reserved_section";
    }
    if role == Role::None as u8 {
        return "global_token.not_a_collaborator";
    }
    match what {
        What::Write if !world::pushes(user) => "global_token.write_needs_scope_push",
        What::Write if role == Role::Viewer as u8 => "global_token.role_may_not_write",
        What::Write => "global_token.write",
        _ => "global_token.read",
    }
}

const fn of_project(token: usize, project: usize, what: What) -> &'static str {
    match what {
        _ if token != project => "project_token.other_project",
        What::Secrets => "project_token.reserved_section",
        What::Write if !world::pushes(token) => "project_token.write_needs_scope_push",
        What::Write => "project_token.write",
        What::Read | What::Archive => "project_token.read",
    }
}

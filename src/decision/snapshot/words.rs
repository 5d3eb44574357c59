//! Rows as Rego sees them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use regorus::{Value, value::Object};

use super::{CredentialRecord, TokenRecord, UpstreamRecord};
use crate::decision::facts::{ProjectRole, Token, Upstream, UpstreamCredential, UserRole};

/// Values that stand in very many rows, made once.
#[derive(Debug)]
pub(super) struct Words {
    name: Value,
    public: Value,
    allow_all: Value,
    credential: Value,
    users: HashMap<(UserRole, bool), Value>,
    collaborators: HashMap<ProjectRole, Value>,
}

impl Words {
    pub(super) fn new() -> Self {
        let user = |role: UserRole, disabled: bool| {
            object([("role".into(), role.as_str().into()), ("disabled".into(), Value::Bool(disabled))])
        };
        let roles = [UserRole::User, UserRole::Viewer, UserRole::Admin];
        let project_roles =
            [ProjectRole::Viewer, ProjectRole::Developer, ProjectRole::Administrator, ProjectRole::Owner];
        Self {
            name: "name".into(),
            public: "public".into(),
            allow_all: "allow_all".into(),
            credential: "credential".into(),
            users: roles
                .into_iter()
                .flat_map(|role| [true, false].map(|disabled| ((role, disabled), user(role, disabled))))
                .collect(),
            collaborators: project_roles
                .into_iter()
                .map(|role| (role, object([("role".into(), role.as_str().into())])))
                .collect(),
        }
    }

    pub(super) fn user(&self, role: UserRole, disabled: bool) -> Value {
        self.users.get(&(role, disabled)).cloned().unwrap_or(Value::Undefined)
    }

    pub(super) fn project(&self, name: &str, public: bool) -> Value {
        object([(self.name.clone(), name.into()), (self.public.clone(), Value::Bool(public))])
    }

    pub(super) fn collaborator(&self, role: ProjectRole) -> Value {
        self.collaborators.get(&role).cloned().unwrap_or(Value::Undefined)
    }

    pub(super) fn upstream(&self, upstream: &Upstream) -> Value {
        object([
            (self.allow_all.clone(), Value::Bool(upstream.allow_all)),
            (self.credential.clone(), upstream.credential.as_str().into()),
        ])
    }
}

impl From<&Upstream> for UpstreamRecord {
    fn from(upstream: &Upstream) -> Self {
        let Upstream { header, format, value_headers, pass_headers, .. } = upstream;
        // A constraint holds that there is a place. Without one, nothing but what stands there would go on.
        let (before, behind) = format.split_once("{token}").unwrap_or((format, ""));
        let lower = |names: &Vec<String>| {
            let mut names: Vec<String> = names.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
            names.sort_unstable();
            names.dedup();
            names
        };
        Self {
            allow_all: upstream.allow_all,
            credential: upstream.credential,
            header: header.to_ascii_lowercase(),
            format: (before.to_owned(), behind.to_owned()),
            value_headers: value_headers.as_ref().map(lower),
            pass_headers: pass_headers.as_ref().map(lower),
        }
    }
}

impl From<UpstreamCredential> for CredentialRecord {
    fn from(credential: UpstreamCredential) -> Self {
        let UpstreamCredential { state, expires_at, sealed, .. } = credential;
        Self { state, expires_at, sealed }
    }
}

impl TokenRecord {
    /// Packs a token; `text` gives the shared text of an id or a tool.
    pub(super) fn new(token: &Token, mut text: impl FnMut(&str) -> Arc<str>) -> Self {
        let projects = match &token.projects {
            None => Value::Null,
            Some(list) => list
                .iter()
                .map(|(project, expiry)| {
                    (Value::String(text(project)), expiry.map_or(Value::Null, Value::from))
                })
                .collect::<BTreeMap<_, _>>()
                .into(),
        };
        let tools = match &token.tools {
            None => Value::Null,
            Some(list) => {
                let list: BTreeSet<&str> = list.iter().map(String::as_str).collect();
                list.into_iter().map(|tool| Value::String(text(tool))).collect::<Vec<_>>().into()
            }
        };
        Self {
            id: token.id.as_str().into(),
            tenant: token.tenant.clone(),
            kind: token.kind,
            user_id: token.user_id.as_deref().map(&mut text),
            project_id: token.project_id.as_deref().map(&mut text),
            scope_pull: token.scope_pull,
            scope_push: token.scope_push,
            allow_trigger: token.allow_trigger,
            revoked: token.revoked,
            expires_at: token.expires_at,
            tools,
            projects,
        }
    }
}

fn object<const N: usize>(entries: [(Value, Value); N]) -> Value {
    Object::from(BTreeMap::from(entries)).into_value()
}

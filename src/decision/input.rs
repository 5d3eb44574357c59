//! `input`, as the Rego contract names it, built as a value: no JSON text in between.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use regorus::{Value, value::Object};

use super::{
    Document,
    authzen_input::AuthzenTemplates,
    caller::{Caller, UserInput},
    decide::DecisionRules,
    document,
    manage::{About, ManagementCall},
    path::RequestPath,
    question::{AskingGateway, Mcp, Question},
    snapshot::TokenRecord,
};
use crate::types::{HolderKind, Session, TokenKind};

/// Objects of the input with all their keys and no values, made once for each worker. To copy one and
/// put the values in, in the order of the keys, compares no key with another, which was most of the
/// cost of building an object; and the keys' reference counts are touched by one core alone.
#[derive(Debug)]
pub(super) struct InputBuilder {
    input: Template<8>,
    managing: Template<9>,
    management: Template<5>,
    managed_token: Template<4>,
    managed_holder: Template<3>,
    request: Template<7>,
    token: Template<11>,
    session: Template<12>,
    user: Template<3>,
    gateway: Template<1>,
    upstream: Template<3>,
    mcp: Template<3>,
    user_disabled: Value,
    user_role: Value,
    empty_object: Value,
    empty_array: Value,
    pub(super) authzen: AuthzenTemplates,
}

impl Default for InputBuilder {
    fn default() -> Self {
        Self {
            input: Template::new([
                "context", "gateway", "mcp", "now", "request", "token", "upstream", "user",
            ]),
            managing: Template::new([
                "context",
                "gateway",
                "management",
                "mcp",
                "now",
                "request",
                "token",
                "upstream",
                "user",
            ]),
            management: Template::new(["body", "holder", "operation", "token", "upstream"]),
            managed_token: Template::new(["id", "kind", "project_id", "user_id"]),
            managed_holder: Template::new(["id", "kind", "user_id"]),
            request: Template::new(["headers", "host", "method", "path", "query", "raw_path", "source_ip"]),
            token: Template::new([
                "allow_trigger",
                "expires_at",
                "id",
                "kind",
                "project_id",
                "projects",
                "scope_pull",
                "scope_push",
                "tenant",
                "tools",
                "user_id",
            ]),
            session: Template::new([
                "allow_trigger",
                "claims",
                "expires_at",
                "id",
                "kind",
                "project_id",
                "projects",
                "scope_pull",
                "scope_push",
                "tenant",
                "tools",
                "user_id",
            ]),
            user: Template::new(["disabled", "id", "role"]),
            gateway: Template::new(["id"]),
            upstream: Template::new(["credential", "granted", "id"]),
            mcp: Template::new(["method", "params", "tool"]),
            user_disabled: "disabled".into(),
            user_role: "role".into(),
            empty_object: Value::new_object(),
            empty_array: Value::new_array(),
            authzen: AuthzenTemplates::default(),
        }
    }
}

/// The keys of one kind of object.
#[derive(Debug)]
pub(super) struct Template<const N: usize>(Object);

impl<const N: usize> Template<N> {
    /// INVARIANT: `keys` are in the order of the alphabet, as the object will have them.
    pub(super) fn new(keys: [&str; N]) -> Self {
        debug_assert!(keys.is_sorted());
        Self(Object::from(BTreeMap::from(keys.map(|key| (Value::from(key), Value::Null)))))
    }

    /// The object with these values, in the order of the keys.
    pub(super) fn fill(&self, values: [Value; N]) -> Value {
        let mut object = self.0.clone();
        for ((_, place), value) in object.iter_mut().zip(values) {
            *place = value;
        }
        Value::Object(Arc::new(object))
    }
}

/// What the question names as upstream, and what regate knows of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct UpstreamInput<'a> {
    pub id: &'a str,
    pub granted: bool,
    pub credential: &'static str,
}

/// Everything that the input is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct InputParts<'a> {
    pub question: &'a Question<'a>,
    /// The one of its messages that it is about.
    pub mcp: Option<&'a Mcp<'a>>,
    pub rules: &'a DecisionRules,
    pub method: &'a str,
    pub path: &'a RequestPath<'a>,
    pub caller: Option<Caller<'a>>,
    pub user: Option<UserInput<'a>>,
    pub upstream: Option<UpstreamInput<'a>>,
    /// The call of the management API that it is about, if it is about one.
    pub management: Option<&'a ManagementCall<'a>>,
    pub now: i64,
}

impl InputBuilder {
    pub(super) fn build(&self, parts: &InputParts<'_>) -> Document {
        let question = parts.question;
        let context = question.context.clone();
        let gateway = self.gateway(question.gateway);
        let mcp = self.mcp(parts.mcp);
        let now = parts.now.into();
        let request = self.request(parts);
        let token = match parts.caller {
            None => Value::Null,
            Some(Caller::Token(token)) => self.token(token),
            Some(Caller::Session(session)) => self.session(session),
        };
        let upstream = parts.upstream.map_or(Value::Null, |upstream| self.upstream(upstream));
        let user = self.user(parts.user);
        match parts.management {
            None => self.input.fill([context, gateway, mcp, now, request, token, upstream, user]),
            Some(call) => {
                let management = self.management(call);
                self.managing.fill([context, gateway, management, mcp, now, request, token, upstream, user])
            }
        }
    }

    fn management(&self, call: &ManagementCall<'_>) -> Value {
        let optional = |text: Option<&str>| text.map_or(Value::Null, Value::from);
        let About { token, upstream, holder } = call.about;
        let token = token.map_or(Value::Null, |token| {
            let kind = optional(token.kind.map(TokenKind::as_str));
            let (id, project, user) =
                (optional(token.id), optional(token.project_id), optional(token.user_id));
            self.managed_token.fill([id, kind, project, user])
        });
        let holder = holder.map_or(Value::Null, |holder| {
            let kind = optional(holder.kind.map(HolderKind::as_str));
            self.managed_holder.fill([optional(holder.id), kind, optional(holder.user_id)])
        });
        self.management.fill([call.body.clone(), holder, call.operation.into(), token, optional(upstream)])
    }

    fn request(&self, parts: &InputParts<'_>) -> Value {
        let request = &parts.question.request;
        let text = |value: &Option<Cow<'_, str>>| value.as_deref().map_or(Value::Null, Value::from);
        let path: Vec<Value> = parts.path.segments.iter().map(|s| s.as_ref().into()).collect();
        self.request.fill([
            self.headers(parts),
            text(&request.host),
            parts.method.into(),
            if path.is_empty() { self.empty_array.clone() } else { path.into() },
            self.query(parts.path),
            parts.path.raw.into(),
            text(&request.source_ip),
        ])
    }

    fn headers(&self, parts: &InputParts<'_>) -> Value {
        let hidden = &parts.rules.credential_headers;
        let fields = parts.question.request.headers.iter();
        let mut fields = fields.filter(|(name, _)| !hidden.iter().any(|hidden| hidden == name)).peekable();
        if fields.peek().is_none() {
            return self.empty_object.clone();
        }
        let fields: BTreeMap<Value, Value> =
            fields.map(|(name, value)| (name.into(), value.into())).collect();
        mutable(fields)
    }

    fn query(&self, path: &RequestPath<'_>) -> Value {
        if path.query.is_none_or(str::is_empty) {
            return self.empty_object.clone();
        }
        let mut lists: BTreeMap<Value, Vec<Value>> = BTreeMap::new();
        for (name, value) in path.query_pairs() {
            lists.entry(name.as_ref().into()).or_default().push(value.as_ref().into());
        }
        mutable(lists.into_iter().map(|(name, values)| (name, values.into())).collect())
    }

    fn token(&self, token: &TokenRecord) -> Value {
        let optional = |text: &Option<Arc<str>>| text.as_ref().map_or(Value::Null, shared);
        self.token.fill([
            Value::Bool(token.allow_trigger),
            token.expires_at.map_or(Value::Null, Value::from),
            shared(&token.id),
            token.kind.as_str().into(),
            optional(&token.project_id),
            token.projects.clone(),
            Value::Bool(token.scope_pull),
            Value::Bool(token.scope_push),
            token.tenant.as_ref().map_or(Value::Null, |tenant| Value::String(tenant.shared())),
            token.tools.clone(),
            optional(&token.user_id),
        ])
    }

    /// A session has no scopes and no projects of its own: what it may do follows from its user.
    fn session(&self, session: &Session) -> Value {
        self.session.fill([
            Value::Bool(false),
            document::object(&session.claims),
            session.expires_at.map_or(Value::Null, Value::from),
            session.token_id.as_ref().map_or(Value::Null, shared),
            "session".into(),
            Value::Null,
            Value::Null,
            Value::Bool(false),
            Value::Bool(false),
            Value::String(session.tenant.shared()),
            Value::Null,
            shared(&session.user_id),
        ])
    }

    pub(super) fn gateway(&self, gateway: Option<&AskingGateway>) -> Value {
        gateway.map_or(Value::Null, |gateway| self.gateway.fill([shared(&gateway.id)]))
    }

    pub(super) fn user(&self, user: Option<UserInput<'_>>) -> Value {
        let Some(UserInput { id, row, claimed }) = user else { return Value::Null };
        let field = |key: &Value| match row {
            Some(Value::Object(row)) => row.get(key).cloned().unwrap_or(Value::Null),
            _ => Value::Null,
        };
        // Whom the data does not know, it cannot have disabled.
        let disabled = if row.is_none() { Value::Bool(false) } else { field(&self.user_disabled) };
        let role = claimed.map_or_else(|| field(&self.user_role), |role| role.as_str().into());
        self.user.fill([disabled, shared(id), role])
    }

    fn upstream(&self, upstream: UpstreamInput<'_>) -> Value {
        self.upstream.fill([upstream.credential.into(), Value::Bool(upstream.granted), upstream.id.into()])
    }

    fn mcp(&self, message: Option<&Mcp<'_>>) -> Value {
        let Some(message) = message else { return Value::Null };
        let Mcp { method, params } = message;
        let (method, tool) = (method.as_deref(), message.tool().cloned());
        self.mcp.fill([method.map_or(Value::Null, Value::from), params.clone(), tool.unwrap_or(Value::Null)])
    }
}

pub(super) fn shared(text: &Arc<str>) -> Value {
    Value::String(Arc::clone(text))
}

/// An object as it is: packing it tighter pays for documents that stay, not for one question.
fn mutable(map: BTreeMap<Value, Value>) -> Value {
    Value::Object(Arc::new(Object::from(map)))
}

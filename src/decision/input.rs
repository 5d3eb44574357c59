//! `input`, as the Rego contract names it, built as a value: no JSON text in between.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use regorus::{Value, value::Object};

use super::{
    Document,
    path::RequestPath,
    question::Question,
    snapshot::{TenantData, TokenRecord},
};

/// The keys of the input document, made once for each worker: their reference counts are then
/// touched by one core alone.
macro_rules! keys {
    ($($name:ident),+ $(,)?) => {
        #[derive(Debug)]
        struct Keys { $($name: Value),+ }

        impl Default for Keys {
            fn default() -> Self {
                Self { $($name: stringify!($name).into()),+ }
            }
        }
    };
}
keys!(
    allow_trigger,
    context,
    credential,
    disabled,
    expires_at,
    gateway,
    granted,
    headers,
    host,
    id,
    kind,
    mcp,
    method,
    name,
    now,
    params,
    path,
    project_id,
    projects,
    query,
    raw_path,
    request,
    role,
    scope_pull,
    scope_push,
    source_ip,
    tenant,
    token,
    tool,
    upstream,
    user,
    user_id,
);

/// Builds input documents.
#[derive(Debug, Default)]
pub(super) struct InputBuilder {
    keys: Keys,
    empty: Empty,
}

#[derive(Debug)]
struct Empty {
    object: Value,
    array: Value,
}

impl Default for Empty {
    fn default() -> Self {
        Self { object: Value::new_object(), array: Value::new_array() }
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
    pub method: &'a str,
    pub path: &'a RequestPath<'a>,
    pub token: Option<&'a TokenRecord>,
    pub tenant: &'a TenantData,
    pub upstream: Option<UpstreamInput<'a>>,
    pub now: i64,
}

impl InputBuilder {
    pub(super) fn build(&self, parts: &InputParts<'_>) -> Document {
        let k = &self.keys;
        let question = parts.question;
        object([
            (k.context.clone(), question.context.clone()),
            (
                k.gateway.clone(),
                question.gateway.map_or(Value::Null, |g| object([(k.id.clone(), shared(&g.id))])),
            ),
            (k.mcp.clone(), self.mcp(question)),
            (k.now.clone(), parts.now.into()),
            (k.request.clone(), self.request(parts)),
            (k.token.clone(), parts.token.map_or(Value::Null, |token| self.token(token))),
            (k.upstream.clone(), parts.upstream.map_or(Value::Null, |u| self.upstream(u))),
            (k.user.clone(), self.user(parts)),
        ])
    }

    fn request(&self, parts: &InputParts<'_>) -> Value {
        let k = &self.keys;
        let request = &parts.question.request;
        let text = |value: &Option<Cow<'_, str>>| value.as_deref().map_or(Value::Null, Value::from);
        let path: Vec<Value> = parts.path.segments.iter().map(|s| s.as_ref().into()).collect();
        object([
            (k.headers.clone(), self.headers(parts)),
            (k.host.clone(), text(&request.host)),
            (k.method.clone(), parts.method.into()),
            (k.path.clone(), if path.is_empty() { self.empty.array.clone() } else { path.into() }),
            (k.query.clone(), self.query(parts.path)),
            (k.raw_path.clone(), parts.path.raw.into()),
            (k.source_ip.clone(), text(&request.source_ip)),
        ])
    }

    fn headers(&self, parts: &InputParts<'_>) -> Value {
        let mut fields = parts.question.request.headers.iter().peekable();
        if fields.peek().is_none() {
            return self.empty.object.clone();
        }
        let fields: BTreeMap<Value, Value> =
            fields.map(|(name, value)| (name.into(), value.into())).collect();
        mutable(fields)
    }

    fn query(&self, path: &RequestPath<'_>) -> Value {
        if path.query.is_none_or(str::is_empty) {
            return self.empty.object.clone();
        }
        let mut lists: BTreeMap<Value, Vec<Value>> = BTreeMap::new();
        for (name, value) in path.query_pairs() {
            lists.entry(name.as_ref().into()).or_default().push(value.as_ref().into());
        }
        mutable(lists.into_iter().map(|(name, values)| (name, values.into())).collect())
    }

    fn token(&self, token: &TokenRecord) -> Value {
        let k = &self.keys;
        let optional = |text: &Option<Arc<str>>| text.as_ref().map_or(Value::Null, shared);
        object([
            (k.allow_trigger.clone(), Value::Bool(token.allow_trigger)),
            (k.expires_at.clone(), token.expires_at.map_or(Value::Null, Value::from)),
            (k.id.clone(), shared(&token.id)),
            (k.kind.clone(), token.kind.as_str().into()),
            (k.project_id.clone(), optional(&token.project_id)),
            (k.projects.clone(), token.projects.clone()),
            (k.scope_pull.clone(), Value::Bool(token.scope_pull)),
            (k.scope_push.clone(), Value::Bool(token.scope_push)),
            (k.tenant.clone(), token.tenant.as_ref().map_or(Value::Null, |t| Value::String(t.shared()))),
            (k.user_id.clone(), optional(&token.user_id)),
        ])
    }

    fn user(&self, parts: &InputParts<'_>) -> Value {
        let Some(id) = parts.token.and_then(|token| token.user_id.as_ref()) else { return Value::Null };
        let Some(Value::Object(row)) = parts.tenant.user(id) else { return Value::Null };
        let k = &self.keys;
        let field = |key: &Value| row.get(key).cloned().unwrap_or(Value::Null);
        object([
            (k.disabled.clone(), field(&k.disabled)),
            (k.id.clone(), shared(id)),
            (k.role.clone(), field(&k.role)),
        ])
    }

    fn upstream(&self, upstream: UpstreamInput<'_>) -> Value {
        let k = &self.keys;
        object([
            (k.credential.clone(), upstream.credential.into()),
            (k.granted.clone(), Value::Bool(upstream.granted)),
            (k.id.clone(), upstream.id.into()),
        ])
    }

    fn mcp(&self, question: &Question<'_>) -> Value {
        let Some(mcp) = &question.mcp else { return Value::Null };
        let k = &self.keys;
        let tool = match &mcp.params {
            Value::Object(params) if mcp.method == "tools/call" => params.get(&k.name).cloned(),
            _ => None,
        };
        object([
            (k.method.clone(), mcp.method.as_ref().into()),
            (k.params.clone(), mcp.params.clone()),
            (k.tool.clone(), tool.unwrap_or(Value::Null)),
        ])
    }
}

fn shared(text: &Arc<str>) -> Value {
    Value::String(Arc::clone(text))
}

/// Entries in the order of their keys: the map is then built in one pass.
fn object<const N: usize>(entries: [(Value, Value); N]) -> Value {
    mutable(BTreeMap::from(entries))
}

/// An object as it is: packing it tighter pays for documents that stay, not for one question.
fn mutable(map: BTreeMap<Value, Value>) -> Value {
    Value::Object(Arc::new(Object::from(map)))
}

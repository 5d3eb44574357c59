//! From a question to a decision, in the order of the contract: the path, the public paths, the
//! credential, the rules, the obligations. The first that refuses is the answer.

use std::{borrow::Cow, sync::Arc};

use uuid::Uuid;

use super::{
    Document,
    basis::Basis,
    bundle::Entrypoint,
    caller::resolve,
    challenge::{Challenges, PLAIN},
    draft::Draft,
    evaluator::Evaluator,
    input::InputParts,
    mcp::{self, McpEndpoint},
    outcome::{AskedMessage, Decision, Explanation, Fault, HeaderChanges, Message},
    path::{AmbiguousPath, PathRules, RequestPath},
    question::{Mcp, Question},
    rate_limit::RateLimit,
    reason::OwnReason,
    tools,
    upstream::{AskedUpstream, ConnectUrl, NotOn},
    verdict::Verdict,
};
use crate::types::{NoKeys, OpenSealed, TenantId, Timestamp};

/// What the configuration says about decisions.
#[derive(Clone, Debug)]
pub struct DecisionRules {
    /// How paths are read.
    pub path: PathRules,
    /// Paths that any GET or HEAD may have, as segments.
    pub public_paths: Vec<Vec<String>>,
    /// The tenant of an anonymous caller whose gateway speaks for all tenants, or did not authenticate.
    pub default_tenant: TenantId,
    /// Headers that carry callers' credentials, in lower case: no rule sees them, and none goes on. `authorization` is
    /// always among them.
    pub credential_headers: Vec<Cow<'static, str>>,
    /// What opens upstream credentials.
    pub keys: Arc<dyn OpenSealed>,
    /// Where MCP's transport is spoken: bodies are looked at there, if they are told.
    pub mcp_endpoints: Vec<McpEndpoint>,
    /// Makes challenges.
    pub challenges: Challenges,
    /// Where holders get upstream credentials.
    pub connect_url: Option<ConnectUrl>,
}

impl Default for DecisionRules {
    fn default() -> Self {
        Self {
            path: PathRules::default(),
            public_paths: vec![vec!["health".into()]],
            default_tenant: TenantId::default_tenant(),
            credential_headers: vec![Cow::Borrowed("authorization")],
            keys: Arc::new(NoKeys),
            mcp_endpoints: vec![McpEndpoint::usual()],
            challenges: Challenges::default(),
            connect_url: None,
        }
    }
}

impl DecisionRules {
    /// Reads a public path from the configuration.
    ///
    /// # Errors
    /// [`AmbiguousPath`] when it is not a path that a question could have.
    pub fn public_path(text: &str, rules: PathRules) -> Result<Vec<String>, AmbiguousPath> {
        RequestPath::read(text, rules).map(|path| path.segments.into_iter().map(String::from).collect())
    }

    fn is_mcp_endpoint(&self, path: &RequestPath<'_>) -> bool {
        self.mcp_endpoints.iter().any(|endpoint| endpoint.is(path))
    }

    fn is_public(&self, method: &str, path: &RequestPath<'_>) -> bool {
        matches!(method, "GET" | "HEAD") && self.public_paths.iter().any(|public| *public == path.segments)
    }
}

/// When a decision is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time.
    pub now: Timestamp,
    /// The data is older than it may be: nothing that depends on it is allowed.
    pub data_is_stale: bool,
}

/// Decides. Never fails: what goes wrong is a deny with its reason.
///
/// Takes `basis` (the policy and the data, taken together), the question, the moment and the id that
/// the decision is to have; gives the same answer for the same values.
pub fn decide(
    evaluator: &mut Evaluator,
    basis: &Basis,
    rules: &DecisionRules,
    question: &Question<'_>,
    id: Uuid,
    moment: Moment,
) -> Decision {
    let decision = before_the_gateway(evaluator, basis, rules, question, id, moment);
    let Some(abilities) = question.abilities.filter(|_| decision.allow) else { return decision };
    match abilities.carries_out(&decision.headers) {
        Ok(()) => decision,
        Err(cannot) => Decision { fault: Some(Fault::Gateway(cannot)), ..decision.not_carried_out() },
    }
}

/// The decision for a gateway that can carry out everything.
fn before_the_gateway(
    evaluator: &mut Evaluator,
    basis: &Basis,
    rules: &DecisionRules,
    question: &Question<'_>,
    id: Uuid,
    moment: Moment,
) -> Decision {
    let now = moment.now;
    let gateways_tenant = question.gateway.and_then(|gateway| gateway.tenant.as_ref());
    let tenant = gateways_tenant.unwrap_or(&rules.default_tenant);
    let draft = Draft { basis, rules, challenges: &PLAIN, id, subject: None, tenant };
    let path = match RequestPath::read(&question.request.target, rules.path) {
        Ok(path) => path,
        Err(ambiguous) => {
            let message = Message::Own(Cow::Owned(ambiguous.to_string()));
            return Decision { message, ..draft.refuse(OwnReason::AmbiguousPath) };
        }
    };
    let at_endpoint = rules.is_mcp_endpoint(&path);
    let draft = if at_endpoint { Draft { challenges: &rules.challenges, ..draft } } else { draft };
    let method = upper_case(&question.request.method);
    // What an upstream needs is not known here, and one that needs a credential has no second way in.
    if question.upstream.is_none() && rules.is_public(&method, &path) {
        let mut decision = Decision { allow: true, ..draft.refuse(OwnReason::PublicPath) };
        decision.headers.without_look_alikes(question.request.headers.iter());
        return decision;
    }
    // INVARIANT: from here on the data is looked at. Stale data answers nothing: not even that a
    // token is unknown, which would make clients throw good tokens away.
    if moment.data_is_stale {
        return draft.refuse(OwnReason::DataStale);
    }
    let caller = match resolve(basis.snapshot(), question, now) {
        Ok(caller) => caller,
        Err((reason, caller)) => return draft.about(caller, rules).refuse(reason),
    };
    let draft = draft.about(caller, rules);
    let tenant_id = draft.tenant;
    let tenant = basis.tenant(tenant_id);
    let user = match caller.map_or(Ok(None), |caller| caller.user(tenant)) {
        Ok(user) => user,
        Err(reason) => return draft.refuse(reason),
    };
    let now = now.unix_seconds();
    let asked = match AskedUpstream::find(tenant_id, tenant, caller, question, now) {
        Ok(asked) => asked,
        Err(reason) => return draft.refuse(reason),
    };
    let upstream = asked.as_ref().map(AskedUpstream::input);
    let parts = InputParts {
        question,
        mcp: None,
        rules,
        method: &method,
        path: &path,
        caller,
        user,
        upstream,
        management: None,
        now,
    };
    let messages = mcp::messages(question, &method, at_endpoint);
    let asked_about = match (&messages, caller) {
        (Ok(messages), _) => messages.as_ref(),
        // That a credential is needed comes first: the rules say whether it is.
        (Err(_), None) => &[],
        (Err((reason, invalid)), Some(_)) => return draft.refuse_body(*reason, *invalid),
    };
    let (judged, explanation) = judge(evaluator, basis, (tenant_id, tenant.document()), &parts, asked_about);
    let decision = match judged {
        Judged::Allowed(verdict) => match messages {
            Ok(_) => after_allow(draft, verdict, question, asked.as_ref()),
            Err((reason, invalid)) => {
                Decision { limits: verdict.limits, ..draft.refuse_body(reason, invalid) }
            }
        },
        Judged::Denied(verdict) => draft.deny(verdict, caller.is_none()),
        Judged::ToolNotListed { scope, limits } => Decision { limits, ..draft.refuse_tool(scope) },
        Judged::Failed(fault, limits) => Decision { limits, ..draft.fail(fault) },
    };
    let messages = asked_about.iter().map(AskedMessage::from).collect();
    Decision { explanation, messages, evaluated: true, ..decision }
}

/// What the rules say.
enum Judged {
    Allowed(Verdict),
    Denied(Verdict),
    /// They allow what the token's own list does not.
    ToolNotListed {
        /// With this scope it would.
        scope: Option<Arc<str>>,
        /// The limits that the rules name all the same.
        limits: Vec<RateLimit>,
    },
    /// And the limits that the messages before named.
    Failed(Fault, Vec<RateLimit>),
}

/// Asks the rules about each message of the request, or once about a request without one. It is allowed if each is; the
/// first that is not is the answer. The explanation is that of the last question that was asked.
fn judge(
    evaluator: &mut Evaluator,
    basis: &Basis,
    (tenant, data): (&TenantId, &Document),
    parts: &InputParts<'_>,
    messages: &[Mcp<'_>],
) -> (Judged, Option<Box<Explanation>>) {
    let mut all: Option<Verdict> = None;
    let mut messages = messages.iter();
    let mut message = messages.next();
    loop {
        let parts = InputParts { mcp: message, ..*parts };
        let key = evaluator.memo.key((basis.generation(), basis.bundle().reads()), tenant, &parts);
        let (verdict, seen) = match evaluator.memo.find(key) {
            Some(verdict) => (Ok(verdict.clone()), None),
            None => {
                let input = evaluator.input.build(&parts);
                let seen = parts.question.explain.then(|| input.clone());
                let result = evaluator.evaluate(basis.bundle(), Entrypoint::Decision, data, input);
                let seen = seen.map(|input| (input, result.clone().unwrap_or(Document::Undefined)));
                let verdict = result.map_err(Fault::from).and_then(|result| Ok(Verdict::read(&result)?));
                if let Ok(verdict) = &verdict {
                    evaluator.memo.keep(key, verdict);
                }
                (verdict, seen)
            }
        };
        message = messages.next();
        let judged = match judge_one(verdict, &parts, all.take()) {
            Ok(verdict) if message.is_some() => {
                all = Some(verdict);
                continue;
            }
            Ok(verdict) => Judged::Allowed(verdict),
            Err(judged) => judged,
        };
        // To work one out takes as long as a hundred decisions: only about the message that decides.
        let explanation = seen.map(|(input, result)| {
            Box::new(basis.bundle().explain(Entrypoint::Decision, data, &input, &result))
        });
        return (judged, explanation);
    }
}

/// What the messages before this one and this one are allowed together, or why this one is not.
#[expect(
    clippy::result_large_err,
    reason = "it is taken apart at once: a box would cost each denied caller's answer"
)]
fn judge_one(
    verdict: Result<Verdict, Fault>,
    parts: &InputParts<'_>,
    before: Option<Verdict>,
) -> Result<Verdict, Judged> {
    let mut verdict = match verdict {
        Ok(verdict) => verdict,
        Err(fault) => {
            return Err(Judged::Failed(fault, before.map(|before| before.limits).unwrap_or_default()));
        }
    };
    // A call counts whatever the rules say to it: else a caller could try as often as it likes.
    let gathered = |before: Option<Verdict>, verdict: &mut Verdict| {
        let mut limits = before.map(|before| before.limits).unwrap_or_default();
        RateLimit::gather(&mut limits, std::mem::take(&mut verdict.limits));
        limits
    };
    if !verdict.allow {
        verdict.limits = gathered(before, &mut verdict);
        return Err(Judged::Denied(verdict));
    }
    let Question { request, body, .. } = parts.question;
    if !tools::lets_through(parts.caller, parts.method, request, body, parts.mcp) {
        let scope = tools::scope(parts.mcp);
        return Err(Judged::ToolNotListed { scope, limits: gathered(before, &mut verdict) });
    }
    match before {
        None => Ok(verdict),
        Some(before) => {
            let mut limits = before.limits.clone();
            RateLimit::gather(&mut limits, verdict.limits.clone());
            before.and(verdict).map_err(|differ| Judged::Failed(differ.into(), limits))
        }
    }
}

/// Methods are case-sensitive, and nobody means anything but upper case: `get` must not be a way
/// around a rule about `GET`.
pub(super) fn upper_case<'a>(method: &'a str) -> Cow<'a, str> {
    if method.bytes().any(|b| b.is_ascii_lowercase()) {
        Cow::Owned(method.to_ascii_uppercase())
    } else {
        Cow::Borrowed(method)
    }
}

/// What regate itself holds an allow to, whatever the policy says, and what it adds.
fn after_allow(
    draft: Draft<'_>,
    mut verdict: Verdict,
    question: &Question<'_>,
    asked: Option<&AskedUpstream<'_>>,
) -> Decision {
    let rules = draft.rules;
    let base = match asked {
        Some(asked) => asked.held_back(question, rules),
        None => HeaderChanges::removing(&rules.credential_headers),
    };
    let mut headers = base.and(std::mem::take(&mut verdict.set), std::mem::take(&mut verdict.remove));
    if let Some(Err(NotOn { reason, connect_url, fault })) =
        asked.map(|asked| asked.carry_out(question, rules, &mut headers))
    {
        let credential = match reason {
            OwnReason::CredentialMissing | OwnReason::ChannelInsecure => {
                asked.and_then(AskedUpstream::credential_use)
            }
            // Nobody's credential was asked about.
            _ => None,
        };
        let fault = fault.map(Fault::Credential);
        let limits = verdict.limits;
        return Decision { connect_url, credential, fault, limits, ..draft.refuse(reason) };
    }
    headers.without_look_alikes(question.request.headers.iter());
    Decision {
        connection_key: asked.and_then(AskedUpstream::connection_key),
        credential: asked.and_then(AskedUpstream::credential_use),
        ..draft.allow(verdict, headers)
    }
}

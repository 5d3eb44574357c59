//! From a question to a decision, in the order of the contract: the path, the public paths, the
//! credential, the rules, the obligations. The first that refuses is the answer.

use std::{borrow::Cow, sync::Arc};

use uuid::Uuid;

use super::{
    Document,
    basis::Basis,
    bundle::Entrypoint,
    caller::{Caller, resolve},
    evaluator::Evaluator,
    input::InputParts,
    outcome::{Decision, Fault, HeaderChanges, Message, Reasons, Subject},
    path::{AmbiguousPath, PathRules, RequestPath},
    question::Question,
    reason::{OwnReason, Reason},
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
    let now = moment.now;
    let draft = Draft { basis, rules, id, subject: None };
    let path = match RequestPath::read(&question.request.target, rules.path) {
        Ok(path) => path,
        Err(ambiguous) => {
            let message = Message::Own(Cow::Owned(ambiguous.to_string()));
            return Decision { message, ..draft.refuse(OwnReason::AmbiguousPath) };
        }
    };
    let method = upper_case(&question.request.method);
    // What an upstream needs is not known here, and one that needs a credential has no second way in.
    if question.upstream.is_none() && rules.is_public(&method, &path) {
        return Decision { allow: true, ..draft.refuse(OwnReason::PublicPath) };
    }
    // INVARIANT: from here on the data is looked at. Stale data answers nothing: not even that a
    // token is unknown, which would make clients throw good tokens away.
    if moment.data_is_stale {
        return draft.refuse(OwnReason::DataStale);
    }
    let caller = match resolve(basis.snapshot(), question, now) {
        Ok(caller) => caller,
        Err((reason, caller)) => return Draft { subject: caller.map(Subject::from), ..draft }.refuse(reason),
    };
    let draft = Draft { subject: caller.map(Subject::from), ..draft };
    let gateways_tenant = question.gateway.and_then(|gateway| gateway.tenant.as_ref());
    let tenant_id = match caller {
        Some(caller) => caller.tenant().unwrap_or(&rules.default_tenant),
        None => gateways_tenant.unwrap_or(&rules.default_tenant),
    };
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
        rules,
        method: &method,
        path: &path,
        caller,
        user,
        upstream,
        management: None,
        now,
    };
    let input = evaluator.input.build(&parts);
    let seen = question.explain.then(|| input.clone());
    let result = evaluator.evaluate(basis.bundle(), Entrypoint::Decision, tenant.document(), input);
    let explanation = seen.map(|input| {
        let result = result.clone().unwrap_or(Document::Undefined);
        Box::new(basis.bundle().explain(Entrypoint::Decision, tenant.document(), &input, &result))
    });
    let verdict = result.map_err(Fault::from).and_then(|result| Ok(Verdict::read(&result)?));
    let decision = match verdict {
        Ok(verdict) if verdict.allow => {
            after_allow(draft, verdict, &method, caller, question, asked.as_ref())
        }
        Ok(verdict) => draft.deny(verdict, caller.is_none()),
        Err(fault) => draft.fail(fault),
    };
    Decision { explanation, ..decision }
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
    method: &str,
    caller: Option<Caller<'_>>,
    question: &Question<'_>,
    asked: Option<&AskedUpstream<'_>>,
) -> Decision {
    if !tools::lets_through(caller, method, question) {
        return draft.refuse(OwnReason::ToolNotListed);
    }
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
        return Decision { connect_url, credential, fault, ..draft.refuse(reason) };
    }
    headers.without_look_alikes(question.request.headers.iter());
    Decision {
        connection_key: asked.and_then(AskedUpstream::connection_key),
        credential: asked.and_then(AskedUpstream::credential_use),
        ..draft.allow(verdict, headers)
    }
}

/// What all answers to one question have in common.
#[derive(Clone)]
pub(super) struct Draft<'a> {
    pub basis: &'a Basis,
    pub rules: &'a DecisionRules,
    pub id: Uuid,
    pub subject: Option<Subject>,
}

impl Draft<'_> {
    /// A refusal by regate itself. (The public paths are the one use with `allow` put over it.)
    pub fn refuse(self, reason: OwnReason) -> Decision {
        let challenge = match reason {
            // RFC 6750 section 3.1: no error code where no credential came.
            OwnReason::TokenMissing => Some("Bearer"),
            _ if reason.status() == 401 => Some("Bearer error=\"invalid_token\""),
            _ => None,
        };
        Decision {
            id: self.id,
            allow: false,
            status: reason.status(),
            reasons: Reasons { first: reason.into(), rest: Vec::new() },
            message: Message::Own(Cow::Borrowed(reason.message())),
            subject: self.subject,
            headers: HeaderChanges::removing(&self.rules.credential_headers),
            connection_key: None,
            connect_url: None,
            credential: None,
            challenge,
            policy_revision: self.basis.bundle().revision().clone(),
            data_revision: self.basis.snapshot().revision(),
            fault: None,
            explanation: None,
        }
    }

    pub fn fail(self, fault: Fault) -> Decision {
        let decision = self.refuse(fault.reason());
        Decision { fault: Some(fault), ..decision }
    }

    /// An allow by the policy, with these header changes, its own among them.
    pub fn allow(self, verdict: Verdict, headers: HeaderChanges) -> Decision {
        let decision = self.refuse(OwnReason::PolicyAllowed);
        Decision { allow: true, headers, ..decision.with_policys(verdict.reasons, verdict.message) }
    }

    pub fn deny(self, verdict: Verdict, anonymous: bool) -> Decision {
        let reason = if anonymous { OwnReason::TokenMissing } else { OwnReason::NoRuleMatched };
        let mut decision = self.refuse(reason);
        decision.status = verdict.status.unwrap_or(decision.status);
        if decision.status != 401 {
            decision.challenge = None;
        } else if decision.challenge.is_none() {
            decision.challenge = Some("Bearer");
        }
        decision.headers = decision.headers.and(Vec::new(), verdict.remove);
        if anonymous {
            // That a credential is needed comes first; what the policy said is kept behind it.
            decision.reasons.rest = verdict.reasons.into_iter().map(Reason::Policy).collect();
            return decision;
        }
        decision.with_policys(verdict.reasons, verdict.message)
    }
}

impl Decision {
    /// The policy's own reasons and message in place of regate's, where it gave any.
    fn with_policys(mut self, reasons: Vec<Arc<str>>, message: Option<Arc<str>>) -> Self {
        let mut reasons = reasons.into_iter().map(Reason::Policy);
        if let Some(first) = reasons.next() {
            self.reasons = Reasons { first, rest: reasons.collect() };
            // regate's text explains regate's code, not the policy's.
            self.message = Message::Own(Cow::Borrowed(""));
        }
        if let Some(message) = message {
            self.message = Message::Policy(message);
        }
        self
    }
}

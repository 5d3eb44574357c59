//! The answers: what all that are given to one question have in common.

use std::{borrow::Cow, sync::Arc};

use uuid::Uuid;

use super::{
    basis::Basis,
    caller::Caller,
    challenge::Challenges,
    decide::DecisionRules,
    mcp::InvalidMcp,
    outcome::{Decision, Fault, HeaderChanges, Message, Reasons, Subject},
    reason::{OwnReason, Reason},
    verdict::Verdict,
};
use crate::types::TenantId;

/// What all answers to one question have in common.
#[derive(Clone)]
pub(super) struct Draft<'a> {
    pub basis: &'a Basis,
    pub rules: &'a DecisionRules,
    /// Those of the path: the metadata that the configuration names is that of the MCP endpoints.
    pub challenges: &'a Challenges,
    pub id: Uuid,
    pub subject: Option<Subject>,
    /// Whose data decides, or would.
    pub tenant: &'a TenantId,
}

impl<'a> Draft<'a> {
    /// The same about this caller, in whose tenant it is.
    pub fn about(self, caller: Option<Caller<'a>>, rules: &'a DecisionRules) -> Self {
        match caller {
            Some(caller) => Self {
                subject: Some(Subject::from(caller)),
                tenant: caller.tenant().unwrap_or(&rules.default_tenant),
                ..self
            },
            None => Self { subject: None, ..self },
        }
    }

    /// A refusal by regate itself. (The public paths are the one use with `allow` put over it.)
    pub fn refuse(self, reason: OwnReason) -> Decision {
        let challenge = match reason {
            // RFC 6750 section 3.1: no error code where no credential came.
            OwnReason::TokenMissing => Some(self.challenges.missing(&[])),
            _ if reason.status() == 401 => Some(self.challenges.invalid()),
            _ => None,
        };
        Decision {
            id: self.id,
            allow: false,
            status: reason.status(),
            reasons: Reasons { first: reason.into(), rest: Vec::new() },
            message: Message::Own(Cow::Borrowed(reason.message())),
            subject: self.subject,
            tenant: self.tenant.clone(),
            limits: Vec::new(),
            messages: Vec::new(),
            headers: HeaderChanges::removing(&self.rules.credential_headers),
            connection_key: None,
            connect_url: None,
            credential: None,
            challenge,
            policy_revision: self.basis.bundle().revision().clone(),
            data_revision: self.basis.snapshot().revision(),
            fault: None,
            evaluated: false,
            explanation: None,
        }
    }

    /// A refusal of the request's body.
    pub fn refuse_body(self, reason: OwnReason, invalid: Option<InvalidMcp>) -> Decision {
        let decision = self.refuse(reason);
        match invalid {
            Some(invalid) => {
                let message = format!("{}: {invalid}", reason.message());
                Decision { message: Message::Own(Cow::Owned(message)), ..decision }
            }
            None => decision,
        }
    }

    /// A refusal by the token's own list of tools, which would let this through with `scope`.
    pub fn refuse_tool(self, scope: Option<Arc<str>>) -> Decision {
        let challenge = self.challenges.insufficient(scope.as_slice());
        Decision { challenge: Some(challenge), ..self.refuse(OwnReason::ToolNotListed) }
    }

    pub fn fail(self, fault: Fault) -> Decision {
        let decision = self.refuse(fault.reason());
        Decision { fault: Some(fault), ..decision }
    }

    /// An allow by the policy, with these header changes, its own among them.
    pub fn allow(self, verdict: Verdict, headers: HeaderChanges) -> Decision {
        let decision = self.refuse(OwnReason::PolicyAllowed);
        let limits = verdict.limits;
        Decision { allow: true, headers, limits, ..decision.with_policys(verdict.reasons, verdict.message) }
    }

    pub fn deny(self, verdict: Verdict, anonymous: bool) -> Decision {
        let challenges = self.challenges;
        let reason = if anonymous { OwnReason::TokenMissing } else { OwnReason::NoRuleMatched };
        let mut decision = self.refuse(reason);
        decision.limits = verdict.limits;
        decision.status = verdict.status.unwrap_or(decision.status);
        decision.challenge = match decision.status {
            401 => Some(challenges.missing(&verdict.scopes)),
            403 if !anonymous && !verdict.scopes.is_empty() => Some(challenges.insufficient(&verdict.scopes)),
            _ => None,
        };
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

//! A decision in AuthZEN's words (section 5.5), and its obligations (obligations profile, draft).

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{super::problem::Problem, failure::Failure, message::OBLIGATION, schema::ContextSchema};
use crate::decision::{Decision, OwnReason, Reason};

/// A decision.
#[derive(Serialize, ToSchema)]
#[schema(as = AuthzenDecision)]
pub(super) struct DecisionMessage {
    /// Whether it is permitted.
    pub decision: bool,
    #[serde(skip_serializing_if = "ContextMessage::is_empty")]
    #[schema(value_type = Option<ContextSchema>)]
    pub context: ContextMessage,
}

/// What goes with a decision, see [`ContextSchema`].
#[derive(Default, Serialize)]
pub(super) struct ContextMessage {
    /// Of an item that cannot be decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ItemError>,
    /// What has to be carried out. Whoever cannot carry one out must deny.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub obligations: Vec<Obligation>,
    #[serde(flatten)]
    pub why: Option<Why>,
}

/// Why an item cannot be decided.
#[derive(Serialize, ToSchema)]
#[schema(as = AuthzenItemError)]
pub(super) struct ItemError {
    status: u16,
    message: String,
}

/// Why, where reasons are asked for.
#[derive(Serialize)]
pub(super) struct Why {
    reason: String,
    /// Stable codes, the one that decided first.
    reasons: Vec<String>,
    message: String,
    decision_id: Uuid,
    policy_revision: String,
    data_revision: u64,
}

/// What whoever enforces the decision has to do.
#[derive(Serialize, ToSchema)]
#[schema(as = AuthzenObligation)]
pub(super) struct Obligation {
    id: &'static str,
    r#type: &'static str,
    properties: Duty,
}

/// The obligations that regate has.
#[derive(Serialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
#[schema(as = AuthzenDuty)]
pub(super) enum Duty {
    /// Of a permit: change the request's headers before it goes on: first remove, then set.
    Headers { vendor: &'static str, set: BTreeMap<String, String>, remove: Vec<String> },
    /// Of a denial: answer with this status and `WWW-Authenticate`.
    Challenge { vendor: &'static str, status: u16, www_authenticate: String },
}

const VENDOR: &str = "regate";

impl ContextMessage {
    fn is_empty(&self) -> bool {
        self.error.is_none() && self.obligations.is_empty() && self.why.is_none()
    }
}

impl DecisionMessage {
    /// The answer to an item that is not as it has to be.
    pub fn refusal(message: String) -> Self {
        let error = Some(ItemError { status: 400, message });
        Self { decision: false, context: ContextMessage { error, ..ContextMessage::default() } }
    }

    /// The answer that says a decision, with its reasons if they are asked for.
    ///
    /// # Errors
    /// [`Failure::Stale`] for one that was not made, because the data is too old.
    pub fn of(decision: &Decision, obliges: bool, reasons: bool) -> Result<Self, Failure> {
        let obligations = obligations(decision, obliges)?;
        let why = reasons.then(|| Why {
            reason: decision.reasons.first.as_str().to_owned(),
            reasons: decision.reasons.codes().map(str::to_owned).collect(),
            message: decision.message.as_str().to_owned(),
            decision_id: decision.id,
            policy_revision: decision.policy_revision.to_string(),
            data_revision: decision.data_revision.0,
        });
        Ok(Self { decision: decision.allow, context: ContextMessage { error: None, obligations, why } })
    }
}

/// What has to be done. An allow that hangs on it is given only to who does it; a challenge is dropped for who does
/// not say that it knows it, as nothing hangs on it.
///
/// # Errors
/// [`Failure::Stale`].
pub(super) fn obligations(decision: &Decision, obliges: bool) -> Result<Vec<Obligation>, Failure> {
    if decision.reasons.first == Reason::Own(OwnReason::DataStale) {
        return Err(Failure::Stale);
    }
    if decision.reasons.first == Reason::Own(OwnReason::AuditUnavailable) {
        return Err(Failure::Problem(Problem::Unrecorded));
    }
    let duty = if decision.allow {
        let remove: Vec<String> = decision.headers.remove.iter().map(ToString::to_string).collect();
        let set = decision.headers.set.clone();
        (!remove.is_empty()).then_some(("headers", Duty::Headers { vendor: VENDOR, set, remove }))
    } else {
        let challenge = decision.challenge.as_ref().filter(|_| obliges).map(ToString::to_string);
        challenge.map(|www_authenticate| {
            ("challenge", Duty::Challenge { vendor: VENDOR, status: decision.status, www_authenticate })
        })
    };
    let obligation = duty.map(|(id, properties)| Obligation { id, r#type: OBLIGATION, properties });
    Ok(obligation.into_iter().collect())
}

//! Descriptions of the messages, for the OpenAPI document: they are read by hand, since a part that is wrong within a
//! list of evaluations is an answer and no error.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::{
    IntoResponses, PartialSchema, ToSchema,
    openapi::{ContentBuilder, RefOr, Response, ResponseBuilder},
};

use super::answer::{ItemError, Obligation};

/// What a call answers that is not decided: a message.
pub(super) struct Failures;

const FAILURES: [(&str, &str); 7] = [
    ("400", "It is not as the call takes it; the message says where"),
    ("401", "The gateway did not authenticate. It says nothing about the decision"),
    ("408", "The body did not arrive in time"),
    ("413", "The body is too large"),
    ("431", "The header is too large"),
    ("500", "The policy could not say what a search has to look at"),
    ("503", "It cannot be decided now; `Retry-After` says when to try again"),
];

impl IntoResponses for Failures {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let schema: RefOr<_> = String::schema();
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let response = |description: &str| {
            let response = ResponseBuilder::new().description(description);
            RefOr::T(response.content("text/plain", content.clone()).build())
        };
        FAILURES.iter().map(|(status, text)| ((*status).to_owned(), response(text))).collect()
    }
}

/// What goes with a decision, where there is something.
#[derive(ToSchema)]
#[schema(as = AuthzenDecisionContext)]
#[allow(dead_code, reason = "the description of what `answer` writes")]
pub(super) struct ContextSchema {
    /// Why an item cannot be decided.
    error: Option<ItemError>,
    /// What has to be carried out. Whoever cannot carry one out must deny.
    obligations: Option<Vec<Obligation>>,
    /// Where reasons are asked for.
    reason: Option<String>,
    /// Stable codes, the one that decided first.
    reasons: Option<Vec<String>>,
    message: Option<String>,
    decision_id: Option<String>,
    policy_revision: Option<String>,
    data_revision: Option<u64>,
}

/// A subject or a resource.
#[derive(ToSchema)]
#[schema(as = AuthzenEntity)]
#[allow(dead_code, reason = "the description of what `message` reads")]
pub(super) struct EntitySchema {
    r#type: String,
    id: String,
    /// What the gateway says about it: untrusted.
    properties: Option<BTreeMap<String, Value>>,
}

/// A subject or a resource that is looked for.
#[derive(ToSchema)]
#[schema(as = AuthzenSearched)]
#[allow(dead_code, reason = "the description of what `message` reads")]
pub(super) struct SearchedSchema {
    r#type: String,
    /// Not looked at.
    #[schema(required = false)]
    id: Value,
    properties: Option<BTreeMap<String, Value>>,
}

/// An action.
#[derive(ToSchema)]
#[schema(as = AuthzenAction)]
#[allow(dead_code, reason = "the description of what `message` reads")]
pub(super) struct ActionSchema {
    name: String,
    properties: Option<BTreeMap<String, Value>>,
}

/// May this subject do this to this resource?
#[derive(ToSchema)]
#[schema(as = AuthzenEvaluation)]
#[allow(dead_code, reason = "the description of what `message` reads")]
pub(super) struct EvaluationSchema {
    subject: EntitySchema,
    action: ActionSchema,
    resource: EntitySchema,
    context: Option<BTreeMap<String, Value>>,
    /// `{"reasons": true}` asks why.
    #[schema(required = false)]
    options: Value,
}

/// Several evaluations, and what those have in common that do not say it themselves.
#[derive(ToSchema)]
#[schema(as = AuthzenEvaluations)]
#[allow(dead_code, reason = "the description of what `message` reads")]
pub(super) struct EvaluationsSchema {
    #[schema(required = false, nullable = false)]
    subject: Option<EntitySchema>,
    #[schema(required = false, nullable = false)]
    action: Option<ActionSchema>,
    #[schema(required = false, nullable = false)]
    resource: Option<EntitySchema>,
    context: Option<BTreeMap<String, Value>>,
    /// Each an evaluation. One that is not as it has to be is denied, with `context.error`.
    evaluations: Option<Vec<Value>>,
    /// `evaluations_semantic`: `execute_all`, `deny_on_first_deny` or `permit_on_first_permit`; `reasons`.
    options: Option<BTreeMap<String, Value>>,
}

/// Which page of a search.
#[derive(ToSchema)]
#[schema(as = AuthzenPageAsked)]
#[allow(dead_code, reason = "the description of what `page` reads")]
pub(super) struct PageSchema {
    /// The `next_token` of the page before.
    token: Option<String>,
    /// Results at most.
    limit: Option<u64>,
}

/// Which subjects may do this to this resource?
#[derive(ToSchema)]
#[schema(as = AuthzenSubjectSearch)]
#[allow(dead_code, reason = "the description of what `message` reads")]
pub(super) struct SubjectSearchSchema {
    subject: SearchedSchema,
    action: ActionSchema,
    resource: EntitySchema,
    context: Option<BTreeMap<String, Value>>,
    page: Option<PageSchema>,
}

/// Which resources may this subject do this to?
#[derive(ToSchema)]
#[schema(as = AuthzenResourceSearch)]
#[allow(dead_code, reason = "the description of what `message` reads")]
pub(super) struct ResourceSearchSchema {
    subject: EntitySchema,
    action: ActionSchema,
    resource: SearchedSchema,
    context: Option<BTreeMap<String, Value>>,
    page: Option<PageSchema>,
}

/// What may this subject do to this resource?
#[derive(ToSchema)]
#[schema(as = AuthzenActionSearch)]
#[allow(dead_code, reason = "the description of what `message` reads")]
pub(super) struct ActionSearchSchema {
    subject: EntitySchema,
    resource: EntitySchema,
    context: Option<BTreeMap<String, Value>>,
    page: Option<PageSchema>,
}

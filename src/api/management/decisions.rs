//! `/v1/decisions`: what was decided, of the caller's own tenant.
//!
//! **Must never know:** how records come there, or are kept.

use axum::{http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    super::{call, openapi::ManagementProblems, problem::Problem},
    Caller, Operation, Operator, page,
    page::Page,
    path::Named,
};
use crate::{
    store::{
        decisions::{DecisionFilter, DecisionRow},
        read_time,
    },
    types::Timestamp,
};

/// Which decisions to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DecisionListQuery {
    /// Only those about this user, with whichever credential.
    user_id: Option<String>,
    /// Only those about this token.
    token_id: Option<String>,
    /// Only those about this project.
    project_id: Option<String>,
    /// Only those about this upstream.
    upstream: Option<String>,
    /// Only those whose first reason this is.
    reason: Option<String>,
    /// Only those that were allowed, or only the others.
    allow: Option<bool>,
    /// Only those made at this time or later (RFC 3339).
    from: Option<String>,
    /// Only those made before this time (RFC 3339).
    until: Option<String>,
    /// Rows of the page, 100 unless said otherwise.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// A record and its place in the log's chain.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct RecordedDecision<'a> {
    /// Its number in the log of all tenants.
    sequence: u64,
    /// The hash that chains it to the record before.
    hash: &'a str,
    /// As `regate audit export` writes it.
    #[schema(value_type = serde_json::Value)]
    record: &'a RawValue,
}

/// A page of decisions, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct DecisionList<'a> {
    decisions: Vec<RecordedDecision<'a>>,
    /// Where the next page begins: its `after`; null at the end.
    next: Option<String>,
}

impl<'a> RecordedDecision<'a> {
    /// What stands in the database as it stands there.
    ///
    /// # Errors
    /// [`Problem::StoreFailed`] for a record that somebody made into something else.
    fn of(row: &'a DecisionRow) -> Result<Self, Problem> {
        let record = serde_json::from_str(&row.record).map_err(|_| {
            tracing::warn!(
                sequence = row.sequence,
                "a record of the decision log is no JSON any more: run regate audit verify"
            );
            Problem::StoreFailed
        })?;
        Ok(Self { sequence: row.sequence, hash: &row.hash, record })
    }
}

/// List what was decided, newest first
#[utoipa::path(
    get, path = "/v1/decisions", operation_id = "list_decisions", tag = "decisions", params(DecisionListQuery),
    responses((status = 200, description = "A page", body = DecisionList), ManagementProblems),
)]
pub(in crate::api) async fn list(caller: Caller) -> Result<Response, Problem> {
    let operator = caller.may(Operation::ListDecisions).await?;
    let query: DecisionListQuery = page::parameters(caller.uri())?;
    let length = page::length(query.limit)?;
    let before = match query.after.as_deref().map(str::parse) {
        None => None,
        Some(Ok(sequence)) => Some(sequence),
        Some(Err(_)) => {
            return Err(Problem::Invalid("after: it must be the `next` of the page before".to_owned()));
        }
    };
    let filter = DecisionFilter {
        tenant: Some(operator.tenant().clone()),
        token_id: page::id("token_id", query.token_id)?,
        user_id: page::id("user_id", query.user_id)?,
        project_id: page::id("project_id", query.project_id)?,
        upstream_id: page::id("upstream", query.upstream)?,
        reason: page::id("reason", query.reason)?,
        allow: query.allow,
        from: time("from", query.from.as_deref())?,
        until: time("until", query.until.as_deref())?,
        before,
        after: None,
        oldest_first: false,
        limit: length + 1,
    };
    let rows = operator.management()?.store.list_decisions(&filter).await?;
    let Page { rows, next } = page::cut(rows, length, |row| row.sequence.to_string(), |row| row.record.len());
    let decisions = rows.iter().map(RecordedDecision::of).collect::<Result<_, _>>()?;
    Ok(call::answer(StatusCode::OK, &DecisionList { decisions, next }))
}

/// Show one decision
#[utoipa::path(
    get, path = "/v1/decisions/{id}", operation_id = "read_decision", tag = "decisions",
    params(("id" = String, Path, description = "The decision's id")),
    responses((status = 200, description = "Its record", body = RecordedDecision), ManagementProblems),
)]
pub(in crate::api) async fn read(caller: Caller, Named(id): Named<String>) -> Result<Response, Problem> {
    let operator = caller.may(Operation::ReadDecision).await?;
    let id: Uuid = id.parse().map_err(|_| Problem::NoSuch("decision"))?;
    let row = find(&operator, id).await?;
    Ok(call::answer(StatusCode::OK, &RecordedDecision::of(&row)?))
}

/// The record of a decision of the caller's own tenant.
///
/// # Errors
/// [`Problem::NoSuch`], also for another tenant's.
pub(in crate::api) async fn find(operator: &Operator<'_>, id: Uuid) -> Result<DecisionRow, Problem> {
    Ok(operator.management()?.store.decision(id, Some(operator.tenant())).await?)
}

fn time(parameter: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let wrong = || Problem::Invalid(format!("{parameter}: it must be a time such as 2026-01-31T12:00:00Z"));
    text.map(|text| read_time(text).ok_or_else(wrong)).transpose()
}

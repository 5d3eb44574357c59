//! `/v1/upstreams`: the servers behind the gateway, and which credential goes on to them.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    super::{
        Shared, call,
        openapi::{CredentialProblems, ManagementProblems},
        problem::Problem,
    },
    Caller, Operation, Operator,
    message::{Removed, Sent, given, removed, secret, sent, sent_secret, written_status},
    page::{self, Page},
    path::Named,
};
use crate::{
    decision::{About, Document, facts::CredentialMode},
    store::{
        AsOf, StoreError,
        upstreams::{OauthSettings, UpstreamChange, UpstreamFilter, UpstreamRow},
    },
    types::{DataRevision, SecretText},
    upstream,
};

/// What an upstream is to be. What is left out stays as it is, or is the usual.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpstreamMessage {
    /// Where it is. A new one needs it; with a credential it is an `http` or `https` URL.
    #[schema(min_length = 1, max_length = 2048)]
    url: Option<String>,
    /// Every token may reach it. `false` for a new one when left out.
    allow_all: Option<bool>,
    /// Whose credential goes on. `none` for a new one when left out.
    credential: Option<CredentialMode>,
    /// The header that carries it. `Authorization` for a new one when left out.
    #[schema(min_length = 1, max_length = 128)]
    header: Option<String>,
    /// What stands in that header, with `{token}` for the credential. `Bearer {token}` for a new one when left out.
    #[schema(max_length = 256)]
    format: Option<String>,
    /// The headers whose values a credential gives as they are, in place of `header` and `format`; null goes back.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    value_headers: Option<Option<Vec<String>>>,
    /// The caller's headers that may pass, and no other; null: all but credentials.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    pass_headers: Option<Option<Vec<String>>>,
    /// Where holders consent; null: nowhere.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<OauthMessage>)]
    oauth: Option<Option<OauthMessage>>,
}

/// The client that regate is at the upstream's authorization server. Its secret has a call of its own.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OauthMessage {
    /// Where people consent: `https`; on this machine, by `http` too, where `loopback_endpoints` allows it.
    authorization_endpoint: String,
    /// Who regate is there.
    #[schema(min_length = 1, max_length = 512)]
    client_id: String,
    /// Who answers there (RFC 8414), an `https` URL. With it a completion has to carry the same `iss` (RFC 9207).
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// What the token is for (RFC 8707).
    resource: Option<String>,
    /// What is asked for.
    #[serde(default)]
    scopes: Vec<String>,
    /// Where a code becomes a token: `https`; on this machine, by `http` too, where `loopback_endpoints` allows it.
    token_endpoint: String,
}

impl From<OauthMessage> for OauthSettings {
    fn from(message: OauthMessage) -> Self {
        let OauthMessage { authorization_endpoint, token_endpoint, client_id, scopes, resource, issuer } =
            message;
        Self { authorization_endpoint, token_endpoint, client_id, scopes, resource, issuer }
    }
}

impl From<&OauthSettings> for OauthMessage {
    fn from(settings: &OauthSettings) -> Self {
        let OauthSettings { authorization_endpoint, token_endpoint, client_id, scopes, resource, issuer } =
            settings.clone();
        Self { authorization_endpoint, token_endpoint, client_id, scopes, resource, issuer }
    }
}

impl From<UpstreamMessage> for UpstreamChange {
    fn from(message: UpstreamMessage) -> Self {
        Self {
            url: message.url,
            allow_all: message.allow_all,
            credential: message.credential,
            header: message.header,
            format: message.format,
            value_headers: message.value_headers,
            pass_headers: message.pass_headers,
            oauth: message.oauth.map(|oauth| oauth.map(Into::into)),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct UpstreamAnswer<'a> {
    id: &'a str,
    tenant: &'a str,
    url: &'a str,
    allow_all: bool,
    credential: CredentialMode,
    header: &'a str,
    format: &'a str,
    /// Headers whose values a credential gives as they are; null: `header` and `format` carry it.
    value_headers: Option<&'a [String]>,
    /// The caller's headers that may pass; null: all but credentials.
    pass_headers: Option<&'a [String]>,
    oauth: Option<OauthMessage>,
    /// Whether a client secret is stored. It is never shown.
    has_client_secret: bool,
}

impl<'a> From<&'a UpstreamRow> for UpstreamAnswer<'a> {
    fn from(row: &'a UpstreamRow) -> Self {
        Self {
            id: &row.id,
            tenant: row.tenant.as_str(),
            url: &row.url,
            allow_all: row.allow_all,
            credential: row.credential,
            header: &row.header,
            format: &row.format,
            value_headers: row.value_headers.as_deref(),
            pass_headers: row.pass_headers.as_deref(),
            oauth: row.oauth.as_ref().map(Into::into),
            has_client_secret: row.has_client_secret,
        }
    }
}

/// One upstream.
#[derive(Serialize, ToSchema)]
pub(super) struct WrittenUpstream<'a> {
    #[serde(flatten)]
    upstream: UpstreamAnswer<'a>,
    /// Whether this call changed anything.
    changed: bool,
    #[schema(value_type = u64)]
    revision: DataRevision,
}

/// A page of upstreams.
#[derive(Serialize, ToSchema)]
pub(super) struct UpstreamList<'a> {
    upstreams: Vec<UpstreamAnswer<'a>>,
    /// Where the next page begins: its `after`; null at the end.
    next: Option<String>,
    #[schema(value_type = u64)]
    revision: DataRevision,
}

/// Which upstreams to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UpstreamListQuery {
    /// Only with this kind of credential.
    #[param(inline)]
    credential: Option<CredentialMode>,
    /// Only those that every token may reach, or only others.
    allow_all: Option<bool>,
    /// Rows of the page, 100 unless said otherwise.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// What regate shows to an upstream's authorization server.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientSecretMessage {
    #[serde(deserialize_with = "secret")]
    #[schema(value_type = String, write_only, min_length = 1)]
    client_secret: SecretText,
}

/// Bytes that lists of a row bring into a page.
fn weight(row: &UpstreamRow) -> usize {
    let names = row.value_headers.iter().chain(&row.pass_headers).flatten();
    row.url.len() + names.map(String::len).sum::<usize>()
}

/// List upstreams, by id; never a secret
#[utoipa::path(
    get, path = "/v1/upstreams", operation_id = "list_upstreams", tag = "upstreams", params(UpstreamListQuery),
    responses((status = 200, description = "A page", body = UpstreamList), ManagementProblems),
)]
pub(in crate::api) async fn list(caller: Caller) -> Result<Response, Problem> {
    let operator = caller.may(Operation::ListUpstreams).await?;
    let query: UpstreamListQuery = page::parameters(caller.uri())?;
    let length = page::length(query.limit)?;
    let filter = UpstreamFilter {
        tenant: operator.tenant().clone(),
        credential: query.credential,
        allow_all: query.allow_all,
        after: page::id("after", query.after)?,
        limit: length + 1,
    };
    let AsOf { revision, value } = operator.management()?.store.list_upstreams(&filter).await?;
    let Page { rows, next } = page::cut(value, length, |row| row.id.clone(), weight);
    let rows = page::visible(rows, |row| operator.sees_upstream(&row.id)).await;
    let upstreams = rows.iter().map(UpstreamAnswer::from).collect();
    Ok(call::answer(StatusCode::OK, &UpstreamList { upstreams, next, revision }))
}

/// Show one upstream; never a secret
#[utoipa::path(
    get, path = "/v1/upstreams/{id}", operation_id = "read_upstream", tag = "upstreams",
    params(("id" = String, Path, description = "The upstream's id")),
    responses((status = 200, description = "The upstream", body = WrittenUpstream), ManagementProblems),
)]
pub(in crate::api) async fn read(caller: Caller, Named(id): Named<String>) -> Result<Response, Problem> {
    let operator = caller.may_with(Operation::ReadUpstream, about(&id), Document::Null).await?;
    let AsOf { revision, value } = operator.management()?.store.upstream(operator.tenant(), &id).await?;
    Ok(show(StatusCode::OK, &value, false, revision))
}

/// Add an upstream, or change one; harmless when repeated
#[utoipa::path(
    put, path = "/v1/upstreams/{id}", operation_id = "put_upstream", tag = "upstreams", request_body = UpstreamMessage,
    params(("id" = String, Path, description = "The upstream's id")),
    responses(
        (status = 200, description = "The upstream, which was there", body = WrittenUpstream),
        (status = 201, description = "The upstream, which is new", body = WrittenUpstream),
        ManagementProblems,
    ),
)]
pub(in crate::api) async fn put(
    caller: Caller,
    Named(id): Named<String>,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Problem> {
    let Sent { message, document } = sent::<UpstreamMessage>(request, &shared.bounds).await?;
    let operator = caller.may_with(Operation::PutUpstream, about(&id), document).await?;
    let store = &operator.management()?.store;
    let present = match store.upstream(operator.tenant(), &id).await {
        Ok(found) => Some(found.value),
        Err(StoreError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let loopback = operator.management()?.credentials.loopback();
    let change = upstream::check_upstream(present.as_ref(), message.into(), loopback)?;
    let written = store.put_upstream(operator.tenant(), &id, &change).await?;
    let AsOf { value, .. } = store.upstream(operator.tenant(), &id).await?;
    Ok(show(written_status(&written), &value, written.changed, written.revision))
}

/// Remove an upstream, with its grants, credentials and flows
#[utoipa::path(
    delete, path = "/v1/upstreams/{id}", operation_id = "remove_upstream", tag = "upstreams",
    params(("id" = String, Path, description = "The upstream's id")),
    responses((status = 200, description = "It is gone", body = Removed), ManagementProblems),
)]
pub(in crate::api) async fn remove(caller: Caller, Named(id): Named<String>) -> Result<Response, Problem> {
    let operator = caller.may_with(Operation::RemoveUpstream, about(&id), Document::Null).await?;
    let revision = operator.management()?.store.remove_upstream(operator.tenant(), &id).await?;
    Ok(removed(revision))
}

/// Store what regate shows to the upstream's authorization server; it is never shown again
#[utoipa::path(
    put, path = "/v1/upstreams/{id}/oauth/client-secret", operation_id = "put_client_secret", tag = "upstreams",
    request_body = ClientSecretMessage,
    params(("id" = String, Path, description = "The upstream's id")),
    responses(
        (status = 200, description = "The upstream, with a client secret", body = WrittenUpstream),
        CredentialProblems,
    ),
)]
pub(in crate::api) async fn put_client_secret(
    caller: Caller,
    Named(id): Named<String>,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Problem> {
    let message: ClientSecretMessage = sent_secret(request, &shared.bounds).await?;
    let operator = caller.may_with(Operation::PutClientSecret, about(&id), Document::Null).await?;
    let management = operator.management()?;
    upstream::check_secret("client_secret", &message.client_secret)
        .map_err(|invalid| Problem::Invalid(invalid.to_string()))?;
    let AsOf { value, .. } = management.store.upstream(operator.tenant(), &id).await?;
    if value.oauth.is_none() {
        let text = "client_secret: nobody consents at this upstream: set its oauth first";
        return Err(Problem::Invalid(text.to_owned()));
    }
    let secret = Some(message.client_secret);
    management.credentials.put_client_secret(operator.tenant(), &id, secret).await?;
    show_again(&operator, &id, true).await
}

/// Remove the client secret; harmless when repeated
#[utoipa::path(
    delete, path = "/v1/upstreams/{id}/oauth/client-secret", operation_id = "remove_client_secret", tag = "upstreams",
    params(("id" = String, Path, description = "The upstream's id")),
    responses(
        (status = 200, description = "The upstream, without a client secret", body = WrittenUpstream),
        ManagementProblems,
    ),
)]
pub(in crate::api) async fn remove_client_secret(
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Response, Problem> {
    let operator = caller.may_with(Operation::RemoveClientSecret, about(&id), Document::Null).await?;
    let store = &operator.management()?.store;
    let AsOf { value, .. } = store.upstream(operator.tenant(), &id).await?;
    store.put_client_secret(operator.tenant(), &id, None).await?;
    show_again(&operator, &id, value.has_client_secret).await
}

/// What rules see of a call about an upstream.
fn about(id: &str) -> About<'_> {
    About { upstream: Some(id), ..About::default() }
}

async fn show_again(operator: &Operator<'_>, id: &str, changed: bool) -> Result<Response, Problem> {
    let AsOf { revision, value } = operator.management()?.store.upstream(operator.tenant(), id).await?;
    Ok(show(StatusCode::OK, &value, changed, revision))
}

fn show(status: StatusCode, row: &UpstreamRow, changed: bool, revision: DataRevision) -> Response {
    let upstream = UpstreamAnswer::from(row);
    call::answer(status, &WrittenUpstream { upstream, changed, revision })
}

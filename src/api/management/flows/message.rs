//! Flow messages on the wire.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::{
    super::{openapi::HolderKindSchema, problem::Problem},
    credentials::one_of,
    holder::HolderMessage,
    message::{named_secrets, optional_secret, time},
};
use crate::{
    decision::Subject,
    store::upstreams::{BegunBy, FlowRow},
    types::SecretText,
    upstream::Completion,
};

/// A flow that is to begin.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BeginMessage {
    #[schema(min_length = 1, max_length = 256)]
    pub upstream_id: String,
    /// Whose credential it is to be. Left out by a session: its own user's.
    pub holder: Option<HolderMessage>,
    /// Where the authorization server sends the person back to: one of `redirect_uris` of the configuration. Left out:
    /// the one that is there, if there is but one.
    pub redirect_uri: Option<String>,
}

/// How a flow is completed: with one of `token`, `headers`, and `code` with `state`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CompleteMessage {
    /// The token.
    #[serde(default, deserialize_with = "optional_secret")]
    #[schema(value_type = Option<String>, write_only)]
    token: Option<SecretText>,
    /// Values by the name of the header.
    #[serde(default, deserialize_with = "named_secrets")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>, write_only)]
    headers: Option<Vec<(String, SecretText)>>,
    /// What the authorization server sent the person back with.
    #[serde(default, deserialize_with = "optional_secret")]
    #[schema(value_type = Option<String>, write_only)]
    code: Option<SecretText>,
    /// What came with the code.
    #[serde(default, deserialize_with = "optional_secret")]
    #[schema(value_type = Option<String>, write_only)]
    state: Option<SecretText>,
    /// What came with both, if it did: who says that it answered (RFC 9207). It is looked at where the upstream's `oauth`
    /// names an `issuer`.
    iss: Option<String>,
}

impl CompleteMessage {
    pub(super) fn read(self) -> Result<Completion, Problem> {
        let invalid = |text: &str| Err(Problem::Invalid(text.to_owned()));
        match (one_of(self.token, self.headers)?, self.code, self.state) {
            (Some(given), None, None) => Ok(Completion::Given(given)),
            (None, Some(code), Some(state)) => Ok(Completion::Code { code, state, iss: self.iss }),
            (None, None, None) => invalid("token: give it, or headers, or code and state"),
            (None, Some(_), None) => invalid("state: it comes with the code"),
            (None, None, Some(_)) => invalid("code: it comes with the state"),
            (Some(_), ..) => invalid("code: give a credential, or code and state, not both"),
        }
    }
}

/// What is shown of a flow.
#[derive(Serialize, ToSchema)]
pub(super) struct FlowAnswer<'a> {
    id: &'a str,
    upstream_id: &'a str,
    tenant: &'a str,
    holder: HolderMessage,
    /// The user behind it: the holder, or the token's user.
    user_id: Option<&'a str>,
    /// `pending`, or `completing` while somebody completes it.
    state: &'static str,
    /// `values`: a token or values of headers are given; `consent`: a code of the authorization server.
    kind: &'static str,
    /// The headers whose values are to be given; empty where a token or a code is.
    header_names: &'a [String],
    /// Whether the caller began it, and so can complete it.
    may_complete: bool,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: String,
}

impl<'a> FlowAnswer<'a> {
    pub(super) fn new(row: &'a FlowRow, header_names: &'a [String], caller: &Subject) -> Self {
        let flow = &row.flow;
        let consent = flow.state_sha256.is_some();
        Self {
            id: &flow.id,
            upstream_id: &flow.key.upstream_id,
            tenant: flow.key.tenant.as_str(),
            holder: HolderMessage::from(&flow.key.holder),
            user_id: row.user_id.as_deref(),
            state: if row.taken { "completing" } else { "pending" },
            kind: if consent { "consent" } else { "values" },
            header_names: if consent { &[] } else { header_names },
            may_complete: flow.begun_by == begun_by(caller),
            created_at: time(flow.created_at),
            expires_at: time(flow.expires_at),
        }
    }
}

/// A flow that was begun.
#[derive(Serialize, ToSchema)]
pub(super) struct BegunFlow<'a> {
    #[serde(flatten)]
    pub flow: FlowAnswer<'a>,
    /// Where the person consents; null where values are given. It is not shown again.
    pub authorization_url: Option<&'a str>,
}

/// A page of flows.
#[derive(Serialize, ToSchema)]
pub(super) struct FlowList<'a> {
    pub flows: Vec<FlowAnswer<'a>>,
    /// Where the next page begins: its `after`; null at the end.
    pub next: Option<String>,
}

/// A flow that was cancelled.
#[derive(Serialize, ToSchema)]
pub(super) struct CancelledFlow<'a> {
    pub id: &'a str,
}

/// Which flows to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FlowListQuery {
    /// Of a session: all that it may read, not its own user's alone.
    #[serde(default)]
    pub all: bool,
    /// Only for this upstream.
    pub upstream_id: Option<String>,
    /// Only of this kind of holder: `user`, `token` or `shared`.
    #[param(inline, value_type = Option<HolderKindSchema>)]
    pub holder: Option<String>,
    /// Only of holders with this id.
    pub holder_id: Option<String>,
    /// Only those behind which this user is: theirs, and their tokens'.
    pub user_id: Option<String>,
    /// Only those in whose upstream's or holder's id this text stands, whatever its case.
    pub search: Option<String>,
    /// Rows of the page, 100 unless said otherwise.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    pub after: Option<String>,
}

/// Who begins or completes a flow.
pub(super) fn begun_by(caller: &Subject) -> BegunBy {
    let id = caller.user_id.as_deref().or(caller.token_id.as_deref()).unwrap_or_default();
    BegunBy { kind: caller.kind.as_str().to_owned(), id: id.to_owned() }
}

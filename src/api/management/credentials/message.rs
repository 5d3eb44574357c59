//! Credential messages on the wire: values come in and never go out.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::{
    super::{
        openapi::{CredentialStateSchema, HolderKindSchema},
        problem::Problem,
    },
    Operator,
    holder::HolderMessage,
    message::{named_secrets, optional_secret, time},
};
use crate::{
    store::{read_time, upstreams::CredentialRow},
    types::{DataRevision, SecretText, Timestamp},
    upstream::Given,
};

/// A credential: either a token, for the upstream's `header` and `format`, or the values of its `value_headers`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CredentialMessage {
    /// The token.
    #[serde(default, deserialize_with = "optional_secret")]
    #[schema(value_type = Option<String>, write_only)]
    token: Option<SecretText>,
    /// Values by the name of the header, whatever its case. Headers that the upstream does not name are dropped.
    #[serde(default, deserialize_with = "named_secrets")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>, write_only)]
    headers: Option<Vec<(String, SecretText)>>,
    /// When it expires (RFC 3339); left out: not before it is removed.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// What goes on, of what was sent: one of two.
///
/// # Errors
/// [`Problem::Invalid`] for both, and for neither.
pub(in super::super) fn one_of(
    token: Option<SecretText>,
    headers: Option<Vec<(String, SecretText)>>,
) -> Result<Option<Given>, Problem> {
    match (token, headers) {
        (Some(_), Some(_)) => Err(Problem::Invalid("token: give it or headers, not both".to_owned())),
        (Some(token), None) => Ok(Some(Given::Token(token))),
        (None, Some(headers)) => Ok(Some(Given::Headers(headers))),
        (None, None) => Ok(None),
    }
}

impl CredentialMessage {
    pub(super) fn read(self, now: Timestamp) -> Result<(Given, Option<Timestamp>), Problem> {
        let given = one_of(self.token, self.headers)?
            .ok_or_else(|| Problem::Invalid("token: give it, or headers".to_owned()))?;
        let expires_at = match self.expires_at.as_deref().map(read_time) {
            None => None,
            Some(Some(moment)) if moment.unix_seconds() > now.unix_seconds() => Some(moment),
            Some(Some(_)) => return Err(Problem::Invalid("expires_at: it has passed".to_owned())),
            Some(None) => {
                let text = "expires_at: it must be a time such as 2030-01-01T00:00:00Z, with an offset";
                return Err(Problem::Invalid(text.to_owned()));
            }
        };
        Ok((given, expires_at))
    }
}

/// What is shown of a credential: never its value.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct CredentialAnswer<'a> {
    upstream_id: &'a str,
    tenant: &'a str,
    holder: HolderMessage,
    /// The user behind it: the holder, or the token's user.
    user_id: Option<&'a str>,
    /// `active`, `orphaned` (its token lost the grant), `needs_reauth` or `needs_update`.
    #[schema(value_type = CredentialStateSchema)]
    state: &'static str,
    /// The headers whose values it has.
    header_names: &'a [String],
    /// Whether regate renews it before it expires.
    renewable: bool,
    /// Whether the caller is who it is bound to, and so may give it anew.
    may_renew: bool,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// Since when its token lacks the grant.
    #[schema(format = DateTime)]
    orphaned_at: Option<String>,
}

impl<'a> CredentialAnswer<'a> {
    pub(in super::super) fn new(row: &'a CredentialRow, operator: &Operator<'_>) -> Self {
        Self {
            upstream_id: &row.key.upstream_id,
            tenant: row.key.tenant.as_str(),
            holder: HolderMessage::from(&row.key.holder),
            user_id: row.user_id.as_deref(),
            state: row.state.as_str(),
            header_names: &row.header_names,
            renewable: row.renewable,
            may_renew: row.user_id.is_some() && row.user_id.as_deref() == operator.user_id(),
            created_at: time(row.created_at),
            updated_at: time(row.updated_at),
            expires_at: row.expires_at.map(time),
            orphaned_at: row.orphaned_at.map(time),
        }
    }
}

/// One credential.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct WrittenCredential<'a> {
    #[serde(flatten)]
    pub credential: CredentialAnswer<'a>,
    #[schema(value_type = u64)]
    pub revision: DataRevision,
}

/// A page of credentials.
#[derive(Serialize, ToSchema)]
pub(super) struct CredentialList<'a> {
    pub credentials: Vec<CredentialAnswer<'a>>,
    /// Where the next page begins: its `after`; null at the end.
    pub next: Option<String>,
    #[schema(value_type = u64)]
    pub revision: DataRevision,
}

/// Which credentials to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CredentialListQuery {
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
    /// Only in this state.
    #[param(inline, value_type = Option<CredentialStateSchema>)]
    pub state: Option<String>,
    /// Only those in whose upstream's or holder's id this text stands, whatever its case.
    pub search: Option<String>,
    /// Rows of the page, 100 unless said otherwise.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    pub after: Option<String>,
}

//! How the values of flags and arguments are read, each with the rule that holds for it everywhere.

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};

use super::exit::{Absent, CommandError};
use crate::{
    auth::{self, TokenFormat},
    decision::facts::{CredentialMode, CredentialState, ProjectRole},
    store::{StoreError, TokenState},
    types::{HolderKind, TenantId, UserRole, check_id, check_label},
};

/// The tenant of commands that work within one.
#[derive(Clone, Debug, Args)]
pub(super) struct WithinTenant {
    /// The tenant
    #[arg(long, default_value = "default", value_parser = tenant)]
    pub tenant: TenantId,
}

impl WithinTenant {
    /// The store's refusal about the row of this id, in the words of the command named after it.
    pub(super) fn explain(
        &self,
        noun: &str,
        id: &str,
        outcome: &'static str,
        error: StoreError,
    ) -> CommandError {
        let tenant = &self.tenant;
        let because = match error {
            StoreError::NotFound { .. } => format!(
                "there is no {noun} {id:?} in the tenant \"{tenant}\": see regate {noun} list --tenant {tenant}"
            ),
            StoreError::UnknownReference { .. } => no_tenant(tenant),
            other => return other.into(),
        };
        CommandError::Nothing { outcome, because: Absent(because) }
    }
}

/// What to do about a tenant that is not there.
pub(super) fn no_tenant(tenant: &TenantId) -> String {
    format!("there is no tenant \"{tenant}\": add it with regate import")
}

/// Refuses a token where its id belongs, and does not repeat it: as an argument it was seen already.
///
/// # Errors
/// [`CommandError::Usage`], which says what to do about it.
pub(super) fn refuse_token(place: &str, id: &str) -> Result<(), CommandError> {
    if !matches!(auth::identify(id), TokenFormat::Regate(_)) {
        return Ok(());
    }
    Err(CommandError::Usage(format!(
        "{place}: that is a token itself, which other users of this machine could see now: revoke it, with the token on \
         standard input: regate token revoke --stdin"
    )))
}

/// A tenant's id.
pub(super) fn tenant(text: &str) -> Result<TenantId, String> {
    TenantId::try_from(text).map_err(|error| error.to_string())
}

/// The id of a user or a project.
pub(super) fn id(text: &str) -> Result<String, String> {
    check_id(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

/// A name that may be empty.
pub(super) fn label(text: &str) -> Result<String, String> {
    check_label(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

/// A user's role in the organisation.
pub(super) fn user_role() -> impl TypedValueParser<Value = UserRole> {
    PossibleValuesParser::new(UserRole::ALL.map(UserRole::as_str))
        .try_map(|name| UserRole::from_name(&name).ok_or("no such role"))
}

/// A collaborator's role on a project.
pub(super) fn project_role() -> impl TypedValueParser<Value = ProjectRole> {
    PossibleValuesParser::new(ProjectRole::ALL.iter().map(|role| role.as_str()))
        .try_map(|name| ProjectRole::from_name(&name).ok_or("no such role"))
}

/// Which credential goes on to an upstream.
pub(super) fn credential_mode() -> impl TypedValueParser<Value = CredentialMode> {
    PossibleValuesParser::new(CredentialMode::ALL.iter().map(|mode| mode.as_str()))
        .try_map(|name| CredentialMode::from_name(&name).ok_or("no such credential"))
}

/// Whether a credential can be used.
pub(super) fn credential_state() -> impl TypedValueParser<Value = CredentialState> {
    PossibleValuesParser::new(CredentialState::ALL.iter().map(|state| state.as_str()))
        .try_map(|name| CredentialState::from_name(&name).ok_or("no such state"))
}

/// What kind of holder a credential has.
pub(super) fn holder_kind() -> impl TypedValueParser<Value = HolderKind> {
    PossibleValuesParser::new(HolderKind::ALL.map(HolderKind::as_str))
        .try_map(|name| HolderKind::from_name(&name).ok_or("no such kind of holder"))
}

/// Whether a token can be used.
pub(super) fn token_state() -> impl TypedValueParser<Value = TokenState> {
    PossibleValuesParser::new(TokenState::ALL.map(TokenState::as_str))
        .try_map(|name| TokenState::from_name(&name).ok_or("no such state"))
}

//! How the values of flags and arguments are read, each with the rule that holds for it everywhere.

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};

use crate::{
    decision::facts::ProjectRole,
    store::TokenState,
    types::{TenantId, UserRole, check_id, check_label},
};

/// The tenant of commands that work within one.
#[derive(Clone, Debug, Args)]
pub(super) struct WithinTenant {
    /// The tenant
    #[arg(long, default_value = "default", value_parser = tenant)]
    pub tenant: TenantId,
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

/// Whether a token can be used.
pub(super) fn token_state() -> impl TypedValueParser<Value = TokenState> {
    PossibleValuesParser::new(TokenState::ALL.map(TokenState::as_str)).try_map(|name| {
        TokenState::ALL.into_iter().find(|state| state.as_str() == name).ok_or("no such state")
    })
}

//! Which credential: of whom, for which upstream.

use clap::{ArgGroup, Args};

use super::row::of_holder;
use crate::{
    cli::{
        exit::{Absent, CommandError},
        store::StoreArguments,
        values::{WithinTenant, id, refuse_token},
    },
    decision::facts::CredentialMode,
    store::{StoreError, upstreams::CredentialKey},
    types::Holder,
};

/// Flags of every action on one credential.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("whose").required(true).args(["user", "token", "shared"])))]
pub(super) struct Place {
    /// The upstream's id
    #[arg(value_name = "UPSTREAM", value_parser = id)]
    upstream: String,
    /// Of this user
    #[arg(long, value_name = "USER", value_parser = id)]
    user: Option<String>,
    /// Of the token with this id; not the token itself
    #[arg(long, value_name = "TOKEN_ID")]
    token: Option<String>,
    /// The shared credential, which goes on for everybody
    #[arg(long)]
    shared: bool,
    #[command(flatten)]
    within: WithinTenant,
    #[command(flatten)]
    pub store: StoreArguments,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl Place {
    /// Which credential is meant.
    ///
    /// # Errors
    /// A token in the place of its id, and what is no id. Neither is repeated: it may be a secret.
    pub(super) fn key(&self) -> Result<CredentialKey, CommandError> {
        if let Some(token) = self.token.as_deref() {
            refuse_token("--token", token)?;
            id(token).map_err(|problem| CommandError::Usage(format!("--token: {problem}")))?;
        }
        let holder = match (&self.user, &self.token) {
            (Some(id), _) => Holder::User(id.clone()),
            (None, Some(id)) => Holder::Token(id.clone()),
            (None, None) => Holder::Shared,
        };
        let tenant = self.within.tenant.clone();
        Ok(CredentialKey { tenant, upstream_id: self.upstream.clone(), holder })
    }

    /// The store's refusal in the words of the flags. No id of a token is repeated: it may be the token itself.
    pub(super) fn explain(&self, outcome: &'static str, error: StoreError) -> CommandError {
        let (tenant, upstream) = (&self.within.tenant, &self.upstream);
        let because = match &error {
            StoreError::NotFound { what: "upstream" } => format!(
                "there is no upstream {upstream:?} in the tenant \"{tenant}\": see regate upstream list --tenant {tenant}"
            ),
            StoreError::NotFound { .. } => {
                let credential = match &self.user {
                    Some(id) => of_holder("credential", &Holder::User(id.clone())),
                    None if self.shared => of_holder("credential", &Holder::Shared),
                    None => "credential of that token".to_owned(),
                };
                format!(
                    "there is no {credential} for {upstream:?} in the tenant \"{tenant}\": see regate \
                     credentials list --tenant {tenant}"
                )
            }
            StoreError::UnknownReference { what } => {
                format!(
                    "there is no such {what} in the tenant \"{tenant}\": see regate {what} list --tenant {tenant}"
                )
            }
            StoreError::WrongHolder { mode, .. } => {
                let instead = match CredentialMode::from_name(mode) {
                    Some(CredentialMode::PerUser) => "give each user theirs, with --user",
                    Some(CredentialMode::PerToken) => "give each token its own, with --token",
                    Some(CredentialMode::Shared) => "give the shared credential, with --shared",
                    _ => "none goes on there; regate upstream put with --credential changes that",
                };
                format!("the credential of {upstream:?} is {mode}: {instead}")
            }
            StoreError::NotLive { .. } => error.to_string(),
            _ => return error.into(),
        };
        CommandError::Nothing { outcome, because: Absent(because) }
    }
}

//! `regate token mint`.

use std::io::{self, IsTerminal, Write};

use clap::Args;
use serde_json::json;

use super::{confinement::Confinement, flags::in_words_of_flags};
use crate::{
    auth::{self, MintedToken},
    cli::{
        configuration::Configuration,
        exit::{Absent, CommandError, Exit},
        rows::write_object,
        store::{StoreArguments, block_on, open_and_tell, randomness},
        values::{no_tenant, tenant},
    },
    store::{NewToken, Store, StoreError, TokenSpecification},
    types::{Clock, DataRevision, IdSource, RandomIds, SystemClock, TenantId, TokenKind},
};

/// Make a token and show it, this once
///
/// When the output is not a terminal, it is the token and nothing else. Only its SHA-256 is stored.
/// The right to trigger is never given at minting: see regate token trigger grant.
#[derive(Debug, Args)]
pub(super) struct Mint {
    /// global, project, mcp, admin or gateway
    #[arg(long)]
    kind: TokenKind,
    /// For people, 1 to 128 characters
    #[arg(long)]
    name: String,
    /// The tenant it belongs to
    #[arg(long, default_value = "default", value_parser = tenant)]
    tenant: TenantId,
    /// A gateway that speaks for all tenants
    #[arg(long, conflicts_with = "tenant")]
    all_tenants: bool,
    /// Whose it is (global tokens need one)
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// The one project of a project token
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// May read (project tokens)
    #[arg(long)]
    scope_pull: bool,
    /// May write
    #[arg(long)]
    scope_push: bool,
    #[command(flatten)]
    confinement: Confinement,
    /// So many days from now, at most max_days of [tokens] (365); left out: it does not expire
    #[arg(long, value_name = "DAYS", allow_negative_numbers = true)]
    expires_in_days: Option<i64>,
    #[command(flatten)]
    store: StoreArguments,
    /// Print the token and its metadata as JSON
    #[arg(long)]
    json: bool,
}

impl Mint {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let configuration = self.store.configuration()?;
        if configuration.database.url()?.expose().contains(":memory:") {
            let text = "sqlite::memory: keeps nothing: the token would be gone; name a file";
            return Err(CommandError::Usage(text.to_owned()));
        }
        let limits = configuration.token_limits();
        let mut random = randomness()?;
        let minted = auth::mint(self.kind, &mut random);
        let now = SystemClock.now();
        let id = RandomIds::new().next_id(now).to_string();
        let token = self
            .specification()?
            .into_new_token(id, minted.sha256, minted.prefix.clone(), limits, now)
            .map_err(|invalid| in_words_of_flags(&invalid, &self.confinement))?;
        block_on(self.store_and_show(&configuration, &token, &minted, limits.live_tokens))
    }

    fn specification(&self) -> Result<TokenSpecification, CommandError> {
        Ok(TokenSpecification {
            kind: self.kind,
            name: self.name.clone(),
            tenant: (!self.all_tenants).then(|| self.tenant.clone()),
            user_id: self.user.clone(),
            project_id: self.project.clone(),
            scope_pull: self.scope_pull,
            scope_push: self.scope_push,
            projects: self.confinement.projects()?,
            tools: self.confinement.tools(),
            expires_in_days: self.expires_in_days,
        })
    }

    /// INVARIANT: no token stays of which nobody was shown the secret, as far as the database can still be reached.
    async fn store_and_show(
        &self,
        configuration: &Configuration,
        token: &NewToken,
        minted: &MintedToken,
        most_live: u32,
    ) -> Result<Exit, CommandError> {
        let store = open_and_tell(configuration).await?;
        let revision = match store.mint_token(token, most_live).await {
            Ok(revision) => revision,
            Err(error @ StoreError::Unavailable(_)) => {
                // Whether it was stored is not known; by now the database may answer again.
                let _ = store.remove_unshown_token(&token.id).await;
                return Err(error.into());
            }
            Err(error) => return Err(self.explain(error)),
        };
        if let Err(error) = self.show(token, minted, revision) {
            return Err(take_back(&*store, &token.id, &error).await);
        }
        store.close().await;
        Ok(Exit::Done)
    }

    fn show(&self, token: &NewToken, minted: &MintedToken, revision: DataRevision) -> io::Result<()> {
        let mut output = io::stdout();
        let text = minted.token.expose();
        if self.json {
            let answer = [
                ("id", json!(token.id)),
                ("token", json!(text)),
                ("prefix", json!(token.prefix)),
                ("kind", json!(token.kind)),
                ("name", json!(token.name)),
                ("user_id", json!(token.user_id)),
                ("project_id", json!(token.project_id)),
                ("expires_at", json!(token.expires_at.map(|moment| moment.to_string()))),
                ("revision", json!(revision)),
            ];
            return write_object(&mut output, &answer);
        }
        writeln!(output, "{text}")?;
        if output.is_terminal() {
            // The token was shown; what follows may fail.
            let _ = writeln!(
                output,
                "\nid {}, revision {revision}. It is not shown again: keep it now.",
                token.id
            );
        }
        Ok(())
    }

    /// The store's refusal in the words of the flags.
    fn explain(&self, error: StoreError) -> CommandError {
        let tenant = &self.tenant;
        let within = |what: &str, flag: &Option<String>| {
            let id = flag.as_deref().unwrap_or_default();
            format!("there is no {what} {id:?} in the tenant \"{tenant}\": add it with regate {what} put")
        };
        let because = match error {
            StoreError::TooMany { .. } => format!("{error} (regate token list --user, regate token revoke)"),
            StoreError::UnknownReference { what: "user" } => within("user", &self.user),
            StoreError::UnknownReference { what: "project" } => within("project", &self.project),
            StoreError::UnknownReference { .. } => no_tenant(tenant),
            other => return other.into(),
        };
        CommandError::Nothing { outcome: "no token was made", because: Absent(because) }
    }
}

/// Removes a token that could not be shown.
async fn take_back(store: &dyn Store, id: &str, error: &io::Error) -> CommandError {
    let what = match store.remove_unshown_token(id).await {
        Ok(_) => "no token was made".to_owned(),
        Err(_) => format!("regate token revoke {id}"),
    };
    CommandError::Refused(format!("the token could not be shown ({error}): {what}"))
}

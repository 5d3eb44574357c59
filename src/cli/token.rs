//! `regate token`: mint, list and revoke, for operators with access to the database.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
};

use clap::{Args, Subcommand};
use comfy_table::{Table, presets::NOTHING};
use rand::{SeedableRng, rngs::StdRng};
use serde_json::json;

use super::{
    exit::{Absent, CommandError, Exit},
    store::{StoreArguments, block_on},
};
use crate::{
    auth,
    store::{NewToken, StoreError, TokenFilter, TokenRow},
    types::{Clock, IdSource, RandomIds, SystemClock, TenantId, Timestamp, TokenKind, check_id, check_name},
};

/// Mint, list and revoke tokens
#[derive(Debug, Args)]
pub(super) struct Token {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Mint(Box<Mint>),
    List(List),
    Revoke(Revoke),
}

impl Token {
    /// Runs the action.
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        match &self.action {
            Action::Mint(mint) => mint.run(),
            Action::List(list) => list.run(),
            Action::Revoke(revoke) => revoke.run(),
        }
    }
}

/// Make a token and show it, this once
///
/// When the output is not a terminal, it is the token and nothing else. Only its SHA-256 is stored.
/// The right to trigger is never given at minting.
#[derive(Debug, Args)]
struct Mint {
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
    /// Confine it to this project; may be repeated
    #[arg(long = "only-project", value_name = "PROJECT")]
    only_projects: Vec<String>,
    /// 1 to 365; left out: it does not expire
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=365))]
    expires_in_days: Option<u16>,
    #[command(flatten)]
    store: StoreArguments,
    /// Print the token and its metadata as JSON
    #[arg(long)]
    json: bool,
}

fn tenant(text: &str) -> Result<TenantId, String> {
    TenantId::try_from(text).map_err(|error| error.to_string())
}

/// Milliseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1000;

impl Mint {
    /// Refuses flags that have no effect for the kind: a token must not be wider than it was meant to be.
    fn check(&self) -> Result<(), CommandError> {
        let kind = self.kind;
        let is = |kinds: &[TokenKind]| kinds.contains(&kind);
        let gateway = is(&[TokenKind::Gateway]);
        let only = self.project.as_deref().unwrap_or("PROJECT");
        let wrong = [
            (self.all_tenants && !gateway, "--all-tenants is for gateway tokens".to_owned()),
            (
                gateway && (self.user.is_some() || self.project.is_some() || !self.only_projects.is_empty()),
                "a gateway token takes no --user, --project or --only-project".to_owned(),
            ),
            (
                (gateway || is(&[TokenKind::Admin])) && (self.scope_pull || self.scope_push),
                format!("--scope-pull and --scope-push have no effect on a token of kind {kind}"),
            ),
            (
                self.project.is_some() && !is(&[TokenKind::Project]),
                format!(
                    "--project is for project tokens; to confine a token of kind {kind}: --only-project {only}"
                ),
            ),
            (is(&[TokenKind::Global]) && self.user.is_none(), "a global token needs --user".to_owned()),
            (
                is(&[TokenKind::Project]) && self.project.is_none(),
                "a project token needs --project".to_owned(),
            ),
            (
                is(&[TokenKind::Project]) && !self.scope_pull && !self.scope_push,
                "a project token needs --scope-pull, --scope-push or both".to_owned(),
            ),
            (
                self.store.database_url.as_deref().is_some_and(|url| url.contains(":memory:")),
                "sqlite::memory: keeps nothing: the token would be gone; name a file".to_owned(),
            ),
        ];
        if let Some((_, problem)) = wrong.into_iter().find(|(wrong, _)| *wrong) {
            return Err(CommandError::Usage(problem));
        }
        check_name(&self.name).map_err(|error| CommandError::Usage(format!("--name: {error}")))?;
        let ids = self.user.iter().map(|id| ("--user", id));
        let ids = ids.chain(self.project.iter().map(|id| ("--project", id)));
        for (flag, id) in ids.chain(self.only_projects.iter().map(|id| ("--only-project", id))) {
            check_id(id).map_err(|error| CommandError::Usage(format!("{flag}: {error}")))?;
        }
        Ok(())
    }

    /// The store's refusal in the words of the flags.
    fn explain(&self, error: StoreError) -> CommandError {
        let what = match error {
            StoreError::UnknownReference { what } => what,
            StoreError::TooMany { .. } => {
                let because = Absent(format!("{error} (regate token list --user, regate token revoke)"));
                return CommandError::Nothing { outcome: "no token was made", because };
            }
            other => return other.into(),
        };
        let tenant = &self.tenant;
        let within = |flag: &Option<String>| {
            let id = flag.as_deref().unwrap_or_default();
            format!("there is no {what} {id:?} in the tenant \"{tenant}\": add it with regate import")
        };
        let because = match what {
            "user" => within(&self.user),
            "project" => within(&self.project),
            _ => format!("there is no tenant \"{tenant}\": add it with regate import"),
        };
        CommandError::Nothing { outcome: "no token was made", because: Absent(because) }
    }

    fn run(&self) -> Result<Exit, CommandError> {
        self.check()?;
        let mut random = StdRng::try_from_rng(&mut rand::rngs::SysRng)
            .map_err(|error| CommandError::Refused(format!("no randomness to make a token from: {error}")))?;
        let minted = auth::mint(self.kind, &mut random);
        let now = SystemClock.now();
        let token = NewToken {
            id: RandomIds::new().next_id(now).to_string(),
            tenant: (!self.all_tenants).then(|| self.tenant.clone()),
            kind: self.kind,
            name: self.name.clone(),
            sha256: minted.sha256,
            prefix: Some(minted.prefix.clone()),
            user_id: self.user.clone(),
            project_id: self.project.clone(),
            scope_pull: self.scope_pull,
            scope_push: self.scope_push,
            projects: list(&self.only_projects)
                .map(|projects| projects.into_iter().map(|p| (p, None)).collect::<BTreeMap<_, _>>()),
            tools: None,
            expires_at: self
                .expires_in_days
                .map(|days| Timestamp::from_unix_millis(now.unix_millis() + i64::from(days) * DAY)),
            created_at: now,
        };
        let revision = block_on(async {
            let store = self.store.open().await?;
            let minting = store.mint_token(&token, self.store.configuration()?.token_limits().live_tokens);
            let revision = minting.await.map_err(|error| self.explain(error))?;
            store.close().await;
            Ok(revision)
        })?;
        let mut output = io::stdout();
        let text = minted.token.expose();
        if self.json {
            let answer = json!({
                "id": token.id, "token": text, "prefix": token.prefix, "kind": token.kind,
                "expires_at": token.expires_at.map(date), "revision": revision,
            });
            writeln!(output, "{answer}")?;
        } else {
            writeln!(output, "{text}")?;
            if output.is_terminal() {
                writeln!(
                    output,
                    "\nid {}, revision {revision}. It is not shown again: keep it now.",
                    token.id
                )?;
            }
        }
        Ok(Exit::Done)
    }
}

/// `None` for an empty list: left out means not limited.
fn list(items: &[String]) -> Option<Vec<String>> {
    (!items.is_empty()).then(|| items.to_vec())
}

/// List tokens, oldest first; never the secret, never the hash
#[derive(Debug, Args)]
struct List {
    /// Only this tenant's
    #[arg(long, value_parser = tenant)]
    tenant: Option<TenantId>,
    /// Only of this kind
    #[arg(long)]
    kind: Option<TokenKind>,
    /// Only this user's
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Leave revoked ones out
    #[arg(long)]
    unrevoked: bool,
    /// The most to list
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Go on after the token with this id
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    #[command(flatten)]
    store: StoreArguments,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl List {
    fn run(&self) -> Result<Exit, CommandError> {
        let filter = TokenFilter {
            tenant: self.tenant.clone(),
            kind: self.kind,
            user_id: self.user.clone(),
            include_revoked: !self.unrevoked,
            after: self.after.clone(),
            limit: self.limit,
            ..TokenFilter::default()
        };
        let rows = block_on(async {
            let store = self.store.open().await?;
            let rows = store.list_tokens(&filter).await?.value;
            store.close().await;
            Ok(rows)
        })?;
        let now = SystemClock.now();
        let mut output = io::stdout().lock();
        if self.json {
            for row in &rows {
                writeln!(output, "{}", metadata(row, now))?;
            }
            return Ok(Exit::Done);
        }
        if rows.is_empty() {
            writeln!(output, "no tokens")?;
            return Ok(Exit::Done);
        }
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header([
            "ID", "KIND", "NAME", "PREFIX", "TENANT", "USER", "PROJECT", "RIGHTS", "STATE", "EXPIRES",
        ]);
        for row in &rows {
            table.add_row([
                row.id.clone(),
                row.kind.to_string(),
                row.name.clone(),
                row.prefix.clone().unwrap_or_default(),
                row.tenant.as_ref().map_or("(all)".to_owned(), ToString::to_string),
                row.user_id.clone().unwrap_or_default(),
                row.project_id.clone().unwrap_or_default(),
                rights(row),
                row.state(now).as_str().to_owned(),
                row.expires_at.map(date).unwrap_or_default(),
            ]);
        }
        writeln!(output, "{table}")?;
        if let (true, Some(last)) = (rows.len() == self.limit as usize, rows.last()) {
            writeln!(output, "There may be more: --after {}", last.id)?;
        }
        Ok(Exit::Done)
    }
}

/// What it may, in the words of its columns.
fn rights(row: &TokenRow) -> String {
    let rights = [("pull", row.scope_pull), ("push", row.scope_push), ("trigger", row.allow_trigger)];
    let given: Vec<&str> = rights.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
    given.join("+")
}

fn metadata(row: &TokenRow, now: Timestamp) -> serde_json::Value {
    json!({
        "id": row.id, "tenant": row.tenant, "kind": row.kind, "name": row.name, "prefix": row.prefix,
        "user_id": row.user_id, "project_id": row.project_id, "scope_pull": row.scope_pull,
        "scope_push": row.scope_push, "allow_trigger": row.allow_trigger, "projects": row.projects,
        "tools": row.tools, "state": row.state(now).as_str(), "created_at": date(row.created_at),
        "expires_at": row.expires_at.map(date), "revoked_at": row.revoked_at.map(date),
        "last_used_at": row.last_used_at.map(date),
    })
}

/// A moment as RFC 3339.
fn date(moment: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(moment.unix_millis())
        .map_or_else(|_| String::new(), |date| date.to_string())
}

/// Revoke a token; the row stays, and doing it again is harmless
#[derive(Debug, Args)]
struct Revoke {
    /// The token's id
    id: String,
    /// Only if it belongs to this tenant
    #[arg(long, value_parser = tenant)]
    tenant: Option<TenantId>,
    #[command(flatten)]
    store: StoreArguments,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Revoke {
    fn run(&self) -> Result<Exit, CommandError> {
        let revocation = block_on(async {
            let store = self.store.open().await?;
            let revoking = store.revoke_token(&self.id, self.tenant.as_ref(), SystemClock.now());
            let revocation = revoking.await.map_err(|error| match error {
                StoreError::NotFound { .. } => CommandError::Nothing {
                    outcome: "nothing was revoked",
                    because: Absent(format!("there is no token {:?}: see regate token list", self.id)),
                },
                other => other.into(),
            })?;
            store.close().await;
            Ok(revocation)
        })?;
        let mut output = io::stdout();
        let revoked_at = date(revocation.revoked_at);
        if self.json {
            let answer = json!({
                "id": self.id, "revoked_at": revoked_at, "changed": revocation.changed,
                "revision": revocation.revision,
            });
            writeln!(output, "{answer}")?;
        } else {
            let word = if revocation.changed { "revoked" } else { "was revoked already" };
            writeln!(output, "{} {word} ({revoked_at}), revision {}", self.id, revocation.revision)?;
        }
        Ok(Exit::Done)
    }
}

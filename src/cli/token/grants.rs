//! `regate token grants`.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use clap::Args;
use serde_json::json;

use super::one::{OneToken, Refusal};
use crate::{
    auth::{self, TokenFormat},
    cli::{
        exit::{Absent, CommandError, Exit},
        printable::as_name,
        rows::write_object,
        store::Access,
        values::id,
    },
    store::{Store, StoreError},
    types::{Clock, DataRevision, SystemClock, TenantId},
    upstream::missing_upstreams,
};

/// Show which upstreams a token has grants for, or bring all of its grants to a list
///
/// With --upstream or --none the list takes the place of all grants that are there, and the token's credentials follow
/// in the same moment: those of upstreams that it loses are orphaned, those of upstreams that it gets back are active. Upstreams
/// that are open to all (--allow-all) need no grant. From the side of an upstream: regate upstream grants.
#[derive(Debug, Args)]
pub(super) struct Grants {
    #[command(flatten)]
    one: OneToken,
    /// An upstream that it may reach; may be repeated
    #[arg(long = "upstream", value_name = "UPSTREAM", value_parser = id)]
    upstreams: Vec<String>,
    /// It has no grant
    #[arg(long, conflicts_with = "upstreams")]
    none: bool,
}

impl Grants {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let (one, now) = (&self.one, SystemClock.now());
        let write = self.none || !self.upstreams.is_empty();
        if !write {
            let (id, found) = one.run(Access::Read, "nothing to show", async |store, id| {
                let tenant = self.tenant(store, id).await?;
                Ok((id.to_owned(), store.token_grants(&tenant, id).await?))
            })?;
            return self.show(&id, &found.value, false, found.revision);
        }
        let wanted: BTreeSet<String> = self.upstreams.iter().cloned().collect();
        let (id, written, found) = one.run(Access::Change, "nothing was changed", async |store, id| {
            let tenant = self.tenant(store, id).await?;
            let written = match store.set_token_grants(&tenant, id, &wanted, now).await {
                Err(StoreError::UnknownReference { .. }) => {
                    let missing = missing_upstreams(store, &tenant, &wanted).await?;
                    return Err(Refusal::Command(unknown("upstream", &missing, &tenant)));
                }
                written => written?,
            };
            Ok((id.to_owned(), written, store.token_grants(&tenant, id).await?))
        })?;
        self.show(&id, &found.value, written.changed, written.revision)
    }

    /// The tenant of the token.
    async fn tenant(&self, store: &dyn Store, id: &str) -> Result<TenantId, Refusal> {
        let row = store.token(id, self.one.tenant.as_ref()).await?.value;
        row.tenant.ok_or_else(|| {
            let because = "a token of all tenants has no grants: upstreams are a tenant's".to_owned();
            Refusal::Command(CommandError::Refused(because))
        })
    }

    fn show(
        &self,
        id: &str,
        upstreams: &[String],
        changed: bool,
        revision: DataRevision,
    ) -> Result<Exit, CommandError> {
        let mut output = io::stdout().lock();
        if self.one.json {
            let fields = [
                ("token_id", json!(id)),
                ("upstreams", json!(upstreams)),
                ("changed", json!(changed)),
                ("revision", json!(revision)),
            ];
            write_object(&mut output, &fields)?;
            return Ok(Exit::Done);
        }
        for upstream in upstreams {
            writeln!(output, "{}", as_name(upstream))?;
        }
        let (count, noun) = (upstreams.len(), if upstreams.len() == 1 { "upstream" } else { "upstreams" });
        writeln!(output, "grants for {count} {noun}, revision {revision}")?;
        Ok(Exit::Done)
    }
}

/// Some of those that were listed are not there.
pub(in crate::cli) fn unknown(noun: &str, missing: &[String], tenant: &TenantId) -> CommandError {
    // What looks like a token may be one, which is not repeated.
    let named = |id: &String| match auth::identify(id) {
        TokenFormat::Foreign => format!("{id:?}"),
        _ => "that is no id but a token".to_owned(),
    };
    let missing: Vec<String> = missing.iter().map(named).collect();
    let missing = if missing.is_empty() { "of those".to_owned() } else { missing.join(", ") };
    let because = format!(
        "there is no {noun} {missing} in the tenant \"{tenant}\": see regate {noun} list --tenant {tenant}"
    );
    CommandError::Nothing { outcome: "nothing was changed", because: Absent(because) }
}

//! `regate upstream grants`.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use clap::Args;
use serde_json::json;

use super::One;
use crate::{
    cli::{
        exit::{CommandError, Exit},
        printable::as_name,
        rows::{write_object, yes},
        store::Access,
        token,
        values::{id, refuse_token},
    },
    store::{AsOf, Store, StoreError, upstreams::UpstreamGrants},
    types::DataRevision,
    upstream::missing_tokens,
};

/// Show which tokens have grants for an upstream, or bring all of its grants to a list
///
/// With --token or --none the list takes the place of all grants that are there, and credentials follow in the same
/// moment: those of tokens that lose the grant are orphaned, those of tokens that get it back are active. From the side of
/// a token: regate token grants.
#[derive(Debug, Args)]
pub(super) struct Grants {
    #[command(flatten)]
    one: One,
    /// A token that may reach it; may be repeated
    #[arg(long = "token", value_name = "TOKEN_ID", value_parser = id)]
    tokens: Vec<String>,
    /// No token has a grant
    #[arg(long, conflicts_with = "tokens")]
    none: bool,
    /// With --token or --none: every token may reach it, grant or no grant; --allow-all=false to end that. To change it alone:
    /// regate upstream put UPSTREAM --allow-all
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_all: Option<bool>,
}

impl Grants {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let one = &self.one;
        self.tokens.iter().try_for_each(|id| refuse_token("--token", id))?;
        if !self.none && self.tokens.is_empty() {
            if self.allow_all.is_some() {
                let text = "--allow-all: give the list as well (--token or --none); alone it is for regate upstream put";
                return Err(CommandError::Usage(text.to_owned()));
            }
            let (tokens, allow_all) = one.store.run(Access::Read, async |store| {
                self.read(store).await.map_err(|error| one.explain("nothing to show", error))
            })?;
            return self.show(&tokens.value, allow_all, false, tokens.revision);
        }
        let grants = UpstreamGrants {
            tokens: self.tokens.iter().cloned().collect::<BTreeSet<_>>(),
            allow_all: self.allow_all,
        };
        let (written, (tokens, allow_all)) = one.store.run(Access::Change, async |store| {
            let explain = |error| one.explain("nothing was changed", error);
            let written = match store.set_upstream_grants(one.tenant(), &one.id, &grants).await {
                Err(StoreError::UnknownReference { .. }) => {
                    let missing = missing_tokens(store, one.tenant(), &grants.tokens).await?;
                    return Err(token::unknown("token", &missing, one.tenant()));
                }
                written => written.map_err(explain)?,
            };
            Ok((written, self.read(store).await.map_err(explain)?))
        })?;
        self.show(&tokens.value, allow_all, written.changed, written.revision)
    }

    async fn read(&self, store: &dyn Store) -> Result<(AsOf<Vec<String>>, bool), StoreError> {
        let one = &self.one;
        let allow_all = store.upstream(one.tenant(), &one.id).await?.value.allow_all;
        Ok((store.upstream_grants(one.tenant(), &one.id).await?, allow_all))
    }

    fn show(
        &self,
        tokens: &[String],
        allow_all: bool,
        changed: bool,
        revision: DataRevision,
    ) -> Result<Exit, CommandError> {
        let mut output = io::stdout().lock();
        if self.one.json {
            let fields = [
                ("upstream_id", json!(self.one.id)),
                ("allow_all", json!(allow_all)),
                ("tokens", json!(tokens)),
                ("changed", json!(changed)),
                ("revision", json!(revision)),
            ];
            write_object(&mut output, &fields)?;
            return Ok(Exit::Done);
        }
        for token in tokens {
            writeln!(output, "{}", as_name(token))?;
        }
        let (count, noun) = (tokens.len(), if tokens.len() == 1 { "token has" } else { "tokens have" });
        let all = yes(allow_all);
        writeln!(output, "{count} {noun} a grant; every token may reach it: {all}; revision {revision}")?;
        Ok(Exit::Done)
    }
}

//! `regate audit export`.

use std::io::{self, BufWriter, Write};

use clap::Args;

use crate::{
    audit::line,
    cli::{
        exit::{CommandError, Exit},
        replay::moment::End,
        store::{Access, StoreArguments, described},
        values::{refuse_token, tenant},
    },
    store::decisions::DecisionFilter,
    types::{Clock, SystemClock, TenantId},
};

/// Rows that are read at once.
const PAGE: u32 = 1_000;

/// Write the decision log as JSON lines, oldest first
///
/// Each line is a record with its `sequence` and `hash` before it. regate replay reads these lines, and jq does:
///
///     regate audit export --from 24h | jq -r 'select(.decision.allow | not) | .decision.reason' | sort | uniq -c
///     regate audit export --from 24h | regate replay --policies ./new --database-url postgres://… -
///
/// The text that was hashed is the line without `"sequence":…,"hash":"…",`. To fetch what is new since the last time, go
/// on after the last line: --after SEQUENCE.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Export {
    /// Only what was decided since then: `24h` before now, or a time as in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = End::argument)]
    from: Option<End>,
    /// Only what was decided before then
    #[arg(long, value_name = "TIME", value_parser = End::argument)]
    until: Option<End>,
    /// Only records after this one
    #[arg(long, value_name = "SEQUENCE")]
    after: Option<u64>,
    /// Only this tenant's
    #[arg(long, value_parser = tenant)]
    tenant: Option<TenantId>,
    /// Only about the token with this id; not the token itself
    #[arg(long, value_name = "TOKEN_ID")]
    token: Option<String>,
    /// Only about this user
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only about this project
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// Only with this first reason, such as token.expired
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    store: StoreArguments,
}

impl Export {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        self.token.as_deref().map_or(Ok(()), |id| refuse_token("--token", id))?;
        let now = SystemClock.now();
        let mut filter = DecisionFilter {
            tenant: self.tenant.clone(),
            token_id: self.token.clone(),
            user_id: self.user.clone(),
            project_id: self.project.clone(),
            reason: self.reason.clone(),
            from: self.from.map(|end| end.moment(now)),
            until: self.until.map(|end| end.moment(now)),
            after: self.after,
            oldest_first: true,
            limit: PAGE,
            ..DecisionFilter::default()
        };
        let is_empty = self.store.run(Access::Read, async |store| {
            let mut written = 0;
            let mut output = BufWriter::new(io::stdout().lock());
            loop {
                let rows = store.list_decisions(&filter).await?;
                for row in &rows {
                    writeln!(output, "{}", line(row))?;
                }
                written += rows.len();
                filter.after = rows.last().map(|row| row.sequence);
                if rows.len() < PAGE as usize {
                    break;
                }
            }
            output.flush()?;
            let any = DecisionFilter { limit: 1, ..DecisionFilter::default() };
            Ok(written == 0 && store.list_decisions(&any).await?.is_empty())
        })?;
        if is_empty {
            let database = described(&self.store.configuration()?)?;
            let _ = writeln!(io::stderr(), "regate: the decision log of {database} is empty");
        }
        Ok(Exit::Done)
    }
}

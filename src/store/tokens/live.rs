//! Which tokens are live, as SQL and as a state: neither revoked nor expired, by whole seconds, as decisions
//! see it.

use serde_json::json;

use super::TokenState;
use crate::{
    store::{
        StoreError,
        database::{Row, Transaction},
        dialect::Dialect,
        load::{self, Unreadable},
        row, schema, time,
    },
    types::{TenantId, Timestamp, TokenKind},
};

/// The condition that the token `t` is live at the moment whose [`first_expiry_after`] is `r.expires_at`.
pub(in crate::store) fn is_live(dialect: Dialect) -> String {
    // An expiry that cannot be read has passed.
    format!(
        "(t.revoked_at is null and (t.expires_at is null or coalesce({} >= r.expires_at, false)))",
        dialect.moment("t.expires_at")
    )
}

/// The earliest expiry of a token that is live at `now`.
pub(in crate::store) fn first_expiry_after(now: Timestamp) -> String {
    time::to_text(Timestamp::from_unix_seconds(now.unix_seconds().saturating_add(1)))
}

/// The condition that the token `t` is within the tenant that is asked for; without one, any is.
pub(in crate::store) const fn own(tenant: Option<&TenantId>) -> &'static str {
    if tenant.is_some() { "t.tenant = r.tenant" } else { "true" }
}

/// What decides what may be changed about a token.
pub(in crate::store) struct Standing {
    pub(in crate::store) kind: TokenKind,
    revoked: bool,
    expires_at: Option<Timestamp>,
    /// When the newest token of its user was made that could be minted by `horizon`.
    newest: Option<Timestamp>,
}

/// How far another process's clock may be ahead of ours, and how long we may have waited for a lock.
const HORIZON_SECONDS: i64 = 60;

impl Standing {
    /// # Errors
    /// [`StoreError::NotLive`] unless the token is live at `now`.
    pub(in crate::store) fn refuse_dead(&self, now: Timestamp) -> Result<(), StoreError> {
        let state = match TokenState::of(self.revoked, self.expires_at, now) {
            TokenState::Live => return Ok(()),
            state => state.as_str(),
        };
        Err(StoreError::NotLive { state })
    }

    /// The same, and whoever counted its user's live tokens in order to mint one must have counted it.
    ///
    /// INVARIANT: a cap on live tokens is not got round by giving time to one that a mint saw expired. That mint
    /// may have been asked for after us and be written before us.
    pub(in crate::store) fn refuse_dead_to_mints(&self, now: Timestamp) -> Result<(), StoreError> {
        self.refuse_dead(self.newest.map_or(now, |newest| newest.max(now)))
    }
}

/// Looks at a token that is about to be changed, and holds it until the transaction ends; and its user before it,
/// so that nobody counts that user's tokens meanwhile. Whoever mints or removes takes the user first as well:
/// nobody who holds a token waits for its user.
///
/// # Errors
/// [`StoreError::NotFound`].
pub(in crate::store) async fn hold(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    id: &str,
    tenant: Option<&TenantId>,
    now: Timestamp,
) -> Result<Standing, StoreError> {
    let rows = dialect.rows(schema::TOKENS.columns);
    let (own, held) = (own(tenant), dialect.hold());
    let horizon = Timestamp::from_unix_seconds(now.unix_seconds().saturating_add(HORIZON_SECONDS));
    let parameter = row::one(json!({"id": id, "tenant": tenant, "created_at": time::to_text(horizon)}));
    let user = format!(
        "select 0 from {rows} join tokens as k on k.id = r.id \
         join users as t on t.tenant = k.tenant and t.id = k.user_id where {own}{held}"
    );
    transaction.query(&user, Some(&parameter), &mut |_| Ok(())).await?;
    let token = format!(
        "select t.id, t.kind, t.revoked_at is not null, t.expires_at, \
         (select max(n.created_at) from tokens as n where n.tenant = t.tenant and n.user_id = t.user_id \
         and n.created_at < r.created_at) \
         from {rows} join tokens as t on t.id = r.id where {own}{held}"
    );
    let mut found = None;
    transaction
        .query(&token, Some(&parameter), &mut |row| {
            found = Some(standing(row).map_err(|reason| StoreError::corrupt("tokens", reason.0))?);
            Ok(())
        })
        .await?;
    found.ok_or(StoreError::NotFound { what: "token" })
}

fn standing(row: &dyn Row) -> Result<Standing, Unreadable> {
    let id = load::text(row, 0)?;
    Ok(Standing {
        kind: load::kind(row, 1, &id)?,
        revoked: row.flag(2)?,
        expires_at: row.time(3)?,
        newest: row.time(4)?,
    })
}

//! Renewing credentials before they expire: who does it, and what came of it.

use serde_json::{Value, json};

use super::{
    CredentialKey, Renewal, RenewalsWanted, Renewed,
    credentials::read_key,
    holding::{self, CREDENTIAL_KEY, SAME_CREDENTIAL},
    rows, sealed,
};
use crate::{
    store::{
        StoreError,
        database::{Row, Transaction},
        dialect::Dialect,
        load::{Tenants, Unreadable},
        revision, row,
        schema::{Column, text, time as time_column},
        time,
        tokens::live,
    },
    types::{DataRevision, Timestamp},
};

/// What [`read`] reads: of a credential `t`, its upstream `u` and what is shown to its authorization server, `s`.
const COLUMNS: &str = "t.tenant, t.upstream_id, t.holder, t.holder_id, cast(u.oauth as text), s.key_id, s.sealed, \
    t.refresh_key_id, t.sealed_refresh, t.version";

/// See [`UpstreamStore::claim_renewals`](super::UpstreamStore::claim_renewals).
pub(in crate::store) async fn claim(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    wanted: &RenewalsWanted,
) -> Result<Vec<Renewal>, StoreError> {
    let RenewalsWanted { only, expiring_before, now, held_until, limit } = wanted;
    let which = if only.is_some() {
        SAME_CREDENTIAL.to_owned()
    } else {
        format!("coalesce({} < r.expires_at, false)", dialect.moment("t.expires_at"))
    };
    // Those that somebody else is about to claim, or is writing, are passed over: nobody waits here.
    let sql = format!(
        "select {COLUMNS} from {} join upstream_credentials as t on {which} \
         join upstreams as u on u.tenant = t.tenant and u.id = t.upstream_id \
         left join upstream_client_secrets as s on s.tenant = t.tenant and s.upstream_id = t.upstream_id \
         where t.sealed_refresh is not null and t.state in ('active', 'orphaned') and u.oauth is not null \
         and coalesce({} <= r.renew_after, true) and {} order by t.expires_at limit {limit}{}",
        dialect.rows(CREDENTIAL_KEY.iter().chain(&[
            time_column("expires_at"),
            time_column("renew_after"),
            time_column("token_expires_at"),
        ])),
        dialect.moment("t.renew_after"),
        of_somebody(dialect),
        dialect.hold_what_is_free(),
    );
    let moments = json!({
        "expires_at": time::to_text(*expiring_before), "renew_after": time::to_text(*now),
        "token_expires_at": live::first_expiry_after(*now),
    });
    let parameter = row::both(only.as_ref().map_or_else(|| json!({}), holding::credential_key), moments);
    let mut due = row::read_all(transaction, "upstream_credentials", &sql, parameter, read).await?;
    for renewal in due.iter_mut().filter_map(|(_, renewal)| renewal.as_mut()) {
        renewal.held_until = *held_until;
    }
    let sql = format!(
        "update upstream_credentials as t set renew_after = r.renew_after from {} where {SAME_CREDENTIAL}",
        dialect.rows(CREDENTIAL_KEY.iter().chain(&[time_column("renew_after")]))
    );
    let held = json!({"renew_after": time::to_text(*held_until)});
    let keys = due.iter().map(|(key, _)| row::both(holding::credential_key(key), held.clone())).collect();
    transaction.execute(&sql, Some(&Value::Array(keys).to_string())).await?;
    revision::end(transaction, dialect).await?;
    Ok(due.into_iter().filter_map(|(_, renewal)| renewal).collect())
}

/// The condition that the holder of `t` could use it at the moment whose [`live::first_expiry_after`] is
/// `r.token_expires_at`. For nobody else an authorization server is asked.
fn of_somebody(dialect: Dialect) -> String {
    format!(
        "case t.holder when 'shared' then true \
         when 'user' then exists (select 1 from users as p where p.tenant = t.tenant and p.id = t.user_id \
             and not p.disabled) \
         else exists (select 1 from tokens as k left join users as p on p.tenant = k.tenant and p.id = k.user_id \
             where k.tenant = t.tenant and k.id = t.token_id and k.revoked_at is null \
             and (k.expires_at is null or coalesce({} >= r.token_expires_at, false)) \
             and (k.user_id is null or coalesce(not p.disabled, false))) end",
        dialect.moment("k.expires_at")
    )
}

/// The key, and the renewal unless where to ask for it cannot be read.
fn read(row: &dyn Row, tenants: &mut Tenants) -> Result<(CredentialKey, Option<Renewal>), Unreadable> {
    let key = read_key(row, tenants)?;
    let oauth = row.text(4)?.and_then(rows::oauth);
    let (client_secret, refresh) = (sealed::read_optional(row, 5)?, sealed::read(row, 7)?);
    let version = row.number(9)?;
    let renewal = oauth.map(|oauth| Renewal {
        key: key.clone(),
        oauth,
        client_secret,
        refresh,
        version,
        // Not written yet.
        held_until: Timestamp::from_unix_seconds(0),
    });
    Ok((key, renewal))
}

/// See [`UpstreamStore::finish_renewal`](super::UpstreamStore::finish_renewal).
pub(in crate::store) async fn finish(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    key: &CredentialKey,
    version: i64,
    outcome: &Renewed,
    now: Timestamp,
) -> Result<Option<DataRevision>, StoreError> {
    const VALUES: [Column; 8] = [
        text("key_id"),
        text("sealed"),
        text("refresh_key_id"),
        text("sealed_refresh"),
        time_column("expires_at"),
        time_column("updated_at"),
        time_column("renew_after"),
        time_column("held_until"),
    ];
    let mut own = String::new();
    let (assignments, values) = match outcome {
        Renewed::As { sealed, refresh, expires_at } => (
            "key_id = r.key_id, sealed = r.sealed, \
             refresh_key_id = coalesce(r.refresh_key_id, t.refresh_key_id), \
             sealed_refresh = coalesce(r.sealed_refresh, t.sealed_refresh), \
             expires_at = r.expires_at, updated_at = r.updated_at, renew_after = null, version = t.version + 1",
            json!({
                "key_id": sealed.key.to_string(), "sealed": sealed::to_text(sealed),
                "refresh_key_id": refresh.as_ref().map(|refresh| refresh.key.to_string()),
                "sealed_refresh": refresh.as_ref().map(sealed::to_text),
                "expires_at": expires_at.map(time::to_text), "updated_at": time::to_text(now),
            }),
        ),
        Renewed::Refused => (
            // What needs other headers needs them still.
            "state = case when t.state in ('active', 'orphaned') then 'needs_reauth' else t.state end, \
             orphaned_at = null, renew_after = null",
            json!({}),
        ),
        Renewed::NotBefore { moment, held_until } => {
            own = format!(" and {} = r.held_until", dialect.moment("t.renew_after"));
            let moments =
                json!({"renew_after": time::to_text(*moment), "held_until": time::to_text(*held_until)});
            ("renew_after = r.renew_after", moments)
        }
    };
    let sql = format!(
        "update upstream_credentials as t set {assignments} from {} \
         where {SAME_CREDENTIAL} and t.version = {version}{own}",
        dialect.rows(CREDENTIAL_KEY.iter().chain(&VALUES))
    );
    let parameter = row::one(row::both(holding::credential_key(key), values));
    let written = transaction.execute(&sql, Some(&parameter)).await? > 0;
    let revision = revision::end(transaction, dialect).await?;
    Ok(written.then_some(revision))
}

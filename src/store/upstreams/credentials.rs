//! Credentials, one at a time and in lists; never what is sealed in them.

use serde_json::json;

use super::{
    CredentialFilter, CredentialKey, CredentialRow, CredentialWritten, NewCredential,
    holding::{self, CREDENTIAL_KEY, SAME_CREDENTIAL},
    page, sealed,
};
use crate::{
    decision::facts::CredentialState,
    store::{
        StoreError,
        database::{Row, Transaction},
        dialect::Dialect,
        load::{self, Tenants, Unreadable},
        revision, row,
        schema::{Column, json as json_column, text, time as time_column},
        time,
    },
    types::{DataRevision, HolderKind, KeyId, Timestamp},
};

/// What [`read`] reads: of a credential `t`, its token `k` and its upstream `u`.
const COLUMNS: &str = "t.tenant, t.upstream_id, t.holder, t.holder_id, coalesce(t.user_id, k.user_id), t.state, \
    cast(t.header_names as text), t.key_id, \
    t.sealed_refresh is not null and u.oauth is not null and t.state in ('active', 'orphaned'), \
    t.expires_at, t.created_at, t.updated_at, t.orphaned_at";

/// The credential `t` with its upstream `u`.
const WITH_UPSTREAM: &str = "join upstreams as u on u.tenant = t.tenant and u.id = t.upstream_id";

/// See [`UpstreamStore::put_credential`](super::UpstreamStore::put_credential).
pub(in crate::store) async fn put(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    credential: &NewCredential,
) -> Result<CredentialWritten, StoreError> {
    hold(transaction, dialect, &credential.key, credential.now).await?;
    let (created, state) = store(transaction, dialect, credential).await?;
    let revision = revision::end(transaction, dialect).await?;
    Ok(CredentialWritten { revision, created, state })
}

/// Holds the holder and the upstream of a credential that is to be.
///
/// # Errors
/// See [`UpstreamStore::put_credential`](super::UpstreamStore::put_credential).
pub(super) async fn hold(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    key: &CredentialKey,
    now: Timestamp,
) -> Result<(), StoreError> {
    let holder = match holding::holder(transaction, dialect, key, now).await {
        Err(error @ (StoreError::UnknownReference { .. } | StoreError::NotLive { .. })) => Err(error),
        other => Ok(other?),
    };
    // What is wrong with the upstream is said first: without it there is no holder to look for.
    holding::fitting_upstream(transaction, dialect, key).await?;
    holder
}

/// Stores a credential whose holder and upstream are held. Gives whether there was none, and what it is now.
pub(super) async fn store(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    credential: &NewCredential,
) -> Result<(bool, CredentialState), StoreError> {
    const VALUES: [Column; 11] = [
        text("state"),
        text("form"),
        json_column("header_names"),
        text("key_id"),
        text("sealed"),
        text("refresh_key_id"),
        text("sealed_refresh"),
        time_column("expires_at"),
        time_column("updated_at"),
        time_column("orphaned_at"),
        time_column("renew_after"),
    ];
    let NewCredential { key, sealed, refresh, form, header_names, expires_at, now } = credential;
    let state = holding::state(transaction, dialect, credential).await?;
    let values = json!({
        "state": state, "form": form, "header_names": header_names,
        "key_id": sealed.key.to_string(), "sealed": sealed::to_text(sealed),
        "refresh_key_id": refresh.as_ref().map(|refresh| refresh.key.to_string()),
        "sealed_refresh": refresh.as_ref().map(sealed::to_text),
        "expires_at": expires_at.map(time::to_text), "updated_at": time::to_text(*now),
        "orphaned_at": (state == CredentialState::Orphaned).then(|| time::to_text(*now)),
    });
    let parameter = row::one(row::both(holding::credential_key(key), values));
    let rows = dialect.rows(CREDENTIAL_KEY.iter().chain(&VALUES));
    let assignments: Vec<String> =
        VALUES.iter().map(|Column { name, .. }| format!("{name} = r.{name}")).collect();
    let update = format!(
        "update upstream_credentials as t set {}, version = version + 1 from {rows} where {SAME_CREDENTIAL}",
        assignments.join(", ")
    );
    if transaction.execute(&update, Some(&parameter)).await? > 0 {
        return Ok((false, state));
    }
    let names: Vec<&str> = CREDENTIAL_KEY.iter().chain(&VALUES).map(|column| column.name).collect();
    // A version that no credential of this key has had: a renewal of one that is gone does not meet it.
    let insert = format!(
        "insert into upstream_credentials ({}, created_at, version) select r.{}, r.updated_at, {} from {rows}",
        names.join(", "),
        names.join(", r."),
        dialect.any_number(),
    );
    transaction.execute(&insert, Some(&parameter)).await?;
    Ok((true, state))
}

/// See [`UpstreamStore::credential`](super::UpstreamStore::credential).
pub(in crate::store) async fn get(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    key: &CredentialKey,
) -> Result<CredentialRow, StoreError> {
    let sql = format!(
        "select {COLUMNS} from {} join upstream_credentials as t on {SAME_CREDENTIAL} {WITH_UPSTREAM} {}",
        dialect.rows(&CREDENTIAL_KEY),
        page::WITH_TOKEN,
    );
    let parameter = holding::credential_key(key);
    let found = row::read_all(transaction, "upstream_credentials", &sql, parameter, read).await?;
    found.into_iter().next().ok_or(StoreError::NotFound { what: "credential" })
}

/// See [`UpstreamStore::list_credentials`](super::UpstreamStore::list_credentials).
pub(in crate::store) async fn list(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    filter: &CredentialFilter,
) -> Result<Vec<CredentialRow>, StoreError> {
    const MORE: [Column; 5] =
        [text("state"), text("search"), text("after_upstream"), text("after_holder"), text("after_id")];
    let CredentialFilter { tenant, upstream_id, holder, holder_id, user_id, state, search, after, limit } =
        filter;
    let sql = format!(
        "select {COLUMNS} from {} join upstream_credentials as t on t.tenant = r.tenant {WITH_UPSTREAM} {} \
         where true{} order by t.upstream_id, t.holder, t.holder_id limit {limit}",
        dialect.rows(CREDENTIAL_KEY.iter().chain(&MORE)),
        page::WITH_TOKEN,
        row::and_all(&[
            ("t.upstream_id = r.upstream_id", upstream_id.is_some()),
            ("t.holder = r.holder", holder.is_some()),
            ("t.holder_id = r.holder_id", holder_id.is_some()),
            (&format!("{} = r.user_id", page::USER), user_id.is_some()),
            ("t.state = r.state", state.is_some()),
            (&page::found(dialect), search.is_some()),
            (
                "(t.upstream_id, t.holder, t.holder_id) > (r.after_upstream, r.after_holder, r.after_id)",
                after.is_some(),
            ),
        ]),
    );
    let parameter = json!({
        "tenant": tenant, "upstream_id": upstream_id, "holder": holder.map(HolderKind::as_str),
        "holder_id": holder_id, "user_id": user_id, "state": state, "search": search,
        "after_upstream": after.as_ref().map(|(upstream_id, _)| upstream_id),
        "after_holder": after.as_ref().map(|(_, holder)| holder.kind().as_str()),
        "after_id": after.as_ref().map(|(_, holder)| holder.id()),
    });
    row::read_all(transaction, "upstream_credentials", &sql, parameter, read).await
}

/// See [`UpstreamStore::remove_credential`](super::UpstreamStore::remove_credential).
pub(in crate::store) async fn remove(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    key: &CredentialKey,
) -> Result<DataRevision, StoreError> {
    let parameter = row::one(holding::credential_key(key));
    // Whoever completes a flow holds the upstream too: it is done before this, or finds its flow gone.
    holding::upstreams(transaction, dialect, &parameter).await?;
    let mut removed = 0;
    for table in ["credential_flows", "upstream_credentials"] {
        let sql = format!(
            "delete from {table} where (tenant, upstream_id, holder, holder_id) in \
             (select r.tenant, r.upstream_id, r.holder, r.holder_id from {})",
            dialect.rows(&CREDENTIAL_KEY)
        );
        removed += transaction.execute(&sql, Some(&parameter)).await?;
    }
    if removed == 0 {
        return Err(StoreError::NotFound { what: "credential" });
    }
    revision::end(transaction, dialect).await
}

/// The key in the columns that begin with the tenant.
pub(super) fn read_key(row: &dyn Row, tenants: &mut Tenants) -> Result<CredentialKey, Unreadable> {
    Ok(CredentialKey {
        tenant: tenants.read(row, 0)?,
        upstream_id: load::text(row, 1)?,
        holder: load::holder(row, 2)?,
    })
}

fn read(row: &dyn Row, tenants: &mut Tenants) -> Result<CredentialRow, Unreadable> {
    let key = read_key(row, tenants)?;
    let never = Timestamp::from_unix_seconds(0);
    Ok(CredentialRow {
        user_id: load::optional_text(row, 4)?,
        state: load::named(row, 5, CredentialState::from_name, "state", &key.upstream_id)?,
        header_names: row.text(6)?.map(load::header_list).unwrap_or_default(),
        sealed_by: row.text(7)?.and_then(|text| text.parse().ok()).unwrap_or(KeyId([0; 8])),
        renewable: row.flag(8)?,
        expires_at: row.time(9)?,
        created_at: row.time(10)?.unwrap_or(never),
        updated_at: row.time(11)?.unwrap_or(never),
        orphaned_at: row.time(12)?,
        key,
    })
}

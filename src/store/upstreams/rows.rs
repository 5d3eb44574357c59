//! Upstreams, one at a time and in lists.

use serde_json::{Value, json};

use super::{OauthSettings, UpstreamChange, UpstreamFilter, UpstreamRow, holding};
use crate::{
    decision::facts::CredentialMode,
    store::{
        StoreError, Written,
        conflicts::{self, Target},
        database::{Row, Transaction},
        dialect::Dialect,
        load::{self, Tenants, Unreadable},
        revision, row,
        schema::{Table, UPSTREAMS},
    },
    types::{DataRevision, TenantId},
};

/// What [`read`] reads, of a table called `t`.
const COLUMNS: &str = "t.tenant, t.id, t.url, t.allow_all, t.credential, t.header, t.format, \
    cast(t.value_headers as text), cast(t.pass_headers as text), cast(t.oauth as text), \
    exists (select 1 from upstream_client_secrets as s where s.tenant = t.tenant and s.upstream_id = t.id)";

/// See [`UpstreamStore::put_upstream`](super::UpstreamStore::put_upstream).
pub(in crate::store) async fn put(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    id: &str,
    change: &UpstreamChange,
) -> Result<Written, StoreError> {
    conflicts::refuse_missing(transaction, dialect, tenant, &[(Target::Tenant, tenant.as_str())]).await?;
    let UpstreamChange { url, allow_all, credential, header, format, value_headers, pass_headers, oauth } =
        change;
    let given = [
        ("url", url.is_some()),
        ("allow_all", allow_all.is_some()),
        ("credential", credential.is_some()),
        ("header", header.is_some()),
        ("format", format.is_some()),
        ("value_headers", value_headers.is_some()),
        ("pass_headers", pass_headers.is_some()),
        ("oauth", oauth.is_some()),
    ];
    let is_given = |name| given.contains(&(name, true));
    let is_key = |name| matches!(name, "tenant" | "id");
    // Not those of which the row says nothing: here what is null may be meant so.
    let columns: Vec<_> =
        UPSTREAMS.columns.iter().filter(|c| is_key(c.name) || is_given(c.name)).copied().collect();
    let table = Table { name: UPSTREAMS.name, columns: &columns };
    let parameter = row::one(json!({
        "tenant": tenant, "id": id, "url": url, "allow_all": allow_all, "credential": credential,
        "header": header, "format": format,
        "value_headers": value_headers.as_ref().and_then(Option::as_ref),
        "pass_headers": pass_headers.as_ref().and_then(Option::as_ref),
        "oauth": oauth.as_ref().and_then(Option::as_ref),
    }));
    let held = row::one(json!({"tenant": tenant, "upstream_id": id}));
    let mut created = false;
    if holding::upstreams(transaction, dialect, &held).await?.is_empty() {
        if url.is_none() {
            return Err(StoreError::Required { what: "upstream", field: "url" });
        }
        // Of two at once, the second waits for the first, and is told that it did not make the row.
        created = transaction.execute(&table.insert_missing(dialect), Some(&parameter)).await? > 0;
    }
    let changed = created || update(transaction, dialect, &table, &parameter).await?;
    let revision = revision::end(transaction, dialect).await?;
    Ok(Written { revision, created, changed })
}

/// Brings a row that is there to what it is to be, as far as the table's columns say.
async fn update(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    table: &Table<'_>,
    parameter: &str,
) -> Result<bool, StoreError> {
    let names =
        table.columns.iter().map(|column| column.name).filter(|name| !matches!(*name, "tenant" | "id"));
    let assignments: Vec<String> = names.clone().map(|name| format!("{name} = r.{name}")).collect();
    let differences: Vec<String> = names.map(|name| format!("t.{name} is distinct from r.{name}")).collect();
    if assignments.is_empty() {
        return Ok(false);
    }
    let sql = format!(
        "update upstreams as t set {} from {} where t.tenant = r.tenant and t.id = r.id and ({})",
        assignments.join(", "),
        dialect.rows(table.columns),
        differences.join(" or "),
    );
    Ok(transaction.execute(&sql, Some(parameter)).await? > 0)
}

/// See [`UpstreamStore::upstream`](super::UpstreamStore::upstream).
pub(in crate::store) async fn get(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    id: &str,
) -> Result<UpstreamRow, StoreError> {
    let sql = format!(
        "select {COLUMNS} from {} join upstreams as t on t.tenant = r.tenant and t.id = r.id",
        dialect.rows(UPSTREAMS.columns)
    );
    let found = row::read_all(transaction, "upstreams", &sql, key(tenant, id), read).await?;
    found.into_iter().next().ok_or(StoreError::NotFound { what: "upstream" })
}

/// See [`UpstreamStore::list_upstreams`](super::UpstreamStore::list_upstreams).
pub(in crate::store) async fn list(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    filter: &UpstreamFilter,
) -> Result<Vec<UpstreamRow>, StoreError> {
    let UpstreamFilter { tenant, credential, allow_all, after, limit } = filter;
    let sql = format!(
        "select {COLUMNS} from {} join upstreams as t on t.tenant = r.tenant{} order by t.id limit {limit}",
        dialect.rows(UPSTREAMS.columns),
        row::and_all(&[
            ("t.credential = r.credential", credential.is_some()),
            ("t.allow_all = r.allow_all", allow_all.is_some()),
            ("t.id > r.id", after.is_some()),
        ]),
    );
    let parameter = json!({"tenant": tenant, "credential": credential, "allow_all": allow_all, "id": after});
    row::read_all(transaction, "upstreams", &sql, parameter, read).await
}

/// See [`UpstreamStore::remove_upstream`](super::UpstreamStore::remove_upstream).
pub(in crate::store) async fn remove(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    id: &str,
) -> Result<DataRevision, StoreError> {
    row::remove(transaction, dialect, &UPSTREAMS, key(tenant, id), "upstream").await
}

fn key(tenant: &TenantId, id: &str) -> Value {
    json!({"tenant": tenant, "id": id})
}

fn read(row: &dyn Row, tenants: &mut Tenants) -> Result<UpstreamRow, Unreadable> {
    let id = load::text(row, 1)?;
    Ok(UpstreamRow {
        tenant: tenants.read(row, 0)?,
        url: load::text(row, 2)?,
        allow_all: row.flag(3)?,
        credential: load::named(row, 4, CredentialMode::from_name, "credential", &id)?,
        header: load::text(row, 5)?,
        format: load::text(row, 6)?,
        value_headers: row.text(7)?.map(load::header_list),
        pass_headers: row.text(8)?.map(load::header_list),
        oauth: row.text(9)?.and_then(oauth),
        has_client_secret: row.flag(10)?,
        id,
    })
}

/// Where holders consent, whoever wrote it: with what cannot be read nobody consents.
pub(super) fn oauth(json: &str) -> Option<OauthSettings> {
    serde_json::from_str(json).ok()
}

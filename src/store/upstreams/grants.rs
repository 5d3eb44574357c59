//! Grants: all of a token's, or all for an upstream. What they do to credentials is done by triggers.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{UpstreamGrants, holding};
use crate::{
    store::{
        StoreError, Written,
        conflicts::{self, Target},
        database::Transaction,
        dialect::Dialect,
        revision, row,
        schema::{GRANTS, UPSTREAMS},
        tokens::live,
    },
    types::{TenantId, Timestamp},
};

/// See [`UpstreamStore::token_grants`](super::UpstreamStore::token_grants).
pub(in crate::store) async fn of_token(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    token_id: &str,
) -> Result<Vec<String>, StoreError> {
    refuse_missing(transaction, dialect, tenant, Target::Token, token_id).await?;
    let sql = format!(
        "select t.upstream_id from {} join grants as t on t.tenant = r.tenant and t.token_id = r.token_id \
         order by t.upstream_id",
        dialect.rows(GRANTS.columns)
    );
    let parameter = row::one(json!({"tenant": tenant, "token_id": token_id}));
    holding::texts(transaction, &sql, &parameter).await
}

/// See [`UpstreamStore::upstream_grants`](super::UpstreamStore::upstream_grants).
pub(in crate::store) async fn of_upstream(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    upstream_id: &str,
) -> Result<Vec<String>, StoreError> {
    refuse_missing(transaction, dialect, tenant, Target::Upstream, upstream_id).await?;
    let sql = format!(
        "select t.token_id from {} join grants as t on t.tenant = r.tenant and t.upstream_id = r.upstream_id \
         order by t.token_id",
        dialect.rows(GRANTS.columns)
    );
    let parameter = row::one(json!({"tenant": tenant, "upstream_id": upstream_id}));
    holding::texts(transaction, &sql, &parameter).await
}

/// What the caller itself asks about does not exist.
async fn refuse_missing(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    target: Target,
    id: &str,
) -> Result<(), StoreError> {
    let found = conflicts::refuse_missing(transaction, dialect, tenant, &[(target, id)]).await;
    found.map_err(|error| match error {
        StoreError::UnknownReference { what } => StoreError::NotFound { what },
        other => other,
    })
}

/// See [`UpstreamStore::set_token_grants`](super::UpstreamStore::set_token_grants).
pub(in crate::store) async fn set_of_token(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    token_id: &str,
    upstreams: &BTreeSet<String>,
    now: Timestamp,
) -> Result<Written, StoreError> {
    // INVARIANT: who gives a grant holds its token and its upstream, who takes one its upstream. So the lists that
    // are set one after the other are set in the order of the revisions.
    let standing = live::hold(transaction, dialect, token_id, Some(tenant), now).await?;
    standing.refuse_dead(now)?;
    // The upstreams that it may reach from now on, and those of its grants up to now.
    let touched = format!(
        "select t.id from (select r.tenant, r.upstream_id from {rows} where r.upstream_id is not null \
         union select g.tenant, g.upstream_id from {rows} join grants as g \
         on g.tenant = r.tenant and g.token_id = r.token_id) as touched \
         join upstreams as t on t.tenant = touched.tenant and t.id = touched.upstream_id \
         order by t.tenant, t.id{hold}",
        rows = dialect.rows(GRANTS.columns),
        hold = dialect.hold(),
    );
    let own = json!({"tenant": tenant, "token_id": token_id});
    let wanted = upstreams.iter().map(|id| row::both(own.clone(), json!({"upstream_id": id})));
    let wanted = Wanted { own: own.clone(), rows: wanted.collect() };
    let held = holding::texts(transaction, &touched, &wanted.with_own()).await?;
    let held: BTreeSet<String> = held.into_iter().collect();
    if !upstreams.is_subset(&held) {
        return Err(StoreError::UnknownReference { what: "upstream" });
    }
    let changed =
        wanted.give(transaction, dialect).await? + wanted.take(transaction, dialect, Side::Token).await?;
    let revision = revision::end(transaction, dialect).await?;
    Ok(Written { revision, created: false, changed: changed > 0 })
}

/// See [`UpstreamStore::set_upstream_grants`](super::UpstreamStore::set_upstream_grants).
pub(in crate::store) async fn set_of_upstream(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    upstream_id: &str,
    grants: &UpstreamGrants,
) -> Result<Written, StoreError> {
    refuse_missing(transaction, dialect, tenant, Target::Upstream, upstream_id).await?;
    let UpstreamGrants { tokens, allow_all } = grants;
    let ids: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let found = holding::rows(transaction, dialect, Target::Token, tenant, &ids).await?;
    if found.len() < ids.len() {
        return Err(StoreError::UnknownReference { what: "token" });
    }
    let own = json!({"tenant": tenant, "upstream_id": upstream_id});
    if holding::upstreams(transaction, dialect, &row::one(own.clone())).await?.is_empty() {
        // Removed since it was looked up.
        return Err(StoreError::NotFound { what: "upstream" });
    }
    let wanted = tokens.iter().map(|id| row::both(own.clone(), json!({"token_id": id})));
    let wanted = Wanted { own: own.clone(), rows: wanted.collect() };
    // What is given comes before what is taken: no token is without in between, and loses its flows.
    let mut changed = 0;
    if *allow_all == Some(true) {
        changed += set_allow_all(transaction, dialect, tenant, upstream_id, true).await?;
    }
    changed += wanted.give(transaction, dialect).await?;
    changed += wanted.take(transaction, dialect, Side::Upstream).await?;
    if *allow_all == Some(false) {
        changed += set_allow_all(transaction, dialect, tenant, upstream_id, false).await?;
    }
    holding::reconcile_upstream(transaction, dialect, tenant, upstream_id).await?;
    let revision = revision::end(transaction, dialect).await?;
    Ok(Written { revision, created: false, changed: changed > 0 })
}

/// Whose list of grants it is.
#[derive(Clone, Copy)]
enum Side {
    Token,
    Upstream,
}

/// The grants of one side, as they are to be.
struct Wanted {
    /// The side itself.
    own: Value,
    /// The grants.
    rows: Vec<Value>,
}

impl Wanted {
    /// The grants as a parameter, and one row that names the side alone: there may be no others.
    fn with_own(&self) -> String {
        Value::Array(self.rows.iter().chain([&self.own]).cloned().collect()).to_string()
    }

    /// Inserts the grants that are missing.
    async fn give(&self, transaction: &mut dyn Transaction, dialect: Dialect) -> Result<u64, StoreError> {
        let parameter = Value::Array(self.rows.clone()).to_string();
        transaction.execute(&GRANTS.insert_missing(dialect), Some(&parameter)).await
    }

    /// Deletes all others of the side.
    async fn take(
        &self,
        transaction: &mut dyn Transaction,
        dialect: Dialect,
        side: Side,
    ) -> Result<u64, StoreError> {
        let (own, other) = match side {
            Side::Token => ("token_id", "upstream_id"),
            Side::Upstream => ("upstream_id", "token_id"),
        };
        let sql = format!(
            "delete from grants where (tenant, {own}) in (select r.tenant, r.{own} from {rows}) \
             and {other} not in (select r.{other} from {rows} where r.{other} is not null)",
            rows = dialect.rows(GRANTS.columns),
        );
        transaction.execute(&sql, Some(&self.with_own())).await
    }
}

async fn set_allow_all(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    upstream_id: &str,
    allow_all: bool,
) -> Result<u64, StoreError> {
    let sql = format!(
        "update upstreams as t set allow_all = r.allow_all from {} \
         where t.tenant = r.tenant and t.id = r.id and t.allow_all <> r.allow_all",
        dialect.rows(UPSTREAMS.columns)
    );
    let parameter = row::one(json!({"tenant": tenant, "id": upstream_id, "allow_all": allow_all}));
    transaction.execute(&sql, Some(&parameter)).await
}

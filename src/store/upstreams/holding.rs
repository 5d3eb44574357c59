//! Who holds which rows while upstreams, grants and credentials change, and in which order.
//!
//! INVARIANT: rows are held in the order users, tokens, upstreams (by tenant and id), what belongs to upstreams; the
//! row of the revision comes last. Whether a token may reach an upstream is asked by a statement that begins when the
//! upstream's row is held, so of any two who change or ask, the second sees what the first has done. Triggers keep to
//! the same order, see `migrations/postgres/0003_upstream_credentials.sql`.

use serde_json::{Value, json};

use super::{CredentialForm, CredentialKey, NewCredential};
use crate::{
    decision::facts::{CredentialMode, CredentialState},
    store::{
        StoreError,
        conflicts::Target,
        database::Transaction,
        dialect::Dialect,
        load, row,
        schema::{Column, key, text},
        tokens::live,
    },
    types::{Holder, HolderKind, TenantId, Timestamp},
};

/// The columns of a key of a credential, and of the two that say it once more for foreign keys.
pub(super) const CREDENTIAL_KEY: [Column; 6] =
    [key("tenant"), key("upstream_id"), key("holder"), key("holder_id"), text("user_id"), text("token_id")];

/// That the table `t` has the row of [`CREDENTIAL_KEY`].
pub(super) const SAME_CREDENTIAL: &str = "t.tenant = r.tenant and t.upstream_id = r.upstream_id \
     and t.holder = r.holder and t.holder_id = r.holder_id";

/// The columns of [`CREDENTIAL_KEY`].
pub(super) fn credential_key(key: &CredentialKey) -> Value {
    let CredentialKey { tenant, upstream_id, holder } = key;
    let (user_id, token_id) = match holder {
        Holder::Shared => (None, None),
        Holder::User(id) => (Some(id), None),
        Holder::Token(id) => (None, Some(id)),
    };
    json!({
        "tenant": tenant, "upstream_id": upstream_id, "holder": holder.kind().as_str(), "holder_id": holder.id(),
        "user_id": user_id, "token_id": token_id,
    })
}

/// Looks for the user or the token whose credential it is, and holds it so that it stays as it is.
///
/// # Errors
/// [`StoreError::UnknownReference`], [`StoreError::NotLive`].
pub(super) async fn holder(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    key: &CredentialKey,
    now: Timestamp,
) -> Result<(), StoreError> {
    match &key.holder {
        Holder::Shared => Ok(()),
        Holder::User(id) => {
            let ids = [id.as_str()];
            let found = rows(transaction, dialect, Target::User, &key.tenant, &ids).await?;
            if found.is_empty() { Err(StoreError::UnknownReference { what: "user" }) } else { Ok(()) }
        }
        Holder::Token(id) => match live::hold(transaction, dialect, id, Some(&key.tenant), now).await {
            Ok(standing) => standing.refuse_dead(now),
            Err(StoreError::NotFound { what }) => Err(StoreError::UnknownReference { what }),
            Err(error) => Err(error),
        },
    }
}

/// The rows with these ids that are there, held, in their order. Users are only kept from being removed.
pub(in crate::store) async fn rows(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    target: Target,
    tenant: &TenantId,
    ids: &[&str],
) -> Result<Vec<String>, StoreError> {
    let sql = format!(
        "select t.id from {} join {} as t on t.tenant = r.tenant and t.id = r.id order by t.id{}",
        dialect.rows(&[key("tenant"), key("id")]),
        target.table(),
        if target == Target::User { dialect.hold_key() } else { dialect.hold() },
    );
    let rows: Vec<Value> = ids.iter().map(|id| json!({"tenant": tenant, "id": id})).collect();
    texts(transaction, &sql, &Value::Array(rows).to_string()).await
}

/// Holds upstreams in their order: those of the parameter's `tenant` and `upstream_id`. Gives the ids of those that
/// are there.
pub(in crate::store) async fn upstreams(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    parameter: &str,
) -> Result<Vec<String>, StoreError> {
    let sql = format!(
        "select t.id from {} join upstreams as t on t.tenant = r.tenant and t.id = r.upstream_id \
         order by t.tenant, t.id{}",
        dialect.rows(&[key("tenant"), key("upstream_id")]),
        dialect.hold(),
    );
    texts(transaction, &sql, parameter).await
}

/// The texts of an answer's first column.
pub(super) async fn texts(
    transaction: &mut dyn Transaction,
    sql: &str,
    parameter: &str,
) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    transaction
        .query(sql, Some(parameter), &mut |row| {
            found.extend(row.text(0)?.map(str::to_owned));
            Ok(())
        })
        .await?;
    Ok(found)
}

/// Holds the upstream of a credential.
///
/// # Errors
/// [`StoreError::NotFound`], [`StoreError::WrongHolder`] when its credentials have no such holders.
pub(super) async fn fitting_upstream(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    of: &CredentialKey,
) -> Result<(), StoreError> {
    let sql = format!(
        "select t.id, t.credential from {} join upstreams as t on t.tenant = r.tenant and t.id = r.upstream_id{}",
        dialect.rows(&CREDENTIAL_KEY),
        dialect.hold(),
    );
    let mut found = None;
    transaction
        .query(&sql, Some(&row::one(credential_key(of))), &mut |row| {
            let mode = load::named(row, 1, CredentialMode::from_name, "credential", &of.upstream_id);
            found = Some(mode.map_err(|reason| StoreError::corrupt("upstreams", reason.0))?);
            Ok(())
        })
        .await?;
    let mode = found.ok_or(StoreError::NotFound { what: "upstream" })?;
    match (mode, of.holder.kind()) {
        (CredentialMode::Shared, HolderKind::Shared)
        | (CredentialMode::PerUser, HolderKind::User)
        | (CredentialMode::PerToken, HolderKind::Token) => Ok(()),
        (_, holder) => Err(StoreError::WrongHolder { mode: mode.as_str(), holder: holder.as_str() }),
    }
}

/// The condition that the token of `t` may reach its upstream; `t` has the columns `tenant`, `token_id` and
/// `upstream_id`.
pub(super) const GRANTED: &str = "exists (select 1 from token_reach as reach where reach.tenant = t.tenant \
     and reach.token_id = t.token_id and reach.upstream_id = t.upstream_id)";

/// Whether this holder may reach the upstream, whose row is held: what is not a token's hangs on no grant.
pub(super) async fn granted(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    of: &CredentialKey,
) -> Result<bool, StoreError> {
    let Holder::Token(_) = of.holder else { return Ok(true) };
    let sql = format!(
        "select count(*) from (select r.tenant, r.token_id, r.upstream_id from {}) as t where {GRANTED}",
        dialect.rows(&CREDENTIAL_KEY)
    );
    Ok(transaction.number(&sql, &row::one(credential_key(of))).await? > 0)
}

/// What a new credential is, for an upstream whose row is held.
pub(super) async fn state(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    credential: &NewCredential,
) -> Result<CredentialState, StoreError> {
    let sql = format!(
        "select cast(t.value_headers as text), t.header from {} join upstreams as t \
         on t.tenant = r.tenant and t.id = r.upstream_id",
        dialect.rows(&CREDENTIAL_KEY)
    );
    let parameter = row::one(credential_key(&credential.key));
    let mut fits = false;
    transaction
        .query(&sql, Some(&parameter), &mut |row| {
            let declared = row.text(0)?.map(load::header_list);
            fits = match (credential.form, declared) {
                (CredentialForm::Token, declared) => declared.is_none(),
                (CredentialForm::Headers, Some(declared)) => {
                    declared.iter().all(|name| credential.header_names.contains(name))
                }
                // The value of the one header, as it is.
                (CredentialForm::Headers, None) => {
                    let header = row.text(1)?.unwrap_or_default().to_ascii_lowercase();
                    credential.header_names.contains(&header)
                }
            };
            Ok(())
        })
        .await?;
    if !fits {
        Ok(CredentialState::NeedsUpdate)
    } else if granted(transaction, dialect, &credential.key).await? {
        Ok(CredentialState::Active)
    } else {
        Ok(CredentialState::Orphaned)
    }
}

/// Brings all that tokens hold for an upstream, whose row is held, to what they may reach. Triggers have done so where
/// something changed: this is for what somebody else wrote wrongly.
pub(super) async fn reconcile_upstream(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    upstream_id: &str,
) -> Result<u64, StoreError> {
    let rows = dialect.rows(&CREDENTIAL_KEY);
    let parameter = row::one(json!({"tenant": tenant, "upstream_id": upstream_id}));
    let flows = format!(
        "delete from credential_flows where id in (select t.id from {rows} join credential_flows as t \
         on t.tenant = r.tenant and t.upstream_id = r.upstream_id where t.holder = 'token' and not {GRANTED})"
    );
    transaction.execute(&flows, Some(&parameter)).await?;
    let credentials = format!(
        "update upstream_credentials as t \
         set state = case t.state when 'active' then 'orphaned' else 'active' end, \
             orphaned_at = case t.state when 'active' then {} end \
         from {rows} where t.tenant = r.tenant and t.upstream_id = r.upstream_id and t.holder = 'token' \
         and t.state = case when {GRANTED} then 'orphaned' else 'active' end",
        dialect.now()
    );
    transaction.execute(&credentials, Some(&parameter)).await
}

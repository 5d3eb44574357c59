//! Taking away what nobody will use again.

use serde_json::json;

use super::Swept;
use crate::{
    store::{
        StoreError, database::Transaction, dialect::Dialect, revision, row, schema::time as time_column, time,
    },
    types::Timestamp,
};

/// See [`UpstreamStore::sweep_credentials`](super::UpstreamStore::sweep_credentials).
///
/// What somebody else holds is left for the next time: a sweep waits for nobody.
pub(in crate::store) async fn sweep(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    orphaned_before: Timestamp,
    now: Timestamp,
) -> Result<Swept, StoreError> {
    let rows = dialect.rows(&[time_column("orphaned_at"), time_column("expires_at")]);
    let parameter =
        row::one(json!({"orphaned_at": time::to_text(orphaned_before), "expires_at": time::to_text(now)}));
    // A token that has expired may be given time again; after as long as a grant may be gone, nobody waits for it.
    let credentials = format!(
        "delete from upstream_credentials where (tenant, upstream_id, holder, holder_id) in \
         (select t.tenant, t.upstream_id, t.holder, t.holder_id from {rows} join upstream_credentials as t \
         on t.state = 'orphaned' and {} < r.orphaned_at or t.holder = 'token' and exists (select 1 from tokens as k \
             where k.tenant = t.tenant and k.id = t.token_id and {} < r.orphaned_at){})",
        dialect.moment("t.orphaned_at"),
        dialect.moment("k.expires_at"),
        dialect.hold_what_is_free(),
    );
    let flows = format!(
        "delete from credential_flows where id in (select t.id from {rows} join credential_flows as t \
         on coalesce({} <= r.expires_at, true){})",
        dialect.moment("t.expires_at"),
        dialect.hold_what_is_free(),
    );
    let credentials = transaction.execute(&credentials, Some(&parameter)).await?;
    let flows = transaction.execute(&flows, Some(&parameter)).await?;
    revision::end(transaction, dialect).await?;
    Ok(Swept { credentials, flows })
}

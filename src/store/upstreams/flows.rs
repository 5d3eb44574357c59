//! Consent flows: begun, taken by one, completed or removed. No decision sees them.

use serde_json::json;

use super::{
    BegunBy, CredentialWritten, FlowEnd, FlowFilter, FlowRow, NewCredential, NewFlow,
    credentials::{self, read_key},
    holding::{self, CREDENTIAL_KEY, SAME_CREDENTIAL},
    page, sealed,
};
use crate::{
    store::{
        StoreError,
        database::{Row, Transaction},
        dialect::Dialect,
        load::{self, Tenants, Unreadable},
        revision, row,
        schema::{Column, key, text, time as time_column},
        time,
    },
    types::{HolderKind, TenantId, Timestamp},
};

/// What [`read`] reads: of a flow `t` and its token `k`.
const COLUMNS: &str = "t.tenant, t.upstream_id, t.holder, t.holder_id, t.id, t.begun_kind, t.begun_id, \
    t.state_sha256, t.verifier_key_id, t.sealed_verifier, t.redirect_uri, t.created_at, t.expires_at, \
    coalesce(t.user_id, k.user_id), t.taken_at is not null";

/// Pending flows that there are at most: for one holder and upstream, and by one who began them. Of more the oldest go, so
/// that somebody who clicks again is not locked out, and nobody fills the table.
const MOST_OF_A_HOLDER: u32 = 5;
const MOST_OF_A_BEGINNER: u32 = 50;

/// What a flow is found by.
const FLOW: [Column; 2] = [key("tenant"), key("id")];

/// See [`UpstreamStore::begin_flow`](super::UpstreamStore::begin_flow).
pub(in crate::store) async fn begin(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    flow: &NewFlow,
) -> Result<(), StoreError> {
    const VALUES: [Column; 9] = [
        text("id"),
        text("begun_kind"),
        text("begun_id"),
        text("state_sha256"),
        text("verifier_key_id"),
        text("sealed_verifier"),
        text("redirect_uri"),
        time_column("created_at"),
        time_column("expires_at"),
    ];
    let NewFlow { id, key, begun_by, state_sha256, verifier, redirect_uri, created_at, expires_at } = flow;
    credentials::hold(transaction, dialect, key, *created_at).await?;
    if !holding::granted(transaction, dialect, key).await? {
        return Err(StoreError::NotGranted);
    }
    let values = json!({
        "id": id, "begun_kind": begun_by.kind, "begun_id": begun_by.id,
        "state_sha256": state_sha256.map(|hash| hash.to_string()),
        "verifier_key_id": verifier.as_ref().map(|verifier| verifier.key.to_string()),
        "sealed_verifier": verifier.as_ref().map(sealed::to_text),
        "redirect_uri": redirect_uri,
        "created_at": time::to_text(*created_at), "expires_at": time::to_text(*expires_at),
    });
    let parameter = row::one(row::both(holding::credential_key(key), values));
    let columns = dialect.rows(CREDENTIAL_KEY.iter().chain(&VALUES));
    make_room(transaction, dialect, &columns, &parameter).await?;
    let names: Vec<&str> = CREDENTIAL_KEY.iter().chain(&VALUES).map(|column| column.name).collect();
    let sql = format!(
        "insert into credential_flows ({}) select r.{} from {}",
        names.join(", "),
        names.join(", r."),
        columns,
    );
    transaction.execute(&sql, Some(&parameter)).await?;
    revision::end(transaction, dialect).await?;
    Ok(())
}

/// Removes the oldest pending flows where one more would be too many; `columns` is the flow that begins.
///
/// The holder's upstream is held, so of a holder's there are never more. A beginner's are also of other upstreams, which
/// are not held: those that somebody else is at stay for the next time, and two who begin at once may leave one too
/// many.
async fn make_room(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    columns: &str,
    parameter: &str,
) -> Result<(), StoreError> {
    let same_beginner = "t.tenant = r.tenant and t.begun_kind = r.begun_kind and t.begun_id = r.begun_id";
    for (same, most) in [(SAME_CREDENTIAL, MOST_OF_A_HOLDER), (same_beginner, MOST_OF_A_BEGINNER)] {
        let too_many = format!(
            "select t.id from {columns} join credential_flows as t on {same} \
             where t.taken_at is null and coalesce({expires} > r.created_at, false) \
             order by {created} desc, t.id desc limit {all} offset {kept}",
            expires = dialect.moment("t.expires_at"),
            created = dialect.moment("t.created_at"),
            all = i32::MAX,
            kept = most - 1,
        );
        // Held by a query of its own: one that counts would hold those that stay as well.
        let sql = format!(
            "delete from credential_flows where id in \
             (select t.id from credential_flows as t where t.id in ({too_many}){})",
            dialect.hold_what_is_free(),
        );
        transaction.execute(&sql, Some(parameter)).await?;
    }
    Ok(())
}

/// See [`UpstreamStore::flow`](super::UpstreamStore::flow).
pub(in crate::store) async fn get(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    id: &str,
) -> Result<FlowRow, StoreError> {
    let sql = format!(
        "select {COLUMNS} from {} join credential_flows as t on t.tenant = r.tenant and t.id = r.id {}",
        dialect.rows(&FLOW),
        page::WITH_TOKEN,
    );
    let parameter = json!({"tenant": tenant, "id": id});
    let found = row::read_all(transaction, "credential_flows", &sql, parameter, read).await?;
    found.into_iter().next().ok_or(StoreError::NotFound { what: "flow" })
}

/// See [`UpstreamStore::list_flows`](super::UpstreamStore::list_flows).
pub(in crate::store) async fn list(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    filter: &FlowFilter,
) -> Result<Vec<FlowRow>, StoreError> {
    const MORE: [Column; 3] = [text("search"), text("id"), time_column("expires_at")];
    let FlowFilter { tenant, upstream_id, holder, holder_id, user_id, search, after, limit, now } = filter;
    if let Some(after) = after {
        // Without its row there is no place to go on from, and an empty page would look like the end.
        get(transaction, dialect, tenant, after).await?;
    }
    let sql = format!(
        "select {COLUMNS} from {} join credential_flows as t on t.tenant = r.tenant {} \
         where t.taken_at is null and coalesce({} > r.expires_at, false){} \
         order by {created}, t.id limit {limit}",
        dialect.rows(CREDENTIAL_KEY.iter().chain(&MORE)),
        page::WITH_TOKEN,
        dialect.moment("t.expires_at"),
        row::and_all(&[
            ("t.upstream_id = r.upstream_id", upstream_id.is_some()),
            ("t.holder = r.holder", holder.is_some()),
            ("t.holder_id = r.holder_id", holder_id.is_some()),
            (&format!("{} = r.user_id", page::USER), user_id.is_some()),
            (&page::found(dialect), search.is_some()),
            (
                &format!(
                    "({}, t.id) > (select {}, last.id from credential_flows as last \
                     where last.tenant = r.tenant and last.id = r.id)",
                    dialect.moment("t.created_at"),
                    dialect.moment("last.created_at"),
                ),
                after.is_some(),
            ),
        ]),
        created = dialect.moment("t.created_at"),
    );
    let parameter = json!({
        "tenant": tenant, "upstream_id": upstream_id, "holder": holder.map(HolderKind::as_str),
        "holder_id": holder_id, "user_id": user_id, "search": search, "id": after,
        "expires_at": time::to_text(*now),
    });
    row::read_all(transaction, "credential_flows", &sql, parameter, read).await
}

/// See [`UpstreamStore::take_flow`](super::UpstreamStore::take_flow).
pub(in crate::store) async fn take(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    id: &str,
    now: Timestamp,
) -> Result<FlowRow, StoreError> {
    let found = get(transaction, dialect, tenant, id).await?;
    if found.flow.expires_at <= now {
        return Err(StoreError::FlowOver(FlowEnd::Expired));
    }
    // Of two at once the second waits for the first, and then finds it taken, or gone.
    let sql = format!(
        "update credential_flows as t set taken_at = r.taken_at from {} \
         where t.tenant = r.tenant and t.id = r.id and t.taken_at is null",
        dialect.rows(FLOW.iter().chain(&[time_column("taken_at")]))
    );
    let parameter = row::one(json!({"tenant": tenant, "id": id, "taken_at": time::to_text(now)}));
    if transaction.execute(&sql, Some(&parameter)).await? == 0 {
        get(transaction, dialect, tenant, id).await?;
        return Err(StoreError::FlowOver(FlowEnd::Taken));
    }
    revision::end(transaction, dialect).await?;
    Ok(FlowRow { taken: true, ..found })
}

/// See [`UpstreamStore::complete_flow`](super::UpstreamStore::complete_flow).
pub(in crate::store) async fn complete(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    id: &str,
    credential: &NewCredential,
) -> Result<CredentialWritten, StoreError> {
    let mut parameter = holding::credential_key(&credential.key);
    parameter = row::both(parameter, json!({"id": id}));
    let held = credentials::hold(transaction, dialect, &credential.key, credential.now).await;
    // INVARIANT: a credential comes from a flow that is there in the same transaction, with its upstream held. Whoever
    // takes the grant or the credential away takes the flow away under the same hold.
    let sql = format!(
        "delete from credential_flows where id in (select t.id from {} join credential_flows as t \
         on t.id = r.id and {SAME_CREDENTIAL} where t.taken_at is not null)",
        dialect.rows(CREDENTIAL_KEY.iter().chain(&[key("id")]))
    );
    let ended = transaction.execute(&sql, Some(&row::one(parameter))).await?;
    match held {
        // Without them the flow is gone as well.
        Err(
            StoreError::NotFound { .. } | StoreError::UnknownReference { .. } | StoreError::NotLive { .. },
        ) if ended == 0 => {
            return Err(StoreError::NotFound { what: "flow" });
        }
        Err(error) => return Err(error),
        Ok(()) if ended == 0 => return Err(StoreError::NotFound { what: "flow" }),
        Ok(()) => {}
    }
    let (created, state) = credentials::store(transaction, dialect, credential).await?;
    let revision = revision::end(transaction, dialect).await?;
    Ok(CredentialWritten { revision, created, state })
}

/// See [`UpstreamStore::remove_flow`](super::UpstreamStore::remove_flow).
pub(in crate::store) async fn remove(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    id: &str,
) -> Result<(), StoreError> {
    let sql = format!(
        "delete from credential_flows where (tenant, id) in (select r.tenant, r.id from {})",
        dialect.rows(&FLOW)
    );
    let parameter = row::one(json!({"tenant": tenant, "id": id}));
    if transaction.execute(&sql, Some(&parameter)).await? == 0 {
        return Err(StoreError::NotFound { what: "flow" });
    }
    revision::end(transaction, dialect).await?;
    Ok(())
}

fn read(row: &dyn Row, tenants: &mut Tenants) -> Result<FlowRow, Unreadable> {
    let never = Timestamp::from_unix_seconds(0);
    let id = load::text(row, 4)?;
    Ok(FlowRow {
        flow: NewFlow {
            key: read_key(row, tenants)?,
            begun_by: BegunBy { kind: load::text(row, 5)?, id: load::text(row, 6)? },
            state_sha256: match row.text(7)? {
                None => None,
                Some(_) => Some(load::named(row, 7, |hex| hex.parse().ok(), "state", "a flow")?),
            },
            verifier: sealed::read_optional(row, 8)?,
            redirect_uri: load::optional_text(row, 10)?,
            created_at: row.time(11)?.unwrap_or(never),
            expires_at: row.time(12)?.unwrap_or(never),
            id,
        },
        user_id: load::optional_text(row, 13)?,
        taken: row.flag(14)?,
    })
}

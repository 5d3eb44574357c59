//! All that is sealed, wherever it stands: by which key, and sealed anew by another.

use serde_json::{Value, json};

use super::{SealedPlace, credentials::read_key, holding, sealed};
use crate::{
    store::{
        StoreError,
        database::{Row, Transaction},
        dialect::Dialect,
        load::{self, Tenants, Unreadable},
        revision, row,
        schema::{Column, key, text},
    },
    types::{KeyId, Sealed},
};

/// A pair of columns that holds something sealed, and how its rows are found.
struct Kind {
    table: &'static str,
    key_id: &'static str,
    sealed: &'static str,
    /// The columns of the place; the tenant is the first.
    place: &'static [Column],
    read: fn(&dyn Row, &mut Tenants) -> Result<SealedPlace, Unreadable>,
}

const HELD: [Column; 4] = [key("tenant"), key("upstream_id"), key("holder"), key("holder_id")];

/// Every kind, in the order of [`SealedPlace`].
const KINDS: [Kind; 4] = [
    Kind {
        table: "upstream_credentials",
        key_id: "key_id",
        sealed: "sealed",
        place: &HELD,
        read: |row, tenants| Ok(SealedPlace::Credential(read_key(row, tenants)?)),
    },
    Kind {
        table: "upstream_credentials",
        key_id: "refresh_key_id",
        sealed: "sealed_refresh",
        place: &HELD,
        read: |row, tenants| Ok(SealedPlace::RefreshToken(read_key(row, tenants)?)),
    },
    Kind {
        table: "upstream_client_secrets",
        key_id: "key_id",
        sealed: "sealed",
        place: &[key("tenant"), key("upstream_id")],
        read: |row, tenants| {
            Ok(SealedPlace::ClientSecret { tenant: tenants.read(row, 0)?, upstream_id: load::text(row, 1)? })
        },
    },
    Kind {
        table: "credential_flows",
        key_id: "verifier_key_id",
        sealed: "sealed_verifier",
        place: &[key("tenant"), key("id")],
        read: |row, tenants| {
            Ok(SealedPlace::CodeVerifier { tenant: tenants.read(row, 0)?, flow_id: load::text(row, 1)? })
        },
    },
];

impl Kind {
    /// The columns of the place, of the table `name`.
    fn columns(&self, name: &str) -> String {
        self.place.iter().map(|column| format!("{name}.{}", column.name)).collect::<Vec<_>>().join(", ")
    }
}

/// Which of [`KINDS`] a place is of, and the place as columns.
fn place(place: &SealedPlace) -> (usize, Value) {
    match place {
        SealedPlace::Credential(key) => (0, holding::credential_key(key)),
        SealedPlace::RefreshToken(key) => (1, holding::credential_key(key)),
        SealedPlace::ClientSecret { tenant, upstream_id } => {
            (2, json!({"tenant": tenant, "upstream_id": upstream_id}))
        }
        SealedPlace::CodeVerifier { tenant, flow_id } => (3, json!({"tenant": tenant, "id": flow_id})),
    }
}

/// See [`UpstreamStore::sealing_keys`](super::UpstreamStore::sealing_keys).
pub(in crate::store) async fn keys(
    transaction: &mut dyn Transaction,
    _dialect: Dialect,
) -> Result<Vec<(KeyId, u64)>, StoreError> {
    let columns = KINDS
        .map(|kind| format!("select {0} as key_id from {1} where {0} is not null", kind.key_id, kind.table));
    let sql = format!(
        "select key_id, count(*) from ({}) as every group by key_id order by key_id",
        columns.join(" union all ")
    );
    let mut found = Vec::new();
    transaction
        .query(&sql, None, &mut |row| {
            // A constraint holds the form of ids.
            let key = row.text(0)?.and_then(|text| text.parse().ok()).unwrap_or(KeyId([0; 8]));
            found.push((key, u64::try_from(row.number(1)?).unwrap_or(0)));
            Ok(())
        })
        .await?;
    Ok(found)
}

/// See [`UpstreamStore::sealed_by_others`](super::UpstreamStore::sealed_by_others).
pub(in crate::store) async fn by_others(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    own: KeyId,
    after: Option<&SealedPlace>,
    limit: u32,
) -> Result<Vec<(SealedPlace, Sealed)>, StoreError> {
    let (first, mut start) = after.map_or((0, None), |after| {
        let (kind, columns) = place(after);
        (kind, Some(columns))
    });
    let mut found = Vec::new();
    for kind in KINDS.iter().skip(first) {
        let left = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(found.len());
        if left == 0 {
            break;
        }
        // The place is that of the first kind alone.
        let start = start.take();
        let later = format!("({}) > ({})", kind.columns("t"), kind.columns("r"));
        // The number of the last one's columns is what the reader of what is sealed begins at.
        let sql = format!(
            "select {place}, t.{key_id}, t.{sealed} from {rows} join {table} as t on t.{key_id} <> r.own{later} \
             order by {place} limit {left}",
            place = kind.columns("t"),
            key_id = kind.key_id,
            sealed = kind.sealed,
            rows = dialect.rows(kind.place.iter().chain(&[text("own")])),
            table = kind.table,
            later = row::and_all(&[(&later, start.is_some())]),
        );
        let parameter = row::both(start.unwrap_or_else(|| json!({})), json!({"own": own.to_string()}));
        let mut tenants = Tenants::default();
        transaction
            .query(&sql, Some(&row::one(parameter)), &mut |row| {
                let read = (kind.read)(row, &mut tenants);
                let sealed = sealed::read(row, kind.place.len());
                let both = read.and_then(|place| Ok((place, sealed?)));
                found.push(both.map_err(|reason| StoreError::corrupt(kind.table, reason.0))?);
                Ok(())
            })
            .await?;
    }
    Ok(found)
}

/// See [`UpstreamStore::reseal`](super::UpstreamStore::reseal).
pub(in crate::store) async fn reseal(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    rows: &[(SealedPlace, Sealed, Sealed)],
) -> Result<u64, StoreError> {
    const VALUES: [Column; 4] = [text("old_key"), text("old_sealed"), text("new_key"), text("new_sealed")];
    let mut by_kind = KINDS.map(|_| Vec::new());
    for (at, old, new) in rows {
        let (kind, columns) = place(at);
        let values = json!({
            "old_key": old.key.to_string(), "old_sealed": sealed::to_text(old),
            "new_key": new.key.to_string(), "new_sealed": sealed::to_text(new),
        });
        by_kind[kind].push(row::both(columns, values));
    }
    // All that belongs to upstreams is written by whoever holds them, in their order.
    let upstreams: Vec<Value> =
        by_kind.iter().flatten().filter(|row| !row["upstream_id"].is_null()).cloned().collect();
    holding::upstreams(transaction, dialect, &Value::Array(upstreams).to_string()).await?;
    let mut put = 0;
    for (kind, rows) in KINDS.iter().zip(by_kind) {
        if rows.is_empty() {
            continue;
        }
        let same: Vec<String> =
            kind.place.iter().map(|column| format!("t.{0} = r.{0}", column.name)).collect();
        let sql = format!(
            "update {table} as t set {key_id} = r.new_key, {sealed} = r.new_sealed from {rows} \
             where {same} and t.{key_id} = r.old_key and t.{sealed} = r.old_sealed",
            table = kind.table,
            key_id = kind.key_id,
            sealed = kind.sealed,
            rows = dialect.rows(kind.place.iter().chain(&VALUES)),
            same = same.join(" and "),
        );
        put += transaction.execute(&sql, Some(&Value::Array(rows).to_string())).await?;
    }
    revision::end(transaction, dialect).await?;
    Ok(put)
}

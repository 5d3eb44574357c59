//! Records at the end of the chain.

use std::collections::{HashMap, hash_map::Entry};

use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::{Appended, Appending, ChainPlace, DecisionBatch, Link, NewDecision, SpoolPosition, read};
use crate::store::{
    StoreError,
    database::Transaction,
    dialect::{Dialect, json_rows},
    row,
    schema::{self, Column, key, number},
};

const HEAD: [Column; 2] = [number("sequence"), key("hash")];

const SPOOL: [Column; 3] = [key("spool_id"), number("position_segment"), number("position_offset")];

/// A row of `decisions` as it is written.
#[derive(Serialize)]
struct Written<'a> {
    sequence: u64,
    decision_id: &'a str,
    tenant: &'a str,
    time_millis: i64,
    face: &'a str,
    allow: bool,
    status: u16,
    reason: &'a str,
    token_id: Option<&'a str>,
    user_id: Option<&'a str>,
    project_id: Option<&'a str>,
    upstream_id: Option<&'a str>,
    method: Option<&'a str>,
    path: Option<&'a str>,
    record: &'a str,
    hash: String,
}

/// See [`DecisionStore::append_decisions`](super::DecisionStore::append_decisions).
pub(in crate::store) async fn append(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    batch: &DecisionBatch<'_>,
    link: &dyn Link,
) -> Result<Appended, StoreError> {
    // First: whoever else appends waits here, and sees what this one wrote when it is let go on.
    let mut head = read::place(transaction, "decision_log_head", dialect.hold()).await?;
    let known = position(transaction, dialect, batch.spool).await?;
    if known != batch.after {
        return Ok(Appended::Elsewhere(known));
    }
    let present = present(transaction, dialect, batch.records).await?;
    let mut seen: HashMap<&str, Vec<&str>> = HashMap::new();
    for (id, record) in &present {
        seen.entry(id).or_default().push(record);
    }
    let (mut rows, mut clashes, mut doubles) = (Vec::with_capacity(batch.records.len()), Vec::new(), 0);
    for NewDecision { columns, record } in batch.records {
        match seen.entry(&columns.decision_id) {
            Entry::Occupied(same) if same.get().contains(&record.as_str()) => {
                doubles += 1;
                continue;
            }
            Entry::Occupied(mut others) => {
                clashes.push(columns.decision_id.clone());
                others.get_mut().push(record);
            }
            Entry::Vacant(first) => {
                first.insert(vec![record]);
            }
        }
        let sequence = head.sequence.saturating_add(1);
        let hash = link.link(&head.hash, sequence, record);
        head = ChainPlace { sequence, hash: hash.clone() };
        rows.push(Written {
            sequence,
            decision_id: &columns.decision_id,
            tenant: &columns.tenant,
            time_millis: columns.time_millis,
            face: &columns.face,
            allow: columns.allow,
            status: columns.status,
            reason: &columns.reason,
            token_id: columns.token_id.as_deref(),
            user_id: columns.user_id.as_deref(),
            project_id: columns.project_id.as_deref(),
            upstream_id: columns.upstream_id.as_deref(),
            method: columns.method.as_deref(),
            path: columns.path.as_deref(),
            record,
            hash,
        });
    }
    if !rows.is_empty() {
        transaction.execute(&schema::DECISIONS.insert(dialect), Some(&json_rows(&rows)?)).await?;
        let sql = format!(
            "update decision_log_head set sequence = r.sequence, hash = r.hash from {}",
            dialect.rows(&HEAD)
        );
        let place = json!({"sequence": head.sequence, "hash": head.hash});
        transaction.execute(&sql, Some(&row::one(place))).await?;
    }
    move_spool(transaction, dialect, batch).await?;
    Ok(Appended::Now(Appending { records: rows.len() as u64, head, doubles, clashes }))
}

/// The records that are here already under the ids of these.
async fn present(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    records: &[NewDecision],
) -> Result<Vec<(String, String)>, StoreError> {
    #[derive(Serialize)]
    struct Id<'a> {
        decision_id: &'a str,
    }
    let ids: Vec<Id<'_>> =
        records.iter().map(|record| Id { decision_id: &record.columns.decision_id }).collect();
    let sql = format!(
        "select t.decision_id, t.record from {} join decisions as t on t.decision_id = r.decision_id",
        dialect.rows(&[key("decision_id")])
    );
    let mut found = Vec::new();
    transaction
        .query(&sql, Some(&json_rows(&ids)?), &mut |row| {
            let text = |column| Ok::<_, StoreError>(row.text(column)?.unwrap_or_default().to_owned());
            found.push((text(0)?, text(1)?));
            Ok(())
        })
        .await?;
    Ok(found)
}

/// See [`DecisionStore::shipped_position`](super::DecisionStore::shipped_position).
pub(in crate::store) async fn position(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    spool: Uuid,
) -> Result<Option<SpoolPosition>, StoreError> {
    let sql = format!(
        "select t.position_segment, t.position_offset from {} \
         join decision_log_spools as t on t.spool_id = r.spool_id",
        dialect.rows(&SPOOL[..1])
    );
    let mut found = None;
    transaction
        .query(&sql, Some(&row::one(json!({"spool_id": spool}))), &mut |row| {
            let (segment, offset) = (row.number(0)?, row.number(1)?);
            let unsigned = |number: i64| {
                u64::try_from(number)
                    .map_err(|_| StoreError::corrupt("decision_log_spools", "a position is below 0"))
            };
            found = Some(SpoolPosition { segment: unsigned(segment)?, offset: unsigned(offset)? });
            Ok(())
        })
        .await?;
    Ok(found)
}

async fn move_spool(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    batch: &DecisionBatch<'_>,
) -> Result<(), StoreError> {
    let sql = format!(
        "insert into decision_log_spools (spool_id, position_segment, position_offset) \
         select r.spool_id, r.position_segment, r.position_offset from {} where true \
         on conflict (spool_id) do update set position_segment = excluded.position_segment, \
         position_offset = excluded.position_offset, shipped_at = {}",
        dialect.rows(&SPOOL),
        dialect.now(),
    );
    let SpoolPosition { segment, offset } = batch.to;
    let position = json!({"spool_id": batch.spool, "position_segment": segment, "position_offset": offset});
    transaction.execute(&sql, Some(&row::one(position))).await?;
    Ok(())
}

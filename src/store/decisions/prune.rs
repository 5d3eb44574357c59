//! The oldest records go, and the chain begins later.

use serde_json::json;

use super::{ChainPlace, Pruned, read};
use crate::{
    store::{
        StoreError,
        database::Transaction,
        dialect::Dialect,
        row,
        schema::{Column, key, number, time as time_column},
        time,
    },
    types::Timestamp,
};

const ANCHOR: [Column; 3] = [number("sequence"), key("hash"), time_column("pruned_at")];

/// See [`DecisionStore::prune_decisions`](super::DecisionStore::prune_decisions).
pub(in crate::store) async fn prune(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    older_than: Timestamp,
    most: u32,
    now: Timestamp,
) -> Result<Pruned, StoreError> {
    // Of several that prune at once, each goes on where the one before ended.
    let before = read::place(transaction, "decision_log_anchor", dialect.hold()).await?;
    // It may move on meanwhile, never back.
    let head = read::place(transaction, "decision_log_head", "").await?;
    let mut anchor = before.clone();
    let (mut read_rows, mut stopped) = (0, false);
    let sql = format!(
        "select t.sequence, t.hash, t.time_millis from decisions as t where t.sequence > {} \
         order by t.sequence limit {most}",
        read::signed(before.sequence)
    );
    transaction
        .query(&sql, None, &mut |row| {
            read_rows += 1;
            let sequence = read::sequence("decisions", row.number(0)?)?;
            stopped |= row.number(2)? >= older_than.unix_millis() || sequence >= head.sequence;
            if stopped {
                return Ok(());
            }
            if sequence != anchor.sequence + 1 {
                let reason =
                    format!("a record is missing after {}: see regate audit verify", anchor.sequence);
                return Err(StoreError::corrupt("decisions", reason));
            }
            anchor = ChainPlace { sequence, hash: row.text(1)?.unwrap_or_default().to_owned() };
            Ok(())
        })
        .await?;
    if anchor.sequence > before.sequence {
        let sql = format!(
            "update decision_log_anchor set sequence = r.sequence, hash = r.hash, pruned_at = r.pruned_at from {}",
            dialect.rows(&ANCHOR)
        );
        let place =
            json!({"sequence": anchor.sequence, "hash": anchor.hash, "pruned_at": time::to_text(now)});
        transaction.execute(&sql, Some(&row::one(place))).await?;
        let sql = format!(
            "delete from decisions where sequence > {} and sequence <= {}",
            read::signed(before.sequence),
            read::signed(anchor.sequence)
        );
        transaction.execute(&sql, None).await?;
    }
    let records = anchor.sequence - before.sequence;
    Ok(Pruned { records, anchor, more: !stopped && read_rows == most })
}

//! Records as they are: a list of the newest, one, and the chain in its order.

use serde_json::json;
use uuid::Uuid;

use super::{ChainPart, ChainPlace, DecisionColumns, DecisionFilter, DecisionRow};
use crate::{
    store::{
        StoreError,
        database::{Row, Transaction},
        dialect::Dialect,
        row,
        schema::{Column, boolean, key, text},
    },
    types::{TenantId, Timestamp},
};

/// What [`read`] reads, of a table called `t`.
const COLUMNS: &str = "t.sequence, t.decision_id, t.tenant, t.time_millis, t.face, t.allow, t.status, t.reason, \
    t.token_id, t.user_id, t.project_id, t.upstream_id, t.method, t.path, t.record, t.hash";

const FILTERS: [Column; 7] = [
    key("tenant"),
    text("token_id"),
    text("user_id"),
    text("project_id"),
    text("upstream_id"),
    text("reason"),
    boolean("allow"),
];

/// See [`DecisionStore::list_decisions`](super::DecisionStore::list_decisions).
pub(in crate::store) async fn list(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    filter: &DecisionFilter,
) -> Result<Vec<DecisionRow>, StoreError> {
    let given = json!({
        "tenant": filter.tenant,
        "token_id": filter.token_id,
        "user_id": filter.user_id,
        "project_id": filter.project_id,
        "upstream_id": filter.upstream_id,
        "reason": filter.reason,
        "allow": filter.allow,
    });
    // Each value by itself, and no join: the database then reads an index from its end, and stops at the limit.
    let rows = dialect.rows(&FILTERS);
    let mut conditions: Vec<String> = FILTERS
        .iter()
        .filter(|column| !given[column.name].is_null())
        .map(|Column { name, .. }| format!("t.{name} = (select r.{name} from {rows})"))
        .collect();
    if let Some(from) = filter.from {
        conditions.push(format!("t.time_millis >= {}", from.unix_millis()));
    }
    if let Some(until) = filter.until {
        conditions.push(format!("t.time_millis < {}", until.unix_millis()));
    }
    if let Some(before) = filter.before {
        conditions.push(format!("t.sequence < {}", signed(before)));
    }
    if let Some(after) = filter.after {
        conditions.push(format!("t.sequence > {}", signed(after)));
    }
    let order = if filter.oldest_first { "asc" } else { "desc" };
    let conditions: String = conditions.iter().map(|condition| format!(" and {condition}")).collect();
    // Both databases want each parameter to be used.
    let sql = format!(
        "select {COLUMNS} from decisions as t where $1 is not null{conditions} order by t.sequence {order} limit {}",
        filter.limit
    );
    rows_of(transaction, &sql, Some(&row::one(given))).await
}

/// See [`DecisionStore::decision`](super::DecisionStore::decision).
pub(in crate::store) async fn one(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    id: Uuid,
    tenant: Option<&TenantId>,
) -> Result<DecisionRow, StoreError> {
    let sql = format!(
        "select {COLUMNS} from {} join decisions as t on t.decision_id = r.decision_id where true{} \
         order by t.sequence limit 1",
        dialect.rows(&[key("decision_id"), text("tenant")]),
        row::and_all(&[("t.tenant = r.tenant", tenant.is_some())]),
    );
    let key = json!({"decision_id": id, "tenant": tenant});
    let found = rows_of(transaction, &sql, Some(&row::one(key))).await?;
    found.into_iter().next().ok_or(StoreError::NotFound { what: "decision" })
}

/// See [`DecisionStore::walk_decisions`](super::DecisionStore::walk_decisions).
pub(in crate::store) async fn walk(
    transaction: &mut dyn Transaction,
    _dialect: Dialect,
    after: u64,
    most: u32,
) -> Result<ChainPart, StoreError> {
    let head = place(transaction, "decision_log_head", "").await?;
    let anchor = place(transaction, "decision_log_anchor", "").await?;
    let mut pruned_at = None;
    transaction
        .query("select pruned_at from decision_log_anchor", None, &mut |row| {
            pruned_at = row.time(0)?;
            Ok(())
        })
        .await?;
    let sql = format!(
        "select {COLUMNS} from decisions as t where t.sequence > {} order by t.sequence limit {most}",
        signed(after)
    );
    let rows = rows_of(transaction, &sql, None).await?;
    Ok(ChainPart { anchor, pruned_at, head, rows })
}

/// The place in the chain that is the one row of a table; `hold` as [`Dialect::hold`] gives it.
pub(super) async fn place(
    transaction: &mut dyn Transaction,
    table: &'static str,
    hold: &str,
) -> Result<ChainPlace, StoreError> {
    let sql = format!("select t.sequence, t.hash from {table} as t{hold}");
    let mut found = None;
    transaction
        .query(&sql, None, &mut |row| {
            let sequence = sequence(table, row.number(0)?)?;
            found = Some(ChainPlace { sequence, hash: row.text(1)?.unwrap_or_default().to_owned() });
            Ok(())
        })
        .await?;
    found.ok_or_else(|| StoreError::corrupt(table, "its one row is missing"))
}

/// A sequence as the databases have it: none is higher.
pub(super) fn signed(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

/// A sequence from a column of `table`.
pub(super) fn sequence(table: &'static str, number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::corrupt(table, "a sequence is below 0"))
}

async fn rows_of(
    transaction: &mut dyn Transaction,
    sql: &str,
    parameter: Option<&str>,
) -> Result<Vec<DecisionRow>, StoreError> {
    let mut found = Vec::new();
    transaction
        .query(sql, parameter, &mut |row| {
            found.push(read(row)?);
            Ok(())
        })
        .await?;
    Ok(found)
}

/// A row, whatever another program wrote in it: whether it fits is `regate audit verify`'s to say.
fn read(row: &dyn Row) -> Result<DecisionRow, StoreError> {
    let optional = |column| Ok::<_, StoreError>(row.text(column)?.map(str::to_owned));
    let text = |column| Ok::<_, StoreError>(row.text(column)?.unwrap_or_default().to_owned());
    Ok(DecisionRow {
        sequence: sequence("decisions", row.number(0)?)?,
        columns: DecisionColumns {
            decision_id: text(1)?,
            tenant: text(2)?,
            time_millis: row.number(3)?,
            face: text(4)?,
            allow: row.flag(5)?,
            // One that is no status is none that a record has.
            status: u16::try_from(row.number(6)?).unwrap_or(u16::MAX),
            reason: text(7)?,
            token_id: optional(8)?,
            user_id: optional(9)?,
            project_id: optional(10)?,
            upstream_id: optional(11)?,
            method: optional(12)?,
            path: optional(13)?,
        },
        record: text(14)?,
        hash: text(15)?,
    })
}

impl DecisionRow {
    /// When the decision was made.
    pub const fn time(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.columns.time_millis)
    }
}

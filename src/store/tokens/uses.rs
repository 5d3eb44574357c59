//! When tokens were last used. It is written behind the answers and never holds up a writer of anything else.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    store::{
        StoreError,
        database::Transaction,
        dialect::{Dialect, json_rows},
        schema::{Column, key, time as time_column},
        time,
    },
    types::Timestamp,
};

/// Rows in one transaction: few enough that whoever wants one of them waits for milliseconds.
pub(in crate::store) const CHUNK: usize = 500;

/// That a token was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenUse {
    /// Its id.
    pub token_id: String,
    /// When.
    pub at: Timestamp,
}

/// A use as it is written: the last one of its token.
#[derive(Clone, Debug, Serialize)]
pub(in crate::store) struct LastUse {
    id: String,
    last_used_at: String,
}

const COLUMNS: [Column; 2] = [key("id"), time_column("last_used_at")];

/// The last use of each token, by its id.
pub(in crate::store) fn last_of_each(uses: &[TokenUse]) -> Vec<LastUse> {
    let mut last: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for TokenUse { token_id, at } in uses {
        last.entry(token_id).and_modify(|last| *last = (*last).max(*at)).or_insert(*at);
    }
    last.into_iter().map(|(id, at)| LastUse { id: id.to_owned(), last_used_at: time::to_text(at) }).collect()
}

/// Notes these uses, but for those of tokens that somebody else is writing, and gives the places of those.
///
/// Two that note at once never wait for each other, nor for anybody: the rows are held in one order, and
/// those that are not free are passed over. So no deadlock can come of it, whatever order others have.
pub(in crate::store) async fn note_what_is_free(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    uses: &[LastUse],
) -> Result<Vec<usize>, StoreError> {
    let rows = dialect.rows(&COLUMNS);
    let later = is_later(dialect);
    let parameter = json_rows(uses)?;
    let update = format!(
        "update tokens as t set last_used_at = r.last_used_at from \
         (select t.id, r.last_used_at from {rows} join tokens as t on t.id = r.id where {later} \
         order by t.id{}) as r \
         where t.id = r.id and {later}",
        dialect.hold_what_is_free(),
    );
    transaction.execute(&update, Some(&parameter)).await?;
    let left = format!("select r.i from {rows} join tokens as t on t.id = r.id where {later}");
    transaction.places(&left, &parameter).await
}

/// Notes one use, and waits for whoever holds its token. It must be alone in its transaction: who holds nothing
/// while waiting is part of no deadlock.
pub(in crate::store) async fn note_one(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    one: &LastUse,
) -> Result<(), StoreError> {
    let update = format!(
        "update tokens as t set last_used_at = r.last_used_at from {} \
         where t.id = r.id and {}",
        dialect.rows(&COLUMNS),
        is_later(dialect),
    );
    transaction.execute(&update, Some(&json_rows(std::slice::from_ref(one))?)).await?;
    Ok(())
}

/// The condition that a use is later than the last one that is known.
fn is_later(dialect: Dialect) -> String {
    format!("coalesce({} < r.last_used_at, true)", dialect.moment("t.last_used_at"))
}

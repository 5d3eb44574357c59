//! Documents from the organisation's own tables.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use super::{
    FeedOptions, Reach,
    watch::{Trouble, watched},
};
use crate::{
    decision::{Mount, MountedDocuments, Update, document},
    policy::Source,
    store::{ChangeFeed, Hint},
    types::{Clock, ClockReading, TenantId},
};

/// The rows of a query, as a document below `data`.
#[derive(Clone, Debug)]
pub struct OwnDocument {
    /// Where it stands, and whether it is a list.
    pub mount: Mount,
    /// A query over the organisation's own tables.
    pub query: String,
    /// The columns by whose values the rows are found, outermost first; empty for a list.
    pub key: Vec<String>,
    /// Whose decisions see a row.
    pub tenant: TenantOfRow,
    /// A NOTIFY channel on which a change is announced. Postgres only.
    pub channel: Option<String>,
    /// How often the query is run, announced or not.
    pub interval: Duration,
    /// More rows than this are a failure: a query that forgot its condition must not take all memory.
    pub max_rows: u64,
}

/// Whose decisions see a row.
///
/// INVARIANT: a row is seen by one tenant. There is no document that all tenants see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantOfRow {
    /// This one's.
    Fixed(TenantId),
    /// The one whose id is in this column.
    Column(String),
}

/// A query may take this long before it says something, at least.
const SHORTEST_ANSWER_TIME: Duration = Duration::from_secs(10);
/// However often changes are announced (anybody may), the query is given this pause at least, and twice as long as
/// it took.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// The pause after a failure, unless the interval is shorter.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Keeps one document up to date for ever.
pub(super) async fn keep(
    own: OwnDocument,
    place: usize,
    mut feed: Box<dyn ChangeFeed>,
    reach: Reach,
    clock: Arc<dyn Clock>,
    options: FeedOptions,
) {
    let answer_time = options.answer_time.max(SHORTEST_ANSWER_TIME);
    let mut last: Option<Arc<MountedDocuments>> = None;
    // Until when the last rows stand, if since then a change was announced that they do not have.
    let mut outdated: Option<ClockReading> = None;
    loop {
        let began = clock.reading();
        let Some(status) = reach.status.documents().get(place) else { return };
        match rows(&own, &mut *feed, answer_time).await {
            Ok((documents, count)) => {
                // First what is told of it: whoever sees the rows decide sees how many there are.
                if status.succeeded(count).is_some() {
                    tracing::info!(path = status.path(), rows = count, "the document's query works again");
                }
                if last.as_deref() != Some(&documents) {
                    let documents = Arc::new(documents);
                    reach.live.publish(Update::Mounted(place, Arc::clone(&documents)));
                    last = Some(documents);
                }
                // It is as old as it may be when the next run is due.
                let due = began.later_by(own.interval);
                reach.live.confirm(Source::Document(place), due);
                let took = clock.reading().since(began);
                tokio::time::sleep(SHORTEST_PAUSE.max(took.saturating_mul(2)).min(own.interval)).await;
                outdated = wait(&own, &mut *feed, began, &*clock).await.then_some(due);
            }
            Err(trouble) => {
                feed.disconnect();
                // It is known that the last rows are not the present ones any more: they are no longer good until
                // the next run was due. A failure never makes them younger.
                if outdated.take().is_some_and(|due| began.since(due).is_zero()) {
                    reach.live.confirm(Source::Document(place), began);
                }
                if status.failed(trouble.code()) != Some(trouble.code()) {
                    tracing::warn!(
                        path = status.path(),
                        error = %trouble.with_causes(),
                        "the document's query ([[documents]]) failed: its last rows are kept until they are too old"
                    );
                }
                tokio::time::sleep(PAUSE_AFTER_FAILURE.min(own.interval)).await;
            }
        }
    }
}

/// Waits for the channel or the interval, and says whether it was the channel.
async fn wait(own: &OwnDocument, feed: &mut dyn ChangeFeed, began: ClockReading, clock: &dyn Clock) -> bool {
    let rest = own.interval.saturating_sub(clock.reading().since(began));
    tokio::select! {
        hint = async { if own.channel.is_some() { feed.hint().await } else { std::future::pending().await } } => {
            if hint.is_err() {
                feed.disconnect();
            }
            hint.is_ok_and(|hints| hints.iter().any(|hint| matches!(hint, Hint::Channel(_))))
        }
        () = tokio::time::sleep(rest) => false,
    }
}

/// Runs the query, and gives the document of each tenant and the number of rows.
async fn rows(
    own: &OwnDocument,
    feed: &mut dyn ChangeFeed,
    answer_time: Duration,
) -> Result<(MountedDocuments, u64), Trouble> {
    let mut shape = Shape { own, tenants: BTreeMap::new(), problem: None };
    let count = AtomicU64::new(0);
    let mut sink = |row| {
        let rows = count.fetch_add(1, Ordering::Relaxed) + 1;
        if rows > own.max_rows {
            shape
                .problem
                .get_or_insert_with(|| format!("there are more than {} rows (max_rows)", own.max_rows));
            shape.tenants.clear();
        }
        shape.add(row);
    };
    watched(feed.rows(&own.query, &mut sink), &count, answer_time).await?;
    Ok((shape.finish()?, count.into_inner()))
}

/// Rows on their way to documents.
struct Shape<'a> {
    own: &'a OwnDocument,
    tenants: BTreeMap<TenantId, Value>,
    /// The first row that does not fit. There is no document without it: a missing row may be the one
    /// that denies.
    problem: Option<String>,
}

impl Shape<'_> {
    fn add(&mut self, row: Value) {
        if self.problem.is_none() {
            self.problem = self.place(row).err();
        }
    }

    fn place(&mut self, row: Value) -> Result<(), String> {
        let tenant = match &self.own.tenant {
            TenantOfRow::Fixed(tenant) => tenant.clone(),
            TenantOfRow::Column(column) => TenantId::try_from(text(&row, column)?.as_str())
                .map_err(|error| format!("the column {column} of a row: {error}"))?,
        };
        let list = self.own.mount.list;
        let empty = || if list { Value::Array(Vec::new()) } else { Value::Object(serde_json::Map::new()) };
        let mut at = self.tenants.entry(tenant).or_insert_with(empty);
        if let Value::Array(rows) = at {
            rows.push(row);
            return Ok(());
        }
        let (last, way) = self.own.key.split_last().ok_or("no key column is named")?;
        for column in way {
            let key = text(&row, column)?;
            let Value::Object(entries) = at else { break };
            at = entries.entry(key).or_insert_with(empty);
        }
        let key = text(&row, last)?;
        if let Value::Object(entries) = at
            && entries.insert(key, row).is_some()
        {
            return Err(format!("two rows have the same key ({})", self.own.key.join(", ")));
        }
        Ok(())
    }

    fn finish(self) -> Result<MountedDocuments, Trouble> {
        match self.problem {
            Some(problem) => Err(Trouble::Row(problem)),
            None => Ok(self.tenants.into_iter().map(|(id, rows)| (id, document(rows))).collect()),
        }
    }
}

/// The value of a column as the text of a key. Never shows the value: it is the organisation's.
fn text(row: &Value, column: &str) -> Result<String, String> {
    match row.get(column) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(Value::Bool(flag)) => Ok(flag.to_string()),
        Some(Value::Null) => Err(format!("the key column {column} of a row is NULL")),
        Some(Value::Array(_) | Value::Object(_)) => Err(format!("the key column {column} is no plain value")),
        None => Err(format!("the query gives no column {column}")),
    }
}

//! Writing a checked document: what only the store can tell first, then all rows.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::json;

use super::{check::CheckedDocument, problems::Problems};
use crate::{
    store::{
        StoreError,
        conflicts::{self, Target},
        database::Transaction,
        dialect::{Dialect, json_rows},
        revision,
        schema::{self, Table},
        upstreams::holding,
    },
    types::DataRevision,
};

/// Rows in one statement: enough that the statement's own cost does not show, few enough that the
/// JSON of a chunk stays at a few megabytes.
const CHUNK: usize = 5_000;

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The document does not fit what is stored.
    #[error("{} refused, so the whole document is", .0.count())]
    Invalid(#[source] Problems),
    /// The store failed.
    #[error("the document could not be written")]
    Store(#[from] StoreError),
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportProgress {
    /// The table being written.
    pub table: &'static str,
    /// Rows of it done.
    pub done: usize,
    /// Rows of it in the document.
    pub total: usize,
}

/// What an import did to one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// The table.
    pub table: &'static str,
    /// Rows that are new.
    pub inserted: usize,
    /// Rows that were there and differed.
    pub updated: usize,
    /// Rows that were there already, as the document says.
    pub unchanged: usize,
}

/// What an import did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Each table, in the order of the document.
    pub tables: Vec<TableReport>,
    /// The revision that has it: a new one, or the current one when nothing changed that decisions see.
    pub revision: DataRevision,
}

impl ImportReport {
    /// How many rows were inserted or updated.
    pub fn changed(&self) -> usize {
        self.tables.iter().map(|table| table.inserted + table.updated).sum()
    }
}

/// See [`Store::import`](crate::store::Store::import).
pub(in crate::store) async fn all(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    document: &CheckedDocument,
    progress: &mut (dyn FnMut(ImportProgress) + Send),
) -> Result<ImportReport, ImportError> {
    let problems = problems_with_store(transaction, dialect, document).await?;
    if !problems.is_empty() {
        return Err(ImportError::Invalid(problems));
    }
    // Users that leave out `disabled` keep what they have: a statement that does not name the column.
    let (deciding, keeping): (Vec<_>, Vec<_>) =
        document.users.iter().cloned().partition(|user| user.disabled.is_some());
    let mut writing = Writing { transaction, dialect, progress, tables: Vec::with_capacity(7) };
    writing.table(&schema::TENANTS, &document.tenants).await?;
    writing.begin(&schema::USERS);
    writing.rows(&schema::USERS, &deciding, document.users.len()).await?;
    writing.rows(&schema::USERS_WITHOUT_DISABLED, &keeping, document.users.len()).await?;
    writing.table(&schema::PROJECTS, &document.projects).await?;
    writing.table(&schema::COLLABORATORS, &document.collaborators).await?;
    hold_tokens(writing.transaction, dialect, document).await?;
    writing.table(&schema::TOKENS, &document.tokens).await?;
    // Another tenant may have made a token of this id since it was looked for. Its row was left as it is.
    let mut problems = Problems::default();
    taken_tokens(writing.transaction, dialect, document, &mut problems).await?;
    if !problems.is_empty() {
        return Err(ImportError::Invalid(problems));
    }
    hold_upstreams(writing.transaction, dialect, document).await?;
    writing.table(&schema::UPSTREAMS, &document.upstreams).await?;
    writing.table(&schema::GRANTS, &document.grants).await?;

    let Writing { transaction, tables, .. } = writing;
    let revision = revision::end(transaction, dialect).await?;
    Ok(ImportReport { tables, revision })
}

/// Holds the tokens that the document says something about, before it writes them in an order of its own: whoever sets
/// the grants for an upstream holds several too.
async fn hold_tokens(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    document: &CheckedDocument,
) -> Result<(), StoreError> {
    let own = document.tokens.iter().map(|row| row.id.as_str());
    let granted = document.grants.iter().map(|row| row.token_id.as_str());
    let touched: BTreeSet<&str> = own.chain(granted).collect();
    let rows: Vec<_> = touched.iter().map(|id| json!({"id": id})).collect();
    let sql = format!(
        "select t.id from {} join tokens as t on t.id = r.id order by t.id{}",
        dialect.rows(&[schema::key("id")]),
        dialect.hold(),
    );
    transaction.query(&sql, Some(&json_rows(&rows)?), &mut |_| Ok(())).await
}

/// Holds the upstreams that the document says something about, so that they are held in the order in which everybody
/// holds them, whatever the order of the document.
async fn hold_upstreams(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    document: &CheckedDocument,
) -> Result<(), StoreError> {
    let own = document.upstreams.iter().map(|row| (row.tenant.as_str(), row.id.as_str()));
    let granted = document.grants.iter().map(|row| (row.tenant.as_str(), row.upstream_id.as_str()));
    let touched: BTreeSet<(&str, &str)> = own.chain(granted).collect();
    let rows: Vec<_> =
        touched.iter().map(|(tenant, id)| json!({"tenant": tenant, "upstream_id": id})).collect();
    holding::upstreams(transaction, dialect, &json_rows(&rows)?).await?;
    Ok(())
}

/// References that lead nowhere, ids that another tenant's token has, hashes that another token has.
async fn problems_with_store(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    document: &CheckedDocument,
) -> Result<Problems, StoreError> {
    let mut problems = Problems::default();
    for target in Target::ALL {
        let open: Vec<_> = document.references.iter().filter(|r| r.target == target).collect();
        for chunk in open.chunks(CHUNK) {
            let keys: Vec<_> = chunk.iter().map(|r| json!({"tenant": r.tenant, "id": r.id})).collect();
            let missing = conflicts::missing(transaction, dialect, target, &json_rows(&keys)?).await?;
            for reference in missing.into_iter().filter_map(|place| chunk.get(place)) {
                problems.add(
                    || reference.place.to_string(),
                    || {
                        format!(
                            "there is no {} {:?}{}; add it to `{}`, or correct this",
                            target.noun(),
                            reference.id,
                            if target == Target::Tenant {
                                String::new()
                            } else {
                                format!(" in the tenant {:?}", reference.tenant)
                            },
                            target.table(),
                        )
                    },
                );
            }
        }
    }
    taken_tokens(transaction, dialect, document, &mut problems).await?;
    Ok(problems)
}

/// Ids that another tenant's token has, hashes that another token has.
async fn taken_tokens(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    document: &CheckedDocument,
    problems: &mut Problems,
) -> Result<(), StoreError> {
    // Within one tenant it is not said whose the other token is, nor that it has another id.
    let (id_is_taken, hash_is_taken) = if document.within_one_tenant {
        (
            "this id is taken; choose another",
            "this hash is taken; use the id that the token has, or another token",
        )
    } else {
        (
            "another tenant has a token with this id; choose another",
            "the store has this token under another id; use that id",
        )
    };
    for (number, chunk) in document.tokens.chunks(CHUNK).enumerate() {
        let parameter = json_rows(chunk)?;
        let first = number * CHUNK;
        for place in conflicts::of_another_tenant(transaction, dialect, &parameter).await? {
            problems.add(|| format!("tokens[{}].id", first + place), || id_is_taken.to_owned());
        }
        for place in conflicts::taken_hashes(transaction, dialect, &parameter).await? {
            problems.add(|| format!("tokens[{}].sha256", first + place), || hash_is_taken.to_owned());
        }
    }
    Ok(())
}

struct Writing<'a> {
    transaction: &'a mut dyn Transaction,
    dialect: Dialect,
    progress: &'a mut (dyn FnMut(ImportProgress) + Send),
    tables: Vec<TableReport>,
}

impl Writing<'_> {
    fn begin(&mut self, table: &Table) {
        self.tables.push(TableReport { table: table.name, inserted: 0, updated: 0, unchanged: 0 });
    }

    async fn table<T: Serialize + Sync>(&mut self, table: &Table<'_>, rows: &[T]) -> Result<(), StoreError> {
        self.begin(table);
        self.rows(table, rows, rows.len()).await
    }

    /// Writes rows of the table that was begun last, which has `total` of them in all.
    async fn rows<T: Serialize + Sync>(
        &mut self,
        table: &Table<'_>,
        rows: &[T],
        total: usize,
    ) -> Result<(), StoreError> {
        let count = table.count_existing(self.dialect);
        let upsert = table.upsert(self.dialect);
        for chunk in rows.chunks(CHUNK) {
            let parameter = json_rows(chunk)?;
            let existing = self.transaction.number(&count, &parameter).await?;
            let existing = usize::try_from(existing).unwrap_or(0).min(chunk.len());
            let written = self.transaction.execute(&upsert, Some(&parameter)).await?;
            let written = usize::try_from(written).unwrap_or(usize::MAX).min(chunk.len());
            // Another program may have added rows in between: the sum stays true.
            let inserted = (chunk.len() - existing).min(written);
            let updated = written - inserted;
            if let Some(report) = self.tables.last_mut() {
                report.inserted += inserted;
                report.updated += updated;
                report.unchanged += chunk.len() - written;
                let done = report.inserted + report.updated + report.unchanged;
                (self.progress)(ImportProgress { table: table.name, done, total });
            }
        }
        Ok(())
    }
}

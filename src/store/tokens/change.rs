//! Changing a token: its name, its projects, its tools, its expiry.

use std::collections::BTreeMap;

use serde_json::json;

use super::live;
use crate::{
    store::{StoreError, Written, database::Transaction, dialect::Dialect, revision, row, schema, time},
    types::{TenantId, Timestamp},
};

/// What is to become of a token. What is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenChange {
    /// For people; 1 to 128 characters.
    pub name: Option<String>,
    /// As in [`NewToken::projects`](super::NewToken::projects); `Some(None)` lifts the limit.
    pub projects: Option<Option<BTreeMap<String, Option<Timestamp>>>>,
    /// The tools that it is limited to; `Some(None)` lifts the limit.
    pub tools: Option<Option<Vec<String>>>,
    /// When it expires; `Some(None)` is never.
    pub expires_at: Option<Option<Timestamp>>,
}

/// See [`Store::change_token`](crate::store::Store::change_token).
pub(in crate::store) async fn change(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    id: &str,
    tenant: Option<&TenantId>,
    change: &TokenChange,
    now: Timestamp,
) -> Result<Written, StoreError> {
    let TokenChange { name, projects, tools, expires_at } = change;
    let standing = live::hold(transaction, dialect, id, tenant, now).await?;
    if expires_at.is_some() {
        standing.refuse_dead_to_mints(now)?;
    } else {
        standing.refuse_dead(now)?;
    }
    let columns = [
        ("name", name.is_some()),
        ("projects", projects.is_some()),
        ("tools", tools.is_some()),
        ("expires_at", expires_at.is_some()),
    ];
    let columns: Vec<&str> = columns.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
    let mut changed = false;
    if !columns.is_empty() {
        let assignments: Vec<String> = columns.iter().map(|name| format!("{name} = r.{name}")).collect();
        let differences: Vec<String> =
            columns.iter().map(|name| format!("t.{name} is distinct from r.{name}")).collect();
        let sql = format!(
            "update tokens as t set {} from {} where t.id = r.id and ({})",
            assignments.join(", "),
            dialect.rows(schema::TOKENS.columns),
            differences.join(" or "),
        );
        let text = |moment: &Option<Timestamp>| moment.map(time::to_text);
        let projects = projects.iter().flatten().next().map(|list| {
            list.iter().map(|(project, expiry)| (project, text(expiry))).collect::<BTreeMap<_, _>>()
        });
        let parameter = row::one(json!({
            "id": id,
            "name": name,
            "projects": projects,
            "tools": tools.as_ref().and_then(Option::as_ref),
            "expires_at": expires_at.as_ref().and_then(text),
        }));
        changed = transaction.execute(&sql, Some(&parameter)).await? > 0;
    }
    let revision = revision::end(transaction, dialect).await?;
    Ok(Written { revision, created: false, changed })
}

//! Making a token.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::json;

use super::{NewToken, live};
use crate::{
    store::{
        StoreError,
        conflicts::{self, Target},
        database::Transaction,
        dialect::{Dialect, json_rows},
        revision, schema, time,
    },
    types::{DataRevision, TenantId, Timestamp, TokenHash, TokenKind},
};

/// A row of `tokens` as it is written; its fields are named as the columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::store) struct TokenRecord {
    pub id: String,
    pub tenant: Option<TenantId>,
    pub kind: TokenKind,
    pub name: String,
    #[serde(serialize_with = "as_hex")]
    pub sha256: TokenHash,
    pub prefix: Option<String>,
    pub user_id: Option<String>,
    pub project_id: Option<String>,
    pub scope_pull: bool,
    pub scope_push: bool,
    pub allow_trigger: bool,
    pub projects: Option<BTreeMap<String, Option<String>>>,
    pub tools: Option<Vec<String>>,
    pub expires_at: Option<String>,
    pub revoked_at: Option<String>,
    pub created_at: Option<String>,
}

fn as_hex<S: Serializer>(hash: &TokenHash, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(hash)
}

impl From<&NewToken> for TokenRecord {
    fn from(token: &NewToken) -> Self {
        let text = |expiry: &Option<Timestamp>| expiry.map(time::to_text);
        Self {
            id: token.id.clone(),
            tenant: token.tenant.clone(),
            kind: token.kind,
            name: token.name.clone(),
            sha256: token.sha256,
            prefix: token.prefix.clone(),
            user_id: token.user_id.clone(),
            project_id: token.project_id.clone(),
            scope_pull: token.scope_pull,
            scope_push: token.scope_push,
            allow_trigger: false,
            projects: token
                .projects
                .as_ref()
                .map(|list| list.iter().map(|(id, expiry)| (id.clone(), text(expiry))).collect()),
            tools: token.tools.clone(),
            expires_at: text(&token.expires_at),
            revoked_at: None,
            created_at: Some(time::to_text(token.created_at)),
        }
    }
}

/// See [`Store::mint_token`](crate::store::Store::mint_token).
pub(in crate::store) async fn mint(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    token: &NewToken,
    most_live: u32,
) -> Result<DataRevision, StoreError> {
    // Constraints say the same, but not always which of them it was.
    if let Some(tenant) = &token.tenant {
        let references: Vec<(Target, &str)> = [
            (Target::Tenant, Some(tenant.as_str())),
            (Target::User, token.user_id.as_deref()),
            (Target::Project, token.project_id.as_deref()),
        ]
        .into_iter()
        .filter_map(|(target, id)| Some((target, id?)))
        .collect();
        conflicts::refuse_missing(transaction, dialect, tenant, &references).await?;
    }
    let parameter = json_rows(&[TokenRecord::from(token)])?;
    if transaction.number(&schema::TOKENS.count_existing(dialect), &parameter).await? > 0 {
        return Err(StoreError::Duplicate { what: "token id" });
    }
    if !conflicts::taken_hashes(transaction, dialect, &parameter).await?.is_empty() {
        return Err(StoreError::Duplicate { what: "token hash" });
    }
    let owner = match (&token.user_id, &token.project_id) {
        (Some(user), _) => Some((Target::User, user)),
        (None, Some(project)) => Some((Target::Project, project)),
        (None, None) => None,
    };
    if let (Some(tenant), Some((target, id))) = (&token.tenant, owner) {
        refuse_too_many(transaction, dialect, tenant, target, id, token.created_at, most_live).await?;
    }
    transaction.execute(&schema::TOKENS.insert(dialect), Some(&parameter)).await?;
    revision::end(transaction, dialect).await
}

/// Refuses another token of a user, or of a project that is nobody's, with `most_live` live ones at `now`.
///
/// INVARIANT: nobody mints for the same owner between the count and the end of the transaction: the owner's row is
/// held from before the count, and each statement sees what was committed before it began. (A process that
/// waited for the row counts what the one before it has made.)
async fn refuse_too_many(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    target: Target,
    id: &str,
    now: Timestamp,
    most_live: u32,
) -> Result<(), StoreError> {
    let hold = format!(
        "select 0 from {} join {} as t on t.tenant = r.tenant and t.id = r.id{}",
        dialect.rows(schema::USERS.columns),
        target.table(),
        dialect.hold()
    );
    let parameter = json!([{"tenant": tenant, "id": id}]).to_string();
    let mut held = false;
    transaction
        .query(&hold, Some(&parameter), &mut |_| {
            held = true;
            Ok(())
        })
        .await?;
    if !held {
        // Removed since it was looked up.
        return Err(StoreError::UnknownReference { what: target.noun() });
    }
    let (user, project) = match target {
        Target::Project => (None, Some(id)),
        _ => (Some(id), None),
    };
    let owned = match target {
        Target::Project => "t.user_id is null and t.project_id = r.project_id",
        _ => "t.user_id = r.user_id",
    };
    let count = format!(
        "select count(*) from {} join tokens as t on t.tenant = r.tenant and {owned} where {}",
        dialect.rows(schema::TOKENS.columns),
        live::is_live(dialect),
    );
    let parameter = json!([{
        "tenant": tenant, "user_id": user, "project_id": project, "expires_at": live::first_expiry_after(now),
    }])
    .to_string();
    if transaction.number(&count, &parameter).await? >= i64::from(most_live) {
        return Err(StoreError::TooMany { what: target.noun(), limit: most_live });
    }
    Ok(())
}

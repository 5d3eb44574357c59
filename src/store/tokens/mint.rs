//! Making a token.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::json;

use super::NewToken;
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
) -> Result<DataRevision, StoreError> {
    // Constraints say the same, but not always which of them it was.
    let tenant = token.tenant.as_ref().map(TenantId::as_str);
    let references = [
        (Target::Tenant, tenant),
        (Target::User, token.user_id.as_deref()),
        (Target::Project, token.project_id.as_deref()),
    ];
    for (target, id) in references {
        let (Some(tenant), Some(id)) = (tenant, id) else { continue };
        let parameter = json!([{"tenant": tenant, "id": id}]).to_string();
        if !conflicts::missing(transaction, dialect, target, &parameter).await?.is_empty() {
            return Err(StoreError::UnknownReference { what: target.noun() });
        }
    }
    let parameter = json_rows(&[TokenRecord::from(token)])?;
    if transaction.number(&schema::TOKENS.count_existing(dialect), &parameter).await? > 0 {
        return Err(StoreError::Duplicate { what: "token id" });
    }
    if !conflicts::taken_hashes(transaction, dialect, &parameter).await?.is_empty() {
        return Err(StoreError::Duplicate { what: "token hash" });
    }
    transaction.execute(&schema::TOKENS.insert(dialect), Some(&parameter)).await?;
    revision::end(transaction, dialect).await
}

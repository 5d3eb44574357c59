//! Which ids of a list of grants are nobody's, once the store has said that some are.

use std::collections::BTreeSet;

use crate::{
    store::{Store, StoreError},
    types::TenantId,
};

/// The most that are named.
const MOST_NAMED: usize = 3;
/// The most that are looked up.
const MOST_READ: usize = 1_000;

/// The first few of these upstreams that are not there in the tenant; none where another write brought them since.
///
/// # Errors
/// [`StoreError`].
pub async fn missing_upstreams(
    store: &dyn Store,
    tenant: &TenantId,
    ids: &BTreeSet<String>,
) -> Result<Vec<String>, StoreError> {
    let mut missing = Vec::new();
    for id in ids.iter().take(MOST_READ) {
        if missing.len() < MOST_NAMED && is_missing(store.upstream(tenant, id).await)? {
            missing.push(id.clone());
        }
    }
    Ok(missing)
}

/// The same of tokens.
///
/// # Errors
/// [`StoreError`].
pub async fn missing_tokens(
    store: &dyn Store,
    tenant: &TenantId,
    ids: &BTreeSet<String>,
) -> Result<Vec<String>, StoreError> {
    let mut missing = Vec::new();
    for id in ids.iter().take(MOST_READ) {
        if missing.len() < MOST_NAMED && is_missing(store.token(id, Some(tenant)).await)? {
            missing.push(id.clone());
        }
    }
    Ok(missing)
}

fn is_missing<T>(read: Result<T, StoreError>) -> Result<bool, StoreError> {
    match read {
        Ok(_) => Ok(false),
        Err(StoreError::NotFound { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

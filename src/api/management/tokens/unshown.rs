//! Tokens that were stored, perhaps, and shown to nobody: the database went away while it was told to keep one, or
//! whoever asked hung up. Nobody knows such a token, and it is to be gone.

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Handle, sync::Semaphore};

use super::super::Management;
use crate::store::{Store, StoreError};

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the database is tried, and how long after its first answer a commit that was under way may still come.
const TRIES: u32 = 600;
const TRIES_AFTER_AN_ANSWER: u32 = 10;

/// A token that is being made. Unless it is [`settled`](Self::settled), it is removed when this is dropped.
pub(super) struct Unshown {
    store: Arc<dyn Store>,
    places: Arc<Semaphore>,
    id: Option<String>,
}

impl Unshown {
    /// For the token that is about to be stored under this id.
    pub(super) fn new(management: &Management, id: &str) -> Self {
        let (store, places) = (Arc::clone(&management.store), Arc::clone(&management.unshown));
        Self { store, places, id: Some(id.to_owned()) }
    }

    /// It is shown, or it is known that it was not stored.
    pub(super) fn settled(mut self) {
        self.id = None;
    }
}

impl Drop for Unshown {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let place = Arc::clone(&self.places).try_acquire_owned();
        match (place, Handle::try_current()) {
            (Ok(place), Ok(runtime)) => {
                let store = Arc::clone(&self.store);
                runtime.spawn(async move {
                    remove(&*store, &id).await;
                    drop(place);
                });
            }
            // Too many are looked for already, or the process ends.
            _ => tracing::warn!(token = id, "a token that was shown to nobody may be stored: revoke it"),
        }
    }
}

/// Removes the token as soon as the database can be reached.
async fn remove(store: &dyn Store, id: &str) {
    let mut answers = 0;
    let mut problem = None;
    for _ in 0..TRIES {
        match store.remove_unshown_token(id).await {
            Ok(true) => {
                tracing::info!(token = id, "a token that was stored and shown to nobody is removed");
                return;
            }
            Ok(false) => answers += 1,
            Err(error @ (StoreError::Unavailable(_) | StoreError::Locked(_) | StoreError::Conflict(_))) => {
                problem = Some(error.code());
            }
            Err(error) => {
                problem = Some(error.code());
                break;
            }
        }
        if answers == TRIES_AFTER_AN_ANSWER {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    tracing::warn!(token = id, problem, "a token that was shown to nobody may be stored: revoke it");
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::sync::Semaphore;

    use super::Unshown;
    use crate::{
        store::{self, ConnectOptions, NewToken, Store, StoreError},
        types::{TenantId, Timestamp, TokenHash, TokenKind},
    };

    async fn minted(store: &dyn Store, id: &str) {
        let token = NewToken {
            id: id.to_owned(),
            tenant: Some(TenantId::default_tenant()),
            kind: TokenKind::Mcp,
            name: "n".to_owned(),
            sha256: TokenHash([id.len() as u8; 32]),
            prefix: None,
            user_id: None,
            project_id: None,
            scope_pull: false,
            scope_push: false,
            projects: None,
            tools: None,
            expires_at: None,
            created_at: Timestamp::from_unix_seconds(1),
        };
        store.mint_token(&token, 20).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_not_settled_is_removed_however_it_ends() {
        let store = store::connect("sqlite::memory:", ConnectOptions::default()).await.unwrap();
        store.migrate().await.unwrap();
        let places = Arc::new(Semaphore::new(1));
        let unshown = |id: &str| Unshown {
            store: Arc::clone(&store),
            places: Arc::clone(&places),
            id: Some(id.to_owned()),
        };
        minted(&*store, "shown").await;
        unshown("shown").settled();
        minted(&*store, "dropped").await;
        // As the future of a call is whose caller hung up.
        drop(unshown("dropped"));
        tokio::time::timeout(Duration::from_secs(30), async {
            while places.available_permits() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .unwrap();
        assert!(matches!(store.token("dropped", None).await, Err(StoreError::NotFound { .. })));
        assert!(store.token("shown", None).await.is_ok());
    }
}

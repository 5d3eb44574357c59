//! Tokens that may have been stored although whoever asked for them was told that they were not: the database went away
//! while it was told to keep one. Nobody knows such a token, and it is to be gone.

use std::{sync::Arc, time::Duration};

use super::super::Management;
use crate::store::StoreError;

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the database is tried, and how long after its first answer a commit that was under way may still come.
const TRIES: u32 = 600;
const TRIES_AFTER_AN_ANSWER: u32 = 10;

/// Removes the token behind the answer, as soon as the database can be reached.
pub(super) fn remove(management: &Management, id: String) {
    let Ok(place) = Arc::clone(&management.unshown).try_acquire_owned() else {
        tracing::warn!(
            token = id,
            "a token that was never shown may be stored: too many are looked for already"
        );
        return;
    };
    let store = Arc::clone(&management.store);
    tokio::spawn(async move {
        let _place = place;
        let mut answers = 0;
        for _ in 0..TRIES {
            match store.remove_unshown_token(&id).await {
                Ok(true) => {
                    tracing::info!(token = id, "a token that was stored and never shown is removed");
                    return;
                }
                Ok(false) => answers += 1,
                Err(StoreError::Unavailable(_)) => {}
                Err(error) => {
                    tracing::warn!(token = id, %error, "a token that was never shown may be stored");
                    return;
                }
            }
            if answers == TRIES_AFTER_AN_ANSWER {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
}

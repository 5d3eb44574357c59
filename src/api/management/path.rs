//! The ids in a path.

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use super::super::problem::Problem;
use crate::types::check_id;

/// What the path names: an id, or several. Each is one that a row could have.
pub(in crate::api) struct Named<T>(pub T);

/// The ids of a path.
pub(in crate::api) trait Ids {
    /// All of them.
    fn ids(&self) -> Vec<&str>;
}

impl Ids for String {
    fn ids(&self) -> Vec<&str> {
        vec![self]
    }
}

impl Ids for (String, String) {
    fn ids(&self) -> Vec<&str> {
        vec![&self.0, &self.1]
    }
}

impl Ids for (String, String, String) {
    fn ids(&self) -> Vec<&str> {
        vec![&self.0, &self.1, &self.2]
    }
}

impl<S: Send + Sync, T: Ids + DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(ids) = Path::<T>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::Invalid("the path is not UTF-8".to_owned()))?;
        for id in ids.ids() {
            check_id(id).map_err(|error| Problem::Invalid(format!("the path: {error}")))?;
        }
        Ok(Self(ids))
    }
}

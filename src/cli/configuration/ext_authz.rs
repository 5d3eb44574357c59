//! `[ext_authz]`: Envoy's external authorization.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ConfigurationError, forward_auth::carried};
use crate::api::ExtAuthzOptions;

/// `[ext_authz]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExtAuthzSection {
    /// Over HTTP, the headers that Envoy takes over from an answer: its `allowed_upstream_headers`.
    pub headers: Vec<String>,
}

impl Default for ExtAuthzSection {
    fn default() -> Self {
        Self { headers: vec!["authorization".into()] }
    }
}

impl ExtAuthzSection {
    /// # Errors
    /// [`ConfigurationError::Value`] for a value that cannot be used.
    pub(super) fn options(&self) -> Result<ExtAuthzOptions, ConfigurationError> {
        Ok(ExtAuthzOptions { headers: carried("ext_authz.headers", &self.headers)? })
    }
}

//! `[authzen]`: OpenID AuthZEN.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ConfigurationError, reference, sections::duration};
use crate::api::{AuthzenOptions, BaseUrl};

/// `[authzen]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuthzenSection {
    /// Where gateways reach this process, with `https`. Left out: where the call for the metadata came to.
    pub base_url: Option<String>,
    /// The types of subjects that are users of the tenant.
    pub user_types: Vec<String>,
    /// Whether every answer says why; else those to whoever asks.
    pub reasons: bool,
    /// Whether every gateway carries out obligations; else those that say so.
    pub obligations: bool,
    /// Results in a page of a search.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_page_results: usize,
    /// Evaluations for a page of a search.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_page_evaluations: usize,
    /// Time for a page of a search.
    #[serde(deserialize_with = "duration", serialize_with = "reference::in_words")]
    #[schemars(schema_with = "reference::time")]
    pub max_page_time: Duration,
}

impl Default for AuthzenSection {
    fn default() -> Self {
        let options = AuthzenOptions::default();
        Self {
            base_url: None,
            user_types: options.user_types,
            reasons: options.reasons,
            obligations: options.obligations,
            max_page_results: options.page_results,
            max_page_evaluations: options.page_evaluations,
            max_page_time: options.page_time,
        }
    }
}

impl AuthzenSection {
    /// # Errors
    /// [`ConfigurationError::Value`] for a value that cannot be used.
    pub(super) fn options(&self) -> Result<AuthzenOptions, ConfigurationError> {
        let value =
            |key: &'static str, problem: String| ConfigurationError::Value { key: key.into(), problem };
        let base_url = self.base_url.as_deref().map(|text| {
            BaseUrl::try_from(text).map_err(|error| value("authzen.base_url", format!("{text:?}: {error}")))
        });
        for (key, number) in [
            ("authzen.max_page_results", self.max_page_results),
            ("authzen.max_page_evaluations", self.max_page_evaluations),
        ] {
            if !(1..=1_000_000).contains(&number) {
                return Err(value(key, format!("{number} is not between 1 and 1000000")));
            }
        }
        Ok(AuthzenOptions {
            base_url: base_url.transpose()?,
            user_types: self.user_types.clone(),
            reasons: self.reasons,
            obligations: self.obligations,
            page_results: self.max_page_results,
            page_evaluations: self.max_page_evaluations,
            page_time: self.max_page_time,
        })
    }
}

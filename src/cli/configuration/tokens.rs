//! `[tokens]`: how many tokens a user may have, and for how long.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ConfigurationError, reference, sections::duration};
use crate::store::TokenLimits;

/// `[tokens]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenSection {
    /// Tokens of one user that are neither revoked nor expired.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_live_per_user: i64,
    /// Days that a token may live, and each project on its list.
    #[schemars(range(min = 1, max = 36_500))]
    pub max_days: i64,
    /// How often is written when tokens were last used.
    #[serde(deserialize_with = "duration", serialize_with = "reference::in_words")]
    #[schemars(schema_with = "reference::time")]
    pub last_used_interval: Duration,
}

impl Default for TokenSection {
    fn default() -> Self {
        let TokenLimits { live_tokens, days } = TokenLimits::default();
        Self {
            max_live_per_user: live_tokens.into(),
            max_days: days.into(),
            last_used_interval: Duration::from_secs(10),
        }
    }
}

impl TokenSection {
    const MOST_LIVE: i64 = 1_000_000;
    const MOST_DAYS: i64 = 36_500;

    /// # Errors
    /// [`ConfigurationError::Value`] for a number out of its bounds: 0 tokens or days would make every mint fail.
    pub(super) fn check(&self) -> Result<(), ConfigurationError> {
        for (key, value, most) in [
            ("tokens.max_live_per_user", self.max_live_per_user, Self::MOST_LIVE),
            ("tokens.max_days", self.max_days, Self::MOST_DAYS),
        ] {
            if !(1..=most).contains(&value) {
                let problem = format!("{value} is not between 1 and {most}");
                return Err(ConfigurationError::Value { key: key.into(), problem });
            }
        }
        Ok(())
    }

    /// What was checked, as numbers of the store's.
    pub(super) fn limits(&self) -> TokenLimits {
        TokenLimits {
            live_tokens: u32::try_from(self.max_live_per_user).unwrap_or(u32::MAX),
            days: u16::try_from(self.max_days).unwrap_or(u16::MAX),
        }
    }
}

//! `[forward_auth]`: the sub-requests of nginx, Traefik and Caddy.

use schemars::JsonSchema;
use serde::Deserialize;

use super::ConfigurationError;
use crate::api::{CarriedHeaders, ForwardAuthOptions};

/// `[forward_auth]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ForwardAuthSection {
    /// Believe whoever reaches a loopback listener, without a gateway's token; refused beside `authentication =
    /// "required"`.
    pub trust_loopback: bool,
    /// The headers that gateways set from an answer, and remove where it has none. A gateway that differs says
    /// `headers=a,b` in the URL that it asks.
    pub headers: Vec<String>,
}

impl Default for ForwardAuthSection {
    fn default() -> Self {
        Self { trust_loopback: false, headers: vec!["authorization".into()] }
    }
}

impl ForwardAuthSection {
    /// # Errors
    /// [`ConfigurationError::Value`] for a name that no gateway can take over.
    pub(super) fn options(&self) -> Result<ForwardAuthOptions, ConfigurationError> {
        let headers = carried("forward_auth.headers", &self.headers)?;
        Ok(ForwardAuthOptions { trust_loopback: self.trust_loopback, headers })
    }
}

/// The names of headers that a gateway takes over.
pub(super) fn carried(key: &'static str, names: &[String]) -> Result<CarriedHeaders, ConfigurationError> {
    CarriedHeaders::read(names.iter().map(String::as_str))
        .map_err(|problem| ConfigurationError::Value { key: key.into(), problem })
}

#[cfg(test)]
mod tests {
    use super::ForwardAuthSection;

    #[test]
    fn a_name_that_cannot_be_taken_over_is_an_error_that_names_it() {
        let options = |name: &str| {
            let section =
                ForwardAuthSection { headers: vec![name.to_owned()], ..ForwardAuthSection::default() };
            section.options().map_err(|error| error.to_string())
        };
        assert!(options("X-Api-Key").is_ok());
        let error = options("Content-Length").unwrap_err();
        assert!(error.contains("forward_auth.headers") && error.contains("Content-Length"), "{error}");
    }
}

//! `[opa]`: what OPA's API may be asked for, and what the gateway in front of it carries out.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ConfigurationError, forward_auth::carried};
use crate::api::{DataPath, GATEWAY_HEADER, OpaOptions};

/// `[opa]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OpaSection {
    /// The rules that `/v1/data` and `/v0/data` answer, as paths with `/` between. `input` is whatever the asker
    /// writes, and no token is looked at.
    pub paths: Vec<String>,
    /// The headers that `send_headers_upstream` of [APISIX's plugin](gateways/apisix.md) names, as they are spelt
    /// there.
    pub apisix_headers: Vec<String>,
}

impl Default for OpaSection {
    fn default() -> Self {
        Self { paths: vec!["regate/decision".to_owned()], apisix_headers: vec!["authorization".to_owned()] }
    }
}

impl OpaSection {
    /// # Errors
    /// [`ConfigurationError::Value`] for a value that cannot be used.
    pub(super) fn options(&self) -> Result<OpaOptions, ConfigurationError> {
        let paths = self.paths.iter().map(|text| {
            DataPath::read(text).map_err(|problem| ConfigurationError::Value {
                key: "opa.paths".into(),
                problem: format!("{text:?} {problem}"),
            })
        });
        // APISIX names the header of its own token there as well, so that it goes no further: none is taken over in it.
        let is_own = |name: &&String| name.trim().eq_ignore_ascii_case(GATEWAY_HEADER.as_str());
        let others: Vec<_> = self.apisix_headers.iter().filter(|name| !is_own(name)).cloned().collect();
        carried("opa.apisix_headers", &others)?;
        // As they are spelt: APISIX looks for no other spelling.
        let headers = self.apisix_headers.iter().map(|name| name.trim().to_owned()).collect();
        Ok(OpaOptions::new(paths.collect::<Result<_, _>>()?, headers))
    }

    /// The rules to compile for it.
    pub(super) fn asked(&self) -> Arc<[String]> {
        // What cannot be read is refused by `options`, which is asked before anything is served.
        self.paths
            .iter()
            .filter_map(|text| DataPath::read(text).ok())
            .map(|path| path.rule().to_owned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::OpaSection;

    #[test]
    fn a_header_that_cannot_be_taken_over_is_an_error_that_names_it() {
        let options = |name: &str| {
            let section = OpaSection { apisix_headers: vec![name.to_owned()], ..OpaSection::default() };
            section.options().map_err(|error| error.to_string())
        };
        assert!(options("X-Api-Key").is_ok() && options("X-Regate-Gateway-Token").is_ok());
        for name in ["host", "Content-Length", "a b"] {
            let error = options(name).unwrap_err();
            assert!(error.contains("opa.apisix_headers") && error.contains(name), "{error}");
        }
    }
}

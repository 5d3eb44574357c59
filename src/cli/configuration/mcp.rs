//! `[mcp]`: where MCP is spoken, and what its clients are told.

use schemars::JsonSchema;
use serde::Deserialize;

use super::ConfigurationError;
use crate::decision::{Challenges, McpEndpoint, PathRules};

/// `[mcp]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct McpSection {
    /// Paths of MCP's Streamable HTTP transport; a segment `*` stands for any one. Bodies that a gateway tells are
    /// read there.
    pub endpoints: Vec<String>,
    /// The URL of the protected resource's metadata (RFC 9728), which challenges name.
    pub resource_metadata: Option<String>,
}

impl Default for McpSection {
    fn default() -> Self {
        Self { endpoints: vec!["/mcp".into()], resource_metadata: None }
    }
}

impl McpSection {
    /// # Errors
    /// [`ConfigurationError::Value`] for a path that no question could have.
    pub(super) fn endpoints(&self, rules: PathRules) -> Result<Vec<McpEndpoint>, ConfigurationError> {
        let read = |text: &String| {
            if text.split('/').any(|segment| segment.contains('*') && segment != "*") {
                return Err(ConfigurationError::Value {
                    key: "mcp.endpoints".into(),
                    problem: format!("{text}: `*` stands for one whole segment, such as /mcp/*"),
                });
            }
            McpEndpoint::read(text, rules).map_err(|error| ConfigurationError::Value {
                key: "mcp.endpoints".into(),
                problem: format!("{text}: {error}"),
            })
        };
        self.endpoints.iter().map(read).collect()
    }

    /// # Errors
    /// [`ConfigurationError::Value`] for a URL that cannot stand in a challenge.
    pub(super) fn challenges(&self) -> Result<Challenges, ConfigurationError> {
        let Some(url) = &self.resource_metadata else { return Ok(Challenges::default()) };
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'#');
        if !host.is_some_and(|host| !host.is_empty() && host.bytes().all(plain)) {
            return Err(ConfigurationError::Value {
                key: "mcp.resource_metadata".into(),
                problem: format!("{url:?} is not the URL of a document (RFC 9728 section 3)"),
            });
        }
        Ok(Challenges::new(Some(url)))
    }
}

#[cfg(test)]
mod tests {
    use super::McpSection;
    use crate::decision::PathRules;

    #[test]
    fn a_star_is_a_whole_segment() {
        let endpoints = |path: &str| {
            let section = McpSection { endpoints: vec![path.to_owned()], ..McpSection::default() };
            section.endpoints(PathRules::default()).map_err(|error| error.to_string())
        };
        assert!(endpoints("/mcp/*").is_ok() && endpoints("/*/mcp").is_ok());
        for path in ["/mcp/**", "/x/*y", "/x*/y"] {
            let error = endpoints(path).unwrap_err();
            assert!(error.contains(&format!("mcp.endpoints: {path}: `*` stands for one whole")), "{error}");
        }
    }
}

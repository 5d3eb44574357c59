//! `[traces]`: where spans go, and which.

use schemars::JsonSchema;
use serde::Deserialize;

use super::ConfigurationError;
use crate::telemetry::TraceSettings;

/// `[traces]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TraceSection {
    /// The collector, by OTLP over HTTP, such as `http://127.0.0.1:4318`, with or without `/v1/traces`. Left out:
    /// no traces.
    pub otlp_endpoint: Option<String>,
    /// Which part of the traces is recorded that begin here. Others are recorded where their sender records them.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sample_ratio: f64,
    /// What this process is called in the traces.
    pub service_name: String,
}

impl Default for TraceSection {
    fn default() -> Self {
        Self { otlp_endpoint: None, sample_ratio: 1.0, service_name: "regate".into() }
    }
}

impl TraceSection {
    /// What traces are started with, if there are any.
    ///
    /// # Errors
    /// [`ConfigurationError::Value`] for a value that cannot be used.
    pub fn settings(&self) -> Result<Option<TraceSettings>, ConfigurationError> {
        let wrong = |key: &'static str, problem: &str| {
            Err(ConfigurationError::Value { key: key.into(), problem: problem.to_owned() })
        };
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            return wrong("traces.sample_ratio", "it is not between 0 and 1");
        }
        if self.service_name.is_empty() {
            return wrong("traces.service_name", "it is empty: write a name, or leave it out");
        }
        let Some(endpoint) = &self.otlp_endpoint else { return Ok(None) };
        if !is_endpoint(endpoint) {
            // It is not shown: somebody may have written a password into it.
            let problem = "it must be an http or https URL without user, query and fragment, such as \
                           \"http://127.0.0.1:4318\"; what the collector asks for goes into the variable \
                           OTEL_EXPORTER_OTLP_HEADERS";
            return wrong("traces.otlp_endpoint", problem);
        }
        Ok(Some(TraceSettings {
            endpoint: endpoint.clone(),
            sample_ratio: self.sample_ratio,
            service_name: self.service_name.clone(),
        }))
    }
}

fn is_endpoint(text: &str) -> bool {
    let Ok(url) = text.parse::<::http::Uri>() else { return false };
    matches!(url.scheme_str(), Some("http" | "https"))
        && url.host().is_some_and(|host| !host.is_empty())
        && !text.contains(['@', '?', '#'])
}

#[cfg(test)]
mod tests {
    use crate::cli::configuration::Configuration;

    fn read(lines: &str) -> Result<Configuration, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regate.toml");
        std::fs::write(&path, format!("[traces]\n{lines}")).unwrap();
        Configuration::read(Some(&path), std::iter::empty()).map_err(|error| error.to_string())
    }

    #[test]
    fn there_are_none_unless_somebody_says_where_to() {
        assert_eq!(read("").unwrap().traces.settings().unwrap(), None);
        assert_eq!(read("sample_ratio = 0.5").unwrap().traces.settings().unwrap(), None);
        let settings = read("otlp_endpoint = \"http://127.0.0.1:4318\"").unwrap().traces.settings();
        let settings = settings.unwrap().unwrap();
        assert_eq!(settings.endpoint, "http://127.0.0.1:4318");
        assert_eq!((settings.sample_ratio, settings.service_name.as_str()), (1.0, "regate"));
    }

    #[test]
    fn what_cannot_be_used_is_named_and_no_password_is_shown() {
        for (lines, key) in [
            ("otlp_endpoint = \"127.0.0.1:4318\"", "traces.otlp_endpoint"),
            ("otlp_endpoint = \"ftp://x\"", "traces.otlp_endpoint"),
            ("otlp_endpoint = \"http://\"", "traces.otlp_endpoint"),
            ("otlp_endpoint = \"http://u:hunter2@x\"", "traces.otlp_endpoint"),
            ("otlp_endpoint = \"http://x?key=hunter2\"", "traces.otlp_endpoint"),
            ("sample_ratio = 1.5", "traces.sample_ratio"),
            ("sample_ratio = -0.1", "traces.sample_ratio"),
            ("sample_ratio = nan", "traces.sample_ratio"),
            ("service_name = \"\"", "traces.service_name"),
            ("endpoint = \"x\"", "endpoint"),
        ] {
            let said = read(lines).unwrap_err();
            assert!(said.contains(key) && !said.contains("hunter2"), "{lines}: {said}");
        }
    }
}

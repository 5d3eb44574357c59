//! `[tls]`: the certificate that listeners show, and whose certificates they ask for.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::ConfigurationError;
use crate::api::TlsFiles;

/// `[tls]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSection {
    /// A PEM file: the certificate, and those between it and its authority. It is read anew when it changes.
    #[schemars(extend("format" = "path"))]
    pub certificate: Option<PathBuf>,
    /// A PEM file: the certificate's private key, without a password.
    #[schemars(extend("format" = "path"))]
    pub key: Option<PathBuf>,
    /// A PEM file: the authorities of clients' certificates. Each client must show one then.
    #[schemars(extend("format" = "path"))]
    pub client_ca: Option<PathBuf>,
}

impl TlsSection {
    /// The files, if TLS is spoken.
    ///
    /// # Errors
    /// [`ConfigurationError::Value`] when one is named without another that it needs.
    pub fn files(&self) -> Result<Option<TlsFiles>, ConfigurationError> {
        let missing = |key: &'static str, problem: &str| {
            Err(ConfigurationError::Value { key: key.into(), problem: problem.to_owned() })
        };
        match (&self.certificate, &self.key, &self.client_ca) {
            (None, None, None) => Ok(None),
            (Some(certificate), Some(key), client_ca) => Ok(Some(TlsFiles {
                certificate: certificate.clone(),
                key: key.clone(),
                client_ca: client_ca.clone(),
            })),
            (Some(_), None, _) => missing("tls.key", "name the file of the certificate's private key"),
            (None, ..) => missing("tls.certificate", "name the file of the certificate that listeners show"),
        }
    }
}

//! What the configuration says about an issuer, and what is wrong with it.

use std::{net::IpAddr, path::PathBuf, str::FromStr, time::Duration};

use jsonwebtoken::AlgorithmFamily;
use reqwest::Url;
use thiserror::Error;

use super::{Algorithm, source::SourceError};
use crate::types::TenantId;

/// The greatest difference between two clocks that is forgiven.
const MOST_LEEWAY: Duration = Duration::from_secs(300);

/// An issuer of users' sessions.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// The claim `iss`, exactly.
    pub issuer: String,
    /// Where its keys come from.
    pub keys: KeysFrom,
    /// The claim `aud` must have one of these.
    pub audience: Vec<String>,
    /// How it signs. Empty: what is usual for where the keys come from.
    pub algorithms: Vec<Algorithm>,
    /// The claim that is the user's id: its name, or a path with dots.
    pub user_claim: String,
    /// Where the tenant comes from.
    pub tenant: TenantFrom,
    /// Where the user's role comes from.
    pub role: RoleFrom,
    /// By how much its clock may differ.
    pub leeway: Duration,
    /// Whether a session without `exp` is refused.
    pub require_expiry: bool,
    /// How often the keys are read anew.
    pub refresh_interval: Duration,
    /// A key that is not known makes them be read anew, but not more often than this.
    pub refetch_limit: Duration,
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug)]
pub enum KeysFrom {
    /// A JWK set behind an address.
    Url(KeysUrl),
    /// A JWK set in a file.
    File(PathBuf),
    /// A file that holds the secret that the issuer shares with regate.
    SharedSecret(PathBuf),
}

/// Where a session's tenant comes from.
#[derive(Clone, Debug)]
pub enum TenantFrom {
    /// All sessions of the issuer are of this one.
    Fixed(TenantId),
    /// A claim names it.
    Claim {
        /// The claim's name, or a path with dots.
        name: String,
        /// The tenants that it may name; `None` lets it name any.
        allowed: Option<Vec<TenantId>>,
    },
}

/// Where a session's role comes from.
#[derive(Clone, Debug)]
pub enum RoleFrom {
    /// The row of the user.
    Database,
    /// The first value of a claim that names a role; `user` if none does. Its name, or a path with dots.
    Claim(String),
}

/// An address that keys may be fetched from: `https`, or `http` on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysUrl(pub(super) Url);

/// An issuer that cannot be used. Shows no secret.
#[derive(Debug, Error)]
pub enum InvalidIssuer {
    /// A key of the section is wrong.
    #[error("{key}: {problem}")]
    Setting {
        /// The key.
        key: &'static str,
        /// What would be right.
        problem: &'static str,
    },
    /// Its keys cannot be read at the start, though they are in a file.
    #[error("{key} cannot be used: {source}")]
    Keys {
        /// The key.
        key: &'static str,
        /// Why.
        source: SourceError,
    },
    /// No connection could be made to anywhere.
    #[error("keys_url cannot be used: {0}")]
    Client(String),
}

impl FromStr for KeysUrl {
    type Err = InvalidIssuer;

    fn from_str(text: &str) -> Result<Self, InvalidIssuer> {
        let wrong = |problem| InvalidIssuer::Setting { key: "keys_url", problem };
        let url =
            Url::parse(text).map_err(|_| wrong("it is not an address such as https://login.example/jwks"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("leave out the user and the password: it would stand in logs"));
        }
        if !is_trustworthy(&url) {
            return Err(wrong(
                "use https; http is for keys on this machine (127.0.0.1, ::1, localhost) alone",
            ));
        }
        Ok(Self(url))
    }
}

/// Whether what comes from there is what was put there: by TLS, or without leaving the machine.
pub(super) fn is_trustworthy(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = host == "localhost" || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    url.scheme() == "https" || (url.scheme() == "http" && loopback)
}

impl IssuerSettings {
    /// How the issuer signs when nothing is said.
    fn usual(&self) -> Vec<Algorithm> {
        match self.keys {
            KeysFrom::SharedSecret(_) => vec![Algorithm::HS256],
            KeysFrom::Url(_) | KeysFrom::File(_) => {
                vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA]
            }
        }
    }

    /// Checks all that can be checked without looking anywhere, and fills in the usual algorithms.
    pub(super) fn checked(mut self) -> Result<Self, InvalidIssuer> {
        if self.algorithms.is_empty() {
            self.algorithms = self.usual();
        }
        let secret = matches!(self.keys, KeysFrom::SharedSecret(_));
        let symmetric = |algorithm: &Algorithm| algorithm.family() == AlgorithmFamily::Hmac;
        let empty_claim = |name: &str| name.split('.').any(str::is_empty);
        let no_claim = "name a claim, or a path such as realm_access.user";
        let tenant_claim = match &self.tenant {
            TenantFrom::Fixed(_) => None,
            TenantFrom::Claim { name, .. } => Some(name),
        };
        let roles_claim = match &self.role {
            RoleFrom::Database => None,
            RoleFrom::Claim(name) => Some(name),
        };
        let rules = [
            (self.issuer.is_empty(), "issuer", "write the claim iss, exactly as the issuer does"),
            (
                self.audience.is_empty() || self.audience.iter().any(String::is_empty),
                "audience",
                "write what the claim aud is for sessions that are meant for here",
            ),
            (
                secret && !self.algorithms.iter().all(symmetric),
                "algorithms",
                "with shared_secret_file only HS256, HS384 and HS512 are possible",
            ),
            (
                !secret && self.algorithms.iter().any(symmetric),
                "algorithms",
                "HS256, HS384 and HS512 need shared_secret_file: public keys are no secret",
            ),
            (empty_claim(&self.user_claim), "user_claim", no_claim),
            (tenant_claim.is_some_and(|name| empty_claim(name)), "tenant_claim", no_claim),
            (roles_claim.is_some_and(|name| empty_claim(name)), "roles_claim", no_claim),
            (self.leeway > MOST_LEEWAY, "leeway", "at most 5m: mend the clocks instead"),
        ];
        match rules.into_iter().find(|(wrong, ..)| *wrong) {
            Some((_, key, problem)) => Err(InvalidIssuer::Setting { key, problem }),
            None => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::KeysUrl;

    #[test]
    fn keys_come_by_tls_or_from_this_machine() {
        for good in [
            "https://login.example/jwks",
            "https://login.example:8443/a?b=c",
            "http://127.0.0.1:9/jwks",
            "http://[::1]:9/",
            "http://localhost/jwks",
        ] {
            assert!(good.parse::<KeysUrl>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "login.example/jwks",
            "http://login.example/jwks",
            "http://127.0.0.1.example/",
            "http://localhost.example/",
            "http://10.0.0.1/",
            "file:///etc/jwks",
            "https://u:p@login.example/jwks",
            "https://u@login.example/jwks",
        ] {
            let error = bad.parse::<KeysUrl>().unwrap_err().to_string();
            assert!(error.starts_with("keys_url: "), "{bad}: {error}");
        }
    }
}

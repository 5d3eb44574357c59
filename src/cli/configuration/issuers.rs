//! `[[issuers]]`: who may issue users' sessions, and how their JWTs are read.

use std::{path::PathBuf, sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::{
    Configuration, ConfigurationError, reference,
    sections::{duration, one_or_many, parse_duration},
};
use crate::{
    auth::{
        CredentialReader,
        sessions::{Algorithm, InvalidIssuer, IssuerSettings, KeysFrom, RoleFrom, Sessions, TenantFrom},
    },
    types::{Clock, TenantId},
};

/// `[[issuers]]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerSection {
    /// The claim `iss`, exactly. Each issuer once.
    pub issuer: String,
    /// The address of a JWK set: `https`, or `http` on this machine.
    pub keys_url: Option<String>,
    /// A file that holds a JWK set, in place of `keys_url`.
    #[schemars(extend("format" = "path"))]
    pub keys_file: Option<PathBuf>,
    /// A file that holds a secret that the issuer signs with, in place of `keys_url`: 32 bytes or more.
    #[schemars(extend("format" = "path"))]
    pub shared_secret_file: Option<PathBuf>,
    /// What the claim `aud` must have one of: a text or a list.
    #[serde(deserialize_with = "one_or_many")]
    pub audience: Vec<String>,
    /// How it signs, some of `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384`, `EdDSA`. Left
    /// out: `RS256`, `ES256`, `EdDSA`; with a shared secret `HS256`, where `HS384` and `HS512` may be named as
    /// well.
    #[serde(default, deserialize_with = "one_or_many")]
    pub algorithms: Vec<String>,
    /// The claim that is the user's id: a name, or a path such as `realm_access.user`.
    #[serde(default = "user_claim")]
    pub user_claim: String,
    /// The tenant of all its sessions. Left out: `default`.
    #[schemars(with = "Option<String>")]
    pub tenant: Option<TenantId>,
    /// The claim that is the tenant's id, in place of `tenant`.
    pub tenant_claim: Option<String>,
    /// The tenants that the claim may name. Left out: any.
    #[schemars(with = "Option<Vec<String>>")]
    pub tenants: Option<Vec<TenantId>>,
    /// The claim that names the user's role, with `role_from = "claim"`: its first value that is `admin`, `user` or
    /// `viewer`.
    #[serde(default = "roles_claim")]
    pub roles_claim: String,
    /// Where the user's role comes from.
    #[serde(default)]
    pub role_from: RoleSource,
    /// By how much its clock may differ, for `exp` and `nbf`; at most `5m`.
    #[serde(
        default = "leeway",
        deserialize_with = "duration_or_none",
        serialize_with = "reference::in_words"
    )]
    #[schemars(schema_with = "reference::time")]
    pub leeway: Duration,
    /// Whether a session without `exp` is refused.
    #[serde(default = "require_expiry")]
    pub require_expiry: bool,
    /// How often its keys are read anew.
    #[serde(
        default = "refresh_interval",
        deserialize_with = "duration",
        serialize_with = "reference::in_words"
    )]
    #[schemars(schema_with = "reference::time")]
    pub refresh_interval: Duration,
    /// How soon, again, a key that is not known makes them be read anew.
    #[serde(
        default = "refetch_limit",
        deserialize_with = "duration",
        serialize_with = "reference::in_words"
    )]
    #[schemars(schema_with = "reference::time")]
    pub refetch_limit: Duration,
}

/// Where a user's role comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RoleSource {
    /// From the user's row.
    #[default]
    Database,
    /// It is the issuer's word; users without a row have one too.
    Claim,
}

fn user_claim() -> String {
    "sub".to_owned()
}

fn roles_claim() -> String {
    "roles".to_owned()
}

const fn leeway() -> Duration {
    Duration::from_secs(30)
}

const fn require_expiry() -> bool {
    true
}

const fn refresh_interval() -> Duration {
    Duration::from_secs(600)
}

const fn refetch_limit() -> Duration {
    Duration::from_secs(30)
}

/// A time, or none at all, written `0s`.
fn duration_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "0s" => Ok(Duration::ZERO),
        text => parse_duration(text).map_err(D::Error::custom),
    }
}

impl IssuerSection {
    /// What is wrong, with the key's whole name and the file's path, which is no secret.
    fn wrong(&self, place: usize, problem: InvalidIssuer) -> ConfigurationError {
        let (key, problem) = match problem {
            InvalidIssuer::Setting { key, problem } => (key, problem.to_owned()),
            InvalidIssuer::Keys { key, source } => {
                let path = self.keys_file.as_ref().or(self.shared_secret_file.as_ref());
                let path = path.map(|path| path.display().to_string()).unwrap_or_default();
                (key, format!("{path} cannot be used: {source}"))
            }
            InvalidIssuer::Client(problem) => ("keys_url", format!("it cannot be used: {problem}")),
        };
        let problem = format!("{problem} (the issuer {:?})", self.issuer);
        ConfigurationError::Value { key: format!("issuers[{place}].{key}").into(), problem }
    }

    fn read(&self) -> Result<IssuerSettings, InvalidIssuer> {
        let wrong = |key, problem| InvalidIssuer::Setting { key, problem };
        let keys = match (&self.keys_url, &self.keys_file, &self.shared_secret_file) {
            (Some(url), None, None) => KeysFrom::Url(url.parse()?),
            (None, Some(path), None) => KeysFrom::File(path.clone()),
            (None, None, Some(path)) => KeysFrom::SharedSecret(path.clone()),
            _ => return Err(wrong("keys_url", "say one of keys_url, keys_file and shared_secret_file")),
        };
        let tenant = match (&self.tenant, &self.tenant_claim) {
            (Some(_), Some(_)) => return Err(wrong("tenant", "say either tenant or tenant_claim")),
            (None, Some(name)) => TenantFrom::Claim { name: name.clone(), allowed: self.tenants.clone() },
            (_, None) if self.tenants.is_some() => {
                return Err(wrong("tenants", "it is about what tenant_claim may name"));
            }
            (tenant, None) => TenantFrom::Fixed(tenant.clone().unwrap_or_else(TenantId::default_tenant)),
        };
        let algorithms = self.algorithms.iter().map(|name| name.parse::<Algorithm>());
        let algorithms = algorithms.collect::<Result<_, _>>().map_err(|_| {
            let known = "some of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 and EdDSA; with \
                         shared_secret_file of HS256, HS384 and HS512";
            wrong("algorithms", known)
        })?;
        Ok(IssuerSettings {
            issuer: self.issuer.clone(),
            keys,
            audience: self.audience.clone(),
            algorithms,
            user_claim: self.user_claim.clone(),
            tenant,
            role: match self.role_from {
                RoleSource::Database => RoleFrom::Database,
                RoleSource::Claim => RoleFrom::Claim(self.roles_claim.clone()),
            },
            leeway: self.leeway,
            require_expiry: self.require_expiry,
            refresh_interval: self.refresh_interval,
            refetch_limit: self.refetch_limit,
        })
    }
}

impl Configuration {
    /// The issuers of users' sessions, their keys read as far as they are in files; `None` if there are none.
    ///
    /// # Errors
    /// [`ConfigurationError::Value`] when a section cannot be used.
    pub fn sessions(&self, clock: Arc<dyn Clock>) -> Result<Option<Arc<Sessions>>, ConfigurationError> {
        if self.issuers.is_empty() {
            return Ok(None);
        }
        let settings = self
            .issuers
            .iter()
            .enumerate()
            .map(|(place, section)| section.read().map_err(|problem| section.wrong(place, problem)));
        let settings = settings.collect::<Result<_, _>>()?;
        let sessions =
            Sessions::new(settings, self.http.max_token_bytes, clock).map_err(|(name, problem)| {
                // Of two with one name it is the later one that is refused.
                let mut sections = self.issuers.iter().enumerate();
                match sections.rfind(|(_, section)| section.issuer == name) {
                    Some((place, section)) => section.wrong(place, problem),
                    None => ConfigurationError::Value { key: "issuers".into(), problem: problem.to_string() },
                }
            })?;
        Ok(Some(Arc::new(sessions)))
    }
}

/// Who reads callers' credentials.
pub fn credential_reader(sessions: Option<&Arc<Sessions>>) -> CredentialReader {
    sessions.map_or_else(CredentialReader::default, |sessions| {
        CredentialReader::with_sessions(Arc::clone(sessions))
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use crate::{cli::configuration::Configuration, types::SystemClock};

    /// What is wrong with an issuer that has these lines more; empty if nothing is.
    fn problem(lines: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regate.toml");
        let start = "[[issuers]]\nissuer = \"https://login.example\"\n";
        fs::write(&path, format!("{start}{lines}")).unwrap();
        let read = Configuration::read(Some(&path), std::iter::empty());
        let sessions = read.and_then(|read| read.sessions(Arc::new(SystemClock)).map(drop));
        sessions.err().map(|error| error.to_string()).unwrap_or_default()
    }

    const GOOD: &str = "keys_url = \"http://127.0.0.1:9/jwks\"\naudience = \"regate\"\n";

    #[test]
    fn what_is_wrong_is_named_with_its_key() {
        for lines in [
            GOOD.to_owned(),
            format!("{GOOD}leeway = \"0s\"\nalgorithms = [\"PS256\"]\ntenant_claim = \"org\""),
            format!("{GOOD}tenant_claim = \"a.org\"\ntenants = [\"acme\"]\nrole_from = \"claim\""),
        ] {
            assert_eq!(problem(&lines), "", "{lines}");
        }
        for (lines, expected) in [
            ("audience = \"regate\"".to_owned(), "keys_url: say one of"),
            (format!("{GOOD}keys_file = \"x\""), "keys_url: say one of"),
            (GOOD.replace("127.0.0.1", "login.example"), "keys_url: use https"),
            (GOOD.replace("\"regate\"", "[]"), "audience: "),
            (GOOD.replace("audience = \"regate\"", ""), "audience"),
            (format!("{GOOD}audiences = 1"), "audiences"),
            (format!("{GOOD}algorithms = \"none\""), "algorithms: some of RS256"),
            (format!("{GOOD}algorithms = [\"RS256\", \"HS256\"]"), "algorithms: HS256"),
            (format!("{GOOD}user_claim = \"a..b\""), "user_claim: "),
            (format!("{GOOD}tenant = \"a\"\ntenant_claim = \"b\""), "tenant: say either"),
            (format!("{GOOD}tenants = [\"a\"]"), "tenants: "),
            (format!("{GOOD}tenant_claim = \"\""), "tenant_claim: "),
            (format!("{GOOD}role_from = \"claim\"\nroles_claim = \".\""), "roles_claim: "),
            (format!("{GOOD}leeway = \"6m\""), "leeway: at most 5m"),
            (format!("{GOOD}leeway = \"x\""), "is not a time"),
            (format!("{GOOD}refetch_limit = \"0s\""), "is not a time"),
            (
                format!("{GOOD}[[issuers]]\nissuer = \"https://login.example\"\n{GOOD}"),
                "issuers[1].issuer: there are two",
            ),
            (
                GOOD.replace("keys_url = \"http://127.0.0.1:9/jwks\"", "keys_file = \"/nowhere\""),
                "issuers[0].keys_file: /nowhere cannot be used: ",
            ),
        ] {
            let found = problem(&lines);
            assert!(found.contains(expected), "{lines}: {found}");
        }
    }

    #[test]
    fn a_secret_has_an_issuer_of_its_own_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let lines = |more: &str| format!("audience = \"regate\"\nshared_secret_file = {path:?}\n{more}");
        for (secret, more, expected) in [
            ("hunter2-hunter2-hunter2-hunter2-", "", ""),
            ("hunter2-hunter2-hunter2-hunter2\n", "", "secret cannot be used: the shared secret has fewer"),
            (
                "hunter2-hunter2-hunter2-hunter2-",
                "algorithms = [\"HS256\", \"RS256\"]",
                "algorithms: with shared_secret_file",
            ),
        ] {
            fs::write(&path, secret).unwrap();
            let found = problem(&lines(more));
            assert!(if expected.is_empty() { found.is_empty() } else { found.contains(expected) }, "{found}");
            assert!(!found.contains("hunter2"));
        }
    }
}

//! The configuration: a TOML file, environment variables, flags, in rising order of strength.
//!
//! Every key has a default, an unknown key is an error. A variable is named after its section and
//! key with two underscores between: `REGATE_DATABASE__URL` is `url` in `[database]`.

mod audit;
mod authzen;
mod credentials;
mod explain;
mod ext_authz;
mod forward_auth;
mod grpc;
mod http;
mod issuers;
mod limits;
mod listeners;
mod mcp;
mod opa;
pub(super) mod reference;
mod sections;
mod tls;
mod tokens;
mod traces;

use std::{borrow::Cow, collections::HashMap, fs, path::PathBuf};

use ::http::HeaderName;
use config::{Config, File, FileFormat};
use schemars::JsonSchema;
use serde::Deserialize;
use thiserror::Error;

use crate::{
    api::{Faces, HttpBounds},
    decision::{CompileOptions, DecisionRules, EntrypointPaths, EvaluationBudget, PathRules},
    feed::{FeedOptions, OwnDocument},
    policy::{BundleLimits, PolicySettings, PolicySource, WatchOptions},
    store::TokenLimits,
    types::SecretText,
};

pub use self::http::HttpSection;
pub use audit::AuditSection;
pub(super) use audit::Retention;
pub use authzen::AuthzenSection;
pub use credentials::CredentialSection;
use explain::in_our_words;
pub use ext_authz::ExtAuthzSection;
pub use forward_auth::ForwardAuthSection;
pub use grpc::{GrpcListener, GrpcSection};
pub use issuers::IssuerSection;
pub(super) use issuers::credential_reader;
pub use limits::LimitSection;
pub use mcp::McpSection;
pub use opa::OpaSection;
pub(super) use sections::parse_duration;
pub use sections::{
    Authentication, DataSection, DatabaseSection, DocumentSection, EncodedSlash, GatewaySection, LogSection,
    MetricsSection, PolicySection, RequestSection,
};
pub use tls::TlsSection;
pub use tokens::TokenSection;
pub use traces::TraceSection;

/// All sections.
///
/// **To add a key:** a field with its doc comment and its default, then `regate reference configuration >
/// docs/configuration.md`; a test holds the page to what is here.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Configuration {
    /// The listener for HTTP, and the bounds of both listeners: [transport](gateways/transport.md).
    pub http: HttpSection,
    /// The listener for Envoy's gRPC.
    pub grpc: GrpcSection,
    /// TLS on both listeners, for HTTP and gRPC: [transport](gateways/transport.md#tls).
    pub tls: TlsSection,
    /// Who may ask.
    pub gateways: GatewaySection,
    /// Where the data is.
    pub database: DatabaseSection,
    /// How current the data must be: [data](operating/data.md#how-current-the-data-is).
    pub data: DataSection,
    /// Any number of them, `[[documents]]`: rows of your own tables below `data`:
    /// [documents](operating/data.md#documents-from-your-own-tables).
    pub documents: Vec<DocumentSection>,
    /// Any number of them, `[[issuers]]`: who issues [users' sessions](operating/sessions.md).
    pub issuers: Vec<IssuerSection>,
    /// The bundle, and how it is evaluated: [changing policies](operating/policies.md).
    pub policy: PolicySection,
    /// How questions are read.
    pub requests: RequestSection,
    /// How many tokens a user may have, and for how long: [tokens](tokens.md#life).
    pub tokens: TokenSection,
    /// The keys that seal [upstream credentials](upstreams.md), and how people come to consent.
    pub credentials: CredentialSection,
    /// [OpenID AuthZEN](gateways/authzen.md).
    pub authzen: AuthzenSection,
    /// [Envoy](gateways/envoy.md).
    pub ext_authz: ExtAuthzSection,
    /// The sub-requests of [nginx](gateways/nginx.md), [Caddy](gateways/caddy.md),
    /// [Traefik](gateways/traefik.md) and [APISIX](gateways/apisix.md).
    pub forward_auth: ForwardAuthSection,
    /// Where [MCP](mcp.md) is spoken, and what its clients are told.
    pub mcp: McpSection,
    /// [OPA's API](gateways/opa.md), and the plugins of Kong and APISIX.
    pub opa: OpaSection,
    /// [The decision log](audit.md).
    pub audit: AuditSection,
    /// Where calls are counted that policies [limit](policies.md#limits).
    pub limits: LimitSection,
    /// [Log lines](operating/logs.md), on standard error.
    pub log: LogSection,
    /// [Metrics](operating/metrics.md) for Prometheus.
    pub metrics: MetricsSection,
    /// [Spans](operating/logs.md#traces), by OTLP.
    pub traces: TraceSection,
}

/// The configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigurationError {
    /// The file or a variable has an unknown key or a value of a wrong type. The text names both the
    /// key and where it stands.
    #[error("{0}")]
    Invalid(String),
    /// A variable without a section.
    #[error("{0} is not a setting: write REGATE_SECTION__KEY, with two underscores between")]
    Variable(String),
    /// The variable of a gateway, among regate's own.
    #[error(
        "{0} is not a setting: it is the gateway's. Give it to the gateway's process alone, under another name such as \
         GATEWAY_TOKEN"
    )]
    GatewaysVariable(String),
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A value is of the right type and still wrong.
    #[error("{key}: {problem}")]
    Value {
        /// Section and key.
        key: Cow<'static, str>,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// Anyone on the network could ask.
    #[error(
        "listening on {0} would let anyone on the network ask: set authentication = \"required\" in [gateways] \
         and give the gateway a token (regate token mint --kind gateway), or listen on 127.0.0.1"
    )]
    OpenListener(String),
}

const PREFIX: &str = "REGATE_";

/// The process's variables, but for those that are not UTF-8: none of ours is.
pub(super) fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

impl Configuration {
    /// Reads the file, if there is one, and the variables over it.
    ///
    /// # Errors
    /// [`ConfigurationError`], which names the key.
    pub fn read(
        file: Option<&PathBuf>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigurationError> {
        let mut builder = Config::builder();
        if let Some(path) = file {
            let text = fs::read_to_string(path)
                .map_err(|source| ConfigurationError::Read { path: path.clone(), source })?;
            // The path is not handed over: the reader would look for files of other names beside it.
            builder = builder.add_source(File::from_str(&text, FileFormat::Toml));
        }
        let file_source = builder.clone();
        let environment = config::Environment::with_prefix("REGATE")
            .prefix_separator("_")
            .separator("__")
            .try_parsing(true)
            .list_separator(",")
            .with_list_parse_key("requests.public_paths")
            .with_list_parse_key("audit.headers")
            .with_list_parse_key("audit.project_paths")
            .with_list_parse_key("authzen.user_types")
            .with_list_parse_key("credentials.redirect_uris")
            .with_list_parse_key("ext_authz.headers")
            .with_list_parse_key("forward_auth.headers")
            .with_list_parse_key("gateways.credential_headers")
            .with_list_parse_key("mcp.endpoints")
            .with_list_parse_key("opa.apisix_headers")
            .with_list_parse_key("opa.paths")
            .source(Some(settings(variables)?));
        let variables_source = Config::builder().add_source(environment.clone());
        let invalid =
            |error: config::ConfigError| ConfigurationError::Invalid(in_our_words(&error.to_string()));
        let read = builder.add_source(environment).build().and_then(Config::try_deserialize);
        let mut configuration: Self = read.map_err(invalid)?;
        let in_file_alone = file_source.build().map_err(invalid)?;
        let in_file = names_a_url(&in_file_alone)?;
        let in_variables = names_a_url(&variables_source.build().map_err(invalid)?)?;
        // A URL of a stronger source stands above a weaker source's file.
        if in_variables == [true, false] || (in_variables == [false, false] && in_file == [true, false]) {
            configuration.database.url_file = None;
        }
        let ranges = [
            ("http.max_nesting", configuration.http.max_nesting, 3, HttpBounds::DEEPEST_NESTING),
            ("http.max_connections", configuration.http.max_connections, 1, 1_000_000),
            ("http.max_body_bytes", configuration.http.max_body_bytes, 1_024, 64 * 1024 * 1024),
            ("http.max_header_bytes", configuration.http.max_header_bytes, 1_024, 1024 * 1024),
            ("database.max_connections", configuration.database.max_connections as usize, 1, 1_000),
            ("policy.max_instructions", configuration.policy.max_instructions, 1, usize::MAX),
        ];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                let problem = format!("{value} is not between {least} and {most}");
                return Err(ConfigurationError::Value { key: key.into(), problem });
            }
        }
        configuration.check_listeners()?;
        configuration.tokens.check()?;
        configuration.audit.check()?;
        configuration.limits.check()?;
        configuration.credentials.check(&in_file_alone)?;
        configuration.traces.settings()?;
        Ok(configuration)
    }

    /// Puts a database URL from the command line in the place of any other.
    pub fn set_database_url(&mut self, url: String) {
        self.database.url = SecretText::new(url);
        self.database.url_file = None;
    }

    /// The documents from the organisation's own tables.
    ///
    /// # Errors
    /// [`ConfigurationError::Value`] when a section cannot be used.
    pub fn own_documents(&self) -> Result<Vec<OwnDocument>, ConfigurationError> {
        self.documents.iter().map(DocumentSection::read).collect()
    }

    /// How the changes are followed.
    pub fn feed_options(&self) -> FeedOptions {
        let DataSection { max_staleness, poll_interval, answer_time } = self.data;
        FeedOptions { poll_interval, answer_time, max_staleness }
    }

    /// How many tokens, and for how long.
    pub fn token_limits(&self) -> TokenLimits {
        self.tokens.limits()
    }

    /// The bounds of the HTTP listener.
    pub fn bounds(&self) -> HttpBounds {
        let http = &self.http;
        HttpBounds {
            body_bytes: http.max_body_bytes,
            header_bytes: http.max_header_bytes,
            path_bytes: http.max_path_bytes,
            token_bytes: http.max_token_bytes,
            batch_length: http.max_batch_length,
            nesting: http.max_nesting,
            receive_time: http.receive_time,
            idle_time: http.idle_time,
            revision_wait: http.revision_wait,
            connections: http.max_connections,
        }
    }

    /// Where the policy comes from.
    pub fn policy_source(&self) -> PolicySource {
        match &self.policy.folder {
            Some(folder) => PolicySource::Paths(vec![folder.clone()]),
            None => PolicySource::Shipped,
        }
    }

    /// What to compile the policy with.
    ///
    /// # Errors
    /// [`ConfigurationError::Value`] when a `[[documents]]` section cannot be used.
    pub fn compile_options(&self, workers: usize) -> Result<CompileOptions, ConfigurationError> {
        let mounts = self.own_documents()?.into_iter().map(|document| document.mount).collect();
        Ok(CompileOptions {
            entrypoints: EntrypointPaths {
                decision: self.policy.entrypoint.clone(),
                management: self.policy.management_entrypoint.clone(),
                authzen: self.policy.authzen_entrypoint.clone(),
            },
            asked: self.opa.asked(),
            rego_version: self.policy.rego_version,
            engine: self.policy.engine,
            budget: EvaluationBudget {
                instructions: self.policy.max_instructions,
                time: self.policy.max_time,
            },
            workers,
            mounts,
        })
    }

    /// Which bundle `serve` begins with, and what it and those after it must pass.
    ///
    /// # Errors
    /// [`ConfigurationError::Value`] when a `[[documents]]` section cannot be used.
    pub fn policy_settings(&self, workers: usize) -> Result<PolicySettings, ConfigurationError> {
        Ok(PolicySettings {
            source: self.policy_source(),
            tests: self.policy.tests.iter().cloned().collect(),
            limits: BundleLimits { bytes: self.policy.max_bundle_bytes, ..BundleLimits::default() },
            test_time: self.policy.max_test_time,
            compile: self.compile_options(workers)?,
        })
    }

    /// How changes of the policy are found.
    pub fn watch_options(&self) -> WatchOptions {
        let PolicySection { watch, check_interval, .. } = self.policy;
        WatchOptions { events: watch, interval: check_interval, ..WatchOptions::default() }
    }

    /// How the faces beside `/v1/decide` answer.
    ///
    /// # Errors
    /// [`ConfigurationError::Value`] for a value that cannot be used.
    pub fn faces(&self) -> Result<Faces, ConfigurationError> {
        if self.forward_auth.trust_loopback && self.gateways.authentication == Authentication::Required {
            let problem =
                "it has no effect where authentication in [gateways] is \"required\": leave one of them out";
            let key = "forward_auth.trust_loopback".into();
            return Err(ConfigurationError::Value { key, problem: problem.to_owned() });
        }
        Ok(Faces {
            authzen: self.authzen.options()?,
            ext_authz: self.ext_authz.options()?,
            forward_auth: self.forward_auth.options()?,
            opa: self.opa.options()?,
        })
    }

    /// What the configuration says about decisions.
    ///
    /// # Errors
    /// [`ConfigurationError::Value`] for a public path that no question could have.
    pub fn decision_rules(&self) -> Result<DecisionRules, ConfigurationError> {
        let path = PathRules { keep_encoded_slash: self.requests.encoded_slash == EncodedSlash::Keep };
        let public_paths = self
            .requests
            .public_paths
            .iter()
            .map(|text| {
                DecisionRules::public_path(text, path).map_err(|error| ConfigurationError::Value {
                    key: "requests.public_paths".into(),
                    problem: format!("{text}: {error}"),
                })
            })
            .collect::<Result<_, _>>()?;
        let mut rules = DecisionRules {
            path,
            public_paths,
            default_tenant: self.requests.default_tenant.clone(),
            mcp_endpoints: self.mcp.endpoints(path)?,
            challenges: self.mcp.challenges()?,
            ..DecisionRules::default()
        };
        for name in &self.gateways.credential_headers {
            let name: HeaderName = name.trim().parse().map_err(|_| ConfigurationError::Value {
                key: "gateways.credential_headers".into(),
                problem: format!("{name:?} is not the name of a header"),
            })?;
            rules.credential_headers.push(name.as_str().to_owned().into());
        }
        rules.credential_headers.sort_unstable();
        rules.credential_headers.dedup();
        Ok(rules)
    }
}

/// Whether a source names the database's URL, and a file that holds it.
fn names_a_url(source: &Config) -> Result<[bool; 2], ConfigurationError> {
    for (url, file, key) in [
        ("database.url", "database.url_file", "database.url"),
        ("database.listener_url", "database.listener_url_file", "database.listener_url"),
    ] {
        if source.get_string(url).is_ok() && source.get_string(file).is_ok() {
            let problem = format!("set it or {file}, not both");
            return Err(ConfigurationError::Value { key: key.into(), problem });
        }
    }
    Ok(["database.url", "database.url_file"].map(|key| source.get_string(key).is_ok()))
}

/// The variables that are settings. Kubernetes gives every process `REGATE_PORT…` and
/// `REGATE_SERVICE_…` when a service is called `regate`; those are not ours.
fn settings(
    variables: impl Iterator<Item = (String, String)>,
) -> Result<HashMap<String, String>, ConfigurationError> {
    let mut settings = HashMap::new();
    for (name, value) in variables {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        if rest.contains("__") {
            settings.insert(name, value);
        } else if rest == "GATEWAY_TOKEN" {
            return Err(ConfigurationError::GatewaysVariable(name));
        } else if !rest.starts_with("SERVICE_") && rest != "PORT" && !rest.starts_with("PORT_") {
            return Err(ConfigurationError::Variable(name));
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf, time::Duration};

    use super::{Configuration, ConfigurationError};
    use crate::decision::RegoVersion;

    fn read(toml: &str, variables: &[(&str, &str)]) -> Result<Configuration, ConfigurationError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regate.toml");
        fs::write(&path, toml).unwrap();
        let variables = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        Configuration::read(Some(&path), variables)
    }

    #[test]
    fn variables_are_stronger_than_the_file_and_the_file_than_the_defaults() {
        let toml = "[http]\nlisten = \"127.0.0.1:1\"\nmax_nesting = 8\n[policy]\nrego_version = \"v0\"\nmax_time = \"5ms\"";
        let read = read(
            toml,
            &[
                ("REGATE_HTTP__LISTEN", "127.0.0.1:2"),
                ("REGATE_DATABASE__URL", "postgres://x"),
                ("REGATE_REQUESTS__PUBLIC_PATHS", "/health,/live"),
                ("OTHER", "x"),
                ("REGATE_SERVICE_HOST", "10.0.0.1"),
                ("REGATE_PORT_8181_TCP", "tcp://10.0.0.1:8181"),
            ],
        )
        .unwrap();
        assert_eq!(read.http.listen, "127.0.0.1:2");
        assert_eq!(read.http.max_nesting, 8);
        assert_eq!(read.http.max_batch_length, 100);
        assert_eq!(read.policy.rego_version, RegoVersion::V0);
        assert_eq!(read.policy.max_time, Duration::from_millis(5));
        assert_eq!(read.database.url().unwrap().expose(), "postgres://x");
        assert_eq!(read.decision_rules().unwrap().public_paths, [["health"], ["live"]]);
    }

    #[test]
    fn what_is_not_a_setting_is_an_error_that_names_it() {
        type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
        let cases: &[Case<'_>] = &[
            ("[http]\nlisen = \"x\"", &[], "lisen"),
            ("[htp]\nlisten = \"x\"", &[], "htp"),
            ("[http]\nmax_body_bytes = \"many\"", &[], "max_body_bytes"),
            ("[http]\nreceive_time = \"soon\"", &[], "soon"),
            ("[http]\nmax_nesting = 1000", &[], "max_nesting"),
            ("[requests]\ndefault_tenant = \"_x\"", &[], "tenant id"),
            ("not toml", &[], "expected"),
            ("", &[("REGATE_HTTP__LISEN", "x")], "lisen"),
            ("", &[("REGATE_LISTEN", "x")], "REGATE_LISTEN"),
            ("", &[("REGATE_TOKEN", "hunter2")], "REGATE_TOKEN is not a setting: write REGATE_SECTION__KEY"),
            (
                "",
                &[("REGATE_GATEWAY_TOKEN", "hunter2")],
                "to the gateway's process alone, under another name",
            ),
        ];
        for (toml, variables, expected) in cases {
            let error = read(toml, variables).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{toml} {variables:?}: {error}");
        }
        let missing = Configuration::read(Some(&PathBuf::from("/nonexistent.toml")), std::iter::empty());
        assert!(missing.unwrap_err().to_string().contains("/nonexistent.toml"));
    }

    #[test]
    fn a_url_of_a_stronger_source_stands_above_a_weaker_sources_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("url");
        fs::write(&path, "postgres://file").unwrap();
        let in_file = format!("[database]\nurl_file = {path:?}");
        let path = path.to_str().unwrap();
        let url = |toml: &str, variables: &[(&str, &str)]| {
            read(toml, variables).map(|read| read.database.url().unwrap().expose().to_owned())
        };
        assert_eq!(url(&in_file, &[]).unwrap(), "postgres://file");
        assert_eq!(url(&in_file, &[("REGATE_DATABASE__URL", "sqlite://v")]).unwrap(), "sqlite://v");
        let named = "[database]\nurl = \"sqlite://f\"";
        assert_eq!(url(named, &[("REGATE_DATABASE__URL_FILE", path)]).unwrap(), "postgres://file");
        let both = format!("{in_file}\nurl = \"sqlite://f\"");
        assert!(url(&both, &[]).unwrap_err().to_string().contains("not both"));
        let both = [("REGATE_DATABASE__URL", "x"), ("REGATE_DATABASE__URL_FILE", "y")];
        assert!(url("", &both).unwrap_err().to_string().contains("not both"));
    }

    #[test]
    fn the_database_url_may_come_from_a_file_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("url");
        fs::write(&path, "postgres://u:hunter2@h/d\n").unwrap();
        let read = read(&format!("[database]\nurl_file = {path:?}"), &[]).unwrap();
        assert_eq!(read.database.url().unwrap().expose(), "postgres://u:hunter2@h/d");
        let inline = self::read("[database]\nurl = \"postgres://u:hunter2@h/d\"", &[]).unwrap();
        assert!(!format!("{inline:?}").contains("hunter2"));
    }
}

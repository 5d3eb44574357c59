//! The sections of the configuration, their keys and defaults, and how values are read.

use std::{fs, path::PathBuf, time::Duration};

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::{ConfigurationError, reference};
use crate::{
    decision::{EngineChoice, EntrypointPaths, EvaluationBudget, InvalidDocumentPath, Mount, RegoVersion},
    feed::{FeedOptions, OwnDocument, TenantOfRow},
    policy::{BundleLimits, PolicySettings, WatchOptions},
    telemetry::{LogFormat, RequestLines},
    types::{SecretText, TenantId},
};

/// `[gateways]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GatewaySection {
    /// Whether a gateway must present a token of kind `gateway`. `serve` refuses to listen where other machines
    /// reach it unless this is `required`.
    pub authentication: Authentication,
    /// Headers beside `Authorization` that carry callers' credentials, such as `x-api-key`: no rule sees them, and
    /// none goes on.
    pub credential_headers: Vec<String>,
}

impl Default for GatewaySection {
    fn default() -> Self {
        Self { authentication: Authentication::Optional, credential_headers: Vec::new() }
    }
}

/// Whether a gateway must say who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Authentication {
    /// It must.
    Required,
    /// It may. Only where loopback and Unix sockets alone are listened on.
    Optional,
}

/// `[database]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseSection {
    /// `sqlite://FILE`, `sqlite::memory:` or `postgres://…`.
    #[serde(deserialize_with = "secret")]
    #[schemars(schema_with = "reference::text", extend("default" = "sqlite://regate.sqlite"))]
    pub(super) url: SecretText,
    /// A file that holds the URL, in place of `url`.
    #[schemars(extend("format" = "path"))]
    pub url_file: Option<PathBuf>,
    /// The most connections to hold.
    #[schemars(range(min = 1, max = 1_000))]
    pub max_connections: u32,
    /// Bring the tables up to date at the start.
    pub migrate: bool,
    /// An address of Postgres itself, when `url` leads to a pooler:
    /// [data](operating/data.md#how-current-the-data-is).
    #[serde(deserialize_with = "optional_secret")]
    #[schemars(schema_with = "reference::text")]
    listener_url: Option<SecretText>,
    /// A file that holds the listener's URL, in place of `listener_url`.
    #[schemars(extend("format" = "path"))]
    pub listener_url_file: Option<PathBuf>,
}

impl Default for DatabaseSection {
    fn default() -> Self {
        Self {
            url: SecretText::new("sqlite://regate.sqlite".into()),
            url_file: None,
            max_connections: 8,
            migrate: true,
            listener_url: None,
            listener_url_file: None,
        }
    }
}

impl DatabaseSection {
    /// Whether somebody said which database; without that it is a file in the present folder.
    pub(in crate::cli) fn is_named(&self) -> bool {
        self.url_file.is_some() || self.url.expose() != Self::default().url.expose()
    }
}

/// `[data]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DataSection {
    /// Data that is not known to be current for longer denies (`data.stale`).
    #[serde(deserialize_with = "duration", serialize_with = "reference::in_words")]
    #[schemars(schema_with = "reference::time")]
    pub max_staleness: Duration,
    /// How often the database is asked for changes, whatever it announces.
    #[serde(deserialize_with = "duration", serialize_with = "reference::in_words")]
    #[schemars(schema_with = "reference::time")]
    pub poll_interval: Duration,
    /// How long the database may say nothing before the connection is given up.
    #[serde(deserialize_with = "duration", serialize_with = "reference::in_words")]
    #[schemars(schema_with = "reference::time")]
    pub answer_time: Duration,
}

impl Default for DataSection {
    fn default() -> Self {
        let options = FeedOptions::default();
        Self {
            max_staleness: options.max_staleness,
            poll_interval: options.poll_interval,
            answer_time: options.answer_time,
        }
    }
}

/// `[[documents]]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentSection {
    /// Where it stands below `data`: `company.teams` is `data.company.teams`.
    pub path: String,
    /// A query over your own tables, in the database of `[database] url`.
    pub query: String,
    /// An array of rows, in place of `key`.
    #[serde(default)]
    pub list: bool,
    /// The column, or the columns, by whose values the rows are found, outermost first.
    #[serde(default, deserialize_with = "one_or_many")]
    pub key: Vec<String>,
    /// The tenant whose decisions see the rows. Left out: `default`.
    #[schemars(with = "Option<String>")]
    pub tenant: Option<TenantId>,
    /// The column that holds the id of the tenant whose decisions see the row, in place of `tenant`.
    pub tenant_column: Option<String>,
    /// Postgres: the query is run too when somebody says `NOTIFY` on this channel.
    pub channel: Option<String>,
    /// How often the query is run, announced or not.
    #[serde(
        default = "document_interval",
        deserialize_with = "duration",
        serialize_with = "reference::in_words"
    )]
    #[schemars(schema_with = "reference::time")]
    pub interval: Duration,
    /// More rows are a failure.
    #[serde(default = "document_rows")]
    pub max_rows: u64,
}

const fn document_rows() -> u64 {
    1_000_000
}

const fn document_interval() -> Duration {
    Duration::from_secs(5)
}

/// `[policy]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicySection {
    /// The policy folder. Left out: the shipped bundle, which is built in.
    #[schemars(extend("format" = "path"))]
    pub folder: Option<PathBuf>,
    /// A folder of tests that a bundle must pass before it decides. Left out: only those within the bundle.
    #[schemars(extend("format" = "path"))]
    pub tests: Option<PathBuf>,
    /// Whether the system is asked to tell of changes of the files. `false`: they are looked at by `check_interval`
    /// alone.
    pub watch: bool,
    /// How often the files are looked at, told or not.
    #[serde(deserialize_with = "duration", serialize_with = "reference::in_words")]
    #[schemars(schema_with = "reference::time")]
    pub check_interval: Duration,
    /// How long all tests of a bundle may take together.
    #[serde(deserialize_with = "duration", serialize_with = "reference::in_words")]
    #[schemars(schema_with = "reference::time")]
    pub max_test_time: Duration,
    /// Bytes of all files of a bundle; of the tests as well.
    pub max_bundle_bytes: u64,
    /// The rule that gateways' questions ask.
    pub entrypoint: String,
    /// The rule that regate's own management API asks.
    pub management_entrypoint: String,
    /// The rule that AuthZEN asks.
    pub authzen_entrypoint: String,
    /// The version of the language.
    #[schemars(schema_with = "reference::rego_version")]
    pub rego_version: RegoVersion,
    /// What evaluates the rules: [how](policies.md#how-rules-are-evaluated).
    #[schemars(schema_with = "reference::engine")]
    pub engine: EngineChoice,
    /// Instructions of the virtual machine that one evaluation may take.
    #[schemars(range(min = 1))]
    pub max_instructions: usize,
    /// Time that one evaluation may take.
    #[serde(deserialize_with = "duration", serialize_with = "reference::in_words")]
    #[schemars(schema_with = "reference::time")]
    pub max_time: Duration,
}

impl Default for PolicySection {
    fn default() -> Self {
        let paths = EntrypointPaths::default();
        let budget = EvaluationBudget::default();
        let watch = WatchOptions::default();
        Self {
            folder: None,
            tests: None,
            watch: watch.events,
            check_interval: watch.interval,
            max_test_time: PolicySettings::TEST_TIME,
            max_bundle_bytes: BundleLimits::default().bytes,
            entrypoint: paths.decision,
            management_entrypoint: paths.management,
            authzen_entrypoint: paths.authzen,
            rego_version: RegoVersion::default(),
            engine: EngineChoice::default(),
            max_instructions: budget.instructions,
            max_time: budget.time,
        }
    }
}

/// `[requests]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RequestSection {
    /// Paths that any GET or HEAD may have without a credential, in questions that name no upstream.
    pub public_paths: Vec<String>,
    /// What becomes of an encoded `/` in a path.
    pub encoded_slash: EncodedSlash,
    /// The tenant of anonymous callers.
    #[schemars(with = "String")]
    pub default_tenant: TenantId,
}

impl Default for RequestSection {
    fn default() -> Self {
        Self {
            public_paths: vec!["/health".into()],
            encoded_slash: EncodedSlash::Deny,
            default_tenant: TenantId::default_tenant(),
        }
    }
}

/// What becomes of an encoded `/` in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EncodedSlash {
    /// The path is ambiguous, and the question denied.
    Deny,
    /// It stays inside its segment. Only where everything behind the gateway reads it so.
    Keep,
}

/// `[log]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogSection {
    /// What lines look like.
    #[schemars(schema_with = "reference::log_format")]
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, `off`, or a filter such as `info,regate::policy=debug`. SIGHUP
    /// reads it anew.
    pub level: String,
    /// Which requests have a line of their own, at their end.
    #[schemars(schema_with = "reference::request_lines")]
    pub requests: RequestLines,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".into(), requests: RequestLines::default() }
    }
}

/// `[metrics]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsSection {
    /// `ADDRESS:PORT` on which `GET /metrics` answers. Left out: nowhere.
    pub listen: Option<String>,
}

impl DatabaseSection {
    /// The URL, from the file that holds it if one is named.
    ///
    /// # Errors
    /// [`ConfigurationError::Read`] when that file cannot be read.
    pub fn url(&self) -> Result<SecretText, ConfigurationError> {
        match &self.url_file {
            None => Ok(self.url.clone()),
            Some(path) => secret_of_file(path),
        }
    }

    /// The URL for listening and migrating, if it is another one.
    ///
    /// # Errors
    /// [`ConfigurationError::Read`] when the file that holds it cannot be read.
    pub fn listener_url(&self) -> Result<Option<SecretText>, ConfigurationError> {
        match &self.listener_url_file {
            None => Ok(self.listener_url.clone()),
            Some(path) => secret_of_file(path).map(Some),
        }
    }
}

pub(super) fn secret_of_file(path: &PathBuf) -> Result<SecretText, ConfigurationError> {
    fs::read_to_string(path)
        .map(|text| SecretText::new(text.trim().to_owned()))
        .map_err(|source| ConfigurationError::Read { path: path.clone(), source })
}

impl DocumentSection {
    pub(super) fn read(&self) -> Result<OwnDocument, ConfigurationError> {
        let wrong = |problem: String| ConfigurationError::Value {
            key: "documents".into(),
            problem: format!("the document {:?}: {problem}", self.path),
        };
        let path = self.path.parse().map_err(|error: InvalidDocumentPath| wrong(error.to_string()))?;
        if self.list != self.key.is_empty() {
            let problem = "say either key = [\"column\", …] or list = true";
            return Err(wrong(problem.to_owned()));
        }
        let tenant = match (&self.tenant, &self.tenant_column) {
            (Some(_), Some(_)) => {
                return Err(wrong("say either tenant or tenant_column".to_owned()));
            }
            (None, Some(column)) => TenantOfRow::Column(column.clone()),
            (tenant, None) => TenantOfRow::Fixed(tenant.clone().unwrap_or_else(TenantId::default_tenant)),
        };
        Ok(OwnDocument {
            mount: Mount { path, list: self.list },
            query: self.query.clone(),
            key: self.key.clone(),
            tenant,
            channel: self.channel.clone(),
            interval: self.interval,
            max_rows: self.max_rows,
        })
    }
}

/// A time such as `10s` or `50ms`, above zero.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration: Option<SignedDuration> = text.parse().ok();
    duration
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| format!("{text:?} is not a time such as \"10s\" or \"50ms\""))
}

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

pub(super) fn optional_secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SecretText>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretText::new))
}

pub(super) fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Names {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Names::deserialize(deserializer)? {
        Names::One(name) => vec![name],
        Names::Many(names) => names,
    })
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretText, D::Error> {
    String::deserialize(deserializer).map(SecretText::new)
}

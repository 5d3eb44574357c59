//! `[credentials]`: the keys that seal upstream credentials, and how people come to consent.

use std::{
    fmt,
    path::{PathBuf, absolute},
    sync::Arc,
    time::Duration,
};

use config::Config;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Configuration, ConfigurationError, reference,
    sections::{duration, optional_secret},
};
use crate::{
    decision::ConnectUrl,
    types::{SecretText, causes},
    upstream::{
        CredentialSettings, InvalidKeys, KeyRing, Loopback, RenewalSettings, SweepSettings, check_endpoint,
    },
};

/// `[credentials]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CredentialSection {
    /// A file of keys, the first of which seals. A relative path is looked for in the folder that regate is started
    /// in. Left out, and without `key`: no credentials are taken.
    #[schemars(extend("format" = "path"))]
    pub key_file: Option<PathBuf>,
    /// The keys themselves, from the environment alone: in the file this key is refused.
    #[serde(deserialize_with = "optional_secret")]
    #[schemars(schema_with = "reference::text")]
    key: Option<SecretText>,
    /// Where authorization servers may send people back to. `{upstream}` in a path or query is the upstream's id.
    pub redirect_uris: Vec<String>,
    /// Whether authorization servers may be on this machine (`127.0.0.1`, `::1`, `localhost` and the like).
    pub loopback_endpoints: bool,
    /// Where people are sent who have no usable credential: your console. `{tenant}`, `{upstream}`, `{holder}` and
    /// `{holder_id}` are filled in. Left out, for a first try: regate's own list of flows.
    pub connect_url: Option<String>,
    /// How long before it expires a credential is renewed; `1s` to `24h`.
    #[serde(deserialize_with = "duration", serialize_with = "reference::in_words")]
    #[schemars(schema_with = "reference::time")]
    pub renewal_margin: Duration,
    /// How long a credential is kept whose token lost the grant; at least `1m`.
    #[serde(deserialize_with = "duration", serialize_with = "reference::in_words")]
    #[schemars(schema_with = "reference::time")]
    pub orphaned_age: Duration,
}

impl Default for CredentialSection {
    fn default() -> Self {
        Self {
            key_file: None,
            key: None,
            redirect_uris: Vec::new(),
            loopback_endpoints: false,
            connect_url: None,
            renewal_margin: RenewalSettings::default().margin,
            orphaned_age: SweepSettings::default().orphaned_age,
        }
    }
}

/// What may stand in `connect_url`, for the parts of a denied question.
const PLACES: [&str; 4] = ["tenant", "upstream", "holder", "holder_id"];
const SHORTEST_MARGIN: Duration = Duration::from_secs(1);
/// How often is looked for what is to be renewed, at most.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(250);
const LONGEST_MARGIN: Duration = Duration::from_secs(24 * 60 * 60);
const SHORTEST_AGE: Duration = Duration::from_secs(60);

fn wrong(key: &'static str, problem: impl fmt::Display) -> ConfigurationError {
    ConfigurationError::Value { key: key.into(), problem: problem.to_string() }
}

impl CredentialSection {
    /// # Errors
    /// [`ConfigurationError::Value`] for what cannot be used. `file` is the configuration file alone.
    pub(super) fn check(&self, file: &Config) -> Result<(), ConfigurationError> {
        if file.get_string("credentials.key").is_ok() {
            let problem = "a key does not stand in the configuration file: name a file of keys as credentials.key_file, \
                           or set REGATE_CREDENTIALS__KEY";
            return Err(wrong("credentials.key", problem));
        }
        if self.key.is_some() && self.key_file.is_some() {
            return Err(wrong("credentials.key", "set it or credentials.key_file, not both"));
        }
        if let Some(uri) = self.redirect_uris.iter().find(|uri| !is_redirect_uri(uri)) {
            let problem = format!(
                "{uri:?} is no https URL without a fragment, nor http on this machine (127.0.0.1, [::1], localhost); \
                 {{upstream}} may stand in its path or its query, and no other braces"
            );
            return Err(wrong("credentials.redirect_uris", problem));
        }
        if let Some(template) = &self.connect_url {
            check_template(template)?;
        }
        if !(SHORTEST_MARGIN..=LONGEST_MARGIN).contains(&self.renewal_margin) {
            return Err(wrong("credentials.renewal_margin", "it must be 1s to 24h"));
        }
        if self.orphaned_age < SHORTEST_AGE {
            return Err(wrong("credentials.orphaned_age", "it must be at least 1m"));
        }
        Ok(())
    }
}

/// Whether people may be sent back there: the upstream's id may be within it, but not in where it leads.
fn is_redirect_uri(template: &str) -> bool {
    const PLACE: &str = "{upstream}";
    let plain = template.replace(PLACE, "x");
    let begins = template.split(PLACE).next().unwrap_or_default();
    let behind_host = begins.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    !plain.contains(['{', '}'])
        && (plain == template || behind_host)
        && check_endpoint(&plain, Loopback::Allowed).is_ok()
}

fn check_template(template: &str) -> Result<(), ConfigurationError> {
    let wrong = |problem: String| Err(wrong("credentials.connect_url", problem));
    if !(template.starts_with("https://") || template.starts_with("http://"))
        || template.bytes().any(|b| !b.is_ascii_graphic())
    {
        return wrong("it must be an http or https URL of visible ASCII characters".to_owned());
    }
    // What is no place is a mistake that somebody would be sent to.
    let plain =
        PLACES.iter().fold(template.to_owned(), |text, place| text.replace(&format!("{{{place}}}"), ""));
    if plain.contains(['{', '}']) {
        return wrong(
            "it may hold {tenant}, {upstream}, {holder} and {holder_id}, and no other braces".to_owned(),
        );
    }
    Ok(())
}

impl Configuration {
    /// The whole path of the file of keys; it is looked for in the folder that the process was started in.
    ///
    /// # Errors
    /// [`ConfigurationError::Value`] for an empty one.
    pub fn key_file(&self) -> Result<Option<PathBuf>, ConfigurationError> {
        let Some(path) = &self.credentials.key_file else { return Ok(None) };
        if path.as_os_str().is_empty() {
            return Err(wrong("credentials.key_file", "it is empty: name a file of keys, or leave it out"));
        }
        Ok(Some(absolute(path).unwrap_or_else(|_| path.clone())))
    }

    /// The keys that seal upstream credentials; `None` if the configuration names none.
    ///
    /// # Errors
    /// [`ConfigurationError::Value`] when they cannot be used.
    pub fn key_ring(&self) -> Result<Option<Arc<KeyRing>>, ConfigurationError> {
        let in_words = |error: &InvalidKeys| causes(error).join(": ");
        match (self.key_file()?, &self.credentials.key) {
            (Some(path), _) => match KeyRing::from_file(&path) {
                Ok(keys) => Ok(Some(Arc::new(keys))),
                Err(error) => {
                    let (path, said) = (path.display().to_string(), in_words(&error));
                    let problem = if said.contains(&path) { said } else { format!("{path}: {said}") };
                    Err(wrong("credentials.key_file", problem))
                }
            },
            (None, Some(key)) => match KeyRing::from_text(key) {
                Ok(keys) => Ok(Some(Arc::new(keys))),
                Err(error) => Err(wrong("credentials.key", in_words(&error))),
            },
            (None, None) => Ok(None),
        }
    }

    /// How credentials are taken.
    pub fn credential_settings(&self) -> CredentialSettings {
        CredentialSettings {
            redirect_uris: self.credentials.redirect_uris.clone(),
            loopback: self.loopback(),
        }
    }

    fn loopback(&self) -> Loopback {
        if self.credentials.loopback_endpoints { Loopback::Allowed } else { Loopback::Refused }
    }

    /// When credentials are renewed.
    pub fn renewal_settings(&self) -> RenewalSettings {
        let (usual, margin) = (RenewalSettings::default(), self.credentials.renewal_margin);
        // Often enough that none expires between two looks, and that the renewal has the better part of the margin.
        let interval = (margin / 4).clamp(SHORTEST_INTERVAL, usual.interval);
        RenewalSettings { margin, interval, loopback: self.loopback(), ..usual }
    }

    /// What is swept, and when.
    pub fn sweep_settings(&self) -> SweepSettings {
        SweepSettings { orphaned_age: self.credentials.orphaned_age, ..SweepSettings::default() }
    }

    /// Where people are sent who have no usable credential. Where nobody says otherwise it is where regate, at this
    /// URL, lists the flows for the upstream.
    pub fn connect_url(&self, own_url: &str) -> ConnectUrl {
        let own = || format!("{own_url}/v1/credential-flows?upstream_id={{upstream}}");
        ConnectUrl::new(&self.credentials.connect_url.clone().unwrap_or_else(own))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use crate::{cli::configuration::Configuration, decision::ConnectUrl};

    const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

    fn read(lines: &str, variables: &[(&str, &str)]) -> Result<Configuration, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regate.toml");
        fs::write(&path, format!("[credentials]\n{lines}")).unwrap();
        let variables = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        Configuration::read(Some(&path), variables).map_err(|error| error.to_string())
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (lines, expected) in [
            (format!("key = \"{KEY}\""), "credentials.key: a key does not stand in the configuration file"),
            ("redirect_uris = [\"http://x/cb\"]".to_owned(), "credentials.redirect_uris: "),
            ("redirect_uris = [\"https://x/cb#a\"]".to_owned(), "credentials.redirect_uris: "),
            ("redirect_uris = [\"https://{upstream}.example/cb\"]".to_owned(), "credentials.redirect_uris: "),
            ("redirect_uris = [\"https://x/{tenant}\"]".to_owned(), "credentials.redirect_uris: "),
            ("connect_url = \"/connect\"".to_owned(), "credentials.connect_url: it must be"),
            ("connect_url = \"https://x/{user}\"".to_owned(), "credentials.connect_url: it may hold"),
            ("renewal_margin = \"25h\"".to_owned(), "credentials.renewal_margin: "),
            ("renewal_margin = \"soon\"".to_owned(), "is not a time"),
            ("orphaned_age = \"1s\"".to_owned(), "credentials.orphaned_age: "),
            ("keyfile = \"x\"".to_owned(), "keyfile"),
        ] {
            let said = read(&lines, &[]).unwrap_err();
            assert!(said.contains(expected) && !said.contains(KEY), "{lines}: {said}");
        }
        let both = read("key_file = \"x\"", &[("REGATE_CREDENTIALS__KEY", KEY)]).unwrap_err();
        assert!(both.contains("not both") && !both.contains(KEY), "{both}");
        let good = "redirect_uris = [\"https://x/cb\"]\nconnect_url = \"https://x/{tenant}?u={upstream}&h={holder}\"";
        assert_eq!(read(good, &[]).unwrap().credentials.redirect_uris, ["https://x/cb"]);
        let template = "redirect_uris = [\"https://x/cb/{upstream}\", \"http://127.0.0.1:9/?u={upstream}\"]";
        assert_eq!(read(template, &[]).unwrap().credentials.redirect_uris.len(), 2);
        let listed = read("", &[("REGATE_CREDENTIALS__REDIRECT_URIS", "https://x/a,https://x/b")]).unwrap();
        assert_eq!(listed.credentials.redirect_uris, ["https://x/a", "https://x/b"]);
    }

    #[test]
    fn keys_come_from_a_file_or_a_variable_and_are_never_shown() {
        assert!(read("", &[]).unwrap().key_ring().unwrap().is_none());
        let variable = read("", &[("REGATE_CREDENTIALS__KEY", KEY)]).unwrap();
        assert!(variable.key_ring().unwrap().is_some());
        assert!(!format!("{variable:?}").contains(KEY));
        let wrong = read("", &[("REGATE_CREDENTIALS__KEY", "hunter2")]).unwrap().key_ring().unwrap_err();
        let said = wrong.to_string();
        assert!(said.starts_with("credentials.key: line 1 is no key") && !said.contains("hunter2"), "{said}");

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let of_file = || read(&format!("key_file = {path:?}"), &[]).unwrap().key_ring();
        let said = of_file().unwrap_err().to_string();
        assert!(said.starts_with("credentials.key_file: ") && said.contains("keys cannot be read"), "{said}");
        let relative = read("key_file = \"no/keys\"", &[]).unwrap().key_ring().unwrap_err().to_string();
        let whole = std::env::current_dir().unwrap().join("no/keys");
        assert!(relative.contains(&format!("{} cannot be read", whole.display())), "{relative}");
        let empty = read("key_file = \"\"", &[]).unwrap().key_ring().unwrap_err().to_string();
        assert!(empty.starts_with("credentials.key_file: it is empty"), "{empty}");
        for (text, mode, expected) in [
            (KEY, 0o600, ""),
            (KEY, 0o644, "may be read or changed by others"),
            ("hunter2", 0o600, "line 1 is no key"),
            ("# nothing", 0o600, "there is no key"),
        ] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let said = of_file().err().map(|error| error.to_string()).unwrap_or_default();
            assert!(if expected.is_empty() { said.is_empty() } else { said.contains(expected) }, "{said}");
            assert!(!said.contains("hunter2") && (said.is_empty() || said.contains("keys")), "{said}");
        }
    }

    #[test]
    fn people_are_sent_to_regate_itself_unless_somebody_says_otherwise() {
        let url = "http://127.0.0.1:8181";
        let own = read("", &[]).unwrap().connect_url(url);
        let template = "http://127.0.0.1:8181/v1/credential-flows?upstream_id={upstream}";
        assert_eq!(own, ConnectUrl::new(template));
        let theirs = read("connect_url = \"https://x/{holder}\"", &[]).unwrap().connect_url(url);
        assert_eq!(theirs, ConnectUrl::new("https://x/{holder}"));
    }
}

//! The paths that may be asked for.

use std::fmt;

/// A path below `data`, as URLs and the configuration write it: `regate/decision`.
#[derive(Clone, PartialEq, Eq)]
pub struct DataPath {
    slashed: String,
    /// With `data` before it and dots between, as rules are named.
    rule: String,
}

impl fmt::Debug for DataPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.slashed, f)
    }
}

/// What the plugins of gateways ask, which no rule answers.
const PLUGINS: [&str; 2] = ["regate/apisix", "regate/kong"];

/// The one of [`PLUGINS`] that a percent-decoded URL is at, or below. Slashes in a row
/// and at its ends count for nothing.
pub(super) fn plugin_of(url: &str) -> Option<&'static str> {
    let mut segments = url.split('/').filter(|segment| !segment.is_empty());
    let (first, second) = (segments.next()?, segments.next()?);
    PLUGINS.into_iter().find(|plugin| plugin.split_once('/') == Some((first, second)))
}

impl DataPath {
    /// Reads a path from the configuration.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence that begins with the path.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let name = |segment: &str| {
            !segment.is_empty()
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        if !text.split('/').all(name) {
            return Err(
                "is not a path such as \"regate/decision\": names with / between, without data/ and /v1/data/ before",
            );
        }
        let is_at = |plugin: &str| {
            text.strip_prefix(plugin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if PLUGINS.into_iter().any(is_at) {
            return Err("is what the plugin of a gateway asks: it is answered without being listed");
        }
        Ok(Self { slashed: text.to_owned(), rule: format!("data.{}", text.replace('/', ".")) })
    }

    /// With `data` before it and dots between.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// Whether a URL that is percent-decoded asks for it. Slashes in a row and at its ends count for nothing, as to OPA.
    pub(super) fn is_asked_by(&self, url: &str) -> bool {
        url.split('/').filter(|segment| !segment.is_empty()).eq(self.slashed.split('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::DataPath;

    #[test]
    fn a_path_is_names_with_slashes_between() {
        for (text, rule) in [
            ("regate/decision", "data.regate.decision"),
            ("authz", "data.authz"),
            ("a/b-c/0", "data.a.b-c.0"),
        ] {
            assert_eq!(DataPath::read(text).unwrap().rule(), rule);
        }
        for text in
            ["", "/a", "a/", "a//b", "a.b", "a b", "ä", "a/\"b\"", "regate/kong", "regate/apisix/github"]
        {
            assert!(DataPath::read(text).is_err(), "{text}");
        }
        assert!(DataPath::read("regate/kongs").is_ok());
        let path = DataPath::read("a/b").unwrap();
        assert!(["a/b", "a/b/", "//a//b"].iter().all(|url| path.is_asked_by(url)));
        assert!(!["a", "a/b/c", "a.b", "A/b", ""].iter().any(|url| path.is_asked_by(url)));
    }
}

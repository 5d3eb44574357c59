//! The value of `WWW-Authenticate` that goes with a deny: RFC 6750 section 3, RFC 9728 section 5.1, and the MCP
//! authorization specification (2025-11-25).

use std::{borrow::Cow, sync::Arc};

/// Makes challenges.
#[derive(Clone, Debug)]
pub struct Challenges {
    missing: Cow<'static, str>,
    invalid: Cow<'static, str>,
    /// With what stands before it.
    metadata: String,
}

/// Challenges that name no metadata.
pub(super) static PLAIN: Challenges = Challenges {
    missing: Cow::Borrowed("Bearer"),
    invalid: Cow::Borrowed("Bearer error=\"invalid_token\""),
    metadata: String::new(),
};

impl Default for Challenges {
    fn default() -> Self {
        PLAIN.clone()
    }
}

impl Challenges {
    /// Challenges that name the protected resource's metadata (RFC 9728), if there is any: an absolute URL.
    pub fn new(resource_metadata: Option<&str>) -> Self {
        let Some(url) = resource_metadata else { return PLAIN.clone() };
        let url: String = url.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\')).collect();
        Self {
            missing: Cow::Owned(format!("Bearer resource_metadata=\"{url}\"")),
            invalid: Cow::Owned(format!("Bearer error=\"invalid_token\", resource_metadata=\"{url}\"")),
            metadata: format!(", resource_metadata=\"{url}\""),
        }
    }

    /// No credential came. (RFC 6750 section 3.1: no error code then.) These scopes would be enough, if any are named.
    pub(super) fn missing(&self, scopes: &[Arc<str>]) -> Cow<'static, str> {
        if scopes.is_empty() {
            return self.missing.clone();
        }
        let separator = if self.metadata.is_empty() { "" } else { "," };
        Cow::Owned(format!("{}{separator} scope=\"{}\"", self.missing, scopes.join(" ")))
    }

    /// The credential is not good.
    pub(super) fn invalid(&self) -> Cow<'static, str> {
        self.invalid.clone()
    }

    /// The credential gives too little, and these scopes would be enough: none, if it cannot be said which.
    pub(super) fn insufficient(&self, scopes: &[Arc<str>]) -> Cow<'static, str> {
        let metadata = &self.metadata;
        if scopes.is_empty() {
            return Cow::Owned(format!("Bearer error=\"insufficient_scope\"{metadata}"));
        }
        let scope = scopes.join(" ");
        Cow::Owned(format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"{metadata}"))
    }
}

/// Whether a text can stand in `scope` (RFC 6749 section 3.3 `scope-token`).
pub(super) fn is_scope(text: &str) -> bool {
    let allowed = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::{Challenges, is_scope};

    #[test]
    fn the_forms_of_the_specifications() {
        let plain = Challenges::default();
        assert_eq!(plain.missing(&[]), "Bearer");
        assert_eq!(plain.missing(&["a".into(), "b".into()]), "Bearer scope=\"a b\"");
        assert_eq!(plain.insufficient(&[]), "Bearer error=\"insufficient_scope\"");
        assert_eq!(plain.invalid(), "Bearer error=\"invalid_token\"");
        assert_eq!(
            plain.insufficient(&["a".into(), "b:c".into()]),
            "Bearer error=\"insufficient_scope\", scope=\"a b:c\""
        );
        let named = Challenges::new(Some("https://g/.well-known/oauth-protected-resource"));
        assert_eq!(
            named.missing(&[]),
            "Bearer resource_metadata=\"https://g/.well-known/oauth-protected-resource\""
        );
        assert!(named.missing(&["a".into()]).ends_with("-resource\", scope=\"a\""));
        assert!(
            named.insufficient(&[]).starts_with("Bearer error=\"insufficient_scope\", resource_metadata=")
        );
        assert!(
            named.invalid().starts_with("Bearer error=\"invalid_token\", resource_metadata=\"https://g/")
        );
        assert!(named.insufficient(&["a".into()]).contains("scope=\"a\", resource_metadata=\"https://g/"));
    }

    #[test]
    fn a_scope_ends_no_quotation() {
        assert!(is_scope("tools:search"));
        for wrong in ["", "a b", "a\"b", "a\\b", "a\nb", "ä"] {
            assert!(!is_scope(wrong), "{wrong:?}");
        }
    }
}

//! Text that must not be shown.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A secret in memory: no `Display`, no `Serialize`, a `Debug` that says nothing, wiped when dropped.
#[derive(Clone)]
pub struct SecretText(SecretString);

impl SecretText {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// The text itself. Each call is a place to look at in review.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::SecretText;

    #[test]
    fn debug_does_not_show_the_text() {
        assert_eq!(format!("{:?}", SecretText::new("hunter2".into())), "SecretText(…)");
    }
}

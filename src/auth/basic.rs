//! `Authorization: Basic` (RFC 7617), of whoever asks about tokens and can say who they are in no other way.

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::CredentialReader;
use crate::types::PresentedCredential;

impl CredentialReader {
    /// Reads the values of all `authorization` headers like [`read`](Self::read); also a token that is the password of
    /// `Basic`, whoever the user is said to be. A token has no character that RFC 6749 section 2.3.1 would have encoded,
    /// but for `+`, `/` and `=` of an imported one: those are taken as they are.
    pub fn read_with_basic(&self, authorization: &[&str]) -> PresentedCredential {
        let encoded = match authorization {
            [one] => basic(one),
            _ => None,
        };
        match encoded.map(password) {
            Some(Some(password)) => self.read(Some(&password), []),
            Some(None) => PresentedCredential::Malformed,
            None => self.read(None, authorization.iter().copied()),
        }
    }
}

/// What follows the scheme `Basic`.
fn basic(value: &str) -> Option<&str> {
    let (scheme, encoded) = value.trim_matches([' ', '\t']).split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then(|| encoded.trim_start_matches(' '))
}

fn password(encoded: &str) -> Option<Zeroizing<String>> {
    let decoded = Zeroizing::new(STANDARD.decode(encoded).ok()?);
    let (_, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(Zeroizing::new(password.to_owned()))
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};

    use crate::{
        auth::{CredentialReader, hash},
        types::PresentedCredential as P,
    };

    fn read(values: &[&str]) -> P {
        CredentialReader::default().read_with_basic(values)
    }

    #[test]
    fn a_token_may_be_the_password() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for text in ["edge:k1", ":k1", "a b:k1"] {
            assert_eq!(read(&[&basic(text)]), P::Token(hash("k1")), "{text}");
        }
        assert_eq!(read(&["Bearer k1"]), P::Token(hash("k1")));
        assert_eq!(read(&[&basic("a:b:k1").replace("Basic", "bASIC")]), P::Malformed);
        for wrong in [&basic("k1"), &basic("a:"), "Basic", "Basic !", "Basic "] {
            assert_eq!(read(&[wrong]), P::Malformed, "{wrong}");
        }
        assert_eq!(read(&[]), P::Absent);
        assert_eq!(read(&[&basic("a:k1"), &basic("a:k1")]), P::Ambiguous);
        assert_eq!(read(&[&basic("a:k1"), "Bearer k1"]), P::Ambiguous);
    }
}

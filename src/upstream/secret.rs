//! What people give: a token, or the values of headers. Checked, and packed for sealing.

use std::collections::BTreeMap;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::types::{SecretText, UpstreamSecret};

/// Bytes of a value.
const LONGEST: usize = 16 * 1024;
/// Bytes of all values of a credential together: what is sealed has to have its place in the store.
const MOST_BYTES: usize = 48 * 1024;
/// Headers of a credential.
const MOST_HEADERS: usize = 32;

/// Why something cannot go on as a credential. Shows nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidSecret {
    /// There is nothing.
    #[error("{0}: it is empty")]
    Empty(String),
    /// There is too much.
    #[error("{0}: it has more than {LONGEST} bytes")]
    TooLong(String),
    /// It could not stand in a header, or would begin another (RFC 9110 section 5.5).
    #[error("{0}: it holds a line break or another character that cannot stand in a header")]
    NotAHeaderValue(String),
    /// A header that the upstream wants is not there.
    #[error("headers: {0} is missing")]
    Missing(String),
    /// A header is there twice.
    #[error("headers: {0} is there twice")]
    Twice(String),
    /// More headers than any credential has.
    #[error("headers: more than {MOST_HEADERS}")]
    TooMany,
    /// More bytes than any credential has.
    #[error("headers: their values have more than {MOST_BYTES} bytes together")]
    TooMuch,
}

/// Checks a secret that is called `name` where it was given.
///
/// # Errors
/// [`InvalidSecret`].
pub fn check_secret(name: &str, secret: &SecretText) -> Result<(), InvalidSecret> {
    let text = secret.expose();
    if text.is_empty() || text.trim() != text {
        return Err(if text.trim().is_empty() {
            InvalidSecret::Empty(name.to_owned())
        } else {
            // Programs disagree about what becomes of it.
            InvalidSecret::NotAHeaderValue(name.to_owned())
        });
    }
    if text.len() > LONGEST {
        return Err(InvalidSecret::TooLong(name.to_owned()));
    }
    // Visible ASCII, space and tab: the rest of what RFC 9110 lets pass is read in different ways.
    if !text.bytes().all(|b| (b' '..=b'~').contains(&b) || b == b'\t') {
        return Err(InvalidSecret::NotAHeaderValue(name.to_owned()));
    }
    Ok(())
}

/// Of the headers that were given, those that the upstream declares, by name in lower case; others are dropped
/// (systems.md B13).
///
/// # Errors
/// [`InvalidSecret`], also when a declared one is missing.
pub fn declared_headers(
    given: Vec<(String, SecretText)>,
    declared: &[String],
) -> Result<BTreeMap<String, SecretText>, InvalidSecret> {
    if given.len() > MOST_HEADERS {
        return Err(InvalidSecret::TooMany);
    }
    let normal = |name: &str| name.trim().to_ascii_lowercase();
    let mut headers = BTreeMap::new();
    for (name, value) in given {
        let name = normal(&name);
        if !declared.iter().any(|declared| normal(declared) == name) {
            continue;
        }
        check_secret(&format!("headers: {name}"), &value)?;
        if headers.insert(name.clone(), value).is_some() {
            return Err(InvalidSecret::Twice(name));
        }
    }
    if headers.values().map(|value| value.expose().len()).sum::<usize>() > MOST_BYTES {
        return Err(InvalidSecret::TooMuch);
    }
    match declared.iter().map(|name| normal(name)).find(|name| !headers.contains_key(name)) {
        Some(missing) => Err(InvalidSecret::Missing(missing)),
        None => Ok(headers),
    }
}

const TOKEN: u8 = 0;
const HEADERS: u8 = 1;

/// The secret as it is sealed.
pub(super) fn to_plain(secret: &UpstreamSecret) -> Zeroizing<Vec<u8>> {
    // Reserved at once: a vector that grows leaves copies behind.
    match secret {
        UpstreamSecret::Token(token) => {
            let text = token.expose().as_bytes();
            let mut plain = Zeroizing::new(Vec::with_capacity(1 + text.len()));
            plain.push(TOKEN);
            plain.extend_from_slice(text);
            plain
        }
        UpstreamSecret::Headers(headers) => {
            let parts = || headers.iter().flat_map(|(name, value)| [name.as_str(), value.expose()]);
            let length: usize = parts().map(|part| 4 + part.len()).sum();
            let mut plain = Zeroizing::new(Vec::with_capacity(1 + length));
            plain.push(HEADERS);
            for part in parts() {
                // Checked to be far shorter.
                plain.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
                plain.extend_from_slice(part.as_bytes());
            }
            plain
        }
    }
}

/// The secret that was sealed; `None` for what this regate did not seal.
pub(super) fn from_plain(plain: &[u8]) -> Option<UpstreamSecret> {
    let (form, mut rest) = plain.split_first()?;
    match *form {
        TOKEN => Some(UpstreamSecret::Token(text(rest)?)),
        HEADERS => {
            let mut headers = BTreeMap::new();
            while !rest.is_empty() {
                let name = part(&mut rest)?;
                let value = part(&mut rest)?;
                headers.insert(std::str::from_utf8(name).ok()?.to_owned(), text(value)?);
            }
            Some(UpstreamSecret::Headers(headers))
        }
        _ => None,
    }
}

fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    let (part, behind) = behind.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *rest = behind;
    Some(part)
}

fn text(bytes: &[u8]) -> Option<SecretText> {
    std::str::from_utf8(bytes).ok().map(|text| SecretText::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{InvalidSecret, check_secret, declared_headers, from_plain, to_plain};
    use crate::types::{SecretText, UpstreamSecret};

    fn secret(text: &str) -> SecretText {
        SecretText::new(text.to_owned())
    }

    fn shown(secret: &UpstreamSecret) -> Vec<(String, String)> {
        match secret {
            UpstreamSecret::Token(token) => vec![(String::new(), token.expose().to_owned())],
            UpstreamSecret::Headers(headers) => {
                headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect()
            }
        }
    }

    #[test]
    fn what_is_packed_is_read_again() {
        let headers =
            BTreeMap::from([("x-a".to_owned(), secret("1")), ("x-b".to_owned(), secret("two words"))]);
        for value in [
            UpstreamSecret::Token(secret("t")),
            UpstreamSecret::Headers(headers),
            UpstreamSecret::Headers(BTreeMap::new()),
        ] {
            let plain = to_plain(&value);
            assert_eq!(shown(&from_plain(&plain).unwrap()), shown(&value));
            assert!(!format!("{value:?}").contains("two"));
            if let UpstreamSecret::Headers(headers) = &value
                && !headers.is_empty()
            {
                for cut in 2..plain.len() {
                    let read = from_plain(&plain[..cut]);
                    assert!(read.is_none_or(|read| shown(&read).len() < 2), "{cut}");
                }
            }
        }
        for foreign in [&b""[..], b"\x02", b"\x00\xff", b"\x01\xff\xff\xff\xff", b"\x01\x00\x00\x00\x01"] {
            assert!(from_plain(foreign).is_none());
        }
    }

    #[test]
    fn a_value_that_would_begin_another_header_is_refused() {
        for wrong in ["a\r\nx: y", "a\nb", "\0", "a\u{7f}", "é", "a\u{2028}b", " a", "a ", "a\t"] {
            let error = check_secret("token", &secret(wrong)).unwrap_err();
            assert_eq!(error, InvalidSecret::NotAHeaderValue("token".into()), "{wrong:?}");
        }
        for empty in ["", " ", "\t"] {
            assert_eq!(check_secret("token", &secret(empty)), Err(InvalidSecret::Empty("token".into())));
        }
        let long = "x".repeat(16 * 1024);
        assert_eq!(check_secret("token", &secret(&long)), Ok(()));
        assert_eq!(
            check_secret("token", &secret(&(long + "x"))),
            Err(InvalidSecret::TooLong("token".into()))
        );
    }

    #[test]
    fn header_names_are_trimmed_and_in_lower_case_and_undeclared_ones_are_dropped() {
        let given =
            |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), secret("v"))).collect::<Vec<_>>();
        let declared = ["x-api-key".to_owned(), "x-account".to_owned()];
        let read = declared_headers(given(&[" X-API-Key ", "x-account", "x-other"]), &declared).unwrap();
        assert_eq!(read.keys().collect::<Vec<_>>(), ["x-account", "x-api-key"]);
        let refused = |names: &[&str]| declared_headers(given(names), &declared).unwrap_err();
        assert_eq!(refused(&["x-account"]), InvalidSecret::Missing("x-api-key".into()));
        assert_eq!(refused(&["x-account", "X-Account"]), InvalidSecret::Twice("x-account".into()));
        assert_eq!(refused(&["a"; 33]), InvalidSecret::TooMany);
        let names: Vec<String> = (0..4).map(|number| format!("x-{number}")).collect();
        let large = |length| names.iter().map(|name| (name.clone(), secret(&"v".repeat(length)))).collect();
        assert!(declared_headers(large(12 * 1024), &names).is_ok());
        assert_eq!(declared_headers(large(12 * 1024 + 1), &names).unwrap_err(), InvalidSecret::TooMuch);
        let broken = vec![("x-api-key".to_owned(), secret("a\nb"))];
        let error = declared_headers(broken, &declared).unwrap_err();
        assert_eq!(error, InvalidSecret::NotAHeaderValue("headers: x-api-key".into()));
    }
}

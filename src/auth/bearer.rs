//! The one place where a presented credential is read.

use super::token::{TokenFormat, hash, identify};
use crate::types::PresentedCredential;

/// Reads what a caller presented: a bare `token` that the gateway took out, the values of all
/// `authorization` headers, or both.
///
/// The scheme is `Bearer` in any case, as RFC 9110 section 11.1 has it. Whatever is there and is not
/// one well-formed credential is [`Malformed`](PresentedCredential::Malformed) or
/// [`Ambiguous`](PresentedCredential::Ambiguous): nothing that is there is ever ignored.
pub fn present<'a>(
    token: Option<&str>,
    authorization: impl IntoIterator<Item = &'a str>,
) -> PresentedCredential {
    let mut headers = authorization.into_iter();
    let bare = match (token, headers.next()) {
        (_, Some(_)) if headers.next().is_some() => return PresentedCredential::Ambiguous,
        (None, None) => return PresentedCredential::Absent,
        (Some(token), None) => Some(token),
        (None, Some(header)) => bearer(header),
        (Some(token), Some(header)) => match bearer(header) {
            Some(same) if same == token => Some(token),
            _ => return PresentedCredential::Ambiguous,
        },
    };
    match bare.filter(|text| is_token68(text)) {
        None => PresentedCredential::Malformed,
        // A wrong checksum is a typing error or a scanner's guess: it costs no look-up.
        Some(text) => match identify(text) {
            TokenFormat::Broken(_) => PresentedCredential::Malformed,
            TokenFormat::Regate(_) | TokenFormat::Foreign => PresentedCredential::Token(hash(text)),
        },
    }
}

/// The token of a header value with the scheme `Bearer`.
fn bearer(value: &str) -> Option<&str> {
    let value = value.trim_matches([' ', '\t']);
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}

/// RFC 9110 section 11.2 `token68`, which RFC 6750 calls `b64token`.
fn is_token68(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b);
    !body.is_empty() && body.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::present;
    use crate::{auth::hash, types::PresentedCredential as P};

    fn token(text: &str) -> P {
        P::Token(hash(text))
    }

    #[test]
    fn the_scheme_may_be_in_any_case() {
        for value in ["Bearer k1", "bearer k1", "BEARER k1", "bEaReR   k1", " Bearer k1 ", "\tBearer k1\t"] {
            assert_eq!(present(None, [value]), token("k1"), "{value:?}");
        }
    }

    #[test]
    fn what_is_there_and_is_no_credential_is_malformed_and_never_absent() {
        for value in [
            "",
            " ",
            "Bearer",
            "Bearer ",
            "k1",
            "Basic k1",
            "Bearer\tk1",
            "Bearer k1 k2",
            "Bearer k1,Bearer k2",
            "Bearer =",
            "Bearer k1=x",
            "Bearer kä",
            "Bearer \"k1\"",
            "Bearer: k1",
            "Token k1",
            "Bearer k1\0",
        ] {
            assert_eq!(present(None, [value]), P::Malformed, "{value:?}");
        }
        for bare in ["", " ", "Bearer k1", "k 1", "k\n"] {
            assert_eq!(present(Some(bare), []), P::Malformed, "{bare:?}");
        }
        assert_eq!(present(None, []), P::Absent);
    }

    #[test]
    fn two_credentials_are_ambiguous_unless_they_are_one() {
        assert_eq!(present(Some("k1"), ["bearer k1"]), token("k1"));
        assert_eq!(present(Some("k1"), ["Bearer k2"]), P::Ambiguous);
        assert_eq!(present(Some("k1"), ["Basic k1"]), P::Ambiguous);
        assert_eq!(present(Some("k1"), [""]), P::Ambiguous);
        assert_eq!(present(None, ["Bearer k1", "Bearer k1"]), P::Ambiguous);
        assert_eq!(present(Some("k1"), ["Bearer k1", "Bearer k1"]), P::Ambiguous);
    }

    #[test]
    fn a_token_of_ours_with_a_wrong_checksum_is_malformed() {
        assert_eq!(present(Some("rgt_global_aaaa"), []), P::Malformed);
        assert_eq!(present(Some("rgt_"), []), P::Malformed);
        assert_eq!(present(Some("ib_mcp_test"), []), token("ib_mcp_test"));
    }
}

//! The format of regate's own tokens: `rgt_<kind>_<43 characters><6 characters>`.
//!
//! The 43 characters are random base62, 256 bits. The last six are the CRC-32 (ISO-HDLC) of all that
//! stands before them, in base62 with leading zeros, so that a scanner and the service can tell a
//! token from a look-alike, or a mistyped one, without a look-up. The checksum is no secret and
//! proves nothing. A scanner finds tokens with [`TOKEN_PATTERN`], and rules out look-alikes by the checksum:
//! `docs/tokens.md` says how.

use rand::{CryptoRng, RngExt};
use sha2::{Digest, Sha256};

use crate::types::{SecretText, TokenHash, TokenKind};

/// The regular expression of a token, for scanners that know no checksum.
pub const TOKEN_PATTERN: &str = "rgt_(global|project|mcp|admin|gateway)_[0-9A-Za-z]{49}";

/// What every token begins with.
const BEGINNING: &str = "rgt_";
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// log2(62^43) is 256.03.
const RANDOM_LENGTH: usize = 43;
const CHECKSUM_LENGTH: usize = 6;
const BODY_LENGTH: usize = RANDOM_LENGTH + CHECKSUM_LENGTH;
/// How much of a token may be shown in lists.
const PREFIX_LENGTH: usize = 12;

/// A token that was just made. The only value of this room that holds a raw token.
#[derive(Debug)]
pub struct MintedToken {
    /// The token, to be shown once.
    pub token: SecretText,
    /// What is stored.
    pub sha256: TokenHash,
    /// The first 12 characters, for lists.
    pub prefix: String,
}

/// What a text looks like, without any look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFormat {
    /// A well-formed token of regate's own.
    Regate(TokenKind),
    /// It begins as ours do, but is none.
    Broken(TokenFault),
    /// Some other system's: known only if its hash was imported.
    Foreign,
}

/// The first thing that is wrong with a text that begins as a token does. It holds nothing of the text but a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFault {
    /// What follows `rgt_` is no kind.
    Kind,
    /// After the kind there are fewer or more than 49 characters.
    Length(TokenKind),
    /// A character after the kind is none of `0-9A-Za-z`.
    Alphabet(TokenKind),
    /// The checksum is that of another text: mistyped, cut and filled, or made up.
    Checksum(TokenKind),
}

/// A token within a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundToken {
    /// The byte at which it begins.
    pub start: usize,
    /// Its kind.
    pub kind: TokenKind,
    /// Its first 12 characters.
    pub prefix: String,
}

/// The SHA-256 of a token, by which it is stored and found.
pub fn hash(token: &str) -> TokenHash {
    TokenHash(Sha256::digest(token.as_bytes()).into())
}

/// Makes a token of this kind from a cryptographic source of randomness.
pub fn mint(kind: TokenKind, random: &mut impl CryptoRng) -> MintedToken {
    let mut token = format!("{BEGINNING}{kind}_");
    for _ in 0..RANDOM_LENGTH {
        token.push(character(random.random_range(0..62)));
    }
    token.push_str(&checksum(&token));
    MintedToken { sha256: hash(&token), prefix: prefix(&token), token: SecretText::new(token) }
}

/// Looks at a text's form: prefix, kind, length, alphabet and checksum.
pub fn identify(text: &str) -> TokenFormat {
    match text.strip_prefix(BEGINNING) {
        Some(rest) => read(text, rest).map_or_else(TokenFormat::Broken, TokenFormat::Regate),
        None => TokenFormat::Foreign,
    }
}

/// Where well-formed tokens stand in any text, the first one first: what [`TOKEN_PATTERN`] finds and the checksum
/// confirms, whatever stands before and after it.
pub fn find(text: &[u8]) -> impl Iterator<Item = FoundToken> {
    let beginnings = text.windows(BEGINNING.len()).enumerate();
    beginnings.filter(|(_, window)| *window == BEGINNING.as_bytes()).filter_map(|(start, _)| {
        TokenKind::ALL.into_iter().find_map(|kind| {
            let length = BEGINNING.len() + kind.as_str().len() + 1 + BODY_LENGTH;
            let candidate = std::str::from_utf8(text.get(start..start + length)?).ok()?;
            let found = identify(candidate) == TokenFormat::Regate(kind);
            found.then(|| FoundToken { start, kind, prefix: prefix(candidate) })
        })
    })
}

/// The kind of a token, whose text after the beginning is `rest`; or the first thing that is wrong.
fn read(text: &str, rest: &str) -> Result<TokenKind, TokenFault> {
    let (kind, body) = rest.split_once('_').ok_or(TokenFault::Kind)?;
    let kind = kind.parse().map_err(|_| TokenFault::Kind)?;
    if body.chars().count() != BODY_LENGTH {
        return Err(TokenFault::Length(kind));
    }
    if !body.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(TokenFault::Alphabet(kind));
    }
    match text.split_at_checked(text.len() - CHECKSUM_LENGTH) {
        Some((signed, sum)) if checksum(signed) == sum => Ok(kind),
        Some(_) | None => Err(TokenFault::Checksum(kind)),
    }
}

fn prefix(token: &str) -> String {
    token.chars().take(PREFIX_LENGTH).collect()
}

fn character(digit: u32) -> char {
    ALPHABET.get(digit as usize).map_or('0', |b| char::from(*b))
}

fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = ['0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = character(rest % 62);
        rest /= 62;
    }
    digits.iter().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    use super::{TOKEN_PATTERN, TokenFault, TokenFormat, find, hash, identify, mint};
    use crate::types::TokenKind;

    #[test]
    fn a_minted_token_is_recognised_and_found_by_its_hash() {
        let mut random = StdRng::seed_from_u64(1);
        for kind in TokenKind::ALL {
            let minted = mint(kind, &mut random);
            let text = minted.token.expose();
            assert_eq!(identify(text), TokenFormat::Regate(kind));
            assert_eq!(minted.sha256, hash(text));
            assert_eq!(minted.prefix, text[..12]);
            assert_eq!(text.len(), "rgt__".len() + kind.as_str().len() + 49);
        }
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let minted = mint(TokenKind::Global, &mut StdRng::seed_from_u64(2));
        let text = minted.token.expose();
        for (at, original) in text.char_indices().skip(4) {
            for other in ['0', 'z', '_', 'ä'] {
                if other != original {
                    let changed: String =
                        text.char_indices().map(|(i, c)| if i == at { other } else { c }).collect();
                    assert!(matches!(identify(&changed), TokenFormat::Broken(_)), "{at}");
                }
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_its_name() {
        let minted = mint(TokenKind::Mcp, &mut StdRng::seed_from_u64(3));
        let text = minted.token.expose();
        let body = &text["rgt_mcp_".len()..];
        for (broken, fault) in [
            ("rgt_".to_owned(), TokenFault::Kind),
            (format!("rgt_root_{body}"), TokenFault::Kind),
            ("rgt_mcp_".to_owned(), TokenFault::Length(TokenKind::Mcp)),
            (text[..text.len() - 1].to_owned(), TokenFault::Length(TokenKind::Mcp)),
            (format!("{text}0"), TokenFault::Length(TokenKind::Mcp)),
            (format!("rgt_mcp_-{}", &body[1..]), TokenFault::Alphabet(TokenKind::Mcp)),
            (format!("rgt_mcp_ä{}", &body[1..]), TokenFault::Alphabet(TokenKind::Mcp)),
            (format!("rgt_global_{body}"), TokenFault::Checksum(TokenKind::Global)),
            (format!("rgt_mcp_{}", "0".repeat(49)), TokenFault::Checksum(TokenKind::Mcp)),
        ] {
            // No text in the message: even a broken token may be nearly one.
            assert!(identify(&broken) == TokenFormat::Broken(fault), "{fault:?}");
        }
    }

    #[test]
    fn tokens_are_found_in_any_text_and_look_alikes_are_not() {
        let mut random = StdRng::seed_from_u64(4);
        let pattern = regex::Regex::new(TOKEN_PATTERN).unwrap();
        let look_alike = format!("rgt_mcp_{}rgt", "0".repeat(46));
        for kind in TokenKind::ALL {
            let (one, two) = (mint(kind, &mut random), mint(kind, &mut random));
            let (one, two) = (one.token.expose(), two.token.expose());
            assert!(pattern.find(one).is_some_and(|found| found.len() == one.len()));
            // The look-alike ends with what the next token begins with.
            for before in
                ["", "Bearer ", "rgt_rgt_", "ä\u{0}", &look_alike[..look_alike.len() - 3], &look_alike]
            {
                let text = format!("{before}{one}0{two}");
                let found: Vec<_> = find(text.as_bytes()).map(|token| (token.start, token.kind)).collect();
                let second = before.len() + one.len() + 1;
                assert!(found == [(before.len(), kind), (second, kind)], "{kind}");
            }
        }
        assert_eq!(find(look_alike.as_bytes()).count(), 0);
        assert_eq!(find(b"rgt_mcp_").count() + find(b"rgt_\xff").count() + find(b"").count(), 0);
    }

    #[test]
    fn the_hash_of_an_imported_key_is_its_plain_sha_256() {
        let expected = "ec030ae14ff95cd7edde6937b197e072e02422eae22edd60534aa5863b527509";
        assert_eq!(hash("ib_mcp_test").to_string(), expected);
        assert_eq!(identify("ib_mcp_test"), TokenFormat::Foreign);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>(), tail in any::<String>()) {
            let _ = identify(&text);
            prop_assert_ne!(identify(&format!("rgt_{tail}")), TokenFormat::Foreign);
        }
    }
}

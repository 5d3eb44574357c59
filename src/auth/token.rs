//! The format of regate's own tokens: `rgt_<kind>_<43 characters><6 characters>`.
//!
//! The 43 characters are random base62, 256 bits. The last six are the CRC-32 (ISO-HDLC) of all that
//! stands before them, in base62 with leading zeros, so that a scanner and the service can tell a
//! token from a look-alike, or a mistyped one, without a look-up. The checksum is no secret and
//! proves nothing. A scanner finds tokens with
//! `rgt_(global|project|mcp|admin|gateway)_[0-9A-Za-z]{49}`.

use rand::{CryptoRng, RngExt};
use sha2::{Digest, Sha256};

use crate::types::{SecretText, TokenHash, TokenKind};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// log2(62^43) is 256.03.
const RANDOM_LENGTH: usize = 43;
const CHECKSUM_LENGTH: usize = 6;
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
    /// It begins as ours do, but the kind, the length or the checksum is wrong.
    Broken,
    /// Some other system's: known only if its hash was imported.
    Foreign,
}

/// The SHA-256 of a token, by which it is stored and found.
pub fn hash(token: &str) -> TokenHash {
    TokenHash(Sha256::digest(token.as_bytes()).into())
}

/// Makes a token of this kind from a cryptographic source of randomness.
pub fn mint(kind: TokenKind, random: &mut impl CryptoRng) -> MintedToken {
    let mut token = format!("rgt_{kind}_");
    for _ in 0..RANDOM_LENGTH {
        token.push(character(random.random_range(0..62)));
    }
    token.push_str(&checksum(&token));
    let prefix = token.chars().take(PREFIX_LENGTH).collect();
    MintedToken { sha256: hash(&token), prefix, token: SecretText::new(token) }
}

/// Looks at a text's form: prefix, kind, length, alphabet and checksum.
pub fn identify(text: &str) -> TokenFormat {
    let Some(rest) = text.strip_prefix("rgt_") else { return TokenFormat::Foreign };
    let read = || {
        let (kind, body) = rest.split_once('_')?;
        let kind = kind.parse().ok()?;
        let well_formed = body.len() == RANDOM_LENGTH + CHECKSUM_LENGTH && body.is_ascii();
        let (signed, sum) = text.split_at_checked(text.len() - CHECKSUM_LENGTH).filter(|_| well_formed)?;
        let alphabet = body.bytes().all(|b| b.is_ascii_alphanumeric());
        (alphabet && checksum(signed) == sum).then_some(kind)
    };
    read().map_or(TokenFormat::Broken, TokenFormat::Regate)
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

    use super::{TokenFormat, hash, identify, mint};
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
                    assert_eq!(identify(&changed), TokenFormat::Broken, "{at}");
                }
            }
        }
        assert_eq!(identify(&text[..text.len() - 1]), TokenFormat::Broken);
        assert_eq!(identify(&format!("{text}0")), TokenFormat::Broken);
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

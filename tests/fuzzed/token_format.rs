//! The format of tokens: what recognises one, what finds one and what reads one as a credential agree with each other and
//! with what is documented, and nothing of a text is shown.

use std::sync::LazyLock;

use rand::{SeedableRng, rngs::StdRng};
use regate::{
    auth::{self, CredentialReader, TOKEN_PATTERN, TokenFault, TokenFormat},
    types::{PresentedCredential, TokenKind},
};
use regex::Regex;

static PATTERN: LazyLock<Regex> = LazyLock::new(|| Regex::new(&format!("^{TOKEN_PATTERN}")).unwrap());

/// What the bytes are: any text. Those of the first eight are also the seed of a token that is put in its middle.
pub fn holds(bytes: &[u8]) {
    is_found_as_documented(bytes);
    let text = String::from_utf8_lossy(bytes);
    is_told_as_documented(&text);
    // A line of it, as `regate token identify` is given it.
    text.lines().take(8).for_each(is_told_as_documented);

    let seed = bytes.iter().take(8).fold(0, |seed: u64, byte| seed << 8 | u64::from(*byte));
    let kind = TokenKind::ALL[bytes.first().map_or(0, |byte| usize::from(*byte) % TokenKind::ALL.len())];
    let minted = auth::mint(kind, &mut StdRng::seed_from_u64(seed));
    let token = minted.token.expose();
    assert!(is_token(token), "a minted token is none");
    let (before, after) = bytes.split_at(bytes.len() / 2);
    let around = [before, token.as_bytes(), after].concat();
    is_found_as_documented(&around);
    let found = auth::find(&around).any(|found| found.start == before.len() && found.kind == kind);
    assert!(found, "a token in a text is not found");
    assert!(!format!("{minted:?}").contains(&token[token.len() - 49..]), "a token is shown");

    let mut changed = token.as_bytes().to_vec();
    let place = bytes.len() % changed.len();
    let by = bytes.last().copied().unwrap_or(0) | 1;
    changed[place] ^= by;
    let changed = String::from_utf8_lossy(&changed);
    is_told_as_documented(&changed);
    assert!(!matches!(auth::identify(&changed), TokenFormat::Regate(_)), "a changed token is one");
}

/// Whether a whole text is a token, by the pattern for scanners and the checksum that `docs/tokens.md` describes.
fn is_token(text: &str) -> bool {
    PATTERN.find(text).is_some_and(|found| found.len() == text.len()) && has_checksum(text.as_bytes())
}

fn has_checksum(token: &[u8]) -> bool {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let (signed, told) = token.split_at(token.len() - 6);
    let value = told.iter().try_fold(0_u64, |value, digit| {
        let digit = DIGITS.iter().position(|known| known == digit)?;
        Some(value * 62 + digit as u64)
    });
    value == Some(u64::from(crc_32(signed)))
}

/// CRC-32 as ISO-HDLC has it, bit by bit.
fn crc_32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| sum >> 1 ^ (0xedb8_8320 & (sum & 1).wrapping_neg()))
    })
}

/// The kind that a token's text names.
fn kind_of(token: &str) -> Option<TokenKind> {
    token.split('_').nth(1)?.parse().ok()
}

fn is_told_as_documented(text: &str) {
    let told = auth::identify(text);
    match told {
        TokenFormat::Regate(kind) => assert!(is_token(text) && kind_of(text) == Some(kind), "not a token"),
        TokenFormat::Foreign => assert!(!text.starts_with("rgt_"), "the beginning is ours"),
        TokenFormat::Broken(fault) => {
            assert!(text.starts_with("rgt_") && !is_token(text), "it is not broken");
            if let TokenFault::Length(kind) | TokenFault::Alphabet(kind) | TokenFault::Checksum(kind) = fault
            {
                assert!(kind_of(text) == Some(kind), "another kind than it names");
            }
        }
    }
    // Of the text nothing is shown but the kind.
    let shown = format!("{told:?}");
    let words = shown.split(['(', ')']).filter(|word| !word.is_empty());
    let known = [
        "Regate", "Broken", "Foreign", "Kind", "Length", "Alphabet", "Checksum", "Global", "Project", "Mcp",
        "Admin", "Gateway",
    ];
    assert!(words.into_iter().all(|word| known.contains(&word)), "something of the text is shown");

    let read = CredentialReader::default().read(Some(text), []);
    match (told, &read) {
        (TokenFormat::Broken(_), read) => {
            assert!(*read == PresentedCredential::Malformed, "a broken token is looked up")
        }
        (TokenFormat::Regate(_), read) => {
            assert!(*read == PresentedCredential::Token(auth::hash(text)), "a token is not looked up");
        }
        (TokenFormat::Foreign, PresentedCredential::Malformed) => {}
        (TokenFormat::Foreign, read) => {
            assert!(*read == PresentedCredential::Token(auth::hash(text)), "looked up as something else");
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
            assert!(text.bytes().all(is_plain) && !text.is_empty(), "it is no credential");
        }
    }
    if text.len() > 16 {
        assert!(!format!("{read:?}").contains(text), "a credential is shown");
    }
}

/// A scanner with the pattern and the checksum finds the same.
fn is_found_as_documented(bytes: &[u8]) {
    let found: Vec<_> = auth::find(bytes).collect();
    let ours = |at: usize| {
        // As Latin-1, so that each byte is a character.
        let text: String = bytes[at..].iter().take(80).map(|byte| char::from(*byte)).collect();
        let length = PATTERN.find(&text)?.end();
        has_checksum(&bytes[at..at + length]).then(|| text[..length].to_owned())
    };
    let begins = |at: &usize| bytes[*at..].starts_with(b"rgt_");
    let expected: Vec<_> = (0..bytes.len()).filter(begins).filter_map(|at| Some((at, ours(at)?))).collect();
    assert_eq!(found.len(), expected.len(), "so many tokens are found");
    for (found, (start, token)) in found.iter().zip(&expected) {
        let same = found.start == *start && Some(found.kind) == kind_of(token) && token[..12] == found.prefix;
        assert!(same, "another token is found");
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};
    use regate::{auth, types::TokenKind};

    use super::{crc_32, is_token};

    #[test]
    fn a_token_is_one_and_no_look_alike_is() {
        assert_eq!(crc_32(b"123456789"), 0xcbf4_3926);
        let minted = auth::mint(TokenKind::Mcp, &mut StdRng::seed_from_u64(1));
        let token = minted.token.expose();
        assert!(is_token(token));
        assert!(
            !is_token(&token[1..])
                && !is_token(&format!("{token}0"))
                && !is_token(&token.replace("mcp", "mcq"))
        );
        assert!(!is_token(&format!("rgt_mcp_{}", "0".repeat(49))));
    }
}

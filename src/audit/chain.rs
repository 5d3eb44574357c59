//! The hash chain of the decision log.
//!
//! The hash of a record is SHA-256 of the hash before it (32 bytes), the record's number (8 bytes, big-endian) and its
//! text. The first follows [`BEGINNING`], which names the version of this rule.
//!
//! Whoever can write to the database can also make the chain anew, from any record to its end: only a hash that was
//! noted elsewhere tells. See [`verify`](super::verify).

use sha2::{Digest, Sha256};

/// What the first record follows: SHA-256 of `regate decision log, version 1`. Both migrations have it as well.
pub const BEGINNING: &str = "38a8e5fa197d67331167cdac713251b32f1a607c62f6eb36cf514e63e127c43c";

/// The hash of a record, 64 lower-case hexadecimal digits.
///
/// A `previous` that is no hash (somebody wrote it into the database) is taken as its text: the chain goes on from it,
/// and is found not to fit before it.
pub fn link(previous: &str, sequence: u64, record: &str) -> String {
    let mut hash = Sha256::new();
    match bytes(previous) {
        Some(bytes) => hash.update(bytes),
        None => hash.update(previous),
    }
    hash.update(sequence.to_be_bytes());
    hash.update(record);
    to_hex(&hash.finalize())
}

/// Lower-case hexadecimal digits.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0f)]).collect()
}

/// The bytes of a hash.
fn bytes(hash: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = hash.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        // `from_str_radix` would take a sign.
        let text = std::str::from_utf8(pair).ok().filter(|text| text.bytes().all(is_digit))?;
        *byte = u8::from_str_radix(text, 16).ok()?;
    }
    Some(bytes)
}

/// Whether a text has the form of a hash.
pub(super) fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(is_digit)
}

const fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::{BEGINNING, is_hash, link, to_hex};

    #[test]
    fn the_beginning_is_the_hash_of_its_text() {
        assert_eq!(to_hex(&Sha256::digest("regate decision log, version 1")), BEGINNING);
        for migration in [
            include_str!("../../migrations/sqlite/0004_decision_log.sql"),
            include_str!("../../migrations/postgres/0004_decision_log.sql"),
        ] {
            assert_eq!(migration.matches(BEGINNING).count(), 2);
        }
    }

    #[test]
    fn a_hash_hangs_on_what_was_before_it_the_number_and_the_text() {
        let first = link(BEGINNING, 1, "{}");
        assert!(is_hash(&first));
        // Made with other programs: the bytes of both, then sha256sum
        assert_eq!(first, EXPECTED);
        let others = [link(&first, 1, "{}"), link(BEGINNING, 2, "{}"), link(BEGINNING, 1, "{ }")];
        assert!(others.iter().all(|other| *other != first));
    }

    const EXPECTED: &str = "ad12072f74db176df31da90abbdecf70ec4bb9835ebe8c1bb082182faabed399";

    #[test]
    fn what_is_no_hash_is_followed_all_the_same() {
        for odd in ["", "x", &"+1".repeat(32), &BEGINNING.to_uppercase()] {
            assert!(is_hash(&link(odd, 1, "{}")) && !is_hash(odd), "{odd}");
        }
    }
}

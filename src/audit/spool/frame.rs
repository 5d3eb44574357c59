//! How a record lies in a segment: its length, a checksum over length and bytes, its bytes.

use std::ops::Range;

/// The longest record, in bytes.
pub const MOST_RECORD_BYTES: usize = 1024 * 1024;

/// What stands before each record, in bytes.
pub(super) const HEAD_BYTES: usize = 8;

/// What stands before this record. `None` if it is too long.
pub(super) fn head(record: &[u8]) -> Option<[u8; HEAD_BYTES]> {
    if record.len() > MOST_RECORD_BYTES {
        return None;
    }
    let length = u32::try_from(record.len()).ok()?.to_le_bytes();
    let [a, b, c, d] = length;
    let [e, f, g, h] = checksum(length, record).to_le_bytes();
    Some([a, b, c, d, e, f, g, h])
}

fn checksum(length: [u8; 4], record: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(record);
    hasher.finalize()
}

/// What lies at a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A record; the range is that of its bytes, and behind it comes the next.
    Record(Range<usize>),
    /// The beginning of what may be a record; so many bytes from the place are needed to see.
    Part(usize),
    /// No record.
    Wrong,
}

/// Looks at a place.
pub(super) fn look(bytes: &[u8], at: usize) -> Found {
    let Some((length, rest)) = bytes.get(at..).and_then(|rest| rest.split_first_chunk::<4>()) else {
        return Found::Part(HEAD_BYTES);
    };
    let Some((sum, rest)) = rest.split_first_chunk::<4>() else { return Found::Part(HEAD_BYTES) };
    let Some(count) = plausible(*length) else { return Found::Wrong };
    let Some(record) = rest.get(..count) else { return Found::Part(HEAD_BYTES + count) };
    if checksum(*length, record) != u32::from_le_bytes(*sum) {
        return Found::Wrong;
    }
    let begin = at + HEAD_BYTES;
    Found::Record(begin..begin + count)
}

fn plausible(length: [u8; 4]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(length)).ok().filter(|count| *count <= MOST_RECORD_BYTES)
}

/// Where records go on behind one that is wrong: its length may be right all the same. `None` if no record
/// is found like that.
pub(super) fn behind_wrong(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = bytes.get(at..)?.first_chunk::<4>()?;
        at += HEAD_BYTES + plausible(*length)?;
        if let Found::Record(_) = look(bytes, at) {
            return Some(at);
        }
    }
}

/// Whether anywhere behind this place something lies that is a record by its checksum. Tells damage from a
/// record that was never wholly written; not fit to find records by, as a record may contain what looks like one.
/// Where that would take long to find out, it is damage.
pub(super) fn any_behind(bytes: &[u8], at: usize) -> bool {
    // Callers choose what is in a record: one made of plausible lengths must not hold up a start.
    const MOST_SUMMED_BYTES: usize = 256 * 1024 * 1024;
    let mut summed = 0_usize;
    for place in at + 1..bytes.len().saturating_sub(HEAD_BYTES - 1) {
        let length = bytes.get(place..).and_then(|rest| rest.first_chunk::<4>());
        let Some(count) = length.and_then(|length| plausible(*length)) else { continue };
        if place + HEAD_BYTES + count > bytes.len() {
            continue;
        }
        summed += count;
        if summed > MOST_SUMMED_BYTES || matches!(look(bytes, place), Found::Record(_)) {
            return true;
        }
    }
    false
}

/// A part of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A record, with what stands before it.
    Record(Range<usize>),
    /// No record, but records come behind it.
    Damaged(Range<usize>),
    /// Nothing that can be read from here on.
    Rest(usize),
}

/// Goes through a segment from a place on. Ends at the end, or behind a [`Piece::Rest`].
pub(super) fn pieces(bytes: &[u8], from: usize) -> impl Iterator<Item = Piece> {
    let mut at = Some(from);
    std::iter::from_fn(move || {
        let begin = at.filter(|at| *at < bytes.len())?;
        if let Found::Record(record) = look(bytes, begin) {
            at = Some(record.end);
            return Some(Piece::Record(begin..record.end));
        }
        at = behind_wrong(bytes, begin);
        Some(at.map_or(Piece::Rest(begin), |next| Piece::Damaged(begin..next)))
    })
}

#[cfg(test)]
mod tests {
    use super::{Found, HEAD_BYTES, MOST_RECORD_BYTES, Piece, any_behind, head, look, pieces};

    fn frames(records: &[&[u8]]) -> Vec<u8> {
        records.iter().flat_map(|record| [&head(record).unwrap()[..], record].concat()).collect()
    }

    #[test]
    fn records_are_found_one_behind_the_other() {
        let bytes = frames(&[b"one", b"", b"three"]);
        let found: Vec<_> = pieces(&bytes, 0).collect();
        assert_eq!(found, [Piece::Record(0..11), Piece::Record(11..19), Piece::Record(19..32)]);
        assert_eq!(look(&bytes, 0), Found::Record(8..11));
        assert_eq!(look(&bytes[..10], 0), Found::Part(11));
        assert_eq!(look(&bytes[..7], 0), Found::Part(HEAD_BYTES));
    }

    #[test]
    fn each_changed_bit_is_seen_and_costs_no_other_record_unless_it_is_in_the_length() {
        let whole = frames(&[b"one", b"two", b"three"]);
        for bit in 0..11 * 8 {
            let mut bytes = whole.clone();
            bytes[11 + bit / 8] ^= 1 << (bit % 8);
            let found: Vec<_> = pieces(&bytes, 0).collect();
            assert_eq!(found[0], Piece::Record(0..11));
            if bit < 32 {
                assert_eq!(found[1..], [Piece::Rest(11)], "{bit}");
                assert!(any_behind(&bytes, 11));
            } else {
                assert_eq!(found[1..], [Piece::Damaged(11..22), Piece::Record(22..35)], "{bit}");
            }
        }
    }

    #[test]
    fn two_wrong_ones_in_a_row_are_one_damage() {
        let mut bytes = frames(&[b"one", b"two", b"three"]);
        bytes[8] ^= 1;
        bytes[19] ^= 1;
        assert_eq!(pieces(&bytes, 0).collect::<Vec<_>>(), [Piece::Damaged(0..22), Piece::Record(22..35)]);
    }

    #[test]
    fn what_is_cut_off_anywhere_is_a_rest_without_a_record() {
        let bytes = frames(&[b"one", b"two"]);
        for length in 12..22 {
            assert_eq!(pieces(&bytes[..length], 11).collect::<Vec<_>>(), [Piece::Rest(11)]);
            assert!(!any_behind(&bytes[..length], 11));
        }
    }

    #[test]
    fn zeros_are_no_records_and_a_record_has_a_greatest_length() {
        assert_eq!(look(&[0; 64], 0), Found::Wrong);
        assert!(head(&vec![0; MOST_RECORD_BYTES]).is_some());
        assert!(head(&vec![0; MOST_RECORD_BYTES + 1]).is_none());
    }
}

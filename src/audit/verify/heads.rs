//! Ends of the chain that were noted earlier, somewhere that whoever writes to the database cannot write to.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::{audit::chain::is_hash, store::decisions::ChainPlace};

/// The hash that a record had, by its sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotedHeads(pub(super) BTreeMap<u64, String>);

/// A line of the file is no noted end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidHeads {
    /// It has another form.
    #[error(
        "line {0} is not a sequence and a hash of 64 lower-case hexadecimal digits, with a space in between"
    )]
    Form(usize),
    /// An earlier line has another hash for the same record. The file was changed, or the chain was when it was noted.
    #[error("line {0} has another hash than an earlier line for the same sequence")]
    Contradiction(usize),
}

impl NotedHeads {
    /// Reads lines of `SEQUENCE HASH`; what follows after another space is for people. Blank lines and those that begin
    /// with `#` are passed over.
    ///
    /// # Errors
    /// [`InvalidHeads`]: a note that cannot be read may be the one that tells.
    pub fn read(text: &str) -> Result<Self, InvalidHeads> {
        let mut heads = BTreeMap::new();
        for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.split_whitespace();
            let sequence = words.next().and_then(|word| word.parse::<u64>().ok());
            let hash = words.next().filter(|word| is_hash(word));
            let (Some(sequence), Some(hash)) = (sequence, hash) else {
                return Err(InvalidHeads::Form(number));
            };
            if heads.insert(sequence, hash.to_owned()).is_some_and(|before| before != hash) {
                return Err(InvalidHeads::Contradiction(number));
            }
        }
        Ok(Self(heads))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether another hash was noted for this place.
    pub(super) fn contradicts(&self, place: &ChainPlace) -> bool {
        self.0.get(&place.sequence).is_some_and(|noted| *noted != place.hash)
    }

    /// How many are of records before this one.
    pub(super) fn before(&self, sequence: u64) -> u64 {
        self.0.range(..sequence).count() as u64
    }

    /// The newest.
    pub(super) fn newest(&self) -> Option<u64> {
        self.0.keys().next_back().copied()
    }

    /// The first beyond this sequence.
    pub(super) fn beyond(&self, sequence: u64) -> Option<u64> {
        self.0.range(sequence.saturating_add(1)..).next().map(|(sequence, _)| *sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidHeads, NotedHeads};
    use crate::{audit::chain::BEGINNING, store::decisions::ChainPlace};

    #[test]
    fn a_note_is_a_sequence_and_a_hash() {
        let text = format!("# noted by hand\n\n5 {BEGINNING} 2026-11-22T09:00:00.000Z\n 7\t{BEGINNING}\n");
        let heads = NotedHeads::read(&text).unwrap();
        assert_eq!((heads.len(), heads.beyond(5), heads.beyond(7)), (2, Some(7), None));
        let place = |sequence, hash: &str| ChainPlace { sequence, hash: hash.to_owned() };
        assert!(heads.contradicts(&place(5, "x")));
        assert!(!heads.contradicts(&place(5, BEGINNING)) && !heads.contradicts(&place(6, "x")));
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in ["5", "x y", &format!("-1 {BEGINNING}"), &format!("5 {}", BEGINNING.to_uppercase())] {
            assert_eq!(NotedHeads::read(&format!("\n{bad}")), Err(InvalidHeads::Form(2)), "{bad}");
        }
        let two = format!("5 {BEGINNING}\n5 {}", "0".repeat(64));
        assert_eq!(NotedHeads::read(&two), Err(InvalidHeads::Contradiction(2)));
    }
}

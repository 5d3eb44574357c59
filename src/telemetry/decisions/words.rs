//! A few words, each with a number: found without a lock, and never taken out again.

use std::sync::{
    Mutex, OnceLock, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// A table of `N` places. A word's number is its place.
#[derive(Debug)]
pub(super) struct Words<const N: usize> {
    places: Box<[OnceLock<Box<str>>]>,
    /// Whether there is no room for a new word.
    full: AtomicBool,
    /// How many there still is room for. Held while one is put in.
    room: Mutex<usize>,
}

impl<const N: usize> Words<N> {
    /// With room for this many, which is at most `N`.
    pub fn new(room: usize) -> Self {
        Self {
            places: (0..N).map(|_| OnceLock::new()).collect(),
            full: AtomicBool::new(room == 0),
            room: Mutex::new(room),
        }
    }

    /// Puts a word in for which no room is taken.
    pub fn expect(&mut self, word: &str) {
        if let Some(Err(place)) = self.find(word) {
            let _ = self.places[place].set(word.into());
        }
    }

    /// The place of a word, which is put in if there is room.
    pub fn place(&self, word: &str) -> Option<usize> {
        match self.find(word)? {
            Ok(place) => Some(place),
            Err(_) if self.full.load(Ordering::Relaxed) => None,
            Err(_) => self.put(word),
        }
    }

    /// The word of a place.
    pub fn word(&self, place: usize) -> Option<&str> {
        self.places.get(place)?.get().map(AsRef::as_ref)
    }

    fn put(&self, word: &str) -> Option<usize> {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been faster.
        let place = match self.find(word)? {
            Ok(place) => return Some(place),
            Err(place) => place,
        };
        let left = room.checked_sub(1)?;
        let _ = self.places[place].set(word.into());
        *room = left;
        self.full.store(left == 0, Ordering::Relaxed);
        Some(place)
    }

    /// Where a word is, or where it could be put; `None` where it is not and there is no place.
    fn find(&self, word: &str) -> Option<Result<usize, usize>> {
        let first = hash(word) % N;
        for place in (first..N).chain(0..first) {
            match self.places[place].get() {
                Some(there) if **there == *word => return Some(Ok(place)),
                Some(_) => {}
                None => return Some(Err(place)),
            }
        }
        None
    }
}

/// Eight bytes at a step: words are short, and whoever chooses them gains nothing by those that share a place but a walk
/// over a table of a known length.
fn hash(word: &str) -> usize {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let (chunks, rest) = word.as_bytes().as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let mix =
        |sum: u64, chunk: [u8; 8]| (sum.rotate_left(5) ^ u64::from_le_bytes(chunk)).wrapping_mul(FACTOR);
    let sum = chunks.iter().fold(word.len() as u64, |sum, chunk| mix(sum, *chunk));
    // The upper bits are the mixed ones.
    (mix(sum, last) >> 40) as usize
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn a_word_keeps_its_place_and_there_is_an_end() {
        let mut words = Words::<8>::new(3);
        words.expect("own");
        words.expect("own");
        let places: Vec<_> = ["a", "b", "c"].map(|word| words.place(word).unwrap()).into();
        assert_eq!(words.place("d"), None);
        assert_eq!(["a", "b", "c"].map(|word| words.place(word).unwrap()).as_slice(), places);
        assert_eq!(words.word(words.place("own").unwrap()), Some("own"));
        assert_eq!(words.word(places[1]), Some("b"));
        assert_eq!(words.word(8), None);
    }

    #[test]
    fn every_place_can_be_taken() {
        let words = Words::<4>::new(4);
        let mut places =
            ["one", "two", "three", "a longer one than eight bytes"].map(|w| words.place(w).unwrap());
        places.sort_unstable();
        assert_eq!(places, [0, 1, 2, 3]);
        assert_eq!(words.place("five"), None);
    }
}

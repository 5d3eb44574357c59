//! A map that is cheap to copy and to change: what a change costs is one part of it.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash},
    sync::Arc,
};

/// A key that says in which part of a [`Sharded`] map it lies.
pub(super) trait ShardKey: Eq + Hash + Clone {
    /// A number that is spread evenly over its low bits.
    fn spread(&self) -> usize;
}

/// A hash map in parts, each shared with earlier copies of the map until it is changed.
#[derive(Clone, Debug)]
pub(super) struct Sharded<K, V> {
    parts: Vec<Arc<HashMap<K, V>>>,
}

impl<K: ShardKey, V: Clone> Sharded<K, V> {
    /// An empty map in `parts` parts.
    pub(super) fn new(parts: usize) -> Self {
        Self { parts: (0..parts.max(1)).map(|_| Arc::default()).collect() }
    }

    fn part(&self, key: &K) -> usize {
        key.spread() % self.parts.len()
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.parts.get(self.part(key))?.get(key)
    }

    /// The value of a key, to change it in place; what shares the part with us keeps what it has.
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let part = self.part(key);
        let part = self.parts.get_mut(part)?;
        // Without the key there is nothing to change, and nothing to copy.
        part.contains_key(key).then(|| Arc::make_mut(part).get_mut(key))?
    }

    /// The value of a key, made first if it is not there.
    pub(super) fn get_or_insert_with(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V {
        let part = self.part(key);
        #[allow(clippy::indexing_slicing, reason = "`part` is below the number of parts, which is never 0")]
        Arc::make_mut(&mut self.parts[part]).entry(key.clone()).or_insert_with(make)
    }

    /// Puts a value in the place of any other.
    pub(super) fn insert(&mut self, key: K, value: V) {
        let part = self.part(&key);
        if let Some(part) = self.parts.get_mut(part) {
            Arc::make_mut(part).insert(key, value);
        }
    }

    /// Takes a key out.
    pub(super) fn remove(&mut self, key: &K) {
        let part = self.part(key);
        if let Some(part) = self.parts.get_mut(part).filter(|part| part.contains_key(key)) {
            Arc::make_mut(part).remove(key);
        }
    }

    /// Every entry, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.parts.iter().flat_map(|part| part.iter())
    }

    /// The number of entries.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    /// Gives back what growing took in advance.
    pub(super) fn shrink_to_fit(&mut self) {
        for part in &mut self.parts {
            if let Some(part) = Arc::get_mut(part) {
                part.shrink_to_fit();
            }
        }
    }
}

/// Spreads a key that is not spread by itself.
pub(super) fn spread(key: &impl Hash) -> usize {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
    #[allow(clippy::cast_possible_truncation, reason = "the low bits are as good as any")]
    let low = hash as usize;
    low
}

#[cfg(test)]
mod tests {
    use super::{ShardKey, Sharded};

    impl ShardKey for u32 {
        fn spread(&self) -> usize {
            *self as usize
        }
    }

    #[test]
    fn a_copy_keeps_what_it_had() {
        let mut map = Sharded::new(4);
        for key in 0..100_u32 {
            map.insert(key, key);
        }
        let copy = map.clone();
        map.insert(7, 700);
        map.remove(&8);
        *map.get_mut(&9).unwrap() = 900;
        *map.get_or_insert_with(&1_000, || 1) += 1;
        assert!(map.get_mut(&2_000).is_none());
        assert_eq!([7, 8, 9, 1_000].map(|k| map.get(&k).copied()), [Some(700), None, Some(900), Some(2)]);
        assert_eq!([7, 8, 9, 1_000].map(|k| copy.get(&k).copied()), [Some(7), Some(8), Some(9), None]);
        assert_eq!((map.len(), copy.len(), copy.iter().count()), (100, 100, 100));
    }
}

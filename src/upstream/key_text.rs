//! Keys as they are written: one a line, in a file that nobody else may read.

use std::{
    fs::OpenOptions,
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::types::KeyId;

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;
/// More is no file of keys.
const MOST_BYTES: u64 = 16 * 1024;
/// Who else may do what with a file of keys: its group may read it, nobody may more.
const FORBIDDEN_MODE: u32 = 0o037;

/// Why there are no keys.
#[derive(Debug, Error)]
pub enum InvalidKeys {
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read or change the file.
    #[error("{} may be read or changed by others (mode {mode:04o}): chmod 0600 it", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Somebody else may change the file: it is theirs.
    #[error("{} belongs to the user {owner}: it must belong to root, or to whom regate runs as", path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// It holds no key at all.
    #[error("there is no key: `regate credentials new-key` makes one")]
    Empty,
    /// A line is no key.
    #[error(
        "line {line} is no key: it takes 32 bytes, as 64 hex digits or in base64; `regate credentials new-key` makes one"
    )]
    NotAKey {
        /// Which, counted from 1.
        line: usize,
    },
    /// A key comes twice.
    #[error("line {line} holds a key that stands above it")]
    Twice {
        /// Which, counted from 1.
        line: usize,
    },
}

/// A key, ready to seal and open.
#[derive(Clone)]
pub(super) struct Key {
    pub id: KeyId,
    pub cipher: XChaCha20Poly1305,
}

/// The key of a line.
pub(super) fn read_key(line: &str) -> Option<Key> {
    let bytes = Zeroizing::new(if line.len() == 2 * KEY_BYTES {
        // Not `from_str_radix`, which takes a sign as well.
        let digit = |at: usize| char::from(*line.as_bytes().get(at)?).to_digit(16);
        let pair = |at: usize| u8::try_from(digit(at)? << 4 | digit(at + 1)?).ok();
        (0..KEY_BYTES).map(|byte| pair(2 * byte)).collect::<Option<Vec<u8>>>()?
    } else {
        STANDARD.decode(line).ok()?
    });
    let cipher = XChaCha20Poly1305::new_from_slice(&bytes).ok()?;
    let digest: [u8; 32] =
        Sha256::new().chain_update(b"regate key id\0").chain_update(&*bytes).finalize().into();
    let (id, _) = digest.split_first_chunk::<8>()?;
    Some(Key { id: KeyId(*id), cipher })
}

/// The text of a file of keys. It is opened once, and what is looked at is what is read: the name may lead elsewhere in
/// between.
pub(super) fn read_file(path: &Path) -> Result<Zeroizing<String>, InvalidKeys> {
    let unreadable = |source| InvalidKeys::Unreadable { path: path.to_owned(), source };
    // Whoever opens a pipe would wait for somebody to write to it.
    let open = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = open.map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let none = || unreadable(io::Error::other("it is no file of keys"));
    if !metadata.is_file() || metadata.len() > MOST_BYTES {
        return Err(none());
    }
    let mode = metadata.mode() & 0o7777;
    if mode & FORBIDDEN_MODE != 0 {
        return Err(InvalidKeys::Permissions { path: path.to_owned(), mode });
    }
    let owner = metadata.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(InvalidKeys::Owner { path: path.to_owned(), owner });
    }
    // With room for all of it: a text that grows leaves copies behind. It may have grown since it was looked at.
    let room = usize::try_from(MOST_BYTES).unwrap_or(0) + 1;
    let mut text = Zeroizing::new(String::with_capacity(room));
    let read = file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if read >= room { Err(none()) } else { Ok(text) }
}

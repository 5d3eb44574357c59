//! Keys as they are written: one a line, in a file that nobody else may read.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
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
pub(super) struct Key {
    pub id: KeyId,
    pub cipher: XChaCha20Poly1305,
}

/// The key of a line.
pub(super) fn read_key(line: &str) -> Option<Key> {
    let bytes = Zeroizing::new(if line.len() == 2 * KEY_BYTES {
        let pair = |at: usize| u8::from_str_radix(line.get(at..at + 2)?, 16).ok();
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

/// The text of a file of keys.
pub(super) fn read_file(path: &Path) -> Result<Zeroizing<String>, InvalidKeys> {
    let unreadable = |source| InvalidKeys::Unreadable { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() || metadata.len() > MOST_BYTES {
        return Err(unreadable(io::Error::other("it is no file of keys")));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & FORBIDDEN_MODE != 0 {
        return Err(InvalidKeys::Permissions { path: path.to_owned(), mode });
    }
    fs::read_to_string(path).map(Zeroizing::new).map_err(unreadable)
}

//! The keys that seal upstream credentials at rest (XChaCha20-Poly1305, draft-irtf-cfrg-xchacha-03).
//!
//! A nonce of 192 random bits may be chosen at random for any number of secrets. What a secret is sealed for is part
//! of the seal (additional data), so that a row which somebody moves to another holder does not open.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use base64::{Engine, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    XNonce,
    aead::{Aead, Payload},
};
use rand::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

use super::{
    InvalidKeys,
    key_text::{KEY_BYTES, Key, read_file, read_key},
    secret,
};
use crate::types::{KeyId, OpenSealed, Sealed, SealedFor, SecretText, UpstreamSecret};

/// Bytes of a nonce, which stands before the ciphertext.
const NONCE_BYTES: usize = 24;

/// Why something sealed does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CannotOpen {
    /// It was sealed by a key that is not here.
    #[error("it was sealed by the key {0}, which is not configured")]
    UnknownKey(KeyId),
    /// It was changed, or stands where it does not belong.
    #[error("it was changed, or stands where it does not belong")]
    Broken,
}

/// The key that seals, and others that open what they sealed once.
struct Keys {
    first: Key,
    others: Vec<Key>,
}

/// Keys that could be taken in place of those that are here.
pub(super) struct OtherKeys(Keys);

/// Keys that seal and open. The first seals; all open.
pub struct KeyRing {
    keys: ArcSwap<Keys>,
    file: Option<PathBuf>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("sealing", &self.sealing()).finish_non_exhaustive()
    }
}

impl KeyRing {
    /// Reads keys: one a line, 64 hex digits or base64; blank lines and those that begin with `#` are passed over.
    ///
    /// # Errors
    /// Which line is none.
    pub fn from_text(text: &SecretText) -> Result<Self, InvalidKeys> {
        Ok(Self { keys: ArcSwap::from_pointee(Keys::read(text.expose())?), file: None })
    }

    /// Reads a file of keys, which [`keep_keys`](super::keep_keys) reads again.
    ///
    /// # Errors
    /// Why it is none, or that others may read it.
    pub fn from_file(path: &Path) -> Result<Self, InvalidKeys> {
        let keys = ArcSwap::from_pointee(Keys::read(&read_file(path)?)?);
        Ok(Self { keys, file: Some(path.to_owned()) })
    }

    /// Reads the file again, if the keys came from one. Gives the keys that it has now, if they are others; they are not
    /// taken by that.
    ///
    /// # Errors
    /// As [`from_file`](Self::from_file).
    pub(super) fn read_again(&self) -> Result<Option<OtherKeys>, InvalidKeys> {
        let Some(path) = &self.file else { return Ok(None) };
        let keys = Keys::read(&read_file(path)?)?;
        let ids = |keys: &Keys| keys.all().map(|key| key.id).collect::<Vec<_>>();
        let changed = ids(&keys) != ids(&self.keys.load());
        Ok(changed.then_some(OtherKeys(keys)))
    }

    /// Which of the keys that are here would not be any more.
    pub(super) fn lost_with(&self, others: &OtherKeys) -> Vec<KeyId> {
        let lost = |key: &&Key| others.0.find(key.id).is_none();
        self.keys.load().all().filter(lost).map(|key| key.id).collect()
    }

    /// Seals and opens with these keys from now on; `keeping` also opens with those that were here before.
    pub(super) fn take(&self, OtherKeys(mut keys): OtherKeys, keeping: bool) {
        let before = self.keys.load();
        if keeping {
            let lost: Vec<Key> = before.all().filter(|key| keys.find(key.id).is_none()).cloned().collect();
            keys.others.extend(lost);
        }
        self.keys.store(Arc::new(keys));
    }

    /// The file that the keys came from, if they came from one.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// A new key, as a line of the file.
    pub fn generate(random: &mut impl CryptoRng) -> SecretText {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        random.fill_bytes(&mut *key);
        SecretText::new(STANDARD.encode(*key))
    }

    /// Which key seals.
    pub fn sealing(&self) -> KeyId {
        self.keys.load().first.id
    }

    /// Whether this key is here.
    pub fn knows(&self, key: KeyId) -> bool {
        self.keys.load().find(key).is_some()
    }

    /// Seals what goes on to an upstream.
    pub fn seal_credential(
        &self,
        place: SealedFor<'_>,
        value: &UpstreamSecret,
        random: &mut impl CryptoRng,
    ) -> Sealed {
        self.seal(place, &secret::to_plain(value), random)
    }

    /// Seals a secret for a place.
    pub fn seal(&self, place: SealedFor<'_>, plain: &[u8], random: &mut impl CryptoRng) -> Sealed {
        let keys = self.keys.load();
        let key = &keys.first;
        let mut nonce = [0; NONCE_BYTES];
        random.fill_bytes(&mut nonce);
        let payload = Payload { msg: plain, aad: &place.to_bytes() };
        let mut bytes = nonce.to_vec();
        // It fails for more bytes than a memory holds. What is not there then does not open.
        bytes.extend(key.cipher.encrypt(&XNonce::from(nonce), payload).unwrap_or_default());
        Sealed { key: key.id, bytes: bytes.into() }
    }

    /// What was sealed for a place.
    ///
    /// # Errors
    /// [`CannotOpen`]; nothing is learnt of the secret then.
    pub fn unseal(&self, place: SealedFor<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
        let keys = self.keys.load();
        let key = keys.find(sealed.key).ok_or(CannotOpen::UnknownKey(sealed.key))?;
        let (nonce, ciphertext) =
            sealed.bytes.split_first_chunk::<NONCE_BYTES>().ok_or(CannotOpen::Broken)?;
        let payload = Payload { msg: ciphertext, aad: &place.to_bytes() };
        let plain = key.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| CannotOpen::Broken)?;
        Ok(Zeroizing::new(plain))
    }

    /// The text that was sealed for a place.
    ///
    /// # Errors
    /// [`CannotOpen`]; also for what is no text.
    pub(super) fn unseal_text(
        &self,
        place: SealedFor<'_>,
        sealed: &Sealed,
    ) -> Result<SecretText, CannotOpen> {
        let plain = self.unseal(place, sealed)?;
        let text = std::str::from_utf8(&plain).map_err(|_| CannotOpen::Broken)?;
        Ok(SecretText::new(text.to_owned()))
    }
}

impl OpenSealed for KeyRing {
    fn open(&self, place: SealedFor<'_>, sealed: &Sealed) -> Option<UpstreamSecret> {
        self.unseal(place, sealed).ok().and_then(|plain| secret::from_plain(&plain))
    }
}

impl Keys {
    fn read(text: &str) -> Result<Self, InvalidKeys> {
        let mut keys: Vec<Key> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = read_key(line).ok_or(InvalidKeys::NotAKey { line: number + 1 })?;
            if keys.iter().any(|known| known.id == key.id) {
                return Err(InvalidKeys::Twice { line: number + 1 });
            }
            keys.push(key);
        }
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or(InvalidKeys::Empty)?;
        Ok(Self { first, others: keys.collect() })
    }

    fn all(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn find(&self, id: KeyId) -> Option<&Key> {
        self.all().find(|key| key.id == id)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use rand::{SeedableRng, rngs::StdRng};

    use super::{CannotOpen, InvalidKeys, KeyRing};
    use crate::types::{HolderKind, Sealed, SealedFor, SecretText, TenantId};

    fn random() -> StdRng {
        StdRng::seed_from_u64(1)
    }

    fn line(seed: u64) -> String {
        KeyRing::generate(&mut StdRng::seed_from_u64(seed)).expose().to_owned()
    }

    fn ring(text: &str) -> Result<KeyRing, InvalidKeys> {
        KeyRing::from_text(&SecretText::new(text.to_owned()))
    }

    #[test]
    fn what_was_sealed_opens_in_its_place_alone() {
        let keys = ring(&line(1)).unwrap();
        let (acme, other) = (TenantId::try_from("acme").unwrap(), TenantId::default_tenant());
        let place = |tenant, upstream_id, holder, holder_id| SealedFor::Credential {
            tenant,
            upstream_id,
            holder,
            holder_id,
        };
        let own = place(&acme, "github", HolderKind::User, "u1");
        let sealed = keys.seal(own, b"secret", &mut random());
        assert_eq!(&**keys.unseal(own, &sealed).unwrap(), b"secret");
        assert!(!sealed.bytes.windows(6).any(|window| window == b"secret"));
        for elsewhere in [
            place(&other, "github", HolderKind::User, "u1"),
            place(&acme, "gitlab", HolderKind::User, "u1"),
            place(&acme, "github", HolderKind::Token, "u1"),
            place(&acme, "github", HolderKind::User, "u2"),
            SealedFor::RefreshToken {
                tenant: &acme,
                upstream_id: "github",
                holder: HolderKind::User,
                holder_id: "u1",
            },
        ] {
            assert_eq!(keys.unseal(elsewhere, &sealed), Err(CannotOpen::Broken), "{elsewhere:?}");
        }
        // Each bit counts, and so does the length.
        for at in 0..sealed.bytes.len() {
            let mut bytes = sealed.bytes.to_vec();
            bytes[at] ^= 1;
            let changed = Sealed { bytes: bytes.into(), ..sealed.clone() };
            assert_eq!(keys.unseal(own, &changed), Err(CannotOpen::Broken), "{at}");
            let cut = Sealed { bytes: sealed.bytes[..at].into(), ..sealed.clone() };
            assert_eq!(keys.unseal(own, &cut), Err(CannotOpen::Broken), "{at}");
        }
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let tenant = TenantId::default_tenant();
        let place = SealedFor::ClientSecret { tenant: &tenant, upstream_id: "a" };
        let old = ring(&line(1)).unwrap();
        let sealed = old.seal(place, b"x", &mut random());
        let both = ring(&format!("# new\n{}\n\n  {}  \n", line(2), line(1))).unwrap();
        assert!(both.unseal(place, &sealed).is_ok());
        assert_ne!(both.sealing(), old.sealing());
        assert!(both.knows(old.sealing()));
        let anew = both.seal(place, b"x", &mut random());
        assert_eq!(anew.key, both.sealing());
        assert_eq!(old.unseal(place, &anew), Err(CannotOpen::UnknownKey(both.sealing())));
    }

    #[test]
    fn a_key_is_32_bytes_as_hex_or_base64() {
        let hex = "00".repeat(32);
        let zeros = format!("{}=", "A".repeat(43));
        assert_eq!(ring(&hex).unwrap().sealing(), ring(&zeros).unwrap().sealing());
        for wrong in [
            "0",
            &"0".repeat(63),
            &"g".repeat(64),
            &"A".repeat(43),
            "AAAA",
            &"+".repeat(64),
            &"+1".repeat(32),
            "é",
        ] {
            let error = ring(&format!("\n{wrong}")).unwrap_err();
            assert!(matches!(error, InvalidKeys::NotAKey { line: 2 }), "{wrong:?} {error:?}");
            assert!(!error.to_string().contains(wrong) || wrong.len() < 3, "{error}");
        }
        assert!(matches!(ring("\n# a\n"), Err(InvalidKeys::Empty)));
        assert!(matches!(ring(&format!("{hex}\n{zeros}")), Err(InvalidKeys::Twice { line: 2 })));
        assert!(!format!("{:?}", ring(&hex).unwrap()).contains("000000000"));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        fs::write(&path, line(1)).unwrap();
        for (mode, good) in
            [(0o600, true), (0o400, true), (0o640, true), (0o644, false), (0o604, false), (0o660, false)]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let read = KeyRing::from_file(&path);
            assert_eq!(read.is_ok(), good, "{mode:o} {read:?}");
        }
        assert!(matches!(KeyRing::from_file(folder.path()), Err(InvalidKeys::Unreadable { .. })));
        assert!(matches!(
            KeyRing::from_file(&folder.path().join("none")),
            Err(InvalidKeys::Unreadable { .. })
        ));
    }

    #[test]
    fn a_file_that_somebody_else_may_change_or_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let pipe = folder.path().join("pipe");
        assert!(
            std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status().unwrap().success()
        );
        // Nobody writes to it, and nobody waits for that.
        assert!(matches!(KeyRing::from_file(&pipe), Err(InvalidKeys::Unreadable { .. })));
        fs::write(&path, "#".repeat(16 * 1024 + 1)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(KeyRing::from_file(&path), Err(InvalidKeys::Unreadable { .. })));
        fs::write(&path, line(1)).unwrap();
        assert!(KeyRing::from_file(&path).is_ok());
        // Only root gives files away.
        if std::os::unix::fs::chown(&path, Some(1), None).is_ok() {
            assert!(matches!(KeyRing::from_file(&path), Err(InvalidKeys::Owner { owner: 1, .. })));
        }
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_broken_one_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        fs::write(&path, line(1)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let keys = KeyRing::from_file(&path).unwrap();
        let first = keys.sealing();
        assert!(keys.read_again().unwrap().is_none());
        fs::write(&path, line(2)).unwrap();
        let others = keys.read_again().unwrap().unwrap();
        assert_eq!((keys.sealing(), keys.lost_with(&others)), (first, vec![first]));
        keys.take(others, true);
        assert!(keys.knows(first) && keys.sealing() != first);
        let second = keys.sealing();
        fs::write(&path, "nonsense").unwrap();
        assert!(keys.read_again().is_err());
        assert_eq!(keys.sealing(), second);
        fs::write(&path, line(2)).unwrap();
        let others = keys.read_again().unwrap().unwrap();
        keys.take(others, false);
        assert!(!keys.knows(first) && keys.sealing() == second);
    }
}

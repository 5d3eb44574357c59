//! The keys of one issuer: a JWK set (RFC 7517) read strictly, or a shared secret.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{AlgorithmFamily, DecodingKey, crypto};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{Algorithm, jwt::Header};
use crate::types::{JsonObject, SessionRefusal};

/// A set of more keys is a mistake.
const MOST_KEYS: usize = 100;
/// RFC 7518 section 3.3 asks for this at least; the most is what the library can do.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;
/// RFC 7518 section 3.2 asks for as many bytes as the hash has; SHA-256 has the fewest.
const SHORTEST_SECRET: usize = 32;

/// The keys that an issuer signs with.
pub(super) struct KeySet {
    keys: Vec<Key>,
    digest: [u8; 32],
}

/// Why there are no keys in what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidKeySet {
    /// Not a JWK set.
    #[error("it is not a JWK set: a JSON object with a list `keys`")]
    NotAKeySet,
    /// Too many keys.
    #[error("it has more than {MOST_KEYS} keys")]
    TooManyKeys,
    /// None that could verify anything.
    #[error("it has no key that fits the issuer's algorithms")]
    NoUsableKey,
    /// The shared secret is too short.
    #[error("the shared secret has fewer than {SHORTEST_SECRET} bytes")]
    ShortSecret,
}

struct Key {
    id: Option<String>,
    kind: KeyKind,
    /// The one algorithm that it is for, where it says so.
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    Rsa,
    P256,
    P384,
    Ed25519,
    Secret,
}

/// A key as RFC 7517 writes it. Members that do not matter here, private ones among them, are passed over.
#[derive(Deserialize)]
struct KeyMessage {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct KeySetMessage {
    keys: Vec<serde_json::Value>,
}

impl KeySet {
    /// Reads a JWK set. Keys that are for something else, too weak, or of a kind that none of `algorithms`
    /// uses are passed over; symmetric ones always are.
    ///
    /// None may be left: an issuer that withdraws all its keys is to be believed.
    ///
    /// # Errors
    /// [`InvalidKeySet`] for what is no key set, or one of too many keys.
    pub fn read(json: &[u8], algorithms: &[Algorithm]) -> Result<Self, InvalidKeySet> {
        let JsonObject(KeySetMessage { keys }) =
            serde_json::from_slice(json).map_err(|_| InvalidKeySet::NotAKeySet)?;
        if keys.len() > MOST_KEYS {
            return Err(InvalidKeySet::TooManyKeys);
        }
        let keys: Vec<Key> = keys
            .into_iter()
            .filter_map(|key| Key::read(serde_json::from_value(key).ok()?))
            .filter(|key| algorithms.iter().any(|algorithm| key.fits(*algorithm)))
            .collect();
        Ok(Self { keys, digest: Sha256::digest(json).into() })
    }

    /// The one key that a shared secret is.
    ///
    /// # Errors
    /// [`InvalidKeySet::ShortSecret`].
    pub fn of_secret(secret: &[u8]) -> Result<Self, InvalidKeySet> {
        if secret.len() < SHORTEST_SECRET {
            return Err(InvalidKeySet::ShortSecret);
        }
        let key = DecodingKey::from_secret(secret);
        let keys = vec![Key { id: None, kind: KeyKind::Secret, algorithm: None, key }];
        Ok(Self { keys, digest: Sha256::digest(secret).into() })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether two sets were read from the same bytes.
    pub fn is(&self, other: &Self) -> bool {
        self.digest == other.digest
    }

    /// Whether the signature over `signed` is one of these keys'.
    ///
    /// # Errors
    /// [`SessionRefusal::KeyUnknown`] when no key has the header's `kid`, or it names none and there is not
    /// exactly one that fits; [`SessionRefusal::AlgorithmNotAllowed`] when the key is for another algorithm;
    /// [`SessionRefusal::SignatureInvalid`].
    pub fn verify(&self, header: &Header, signed: &str, signature: &str) -> Result<(), SessionRefusal> {
        let fits = |key: &&Key| key.fits(header.algorithm);
        let fitting: Vec<&Key> = match &header.key_id {
            // A secret has no name. Whatever the token calls it, it is the only one.
            Some(id) if !self.is_secret() => {
                let mut named = self.keys.iter().filter(|key| key.id.as_ref() == Some(id)).peekable();
                named.peek().ok_or(SessionRefusal::KeyUnknown)?;
                named.filter(fits).collect()
            }
            _ => {
                let fitting: Vec<&Key> = self.keys.iter().filter(fits).collect();
                if fitting.len() != 1 {
                    return Err(SessionRefusal::KeyUnknown);
                }
                fitting
            }
        };
        if fitting.is_empty() {
            return Err(SessionRefusal::AlgorithmNotAllowed);
        }
        let good = |key: &&Key| {
            crypto::verify(signature, signed.as_bytes(), &key.key, header.algorithm).unwrap_or(false)
        };
        if fitting.iter().any(good) { Ok(()) } else { Err(SessionRefusal::SignatureInvalid) }
    }

    fn is_secret(&self) -> bool {
        self.keys.iter().any(|key| key.kind == KeyKind::Secret)
    }
}

impl Key {
    fn read(message: KeyMessage) -> Option<Self> {
        let for_something_else = message.r#use.is_some_and(|usage| usage != "sig")
            || message.key_ops.is_some_and(|uses| !uses.iter().any(|one| one == "verify"));
        if for_something_else {
            return None;
        }
        let algorithm = match message.alg.as_deref() {
            None => None,
            // RFC 9864 has a name of its own for the one curve that we know.
            Some("Ed25519") => Some(Algorithm::EdDSA),
            Some(name) => Some(name.parse().ok()?),
        };
        let decode = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        let (kind, key) = match (message.kty.as_str(), message.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (decode(&message.n)?, decode(&message.e)?);
                let n = n.get(n.iter().position(|byte| *byte != 0)?..)?;
                let bits = n.len() * 8 - n.first()?.leading_zeros() as usize;
                if !RSA_BITS.contains(&bits) {
                    return None;
                }
                (KeyKind::Rsa, DecodingKey::from_rsa_raw_components(n, &e))
            }
            ("EC", Some(curve @ ("P-256" | "P-384"))) => {
                let (kind, bytes) = if curve == "P-256" { (KeyKind::P256, 32) } else { (KeyKind::P384, 48) };
                let whole = decode(&message.x)?.len() == bytes && decode(&message.y)?.len() == bytes;
                let key = DecodingKey::from_ec_components(message.x.as_deref()?, message.y.as_deref()?);
                (kind, key.ok().filter(|_| whole)?)
            }
            ("OKP", Some("Ed25519")) => {
                let whole = decode(&message.x)?.len() == 32;
                let key = DecodingKey::from_ed_components(message.x.as_deref()?);
                (KeyKind::Ed25519, key.ok().filter(|_| whole)?)
            }
            // INVARIANT: nothing that is published is a secret. A symmetric key in a set is not taken.
            _ => return None,
        };
        Some(Self { id: message.kid, kind, algorithm, key })
    }

    /// Whether this key verifies signatures of that algorithm.
    ///
    /// INVARIANT: only a shared secret verifies what a secret signs. A public key is no secret, whatever a
    /// header says.
    fn fits(&self, algorithm: Algorithm) -> bool {
        let kind = match algorithm {
            Algorithm::ES256 => KeyKind::P256,
            Algorithm::ES384 => KeyKind::P384,
            other => match other.family() {
                AlgorithmFamily::Hmac => KeyKind::Secret,
                AlgorithmFamily::Rsa => KeyKind::Rsa,
                AlgorithmFamily::Ed => KeyKind::Ed25519,
                // A curve that is not known here.
                AlgorithmFamily::Ec => return false,
            },
        };
        self.kind == kind && self.algorithm.is_none_or(|only| only == algorithm)
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::{Algorithm, InvalidKeySet, KeySet};

    const ALL: [Algorithm; 4] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::HS256];

    fn rsa(bytes: usize) -> Value {
        json!({"kty": "RSA", "kid": "r", "n": URL_SAFE_NO_PAD.encode(vec![0xc1; bytes]), "e": "AQAB"})
    }

    fn point(bytes: usize) -> String {
        URL_SAFE_NO_PAD.encode(vec![7; bytes])
    }

    fn with(mut key: Value, member: &str, value: Value) -> Value {
        key[member] = value;
        key
    }

    fn usable(key: Value) -> bool {
        KeySet::read(json!({"keys": [key]}).to_string().as_bytes(), &ALL).is_ok_and(|keys| keys.len() == 1)
    }

    #[test]
    fn keys_that_are_for_something_else_or_weak_are_passed_over() {
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "x": point(32), "alg": "Ed25519"});
        let ec = json!({"kty": "EC", "crv": "P-256", "x": point(32), "y": point(32)});
        for good in [
            rsa(256),
            rsa(1_024),
            with(rsa(256), "use", json!("sig")),
            with(rsa(256), "key_ops", json!(["verify"])),
            with(rsa(256), "alg", json!("RS256")),
            with(rsa(256), "x5c", json!(["…"])),
            ed.clone(),
            ec.clone(),
        ] {
            assert!(usable(good.clone()), "{good}");
        }
        for bad in [
            json!(1),
            json!({}),
            json!({"kty": "oct", "k": point(64)}),
            json!({"kty": "oct", "k": point(64), "alg": "HS256"}),
            rsa(255),
            rsa(1_025),
            with(rsa(255), "n", json!(URL_SAFE_NO_PAD.encode([vec![0; 64], vec![0xc1; 255]].concat()))),
            with(rsa(256), "n", json!("AAAA")),
            with(rsa(256), "n", json!("!")),
            with(rsa(256), "e", json!(null)),
            with(rsa(256), "use", json!("enc")),
            with(rsa(256), "key_ops", json!(["sign"])),
            with(rsa(256), "alg", json!("RSA-OAEP")),
            // Not among the issuer's algorithms.
            with(rsa(256), "alg", json!("PS256")),
            with(rsa(256), "alg", json!("HS256")),
            with(ed.clone(), "crv", json!("X25519")),
            with(ed, "x", json!(point(31))),
            with(ec.clone(), "crv", json!("secp256k1")),
            with(ec.clone(), "crv", json!("P-384")),
            with(ec, "y", json!(point(33))),
        ] {
            assert!(!usable(bad.clone()), "{bad}");
        }
    }

    #[test]
    fn what_is_no_key_set_is_refused() {
        let read = |json: &str| KeySet::read(json.as_bytes(), &ALL).err();
        for json in ["", "[]", "{}", "null", "{\"keys\": {}}", "{\"keys\": [", "<html>"] {
            assert_eq!(read(json), Some(InvalidKeySet::NotAKeySet), "{json}");
        }
        // An issuer that withdraws all its keys is to be believed.
        assert_eq!(read("{\"keys\": []}"), None);
        let many = json!({"keys": vec![rsa(256); 101]}).to_string();
        assert_eq!(read(&many), Some(InvalidKeySet::TooManyKeys));
        assert_eq!(KeySet::of_secret(&[7; 31]).err(), Some(InvalidKeySet::ShortSecret));
        assert_eq!(KeySet::of_secret(&[7; 32]).map(|keys| keys.len()).ok(), Some(1));
    }
}

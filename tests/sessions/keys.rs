//! Keys made for the test, and JWTs signed with them by other code than that which verifies.

use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RSA_PSS_SHA256, RsaKeyPair,
    },
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

/// A key that an issuer signs with.
pub enum Key {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Secret(Vec<u8>),
}

pub static RSA: LazyLock<Key> = LazyLock::new(|| Key::rsa(KeySize::Rsa2048));
pub static OTHER_RSA: LazyLock<Key> = LazyLock::new(|| Key::rsa(KeySize::Rsa2048));
pub static EC: LazyLock<Key> =
    LazyLock::new(|| Key::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()));
pub static ED: LazyLock<Key> = LazyLock::new(|| Key::Ed(Ed25519KeyPair::generate().unwrap()));

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Key {
    fn rsa(size: KeySize) -> Self {
        Self::Rsa(RsaKeyPair::generate(size).unwrap())
    }

    /// How it signs unless something else is said.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
            Self::Secret(_) => "HS256",
        }
    }

    /// The public half, as a member of a JWK set.
    pub fn jwk(&self, id: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                let public = pair.public_key();
                let n = encode(public.modulus().big_endian_without_leading_zero());
                let e = encode(public.exponent().big_endian_without_leading_zero());
                json!({"kty": "RSA", "use": "sig", "kid": id, "n": n, "e": e})
            }
            Self::Ec(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
                json!({"kty": "EC", "crv": "P-256", "kid": id, "alg": "ES256", "x": x, "y": y})
            }
            Self::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": encode(pair.public_key().as_ref())})
            }
            Self::Secret(secret) => json!({"kty": "oct", "kid": id, "k": encode(secret)}),
        }
    }

    /// The public half of an RSA key in the ways in which it is published, as an attacker's secret.
    pub fn published(&self) -> Vec<Vec<u8>> {
        let Self::Rsa(pair) = self else { panic!("only an RSA key is published so") };
        let pkcs1 = pair.public_key().as_ref().to_vec();
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let spki = spki.as_ref().to_vec();
        let pem = |label: &str, der: &[u8], end: &str| {
            let lines: Vec<String> = STANDARD
                .encode(der)
                .as_bytes()
                .chunks(64)
                .map(|l| String::from_utf8(l.into()).unwrap())
                .collect();
            let body = lines.join("\n");
            format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----{end}").into_bytes()
        };
        vec![
            pem("PUBLIC KEY", &spki, "\n"),
            pem("PUBLIC KEY", &spki, ""),
            pem("RSA PUBLIC KEY", &pkcs1, "\n"),
            spki,
            pkcs1,
            self.jwk("rsa")["n"].as_str().unwrap().into(),
        ]
    }

    /// The signature over these bytes.
    pub fn sign(&self, signed: &[u8], algorithm: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                if algorithm == "PS256" {
                    pair.sign(&RSA_PSS_SHA256, &random, signed, &mut signature).unwrap();
                } else {
                    pair.sign(&RSA_PKCS1_SHA256, &random, signed, &mut signature).unwrap();
                }
                signature
            }
            Self::Ec(pair) => pair.sign(&random, signed).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(signed).as_ref().to_vec(),
            Self::Secret(secret) => {
                let hash = if algorithm == "HS512" { hmac::HMAC_SHA512 } else { hmac::HMAC_SHA256 };
                hmac::sign(&hmac::Key::new(hash, secret), signed).as_ref().to_vec()
            }
        }
    }

    /// A JWT of this header and these claims, both as text: they may be anything.
    pub fn jwt_of(&self, header: &str, claims: &str, algorithm: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = encode(self.sign(signed.as_bytes(), algorithm));
        format!("{signed}.{signature}")
    }

    /// A JWT as an issuer makes it.
    pub fn jwt(&self, id: &str, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm(), "kid": id, "typ": "JWT"});
        self.jwt_of(&header.to_string(), &claims.to_string(), self.algorithm())
    }
}

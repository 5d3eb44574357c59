//! The files that TLS is made from: what is in them, and whether it goes together.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;
use tokio_rustls::rustls::{
    self, CertificateError, RootCertStore, ServerConfig,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, UnixTime,
        pem::{self, PemObject},
    },
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::{TLS12, TLS13},
};
use zeroize::Zeroizing;

/// Where they are. All of them are PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// The authorities of clients' certificates, if clients must show one.
    pub client_ca: Option<PathBuf>,
}

/// TLS cannot be spoken with these files.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{key}: {path} cannot be read")]
    Read {
        /// The setting that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{key}: {path}: {problem}")]
    File {
        /// The setting that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong. It repeats nothing of the file.
        problem: String,
    },
}

impl TlsError {
    fn file(key: &'static str, path: &Path, problem: impl Into<String>) -> Self {
        Self::File { key, path: path.to_owned(), problem: problem.into() }
    }
}

/// The settings that name the files.
const CERTIFICATE: &str = "tls.certificate";
const KEY: &str = "tls.key";
const CLIENT_CA: &str = "tls.client_ca";

/// More is no certificate and no key.
const MOST_BYTES: u64 = 1024 * 1024;

/// What the files held at one moment.
#[derive(PartialEq, Eq)]
pub(super) struct Contents {
    certificate: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Option<Zeroizing<Vec<u8>>>,
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contents").finish_non_exhaustive()
    }
}

fn read(key: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let failed = |source| TlsError::Read { key, path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    // All at once: a vector that grows would leave copies of the key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 * 1024));
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(TlsError::file(key, path, format!("it is larger than {MOST_BYTES} bytes")));
    }
    Ok(bytes)
}

impl TlsFiles {
    /// What they hold now. This waits for the disk.
    ///
    /// # Errors
    /// [`TlsError`] when one cannot be read, or is no such file.
    pub(super) fn read(&self) -> Result<Contents, TlsError> {
        Ok(Contents {
            certificate: read(CERTIFICATE, &self.certificate)?,
            key: read(KEY, &self.key)?,
            client_ca: self.client_ca.as_deref().map(|path| read(CLIENT_CA, path)).transpose()?,
        })
    }

    /// How TLS is spoken with what was read.
    ///
    /// # Errors
    /// [`TlsError::File`] for the first file that does not do, or that does not go with another.
    pub(super) fn configure(&self, contents: &Contents) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = certificates(CERTIFICATE, &self.certificate, &contents.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|error| {
            let problem = match error {
                pem::Error::NoItemsFound if has(&contents.key, "CERTIFICATE") => {
                    "there is a certificate in it, and no private key: were tls.certificate and tls.key confused?"
                }
                pem::Error::NoItemsFound => {
                    "there is no private key in it (one with a password cannot be read)"
                }
                _ => "it is not PEM",
            };
            TlsError::file(KEY, &self.key, problem)
        })?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| TlsError::file(CERTIFICATE, &self.certificate, error.to_string()))?;
        let builder = match (&self.client_ca, &contents.client_ca) {
            (Some(path), Some(bytes)) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots(path, bytes)?, provider)
                    .build()
                    .map_err(|error| TlsError::file(CLIENT_CA, path, error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let expiry = expiry(&chain, UnixTime::now());
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                let problem =
                    format!("this key is not the one of the certificate in {}", self.certificate.display());
                TlsError::file(KEY, &self.key, problem)
            }
            rustls::Error::InvalidCertificate(_) => {
                TlsError::file(CERTIFICATE, &self.certificate, "its first certificate cannot be read")
            }
            // What is left is about the key: of a kind that cannot be used, or broken.
            _ => TlsError::file(
                KEY,
                &self.key,
                "the private key cannot be used: make it RSA, ECDSA or Ed25519",
            ),
        })?;
        if let Some(problem) = expiry {
            let path = self.certificate.display();
            tracing::warn!(%path, "the TLS certificate {problem}: clients will refuse it");
        }
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        if self.client_ca.is_some() {
            // A session that is taken up again would not be asked for its certificate, which may have expired since.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(config)
    }
}

/// Whether a block of this kind ends in it: of a key the first word says which.
fn has(bytes: &[u8], kind: &str) -> bool {
    let end = format!("{kind}-----");
    bytes.windows(end.len()).any(|window| window == end.as_bytes())
}

fn certificates(
    key: &'static str,
    path: &Path,
    bytes: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match read {
        Ok(found) if found.is_empty() => {
            let problem = match has(bytes, "PRIVATE KEY") {
                true => {
                    "there is a private key in it, and no certificate: does the setting name the wrong file?"
                }
                false => "there is no certificate in it",
            };
            Err(TlsError::file(key, path, problem))
        }
        Ok(found) => Ok(found),
        Err(_) => Err(TlsError::file(key, path, "it is not PEM")),
    }
}

fn roots(path: &Path, bytes: &[u8]) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(CLIENT_CA, path, bytes)? {
        roots
            .add(certificate)
            .map_err(|_| TlsError::file(CLIENT_CA, path, "a certificate in it cannot be read"))?;
    }
    Ok(Arc::new(roots))
}

/// What is wrong with the time of a certificate. It is asked of the verifier that a client would ask, which looks at the
/// time first; whatever else it finds is not looked for here.
fn expiry(chain: &[CertificateDer<'static>], now: UnixTime) -> Option<&'static str> {
    let (first, rest) = chain.split_first()?;
    let mut roots = RootCertStore::empty();
    roots.add(first.clone()).ok()?;
    let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()?;
    let name = ServerName::try_from("localhost").ok()?;
    match verifier.verify_server_cert(first, rest, &name, &[], now) {
        Err(rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => Some("has expired"),
        Err(rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        )) => Some("is not valid yet"),
        _ => None,
    }
}

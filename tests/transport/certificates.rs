//! Authorities, certificates, and TLS clients that trust and show them.

use std::{
    fs,
    io::{self, Read, Write},
    net::TcpStream,
    path::Path,
    sync::Arc,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    version::{TLS12, TLS13},
};

use super::wire::{connect, question};

/// Both versions that are spoken.
pub const VERSIONS: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];

/// An authority that tests trust, or do not.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, both PEM.
#[derive(Clone)]
pub struct Certified {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate of `localhost`, good for many years.
    pub fn certify(&self) -> Certified {
        self.until(2100)
    }

    /// One that was good until some years ago.
    pub fn expired(&self) -> Certified {
        self.until(2021)
    }

    fn until(&self, year: i32) -> Certified {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(year, 1, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Certified { certificate, key: key.serialize_pem() }
    }

    /// A client that trusts this authority alone, and shows this certificate.
    pub fn client(&self, shows: Option<&Certified>) -> Arc<ClientConfig> {
        self.client_of(shows, VERSIONS, &[])
    }

    /// The same, of these versions and protocols.
    pub fn client_of(
        &self,
        shows: Option<&Certified>,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match shows {
            None => builder.with_no_client_auth(),
            Some(Certified { certificate, key }) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
                builder
                    .with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
                    .unwrap()
            }
        };
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

impl Certified {
    /// Puts both into a folder, where [`settings`] looks for them.
    pub fn write(&self, folder: &Path) {
        fs::write(folder.join("key.pem"), &self.key).unwrap();
        fs::write(folder.join("certificate.pem"), &self.certificate).unwrap();
    }
}

/// `[tls]` with the files of [`Certified::write`].
pub const SETTINGS: &str = "[tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n";

/// The name in all certificates.
pub fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

/// An open connection that speaks TLS.
pub fn open(address: &str, client: &Arc<ClientConfig>) -> StreamOwned<ClientConnection, TcpStream> {
    StreamOwned::new(ClientConnection::new(Arc::clone(client), name()).unwrap(), connect(address))
}

/// A question that is allowed, on a connection of its own; the whole answer.
pub fn ask(address: &str, client: &Arc<ClientConfig>) -> io::Result<String> {
    let mut stream = open(address, client);
    stream.write_all(question("connection: close\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

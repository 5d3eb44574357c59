//! TLS on both listeners: who is served, who is not, and whom nobody waits for.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

use tokio_rustls::rustls::version::TLS13;

use super::{
    certificates::{Authority, Certified, SETTINGS, VERSIONS, ask},
    wire::connect,
};
use crate::harness::program::Serving;

/// regate that shows this certificate, with more settings.
pub fn start(certified: &Certified, settings: &str) -> (tempfile::TempDir, Serving) {
    let folder = tempfile::tempdir().unwrap();
    certified.write(folder.path());
    fs::write(folder.path().join("regate.toml"), format!("{SETTINGS}{settings}")).unwrap();
    let serving = Serving::start(folder.path(), &["--demo", "--config", "regate.toml"]);
    (folder, serving)
}

#[test]
fn both_listeners_speak_both_versions_of_tls() {
    let authority = Authority::new("ours");
    let (_folder, serving) = start(&authority.certify(), "");
    let printed = serving.log();
    assert!(!printed.contains("expired"), "{printed}");
    for version in VERSIONS {
        let client = authority.client_of(None, &[version], &["http/1.1"]);
        let answer = ask(&serving.address, &client).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"allow\":true"), "{answer}");
        assert!(ask(&serving.grpc, &client).unwrap().starts_with("HTTP/1.1 "));
    }
    // Nobody else's server is believed, so the certificate is really ours.
    assert!(ask(&serving.address, &Authority::new("another").client(None)).is_err());
    // A protocol that is not spoken is not agreed upon.
    assert!(ask(&serving.address, &authority.client_of(None, &[&TLS13], &["h3"])).is_err());
}

#[test]
fn where_an_authority_of_clients_is_named_each_needs_a_certificate_of_it() {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let folder = tempfile::tempdir().unwrap();
    servers.certify().write(folder.path());
    fs::write(folder.path().join("clients.pem"), &clients.pem).unwrap();
    fs::write(folder.path().join("regate.toml"), format!("{SETTINGS}client_ca = \"clients.pem\"\n")).unwrap();
    let serving = Serving::start(folder.path(), &["--demo", "--config", "regate.toml"]);
    for address in [&serving.address, &serving.grpc] {
        for version in VERSIONS {
            let ask = |shown: Option<&Certified>| ask(address, &servers.client_of(shown, &[version], &[]));
            assert!(ask(Some(&clients.certify())).unwrap().starts_with("HTTP/1.1 "));
            assert!(ask(None).is_err(), "no certificate");
            assert!(
                ask(Some(&Authority::new("clients").certify())).is_err(),
                "another authority of that name"
            );
            assert!(ask(Some(&servers.certify())).is_err(), "the servers' authority");
            assert!(ask(Some(&clients.expired())).is_err(), "expired");
        }
    }
}

#[test]
fn a_client_that_speaks_no_tls_is_told_nothing() {
    let authority = Authority::new("ours");
    let (_folder, serving) = start(&authority.certify(), "[metrics]\nlisten = \"127.0.0.1:0\"\n");
    for address in [&serving.address, &serving.grpc] {
        for message in
            [&b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[0; 64]]
        {
            let mut stream = connect(address);
            let _ = stream.write_all(message);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            assert!(!answer.windows(4).any(|four| four == b"HTTP"), "{answer:?}");
        }
    }
    assert!(ask(&serving.address, &authority.client(None)).is_ok());
    let metrics = serving.metrics_address();
    let shown = crate::harness::http::send(&metrics, "GET", "/metrics", &[], b"");
    let shown = String::from_utf8(shown.body).unwrap();
    assert!(shown.contains("regate_tls_handshake_failures_total 6"), "{shown}");
}

#[test]
fn nobody_waits_for_clients_that_are_silent_or_stop_in_the_middle() {
    let authority = Authority::new("ours");
    let (_folder, serving) = start(&authority.certify(), "[http]\nreceive_time = \"1s\"\n");
    let client = authority.client(None);
    let mut others: Vec<TcpStream> = (0..200).map(|_| connect(&serving.address)).collect();
    for stream in others.iter_mut().skip(100) {
        // The first bytes of a handshake: a record of 512 bytes is promised.
        stream.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252]).unwrap();
    }
    for _ in 0..5 {
        assert!(ask(&serving.address, &client).unwrap().starts_with("HTTP/1.1 200"));
    }
    // They do not keep their places either.
    for mut stream in others {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() < 64, "{rest:?}");
    }
}

#[test]
fn files_that_do_not_do_are_named_at_the_start() {
    let authority = Authority::new("ours");
    let (good, other) = (authority.certify(), authority.certify());
    let cases = [
        (
            Certified { certificate: String::new(), ..good.clone() },
            "certificate.pem: there is no certificate",
        ),
        (
            Certified { certificate: "-----BEGIN CERTIFICATE-----\n".into(), ..good.clone() },
            "certificate.pem: it is not PEM",
        ),
        (
            Certified {
                certificate: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into(),
                ..good.clone()
            },
            "certificate.pem",
        ),
        (
            Certified { key: good.certificate.clone(), ..good.clone() },
            "tls.key: key.pem: there is a certificate in it, and no private key",
        ),
        (Certified { key: String::new(), ..good.clone() }, "tls.key: key.pem: there is no private key"),
        (
            Certified { certificate: good.key.clone(), key: good.certificate.clone() },
            "tls.certificate: certificate.pem: there is a private key in it, and no certificate",
        ),
        (
            Certified { key: other.key, ..good.clone() },
            "key.pem: this key is not the one of the certificate in certificate.pem",
        ),
        (Certified { key: good.key.replace('\n', ""), ..good.clone() }, "key.pem"),
    ];
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("regate.toml"), SETTINGS).unwrap();
    let refused = || {
        let started = Serving::try_start(folder.path(), &["--demo", "--config", "regate.toml"]);
        started.err().unwrap()
    };
    let (code, log) = refused();
    assert!(code == Some(1) && log.contains("tls.certificate: certificate.pem cannot be read"), "{log}");
    for (certified, expected) in cases {
        certified.write(folder.path());
        let (code, log) = refused();
        assert!(code == Some(1) && log.contains(expected), "{expected}: {log}");
        let secret = good.key.lines().nth(1).unwrap();
        assert!(!log.contains(secret), "the key in the log");
    }
    good.write(folder.path());
    fs::write(folder.path().join("regate.toml"), format!("{SETTINGS}client_ca = \"nobody.pem\"\n")).unwrap();
    assert!(refused().1.contains("tls.client_ca: nobody.pem cannot be read"));
    fs::write(folder.path().join("nobody.pem"), "").unwrap();
    assert!(refused().1.contains("nobody.pem: there is no certificate"));
}

#[test]
fn an_expired_certificate_is_shown_and_warned_of() {
    let authority = Authority::new("ours");
    let (_folder, serving) = start(&authority.expired(), "");
    serving.wait_for_log("has expired");
    assert!(ask(&serving.address, &authority.client(None)).is_err());
}

//! Certificates that change under a running process.

use std::{
    fs,
    io::Write,
    os::unix::fs::symlink,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    certificates::{Authority, SETTINGS, ask, open},
    tls::start,
    until,
    wire::{question, read_answer},
};
use crate::harness::program::Serving;

#[test]
fn new_connections_get_the_new_certificate_and_old_ones_live_on() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let (folder, serving) = start(&old.certify(), "");
    let mut kept = open(&serving.address, &old.client(None));
    let mut answered = || {
        kept.write_all(question("").as_bytes()).unwrap();
        assert!(read_answer(&mut kept).contains("\"allow\":true"));
    };
    answered();
    new.certify().write(folder.path());
    until("the new certificate", || ask(&serving.address, &new.client(None)).is_ok());
    assert!(ask(&serving.grpc, &new.client(None)).is_ok());
    assert!(ask(&serving.address, &old.client(None)).is_err());
    answered();
}

#[test]
fn what_cannot_be_used_changes_nothing_and_is_said_once() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let (folder, serving) = start(&old.certify(), "[metrics]\nlisten = \"127.0.0.1:0\"\n");
    let said = || serving.log().matches("the changed TLS files cannot be used").count();
    // A key that does not fit; half a certificate; nothing at all.
    let certified = new.certify();
    fs::write(folder.path().join("key.pem"), &certified.key).unwrap();
    until("the first complaint", || said() == 1);
    fs::write(folder.path().join("certificate.pem"), &certified.certificate[..200]).unwrap();
    until("the second complaint", || said() == 2);
    fs::remove_file(folder.path().join("certificate.pem")).unwrap();
    until("the third complaint", || said() == 3);
    assert!(ask(&serving.address, &old.client(None)).is_ok());
    let metrics = serving.metrics_address();
    let shown = || {
        let answer = crate::harness::http::send(&metrics, "GET", "/metrics", &[], b"");
        String::from_utf8(answer.body).unwrap()
    };
    assert!(shown().contains("regate_tls_reload_failures_total 3"), "{}", shown());
    assert!(shown().contains("regate_tls_failing 1"), "{}", shown());
    // The rest arrives, and it is whole.
    certified.write(folder.path());
    until("the new certificate", || ask(&serving.address, &new.client(None)).is_ok());
    assert!(
        shown().contains("regate_tls_reloads_total 1") && shown().contains("regate_tls_failing 0"),
        "{}",
        shown()
    );
    assert_eq!(said(), 3, "{}", serving.log());
    assert!(!serving.log().contains(certified.key.lines().nth(1).unwrap()), "the key in the log");
}

/// Puts files where Kubernetes does: `..data` is a link to a folder, and is put in the other's place at once.
fn mount(folder: &Path, version: &str, write: impl FnOnce(&Path)) {
    let data = folder.join(version);
    fs::create_dir(&data).unwrap();
    write(&data);
    symlink(version, folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
}

#[test]
fn links_that_are_swapped_and_authorities_of_clients_are_followed() {
    let servers = [Authority::new("first"), Authority::new("second")];
    let clients = [Authority::new("first clients"), Authority::new("second clients")];
    let folder = tempfile::tempdir().unwrap();
    let both = |place: usize| {
        let certified = servers[place].certify();
        let authority = clients[place].pem.clone();
        move |data: &Path| {
            certified.write(data);
            fs::write(data.join("clients.pem"), authority).unwrap();
        }
    };
    mount(folder.path(), "..1", both(0));
    for name in ["certificate.pem", "key.pem", "clients.pem"] {
        symlink(Path::new("..data").join(name), folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("regate.toml"), format!("{SETTINGS}client_ca = \"clients.pem\"\n")).unwrap();
    let serving = Serving::start(folder.path(), &["--demo", "--config", "regate.toml"]);
    let shown = clients.each_ref().map(Authority::certify);
    assert!(ask(&serving.address, &servers[0].client(Some(&shown[0]))).is_ok());
    assert!(ask(&serving.address, &servers[0].client(Some(&shown[1]))).is_err());
    mount(folder.path(), "..2", both(1));
    until("the second certificate", || ask(&serving.address, &servers[1].client(Some(&shown[1]))).is_ok());
    assert!(ask(&serving.address, &servers[1].client(Some(&shown[0]))).is_err());
    assert!(!serving.log().contains("cannot be used"), "{}", serving.log());
}

#[test]
fn no_request_fails_while_certificates_change() {
    let authority = Authority::new("ours");
    let (folder, serving) = start(&authority.certify(), "");
    let client = authority.client(None);
    let (over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let asking: Vec<_> = (0..2)
        .map(|_| {
            let (over, asked) = (Arc::clone(&over), Arc::clone(&asked));
            let (client, address) = (Arc::clone(&client), serving.address.clone());
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let answer = ask(&address, &client).unwrap();
                    assert!(answer.contains("\"allow\":true"), "{answer}");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for change in 1..=2 {
        authority.certify().write(folder.path());
        until("a change", || {
            serving.log().matches("new connections get the changed TLS certificate").count() == change
        });
    }
    let before = asked.load(Ordering::Relaxed);
    until("more answers", || asked.load(Ordering::Relaxed) > before + 5);
    over.store(true, Ordering::Relaxed);
    for asking in asking {
        asking.join().unwrap();
    }
}

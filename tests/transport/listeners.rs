//! Both listeners, on ports and on Unix sockets.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::Path,
};

use super::until;
use crate::harness::program::Serving;

/// A question to a Unix socket, and the whole answer.
fn ask(socket: &Path) -> String {
    let body = r#"{"request": {"method": "GET", "path": "/health"}}"#;
    let mut stream = UnixStream::connect(socket).unwrap();
    let head =
        "POST /v1/decide HTTP/1.1\r\nhost: regate\r\nconnection: close\r\ncontent-type: application/json";
    write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn both_listeners_may_be_unix_sockets_and_their_files_go_with_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let [http, grpc] = ["http.sock", "grpc.sock"].map(|name| folder.path().join(name));
    let [http_address, grpc_address] = [&http, &grpc].map(|path| format!("unix:{}", path.display()));
    let arguments = ["--demo", "--listen", &http_address, "--grpc-listen", &grpc_address];
    let serving = Serving::start(folder.path(), &arguments);
    assert_eq!(
        (serving.address.as_str(), serving.grpc.as_str()),
        (http.to_str().unwrap(), grpc.to_str().unwrap())
    );
    let to_paste = format!("--unix-socket {} http://localhost/v1", http.display());
    until("lines to paste", || serving.output.lock().unwrap().contains(&to_paste));
    assert_eq!([mode(&http), mode(&grpc)], [0o660, 0o660]);
    let answer = ask(&http);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"allow\":true"), "{answer}");
    assert!(UnixStream::connect(&grpc).is_ok());
    assert_eq!(serving.stop(), Some(0));
    assert!(!http.exists() && !grpc.exists());
}

#[test]
fn who_may_connect_to_a_socket_is_said_by_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    for text in ["0600", "0666"] {
        fs::write(folder.path().join("regate.toml"), format!("[http]\nsocket_mode = \"{text}\"")).unwrap();
        let address = format!("unix:{}", socket.display());
        let arguments = ["--demo", "--listen", &address, "--config", "regate.toml"];
        let _serving = Serving::start(folder.path(), &arguments);
        assert_eq!(mode(&socket), u32::from_str_radix(text, 8).unwrap());
    }
}

#[test]
fn a_socket_that_nobody_listens_on_is_replaced_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let address = format!("unix:{}", socket.display());
    // What a process leaves behind that was killed.
    drop(UnixListener::bind(&socket).unwrap());
    assert!(fs::metadata(&socket).unwrap().file_type().is_socket());
    let serving = Serving::start(folder.path(), &["--demo", "--listen", &address]);
    assert!(ask(&socket).starts_with("HTTP/1.1 200"));
    // A second process finds it in use, and the first goes on.
    let refused = Serving::try_start(folder.path(), &["--demo", "--listen", &address]).err().unwrap();
    assert_eq!(refused.0, Some(1));
    assert!(refused.1.contains("another program listens there"), "{}", refused.1);
    assert!(ask(&socket).starts_with("HTTP/1.1 200"));
    drop(serving);
    // A file of somebody's own stays as it is.
    fs::write(&socket, "a letter").unwrap();
    let refused = Serving::try_start(folder.path(), &["--demo", "--listen", &address]).err().unwrap();
    assert!(refused.0 == Some(1) && refused.1.contains("no socket"), "{refused:?}");
    assert!(!refused.1.contains("another program"), "{refused:?}");
    let address = format!("unix:{}/nowhere/s", folder.path().display());
    let refused = Serving::try_start(folder.path(), &["--demo", "--listen", &address]).err().unwrap();
    let expected = format!("there is no folder {}/nowhere: make it", folder.path().display());
    assert!(refused.1.contains(&expected) && !refused.1.contains("another program"), "{refused:?}");
    assert_eq!(fs::read_to_string(&socket).unwrap(), "a letter");
}

#[test]
fn a_file_that_took_the_sockets_place_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let serving =
        Serving::start(folder.path(), &["--demo", "--listen", &format!("unix:{}", socket.display())]);
    fs::remove_file(&socket).unwrap();
    let _other = UnixListener::bind(&socket).unwrap();
    assert_eq!(serving.stop(), Some(0));
    assert!(UnixStream::connect(&socket).is_ok());
}

#[test]
fn grpc_has_a_port_unless_it_is_turned_off() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--demo"]);
    assert!(serving.address.starts_with("127.0.0.1:") && serving.grpc.starts_with("127.0.0.1:"));
    assert_ne!(serving.address, serving.grpc);
    assert!(std::net::TcpStream::connect(&serving.grpc).is_ok());
    let serving = Serving::start(folder.path(), &["--demo", "--grpc-listen", "off"]);
    assert_eq!(serving.grpc, "");
}

#[test]
fn a_port_for_grpc_that_somebody_named_and_that_is_taken_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, section) in [("--listen", "http"), ("--grpc-listen", "grpc")] {
        let refused = Serving::try_start(folder.path(), &["--demo", flag, &address]).err().unwrap();
        let expected =
            format!("{address}: is another program using it? Name another with {flag} or [{section}] listen");
        assert!(refused.0 == Some(1) && refused.1.contains(&expected), "{refused:?}");
    }
}

#[test]
fn without_a_named_port_for_grpc_a_second_process_goes_on_without() {
    let folder = tempfile::tempdir().unwrap();
    // Whoever has the port, this test or another program: it is taken.
    let _taken = TcpListener::bind("127.0.0.1:9191");
    let serving = Serving::start_as_is(folder.path(), &["--demo", "--listen", "127.0.0.1:0"]);
    assert_eq!(serving.grpc, "");
    serving.wait_for_log("going on without gRPC");
    assert_eq!(crate::harness::http::send(&serving.address, "GET", "/health", &[], b"").status, 200);
}

#[test]
fn a_listener_that_others_can_reach_refuses_to_start_without_authentication() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [["--listen", "0.0.0.0:0"], ["--grpc-listen", "0.0.0.0:0"]] {
        let refused =
            Serving::try_start(folder.path(), &[&["--demo"], &arguments[..]].concat()).err().unwrap();
        assert!(refused.0 == Some(1) && refused.1.contains("0.0.0.0:0"), "{refused:?}");
    }
}

//! HTTP/2: decisions, bounds, and connections on which nothing happens.

use std::{fs, io::Write, sync::Arc};

use http_body_util::{BodyExt, Full};
use hyper::{Request, Version, body::Bytes, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    runtime::Runtime,
    task::JoinSet,
};
use tokio_rustls::TlsConnector;

use super::{
    certificates::{Authority, VERSIONS, name},
    frames::{Frames, HEADERS, PREFACE},
    tls::start,
    wire::{BODY, connect, read_rest},
};
use crate::harness::{http::send as send_http1, program::Serving};

/// A connection that speaks HTTP/2 from the first byte.
async fn open(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> SendRequest<Full<Bytes>> {
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn question() -> Request<Full<Bytes>> {
    let request = Request::post("http://localhost/v1/decide").header("content-type", "application/json");
    request.body(Full::from(BODY)).unwrap()
}

/// Status and body of an answer.
async fn send(sender: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> (u16, String) {
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[test]
fn one_connection_carries_many_decisions_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--demo"]);
    Runtime::new().unwrap().block_on(async {
        let sender = open(TcpStream::connect(&serving.address).await.unwrap()).await;
        let mut asking = JoinSet::new();
        for _ in 0..400 {
            let mut sender = sender.clone();
            asking.spawn(async move { send(&mut sender, question()).await });
        }
        for (status, body) in asking.join_all().await {
            assert!(status == 200 && body.contains("\"allow\":true"), "{body}");
        }
    });
}

#[test]
fn http2_is_agreed_upon_in_tls_and_spoken_on_unix_sockets() {
    let authority = Authority::new("ours");
    let (folder, serving) = start(&authority.certify(), "");
    let socket = folder.path().join("s");
    let address = format!("unix:{}", socket.display());
    let local = Serving::start(folder.path(), &["--demo", "--listen", &address, "--grpc-listen", "off"]);
    Runtime::new().unwrap().block_on(async {
        let connector = TlsConnector::from(authority.client_of(None, VERSIONS, &["h2", "http/1.1"]));
        for address in [&serving.address, &serving.grpc] {
            let stream = connector.connect(name(), TcpStream::connect(address).await.unwrap()).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            let (_, body) = send(&mut open(stream).await, question()).await;
            assert_eq!(body.contains("\"allow\":true"), address == &serving.address, "{body}");
        }
        let mut sender = open(UnixStream::connect(&local.address).await.unwrap()).await;
        assert!(send(&mut sender, question()).await.1.contains("\"allow\":true"));
    });
}

#[test]
fn a_header_that_is_too_large_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--demo"]);
    Runtime::new().unwrap().block_on(async {
        let mut sender = open(TcpStream::connect(&serving.address).await.unwrap()).await;
        let large = |bytes: usize| {
            let mut request = question();
            request.headers_mut().insert("x", "a".repeat(bytes).parse().unwrap());
            request
        };
        let (status, body) = send(&mut sender, large(40_000)).await;
        assert!(
            status == 431 && body.contains("header.too_large") && body.contains("\"allow\":false"),
            "{body}"
        );
        // Beyond what is ever kept: no words, and no allow.
        let (status, body) = send(&mut sender, large(70_000)).await;
        assert!(status == 431 && body.is_empty(), "{body}");
        assert_eq!(send(&mut sender, question()).await.0, 200);
        // Beyond what is ever read: the connection ends.
        assert!(sender.send_request(large(200_000)).await.is_err());
    });
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("regate.toml"), "[http]\nreceive_time = \"100ms\"\n").unwrap();
    let serving = Serving::start(folder.path(), &["--demo", "--config", "regate.toml"]);
    let mut frames = Frames::open(&serving.address);
    let fields =
        [(":method", "POST"), (":scheme", "http"), (":path", "/v1/decide"), (":authority", "localhost")];
    frames.request(1, &fields, 0).unwrap();
    match frames.outcome(1) {
        super::frames::Outcome::Answered(body) => assert!(body.contains("body.not_received"), "{body}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_says_nothing_more_loses_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "[http]\nidle_time = \"300ms\"\nreceive_time = \"300ms\"\nmax_connections = 5\n";
    fs::write(folder.path().join("regate.toml"), settings).unwrap();
    let serving = Serving::start(folder.path(), &["--demo", "--config", "regate.toml"]);
    let settings_frame = [&[0, 0, 0, 4, 0, 0, 0, 0, 0][..]].concat();
    // HEADERS whose rest is to come.
    let half_a_header = [&[0, 0, 1, HEADERS, 0, 0, 0, 0, 1, 0x83][..]].concat();
    let silent = [
        Vec::new(),
        PREFACE[..9].to_vec(),
        PREFACE.to_vec(),
        [PREFACE, &settings_frame].concat(),
        [PREFACE, &settings_frame, &half_a_header].concat(),
    ];
    // All places are taken, on each listener.
    for address in [&serving.address, &serving.grpc] {
        let mut streams: Vec<_> = silent
            .iter()
            .map(|bytes| {
                let mut stream = connect(address);
                stream.write_all(bytes).unwrap();
                stream
            })
            .collect();
        for stream in &mut streams {
            read_rest(stream);
        }
    }
    assert_eq!(send_http1(&serving.address, "GET", "/health", &[], b"").status, 200);
}

#[test]
fn a_client_that_takes_no_answer_loses_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "[http]\nidle_time = \"300ms\"\nreceive_time = \"300ms\"\nmax_connections = 1\n";
    fs::write(folder.path().join("regate.toml"), settings).unwrap();
    let serving = Arc::new(Serving::start(folder.path(), &["--demo", "--config", "regate.toml"]));
    let mut frames = Frames { stream: connect(&serving.address) };
    frames.stream.write_all(PREFACE).unwrap();
    // SETTINGS_INITIAL_WINDOW_SIZE of nothing: no answer's body may be sent.
    frames.send(super::frames::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).unwrap();
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", "/health"), (":authority", "localhost")];
    frames.request(1, &fields, super::frames::END_STREAM).unwrap();
    while frames.next().is_some() {}
    assert_eq!(send_http1(&serving.address, "GET", "/health", &[], b"").status, 200);
}

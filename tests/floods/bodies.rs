//! Bodies that come slowly, whose last byte does not come, that never end, and that are deep.

use std::{
    convert::Infallible,
    io::Write,
    net::TcpStream,
    pin::Pin,
    task::{Context, Poll},
};

use hyper::{
    Request,
    body::{Body, Bytes, Frame},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream as AsyncStream, runtime::Runtime, task::JoinSet};

use super::{MEBIBYTE, Scene, until_gone};
use crate::{harness::http, transport::wire::connect};

/// All of these but their last byte would be far more than the process may have.
const MANY: usize = 600;

/// Writes as much as is taken, and says no more.
fn write_some(stream: &mut TcpStream, bytes: &[u8]) {
    stream.set_nonblocking(true).unwrap();
    let mut rest = bytes;
    while let Ok(count @ 1..) = stream.write(rest) {
        rest = &rest[count..];
    }
    stream.set_nonblocking(false).unwrap();
}

#[test]
fn bodies_whose_last_byte_does_not_come() {
    let scene = Scene::start();
    let head = format!("POST /v1/decide HTTP/1.1\r\nhost: localhost\r\ncontent-length: {MEBIBYTE}\r\n\r\n");
    let most = vec![b' '; MEBIBYTE - 1];
    let mut streams: Vec<TcpStream> = (0..MANY).map(|_| connect(&scene.serving.address)).collect();
    for stream in &mut streams {
        stream.write_all(head.as_bytes()).unwrap();
    }
    // As often as the kernel's buffers are emptied.
    for _ in 0..5 {
        streams.iter_mut().for_each(|stream| write_some(stream, &most));
        scene.honest.until_more(20);
    }
    scene.holds("bodies of 1 MiB, HTTP/1.1", MANY, 250 * MEBIBYTE);
    until_gone(&mut streams);
    scene.is_over("bodies of 1 MiB, HTTP/1.1");
}

/// A body of which one byte is missing, for ever.
struct Unfinished(Option<Bytes>);

impl Body for Unfinished {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.take().map_or(Poll::Pending, |bytes| Poll::Ready(Some(Ok(Frame::data(bytes)))))
    }
}

#[test]
fn the_same_on_few_connections_of_http2() {
    const CONNECTIONS: usize = 4;
    const STREAMS: usize = 200;
    let scene = Scene::start();
    let most = Bytes::from(vec![b' '; MEBIBYTE - 1]);
    for (name, address) in [("HTTP", &scene.serving.address), ("gRPC", &scene.serving.grpc)] {
        Runtime::new().unwrap().block_on(async {
            let mut asking = JoinSet::new();
            for _ in 0..CONNECTIONS {
                let stream = AsyncStream::connect(address).await.unwrap();
                let (sender, connection) =
                    hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                        .await
                        .unwrap();
                tokio::spawn(connection);
                for _ in 0..STREAMS {
                    let (mut sender, body) = (sender.clone(), Unfinished(Some(most.clone())));
                    asking.spawn(async move {
                        let request = Request::post("http://localhost/v1/decide").body(body).unwrap();
                        sender.send_request(request).await.is_ok_and(|answer| answer.status().is_success())
                    });
                }
            }
            // Let them send what they may.
            let what = format!("bodies of 1 MiB, {STREAMS} on each connection, {name}");
            tokio::task::block_in_place(|| {
                scene.honest.until_more(2_000);
                scene.holds(&what, CONNECTIONS, 200 * MEBIBYTE);
            });
            // Each is answered that its body did not come, or cut; none is decided.
            if name == "HTTP" {
                assert!(asking.join_all().await.iter().all(|allowed| !allowed));
            }
        });
    }
    scene.is_over("bodies of 1 MiB, HTTP/2");
}

#[test]
fn bodies_that_never_end() {
    let scene = Scene::start();
    let address = &scene.serving.address;
    let mut stream = connect(address);
    let head = "POST /v1/decide HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
    let mut sent = 0;
    while sent < 256 * MEBIBYTE && stream.write_all(chunk.as_bytes()).is_ok() {
        sent += chunk.len();
    }
    assert!(sent < 256 * MEBIBYTE, "all of it was taken");
    // More than a machine has is told, and little comes.
    let mut told = connect(address);
    let length = usize::MAX / 4;
    let head = format!("POST /v1/decide HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{{");
    told.write_all(head.as_bytes()).unwrap();
    // As deep as a body may be long.
    let deep = "[".repeat(MEBIBYTE - 1);
    let answer = http::send(address, "POST", "/v1/decide", &[], deep.as_bytes());
    assert_eq!(answer.status, 400, "{}", String::from_utf8_lossy(&answer.body));
    scene.holds("bodies that never end, of any length, and deep", 3, 50 * MEBIBYTE);
    until_gone(&mut [told, stream]);
}

//! Headers that come slowly, that are huge, and that never end.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use super::{MEBIBYTE, Scene, until_gone};
use crate::transport::wire::{connect, read_rest};

const MANY: usize = 1_000;

#[test]
fn headers_whose_end_does_not_come() {
    let scene = Scene::start();
    let half = format!("POST /v1/decide HTTP/1.1\r\nhost: localhost\r\nx: {}", "a".repeat(60_000));
    let mut streams: Vec<TcpStream> = (0..MANY)
        .map(|_| {
            let mut stream = connect(&scene.serving.address);
            stream.write_all(half.as_bytes()).unwrap();
            stream
        })
        .collect();
    scene.holds("headers of 60 kB without an end", MANY, 200 * MEBIBYTE);
    until_gone(&mut streams);
    scene.is_over("headers of 60 kB without an end");
}

#[test]
fn headers_byte_by_byte() {
    let scene = Scene::start();
    let mut streams: Vec<TcpStream> = (0..MANY).map(|_| connect(&scene.serving.address)).collect();
    // Each keeps its connection busy, and none of them longer than a header may take.
    let (mut alive, mut held) = (MANY, false);
    while alive > 0 {
        alive = streams.iter_mut().map(|stream| usize::from(stream.write_all(b"x").is_ok())).sum();
        if !held {
            scene.holds("headers byte by byte", MANY, 150 * MEBIBYTE);
            held = true;
        }
        thread::sleep(Duration::from_millis(100));
    }
    scene.is_over("headers byte by byte");
}

#[test]
fn headers_that_never_end() {
    let scene = Scene::start();
    for line in ["x: ".to_owned() + &"a".repeat(1_000) + "\r\n", "a".repeat(1_000), "x: 1\r\n".to_owned()] {
        let mut stream = connect(&scene.serving.address);
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n").unwrap();
        // Beyond what is read, and what the kernel keeps on the way.
        let mut sent = 0;
        while sent < 64 * MEBIBYTE && stream.write_all(line.as_bytes()).is_ok() {
            sent += line.len();
        }
        assert!(sent < 64 * MEBIBYTE, "all of it was taken");
        let mut answer = [0; 64];
        // The end of the connection may overtake the answer.
        let count = stream.read(&mut answer).unwrap_or(0);
        let status = String::from_utf8_lossy(&answer[..count]).into_owned();
        assert!(count == 0 || status.starts_with("HTTP/1.1 4"), "{status}");
        let _ = read_rest(&mut stream);
    }
    scene.holds("headers that never end", 3, 30 * MEBIBYTE);
}

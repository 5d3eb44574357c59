//! Clients that ask and do not read, and whose other half is gone.

use std::{
    io::Write,
    net::{Shutdown, TcpStream},
};

use super::{MEBIBYTE, Scene, until_gone};
use crate::transport::wire::connect;

const MANY: usize = 500;

#[test]
fn answers_that_nobody_reads() {
    let scene = Scene::start();
    // The largest answer that anybody may have, as often as it is taken.
    let asked = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(100);
    let mut streams: Vec<TcpStream> = (0..MANY).map(|_| connect(&scene.serving.address)).collect();
    for stream in &mut streams {
        stream.write_all(asked.as_bytes()).unwrap();
    }
    scene.holds("answers that nobody reads", MANY, 150 * MEBIBYTE);
    // regate resets them: they are not there any more to be written to.
    for stream in &mut streams {
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
    scene.is_over("answers that nobody reads");
}

#[test]
fn connections_that_are_half_closed() {
    let scene = Scene::start();
    let beginnings =
        ["", "POST /v1/decide HT", "POST /v1/decide HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{"];
    let mut streams: Vec<TcpStream> = (0..MANY)
        .map(|number| {
            let mut stream = connect(&scene.serving.address);
            stream.write_all(beginnings[number % beginnings.len()].as_bytes()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            stream
        })
        .collect();
    scene.holds("connections that are half closed", MANY, 50 * MEBIBYTE);
    until_gone(&mut streams);
    scene.is_over("connections that are half closed");
}

//! Floods of HTTP/2 frames, on both listeners.

use std::io::Write;

use super::{MEBIBYTE, Scene};
use crate::transport::frames::{END_STREAM, Frames, HEADERS, RST_STREAM, SETTINGS};

const PING: u8 = 6;
const CONTINUATION: u8 = 9;

/// Frames in a row. Nobody has that many to say.
const FRAMES: u32 = 200_000;

const FIELDS: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":path", "/health"), (":authority", "localhost")];

/// Sends one after the other until the connection ends; gives whether it did.
fn ends(address: &str, mut each: impl FnMut(&mut Frames, u32) -> std::io::Result<()>) -> bool {
    let mut frames = Frames::open(address);
    // What is sent blocks when regate stops reading: it gives up such a client after `receive_time`.
    frames.stream.set_write_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
    (0..FRAMES).any(|number| each(&mut frames, number).is_err())
}

#[test]
fn requests_that_are_taken_back_at_once() {
    let scene = Scene::start();
    for address in [&scene.serving.address, &scene.serving.grpc] {
        let ended = ends(address, |frames, number| {
            let stream = number * 2 + 1;
            frames.request(stream, &FIELDS, END_STREAM)?;
            frames.send(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
        });
        assert!(ended, "{FRAMES} requests were taken back");
        scene.holds("rapid reset", 1, 30 * MEBIBYTE);
    }
}

#[test]
fn a_header_that_goes_on_and_on() {
    let scene = Scene::start();
    for address in [&scene.serving.address, &scene.serving.grpc] {
        // A field of a kilobyte in each frame: literal, not indexed, its name `x`.
        let mut field = vec![0, 1, b'x', 0x7f, 0x81, 0x07];
        field.extend([b'a'; 1024]);
        let ended = ends(address, |frames, number| match number {
            0 => frames.send(HEADERS, END_STREAM, 1, &field),
            _ => frames.send(CONTINUATION, 0, 1, &field),
        });
        assert!(ended, "a header of {FRAMES} frames was taken");
        // Frames that say nothing.
        let ended = ends(address, |frames, number| match number {
            0 => frames.send(HEADERS, END_STREAM, 1, &[]),
            _ => frames.send(CONTINUATION, 0, 1, &[]),
        });
        assert!(ended, "{FRAMES} empty frames were taken");
        scene.holds("endless CONTINUATION", 2, 30 * MEBIBYTE);
    }
}

#[test]
fn frames_that_ask_for_answers_which_nobody_reads() {
    let scene = Scene::start();
    for address in [&scene.serving.address, &scene.serving.grpc] {
        let floods: [(u8, u8, &[u8]); 2] = [(SETTINGS, 0, &[0, 3, 0, 0, 0, 100]), (PING, 0, &[7; 8])];
        for (kind, flags, payload) in floods {
            let mut one = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
            one.extend([kind, flags, 0, 0, 0, 0]);
            one.extend(payload);
            let many = one.repeat(1_000);
            // Whether the connection ends or goes on: memory is held to.
            let mut frames = Frames::open(address);
            frames.stream.set_write_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
            for _ in 0..FRAMES / 100 {
                if frames.stream.write_all(&many).is_err() {
                    break;
                }
            }
            scene.holds("SETTINGS and PING", 1, 30 * MEBIBYTE);
        }
    }
}

#[test]
fn as_many_requests_at_a_time_as_there_are() {
    let scene = Scene::start();
    let mut all = Vec::new();
    for address in [&scene.serving.address, &scene.serving.grpc] {
        for _ in 0..20 {
            let mut frames = Frames::open(address);
            for number in 0..1_000 {
                // More than may be there at a time are refused; requests whose body is to come.
                if frames.request(number * 2 + 1, &FIELDS, 0).is_err() {
                    break;
                }
            }
            all.push(frames);
        }
    }
    scene.holds("1,000 requests on each connection", all.len(), 150 * MEBIBYTE);
}

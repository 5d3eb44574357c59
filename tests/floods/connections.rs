//! Very many connections, and few files.

use std::net::TcpStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{MEBIBYTE, Scene, until_gone};
use crate::{harness::http::send, transport::wire::connect};

const MANY: usize = 10_000;

/// This process needs as many open files as the one that it floods.
fn raise_own_limit() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let enough = limit.maximum.is_none_or(|files| files > MANY as u64 * 2 + 1_000);
    assert!(
        enough || limit.maximum.is_some_and(|files| files as usize > MANY + 1_000),
        "{:?} files",
        limit.maximum
    );
}

#[test]
fn ten_thousand_connections_that_say_nothing() {
    raise_own_limit();
    // As a login shell or a service manager starts it: it may have more, if it asks.
    let scene = Scene::start_under(&["/bin/sh", "-c", "ulimit -Sn 1024; exec \"$@\"", "sh"]);
    // The first are cut while the last are being made; how many there are at a time depends on the machine.
    let (mut streams, mut most) = (Vec::with_capacity(MANY), 0);
    for number in 0..MANY {
        streams.push(connect(&scene.serving.address));
        if number % 250 == 0 {
            most = scene.open_files().max(most);
        }
    }
    assert!(most > 2_048, "{most} files were open: it did not ask for more");
    scene.holds("connections that say nothing", MANY, 300 * MEBIBYTE);
    until_gone(&mut streams);
    scene.is_over("connections that say nothing");
}

#[test]
fn connections_do_not_take_the_files_of_the_database() {
    // No more, whoever asks.
    let scene = Scene::start_under(&["/bin/sh", "-c", "ulimit -n 600; exec \"$@\"", "sh"]);
    scene.serving.wait_for_log("fewer connections at a time on each listener");
    // More than there are files; those that find no place wait in the kernel's queue.
    let mut streams: Vec<TcpStream> = (0..700).map(|_| connect(&scene.serving.address)).collect();
    let grpc: Vec<TcpStream> = (0..700).map(|_| connect(&scene.serving.grpc)).collect();
    scene.honest.until_more(200);
    let open = scene.open_files();
    assert!(open < 500, "{open} of 600 files are open");
    assert!(!scene.serving.log().contains("could not be accepted"), "{}", scene.serving.log());
    // Whoever gives up makes room.
    streams.truncate(10);
    drop(grpc);
    let answer = send(&scene.serving.address, "GET", "/health", &[], b"");
    assert_eq!(answer.status, 200);
}

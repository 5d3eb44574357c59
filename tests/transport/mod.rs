//! How questions come in, whatever they ask: TCP, TLS, Unix sockets, HTTP/1.1 and HTTP/2, and the end.

pub mod certificates;
mod drain;
mod forms;
mod forms_http2;
pub mod frames;
mod http2;
mod listeners;
mod reload;
mod tls;
mod told;
pub mod wire;

use std::{
    thread,
    time::{Duration, Instant},
};

/// Waits for something that is to happen, as long as a slow machine may need.
fn until(what: &str, mut look: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !look() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it did not happen: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

//! What becomes of decisions when the database is broken under the program: the real program over a real
//! database, asked over HTTP all the while. Whatever happens, an allow is never older than the bound, and
//! nobody has to help it up again.

mod connections;
mod disk_full;
mod killed;
mod loading;
mod locks;
mod pgbouncer;
mod recorded;
mod restored;
mod scene;
mod sessions;
mod stopped;
mod two_processes;
mod watch;

use std::{
    thread,
    time::{Duration, Instant},
};

/// The bound of these tests. See [`scene::SETTINGS`].
const MAX_STALENESS: Duration = Duration::from_secs(2);

/// Waits for something that is to happen, as long as a slow machine may need.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "it did not happen: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

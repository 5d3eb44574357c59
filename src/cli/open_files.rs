//! Open files: each connection is one, and a process has few of them unless it asks for more.

use rustix::process::{Resource, getrlimit, setrlimit};

/// What is open beside connections: the database, the spool, policy files and their watches, the keys of issuers.
const OTHERS: u64 = 256;

/// Asks for as many open files as this process may have (the soft limit is often 1024, the hard one far more), and gives
/// how many connections each of so many listeners may have, so that callers never take the files that the database,
/// the spool and the policies need.
pub(super) fn connections(configured: usize, listeners: usize) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit = raised,
            Err(error) => tracing::warn!(%error, "the limit of open files stays as it is"),
        }
    }
    let possible = limit.current.map_or(usize::MAX, |files| share(files, listeners));
    if possible < configured {
        tracing::warn!(
            max_connections = possible,
            configured,
            "fewer connections at a time on each listener: raise the limit of open files (LimitNOFILE in systemd)"
        );
    }
    configured.min(possible)
}

/// The connections of each listener, of so many files in all. One at least, and half of the files always.
fn share(files: u64, listeners: usize) -> usize {
    let left = files.saturating_sub(OTHERS).max(files / 2);
    let left = usize::try_from(left).unwrap_or(usize::MAX);
    (left / listeners.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn the_listeners_never_take_the_files_of_the_database() {
        assert_eq!(share(1_024, 2), 384);
        assert_eq!(share(1_024, 3), 256);
        assert_eq!(share(65_536, 2), 32_640);
        // Hardly any: half for the connections.
        assert_eq!(share(100, 2), 25);
        assert_eq!(share(0, 2), 1);
    }
}

//! Keeps the keys as they are in their file.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};

use super::{Background, KeyRing};
use crate::types::causes;

/// The file of keys, looked at again and again. That ends when this is dropped.
#[derive(Debug)]
#[must_use = "keys are kept up to date for as long as this is held"]
pub struct KeyFileWatch {
    failing: Arc<AtomicBool>,
    _background: Option<Background>,
}

impl KeyFileWatch {
    /// The file cannot be read, or holds no good keys: the last ones stay in force.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }
}

/// Looks at the file at this interval, and reads it again when it is another; nothing is done for keys that came from
/// no file. Needs a runtime.
pub fn keep_keys(keys: Arc<KeyRing>, every: Duration) -> KeyFileWatch {
    let failing = Arc::new(AtomicBool::new(false));
    let background =
        keys.file().is_some().then(|| Background::begin(keep(keys, every, Arc::clone(&failing))));
    KeyFileWatch { failing, _background: background }
}

async fn keep(keys: Arc<KeyRing>, every: Duration, failing: Arc<AtomicBool>) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first look reads it, since it may have changed after the keys were read.
    let mut seen = None;
    let mut said = None;
    loop {
        ticks.tick().await;
        let (keys, known) = (Arc::clone(&keys), if said.is_none() { seen } else { None });
        // A file may lie on a disk that has gone away: no worker of the decisions' waits for it.
        let Ok(look) = tokio::task::spawn_blocking(move || look(&keys, known)).await else { continue };
        match look.read {
            None => {}
            Some(Ok(changed)) => {
                if let Some(sealing) = changed {
                    tracing::info!(%sealing, "credentials are sealed and opened with the keys that the file has now");
                } else if said.is_some() {
                    tracing::info!("the file of keys can be read again");
                }
                said = None;
            }
            Some(Err(problem)) => {
                let problem = Some((look.print, problem));
                if said != problem {
                    let problem = problem.as_ref().map_or("", |(_, problem)| problem);
                    tracing::warn!(%problem, "the file of keys cannot be used; the last keys stay in force");
                }
                said = problem;
            }
        }
        failing.store(said.is_some(), Ordering::Relaxed);
        seen = Some(look.print);
    }
}

/// What tells one state of a file from another: device, inode, size, the times of its content and of its entry.
type Print = Option<[i64; 7]>;

struct Look {
    print: Print,
    /// `None` when there was nothing to read; else which key seals from now on, if that or another changed.
    read: Option<Result<Option<crate::types::KeyId>, String>>,
}

/// Reads the file unless it is as it was `known`.
fn look(keys: &KeyRing, known: Option<Print>) -> Look {
    // Before it is read: what is written in between is then read the next time.
    let print = keys.file().and_then(|path| print(path).ok());
    if known == Some(print) {
        return Look { print, read: None };
    }
    let read = keys.reload().map(|changed| changed.then(|| keys.sealing()));
    Look { print, read: Some(read.map_err(|error| causes(&error).join(": "))) }
}

#[allow(clippy::cast_possible_wrap, reason = "these are compared, and nothing else")]
fn print(path: &Path) -> io::Result<[i64; 7]> {
    let file = fs::metadata(path)?;
    let (device, inode, size) = (file.dev() as i64, file.ino() as i64, file.size() as i64);
    Ok([device, inode, size, file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()])
}

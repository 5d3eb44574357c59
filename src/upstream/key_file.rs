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

use super::{Background, KeyRing, MissingKeys, keys::OtherKeys};
use crate::{store::upstreams::UpstreamStore, types::causes};

/// After so many looks a file that could not be used is read again, although it is as it was: what the store says of its
/// keys may be something else by now.
const SETTLE_TICKS: u32 = 15;

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
/// no file. A key that opens something that is stored stays, whatever the file says. Needs a runtime.
pub fn keep_keys(keys: Arc<KeyRing>, store: Arc<dyn UpstreamStore>, every: Duration) -> KeyFileWatch {
    let failing = Arc::new(AtomicBool::new(false));
    let background =
        keys.file().is_some().then(|| Background::begin(keep(keys, store, every, Arc::clone(&failing))));
    KeyFileWatch { failing, _background: background }
}

async fn keep(keys: Arc<KeyRing>, store: Arc<dyn UpstreamStore>, every: Duration, failing: Arc<AtomicBool>) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first look reads it, since it may have changed after the keys were read.
    let mut seen = None;
    let mut said = None;
    // What was not settled is looked at again now and then, also if the file is as it was: the store changes, too.
    let mut patience = 0;
    loop {
        ticks.tick().await;
        patience = if seen.is_none() { 0 } else { u32::saturating_sub(patience, 1) };
        let (ring, known) = (Arc::clone(&keys), if patience == 0 && said.is_some() { None } else { seen });
        // A file may lie on a disk that has gone away: no worker of the decisions' waits for it.
        let Ok(look) = tokio::task::spawn_blocking(move || look(&ring, known)).await else { continue };
        let settled = match look.read {
            None => {
                seen = Some(look.print);
                continue;
            }
            Some(Ok(None)) => Ok(()),
            Some(Ok(Some(others))) => take(&keys, &*store, others).await,
            Some(Err(problem)) => Err(problem),
        };
        match settled {
            Ok(()) => {
                if said.take().is_some() {
                    tracing::info!("the file of keys can be used again");
                }
            }
            Err(problem) => {
                let problem = Some((look.print, problem));
                if said != problem {
                    let problem = problem.as_ref().map_or("", |(_, problem)| problem);
                    tracing::warn!(%problem, "the file of keys cannot be used; the last keys stay in force");
                }
                said = problem;
                patience = SETTLE_TICKS;
            }
        }
        failing.store(said.is_some(), Ordering::Relaxed);
        seen = Some(look.print);
    }
}

/// Takes the keys that the file has now, unless something that is stored could not be opened any more.
async fn take(keys: &KeyRing, store: &dyn UpstreamStore, others: OtherKeys) -> Result<(), String> {
    let lost = keys.lost_with(&others);
    let mut keeping = None;
    if !lost.is_empty() {
        match store.sealing_keys().await {
            Ok(mut needed) => {
                needed.retain(|(key, count)| *count > 0 && lost.contains(key));
                if !needed.is_empty() {
                    let problem = format!(
                        "it does not hold keys that sealed what is stored: {}. Add them below its first line",
                        MissingKeys(needed)
                    );
                    return Err(problem);
                }
            }
            Err(error) => keeping = Some(causes(&error).join(": ")),
        }
    }
    let before = keys.sealing();
    keys.take(others, keeping.is_some());
    let sealing = keys.sealing();
    // While the store is away this comes again and again.
    if keeping.is_none() || sealing != before {
        tracing::info!(%sealing, "credentials are sealed and opened with the keys that the file has now");
    }
    match keeping {
        None => Ok(()),
        Some(problem) => Err(format!(
            "it lacks keys that were here, and the store cannot say whether they are needed, so that they open on: {problem}"
        )),
    }
}

/// What tells one state of a file from another: device, inode, size, the times of its content and of its entry.
type Print = Option<[i64; 7]>;

struct Look {
    print: Print,
    /// `None` when there was nothing to read; else the keys that it has, if they are others.
    read: Option<Result<Option<OtherKeys>, String>>,
}

/// Reads the file unless it is as it was `known`.
fn look(keys: &KeyRing, known: Option<Print>) -> Look {
    // Before it is read: what is written in between is then read the next time.
    let print = keys.file().and_then(|path| print(path).ok());
    if known == Some(print) {
        return Look { print, read: None };
    }
    let read = keys.read_again().map_err(|error| causes(&error).join(": "));
    Look { print, read: Some(read) }
}

#[allow(clippy::cast_possible_wrap, reason = "these are compared, and nothing else")]
fn print(path: &Path) -> io::Result<[i64; 7]> {
    let file = fs::metadata(path)?;
    let (device, inode, size) = (file.dev() as i64, file.ino() as i64, file.size() as i64);
    Ok([device, inode, size, file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()])
}

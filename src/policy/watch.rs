//! Being told of changes. The folders are watched and never the files: an editor saves by renaming, and a
//! Kubernetes ConfigMap changes by a link that is renamed, and a watch on a file would go with the file.
//!
//! Must never be relied on: an event is a hint, and what is read is the truth. A missed one costs the time
//! until the next look ([`WatchOptions::interval`](super::WatchOptions)).

use std::{
    collections::{BTreeSet, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _, event::AccessKind};

use super::{inbox::Inbox, survey::FoundFolder};

/// So many links are followed on the way to a folder.
const LINKS: usize = 16;

/// What is watched at present.
#[derive(Debug)]
pub(super) struct Watch {
    inbox: Arc<Inbox>,
    watcher: Option<RecommendedWatcher>,
    scope: Option<Scope>,
    /// What kept it from being set up was said in the log.
    said: bool,
}

/// What is to be watched.
#[derive(Debug, PartialEq, Eq)]
struct Scope {
    /// Folders in which everything matters.
    inside: BTreeSet<FoundFolder>,
    /// Names in folders above: the folder itself, and the links that lead to it.
    names: BTreeSet<PathBuf>,
}

/// What became of setting up watches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Armed {
    /// The system tells of changes.
    pub watching: bool,
    /// It was not so before, or of other folders.
    pub anew: bool,
}

impl Watch {
    /// Watches nothing yet.
    pub fn new(inbox: Arc<Inbox>) -> Self {
        Self { inbox, watcher: None, scope: None, said: false }
    }

    /// Watches these folders, and the names on the way to `roots`. When the folders are others than before,
    /// all watches are set up anew, so that none is left on a folder that was removed, and what happened
    /// before is to be looked for.
    pub fn set<'a>(
        &mut self,
        roots: impl Iterator<Item = &'a PathBuf>,
        folders: impl Iterator<Item = &'a FoundFolder>,
    ) -> Armed {
        let names: BTreeSet<PathBuf> = roots.flat_map(|root| names_on_the_way(root)).collect();
        let inside = folders.filter_map(|folder| {
            let path = std::path::absolute(&folder.path).ok()?;
            Some(FoundFolder { path, ..folder.clone() })
        });
        let scope = Scope { inside: inside.collect(), names };
        if self.watcher.is_some() && self.scope.as_ref() == Some(&scope) {
            return Armed { watching: true, anew: false };
        }
        // First the old one: the system counts them.
        self.watcher = None;
        match watcher(&scope, Arc::clone(&self.inbox)) {
            Ok(watcher) => {
                if self.said {
                    tracing::info!("the policy folder is watched again");
                }
                self.said = false;
                self.watcher = Some(watcher);
            }
            Err(error) => {
                if !self.said {
                    tracing::warn!(
                        %error,
                        "the policy folder cannot be watched: changes are found at check_interval alone"
                    );
                }
                self.said = true;
            }
        }
        self.scope = Some(scope);
        Armed { watching: self.watcher.is_some(), anew: true }
    }
}

fn watcher(scope: &Scope, inbox: Arc<Inbox>) -> notify::Result<RecommendedWatcher> {
    let inside: HashSet<PathBuf> = scope.inside.iter().map(|folder| folder.path.clone()).collect();
    let names: HashSet<PathBuf> = scope.names.iter().cloned().collect();
    let matters = {
        let inside = inside.clone();
        move |path: &PathBuf| {
            names.contains(path)
                || inside.contains(path)
                || path.parent().is_some_and(|parent| inside.contains(parent))
        }
    };
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        let news = match event {
            // Our own reading is no news. What was written is announced once more when it is closed.
            Ok(Event { kind: EventKind::Access(kind), .. })
                if !matches!(kind, AccessKind::Close(notify::event::AccessMode::Write)) =>
            {
                false
            }
            Ok(event) => event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(&matters),
            // It may have lost some.
            Err(_) => true,
        };
        if news {
            inbox.changed();
        }
    })?;
    let above = scope.names.iter().filter_map(|name| nearest_folder(name.parent()?));
    let folders: BTreeSet<PathBuf> = above.chain(inside).collect();
    for folder in folders {
        match watcher.watch(&folder, RecursiveMode::NonRecursive) {
            Ok(()) => {}
            // It went away since it was looked at, which the folder above it tells.
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(watcher)
}

fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => {
            matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
        }
        _ => false,
    }
}

/// The folder itself, or the nearest above it that is there.
fn nearest_folder(path: &Path) -> Option<PathBuf> {
    path.ancestors().find(|path| path.is_dir()).map(Path::to_owned)
}

/// The names whose change makes `root` another folder: its own, and those of the links that it leads over.
/// Where a folder above is missing, the first name that is missing.
fn names_on_the_way(root: &Path) -> Vec<PathBuf> {
    let mut names = Vec::new();
    let Ok(mut path) = std::path::absolute(root) else { return names };
    for _ in 0..LINKS {
        if let Some(missing) = path.ancestors().filter(|path| !path.exists()).last() {
            names.push(missing.to_owned());
        }
        names.push(path.clone());
        let Ok(target) = std::fs::read_link(&path) else { break };
        // What is absolute takes the place of the whole path.
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    names
}

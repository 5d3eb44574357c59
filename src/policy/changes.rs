//! Waiting for an edit: for what runs again whenever the files change.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    folder::{PolicySource, load},
    inbox::{Gather, Inbox},
    survey::{BundleLimits, Survey},
    watch::Watch,
};

/// What no event tells of is found at this interval.
const INTERVAL: Duration = Duration::from_secs(2);

/// The files below some paths, and what was in them when they were last looked at.
#[derive(Debug)]
pub struct Changes {
    paths: Vec<PathBuf>,
    inbox: Arc<Inbox>,
    watch: Watch,
    seen: String,
}

impl Changes {
    /// From now on.
    pub fn of(paths: &[PathBuf]) -> Self {
        let inbox = Arc::new(Inbox::default());
        let watch = Watch::new(Arc::clone(&inbox));
        let mut changes = Self { paths: paths.to_vec(), inbox, watch, seen: String::new() };
        changes.watch_all();
        changes.seen = changes.content();
        changes
    }

    /// Returns when the content is another than it was at the start, or when this last returned.
    pub fn wait(&mut self) {
        loop {
            let _woken = self.inbox.wait(INTERVAL, Gather::default());
            self.watch_all();
            let content = self.content();
            if content != self.seen {
                self.seen = content;
                return;
            }
        }
    }

    fn watch_all(&mut self) {
        let survey = Survey::of(&self.paths, BundleLimits::default(), None);
        let _ = self.watch.set(self.paths.iter(), survey.folders.iter());
    }

    /// The hash of all files, or why there is none: to become unreadable is a change too.
    fn content(&self) -> String {
        match load(&PolicySource::Paths(self.paths.clone())) {
            Ok(files) => files.revision.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

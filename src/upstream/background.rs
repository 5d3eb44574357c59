//! Work that goes on beside the answers.

use tokio::task::JoinSet;

/// Background work. It ends when this is dropped.
#[derive(Debug)]
#[must_use = "the work goes on for as long as this is held"]
pub struct Background {
    _tasks: JoinSet<()>,
}

impl Background {
    /// Begins it. Needs a runtime.
    pub(super) fn begin(work: impl Future<Output = ()> + Send + 'static) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(work);
        Self { _tasks: tasks }
    }
}

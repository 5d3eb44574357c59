//! Records that are written together, and those who wait for it.

use std::{
    io,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::Waker,
};

const GATHERING: u8 = 0;
const KEPT: u8 = 1;
const FAILED: u8 = 2;

/// Records that are written together. It is decided once, for all of them.
#[derive(Debug, Default)]
pub(super) struct Group {
    state: AtomicU8,
    waiting: Mutex<Vec<Waker>>,
}

/// What became of a group: whether the promise holds for its records.
pub(super) type Outcome = Result<(), ()>;

impl Group {
    /// What became of it, if that is known.
    pub fn outcome(&self) -> Option<Outcome> {
        match self.state.load(Ordering::Acquire) {
            GATHERING => None,
            KEPT => Some(Ok(())),
            _ => Some(Err(())),
        }
    }

    /// To be woken when it is decided, or when somebody who waits is to write it. The caller must look once more.
    pub fn wake_later(&self, waker: &Waker) {
        let mut waiting = self.waiting();
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    /// Wakes all who wait.
    pub fn wake(&self) {
        let waiting = std::mem::take(&mut *self.waiting());
        waiting.into_iter().for_each(Waker::wake);
    }

    fn decide(&self, outcome: Outcome) {
        let state = if outcome.is_ok() { KEPT } else { FAILED };
        self.state.store(state, Ordering::Release);
        self.wake();
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A group that is being written. One that is let go without a word has failed: nobody waits for ever.
#[derive(Debug)]
pub(super) struct Taken(pub std::sync::Arc<Group>);

impl Taken {
    /// Tells everybody of it.
    pub fn decide<T>(self, written: &io::Result<T>) {
        self.0.decide(written.as_ref().map(|_| ()).map_err(|_| ()));
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.0.outcome().is_none() {
            self.0.decide(Err(()));
        }
    }
}

/// Whether records come together: a task that lets others go first when there are none only loses time.
#[derive(Debug, Default)]
pub(super) struct Company {
    groups: u32,
    /// How many records a group has had of late, in sixteenths.
    usual: u64,
}

impl Company {
    /// Of how many groups without company one waits for it nevertheless: what never waits is always alone.
    const TRIED_ONE_OF: u32 = 16;

    /// Notes how many records a group had; beyond a few, more say nothing more.
    pub fn note(&mut self, records: u64) {
        self.groups = self.groups.wrapping_add(1);
        self.usual = self.usual - self.usual / 8 + records.min(8) * 2;
    }

    /// Whether it is worth it to wait for others.
    pub fn expected(&self) -> bool {
        self.usual >= 24 || self.groups.is_multiple_of(Self::TRIED_ONE_OF)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
        task::{Wake, Waker},
    };

    use super::{Company, Group, Taken};

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_group_that_is_let_go_has_failed_and_all_are_told() {
        let (group, count) = (Arc::new(Group::default()), Arc::new(Count::default()));
        group.wake_later(&Waker::from(Arc::clone(&count)));
        group.wake_later(&Waker::from(Arc::clone(&count)));
        assert_eq!(group.outcome(), None);
        drop(Taken(Arc::clone(&group)));
        assert_eq!((group.outcome(), count.0.load(Ordering::Relaxed)), (Some(Err(())), 1));
    }

    #[test]
    fn a_group_is_decided_as_it_was_written() {
        for (written, outcome) in [(Ok(1), Ok(())), (Err(io::ErrorKind::StorageFull.into()), Err(()))] {
            let group = Arc::new(Group::default());
            Taken(Arc::clone(&group)).decide(&written);
            assert_eq!(group.outcome(), Some(outcome));
        }
    }

    #[test]
    fn who_was_alone_for_long_waits_for_others_now_and_then_only() {
        let mut company = Company::default();
        let waited = |records: u64, company: &mut Company| {
            let groups = (0..64).map(|_| {
                let expected = company.expected();
                company.note(if expected { records } else { 1 });
                usize::from(expected)
            });
            groups.sum::<usize>()
        };
        assert_eq!(waited(1, &mut company), 4);
        assert!(waited(32, &mut company) >= 48);
        assert_eq!(waited(32, &mut company), 64);
        assert!(waited(1, &mut company) < 32);
        assert_eq!(waited(1, &mut company), 4);
    }
}

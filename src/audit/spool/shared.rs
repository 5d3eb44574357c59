//! What the two ends of a spool share: the buffer where a group gathers, the writer's role, the book.

use std::{
    fs::File,
    io,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError},
    task::{Context, Poll},
};

use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    NotAppended, Promise, SpoolError, SpoolOptions, SpoolStatus,
    book::{Book, Turn},
    frame::HEAD_BYTES,
    group::{Company, Group, Taken},
    segment::HEADER_BYTES,
    writer::Writer,
};

/// How much may gather while the disk stands still, in bytes.
const MOST_GATHERED_BYTES: u64 = 8 * 1024 * 1024;

/// What a buffer keeps when a group is written, in bytes.
const KEPT_BUFFER_BYTES: usize = 1024 * 1024;

#[derive(Debug)]
pub(super) struct Shared {
    pub options: SpoolOptions,
    pub promise: Promise,
    pub id: Uuid,
    /// Something may be there to be read.
    pub news: Notify,
    gather: Mutex<Gather>,
    /// The thread of [`Promise::Durable`] has something to do.
    work: Condvar,
    /// Whoever has it writes. Taken before `gather` and `book`, never while one of them is held.
    writer: Mutex<Writer>,
    book: Mutex<Book>,
    /// Held for as long as one of the two ends is there.
    _lock: File,
}

/// Where the next group gathers.
#[derive(Debug, Default)]
struct Gather {
    buffer: Vec<u8>,
    records: u64,
    group: Arc<Group>,
    company: Company,
    /// The length of all segments and of the groups that are on their way there, in bytes.
    held: u64,
    refused: u64,
    /// There was no room, and none was made since.
    full: bool,
    closed: bool,
}

impl Shared {
    pub fn new(options: SpoolOptions, book: Book, writer: Writer, lock: File) -> Self {
        let held = book.segments.iter().map(|kept| kept.bytes).sum();
        Self {
            promise: options.promise,
            options,
            id: writer.spool,
            news: Notify::new(),
            gather: Mutex::new(Gather { held, ..Gather::default() }),
            work: Condvar::new(),
            writer: Mutex::new(writer),
            book: Mutex::new(book),
            _lock: lock,
        }
    }

    /// Puts a record into the group that gathers.
    pub fn gather(&self, head: [u8; HEAD_BYTES], record: &[u8]) -> Result<Waiting<'_>, NotAppended> {
        let bytes = (HEAD_BYTES + record.len()) as u64;
        let mut gather = self.lock_gather();
        if gather.closed {
            return Err(NotAppended::Failed);
        }
        let crowded = !gather.buffer.is_empty()
            && gather.buffer.len() as u64 + bytes > MOST_GATHERED_BYTES.min(self.options.max_bytes / 4);
        // A group may begin a segment.
        let full = gather.held + bytes + HEADER_BYTES > self.options.max_bytes;
        if crowded || full {
            gather.refused += 1;
            let turned = full && !std::mem::replace(&mut gather.full, full);
            drop(gather);
            if turned {
                tracing::warn!(
                    "the spool of the decision log is full: nothing is recorded until the database takes records"
                );
            }
            return Err(NotAppended::Full);
        }
        gather.held += bytes;
        gather.buffer.extend_from_slice(&head);
        gather.buffer.extend_from_slice(record);
        gather.records += 1;
        let group = Arc::clone(&gather.group);
        let first = gather.records == 1;
        let patient = self.promise == Promise::Spooled && gather.company.expected();
        drop(gather);
        if first && self.promise == Promise::Durable {
            self.work.notify_one();
        }
        Ok(Waiting { shared: self, group, patient })
    }

    /// Writes the group that gathers, if it has a record.
    fn lead(&self, mut writer: MutexGuard<'_, Writer>) {
        let turn = self.write(&mut writer);
        self.give_back(writer);
        match turn {
            Some(Turn::Failing(kind)) => tracing::warn!(error = %kind, "the decision log cannot be written"),
            Some(Turn::Over) => tracing::info!("the decision log is written again"),
            None => {}
        }
    }

    /// Gives the role back. Those who gathered meanwhile found it taken, and wait for somebody to write.
    pub(super) fn give_back(&self, writer: MutexGuard<'_, Writer>) {
        drop(writer);
        let next = Arc::clone(&self.lock_gather().group);
        next.wake();
    }

    fn write(&self, writer: &mut Writer) -> Option<Turn> {
        let mut gather = self.lock_gather();
        if gather.records == 0 {
            return None;
        }
        let taken = Taken(std::mem::take(&mut gather.group));
        let records = std::mem::take(&mut gather.records);
        gather.company.note(records);
        let mut buffer = std::mem::replace(&mut gather.buffer, std::mem::take(&mut writer.spare));
        drop(gather);

        let (written, made) = writer.write(&buffer);
        let turn = self.lock_book().note(made.as_ref(), &written, records, writer.durable);
        if made.is_some() || written.is_err() {
            let mut gather = self.lock_gather();
            gather.held += made.map_or(0, |_| HEADER_BYTES);
            let taken_back = if written.is_err() { buffer.len() as u64 } else { 0 };
            gather.held = gather.held.saturating_sub(taken_back);
        }
        taken.decide(&written);
        self.news.notify_one();
        buffer.clear();
        buffer.shrink_to(KEPT_BUFFER_BYTES);
        writer.spare = buffer;
        turn
    }

    /// What the thread of [`Promise::Durable`] does.
    pub fn sync_until_closed(&self) {
        loop {
            let mut gather = self.lock_gather();
            while gather.records == 0 && !gather.closed {
                gather = self.work.wait(gather).unwrap_or_else(PoisonError::into_inner);
            }
            if gather.records == 0 {
                return;
            }
            drop(gather);
            self.lead(self.lock_writer());
        }
    }

    /// Takes no more records.
    pub fn close(&self) {
        self.lock_gather().closed = true;
        self.work.notify_one();
    }

    /// Writes what is gathered, and makes all of it last.
    pub fn finish(&self) {
        self.lead(self.lock_writer());
        if let Err(error) = self.lock_writer().sync() {
            tracing::warn!(error = %error.kind(), "the decision log was not synced at the end");
        }
    }

    /// There is room again.
    pub fn gave_back(&self, bytes: u64) {
        let mut gather = self.lock_gather();
        gather.held = gather.held.saturating_sub(bytes);
        let over = std::mem::take(&mut gather.full);
        drop(gather);
        if over {
            tracing::info!("the spool of the decision log has room again");
        }
    }

    pub fn status(&self) -> SpoolStatus {
        let (bytes, refused_full) = {
            let gather = self.lock_gather();
            (gather.held, gather.refused)
        };
        let book = self.lock_book();
        SpoolStatus {
            bytes,
            max_bytes: self.options.max_bytes,
            records: book.records(),
            segments: book.segments.len(),
            oldest: book.acknowledged.max(book.begin()),
            end: book.end(),
            appended: book.appended,
            refused_full,
            failed: book.failed,
            written_groups: book.written_groups,
            synced_groups: book.synced_groups,
            damaged_places: book.damaged_places,
            damaged_bytes: book.damaged_bytes,
            failing: book.failing.is_some(),
        }
    }

    pub fn error(&self, what: &'static str, source: io::Error) -> SpoolError {
        SpoolError::Io { what, folder: self.options.folder.clone(), source }
    }

    pub fn lock_book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_gather(&self) -> MutexGuard<'_, Gather> {
        self.gather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock_writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the writer's role if nobody has it, and writes.
    fn try_lead(&self) {
        match self.writer.try_lock() {
            Ok(writer) => self.lead(writer),
            Err(TryLockError::Poisoned(poisoned)) => self.lead(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {}
        }
    }
}

/// Waits until a group is decided; with [`Promise::Spooled`] whoever waits also writes it.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    shared: &'a Shared,
    group: Arc<Group>,
    patient: bool,
}

impl Waiting<'_> {
    /// Whether to let other tasks add their records before writing.
    pub fn is_patient(&self) -> bool {
        self.patient
    }

    fn outcome(&self) -> Option<Result<(), NotAppended>> {
        Some(self.group.outcome()?.map_err(|()| NotAppended::Failed))
    }

    fn lead(&self) -> Option<Result<(), NotAppended>> {
        if self.shared.promise == Promise::Spooled {
            self.shared.try_lead();
        }
        self.outcome()
    }
}

impl Future for Waiting<'_> {
    type Output = Result<(), NotAppended>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(outcome) = self.outcome().or_else(|| self.lead()) {
            return Poll::Ready(outcome);
        }
        // Who has the role looks at those who wait when it has given the role back. It may have done so before this
        // one was among them: hence once more.
        self.group.wake_later(cx.waker());
        self.outcome().or_else(|| self.lead()).map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Waiting<'_> {
    /// Nobody waits for the answer any more, but the decision was made: its record does not wait for the next one.
    fn drop(&mut self) {
        if self.group.outcome().is_none() && self.shared.promise == Promise::Spooled {
            self.shared.lead(self.shared.lock_writer());
        }
    }
}

//! Many tasks, dropped tasks, groups.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, mpsc::channel},
    task::{Context, Waker},
    thread,
};

use super::{PROMISES, all, append, batches, open, options};
use crate::audit::spool::{NotAppended, Promise};

fn record(task: u32, number: u32) -> Vec<u8> {
    let filler = vec![b'.'; usize::try_from((task * 7 + number * 13) % 600).unwrap()];
    [&task.to_le_bytes()[..], &number.to_le_bytes(), &filler].concat()
}

fn named(record: &[u8]) -> (u32, u32) {
    let number = |at: usize| u32::from_le_bytes(record[at..at + 4].try_into().unwrap());
    (number(0), number(4))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_many_tasks_append_is_read_once_and_in_the_order_of_each() {
    for promise in PROMISES {
        let folder = tempfile::tempdir().unwrap();
        let mut options = options(folder.path(), promise);
        options.segment_bytes = 100_000;
        let (spool, mut reader) = open(&options);
        let spool = Arc::new(spool);
        let (tasks, each) = (48, if promise == Promise::Durable { 40 } else { 400 });
        let appending: Vec<_> = (0..tasks)
            .map(|task| {
                let spool = Arc::clone(&spool);
                tokio::spawn(async move {
                    for number in 0..each {
                        spool.append(&record(task, number)).await.unwrap();
                    }
                })
            })
            .collect();
        // Reads and acknowledges while they append.
        let mut next = BTreeMap::new();
        let mut count = 0;
        while count < u64::from(tasks * each) {
            reader.wait().await;
            let batch = reader.next_batch(50, 10_000).await.unwrap();
            assert_eq!(batch.damaged, None);
            for found in batch.records() {
                let (task, number) = named(found);
                let next = next.entry(task).or_insert(0);
                assert_eq!(number, *next, "of task {task}");
                assert_eq!(found, record(task, number));
                (*next, count) = (*next + 1, count + 1);
            }
            reader.acknowledge(batch.to).unwrap();
        }
        for task in appending {
            task.await.unwrap();
        }
        assert!(batches(&mut reader).await.is_empty());
        let status = spool.status();
        assert_eq!((status.appended, status.records, status.failed), (count, 0, 0));
        assert!(status.written_groups <= count && status.segments <= 2, "{status:?}");
        assert_eq!(status.synced_groups, if promise == Promise::Durable { status.written_groups } else { 0 });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_that_are_ended_hold_up_nobody_and_no_answered_record_is_lost() {
    for promise in PROMISES {
        let folder = tempfile::tempdir().unwrap();
        let (spool, mut reader) = open(&options(folder.path(), promise));
        let spool = Arc::new(spool);
        let answered = Arc::new(std::sync::Mutex::new(Vec::new()));
        let append = |task: u32, each: u32| {
            let (spool, answered) = (Arc::clone(&spool), Arc::clone(&answered));
            tokio::spawn(async move {
                for number in 0..each {
                    spool.append(&record(task, number)).await.unwrap();
                    answered.lock().unwrap().push((task, number));
                }
            })
        };
        let staying: Vec<_> = (0..16).map(|task| append(task, 100)).collect();
        for task in 16..400 {
            let ended = append(task, u32::MAX);
            tokio::task::yield_now().await;
            ended.abort();
        }
        for task in staying {
            task.await.unwrap();
        }
        let mut found: Vec<_> = batches(&mut reader)
            .await
            .iter()
            .flat_map(|b| b.records().map(named).collect::<Vec<_>>())
            .collect();
        found.sort_unstable();
        assert!(found.windows(2).all(|two| two[0] != two[1]), "a record is there twice");
        for answered in answered.lock().unwrap().iter() {
            assert!(found.binary_search(answered).is_ok(), "{answered:?} was answered and is not there");
        }
    }
}

#[tokio::test]
async fn a_task_that_is_dropped_where_it_waits_leaves_its_record_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open(&options(folder.path(), Promise::Spooled));
    let mut context = Context::from_waker(Waker::noop());
    drop(spool.append(b"never looked at"));
    {
        let mut yielding = pin!(spool.append(b"dropped while others are ready"));
        assert!(yielding.as_mut().poll(&mut context).is_pending());
    }
    // Written without anybody else coming.
    assert_eq!(all(&mut reader).await, ["dropped while others are ready"]);

    let role = spool.shared.lock_writer();
    thread::scope(|scope| {
        let (tell, told) = channel();
        let spool = &spool;
        let dropping = scope.spawn(move || {
            let mut context = Context::from_waker(Waker::noop());
            let mut waiting = Box::pin(spool.append(b"dropped while another one writes"));
            assert!(waiting.as_mut().poll(&mut context).is_pending());
            assert!(waiting.as_mut().poll(&mut context).is_pending());
            tell.send(()).unwrap();
        });
        told.recv().unwrap();
        let mut staying = Box::pin(spool.append(b"stays"));
        assert!(staying.as_mut().poll(&mut context).is_pending());
        assert!(staying.as_mut().poll(&mut context).is_pending());
        drop(role);
        dropping.join().unwrap();
        assert_eq!(spool.status().failed, 0);
        drop(staying);
    });
    let mut rest = all(&mut reader).await;
    rest.sort();
    assert_eq!(rest, ["dropped while another one writes", "stays"]);
}

#[tokio::test]
async fn who_waits_while_another_one_writes_is_woken_when_the_role_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open(&options(folder.path(), Promise::Spooled));
    let role = spool.shared.lock_writer();
    let mut waiting = watched::spawn(spool.append(b"one"));
    assert!(!waiting.poll() && !waiting.poll());
    waiting.woken();
    // Whoever has the role wrote another group, and gives the role back.
    spool.shared.give_back(role);
    assert!(waiting.woken(), "nobody told the one who waits");
    assert!(waiting.poll());
    assert_eq!(all(&mut reader).await, ["one"]);
}

/// A future with a waker that counts.
mod watched {
    use std::{
        pin::Pin,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        task::{Context, Wake, Waker},
    };

    use super::NotAppended;

    #[derive(Default)]
    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    pub struct Spawned<F>(Pin<Box<F>>, Arc<Flag>);

    pub fn spawn<F: Future<Output = Result<(), NotAppended>>>(future: F) -> Spawned<F> {
        Spawned(Box::pin(future), Arc::default())
    }

    impl<F: Future<Output = Result<(), NotAppended>>> Spawned<F> {
        /// Whether it is ready; then it is Ok.
        pub fn poll(&mut self) -> bool {
            let waker = Waker::from(Arc::clone(&self.1));
            let poll = self.0.as_mut().poll(&mut Context::from_waker(&waker));
            poll.map(|outcome| outcome.unwrap()).is_ready()
        }

        /// Whether it was woken since the last call.
        pub fn woken(&self) -> bool {
            self.1.0.swap(false, Ordering::SeqCst)
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_answered_as_durable_was_synced_before() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open(&options(folder.path(), Promise::Durable));
    for number in 1..=5 {
        spool.append(b"x").await.unwrap();
        let status = spool.status();
        assert_eq!((status.synced_groups, status.appended), (number, number));
    }
    assert_eq!(all(&mut reader).await.len(), 5);
}

#[tokio::test]
async fn a_closed_spool_takes_nothing_and_gives_what_it_has() {
    for promise in PROMISES {
        let folder = tempfile::tempdir().unwrap();
        let (spool, mut reader) = open(&options(folder.path(), promise));
        append(&spool, &["one"]).await;
        let role = spool.shared.lock_writer();
        let mut gathered = Box::pin(spool.append(b"two"));
        assert!(gathered.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(role);
        spool.close();
        assert_eq!(gathered.await, Ok(()));
        assert_eq!(spool.append(b"three").await, Err(NotAppended::Failed));
        spool.close();
        drop(spool);
        assert_eq!(all(&mut reader).await, ["one", "two"]);
    }
}

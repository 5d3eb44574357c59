//! Redis killed, slow, lying: the limit holds in each process, at once, and it shows.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::FutureExt;
use regate::limits::Limiter;

use super::{calls, keys, limit, limiter, limiter_with, one, until_shared};
use crate::harness::redis::Redis;

const SHARED: (bool, bool) = (true, true);
const HERE: (bool, bool) = (true, false);
const REFUSED: (bool, bool) = (false, false);

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_back() {
    let mut redis = Redis::start();
    let limiter = limiter(&redis);
    until_shared(&limiter);
    let limit = limit("user:u1", 5);
    assert_eq!(calls(&limiter, 3, limit).await, [SHARED; 3]);
    redis.kill();
    // What Redis let through is known here.
    assert_eq!(calls(&limiter, 4, limit).await, [HERE, HERE, REFUSED, REFUSED]);
    let status = limiter.status();
    assert!(status.shared && status.shared_failing && status.shared_failures > 0);
    redis.start_again();
    until_shared(&limiter);
    // It is empty now, and this process still knows what it let through itself.
    assert_eq!(calls(&limiter, 2, limit).await, [(false, true); 2]);
    assert_eq!(calls(&limiter, 2, super::limit("user:u2", 1)).await, [SHARED, (false, true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn never_there_until_it_is() {
    let mut redis = Redis::start();
    redis.kill();
    let limiter = limiter(&redis);
    assert_eq!(calls(&limiter, 3, limit("user:u1", 2)).await, [HERE, HERE, REFUSED]);
    assert!(limiter.status().shared_failing);
    redis.start_again();
    until_shared(&limiter);
    assert_eq!(calls(&limiter, 1, limit("user:u2", 2)).await, [SHARED]);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow() {
    let mut redis = Redis::start();
    let limiter = limiter_with(&redis.url(), Duration::from_millis(200));
    until_shared(&limiter);
    let limit = limit("user:u1", 50);
    // On a busy machine even a healthy one may be late.
    let before = calls(&limiter, 10, limit).await;
    assert!(before.iter().all(|(allowed, _)| *allowed));
    redis.freeze();
    // One call waits for as long as it may.
    let counted = one(&limiter, super::limit("user:u2", 5)).await;
    assert!(counted.allowed && !counted.shared);
    assert_eq!(counted.remaining, 4);
    // Nobody else waits: each answer is there when it is asked for.
    for index in 0..60 {
        let counted = one(&limiter, limit).now_or_never().expect("an answer at once");
        assert_eq!((counted.allowed, counted.shared), (index < 40, false), "{index}");
    }
    assert!(limiter.status().shared_failing);
    redis.thaw();
    until_shared(&limiter);
    assert!(!one(&limiter, limit).await.allowed);
}

/// What somebody else may have put in the place of a window.
const LIES: [&[&str]; 6] = [
    &["SET", "KEY", "1000000"],
    &["RPUSH", "KEY", "1", "2"],
    &["SADD", "KEY", "1"],
    &["HSET", "KEY", "1799999999999", "many"],
    &["HSET", "KEY", "never", "1"],
    &["HSET", "KEY", "1799999999999", "-5"],
];

#[tokio::test(flavor = "multi_thread")]
async fn lying() {
    let redis = Redis::start();
    for lie in LIES {
        let (limiter, another) = (limiter(&redis), limiter(&redis));
        until_shared(&limiter);
        until_shared(&another);
        let limit = limit("user:u1", 5);
        assert_eq!(calls(&limiter, 2, limit).await, [SHARED; 2]);
        let key = keys(&redis).remove(0);
        redis.ask(&["DEL", &key]);
        let lie: Vec<&str> = lie.iter().map(|word| if *word == "KEY" { &key } else { *word }).collect();
        redis.ask(&lie);
        let told = redis.ask(&["DUMP", &key]);
        // Each process holds to the limit with what it knows.
        assert_eq!(calls(&limiter, 5, limit).await, [HERE, HERE, HERE, REFUSED, REFUSED], "{lie:?}");
        assert!(!calls(&another, 6, limit).await.contains(&SHARED), "{lie:?}");
        assert!(limiter.status().shared_failures > 0);
        assert_eq!(redis.ask(&["DUMP", &key]), told, "nothing was written to it");
        // Without it Redis is asked again.
        redis.ask(&["DEL", &key]);
        until_shared(&limiter);
        assert_eq!(calls(&limiter, 1, super::limit("user:u2", 5)).await, [SHARED]);
        redis.ask(&["FLUSHALL"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forgetful() {
    let redis = Redis::start();
    let limiter = limiter(&redis);
    until_shared(&limiter);
    let limit = limit("user:u1", 5);
    let mut through = 0;
    for _ in 0..20 {
        through += usize::from(one(&limiter, limit).await.allowed);
        redis.ask(&["FLUSHALL"]);
    }
    assert_eq!(through, 5);
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn count(&self, words: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap()).matches(words).count()
    }
}

/// Lets tasks run until it holds.
async fn waited(limiter: &Limiter, wanted: impl Fn(&Limiter) -> bool) {
    let waiting = async {
        while !wanted(limiter) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it comes");
}

/// On one thread, so that all that is logged comes to this test alone.
#[tokio::test]
async fn each_change_is_said_once() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut redis = Redis::with_password("upstream-secret-of-redis");
    let limiter = limiter(&redis);
    waited(&limiter, |limiter| !limiter.status().shared_failing).await;
    assert_eq!((log.count("limiter is lost"), log.count("limiter is back")), (0, 0));
    for turn in 1..3 {
        redis.kill();
        let key = format!("user:u{turn}");
        calls(&limiter, 20, limit(&key, 10)).await;
        let failures = limiter.status().shared_failures;
        waited(&limiter, |limiter| limiter.status().shared_failures > failures + 1).await;
        assert_eq!((log.count("limiter is lost"), log.count("limiter is back")), (turn, turn - 1));
        redis.start_again();
        waited(&limiter, |limiter| !limiter.status().shared_failing).await;
        calls(&limiter, 20, limit("user:u9", 100)).await;
        assert_eq!((log.count("limiter is lost"), log.count("limiter is back")), (turn, turn));
    }
    assert_eq!(log.count("upstream-secret") + log.count("user:"), 0);
}

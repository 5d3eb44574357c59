//! What is counted in Redis.

use std::{sync::Arc, time::Duration};

use regate::limits::Limit;

use super::{DAY, calls, keys, limit, limiter, limiter_with, one, until_shared};
use crate::{harness::redis::Redis, live::until};

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_count_in_one_window() {
    let redis = Redis::start();
    let (one_process, another) = (limiter(&redis), limiter(&redis));
    until_shared(&one_process);
    until_shared(&another);
    for through in 0..5 {
        for (index, limiter) in [&one_process, &another].into_iter().enumerate() {
            let counted = one(limiter, limit("user:u1", 10)).await;
            assert!(counted.allowed && counted.shared);
            assert_eq!(
                (counted.limit, counted.remaining),
                (10, 9 - 2 * through - u32::try_from(index).unwrap())
            );
            assert!(counted.reset <= DAY && counted.reset > Duration::ZERO);
        }
    }
    for limiter in [&one_process, &another] {
        let counted = one(limiter, limit("user:u1", 10)).await;
        assert!(!counted.allowed && counted.shared);
        assert_eq!(counted.remaining, 0);
        assert!(counted.reset <= DAY && counted.reset > Duration::ZERO);
    }
    assert!(one(&one_process, limit("user:u2", 10)).await.allowed);
    assert!(one(&another, Limit { tenant: "other", ..limit("user:u1", 10) }).await.allowed);
    assert!(one(&another, limit("user:u1", 9)).await.allowed);
    let status = one_process.status();
    assert_eq!((status.allowed, status.refused, status.shared_failures), (6, 1, 0));
    // What it keeps is a hash that says nothing, and is gone after the window.
    let keys = keys(&redis);
    assert_eq!(keys.len(), 4);
    for key in keys {
        assert!(key.strip_prefix("regate:limit:").is_some_and(|hash| hash.len() == 64), "{key}");
        let left: u64 = redis.ask(&["PTTL", &key])[0].strip_prefix(':').unwrap().parse().unwrap();
        assert!((1..=86_400_001).contains(&left), "{left}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_get_no_more_than_the_limit() {
    let redis = Redis::start();
    let processes = [Arc::new(limiter(&redis)), Arc::new(limiter(&redis))];
    processes.iter().for_each(|limiter| until_shared(limiter));
    // The one is told apart by the millisecond, the other counted in steps.
    for most in [60, 500] {
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let limiter = Arc::clone(&processes[task % 2]);
                tokio::spawn(async move { calls(&limiter, 100, limit("user:u1", most)).await })
            })
            .collect();
        let mut through = 0;
        for task in tasks {
            through += task.await.unwrap().into_iter().filter(|(allowed, _)| *allowed).count();
        }
        assert_eq!(through, usize::try_from(most).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_counts_at_all_limits_or_at_none() {
    let redis = Redis::start();
    // Whoever is not alone with its calls learns from Redis what there is.
    let (limiter, another) = (limiter(&redis), limiter(&redis));
    until_shared(&limiter);
    until_shared(&another);
    let (wide, narrow) = (limit("wide", 10), limit("narrow", 2));
    for _ in 0..2 {
        assert!(another.count(&[wide, narrow]).await.iter().all(|counted| counted.allowed));
    }
    for _ in 0..3 {
        let counted = limiter.count(&[wide, narrow]).await;
        assert_eq!((counted[0].allowed, counted[0].remaining), (true, 8));
        assert_eq!((counted[1].allowed, counted[1].remaining), (false, 0));
    }
    let batch = |count| Limit { count, ..wide };
    assert!(!one(&limiter, batch(9)).await.allowed);
    assert!(!one(&limiter, batch(11)).await.allowed);
    assert_eq!(one(&limiter, batch(11)).await.reset, DAY);
    // The same limit twice counts twice.
    let counted = limiter.count(&[batch(4), batch(5)]).await;
    assert!(counted.len() == 2 && counted.iter().all(|counted| !counted.allowed));
    let counted = limiter.count(&[batch(4), batch(4)]).await;
    assert!(counted.iter().all(|counted| counted.allowed && counted.remaining == 0));
    assert!(!one(&another, wide).await.allowed);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_passed_counts_no_more() {
    let redis = Redis::start();
    let limiter = limiter(&redis);
    until_shared(&limiter);
    // 10 calls a day are told apart by the millisecond, 720 are counted in slots of 24 minutes.
    for (most, slot) in [(10_u64, 1), (720, 1_440_000)] {
        let limit = limit("user:u1", u32::try_from(most).unwrap());
        assert!(one(&limiter, limit).await.allowed);
        let key = keys(&redis).remove(0);
        redis.ask(&["DEL", &key]);
        let time = redis.ask(&["TIME"]);
        let now = time[0].parse::<u64>().unwrap() * 1_000;
        let (passed, counts) = ((now - 86_400_000) / slot, now.div_ceil(slot) - 2);
        redis.ask(&["HSET", &key, &passed.to_string(), "6", &counts.to_string(), "3"]);
        let counted = one(&limiter, limit).await;
        assert!(counted.allowed && counted.shared);
        assert_eq!(u64::from(counted.remaining), most - 4);
        // Until the three are free again, which is two slots before this one is.
        let reset = u64::try_from(counted.reset.as_millis()).unwrap();
        assert!(reset <= 86_400_000 && reset > 86_400_000 - 3 * slot - 600_000, "{reset}");
        let fields = redis.ask(&["HKEYS", &key]);
        assert!(!fields.contains(&passed.to_string()) && fields.len() == 2, "{fields:?}");
        redis.ask(&["DEL", &key]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_slides() {
    let redis = Redis::start();
    let limiter = limiter(&redis);
    until_shared(&limiter);
    let limit = Limit { window: Duration::from_secs(1), ..limit("user:u1", 1) };
    let first = one(&limiter, limit).await;
    assert!(first.allowed && first.shared && first.reset <= Duration::from_millis(1_001));
    loop {
        let counted = one(&limiter, limit).await;
        assert!(counted.shared);
        if counted.allowed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_one_round_trip() {
    let redis = Redis::start();
    let limiter = limiter(&redis);
    until_shared(&limiter);
    let sent = || {
        let statistics = redis.ask(&["INFO", "commandstats"]);
        let calls = |name: &str| -> u32 {
            let name = format!("cmdstat_{name}:calls=");
            let line = statistics.iter().find_map(|line| line.strip_prefix(&name));
            line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
        };
        // What scripts call counts as well; these are what clients send.
        (calls("evalsha"), calls("eval"), calls("script|load"))
    };
    assert_eq!(sent(), (0, 0, 2));
    for _ in 0..20 {
        let both = [limit("user:u1", 100), limit("user:u2", 5)];
        assert!(limiter.count(&both).await.iter().all(|counted| counted.shared));
    }
    // After five this process knows that there is no more.
    assert_eq!(sent(), (5, 0, 2));
    // Redis may forget scripts: then it is told again.
    redis.ask(&["SCRIPT", "FLUSH"]);
    let counted = one(&limiter, limit("user:u1", 100)).await;
    assert!(counted.allowed && counted.shared);
    assert_eq!(counted.remaining, 94);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_is_free_for_all() {
    let redis = Redis::start();
    let (limiter, another) = (limiter(&redis), limiter(&redis));
    until_shared(&limiter);
    until_shared(&another);
    let limits = [limit("user:u1", 2), Limit { count: 3, ..limit("user:u2", 720) }];
    assert!(another.count(&limits).await.iter().all(|counted| counted.allowed));
    let counted = limiter.count(&limits).await;
    assert!(counted.iter().all(|counted| counted.allowed));
    assert!(!one(&another, limits[0]).await.allowed);
    limiter.take_back(&limits, &counted);
    let calls_in = |key: &str| -> u32 {
        redis.ask(&["HVALS", key]).iter().map(|calls| calls.parse::<u32>().unwrap()).sum()
    };
    let keys = keys(&redis);
    until(|| keys.iter().map(|key| calls_in(key)).sum::<u32>(), |calls| *calls == 4);
    assert_eq!(calls(&limiter, 2, limits[0]).await, [(true, true), (false, true)]);
    // A refused call was counted nowhere.
    let refused = limiter.count(&limits).await;
    limiter.take_back(&limits, &refused);
    assert_eq!(calls(&another, 1, limits[0]).await, [(false, true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_given() {
    let redis = Redis::with_password("upstream-secret-of-redis");
    let with = limiter(&redis);
    until_shared(&with);
    assert!(one(&with, limit("user:u1", 1)).await.shared);
    assert!(!format!("{with:?}").contains("upstream-secret"));
    // Without it there is nothing to share, and the limit holds here.
    let without = limiter_with(&format!("redis://127.0.0.1:{}", redis.port()), Duration::from_secs(600));
    until(|| without.status().shared_failures, |failures| *failures > 0);
    assert_eq!(calls(&without, 2, limit("user:u1", 1)).await, [(true, false), (false, false)]);
}

use std::{collections::HashMap, sync::Arc, thread, time::Duration};

use proptest::prelude::*;

use super::{COMMON_WINDOWS, MAPS};
use crate::limits::{
    Counted, Limit, Limiter,
    told::{ToldClock, limit, limiter},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn allowed(limiter: &Limiter, limits: &[Limit<'_>]) -> bool {
    let counted = limiter.count_here(limits);
    assert_eq!(counted.len(), limits.len());
    counted.iter().all(|counted| counted.allowed)
}

/// How many calls of so many are let through.
fn let_through(limiter: &Limiter, calls: u32, limit: Limit<'_>) -> u32 {
    (0..calls).map(|_| u32::from(allowed(limiter, &[limit]))).sum()
}

/// How much room the maps have.
fn capacity(limiter: &Limiter) -> usize {
    limiter.here.maps.iter().map(|map| map.lock().unwrap().windows.capacity()).sum()
}

#[test]
fn a_limit_is_counted_down_and_says_when() {
    let (limiter, clock) = limiter(10);
    let numbers = |counted: Vec<Counted>| {
        let Counted { allowed, limit, remaining, reset, shared, .. } = counted[0];
        assert!(!shared);
        (allowed, limit, remaining, reset)
    };
    assert_eq!(numbers(limiter.count_here(&[limit("k", 2)])), (true, 2, 1, MINUTE));
    clock.pass(SECOND * 10);
    assert_eq!(numbers(limiter.count_here(&[limit("k", 2)])), (true, 2, 0, SECOND * 50));
    for _ in 0..3 {
        assert_eq!(numbers(limiter.count_here(&[limit("k", 2)])), (false, 2, 0, SECOND * 50));
    }
    clock.pass(SECOND * 50);
    assert_eq!(numbers(limiter.count_here(&[limit("k", 2)])), (true, 2, 0, SECOND * 10));
    let status = limiter.status();
    assert_eq!((status.allowed, status.refused, status.keys), (3, 3, 1));
    assert!(limiter.count_here(&[]).is_empty());
}

#[test]
fn a_call_counts_at_all_limits_or_at_none() {
    let (limiter, clock) = limiter(10);
    let (wide, narrow) = (limit("wide", 10), limit("narrow", 2));
    assert!(allowed(&limiter, &[wide, narrow]) && allowed(&limiter, &[narrow, wide]));
    for _ in 0..5 {
        let counted = limiter.count_here(&[wide, narrow]);
        assert_eq!((counted[0].allowed, counted[0].remaining), (true, 8));
        assert_eq!((counted[1].allowed, counted[1].remaining), (false, 0));
    }
    clock.pass(SECOND * 30);
    assert_eq!(let_through(&limiter, 20, wide), 8);
    clock.pass(SECOND * 30);
    assert_eq!(let_through(&limiter, 20, wide), 2);
}

#[test]
fn a_batch_counts_each_of_its_calls() {
    let (limiter, _) = limiter(10);
    let batch = |count| Limit { count, ..limit("k", 10) };
    assert!(!allowed(&limiter, &[batch(11)]) && !allowed(&limiter, &[batch(u32::MAX)]));
    assert_eq!(limiter.count_here(&[batch(11)])[0].reset, MINUTE);
    assert!(allowed(&limiter, &[batch(6)]) && !allowed(&limiter, &[batch(5)]));
    assert!(allowed(&limiter, &[batch(4)]) && !allowed(&limiter, &[batch(0)]));
}

#[test]
fn a_limit_that_is_named_twice_counts_twice() {
    let (limiter, _) = limiter(10);
    let one = limit("k", 3);
    assert!(allowed(&limiter, &[one, one]) && !allowed(&limiter, &[one, one]));
    let counted = limiter.count_here(&[one, limit("other", 3), one]);
    assert_eq!(counted.iter().map(|counted| counted.allowed).collect::<Vec<_>>(), [false, true, false]);
    let counted = limiter.count_here(&[one]);
    assert!(counted[0].allowed);
    limiter.take_back(&[one], &counted);
    assert!(allowed(&limiter, &[one]) && !allowed(&limiter, &[one]));
}

#[test]
fn limits_of_other_numbers_do_not_meet() {
    let (limiter, _) = limiter(10);
    assert_eq!(let_through(&limiter, 9, limit("k", 5)), 5);
    assert_eq!(let_through(&limiter, 9, limit("k", 3)), 3);
    assert_eq!(let_through(&limiter, 9, Limit { window: SECOND * 2, ..limit("k", 5) }), 5);
    assert_eq!(let_through(&limiter, 9, Limit { tenant: "other", ..limit("k", 5) }), 5);
    assert_eq!(let_through(&limiter, 9, limit("k", 5)), 0);
}

#[test]
fn what_is_taken_back_was_never_there() {
    let (limiter, clock) = limiter(1);
    let both = [limit("own", 2), limit("common", 2)];
    let first = limiter.count_here(&both);
    assert!(first[0].place.own.is_some() && first[1].place.common.is_some());
    clock.pass(SECOND);
    let second = limiter.count_here(&both);
    let third = limiter.count_here(&both);
    assert!(!third[0].allowed && !third[1].allowed);
    limiter.take_back(&both, &third);
    assert!(!allowed(&limiter, &both), "a refused call gives nothing back");
    limiter.take_back(&both, &second);
    assert!(allowed(&limiter, &both) && !allowed(&limiter, &both));
    // What is over gives nothing back either.
    clock.pass(MINUTE);
    assert!(allowed(&limiter, &both) && allowed(&limiter, &both));
    limiter.take_back(&both, &first);
    assert!(!allowed(&limiter, &both));
}

#[test]
fn a_hundred_thousand_keys_are_forgotten_after_their_window() {
    let (limiter, clock) = limiter(1_000_000);
    for index in 0..100_000 {
        assert!(allowed(&limiter, &[limit(&index.to_string(), 10)]));
    }
    assert_eq!(limiter.status().keys, 100_000);
    assert!(capacity(&limiter) >= 100_000);
    clock.pass(MINUTE);
    assert_eq!(limiter.status().keys, 0);
    assert_eq!(capacity(&limiter), 0);
}

#[test]
fn calls_alone_sweep_as_well() {
    let (limiter, clock) = limiter(1_000_000);
    for index in 0..10_000 {
        assert!(allowed(&limiter, &[limit(&index.to_string(), 10)]));
    }
    for _ in 0..2 * MAPS {
        clock.pass(SECOND);
        allowed(&limiter, &[limit("k", 10)]);
    }
    assert_eq!(limiter.here.held.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert!(capacity(&limiter) < 10);
}

#[test]
fn keys_without_room_share_a_window_and_it_shows() {
    let (limiter, clock) = limiter(2);
    assert!(allowed(&limiter, &[limit("a", 5)]) && allowed(&limiter, &[limit("b", 5)]));
    assert_eq!(let_through(&limiter, 3, limit("c", 5)), 3);
    assert_eq!(let_through(&limiter, 3, limit("d", 5)), 2);
    assert_eq!(let_through(&limiter, 3, Limit { name: "other", ..limit("e", 5) }), 3);
    assert_eq!(let_through(&limiter, 9, limit("a", 5)), 4, "those with a window keep it");
    let status = limiter.status();
    assert_eq!((status.keys, status.max_keys, status.crowded_limits, status.crowded), (2, 2, 2, 8));
    // Room comes back, and the calls that were counted together stay counted.
    clock.pass(SECOND * 30);
    assert!(allowed(&limiter, &[limit("b", 5)]));
    clock.pass(SECOND * 29);
    assert_eq!(let_through(&limiter, 9, limit("c", 5)), 0);
    clock.pass(SECOND);
    assert_eq!(limiter.status().keys, 1);
    assert_eq!(let_through(&limiter, 9, limit("c", 5)), 5);
    assert_eq!((limiter.status().keys, limiter.status().crowded_limits), (2, 0));
}

#[test]
fn a_key_that_gets_room_gets_nothing_twice() {
    let (limiter, clock) = limiter(1);
    assert!(allowed(&limiter, &[limit("a", 5)]));
    clock.pass(SECOND * 40);
    assert_eq!(let_through(&limiter, 3, limit("c", 5)), 3);
    clock.pass(SECOND * 20);
    // `a` is over, and once that was seen `c` gets a window of its own.
    assert_eq!(limiter.status().keys, 0);
    assert_eq!(let_through(&limiter, 9, limit("c", 5)), 2);
    assert_eq!(limiter.status().keys, 1);
    clock.pass(SECOND * 40);
    assert_eq!(let_through(&limiter, 9, limit("c", 5)), 3);
}

#[test]
fn even_limits_without_room_are_bounded() {
    let (limiter, clock) = limiter(0);
    for index in 0..COMMON_WINDOWS {
        assert!(allowed(&limiter, &[Limit { name: &index.to_string(), ..limit("k", 5) }]));
    }
    let one_more = Limit { name: "one more", ..limit("k", 5) };
    let counted = limiter.count_here(&[one_more]);
    assert_eq!((counted[0].allowed, counted[0].remaining, counted[0].reset), (false, 0, MINUTE));
    clock.pass(MINUTE);
    assert_eq!(limiter.status().crowded_limits, 0);
    assert!(allowed(&limiter, &[one_more]));
}

#[test]
fn a_refused_call_holds_no_room_for_its_other_keys() {
    let (limiter, _) = limiter(2);
    assert_eq!(let_through(&limiter, 9, limit("user", 1)), 1);
    for index in 0..10 {
        assert!(!allowed(&limiter, &[limit("user", 1), limit(&index.to_string(), 10)]));
    }
    assert_eq!(limiter.status().keys, 1);
    assert!(allowed(&limiter, &[limit("another", 1)]));
    assert_eq!(limiter.status().crowded, 0);
}

#[test]
fn threads_together_get_no_more_than_the_limit() {
    let (limiter, clock) = limiter(1_000);
    let limiter = Arc::new(limiter);
    let passing: Arc<ToldClock> = Arc::clone(&clock);
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (limiter, clock) = (Arc::clone(&limiter), Arc::clone(&passing));
            thread::spawn(move || {
                let own = thread.to_string();
                (0..2_000)
                    .map(|_| {
                        // Far less than a window in all.
                        clock.pass(Duration::from_micros(100));
                        let limits = [limit("all", 1_000), Limit { name: "own", ..limit(&own, 900) }];
                        u32::from(allowed(&limiter, &limits))
                    })
                    .sum::<u32>()
            })
        })
        .collect();
    let through: Vec<u32> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(through.iter().sum::<u32>(), 1_000);
}

/// One step of the property below: a gap, and a call of these keys.
type Call = (u64, Vec<(usize, u32)>, bool);

proptest! {
    /// Whatever room there is: no key is ever let through more than its limit says, in no window.
    #[test]
    fn no_key_gets_more_than_its_limit(
        max_keys in 0..6_usize,
        calls in proptest::collection::vec(
            (
                prop_oneof![Just(0_u64), 0..400_u64, 0..1_100_u64],
                proptest::collection::vec((0..8_usize, 1..3_u32), 1..4),
                any::<bool>(),
            ),
            1..150,
        ),
    ) {
        no_more_than_the_limit(max_keys, calls);
    }
}

fn no_more_than_the_limit(max_keys: usize, calls: Vec<Call>) {
    const LIMITS: [u32; 4] = [1, 3, 7, 100];
    let (limiter, clock) = limiter(max_keys);
    let keys: Vec<String> = (0..8).map(|key| key.to_string()).collect();
    let mut at = 0;
    let mut counted: HashMap<usize, Vec<(u64, u32)>> = HashMap::new();
    for (gap, asked, look) in calls {
        at += gap;
        clock.pass(Duration::from_millis(gap));
        let limits: Vec<Limit<'_>> = asked
            .iter()
            .map(|(key, count)| Limit {
                window: SECOND,
                count: *count,
                ..limit(&keys[*key], LIMITS[key % LIMITS.len()])
            })
            .collect();
        if allowed(&limiter, &limits) {
            for (key, count) in asked {
                counted.entry(key).or_default().push((at, count));
            }
        }
        for (key, calls) in &counted {
            let live = calls.iter().filter(|(time, _)| time + 1_000 > at);
            let used: u32 = live.map(|(_, count)| count).sum();
            assert!(used <= LIMITS[key % LIMITS.len()], "key {key} at {at}");
        }
        let held = limiter.here.held.load(std::sync::atomic::Ordering::Relaxed);
        let there: usize = limiter.here.maps.iter().map(|map| map.lock().unwrap().windows.len()).sum();
        assert_eq!(held, there);
        assert!(held <= max_keys);
        if look {
            limiter.status();
        }
    }
}

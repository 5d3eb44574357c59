//! Limits that several processes share, with a real Redis: what it counts, and what holds when it fails.

mod counted;
mod faults;

use std::{sync::Arc, time::Duration};

use regate::{
    limits::{Counted, Limit, Limiter, LimiterOptions, SharedOptions},
    types::{SecretText, SystemClock},
};

use crate::{harness::redis::Redis, live::until};

/// No test waits for it to pass.
const DAY: Duration = Duration::from_secs(86_400);

/// A limiter over this Redis, with so long a timeout that only a test of timeouts meets it.
fn limiter(redis: &Redis) -> Limiter {
    limiter_with(&redis.url(), Duration::from_secs(600))
}

fn limiter_with(url: &str, timeout: Duration) -> Limiter {
    let options = SharedOptions { timeout, ..SharedOptions::new(SecretText::new(url.to_owned())) };
    Limiter::shared(options, LimiterOptions::default(), Arc::new(SystemClock)).unwrap()
}

/// One call in a window of a day.
const fn limit(key: &str, limit: u32) -> Limit<'_> {
    Limit { tenant: "default", name: "mcp.logs", key, limit, window: DAY, count: 1 }
}

/// Waits until its calls are counted in Redis.
fn until_shared(limiter: &Limiter) {
    until(|| limiter.status().shared_failing, |failing| !failing);
}

/// Of each call whether it was let through, and whether Redis had a part in it.
async fn calls(limiter: &Limiter, calls: usize, limit: Limit<'_>) -> Vec<(bool, bool)> {
    let mut answers = Vec::new();
    for _ in 0..calls {
        let counted = limiter.count(&[limit]).await;
        answers.push((counted[0].allowed, counted[0].shared));
    }
    answers
}

async fn one(limiter: &Limiter, limit: Limit<'_>) -> Counted {
    limiter.count(&[limit]).await[0]
}

/// The keys in Redis.
fn keys(redis: &Redis) -> Vec<String> {
    redis.ask(&["KEYS", "*"])
}

//! Which numbers are shown, and where they come from.

use std::{sync::Arc, time::Duration};

use crate::{
    api::{DataState, DecisionPoint, TokenUses},
    auth::sessions::{KeyStatus, Sessions},
    feed::Reach,
    limits::{Limiter, LimiterStatus},
    policy::{PolicyState, Reloader},
    telemetry::Metrics,
};

/// Shows how calls are counted.
pub(super) fn limits(metrics: &mut Metrics, limiter: &Arc<Limiter>) {
    let of_limiter = |read: fn(LimiterStatus) -> f64| {
        let limiter = Arc::clone(limiter);
        move || read(limiter.status())
    };
    metrics.gauge(
        "limiter_keys",
        "Callers whose calls this process counts apart at this moment",
        of_limiter(|status| number(status.keys as u64)),
    );
    for (result, read) in [
        ("allowed", (|status| number(status.allowed)) as fn(LimiterStatus) -> f64),
        ("refused", |status| number(status.refused)),
    ] {
        metrics.labelled_counter(
            "limiter_counted",
            "Calls that had a limit, by what came of it",
            [("result", result.to_owned())],
            of_limiter(read),
        );
    }
    metrics.counter(
        "limiter_overflowed",
        "How often a call was counted in a window that callers share because there is no room for more",
        of_limiter(|status| number(status.crowded)),
    );
    metrics.counter(
        "limiter_shared_failures",
        "Attempts to count in Redis that failed; until the next attempt this process alone counts",
        of_limiter(|status| number(status.shared_failures)),
    );
    metrics.gauge(
        "limiter_shared_failing",
        "1 while Redis does not count, and each process does for itself",
        of_limiter(|status| if status.shared_failing { 1.0 } else { 0.0 }),
    );
}

/// What `serve` shows.
pub(super) fn registry(
    point: &Arc<DecisionPoint>,
    feed: &Reach,
    policies: &Reloader,
    sessions: Option<&Arc<Sessions>>,
    uses: &Arc<TokenUses>,
) -> Metrics {
    let mut metrics = Metrics::default();
    policy(&mut metrics, policies);
    if let Some(sessions) = sessions {
        keys(&mut metrics, sessions);
    }
    let noted = Arc::clone(uses);
    metrics.counter(
        "token_uses_not_noted",
        "How often there was no room to note when a token was used",
        move || number(noted.not_noted()),
    );
    let of_point = |read: fn(&DecisionPoint) -> f64| {
        let point = Arc::clone(point);
        move || read(&point)
    };
    let of_feed = |read: fn(&Reach) -> f64| {
        let feed = feed.clone();
        move || read(&feed)
    };
    metrics.counter(
        "unusable_credentials",
        "Requests denied because the upstream credential that is there does not open, or does not fit",
        of_point(|point| number(point.unusable_credentials())),
    );
    metrics.gauge(
        "data_age_seconds",
        "How long ago the data was last known to be current; -1 before everything was loaded",
        of_point(|point| match point.data_state() {
            DataState::Loading => -1.0,
            DataState::Current(age) | DataState::Stale(age) => seconds(age),
        }),
    );
    metrics.gauge(
        "data_stale",
        "1 while decisions are denied with data.stale, or nothing is loaded",
        of_point(|point| if matches!(point.data_state(), DataState::Current(_)) { 0.0 } else { 1.0 }),
    );
    metrics.gauge(
        "data_revision",
        "The data revision that decisions are made from",
        of_point(|point| number(point.live().basis().snapshot().revision().0)),
    );
    metrics.gauge(
        "feed_failing",
        "1 while the database cannot be asked for changes",
        of_feed(|feed| if feed.status().problem().is_some() { 1.0 } else { 0.0 }),
    );
    metrics.gauge(
        "feed_notifications_missing",
        "1 while changes are found by asking alone, because no notification arrives",
        of_feed(|feed| if feed.status().notifications_missing() { 1.0 } else { 0.0 }),
    );
    metrics.counter(
        "feed_failures",
        "How often the database could not be asked for changes",
        of_feed(|feed| number(feed.status().failures())),
    );
    metrics.counter(
        "feed_loads",
        "How often all data was loaded",
        of_feed(|feed| number(feed.status().loads())),
    );
    metrics.counter(
        "feed_updates",
        "How often changes were applied",
        of_feed(|feed| number(feed.status().updates())),
    );
    metrics.counter(
        "feed_changes",
        "How many changed rows were applied",
        of_feed(|feed| number(feed.status().changes())),
    );
    for (place, document) in feed.status().documents().iter().enumerate() {
        let labels = [("path", document.path().to_owned())];
        let reader = |read: fn(&crate::feed::DocumentStatus) -> f64| {
            let feed = feed.clone();
            move || feed.status().documents().get(place).map_or(0.0, read)
        };
        metrics.labelled_gauge(
            "document_rows",
            "Rows of a document from the organisation's own tables",
            labels.clone(),
            reader(|document| number(document.rows())),
        );
        metrics.labelled_gauge(
            "document_failing",
            "1 while the document's query gives no rows that can be used",
            labels.clone(),
            reader(|document| if document.problem().is_some() { 1.0 } else { 0.0 }),
        );
        metrics.labelled_gauge(
            "document_failures",
            "How often the document's query failed",
            labels,
            reader(|document| number(document.failures())),
        );
    }
    metrics
}

fn keys(metrics: &mut Metrics, sessions: &Arc<Sessions>) {
    for (place, issuer) in sessions.names().enumerate() {
        let labels = [("issuer", issuer.to_owned())];
        let reader = |read: fn(KeyStatus) -> f64| {
            let sessions = Arc::clone(sessions);
            move || sessions.status(place).map_or(0.0, read)
        };
        metrics.labelled_gauge(
            "session_keys_age_seconds",
            "How long ago an issuer's keys were last read; -1 before they were read once",
            labels.clone(),
            reader(|status| status.age.map_or(-1.0, seconds)),
        );
        metrics.labelled_counter(
            "session_key_fetch_failures",
            "How often an issuer's keys could not be read",
            labels,
            reader(|status| number(status.failures)),
        );
    }
}

fn policy(metrics: &mut Metrics, policies: &Reloader) {
    let of_policy = |read: fn(&PolicyState) -> f64| {
        let policies = policies.clone();
        move || read(&policies.state())
    };
    metrics.counter(
        "policy_activations",
        "How often a policy became the one that decides, the first included",
        of_policy(|state| number(state.activations)),
    );
    metrics.counter(
        "policy_activation_failures",
        "How often a policy was refused",
        of_policy(|state| number(state.failures())),
    );
    metrics.gauge(
        "policy_failing",
        "1 while the policy files are not what decides, because they were refused",
        of_policy(|state| if state.failure.is_some() { 1.0 } else { 0.0 }),
    );
    metrics.gauge(
        "policy_active_since_seconds",
        "When the policy that decides became it, in unix seconds",
        of_policy(|state| millis(state.active.since.unix_millis()) / 1000.0),
    );
    metrics.gauge(
        "policy_interpreted",
        "1 while the policy that decides is evaluated by the interpreter, which is slower by far",
        of_policy(|state| if state.active.interpreted.is_some() { 1.0 } else { 0.0 }),
    );
    metrics.gauge(
        "policy_watching",
        "1 while the system tells of changes of the policy files; else they are found by looking",
        of_policy(|state| if state.watching { 1.0 } else { 0.0 }),
    );
}

#[allow(clippy::cast_precision_loss, reason = "dates stay far below 2^53")]
fn millis(millis: i64) -> f64 {
    millis as f64
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

#[allow(clippy::cast_precision_loss, reason = "counters stay far below 2^53")]
pub(super) fn number(number: u64) -> f64 {
    number as f64
}

//! How decisions came out, and how long they took.
//!
//! **For:** counting on the way of every decision: no lock, no allocation and nothing that two threads write, but for the
//! first time that a face or a reason is seen.
//!
//! **Must never know:** anything of a question. Labels are faces, which regate names, and reasons, which a policy chooses:
//! so there is a bound on how many there are, and on how long one is.

mod counts;
mod lane;
mod words;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use self::{counts::FaceCounts, lane::Lane, words::Words};
use super::{Metrics, metrics::Labels};

/// Reasons that are counted by name, beside those that were [expected](DecisionMetrics::expecting). A policy that puts a
/// user's id into a reason has no end of them.
pub const REASONS: usize = 200;
/// A longer reason is not counted by name.
pub const REASON_BYTES: usize = 100;
/// What reasons are counted as that have no name of their own, and faces.
pub const OTHER: &str = "other";

/// So many faces are told apart.
const FACES: usize = 31;
/// Places for reasons: twice as many as there may be, so that one that is not there is soon known not to be.
const PLACES: usize = 512;

/// Why a policy gave no usable result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Its evaluation failed: `policy.error`.
    Evaluation,
    /// Its result is not one: `policy.error`.
    Result,
    /// It used up its instructions: `policy.timeout`.
    Instructions,
    /// It used up its time: `policy.timeout`.
    Time,
}

impl FaultKind {
    const ALL: [Self; 4] = [Self::Evaluation, Self::Result, Self::Instructions, Self::Time];

    /// The value of the label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Evaluation => "evaluation",
            Self::Result => "result",
            Self::Instructions => "instructions",
            Self::Time => "time",
        }
    }
}

/// The counters of decisions, and the histograms of their times.
#[derive(Debug)]
pub struct DecisionMetrics {
    faces: Words<FACES>,
    reasons: Words<PLACES>,
    /// By the place of the face; the last is of all others.
    counts: Box<[FaceCounts]>,
    faults: [AtomicU64; FaultKind::ALL.len()],
}

impl Default for DecisionMetrics {
    fn default() -> Self {
        Self::new()
    }
}

impl DecisionMetrics {
    /// Nothing is counted yet.
    pub fn new() -> Self {
        Self {
            faces: Words::new(FACES),
            reasons: Words::new(REASONS),
            counts: (0..=FACES).map(|_| FaceCounts::default()).collect(),
            faults: Default::default(),
        }
    }

    /// Also counts these reasons by name, whatever others come first: regate's own. At most 200.
    #[must_use]
    pub fn expecting<'r>(mut self, reasons: impl IntoIterator<Item = &'r str>) -> Self {
        for reason in reasons.into_iter().take(REASONS) {
            self.reasons.expect(reason);
        }
        self
    }

    /// Notes a decision. `latency` is from the question to the decision, `evaluation` the policy's part of it, if the policy
    /// was asked.
    pub fn note(
        &self,
        face: &'static str,
        allow: bool,
        reason: &str,
        latency: Duration,
        evaluation: Option<Duration>,
    ) {
        let reason = if reason.len() <= REASON_BYTES { self.reasons.place(reason) } else { None };
        let face = self.faces.place(face).unwrap_or(FACES);
        let Some(counts) = self.counts.get(face) else { return };
        let lane = Lane::of_thread();
        let shard = counts.shard(lane, PLACES + 1);
        shard.count(lane, allow, reason.unwrap_or(PLACES));
        shard.latency.note(lane, latency);
        if let Some(evaluation) = evaluation {
            shard.evaluation.note(lane, evaluation);
        }
    }

    /// Notes that a policy gave no usable result.
    pub fn note_fault(&self, kind: FaultKind) {
        if let Some(fault) = self.faults.get(kind as usize) {
            fault.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Shows all of it.
    pub fn show(self: &Arc<Self>, metrics: &mut Metrics) {
        let own = Arc::clone(self);
        metrics.counters(
            "decisions",
            "Decisions by face, result and the reason that decided; reasons beyond 200 of the policy's are other",
            move || own.decisions(),
        );
        let own = Arc::clone(self);
        metrics.histograms("decision_seconds", "How long decisions took, from the question on", move || {
            let faces = own.all_faces();
            faces.map(|(face, counts)| (vec![("face", face)], counts.latency())).collect()
        });
        let own = Arc::clone(self);
        metrics.histograms("evaluation_seconds", "How long the policy took, where it was asked", move || {
            let faces = own.all_faces();
            faces.map(|(face, counts)| (vec![("face", face)], counts.evaluation())).collect()
        });
        for kind in FaultKind::ALL {
            let own = Arc::clone(self);
            metrics.labelled_counter(
                "decision_faults",
                "Decisions in which the policy gave no usable result: its evaluation failed, its result is not one, it used \
                 up its instructions or its time",
                [("kind", kind.as_str().to_owned())],
                move || own.faults(kind),
            );
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "counters stay far below 2^53")]
    fn faults(&self, kind: FaultKind) -> f64 {
        self.faults.get(kind as usize).map_or(0.0, |fault| fault.load(Ordering::Relaxed) as f64)
    }

    fn decisions(&self) -> Vec<(Labels, u64)> {
        let mut series = Vec::new();
        for (face, counts) in self.all_faces() {
            for (result, allow) in [("allow", true), ("deny", false)] {
                for (place, count) in counts.decisions(allow) {
                    let reason = self.reasons.word(place).unwrap_or(OTHER).to_owned();
                    let labels =
                        vec![("face", face.clone()), ("result", result.to_owned()), ("reason", reason)];
                    series.push((labels, count));
                }
            }
        }
        series
    }

    /// The faces that were asked.
    fn all_faces(&self) -> impl Iterator<Item = (String, &FaceCounts)> {
        let named = |place| self.faces.word(place).unwrap_or(OTHER).to_owned();
        let used = self.counts.iter().enumerate().filter(|(_, counts)| counts.is_used());
        used.map(move |(place, counts)| (named(place), counts))
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread, time::Duration};

    use super::{DecisionMetrics, FaultKind, REASON_BYTES, REASONS};
    use crate::telemetry::Metrics;

    fn shown(counted: &Arc<DecisionMetrics>) -> String {
        let mut metrics = Metrics::default();
        counted.show(&mut metrics);
        metrics.render()
    }

    #[test]
    fn what_is_shown_before_and_after_the_first_decisions() {
        let counted = Arc::new(DecisionMetrics::new());
        let nothing = shown(&counted);
        for name in ["decisions", "decision_seconds", "evaluation_seconds", "decision_faults"] {
            assert!(nothing.contains(&format!("# TYPE regate_{name} ")), "{nothing}");
        }
        let micros = Duration::from_micros;
        counted.note("/v1/decide", true, "policy.allowed", micros(20), Some(micros(5)));
        counted.note("/v1/decide", true, "policy.allowed", micros(25), Some(micros(6)));
        counted.note("/v1/decide", false, "token.unknown", Duration::from_secs(2), None);
        counted.note("/forward", false, "token.unknown", micros(26), None);
        counted.note_fault(FaultKind::Time);
        let text = shown(&counted);
        for line in [
            r#"regate_decisions_total{face="/v1/decide",result="allow",reason="policy.allowed"} 2.0"#,
            r#"regate_decisions_total{face="/v1/decide",result="deny",reason="token.unknown"} 1.0"#,
            r#"regate_decisions_total{face="/forward",result="deny",reason="token.unknown"} 1.0"#,
            // A bound belongs to its bucket.
            r#"regate_decision_seconds_bucket{le="0.000025",face="/v1/decide"} 2"#,
            r#"regate_decision_seconds_bucket{le="1.0",face="/v1/decide"} 2"#,
            r#"regate_decision_seconds_bucket{le="+Inf",face="/v1/decide"} 3"#,
            r#"regate_decision_seconds_sum{face="/v1/decide"} 2.000045"#,
            r#"regate_decision_seconds_count{face="/v1/decide"} 3"#,
            r#"regate_decision_seconds_bucket{le="0.00005",face="/forward"} 1"#,
            r#"regate_evaluation_seconds_bucket{le="0.000005",face="/v1/decide"} 1"#,
            r#"regate_evaluation_seconds_count{face="/v1/decide"} 2"#,
            r#"regate_decision_faults_total{kind="time"} 1.0"#,
            r#"regate_decision_faults_total{kind="instructions"} 0.0"#,
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line} is not in:\n{text}");
        }
    }

    #[test]
    fn reasons_have_a_bound_and_none_that_was_expected_is_crowded_out() {
        let counted = Arc::new(DecisionMetrics::new().expecting(["token.unknown", "token.unknown"]));
        let note = |reason: &str| counted.note("/f", false, reason, Duration::ZERO, None);
        for number in 0..REASONS + 50 {
            note(&format!("user.{number}"));
        }
        note("token.unknown");
        note(&"l".repeat(REASON_BYTES + 1));
        note("user.0");
        let text = shown(&counted);
        let series: Vec<&str> = text.lines().filter(|l| l.starts_with("regate_decisions_total{")).collect();
        assert_eq!(series.len(), REASONS + 2, "{text}");
        for end in [r#"reason="token.unknown"} 1.0"#, r#"reason="user.0"} 2.0"#, r#"reason="other"} 51.0"#] {
            assert!(series.iter().any(|line| line.ends_with(end)), "{end}: {text}");
        }
    }

    #[test]
    fn faces_beyond_the_bound_are_counted_together() {
        let counted = Arc::new(DecisionMetrics::new());
        for number in 0..40 {
            let face: &'static str = Box::leak(format!("/{number}").into_boxed_str());
            counted.note(face, true, "r", Duration::ZERO, None);
        }
        let text = shown(&counted);
        assert!(text.contains(r#"{face="other",result="allow",reason="r"} 9.0"#), "{text}");
        assert!(text.contains(r#"{face="/30",result="allow",reason="r"} 1.0"#), "{text}");
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        let counted = Arc::new(DecisionMetrics::new());
        thread::scope(|scope| {
            for _ in 0..20 {
                // More than have counters of their own.
                scope.spawn(|| {
                    for number in 0..1_000 {
                        let reason = ["a", "b", "c", "d"][number % 4];
                        counted.note("/f", true, reason, Duration::from_micros(1), None);
                    }
                });
            }
        });
        let text = shown(&counted);
        for reason in ["a", "b", "c", "d"] {
            let line = format!(r#"{{face="/f",result="allow",reason="{reason}"}} 5000.0"#);
            assert!(text.contains(&line), "{text}");
        }
        assert!(text.contains(r#"regate_decision_seconds_count{face="/f"} 20000"#), "{text}");
    }

    /// Not a test: `cargo test --release --lib telemetry::decisions -- --ignored --nocapture` prints what one costs.
    #[test]
    #[ignore = "a measurement"]
    #[allow(clippy::disallowed_methods, reason = "a measurement")]
    fn what_one_costs() {
        const COUNT: u32 = 10_000_000;
        let counted =
            DecisionMetrics::new().expecting(["token.unknown", "token.expired", "policy.no_rule_matched"]);
        let begun = std::time::Instant::now();
        for number in 0..COUNT {
            let (allow, reason) = if number % 3 == 0 {
                (false, "policy.no_rule_matched")
            } else {
                (true, "token.project_access")
            };
            let time = Duration::from_nanos(u64::from(number % 100_000));
            counted.note("/v1/decide", allow, std::hint::black_box(reason), time, Some(time));
        }
        println!("{:?} a decision", begun.elapsed() / COUNT);
    }
}

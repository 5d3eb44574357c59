//! One evaluation in this process.

use std::{hint::black_box, time::Instant};

use regate::{
    api::{Asker, HttpBounds, QuestionMessage},
    auth::CredentialReader,
    decision::{
        Basis, DecisionRules, Document, Entrypoint, Evaluator, Interpreter, Moment, Question, decide,
    },
    types::{IdSource, RandomIds, TenantId, Timestamp},
};

use crate::world;

const ROWS: [usize; 2] = [1_000, 1_000_000];
const ROUNDS: usize = 41;
const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const MOMENT: Moment = Moment { now: NOW, data_is_stale: false };

/// Nanoseconds a call: the median round, and how far the quartiles lie apart in percent of it.
pub struct Measured {
    pub median: f64,
    spread: f64,
}

/// Calls it so many times in each round.
pub fn measure(calls: usize, mut call: impl FnMut()) -> Measured {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            for _ in 0..calls {
                call();
            }
            begun.elapsed().as_nanos() as f64 / calls as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let median = rounds[ROUNDS / 2];
    Measured { median, spread: (rounds[ROUNDS * 3 / 4] - rounds[ROUNDS / 4]) / median * 100.0 }
}

/// Prints the table.
pub fn run() {
    println!("In process: microseconds, median of {ROUNDS} rounds (distance of the quartiles)\n");
    println!(
        "{:<32} {:>10} {:>18} {:>18} {:>18} {:>18}",
        "question", "rows", "RVM evaluation", "interpreter", "whole decision", "with JSON in"
    );
    for rows in ROWS {
        let basis = world::basis(rows, 1);
        for case in world::cases(rows) {
            print_case(rows, &basis, &case);
        }
    }
    println!(
        "\n`RVM evaluation` and `interpreter` take the same input document; `whole decision` adds the path, the\n\
         look-up of the token, building the input and reading the result; `with JSON in` adds reading the\n\
         question off the wire and the SHA-256 of its token."
    );
}

fn print_case(rows: usize, basis: &Basis, case: &world::Case) {
    let text = case.question.to_string();
    let bounds = HttpBounds::default();
    let rules = DecisionRules::default();
    let read = || -> Question<'_> {
        let message = QuestionMessage::read(text.as_bytes(), &bounds).expect("a question");
        message
            .into_question(Asker::offline(None), &bounds, &CredentialReader::default())
            .expect("within the bounds")
    };
    let mut evaluator = Evaluator::new(0);
    let mut ids = RandomIds::seeded(1);
    let mut answer = |question: &Question<'_>| {
        let id = ids.next_id(NOW);
        decide(&mut evaluator, basis, &rules, question, id, MOMENT)
    };
    let mut question = read();
    question.explain = true;
    let decision = answer(&question);
    assert_eq!(decision.reasons.first.as_str(), case.reason, "{}", case.name);
    let input = decision.explanation.expect("it was asked for").input;
    question.explain = false;

    let whole = measure(2_000, || {
        black_box(answer(black_box(&question)));
    });
    let with_json = measure(2_000, || {
        black_box(answer(&read()));
    });
    let data = basis.document(&TenantId::default_tenant()).clone();
    let mut evaluator = Evaluator::new(0);
    let machine = measure(2_000, || {
        let result = evaluator.evaluate(basis.bundle(), Entrypoint::Decision, &data, input.clone());
        black_box(result.expect("a result"));
    });
    let mut interpreter =
        Interpreter::of_bundle(basis.bundle(), Document::clone(&data)).expect("an interpreter");
    let interpreted = measure(100, || {
        let result = interpreter.evaluate(basis.bundle(), Entrypoint::Decision, input.clone());
        black_box(result.expect("a result"));
    });
    let cell = |m: &Measured| format!("{:.2} ({:.0} %)", m.median / 1_000.0, m.spread);
    println!(
        "{:<32} {:>10} {:>18} {:>18} {:>18} {:>18}",
        case.name,
        rows,
        cell(&machine),
        cell(&interpreted),
        cell(&whole),
        cell(&with_json)
    );
}

/// Decides the first question again and again for ten seconds, for a profiler to look at.
pub fn profile() {
    let basis = world::basis(1_000, 1);
    let case = world::cases(1_000).remove(0);
    let text = case.question.to_string();
    let bounds = HttpBounds::default();
    let message = QuestionMessage::read(text.as_bytes(), &bounds).expect("a question");
    let question = message
        .into_question(Asker::offline(None), &bounds, &CredentialReader::default())
        .expect("within the bounds");
    let (mut evaluator, mut ids) = (Evaluator::new(0), RandomIds::seeded(1));
    let rules = DecisionRules::default();
    let begun = Instant::now();
    while begun.elapsed().as_secs() < 10 {
        for _ in 0..1_000 {
            black_box(decide(&mut evaluator, &basis, &rules, &question, ids.next_id(NOW), MOMENT));
        }
    }
}

//! Decisions in this process, over one basis: evaluations alone and whole decisions.

use std::{hint::black_box, time::Instant};

use regate::{
    api::{Asker, HttpBounds, QuestionMessage},
    auth::CredentialReader,
    decision::{Basis, DecisionRules, Document, Entrypoint, Evaluator, Moment, Question, decide},
    types::{IdSource, RandomIds, TenantId, Timestamp},
};

use crate::world;

const NOW: Timestamp = at(0);

const fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000 + second)
}

const fn moment(now: Timestamp) -> Moment {
    Moment { now, data_is_stale: false }
}

/// Questions of some users on the wire: each reads its own project.
pub fn texts(users: impl Iterator<Item = usize>) -> Vec<String> {
    users.map(|user| world::read_of(user).to_string()).collect()
}

/// A basis, and questions that it allows.
pub struct Deciding<'a> {
    basis: &'a Basis,
    questions: Vec<Question<'a>>,
    inputs: Vec<Document>,
    data: Document,
    rules: DecisionRules,
    evaluator: Evaluator,
    /// Remembers what it decided before, in this second.
    remembering: Evaluator,
    ids: RandomIds,
    seconds: i64,
}

impl<'a> Deciding<'a> {
    /// Asks each question once, and sees that the answer is right.
    pub fn new(basis: &'a Basis, texts: &'a [String]) -> Self {
        let bounds = HttpBounds::default();
        let read = |text: &'a String| {
            let message = QuestionMessage::read(text.as_bytes(), &bounds).expect("a question");
            message
                .into_question(Asker::offline(None), &bounds, &CredentialReader::default())
                .expect("within the bounds")
        };
        let data = Document::clone(basis.document(&TenantId::default_tenant()));
        let mut deciding = Self {
            basis,
            questions: texts.iter().map(read).collect(),
            inputs: Vec::with_capacity(texts.len()),
            data,
            rules: DecisionRules::default(),
            evaluator: Evaluator::new(0),
            remembering: Evaluator::new(0),
            ids: RandomIds::seeded(1),
            seconds: 0,
        };
        for question in &mut deciding.questions {
            question.explain = true;
            let id = deciding.ids.next_id(NOW);
            let decision = decide(&mut deciding.evaluator, basis, &deciding.rules, question, id, moment(NOW));
            assert_eq!(decision.reasons.first.as_str(), "global_token.read");
            deciding.inputs.push(decision.explanation.expect("it was asked for").input);
            question.explain = false;
        }
        deciding
    }

    /// Microseconds of an evaluation, of so many in turn.
    pub fn evaluations(&mut self, calls: usize) -> f64 {
        let begun = Instant::now();
        for input in self.inputs.iter().cycle().take(calls) {
            let bundle = self.basis.bundle();
            let result = self.evaluator.evaluate(bundle, Entrypoint::Decision, &self.data, input.clone());
            black_box(result.expect("a result"));
        }
        begun.elapsed().as_secs_f64() * 1e6 / calls as f64
    }

    /// Microseconds of a whole decision, of so many in turn, each in a second of its own: nothing is remembered.
    pub fn first_decisions(&mut self, calls: usize) -> f64 {
        let before = self.evaluator.evaluations();
        let begun = Instant::now();
        for question in self.questions.iter().cycle().take(calls) {
            self.seconds += 1;
            let now = at(self.seconds);
            let id = self.ids.next_id(now);
            black_box(decide(&mut self.evaluator, self.basis, &self.rules, question, id, moment(now)));
        }
        let took = begun.elapsed();
        assert_eq!(self.evaluator.evaluations() - before, calls as u64, "a verdict was remembered");
        took.as_secs_f64() * 1e6 / calls as f64
    }

    /// The same of decisions whose verdicts are remembered, once each was asked before.
    pub fn remembered_decisions(&mut self, calls: usize) -> f64 {
        let before = self.remembering.evaluations();
        let begun = Instant::now();
        for question in self.questions.iter().cycle().take(calls) {
            let id = self.ids.next_id(NOW);
            black_box(decide(&mut self.remembering, self.basis, &self.rules, question, id, moment(NOW)));
        }
        let took = begun.elapsed();
        let evaluated = self.remembering.evaluations() - before;
        assert!(before == 0 || evaluated == 0, "{evaluated} verdicts were not remembered");
        took.as_secs_f64() * 1e6 / calls as f64
    }
}

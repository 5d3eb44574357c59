//! Which question comes next.
//!
//! A hole is a question that is allowed and must not be, so it lies next to questions that are. For each reason for
//! which something is allowed, on each kind of route, one question is kept: it is asked again with fewer and fewer
//! rights, and then everything that is one step away from it is tried. The rest is left to chance, which finds the
//! first questions, and what nobody thought of.

use std::collections::{BTreeMap, BTreeSet};

use rand::{
    RngExt,
    rngs::StdRng,
    seq::{IndexedRandom, SliceRandom},
};

use super::{
    Asked, Counterexample, Searching,
    case::Case,
    generate::Generator,
    neighbours::{neighbours, weaker},
    opening::opening,
    samples::Samples,
    vocabulary::Vocabulary,
};
use crate::{
    decision::{Document, Why},
    policy::Files,
};

/// So many denied questions are kept for each reason, to be changed by chance.
const KEPT: usize = 4;

/// Longer paths are all the same.
pub(super) const LONGEST: usize = 8;

/// A search on its way.
pub(super) struct Search<'a> {
    pub files: &'a Files,
    pub decision: Option<Asked>,
    pub vocabulary: &'a Vocabulary,
    pub generator: Generator<'a>,
    /// Questions that were tried.
    pub done: usize,
    /// And how many may be.
    pub tries: usize,
    /// How many of them were allowed.
    pub allowed_count: usize,
    /// Some of them, of each sort.
    pub samples: Samples,
    seen: BTreeSet<(String, Route, bool)>,
    allowed: BTreeMap<String, Vec<Around>>,
    denied: BTreeMap<String, Vec<Case>>,
}

/// How a path looks: its length, up to a point, and the route that it fits.
type Route = (usize, Option<usize>);

/// A question that is allowed, and what is next to it and was not tried yet.
struct Around {
    case: Case,
    route: Route,
    untried: Vec<Case>,
}

/// What the policy answered.
struct Answer {
    allow: bool,
    reason: String,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        files: &'a Files,
        decision: Option<Asked>,
        vocabulary: &'a Vocabulary,
        generator: Generator<'a>,
        tries: usize,
    ) -> Self {
        Self {
            files,
            decision,
            vocabulary,
            generator,
            done: 0,
            allowed_count: 0,
            samples: Samples::default(),
            tries,
            seen: BTreeSet::new(),
            allowed: BTreeMap::new(),
            denied: BTreeMap::new(),
        }
    }

    /// Searches until every invariant is broken, or all tries are used up.
    pub(super) fn run(&mut self, searching: &mut [Searching], random: &mut StdRng) {
        let mut opening = opening(self.vocabulary, &self.generator, self.tries, random);
        while self.goes_on(searching) {
            let case = opening.pop().unwrap_or_else(|| self.next(random));
            let answer = self.ask(&case, searching);
            self.samples.keep(answer.allow, &answer.reason, &case);
            if !answer.allow {
                let kept = self.denied.entry(answer.reason).or_default();
                if kept.len() < KEPT {
                    kept.push(case);
                }
                continue;
            }
            let route = self.route(&case);
            // Other rules hold for a token that is confined to a list, with the same reason.
            let confined = case.token.as_ref().is_some_and(|token| token.projects.is_some());
            if self.seen.insert((answer.reason.clone(), route, confined)) {
                let case = self.weaken(case, &answer.reason, searching);
                let mut untried = neighbours(&case, self.vocabulary, self.generator.makes_data());
                untried.shuffle(random);
                self.allowed.entry(answer.reason).or_default().push(Around { case, route, untried });
            }
        }
    }

    fn goes_on(&self, searching: &[Searching]) -> bool {
        self.done < self.tries && searching.iter().any(|one| one.counterexample.is_none())
    }

    fn next(&mut self, random: &mut StdRng) -> Case {
        // Each reason in its turn: some have very many routes.
        let reasons: Vec<String> = self.allowed.keys().cloned().collect();
        let around = reasons.choose(random).and_then(|reason| self.allowed.get_mut(reason));
        let chance = random.random_range(0..10);
        if let (Some(around), 0..7) = (around, chance) {
            if let Some(untried) = around
                .iter_mut()
                .filter(|around| !around.untried.is_empty())
                // One after the other; what policies write out as a route first.
                .min_by_key(|around| around.route.1.is_none())
                .and_then(|around| around.untried.pop())
            {
                return untried;
            }
            if let Some(around) = around.choose(random) {
                return self.generator.changed(&around.case, random);
            }
        }
        let denied: Vec<&Vec<Case>> = self.denied.values().collect();
        match denied.choose(random).and_then(|kept| kept.choose(random)) {
            Some(denied) if chance == 9 => self.generator.changed(denied, random),
            _ => self.generator.case(random),
        }
    }

    /// The question with as few rights as it is still allowed with, for the same reason.
    fn weaken(&mut self, case: Case, reason: &str, searching: &mut [Searching]) -> Case {
        let mut weakest = case;
        'again: loop {
            for weaker in weaker(&weakest, self.generator.makes_data()) {
                if !self.goes_on(searching) {
                    return weakest;
                }
                let answer = self.ask(&weaker, searching);
                if answer.allow && answer.reason == reason {
                    weakest = weaker;
                    continue 'again;
                }
            }
            return weakest;
        }
    }

    fn ask(&mut self, case: &Case, searching: &mut [Searching]) -> Answer {
        self.done += 1;
        let (input, data) = case.documents(&self.files.data);
        let asked = self.decision.as_ref();
        let decision = asked.map_or(Document::Undefined, |decision| decision.ask_over(&input, &data));
        for one in searching.iter_mut().filter(|one| one.counterexample.is_none()) {
            let value = one.asked.ask_over(&input, &data);
            if value != Document::Bool(true) {
                let (case, decision, why) = (case.clone(), decision.clone(), Why::default());
                one.counterexample = Some(Counterexample { found_at: self.done, case, value, decision, why });
            }
        }
        let answer = match &decision {
            Document::Bool(allow) => Answer { allow: *allow, reason: String::new() },
            object => Answer {
                allow: object["allow"] == Document::Bool(true),
                reason: object["reasons"].to_string(),
            },
        };
        self.allowed_count += usize::from(answer.allow);
        answer
    }

    fn route(&self, case: &Case) -> Route {
        let fits = |route: &[Option<String>]| {
            let same = |(part, segment): (&Option<String>, &String)| {
                part.as_ref().is_none_or(|part| part == segment)
            };
            route.len() == case.path.len() && route.iter().zip(&case.path).all(same)
        };
        (case.path.len().min(LONGEST), self.vocabulary.routes.iter().position(|route| fits(route)))
    }
}

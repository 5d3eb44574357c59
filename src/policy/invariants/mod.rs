//! Invariants: rules whose name begins with `invariant_`, which must hold for every question.
//!
//! Questions and data are made up from the input's schema, the routes and literals that the policies name, and
//! the ids of the made-up data ([`vocabulary`], [`comparisons`], [`generate`], [`messages`], [`rows`]); the search begins with
//! each route and each kind of caller ([`opening`]), and goes on from what is allowed ([`search`], [`neighbours`]).
//! A counterexample is made as small as it can be ([`shrink`]). For what holds, a few questions of each sort
//! ([`samples`]) show whether any came near it.
//!
//! They are tried on the engine that decides. The same seed gives the same search.

mod case;
mod comparisons;
mod generate;
mod messages;
mod neighbours;
mod opening;
mod rows;
mod samples;
mod search;
mod shrink;
mod vocabulary;

use std::{collections::BTreeSet, sync::Arc};

use rand::{SeedableRng, rngs::StdRng};

use self::{generate::Generator, search::Search, vocabulary::Vocabulary};
use super::{
    folder::{Files, PolicySource, load},
    testing::TestError,
};
use crate::decision::{
    Bundle, CompileError, CompileOptions, Document, Entrypoint, EntrypointPaths, Evaluator, IdleCondition,
    Interpreter, RuleTest, Why, syntax_trees,
};
pub use case::{Case, CaseProject, CaseRole, CaseToken, CaseUpstream, CaseUser, World};

/// What the name of an invariant begins with.
const PREFIX: &str = "invariant_";

/// What came of one invariant.
#[derive(Clone, Debug)]
pub struct InvariantResult {
    /// The rule.
    pub rule: RuleTest,
    /// Questions that were tried.
    pub tries: usize,
    /// A question for which it does not hold.
    pub counterexample: Option<Counterexample>,
    /// Of one that holds: conditions that no question came past, so that it may say less than it seems to.
    pub idle: Vec<IdleCondition>,
}

/// A question for which an invariant does not hold, as small as it could be made.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// The try that found it, from 1.
    pub found_at: usize,
    /// The question and the data.
    pub case: Case,
    /// What the invariant was: undefined, false, or anything else but true.
    pub value: Document,
    /// What the policy answered.
    pub decision: Document,
    /// Why it answered so.
    pub why: Why,
}

/// What came of all invariants of some files.
#[derive(Clone, Debug)]
pub struct InvariantReport {
    /// The seed of the search.
    pub seed: u64,
    /// How many of the questions the policy allowed: about what it denies, many invariants say nothing.
    pub allowed: usize,
    /// By file and line.
    pub results: Vec<InvariantResult>,
}

impl InvariantReport {
    /// Those that do not hold.
    pub fn broken(&self) -> impl Iterator<Item = &InvariantResult> {
        self.results.iter().filter(|result| result.counterexample.is_some())
    }
}

/// Looks for counterexamples to the invariants of all files of `source` whose path matches `only`, with
/// `tries` questions for all of them together. `world` is data to ask over in place of made-up data.
///
/// # Errors
/// [`TestError`] when the files cannot be read or do not compile.
pub fn search(
    source: &PolicySource,
    options: &CompileOptions,
    only: Option<&regex::Regex>,
    world: Option<World>,
    tries: usize,
    seed: u64,
) -> Result<InvariantReport, TestError> {
    let files = load(source)?;
    let interpreter = Interpreter::new(&files.sources, files.data.clone(), options.rego_version)?;
    let mut rules = interpreter.rules(&[PREFIX])?;
    rules.retain(|rule| only.is_none_or(|regex| regex.is_match(&rule.path)));
    let mut searching = Vec::new();
    for rule in rules {
        let asked = Asked::new(&files, options, &rule.path)?;
        searching.push(Searching { rule, asked, counterexample: None });
    }
    let decision = match Asked::new(&files, options, &options.entrypoints.decision) {
        Ok(decision) => Some(decision),
        // Somebody else's bundle: the search is not led by its answers.
        Err(CompileError::EntrypointMissing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    // What tests speak of is made up as well, and there is much of it.
    let tests: BTreeSet<String> = interpreter.tests()?.into_iter().map(|test| test.file).collect();
    let mut trees = syntax_trees(&files.sources, options.rego_version)?;
    trees.retain(|tree| tree["source"]["file"].as_str().is_none_or(|file| !tests.contains(file)));
    let stating: BTreeSet<&str> = searching.iter().map(|one| one.rule.file.as_str()).collect();
    let vocabulary = Vocabulary::new(&trees, &files.data, &stating);
    let generator = Generator::new(&vocabulary, world);
    let mut search = Search::new(&files, decision, &vocabulary, generator, tries);
    search.run(&mut searching, &mut StdRng::seed_from_u64(seed));
    for one in &mut searching {
        if let Some(found) = &mut one.counterexample {
            let still = |case: &Case| !one.asked.holds(&files, case);
            found.case = shrink::shrink(&found.case, &search.generator, still);
            found.value = one.asked.ask(&files, &found.case);
            if let Some(asked) = &search.decision {
                found.decision = asked.ask(&files, &found.case);
                found.why = found.case.why(&files.data, &asked.bundle, &found.decision);
            }
        }
    }
    let answer = format!("data.{}", options.entrypoints.decision.trim_start_matches("data."));
    let results = searching.into_iter().map(|one| {
        let samples = search.samples.mixed().filter(|_| one.counterexample.is_none());
        let samples = samples.map(|case| case.documents(&files.data)).map(|(input, data)| (data, input));
        InvariantResult {
            tries: one.counterexample.as_ref().map_or(search.done, |found| found.found_at),
            idle: interpreter.idle_conditions(&one.rule, &answer, samples),
            rule: one.rule,
            counterexample: one.counterexample,
        }
    });
    Ok(InvariantReport { seed, allowed: search.allowed_count, results: results.collect() })
}

/// One invariant on the way.
struct Searching {
    rule: RuleTest,
    asked: Asked,
    counterexample: Option<Counterexample>,
}

/// One rule on the engine that decides.
struct Asked {
    bundle: Arc<Bundle>,
    evaluator: std::cell::RefCell<Evaluator>,
}

impl Asked {
    fn new(files: &Files, options: &CompileOptions, path: &str) -> Result<Self, CompileError> {
        let nothing = String::new();
        let paths =
            EntrypointPaths { decision: path.to_owned(), management: nothing.clone(), authzen: nothing };
        let options = CompileOptions { entrypoints: paths, workers: 1, ..options.clone() };
        let bundle = Bundle::compile(&files.sources, files.data.clone(), files.revision.clone(), &options)?;
        Ok(Self { bundle: Arc::new(bundle), evaluator: Evaluator::new(0).into() })
    }

    /// Its value; undefined when it fails.
    fn ask(&self, files: &Files, case: &Case) -> Document {
        let (input, data) = case.documents(&files.data);
        self.ask_over(&input, &data)
    }

    fn ask_over(&self, input: &Document, data: &Document) -> Document {
        let mut evaluator = self.evaluator.borrow_mut();
        let value = evaluator.evaluate(&self.bundle, Entrypoint::Decision, data, input.clone());
        value.unwrap_or(Document::Undefined)
    }

    fn holds(&self, files: &Files, case: &Case) -> bool {
        self.ask(files, case) == Document::Bool(true)
    }
}

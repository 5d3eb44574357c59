//! The interpreter: for policy tests, which need the `with` keyword that the virtual machine lacks,
//! and to hold the virtual machine against.

use std::{cell::OnceCell, collections::BTreeSet, time::Duration};

use regorus::{
    Engine, Value,
    utils::limits::{ExecutionTimerConfig, LimitError},
};

use super::{
    Document,
    bundle::{
        Bundle, CompileError, Entrypoint, RegoSource, RegoVersion, TIME_CHECK_INTERVAL, compile_all,
        engine_with, message,
    },
    evaluator::EvaluationError,
    explain::{RuleBody, why_failed},
    function_calls::find_recursion,
    syntax,
    trace::{Key, MOST_EVENTS, Tracer, replaced_function},
};

/// Rules and data, ready to be evaluated one rule at a time.
#[derive(Debug)]
pub struct Interpreter {
    engine: Engine,
    /// For the rules with marks, which are made when the first is asked for.
    origin: Option<Origin>,
}

#[derive(Debug)]
pub(super) struct Origin {
    sources: Vec<RegoSource>,
    data: Document,
    version: RegoVersion,
    tracer: OnceCell<Option<Tracer>>,
}

/// A `test_` rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleTest {
    /// The file that it stands in.
    pub file: String,
    /// The line of its head, from 1.
    pub line: u32,
    /// Its path below `data`.
    pub path: String,
}

/// What became of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestOutcome {
    /// It is true, or true for each of its cases.
    Passed,
    /// It is false, undefined, or anything else that is not true.
    Failed,
    /// It could not be evaluated; the engine's message.
    Error(String),
    /// Its name begins with `todo_`.
    Skipped,
}

/// One case of a test whose head names them: `test_it[name] if { some name, case in cases; … }`.
#[derive(Clone, Debug, PartialEq)]
pub struct TestCase {
    /// The value of the key in the head.
    pub name: String,
    /// Whether it held for this case.
    pub passed: bool,
    /// If it did not: the condition that failed, with the values in it.
    pub failure: Option<RuleBody>,
}

/// The lines of a file that rules stand on, by whether they were evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCoverage {
    /// The file.
    pub file: String,
    /// Lines that were evaluated, from 1.
    pub covered: BTreeSet<u32>,
    /// Lines that were not.
    pub not_covered: BTreeSet<u32>,
}

/// What the name of a test begins with, as in OPA.
const TEST_PREFIX: &str = "test_";
/// What the name of a test begins with that is not to be run yet, as in OPA.
const TODO_PREFIX: &str = "todo_test_";

/// A table of which a case that fails might never be seen.
const UNTOLD: &str = "the cases of this test cannot be told: its head needs a variable that the first `some … in` of the \
                      body gives its values, as in `test_it[name] if { some name, case in cases; … }`";

impl Interpreter {
    /// Reads rules and data.
    ///
    /// # Errors
    /// [`CompileError`] when a rule does not parse, a function calls itself, or the data is not an object.
    pub fn new(sources: &[RegoSource], data: Document, version: RegoVersion) -> Result<Self, CompileError> {
        let mut engine = engine_with(sources, data.clone(), version)?;
        let trees = syntax::trees(&engine)?;
        if let Some(chain) = find_recursion(sources, &trees) {
            return Err(CompileError::Recursion(chain.join(" -> ")));
        }
        if let Some(place) = replaced_function(sources, &trees) {
            return Err(CompileError::Refused(place));
        }
        prepare(&mut engine);
        let origin = Origin { sources: sources.to_vec(), data, version, tracer: OnceCell::new() };
        Ok(Self { engine, origin: Some(origin) })
    }

    /// An interpreter of a bundle's own rules, over `data`.
    ///
    /// # Errors
    /// [`CompileError`] when the data collides with a rule.
    pub fn of_bundle(bundle: &Bundle, data: Document) -> Result<Self, CompileError> {
        let mut engine = bundle.interpreter();
        prepare(&mut engine);
        engine.add_data(data).map_err(|error| CompileError::Rego(message(&error)))?;
        Ok(Self { engine, origin: None })
    }

    /// Every `test_` and `todo_test_` rule, by file and line.
    ///
    /// # Errors
    /// [`CompileError`] when the rules do not compile together.
    pub fn tests(&self) -> Result<Vec<RuleTest>, CompileError> {
        self.rules(&[TEST_PREFIX, TODO_PREFIX])
    }

    /// Every rule whose name begins with one of `prefixes`, by file and line.
    ///
    /// # Errors
    /// [`CompileError`] when the rules do not compile together.
    pub fn rules(&self, prefixes: &[&str]) -> Result<Vec<RuleTest>, CompileError> {
        let compiled = compile_all(&self.engine)?;
        let mut found = Vec::new();
        for (path, rules) in compiled.get_rules() {
            let name = path.rsplit('.').next().unwrap_or_default();
            let wanted = prefixes.iter().any(|prefix| name.starts_with(prefix));
            if let Some(rule) = rules.first().filter(|_| wanted) {
                let span = rule.span();
                found.push(RuleTest {
                    file: span.source.get_path().clone(),
                    line: span.line,
                    path: path.to_string(),
                });
            }
        }
        found.sort();
        Ok(found)
    }

    /// Evaluates one test, for at most `limit`.
    pub fn run(&mut self, test: &RuleTest, limit: Option<Duration>) -> TestOutcome {
        let name = test.path.rsplit('.').next().unwrap_or_default();
        if name.starts_with(TODO_PREFIX) {
            return TestOutcome::Skipped;
        }
        self.limit(limit);
        match self.engine.eval_rule(test.path.clone()) {
            Ok(Value::Bool(true)) => TestOutcome::Passed,
            Ok(Value::Object(_) | Value::Set(_)) => self.outcome_of_cases(test),
            Ok(_) => TestOutcome::Failed,
            Err(error) => TestOutcome::Error(message(&error)),
        }
    }

    /// A rule for parts: its cases say whether it passed.
    fn outcome_of_cases(&self, test: &RuleTest) -> TestOutcome {
        match self.tracer().map(|(_, tracer)| tracer.outline().key(&test.path)) {
            None | Some(Key::None) => TestOutcome::Failed,
            Some(Key::Other) => TestOutcome::Error(UNTOLD.to_owned()),
            Some(Key::Listed(_)) => match self.cases(test) {
                None => TestOutcome::Error("the test takes more steps than can be written down".to_owned()),
                Some(cases) if !cases.is_empty() && cases.iter().all(|case| case.passed) => {
                    TestOutcome::Passed
                }
                Some(_) => TestOutcome::Failed,
            },
        }
    }

    /// Each evaluation from now on may take so long.
    pub(super) fn limit(&mut self, limit: Option<Duration>) {
        match limit {
            None => self.engine.clear_execution_timer_config(),
            Some(limit) => {
                let check_interval = TIME_CHECK_INTERVAL;
                self.engine.set_execution_timer_config(ExecutionTimerConfig { limit, check_interval });
            }
        }
    }

    /// What `print` wrote since this was last asked.
    pub fn printed(&mut self) -> Vec<String> {
        self.engine.take_prints().unwrap_or_default()
    }

    /// Evaluates one test, whatever comes of it: to see how long it takes.
    pub fn evaluate_test(&mut self, test: &RuleTest) {
        let _ = self.engine.eval_rule(test.path.clone());
    }

    /// The cases of a test whose head names them, by name; none for any other test.
    pub fn named_cases(&self, test: &RuleTest) -> Vec<TestCase> {
        let key = self.tracer().map(|(_, tracer)| tracer.outline().key(&test.path));
        match key {
            Some(Key::Listed(_)) => self.cases(test).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// `None` when not all of them could be written down.
    fn cases(&self, test: &RuleTest) -> Option<Vec<TestCase>> {
        let (origin, tracer) = self.tracer()?;
        let recording = tracer.record(&test.path, origin.data.clone(), None, MOST_EVENTS);
        if recording.truncated {
            return None;
        }
        let passed: BTreeSet<Value> = match &recording.result {
            Ok(Value::Object(cases)) => {
                let held = cases.iter().filter(|(_, value)| **value == Value::Bool(true));
                held.map(|(name, _)| name.clone()).collect()
            }
            Ok(Value::Set(cases)) => cases.iter().cloned().collect(),
            _ => BTreeSet::new(),
        };
        let mut names = tracer.outline().keys_seen(&test.path, &recording.events);
        names.extend(passed.iter().cloned());
        let cases = names.into_iter().map(|name| {
            let passed = passed.contains(&name);
            let why = || why_failed(tracer.outline(), &recording.events, &test.path, Some(&name));
            TestCase { failure: if passed { None } else { why() }, passed, name: text(&name) }
        });
        Some(cases.collect())
    }

    /// Why a test did not pass: the condition that failed, with the values in it, followed into the
    /// rules that it asks.
    pub fn why_failed(&self, test: &RuleTest) -> Option<RuleBody> {
        let (origin, tracer) = self.tracer()?;
        let recording = tracer.record(&test.path, origin.data.clone(), None, MOST_EVENTS);
        why_failed(tracer.outline(), &recording.events, &test.path, None)
    }

    /// The rules with marks in them.
    pub(super) fn tracer(&self) -> Option<(&Origin, &Tracer)> {
        let origin = self.origin.as_ref()?;
        let tracer = origin.tracer.get_or_init(|| Tracer::new(&origin.sources, origin.version).ok());
        Some((origin, tracer.as_ref()?))
    }

    /// From now on it is noted which lines are evaluated.
    pub fn note_coverage(&mut self) {
        self.engine.set_enable_coverage(true);
    }

    /// Which lines were evaluated since [`note_coverage`](Self::note_coverage), for each file with rules.
    ///
    /// # Errors
    /// The engine's message.
    pub fn coverage(&self) -> Result<Vec<FileCoverage>, String> {
        let report = self.engine.get_coverage_report().map_err(|error| message(&error))?;
        let files = report.files.into_iter().map(|file| FileCoverage {
            file: file.path,
            // A line with several expressions counts as reached when one of them was.
            not_covered: file.not_covered.difference(&file.covered).copied().collect(),
            covered: file.covered,
        });
        Ok(files.collect())
    }

    /// Evaluates the rule of an entrypoint over an input.
    ///
    /// # Errors
    /// The engine's message.
    pub fn evaluate(
        &mut self,
        bundle: &Bundle,
        entrypoint: Entrypoint,
        input: Document,
    ) -> Result<Document, String> {
        let path = bundle.path(entrypoint).ok_or("the bundle has no rule for this entrypoint")?;
        self.engine.set_input(input);
        self.engine.eval_rule(path.to_owned()).map_err(|error| message(&error))
    }
}

/// As OPA and the virtual machine: a builtin that fails is undefined. What `print` writes is kept.
fn prepare(engine: &mut Engine) {
    engine.set_strict_builtin_errors(false);
    engine.set_gather_prints(true);
}

/// A case's name: texts as they are.
fn text(name: &Value) -> String {
    match name {
        Value::String(text) => text.to_string(),
        other => other.to_string(),
    }
}

/// One worker's interpreter, for bundles that the virtual machine cannot run.
pub(super) struct InterpretingEngine {
    engine: Engine,
    /// What the engine has as data: to give it other data makes it look at all rules anew.
    data: Document,
}

impl std::fmt::Debug for InterpretingEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InterpretingEngine").finish_non_exhaustive()
    }
}

impl InterpretingEngine {
    pub(super) fn new(bundle: &Bundle) -> Self {
        let mut engine = bundle.interpreter();
        prepare(&mut engine);
        let (limit, check_interval) = (bundle.budget.time, TIME_CHECK_INTERVAL);
        engine.set_execution_timer_config(ExecutionTimerConfig { limit, check_interval });
        Self { engine, data: Document::Undefined }
    }

    pub(super) fn evaluate(
        &mut self,
        path: &str,
        data: &Document,
        input: Document,
    ) -> Result<Document, EvaluationError> {
        let same = match (&self.data, data) {
            (Value::Object(ours), Value::Object(theirs)) => std::sync::Arc::ptr_eq(ours, theirs),
            _ => false,
        };
        if !same {
            self.data = Document::Undefined;
            self.engine.clear_data();
            self.engine.add_data(data.clone()).map_err(|error| failed(&error.to_string()))?;
            self.data = data.clone();
        }
        self.engine.set_input(input);
        let result = self.engine.eval_rule(path.to_owned());
        // Nothing that a caller sent stays behind.
        self.engine.set_input(Value::Undefined);
        drop(self.engine.take_prints());
        result.map_err(|error| match error.downcast_ref::<LimitError>() {
            Some(LimitError::TimeLimitExceeded { .. }) => EvaluationError::TimeBudget,
            _ => failed(&error.to_string()),
        })
    }
}

/// The place in the engine's message. The rest would show values.
fn failed(message: &str) -> EvaluationError {
    let place = message.lines().find_map(|line| line.trim().strip_prefix("--> "));
    EvaluationError::Failed {
        kind: "InterpreterError".to_owned(),
        place: place.unwrap_or("an unknown place").to_owned(),
    }
}

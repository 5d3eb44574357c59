//! The interpreter: for policy tests, which need the `with` keyword that the virtual machine lacks,
//! and to hold the virtual machine against.

use std::time::Duration;

use regorus::{Engine, Value, utils::limits::ExecutionTimerConfig};

use super::{
    Document,
    bundle::{
        Bundle, CompileError, Entrypoint, RegoSource, RegoVersion, TIME_CHECK_INTERVAL, compile_all,
        engine_with, message,
    },
    function_calls::find_recursion,
    syntax,
};

/// Rules and data, ready to be evaluated one rule at a time.
#[derive(Debug)]
pub struct Interpreter(Engine);

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
    /// It is true.
    Passed,
    /// It is false, undefined, or anything else that is not true.
    Failed,
    /// It could not be evaluated; the engine's message.
    Error(String),
}

/// The word that the name of a test begins with, as in OPA.
const TEST_PREFIX: &str = "test_";

impl Interpreter {
    /// Reads rules and data.
    ///
    /// # Errors
    /// [`CompileError`] when a rule does not parse, a function calls itself, or the data is not an object.
    pub fn new(sources: &[RegoSource], data: Document, version: RegoVersion) -> Result<Self, CompileError> {
        let engine = engine_with(sources, data, version)?;
        match find_recursion(sources, &syntax::trees(&engine)?) {
            Some(chain) => Err(CompileError::Recursion(chain.join(" -> "))),
            None => Ok(Self(engine)),
        }
    }

    /// An interpreter of a bundle's own rules, over `data`.
    ///
    /// # Errors
    /// [`CompileError`] when the data collides with a rule.
    pub fn of_bundle(bundle: &Bundle, data: Document) -> Result<Self, CompileError> {
        let mut engine = bundle.interpreter();
        engine.add_data(data).map_err(|error| CompileError::Rego(message(&error)))?;
        Ok(Self(engine))
    }

    /// Every `test_` rule, by file and line.
    ///
    /// # Errors
    /// [`CompileError`] when the rules do not compile together.
    pub fn tests(&self) -> Result<Vec<RuleTest>, CompileError> {
        let compiled = compile_all(&self.0)?;
        let mut tests = Vec::new();
        for (path, rules) in compiled.get_rules() {
            let name = path.rsplit('.').next().unwrap_or_default();
            if let Some(rule) = rules.first().filter(|_| name.starts_with(TEST_PREFIX)) {
                let span = rule.span();
                tests.push(RuleTest {
                    file: span.source.get_path().clone(),
                    line: span.line,
                    path: path.to_string(),
                });
            }
        }
        tests.sort();
        Ok(tests)
    }

    /// Evaluates one test, for at most `limit`.
    pub fn run(&mut self, test: &RuleTest, limit: Option<Duration>) -> TestOutcome {
        match limit {
            None => self.0.clear_execution_timer_config(),
            Some(limit) => {
                let check_interval = TIME_CHECK_INTERVAL;
                self.0.set_execution_timer_config(ExecutionTimerConfig { limit, check_interval });
            }
        }
        match self.0.eval_rule(test.path.clone()) {
            Ok(Value::Bool(true)) => TestOutcome::Passed,
            Ok(_) => TestOutcome::Failed,
            Err(error) => TestOutcome::Error(message(&error)),
        }
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
        self.0.set_input(input);
        self.0.eval_rule(path.to_owned()).map_err(|error| message(&error))
    }
}

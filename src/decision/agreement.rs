//! Whether both engines give the same: tests run in the interpreter, decisions on the virtual machine, so what
//! the tests ask is asked of both.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use regorus::Value;

use super::{
    DATABASE_DOCUMENTS, Document,
    bundle::{Bundle, CompileError, Entrypoint, EvaluatingEngine, RegoSource, RegoVersion},
    evaluator::Evaluator,
    interpreter::{Interpreter, RuleTest},
    trace::capture,
};

/// What a test asked an entrypoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedQuestion {
    /// The entrypoint.
    pub entrypoint: Entrypoint,
    /// The input.
    pub input: Document,
    /// All of `data` but what rules define.
    pub data: Document,
}

/// A question to which the engines give different answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// The question.
    pub question: RecordedQuestion,
    /// What the virtual machine gives; undefined when it fails.
    pub machine: Document,
    /// What the interpreter gives; undefined when it fails.
    pub interpreter: Document,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { question, machine, interpreter } = self;
        let text = |document: &Document| match document {
            Value::Undefined => "undefined".to_owned(),
            other => other.to_string(),
        };
        write!(
            f,
            "the engines disagree about a question of the tests: the virtual machine, which decides, gives {}, the \
             interpreter, which tests, {} ([policy] engine = \"interpreter\" decides as it tests); the input was {}",
            text(machine),
            text(interpreter),
            text(&question.input)
        )
    }
}

/// What `tests` ask the entrypoints of `bundle`, each question once. `sources` are the bundle's rules and those of the
/// tests, `data` all data files. A test is given up after `time`.
///
/// # Errors
/// [`CompileError`] when the rules do not parse.
pub fn record_questions(
    bundle: &Bundle,
    sources: &[RegoSource],
    data: &Document,
    version: RegoVersion,
    tests: &[RuleTest],
    time: Duration,
) -> Result<Vec<RecordedQuestion>, CompileError> {
    let documents = documents(bundle, data);
    let present: Vec<Entrypoint> = Entrypoint::ALL.into_iter().filter(|one| bundle.has(*one)).collect();
    let paths: Vec<&str> = present.iter().filter_map(|one| bundle.path(*one)).collect();
    let mut captured = capture(sources, data, version, &paths, &documents, tests, time)?;
    captured.sort();
    captured.dedup();
    let questions = captured.into_iter().filter_map(|(rule, values)| {
        let mut values = values.into_iter();
        let input = values.next().unwrap_or(Value::Undefined);
        let mut all = data.clone();
        for (name, value) in documents.iter().zip(values) {
            let Ok(all) = all.as_object_mut() else { break };
            if matches!(value, Value::Undefined) {
                all.remove(&name.as_str().into());
            } else {
                all.insert(name.as_str().into(), value);
            }
        }
        Some(RecordedQuestion { entrypoint: *present.get(rule)?, input, data: all })
    });
    Ok(questions.collect())
}

/// The names below `data` that hold no rules.
fn documents(bundle: &Bundle, data: &Document) -> Vec<String> {
    let own = bundle.mounted_names();
    let files =
        data.as_object().into_iter().flat_map(|data| data.iter()).filter_map(|(name, _)| match name {
            Value::String(name) => Some(name.to_string()),
            _ => None,
        });
    let mut names: Vec<String> =
        DATABASE_DOCUMENTS.iter().map(|name| (*name).to_owned()).chain(own).chain(files).collect();
    names.sort();
    names.dedup();
    names.retain(|name| !bundle.has_package(name));
    names
}

/// The first question to which both engines do not give the same; `None` also for a bundle that the
/// interpreter decides. The interpreter is given up after `time` for each.
///
/// # Errors
/// [`CompileError`] when a question's data collides with a rule.
pub fn disagreement(
    bundle: &Arc<Bundle>,
    questions: &[RecordedQuestion],
    time: Duration,
) -> Result<Option<Disagreement>, CompileError> {
    if let EvaluatingEngine::Interpreter(_) = bundle.engine() {
        return Ok(None);
    }
    // To give the interpreter other data makes it look at all rules anew.
    let mut by_data: BTreeMap<&Document, Vec<&RecordedQuestion>> = BTreeMap::new();
    for question in questions {
        by_data.entry(&question.data).or_default().push(question);
    }
    let mut evaluator = Evaluator::new(0);
    for (data, questions) in by_data {
        let mut interpreter = Interpreter::of_bundle(bundle, data.clone())?;
        interpreter.limit(Some(time));
        for question in questions {
            let RecordedQuestion { entrypoint, input, .. } = question;
            // A failure is no result, and so is an undefined one: both deny.
            let machine = evaluator.evaluate(bundle, *entrypoint, data, input.clone());
            let machine = machine.unwrap_or(Value::Undefined);
            let interpreted = interpreter.evaluate(bundle, *entrypoint, input.clone());
            let interpreter = interpreted.unwrap_or(Value::Undefined);
            if machine != interpreter {
                return Ok(Some(Disagreement { question: question.clone(), machine, interpreter }));
            }
        }
    }
    Ok(None)
}

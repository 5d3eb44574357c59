//! What rules did on the way to their result: the same rules with marks between their conditions,
//! evaluated once more by the interpreter.
//!
//! Each condition gets a mark before it and a list of the values that it compares ([`marks`]); a mark is
//! a call of a function of our own, which writes down that it was reached. The condition that failed is
//! the one whose mark was reached, and the next was not. It costs nothing when it is not asked for: the
//! marked rules are made when the first explanation is, and never decide anything.
//!
//! The marks of a condition see what `with` replaces, because they stand where the condition does.

mod asks;
mod bound;
mod capture;
mod marks;
mod outline;
mod probes;
mod replaced;
mod taint;
mod written;

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use regorus::{Engine, Value, utils::limits::ExecutionTimerConfig};

pub(super) use self::{
    bound::{Names, is_fixed, path as reference_path},
    capture::capture,
    marks::{mark, names_of_all, names_of_head, package},
    outline::{Body, Condition, Key, Outline},
    replaced::replaced_function,
};
use super::{
    Document,
    bundle::{CompileError, RegoSource, RegoVersion, engine_with, message},
    syntax,
};

/// The function that marks call. Rules of nobody else are called so.
const MARK: &str = "regate_trace";
/// More marks are not written down.
pub(super) const MOST_EVENTS: usize = 200_000;
/// The same for a question's explanation: each mark holds on to the values that it saw.
pub(super) const FEW_EVENTS: usize = 20_000;
/// So long an evaluation with marks may take.
const LONGEST: Duration = Duration::from_secs(1);
const CHECK_INTERVAL: NonZeroU32 = NonZeroU32::new(256).unwrap();

/// A mark that was reached.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// The body, by its place in the outline.
    pub body: usize,
    /// The condition that comes next; as many as there are conditions: all held.
    pub condition: usize,
    /// What the mark saw.
    pub seen: Seen,
}

/// What a mark saw.
#[derive(Clone, Debug)]
pub(super) enum Seen {
    /// The variables that have a value, by name.
    Variables(Value),
    /// For each value that the condition compares, a list: empty when it is undefined.
    Values(Value),
}

/// An evaluation, written down.
#[derive(Clone, Debug)]
pub(super) struct Recording {
    /// The rule's value, or the engine's message.
    pub result: Result<Document, String>,
    /// The marks in the order in which they were reached.
    pub events: Vec<Event>,
    /// There were more.
    pub truncated: bool,
}

/// Marked rules.
#[derive(Debug)]
pub(super) struct Tracer {
    engine: Engine,
    outline: Outline,
}

impl Tracer {
    /// Marks the rules of these sources.
    ///
    /// # Errors
    /// [`CompileError`] when they do not parse, or cannot be marked.
    pub(super) fn new(sources: &[RegoSource], version: RegoVersion) -> Result<Self, CompileError> {
        let trees = syntax::syntax_trees(sources, version)?;
        let (marked, outline) = marks::mark(sources, &trees).map_err(CompileError::Unmarked)?;
        let mut engine = engine_with(&marked, Value::new_object(), version)?;
        // As OPA: a builtin that fails is undefined.
        engine.set_strict_builtin_errors(false);
        engine.set_gather_prints(true);
        engine.set_execution_timer_config(ExecutionTimerConfig {
            limit: LONGEST,
            check_interval: CHECK_INTERVAL,
        });
        Ok(Self { engine, outline })
    }

    /// What there is to be reached.
    pub(super) fn outline(&self) -> &Outline {
        &self.outline
    }

    /// Evaluates the rule at `path` and writes down what happened.
    pub(super) fn record(
        &self,
        path: &str,
        data: Document,
        input: Option<Document>,
        most: usize,
    ) -> Recording {
        let mut engine = self.engine.clone();
        let book = Arc::new(Mutex::new(Book { most, ..Book::default() }));
        let result = listen(&mut engine, &book).and_then(|()| {
            engine.add_data(data).map_err(|error| message(&error))?;
            engine.set_input(input.unwrap_or(Value::Undefined));
            engine.eval_rule(path.to_owned()).map_err(|error| message(&error))
        });
        drop(engine);
        let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
        Recording { result, events: std::mem::take(&mut book.events), truncated: book.truncated }
    }
}

/// What is written down.
#[derive(Debug, Default)]
struct Book {
    events: Vec<Event>,
    /// So many and no more.
    most: usize,
    truncated: bool,
}

fn listen(engine: &mut Engine, book: &Arc<Mutex<Book>>) -> Result<(), String> {
    let book = Arc::clone(book);
    let take = move |arguments: Vec<Value>| {
        let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
        if book.events.len() >= book.most {
            book.truncated = true;
        } else if let Some(event) = event(arguments) {
            book.events.push(event);
        }
        // A mark never fails: what it stands in goes on as it would without.
        Ok(Value::Bool(true))
    };
    engine.add_extension(MARK.to_owned(), 3, Box::new(take)).map_err(|error| message(&error))
}

fn event(arguments: Vec<Value>) -> Option<Event> {
    let [body, condition, seen] = <[Value; 3]>::try_from(arguments).ok()?;
    let number = |value: &Value| usize::try_from(value.as_u64().ok()?).ok();
    let (condition, seen) = match &condition {
        Value::Array(only) => (number(only.first()?)?, Seen::Values(seen)),
        condition => (number(condition)?, Seen::Variables(seen)),
    };
    Some(Event { body: number(&body)?, condition, seen })
}

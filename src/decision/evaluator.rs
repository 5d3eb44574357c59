//! One worker's virtual machine.

use std::sync::Arc;

use regorus::{
    Value,
    rvm::{RegoVM, vm::VmError},
    utils::limits::ExecutionTimerConfig,
};
use thiserror::Error;

use super::{
    Document,
    bundle::{Bundle, Entrypoint, TIME_CHECK_INTERVAL},
    input::InputBuilder,
    interpreter::InterpretingEngine,
    memo::Memo,
};

/// Why an evaluation gave no result. Both deny. Neither text repeats a value that the policy saw:
/// the input holds what callers sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EvaluationError {
    /// The budget of instructions was used up.
    #[error("the evaluation exceeded its budget of {0} instructions")]
    InstructionBudget(usize),
    /// The budget of time was used up.
    #[error("the evaluation exceeded its time budget")]
    TimeBudget,
    /// The engine failed: two rules conflict, a data document stands where a rule is, …
    #[error("the evaluation failed: {kind} at {place}")]
    Failed {
        /// What went wrong, as the engine names it.
        kind: String,
        /// File and line of the rule, if the engine knows.
        place: String,
    },
    /// The bundle has no rule for such questions.
    #[error("the bundle has no rule for this entrypoint")]
    NoEntrypoint,
}

/// A virtual machine with what it keeps from one evaluation to the next. Each worker has its own:
/// evaluation takes no lock and shares no counter with other workers but those of the data itself.
#[derive(Debug)]
pub struct Evaluator {
    worker: usize,
    machine: RegoVM,
    /// For bundles that the machine cannot run.
    interpreter: Option<InterpretingEngine>,
    loaded: Option<Arc<Bundle>>,
    evaluations: u64,
    pub(super) input: InputBuilder,
    pub(super) memo: Memo,
}

impl Evaluator {
    /// The evaluator of the worker with this number.
    pub fn new(worker: usize) -> Self {
        Self {
            worker,
            machine: RegoVM::new(),
            interpreter: None,
            loaded: None,
            input: InputBuilder::default(),
            evaluations: 0,
            memo: Memo::default(),
        }
    }

    /// Evaluates the entrypoint's rule over `data` and `input`.
    ///
    /// # Errors
    /// [`EvaluationError`] when a budget is exceeded or the engine fails. An undefined result is not
    /// an error here: it is [`Document::Undefined`].
    pub fn evaluate(
        &mut self,
        bundle: &Arc<Bundle>,
        entrypoint: Entrypoint,
        data: &Document,
        input: Document,
    ) -> Result<Document, EvaluationError> {
        let index = bundle.program_index(entrypoint).ok_or(EvaluationError::NoEntrypoint)?;
        let path = bundle.path(entrypoint).ok_or(EvaluationError::NoEntrypoint)?;
        self.run(bundle, (index, path), data, input)
    }

    /// How often rules were evaluated. A question whose verdict was remembered is none.
    pub const fn evaluations(&self) -> u64 {
        self.evaluations
    }

    /// Evaluates what is at a path of [`CompileOptions::asked`](super::bundle::CompileOptions) over `data` and `input`. It
    /// is undefined where the bundle has no rule there.
    ///
    /// # Errors
    /// Those of [`evaluate`](Self::evaluate).
    pub fn evaluate_asked(
        &mut self,
        bundle: &Arc<Bundle>,
        path: &str,
        data: &Document,
        input: Document,
    ) -> Result<Document, EvaluationError> {
        let Some((index, asked)) = bundle.asked(path) else { return Ok(Document::Undefined) };
        Ok(asked.within(self.run(bundle, (index, &asked.rule), data, input)?))
    }

    fn run(
        &mut self,
        bundle: &Arc<Bundle>,
        (index, path): (usize, &str),
        data: &Document,
        input: Document,
    ) -> Result<Document, EvaluationError> {
        self.evaluations += 1;
        self.load(bundle);
        if let Some(interpreter) = &mut self.interpreter {
            return interpreter.evaluate(path, data, input);
        }
        // Looks for collisions with rules, along those names that are in both.
        self.machine.set_data(data.clone()).map_err(|error| self.explain(error))?;
        self.machine.set_input(input);
        let result = self.machine.execute_entry_point_by_index(index);
        let result = result.map_err(|error| self.explain(error));
        self.forget();
        result
    }

    /// Lets go of what the last question was about. Nothing that a caller sent stays behind until the
    /// next question, and data that nobody looks at can be changed in place.
    fn forget(&mut self) {
        self.machine.set_input(Value::Undefined);
        // Nothing collides with nothing.
        let _ = self.machine.set_data(Value::Undefined);
    }

    fn load(&mut self, bundle: &Arc<Bundle>) {
        if self.loaded.as_ref().is_some_and(|loaded| Arc::ptr_eq(loaded, bundle)) {
            return;
        }
        self.machine = RegoVM::new();
        self.interpreter = match bundle.program(self.worker) {
            Some(program) => {
                self.machine.load_program(program);
                None
            }
            None => Some(InterpretingEngine::new(bundle)),
        };
        self.machine.set_max_instructions(bundle.budget.instructions);
        self.machine.set_execution_timer_config(Some(ExecutionTimerConfig {
            limit: bundle.budget.time,
            check_interval: TIME_CHECK_INTERVAL,
        }));
        self.loaded = Some(Arc::clone(bundle));
    }

    fn explain(&self, error: VmError) -> EvaluationError {
        match error {
            VmError::InstructionLimitExceeded { limit, .. } => EvaluationError::InstructionBudget(limit),
            VmError::TimeLimitExceeded { .. } => EvaluationError::TimeBudget,
            other => EvaluationError::Failed { kind: kind(&other), place: self.place() },
        }
    }

    /// Where the machine stopped, in the engineer's own file.
    fn place(&self) -> String {
        let program = self.machine.get_program();
        let span = program.get_instruction_span(self.machine.get_pc());
        let known = span.and_then(|span| {
            let source = program.sources.get(span.source_index)?;
            Some(format!("{}:{}:{}", source.name, span.line, span.column))
        });
        known.unwrap_or_else(|| "an unknown place".to_owned())
    }
}

/// The error's name alone: its text would show values.
fn kind(error: &VmError) -> String {
    let debug = format!("{error:?}");
    debug.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

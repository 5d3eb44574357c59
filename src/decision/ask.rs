//! One rule's value over one tenant's data and an input that whoever asks made up: what OPA's API asks.
//!
//! Nothing of a caller is looked up here, and nothing that regate knows of one comes into the input. So the value is no
//! decision about a credential: it is what the rule says of what it was told.

use super::{
    Document,
    basis::Basis,
    decide::{DecisionRules, Moment},
    evaluator::{EvaluationError, Evaluator},
    question::AskingGateway,
};

/// A rule that is asked as it is.
#[derive(Debug)]
pub struct Asking<'a> {
    /// Its path below `data`, as the configuration lists it, with `data` before it and dots between.
    pub path: &'a str,
    /// The input; undefined where none came.
    pub input: Document,
    /// Who asks, if it authenticated: its tenant's data is what the rule sees.
    pub gateway: Option<&'a AskingGateway>,
}

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskFault {
    /// This process does not know the present data.
    #[error("the data is not current; try again later")]
    Stale,
    /// The rule could not be evaluated.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
}

/// Evaluates the rule. Where the bundle has none there, it is undefined.
///
/// # Errors
/// [`AskFault`]. Stale data answers nothing.
pub fn ask(
    evaluator: &mut Evaluator,
    basis: &Basis,
    rules: &DecisionRules,
    asking: Asking<'_>,
    moment: Moment,
) -> Result<Document, AskFault> {
    if moment.data_is_stale {
        return Err(AskFault::Stale);
    }
    let tenant = asking.gateway.and_then(|gateway| gateway.tenant.as_ref()).unwrap_or(&rules.default_tenant);
    let data = basis.tenant(tenant).document();
    Ok(evaluator.evaluate_asked(basis.bundle(), asking.path, data, asking.input)?)
}

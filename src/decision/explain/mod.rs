//! Why a decision is as it is, in terms of the rules as they are written: which held, which came closest
//! to an allow, and the first condition that failed in each, with the values that it compared.
//!
//! It is worked out from marks ([`trace`](super::trace)), after the decision and apart from it. Values that
//! may be secrets are masked ([`mask`]), long ones are cut short ([`brief`]).

mod brief;
mod follow;
mod idle;
mod mask;
mod why;

use super::{
    Document,
    trace::{FEW_EVENTS, Tracer},
};

use self::follow::follow;
pub use self::idle::IdleCondition;
pub use self::mask::hides as stands_for_a_secret;
pub use self::why::{Compared, FailedCondition, RuleBody, Why};
pub(super) use self::{
    mask::{Mask, hides},
    why::why_failed,
};

/// Explains the result of the rule at `path` over this data and input. `result` is what the virtual
/// machine gave.
pub(super) fn explain(
    tracer: &Tracer,
    path: &str,
    data: &Document,
    input: &Document,
    result: &Document,
    mask: &Mask,
) -> Why {
    let recording = tracer.record(path, data.clone(), Some(input.clone()), FEW_EVENTS);
    let followed = follow(tracer.outline(), &recording.events);
    let mut why = why::why(tracer.outline(), &followed, mask, allows(result));
    why.truncated = recording.truncated;
    why.disagreement = match recording.result {
        Ok(interpreted) if interpreted == *result => None,
        Ok(_) => Some("the interpreter, which explains, gives another result than the virtual machine, which decides: please report this".to_owned()),
        // Its message may show a value, or a line of a file.
        Err(_) => Some("the interpreter, which explains, could not evaluate the rules to the end".to_owned()),
    };
    why
}

fn allows(result: &Document) -> bool {
    match result {
        Document::Bool(allow) => *allow,
        object => object["allow"] == Document::Bool(true),
    }
}

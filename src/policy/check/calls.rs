//! Functions that are not there, that are called wrongly, or that look at the outside world:
//! `unknown-function`, `wrong-arguments`, `impure-function`.
//!
//! The engine's interpreter reports an unknown function when it comes to it, its virtual machine when an
//! entrypoint reaches it; here every call is looked at.

use super::{
    Bundle, Found,
    code::Code,
    definitions::Kind,
    nearest::did_you_mean,
    reference::{Call, Callee},
};
use crate::decision::{builtin_arguments, builtin_names};

/// Builtins of OPA whose result is not made from their arguments alone, and what to write instead. Some are
/// not in the engine; to say that they are unknown would lead to a search for the right version.
const IMPURE: &[(&str, &str)] = &[
    ("http.send", "keep what the rule needs in data ([[documents]], or the database)"),
    ("net.lookup_ip_addr", "use the addresses in `input.request.source_ip` or data"),
    ("opa.runtime", "keep settings in a data file of the bundle"),
    ("rand.intn", "decide by something of the request, such as `input.token.id`"),
    ("time.now_ns", "use `input.now`, in seconds"),
    ("uuid.rfc4122", "decide by something of the request, such as `input.token.id`"),
];

pub(super) fn find(bundle: &Bundle<'_>) -> Vec<Found> {
    let calls =
        bundle.readings().flat_map(|(file, reading)| reading.calls.iter().map(move |call| (file, call)));
    let found = calls.filter_map(|(file, call)| {
        let (code, message) = wrong(bundle, call, bundle.files[file].is_test)?;
        Some(Found { file, at: call.span.start, code, message })
    });
    found.collect()
}

fn wrong(bundle: &Bundle<'_>, call: &Call, is_test: bool) -> Option<(Code, String)> {
    match &call.callee {
        Callee::Rule(path) => {
            let name = format!("data.{}", path.join("."));
            let mut counts =
                bundle.definitions.at(path).iter().filter_map(|definition| match definition.kind {
                    Kind::Function(arguments) => Some(arguments),
                    _ => None,
                });
            let Some(expected) = counts.next() else {
                return Some((Code::UnknownFunction, no_function(bundle, path, &name)));
            };
            wrong_count(&name, expected, call)
        }
        Callee::Builtin(name) => {
            if let Some((_, instead)) = IMPURE.iter().find(|(impure, _)| impure == name) {
                let message = format!(
                    "`{name}` makes the decision depend on more than input and data, so that it cannot be \
                     explained or repeated: {instead}"
                );
                return Some((Code::ImpureFunction, message));
            }
            if name == "print" && !is_test {
                let message = "`print` is there in tests only: regate's machine does not have it, and refuses \
                               the bundle";
                return Some((Code::UnknownFunction, message.to_owned()));
            }
            let Some(expected) = builtin_arguments(name) else {
                let names: Vec<&str> = builtin_names().collect();
                let more = did_you_mean(name, &names);
                return Some((Code::UnknownFunction, format!("there is no function `{name}`{more}")));
            };
            wrong_count(name, expected, call)
        }
    }
}

fn no_function(bundle: &Bundle<'_>, path: &[String], name: &str) -> String {
    if !bundle.definitions.at(path).is_empty() {
        return format!("`{name}` is a rule without arguments, not a function: leave the parentheses out");
    }
    let functions = bundle.definitions.iter().filter(|(other, definitions)| {
        let same_package =
            other.split_last().map(|(_, package)| package) == path.split_last().map(|(_, p)| p);
        same_package && definitions.iter().any(|definition| matches!(definition.kind, Kind::Function(_)))
    });
    let names: Vec<&str> = functions.filter_map(|(other, _)| other.last().map(String::as_str)).collect();
    let more = did_you_mean(path.last().map_or("", String::as_str), &names);
    format!("there is no function `{name}`{more}")
}

/// One argument more than the function takes is the place for its result, in Rego's older style.
fn wrong_count(name: &str, expected: usize, call: &Call) -> Option<(Code, String)> {
    let given = call.arguments;
    if given == expected || given == expected + 1 && expected > 0 {
        return None;
    }
    let plural = if expected == 1 { "" } else { "s" };
    Some((Code::WrongArguments, format!("`{name}` takes {expected} argument{plural}, and is given {given}")))
}

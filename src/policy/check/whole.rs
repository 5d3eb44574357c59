//! A package, or an object made of several rules, that is read as a whole: `package-read-whole`.

use super::{
    Bundle, Found,
    code::Code,
    reference::{Root, Step},
};

/// Tests are left alone: they run in the interpreter, which reads packages as Rego says.
pub(super) fn find(bundle: &Bundle<'_>) -> Vec<Found> {
    let served = bundle.references().filter(|(file, _)| !bundle.files[*file].is_test);
    let data = served.filter(|(_, reference)| reference.root == Root::Data && !reference.mocked);
    let whole = data.filter(|(_, reference)| {
        reference.steps.iter().all(|(step, _)| matches!(step, Step::Name(_)))
            && bundle.definitions.is_branch(&reference.names())
    });
    let found = whole.map(|(file, reference)| {
        let path = reference.spelling(usize::MAX);
        let message = format!(
            "`{path}` is made of several rules, and is empty when it is read as a whole: name the rule that \
             is meant, `{path}.…`"
        );
        Found { file, at: reference.span.start, code: Code::PackageReadWhole, message }
    });
    found.collect()
}

//! Entrypoints that can be undefined: `missing-default`.
//!
//! regate denies then, with `policy.error`, which is no answer that a caller can do anything with.

use super::{Bundle, Found, code::Code, defined::is_total, definitions::Kind};

pub(super) fn find(bundle: &Bundle<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for path in bundle.deciding() {
        let Some(first) = bundle.definitions.at(&path).first() else { continue };
        if first.kind == Kind::Complete && !is_total(bundle, &path, &mut Vec::new()) {
            let name = path.last().map_or("", String::as_str);
            let message = format!(
                "the entrypoint `data.{}` can be undefined, which denies with `policy.error` and no reason: add \
                 `default {name} := …`, or a last `else := …` without a condition",
                path.join(".")
            );
            let at = first.rule.span().start;
            found.push(Found { file: first.file, at, code: Code::MissingDefault, message });
        }
    }
    found
}

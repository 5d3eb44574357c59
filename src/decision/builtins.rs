//! The functions that the engine brings along: for what looks at rules without evaluating them.

use regorus::unstable::BUILTINS;

/// How many arguments the builtin of this name takes; `None`: there is no such builtin.
pub fn builtin_arguments(name: &str) -> Option<usize> {
    match name {
        // The one that is not in the table: both engines treat it apart.
        "print" => Some(1),
        _ => BUILTINS.get(name).map(|(_, arguments)| usize::from(*arguments)),
    }
}

/// The names of all builtins that rules are meant to call.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    BUILTINS.keys().copied().filter(|name| !name.starts_with('_'))
}

#[cfg(test)]
mod tests {
    use super::{builtin_arguments, builtin_names};
    use crate::decision::{Bundle, CompileOptions, Document, RegoSource};

    /// The table is hidden in the engine's documentation: the compiler itself must agree with it.
    #[test]
    fn the_compiler_knows_the_same_functions() {
        let known = |name: &str| {
            let text = format!("package regate\n\ndecision := {name}(1)\n");
            let source = RegoSource { name: "a.rego".to_owned(), text };
            let revision = crate::types::PolicyRevision::from_digest(&[0]);
            let data = Document::new_object();
            let compiled = Bundle::compile(&[source], data, revision, &CompileOptions::default());
            // It may be refused for another reason: one argument is not what each takes.
            !compiled.is_err_and(|error| error.to_string().to_lowercase().contains("unknown function"))
        };
        let names: Vec<&str> = builtin_names().collect();
        assert!(names.len() > 100);
        for name in names.into_iter().chain(["http.send", "time.now_ns", "jwt.decode", "nosuch", "print"]) {
            assert_eq!(known(name), builtin_arguments(name).is_some(), "{name}");
        }
    }
}

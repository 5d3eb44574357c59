//! Which variables have a value at a place in a body.

use std::collections::BTreeSet;

use serde_json::Value;

/// Names that mean something outside of a body: rules of the package and imports.
#[derive(Clone, Debug, Default)]
pub(in crate::decision) struct Names {
    /// Each import's name and the path that it stands for.
    pub imports: Vec<(String, String)>,
    /// The first name of each rule of the package.
    pub rules: BTreeSet<String>,
    /// The package's path, `data.` first.
    pub package: String,
    /// The paths of all packages.
    pub packages: BTreeSet<String>,
}

impl Names {
    /// Whether the name is that of a rule, an import, or one of the two documents.
    pub(super) fn has(&self, name: &str) -> bool {
        matches!(name, "input" | "data")
            || self.rules.contains(name)
            || self.imports.iter().any(|(import, _)| import == name)
    }
}

/// The names of a reference, up to the first that is not fixed.
pub(in crate::decision) fn path(reference: &Value) -> Vec<String> {
    if let Some(name) = reference["Var"]["value"].as_str() {
        return vec![name.to_owned()];
    }
    let (kind, name) = match (reference.get("RefDot"), reference.get("RefBrack")) {
        (Some(dot), _) => (dot, dot["field"][1].as_str()),
        (_, Some(bracket)) => (bracket, bracket["index"]["String"]["value"].as_str()),
        _ => return Vec::new(),
    };
    let mut names = path(&kind["refr"]);
    // Only as long as nothing before was open.
    if is_fixed(&kind["refr"]) {
        names.extend(name.map(str::to_owned));
    }
    names
}

/// Whether each name of a reference is written out.
pub(in crate::decision) fn is_fixed(reference: &Value) -> bool {
    if reference.get("Var").is_some() {
        return true;
    }
    match (reference.get("RefDot"), reference.get("RefBrack")) {
        (Some(dot), _) => is_fixed(&dot["refr"]),
        (_, Some(bracket)) => bracket["index"].get("String").is_some() && is_fixed(&bracket["refr"]),
        _ => false,
    }
}

impl Names {
    /// The full path of a reference, up to the first name that is not fixed.
    pub(in crate::decision) fn full_path(&self, reference: &Value) -> Option<String> {
        let mut names = path(reference);
        let first = names.first()?.clone();
        if let Some((_, import)) = self.imports.iter().find(|(name, _)| *name == first) {
            names[0].clone_from(import);
        } else if self.rules.contains(&first) {
            names[0] = format!("{}.{first}", self.package);
        }
        Some(names.join("."))
    }

    /// Whether a reference stands for a package, or for several: all of their rules.
    pub(super) fn is_package(&self, reference: &Value) -> bool {
        let Some(path) = self.full_path(reference) else { return false };
        self.packages.iter().any(|package| {
            package.strip_prefix(path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}

/// The variables of an expression, but not those within its comprehensions, and no function's name.
pub(super) fn variables(expression: &Value, found: &mut BTreeSet<String>) {
    match expression {
        Value::Array(items) => items.iter().for_each(|item| variables(item, found)),
        Value::Object(fields) => {
            for (kind, content) in fields {
                match kind.as_str() {
                    "ArrayCompr" | "SetCompr" | "ObjectCompr" => {}
                    "Var" => found.extend(content["value"].as_str().map(str::to_owned)),
                    "Call" => variables(&content["params"], found),
                    _ => variables(content, found),
                }
            }
        }
        _ => {}
    }
}

/// The variables that have a value once a statement holds.
pub(super) fn binds(statement: &Value, found: &mut BTreeSet<String>) {
    let literal = &statement["literal"];
    if let Some(some) = literal.get("SomeIn") {
        variables(&some["key"], found);
        variables(&some["value"], found);
        variables(&some["collection"], found);
    } else if let Some(expression) = literal.get("Expr") {
        variables(&expression["expr"], found);
    }
    // `not`, `every` and `some x` give nothing a value.
    found.remove("_");
}

/// Whether the expression has a value of its own kind at once: each of its variables does.
pub(super) fn is_bound(expression: &Value, bound: &BTreeSet<String>, names: &Names) -> bool {
    let mut found = BTreeSet::new();
    variables(expression, &mut found);
    found.iter().all(|name| bound.contains(name) || names.has(name))
}

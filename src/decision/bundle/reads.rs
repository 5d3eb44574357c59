//! What of `input` the rules of a bundle can see: two questions that differ in nothing of it get the same verdict.
//!
//! It is read off the rules' text, of all entrypoints together. Whatever is not clearly one fixed place below `input` counts as
//! all that may be there: `input[name]`, `f(input)`, `x := input.request` and `import input.request` see everything below.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::decision::trace::{Names, is_fixed, reference_path};

/// Builtins whose value is another each time.
const DIFFERENT_EACH_TIME: [&str; 4] = ["http.send", "rand.intn", "time.now_ns", "uuid.rfc4122"];

/// Which parts of the input of a question the rules can see, beside those that are always looked at: the method, the
/// segments of the path, whose credential it is, the upstream, the method and the tool of an MCP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::decision) struct InputReads {
    pub context: bool,
    pub gateway: bool,
    pub host: bool,
    pub now: bool,
    /// Of an MCP message.
    pub params: bool,
    pub query: bool,
    pub raw_path: bool,
    pub source_ip: bool,
    pub headers: HeaderReads,
    /// Whether the same input and data give the same result at all.
    pub repeatable: bool,
}

/// Which of the request's headers the rules can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::decision) enum HeaderReads {
    All,
    /// These, in lower case as the input has them.
    Named(BTreeSet<String>),
}

impl HeaderReads {
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(name),
        }
    }
}

impl InputReads {
    /// What the rules of these trees can see, each with what names mean in its file.
    pub fn find<'t>(files: impl IntoIterator<Item = (&'t Value, &'t Names)>) -> Self {
        let mut found = Found::default();
        for (tree, names) in files {
            if names.imports.iter().any(|(_, path)| path == "input" || path.starts_with("input.")) {
                found.places.insert(Vec::new());
            }
            for rule in tree["ast"]["rules"].as_array().into_iter().flatten() {
                let mut aliases = Aliases::new();
                find_aliases(rule, &mut aliases);
                found.note(rule, Rule { names, aliases: &aliases });
            }
        }
        let mut reads = Self {
            context: false,
            gateway: false,
            host: false,
            now: false,
            params: false,
            query: false,
            raw_path: false,
            source_ip: false,
            headers: HeaderReads::Named(BTreeSet::new()),
            repeatable: !found.different_each_time,
        };
        found.places.iter().for_each(|place| reads.add(place));
        reads
    }

    fn add(&mut self, place: &[String]) {
        let names: Vec<&str> = place.iter().map(String::as_str).collect();
        match names[..] {
            [] => {
                (self.context, self.gateway, self.now, self.params) = (true, true, true, true);
                self.add_request(&[]);
            }
            ["context", ..] => self.context = true,
            ["gateway", ..] => self.gateway = true,
            ["now", ..] => self.now = true,
            ["mcp", "method" | "tool", ..] => {}
            ["mcp", ..] => self.params = true,
            ["request", ref rest @ ..] => self.add_request(rest),
            // These are always looked at, or are nowhere in the input of a gateway's question.
            _ => {}
        }
    }

    fn add_request(&mut self, rest: &[&str]) {
        match *rest {
            [] => {
                (self.host, self.query, self.raw_path, self.source_ip) = (true, true, true, true);
                self.headers = HeaderReads::All;
            }
            ["host", ..] => self.host = true,
            ["query", ..] => self.query = true,
            ["raw_path", ..] => self.raw_path = true,
            ["source_ip", ..] => self.source_ip = true,
            ["headers"] => self.headers = HeaderReads::All,
            ["headers", name, ..] => {
                if let HeaderReads::Named(names) = &mut self.headers {
                    names.insert(name.to_owned());
                }
            }
            _ => {}
        }
    }
}

/// Variables of a rule that only stand for a place below `input` (`headers := input.request.headers`), and the places. A name that
/// several of its bodies use stands for all of theirs: that only adds to what is read.
type Aliases = BTreeMap<String, BTreeSet<Vec<String>>>;

/// Where a piece of the tree stands.
#[derive(Clone, Copy)]
struct Rule<'a> {
    names: &'a Names,
    aliases: &'a Aliases,
}

/// The places below `input` that are named.
#[derive(Debug, Default)]
struct Found {
    places: BTreeSet<Vec<String>>,
    different_each_time: bool,
}

/// The name and the place, if this gives a variable nothing but a place below `input` that is always there. Of any other the
/// assignment itself asks whether it is there, which is to look at it.
fn alias(assignment: &Value) -> Option<(String, Vec<String>)> {
    const ALWAYS_THERE: [&[&str]; 3] = [&[], &["request"], &["request", "headers"]];
    let place = place(&assignment["rhs"]).filter(|_| is_fixed(&assignment["rhs"]))?;
    ALWAYS_THERE.iter().find(|there| place == **there)?;
    let name = assignment["lhs"]["Var"]["value"].as_str()?;
    (assignment["op"] == "ColEq" && name != "input").then(|| (name.to_owned(), place))
}

/// The fixed beginning of a place below `input`.
fn place(reference: &Value) -> Option<Vec<String>> {
    let mut path = reference_path(reference);
    (path.first()? == "input").then(|| path.split_off(1))
}

fn find_aliases(node: &Value, aliases: &mut Aliases) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| find_aliases(item, aliases)),
        Value::Object(fields) => {
            if let Some((name, place)) = fields.get("AssignExpr").and_then(alias) {
                aliases.entry(name).or_default().insert(place);
            }
            fields.values().for_each(|field| find_aliases(field, aliases));
        }
        _ => {}
    }
}

/// Whether it only looks whether there is an MCP message, which is always looked at.
fn asks_for_a_message(comparison: &Value) -> bool {
    let is_message = |side: &Value| is_fixed(side) && place(side).is_some_and(|place| place == ["mcp"]);
    let is_null = |side: &Value| side.get("Null").is_some();
    let (left, right) = (&comparison["lhs"], &comparison["rhs"]);
    (is_message(left) && is_null(right)) || (is_null(left) && is_message(right))
}

impl Found {
    /// Looks through a piece of the tree. The parser bounds its depth.
    fn note(&mut self, node: &Value, rule: Rule<'_>) {
        match node {
            Value::Array(items) => items.iter().for_each(|item| self.note(item, rule)),
            Value::Object(fields) => {
                if fields.get("AssignExpr").is_some_and(|assignment| alias(assignment).is_some())
                    || fields.get("BoolExpr").is_some_and(asks_for_a_message)
                {
                    return;
                }
                if ["Var", "RefDot", "RefBrack"].iter().any(|kind| fields.contains_key(*kind)) {
                    return self.note_reference(node, rule);
                }
                let function = fields.get("Call").and_then(|call| rule.names.full_path(&call["fcn"]));
                if function.is_some_and(|function| DIFFERENT_EACH_TIME.contains(&function.as_str())) {
                    self.different_each_time = true;
                }
                fields.values().for_each(|field| self.note(field, rule));
            }
            _ => {}
        }
    }

    fn note_reference(&mut self, reference: &Value, rule: Rule<'_>) {
        let path = reference_path(reference);
        if let Some((first, rest)) = path.split_first() {
            if first == "input" {
                self.places.insert(rest.to_vec());
            }
            for place in rule.aliases.get(first).into_iter().flatten() {
                self.places.insert(place.iter().chain(rest).cloned().collect());
            }
        }
        let mut rest = reference;
        loop {
            if let Some(dot) = rest.get("RefDot") {
                rest = &dot["refr"];
            } else if let Some(bracket) = rest.get("RefBrack") {
                self.note(&bracket["index"], rule);
                rest = &bracket["refr"];
            } else if rest.get("Var").is_some() {
                return;
            } else {
                return self.note(rest, rule);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HeaderReads, InputReads};
    use crate::decision::{RegoSource, RegoVersion, syntax_trees, trace::names_of_all};

    fn reads(rego: &str) -> InputReads {
        let sources = [RegoSource { name: "a.rego".into(), text: format!("package regate\n{rego}") }];
        let trees = syntax_trees(&sources, RegoVersion::V1).unwrap();
        InputReads::find(trees.iter().zip(&names_of_all(&sources, &trees)))
    }

    fn headers(rego: &str) -> HeaderReads {
        reads(rego).headers
    }

    #[test]
    fn a_fixed_place_is_that_place_and_nothing_beside_it() {
        let nothing = reads("decision if input.request.method == \"GET\"\nother := input.token.id");
        assert_eq!(nothing.headers, HeaderReads::Named([].into()));
        assert!(nothing.repeatable);
        let InputReads { context, gateway, host, now, params, query, raw_path, source_ip, .. } = nothing;
        assert!(![context, gateway, host, now, params, query, raw_path, source_ip].contains(&true));
        let seen = |field: &str| reads(&format!("decision if input.{field}"));
        assert!(seen("context.a").context && seen("gateway.id").gateway && seen("now").now);
        assert!(seen("mcp.params.x").params && seen("mcp").params && !seen("mcp.tool").params);
        assert!(seen("request.host").host && seen("request.query.a").query);
        assert!(seen("request.raw_path").raw_path && seen("request[\"source_ip\"]").source_ip);
        let one = HeaderReads::Named(["x-a".into()].into());
        assert_eq!(headers("d if input.request.headers[\"x-a\"]"), one);
        assert_eq!(headers("d if { headers := input.request.headers\n not headers[\"x-a\"] }"), one);
        assert_eq!(headers("d if { r := input.request\n not r.headers[\"x-a\"] }"), one);
        // Whether it is there at all is looked at, whatever becomes of the variable.
        assert_eq!(headers("d if { x := input.request.headers[\"x-a\"] }"), one);
        assert_eq!(headers("d if { _ := input.request.headers[\"x-a\"] }"), one);
        assert!(
            reads("d if { x := input.context.a }").context
                && reads("d if { q := input.request.query.a }").query
        );
        assert!(!seen("mcp == null").params && !seen("mcp != null").params);
        assert!(seen("mcp == 1").params && seen("mcp.params == null").params);
    }

    #[test]
    fn what_is_no_fixed_place_is_everything_below() {
        for rego in [
            "d if { headers := input.request.headers\n headers[input.token.id] }",
            "d if { headers := input.request.headers\n f(headers) }\nf(_) := 1",
            "d := x if { x := input.request.headers }",
            "d if { headers := input.request.headers\n some name\n headers[name] }",
            "d if { r := input.request\n h := r.headers\n h[\"x-a\"] }",
            "d if { headers = input.request.headers\n headers[\"x-a\"] }",
            "d if { [headers] := [input.request.headers]\n headers[\"x-a\"] }",
            "d if { headers := input.request.headers\n x := headers }",
            "d if { x := input.request.path } else := x if { x := input.request.headers }",
            "d if { some name, _ in input.request.headers\n name == \"x\" }",
            "d if input.request.headers[input.token.id]",
            "d if input.request[\"headers\"]",
            "d if input.request[_] == 1",
            "f(x) := x.headers\nd := f(input.request)",
            "d := object.get(input, [\"request\", \"headers\"], null)",
            "d := [1 | walk(input, [_, 1])]",
            "import input.request as r\nd := r.headers",
            "import input as i\nd := i.request",
            "d := input[\"request\"].headers",
            "d := {name: 1 | input.request.headers[name]}",
            "d if { every value in input.request.headers { value != \"\" } }",
            "d := true if { true } else := input.request.headers",
            "d contains x if x := input.request.headers",
            "default d := false\nd := input",
            "f(input_) := 1\nd := f(input)",
            "d if { e with input.request as input.request }\ne := 1",
        ] {
            assert_eq!(headers(rego), HeaderReads::All, "{rego}");
        }
        assert!(reads("d if input[input.token.id]").now);
        assert!(reads("d if data.x[input.now]").now);
        assert!(reads("d if [1, input.now][1]").now);
    }

    #[test]
    fn what_is_another_each_time_is_known() {
        assert!(!reads("d := uuid.rfc4122(\"x\")").repeatable);
        assert!(!reads("d if f(1)\nf(x) := time.now_ns() + x").repeatable);
        assert!(reads("d := uuid.parse(\"x\")").repeatable);
    }
}

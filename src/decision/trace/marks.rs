//! Puts the marks into the text of rules, and makes the outline of what can be reached.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    MARK,
    asks::{assigned, locals},
    bound::{Names, binds, is_fixed, path, variables},
    outline::{Body, Condition, Definition, Key, Outline},
    probes::compared as compared_parts,
    taint::{Look, Tainted, parameters, spread},
    written::{allow, column_at, expression, line_at, number, one_line},
};
use crate::decision::{
    bundle::RegoSource,
    edits::{Edit, apply, follows_if, whole_end},
};

/// The variable of the lists of values. Rules of nobody else have one of that name.
const VALUE: &str = "regate_trace_value";

/// The sources with marks, and their outline. `trees` are the syntax trees of the same sources, in the same order.
///
/// # Errors
/// What could not be understood.
pub(in crate::decision) fn mark(
    sources: &[RegoSource],
    trees: &[Value],
) -> Result<(Vec<RegoSource>, Outline), String> {
    if trees.len() != sources.len() {
        return Err(format!("{} files were read as {} modules", sources.len(), trees.len()));
    }
    let packages = packages(trees);
    let names = names_of_all(sources, trees);
    let tainted = taint(&names, trees);
    let mut outline = Outline::default();
    let mut marked = Vec::new();
    for ((source, tree), names) in sources.iter().zip(trees).zip(names) {
        let version = tree["version"].as_u64().unwrap_or(1);
        let mut marker = Marker {
            source,
            version,
            names,
            packages: &packages,
            tainted: &tainted,
            outline: &mut outline,
            edits: Vec::new(),
            locals: BTreeSet::new(),
        };
        for rule in tree["ast"]["rules"].as_array().into_iter().flatten() {
            marker.rule(rule)?;
        }
        let edits = marker.edits;
        marked.push(RegoSource { name: source.name.clone(), text: apply(&source.text, edits) });
    }
    Ok((marked, outline))
}

/// The path of a module's package, `data.` first.
pub(in crate::decision) fn package(tree: &Value) -> String {
    format!("data.{}", path(&tree["ast"]["package"]["refr"]).join("."))
}

/// The first names of the rules of each package.
fn packages(trees: &[Value]) -> BTreeMap<String, BTreeSet<String>> {
    let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for tree in trees {
        let package = package(tree);
        let rules = tree["ast"]["rules"].as_array().into_iter().flatten();
        let names = rules.filter_map(|rule| path(head(rule)).into_iter().next());
        packages.entry(package).or_default().extend(names);
    }
    packages
}

/// The reference in a rule's head.
fn head(rule: &Value) -> &Value {
    if let Some(default) = rule.get("Default") {
        return &default["refr"];
    }
    let head = rule["Spec"]["head"].as_object().and_then(|kinds| kinds.values().next());
    head.map_or(&Value::Null, |head| &head["refr"])
}

/// The path of a rule, `data.` first, without the key of a rule for parts.
pub(in crate::decision) fn names_of_head(package: &Value, rule: &Value) -> String {
    let head = rule["head"].as_object().and_then(|kinds| kinds.values().next());
    let name = head.map(|head| path(&head["refr"]).join(".")).unwrap_or_default();
    format!("data.{}.{name}", path(package).join("."))
}

/// Marks one file.
pub(super) struct Marker<'a> {
    pub(super) source: &'a RegoSource,
    version: u64,
    pub(super) names: Names,
    pub(super) packages: &'a BTreeMap<String, BTreeSet<String>>,
    tainted: &'a Tainted,
    outline: &'a mut Outline,
    edits: Vec<Edit>,
    /// The variables of the rule that is being marked, which may have the names of rules.
    pub(super) locals: BTreeSet<String>,
}

/// What names mean in each file.
pub(in crate::decision) fn names_of_all(sources: &[RegoSource], trees: &[Value]) -> Vec<Names> {
    let packages = packages(trees);
    sources.iter().zip(trees).map(|(source, tree)| names_of(&source.text, tree, &packages)).collect()
}

/// What names mean in a file.
fn names_of(text: &str, tree: &Value, packages: &BTreeMap<String, BTreeSet<String>>) -> Names {
    let package = package(tree);
    let imports = tree["ast"]["imports"].as_array().into_iter().flatten();
    let imports = imports.filter_map(|import| {
        let names = path(&import["refr"]);
        let written = |span: &Value| {
            let at = |end: &str| usize::try_from(span[end].as_u64()?).ok();
            text.get(at("start")?..at("end")?).map(str::to_owned)
        };
        let name = written(&import["as"]).or_else(|| names.last().cloned())?;
        Some((name, names.join(".")))
    });
    let rules = packages.get(&package).cloned().unwrap_or_default();
    Names { imports: imports.collect(), rules, package, packages: packages.keys().cloned().collect() }
}

/// Which rules and parameters may hold something made of a secret.
fn taint(names: &[Names], trees: &[Value]) -> Tainted {
    let mut tainted = Tainted::default();
    // It comes to an end: there is more with each round, and not more than there are rules and parameters.
    loop {
        let mut more = tainted.clone();
        for (names, tree) in names.iter().zip(trees) {
            spread(names, &tree["ast"]["rules"], &tainted, &mut more);
        }
        if more == tainted {
            return tainted;
        }
        tainted = more;
    }
}

impl Marker<'_> {
    fn rule(&mut self, rule: &Value) -> Result<(), String> {
        let Some(rule) = rule.get("Spec") else { return Ok(()) };
        let Some((kind, head)) = rule["head"].as_object().and_then(|kinds| kinds.iter().next()) else {
            return Ok(());
        };
        let mut names = path(&head["refr"]);
        let key = match kind.as_str() {
            "Set" => key(&head["key"], &rule["bodies"]),
            // `rule[key] := value`
            "Compr" if !is_fixed(&head["refr"]) => key(&head["refr"]["RefBrack"]["index"], &rule["bodies"]),
            _ => Key::None,
        };
        names.insert(0, self.names.package.clone());
        let definition = self.outline.definitions.len();
        self.locals.clear();
        locals(rule, &mut self.locals);
        variables(&head["args"], &mut self.locals);
        let mut asks = BTreeSet::new();
        let parts = head.as_object().into_iter().flatten().filter(|(part, _)| *part != "refr");
        parts.for_each(|(_, part)| self.asks(part, &mut asks));
        self.asks_in_brackets(&head["refr"], &mut asks);
        self.asks(&rule["bodies"], &mut asks);
        self.outline.definitions.push(Definition {
            path: names.join("."),
            package: self.names.package.clone(),
            file: self.source.name.clone(),
            key,
            asks,
        });
        let mut bound = BTreeSet::new();
        variables(&head["args"], &mut bound);
        bound.remove("_");
        let secret = parameters(head, &self.outline.definitions[definition].path, self.tainted);
        let bodies = rule["bodies"].as_array().into_iter().flatten();
        for (place, body) in bodies.enumerate() {
            let otherwise = body["is_else"] == true;
            let assigned = if place == 0 && !otherwise { &head["assign"] } else { &body["assign"] };
            let value = if kind == "Set" { &head["key"] } else { &assigned["value"] };
            let span = if otherwise { &body["span"] } else { &rule["span"] };
            let outlined = self.outline_body(definition, span, value);
            let conditions = body["query"]["stmts"].as_array().map_or(&[][..], Vec::as_slice);
            if conditions.is_empty() {
                if otherwise {
                    self.mark_empty(outlined, value)?;
                }
                continue;
            }
            self.mark_query(outlined, conditions, bound.clone(), secret.clone(), true)?;
        }
        // What stands in heads may have queries of its own.
        self.nested(&rule["head"], None, definition, &bound, &secret)?;
        Ok(())
    }

    fn outline_body(&mut self, definition: usize, span: &Value, value: &Value) -> usize {
        self.outline.bodies.push(Body {
            definition,
            within: None,
            line: number(&span["line"]),
            value: self.written(value).unwrap_or_default(),
            allow: allow(value),
            secret: BTreeSet::new(),
            conditions: Vec::new(),
        });
        self.outline.bodies.len() - 1
    }

    /// `else := value` without conditions gets one: the mark.
    fn mark_empty(&mut self, body: usize, value: &Value) -> Result<(), String> {
        let Some((begin, end)) = self.place_of(value) else {
            // `else` alone, whose value is `true`: there is nothing behind which a mark could stand.
            return Ok(());
        };
        let end = whole_end(&self.source.text, begin, end)?;
        let condition = if self.version == 0 { "" } else { " if" };
        self.edits.push(Edit::insert(end, format!("{condition} {{ {MARK}({body}, 0, {{}}) }}")));
        Ok(())
    }

    fn mark_query(
        &mut self,
        body: usize,
        conditions: &[Value],
        mut bound: BTreeSet<String>,
        mut secret: BTreeSet<String>,
        may_be_alone: bool,
    ) -> Result<(), String> {
        let text = &self.source.text;
        let definition = self.outline.bodies[body].definition;
        // Those that have a value from outside are the body's own as well.
        let mut own = bound.clone();
        let mut last = 0;
        let mut alone = false;
        for (place, condition) in conditions.iter().enumerate() {
            let (begin, end) = self.place_of_statement(condition)?;
            let end = whole_end(text, begin, end)?;
            if place == 0 {
                alone = may_be_alone && follows_if(&text[..begin]);
            }
            let with: String = condition["with_mods"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|with| Some(format!(" {}", self.written_at(super::probes::place(with)?)?)))
                .collect();
            let expression = expression(condition);
            let mut compared: Vec<String> = Vec::new();
            let mut secret_parts = BTreeSet::new();
            for part in compared_parts(expression, &bound, &self.names) {
                if (Look { names: &self.names, tainted: self.tainted }).is_secret(part, &secret) {
                    secret_parts.insert(compared.len());
                }
                let written = self.place_of(part).and_then(|place| self.written_at(place));
                compared.extend(written.filter(|written| !compared.contains(written)));
            }
            let values: Vec<String> =
                compared.iter().map(|text| format!("[{VALUE} | {VALUE} := {text}{with}]")).collect();
            let mut mark = String::new();
            if alone {
                mark.push_str("{ ");
                alone = false;
                last = 1;
            }
            mark.push_str(&format!("{MARK}({body}, {place}, {}); ", variables_of(&bound)));
            if !values.is_empty() {
                mark.push_str(&format!("{MARK}({body}, [{place}], [{}]); ", values.join(", ")));
            }
            self.edits.push(Edit::insert(begin, mark));
            let mut asks = BTreeSet::new();
            self.asks(condition, &mut asks);
            self.outline.bodies[body].conditions.push(Condition {
                line: line_at(text, begin),
                column: column_at(text, begin),
                text: text.get(begin..end).map(one_line).unwrap_or_default(),
                compared,
                secret: secret_parts,
                asks,
            });
            let look = Look { names: &self.names, tainted: self.tainted };
            look.follow(condition, &mut secret);
            self.outline.bodies[body].secret.extend(secret.iter().cloned());
            self.nested(&condition["literal"], Some((body, place)), definition, &bound, &secret)?;
            binds(condition, &mut bound);
            assigned(condition, &mut own);
            // A rule's name means the rule, unless a variable of the body has that name.
            bound.retain(|name| !self.names.has(name) || own.contains(name));
            if place + 1 == conditions.len() {
                let close = if last == 1 { " }" } else { "" };
                let mark = format!("; {MARK}({body}, {}, {}){close}", place + 1, variables_of(&bound));
                self.edits.push(Edit::insert(end, mark));
            }
        }
        Ok(())
    }

    /// The queries within an expression.
    fn nested(
        &mut self,
        node: &Value,
        within: Option<(usize, usize)>,
        definition: usize,
        bound: &BTreeSet<String>,
        secret: &BTreeSet<String>,
    ) -> Result<(), String> {
        match node {
            Value::Array(items) => {
                items.iter().try_for_each(|item| self.nested(item, within, definition, bound, secret))
            }
            Value::Object(fields) => {
                if let Some(conditions) = fields.get("query").and_then(|query| query["stmts"].as_array())
                    && !conditions.is_empty()
                {
                    let mut bound = bound.clone();
                    let mut secret = secret.clone();
                    let look = Look { names: &self.names, tainted: self.tainted };
                    let of_a_secret =
                        look.is_secret(&fields.get("domain").cloned().unwrap_or_default(), &secret);
                    for variable in ["key", "value"] {
                        let name = fields.get(variable).and_then(|span| self.written_at_span(span));
                        let name = name.filter(|name| fields.contains_key("domain") && name != "_");
                        secret.extend(name.iter().filter(|_| of_a_secret).cloned());
                        bound.extend(name);
                    }
                    let body = self.outline_body(definition, &fields["query"]["span"], &Value::Null);
                    self.outline.bodies[body].within = within;
                    let begin = self.place_of_statement(&conditions[0])?.0;
                    self.outline.bodies[body].line = line_at(&self.source.text, begin);
                    self.mark_query(body, conditions, bound.clone(), secret.clone(), false)?;
                    let secret = &secret;
                    let rest = fields.iter().filter(|(name, _)| *name != "query");
                    return rest
                        .map(|(_, field)| field)
                        .try_for_each(|field| self.nested(field, within, definition, &bound, secret));
                }
                fields.values().try_for_each(|field| self.nested(field, within, definition, bound, secret))
            }
            _ => Ok(()),
        }
    }
}

/// How the key of a rule for parts gets its values.
fn key(key: &Value, bodies: &Value) -> Key {
    let Some(name) = key["Var"]["value"].as_str() else { return Key::Other };
    let listed = |body: &Value| {
        for statement in body["query"]["stmts"].as_array().into_iter().flatten() {
            let literal = &statement["literal"];
            if let Some(some) = literal.get("SomeIn") {
                return some["key"]["Var"]["value"] == name || some["value"]["Var"]["value"] == name;
            }
            // An assignment before it fails for all or for none.
            if literal["Expr"]["expr"]["AssignExpr"]["op"] != "ColEq" {
                return false;
            }
        }
        false
    };
    let all = bodies.as_array().is_some_and(|bodies| bodies.iter().all(listed));
    if all { Key::Listed(name.to_owned()) } else { Key::Other }
}

fn variables_of(bound: &BTreeSet<String>) -> String {
    let fields: Vec<String> = bound.iter().map(|name| format!("\"{name}\": {name}")).collect();
    format!("{{{}}}", fields.join(", "))
}

#[cfg(test)]
mod tests {
    use super::mark;
    use crate::decision::{bundle::RegoSource, syntax::syntax_trees};

    #[test]
    fn marks_stand_around_each_condition_and_lines_stay() {
        let text = r#"package t
import data.x as other
decision := {"allow": true} if {
	token := input.token
	some p in token.projects # why
	not other.f(p)
	every q in [1] { q == 1 }
} else := 5
f(x) if x > 1
"a" == f if "a" == input.b with input as {"b": 1}
deny contains p if { (1 + 2) == input.x; p := 1 }
"#;
        let text = text.replace("\"a\" == f if", "g if");
        let sources = [RegoSource { name: "t.rego".into(), text }];
        let trees = syntax_trees(&sources, Default::default()).unwrap();
        let (marked, outline) = mark(&sources, &trees).unwrap();
        assert_eq!(marked[0].text.lines().count(), sources[0].text.lines().count());
        insta::assert_snapshot!(marked[0].text);
        insta::assert_debug_snapshot!(outline);
        syntax_trees(&marked, Default::default()).unwrap();
    }
}

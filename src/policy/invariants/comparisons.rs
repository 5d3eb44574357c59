//! What policies compare the path and projects with.
//!
//! A word that only stands in `path[0] == "hooks"` says on which paths something is allowed: it is a route, as
//! `["api", "v1", _]` is. What is compared in one body is put together: `path[0] == "api"` and `path[1] == "hooks"`
//! are one route.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

/// A path that is longer is nobody's.
const LONGEST: usize = 12;
/// More words for one place of a route are left to chance.
const WORDS: usize = 40;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Comparisons {
    /// The beginnings of paths; a hole is anything.
    pub routes: BTreeSet<Vec<Option<String>>>,
    /// Texts that are compared with a project's id, or stand in a path where one could.
    pub projects: BTreeSet<String>,
}

/// The words that are asked for at places of the path.
type Places = BTreeMap<usize, BTreeSet<String>>;

impl Comparisons {
    /// Looks through one file.
    pub(super) fn tree(&mut self, tree: &Json) {
        let rules = &tree["ast"]["rules"];
        let mut names = Names::default();
        // Once more for what is made from what is found later.
        for _ in 0..2 {
            names.gather(rules);
        }
        self.bodies(rules, &names);
    }

    fn bodies(&mut self, node: &Json, names: &Names) {
        if let Some(statements) = node.get("stmts") {
            let mut places = Places::new();
            self.comparisons(statements, names, &mut places);
            self.combine(&places);
        }
        children(node, |child| self.bodies(child, names));
    }

    fn comparisons(&mut self, node: &Json, names: &Names, places: &mut Places) {
        for kind in ["BoolExpr", "AssignExpr"] {
            if let Some(compared) = node.get(kind).filter(|compared| compared["op"] != "ColEq") {
                let equal = compared["op"] == "Eq";
                for (one, other) in [("lhs", "rhs"), ("rhs", "lhs")] {
                    self.compared(&compared[one], &texts(&compared[other]), names, places);
                    if equal {
                        self.whole(&compared[one], &compared[other], names, places);
                    }
                }
            }
        }
        if let Some(membership) = node.get("Membership") {
            self.compared(&membership["value"], &texts(&membership["collection"]), names, places);
            // `"hooks" in path`
            if names.path(&membership["collection"]).is_some() {
                self.routes.extend(texts(&membership["value"]).into_iter().map(|word| vec![Some(word)]));
            }
        }
        // `{"hooks", "open"}[path[0]]`
        if let Some(looked_up) = node.get("RefBrack") {
            self.compared(&looked_up["index"], &texts(&looked_up["refr"]), names, places);
            // `data.projects["archive"]`
            if speaks_of_projects(&looked_up["refr"]) {
                self.projects.extend(texts(&looked_up["index"]));
            }
        }
        children(node, |child| self.comparisons(child, names, places));
    }

    /// One side of a comparison, and the texts that are on the other.
    fn compared(&mut self, one: &Json, texts: &BTreeSet<String>, names: &Names, places: &mut Places) {
        if texts.is_empty() {
            return;
        }
        if speaks_of_projects(one) {
            self.projects.extend(texts.iter().cloned());
        }
        if let Some(place) = names.place(one).filter(|place| *place < LONGEST) {
            places.entry(place).or_default().extend(texts.iter().cloned());
        }
    }

    /// `path == ["hooks"]`, `array.slice(path, 0, 2) == ["api", "v1"]`
    fn whole(&mut self, one: &Json, other: &Json, names: &Names, places: &mut Places) {
        let Some(items) = other["Array"]["items"].as_array().filter(|items| items.len() <= LONGEST) else {
            return;
        };
        let parameters = &one["Call"]["params"];
        let sliced = parameters.get(1).is_some_and(|from| number(from) == Some(0));
        if names.path(one).is_some() || sliced && names.path(&parameters[0]).is_some() {
            let words: Vec<Option<String>> =
                items.iter().map(|item| texts(item).into_iter().next()).collect();
            for (place, word) in words.iter().enumerate() {
                places.entry(place).or_default().extend(word.clone());
            }
            if words.iter().any(Option::is_some) {
                self.routes.insert(words);
            }
        }
    }

    /// The routes that have one of the words in each place.
    fn combine(&mut self, places: &Places) {
        let Some(last) = places.keys().next_back() else { return };
        let first = |place: usize| places.get(&place).and_then(|words| words.first()).cloned();
        let route: Vec<Option<String>> = (0..=*last).map(first).collect();
        for (place, words) in places {
            for word in words.iter().take(WORDS) {
                let mut route = route.clone();
                route[*place] = Some(word.clone());
                self.routes.insert(route);
                // Behind known words: where ids stand.
                if *place > 0 {
                    self.projects.insert(word.clone());
                }
            }
        }
    }
}

/// What a file calls the path and its segments.
#[derive(Debug, Default)]
struct Names {
    /// Names of the whole path, and at which place in them it begins.
    paths: BTreeMap<String, usize>,
    /// Names of segments, and their places.
    segments: BTreeMap<String, usize>,
}

impl Names {
    fn gather(&mut self, node: &Json) {
        if let Some(assigned) = node.get("AssignExpr").filter(|assigned| assigned["op"] == "ColEq") {
            self.name(&assigned["lhs"], &assigned["rhs"]);
        }
        if let Some(head) = node.get("Compr") {
            self.name(&head["refr"], &head["assign"]["value"]);
        }
        children(node, |child| self.gather(child));
    }

    fn name(&mut self, name: &Json, value: &Json) {
        let Some(name) = name["Var"]["value"].as_str() else { return };
        if let Some(begin) = self.path(value) {
            self.paths.insert(name.to_owned(), begin);
        } else if value["Call"]["fcn"]["Var"]["value"] == "split" {
            // What is before the first slash is nothing, unless that was trimmed away.
            let whole = value["Call"]["params"][0]["RefDot"]["field"][1] == "raw_path";
            self.paths.insert(name.to_owned(), usize::from(whole));
        } else if let Some(place) = self.place(value) {
            self.segments.insert(name.to_owned(), place);
        }
    }

    /// Where the path begins in what this expression is; none if it is no path.
    fn path(&self, expression: &Json) -> Option<usize> {
        let reference = &expression["RefDot"];
        if reference["field"][1] == "path" && reference["refr"]["RefDot"]["field"][1] == "request" {
            return Some(0);
        }
        self.paths.get(expression["Var"]["value"].as_str()?).copied()
    }

    /// The place of the path that this expression is the segment of, whatever is made of it.
    fn place(&self, expression: &Json) -> Option<usize> {
        if let Some(name) = expression["Var"]["value"].as_str() {
            return self.segments.get(name).copied();
        }
        if let Some(first) = expression["Call"]["params"].get(0) {
            return self.place(first);
        }
        let reference = &expression["RefBrack"];
        number(&reference["index"])?.checked_sub(self.path(&reference["refr"])?)
    }
}

fn children(node: &Json, look: impl FnMut(&Json)) {
    match node {
        Json::Array(items) => items.iter().for_each(look),
        Json::Object(fields) => fields.values().for_each(look),
        _ => {}
    }
}

fn number(expression: &Json) -> Option<usize> {
    usize::try_from(expression["Number"]["value"].as_u64()?).ok()
}

/// A text, or the texts of a set, an array, or the names of an object, that could be segments.
fn texts(expression: &Json) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let text = |item: &Json| {
        let text = ["String", "RawString"].iter().find_map(|kind| item[*kind]["value"].as_str());
        text.filter(|text| !text.is_empty() && !text.contains(['/', '%', ' '])).map(str::to_owned)
    };
    found.extend(text(expression));
    for kind in ["Set", "Array"] {
        found.extend(expression[kind]["items"].as_array().into_iter().flatten().filter_map(text));
    }
    let fields = expression["Object"]["fields"].as_array().into_iter().flatten();
    found.extend(fields.filter_map(|field| text(&field[1])));
    found
}

/// Whether a reference's last name is a project's or the projects'.
fn speaks_of_projects(reference: &Json) -> bool {
    let name = reference["Var"]["value"]
        .as_str()
        .or_else(|| reference["RefDot"]["field"][1].as_str())
        .or_else(|| reference["RefBrack"]["index"]["String"]["value"].as_str());
    name.is_some_and(|name| name.to_lowercase().contains("project"))
}

#[cfg(test)]
mod tests {
    use super::Comparisons;
    use crate::decision::{RegoSource, syntax_trees};

    fn found(body: &str) -> (Vec<String>, Vec<String>) {
        let text = format!("package t\n\npath := input.request.path\n\nallow if {{\n{body}\n}}\n");
        let sources = [RegoSource { name: "t.rego".into(), text }];
        let mut comparisons = Comparisons::default();
        syntax_trees(&sources, Default::default()).unwrap().iter().for_each(|tree| comparisons.tree(tree));
        let segments = |route: Vec<Option<String>>| -> Vec<String> {
            route.into_iter().map(|word| word.unwrap_or_else(|| "_".to_owned())).collect()
        };
        let routes = comparisons.routes.into_iter().map(|route| segments(route).join("/"));
        (routes.collect(), comparisons.projects.into_iter().collect())
    }

    #[test]
    fn words_that_places_of_the_path_are_compared_with_are_routes() {
        for (body, expected) in [
            ("input.request.path[0] == \"hooks\"", &["hooks"][..]),
            ("lower(path[1]) == \"hooks\"", &["_/hooks"]),
            ("\"hooks\" == path[0]; path[1] == \"in\"", &["hooks/in"]),
            ("path[0] in {\"hooks\", \"open\"}", &["hooks", "open"]),
            ("{\"hooks\"}[path[0]]", &["hooks"]),
            ("[\"hooks\"] == input.request.path", &["hooks"]),
            ("\"hooks\" in path", &["hooks"]),
            ("first := path[0]\nfirst == \"hooks\"", &["hooks"]),
            ("array.slice(path, 0, 1) == [\"api\"]; path[2] == \"x\"", &["api", "api/_/x"]),
            ("parts := split(input.request.raw_path, \"/\"); parts[1] == \"hooks\"", &["hooks"]),
            ("input.token.kind == \"global\"; some_list[0] == \"x\"", &[]),
        ] {
            let body = format!("some_list := [1]\n{body}");
            assert_eq!(found(&body).0, expected, "{body}");
        }
    }

    #[test]
    fn texts_that_projects_are_compared_with_are_ids() {
        for body in [
            "data.regate.request.project == \"archive\"",
            "input.token.project_id in {\"archive\"}",
            "data.projects[\"archive\"].public",
            "project := path[3]; project != \"archive\"",
            "path[3] == \"archive\"",
        ] {
            assert_eq!(found(body).1, ["archive"], "{body}");
        }
        assert!(found("input.token.kind == \"project\"").1.is_empty());
    }
}

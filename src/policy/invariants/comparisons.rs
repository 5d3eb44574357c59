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
        for place in names.places(one).into_iter().filter(|place| *place < LONGEST) {
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
    /// Names of the whole path, and at which place in them it begins: unknown of a text that was split.
    paths: BTreeMap<String, Vec<usize>>,
    /// Names of segments, and their places.
    segments: BTreeMap<String, Vec<usize>>,
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
            self.paths.insert(name.to_owned(), vec![0, 1]);
        } else {
            let places = self.places(value);
            if !places.is_empty() {
                self.segments.insert(name.to_owned(), places);
            }
        }
    }

    /// Where the path begins in what this expression is; none if it is no path.
    fn path(&self, expression: &Json) -> Option<Vec<usize>> {
        let reference = &expression["RefDot"];
        if reference["field"][1] == "path" && reference["refr"]["RefDot"]["field"][1] == "request" {
            return Some(vec![0]);
        }
        self.paths.get(expression["Var"]["value"].as_str()?).cloned()
    }

    /// The places of the path that this expression may be the segment of, whatever is made of it.
    fn places(&self, expression: &Json) -> Vec<usize> {
        if let Some(name) = expression["Var"]["value"].as_str() {
            return self.segments.get(name).cloned().unwrap_or_default();
        }
        if let Some(first) = expression["Call"]["params"].get(0) {
            return self.places(first);
        }
        let reference = &expression["RefBrack"];
        match (self.path(&reference["refr"]), number(&reference["index"])) {
            (Some(begins), Some(index)) => {
                begins.into_iter().filter_map(|begin| index.checked_sub(begin)).collect()
            }
            _ => Vec::new(),
        }
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

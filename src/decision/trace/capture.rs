//! What a rule is asked over: its input and the documents below `data`, each time it is evaluated.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use regorus::{Value, utils::limits::ExecutionTimerConfig};
use serde_json::Value as Tree;

use super::{Book, MARK, MOST_EVENTS, Seen, listen, marks::names_of_head, probes::place};
use crate::decision::{
    Document,
    bundle::{CompileError, RegoSource, RegoVersion, TIME_CHECK_INTERVAL, engine_with},
    edits::{Edit, apply, follows_if, leftmost, whole_begin, whole_end},
    interpreter::RuleTest,
    syntax::syntax_trees,
};

/// Evaluates each test and gives what the rules at `paths` were asked over meanwhile: which rule, the input, and the value
/// of each of `documents` (names below `data`), undefined where there was none.
///
/// # Errors
/// [`CompileError`] when the rules do not parse.
pub(in crate::decision) fn capture(
    sources: &[RegoSource],
    data: &Document,
    version: RegoVersion,
    paths: &[&str],
    documents: &[String],
    tests: &[RuleTest],
    time: Duration,
) -> Result<Vec<(usize, Vec<Value>)>, CompileError> {
    let trees = syntax_trees(sources, version)?;
    let looks = std::iter::once("input".to_owned())
        .chain(documents.iter().map(|name| format!("data[{}]", Tree::from(name.as_str()))))
        .map(|look| format!("[regate_trace_value | regate_trace_value := {look}]"));
    let looks = looks.collect::<Vec<_>>().join(", ");
    let mark = |rule: usize| format!("{MARK}({rule}, [0], [{looks}])");
    let marked: Vec<RegoSource> = sources
        .iter()
        .zip(&trees)
        .map(|(source, tree)| RegoSource {
            name: source.name.clone(),
            text: apply(&source.text, edits(&source.text, tree, paths, &mark)),
        })
        .collect();
    let mut engine = engine_with(&marked, data.clone(), version)?;
    engine.set_strict_builtin_errors(false);
    engine.set_gather_prints(true);
    let check_interval = TIME_CHECK_INTERVAL;
    engine.set_execution_timer_config(ExecutionTimerConfig { limit: time, check_interval });
    let book = Arc::new(Mutex::new(Book { most: MOST_EVENTS, ..Book::default() }));
    listen(&mut engine, &book).map_err(CompileError::Unmarked)?;
    for test in tests {
        // Whether it passes is another's question.
        let _ = engine.eval_rule(test.path.clone());
    }
    let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
    let values = book.events.drain(..).filter_map(|event| match event.seen {
        Seen::Values(Value::Array(looks)) => Some((event.body, looks.iter().map(first).collect())),
        _ => None,
    });
    Ok(values.collect())
}

fn first(look: &Value) -> Value {
    look.as_array().ok().and_then(|list| list.first()).cloned().unwrap_or(Value::Undefined)
}

/// A mark at the first condition of each definition of the rules.
fn edits(text: &str, tree: &Tree, paths: &[&str], mark: &dyn Fn(usize) -> String) -> Vec<Edit> {
    let mut edits = Vec::new();
    for rule in tree["ast"]["rules"].as_array().into_iter().flatten() {
        let Some(rule) = rule.get("Spec") else { continue };
        let name = names_of_head(&tree["ast"]["package"]["refr"], rule);
        let Some(mark) = paths.iter().position(|path| *path == name).map(mark) else { continue };
        let body = &rule["bodies"][0]["query"]["stmts"][0];
        if body.is_null() {
            let head = rule["head"].as_object().and_then(|kinds| kinds.values().next());
            let value = head.map(|head| &head["assign"]["value"]);
            let end = value.and_then(|value| {
                let content = value.as_object()?.values().next()?;
                whole_end(text, leftmost(text, value)?, place(content)?.1).ok()
            });
            let word = if tree["version"] == 0 { "" } else { " if" };
            edits.extend(end.map(|end| Edit::insert(end, format!("{word} {{ {mark} }}"))));
            continue;
        }
        let Some((begin, end)) = place(body) else { continue };
        let begin =
            leftmost(text, &body["literal"]["Expr"]["expr"]).unwrap_or(begin).min(whole_begin(text, begin));
        let Ok(end) = whole_end(text, begin, end) else { continue };
        if follows_if(&text[..begin]) {
            edits.push(Edit::insert(begin, format!("{{ {mark}; ")));
            edits.push(Edit::insert(end, " }"));
        } else {
            edits.push(Edit::insert(begin, format!("{mark}; ")));
        }
    }
    edits
}

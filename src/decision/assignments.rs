//! `x := expression`, made to mean in the virtual machine what it means in Rego.
//!
//! In Rego an assignment whose right side is undefined fails, and the rule with it: the usual way to
//! ask "is there such a row?" is `role := data.collaborators[project][user].role`. The compiler of
//! regorus 0.14 for the virtual machine leaves that check out (`compile_assignment_plan…`, the case
//! `ColonEquals`): the body goes on, and a rule that should not hold holds. So before a bundle is
//! compiled for the virtual machine, each assignment gets a second statement that has the check:
//! `x := e` becomes `x := e; x == x`, which costs a comparison of a value with itself in memory. Lines stay where they are, so messages do. The interpreter, which
//! is right, reads the original.
//!
//! `tests/decisions/engines.rs` holds both engines to the same results and fails when this is no
//! longer needed, so that it can go.

use serde_json::Value;

use super::{
    bundle::RegoSource,
    edits::{Edit, apply, follows_if, leftmost, whole_begin, whole_end},
};

/// The sources with every assignment guarded. `modules` are the engine's syntax trees of the same sources,
/// in the same order.
///
/// # Errors
/// What could not be understood. The bundle must then not be used: an unguarded assignment allows.
pub(super) fn guard(sources: &[RegoSource], modules: &[Value]) -> Result<Vec<RegoSource>, String> {
    if modules.len() != sources.len() {
        return Err(format!("{} files were read as {} modules", sources.len(), modules.len()));
    }
    sources
        .iter()
        .zip(modules)
        .map(|(source, module)| {
            let mut edits = Vec::new();
            collect(&module["ast"], &source.text, &mut edits)?;
            Ok(RegoSource { name: source.name.clone(), text: apply(&source.text, edits) })
        })
        .collect()
}

/// Finds the statements of every query, however deep it stands.
fn collect(node: &Value, text: &str, edits: &mut Vec<Edit>) -> Result<(), String> {
    match node {
        Value::Array(items) => items.iter().try_for_each(|item| collect(item, text, edits)),
        Value::Object(fields) => {
            for kind in ["ArrayCompr", "SetCompr", "ObjectCompr"] {
                if let Some(comprehension) = fields.get(kind) {
                    edits.extend(guard_comprehension(comprehension, text));
                }
            }
            if let Some(statements) = fields.get("stmts").and_then(Value::as_array) {
                for statement in statements {
                    guard_statement(statement, text, edits)?;
                }
            }
            fields.values().try_for_each(|field| collect(field, text, edits))
        }
        _ => Ok(()),
    }
}

/// A comprehension of which no statement loops, and one fails, sends the machine round and round until its budget is used
/// up. One that goes over a single item ends.
fn guard_comprehension(comprehension: &Value, text: &str) -> Option<Edit> {
    let first = comprehension["query"]["stmts"].as_array()?.first()?;
    if first["literal"].get("SomeIn").is_some() {
        return None;
    }
    let begin = usize::try_from(first["span"]["start"].as_u64()?).ok()?;
    let expression = leftmost(text, &first["literal"]["Expr"]["expr"]).unwrap_or(begin);
    Some(Edit::insert(expression.min(whole_begin(text, begin)), "[0][_] == 0; "))
}

fn guard_statement(statement: &Value, text: &str, edits: &mut Vec<Edit>) -> Result<(), String> {
    let assignment = &statement["literal"]["Expr"]["expr"]["AssignExpr"];
    if assignment["op"] != "ColEq" {
        return Ok(());
    }
    // Patterns such as `[x, y] := …` are checked by the machine as they are.
    let Some(variable) = assignment["lhs"]["Var"]["value"].as_str() else { return Ok(()) };
    let place = |span: &Value, end: &str| {
        let at = span[end].as_u64().and_then(|at| usize::try_from(at).ok());
        at.filter(|at| text.is_char_boundary(*at)).ok_or_else(|| "a statement has no place".to_owned())
    };
    let begin = place(&statement["span"], "start")?;
    let end = whole_end(text, begin, place(&statement["span"], "end")?)?;
    if variable == "_" {
        // `_ = e` has the check.
        let operator = text.get(begin..end).and_then(|text| text.find(":="));
        let at = begin + operator.ok_or("an assignment without its operator")?;
        edits.push(Edit { begin: at, end: at + 2, text: " =".to_owned() });
        return Ok(());
    }
    // `rule if x := e` has a body without braces: two statements need them.
    let alone = follows_if(&text[..begin]);
    let (open, close) = if alone { ("{ ", " }") } else { ("", "") };
    edits.push(Edit { begin, end: begin, text: open.to_owned() });
    edits.push(Edit { begin: end, end, text: format!("; {variable} == {variable}{close}") });
    Ok(())
}

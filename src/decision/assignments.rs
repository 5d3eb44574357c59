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

use super::bundle::RegoSource;

/// An insertion or replacement in a source's text.
struct Edit {
    begin: usize,
    end: usize,
    text: String,
}

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

/// Where a statement really ends. The engine's places leave out what closes the last thing in it: a
/// quote, a bracket, a parenthesis.
fn whole_end(text: &str, begin: usize, end: usize) -> Result<usize, String> {
    let mut depth = 0_usize;
    let mut characters = text[begin..].char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if depth == 0 && begin + at >= end {
            return Ok(begin + at);
        }
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.checked_sub(1).ok_or("a statement with a loose bracket")?,
            '#' => while characters.next_if(|(_, c)| *c != '\n').is_some() {},
            '"' | '`' => loop {
                match characters.next() {
                    Some((_, '\\')) if character == '"' => {
                        characters.next();
                    }
                    Some((_, c)) if c == character => break,
                    Some(_) => {}
                    None => return Err("a statement with a text that does not end".to_owned()),
                }
            },
            _ => {}
        }
    }
    if depth == 0 { Ok(text.len()) } else { Err("a statement with an open bracket".to_owned()) }
}

/// Whether the last word before a statement is `if`. Comments between the two are passed over.
fn follows_if(before: &str) -> bool {
    let mut rest = before.trim_end();
    loop {
        let begin = rest.rfind('\n').map_or(0, |at| at + 1);
        match comment(&rest[begin..]) {
            Some(at) => rest = rest[..begin + at].trim_end(),
            None => break,
        }
    }
    rest.strip_suffix("if").is_some_and(|head| head.ends_with(char::is_whitespace))
}

/// Where the comment of a line begins: at the first `#` that is not within a text.
fn comment(line: &str) -> Option<usize> {
    let mut quote = None;
    let mut characters = line.char_indices();
    while let Some((at, character)) = characters.next() {
        match (quote, character) {
            (None, '#') => return Some(at),
            (None, '"' | '`') => quote = Some(character),
            (Some('"'), '\\') => {
                characters.next();
            }
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    None
}

/// Applies edits from the last to the first, so that none moves another's place.
fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    // Statements nest (an assignment whose right side is a comprehension with assignments), and the
    // inner one may end where the outer one does: its guard must come first in the text.
    edits.sort_by_key(|edit| (edit.begin, edit.end));
    let mut text = text.to_owned();
    for edit in edits.into_iter().rev() {
        text.replace_range(edit.begin..edit.end, &edit.text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::follows_if;

    #[test]
    fn a_body_without_braces_is_recognised() {
        for text in
            ["p if ", "p if\n\t", "else := 1 if ", "p if\n# why\n  # and why\n", "p := \"#\" if # \"\n"]
        {
            assert!(follows_if(text), "{text:?}");
        }
        for text in [
            "p if { ",
            "p { ",
            "p if { x == 1\n",
            "[y | ",
            "notif ",
            "x := elif; ",
            "p if {\nx == 1 # only if\n",
        ] {
            assert!(!follows_if(text), "{text:?}");
        }
    }
}

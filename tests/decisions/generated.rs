//! Both engines over policies that nobody wrote: conditions of all kinds, put together at random into rules, functions,
//! sets and chains of `else`.

use std::{cell::Cell, sync::Arc};

use proptest::{prelude::*, test_runner::TestRunner};
use regate::decision::{CompileOptions, Document, Entrypoint, EvaluatingEngine, Evaluator, Interpreter};
use serde_json::{Value, json};

use super::{
    compile,
    engines::{BODIES, RULES},
};

/// How a condition becomes a rule that others ask.
#[derive(Clone, Copy, Debug)]
enum Form {
    Rule,
    Function,
    Member,
    Else,
    Value,
}

/// A rule, and whether the decision wants it or its absence.
type Part = (usize, Form, bool);

fn part() -> impl Strategy<Value = Part> {
    let forms = prop::sample::select(vec![Form::Rule, Form::Function, Form::Member, Form::Else, Form::Value]);
    (0..BODIES.len(), forms, any::<bool>())
}

/// The text of a policy of these branches, the last of which holds always.
fn policy(branches: &[Vec<Part>]) -> String {
    let mut rules = String::from(RULES);
    let mut decision = String::new();
    let mut number = 0;
    for (place, branch) in branches.iter().enumerate() {
        let mut conditions = Vec::new();
        for (body, form, wanted) in branch {
            number += 1;
            let body = BODIES[*body];
            let (rule, ask) = match form {
                Form::Rule => (format!("r{number} if {{\n{body}\n}}"), format!("r{number}")),
                Form::Function => {
                    (format!("r{number}(given) if {{\ngiven == 1\n{body}\n}}"), format!("r{number}(1)"))
                }
                Form::Member => (
                    format!("r{number} contains \"m\" if {{\n{body}\n}}\nr{number} contains \"n\""),
                    format!("count(r{number}) == 2"),
                ),
                Form::Else => (
                    format!("r{number} := \"first\" if {{\n{body}\n}} else := \"second\""),
                    format!("r{number} == \"first\""),
                ),
                Form::Value => (
                    format!("default r{number} := {{\"v\": 0}}\nr{number} := {{\"v\": 1}} if {{\n{body}\n}}"),
                    format!("r{number}.v == 1"),
                ),
            };
            rules.push_str(&format!("{rule}\n"));
            conditions.push(if *wanted { ask } else { format!("not {ask}") });
        }
        let word = if place == 0 { "decision" } else { " else" };
        decision.push_str(&format!("{word} := {place} if {{\n{}\n}}", conditions.join("\n")));
    }
    format!("{rules}{decision} else := \"nothing\"\n")
}

fn input() -> impl Strategy<Value = Value> {
    let a = prop::sample::select(vec![
        None,
        Some(json!("A")),
        Some(json!(false)),
        Some(json!(null)),
        Some(json!(1)),
    ]);
    let list = prop::sample::select(vec![
        None,
        Some(json!([])),
        Some(json!([1])),
        Some(json!([1, 2])),
        Some(json!({"k": 1})),
    ]);
    let user = prop::sample::select(vec![None, Some(json!("u1")), Some(json!("u9"))]);
    (a, list, user).prop_map(|(a, list, user)| {
        let fields = [("a", a), ("list", list), ("u", user)];
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    })
}

#[test]
fn both_engines_agree_over_generated_policies() {
    let data = [
        json!({"users": {"u1": {"role": "r"}}}),
        json!({"users": {"u1": {}, "u9": {"role": "other"}}}),
        json!({"users": {}}),
    ]
    .map(Document::from);
    let branches = prop::collection::vec(prop::collection::vec(part(), 1..3), 1..4);
    let strategy = (branches, prop::collection::vec(input(), 4));
    let (machine, all) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&strategy, |(branches, inputs)| {
            let text = policy(&branches);
            let bundle = compile(&text, &CompileOptions::default());
            let bundle = bundle.map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            all.set(all.get() + 1);
            machine.set(machine.get() + usize::from(bundle.engine() == EvaluatingEngine::VirtualMachine));
            let mut evaluator = Evaluator::new(0);
            for data in &data {
                let mut interpreter = Interpreter::of_bundle(&bundle, data.clone()).unwrap();
                for input in &inputs {
                    let input = Document::from(input.clone());
                    let interpreted = interpreter.evaluate(&bundle, Entrypoint::Decision, input.clone());
                    let evaluated =
                        evaluator.evaluate(&Arc::clone(&bundle), Entrypoint::Decision, data, input.clone());
                    // A failure is no result, and so is an undefined one: both deny.
                    let interpreted = interpreted.unwrap_or(Document::Undefined);
                    let evaluated = evaluated.unwrap_or(Document::Undefined);
                    prop_assert_eq!(evaluated, interpreted, "{} over {} and {}", text, input, data);
                }
            }
            Ok(())
        })
        .unwrap();
    // A bundle that goes to the interpreter shows nothing.
    assert!(machine.get() * 2 > all.get(), "{} of {}", machine.get(), all.get());
}

//! The virtual machine and the interpreter give the same results.
//!
//! Tests of policies run in the interpreter, decisions on the virtual machine: a difference between
//! the two is a policy that was tested and is not the one that decides.

use regate::decision::{
    Bundle, CompileOptions, Document, EngineChoice, Entrypoint, EvaluatingEngine, EvaluationError, Evaluator,
    Interpreter,
};

use super::compile;

/// Rules that the bodies below may use.
pub(super) const RULES: &str = r#"package regate
undefined_rule if input.nope
same(x) := x
undefined_function(x) := y if y := input.nope
list_rule contains "a" if input.a
list_rule contains "b" if input.nope
with_default(x) := 5 if x == 1
else := 7
false_rule := false
else_rule := 1 if input.nope
else := 2
object_rule[k] := 1 if k := "k"
nested.k.l := 1
nested.k.m := 2 if input.nope
"#;

/// Bodies of `decision if { … }`: what is there, what is not, and each way to ask.
pub(super) const BODIES: &[&str] = &[
    // An assignment of something undefined fails. Without the guard each of these holds.
    "x := input.nope",
    "x := input.nope\n true",
    "x := input.nope\n not x",
    "_ := input.nope",
    "x := input.nope.deeper",
    "x := data.users[input.u].role",
    "x := data.users.u9\n y := x.role",
    "x := same(input.nope)",
    "x := undefined_function(1)",
    "x := lower(input.nope)",
    "x := undefined_rule",
    "x := {\"a\": input.nope}",
    "x := [input.nope]",
    "x := {input.nope}",
    "x := input.nope == 1",
    "x := count(input.nope)",
    "x := 1 + input.nope",
    "x := input.a; y := x.b",
    "x := input.a; y := x.b; z := y",
    "x := input.list[7]",
    "x := [y | y := input.nope]\n count(x) == 0",
    "x := [y | y := input.list[_]]\n x == [1]",
    "x := {y: z | some y in input.list; z := input.nope}\n x == {}",
    "every v in input.list { w := input.nope }",
    "every v in input.list { w := v; w == 1 }",
    "x := [y | z := input.list; y := z[_]]; x == [1]",
    // An assignment of something defined holds, whatever its value.
    "x := input.list[0]\n x == 1",
    "x := false",
    "x := null",
    "_ := false",
    "x := data.users.u1.role # why\n x == \"r\"",
    "x := \"ä\"; y := input.a; y == \"A\"",
    "x := \"a]\"; x == \"a]\"",
    "x := \"q\\\"}\"; x == \"q\\\"}\"",
    "x := `raw}`; x == `raw}`",
    "x := (1 + input.nope)",
    "x := ((1 + 2)); x == 3",
    "x := lower(concat(\"\", [\"A\", \"B\"])); x == \"ab\"",
    "x := input[\"list\"][0]; x == 1",
    "x := input[lower(\"A\")]",
    "x := [\n1, # one ]\n2\n]\n x == [1, 2]",
    "x := 1.5e1; x == 15",
    "x := input.list # }",
    "[x] := input.list; x == 1",
    "[x, y] := input.list",
    "{\"a\": x} := {\"a\": 1}; x == 1",
    "{\"zz\": x} := input",
    // Everything else.
    "input.nope",
    "not input.nope",
    "input.nope != 1",
    "not input.nope == 1",
    "x = input.nope",
    "lower(input.nope)",
    "not startswith(input.nope, \"a\")",
    "undefined_function(1)",
    "not undefined_function(1)",
    "not undefined_rule",
    "input.nope in [1]",
    "not input.nope in [1]",
    "not input.nope < 1",
    "not [input.nope]",
    "object.get(input, \"nope\", 1) == 1",
    "every x in [1] { not input.nope }",
    "every x in input.nope { x == 1 }",
    "every x in [] { false }",
    "some x in input.nope",
    "some x in input.list; x == 1",
    "some i; input.list[i] == 2",
    "not input.list[0] == 2",
    "list_rule[\"a\"]",
    "not list_rule.b",
    "count(list_rule) == 1",
    "with_default(1) == 5",
    "with_default(2) == 7",
    "not with_default(2) == 8",
    "input[input.nope]",
    "not data.users[input.nope]",
    "data.users[k].role == \"r\"; k == \"u1\"",
    "not input.a != input.nope",
    "false_rule",
    "not false_rule",
    "null",
    "not null",
    "else_rule == 2",
    "object_rule.k == 1",
    "not object_rule.j",
    "nested.k.l == 1",
    "not nested.k.m",
    "x := {1 | input.nope}; count(x) == 0",
    "x := [y | some y in input.list; y > 5]; x == []",
];

fn both(rego: &str, input: &Document, data: &Document) -> (Document, Document) {
    let bundle: std::sync::Arc<Bundle> =
        compile(rego, &CompileOptions::default()).unwrap_or_else(|error| panic!("{rego}\n{error}"));
    let mut interpreter = Interpreter::of_bundle(&bundle, data.clone()).unwrap();
    let interpreted = interpreter.evaluate(&bundle, Entrypoint::Decision, input.clone()).unwrap();
    let evaluated = Evaluator::new(0).evaluate(&bundle, Entrypoint::Decision, data, input.clone()).unwrap();
    (interpreted, evaluated)
}

fn facts() -> (Document, Document) {
    let input = Document::from_json_str(r#"{"a": "A", "list": [1]}"#).unwrap();
    let data = Document::from_json_str(r#"{"users": {"u1": {"role": "r"}}}"#).unwrap();
    (input, data)
}

#[test]
fn both_engines_agree_on_what_holds_and_what_does_not() {
    let (input, data) = facts();
    for body in BODIES {
        let (interpreted, evaluated) = both(&format!("{RULES}\ndecision if {{\n{body}\n}}"), &input, &data);
        assert_eq!(evaluated, interpreted, "{body}");
    }
}

#[test]
fn a_body_without_braces_may_be_an_assignment() {
    let (input, data) = facts();
    for (body, holds) in [
        ("decision if x := input.nope", false),
        ("decision if x := input.a", true),
        ("decision if # why\n# and why\nx := input.nope", false),
        ("decision := y if y := input.nope", false),
        ("decision := true if y := input.a", true),
        ("decision := 1 if y := input.nope\nelse := true if z := input.a", true),
    ] {
        let (interpreted, evaluated) = both(&format!("{RULES}\n{body}"), &input, &data);
        assert_eq!(evaluated, interpreted, "{body}");
        assert_eq!(evaluated == Document::Bool(true), holds, "{body}");
    }
}

#[test]
fn the_guard_is_still_needed() {
    // Compiled as the engine alone would: when this fails, regorus has been mended, and
    // `decision::assignments` can be removed.
    use regorus::{Engine, languages::rego::compiler::Compiler, rvm::RegoVM};
    let mut engine = Engine::new();
    let rego = "package regate\ndecision if x := input.nope".to_owned();
    engine.add_policy("policy.rego".into(), rego).unwrap();
    let compiled = engine.compile_with_entrypoint(&"data.regate.decision".into()).unwrap();
    let program = Compiler::compile_from_policy(&compiled, &["data.regate.decision"]).unwrap();
    let mut machine = RegoVM::new();
    machine.load_program(program);
    machine.set_data(Document::new_object()).unwrap();
    machine.set_input(Document::new_object());
    assert_eq!(machine.execute_entry_point_by_index(0).unwrap(), Document::Bool(true));
}

#[test]
fn what_the_machine_would_read_otherwise_goes_to_the_interpreter_and_says_where() {
    let (input, data) = facts();
    let cases = [
        "default blocked(u) := true\nblocked(u) := false if u == \"ok\"\ndecision if not blocked(input.a)",
        "decision if count([data.users[u].role | some u in [\"u1\", \"u9\"]]) == 2",
        "decision if {lower(x) | some x in input.list} == set()",
        "decision if {x: data.users[x] | some x in [\"u9\"]} == {}",
        "maybe := input.nope\ndecision if [maybe | some x in [1]] == []",
        "decision if [input | some x in [1]] == []",
    ];
    for rego in cases {
        let rego = format!("package regate\n\n{rego}");
        let bundle = compile(&rego, &CompileOptions::default()).unwrap();
        let EvaluatingEngine::Interpreter(reason) = bundle.engine() else { panic!("not noticed: {rego}") };
        assert!(reason.starts_with("policy.rego:"), "{rego}: {reason}");
        let (interpreted, evaluated) = both(&rego, &input, &data);
        assert_eq!(evaluated, interpreted, "{rego}");
        let only = CompileOptions { engine: EngineChoice::VirtualMachine, ..CompileOptions::default() };
        let error = compile(&rego, &only).unwrap_err().to_string();
        assert!(error.starts_with("policy.rego:"), "{rego}: {error}");
    }
    for rego in [
        "decision if count([r | some u in [\"u1\", \"u9\"]; r := data.users[u].role]) == 1",
        "decision if {x: [y, 1] | some x, y in {\"a\": 2}} == {\"a\": [2, 1]}",
        "decision if {\"k\" | some x in [1]} == {\"k\"}",
        "f(x) := 1 if x == 1\nelse := 2\ndecision if f(5) == 2",
    ] {
        let (interpreted, evaluated) = both(&format!("package regate\n{rego}"), &input, &data);
        assert_eq!((interpreted, evaluated), (Document::Bool(true), Document::Bool(true)), "{rego}");
    }
}

/// What the machine does not know at all: the interpreter does.
#[test]
fn rego_that_the_machine_does_not_know_goes_to_the_interpreter() {
    let (input, data) = facts();
    for (rego, expected) in [
        ("decision if other with input as {\"a\": 5}\nother if input.a == 5", true),
        ("decision if other with data.users as {}\nother if data.users.u1", false),
        ("default decision := false\ndecision if other.x.y == 1\nother.x.y := 1", true),
    ] {
        let rego = format!("package regate\n{rego}");
        let bundle = compile(&rego, &CompileOptions::default()).unwrap();
        let (interpreted, evaluated) = both(&rego, &input, &data);
        assert_eq!(evaluated, interpreted, "{rego}");
        assert_eq!(evaluated == Document::Bool(true), expected, "{rego} {:?}", bundle.engine());
    }
    let with =
        compile("package regate\ndecision if input.a with input as {\"a\": 1}", &CompileOptions::default());
    assert!(matches!(with.unwrap().engine(), EvaluatingEngine::Interpreter(_)));
}

#[test]
fn what_no_engine_knows_is_an_error_and_does_not_go_to_the_interpreter() {
    for rego in [
        "decision if nosuch(input.a)",
        "decision if object.nosuch(input.a)",
        // Recursion that only the interpreter would run, into the end of the stack.
        "decision if f(1) with input as {}\nf(x) := g(x)\ng(x) := f(x)",
        "decision if a with input as {}\na if data.regate[input.b]",
    ] {
        let rego = format!("package regate\n{rego}");
        assert!(compile(&rego, &CompileOptions::default()).is_err(), "{rego}");
    }
}

#[test]
fn the_interpreter_follows_the_data_and_keeps_to_its_time() {
    let interpreter = CompileOptions { engine: EngineChoice::Interpreter, ..CompileOptions::default() };
    let bundle = compile("package regate\ndecision := data.users", &interpreter).unwrap();
    let mut evaluator = Evaluator::new(0);
    for users in [r#"{"a": 1}"#, r#"{"b": 2}"#, "{}"] {
        let data = Document::from_json_str(&format!(r#"{{"users": {users}}}"#)).unwrap();
        for _ in 0..2 {
            let input = Document::new_object();
            let result = evaluator.evaluate(&bundle, Entrypoint::Decision, &data, input).unwrap();
            assert_eq!(result, data["users"]);
        }
    }
    let slow = "package regate\ndecision if count([1 | some a in numbers.range(1, 3000); some b in numbers.range(1, 3000); a == b]) == 0";
    let bundle = compile(slow, &interpreter).unwrap();
    let slow =
        evaluator.evaluate(&bundle, Entrypoint::Decision, &Document::new_object(), Document::new_object());
    assert_eq!(slow, Err(EvaluationError::TimeBudget));
}

/// A chain of rules is as deep in the stack: what a thread that decides has no room for is refused before.
#[test]
fn a_chain_of_rules_has_a_bound_that_its_explanation_keeps_as_well() {
    let chain = |length: usize, begin: &str| {
        let links = (0..length).map(|rule| format!("r{rule} if r{}\n", rule + 1)).collect::<String>();
        format!("package regate\ndecision if {begin}\n{links}r{length} if true\n")
    };
    for begin in ["r0", "r0 with input.x as 1"] {
        let error = compile(&chain(101, begin), &CompileOptions::default()).unwrap_err().to_string();
        assert!(error.contains("more than 100 in a chain"), "{error}");
    }
    let bundle = compile(&chain(97, "r0"), &CompileOptions::default()).unwrap();
    let mut world = super::World::new(bundle, []);
    let deciding = std::thread::Builder::new().stack_size(16 * 1024 * 1024);
    let decision = deciding
        .spawn(move || world.ask(&regate::decision::Question { explain: true, ..super::question(None, "/") }))
        .unwrap()
        .join()
        .unwrap();
    assert!(decision.allow);
    assert_eq!(decision.explanation.unwrap().why.disagreement, None);
}

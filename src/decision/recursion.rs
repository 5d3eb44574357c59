//! Rules that call themselves.
//!
//! Rego has no recursion, and OPA refuses it. The engine's compiler notices some of it and not all;
//! at run time it would overflow the stack, which ends the process. So a bundle in which any rule can
//! reach itself is refused when it is compiled.

use std::collections::BTreeSet;

use regorus::{
    Value,
    rvm::{
        Program,
        instructions::{Instruction, LiteralOrRegister},
    },
};

use super::trace::Outline;

/// A chain of rules that leads back to its beginning, by name, if the program has one.
pub(super) fn find(program: &Program) -> Option<Vec<String>> {
    let calls = calls(program);
    let mut finished = vec![false; calls.len()];
    (0..calls.len()).find_map(|rule| walk(rule, &calls, &mut finished, &mut Vec::new())).map(|chain| {
        chain.iter().filter_map(|rule| program.rule_infos.get(*rule)).map(|info| info.name.clone()).collect()
    })
}

/// The same for rules that are not compiled for the machine: a chain of what the rules name. What is named
/// may not be asked, so this refuses more than it must.
pub(super) fn find_in(outline: &Outline) -> Option<Vec<String>> {
    let paths: Vec<&str> = outline.definitions.iter().map(|definition| definition.path.as_str()).collect();
    let paths: Vec<&str> = paths.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    let mut calls = vec![BTreeSet::new(); paths.len()];
    for definition in &outline.definitions {
        let Ok(rule) = paths.binary_search(&definition.path.as_str()) else { continue };
        calls[rule]
            .extend(definition.asks.iter().filter_map(|path| paths.binary_search(&path.as_str()).ok()));
    }
    let mut finished = vec![false; calls.len()];
    (0..calls.len()).find_map(|rule| walk(rule, &calls, &mut finished, &mut Vec::new())).map(|chain| {
        chain.iter().filter_map(|rule| paths.get(*rule)).map(|path| (*path).to_owned()).collect()
    })
}

/// Follows calls from `rule`. The depth is bounded by the number of rules: a rule that is on the path
/// already ends the walk.
fn walk(
    rule: usize,
    calls: &[BTreeSet<usize>],
    finished: &mut [bool],
    path: &mut Vec<usize>,
) -> Option<Vec<usize>> {
    if let Some(begin) = path.iter().position(|on_path| *on_path == rule) {
        let mut chain = path.split_off(begin);
        chain.push(rule);
        return Some(chain);
    }
    if finished.get(rule).copied().unwrap_or(true) {
        return None;
    }
    path.push(rule);
    let found = calls.get(rule).into_iter().flatten().find_map(|next| walk(*next, calls, finished, path));
    if found.is_none() {
        path.pop();
        finished[rule] = true;
    }
    found
}

/// For each rule, the rules that its code may call.
fn calls(program: &Program) -> Vec<BTreeSet<usize>> {
    let mut calls = vec![BTreeSet::new(); program.rule_infos.len()];
    // The compiler writes one rule's code after another's: an instruction belongs to the rule whose
    // code began last before it.
    let mut begins: Vec<(usize, usize)> = Vec::new();
    for (rule, info) in program.rule_infos.iter().enumerate() {
        let bodies = info.definitions.iter().flatten();
        let blocks = info.destructuring_blocks.iter().flatten();
        begins.extend(bodies.chain(blocks).map(|begin| (*begin as usize, rule)));
    }
    begins.sort_unstable();
    for (at, instruction) in program.instructions.iter().enumerate() {
        let before = begins.partition_point(|(begin, _)| *begin <= at);
        let Some((_, rule)) = before.checked_sub(1).and_then(|index| begins.get(index)) else { continue };
        called(program, instruction, &mut calls[*rule]);
    }
    calls
}

fn called(program: &Program, instruction: &Instruction, calls: &mut BTreeSet<usize>) {
    let data = &program.instruction_data;
    match instruction {
        Instruction::CallRule { rule_index, .. } => {
            calls.insert(usize::from(*rule_index));
        }
        Instruction::FunctionCall { params_index } => {
            let call = data.function_call_params.get(usize::from(*params_index));
            calls.extend(call.map(|call| usize::from(call.func_rule_index)));
        }
        Instruction::VirtualDataDocumentLookup { params_index } => {
            let lookup = data.virtual_data_document_lookup_params.get(usize::from(*params_index));
            let mut tree = &program.rule_tree["data"];
            for component in lookup.into_iter().flat_map(|lookup| &lookup.path_components) {
                match component {
                    // From here on any name may follow: every rule below may be the one.
                    LiteralOrRegister::Register(_) => break,
                    LiteralOrRegister::Literal(index) => {
                        let name = program.literals.get(usize::from(*index)).unwrap_or(&Value::Undefined);
                        tree = &tree[name];
                    }
                }
                if !matches!(tree, Value::Object(_)) {
                    break;
                }
            }
            rules_below(tree, calls);
        }
        _ => {}
    }
}

fn rules_below(tree: &Value, calls: &mut BTreeSet<usize>) {
    match tree {
        Value::Object(branches) => branches.iter().for_each(|(_, branch)| rules_below(branch, calls)),
        Value::Number(rule) => calls.extend(rule.as_u64().and_then(|rule| usize::try_from(rule).ok())),
        _ => {}
    }
}

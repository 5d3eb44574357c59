//! Rules that call themselves, and chains of rules that are too long.
//!
//! Rego has no recursion, and OPA refuses it. The engine's compiler notices some of it and not all;
//! at run time it would overflow the stack, which ends the process. So a bundle in which any rule can
//! reach itself is refused when it is compiled. The same goes for a chain of rules, each of which asks the next, that is
//! longer than the stack of a thread that decides has room for, with what an explanation takes beside it.

use std::collections::BTreeSet;

use regorus::{
    Value,
    rvm::{
        Program,
        instructions::{Instruction, LiteralOrRegister},
    },
};

use super::{bundle::CompileError, trace::Outline};

/// The longest chain of rules. Bundles that people write have ten.
const LONGEST_CHAIN: usize = 100;

/// What is refused about the way in which rules ask each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Chain {
    /// A chain that leads back to its beginning, by name.
    Back(Vec<String>),
    /// The first rule of a chain that is too long.
    Long(String),
}

impl From<Chain> for CompileError {
    fn from(chain: Chain) -> Self {
        match chain {
            Chain::Back(names) => Self::Recursion(names.join(" -> ")),
            Chain::Long(rule) => Self::LongChain { rule, limit: LONGEST_CHAIN },
        }
    }
}

/// What is refused of a program's rules.
pub(super) fn find(program: &Program) -> Option<Chain> {
    let calls = calls(program);
    let name = |rule: usize| program.rule_infos.get(rule).map(|info| info.name.clone()).unwrap_or_default();
    refused(&calls, name)
}

fn refused(calls: &[BTreeSet<usize>], name: impl Fn(usize) -> String) -> Option<Chain> {
    let mut finished = vec![false; calls.len()];
    let back = (0..calls.len()).find_map(|rule| walk(rule, calls, &mut finished, &mut Vec::new()));
    if let Some(back) = back {
        return Some(Chain::Back(back.into_iter().map(name).collect()));
    }
    let mut lengths = vec![None; calls.len()];
    let long = (0..calls.len()).find(|rule| length(*rule, calls, &mut lengths) > LONGEST_CHAIN);
    long.map(|rule| Chain::Long(name(rule)))
}

/// How many rules there are in the longest chain from this one. None leads back.
fn length(rule: usize, calls: &[BTreeSet<usize>], lengths: &mut [Option<usize>]) -> usize {
    if let Some(known) = lengths.get(rule).copied().flatten() {
        return known;
    }
    let below = calls.get(rule).into_iter().flatten().map(|next| length(*next, calls, lengths)).max();
    let length = 1 + below.unwrap_or(0);
    if let Some(place) = lengths.get_mut(rule) {
        *place = Some(length);
    }
    length
}

/// The same for rules that are not compiled for the machine: a chain of what the rules name. What is named
/// may not be asked, so this refuses more than it must.
pub(super) fn find_in(outline: &Outline) -> Option<Chain> {
    let paths: Vec<&str> = outline.definitions.iter().map(|definition| definition.path.as_str()).collect();
    let paths: Vec<&str> = paths.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    let mut calls = vec![BTreeSet::new(); paths.len()];
    for definition in &outline.definitions {
        let Ok(rule) = paths.binary_search(&definition.path.as_str()) else { continue };
        calls[rule]
            .extend(definition.asks.iter().filter_map(|path| paths.binary_search(&path.as_str()).ok()));
    }
    refused(&calls, |rule| paths.get(rule).map(|path| (*path).to_owned()).unwrap_or_default())
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

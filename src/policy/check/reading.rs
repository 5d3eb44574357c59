//! What the rules of a file mention, with names resolved: which words mean `input`, which `data`, which a
//! variable, and what is never read.
//!
//! **For:** every other module here, which then need not know scopes, imports and aliases. A variable that
//! only stands for a place (`token := input.token`) is replaced by that place.
//!
//! **Must never know:** what exists below `input` and `data`.

use std::collections::BTreeMap;

use super::{
    definitions::{Definitions, File, Path},
    reference::{Call, Callee, Reading, Reference, Root, Step, VariableKind},
    tree::{Assignment, Expression, Head, Literal, Query, Rule, Span, Statement},
};

#[derive(Debug)]
struct Variable {
    span: Span,
    kind: VariableKind,
    read: bool,
    place: Option<Reference>,
}

struct Reader<'r, 't> {
    file: &'r File<'t>,
    definitions: &'r Definitions<'t>,
    scopes: Vec<BTreeMap<String, Variable>>,
    reading: Reading,
}

/// Reads one definition.
pub(super) fn read_rule<'t>(file: &File<'t>, definitions: &Definitions<'t>, rule: &Rule) -> Reading {
    let mut reader = Reader { file, definitions, scopes: Vec::new(), reading: Reading::default() };
    reader.rule(rule);
    reader.reading
}

/// What the imports of a file refer to, but for those of the language itself.
pub(super) fn read_imports<'t>(file: &File<'t>, definitions: &Definitions<'t>) -> Vec<Reference> {
    let mut reader = Reader { file, definitions, scopes: Vec::new(), reading: Reading::default() };
    let imports = file.module.imports.iter().map(|import| reader.resolve(&import.refr));
    imports.filter(|reference| matches!(reference.root, Root::Input | Root::Data)).collect()
}

/// What an import is called in its file, and the names that it stands for.
pub(super) fn imported<'t>(file: &'t File<'_>, index: usize) -> Option<(&'t str, Vec<&'t str>)> {
    let import = file.module.imports.get(index)?;
    let names = import.refr.names()?;
    let name = match import.alias {
        Some(span) => file.text.of(span),
        None => names.last()?,
    };
    Some((name, names))
}

impl<'r> Reader<'r, '_> {
    fn rule(&mut self, rule: &Rule) {
        self.scopes.push(BTreeMap::new());
        if let Rule::Spec { head: Head::Func { args, .. }, .. } = rule {
            args.iter().for_each(|argument| self.declare(argument, VariableKind::Parameter));
        }
        let bodies = rule.bodies();
        if bodies.is_empty() {
            self.head(rule);
        }
        for (index, body) in bodies.iter().enumerate() {
            self.open(&body.query);
            // The bodies of v0 that follow each other share the head; those after `else` have their own value.
            if index == 0 || !body.is_else {
                self.head(rule);
            }
            body.assign.iter().for_each(|assign| self.expression(&assign.value));
            self.close();
        }
        self.close();
    }

    fn head(&mut self, rule: &Rule) {
        let mut name = rule.name();
        while let Expression::RefDot { refr, .. } | Expression::RefBrack { refr, .. } = name {
            if let Expression::RefBrack { index, .. } = name {
                self.expression(index);
            }
            name = refr;
        }
        if let Rule::Spec { head: Head::Set { key: Some(key), .. }, .. } = rule {
            self.expression(key);
        }
        rule.value().into_iter().for_each(|value| self.expression(value));
    }

    /// Enters a query: declares its variables, then reads its statements.
    fn open(&mut self, query: &Query) {
        self.scopes.push(BTreeMap::new());
        self.enter(query);
    }

    fn enter(&mut self, query: &Query) {
        for statement in &query.statements {
            match &statement.literal {
                Literal::SomeVars { vars } => {
                    vars.iter().for_each(|span| self.declare_name(*span, VariableKind::Some));
                }
                Literal::SomeIn { key, value, .. } => {
                    key.iter().for_each(|key| self.declare(key, VariableKind::Some));
                    self.declare(value, VariableKind::Some);
                }
                Literal::Expr { expr: Expression::AssignExpr { op: Assignment::ColEq, lhs, .. } } => {
                    self.declare(lhs, VariableKind::Assigned);
                }
                _ => {}
            }
        }
        query.statements.iter().for_each(|statement| self.statement(statement));
    }

    fn close(&mut self) {
        for (name, variable) in self.scopes.pop().unwrap_or_default() {
            if !variable.read && !name.starts_with('_') {
                self.reading.unread.push((name, variable.span, variable.kind));
            }
        }
    }

    /// Declares the variables of a pattern such as `[x, {"key": y}]`.
    fn declare(&mut self, pattern: &Expression, kind: VariableKind) {
        match pattern {
            Expression::Var { span, .. } => self.declare_name(*span, kind),
            Expression::Array { items, .. } => items.iter().for_each(|item| self.declare(item, kind)),
            Expression::Object { fields, .. } => {
                fields.iter().for_each(|(_, _, value)| self.declare(value, kind));
            }
            _ => {}
        }
    }

    fn declare_name(&mut self, span: Span, kind: VariableKind) {
        let name = self.file.text.of(span).to_owned();
        let variable = Variable { span, kind, read: false, place: None };
        if name != "_"
            && let Some(scope) = self.scopes.last_mut()
        {
            scope.entry(name).or_insert(variable);
        }
    }

    /// Notes that a variable is nothing but a name for a place.
    fn stands_for(&mut self, pattern: &Expression, place: Option<Reference>) {
        if let (Expression::Var { value, .. }, Some(scope)) = (pattern, self.scopes.last_mut())
            && let Some(variable) = scope.get_mut(value)
        {
            variable.place = place;
        }
    }

    fn statement(&mut self, statement: &Statement) {
        for with in &statement.with {
            self.expression(&with.value);
            let mocked = self.resolve(&with.refr);
            self.note(Reference { mocked: true, ..mocked });
        }
        match &statement.literal {
            Literal::SomeVars { .. } => {}
            Literal::SomeIn { value, collection, .. } => {
                self.expression(collection);
                let mut place = self.reading.reference(collection).cloned();
                if let Some(place) = &mut place {
                    let item = Step::Dynamic(format!("item {}", value.span().start));
                    place.steps.push((item, value.span().start));
                }
                self.stands_for(value, place);
            }
            Literal::Expr { expr: Expression::AssignExpr { op: Assignment::ColEq, lhs, rhs, .. } } => {
                self.expression(rhs);
                let replaced = !statement.with.is_empty();
                let place = self.reading.reference(rhs).filter(|_| !replaced).cloned();
                self.stands_for(lhs, place);
            }
            Literal::Expr { expr } | Literal::NotExpr { expr, .. } => self.expression(expr),
            Literal::Every { key, value, domain, query } => {
                self.expression(domain);
                self.scopes.push(BTreeMap::new());
                key.iter().chain([value]).for_each(|span| self.declare_name(*span, VariableKind::Every));
                self.open(query);
                self.close();
                if let Some(scope) = self.scopes.last_mut() {
                    scope.values_mut().for_each(|variable| variable.read = true);
                }
                self.close();
            }
        }
    }

    fn expression(&mut self, expression: &Expression) {
        match expression {
            Expression::Var { .. } | Expression::RefDot { .. } | Expression::RefBrack { .. } => {
                let reference = self.resolve(expression);
                self.note(reference);
            }
            Expression::Call { fcn, params, .. } => {
                self.call(fcn, params.len());
                params.iter().for_each(|param| self.expression(param));
            }
            _ => {
                if let Expression::ArithExpr { span, .. } = expression {
                    self.reading.texts.insert(*span, self.file.text.of(*span).to_owned());
                }
                let query = expression.query();
                query.into_iter().for_each(|query| self.open(query));
                expression.children().into_iter().for_each(|child| self.expression(child));
                if query.is_some() {
                    self.close();
                }
            }
        }
    }

    fn note(&mut self, reference: Reference) {
        self.reading.by_span.insert(reference.span, self.reading.references.len());
        self.reading.references.push(reference);
    }

    fn call(&mut self, function: &Expression, arguments: usize) {
        let Some(names) = function.names() else { return };
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Path>();
        let callee = match self.import(names[0]) {
            Some(path) if path.first() == Some(&"data") => {
                Callee::Rule([owned(&path[1..]), owned(&names[1..])].concat())
            }
            _ if names[0] == "data" => Callee::Rule(owned(&names[1..])),
            _ if self.definitions.package_has(&self.file.package, names[0]) => {
                Callee::Rule([&self.file.package[..], &owned(&names)].concat())
            }
            _ => Callee::Builtin(names.join(".")),
        };
        self.reading.calls.push(Call { callee, arguments, span: function.span() });
    }

    /// The names that an import of this file stands for, which then counts as used.
    fn import(&mut self, name: &str) -> Option<Vec<&'r str>> {
        let file = self.file;
        let found = (0..file.module.imports.len()).find_map(|index| {
            imported(file, index).filter(|(known, _)| *known == name).map(|(_, n)| (index, n))
        });
        let (index, names) = found?;
        self.reading.imports.insert(index);
        Some(names)
    }

    fn resolve(&mut self, expression: &Expression) -> Reference {
        let (mut steps, mut base) = (Vec::new(), expression);
        loop {
            match base {
                Expression::RefDot { refr, field, .. } => {
                    steps.push((Step::Name(field.1.clone()), field.0.start));
                    base = refr;
                }
                Expression::RefBrack { refr, index, .. } => {
                    let step = self.index(index);
                    steps.push((step, index.span().start));
                    base = refr;
                }
                _ => break,
            }
        }
        steps.reverse();
        let mut reference = match base {
            Expression::Var { value, span } => self.variable(value, *span),
            other => {
                self.expression(other);
                Reference::new(Root::Result)
            }
        };
        reference.span = expression.span();
        reference.steps.extend(steps);
        reference
    }

    fn index(&mut self, index: &Expression) -> Step {
        if let Some(name) = index.text() {
            return Step::Name(name.to_owned());
        }
        self.expression(index);
        match index {
            Expression::Number { value, .. } => Step::Number(value.to_string()),
            _ => {
                let text = self.file.text.of(index.span());
                self.reading.texts.insert(index.span(), text.to_owned());
                Step::Dynamic(self.reading.index_spelling(index))
            }
        }
    }

    fn variable(&mut self, name: &str, span: Span) -> Reference {
        for scope in self.scopes.iter_mut().rev() {
            if let Some(variable) = scope.get_mut(name) {
                variable.read = true;
                let Some(place) = &variable.place else { break };
                let (elsewhere, given) = (place.steps.len(), place.steps.len());
                return Reference { elsewhere, given, mocked: false, ..place.clone() };
            }
        }
        if self.scopes.iter().any(|scope| scope.contains_key(name)) {
            return Reference::new(Root::Variable(name.to_owned()));
        }
        match name {
            "input" => return Reference::new(Root::Input),
            "data" => return Reference::new(Root::Data),
            _ => {}
        }
        let below = |root, names: Vec<String>| Reference {
            elsewhere: names.len(),
            steps: names.into_iter().map(|name| (Step::Name(name), span.start)).collect(),
            ..Reference::new(root)
        };
        if let Some(names) = self.import(name) {
            let root = if names[0] == "input" { Root::Input } else { Root::Data };
            return below(root, names[1..].iter().map(|name| (*name).to_owned()).collect());
        }
        if self.definitions.package_has(&self.file.package, name) {
            return below(Root::Data, [&self.file.package[..], &[name.to_owned()]].concat());
        }
        Reference::new(Root::Variable(name.to_owned()))
    }
}

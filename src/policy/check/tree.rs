//! The syntax tree of one file of rules, as the engine gives it, in types of our own.
//!
//! **For:** giving everything else in this folder names instead of JSON. A place ([`Span`]) is a range of
//! bytes of the file's text; its end leaves out what closes the last thing in it.
//!
//! **Must never know:** what a rule means.

use serde::Deserialize;
use serde_json::Value;

use crate::decision::CompileError;

/// Where something stands in the text, in bytes.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub start: usize,
    pub end: usize,
}

/// A file.
#[derive(Debug, Deserialize)]
pub(super) struct Module {
    pub package: Package,
    pub imports: Vec<Import>,
    pub rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Package {
    pub refr: Expression,
}

#[derive(Debug, Deserialize)]
pub(super) struct Import {
    pub span: Span,
    pub refr: Expression,
    #[serde(rename = "as")]
    pub alias: Option<Span>,
}

#[derive(Debug, Deserialize)]
pub(super) enum Rule {
    Spec { span: Span, head: Head, bodies: Vec<Body> },
    Default { span: Span, refr: Expression },
}

#[derive(Debug, Deserialize)]
pub(super) enum Head {
    /// `name := value`, `name[key] := value`.
    Compr { refr: Expression, assign: Option<Assign> },
    /// `name contains key`.
    Set { refr: Expression, key: Option<Expression> },
    /// `name(arguments) := value`.
    Func { refr: Expression, args: Vec<Expression>, assign: Option<Assign> },
}

#[derive(Debug, Deserialize)]
pub(super) struct Assign {
    pub value: Expression,
}

#[derive(Debug, Deserialize)]
pub(super) struct Body {
    pub assign: Option<Assign>,
    pub is_else: bool,
    pub query: Query,
}

#[derive(Debug, Deserialize)]
pub(super) struct Query {
    #[serde(rename = "stmts")]
    pub statements: Vec<Statement>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Statement {
    pub literal: Literal,
    #[serde(default, rename = "with_mods")]
    pub with: Vec<With>,
}

#[derive(Debug, Deserialize)]
pub(super) struct With {
    pub refr: Expression,
    #[serde(rename = "as")]
    pub value: Expression,
}

#[derive(Debug, Deserialize)]
pub(super) enum Literal {
    SomeVars { vars: Vec<Span> },
    SomeIn { key: Option<Expression>, value: Expression, collection: Expression },
    Expr { expr: Expression },
    NotExpr { span: Span, expr: Expression },
    Every { key: Option<Span>, value: Span, domain: Expression, query: Query },
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(super) enum Comparison {
    Lt,
    Le,
    Eq,
    Ge,
    Gt,
    Ne,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(super) enum Assignment {
    /// `=`
    Eq,
    /// `:=`
    ColEq,
}

#[derive(Debug, Deserialize)]
pub(super) enum Expression {
    String {
        span: Span,
        value: String,
    },
    RawString {
        span: Span,
        value: String,
    },
    Number {
        span: Span,
        value: Value,
    },
    Bool {
        span: Span,
        value: bool,
    },
    Null {
        span: Span,
    },
    Var {
        span: Span,
        value: String,
    },
    Array {
        span: Span,
        items: Vec<Expression>,
    },
    Set {
        span: Span,
        items: Vec<Expression>,
    },
    Object {
        span: Span,
        fields: Vec<(Span, Expression, Expression)>,
    },
    ArrayCompr {
        span: Span,
        term: Box<Expression>,
        query: Query,
    },
    SetCompr {
        span: Span,
        term: Box<Expression>,
        query: Query,
    },
    ObjectCompr {
        span: Span,
        key: Box<Expression>,
        value: Box<Expression>,
        query: Query,
    },
    Call {
        span: Span,
        fcn: Box<Expression>,
        params: Vec<Expression>,
    },
    UnaryExpr {
        span: Span,
        expr: Box<Expression>,
    },
    RefDot {
        span: Span,
        refr: Box<Expression>,
        field: (Span, String),
    },
    RefBrack {
        span: Span,
        refr: Box<Expression>,
        index: Box<Expression>,
    },
    BinExpr {
        span: Span,
        lhs: Box<Expression>,
        rhs: Box<Expression>,
    },
    BoolExpr {
        span: Span,
        op: Comparison,
        lhs: Box<Expression>,
        rhs: Box<Expression>,
    },
    ArithExpr {
        span: Span,
        lhs: Box<Expression>,
        rhs: Box<Expression>,
    },
    AssignExpr {
        span: Span,
        op: Assignment,
        lhs: Box<Expression>,
        rhs: Box<Expression>,
    },
    Membership {
        span: Span,
        key: Option<Box<Expression>>,
        value: Box<Expression>,
        collection: Box<Expression>,
    },
}

impl Module {
    /// Reads a tree of [`syntax_trees`](crate::decision::syntax_trees).
    ///
    /// # Errors
    /// [`CompileError::Unguarded`] when the engine's tree is not of the form that is known here.
    pub(super) fn read(tree: &mut Value) -> Result<Self, CompileError> {
        serde_json::from_value(tree["ast"].take()).map_err(|error| CompileError::Unguarded(error.to_string()))
    }
}

impl Rule {
    /// Where it stands.
    pub(super) fn span(&self) -> Span {
        match self {
            Self::Spec { span, .. } | Self::Default { span, .. } => *span,
        }
    }

    /// Its name, as it is written.
    pub(super) fn name(&self) -> &Expression {
        match self {
            Self::Spec {
                head: Head::Compr { refr, .. } | Head::Set { refr, .. } | Head::Func { refr, .. },
                ..
            }
            | Self::Default { refr, .. } => refr,
        }
    }

    /// The value in its head.
    pub(super) fn value(&self) -> Option<&Expression> {
        match self {
            Self::Spec { head: Head::Compr { assign, .. } | Head::Func { assign, .. }, .. } => {
                assign.as_ref().map(|assign| &assign.value)
            }
            _ => None,
        }
    }

    /// Its bodies, the main one first.
    pub(super) fn bodies(&self) -> &[Body] {
        match self {
            Self::Spec { bodies, .. } => bodies,
            Self::Default { .. } => &[],
        }
    }
}

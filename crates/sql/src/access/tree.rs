//! The parser, and what its tree says of relations and calls.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArguments, Ident, ObjectName, Query, Select, SetExpr, Statement, TableFactor,
    Visit, Visitor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::skeleton::number;
use super::tokens::Tokens;
use super::vocabulary::{Role, role};
use crate::functions;
use crate::lexer::Kind;
use crate::name::Name;

/// The deepest nesting that is read. PostgreSQL takes more; each level costs the parser several.
const DEPTH_READ: usize = 200;

/// So many names may be given by `WITH` and used, in a whole query: each relation is looked for among them.
const CTES_READ: usize = 256;

/// What the tree of one query says. Numbers are those of tokens.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Relations: the first and the last token of each name.
    pub(crate) relations: Vec<(usize, usize)>,
    /// Names in `FROM` that are those of a `WITH`, and the names that a `WITH` gives.
    pub(crate) ctes: Vec<usize>,
    /// Calls: the last token of each name, before the parenthesis.
    pub(crate) calls: Vec<usize>,
}

/// Reads a query. None if the parser does not understand it, or finds in it what a read does not have. There must be a
/// stack that is large enough: see [`stack`](super::stack).
pub(crate) fn tree(tokens: &Tokens<'_>, shown: Vec<TokenWithSpan>) -> Option<Tree> {
    let dialect = PostgreSqlDialect {};
    let mut parser =
        Parser::new(&dialect).with_recursion_limit(DEPTH_READ).with_tokens_with_locations(shown);
    let query = parser.parse_query().ok()?;
    if parser.peek_token_ref().token != Token::EOF {
        return None;
    }
    let mut reader = Reader { tokens, scopes: Vec::new(), tree: Tree::default() };
    match query.visit(&mut reader) {
        ControlFlow::Continue(()) => Some(reader.tree),
        ControlFlow::Break(()) => None,
    }
}

/// The names that a `WITH` gives, as far as they can be seen where the visitor is.
struct Scope {
    seen: Vec<Name>,
    /// Queries behind whose end a name is seen, by their address, and that name.
    coming: Vec<(*const Query, Name)>,
}

struct Reader<'a> {
    tokens: &'a Tokens<'a>,
    /// One for each query that we are in.
    scopes: Vec<Scope>,
    tree: Tree,
}

impl Reader<'_> {
    /// The first and the last token of a name.
    fn place(&self, name: &ObjectName) -> Option<(usize, usize)> {
        let ident =
            |part: Option<&sqlparser::ast::ObjectNamePart>| part?.as_ident().and_then(token);
        let (first, last) = (ident(name.0.first())?, ident(name.0.last())?);
        // A name that is not where its tokens are would be another name.
        (self.tokens.chain_end(first) == last && self.tokens.chain_start(last) == first)
            .then_some((first, last))
    }

    fn relation(&mut self, name: &ObjectName) -> Option<()> {
        let (first, last) = self.place(name)?;
        let alone = first == last && self.tokens.kind(first) == Some(Kind::Word);
        if alone && is_reserved(self.tokens, first) {
            return None;
        }
        if first == last {
            let name = self.tokens.name(first)?;
            if self.scopes.iter().any(|scope| scope.seen.contains(&name)) {
                self.tree.ctes.push(first);
                return Some(());
            }
        }
        self.tree.relations.push((first, last));
        Some(())
    }

    fn call(&mut self, name: &ObjectName) -> Option<()> {
        let (_, last) = self.place(name)?;
        self.tree.calls.push(last);
        Some(())
    }

    fn factor(&mut self, factor: &TableFactor) -> Option<()> {
        match factor {
            TableFactor::Table { name, args: None, .. } => self.relation(name),
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                self.call(name)
            }
            TableFactor::Derived { .. } | TableFactor::NestedJoin { .. } => Some(()),
            _ => None,
        }
    }

    /// Enters a query: the names of its `WITH`.
    fn enter(&mut self, query: &Query) -> Option<()> {
        let mut scope = Scope { seen: Vec::new(), coming: Vec::new() };
        if let Some(with) = &query.with {
            if self.tree.ctes.len() + with.cte_tables.len() > CTES_READ {
                return None;
            }
            for cte in &with.cte_tables {
                let at = token(&cte.alias.name)?;
                let name = self.tokens.name(at)?;
                self.tree.ctes.push(at);
                if with.recursive {
                    scope.seen.push(name);
                } else {
                    scope.coming.push((std::ptr::from_ref(&*cte.query), name));
                }
            }
            // They come in this order; the last is taken first.
            scope.coming.reverse();
        }
        self.scopes.push(scope);
        Some(())
    }

    /// Leaves a query: if it is one of a `WITH`, its name is seen from here on.
    fn leave(&mut self, query: &Query) {
        self.scopes.pop();
        if let Some(scope) = self.scopes.last_mut()
            && scope.coming.last().is_some_and(|(coming, _)| std::ptr::eq(*coming, query))
            && let Some((_, name)) = scope.coming.pop()
        {
            scope.seen.push(name);
        }
    }
}

/// Whether a word is one that the grammar keeps for itself here: the parser would take it for a name.
fn is_reserved(tokens: &Tokens<'_>, at: usize) -> bool {
    role(tokens, at) == Role::Keyword
        && functions::lookup(tokens.bytes(at), false) == Some(functions::Call::Keyword)
}

/// The token that a name was.
fn token(ident: &Ident) -> Option<usize> {
    number(ident.span)
}

fn go_on(understood: Option<()>) -> ControlFlow<()> {
    understood.map_or(ControlFlow::Break(()), ControlFlow::Continue)
}

impl Visitor for Reader<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let plain = query.locks.is_empty()
            && query.for_clause.is_none()
            && query.settings.is_none()
            && query.format_clause.is_none()
            && query.pipe_operators.is_empty()
            && matches!(
                *query.body,
                SetExpr::Select(_)
                    | SetExpr::Query(_)
                    | SetExpr::SetOperation { .. }
                    | SetExpr::Values(_)
            );
        go_on(plain.then_some(()).and_then(|()| self.enter(query)))
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.leave(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        go_on(select.into.is_none().then_some(()))
    }

    fn pre_visit_statement(&mut self, _: &Statement) -> ControlFlow<()> {
        // `INSERT` and its kin, wherever a query may stand.
        ControlFlow::Break(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        go_on(self.factor(factor))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) if !matches!(function.args, FunctionArguments::None) => {
                go_on(self.call(&function.name))
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

impl Tree {
    /// Puts everything into the order of the text.
    pub(crate) fn sort(&mut self) {
        self.relations.sort_unstable();
        self.ctes.sort_unstable();
        self.calls.sort_unstable();
    }
}

//! What clients ask about the system's tables, in words that the engine understands.
//!
//! datafusion-pg-catalog rewrites most of it. This is what it leaves, seen in queries of psql, the JDBC driver and DBeaver. It
//! is for the system's tables only: answers about the lake's own tables must not depend on such liberties.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Array, ArrayElemTypeDef, BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentList, FunctionArguments, GroupByExpr, Ident, ObjectName, Query, Select,
    SelectItem, SetExpr, Statement, TableFactor, Value, VisitMut, VisitorMut,
};

use crate::statement::named;

/// Rewrites a statement about the system's tables.
pub(crate) fn adapt(statement: &mut Statement) {
    let _ = VisitMut::visit(statement, &mut Adapt);
}

struct Adapt;

impl VisitorMut for Adapt {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) if is_array_of_query(function) => *expr = no_texts(),
            // With a name before the dot it is a table and its column.
            Expr::CompoundFieldAccess { root, access_chain } if !matches!(root.as_ref(), Expr::Identifier(_)) => {
                access_chain.iter_mut().for_each(field_by_text);
            }
            Expr::Subquery(query) => match function_name(query) {
                Some(name) => *expr = text(name),
                None => one_row(query),
            },
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn text(text: String) -> Expr {
    Expr::value(Value::SingleQuotedString(text))
}

/// `ARRAY(SELECT ...)`, which the engine lacks, asks for members of roles, rights, options and policies. There are none.
fn is_array_of_query(function: &Function) -> bool {
    let name = function.name.0.last().and_then(|part| part.as_ident()).map(named);
    matches!(function.args, FunctionArguments::Subquery(_)) && name.as_deref() == Some("array")
}

fn no_texts() -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::Array(Array { elem: Vec::new(), named: true })),
        data_type: DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(DataType::Text), None)),
        array: false,
        format: None,
    }
}

/// `(structure).field`: the engine wants the field's name as text.
fn field_by_text(access: &mut AccessExpr) {
    if let AccessExpr::Dot(Expr::Identifier(name)) = access {
        *access = AccessExpr::Dot(text(named(name)));
    }
}

fn only_column(query: &mut Query) -> Option<(&mut Select, bool)> {
    let plain = query.limit_clause.is_none() && query.fetch.is_none() && query.order_by.is_none();
    match query.body.as_mut() {
        SetExpr::Select(select) if select.projection.len() == 1 => Some((select, plain)),
        _ => None,
    }
}

/// `'name'::regproc` has become a query for the function's number, but columns of functions hold names.
fn function_name(query: &mut Query) -> Option<String> {
    let (select, _) = only_column(query)?;
    let [from] = select.from.as_slice() else { return None };
    let TableFactor::Table { name, .. } = &from.relation else { return None };
    let Some(Expr::BinaryOp { left, op: BinaryOperator::Eq, right }) = &select.selection else { return None };
    let (Expr::Identifier(column), Expr::Value(value)) = (left.as_ref(), right.as_ref()) else { return None };
    let Value::SingleQuotedString(function) = &value.value else { return None };
    let of_functions = name.to_string() == "pg_catalog.pg_proc" && column.value == "proname";
    of_functions.then(|| function.rsplit('.').next().unwrap_or(function).to_owned())
}

/// A subquery that gives one row where the engine can't know that it does: the greatest of its one value.
fn one_row(query: &mut Query) {
    let Some((select, true)) = only_column(query) else { return };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    if grouped || select.selection.is_none() {
        return;
    }
    if let SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. } = &mut select.projection[0]
        && !matches!(value, Expr::Function(_))
    {
        let of = std::mem::replace(value, Expr::value(Value::Null));
        *value = greatest(of);
    }
}

fn greatest(of: Expr) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("max")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(of))],
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::{dialect::PostgreSqlDialect, parser::Parser};

    use super::*;

    #[test]
    fn what_the_engine_lacks_is_replaced() {
        let cases = [
            ("SELECT array(SELECT a FROM b)", "SELECT CAST(ARRAY[] AS TEXT[])"),
            ("SELECT (f(a)).n", "SELECT (f(a)).'n'"),
            ("SELECT a.b[1]", "SELECT a.b[1]"),
            (
                "SELECT a = (SELECT oid FROM pg_catalog.pg_proc WHERE proname = 'pg_catalog.array_in')",
                "SELECT a = 'array_in'",
            ),
            (
                "SELECT 1 WHERE (SELECT a = 1 FROM b WHERE c = d)",
                "SELECT 1 WHERE (SELECT max(a = 1) FROM b WHERE c = d)",
            ),
            ("SELECT 1 WHERE 1 = (SELECT a FROM b LIMIT 1)", "SELECT 1 WHERE 1 = (SELECT a FROM b LIMIT 1)"),
            (
                "SELECT 1 WHERE 1 = (SELECT count(*) FROM b WHERE c)",
                "SELECT 1 WHERE 1 = (SELECT count(*) FROM b WHERE c)",
            ),
        ];
        for (given, expected) in cases {
            let mut statement = Parser::parse_sql(&PostgreSqlDialect {}, given).unwrap().remove(0);
            adapt(&mut statement);
            assert_eq!(statement.to_string(), expected);
        }
    }
}

//! Names of a result's columns as PostgreSQL gives them.
//!
//! The engine names a column without an alias after its expression and refuses two of the same; PostgreSQL names it after
//! the function, and two may be alike.

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, SelectItem, SetExpr};

/// The names, one for each column that needs another than the engine gives it. Columns that the engine would take for the
/// same are told apart by aliases.
pub(crate) fn named_as_in_postgresql(query: &mut Query) -> Vec<Option<String>> {
    let Some(items) = outermost(&mut query.body) else { return Vec::new() };
    let counted =
        items.iter().all(|item| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }));
    if !counted {
        // A wildcard: which columns follow it is not known yet.
        return Vec::new();
    }
    let mut taken = HashSet::new();
    let mut names = Vec::with_capacity(items.len());
    for (index, item) in items.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(expr) = item else {
            // The same alias twice is one that the engine refuses.
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                let name = alias.value.clone();
                let twice = !taken.insert(name.clone());
                if twice {
                    *alias = Ident::with_quote('"', format!("{name}_{index}"));
                }
                names.push(twice.then_some(name));
            }
            continue;
        };
        let name = name_of(expr);
        if !taken.insert(expr.to_string()) {
            let alias = Ident::with_quote('"', format!("column_{index}"));
            let expr = std::mem::replace(expr, Expr::value(datafusion::sql::sqlparser::ast::Value::Null));
            names.push(Some(name.unwrap_or_else(|| expr.to_string())));
            *item = SelectItem::ExprWithAlias { expr, alias };
            continue;
        }
        names.push(name);
    }
    names
}

/// The columns of the outermost query, or of the first of those that are put together.
fn outermost(body: &mut SetExpr) -> Option<&mut Vec<SelectItem>> {
    match body {
        SetExpr::Select(select) => Some(&mut select.projection),
        SetExpr::Query(query) => outermost(&mut query.body),
        SetExpr::SetOperation { left, .. } => outermost(left),
        _ => None,
    }
}

/// PostgreSQL's name of a column.
fn name_of(expr: &Expr) -> Option<String> {
    let last = |names: &[Ident]| names.last().map(super::statement::named);
    match expr {
        Expr::Identifier(name) => Some(super::statement::named(name)),
        Expr::CompoundIdentifier(names) => last(names),
        Expr::Function(function) => {
            function.name.0.last().and_then(|part| part.as_ident()).map(super::statement::named)
        }
        Expr::Nested(inner) => name_of(inner),
        Expr::Cast { expr, data_type, .. } => match name_of(expr) {
            Some(name) if name != "?column?" => Some(name),
            _ => Some(type_name(&data_type.to_string())),
        },
        Expr::Case { .. } => Some("case".to_owned()),
        Expr::Exists { .. } => Some("exists".to_owned()),
        Expr::Extract { .. } => Some("extract".to_owned()),
        Expr::Ceil { .. } => Some("ceil".to_owned()),
        Expr::Floor { .. } => Some("floor".to_owned()),
        Expr::Substring { .. } => Some("substring".to_owned()),
        Expr::Position { .. } => Some("position".to_owned()),
        Expr::Trim { .. } => Some("btrim".to_owned()),
        Expr::Array(_) => Some("array".to_owned()),
        Expr::Value(value) => match value.value {
            datafusion::sql::sqlparser::ast::Value::Boolean(_) => Some("bool".to_owned()),
            _ => Some("?column?".to_owned()),
        },
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.first() {
                Some(SelectItem::UnnamedExpr(expr)) => name_of(expr),
                Some(SelectItem::ExprWithAlias { alias, .. }) => Some(super::statement::named(alias)),
                _ => None,
            },
            _ => None,
        },
        Expr::BinaryOp { .. } | Expr::UnaryOp { .. } | Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::InList { .. } => {
            Some("?column?".to_owned())
        }
        _ => None,
    }
}

/// PostgreSQL's own name of a type.
fn type_name(sql: &str) -> String {
    let name = sql.to_ascii_lowercase();
    let name = name.split('(').next().unwrap_or_default().trim();
    match name {
        "int" | "integer" => "int4",
        "bigint" => "int8",
        "smallint" => "int2",
        "double precision" | "double" => "float8",
        "real" => "float4",
        "boolean" => "bool",
        "character varying" => "varchar",
        "decimal" => "numeric",
        "timestamp with time zone" => "timestamptz",
        other => other.rsplit('.').next().unwrap_or(other),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::{ast::Statement, dialect::PostgreSqlDialect, parser::Parser};

    use super::*;

    #[test]
    fn columns_are_named_after_their_functions() {
        let cases: &[(&str, &[Option<&str>])] = &[
            ("select count(*), a, t.B, sum(a) as s from t", &[Some("count"), Some("a"), Some("b"), None]),
            ("select 1, 'x', a + 1, true, null", &[Some("?column?"); 3]),
            ("select a::int, 1::bigint, cast(null as double precision)", &[Some("a"), Some("int8"), Some("float8")]),
            ("select case when a then 1 end, (select max(b) from t)", &[Some("case"), Some("max")]),
            ("select * from t", &[]),
            ("select count(*) union all select 2", &[Some("count")]),
            ("select a as x, b as x", &[None, Some("x")]),
        ];
        for (sql, expected) in cases {
            let statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
            let Statement::Query(mut query) = statement else { panic!("{sql}") };
            let names = named_as_in_postgresql(&mut query);
            let names: Vec<_> = names.iter().map(Option::as_deref).collect();
            assert_eq!(&names[..expected.len().min(names.len())], *expected, "{sql}");
        }
    }
}

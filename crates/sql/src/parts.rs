//! What a statement is made of, once it is parsed: how much there is to plan.
//!
//! The engine plans on a thread that can't be stopped, and some of what it does doubles with each level: subqueries within the
//! conditions of subqueries are planned anew at every level, and a common table expression wherever it is named. So a statement is
//! weighed before it is planned.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::ControlFlow,
};

use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query, SetExpr, Statement, Visit, Visitor};
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::PG_CATALOG_TABLES;

use crate::{
    failure::{Failure, Outcome, code},
    statement::named,
};

/// Tables that a statement may read; one that a common table expression reads counts wherever that is named.
const MOST_TABLES: usize = 64;
/// Queries that a statement may have.
const MOST_QUERIES: usize = 500;
/// Columns that a query may list, as in PostgreSQL.
const MOST_COLUMNS: usize = 1664;
/// Columns that all of a statement's queries may list.
const MOST_COLUMNS_OF_ALL: usize = 5000;
/// Window functions that a statement may have.
const MOST_WINDOWS: usize = 100;
/// Work that subqueries within one another may make: each doubles that of what it is in. One alone may be 13 deep.
const MOST_WORK: usize = 1 << 14;

/// What a statement is made of.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// Whether one of its tables is of the system.
    pub(crate) system: bool,
    queries: usize,
    columns: usize,
    most_columns: usize,
    windows: usize,
    /// Subqueries in expressions that the visitor is in.
    depth: u32,
    work: usize,
    /// Queries that the visitor is in.
    within: Vec<Within>,
    /// Tables that a common table expression reads.
    expressions: BTreeMap<String, usize>,
    tables: usize,
}

/// A query that the visitor is in.
#[derive(Debug, Default)]
struct Within {
    tables: usize,
    /// Its common table expressions; they are visited first, in order.
    expressions: VecDeque<String>,
}

/// Weighs a statement.
///
/// # Errors
/// For one that has more parts than can be planned in little time.
pub(crate) fn weigh(statement: &Statement) -> Outcome<Parts> {
    let mut parts = Parts::default();
    let _ = statement.visit(&mut parts);
    let limits = [
        (parts.most_columns, MOST_COLUMNS, "columns in a query", code::TOO_MANY_COLUMNS),
        (parts.columns, MOST_COLUMNS_OF_ALL, "columns in all its queries", code::STATEMENT_TOO_COMPLEX),
        (parts.tables, MOST_TABLES, "tables", code::STATEMENT_TOO_COMPLEX),
        (parts.queries, MOST_QUERIES, "queries", code::STATEMENT_TOO_COMPLEX),
        (parts.windows, MOST_WINDOWS, "window functions", code::STATEMENT_TOO_COMPLEX),
    ];
    for (found, most, what, code) in limits {
        if found > most {
            return Err(Failure::new(code, format!("the statement has {found} {what}; at most {most} are taken")));
        }
    }
    if parts.work > MOST_WORK {
        let what = "the statement has subqueries too deeply within one another";
        return Err(Failure::new(code::STATEMENT_TOO_COMPLEX, what).hint("WITH name AS (...) takes a part out."));
    }
    Ok(parts)
}

impl Visitor for Parts {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.queries += 1;
        if let SetExpr::Select(select) = query.body.as_ref() {
            self.columns += select.projection.len();
            self.most_columns = self.most_columns.max(select.projection.len());
        }
        let expressions = query.with.iter().flat_map(|with| &with.cte_tables);
        let expressions = expressions.map(|expression| named(&expression.alias.name)).collect();
        self.within.push(Within { tables: 0, expressions });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        let tables = self.within.pop().map_or(0, |query| query.tables);
        match self.within.last_mut() {
            None => self.tables = self.tables.saturating_add(tables),
            Some(outer) => match outer.expressions.pop_front() {
                // It counts where it is named, as one table at least.
                Some(name) => {
                    let known = self.expressions.entry(name).or_insert(1);
                    *known = tables.max(*known);
                }
                None => outer.tables = outer.tables.saturating_add(tables),
            },
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        let parts: Vec<_> = name.0.iter().filter_map(|part| part.as_ident()).map(named).collect();
        self.system |= match parts.as_slice() {
            [.., schema, _] => schema == "pg_catalog" || schema == "information_schema",
            [table] => PG_CATALOG_TABLES.contains(&table.as_str()) || table.starts_with("pg_get_"),
            [] => false,
        };
        let weight = match parts.as_slice() {
            [name] => self.expressions.get(name).copied().unwrap_or(1),
            _ => 1,
        };
        let tables = self.within.last_mut().map_or(&mut self.tables, |query| &mut query.tables);
        *tables = tables.saturating_add(weight);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            self.windows += usize::from(function.over.is_some());
        }
        if doubles(expr) {
            self.depth += 1;
            self.work = self.work.saturating_add(1_usize.checked_shl(self.depth).unwrap_or(usize::MAX));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if doubles(expr) {
            self.depth -= 1;
        }
        ControlFlow::Continue(())
    }
}

/// Whether an expression doubles the work of what is in it.
fn doubles(expr: &Expr) -> bool {
    matches!(expr, Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. })
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::{dialect::PostgreSqlDialect, parser::Parser};

    use super::*;

    fn of(sql: &str) -> Result<(usize, bool), &'static str> {
        let parser = Parser::new(&PostgreSqlDialect {}).with_recursion_limit(200);
        let statement = parser.try_with_sql(sql).unwrap().parse_statements().unwrap().remove(0);
        weigh(&statement).map(|parts| (parts.tables, parts.system)).map_err(|failure| failure.code)
    }

    #[test]
    fn tables_count_wherever_they_are_read() {
        let doubled = |n: usize| {
            let more: String =
                (1..=n).map(|i| format!(", t{i} as (select 1 from t{} a, t{} b)", i - 1, i - 1)).collect();
            format!("with t0 as (select 1 from x){more} select * from t{n}")
        };
        let cases = [
            ("select 1", Ok((0, false))),
            ("select 1 from a, b join c on true where exists (select 1 from d)", Ok((4, false))),
            ("with x as (select 1 from a, b) select 1 from x, x y, c", Ok((5, false))),
            ("with x as (with y as (select 1 from a, b) select 1 from y, y z) select 1 from x", Ok((4, false))),
            ("with recursive x as (select 1 from a union all select 1 from x) select 1 from x", Ok((2, false))),
            ("select 1 from pg_class", Ok((1, true))),
            ("select 1 from pg_catalog.pg_get_keywords()", Ok((1, true))),
            ("select 1 from information_schema.tables", Ok((1, true))),
            (&doubled(6), Ok((64, false))),
            (&doubled(6).replace(" from x", ""), Ok((64, false))),
            (&doubled(7), Err("54001")),
            (&doubled(70), Err("54001")),
        ];
        for (sql, expected) in cases {
            assert_eq!(of(sql), expected, "{sql}");
        }
    }

    #[test]
    fn subqueries_within_one_another_are_weighed() {
        let subqueries = |n: usize| format!("select {}1{}", "(select ".repeat(n), ")".repeat(n));
        let conditions =
            |n: usize| format!("select 1 where {}true{}", "exists (select 1 where ".repeat(n), ")".repeat(n));
        let derived = |n: usize| format!("select * from {}a{}", "(select * from ".repeat(n), ") t".repeat(n));
        let cases = [
            (subqueries(13), true),
            (subqueries(14), false),
            (conditions(13), true),
            (conditions(60), false),
            (derived(60), true),
            (format!("select {}", vec![subqueries(7).replacen("select ", "", 1); 60].join(",")), true),
            (format!("select {}", vec![subqueries(7).replacen("select ", "", 1); 70].join(",")), false),
            (format!("select {}", vec!["sum(x) over ()"; 101].join(",")), false),
        ];
        for (sql, taken) in cases {
            assert_eq!(of(&sql).is_ok(), taken, "{}", &sql[..sql.len().min(80)]);
        }
        let wide = |n: usize| format!("select {}", vec!["x"; n].join(","));
        assert_eq!((of(&wide(1664)).is_ok(), of(&wide(1665))), (true, Err("54011")));
    }
}

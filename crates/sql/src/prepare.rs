//! Statements to plans, and values for their parameters.

use std::{collections::HashMap, sync::Arc};

use arrow_schema::{DataType, Field, SchemaRef};
use datafusion::{
    common::{
        ParamValues, ScalarValue,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    execution::SessionState,
    logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, expr::Placeholder, utils::merge_schema},
    sql::parser::Statement as EngineStatement,
};
use datafusion_postgres::{
    arrow_pg::datatypes::{PG_OID_ALIAS_KEY, df::deserialize_parameters_with_server_types, into_pg_type},
    pgwire::{
        api::{Type, portal::Portal, stmt::StoredStatement},
        messages::extendedquery::Bind,
    },
};
use streamreel_lake::plan;

use crate::{
    failure::{Failure, Outcome, code},
    statement::Select,
};

/// Parameters that a statement may have.
const MOST_PARAMETERS: usize = 1000;

/// A query, planned.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) logical: LogicalPlan,
    /// Its columns.
    pub(crate) schema: SchemaRef,
    /// Types of its parameters, as clients are told.
    pub(crate) parameters: Vec<Type>,
    /// Types that the engine found for them, where the client gave none.
    inferred: Vec<Option<DataType>>,
}

/// Plans a query. Types of parameters that the client gives come first, then what the engine infers, then text.
pub(crate) async fn plan(state: SessionState, select: Select, given: Vec<Option<Type>>) -> Outcome<Plan> {
    let logical = plan::statement(&state, EngineStatement::Statement(select.statement)).await?;
    if let LogicalPlan::Dml(_) | LogicalPlan::Ddl(_) | LogicalPlan::Copy(_) | LogicalPlan::Statement(_) = &logical {
        return Err(Failure::read_only("this statement"));
    }
    let (parameters, inferred) = parameters(&logical, &given)?;
    let logical = typed(logical, &parameters)?;
    let logical = analyzed(&state, logical)?;
    let schema = Arc::new(logical.schema().as_arrow().clone());
    Ok(Plan { logical, schema, parameters, inferred })
}

/// Wire types of all parameters, and inferred types of those that the client left open.
fn parameters(plan: &LogicalPlan, given: &[Option<Type>]) -> Outcome<(Vec<Type>, Vec<Option<DataType>>)> {
    let mut found: HashMap<usize, Option<Arc<Field>>> = HashMap::new();
    for (id, field) in plan.get_parameter_fields()? {
        let number = id.strip_prefix('$').and_then(|digits| digits.parse().ok()).filter(|number| *number >= 1);
        let number: usize = number.ok_or_else(|| {
            Failure::new(code::UNDEFINED_PARAMETER, format!("there is no parameter {id}: they are called $1, $2, ..."))
        })?;
        if number > MOST_PARAMETERS {
            let what = format!("there is no parameter {id}: a statement may have {MOST_PARAMETERS}");
            return Err(Failure::new(code::UNDEFINED_PARAMETER, what));
        }
        found.insert(number, field);
    }
    let arrays = arrays(plan)?;
    let count = found.keys().copied().max().unwrap_or(0).max(given.len());
    let (mut wire, mut inferred) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for number in 1..=count {
        let field = found.remove(&number).flatten().filter(|field| *field.data_type() != DataType::Null);
        let field = field.or_else(|| arrays.get(&number).cloned());
        let of_client = given.get(number - 1).cloned().flatten().filter(|kind| *kind != Type::UNKNOWN);
        let kind = match (&of_client, &field) {
            (Some(kind), _) => kind.clone(),
            (None, Some(field)) => wire_type(field)?,
            (None, None) => Type::TEXT,
        };
        let open = of_client.is_none().then(|| field.map(|field| field.data_type().clone())).flatten();
        wire.push(kind);
        inferred.push(open);
    }
    Ok((wire, inferred))
}

/// Parameters that something is looked for in, as in `column = ANY($1)`: they are arrays of it, which the engine does not infer.
fn arrays(plan: &LogicalPlan) -> Outcome<HashMap<usize, Arc<Field>>> {
    let mut found = HashMap::new();
    plan.apply_with_subqueries(|node| {
        let inputs = merge_schema(&node.inputs());
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::ScalarFunction(function) = expr
                    && function.name() == "array_has"
                    && let [Expr::Placeholder(array), of] = function.args.as_slice()
                    && open(array)
                    && let Ok(of) = of.get_type(&inputs)
                    && let Ok(number) = array.id.trim_start_matches('$').parse()
                {
                    found.insert(number, Arc::new(Field::new(&array.id, list(of), true)));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

fn wire_type(field: &Field) -> Outcome<Type> {
    if *field.data_type() == DataType::Int32 && field.metadata().contains_key(PG_OID_ALIAS_KEY) {
        return Ok(Type::OID);
    }
    Ok(into_pg_type(field.data_type())?)
}

/// Gives every parameter its type, so that the columns that are made of it have one.
fn typed(plan: LogicalPlan, parameters: &[Type]) -> Outcome<LogicalPlan> {
    if parameters.is_empty() {
        return Ok(plan);
    }
    let retyped = plan.transform_up_with_subqueries(|node| {
        let node = node.map_expressions(|expr| {
            expr.transform_up(|expr| match expr {
                Expr::Placeholder(placeholder) if open(&placeholder) => {
                    let number = placeholder.id.trim_start_matches('$').parse::<usize>().unwrap_or(0);
                    let kind = number.checked_sub(1).and_then(|index| parameters.get(index));
                    let field = Field::new(&placeholder.id, kind.map_or(DataType::Utf8, engine_type), true);
                    let typed = Placeholder::new_with_field(placeholder.id, Some(Arc::new(field)));
                    Ok(Transformed::yes(Expr::Placeholder(typed)))
                }
                other => Ok(Transformed::no(other)),
            })
        })?;
        node.map_data(|node| match node {
            LogicalPlan::Values(rows) => LogicalPlanBuilder::values(rows.values)?.build(),
            node if node.expressions().is_empty() => Ok(node),
            node => node.recompute_schema(),
        })
    });
    Ok(retyped.map(|transformed| transformed.data)?)
}

fn open(placeholder: &Placeholder) -> bool {
    placeholder.field.as_ref().is_none_or(|field| *field.data_type() == DataType::Null)
}

/// The engine's type for a parameter whose type only the client knows.
fn engine_type(kind: &Type) -> DataType {
    use arrow_schema::TimeUnit::Microsecond;
    match *kind {
        Type::BOOL => DataType::Boolean,
        Type::INT2 => DataType::Int16,
        Type::INT4 | Type::OID => DataType::Int32,
        Type::INT8 => DataType::Int64,
        Type::FLOAT4 => DataType::Float32,
        Type::FLOAT8 => DataType::Float64,
        Type::NUMERIC => DataType::Decimal128(38, 10),
        Type::DATE => DataType::Date32,
        Type::TIMESTAMP => DataType::Timestamp(Microsecond, None),
        Type::TIMESTAMPTZ => DataType::Timestamp(Microsecond, Some("UTC".into())),
        Type::BYTEA => DataType::Binary,
        Type::BOOL_ARRAY => list(DataType::Boolean),
        Type::INT2_ARRAY => list(DataType::Int16),
        Type::INT4_ARRAY => list(DataType::Int32),
        Type::INT8_ARRAY => list(DataType::Int64),
        Type::FLOAT4_ARRAY => list(DataType::Float32),
        Type::FLOAT8_ARRAY => list(DataType::Float64),
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY => list(DataType::Utf8),
        _ => DataType::Utf8,
    }
}

fn list(of: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(of, true)))
}

/// Types coerced, so that the columns are of the types that the result will have.
fn analyzed(state: &SessionState, plan: LogicalPlan) -> Outcome<LogicalPlan> {
    if matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_)) {
        return Ok(plan);
    }
    Ok(state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {})?)
}

impl Plan {
    /// The plan with these values in place of its parameters, giving the same columns.
    pub(crate) fn with(&self, values: &[ScalarValue]) -> Outcome<LogicalPlan> {
        if values.is_empty() {
            return Ok(self.logical.clone());
        }
        let values = ParamValues::List(values.iter().cloned().map(Into::into).collect());
        Ok(self.logical.clone().replace_params_with_values(&values)?)
    }

    /// The values that a client binds, checked against what it was told.
    pub(crate) fn values(&self, bind: &Bind, given: &[Option<Type>]) -> Outcome<Vec<ScalarValue>> {
        let (sent, wanted) = (bind.parameters.len(), self.parameters.len());
        if sent != wanted {
            let what = format!("bind message supplies {sent} parameters, but prepared statement requires {wanted}");
            return Err(Failure::protocol(what));
        }
        let formats = bind.parameter_format_codes.len();
        if formats > 1 && formats != sent {
            let what = format!("bind message has {formats} parameter formats but {sent} parameters");
            return Err(Failure::protocol(what));
        }
        let statement = Arc::new(StoredStatement::new(String::new(), (), given.to_vec()));
        let portal = Portal::try_new(bind, statement)?;
        let inferred: Vec<_> = self.inferred.iter().map(Option::as_ref).collect();
        let server: Vec<_> = self.parameters.iter().map(Some).collect();
        match deserialize_parameters_with_server_types(&portal, &inferred, &server)? {
            ParamValues::List(values) => {
                Ok(values.into_iter().zip(&self.parameters).map(|(value, kind)| sound(value.value, kind)).collect())
            }
            ParamValues::Map(_) => Err(Failure::new(code::INTERNAL, "parameters were read by name")),
        }
    }
}

/// A value as the engine's rules for its type want it: the wire library leaves the zone of an instant out, and counts the
/// digits of a number without those that only its point puts there.
fn sound(value: ScalarValue, kind: &Type) -> ScalarValue {
    match value {
        ScalarValue::TimestampMicrosecond(instant, None) if *kind == Type::TIMESTAMPTZ => {
            ScalarValue::TimestampMicrosecond(instant, Some("UTC".into()))
        }
        ScalarValue::Decimal128(None, ..) => ScalarValue::Decimal128(None, 38, 10),
        ScalarValue::Decimal128(Some(number), precision, scale) => {
            let least = scale.unsigned_abs().max(1);
            ScalarValue::Decimal128(Some(number), precision.max(least), scale)
        }
        other => other,
    }
}

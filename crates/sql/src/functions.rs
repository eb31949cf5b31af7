//! Functions that clients ask about the server and their session with.
//!
//! datafusion-pg-catalog brings most of them; these are the ones that it lacks, or that must know the session.

use std::sync::Arc;

use arrow_array::{BooleanArray, StringArray, cast::AsArray};
use arrow_schema::{DataType, Field, Fields};
use datafusion::{
    common::{DFSchema, Result, ScalarValue, exec_err},
    execution::FunctionRegistry,
    logical_expr::{
        ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
        Volatility, lit,
        planner::{ExprPlanner, PlannerResult, RawBinaryExpr},
    },
    sql::sqlparser::ast::BinaryOperator,
};

use crate::{
    listing::OWNER,
    variables::{SERVER_VERSION, Variables},
};

/// What a function answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Answer {
    /// This, whatever it is asked.
    Always(ScalarValue),
    /// The first of two lists, or the second when it is asked with `true`.
    Schemas(ScalarValue, ScalarValue),
    /// Whether the last argument is a right to read or connect.
    Reads,
    /// The setting of that name: names in lower case, values.
    Setting(Vec<(String, String)>),
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Told {
    name: &'static str,
    answer: Answer,
    signature: Signature,
}

impl Told {
    fn function(name: &'static str, answer: Answer) -> Arc<ScalarUDF> {
        let anything = Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], Volatility::Stable);
        Arc::new(ScalarUDF::new_from_impl(Self { name, answer, signature: anything }))
    }
}

impl ScalarUDFImpl for Told {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match &self.answer {
            Answer::Always(value) | Answer::Schemas(value, _) => value.data_type(),
            Answer::Reads => DataType::Boolean,
            Answer::Setting(_) => DataType::Utf8,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value = match &self.answer {
            Answer::Always(value) => value.clone(),
            Answer::Schemas(without, with) => match args.args.first() {
                Some(ColumnarValue::Scalar(ScalarValue::Boolean(Some(true)))) => with.clone(),
                _ => without.clone(),
            },
            Answer::Reads => return reads(&args),
            Answer::Setting(settings) => return setting(settings, &args),
        };
        Ok(ColumnarValue::Scalar(value))
    }
}

fn reads(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let Some(asked) = args.args.last() else { return exec_err!("a privilege is asked for by its name") };
    let asked = asked.cast_to(&DataType::Utf8, None)?.into_array(args.number_rows)?;
    let granted = |privilege: &str| {
        let one = |one: &str| matches!(one.trim(), "SELECT" | "USAGE" | "CONNECT" | "TEMPORARY" | "TEMP" | "EXECUTE");
        privilege.to_ascii_uppercase().split(',').any(one)
    };
    let answers: BooleanArray = asked.as_string::<i32>().iter().map(|privilege| privilege.map(granted)).collect();
    Ok(ColumnarValue::Array(Arc::new(answers)))
}

fn setting(settings: &[(String, String)], args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let Some(asked) = args.args.first() else { return exec_err!("current_setting takes the name of a setting") };
    let or_none = matches!(args.args.get(1), Some(ColumnarValue::Scalar(ScalarValue::Boolean(Some(true)))));
    let value = |name: Option<&str>| {
        let Some(name) = name else { return Ok(None) };
        match settings.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, value)) => Ok(Some(value.clone())),
            None if or_none => Ok(None),
            None => exec_err!("unrecognized configuration parameter \"{name}\""),
        }
    };
    let asked = asked.cast_to(&DataType::Utf8, None)?.into_array(args.number_rows)?;
    let answers = asked.as_string::<i32>().iter().map(value).collect::<Result<StringArray>>()?;
    Ok(ColumnarValue::Array(Arc::new(answers)))
}

/// Functions that answer everybody alike.
pub(crate) fn of_server() -> Vec<Arc<ScalarUDF>> {
    let text = |text: &str| Answer::Always(ScalarValue::Utf8(Some(text.to_owned())));
    let nothing = || Answer::Always(ScalarValue::Utf8(None));
    let is = |value: bool| Answer::Always(ScalarValue::Boolean(Some(value)));
    let version = format!("PostgreSQL {SERVER_VERSION} (StreamReel {}, DataFusion)", env!("CARGO_PKG_VERSION"));
    let mut all = vec![
        Told::function("version", text(&version)),
        Told::function("pg_get_userbyid", text(OWNER)),
        Told::function("pg_is_in_recovery", is(false)),
        Told::function("pg_is_wal_replay_paused", is(false)),
        Told::function("pg_relation_is_updatable", Answer::Always(ScalarValue::Int32(Some(0)))),
        Told::function("pg_relation_is_publishable", is(false)),
        Told::function("pg_encoding_to_char", text("UTF8")),
        Told::function("pg_stat_get_numscans", Answer::Always(ScalarValue::Int64(Some(0)))),
    ];
    for name in ["pg_relation_size", "pg_total_relation_size", "pg_table_size", "pg_indexes_size", "pg_database_size"] {
        all.push(Told::function(name, Answer::Always(ScalarValue::Int64(None))));
    }
    let of_array = Fields::from(vec![Field::new("x", DataType::Int32, true), Field::new("n", DataType::Int32, true)]);
    if let Ok(nothing) = ScalarValue::try_new_null(&DataType::Struct(of_array)) {
        // Drivers expand the columns of keys with it. There are no keys.
        all.push(Told::function("_pg_expandarray", Answer::Always(nothing)));
    }
    for name in [
        "pg_table_is_visible",
        "pg_function_is_visible",
        "pg_type_is_visible",
        "pg_operator_is_visible",
        "pg_opclass_is_visible",
        "pg_collation_is_visible",
        "pg_conversion_is_visible",
        "pg_statistics_obj_is_visible",
        "pg_ts_config_is_visible",
        "pg_ts_dict_is_visible",
        "pg_ts_parser_is_visible",
        "pg_ts_template_is_visible",
        "pg_opfamily_is_visible",
    ] {
        all.push(Told::function(name, is(true)));
    }
    for name in [
        "obj_description",
        "col_description",
        "shobj_description",
        "pg_get_viewdef",
        "pg_get_indexdef",
        "pg_get_ruledef",
        "pg_get_triggerdef",
        "pg_get_functiondef",
        "pg_get_function_result",
        "pg_get_function_arguments",
        "pg_get_function_identity_arguments",
        "pg_get_serial_sequence",
        "pg_get_statisticsobjdef",
        "pg_tablespace_location",
        "pg_size_pretty",
        "pg_get_partkeydef",
        "pg_get_constraintdef",
        "pg_get_expr",
        "pg_get_statisticsobjdef_columns",
    ] {
        all.push(Told::function(name, nothing()));
    }
    for name in [
        "has_table_privilege",
        "has_schema_privilege",
        "has_database_privilege",
        "has_column_privilege",
        "has_any_column_privilege",
        "has_function_privilege",
        "has_sequence_privilege",
        "has_tablespace_privilege",
        "has_type_privilege",
        "has_language_privilege",
        "has_server_privilege",
    ] {
        all.push(Told::function(name, Answer::Reads));
    }
    all
}

/// Functions that answer by session.
pub(crate) fn of_session(variables: &Variables, pid: i32) -> Vec<Arc<ScalarUDF>> {
    let text = |text: &str| Answer::Always(ScalarValue::Utf8(Some(text.to_owned())));
    let list = |names: &[String]| {
        let names: Vec<_> = names.iter().map(|name| ScalarValue::Utf8(Some(name.clone()))).collect();
        ScalarValue::List(ScalarValue::new_list_nullable(&names, &DataType::Utf8))
    };
    let path = variables.search_path();
    let mut with_system = vec!["pg_catalog".to_owned()];
    with_system.extend(path.iter().cloned());
    let user = variables.get("session_authorization").unwrap_or_default();
    vec![
        Told::function("current_schema", text(path.first().map_or("public", String::as_str))),
        Told::function("current_schemas", Answer::Schemas(list(&path), list(&with_system))),
        Told::function("session_user", text(user)),
        Told::function("user", text(user)),
        Told::function("pg_backend_pid", Answer::Always(ScalarValue::Int32(Some(pid)))),
        Told::function("current_setting", Answer::Setting(variables.all())),
    ]
}

/// `column = 't'`, where the column is a boolean: text that is written for one is one.
#[derive(Debug)]
pub(crate) struct TextAsBoolean;

impl ExprPlanner for TextAsBoolean {
    fn plan_binary_op(&self, raw: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = raw;
        if !matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq) {
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        }
        let boolean = |expr: &Expr| expr.get_type(schema).is_ok_and(|kind| kind == DataType::Boolean);
        let (left, right) = match (boolean(&left), boolean(&right)) {
            (true, false) => (left, as_boolean(right)),
            (false, true) => (as_boolean(left), right),
            _ => (left, right),
        };
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }
}

fn as_boolean(expr: Expr) -> Expr {
    let Expr::Literal(value, _) = &expr else { return expr };
    match value.try_as_str().flatten().map(str::to_ascii_lowercase).as_deref() {
        Some("t" | "true" | "y" | "yes" | "on" | "1") => lit(true),
        Some("f" | "false" | "n" | "no" | "off" | "0") => lit(false),
        _ => expr,
    }
}

/// Puts functions where names of functions are looked up.
pub(crate) fn register(registry: &mut dyn FunctionRegistry, functions: Vec<Arc<ScalarUDF>>) -> Result<()> {
    functions.into_iter().try_for_each(|function| registry.register_udf(function).map(drop))
}

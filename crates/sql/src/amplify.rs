//! Functions that make much of little: they are measured before they are let loose.
//!
//! The engine counts the memory of joins, sorts and aggregates, but not that of a value which a function makes.
//! `repeat('x', 2000000000)` would take the machine's memory in one step.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow_array::{
    Array, ArrayRef,
    cast::AsArray,
    types::{Int64Type, IntervalMonthDayNanoType},
};
use arrow_schema::{DataType, FieldRef, IntervalUnit, TimeUnit};
use datafusion::{
    common::{DataFusionError, Result},
    execution::{FunctionRegistry, SessionState},
    logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature},
};

/// Bytes that a function may make of one batch of rows.
const MOST_BYTES: u64 = 64 << 20;

/// What the size of a function's result depends on. Numbers are those of arguments.
#[derive(Debug, Clone, Copy)]
enum Size {
    /// Length of the first, as often as the second says.
    Times,
    /// As many characters as the second says.
    Padded,
    /// Each character of the first can become the third.
    Replaced,
    /// As many values as there are from the first to the second, by steps of the third.
    Range,
    /// As many values as the second says, each as large as the first.
    Values,
    /// As many copies of the second as the first has values.
    Joined,
}

/// Names of functions that can make much of little.
const FUNCTIONS: [(&str, Size); 10] = [
    ("repeat", Size::Times),
    ("lpad", Size::Padded),
    ("rpad", Size::Padded),
    ("replace", Size::Replaced),
    ("regexp_replace", Size::Replaced),
    ("range", Size::Range),
    ("generate_series", Size::Range),
    ("array_repeat", Size::Values),
    ("array_resize", Size::Values),
    ("array_to_string", Size::Joined),
];

/// Puts measured functions in the place of those that can make much of little.
pub(crate) fn measure(state: &mut SessionState) -> Result<()> {
    for (name, size) in FUNCTIONS {
        let Some(inner) = state.scalar_functions().get(name).cloned() else { continue };
        let measured = ScalarUDF::new_from_impl(Measured { inner, size });
        state.register_udf(Arc::new(measured))?;
    }
    Ok(())
}

/// A function whose result is measured beforehand.
#[derive(Debug)]
struct Measured {
    inner: Arc<ScalarUDF>,
    size: Size,
}

impl PartialEq for Measured {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Measured {}

impl Hash for Measured {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Measured {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.inner().return_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.inner().return_field_from_args(arguments)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.inner().coerce_types(arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let bytes = self.size.of(&arguments)?;
        if bytes > MOST_BYTES {
            let (name, most) = (self.name(), MOST_BYTES >> 20);
            let what = format!("{name} would make {} MiB of some rows; {most} MiB may be made at once", bytes >> 20);
            return Err(DataFusionError::ResourcesExhausted(what));
        }
        self.inner.inner().invoke_with_args(arguments)
    }
}

impl Size {
    /// Bytes of the result, or more.
    fn of(self, arguments: &ScalarFunctionArgs) -> Result<u64> {
        let given = &arguments.args;
        let rows =
            if given.iter().all(|of| matches!(of, ColumnarValue::Scalar(_))) { 1 } else { arguments.number_rows };
        let number = |at: usize| Each::numbers(given.get(at));
        let length = |at: usize| Each::lengths(given.get(at));
        let sum = |row: &dyn Fn(usize) -> u64| (0..rows).fold(0_u64, |sum, at| sum.saturating_add(row(at)));
        Ok(match self {
            Self::Times => {
                let (of, times) = (length(0)?, number(1)?);
                sum(&|row| positive(of.at(row)).saturating_mul(positive(times.at(row))))
            }
            Self::Padded => {
                let characters = number(1)?;
                sum(&|row| positive(characters.at(row)).saturating_mul(4))
            }
            Self::Replaced => {
                let (of, by) = (length(0)?, length(2)?);
                sum(&|row| positive(of.at(row)).saturating_mul(positive(by.at(row)).max(1)))
            }
            Self::Values => {
                let (of, times) = (length(0)?, number(1)?);
                sum(&|row| positive(of.at(row)).max(8).saturating_mul(positive(times.at(row))))
            }
            Self::Joined => {
                let (values, between) = (length(0)?, length(1)?);
                sum(&|row| positive(values.at(row)).saturating_mul(positive(between.at(row))))
            }
            Self::Range => {
                let one = given.len() == 1;
                let (from, to) = if one { (Each::One(Some(0)), number(0)?) } else { (number(0)?, number(1)?) };
                let step = if given.len() > 2 { number(2)? } else { Each::One(Some(1)) };
                sum(&|row| {
                    let (Some(from), Some(to), Some(step)) = (from.at(row), to.at(row), step.at(row)) else { return 0 };
                    from.abs_diff(to) / step.unsigned_abs().max(1) * 8
                })
            }
        })
    }
}

fn positive(number: Option<i64>) -> u64 {
    number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}

/// A number for each row, or one for all.
enum Each {
    One(Option<i64>),
    Rows(arrow_array::Int64Array),
}

impl Each {
    fn at(&self, row: usize) -> Option<i64> {
        match self {
            Self::One(number) => *number,
            Self::Rows(numbers) => numbers.is_valid(row).then(|| numbers.value(row)),
        }
    }

    fn of(value: Option<&ColumnarValue>, numbers: fn(&ArrayRef) -> Result<arrow_array::Int64Array>) -> Result<Self> {
        Ok(match value {
            None => Self::One(None),
            Some(ColumnarValue::Array(array)) => Self::Rows(numbers(array)?),
            Some(ColumnarValue::Scalar(scalar)) => {
                let one = numbers(&scalar.to_array()?)?;
                Self::One(one.is_valid(0).then(|| one.value(0)))
            }
        })
    }

    /// Numbers, or instants and intervals in nanoseconds.
    fn numbers(value: Option<&ColumnarValue>) -> Result<Self> {
        Self::of(value, |array| {
            let array = match array.data_type() {
                DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
                    arrow_cast::cast(array, &DataType::Timestamp(TimeUnit::Nanosecond, None))?
                }
                DataType::Interval(_) => {
                    let intervals = arrow_cast::cast(array, &DataType::Interval(IntervalUnit::MonthDayNano))?;
                    let nanoseconds = |months: i32, days: i32, rest: i64| {
                        let days = i64::from(months) * 28 + i64::from(days);
                        days.saturating_mul(86_400_000_000_000).saturating_add(rest)
                    };
                    let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
                    return Ok(intervals.unary(|of| nanoseconds(of.months, of.days, of.nanoseconds)));
                }
                _ => Arc::clone(array),
            };
            Ok(arrow_cast::cast(&array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
        })
    }

    /// Lengths: of a text its bytes, of a list its values; of anything else a few bytes.
    fn lengths(value: Option<&ColumnarValue>) -> Result<Self> {
        Self::of(value, |array| {
            let rows = 0..array.len();
            let text = matches!(array.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
            if text {
                let texts = arrow_cast::cast(array, &DataType::LargeUtf8)?;
                let texts = texts.as_string::<i64>();
                return Ok(rows.map(|row| texts.is_valid(row).then(|| texts.value_length(row))).collect());
            }
            if let Some(lists) = array.as_list_opt::<i32>() {
                return Ok(rows.map(|row| lists.is_valid(row).then(|| i64::from(lists.value_length(row)))).collect());
            }
            Ok(rows.map(|row| array.is_valid(row).then_some(16)).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;
    use streamreel_lake::plan;

    use super::*;

    #[tokio::test]
    async fn what_would_be_too_much_is_not_made() {
        let mut state = SessionContext::new().state();
        measure(&mut state).unwrap();
        let session = SessionContext::new_with_state(state);
        let cases = [
            ("repeat('x', 1000)", true),
            ("repeat('x', 2000000000)", false),
            ("repeat(repeat('x', 10000), 10000)", false),
            ("sum(length(repeat('x', value)))", true),
            ("sum(length(repeat('x', value * 10000)))", false),
            ("lpad('x', 10, '-')", true),
            ("rpad('x', 1000000000)", false),
            ("replace(repeat('x', 1000000), 'x', repeat('y', 1000))", false),
            ("regexp_replace(repeat('x', 1000000), 'x', repeat('y', 1000), 'g')", false),
            ("replace('axa', 'x', 'y')", true),
            ("range(1, 1000)", true),
            ("range(1000000000)", false),
            ("range(1, 1000000000)", false),
            ("generate_series(1, 10000000000, 1000000000)", true),
            ("generate_series(date '2024-01-01', date '2024-02-01', interval '1 day')", true),
            ("generate_series(timestamp '2000-01-01', timestamp '2024-02-01', interval '1 millisecond')", false),
            ("array_repeat(1, 1000)", true),
            ("array_repeat(1, 1000000000)", false),
            ("array_resize([1], 1000000000, 1)", false),
            ("array_to_string(range(1, 1000000), repeat('x', 1000))", false),
            ("array_to_string([1, 2], ', ')", true),
        ];
        for (expression, made) in cases {
            let rows =
                plan::sql(&session, &format!("select {expression} from generate_series(1, 8000)")).await.unwrap();
            let done = rows.limit(0, Some(1)).unwrap().collect().await;
            let refused =
                matches!(&done, Err(error) if matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)));
            assert_eq!((done.is_ok(), refused), (made, !made), "{expression}: {:?}", done.err());
        }
    }
}

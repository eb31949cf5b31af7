//! Arrow's PyCapsule interface: batches come in from any library that speaks it and go out to any, without a copy.
//!
//! The one file with `unsafe`: the interface is pointers to C structures in capsules. What comes in is validated (offsets,
//! UTF-8) before anything looks at it, so that a broken buffer is an error.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int};
use std::sync::Arc;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi_and_data_type};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{Array, RecordBatch, RecordBatchOptions, StructArray};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};

const ARRAY: &CStr = c"arrow_array";
const SCHEMA: &CStr = c"arrow_schema";
const STREAM: &CStr = c"arrow_array_stream";

/// The batches of an object that exports Arrow data, all of one schema.
pub fn batches(object: &Bound<'_, PyAny>) -> PyResult<(SchemaRef, Vec<RecordBatch>)> {
    if object.hasattr("__arrow_c_array__")? {
        let (schema, batch) = array(object)?;
        return Ok((schema, vec![batch]));
    }
    if object.hasattr("__arrow_c_stream__")? {
        let mut stream = Stream::of(object)?;
        return object.py().detach(|| stream.read()).map_err(PyValueError::new_err);
    }
    Err(PyTypeError::new_err(format!(
        "expected Arrow data (an object with __arrow_c_array__ or __arrow_c_stream__, as a record batch or a table), got {}",
        object.get_type().name()?
    )))
}

/// The capsules of a batch's schema and array.
pub fn export<'py>(py: Python<'py>, batch: &RecordBatch) -> PyResult<Bound<'py, PyTuple>> {
    let array = FFI_ArrowArray::new(&StructArray::from(batch.clone()).into_data());
    let array = PyCapsule::new_with_value(py, array, ARRAY)?;
    PyTuple::new(py, [export_schema(py, batch.schema_ref())?, array])
}

/// The capsule of a schema.
pub fn export_schema<'py>(py: Python<'py>, schema: &Schema) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = FFI_ArrowSchema::try_from(schema).map_err(|e| PyValueError::new_err(e.to_string()))?;
    PyCapsule::new_with_value(py, schema, SCHEMA)
}

fn array(object: &Bound<'_, PyAny>) -> PyResult<(SchemaRef, RecordBatch)> {
    let pair = object.call_method0("__arrow_c_array__")?;
    let (schema, array): (Bound<'_, PyCapsule>, Bound<'_, PyCapsule>) = pair.extract()?;
    let schema = schema.pointer_checked(Some(SCHEMA))?.cast::<FFI_ArrowSchema>();
    let array = array.pointer_checked(Some(ARRAY))?.cast::<FFI_ArrowArray>();
    // SAFETY: capsules of these names hold these structures, and live until the end of this function. The array is moved
    // out: what stays in the capsule is marked as released.
    let (schema, array) = unsafe { (schema.as_ref(), FFI_ArrowArray::from_raw(array.as_ptr())) };
    if array.is_released() {
        return Err(PyValueError::new_err("the Arrow array was released before it came here"));
    }
    let schema = schema_of(schema).map_err(PyValueError::new_err)?;
    object.py().detach(|| batch(array, &schema).map(|batch| (schema, batch))).map_err(PyValueError::new_err)
}

/// A stream that an object exports.
struct Stream(FFI_ArrowArrayStream);

impl Stream {
    fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let capsule = object.call_method0("__arrow_c_stream__")?.extract::<Bound<'_, PyCapsule>>()?;
        let stream = capsule.pointer_checked(Some(STREAM))?.cast::<FFI_ArrowArrayStream>();
        let empty = FFI_ArrowArrayStream {
            get_schema: None,
            get_next: None,
            get_last_error: None,
            release: None,
            private_data: std::ptr::null_mut(),
        };
        // SAFETY: the capsule's name says what it holds. The stream is moved out and an empty one, which releases nothing, is left.
        Ok(Self(unsafe { std::ptr::replace(stream.as_ptr(), empty) }))
    }

    fn read(&mut self) -> Result<(SchemaRef, Vec<RecordBatch>), String> {
        let (Some(get_schema), Some(get_next)) = (self.0.get_schema, self.0.get_next) else {
            return Err("the Arrow stream was read or released before it came here".to_owned());
        };
        let mut schema = FFI_ArrowSchema::empty();
        // SAFETY: the stream is live, and these are its own functions.
        let code = unsafe { get_schema(&raw mut self.0, &raw mut schema) };
        self.check(code, "its schema")?;
        let schema = schema_of(&schema)?;
        let mut batches = Vec::new();
        loop {
            let mut array = FFI_ArrowArray::empty();
            // SAFETY: as above.
            let code = unsafe { get_next(&raw mut self.0, &raw mut array) };
            self.check(code, "its next batch")?;
            if array.is_released() {
                return Ok((schema, batches));
            }
            batches.push(batch(array, &schema)?);
        }
    }

    fn check(&mut self, code: c_int, what: &str) -> Result<(), String> {
        if code == 0 {
            return Ok(());
        }
        let message = self.0.get_last_error.map(|last| {
            // SAFETY: the stream is live; its message is null or lives until its next call.
            unsafe { last(&raw mut self.0).as_ref().map(|text| CStr::from_ptr(text).to_string_lossy().into_owned()) }
        });
        let message = message.flatten().unwrap_or_else(|| format!("code {code}"));
        Err(format!("the Arrow stream failed to give {what}: {message}"))
    }
}

fn arrow(error: ArrowError) -> String {
    format!("the Arrow data is broken: {error}")
}

fn schema_of(schema: &FFI_ArrowSchema) -> Result<SchemaRef, String> {
    let kind = DataType::try_from(schema).map_err(arrow)?;
    if !matches!(kind, DataType::Struct(_)) {
        return Err(format!("expected a record batch or a table, got an Arrow array of {kind}"));
    }
    Schema::try_from(schema).map(Arc::new).map_err(arrow)
}

fn batch(array: FFI_ArrowArray, schema: &SchemaRef) -> Result<RecordBatch, String> {
    let kind = DataType::Struct(schema.fields().clone());
    // SAFETY: the interface promises that the array has the type of the schema beside it; what it holds is validated below.
    let mut data = unsafe { from_ffi_and_data_type(array, kind) }.map_err(arrow)?;
    data.align_buffers();
    data.validate_full().map_err(arrow)?;
    let rows = StructArray::from(data);
    if rows.null_count() > 0 {
        return Err("a batch has rows that are null as a whole; give a record batch or a table".to_owned());
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::clone(schema), rows.columns().to_vec(), &options).map_err(arrow)
}

//! StreamReel's kernels for Python: the same crates that the program runs, over Arrow batches.
//!
//! Nothing is decided here. Batches come in and go out by Arrow's PyCapsule interface (`capsule.rs`), without a copy and without a
//! need for any particular Arrow library; Python's lock is given up while a kernel works; whatever is wrong with an input
//! becomes an exception. What a user sees is documented here, its types in `streamreel/_native.pyi`.

mod batch;
mod capsule;
mod decode;
mod dedupe;
mod settings;
mod silver;
mod simulate;

use pyo3::prelude::*;

/// The extension module `streamreel._native`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<batch::PyRecordBatch>()?;
    module.add_class::<silver::Silver>()?;
    module.add_class::<silver::PySessioniser>()?;
    module.add_class::<simulate::Simulation>()?;
    module.add_function(wrap_pyfunction!(decode::decode, module)?)?;
    module.add_function(wrap_pyfunction!(decode::clean_json, module)?)?;
    module.add_class::<dedupe::PyDeduplicator>()?;
    module.add_function(wrap_pyfunction!(dedupe::dedupe_keys, module)?)?;
    module.add_function(wrap_pyfunction!(decode::producer_keys, module)?)?;
    module.add_function(wrap_pyfunction!(silver::watched_segments, module)?)?;
    module.add_function(wrap_pyfunction!(silver::event_schema, module)?)?;
    module.add_function(wrap_pyfunction!(silver::silver_schemas, module)?)?;
    module.add_function(wrap_pyfunction!(settings::definition, module)?)?;
    module.add_function(wrap_pyfunction!(simulate::simulate, module)?)
}

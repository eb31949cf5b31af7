//! Thresholds of the sessioniser from keyword arguments.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use streamreel_viewing::{OpenPlay, Settings};

const NAMES: &str = "view_gap_s, max_unproven_s, agree_s, drift_ratio, implied_advance_s, seek_echo_s, shortest_segment_s, \
                     duration_tolerance_s, completed_ratio, engaged_s, engaged_ratio, short_video_s, open_play";

/// The default with what is given laid over it.
pub fn of(given: Option<&Bound<'_, PyDict>>) -> PyResult<Settings> {
    let mut settings = Settings::default();
    for (name, value) in given.into_iter().flatten() {
        let name: String = name.extract()?;
        if name == "open_play" {
            settings.open_play = open_play(&value)?;
            continue;
        }
        let threshold = threshold(&mut settings, &name)
            .ok_or_else(|| PyTypeError::new_err(format!("no setting `{name}`; there are: {NAMES}")))?;
        let number: f64 =
            value.extract().map_err(|_| PyTypeError::new_err(format!("{name} must be a number, not {value}")))?;
        if !(number.is_finite() && number >= 0.0) {
            return Err(PyValueError::new_err(format!("{name} is {number}; give a number that is not negative")));
        }
        *threshold = number;
    }
    Ok(settings)
}

/// Names what rows of silver follow from: the kernel's generation and every threshold. Rows of another definition must be derived anew.
#[pyfunction]
#[pyo3(signature = (**settings))]
pub fn definition(settings: Option<&Bound<'_, PyDict>>) -> PyResult<String> {
    Ok(of(settings)?.definition())
}

fn threshold<'a>(settings: &'a mut Settings, name: &str) -> Option<&'a mut f64> {
    Some(match name {
        "view_gap_s" => &mut settings.view_gap_s,
        "max_unproven_s" => &mut settings.max_unproven_s,
        "agree_s" => &mut settings.agree_s,
        "drift_ratio" => &mut settings.drift_ratio,
        "implied_advance_s" => &mut settings.implied_advance_s,
        "seek_echo_s" => &mut settings.seek_echo_s,
        "shortest_segment_s" => &mut settings.shortest_segment_s,
        "duration_tolerance_s" => &mut settings.duration_tolerance_s,
        "completed_ratio" => &mut settings.completed_ratio,
        "engaged_s" => &mut settings.engaged_s,
        "engaged_ratio" => &mut settings.engaged_ratio,
        "short_video_s" => &mut settings.short_video_s,
        _ => return None,
    })
}

fn open_play(value: &Bound<'_, PyAny>) -> PyResult<OpenPlay> {
    match value.extract::<String>().as_deref() {
        Ok("evidence") => Ok(OpenPlay::Evidence),
        Ok("drop") => Ok(OpenPlay::Drop),
        Ok("elapsed") => Ok(OpenPlay::Elapsed),
        _ => Err(PyValueError::new_err(format!("open_play is {value}; give 'evidence', 'drop' or 'elapsed'"))),
    }
}

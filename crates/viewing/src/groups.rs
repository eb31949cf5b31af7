//! Where one group of rows (user, video, session) ends and the next begins.

use std::cmp::Ordering;

use arrow_array::Array;

use crate::error::Error;
use crate::input::Columns;

/// The first rows of a batch's groups, ascending; the first is 0. An error where the rows are not in order.
pub(crate) fn starts(columns: &Columns<'_>, starts: &mut Vec<u32>) -> Result<(), Error> {
    starts.clear();
    let rows = columns.user_id.len();
    for row in 0..rows {
        if row == 0 || !same_group(columns, row - 1, row) {
            if row > 0 {
                check_order(columns, row, columns, row - 1)?;
            }
            starts.push(row as u32); // a batch has fewer than 2^31 rows, its string offsets being i32
        }
    }
    Ok(())
}

/// Equality alone is cheaper than order: most neighbours are equal, and lengths decide most of the rest.
fn same_group(columns: &Columns<'_>, a: usize, b: usize) -> bool {
    let sessions = columns.session_id;
    columns.video_id.value(a).as_bytes() == columns.video_id.value(b).as_bytes()
        && columns.user_id.value(a).as_bytes() == columns.user_id.value(b).as_bytes()
        && match (sessions.is_valid(a), sessions.is_valid(b)) {
            (true, true) => sessions.value(a).as_bytes() == sessions.value(b).as_bytes(),
            (a_valid, b_valid) => a_valid == b_valid,
        }
}

/// Whether `row` begins another group than `before` is in; an error when it should have come earlier.
pub(crate) fn check_order(
    columns: &Columns<'_>,
    row: usize,
    before: &Columns<'_>,
    before_row: usize,
) -> Result<bool, Error> {
    match columns.compare_keys(row, before, before_row) {
        Ordering::Greater => Ok(true),
        Ordering::Equal => Ok(false),
        Ordering::Less => Err(Error::NotSorted {
            row,
            user_id: columns.user_id.value(row).to_owned(),
            video_id: columns.video_id.value(row).to_owned(),
        }),
    }
}

//! `GET /problems/{name}`: what the `type` of a problem means, so that its path leads somewhere.

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;

use super::asking::Asking;
use crate::problem::{Kind, Problem, ProblemKind, explain};

/// Its path in the document.
pub(crate) const PATH: &str = "/api/v1/problems/{name}";

/// What a kind of problem means, and what to do about it.
#[utoipa::path(
    get, path = "/problems/{name}", tag = "about",
    params(("name" = String, Path, description = "The end of a problem's `type`.", example = "no-build")),
    responses(
        (status = 200, description = "The kind.", body = ProblemKind),
        (status = 404, description = "There is no such kind.", body = crate::problem::ProblemDetails, content_type = "application/problem+json")
    )
)]
pub(crate) async fn problem_kind(
    name: Result<Path<String>, PathRejection>,
    asking: Asking,
) -> Result<Json<ProblemKind>, Problem> {
    asking.params.none_left(&[])?;
    let Path(name) = name.map_err(bad_path)?;
    explain(&name).map(Json).ok_or_else(|| Problem::new(Kind::NotFound, "there is no such kind of problem"))
}

/// A path whose escapes can't be read.
pub(crate) fn bad_path(rejection: PathRejection) -> Problem {
    Problem::new(Kind::BadPath, rejection.body_text())
}

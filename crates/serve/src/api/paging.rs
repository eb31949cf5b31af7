//! Pages of a list: how long, from where, and where the next one begins.

use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};
use xxhash_rust::xxh3::xxh3_64;

use super::document;
use super::query::Params;
use crate::problem::{Kind, Problem};

/// Rows of a page, unless asked otherwise.
const USUAL: usize = 50;
/// Rows of a page at most.
const MOST: usize = 1000;

/// What a page is of: a list of a build.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListId {
    build: u64,
    list: u64,
}

impl ListId {
    /// The list that `canonical` asks for in a build.
    pub(crate) fn new(build_id: &str, canonical: &str) -> Self {
        Self { build: xxh3_64(build_id.as_bytes()), list: xxh3_64(canonical.as_bytes()) }
    }
}

/// Which rows of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    /// How many at most.
    pub(crate) limit: usize,
    /// How many come before.
    pub(crate) offset: usize,
}

impl Page {
    /// Takes the page's parameters.
    ///
    /// # Errors
    /// 410 for a cursor of another build, 400 for one of another list and whatever else is wrong.
    pub(crate) fn take(params: &mut Params, list: ListId) -> Result<Self, Problem> {
        let limit = match params.one("limit")? {
            None => USUAL,
            Some(text) => {
                let number = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
                number
                    .filter(|limit| (1..=MOST).contains(limit))
                    .ok_or_else(|| Problem::parameter("limit", format!("`limit` is a number from 1 to {MOST}")))?
            }
        };
        let offset = match params.one("cursor")? {
            None => 0,
            Some(cursor) => decode(&cursor, list)?,
        };
        Ok(Self { limit, offset })
    }

    /// The rows of this page out of so many.
    pub(crate) fn of(&self, total: usize) -> std::ops::Range<usize> {
        let from = self.offset.min(total);
        from..from.saturating_add(self.limit).min(total)
    }

    /// The cursor of the next page, if there is one.
    pub(crate) fn next(&self, total: usize, list: ListId) -> Option<String> {
        let next = self.of(total).end;
        (next < total).then(|| format!("{:016x}{:016x}{next:016x}", list.build, list.list))
    }
}

fn decode(cursor: &str, list: ListId) -> Result<usize, Problem> {
    let unknown = || Problem::parameter("cursor", "this is no cursor; take the `next_cursor` of an answer as it is");
    let is_hex = cursor.len() == 48 && cursor.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_hex {
        return Err(unknown());
    }
    let number = |part: &str| u64::from_str_radix(part, 16).map_err(|_| unknown());
    let (build, of_list) = (number(&cursor[..16])?, number(&cursor[16..32])?);
    if build != list.build {
        let detail = "the cursor is of another build than the published one; begin again without `cursor`";
        return Err(Problem::new(Kind::StaleCursor, detail));
    }
    if of_list != list.list {
        let detail = "the cursor is of a list with other parameters; give those that it came from, or none";
        return Err(Problem::parameter("cursor", detail));
    }
    usize::try_from(number(&cursor[32..])?).map_err(|_| unknown())
}

impl IntoParams for Page {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![
            document::parameter("limit", "Rows of a page.", document::integer(1, MOST, USUAL)),
            document::parameter(
                "cursor",
                "Where to go on: the `next_cursor` of the page before, with the same other parameters. \
                 It is bound to the build: after the next one it is answered with 410.",
                document::text(None),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<Page, Problem> {
        let mut params = Params::parse(Some(query))?;
        Page::take(&mut params, ListId::new("b1", "videos?"))
    }

    #[test]
    fn pages_follow_each_other() {
        let list = ListId::new("b1", "videos?");
        let mut seen = Vec::new();
        let mut page = page("limit=7").expect("a page");
        loop {
            seen.extend(page.of(23));
            let Some(cursor) = page.next(23, list) else { break };
            page = super::tests::page(&format!("limit=7&cursor={cursor}")).expect("a page");
        }
        assert_eq!(seen, (0..23).collect::<Vec<_>>());
    }

    #[test]
    fn wrong_ones_are_refused() {
        let cursor = |build: &str, list: &str| {
            let first = Page { limit: 1, offset: 0 };
            first.next(2, ListId::new(build, list)).expect("there is more")
        };
        let cases = [
            ("limit=0".to_owned(), Kind::BadParameter),
            ("limit=1001".to_owned(), Kind::BadParameter),
            ("limit=-1".to_owned(), Kind::BadParameter),
            ("limit=+1".to_owned(), Kind::BadParameter),
            ("limit=".to_owned(), Kind::BadParameter),
            ("limit=99999999999999999999999".to_owned(), Kind::BadParameter),
            ("cursor=".to_owned(), Kind::BadParameter),
            ("cursor=x".to_owned(), Kind::BadParameter),
            (format!("cursor={}", "é".repeat(24)), Kind::BadParameter),
            (format!("cursor={}", cursor("b1", "other")), Kind::BadParameter),
            (format!("cursor={}", cursor("b0", "videos?")), Kind::StaleCursor),
        ];
        for (query, kind) in cases {
            assert_eq!(page(&query).expect_err(&query).kind, kind, "{query}");
        }
        let beyond = cursor("b1", "videos?")[..32].to_owned() + "ffffffffffffffff";
        assert_eq!(page(&format!("cursor={beyond}")).expect("a page").of(5), 5..5);
    }
}

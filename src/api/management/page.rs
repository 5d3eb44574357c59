//! Pages: how long they are, where they go on.

use axum::{extract::Query, http::Uri};
use serde::de::DeserializeOwned;

use super::super::problem::Problem;
use crate::types::check_id;

/// Rows of a page when nobody says.
const USUAL: u32 = 100;
/// Rows of a page at most.
const MOST: u32 = 1_000;
/// Characters of a problem that is told.
const LONGEST_PROBLEM: usize = 200;

/// Reads the parameters of a query; one that is not known is an error, and one that comes twice.
///
/// # Errors
/// [`Problem::Invalid`].
pub(super) fn parameters<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    Query::try_from_uri(uri).map(|Query(parameters)| parameters).map_err(|rejection| {
        let text = rejection.body_text();
        let text = text.split_once(": ").map_or(text.as_str(), |(_, text)| text);
        Problem::Invalid(format!("the query: {}", text.chars().take(LONGEST_PROBLEM).collect::<String>()))
    })
}

/// How many rows a page has at most.
///
/// # Errors
/// [`Problem::Invalid`]: never a silent other number.
pub(super) fn length(limit: Option<u32>) -> Result<u32, Problem> {
    match limit.unwrap_or(USUAL) {
        limit @ 1..=MOST => Ok(limit),
        _ => Err(Problem::Invalid(format!("limit: it must be 1 to {MOST}"))),
    }
}

/// An id in a query, if it is one that a row could have.
///
/// # Errors
/// [`Problem::Invalid`] with the parameter.
pub(super) fn id(parameter: &str, id: Option<String>) -> Result<Option<String>, Problem> {
    match id.as_deref().map(check_id) {
        Some(Err(error)) => Err(Problem::Invalid(format!("{parameter}: {error}"))),
        Some(Ok(())) | None => Ok(id),
    }
}

/// A page of the rows that were read, one more than it holds, and where the next begins.
pub(super) struct Page<T> {
    pub rows: Vec<T>,
    pub next: Option<String>,
}

/// Bytes of rows' own lists in a page, at most, unless one row has more.
const MOST_BYTES: usize = 1024 * 1024;
/// Rows that are asked about before others are heard.
const ASKED_AT_ONCE: usize = 32;

/// Cuts the row that only says that there are more, and what would make the page too large: `weight` is the bytes of
/// a row's own lists.
pub(super) fn cut<T>(
    mut rows: Vec<T>,
    length: u32,
    cursor: impl Fn(&T) -> String,
    weight: impl Fn(&T) -> usize,
) -> Page<T> {
    let mut bytes = 0_usize;
    let fits = rows.iter().position(|row| {
        bytes = bytes.saturating_add(weight(row));
        bytes > MOST_BYTES
    });
    let length = fits.map_or(usize::MAX, |fits| fits.max(1)).min(length as usize);
    let more = rows.len() > length;
    rows.truncate(length);
    let next = rows.last().filter(|_| more).map(&cursor);
    Page { rows, next }
}

/// The rows that the caller may see. Others are heard meanwhile: each row is a decision.
pub(super) async fn visible<T>(rows: Vec<T>, sees: impl Fn(&T) -> bool) -> Vec<T> {
    let mut visible = Vec::with_capacity(rows.len());
    for (place, row) in rows.into_iter().enumerate() {
        if place % ASKED_AT_ONCE == ASKED_AT_ONCE - 1 {
            tokio::task::yield_now().await;
        }
        if sees(&row) {
            visible.push(row);
        }
    }
    visible
}

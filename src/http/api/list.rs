//! `GET /api/messages` and `GET /api/stats`.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;

use super::{Pairs, Parameters, Refusal, json, query, store};
use crate::clock;
use crate::http::HttpState;
use crate::message::filter::{PAGE_MAX, Place};
use crate::message::{FilterError, Moment};
use crate::store::operator::{By, Paging};

/// The rows of a page where the request does not say how many.
const LIMIT_DEFAULT: usize = 50;

/// The time that is counted where the request names none.
const SPAN: Duration = Duration::from_secs(24 * 3600);

pub(in crate::http) async fn list(
    State(state): State<HttpState>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    let Parameters { own, filter } = Parameters::read(pairs, ["limit", "cursor"])?;
    let [limit, cursor] = own;
    let limit = limit.map_or(Ok(LIMIT_DEFAULT), |text| match text.parse() {
        Ok(limit) if (1..=PAGE_MAX).contains(&limit) => Ok(limit),
        _ => Err(FilterError::Limit),
    })?;
    let after = cursor.map(|text| text.parse::<Place>()).transpose()?;
    let paging = Paging {
        limit,
        after,
        reveals: false,
    };
    let page = store(&state).await?.list(&filter, paging).await?;
    Ok(json(page))
}

pub(in crate::http) async fn stats(
    State(state): State<HttpState>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    let Parameters {
        own: [by],
        mut filter,
    } = Parameters::read(pairs, ["by"])?;
    let by = by.as_deref().unwrap_or(By::Status.as_str());
    let by: By = by.parse().map_err(query)?;
    if filter.from.is_none() && filter.to.is_none() && filter.search.is_none() {
        let now = Moment::from_micros(clock::reading().real_us);
        filter.from = Some(now - SPAN);
        filter.to = Some(now);
    }
    let counted = store(&state).await?.stats(&filter, by).await?;
    Ok(json(counted))
}

//! `GET /api/messages` and `GET /api/stats`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;

use super::{Pairs, Parameters, Refusal, flag, json, query, work};
use crate::clock;
use crate::http::HttpState;
use crate::http::jobs::Kind;
#[cfg(test)]
use crate::http::openapi::{FilterParameters, Guarded, NoDatabase, NotRead};
use crate::message::filter::{PAGE_MAX, PageStart};
use crate::message::{FilterError, Moment};
use crate::store::Store;
use crate::store::operator::{By, OperatorError, Paging};
#[cfg(test)]
use crate::store::operator::{Page, Stats};

/// The rows of a page where the request does not say how many.
const LIMIT_DEFAULT: usize = 50;

/// The time that is counted where the request names none.
const SPAN: Duration = Duration::from_secs(24 * 3600);

/// The messages of a filter, in pages
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/messages",
    operation_id = "messages",
    security(("bearer" = []), ("session" = [])),
    params(
        FilterParameters,
        ("cursor" = Option<String>, Query, description = "Where the page begins: the `next` of the one before."),
        ("limit" = Option<usize>, Query, description = "Messages at most; 50.", minimum = 1, maximum = 1000),
        ("forecast" = Option<u8>, Query, description = "With 1, pending messages have a `forecast`.", maximum = 1),
    ),
    responses(
        (status = 200, description = "A page.", body = Page),
        NotRead,
        NoDatabase,
        Guarded,
    )
))]
pub(in crate::http) async fn list(
    State(state): State<HttpState>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    let Parameters { own, filter } =
        Parameters::read(pairs, ["limit", "cursor", "forecast"], true)?;
    let [limit, cursor, forecast] = own;
    let foresees = flag("forecast", forecast.as_deref())?;
    let limit = limit.map_or(Ok(LIMIT_DEFAULT), |text| match text.parse() {
        Ok(limit) if (1..=PAGE_MAX).contains(&limit) => Ok(limit),
        _ => Err(FilterError::Limit),
    })?;
    let after = cursor.map(|text| text.parse::<PageStart>()).transpose()?;
    let paging = Paging {
        limit,
        after,
        reveals: false,
    };
    let assumed = state
        .stories
        .as_ref()
        .map(|(_, assumed)| Arc::clone(assumed));
    let assumed = assumed.filter(|_| foresees);
    let list = move |store: Store| async move {
        let mut page = store.list(&filter, paging).await?;
        if let Some(assumed) = assumed {
            store.foresee(&mut page, &assumed).await?;
        }
        Ok::<_, OperatorError>(page)
    };
    Ok(json(work(&state, Kind::List, list).await??))
}

/// How many messages of a filter there are; by default of those due in the last 24 hours
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/stats",
    operation_id = "stats",
    security(("bearer" = []), ("session" = [])),
    params(
        FilterParameters,
        ("by" = inline(Option<By>), Query, description = "What they are counted by; by default their status."),
    ),
    responses(
        (status = 200, description = "The counts.", body = Stats),
        NotRead,
        NoDatabase,
        Guarded,
    )
))]
pub(in crate::http) async fn stats(
    State(state): State<HttpState>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    let Parameters {
        own: [by],
        mut filter,
    } = Parameters::read(pairs, ["by"], true)?;
    let by = by.as_deref().unwrap_or(By::Status.as_str());
    let by: By = by.parse().map_err(query)?;
    if filter.from.is_none() && filter.to.is_none() && filter.search.is_none() {
        let now = Moment::from_micros(clock::reading().real_us);
        filter.from = Some(now - SPAN);
        filter.to = Some(now);
    }
    let count = move |store: Store| async move { store.stats(&filter, by).await };
    Ok(json(work(&state, Kind::List, count).await??))
}

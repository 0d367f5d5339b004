//! `/api/campaigns`: campaigns, their messages as whoever receives them will see them, and what people decide about
//! these.

pub(in crate::http) mod acts;
mod rows;
mod shown;

use axum::extract::{Extension, Path, State};
use axum::response::Response;

use super::{Pairs, Parameters, Refusal, json, no_parameters, query, work};
use crate::http::HttpState;
use crate::http::access::Caller;
use crate::http::jobs::Kind;
#[cfg(test)]
use crate::http::openapi::{Guarded, NoCampaign, NoDatabase, NotRead, NotShown};
#[cfg(test)]
use crate::store::campaigns::Entry;
use crate::store::campaigns::Wanted;
use crate::store::{Store, StoreError};

use shown::{CampaignListed, CampaignMessages, CampaignNow, Message};

/// Messages of a page where the request does not say how many.
const LIMIT_DEFAULT: i64 = 25;

/// The most messages of a page.
const LIMIT_MAX: i64 = 200;

/// The statuses of messages of campaigns.
const STATUSES: [&str; 9] = [
    "SUG",
    "APR",
    "REJ",
    "SCH",
    "sent",
    "failed",
    "cancelled",
    "unconfirmed",
    "deleted",
];

/// The latest campaigns, and how far they are
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/campaigns",
    operation_id = "campaigns",
    security(("bearer" = []), ("session" = [])),
    responses(
        (status = 200, description = "The campaigns, the latest first.", body = Vec<CampaignListed>),
        NotRead,
        NoDatabase,
        Guarded,
    )
))]
pub(in crate::http) async fn list(
    State(state): State<HttpState>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    no_parameters(pairs)?;
    let read = |store: Store| async move { store.campaigns().await };
    let all = work(&state, Kind::List, read).await?.map_err(failed)?;
    let listed = all.into_iter().map(|(campaign, tally)| CampaignListed {
        campaign: campaign.into(),
        tally,
    });
    Ok(json(listed.collect::<Vec<_>>()))
}

/// A campaign, and how many of its messages are in which status
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/campaigns/{campaign}",
    operation_id = "campaign",
    security(("bearer" = []), ("session" = [])),
    params(("campaign" = String, Path, description = "Its name or its id.")),
    responses(
        (status = 200, description = "The campaign.", body = CampaignNow),
        NotRead,
        NoCampaign,
        Guarded,
    )
))]
pub(in crate::http) async fn campaign(
    State(state): State<HttpState>,
    Path(named): Path<String>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    no_parameters(pairs)?;
    let read = |store: Store| async move { store.campaign(&named).await };
    let found = work(&state, Kind::List, read).await?.map_err(failed)?;
    let (campaign, messages) = found.ok_or(NO_CAMPAIGN)?;
    Ok(json(CampaignNow {
        campaign: campaign.into(),
        messages,
    }))
}

/// Messages of a campaign, with their texts and numbers: for whoever decides about them
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/campaigns/{campaign}/messages",
    operation_id = "campaignMessages",
    security(("bearer" = []), ("session" = [])),
    params(
        ("campaign" = String, Path, description = "Its name or its id."),
        ("status" = Option<String>, Query, description = "In this status; several separated by commas."),
        ("q" = Option<String>, Query, description = "With this in the name, the number or the text."),
        ("after" = Option<i32>, Query, description = "After this position: the `next` of the page before."),
        ("limit" = Option<i64>, Query, description = "At most so many; 25.", minimum = 1, maximum = 200),
    ),
    responses(
        (status = 200, description = "A page.", body = CampaignMessages),
        NotRead,
        NotShown,
        NoCampaign,
        Guarded,
    )
))]
pub(in crate::http) async fn messages(
    State(state): State<HttpState>,
    Extension(caller): Extension<Caller>,
    Path(named): Path<String>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    if !caller.may_act() {
        return Err(Refusal::Forbidden(
            "texts and numbers are shown to whoever may decide about them: use the token that `punctual token --operator` \
             prints",
        ));
    }
    let keys = ["status", "q", "after", "limit"];
    let [status, search, after, limit] = Parameters::read(pairs, keys, false)?.own;
    let limit = limit.map_or(Ok(LIMIT_DEFAULT), |text| match text.parse() {
        Ok(limit) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
        _ => Err(query(format!("limit is a number from 1 to {LIMIT_MAX}"))),
    })?;
    let after = after.map(|text| text.parse()).transpose();
    let wanted = Wanted {
        after: after
            .map_err(|_| query("after is a position"))?
            .unwrap_or(0),
        statuses: statuses(status.as_deref(), &STATUSES)?,
        search,
        // One more, by which it is known whether there is another page.
        limit: limit + 1,
    };
    let read = move |store: Store| async move {
        let separator = store.part_separator().await?;
        let found = store.campaign_messages(&named, &wanted).await?;
        Ok::<_, StoreError>(found.map(|found| (found, separator)))
    };
    let found = work(&state, Kind::List, read).await?.map_err(failed)?;
    let (mut found, separator) = found.ok_or(NO_CAMPAIGN)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| has_more).map(|one| one.position);
    let messages = found.into_iter().map(|one| Message::of(one, &separator));
    Ok(json(CampaignMessages {
        messages: messages.collect(),
        next,
    }))
}

/// Who approved, rejected, changed and scheduled what in a campaign, and when; the latest first
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/campaigns/{campaign}/decisions",
    operation_id = "campaignDecisions",
    security(("bearer" = []), ("session" = [])),
    params(("campaign" = String, Path, description = "Its name or its id.")),
    responses(
        (status = 200, description = "The latest hundred.", body = Vec<Entry>),
        NotRead,
        NoCampaign,
        Guarded,
    )
))]
pub(in crate::http) async fn decisions(
    State(state): State<HttpState>,
    Path(named): Path<String>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    no_parameters(pairs)?;
    let read = |store: Store| async move { store.campaign_decisions(&named).await };
    let found = work(&state, Kind::List, read).await?.map_err(failed)?;
    Ok(json(found.ok_or(NO_CAMPAIGN)?))
}

const NO_CAMPAIGN: Refusal = Refusal::NoCampaign;

/// Statuses separated by commas, each one of these.
fn statuses(text: Option<&str>, known: &[&str]) -> Result<Vec<String>, Refusal> {
    let names = text.into_iter().flat_map(|text| text.split(','));
    let read = names.map(|name| match name.trim() {
        name if known.contains(&name) => Ok(name.to_owned()),
        _ => Err(query(format!(
            "status is one or several of {}",
            known.join(", ")
        ))),
    });
    read.collect()
}

fn failed(error: StoreError) -> Refusal {
    Refusal::Store("a request for a campaign", error)
}

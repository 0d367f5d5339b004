//! `GET /campaigns` and `GET /campaigns/{id}`: the campaigns, and the page on which the messages of one are approved.
//! Their scripts ask the API for what they show.

use axum::extract::{Extension, Path};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use uuid::Uuid;

use super::{HEADERS, view};
use crate::http::access::Caller;
#[cfg(test)]
use crate::http::openapi::{Busy, Guarded};
use crate::http::text;

/// The page of all campaigns
#[cfg_attr(test, utoipa::path(
    get,
    path = "/campaigns",
    operation_id = "campaignsPage",
    security(("bearer" = []), ("session" = [])),
    responses(
        (status = 200, description = "The page; its script asks for the campaigns.", body = String, content_type = "text/html"),
        (status = 303, description = "A browser without a session: redirect to /login."),
        Guarded,
        Busy,
    )
))]
pub(in crate::http) async fn all(Extension(caller): Extension<Caller>) -> Response {
    let main = html! {
        main #main tabindex="-1" {
            section.now aria-labelledby="h-campaigns" {
                h1 #h-campaigns { "Campaigns" }
                p.aside {
                    "Messages that are sent only after a person approved them. To import some: "
                    code { "punctual campaign import FILE.csv" }
                }
            }
            section.messages aria-label="The latest" {
                table #campaigns {
                    thead {
                        tr {
                            th scope="col" { "Campaign" } th scope="col" { "State" }
                            th.num scope="col" { "To decide" } th.num scope="col" { "Approved" }
                            th.num scope="col" { "Rejected" } th.num scope="col" { "Scheduled" }
                            th.num scope="col" { "To be sent" }
                        }
                    }
                    tbody #campaign-rows {}
                }
                p #none .empty role="status" { "Loading…" }
            }
        }
    };
    let page = view::page(
        "Campaigns · Punctual",
        "/assets/campaigns.js",
        caller.may_act(),
        &main,
    );
    (HEADERS, page).into_response()
}

/// The page on which the messages of a campaign are approved
#[cfg_attr(test, utoipa::path(
    get,
    path = "/campaigns/{id}",
    operation_id = "campaignPage",
    security(("bearer" = []), ("session" = [])),
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The page; its script asks for the campaign.", body = String, content_type = "text/html"),
        (status = 303, description = "A browser without a session: redirect to /login."),
        (status = 400, description = "Not a UUID.", body = String),
        Guarded,
        Busy,
    )
))]
pub(in crate::http) async fn one(
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Response {
    let Ok(id) = id.parse::<Uuid>() else {
        return text(
            StatusCode::BAD_REQUEST,
            "a campaign's id is a UUID; /campaigns lists them",
        );
    };
    let main = campaign(&id.to_string(), caller.may_act());
    let page = view::page(
        "Campaign · Punctual",
        "/assets/campaign.js",
        caller.may_act(),
        &main,
    );
    (HEADERS, page).into_response()
}

fn campaign(id: &str, may_act: bool) -> Markup {
    html! {
        main #main .one tabindex="-1" data-id=(id) {
            section.now aria-labelledby="state" {
                p.aside { a href="/campaigns" { "Campaigns" } }
                h1 #state .lamp data-is="off" { "Loading…" }
                p #what {}
                p #counts aria-live="polite" {}
                div #do .choice {}
            }
            section aria-labelledby="h-texts" {
                div.head { h2 #h-texts { "Messages" } }
                @if may_act {
                    div #tabs .choice role="group" aria-label="Status" {}
                    form #find .search role="search" {
                        label.unseen for="find-text" { "Search this campaign" }
                        input #find-text name="q" type="search" autocomplete="off" spellcheck="false" maxlength="200"
                            placeholder="Name, number or text";
                        button { "Search" }
                    }
                    ol #texts .texts {}
                    p #none .empty role="status" {}
                    div #acts .choice hidden {}
                    div #paging .paging {
                        button #previous type="button" disabled { "Previous" }
                        span #place .aside {}
                        button #next type="button" disabled { "Next" }
                    }
                } @else {
                    p.empty {
                        "Texts and numbers are shown to whoever may decide about them: "
                        a href="/login" { "log in" } " with the token that "
                        code { "punctual token --operator" } " prints."
                    }
                }
            }
            section aria-labelledby="h-line" {
                div.head { h2 #h-line { "Who decided" } }
                ol #line .line {}
            }
        }
    }
}

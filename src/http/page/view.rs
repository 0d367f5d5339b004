//! The pages as templates, which escape every value.

use maud::{DOCTYPE, Markup, html};

use crate::http::status::{Sending, Status};
use crate::message::{Moment, counted};
use crate::reactor::report::{Overview, TimerKind, TimerReport, TimerState};
use crate::version::VERSION;

/// What every page has: its head, the line on top, and the messages about the connection.
pub(super) fn page(title: &str, script: &str, may_act: bool, main: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" data-version=(VERSION) data-may-act=(may_act) {
            head {
                (head(title))
                script type="module" src=(script) {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    a.mark href="/" { span.hand aria-hidden="true" {} "Punctual" }
                    form #search .search role="search" action="/" {
                        label.unseen for="q" { "Search messages" }
                        input #q name="q" type="search" autocomplete="off" spellcheck="false" maxlength="100"
                            placeholder="Message id, phone number, provider's id" aria-keyshortcuts="/";
                        button { "Search" }
                    }
                    @if may_act {
                        button #pause-all type="button" aria-keyshortcuts="p" { "Pause…" }
                    } @else {
                        a .aside href="/login" title="Log in with the token that `punctual token --operator` prints" {
                            "Read only"
                        }
                    }
                    button #keys type="button" aria-keyshortcuts="?" { "Keys" }
                    form.out method="post" action="/logout" { button { "Log out" } }
                }
                p #lost .lost role="status" hidden {}
                noscript { p.note { "Enable JavaScript for live updates." } }
                p #acted .note role="status" hidden {}
                (main)
                footer {
                    p { "Punctual " (VERSION) " · times in " span #zone { "UTC" } }
                    p {
                        a href="/campaigns" { "campaigns" } " "
                        a href="/debug/timers" { "timers" } " "
                        a href="/metrics" { "metrics" } " "
                        a href="/openapi.json" { "API" }
                    }
                }
                dialog #help aria-labelledby="h-help" {
                    form method="dialog" { h2 #h-help { "Keys" } button { "Close" } }
                    dl #shortcuts {}
                }
                @if may_act { (act()) }
            }
        }
    };
    page.into_string()
}

/// The dialog of every act; the script fills it.
fn act() -> Markup {
    html! {
        dialog #act aria-labelledby="act-title" aria-describedby="act-says" {
            form #act-form {
                h2 #act-title {}
                p #act-says {}
                ul #act-sample {}
                div #act-fields .filters {}
                p #act-error .wrong role="alert" {}
                div.choice { button #act-do {} button #act-not type="button" { "Close" } }
            }
        }
    }
}

fn head(title: &str) -> Markup {
    html! {
        meta charset="utf-8";
        meta name="viewport" content="width=device-width, initial-scale=1";
        meta name="color-scheme" content="light dark";
        meta name="robots" content="noindex";
        title { (title) }
        link rel="icon" href="/assets/mark.svg" type="image/svg+xml";
        link rel="stylesheet" href="/assets/page.css";
    }
}

/// The login, and why the last one failed.
pub(in crate::http) fn login(wrong: Option<&str>) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { (head("Log in · Punctual")) }
            body {
                main.login {
                    h1.mark { span.hand aria-hidden="true" {} "Punctual" }
                    form method="post" action="/login" {
                        label for="token" { "Token" }
                        input #token name="token" type="password" autocomplete="current-password" required autofocus
                            aria-describedby="why";
                        @if let Some(sentence) = wrong { p.wrong role="alert" { (sentence) } }
                        button { "Log in" }
                        p #why .aside {
                            "To get it, run " code { "punctual token" } " on the machine of the daemon; "
                            code { "punctual token --operator" } " prints the one that may also act."
                        }
                    }
                }
            }
        }
    };
    page.into_string()
}

/// The page of one message; the script fills it.
pub(super) fn message(id: &str, may_act: bool) -> String {
    let main = html! {
        main #main .one tabindex="-1" data-id=(id) {
            section.now aria-labelledby="status" {
                p.aside { "Message " code { (id) } }
                h1 #status .lamp data-is="off" { "Loading…" }
                p #what aria-live="polite" {}
                div #acts .choice {}
            }
            section aria-labelledby="h-line" {
                div.head { h2 #h-line { "Time line" } }
                ol #line .line {}
            }
            section aria-labelledby="h-facts" {
                div.head { h2 #h-facts { "Details" } }
                dl #facts .facts {}
            }
            details { summary { "Raw JSON" } pre #raw tabindex="0" {} }
        }
    };
    page(
        &format!("Message {} · Punctual", short(id)),
        "/assets/message.js",
        may_act,
        &main,
    )
}

/// The page of everything.
pub(super) fn overview(overview: &Overview, status: &Status, may_act: bool) -> String {
    let main = html! {
        main #main tabindex="-1" {
            (now(overview, status))
            section #needs .needs aria-labelledby="h-needs" hidden {
                div.head { h2 #h-needs { "Needs you" } }
                ul #need-list .cards {}
            }
            (chart())
            (messages(overview))
            section.feed aria-labelledby="h-feed" {
                div.head {
                    h2 #h-feed { "Live events" }
                    p #rate .aside {}
                    button #pause type="button" { "Pause feed" }
                }
                ol #feed aria-labelledby="h-feed" tabindex="0" {}
            }
            (punctuality())
            (system(overview))
        }
    };
    page("Punctual", "/assets/page.js", may_act, &main)
}

fn now(overview: &Overview, status: &Status) -> Markup {
    let lamp = match status.is {
        Sending::All => "good",
        Sending::Part | Sending::Paused => "warn",
        Sending::Nothing => "bad",
    };
    html! {
        section.now aria-label="State" {
            h1 #ready .lamp data-is=(lamp) data-sending=(status.is.as_str()) { (status.text) }
            p #waiting { (counted(overview.timers.window.armed, "message", "messages")) " in memory" }
            p #paused hidden {}
            p #instances .aside {}
            p.unseen #said aria-live="polite" {}
        }
    }
}

fn chart() -> Markup {
    html! {
        section.chart aria-labelledby="h-chart" {
            div.head {
                h2 #h-chart { "Messages by outcome" }
                p #chart-said .aside {}
                div #zooms .choice role="group" aria-label="Period of the chart" {}
            }
            div.plot {
                div.axis aria-hidden="true" { span #axis-top {} span #axis-half {} span { "0" } }
                div.bars {
                    svg #chart viewBox="0 0 1000 160" preserveAspectRatio="none" role="img"
                        aria-labelledby="h-chart chart-said" {}
                    div #ticks .ticks aria-hidden="true" {}
                }
            }
            ul #legend .legend {}
        }
    }
}

fn messages(overview: &Overview) -> Markup {
    html! {
        section.messages aria-labelledby="h-list" {
            div.head { h2 #h-list { "Messages" } }
            div #tabs .choice role="group" aria-label="Status" {}
            details #more-filters { summary { "Filter" } (filters()) }
            table #list {
                thead {
                    tr {
                        th.num scope="col" { "In" } th scope="col" { "Due" } th scope="col" { "Message" }
                        th scope="col" { "To" } th scope="col" { "Status" } th scope="col" { "Type" }
                    }
                }
                tbody #list-rows { @for timer in &overview.timers.timers { (row(timer)) } }
            }
            p #none .empty {}
            div #acts .choice hidden {}
            div #paging .paging {
                button #previous type="button" disabled { "Previous" }
                span #place .aside {}
                button #next type="button" disabled { "Next" }
            }
        }
    }
}

fn filters() -> Markup {
    html! {
        form #filters .filters {
            label { "Due from " input type="datetime-local" name="from" step="1"; }
            label { "Due before " input type="datetime-local" name="to" step="1"; }
            label { "Reason " input name="reason" spellcheck="false" placeholder="daily_limit"; }
            label { "User " input name="user" spellcheck="false" placeholder="id"; }
            label { "Campaign " input name="campaign" spellcheck="false" placeholder="id"; }
            label { "Template " input name="template" spellcheck="false" placeholder="id"; }
            div.choice { button { "Apply" } button #clear type="button" { "Clear" } }
        }
    }
}

fn row(timer: &TimerReport) -> Markup {
    let id = timer.id.to_string();
    html! {
        tr data-id=(id) {
            td.num { (countdown(timer.due_in_us)) }
            td { (clock(timer.due_at)) }
            td { a.id href={ "/messages/" (id) } title=(id) { (short(&id)) } }
            td.to {}
            td.then { (then(timer)) }
            td.type {}
        }
    }
}

fn punctuality() -> Markup {
    html! {
        section.late aria-labelledby="h-late" {
            div.head {
                h2 #h-late { "Punctuality" }
                div.choice role="group" aria-label="Period" {
                    button type="button" data-period="hour" aria-pressed="true" { "1 h" }
                    button type="button" data-period="day" aria-pressed="false" { "24 h" }
                }
            }
            p #count .aside {}
            dl.figures {
                div { dt { "within 100 ms" } dd #share { "–" } }
                div { dt { "half within" } dd #p50 { "–" } }
                div { dt { "99 % within" } dd #p99 { "–" } }
                div { dt { "latest" } dd #max { "–" } }
            }
            svg #histogram viewBox="0 0 400 110" role="img" aria-labelledby="h-late histogram-said" {}
            p #histogram-said .unseen {}
        }
    }
}

fn system(overview: &Overview) -> Markup {
    html! {
        details.system {
            summary { h2 { "System" } p #system-said .aside {} }
            div.columns {
                dl #health {}
                div.dial {
                    svg #dial viewBox="0 0 120 120" aria-hidden="true" {}
                    div { p.aside { "Timer wheel: slots in use, of 64 a level" } ol #levels .levels {} }
                }
            }
            p.aside { "Instance " code #instance { (overview.timers.instance) } }
        }
    }
}

fn clock(at: Moment) -> String {
    at.to_utc()
        .map_or_else(|| at.to_string(), |t| t.format("%H:%M:%S").to_string())
}

fn then(timer: &TimerReport) -> &str {
    match (timer.kind, timer.state) {
        (TimerKind::Watch, _) => "being sent by another instance",
        (TimerKind::Message, TimerState::Armed) => match &timer.forecast {
            Some(forecast) => &forecast.step.text,
            None => "will be sent",
        },
        (TimerKind::Message, TimerState::Cleared) => "claimed, leaves on time",
        (TimerKind::Message, TimerState::Sending) => "waiting for the provider's response",
    }
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

fn countdown(us: i64) -> String {
    let sign = if us < 0 { "−" } else { "" };
    let s = us.unsigned_abs() / 1_000_000;
    format!("{sign}{}:{:02}", s / 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped() {
        let page = login(Some("<b a=\"1\">&"));
        assert!(
            page.contains("&lt;b a=&quot;1&quot;&gt;&amp;</p>"),
            "{page}"
        );
    }
}

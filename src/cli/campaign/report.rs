//! `punctual campaign report`.

use std::fmt::Write as _;

use serde_json::json;

use super::{Of, named};
use crate::cli::{output, session};
use crate::config::Sources;
use crate::message::segments::Segments;
use crate::store::campaigns::{self, Ended, Priced, Report};

pub(super) async fn run(of: Of, sources: &Sources) -> anyhow::Result<()> {
    let dsn = session::dsn(sources)?;
    let (campaign, report, segments) = session::with(&dsn, async |client| {
        let campaign = named(client, &of.campaign).await?;
        let report = campaigns::report(client, campaign.id).await?;
        let mut segments = 0;
        campaigns::sent_texts(client, campaign.id, |text| {
            segments += Segments::of(text).count;
        })
        .await?;
        Ok((campaign, report, segments))
    })
    .await?;
    let name = &campaign.settings.name;
    if of.json {
        let mut text = json!(report);
        text["campaign"] = json!(name);
        text["id"] = json!(campaign.id);
        text["state"] = json!(campaign.state);
        text["segments"] = json!(segments);
        return output::print(&format!("{text:#}\n"));
    }
    output::print(&as_lines(name, &campaign.state, &report, segments))
}

fn as_lines(name: &str, state: &str, report: &Report, segments: usize) -> String {
    let mut text = format!("{} is {state}\n", output::one_line(name));
    let mut line = |what: &str, value: String| {
        let _ = writeln!(text, "  {what:<11} {value}");
    };
    line("messages", report.messages.to_string());
    line("waiting", report.waiting.to_string());
    line("sent", format!("{}, {segments} segments", report.sent));
    line("delivered", report.delivered.to_string());
    line(
        "replies",
        format!("{} people, {} texts", report.replied, report.replies),
    );
    line("opted out", report.opted_out.to_string());
    for Priced {
        unit,
        amount,
        messages,
    } in &report.prices
    {
        let value = format!("{amount:.4} {unit}, of {messages} messages, by the provider");
        line("cost", value);
    }
    if let Some(usd) = report.cost_usd {
        let value = format!(
            "{usd:.4} USD, of {} messages, by their sms_cost_usd",
            report.cost_known_of
        );
        line("cost", value);
    }
    if report.prices.is_empty() && report.cost_usd.is_none() {
        let value = "not known: no look-up has shown a price, and no message has sms_cost_usd in its metadata";
        line("cost", value.to_owned());
    }
    for Ended {
        status,
        reason,
        messages,
    } in &report.reasons
    {
        let reason = output::one_line(reason.as_deref().unwrap_or("no reason is known"));
        line(status, format!("{messages}: {reason}"));
    }
    text
}

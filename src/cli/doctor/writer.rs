//! Checks of the writer: its settings, and with `--online` one request to the language model.

use jiff::tz::TimeZone;

use crate::cli::write;
use crate::config::Config;
use crate::message::Moment;
use crate::store::doctor::{Finding, Level};
use crate::wording::Brief;

const WHAT: &str = "writer";

/// What a text is written of to try it: nothing of the app's leaves for this.
const SAMPLE: &str = r#"{"title": "Team meeting", "starts_at": "2026-01-05T10:00:00Z", "link": "https://meet.example.com/team"}"#;

/// A quarter of an hour before that.
const SENT_US: i64 = 1_767_606_300_000_000;

pub(super) fn settings(config: &Config) -> Finding {
    let Some(writer) = &config.writer else {
        return Finding::ok(WHAT, "off: PUNCTUAL_LLM_URL is not set");
    };
    let llm = &writer.llm;
    if llm.key.is_some() && llm.url.is_readable() {
        return Finding::not(
            Level::Bad,
            WHAT,
            "PUNCTUAL_LLM_URL is not https: the key and the titles of events cross the network in the clear",
            "use the https URL of the endpoint",
        );
    }
    let bounds = match (writer.prices, writer.budget) {
        (_, Some(budget)) => format!("at most {budget} USD a day"),
        (Some(_), None) => "without a budget".to_owned(),
        (None, None) => "without prices, so costs are not known".to_owned(),
    };
    Finding::ok(
        WHAT,
        format!("{} at {}, {bounds}", llm.model, llm.url.host()),
    )
}

/// Whether the model writes a text that could be sent.
pub(super) async fn online(config: &Config) -> Option<Finding> {
    const WHAT: &str = "language model";
    const REMEDY: &str = "check PUNCTUAL_LLM_URL, PUNCTUAL_LLM_MODEL and PUNCTUAL_LLM_API_KEY, and that this machine reaches \
                          the endpoint; until then messages have their own texts";
    let writer = config.writer.as_ref()?;
    let brief = Brief::of(SAMPLE, Moment::from_micros(SENT_US), &TimeZone::UTC).ok()?;
    let tried = match write::try_out(writer, &brief, config.part_separator.as_deref()).await {
        Ok(tried) => tried,
        Err(error) => return Some(Finding::not(Level::Bad, WHAT, format!("{error:#}"), REMEDY)),
    };
    let took = tried.spent.took.as_millis();
    Some(match (tried.failure(), &tried.verdict) {
        (Some(why), _) => Finding::not(Level::Bad, WHAT, why, REMEDY),
        (None, Some(Err(fault))) => Finding::not(
            Level::Warn,
            WHAT,
            format!("it answers in {took} ms, with a text that would not be sent: {fault}"),
            "a model makes mistakes; if most are refused (punctual_texts_total), choose another one",
        ),
        (None, _) => Finding::ok(WHAT, format!("it answers in {took} ms")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_sent_a_quarter_of_an_hour_before() {
        let brief = Brief::of(SAMPLE, Moment::from_micros(SENT_US), &TimeZone::UTC).unwrap();
        assert_eq!(brief.begins_in(), "in 15 mins");
    }
}

//! `Retry-After`: how long a server wants no further request. Pure.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::date;

/// The longest that is followed. A nonsensical one would delay a message for ever, and one request an hour does no
/// harm.
const LONGEST: Duration = Duration::from_secs(3600);

/// The pause that these headers of a response ask for. A date counts from the date of the response, which is by the
/// same clock.
pub(in crate::provider) fn of(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    seconds(text).or_else(|| {
        let (from, until) = (date::of(headers)?, date::parse(text)?);
        Some(until.since(from).min(LONGEST))
    })
}

/// The form in seconds.
pub(in crate::provider) fn seconds(text: &str) -> Option<Duration> {
    let given = text.trim().parse().ok().map(Duration::from_secs)?;
    Some(given.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{DATE, HeaderValue};

    use super::*;

    #[test]
    fn seconds_or_a_date() {
        let of = |text: &'static str, date: Option<&'static str>| {
            let mut headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            headers.extend(date.map(|date| (DATE, HeaderValue::from_static(date))));
            super::of(&headers).map(|pause| pause.as_secs())
        };
        let nine = "Thu, 01 Jan 2026 09:00:00 GMT";
        let soon = "Thu, 01 Jan 2026 09:01:30 GMT";
        assert_eq!(of(" 7 ", None), Some(7));
        assert_eq!(of("999999999999", None), Some(3600));
        assert_eq!(of(soon, Some(nine)), Some(90));
        assert_eq!(of(nine, Some(soon)), Some(0));
        assert_eq!(of("Fri, 02 Jan 2026 09:00:00 GMT", Some(nine)), Some(3600));
        assert_eq!(of(soon, None), None);
        assert_eq!(of("-1", Some(nine)), None);
        assert_eq!(of("soon", Some(nine)), None);
    }
}

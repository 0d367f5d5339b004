//! Dates in responses. Pure.

use reqwest::header::{AGE, DATE, HeaderMap};

use crate::message::Moment;

/// A date as HTTP and RFC 2822 have it: `Thu, 01 Jan 2026 09:00:00 +0000`, or with `GMT`.
pub(in crate::provider) fn parse(text: &str) -> Option<Moment> {
    let at = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    Some(Moment::from(at.to_utc()))
}

/// When the response with these headers was made. One from a cache is older than its query, and shows no time.
pub(in crate::provider) fn of(headers: &HeaderMap) -> Option<Moment> {
    if headers.contains_key(AGE) {
        return None;
    }
    parse(headers.get(DATE)?.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn headers(pairs: &[(reqwest::header::HeaderName, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().cloned();
        pairs
            .map(|(name, text)| (name, HeaderValue::from_static(text)))
            .collect()
    }

    #[test]
    fn a_response_has_the_date_at_which_it_was_made_or_none() {
        let date = "Thu, 01 Jan 2026 09:00:00 GMT";
        let found = of(&headers(&[(DATE, date)])).map(|at| at.to_string());
        assert_eq!(found.as_deref(), Some("2026-01-01T09:00:00.000000Z"));
        assert_eq!(of(&headers(&[(DATE, date), (AGE, "90")])), None);
        assert_eq!(of(&headers(&[(DATE, "yesterday")])), None);
        assert_eq!(of(&headers(&[])), None);
    }
}

//! The URLs of webhooks by message type, for rows that name none.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::WebUrl;

/// The value that means that no type has a URL.
const NONE: &str = "none";

/// The URL of each message type that has one.
///
/// ```text
/// invoice.due = https://app.example/invoices | report = https://app.example/reports
/// none
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookUrls(BTreeMap<String, WebUrl>);

/// Why a text is not valid as URLs by message type. No sentence repeats a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookUrlsError {
    /// A part that is not a type and a URL.
    #[error(
        "TYPE = URL, with | between several, like invoice.due = https://app.example/invoices (a | within a URL is %7C)"
    )]
    Form,
    /// A type that is named twice.
    #[error("each type once; {0:?} is named twice")]
    Twice(String),
}

impl WebhookUrls {
    /// Whether no type has one.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each type and its URL.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(of, url)| (of.as_str(), url.as_str()))
    }
}

/// As it is configured.
impl fmt::Display for WebhookUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(NONE);
        }
        for (n, (of, url)) in self.iter().enumerate() {
            let between = if n > 0 { " | " } else { "" };
            write!(f, "{between}{of} = {url}")?;
        }
        Ok(())
    }
}

impl FromStr for WebhookUrls {
    type Err = WebhookUrlsError;

    fn from_str(text: &str) -> Result<Self, WebhookUrlsError> {
        let mut urls = BTreeMap::new();
        if text.trim() == NONE {
            return Ok(Self(urls));
        }
        for part in text.split('|') {
            let (of, url) = part.split_once('=').ok_or(WebhookUrlsError::Form)?;
            let of = of.trim();
            let url = WebUrl::parse(url).filter(|_| !of.is_empty());
            let url = url.ok_or(WebhookUrlsError::Form)?;
            if urls.insert(of.to_owned(), url).is_some() {
                return Err(WebhookUrlsError::Twice(of.to_owned()));
            }
        }
        Ok(Self(urls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_one_url() {
        let text = "invoice.due = https://a.example/i?x=1 | report = http://10.0.0.1:8080/";
        let urls: WebhookUrls = text.parse().unwrap();
        assert_eq!(urls.to_string(), text);
        assert_eq!(
            urls.iter().collect::<Vec<_>>(),
            [
                ("invoice.due", "https://a.example/i?x=1"),
                ("report", "http://10.0.0.1:8080/")
            ]
        );
        assert_eq!(" none ".parse(), Ok(WebhookUrls::default()));
        assert_eq!(WebhookUrls::default().to_string(), "none");
        for text in [
            "",
            "report",
            "report =",
            "= https://a.example",
            "report = a.example",
            "report = ftp://a.example",
            "report = https://a.example |",
        ] {
            let refused = text.parse::<WebhookUrls>();
            assert_eq!(refused, Err(WebhookUrlsError::Form), "{text:?}");
        }
        let twice = "a = https://a.example | a = https://b.example";
        let refused = WebhookUrlsError::Twice("a".into());
        assert_eq!(twice.parse::<WebhookUrls>(), Err(refused));
    }
}

//! What a message has in addition to its text: pictures and files, by their URLs.
//!
//! `media_fault!` in `store/expressions/media.rs` has the same rules for the database.

use super::{Channel, WebUrl};

/// The most of a message.
pub const MEDIA_MAX: usize = 10;

/// Why a message cannot have its media. The sentences go into `error_message`, so none of them repeats a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub enum MediaError {
    /// Its channel has no media.
    Channel,
    /// More than [`MEDIA_MAX`].
    TooMany,
    /// One of them is not an `https` URL.
    Url,
    /// The provider of its account and channel sends none.
    Provider,
}

impl MediaError {
    /// The sentence.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Channel => {
                "only text messages and e-mails can have media; leave media_urls (or media_url) empty"
            }
            Self::TooMany => "media_urls has more than 10 entries",
            Self::Url => {
                "each entry of media_urls (or media_url) must be an https URL of at most 2048 characters"
            }
            Self::Provider => {
                "the provider of this account sends texts without media; leave media_urls (or media_url) empty"
            }
        }
    }
}

/// The media of a message of this channel, which its provider can send or not.
pub fn parse(
    channel: Channel,
    can: bool,
    urls: &[impl AsRef<str>],
) -> Result<Vec<WebUrl>, MediaError> {
    if urls.is_empty() {
        return Ok(Vec::new());
    }
    if !channel.has_media() {
        return Err(MediaError::Channel);
    }
    if urls.len() > MEDIA_MAX {
        return Err(MediaError::TooMany);
    }
    let urls: Option<Vec<WebUrl>> = urls.iter().map(|url| WebUrl::https(url.as_ref())).collect();
    let urls = urls.ok_or(MediaError::Url)?;
    if can {
        Ok(urls)
    } else {
        Err(MediaError::Provider)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_are_https_urls_and_few() {
        const URL: &str = "https://a.example/a.png";
        let none: [&str; 0] = [];
        assert_eq!(parse(Channel::Push, false, &none), Ok(Vec::new()));
        let read = parse(Channel::Sms, true, &[URL, " https://b.example "]).unwrap();
        let urls: Vec<&str> = read.iter().map(WebUrl::as_str).collect();
        assert_eq!(urls, [URL, "https://b.example"]);
        assert_eq!(
            parse(Channel::Email, true, &[URL; MEDIA_MAX])
                .unwrap()
                .len(),
            10
        );
        for (channel, can, urls, why) in [
            (Channel::Webhook, true, vec![URL], MediaError::Channel),
            (Channel::Sms, true, vec![URL; 11], MediaError::TooMany),
            (Channel::Sms, true, vec![URL, ""], MediaError::Url),
            (
                Channel::Sms,
                true,
                vec!["http://a.example"],
                MediaError::Url,
            ),
            (Channel::Sms, false, vec![URL], MediaError::Provider),
        ] {
            assert_eq!(parse(channel, can, &urls), Err(why));
        }
        assert!(MediaError::TooMany.text().contains(&MEDIA_MAX.to_string()));
    }
}

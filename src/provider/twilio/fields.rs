//! The fields of a callback: a form, or a JSON object of the same names, whose hash the signed URL has.

use serde_json::{Map, Value};
use url::form_urlencoded;

use super::signature::is_json;
use crate::provider::BadCallback;

/// Names and values. Of a repeated name the last value counts.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn read(content_type: Option<&str>, body: &[u8]) -> Result<Self, BadCallback> {
        if !is_json(content_type) {
            let pairs = form_urlencoded::parse(body);
            return Ok(Self(pairs.into_owned().collect()));
        }
        let object: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|_| BadCallback::Malformed("a callback in JSON is one object"))?;
        let pairs = object.into_iter().filter_map(|(name, value)| {
            let text = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
            };
            Some((name, text))
        });
        Ok(Self(pairs.collect()))
    }

    /// The value of a field that is present and not blank. In JSON a name may begin with a small letter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let is_it = |own: &str| {
            let mut own = own.chars();
            let mut name = name.chars();
            let first = own.next().zip(name.next());
            first.is_some_and(|(a, b)| a.eq_ignore_ascii_case(&b)) && own.as_str() == name.as_str()
        };
        let last = self.0.iter().rev().find(|(own, _)| is_it(own));
        let value = last.map(|(_, value)| value.as_str());
        value.filter(|value| !value.trim().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_and_json_say_the_same() {
        let json = Some("application/json; charset=utf-8");
        let form = Some("application/x-www-form-urlencoded");
        for (content_type, body) in [
            (form, "MessageSid=SM1&ErrorCode=30003&To=+&To=%2B1"),
            (None, "MessageSid=SM1&ErrorCode=30003&To=%2B1"),
            (
                json,
                r#"{"MessageSid":"SM1","ErrorCode":30003,"To":"+1","X":null}"#,
            ),
            (
                json,
                r#"{"messageSid":"SM1","errorCode":"30003","to":"+1","x":[1]}"#,
            ),
        ] {
            let fields = Fields::read(content_type, body.as_bytes()).unwrap();
            let got = ["MessageSid", "ErrorCode", "To", "X", ""].map(|name| fields.get(name));
            assert_eq!(
                got,
                [Some("SM1"), Some("30003"), Some("+1"), None, None],
                "{body}"
            );
        }
        for body in ["", "[]", "[{}]", "1", "{", r#""MessageSid=SM1""#] {
            let refused = Fields::read(json, body.as_bytes()).err();
            let why = BadCallback::Malformed("a callback in JSON is one object");
            assert_eq!(refused, Some(why), "{body}");
        }
    }
}

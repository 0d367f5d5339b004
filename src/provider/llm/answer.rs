//! What an endpoint responds. Pure.

use serde::Deserialize;

use crate::wording::{Request, Usage};

/// An answer of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its text, as it is.
    pub text: String,
    /// The tokens that the call used, if the endpoint says so.
    pub usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Choice {
    message: Option<Message>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

/// The answer in a body, or why there is none, with the tokens that were used for that.
pub(super) fn parse(
    body: &[u8],
    request: &Request,
) -> Result<Answer, (&'static str, Option<Usage>)> {
    let body: Body = serde_json::from_slice(body)
        .map_err(|_| ("it does not have the form of an answer", None))?;
    let usage = body.usage.and_then(|tokens| {
        let usage = Usage {
            input: tokens.prompt_tokens?,
            output: tokens.completion_tokens?,
        };
        Some(usage.within(Usage::most(request)))
    });
    let Some(choice) = body.choices.into_iter().next() else {
        return Err(("it has no choices", usage));
    };
    match choice.finish_reason.as_deref() {
        None | Some("stop") => {}
        Some("length") => return Err(("the answer was cut off", usage)),
        Some(_) => return Err(("the model did not finish the answer", usage)),
    }
    let text = choice.message.and_then(|message| message.content);
    let text = text.filter(|text| !text.trim().is_empty());
    match text {
        Some(text) => Ok(Answer { text, usage }),
        None => Err(("it has no text", usage)),
    }
}

/// What an endpoint says of an error.
pub(super) fn error(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        error: Said,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        Text(String),
        Object { message: String },
    }
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    match refusal.error {
        Said::Text(text) | Said::Object { message: text } => Some(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Result<Answer, (&'static str, Option<Usage>)> {
        let request = Request {
            system: "rules".into(),
            user: "{}".into(),
        };
        parse(body.as_bytes(), &request)
    }

    #[test]
    fn an_answer_has_one_finished_choice() {
        let whole = r#"{"choices": [{"message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
                        "usage": {"prompt_tokens": 20, "completion_tokens": 5}}"#;
        let usage = Some(Usage {
            input: 20,
            output: 5,
        });
        let text = "Hi".to_owned();
        assert_eq!(of(whole), Ok(Answer { text, usage }));
        for (body, why) in [
            ("", "it does not have the form of an answer"),
            ("[1]", "it does not have the form of an answer"),
            (
                r#"{"choices": "x"}"#,
                "it does not have the form of an answer",
            ),
            ("{}", "it has no choices"),
            (r#"{"choices": []}"#, "it has no choices"),
            (r#"{"choices": [{}]}"#, "it has no text"),
            (
                r#"{"choices": [{"message": {"content": null}}]}"#,
                "it has no text",
            ),
            (
                r#"{"choices": [{"message": {"content": " "}}]}"#,
                "it has no text",
            ),
            (
                r#"{"choices": [{"message": {"content": "x"}, "finish_reason": "length"}]}"#,
                "the answer was cut off",
            ),
            (
                r#"{"choices": [{"message": {"content": "x"}, "finish_reason": "content_filter"}]}"#,
                "the model did not finish the answer",
            ),
        ] {
            assert_eq!(of(body), Err((why, None)), "{body}");
        }
    }

    #[test]
    fn an_error_is_a_text_or_has_one() {
        assert_eq!(error(br#"{"error": "no"}"#).as_deref(), Some("no"));
        assert_eq!(
            error(br#"{"error": {"message": "no", "code": 1}}"#).as_deref(),
            Some("no")
        );
        assert_eq!(error(b"<html>"), None);
    }
}

//! Callbacks as Twilio's own helper library signs and judges them, as forms and as JSON.
//!
//! The library is Python's `twilio`, in `target/twilio-python` or wherever Python finds it; without it these
//! tests say so and are skipped.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use punctual::message::Delivery;
use punctual::proof::About;
use punctual::provider::twilio::TwilioCallbacks;
use punctual::provider::{BadCallback, Callback, CallbackRequest, Callbacks, OptCommand};
use serde_json::{Value, json};

const PUBLIC: &str = "https://sms.example.com";
const AUTH_TOKEN: &str = "feedfacefeedfacefeedfacefeedface";
const IDS: &str = "message=00000000-0000-0000-0000-000000000001\
                   &token=00000000-0000-0000-0000-000000000002";
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json; charset=utf-8";

struct Helper {
    python: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Helper {
    /// `None`: there is no such library here.
    fn start() -> Option<Self> {
        let home = env!("CARGO_MANIFEST_DIR");
        let python = |args: &[&str]| {
            let mut python = Command::new("python3");
            python
                .args(args)
                .env("PYTHONPATH", format!("{home}/target/twilio-python"));
            python
        };
        let known = python(&["-c", "import twilio.request_validator"]).output();
        if !known.is_ok_and(|known| known.status.success()) {
            eprintln!("SKIPPED: Python's twilio is not here (.ci/run installs it)");
            return None;
        }
        let script = format!("{home}/tests/wire/validator.py");
        let mut python = python(&[&script, AUTH_TOKEN])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let ask = python.stdin.take().unwrap();
        let answers = BufReader::new(python.stdout.take().unwrap());
        Some(Self {
            python,
            ask,
            answers,
        })
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.ask, "{question}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    /// The URL that is signed, and the signature.
    fn sign(&mut self, url: &str, body: &Value) -> (String, String) {
        let answer = self.ask(&json!({"sign": [url, body]}));
        let text = |n: usize| answer[n].as_str().unwrap().to_owned();
        (text(0), text(1))
    }

    fn takes(&mut self, url: &str, body: &Value, signature: &str) -> bool {
        let answer = self.ask(&json!({"judge": [url, body, signature]}));
        answer.as_bool().unwrap()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.python.kill();
        let _ = self.python.wait();
    }
}

/// What we read of a callback with this URL.
fn read(url: &str, body: &Value, signature: &str) -> Result<Callback, BadCallback> {
    let callbacks = TwilioCallbacks::new(&PUBLIC.parse().unwrap(), AUTH_TOKEN.to_owned().into());
    let (content_type, bytes) = match body {
        Value::String(json) => (JSON, json.clone()),
        fields => {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in fields.as_object().unwrap() {
                form.append_pair(name, value.as_str().unwrap());
            }
            (FORM, form.finish())
        }
    };
    let header = |name: &str| match name {
        "content-type" => Some(content_type),
        "x-twilio-signature" => Some(signature),
        _ => None,
    };
    callbacks.read(&CallbackRequest {
        path_and_query: url.strip_prefix(PUBLIC).unwrap(),
        header: &header,
        body: bytes.as_bytes(),
    })
}

#[test]
fn what_twilios_library_signs_is_read_as_a_form_and_as_json() {
    let Some(mut helper) = Helper::start() else {
        return;
    };
    let fields = json!({
        "MessageSid": "SM0123456789abcdef0123456789abcdef",
        "MessageStatus": "undelivered",
        "ErrorCode": "30003",
        "To": "+13105551234",
        "From": "+15005550006",
        "AccountSid": "AC1",
    });
    let small = r#"{"messageSid":"SM0123456789abcdef0123456789abcdef", "errorCode":30003,
                    "messageStatus":"undelivered","to":"+13105551234","from":"+15005550006"}"#;
    let status = format!("{PUBLIC}/webhooks/twilio/status");
    for (query, body) in [
        (format!("?{IDS}"), fields.clone()),
        (format!("?{IDS}"), fields.to_string().into()),
        (format!("?{IDS}"), small.into()),
        (String::new(), fields.to_string().into()),
    ] {
        let (url, signature) = helper.sign(&format!("{status}{query}"), &body);
        assert!(helper.takes(&url, &body, &signature), "{url}");
        let Ok(Callback::Report(report)) = read(&url, &body, &signature) else {
            panic!("{url} {body}");
        };
        assert!(matches!(report.status.delivery, Delivery::Undelivered(_)));
        assert_eq!(report.status.code, Some(30003));
        assert_eq!(report.to.as_deref(), Some("+13105551234"));
        let is_of_attempt = matches!(report.about, About::Attempt { .. });
        assert_eq!(is_of_attempt, !query.is_empty());
        // What the library refuses is refused here.
        let other: Value = match &body {
            Value::String(json) => json.replace("30003", "30004").into(),
            _ => json!({"MessageSid": "SM1"}),
        };
        assert!(!helper.takes(&url, &other, &signature), "{url}");
        assert!(matches!(
            read(&url, &other, &signature),
            Err(BadCallback::Forged { .. })
        ));
    }
}

#[test]
fn a_reply_in_json_opts_out_as_one_in_a_form_does() {
    let Some(mut helper) = Helper::start() else {
        return;
    };
    let reply = json!({
        "MessageSid": "SM1",
        "From": "+13105551234",
        "To": "+15005550006",
        "Body": "arrêt ☃",
        "OptOutType": "STOP",
    });
    for body in [reply.clone(), reply.to_string().into()] {
        let (url, signature) = helper.sign(&format!("{PUBLIC}/webhooks/twilio/inbound"), &body);
        assert!(helper.takes(&url, &body, &signature), "{url}");
        let Ok(Callback::Opt(opt)) = read(&url, &body, &signature) else {
            panic!("{url} {body}");
        };
        assert_eq!((opt.command, &*opt.id), (OptCommand::Stop, "SM1"));
    }
    // Signed, and no object of fields.
    let body: Value = "[]".into();
    let (url, signature) = helper.sign(&format!("{PUBLIC}/webhooks/twilio/status"), &body);
    assert!(matches!(
        read(&url, &body, &signature),
        Err(BadCallback::Malformed(_))
    ));
}

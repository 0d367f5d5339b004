//! Signatures: Twilio's own examples, and that anything else is refused.

use proptest::prelude::*;

use super::*;

const FORM: Option<&str> = Some("application/x-www-form-urlencoded; charset=UTF-8");
const JSON: Option<&str> = Some("application/json");
const PATH: &str = "/myapp.php?foo=1&bar=2";
const P: &str = "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&\
                 From=%2B14158675309&To=%2B18005551212";
const P_SIGNED: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
const HASHED: &str = "/myapp.php?foo=1&bar=2&bodySHA256=\
                      0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
const OBJECT: &str = r#"{"property": "value", "boolean": true}"#;
const OBJECT_SIGNED: &str = "a9nBmqA0ju/hNViExpshrM61xv4=";

fn verifier(public_url: &str) -> Verifier {
    Verifier::new(&public_url.parse().unwrap(), "12345".to_owned().into())
}

fn signed(
    public_url: &str,
    path_and_query: &str,
    content_type: Option<&str>,
    body: &str,
    signature: &str,
) -> bool {
    let request = Request {
        path_and_query,
        content_type,
        signature: Some(signature),
        body: body.as_bytes(),
    };
    verifier(public_url).verify(&request).is_ok()
}

/// Twilio's published examples and those of its own libraries' tests.
#[test]
fn what_twilio_signs_is_taken() {
    let https = "https://mycompany.com";
    let digits = "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234";
    for (public, path, content_type, body, signature) in [
        (https, PATH, FORM, P, P_SIGNED),
        (https, PATH, FORM, P, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        (
            "http://mycompany.com/",
            PATH,
            FORM,
            P,
            "0ZXoZLH/DfblKGATFgpif+LLRf4=",
        ),
        (https, HASHED, JSON, OBJECT, OBJECT_SIGNED),
        (https, PATH, FORM, digits, "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
    ] {
        assert!(
            signed(public, path, content_type, body, signature),
            "{public} {path} {signature}"
        );
    }
}

#[test]
fn a_prefix_of_the_public_url_stands_before_the_path() {
    let rest = "?foo=1&bar=2";
    assert!(signed(
        "https://mycompany.com/myapp.php",
        rest,
        FORM,
        P,
        P_SIGNED
    ));
    assert!(signed(
        "https://mycompany.com/myapp.php/",
        rest,
        FORM,
        P,
        P_SIGNED
    ));
    assert!(!signed("https://mycompany.com/x", PATH, FORM, P, P_SIGNED));
}

#[test]
fn anything_else_is_refused() {
    let https = "https://mycompany.com";
    for (why, public, path, content_type, body, signature) in [
        ("another host", "https://other.com", PATH, FORM, P, P_SIGNED),
        (
            "another port",
            "https://mycompany.com:8443",
            PATH,
            FORM,
            "x=1",
            P_SIGNED,
        ),
        (
            "another scheme",
            "http://mycompany.com",
            PATH,
            FORM,
            P,
            P_SIGNED,
        ),
        ("no query", https, "/myapp.php", FORM, P, P_SIGNED),
        (
            "a query in another order",
            https,
            "/myapp.php?bar=2&foo=1",
            FORM,
            P,
            P_SIGNED,
        ),
        ("no signature", https, PATH, FORM, P, ""),
        (
            "no base64",
            https,
            PATH,
            FORM,
            P,
            "RSOYDt4T1cUTdK1PDd93/VVr8B8",
        ),
        ("a piece of it", https, PATH, FORM, P, "RSOY"),
        ("JSON without a hash", https, PATH, JSON, P, P_SIGNED),
        (
            "JSON of another hash",
            https,
            HASHED,
            JSON,
            "{}",
            OBJECT_SIGNED,
        ),
        (
            "a form in JSON's place",
            https,
            HASHED,
            FORM,
            P,
            OBJECT_SIGNED,
        ),
    ] {
        assert!(
            !signed(public, path, content_type, body, signature),
            "{why}"
        );
    }
    let unsigned = Request {
        path_and_query: PATH,
        content_type: FORM,
        signature: None,
        body: P.as_bytes(),
    };
    assert_eq!(verifier(https).verify(&unsigned), Err(Forged));
}

#[test]
fn debug_shows_no_secret() {
    assert!(!format!("{:?}", verifier("https://x.example")).contains("12345"));
}

/// Computed in another way than in the code: the text is composed by hand.
fn sign(url: &str, parameters: &BTreeMap<String, String>) -> String {
    let text = parameters
        .iter()
        .fold(url.to_owned(), |text, (n, v)| text + n + v);
    let mut mac = Hmac::<Sha1>::new_from_slice(b"12345").unwrap();
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn form(parameters: &BTreeMap<String, String>) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish()
}

/// The same with the character at `at` of all names and values replaced.
fn altered(parameters: &BTreeMap<String, String>, at: usize) -> BTreeMap<String, String> {
    let mut pairs: Vec<(String, String)> = parameters.clone().into_iter().collect();
    let mut at = at;
    for text in pairs.iter_mut().flat_map(|(n, v)| [n, v]) {
        if at < text.len() {
            let other = if text.as_bytes()[at] == b'~' {
                "!"
            } else {
                "~"
            };
            text.replace_range(at..=at, other);
            break;
        }
        at -= text.len();
    }
    pairs.into_iter().collect()
}

proptest! {
    #[test]
    fn one_changed_byte_is_refused(
        parameters in prop::collection::btree_map("[A-Za-z]{1,9}", "[ -}]{1,20}", 1..6),
        at in any::<prop::sample::Index>(),
    ) {
        let path = "/webhooks/twilio/status?message=1&token=2";
        let signature = sign(&format!("https://sms.example{path}"), &parameters);
        let check = |path: &str, body: &str, signature: &str| {
            signed("https://sms.example", path, FORM, body, signature)
        };
        prop_assert!(check(path, &form(&parameters), &signature));

        let length = parameters.iter().map(|(n, v)| n.len() + v.len()).sum();
        let body = form(&altered(&parameters, at.index(length)));
        prop_assert!(!check(path, &body, &signature));

        let mut other = path.to_owned();
        let i = at.index(path.len());
        other.replace_range(i..=i, "~");
        prop_assert!(!check(&other, &form(&parameters), &signature));

        let mut other = signature.clone();
        let i = at.index(signature.len());
        other.replace_range(i..=i, if &other[i..=i] == "A" { "B" } else { "A" });
        prop_assert!(!check(path, &form(&parameters), &other));
    }
}

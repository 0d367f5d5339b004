//! Templates: what is inserted, left out and refused.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

fn template(text: &str) -> Template {
    Template {
        name: "greeting".into(),
        text: text.into(),
        required_vars: None,
        max_length: None,
        is_active: true,
    }
}

#[track_caller]
fn check(text: &str, vars: &str, expected: &str) {
    assert_eq!(render(&template(text), vars, None).as_deref(), Ok(expected));
}

#[track_caller]
fn refused(template: &Template, vars: &str, expected: &str) {
    let error = render(template, vars, None).unwrap_err().to_string();
    assert_eq!(error, expected);
}

#[test]
fn variables_are_put_in() {
    check("Hi {{name}}!", r#"{"name": "Ada"}"#, "Hi Ada!");
    check("{{ a }}{{\tb\n}}", r#"{"a": "1", "b": "2"}"#, "12");
    check("{{a}} and {{a}}", r#"{"a": "x"}"#, "x and x");
    check("no variable", "{}", "no variable");
    check("{one} }} { {", "{}", "{one} }} { {");
    check("{{größe-1.x}}", r#"{"größe-1.x": "ok"}"#, "ok");
}

#[test]
fn what_is_not_given_is_left_out() {
    check("Hi{{name}}.", "{}", "Hi.");
    check("Hi{{name}}.", r#"{"name": null}"#, "Hi.");
    check("Hi{{name}}.", r#"{"name": ""}"#, "Hi.");
}

/// Only where the text ends, only what the template has, and only for the sake of a variable.
#[test]
fn blanks_for_the_sake_of_what_is_left_out_end_no_text() {
    check("Soon. {{link}}", "{}", "Soon.");
    check(
        "Soon. {{link}}",
        r#"{"link": "https://x"}"#,
        "Soon. https://x",
    );
    check("Soon.\n{{a}} {{b}} ", r#"{"a": null, "b": ""}"#, "Soon.");
    check("Soon. {{a}} {{b}}", r#"{"b": "x"}"#, "Soon.  x");
    check("{{a}} {{b}} end ", "{}", "  end ");
    check("{{a}} {{b}}", r#"{"a": "x "}"#, "x ");
    check("{{a}} {{b}}", r#"{"b": " "}"#, "  ");
    check("Soon. ", "{}", "Soon. ");
    check("Soon {{a}}. ", "{}", "Soon . ");
    check("{{a}} {{b}}", "{}", "");
}

#[test]
fn numbers_and_words_stay_as_they_were_written() {
    let vars = r#"{"price": 1.50, "n": 12345678901234567890123, "yes": true, "no": false}"#;
    check(
        "{{price}} {{n}} {{yes}} {{no}}",
        vars,
        "1.50 12345678901234567890123 true false",
    );
    check(
        "{{quoted}}",
        r#"{"quoted": "a \"b\" \\ \n ü 👍 \u00e9"}"#,
        "a \"b\" \\ \n ü 👍 é",
    );
}

#[test]
fn what_has_no_one_text_is_refused() {
    let listed = "the variable x is a list; expected a string, a number, true or false";
    refused(&template("{{x}}"), r#"{"x": [1]}"#, listed);
    let object = "the variable x is an object; expected a string, a number, true or false";
    refused(&template("{{x}}"), r#"{"x": {}}"#, object);
    // The template does not use it.
    check("", r#"{"x": [1]}"#, "");
}

#[test]
fn braces_hold_a_name_or_nothing_is_sent() {
    refused(
        &template("Hi {{name"),
        "{}",
        "template greeting has a {{ without its }}",
    );
    for inside in ["", " ", "#if x", "{x", "a b", "x | upper", "> part"] {
        let expected =
            format!("template greeting has {{{{{inside}}}}}, which is not a variable's name");
        refused(&template(&format!("{{{{{inside}}}}}")), "{}", &expected);
    }
}

#[test]
fn what_is_required_must_be_there() {
    let strict = Template {
        required_vars: Some(r#"["name", "time"]"#.into()),
        ..template("{{name}} {{time}}")
    };
    let both = r#"{"name": "Ada", "time": 9}"#;
    assert_eq!(render(&strict, both, None).as_deref(), Ok("Ada 9"));
    let missing = "template greeting needs the variable time, which template_vars does not have";
    refused(&strict, r#"{"name": "Ada"}"#, missing);
    refused(&strict, r#"{"name": "Ada", "time": null}"#, missing);
    for none in ["[]", "null"] {
        let lax = Template {
            required_vars: Some(none.into()),
            ..template("x")
        };
        assert_eq!(render(&lax, "{}", None).as_deref(), Ok("x"));
    }
    for wrong in ["{}", "[1]", "\"name\""] {
        let odd = Template {
            required_vars: Some(wrong.into()),
            ..template("x")
        };
        let expected =
            "required_vars of template greeting must be a list of names, like [\"name\"]";
        refused(&odd, "{}", expected);
    }
}

#[test]
fn variables_are_an_object() {
    for wrong in ["[]", "\"name\"", "1", "null", ""] {
        refused(
            &template("x"),
            wrong,
            "template_vars must be an object, like {\"name\": \"Ada\"}",
        );
    }
}

#[test]
fn a_template_out_of_use_makes_nothing() {
    let old = Template {
        is_active: false,
        ..template("x")
    };
    refused(&old, "{}", "template greeting is not active");
}

#[test]
fn characters_are_counted_after_rendering() {
    let short = Template {
        max_length: Some(5),
        ..template("ü{{x}}")
    };
    assert_eq!(
        render(&short, r#"{"x": "👍👍👍👍"}"#, None).as_deref(),
        Ok("ü👍👍👍👍")
    );
    refused(
        &short,
        r#"{"x": "12345"}"#,
        "the text of template greeting has 6 characters, at most 5 are allowed",
    );
}

proptest! {
    /// Whatever a value contains, it is inserted unchanged and not parsed.
    #[test]
    fn values_are_never_expanded(
        values in prop::collection::vec("(\\PC|\\{\\{|\\}\\}|\\{\\{a0\\}\\}|a1){1,8}", 1..5),
        between in prop::collection::vec("[a-z {}]{0,6}", 6),
    ) {
        let between: Vec<_> = between.iter().map(|t| t.replace("{{", "")).collect();
        let mut text = between[0].trim_end_matches('{').to_owned();
        let mut expected = text.clone();
        let mut vars = serde_json::Map::new();
        for (n, value) in values.iter().enumerate() {
            let after = between[n + 1].trim_end_matches('{');
            write!(text, "{{{{a{n}}}}}{after}").unwrap();
            write!(expected, "{value}{after}").unwrap();
            vars.insert(format!("a{n}"), value.clone().into());
        }
        let vars = serde_json::Value::Object(vars).to_string();
        prop_assert_eq!(render(&template(&text), &vars, None), Ok(expected));
    }

    /// A text without `{{` is itself, whatever the variables.
    #[test]
    fn what_has_no_variable_is_itself(text in "\\PC{0,60}") {
        prop_assume!(!text.contains("{{"));
        prop_assert_eq!(render(&template(&text), r#"{"a": 1}"#, None), Ok(text));
    }

    /// No template and no variables make it panic.
    #[test]
    fn nothing_makes_it_panic(text in "(\\PC|\\{\\{|\\}\\}){0,20}", vars in "\\PC{0,30}") {
        let _ = render(&template(&text), &vars, None);
    }
}

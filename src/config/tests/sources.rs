//! Source tables.

use super::*;

const SOURCE: &str = "
[[source]]
name = 'reminders'
table = 'reminders'
[source.columns]
key = 'id'
time = 'at'
body = 'words'
number = 'phone'
status = 'stage'
[source.words]
pending = ['waiting']
sent = 'gone'
failed = 'bad'
cancelled = 'stopped'
";

#[test]
fn words_that_are_not_given_are_those_of_the_nearest_outcome() {
    for line in [
        "[[source]]",
        "name = \"reminders\"",
        "number = \"phone\"",
        "claimed = []",
        "delivered = \"gone\"",
        "unconfirmed = \"bad\"",
    ] {
        file(SOURCE, Ok(line));
    }
    // What is shown works as a settings file.
    let shown = load(SOURCE, REQUIRED).unwrap().to_toml();
    let again = load(&shown.replace("\"***\"", "\"postgres://a@b/c\""), &[]);
    assert_eq!(
        again.unwrap().sources,
        load(SOURCE, REQUIRED).unwrap().sources
    );
}

/// A second table, with a row for each of its rows.
const RECORD: &str = "
[[source.record]]
table = 'texts'
key = 'id'
named_by = 'text_id'
names = { column = 'about', field = 'reminder' }
only = { column = 'kind', value = 'sms' }
[source.record.columns]
status = 'state'
[source.record.words]
pending = ['new']
sent = 'sent'
failed = 'failed'
cancelled = 'ended'
";

#[test]
fn records_of_a_source_are_found_in_one_way_at_least() {
    let both = format!("{SOURCE}{RECORD}");
    let shown = load(&both, REQUIRED).unwrap().to_toml();
    let again = load(&shown.replace("\"***\"", "\"postgres://a@b/c\""), &[]);
    let source = &load(&both, REQUIRED).unwrap().sources;
    assert_eq!(again.unwrap().sources, *source);
    let names = "names = { column = 'about', field = 'reminder' }\n";
    file(&both.replace(names, ""), Ok("named_by = \"text_id\""));
    let without = both
        .replace(names, "")
        .replace("named_by = 'text_id'\n", "");
    file(
        &without,
        Err("a record needs names, named_by or names_record"),
    );
    let of_a_preset = SOURCE.replace(
        "name = 'reminders'",
        "name = 'reminders'\npreset = 'buildos'",
    );
    file(&of_a_preset, Err("unknown field `preset`"));
}

#[test]
fn what_is_wrong_with_a_source_names_it() {
    for (from, to, expected) in [
        (
            "name = 'reminders'",
            "name = 'The Reminders'",
            "[[source]] number 1 in ",
        ),
        (
            "name = 'reminders'",
            "name = 'The Reminders'",
            "name must be up to 30 of a-z",
        ),
        ("['waiting']", "[]", "words.pending must have a word"),
        ("key = 'id'\n", "", "missing field `key`"),
        (
            "number = 'phone'\n",
            "",
            "it needs either columns.number or number_from",
        ),
        (
            "number = 'phone'",
            "number = 'phone'\ncost = 'c'",
            "unknown field `cost`",
        ),
    ] {
        file(&SOURCE.replace(from, to), Err(expected));
    }
    file(
        &format!("{SOURCE}{SOURCE}"),
        Err("[[source]] reminders in "),
    );
    let from = "table = 'reminders'\n[source.number_from]\ntable = 't'\nkey = 'k'\ncolumn = 'c'\n";
    let both = SOURCE.replace("table = 'reminders'\n", from);
    file(&both, Err("it needs either columns.number or number_from"));
    let without = both.replace("number = 'phone'\n", "");
    file(&without, Err("number_from needs columns.user"));
    file("source = 'reminders'", Err("a list of tables, [[source]]"));
}

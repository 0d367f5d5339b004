//! Reads the messages of a campaign from a file.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::store::campaigns::Draft;

/// What columns, or keys, may be named: the name, the number, the text.
const NAMES: [&[&str]; 3] = [
    &["customer_name", "name", "customer"],
    &["phone_number", "phone", "to_number", "to", "number"],
    &["content", "message", "message_content", "body", "text"],
];

/// A row that cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Fault {
    /// The line on which it begins.
    pub(super) line: u64,
    /// Why not; without number and text.
    pub(super) why: String,
}

/// The rows of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rows {
    /// Those that can be imported, with their lines.
    pub(super) drafts: Vec<Draft>,
    pub(super) lines: Vec<u64>,
    pub(super) faults: Vec<Fault>,
}

impl Rows {
    /// How many rows the file has.
    pub(super) const fn total(&self) -> usize {
        self.drafts.len() + self.faults.len()
    }

    fn take(&mut self, line: u64, row: Result<Draft, String>) {
        match row {
            Ok(draft) => {
                self.drafts.push(draft);
                self.lines.push(line);
            }
            Err(why) => self.faults.push(Fault { line, why }),
        }
    }

    /// Leaves out those of these indexes, and says why.
    pub(super) fn leave_out(&mut self, those: impl Iterator<Item = (usize, String)>) {
        let mut why: HashMap<usize, String> = those.collect();
        let drafts = std::mem::take(&mut self.drafts);
        let lines = std::mem::take(&mut self.lines);
        for (index, (draft, line)) in drafts.into_iter().zip(lines).enumerate() {
            self.take(line, why.remove(&index).map_or(Ok(draft), Err));
        }
        self.faults.sort_by_key(|fault| fault.line);
    }

    /// Leaves out what is in the file twice: nobody gets the same text twice.
    fn without_repeats(mut self) -> Self {
        let mut seen: HashMap<(&str, &str), u64> = HashMap::with_capacity(self.drafts.len());
        let mut repeats = Vec::new();
        for (index, (draft, line)) in self.drafts.iter().zip(&self.lines).enumerate() {
            let key = (draft.phone_number.as_str(), draft.content.as_str());
            match seen.get(&key) {
                Some(first) => {
                    let why = format!("the same number has the same text on line {first}");
                    repeats.push((index, why));
                }
                None => drop(seen.insert(key, *line)),
            }
        }
        self.leave_out(repeats.into_iter());
        self
    }
}

/// The lines of a text, for moments in it that follow each other.
struct Lines<'a> {
    bytes: &'a [u8],
    seen: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    const fn of(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            seen: 0,
            line: 1,
        }
    }

    /// The line of what begins there, or after the ends of lines that follow.
    fn at(&mut self, offset: usize) -> u64 {
        let rest = self.bytes.get(offset..).unwrap_or_default();
        let ends = rest.iter().take_while(|b| matches!(b, b'\r' | b'\n'));
        let begins = offset + ends.count();
        let passed = self.bytes.get(self.seen..begins).unwrap_or_default();
        let lines = passed.split(|b| *b == b'\n').count() - 1;
        self.line += lines as u64;
        self.seen = self.seen.max(begins);
        self.line
    }

    fn of_record(&mut self, position: Option<&csv::Position>) -> u64 {
        let byte = position.map_or(0, csv::Position::byte);
        self.at(usize::try_from(byte).unwrap_or(usize::MAX))
    }
}

/// Reads a file. An error is one of the whole file.
pub(super) fn read(bytes: &[u8], is_json: bool, separator: Option<&str>) -> Result<Rows, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let rows = if is_json {
        let text = std::str::from_utf8(bytes);
        of_json(text.map_err(|_| "it is not UTF-8")?, separator)?
    } else {
        of_csv(bytes, separator)?
    };
    Ok(rows.without_repeats())
}

fn of_csv(bytes: &[u8], separator: Option<&str>) -> Result<Rows, String> {
    let head = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let delimiter = [b',', b';', b'\t'].into_iter().find(|d| head.contains(d));
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter.unwrap_or(b','))
        .flexible(true)
        .from_reader(bytes);
    let headers = reader.headers().map_err(|why| why.to_string())?.clone();
    let column = |names: &[&str]| {
        let is_it = |head: &str| names.contains(&head.trim().to_ascii_lowercase().as_str());
        headers.iter().position(is_it)
    };
    let [name, Some(number), Some(content)] = NAMES.map(column) else {
        return Err(format!(
            "its first line must name the columns customer_name, phone_number and content; it has {:?}",
            headers.iter().collect::<Vec<_>>()
        ));
    };
    let (mut rows, mut lines) = (Rows::default(), Lines::of(bytes));
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = lines.of_record(record.position());
                let row = if record.len() == headers.len() {
                    let field = |column: usize| record.get(column).unwrap_or_default();
                    Draft::read(name.map(field), field(number), field(content), separator)
                } else {
                    let (has, of) = (record.len(), headers.len());
                    Err(format!("it has {has} columns, and the first line {of}"))
                };
                rows.take(line, row);
            }
            Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                let line = lines.of_record(error.position());
                rows.take(line, Err("it is not UTF-8".to_owned()));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(rows)
}

fn of_json(text: &str, separator: Option<&str>) -> Result<Rows, String> {
    let list: Vec<&RawValue> = serde_json::from_str(text)
        .map_err(|why| format!("it is not a list of objects in JSON: {why}"))?;
    let mut rows = Rows::default();
    let mut lines = Lines::of(text.as_bytes());
    for raw in list {
        // A part of the text itself.
        let line = lines.at(raw.get().as_ptr().addr() - text.as_ptr().addr());
        rows.take(line, of_object(raw, separator));
    }
    Ok(rows)
}

fn of_object(raw: &RawValue, separator: Option<&str>) -> Result<Draft, String> {
    let object: serde_json::Map<String, Value> =
        serde_json::from_str(raw.get()).map_err(|_| "it is not an object")?;
    let [name, number, content] = NAMES.map(|names| {
        let found = names.iter().find_map(|name| object.get(*name));
        match found {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(format!("its {} is not a text", names[0])),
        }
    });
    let missing = |what: &str| format!("it has no {what}");
    let number = number?.ok_or_else(|| missing(NAMES[1][0]))?;
    let content = content?.ok_or_else(|| missing(NAMES[2][0]))?;
    Draft::read(name?, number, content, separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, is_json: bool, good: &[(&str, u64)], bad: &[(u64, &str)]) {
        let rows = read(file.as_bytes(), is_json, Some("[BUBBLE]")).unwrap();
        let named = rows.drafts.iter().map(|one| one.customer_name.as_deref());
        let found: Vec<_> = named
            .map(Option::unwrap_or_default)
            .zip(rows.lines.iter().copied())
            .collect();
        assert_eq!(found, good);
        assert_eq!(rows.faults.len(), bad.len(), "{:?}", rows.faults);
        for (fault, (line, why)) in rows.faults.iter().zip(bad) {
            assert_eq!(fault.line, *line, "{fault:?}");
            assert!(fault.why.contains(why), "{fault:?}");
            assert!(!fault.why.contains("555"), "{fault:?}");
        }
    }

    #[test]
    fn a_csv_file_is_read_by_its_first_line_and_faults_have_theirs() {
        let file = "\u{feff}customer_name,phone_number,content\r\n\
                    Ada Example,+12025550101,\"Hi Ada,\n[BUBBLE]\nsee you\"\r\n\
                    Ben Sample,2025550102,Hi\n\
                    Cleo,+12025550103,\"  \"\n\
                    Dan,+12025550104\n\
                    ,+12025550105,Hello\n\
                    Ada again,+12025550101,\"Hi Ada,\n[BUBBLE]\nsee you\"\n\
                    Eve,+12025550106,[BUBBLE]\n";
        check(
            file,
            false,
            &[("Ada Example", 2), ("", 8)],
            &[
                (5, "must start with +"),
                (6, "empty"),
                (7, "2 columns"),
                (9, "line 2"),
                (12, "every part"),
            ],
        );
        let semicolons = "Text;Phone;Extra\nHi;+12025550101;x\n";
        check(semicolons, false, &[("", 2)], &[]);
        let long = format!("phone,text\n+12025550101,{}\n", "x".repeat(1_601));
        check(&long, false, &[], &[(2, "1601 characters")]);
        let why = read(b"name,telephone\na,b\n", false, None).unwrap_err();
        assert!(
            why.contains("customer_name, phone_number and content"),
            "{why}"
        );
        let mut bytes = b"phone,text\n+12025550101,Hi\n+12025550102,".to_vec();
        bytes.extend([0xff, b'\n']);
        let rows = read(&bytes, false, None).unwrap();
        assert_eq!((rows.drafts.len(), rows.faults[0].line), (1, 3));
    }

    #[test]
    fn a_json_file_is_a_list_of_objects() {
        let file = "[\n{\"customer_name\": \"Ada\", \"phone_number\": \"+12025550101\", \"content\": \"Hi\"},\n\
                    {\"name\": null, \"phone\": \"+12025550102\",\n \"message\": \"Hi\"},\n\
                    {\"phone\": 12025550103, \"message\": \"Hi\"}, 7,\n{\"phone\": \"+12025550104\"}\n]";
        check(
            file,
            true,
            &[("Ada", 2), ("", 3)],
            &[
                (5, "phone_number is not a text"),
                (5, "not an object"),
                (6, "no content"),
            ],
        );
        for wrong in ["", "{}", "[", "[1] x"] {
            assert!(read(wrong.as_bytes(), true, None).is_err(), "{wrong}");
        }
    }
}

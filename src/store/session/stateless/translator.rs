//! Translates the protocol between a client that keeps state in its session, and a server where none may be left.
//!
//! - A prepared statement is one of the client's only: its text is kept here, and sent with each use as the statement
//!   without a name, which ends with its transaction.
//! - Settings are made in each transaction, by a statement that is sent before the client's first one. Both are one
//!   transaction: what is sent up to a Sync is, and so is what follows BEGIN.
//!
//! Responses come in the order of the messages, so it is known which answer what was added here; these are left out.

use std::collections::{HashMap, VecDeque};
use std::io;

use bytes::{Bytes, BytesMut};

use crate::store::session::message::{NUL, message, named, put, size, text};

/// What the server still has to answer, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Awaited {
    /// A message of the extended protocol: up to one of these tags.
    Step {
        ends: &'static [u8],
        /// Added here.
        is_added: bool,
        /// The client's statement that it makes: if it fails, there is none.
        makes: Option<Bytes>,
    },
    /// A simple query, up to its end.
    Query {
        /// Which of its results is of what was added here.
        added: Option<usize>,
        /// Results that have ended.
        ended: usize,
    },
    /// A Sync.
    Sync,
}

const PARSED: &[u8] = b"1";
const BOUND: &[u8] = b"2";
const CLOSED: &[u8] = b"3";
/// Rows, or none. Parameters come before.
const DESCRIBED: &[u8] = b"Tn";
/// Complete, empty, or with more rows to come.
const EXECUTED: &[u8] = b"CIs";

/// One connection.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of the protocol, and any of them goes with any other"
)]
pub(super) struct Translator {
    /// The statement that makes the settings.
    settings: &'static str,
    /// The beginnings of messages whose rest has not come yet.
    from_client: BytesMut,
    from_server: BytesMut,
    /// The client's prepared statements: text and types.
    prepared: HashMap<Bytes, Bytes>,
    awaited: VecDeque<Awaited>,
    /// The first message of a client has no tag.
    is_greeted: bool,
    /// The server has let the client in.
    is_open: bool,
    in_transaction: bool,
    /// What the messages up to the next Sync have.
    has_settings: bool,
    /// The client's statement that is the one without a name up to the next Sync.
    current: Option<Bytes>,
}

impl Translator {
    pub(super) fn new(settings: &'static str) -> Self {
        Self {
            settings,
            from_client: BytesMut::new(),
            from_server: BytesMut::new(),
            prepared: HashMap::new(),
            awaited: VecDeque::new(),
            is_greeted: false,
            is_open: false,
            in_transaction: false,
            has_settings: false,
            current: None,
        }
    }

    /// The names of the statements that are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> Vec<&str> {
        let names = self.prepared.keys();
        names
            .filter_map(|name| std::str::from_utf8(name).ok())
            .collect()
    }

    /// Translates what the client has written.
    pub(super) fn for_server(&mut self, bytes: &[u8], out: &mut BytesMut) -> io::Result<()> {
        self.from_client.extend_from_slice(bytes);
        if !self.is_greeted {
            let Some(size) = size(&self.from_client, 0)? else {
                return Ok(());
            };
            out.extend_from_slice(&self.from_client.split_to(size));
            self.is_greeted = true;
        }
        while let Some((tag, body)) = message(&mut self.from_client)? {
            self.translate(tag, body, out)?;
        }
        Ok(())
    }

    fn translate(&mut self, tag: u8, mut body: Bytes, out: &mut BytesMut) -> io::Result<()> {
        match tag {
            b'P' => {
                let name = text(&mut body)?;
                self.begin(out)?;
                let makes = (!name.is_empty()).then(|| name.clone());
                self.current.clone_from(&makes);
                put(out, b'P', &[&[NUL], &body])?;
                self.awaited.push_back(Awaited::Step {
                    ends: PARSED,
                    is_added: false,
                    makes,
                });
                if !name.is_empty() {
                    self.prepared.insert(name, body);
                }
            }
            b'B' => {
                let (portal, name) = (text(&mut body)?, text(&mut body)?);
                self.begin(out)?;
                let name = self.unnamed(name, out)?;
                put(out, tag, &[&portal, &[NUL], &name, &[NUL], &body])?;
                self.await_step(BOUND, false);
            }
            b'D' | b'C' => {
                let (kind, name) = named(&mut body)?;
                let name = match (kind, tag) {
                    (b'S', b'D') => self.unnamed(name, out)?,
                    (b'S', _) => {
                        self.forget(&name);
                        Bytes::new()
                    }
                    _ => name,
                };
                put(out, tag, &[&[kind], &name, &[NUL]])?;
                self.await_step(if tag == b'D' { DESCRIBED } else { CLOSED }, false);
            }
            b'E' => {
                put(out, tag, &[&body])?;
                self.await_step(EXECUTED, false);
            }
            b'S' => {
                put(out, tag, &[&body])?;
                self.awaited.push_back(Awaited::Sync);
                (self.has_settings, self.current) = (false, None);
            }
            b'Q' => self.query(&text(&mut body)?, out)?,
            // Passwords, copied rows, the end.
            _ => put(out, tag, &[&body])?,
        }
        Ok(())
    }

    fn await_step(&mut self, ends: &'static [u8], is_added: bool) {
        self.awaited.push_back(Awaited::Step {
            ends,
            is_added,
            makes: None,
        });
    }

    /// Adds a statement without a name: its text and types.
    fn parse(&mut self, statement: &[u8], out: &mut BytesMut) -> io::Result<()> {
        put(out, b'P', &[&[NUL], statement])?;
        self.await_step(PARSED, true);
        Ok(())
    }

    /// Before the first statement of a transaction: makes the settings.
    fn begin(&mut self, out: &mut BytesMut) -> io::Result<()> {
        if self.in_transaction || self.has_settings {
            return Ok(());
        }
        self.has_settings = true;
        let statement = [self.settings.as_bytes(), &[NUL, 0, 0]].concat();
        self.parse(&statement, out)?;
        // Neither formats nor parameters; all rows.
        put(out, b'B', &[&[NUL, NUL, 0, 0, 0, 0, 0, 0]])?;
        self.await_step(BOUND, true);
        put(out, b'E', &[&[NUL, 0, 0, 0, 0]])?;
        self.await_step(EXECUTED, true);
        Ok(())
    }

    /// Makes a prepared statement the one without a name. Returns the name that the server knows.
    fn unnamed(&mut self, name: Bytes, out: &mut BytesMut) -> io::Result<Bytes> {
        if name.is_empty() {
            return Ok(name);
        }
        if self.current.as_ref() != Some(&name) {
            let Some(statement) = self.prepared.get(&name).cloned() else {
                // The server says that there is none.
                return Ok(name);
            };
            self.parse(&statement, out)?;
            self.current = Some(name);
        }
        Ok(Bytes::new())
    }

    fn forget(&mut self, name: &Bytes) {
        self.prepared.remove(name);
        self.current = None;
    }

    fn query(&mut self, text: &[u8], out: &mut BytesMut) -> io::Result<()> {
        let settings = self.settings.as_bytes();
        let words = std::str::from_utf8(text).unwrap_or_default();
        let verb = Verb::of(words);
        let is_alone = !words.trim_end().trim_end_matches(';').contains(';');
        let added = match verb {
            _ if self.in_transaction => None,
            Verb::Begin if is_alone => Some(1),
            Verb::Begin | Verb::End => None,
            Verb::Other => Some(0),
        };
        match added {
            None => put(out, b'Q', &[text, &[NUL]])?,
            // The line ends for a comment at the end of a text.
            Some(0) => put(out, b'Q', &[settings, b"\n;", text, &[NUL]])?,
            Some(_) => put(out, b'Q', &[text, b"\n;", settings, &[NUL]])?,
        }
        self.awaited.push_back(Awaited::Query { added, ended: 0 });
        match verb {
            Verb::Begin => self.in_transaction = true,
            Verb::End => self.in_transaction = false,
            Verb::Other => {}
        }
        Ok(())
    }

    /// Translates what the server has written.
    pub(super) fn for_client(&mut self, bytes: &[u8], out: &mut BytesMut) -> io::Result<()> {
        self.from_server.extend_from_slice(bytes);
        while let Some((tag, body)) = message(&mut self.from_server)? {
            if self.is_for_client(tag, &body) {
                put(out, tag, &[&body])?;
            }
        }
        Ok(())
    }

    fn is_for_client(&mut self, tag: u8, body: &[u8]) -> bool {
        if !self.is_open {
            self.is_open = tag == b'Z';
            return true;
        }
        match tag {
            // Notices, notifications, and what the server reports of itself.
            b'N' | b'A' | b'S' => return true,
            // The rest up to the Sync is skipped.
            b'E' => {
                while let Some(Awaited::Step { makes, .. }) = self.awaited.front() {
                    if let Some(name) = makes {
                        self.prepared.remove(name);
                    }
                    self.awaited.pop_front();
                }
                return true;
            }
            b'Z' => {
                self.awaited.pop_front();
                // Otherwise later messages may have begun or ended one.
                if self.awaited.is_empty() {
                    self.in_transaction = body != b"I";
                }
                return true;
            }
            _ => {}
        }
        match self.awaited.front_mut() {
            Some(Awaited::Step { ends, is_added, .. }) => {
                let is_added = *is_added;
                if ends.contains(&tag) {
                    self.awaited.pop_front();
                }
                !is_added
            }
            Some(Awaited::Query { added, ended }) => {
                let is_added = *added == Some(*ended);
                if b"CI".contains(&tag) {
                    *ended += 1;
                }
                !is_added
            }
            Some(Awaited::Sync) | None => true,
        }
    }
}

/// What a simple query does to the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Begin,
    End,
    Other,
}

impl Verb {
    fn of(text: &str) -> Self {
        let mut lines = text.lines().map(str::trim);
        let first = lines.find(|line| !line.is_empty() && !line.starts_with("--"));
        let mut words = first
            .unwrap_or_default()
            .split(|c: char| c.is_whitespace() || c == ';')
            .map(str::to_ascii_lowercase);
        match words.next().as_deref() {
            Some("begin" | "start") => Self::Begin,
            Some("commit" | "end" | "abort") => Self::End,
            Some("rollback") if words.next().as_deref() != Some("to") => Self::End,
            _ => Self::Other,
        }
    }
}

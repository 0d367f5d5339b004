//! The two forms of a connection string, split into keys and values by libpq's rules.

pub(super) type Pairs = Vec<(String, String)>;

/// `USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?KEY=VALUE&…`; `None`: it cannot be read.
pub(super) fn url(text: &str) -> Option<Pairs> {
    let mut pairs = Pairs::new();
    let (credentials, rest) = match text.split_once('@') {
        Some((credentials, rest)) => (Some(credentials), rest),
        None => (None, text),
    };
    // A second @ means that the first was part of the password.
    if rest.contains('@') {
        return None;
    }
    if let Some(credentials) = credentials {
        let (user, password) = credentials
            .split_once(':')
            .map_or((credentials, None), |(user, word)| (user, Some(word)));
        pairs.push(("user".into(), decode(user)?));
        if let Some(password) = password {
            pairs.push(("password".into(), decode(password)?));
        }
    }
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, database) = place.split_once('/').unwrap_or((place, ""));
    if !hosts.is_empty() {
        let (mut names, mut ports) = (Vec::new(), Vec::new());
        for one in hosts.split(',') {
            let (name, port) = host_and_port(one)?;
            names.push(decode(name)?);
            ports.push(port);
        }
        pairs.push(("host".into(), names.join(",")));
        pairs.push(("port".into(), ports.join(",")));
    }
    if !database.is_empty() {
        pairs.push(("dbname".into(), decode(database)?));
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=')?;
        pairs.push((decode(key)?, decode(value)?));
    }
    Some(pairs)
}

fn host_and_port(text: &str) -> Option<(&str, &str)> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, port) = rest.split_once(']')?;
            let port = match port.strip_prefix(':') {
                Some(port) => port,
                None if port.is_empty() => port,
                None => return None,
            };
            (name, port)
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    Some((name, if port.is_empty() { "5432" } else { port }))
}

/// Percent-decoding; `None`: a broken escape, or not UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// libpq's other form: `host=db user='a b' …`, backslash escapes inside and outside quotes.
pub(super) fn words(text: &str) -> Option<Pairs> {
    let mut pairs = Pairs::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.peek().is_none() {
            return (!pairs.is_empty()).then_some(pairs);
        }
        let mut key = String::new();
        while let Some(c) = rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            key.push(c);
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if key.is_empty() || rest.next() != Some('=') {
            return None;
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = rest.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match rest.next() {
                Some('\\') => value.push(rest.next()?),
                Some('\'') if quoted => break,
                Some(c) if !quoted && c.is_whitespace() => break,
                Some(c) => value.push(c),
                None if quoted => return None,
                None => break,
            }
        }
        pairs.push((key, value));
    }
}

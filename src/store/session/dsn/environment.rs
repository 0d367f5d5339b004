//! What libpq reads in addition to the connection string: its environment variables and its password file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Its variables, with the parameter that each sets where the string does not.
pub(super) const VARIABLES: [(&str, &str); 34] = [
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGDATABASE", "dbname"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGSERVICE", "service"),
    ("PGOPTIONS", "options"),
    ("PGAPPNAME", "application_name"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCRL", "sslcrl"),
    ("PGSSLCRLDIR", "sslcrldir"),
    ("PGSSLMINPROTOCOLVERSION", "ssl_min_protocol_version"),
    ("PGSSLMAXPROTOCOLVERSION", "ssl_max_protocol_version"),
    ("PGREQUIREAUTH", "require_auth"),
    ("PGREQUIREPEER", "requirepeer"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGGSSENCMODE", "gssencmode"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGCLIENTENCODING", "client_encoding"),
    ("PGREQUIRESSL", "requiressl"),
    ("PGSSLCERTMODE", "sslcertmode"),
    ("PGSSLCOMPRESSION", "sslcompression"),
    ("PGSSLSNI", "sslsni"),
    ("PGGSSDELEGATION", "gssdelegation"),
    ("PGLOADBALANCEHOSTS", "load_balance_hosts"),
    ("PGMINPROTOCOLVERSION", "min_protocol_version"),
    ("PGMAXPROTOCOLVERSION", "max_protocol_version"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
];

/// Only its owner may read the password file.
const OTHERS: u32 = 0o077;

/// The file that libpq reads where none is named.
pub(super) fn default_passfile(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    Some(Path::new(&variable("HOME")?).join(".pgpass"))
}

/// A password of the file; `Err`: it is not used, and why.
pub(super) fn password(
    file: &Path,
    host: &str,
    port: u16,
    database: &str,
    user: &str,
) -> Result<Option<String>, String> {
    let Ok(about) = fs::metadata(file) else {
        return Ok(None);
    };
    if about.permissions().mode() & OTHERS != 0 {
        let file = file.display();
        return Err(format!(
            "{file} is not used: others may read it (chmod 600 {file})"
        ));
    }
    let text = fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let wanted = [host, &port.to_string(), database, user];
    let line = text.lines().filter(|line| !line.starts_with('#'));
    Ok(line.filter_map(fields).find_map(|[parts @ .., password]| {
        let fits = parts
            .iter()
            .zip(wanted)
            .all(|(part, is)| part.is_any || part.text == is);
        fits.then_some(password.text)
    }))
}

/// One field of a line.
#[derive(Default)]
struct Field {
    text: String,
    /// It is an unescaped `*`.
    is_any: bool,
}

/// `host:port:database:user:password`; a backslash makes the next character literal.
fn fields(line: &str) -> Option<[Field; 5]> {
    let mut fields = vec![Field::default()];
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        // The password is the rest of the line.
        if c == ':' && fields.len() < 5 {
            fields.push(Field::default());
            continue;
        }
        let last = fields.last_mut()?;
        last.is_any = c == '*' && last.text.is_empty();
        last.text.push(if c == '\\' { rest.next()? } else { c });
    }
    fields.try_into().ok()
}

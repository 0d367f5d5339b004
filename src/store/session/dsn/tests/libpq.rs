//! libpq's parameters, variables and file of passwords.

use super::*;

/// What becomes of one parameter.
#[derive(Clone, Copy)]
enum Fate {
    Understood,
    Ignored(&'static str),
    Refused(&'static str),
}

/// Every parameter of libpq 15 to 18.
const PARAMETERS: &[(&str, Fate)] = &[
    ("host=db", Fate::Understood),
    ("hostaddr=127.0.0.1", Fate::Understood),
    ("port=5432", Fate::Understood),
    ("dbname=app", Fate::Understood),
    ("user=ann", Fate::Understood),
    ("password=x", Fate::Understood),
    ("passfile=/no/such/file", Fate::Understood),
    (
        "require_auth=scram-sha-256",
        Fate::Refused("channel_binding=require"),
    ),
    ("require_auth=", Fate::Understood),
    ("channel_binding=prefer", Fate::Understood),
    ("channel_binding=require", Fate::Understood),
    (
        "channel_binding=maybe",
        Fate::Refused("disable, prefer or require"),
    ),
    ("connect_timeout=7", Fate::Understood),
    ("client_encoding=UTF8", Fate::Understood),
    ("client_encoding=LATIN1", Fate::Ignored("UTF8")),
    ("options=-c%20geqo=off", Fate::Understood),
    ("application_name=x", Fate::Understood),
    ("fallback_application_name=x", Fate::Understood),
    ("keepalives=0", Fate::Understood),
    ("keepalives_idle=30", Fate::Understood),
    ("keepalives_interval=5", Fate::Understood),
    ("keepalives_count=3", Fate::Understood),
    ("tcp_user_timeout=1000", Fate::Understood),
    ("replication=database", Fate::Refused("remove it")),
    ("replication=false", Fate::Understood),
    ("gssencmode=disable", Fate::Understood),
    ("gssencmode=prefer", Fate::Understood),
    ("gssencmode=require", Fate::Refused("sslmode=verify-full")),
    ("sslmode=require", Fate::Understood),
    ("requiressl=1", Fate::Refused("sslmode=require")),
    ("sslnegotiation=postgres", Fate::Understood),
    ("sslnegotiation=direct&sslmode=require", Fate::Understood),
    (
        "sslnegotiation=direct&sslmode=prefer",
        Fate::Refused("stricter"),
    ),
    ("sslcompression=0", Fate::Understood),
    ("sslcompression=1", Fate::Ignored("compresses")),
    ("sslcert=x.pem", Fate::Refused("use a password")),
    ("sslkey=x.pem", Fate::Refused("use a password")),
    ("sslpassword=x", Fate::Refused("use a password")),
    ("sslcertmode=disable", Fate::Understood),
    ("sslcertmode=require", Fate::Refused("use a password")),
    ("sslrootcert=", Fate::Understood),
    ("sslcrl=x.pem", Fate::Refused("sslrootcert")),
    ("sslcrldir=/x", Fate::Refused("sslrootcert")),
    ("sslsni=1", Fate::Understood),
    ("sslsni=0", Fate::Ignored("name is sent")),
    ("requirepeer=postgres", Fate::Refused("directory")),
    ("ssl_min_protocol_version=TLSv1.3", Fate::Understood),
    ("ssl_min_protocol_version=TLSv1.1", Fate::Understood),
    (
        "ssl_min_protocol_version=SSLv3",
        Fate::Refused("TLSv1.2 or TLSv1.3"),
    ),
    ("ssl_max_protocol_version=TLSv1.2", Fate::Understood),
    (
        "ssl_max_protocol_version=TLSv1.1",
        Fate::Refused("TLSv1.2 or TLSv1.3"),
    ),
    ("min_protocol_version=3.0", Fate::Understood),
    ("max_protocol_version=latest", Fate::Understood),
    ("krbsrvname=postgres", Fate::Understood),
    ("gsslib=gssapi", Fate::Understood),
    ("gssdelegation=0", Fate::Understood),
    ("gssdelegation=1", Fate::Refused("use a password")),
    (
        "service=app",
        Fate::Refused("write the service's parameters"),
    ),
    ("target_session_attrs=any", Fate::Understood),
    ("target_session_attrs=read-write", Fate::Understood),
    ("target_session_attrs=primary", Fate::Understood),
    (
        "target_session_attrs=standby",
        Fate::Refused("Punctual writes"),
    ),
    (
        "target_session_attrs=read-only",
        Fate::Refused("Punctual writes"),
    ),
    (
        "target_session_attrs=prefer-standby",
        Fate::Refused("Punctual writes"),
    ),
    ("load_balance_hosts=disable", Fate::Understood),
    ("load_balance_hosts=random", Fate::Understood),
    ("scram_client_key=x", Fate::Refused("use a password")),
    ("scram_server_key=x", Fate::Refused("use a password")),
    ("oauth_issuer=x", Fate::Refused("use a password")),
    ("oauth_client_id=x", Fate::Refused("use a password")),
    ("oauth_client_secret=x", Fate::Refused("use a password")),
    ("oauth_scope=x", Fate::Refused("use a password")),
    (
        "servicefile=/x",
        Fate::Refused("write the service's parameters"),
    ),
    ("sslkeylogfile=/x", Fate::Refused("remove it")),
    ("no_such_parameter=1", Fate::Refused("unknown parameter")),
];

#[test]
fn every_parameter_of_libpq_is_understood_ignored_or_refused() {
    use Fate::{Ignored, Refused, Understood};
    for &(pair, fate) in PARAMETERS {
        let text = format!("postgres://u@db.example.com/app?{pair}");
        match (alone(&text), fate) {
            (Ok(dsn), Understood) => assert_eq!(dsn.warnings(), [""; 0], "{pair}"),
            (Ok(dsn), Ignored(says)) => {
                assert!(
                    dsn.warnings()[0].contains(says),
                    "{pair}: {:?}",
                    dsn.warnings()
                );
            }
            (Err(error), Refused(says)) => {
                assert!(error.to_string().contains(says), "{pair}: {error}");
            }
            (Ok(_), Refused(_)) => panic!("{pair} is accepted"),
            (Err(error), _) => panic!("{pair}: {error}"),
        }
    }
}

#[test]
fn nothing_goes_unencrypted_to_another_host_unless_the_string_says_so() {
    for (place, mode) in [
        ("u@db.example.com/app", "require"),
        ("u@10.0.0.7/app", "require"),
        ("u@localhost,db.example.com/app", "require"),
        ("u@localhost/app", "prefer"),
        ("u@127.0.0.1/app", "prefer"),
        ("u@[::1]/app", "prefer"),
        ("u@db/app?hostaddr=127.0.0.1", "prefer"),
        ("u@localhost/app?hostaddr=10.0.0.7", "require"),
        ("/app?host=/run/postgresql&user=u", "prefer"),
        ("u@db.example.com/app?sslmode=disable", "disable"),
        ("u@db.example.com/app?sslmode=prefer", "prefer"),
    ] {
        let dsn = alone(&format!("postgres://{place}")).unwrap();
        assert_eq!(dsn.sslmode(), mode, "{place}");
    }
}

#[test]
fn of_several_hosts_the_one_that_accepts_writes_is_wanted() {
    let wants = |text: &str| {
        let config = alone(text).unwrap().config;
        config.get_target_session_attrs() == TargetSessionAttrs::ReadWrite
    };
    assert!(wants("postgres://u@one,two/app"));
    assert!(wants("postgres://u@one/app?target_session_attrs=primary"));
    assert!(!wants("postgres://u@one/app"));
}

#[test]
fn libpqs_variables_say_what_the_string_does_not() {
    let variables = |name: &str| {
        let value = match name {
            "PGHOST" => "other.example.com",
            "PGPORT" => "6000",
            "PGUSER" => "ben",
            "PGPASSWORD" => "secret",
            "PGDATABASE" => "shop",
            "PGSSLMODE" => "disable",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let dsn = Dsn::parse_in("postgres://ann@db/", variables).unwrap();
    assert_eq!(summary(&dsn), "db:5432/shop ann secret disable");
    let dsn = Dsn::parse_in("user=ann sslmode=require", variables).unwrap();
    assert_eq!(
        summary(&dsn),
        "other.example.com:6000/shop ann secret require"
    );
    let refusing = |name: &str| (name == "PGSSLCERT").then(|| "x.pem".to_owned());
    assert!(Dsn::parse_in("postgres://ann@db/app", refusing).is_err());
}

#[test]
fn a_password_comes_from_the_file_that_only_its_owner_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".pgpass");
    let lines =
        "# a comment\nother:*:*:*:wrong\ndb:5432:app:ben:wrong\ndb:*:app:a\\:n:se\\:cr:et\n";
    std::fs::write(&file, lines).unwrap();
    let set =
        |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    set(0o600);
    let variables = |name: &str| (name == "HOME").then(|| home.path().display().to_string());
    let password = |text: &str| {
        let dsn = Dsn::parse_in(text, variables).unwrap();
        let password = dsn.config.get_password();
        password.map(|p| String::from_utf8(p.to_vec()).unwrap())
    };
    assert_eq!(
        password("postgres://a%3An@db/app").as_deref(),
        Some("se:cr:et")
    );
    assert_eq!(
        password("postgres://a%3An:own@db/app").as_deref(),
        Some("own")
    );
    assert_eq!(password("postgres://ann@db/app"), None);
    let named = format!("postgres://x@other/app?passfile={}", file.display());
    assert_eq!(
        alone(&named).unwrap().config.get_password(),
        Some(&b"wrong"[..])
    );
    set(0o644);
    let dsn = Dsn::parse_in("postgres://a%3An@db/app", variables).unwrap();
    assert_eq!(dsn.config.get_password(), None);
    assert!(
        dsn.warnings()[0].contains("chmod 600"),
        "{:?}",
        dsn.warnings()
    );
}

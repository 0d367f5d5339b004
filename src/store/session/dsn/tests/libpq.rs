//! libpq's parameters, variables and file of passwords.

use super::*;

/// What becomes of one parameter.
enum Fate {
    Understood,
    Ignored(&'static str),
    Refused(&'static str),
}

/// Every parameter of libpq 15 to 18, and what Punctual does with it.
#[test]
fn every_parameter_of_libpq_is_understood_ignored_or_refused() {
    use Fate::{Ignored, Refused, Understood};
    for (pair, fate) in [
        ("host=db", Understood),
        ("hostaddr=127.0.0.1", Understood),
        ("port=5432", Understood),
        ("dbname=app", Understood),
        ("user=ann", Understood),
        ("password=x", Understood),
        ("passfile=/no/such/file", Understood),
        (
            "require_auth=scram-sha-256",
            Refused("channel_binding=require"),
        ),
        ("require_auth=", Understood),
        ("channel_binding=prefer", Understood),
        ("channel_binding=require", Understood),
        (
            "channel_binding=maybe",
            Refused("disable, prefer or require"),
        ),
        ("connect_timeout=7", Understood),
        ("client_encoding=UTF8", Understood),
        ("client_encoding=LATIN1", Ignored("UTF8")),
        ("options=-c%20geqo=off", Understood),
        ("application_name=x", Understood),
        ("fallback_application_name=x", Understood),
        ("keepalives=0", Understood),
        ("keepalives_idle=30", Understood),
        ("keepalives_interval=5", Understood),
        ("keepalives_count=3", Understood),
        ("tcp_user_timeout=1000", Understood),
        ("replication=database", Refused("remove it")),
        ("replication=false", Understood),
        ("gssencmode=disable", Understood),
        ("gssencmode=prefer", Understood),
        ("gssencmode=require", Refused("sslmode=verify-full")),
        ("sslmode=require", Understood),
        ("requiressl=1", Refused("sslmode=require")),
        ("sslnegotiation=postgres", Understood),
        ("sslnegotiation=direct&sslmode=require", Understood),
        ("sslnegotiation=direct&sslmode=prefer", Refused("stricter")),
        ("sslcompression=0", Understood),
        ("sslcompression=1", Ignored("compresses")),
        ("sslcert=x.pem", Refused("use a password")),
        ("sslkey=x.pem", Refused("use a password")),
        ("sslpassword=x", Refused("use a password")),
        ("sslcertmode=disable", Understood),
        ("sslcertmode=require", Refused("use a password")),
        ("sslrootcert=", Understood),
        ("sslcrl=x.pem", Refused("sslrootcert")),
        ("sslcrldir=/x", Refused("sslrootcert")),
        ("sslsni=1", Understood),
        ("sslsni=0", Ignored("name is sent")),
        ("requirepeer=postgres", Refused("directory")),
        ("ssl_min_protocol_version=TLSv1.3", Understood),
        ("ssl_min_protocol_version=TLSv1.1", Understood),
        (
            "ssl_min_protocol_version=SSLv3",
            Refused("TLSv1.2 or TLSv1.3"),
        ),
        ("ssl_max_protocol_version=TLSv1.2", Understood),
        (
            "ssl_max_protocol_version=TLSv1.1",
            Refused("TLSv1.2 or TLSv1.3"),
        ),
        ("min_protocol_version=3.0", Understood),
        ("max_protocol_version=latest", Understood),
        ("krbsrvname=postgres", Understood),
        ("gsslib=gssapi", Understood),
        ("gssdelegation=0", Understood),
        ("gssdelegation=1", Refused("use a password")),
        ("service=app", Refused("write the service's parameters")),
        ("target_session_attrs=any", Understood),
        ("target_session_attrs=read-write", Understood),
        ("target_session_attrs=primary", Understood),
        ("target_session_attrs=standby", Refused("Punctual writes")),
        ("target_session_attrs=read-only", Refused("Punctual writes")),
        (
            "target_session_attrs=prefer-standby",
            Refused("Punctual writes"),
        ),
        ("load_balance_hosts=disable", Understood),
        ("load_balance_hosts=random", Understood),
        ("scram_client_key=x", Refused("use a password")),
        ("scram_server_key=x", Refused("use a password")),
        ("oauth_issuer=x", Refused("use a password")),
        ("oauth_client_id=x", Refused("use a password")),
        ("no_such_parameter=1", Refused("unknown parameter")),
    ] {
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
    assert_eq!(told(&dsn), "db:5432/shop ann secret disable");
    let dsn = Dsn::parse_in("user=ann sslmode=require", variables).unwrap();
    assert_eq!(told(&dsn), "other.example.com:6000/shop ann secret require");
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

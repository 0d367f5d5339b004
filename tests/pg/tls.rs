//! Certificates, against a server that shows real ones.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use punctual::demo::postgres::{Options, PrivatePostgres, Shutdown};
use punctual::store::{ConnectError, Dsn};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::harness::{dsn, session};

/// A root of our own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// Certificate and key of a server called `localhost`.
    fn server(&self, expired: bool) -> (String, String) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        if expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

struct Server {
    postgres: PrivatePostgres,
    root: PathBuf,
    other_root: PathBuf,
    namesake_root: PathBuf,
}

impl Server {
    /// One that shows a certificate of a root which is in `root`.
    async fn start(expired: bool) -> Self {
        let mut postgres = PrivatePostgres::start(Options {
            fsync: false,
            ..Options::default()
        })
        .unwrap();
        let data = postgres.data_dir();
        let ours = Authority::new("ours");
        let (other, namesake) = (Authority::new("other"), Authority::new("ours"));
        let (certificate, key) = ours.server(expired);
        write(&data, "server.crt", &certificate);
        write(&data, "server.key", &key);
        let root = write(&data, "root.crt", &ours.pem);
        let other_root = write(&data, "other.crt", &other.pem);
        let namesake_root = write(&data, "namesake.crt", &namesake.pem);

        let client = session(&dsn(&postgres, "postgres")).await;
        client
            .batch_execute("alter system set ssl = on")
            .await
            .unwrap();
        postgres.restart(Shutdown::Fast).unwrap();
        Self {
            postgres,
            root,
            other_root,
            namesake_root,
        }
    }

    async fn connect(&self, host: &str, query: &str) -> Result<bool, ConnectError> {
        let url = self.postgres.url("postgres");
        let url = url.replace("@127.0.0.1:", &format!("@{host}:"));
        let dsn = Dsn::parse(&format!("{url}?hostaddr=127.0.0.1&{query}")).unwrap();
        let found = is_encrypted(&dsn).await;
        // Where changes are polled the steps to an encrypted connection are Punctual's own.
        let polled = is_encrypted(&dsn.polled().unwrap()).await;
        let words = |found: &Result<bool, ConnectError>| match found {
            Ok(encrypted) => encrypted.to_string(),
            Err(error) => format!("{error:?}: {error}"),
        };
        assert_eq!(words(&polled), words(&found), "{host} {query}");
        found
    }

    /// There is a session, and it is encrypted.
    async fn trusted(&self, host: &str, query: &str) {
        match self.connect(host, query).await {
            Ok(encrypted) => assert!(encrypted, "{host} {query}: in the clear"),
            Err(error) => panic!("{host} {query}: {error}"),
        }
    }

    /// There is none, and the error says why.
    async fn refused(&self, host: &str, query: &str, why: &str) {
        let error = self.connect(host, query).await.expect_err(query);
        assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
        assert!(error.to_string().contains(why), "{query}: {error}");
    }
}

async fn is_encrypted(dsn: &Dsn) -> Result<bool, ConnectError> {
    let (client, connection) = dsn.connect().await?;
    tokio::spawn(connection);
    let sql = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    Ok(client.query_one(sql, &[]).await.unwrap().get(0))
}

/// With the mode and the owner that Postgres insists on.
fn write(data: &Path, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = data.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let owner = std::fs::metadata(data).unwrap();
    chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    path
}

#[tokio::test]
async fn each_mode_checks_what_libpq_checks() {
    let server = Server::start(false).await;
    let root = format!("sslrootcert={}", server.root.display());
    let other = format!("sslrootcert={}", server.other_root.display());

    server
        .trusted("localhost", &format!("sslmode=verify-full&{root}"))
        .await;
    server
        .refused(
            "db.example.com",
            &format!("sslmode=verify-full&{root}"),
            "for another host",
        )
        .await;
    let namesake = format!("sslrootcert={}", server.namesake_root.display());
    for roots in [&other, &namesake, "sslrootcert=system", ""] {
        server
            .refused(
                "localhost",
                &format!("sslmode=verify-full&{roots}"),
                "not signed by a root trusted here",
            )
            .await;
    }

    server
        .trusted("db.example.com", &format!("sslmode=verify-ca&{root}"))
        .await;
    // With a root `require` is `verify-ca`.
    for mode in ["verify-ca", "require", "prefer"] {
        server
            .refused(
                "localhost",
                &format!("sslmode={mode}&{other}"),
                "not signed by a root trusted here",
            )
            .await;
    }

    server.trusted("db.example.com", "sslmode=require").await;
    server.trusted("db.example.com", "sslmode=prefer").await;
    server.trusted("db.example.com", "").await;
    server
        .trusted("db.example.com", "ssl_min_protocol_version=TLSv1.3")
        .await;
    server
        .trusted("db.example.com", "ssl_max_protocol_version=TLSv1.2")
        .await;
    let in_the_clear = server.connect("localhost", "sslmode=disable").await;
    assert!(!in_the_clear.unwrap());
}

#[tokio::test]
async fn an_expired_certificate_is_refused_wherever_it_is_checked() {
    let server = Server::start(true).await;
    let root = format!("sslrootcert={}", server.root.display());
    for mode in ["verify-full", "verify-ca", "require"] {
        server
            .refused("localhost", &format!("sslmode={mode}&{root}"), "expired")
            .await;
    }
    server.trusted("localhost", "sslmode=require").await;
}

//! Encrypted, and to whom. The root certificates come from `SSL_CERT_FILE`, so each test runs
//! in a process of its own.

use std::path::Path;
use std::sync::Arc;

use punctual::message::Outcome;
use punctual::provider::ClientError;
use punctual::provider::Provider;
use punctual::provider::twilio::Twilio;
use rcgen::generate_simple_self_signed;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::child::run_again_with;
use crate::setup::{config, hasty, send, twilio};
use crate::standin::StandIn;

/// A certificate for `localhost` and its key, in PEM.
fn certificate() -> (String, String) {
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// A server that shows this certificate, and would rather speak HTTP/2.
async fn server((certificate, key): (String, String)) -> StandIn {
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    StandIn::start_tls(TlsAcceptor::from(Arc::new(config))).await
}

/// The trusted certificate's key, for the second process; its certificate is in the file.
const KEY: &str = "PUNCTUAL_WIRE_KEY";

#[tokio::test]
async fn a_text_goes_only_to_a_server_that_is_trusted() {
    let here = "tls::a_text_goes_only_to_a_server_that_is_trusted";
    let Ok(key) = std::env::var(KEY) else {
        let (certificate, key) = certificate();
        let name = format!("wire-roots-{}.pem", std::process::id());
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&file, certificate).unwrap();
        let roots = file.to_str().unwrap();
        run_again_with(here, [("SSL_CERT_FILE", roots), (KEY, &key)]);
        return std::fs::remove_file(file).unwrap();
    };
    let file = std::env::var("SSL_CERT_FILE").unwrap();
    let trusted = server((std::fs::read_to_string(file).unwrap(), key)).await;
    accepts(&trusted).await;
    // The same server by a name the certificate does not have.
    let by_address = trusted.url().replace("localhost", "127.0.0.1");
    refuses(twilio(&by_address), "certificate").await;
    assert_eq!(trusted.creates().len(), 1);

    let stranger = server(certificate()).await;
    refuses(twilio(&stranger.url()), "certificate").await;
    assert!(stranger.creates().is_empty());

    let plain = StandIn::start([]).await;
    // It takes the handshake for the beginning of a request, and waits for more.
    refuses(hasty(&plain.url().replace("http:", "https:")), "").await;
}

async fn accepts(trusted: &StandIn) {
    let twilio = twilio(&trusted.url());
    twilio.prewarm(1).await;
    let outcome = send(&twilio).await;
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
    assert!(trusted.creates()[0].line.ends_with("HTTP/1.1"));
    assert_eq!(trusted.connections(), 1);
}

async fn refuses(twilio: Twilio, sign: &str) {
    match send(&twilio).await {
        Outcome::Unsent { reason } => assert!(reason.contains(sign), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_root_certificates_there_is_no_provider() {
    let here = "tls::without_root_certificates_there_is_no_provider";
    if !run_again_with(here, [("SSL_CERT_FILE", "/dev/null")]) {
        let made = Twilio::new(&config("https://localhost")).map(|_| ());
        assert!(matches!(made, Err(ClientError::NoRoots)), "{made:?}");
        assert!(Twilio::new(&config("http://localhost")).is_ok());
    }
}

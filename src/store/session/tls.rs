//! Which server is accepted as the database: the three levels at which libpq checks a certificate.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};

use super::dsn::{DsnError, invalid};

/// Where trusted roots come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum Roots {
    /// `sslrootcert=PATH`.
    File(PathBuf),
    /// The operating system's store.
    System,
}

/// How far the server's certificate is checked.
pub(in crate::store) enum Trust {
    /// Encrypted, with anyone: `prefer` and `require` protect only against passive eavesdropping.
    Anyone,
    /// Signed by one of these, for any name.
    Chain(Roots),
    /// Signed by one of these and issued for the host of the connection string.
    Full(Roots),
}

/// The versions of TLS that may be spoken. rustls speaks nothing below 1.2.
#[derive(Clone, Copy, Default)]
pub(in crate::store) struct Versions {
    only_13: bool,
    only_12: bool,
}

impl Versions {
    /// `ssl_min_protocol_version`.
    pub(in crate::store) fn min(&mut self, word: &str) -> Result<(), DsnError> {
        match word {
            "" | "TLSv1" | "TLSv1.1" | "TLSv1.2" => Ok(()),
            "TLSv1.3" => {
                self.only_13 = true;
                Ok(())
            }
            _ => Err(invalid("ssl_min_protocol_version", "TLSv1.2 or TLSv1.3")),
        }
    }

    /// `ssl_max_protocol_version`.
    pub(in crate::store) fn max(&mut self, word: &str) -> Result<(), DsnError> {
        match word {
            "" | "TLSv1.3" => Ok(()),
            "TLSv1.2" => {
                self.only_12 = true;
                Ok(())
            }
            _ => Err(invalid("ssl_max_protocol_version", "TLSv1.2 or TLSv1.3")),
        }
    }

    fn all(self) -> Vec<&'static SupportedProtocolVersion> {
        match (self.only_12, self.only_13) {
            (false, false) => vec![&TLS13, &TLS12],
            (true, false) => vec![&TLS12],
            // Both bounds cannot hold: the stricter one counts.
            (_, true) => vec![&TLS13],
        }
    }
}

/// Why there are no root certificates to check against.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The file cannot be read, or is not PEM.
    #[error("sslrootcert {path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What failed.
        source: rustls::pki_types::pem::Error,
    },
    /// No certificate in it that could be a root.
    #[error("no certificate in {0}")]
    Empty(String),
    /// It has one that cannot be parsed.
    #[error("sslrootcert {path} contains an invalid certificate: {source}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
}

/// The client's side of TLS, with ring whatever provider the rest of the program has installed.
pub(in crate::store) fn client(
    trust: Trust,
    versions: Versions,
    is_direct: bool,
) -> Result<ClientConfig, RootsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions.all())
        .expect("ring carries both versions");
    let config = match trust {
        Trust::Full(roots) => builder.with_root_certificates(load(&roots)?),
        Trust::Chain(roots) => {
            let roots = load(&roots)?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Lenient::new(&provider, Some(roots))))
        }
        Trust::Anyone => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Lenient::new(&provider, None))),
    };
    let mut config = config.with_no_client_auth();
    if is_direct {
        // So that a server with another protocol at this port detects it.
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(config)
}

fn load(roots: &Roots) -> Result<RootCertStore, RootsError> {
    let mut store = RootCertStore::empty();
    let name = match roots {
        Roots::System => {
            // Some certificates in a store cannot be parsed; that is no reason not to trust the
            // others.
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            "the system's store of certificates".to_owned()
        }
        Roots::File(path) => {
            let unreadable = |source| RootsError::Unreadable {
                path: path.clone(),
                source,
            };
            for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                let certificate = certificate.map_err(unreadable)?;
                store
                    .add(certificate)
                    .map_err(|source| RootsError::Unusable {
                        path: path.clone(),
                        source,
                    })?;
            }
            path.display().to_string()
        }
    };
    if store.is_empty() {
        return Err(RootsError::Empty(name));
    }
    Ok(store)
}

/// Checks the chain, if it has roots, and never the name. That the server has the key of the
/// certificate it shows is always checked.
#[derive(Debug)]
struct Lenient {
    roots: Option<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Lenient {
    fn new(provider: &CryptoProvider, roots: Option<RootCertStore>) -> Self {
        Self {
            roots,
            algorithms: provider.signature_verification_algorithms,
        }
    }
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            rustls::client::verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(end_entity)?,
                roots,
                intermediates,
                now,
                self.algorithms.all,
            )?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What a failed handshake means for the connection string.
pub(in crate::store) fn explain(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(why) = error else {
        return error.to_string();
    };
    match why {
        // The second: there is a root with that name, but it is another one.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the server's certificate is not signed by a root \
             trusted here: give its root with sslrootcert=PATH (Supabase: Database settings, SSL)"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the server's certificate has expired ({why})")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the server's certificate is not valid yet, or this clock is slow ({why})")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the server's certificate is for another host ({why})")
        }
        _ => format!("the server's certificate cannot be used ({why})"),
    }
}

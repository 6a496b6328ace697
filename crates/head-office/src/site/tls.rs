//! Whom to trust and what to encrypt with: the program's own, whatever the machine or the process has set up.

use std::sync::Arc;

use rustls::{ClientConfig, Error, RootCertStore, crypto::ring};

/// The roots that browsers trust, for HTTP of either version.
///
/// # Errors
/// When the algorithms and the versions of TLS don't go together.
pub fn config() -> Result<ClientConfig, Error> {
    let roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = ["h2", "http/1.1"].map(Into::into).to_vec();
    Ok(config)
}

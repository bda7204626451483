//! The connection under octocrab: our own name, a time-out for connecting, no redirects and no retries.
//! Octocrab's built-in client would add its own User-Agent and follow redirects by itself.

use std::time::Duration;

use http::{HeaderValue, Request, header};
use hyper_rustls::{ConfigBuilderExt, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use octocrab::{AuthState, OctoBody, Octocrab, OctocrabBuilder};
use rustls::{ClientConfig, RootCertStore};

use super::BadSettings;
use super::base::Base;

/// GitHub refuses requests without one.
const USER_AGENT: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));

/// The version of the API whose answers are understood here.
const API_VERSION: &str = "2022-11-28";

/// Idle connections kept per host.
const MAX_IDLE: usize = 8;

/// An octocrab that has no credentials yet: `user_access_token` makes one that has, over the same connections.
pub(super) fn octocrab(base: Base, connect: Duration) -> Result<Octocrab, BadSettings> {
    let mut tcp = HttpConnector::new();
    tcp.set_connect_timeout(Some(connect));
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    let tls = HttpsConnectorBuilder::new().with_tls_config(tls_config(&base)?);
    let connector = tls.https_or_http().enable_http1().wrap_connector(tcp);
    let client: Client<_, OctoBody> = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(MAX_IDLE)
        .build(connector);
    let service = tower::service_fn(move |request: Request<OctoBody>| client.request(named(base.complete(request))));
    match OctocrabBuilder::new_empty().with_service(service).with_auth(AuthState::None).build() {
        Ok(octocrab) => Ok(octocrab),
        Err(never) => match never {},
    }
}

fn named(mut request: Request<OctoBody>) -> Request<OctoBody> {
    let headers = request.headers_mut();
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers.insert("x-github-api-version", HeaderValue::from_static(API_VERSION));
    request
}

/// Trusts what the machine trusts. A machine without certificates can still reach a server on itself.
fn tls_config(base: &Base) -> Result<ClientConfig, BadSettings> {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has cipher suites for the default versions");
    let plain = versions.clone();
    match versions.with_native_roots() {
        Ok(trusting) => Ok(trusting.with_no_client_auth()),
        Err(_) if !base.is_https() => Ok(plain.with_root_certificates(RootCertStore::empty()).with_no_client_auth()),
        Err(error) => Err(BadSettings::Certificates(error)),
    }
}

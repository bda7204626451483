//! The connection under octocrab: our own name, a time-out for connecting, no redirects and no retries.
//! Octocrab's built-in client would add its own User-Agent and follow redirects by itself.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryFutureExt;
use http::{HeaderValue, Request, Uri, header};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use octocrab::{AuthState, OctoBody, Octocrab, OctocrabBuilder};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret;
use tokio::net::TcpStream;
use tower::Service;

use super::BadSettings;
use super::base::Base;
use crate::ports::Route;

/// GitHub refuses requests without one.
const USER_AGENT: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));

/// The version of the API whose answers are understood here.
const API_VERSION: &str = "2022-11-28";

/// Idle connections kept per host.
const MAX_IDLE: usize = 8;

/// An octocrab that has no credentials yet: `user_access_token` makes one that has, over the same connections.
pub(super) fn octocrab(base: Base, connect: Duration, route: &Route) -> Result<Octocrab, BadSettings> {
    let mut tcp = HttpConnector::new();
    tcp.set_connect_timeout(Some(connect));
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    let tls = HttpsConnectorBuilder::new().with_tls_config(tls_config(&base, route)?);
    let connector = tls.https_or_http().enable_http1().wrap_connector(tower::service_fn(way(tcp, route)));
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

/// Straight to the host, or through the proxy's tunnel.
fn way(tcp: HttpConnector, route: &Route) -> impl Fn(Uri) -> Connecting + Clone + use<> {
    let proxy = route.proxy.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
    let matcher = Arc::new(Matcher::builder().https(proxy).no(route.no_proxy.as_str()).build());
    move |to| {
        let Some(proxy) = matcher.intercept(&to) else { return Box::pin(tcp.clone().call(to).map_err(Into::into)) };
        let tunnel = Tunnel::new(proxy.uri().clone(), tcp.clone());
        let mut tunnel = match proxy.basic_auth() {
            Some(password) => tunnel.with_auth(password.clone()),
            None => tunnel,
        };
        Box::pin(tunnel.call(to).map_err(Into::into))
    }
}

type Connecting =
    Pin<Box<dyn Future<Output = Result<TokioIo<TcpStream>, Box<dyn std::error::Error + Send + Sync>>> + Send>>;

fn named(mut request: Request<OctoBody>) -> Request<OctoBody> {
    let headers = request.headers_mut();
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers.insert("x-github-api-version", HeaderValue::from_static(API_VERSION));
    request
}

/// Trusts what the machine trusts, and what it is told to. A machine without certificates can still reach a server on itself.
fn tls_config(base: &Base, route: &Route) -> Result<ClientConfig, BadSettings> {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has cipher suites for the default versions");
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    for certificate in CertificateDer::pem_slice_iter(route.extra_ca.as_deref().unwrap_or_default()) {
        let added = certificate.map_err(|error| error.to_string());
        let added = added.and_then(|one| roots.add(one).map_err(|error| error.to_string()));
        added.map_err(BadSettings::ExtraCertificates)?;
    }
    if roots.is_empty() && base.is_https() {
        return Err(BadSettings::Certificates);
    }
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

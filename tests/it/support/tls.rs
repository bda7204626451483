//! A company's network for tests: TLS by an authority of its own before the stand-in, and a proxy that wants a password.
//! Both copy bytes; what is said stays between the service and the stand-in.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

const HOST: &str = "git.company.example";

/// TLS before the stand-in, under a name that only the proxy knows the way to.
pub struct Front {
    pub address: SocketAddr,
    /// The authority's certificate, PEM.
    pub authority: String,
    _task: JoinSet<()>,
}

impl Front {
    pub async fn start(upstream: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec![HOST.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![own.der().clone()], key).unwrap();
        let (acceptor, upstream) =
            (TlsAcceptor::from(Arc::new(config)), upstream.trim_start_matches("http://").to_owned());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
                connections.spawn(async move {
                    let Ok(mut inside) = acceptor.accept(stream).await else { return };
                    let mut outside = TcpStream::connect(upstream).await.unwrap();
                    copy_bidirectional(&mut inside, &mut outside).await.ok();
                });
            }
        });
        Self { address, authority: authority.pem(), _task: task }
    }

    pub fn api(&self) -> String {
        format!("https://{HOST}/api/v3")
    }
}

/// A proxy that tunnels to one place, whatever it is asked for, for those who know its password.
pub struct Proxy {
    address: SocketAddr,
    password: String,
    seen: Arc<Mutex<Seen>>,
    _task: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    tunnels: Vec<String>,
    refused: usize,
}

impl Proxy {
    /// `password`: `user:password`.
    pub async fn start(password: &str, to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(password));
        let (mut task, record) = (JoinSet::new(), Arc::clone(&seen));
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(tunnel(stream, basic.clone(), to, Arc::clone(&record)));
            }
        });
        Self { address, password: password.to_owned(), seen, _task: task }
    }

    pub fn url(&self) -> String {
        format!("http://{}@{}", self.password, self.address)
    }

    /// Where it was asked to lead.
    pub fn tunnels(&self) -> Vec<String> {
        self.seen.lock().unwrap().tunnels.clone()
    }

    pub fn refused(&self) -> usize {
        self.seen.lock().unwrap().refused
    }
}

async fn tunnel(mut inside: TcpStream, basic: String, to: SocketAddr, seen: Arc<Mutex<Seen>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = inside.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let told = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .starts_with("proxy-authorization:")
            .then(|| line.split_once(": ").unwrap().1.to_owned())
    });
    if told.as_deref() != Some(basic.as_str()) {
        seen.lock().unwrap().refused += 1;
        inside.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n").await.ok();
        return;
    }
    let target = head.split_whitespace().nth(1).unwrap_or_default().to_owned();
    seen.lock().unwrap().tunnels.push(target);
    inside.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok();
    let mut outside = TcpStream::connect(to).await.unwrap();
    copy_bidirectional(&mut inside, &mut outside).await.ok();
}

//! `portcullis setup`: makes a GitHub App through a page on this machine, keeps its credentials in files and says what to do next.
//! Ends with the App's credentials on disk, or with a word on how to come by them.

mod keep;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use url::Url;

use self::keep::{Files, Keeper};
use super::out;
use crate::adapters::clock::SystemClock;
use crate::adapters::github::{self, Level, NewApp, Registrar, addresses};
use crate::config::{ServerConfig, values};
use crate::ports::Route;
use crate::web::setup::{Form, Secrets, serve_setup};

/// What GitHub allows.
const LONGEST_NAME: usize = 34;
/// GitHub's code is good for an hour.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where GitHub and browsers will reach the service, such as `https://portcullis.example.org`.
    #[arg(long, value_name = "URL", value_parser = address)]
    url: Url,
    /// The organization that will own the App. Without it, it is yours.
    #[arg(long, value_name = "ORG")]
    organization: Option<String>,
    /// The App's name, unique on GitHub. Default: `portcullis`, with the organization's name.
    #[arg(long)]
    name: Option<String>,
    /// Where people look at GitHub; for GitHub Enterprise Server its own address.
    #[arg(long, value_name = "URL", default_value = addresses::GITHUB, value_parser = address)]
    github_url: Url,
    /// The server's file. One that is not there is written; of one that is, `ca_file` and `proxy` are heeded.
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Folder for the private key and the webhook secret. Default: that of the server's file.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Write over a private key and a webhook secret that are there already.
    #[arg(long)]
    overwrite: bool,
    /// Where the page is served, on this machine alone. Default: a free port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// How long it waits for you, at most an hour.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = wait)]
    timeout: Duration,
}

fn address(text: &str) -> Result<Url, String> {
    values::web_address(text)
}

fn wait(text: &str) -> Result<Duration, String> {
    values::duration(text, LONGEST_WAIT)
}

pub(super) fn run(args: &Args) -> ExitCode {
    match super::engine::block_on(set_up(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out::problem(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn set_up(args: &Args) -> anyhow::Result<()> {
    ensure!(args.listen.ip().is_loopback(), "{} is not an address of this machine alone", args.listen);
    let name = name(args)?;
    let files = Files::planned(args)?;
    let registrar = Registrar::new(addresses::api(&args.github_url), &route(args)?, Arc::new(SystemClock))?;
    let listener = TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let page = format!("http://{}", listener.local_addr()?);

    let secrets = Secrets::draw();
    let app = NewApp { name, public_url: args.url.clone(), redirect_url: format!("{page}{}", secrets.back()) };
    let apps = addresses::apps(&args.github_url, args.organization.as_deref());
    let keeper = Arc::new(Keeper::new(registrar, files, apps.clone()));
    // Heeded from before anybody is told of the page.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    out::line("Open this page in a browser on this machine:\n");
    out::line(&format!("    {page}{}\n", secrets.page()));
    out::line("It ends when the App is made; Ctrl-C ends it before.");

    let done = CancellationToken::new();
    let served = serve_setup(listener, form(&app, &apps), secrets, keeper.clone(), done.clone());
    let why = tokio::select! {
        served = served => { served.context("the page cannot be served")?; None }
        _ = interrupt.recv() => Some("stopped".to_owned()),
        _ = terminate.recv() => Some("stopped".to_owned()),
        () = time_is_up(args.timeout) => Some(format!("nobody came back from GitHub within {}", crate::domain::text::human_duration(args.timeout))),
    };
    match (keeper.registered().await, why) {
        (Some(registered), _) => {
            out::line(&format!("\nThe GitHub App {} is made.\n", registered.name));
            registered.told.iter().for_each(|line| out::line(line));
            Ok(())
        }
        (None, why) => bail!("{}{}", why.unwrap_or_default(), keeper.left_over().await),
    }
}

async fn time_is_up(after: Duration) {
    tokio::time::timeout(after, std::future::pending::<()>()).await.ok();
}

fn name(args: &Args) -> anyhow::Result<String> {
    let name = args.name.clone().unwrap_or_else(|| match &args.organization {
        Some(organization) => format!("portcullis-{organization}").chars().take(LONGEST_NAME).collect(),
        None => "portcullis".to_owned(),
    });
    let length = name.chars().count();
    ensure!((1..=LONGEST_NAME).contains(&length), "an App's name has 1 to {LONGEST_NAME} characters, not {length}");
    Ok(name)
}

/// The way to GitHub as the server's file and the environment say.
fn route(args: &Args) -> anyhow::Result<Route> {
    let file = args.config.exists().then_some(args.config.as_path());
    ServerConfig::load_route(file).map_err(|problems| anyhow::anyhow!(crate::config::report(&problems)))
}

fn form(app: &NewApp, apps: &str) -> Form {
    let word = |level| match level {
        Level::Read => "read",
        Level::Write => "write",
    };
    let permissions = github::permissions().into_iter();
    Form {
        action: format!("{apps}/new"),
        manifest: app.manifest().to_string(),
        permissions: permissions.map(|(name, level)| (name.replace('_', " "), word(level).to_owned())).collect(),
        events: github::events().into_iter().map(|event| event.replace('_', " ")).collect(),
    }
}

//! `portcullis setup` as somebody uses it: the built program, and a browser plain enough to be read, that follows forms and redirects.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use regex::Regex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use url::Url;

use super::http::Answer;

const PATIENCE: Duration = Duration::from_secs(60);

/// The program, waiting for its page to be opened.
pub struct Setup {
    process: Child,
    stdout: BufReader<tokio::process::ChildStdout>,
    /// The page's address.
    pub page: String,
}

impl Setup {
    /// Starts it in a folder, with nothing of this machine's environment.
    pub async fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut process = command(folder, arguments).spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let (mut page, mut line) = (String::new(), String::new());
        while page.is_empty() && stdout.read_line(&mut line).await.unwrap() > 0 {
            page = line.trim().strip_prefix("http").map(|rest| format!("http{rest}")).unwrap_or_default();
            line.clear();
        }
        if page.is_empty() {
            let output = process.wait_with_output().await.unwrap();
            panic!("it has no page: {}", String::from_utf8_lossy(&output.stderr));
        }
        Self { process, stdout, page }
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        let id = rustix::process::Pid::from_raw(self.process.id().unwrap().try_into().unwrap()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    }

    /// How it ended, and what it said after its page's address.
    pub async fn ended(mut self) -> Ended {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let all = async {
            self.stdout.read_to_string(&mut stdout).await.unwrap();
            self.process.stderr.take().unwrap().read_to_string(&mut stderr).await.unwrap();
            self.process.wait().await.unwrap().code()
        };
        let status = tokio::time::timeout(PATIENCE, all).await.expect("it ends");
        Ended { status, stdout, stderr }
    }
}

/// What a program leaves behind.
#[derive(Debug)]
pub struct Ended {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs it where it has nothing to wait for.
pub async fn refused(folder: &Path, arguments: &[&str]) -> Ended {
    let output = tokio::time::timeout(PATIENCE, command(folder, arguments).output()).await.expect("it ends");
    let Output { status, stdout, stderr } = output.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { status: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.arg("setup").args(arguments).current_dir(folder).env_clear().kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A form of a page, with what is filled in.
#[derive(Debug, Clone)]
pub struct Form {
    pub action: Url,
    pub fields: Vec<(String, String)>,
}

impl Form {
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).unwrap()
    }

    pub async fn send(&self) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.fields).finish();
        let kind = "Content-Type: application/x-www-form-urlencoded";
        exchange("POST", &self.action, &format!("{kind}\r\nContent-Length: {}\r\n", body.len()), &body).await
    }
}

/// The one form of the page at this address.
pub async fn form(address: &str) -> Form {
    let page = get(address).await;
    assert_eq!(page.status, 200, "{}", page.body);
    form_of(address, &page)
}

pub fn form_of(address: &str, page: &Answer) -> Form {
    let found = |pattern: &str| Regex::new(pattern).unwrap().captures(&page.body).map(|found| unescaped(&found[1]));
    let action = found("<form action=\"([^\"]*)\" method=\"post\">").unwrap_or_else(|| panic!("{}", page.body));
    let input = Regex::new("<input type=\"hidden\" name=\"([^\"]*)\" value=\"([^\"]*)\">").unwrap();
    let fields = input.captures_iter(&page.body).map(|input| (input[1].to_owned(), unescaped(&input[2]))).collect();
    Form { action: Url::parse(address).unwrap().join(&action).unwrap(), fields }
}

pub async fn get(address: &str) -> Answer {
    exchange("GET", &Url::parse(address).unwrap(), "", "").await
}

/// Asks GitHub for the App as the page says, confirms it there, and gives the address that GitHub sends the browser back to.
pub async fn made_on_github(page: &str) -> String {
    let asked = form(page).await;
    let shown = asked.send().await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    let confirmed = form_of(asked.action.as_str(), &shown).send().await;
    assert_eq!(confirmed.status, 302, "{}", confirmed.body);
    confirmed.header("location").unwrap().to_owned()
}

async fn exchange(method: &str, url: &Url, headers: &str, body: &str) -> Answer {
    let host = format!("{}:{}", url.host_str().unwrap(), url.port_or_known_default().unwrap());
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n{body}");
    let mut stream = TcpStream::connect(&host).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    Answer::parse(&bytes)
}

fn unescaped(text: &str) -> String {
    let entities = [
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&lt;", "<"),
        ("&#60;", "<"),
        ("&gt;", ">"),
        ("&#62;", ">"),
    ];
    let text = entities.iter().fold(text.to_owned(), |text, (entity, sign)| text.replace(entity, sign));
    text.replace("&amp;", "&").replace("&#38;", "&")
}

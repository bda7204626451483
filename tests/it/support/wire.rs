//! Wires between the service and the outside that cut: each passes requests on to GitHub or to Docker and, once armed, has the test kill
//! the service right before a call is passed on, or right after it took effect and before the service hears of it.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use url::Url;

/// Where Docker is reached when nobody says otherwise.
const ENGINE: &str = "/var/run/docker.sock";
/// A call that changes something is interrupted this often, one that only asks that often: by turns before and after.
const WRITES: u32 = 4;
const READS: u32 = 2;

/// A moment at which the service dies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Method and path, without what names a single object.
    pub call: String,
    pub moment: Moment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The call was never made.
    Before,
    /// The call was made; nobody learnt of it.
    After,
}

impl Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.moment == Moment::Before { "before" } else { "after " }, self.call)
    }
}

/// Both wires of one service.
pub struct Wires {
    /// Where the service finds GitHub.
    pub github: String,
    /// Where the service finds Docker.
    pub docker: PathBuf,
    plan: Arc<Plan>,
    points: mpsc::UnboundedReceiver<Point>,
    _tasks: JoinSet<()>,
    _folder: tempfile::TempDir,
}

impl Wires {
    /// Wires to this GitHub and to this machine's Docker, which pass everything on until they are armed.
    pub async fn lay(github: &str) -> Self {
        let (told, points) = mpsc::unbounded_channel();
        let plan = Arc::new(Plan { state: Mutex::default(), told, killed: Notify::new() });
        let folder = tempfile::tempdir().unwrap();
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = door.local_addr().unwrap();
        let far = github.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let (mut tasks, through) = (JoinSet::new(), Arc::clone(&plan));
        tasks.spawn(async move {
            let mut lines = JoinSet::new();
            while let Ok((near, _)) = door.accept().await {
                let (plan, far) = (Arc::clone(&through), TcpStream::connect(&far).await.unwrap());
                lines.spawn(async move { plan.pass(near, far).await });
            }
        });
        let docker = folder.path().join("docker.sock");
        let door = UnixListener::bind(&docker).unwrap();
        let through = Arc::clone(&plan);
        tasks.spawn(async move {
            let mut lines = JoinSet::new();
            while let Ok((near, _)) = door.accept().await {
                let plan = Arc::clone(&through);
                let Ok(far) = UnixStream::connect(Path::new(ENGINE)).await else { continue };
                lines.spawn(async move { plan.pass(near, far).await });
            }
        });
        Self { github: format!("http://{address}"), docker, plan, points, _tasks: tasks, _folder: folder }
    }

    /// From now on calls are interrupted.
    pub fn arm(&self) {
        self.plan.state.lock().unwrap().armed = true;
    }

    /// The next moment to kill the service at. Until [`Self::killed`] nothing that it asks for is passed on.
    pub async fn point(&mut self) -> Point {
        self.points.recv().await.expect("the plan keeps a sender")
    }

    /// The service is dead: what it had asked for is forgotten.
    pub fn killed(&self) {
        self.plan.state.lock().unwrap().dying = false;
        self.plan.killed.notify_waiters();
    }

    /// Calls that changed something, by method and target as they were made, and how often.
    pub fn took_effect(&self) -> HashMap<String, u32> {
        self.plan.state.lock().unwrap().effects.clone()
    }
}

struct Plan {
    state: Mutex<State>,
    told: mpsc::UnboundedSender<Point>,
    killed: Notify,
}

#[derive(Default)]
struct State {
    armed: bool,
    /// The test was told to kill the service, and has not done it yet.
    dying: bool,
    interrupted: HashMap<String, u32>,
    effects: HashMap<String, u32>,
}

/// A call of the service: as made, and its kind.
struct Call {
    exact: String,
    kind: String,
}

impl Call {
    /// The request that these bytes begin with, if they do.
    fn read(bytes: &[u8]) -> Option<Self> {
        let line = bytes[..bytes.len().min(4096)].split(|byte| *byte == b'\r').next()?;
        let mut words = str::from_utf8(line).ok()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        if !["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].contains(&method) || version != "HTTP/1.1" {
            return None;
        }
        let path = Url::parse("http://any").unwrap().join(target).ok()?.path().to_owned();
        let names = |step: &str| {
            let id = |c: char| c.is_ascii_hexdigit() || c == '-';
            match step.char_indices().find(|(at, _)| step[*at..].chars().take_while(|c| id(*c)).count() >= 12) {
                Some((at, _)) => format!("{}*", &step[..at]),
                None if step.chars().all(|c| c.is_ascii_digit()) && !step.is_empty() => "*".to_owned(),
                None => step.to_owned(),
            }
        };
        let kind = path.split('/').map(names).collect::<Vec<_>>().join("/");
        Some(Self { exact: format!("{method} {target}"), kind: format!("{method} {kind}") })
    }

    fn asks(&self) -> bool {
        self.kind.starts_with("GET") || self.kind.starts_with("HEAD")
    }
}

impl Plan {
    /// When the service dies at this call, if it does.
    fn interrupts(&self, call: &Call) -> Option<Moment> {
        let mut state = self.state.lock().unwrap();
        if !state.armed || state.dying {
            return None;
        }
        let times = state.interrupted.entry(call.kind.clone()).or_default();
        *times += 1;
        match *times {
            over if over > if call.asks() { READS } else { WRITES } => None,
            odd if odd % 2 == 1 => Some(Moment::Before),
            _ => Some(Moment::After),
        }
    }

    /// Has the test kill the service, and comes back when it is dead.
    async fn kill(&self, call: Call, moment: Moment) {
        let killed = self.killed.notified();
        let first = {
            let mut state = self.state.lock().unwrap();
            !std::mem::replace(&mut state.dying, true)
        };
        if first {
            self.told.send(Point { call: call.kind, moment }).ok();
        }
        killed.await;
    }

    fn dying(&self) -> bool {
        self.state.lock().unwrap().dying
    }

    /// Carries one connection until either side ends it or the service has to die.
    async fn pass<N, F>(&self, near: N, far: F) -> std::io::Result<()>
    where
        N: AsyncRead + AsyncWrite,
        F: AsyncRead + AsyncWrite,
    {
        let ((mut from_near, mut to_near), (mut from_far, mut to_far)) =
            (tokio::io::split(near), tokio::io::split(far));
        let (mut asked, mut answered) = (vec![0; 64 << 10], vec![0; 64 << 10]);
        let (mut under_way, mut dies_after) = (None, false);
        loop {
            tokio::select! {
                read = from_near.read(&mut asked) => {
                    let bytes = &asked[..read?];
                    if bytes.is_empty() || self.dying() {
                        return Ok(());
                    }
                    if let Some(call) = Call::read(bytes) {
                        let moment = self.interrupts(&call);
                        if moment == Some(Moment::Before) {
                            self.kill(call, Moment::Before).await;
                            return Ok(());
                        }
                        (under_way, dies_after) = (Some(call), moment.is_some());
                    }
                    to_far.write_all(bytes).await?;
                }
                read = from_far.read(&mut answered) => {
                    let bytes = &answered[..read?];
                    if bytes.is_empty() {
                        return Ok(());
                    }
                    if let Some(call) = under_way.take() {
                        if bytes.starts_with(b"HTTP/1.1 2") && !call.asks() {
                            *self.state.lock().unwrap().effects.entry(call.exact.clone()).or_default() += 1;
                        }
                        if dies_after {
                            self.kill(call, Moment::After).await;
                            return Ok(());
                        }
                    }
                    to_near.write_all(bytes).await?;
                }
            }
        }
    }
}

//! The drill's side: holds the route over the control socket, of a running router or of one started for the drill.

use std::net::SocketAddr;
use std::time::Duration;

use drill::ports::{PortError, RouteState, TrafficSwitch};
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::protocol::{self, Pace, RefusalCode, Reply, Request};
use crate::socket::{self, StateLock};
use crate::{Backends, Percent, RouteConfig, Server, Shown, failure};

/// How long to wait for a router that is just starting or ending.
pub(crate) const SETTLE: Duration = Duration::from_secs(3);
/// How often to look meanwhile.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(25);
/// How long running requests may take when a drill ends its own router.
const GRACE: Duration = Duration::from_secs(2);
/// Requests that may wait for the connection.
const QUEUE_MAX: usize = 16;

/// The embedded router as a traffic switch. What it holds is given back when it is dropped.
#[derive(Debug)]
pub struct EmbeddedSwitch {
    client: Client,
    address: SocketAddr,
    own: Option<Server>,
}

impl EmbeddedSwitch {
    /// Uses the router that runs on this state, or starts one in this process.
    pub async fn connect(config: RouteConfig) -> Result<Self, PortError> {
        Self::connect_paced(config, Pace::NORMAL).await
    }

    pub(crate) async fn connect_paced(config: RouteConfig, pace: Pace) -> Result<Self, PortError> {
        let deadline = Instant::now() + SETTLE;
        let mut own = None;
        loop {
            let trouble = match attempt(&config, pace, &mut own).await {
                Ok(Some((client, shown))) => return Self::checked(&config, client, &shown, own),
                Ok(None) => {
                    let what = format!(
                        "another process starts or ends a router on {}",
                        config.state_dir.display()
                    );
                    failure::refused(what, "wait for it, or look for a hung surestep process")
                }
                Err(trouble) => trouble,
            };
            if Instant::now() >= deadline {
                return Err(trouble);
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    fn checked(
        config: &RouteConfig,
        client: Client,
        shown: &Shown,
        own: Option<Server>,
    ) -> Result<Self, PortError> {
        let Some(address) = shown.listen else {
            return Err(failure::refused(
                "the router does not tell its address",
                "end it and try again",
            ));
        };
        if config.listen.port() != 0 && config.listen != address {
            return Err(failure::refused(
                format!("a router runs on {address}, but route.listen is {}", config.listen),
                "end the running `surestep route serve`, or set route.listen to its address",
            ));
        }
        Ok(Self { client, address, own })
    }

    /// Gives the route back and, where the router is this process's own, waits until its address is free again.
    pub async fn close(self) {
        let Self { client, own, .. } = self;
        drop(client);
        if let Some(server) = own {
            server.shutdown(GRACE).await;
        }
    }

    async fn ask(&self, request: Request) -> Result<Shown, PortError> {
        self.client.ask(request).await
    }
}

impl TrafficSwitch for EmbeddedSwitch {
    async fn show(&self) -> Result<RouteState, PortError> {
        let shown = self.ask(Request::Show).await?;
        let n_answered = shown.served_by.new.saturating_add(shown.served_by.rollback);
        Ok(RouteState { percent_new: shown.percent_new, n_answered })
    }

    async fn backends(&self, new: SocketAddr, rollback: SocketAddr) -> Result<(), PortError> {
        let shown = self.ask(Request::Hold { new, rollback }).await?;
        read_back(shown.backends == Backends { new: Some(new), rollback: Some(rollback) })
    }

    async fn shift(&self, percent_new: u8) -> Result<(), PortError> {
        let percent = percent(percent_new)?;
        let shown = self.ask(Request::Shift { percent_new: percent }).await?;
        read_back(shown.percent_new == percent_new)
    }

    async fn give_back(&self) -> Result<(), PortError> {
        self.ask(Request::GiveBack).await.map(drop)
    }

    fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Turns a number into a share.
pub(crate) fn percent(number: u8) -> Result<Percent, PortError> {
    Percent::try_from(number)
        .map_err(|error| failure::failed("no such share of the traffic", "use 0 to 100", error))
}

fn read_back(as_asked: bool) -> Result<(), PortError> {
    if as_asked {
        return Ok(());
    }
    let advice = "look at `surestep route show`: does somebody else move the route?";
    Err(failure::refused("the router took the change but does not show it", advice))
}

/// Tries to reach a router, starting one of our own when none runs. `None`: one is just starting or ending.
async fn attempt(
    config: &RouteConfig,
    pace: Pace,
    own: &mut Option<Server>,
) -> Result<Option<(Client, Shown)>, PortError> {
    if own.is_none() && socket::connect(&config.state_dir).await?.is_none() {
        let Some(lock) = StateLock::take(&config.state_dir)? else { return Ok(None) };
        *own = Some(Server::start_locked(config, Backends::default(), lock, pace).await?);
    }
    let Some(stream) = socket::connect(&config.state_dir).await? else { return Ok(None) };
    let client = Client::start(stream, pace);
    let shown = client.ask(Request::Show).await?;
    Ok(Some((client, shown)))
}

/// A connection to the router that stays alive by itself until it is dropped.
#[derive(Debug)]
struct Client {
    queue: mpsc::Sender<Question>,
    task: JoinHandle<()>,
}

type Question = (Request, oneshot::Sender<Result<Shown, PortError>>);

impl Client {
    fn start(stream: UnixStream, pace: Pace) -> Self {
        let (queue, questions) = mpsc::channel(QUEUE_MAX);
        Self { queue, task: tokio::spawn(converse(Connection::new(stream, pace), questions)) }
    }

    async fn ask(&self, request: Request) -> Result<Shown, PortError> {
        let (reply, replied) = oneshot::channel();
        let sent = self.queue.send((request, reply)).await;
        if sent.is_err() {
            return Err(gone("the connection to it broke earlier"));
        }
        match replied.await {
            Ok(result) => result,
            Err(dropped) => Err(gone(dropped)),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Puts questions one after the other, and heartbeats between them, until the connection breaks.
async fn converse(mut connection: Connection, mut questions: mpsc::Receiver<Question>) {
    let mut heartbeat = interval(connection.pace.heartbeat);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Both are cancel-safe; the exchange itself is outside, so that it is never cut in half.
        let question = tokio::select! {
            question = questions.recv() => match question {
                Some(question) => Some(question),
                None => return,
            },
            _ = heartbeat.tick() => None,
        };
        let (request, reply) = question.map_or((Request::Heartbeat, None), |(r, tx)| (r, Some(tx)));
        let answer = connection.ask(&request).await;
        let broken = connection.broken;
        if let Some(reply) = reply {
            // The asker may have been cancelled meanwhile.
            reply.send(answer).ok();
        }
        if broken {
            return;
        }
    }
}

/// The plain connection: one question, one answer.
#[derive(Debug)]
pub(crate) struct Connection {
    from: BufReader<tokio::net::unix::OwnedReadHalf>,
    to: tokio::net::unix::OwnedWriteHalf,
    pace: Pace,
    broken: bool,
}

impl Connection {
    /// Starts to talk.
    pub(crate) fn new(stream: UnixStream, pace: Pace) -> Self {
        let (from, to) = stream.into_split();
        Self { from: BufReader::new(from), to, pace, broken: false }
    }

    /// Puts one question. After an answer that did not come the connection is of no use any more.
    pub(crate) async fn ask(&mut self, request: &Request) -> Result<Shown, PortError> {
        self.broken = true;
        protocol::write(&mut self.to, request, self.pace.reply).await.map_err(gone)?;
        let reply = protocol::read(&mut self.from, self.pace.reply).await.map_err(gone)?;
        self.broken = false;
        match reply {
            Reply::Route(shown) => Ok(shown),
            Reply::Refused { code, message } => Err(failure::refused(message, advice(code))),
        }
    }
}

fn gone(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    failure::failed(
        "the router does not answer",
        "if it ended, a held share ended with it: start `surestep route serve` again, then the drill",
        cause,
    )
}

fn advice(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::Held => {
            "wait until that drill has ended; `surestep route set rollback` takes the route back from it at once"
        }
        RefusalCode::TakenBack => "find out who did so and why before drilling again",
        RefusalCode::NotHolding => "start the drill again",
        RefusalCode::NotDurable => {
            "make the folder of the ledger writable, then set the share again"
        }
        RefusalCode::Malformed | RefusalCode::Version => {
            "the running router is of another version of surestep: start it again with this one"
        }
    }
}

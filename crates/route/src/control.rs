//! The control socket's side of the router: carries out what clients ask, and takes the route back when a holder is gone.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use crate::durable::DurableShare;
use crate::protocol::{self, Pace, ReadError, RefusalCode, Reply, Request};
use crate::router::Plane;
use crate::socket::ControlSocket;
use crate::table::{ConnectionId, Refusal, Table};
use crate::{Backends, Percent, Shown};

/// Control connections at one time: a drill, an operator, a few dashboards.
const CONNECTIONS_MAX: usize = 64;

/// What every control connection shares.
#[derive(Debug)]
pub(crate) struct Desk {
    table: Mutex<Table>,
    plane: Arc<Plane>,
    listen: SocketAddr,
    durable: DurableShare,
    /// One writer of `route.json` at a time.
    writing: tokio::sync::Mutex<()>,
    next_connection: AtomicU64,
    pace: Pace,
}

impl Desk {
    /// Opens the desk and sets the route as the table says.
    pub(crate) fn new(
        table: Table,
        plane: Arc<Plane>,
        listen: SocketAddr,
        durable: DurableShare,
        pace: Pace,
    ) -> Self {
        let desk = Self {
            table: Mutex::new(table),
            plane,
            listen,
            durable,
            writing: tokio::sync::Mutex::new(()),
            next_connection: AtomicU64::new(0),
            pace,
        };
        desk.change(|_| ());
        desk
    }

    /// Changes the table and makes the router follow, as one.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut table);
        let effective = table.effective();
        self.plane.set(effective.backends, effective.percent_new);
        result
    }

    /// Reads the route: what the router does, not what it was told.
    pub(crate) fn shown(&self) -> Shown {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let (backends, percent_new, served_by) = self.plane.live();
        Shown {
            percent_new: percent_new.get(),
            durable_percent_new: table.durable().get(),
            running: true,
            held_by: table.holder(),
            listen: Some(self.listen),
            backends,
            served_by,
        }
    }

    /// Replaces the backends that serve while nobody holds the route.
    pub(crate) fn set_base(&self, base: Backends) {
        self.change(|table| table.set_base(base));
    }

    /// Sets the durable share. Towards the rollback release the traffic moves first and the file follows; towards `new` the
    /// file comes first, so that no share is ever live that a restart would not know.
    async fn set(&self, percent: Percent) -> Result<(), Reply> {
        if percent == Percent::ROLLBACK {
            self.change(|table| table.set(percent)).map_err(refusal)?;
        }
        let _one_writer = self.writing.lock().await;
        if percent != Percent::ROLLBACK {
            self.change(|table| table.refuse_if_held()).map_err(refusal)?;
        }
        let durable = self.durable.clone();
        let written = tokio::task::spawn_blocking(move || durable.write(percent)).await;
        let trouble = match written {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(with_causes(&error)),
            Err(stopped) => Some(with_causes(&stopped)),
        };
        if let Some(trouble) = trouble {
            let traffic = if percent == Percent::ROLLBACK {
                "all traffic is on the rollback release now, but that is not written down"
            } else {
                "nothing was moved"
            };
            let message = format!("{traffic}: {trouble}");
            return Err(Reply::Refused { code: RefusalCode::NotDurable, message });
        }
        self.change(|table| table.set(percent)).map_err(refusal)
    }
}

/// Takes clients until it is aborted, which closes their connections.
pub(crate) async fn serve(socket: ControlSocket, desk: Arc<Desk>) {
    let mut clients = JoinSet::new();
    loop {
        // Both are cancel-safe: a client that is not accepted yet stays in the queue.
        tokio::select! {
            accepted = socket.accept(), if clients.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, pid)) => {
                    clients.spawn(converse(stream, Guest::new(Arc::clone(&desk), pid)));
                }
                Err(_) => tokio::time::sleep(crate::router::ACCEPT_PAUSE).await,
            },
            Some(_ended) = clients.join_next() => {}
        }
    }
}

/// A client; when it is dropped, however its connection ended, what it held is taken back.
#[derive(Debug)]
struct Guest {
    desk: Arc<Desk>,
    connection: ConnectionId,
    pid: Option<u32>,
}

impl Guest {
    fn new(desk: Arc<Desk>, pid: Option<u32>) -> Self {
        let connection = ConnectionId(desk.next_connection.fetch_add(1, Ordering::Relaxed));
        Self { desk, connection, pid }
    }

    async fn answer(&self, request: Request) -> Reply {
        let (desk, connection) = (&self.desk, self.connection);
        let done = match request {
            Request::Show | Request::Heartbeat => Ok(()),
            Request::Hold { new, rollback } => desk
                .change(|table| table.hold(connection, self.pid, new, rollback))
                .map_err(refusal),
            Request::Shift { percent_new } => {
                desk.change(|table| table.shift(connection, percent_new)).map_err(refusal)
            }
            Request::GiveBack => {
                desk.change(|table| table.gone(connection));
                Ok(())
            }
            Request::Set { percent_new } => desk.set(percent_new).await,
        };
        match done {
            Ok(()) => Reply::Route(desk.shown()),
            Err(refused) => refused,
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.desk.change(|table| table.gone(self.connection));
    }
}

/// Answers a client until it leaves, falls silent, or says something that is no request.
async fn converse(stream: UnixStream, guest: Guest) {
    let pace = guest.desk.pace;
    let (from, mut to) = stream.into_split();
    let mut from = BufReader::new(from);
    loop {
        let (reply, last) = match protocol::read(&mut from, pace.silence).await {
            Ok(request) => (guest.answer(request).await, false),
            Err(error) => match complaint(&error) {
                Some(complaint) => (complaint, true),
                None => return,
            },
        };
        let written: io::Result<()> = protocol::write(&mut to, &reply, pace.reply).await;
        if last || written.is_err() {
            return;
        }
    }
}

/// Returns what to tell a client before its connection is closed; `None`: there is nobody to tell.
fn complaint(error: &ReadError) -> Option<Reply> {
    let code = match error {
        ReadError::Closed | ReadError::Io(_) | ReadError::Silent(_) => return None,
        ReadError::TooLong | ReadError::Malformed(_) => RefusalCode::Malformed,
        ReadError::Version(_) => RefusalCode::Version,
    };
    Some(Reply::Refused { code, message: error.to_string() })
}

fn refusal(refusal: Refusal) -> Reply {
    let (code, message) = match refusal {
        Refusal::Held { pid: Some(pid) } => {
            (RefusalCode::Held, format!("the route is held by a drill (process {pid})"))
        }
        Refusal::Held { pid: None } => {
            (RefusalCode::Held, "the route is held by a drill".to_owned())
        }
        Refusal::TakenBack => {
            (RefusalCode::TakenBack, "the route was taken back by an operator".to_owned())
        }
        Refusal::NotHolding => (
            RefusalCode::NotHolding,
            "the route is not held by this process: it was taken back, or never asked for"
                .to_owned(),
        ),
    };
    Reply::Refused { code, message }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::socket::{self, StateLock};
    use crate::{RouteConfig, Server};

    async fn server(silence: Duration) -> (tempfile::TempDir, Server, BufReader<UnixStream>) {
        let folder = tempfile::tempdir().unwrap();
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = RouteConfig { listen, state_dir: folder.path().to_owned() };
        let lock = StateLock::take(folder.path()).unwrap().unwrap();
        let pace = Pace { silence, ..Pace::NORMAL };
        let server = Server::start_locked(&config, Backends::default(), lock, pace).await.unwrap();
        let stream = socket::connect(folder.path()).await.unwrap().unwrap();
        (folder, server, BufReader::new(stream))
    }

    async fn say(stream: &mut BufReader<UnixStream>, line: &str) -> String {
        stream.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        let mut reply = String::new();
        tokio::time::timeout(Duration::from_secs(10), stream.read_line(&mut reply))
            .await
            .unwrap()
            .unwrap();
        reply
    }

    #[tokio::test]
    async fn a_holder_that_falls_silent_loses_the_route_though_its_socket_is_open() {
        let (_folder, server, mut stream) = server(Duration::from_secs(1)).await;
        let hold = r#"{"v":1,"do":"hold","new":"127.0.0.1:1","rollback":"127.0.0.1:2"}"#;
        assert!(say(&mut stream, hold).await.contains(r#""reply":"route""#));
        say(&mut stream, r#"{"v":1,"do":"shift","percent_new":5}"#).await;
        for _ in 0..3 {
            assert!(
                say(&mut stream, r#"{"v":1,"do":"heartbeat"}"#)
                    .await
                    .contains(r#""percent_new":5"#)
            );
        }
        // Nothing is said from here on; the router closes and takes the route back.
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest));
        closed.await.unwrap().unwrap();
        let shown = server.show();
        assert_eq!((shown.percent_new, shown.held_by), (0, None));
        assert_eq!(shown.backends, Backends::default());
    }

    #[tokio::test]
    async fn what_is_no_request_is_answered_with_a_refusal_and_the_end() {
        for (line, code) in [
            ("GET / HTTP/1.1", "malformed"),
            (r#"{"v":1,"do":"shift","percent_new":101}"#, "malformed"),
            (r#"{"v":2,"do":"show"}"#, "version"),
        ] {
            let (_folder, _server, mut stream) = server(Duration::from_secs(10)).await;
            let reply = say(&mut stream, line).await;
            assert!(reply.contains(&format!(r#""code":"{code}""#)), "{reply}");
            let mut rest = Vec::new();
            let closed =
                tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest));
            assert_eq!(closed.await.unwrap().unwrap(), 0, "the connection is closed");
        }
    }
}

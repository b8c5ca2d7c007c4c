//! The ports: what a drill needs of the tap, of releases and of traffic switches.
//!
//! `async fn` in traits is written out as `impl Future + Send`, so that asks can run on any worker thread.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use contract::conversation::AskedWith;
use contract::smoke::Wording;
use contract::{DeliveredText, Mode, Profile, Surface};
use evidence::Sensitive;
use futures_util::future::BoxFuture;
use judge::compare::MediaType;
use judge::reviews::Sighting;
use judge::{AskId, Called, Marker, Observation, Outcome, Role, Stimulus};

use crate::settings::{Forward, Release};

/// What a port failed at.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The machine would not let us: a port is taken, a file is not there, a program cannot be run.
    #[error("{what}")]
    Environment {
        /// What we were doing and with what, in full.
        what: String,
        /// What to do about it.
        advice: String,
        /// The cause.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A release did not do what its configuration says: it did not start, exited at once, never got ready.
    #[error("{what}")]
    Release {
        /// The finding code: `release-did-not-start`, `release-exited`, `release-not-ready`.
        code: &'static str,
        /// What we were doing and with what, in full.
        what: String,
        /// What to do about it.
        advice: String,
        /// The end of what it wrote, if it wrote anything; redact before showing.
        output: Option<Sensitive>,
    },
}

/// Reads the sources of the contract.
///
/// A read never fails as such: that a source cannot be read is an answer. It ends within a time limit of its own.
pub trait SourceReader: Send + Sync {
    /// Reads one source, and returns the digest of its content, normalised.
    fn read<'a>(&'a self, source: &'a str) -> BoxFuture<'a, Sighting>;
}

/// The proxy between releases and providers.
pub trait Tap: Send + Sync + 'static {
    /// An open listener; closing it is dropping it.
    type Port: TapPort;

    /// Opens a listener for one release process.
    fn open(&self, spec: OpenPort) -> impl Future<Output = Result<Self::Port, PortError>> + Send;
}

/// What a listener is for.
#[derive(Clone, Debug)]
pub struct OpenPort {
    /// Whose calls arrive here.
    pub role: Role,
    /// What the release takes it for.
    pub kind: PortKind,
    /// Where the live lane leads.
    pub upstream: Upstream,
    /// The surface under test.
    pub surface: Surface,
    /// The provider whose wording is copied.
    pub profile: Profile,
}

/// What a release takes a listener for.
#[derive(Clone, Debug)]
pub enum PortKind {
    /// The provider itself.
    Reverse {
        /// A fixed address; `None`: a free port on loopback.
        listen: Option<SocketAddr>,
    },
    /// Its proxy.
    Forward {
        /// The base URL that the release has configured.
        base_url: String,
        /// What it may reach beside it.
        rules: Forward,
    },
}

/// Where the live lane leads.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// The provider's base URL, ending in `/v1` as documented, without a trailing slash.
    pub base_url: String,
    /// Where its host is really reached (`host:port`).
    pub connect_to: Option<String>,
    /// A PEM file with extra trust for it.
    pub ca: Option<PathBuf>,
    /// An egress proxy's URL.
    pub proxy: Option<String>,
}

/// How a release's calls get to a listener of the tap: what it is handed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// `{tap}`: in reverse mode the listener's own base URL, `http://127.0.0.1:PORT/v1`; in forward mode the configured one.
    pub base_url: String,
    /// In forward mode, the proxy between.
    pub proxy: Option<Proxy>,
}

impl Way {
    /// The way to a base URL without a proxy.
    pub fn direct(base_url: String) -> Self {
        Self { base_url, proxy: None }
    }

    /// Returns the same way for a release that is not told of the trust file: variables that name one switch verification on again in some
    /// clients, whatever the program says (requests takes `REQUESTS_CA_BUNDLE` before `session.verify`).
    #[must_use]
    pub fn without_trust(mut self) -> Self {
        if let Some(proxy) = &mut self.proxy {
            proxy.hands_over_trust = false;
        }
        self
    }
}

/// The tap as a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its URL: `http://127.0.0.1:PORT`.
    pub url: String,
    /// A PEM file with the system's trust and the CA of this run.
    pub trust: PathBuf,
    /// Whether the release gets that file by the variables of its clients.
    pub hands_over_trust: bool,
}

/// An open listener of the tap.
pub trait TapPort: Send + Sync + 'static {
    /// Returns how the release's calls get here.
    fn way(&self) -> Way;

    /// Prepares for an ask: exchanges whose body carries the marker (or all of them, while `exclusive`) get the stimulus.
    fn arm(&self, ask: ArmedAsk);

    /// Stops listening for new connections, so that a connect is refused; only sensible while one ask owns the port.
    fn refuse_connections(&self) -> impl Future<Output = ()> + Send;

    /// Waits until an exchange of the ask has arrived, or `within` is over. Tells whether one has.
    fn arrived(&self, ask: AskId, within: Duration) -> impl Future<Output = bool> + Send;

    /// Ends an ask: waits at most `grace` for exchanges that are still under way, ends those that are held, and returns what
    /// was seen and the texts that were delivered to the release, in the order of the exchanges.
    fn collect(
        &self,
        ask: AskId,
        grace: Duration,
    ) -> impl Future<Output = (Observation, Vec<DeliveredText>)> + Send;

    /// Returns how many live calls this port has made since it was opened.
    fn live_calls(&self) -> u32;
}

/// An ask that the tap is to expect.
#[derive(Clone, Debug)]
pub struct ArmedAsk {
    /// Its id.
    pub id: AskId,
    /// The marker in its prompt.
    pub marker: Marker,
    /// The label that its prompt asks for.
    pub label: String,
    /// How its prompt is worded, where it is to be looked for in the requests.
    pub question: Option<Wording>,
    /// What is asked beside it, of which is looked for whatever does not arrive.
    pub asked_with: AskedWith,
    /// What to do to its exchanges.
    pub stimulus: Stimulus,
    /// Attribute every exchange on this port to this ask, with its marker or without.
    pub exclusive: bool,
    /// Whether calls of users may come meanwhile. One without the marker may be theirs, and then no limit of this ask keeps it from the
    /// provider.
    pub among_users: bool,
    /// Live calls that this ask may make; further ones are answered by the tap as a guard.
    pub live_calls_max: u32,
    /// Exchanges after which the release is held to be in a hot loop and its connections are closed.
    pub attempts_max: u32,
}

/// Adapters that run a release.
pub trait Releases: Send + Sync + 'static {
    /// A release that can be asked; dropping it ends its processes.
    type Running: RunningRelease;

    /// Makes a release ready to be asked: starts a service and waits for it; checks a command's program; connects to a URL.
    fn start(
        &self,
        release: &Release,
        start: Start,
    ) -> impl Future<Output = Result<Self::Running, PortError>> + Send;

    /// Asks whatever listens at `address` (the route) in the way that `running` would be asked itself.
    fn ask_at(
        &self,
        running: &Self::Running,
        address: SocketAddr,
        ask: Ask,
    ) -> impl Future<Output = Asked> + Send;

    /// Asks whatever listens at `address` in the format that all fronts of [`RunningRelease::front_uniform`] share: the way
    /// to ask through a route whose two releases are of different kinds.
    fn ask_uniform(&self, address: SocketAddr, ask: Ask) -> impl Future<Output = Asked> + Send;

    /// Lists what lies in the folders of releases: to be called before they are started.
    fn list_files(&self, folders: Folders) -> impl Future<Output = ()> + Send;

    /// Returns what the files got since they were listed, or since this was asked last.
    fn changed_files(&self) -> impl Future<Output = ChangedFiles> + Send;

    /// Tells whether a process that no release of this run has started has a file open for writing.
    fn is_written_by_others(&self, file: FileId) -> impl Future<Output = bool> + Send;
}

/// The folders of releases.
#[derive(Clone, Debug, Default)]
pub struct Folders {
    /// Where releases run; several may be one, or lie in each other.
    pub of_releases: Vec<PathBuf>,
    /// Files that are looked at elsewhere, or are none of a release's; `*` and `?` in a name stand for any.
    pub left_out: Vec<PathBuf>,
}

/// A file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The device on which it lies.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
}

/// What was found in the folders of releases.
#[derive(Clone, Debug, Default)]
pub struct ChangedFiles {
    /// The files that have changed.
    pub files: Vec<ChangedFile>,
    /// What was not read, and why: which bound was met.
    pub not_read: Vec<String>,
}

/// A file that is new, or that has changed.
#[derive(Clone, Debug)]
pub struct ChangedFile {
    /// The places of its folder in [`Folders::of_releases`]: several, where they are one.
    pub folders: Vec<usize>,
    /// Its path from there.
    pub path: String,
    /// Which one it is.
    pub id: FileId,
    /// Whether nobody but its owner may read it.
    pub is_private: bool,
    /// What was written to it; all of it, unless it is a log that was only added to.
    pub fresh: Sensitive,
    /// What such a log held before.
    pub old: Sensitive,
}

/// Values known at run time.
#[derive(Clone, Debug)]
pub struct Start {
    /// Which part the release plays.
    pub role: Role,
    /// The surface under test: the way to ask a release that is itself a gateway.
    pub surface: Surface,
    /// The way to the tap (`{tap}`). Commands get it per ask instead.
    pub tap: Way,
    /// The model setting (`{model}`).
    pub model: String,
    /// The control's credential (`{key}`).
    pub control_key: Option<Sensitive>,
    /// The release's own secrets, resolved: variable and value.
    pub secrets: Vec<(String, Sensitive)>,
    /// The credential that a gateway asks of its users, resolved.
    pub gateway_key: Option<Sensitive>,
}

/// A release that can be asked.
pub trait RunningRelease: Send + Sync + 'static {
    /// Whether each ask is a process of its own, with a tap port of its own.
    fn process_per_ask(&self) -> bool;

    /// Puts one question. Whoever drops the future leaves: a connection is closed, a command's processes are ended.
    fn ask(&self, ask: Ask) -> impl Future<Output = Asked> + Send;

    /// Returns the address under which the route reaches it. For commands: a front of ours that runs the command for each
    /// request and hands its calls to the tap port that `tap` names.
    fn front(&self, tap: Way) -> impl Future<Output = Result<SocketAddr, PortError>> + Send;

    /// Opens a front of ours that speaks one format for every kind of release, see [`Releases::ask_uniform`]. Only commands
    /// need `tap`; the calls of other releases go where they always go.
    fn front_uniform(&self, tap: Way)
    -> impl Future<Output = Result<SocketAddr, PortError>> + Send;

    /// Returns all log text since `since`, the position after it, and whether a part of it is lost.
    fn logs_since(&self, since: LogPosition) -> Logged;

    /// Returns what a service has written to those of its outputs that are none of its log sources. They are logs where it runs
    /// in production, whether or not anybody names them; nothing is demanded of them, but no secret may be in them.
    fn beside_logs(&self) -> Sensitive;

    /// Tells whether one of its processes has a file open for writing.
    fn writes_to(&self, file: FileId) -> impl Future<Output = bool> + Send;

    /// Looks again whether a service is ready, as it was before it was asked, and gives it some time to recover. `Err` says what it
    /// answered last. A release that has no such place is always ready.
    fn still_ready(&self) -> impl Future<Output = Result<(), String>> + Send;

    /// Ends its processes and waits until the whole group is gone. Safe to call twice.
    fn stop(&self) -> impl Future<Output = ()> + Send;
}

/// A position in a running release's logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPosition(pub Vec<u64>);

/// What was logged since a position.
#[derive(Clone, Debug)]
pub struct Logged {
    /// The text.
    pub text: Sensitive,
    /// The position behind it.
    pub end: LogPosition,
    /// Whether something of it is lost: a source wrote more than is kept, or was emptied before it was read.
    pub cut: bool,
}

/// One user-level question.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The prompt, marker and label in it.
    pub prompt: Sensitive,
    /// What is asked beside it, where the request is of our making.
    pub asked_with: AskedWith,
    /// Unary or stream.
    pub mode: Mode,
    /// No outcome after this long is hung.
    pub deadline: Duration,
    /// The way to the tap for this ask, when it has a port of its own.
    pub tap: Option<Way>,
}

/// What came of an ask.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What the release made of it.
    pub outcome: Outcome,
    /// The answer, when it answered (possibly empty), or the partial answer before it refused or hung.
    pub answer: Option<Sensitive>,
    /// The tools that a gateway's reply calls in place of an answer.
    pub called: Option<Called>,
    /// Whether it refused by a gateway's reply in which no client of that API sees an error.
    pub unsaid: bool,
    /// The error text that its user was shown, when it refused: the response body, or what a command wrote on standard output.
    pub shown: Option<Sensitive>,
    /// All that a service replied, head and body, as far as it was read: what its user's side sees, whatever of it is the answer.
    pub reply: Option<Sensitive>,
    /// As what the answer was declared; `None` where nobody declares anything, as a command, or where there was none.
    pub media_type: Option<MediaType>,
    /// How long after the ask the first words of an answer came that is passed on in pieces.
    pub first_words: Option<Duration>,
    /// What a command logged during this ask; `None` for services, whose logs are read by position.
    pub logs: Option<Sensitive>,
    /// What a command wrote on standard error, where that is none of its log sources; see [`RunningRelease::beside_logs`].
    pub beside: Option<Sensitive>,
    /// Whether captured output or logs were cut at their limit.
    pub cut: bool,
    /// Where there was no outcome in time, or an answer only after some: how long the thread of the release that waited most waited for a processor meanwhile.
    /// `None` where that cannot be known, as of a process that is not ours.
    pub cpu_wait: Option<Duration>,
}

/// What moves traffic. Shares are percent of `new`; the rest goes to `rollback`.
pub trait TrafficSwitch: Send + Sync + 'static {
    /// Reads the route as it is, not as it was asked for.
    fn show(&self) -> impl Future<Output = Result<RouteState, PortError>> + Send;

    /// Tells the switch where the two releases are, for as long as this process holds the route.
    fn backends(
        &self,
        new: SocketAddr,
        rollback: SocketAddr,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Moves traffic. Calling it again with the same share changes nothing.
    fn shift(&self, percent_new: u8) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Lets users go back to where they were before this process told the switch of its releases: those may end afterwards.
    fn give_back(&self) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns the user-facing address.
    fn address(&self) -> SocketAddr;
}

/// The route as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteState {
    /// Percent of user traffic that goes to `new`.
    pub percent_new: u8,
    /// Requests that were answered through the route since the share was changed, ours and users'.
    pub n_answered: u64,
}

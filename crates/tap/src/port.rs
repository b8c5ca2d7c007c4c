//! An open listener of the tap: accepts connections, refuses them on demand, and ends them when it is dropped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fmt, io};

use contract::DeliveredText;
use drill::ports::{ArmedAsk, TapPort, Way};
use http::Request;
use judge::{AskId, Observation, Stimulus};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::exchange::{PortContext, serve};
use crate::forward::{self, Entered};
use crate::http1::Left;
use crate::incoming::Incoming;
use crate::limits::{ACCEPT_PAUSE, BACKLOG, CONNECTIONS_MAX, HEAD_READ_MAX};
use crate::wire::{Shown, Transport, WireControl};
use crate::{http1, http2, tunnel};

/// An open listener. Dropping it closes the port and ends all its connections.
pub struct ListeningPort {
    context: Arc<PortContext>,
    address: SocketAddr,
    refusing: AtomicBool,
    orders: mpsc::Sender<Order>,
    /// Tells all connections to end when they have nothing to do.
    closing: watch::Sender<()>,
    acceptor: JoinHandle<()>,
}

impl fmt::Debug for ListeningPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListeningPort").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for ListeningPort {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

/// What the acceptor is told, and where it says that it is done.
enum Order {
    Refuse(oneshot::Sender<()>),
    Listen(oneshot::Sender<()>),
}

impl ListeningPort {
    /// Listens at an address.
    pub(crate) fn open(context: Arc<PortContext>, address: SocketAddr) -> io::Result<Self> {
        let socket = bound(address)?;
        let listener = listening(socket)?;
        let address = listener.local_addr()?;
        // One order at a time: each is waited for.
        let (orders, received) = mpsc::channel(1);
        let (closing, _) = watch::channel(());
        let acceptor = Acceptor {
            context: context.clone(),
            address,
            gate: Gate::Listening(listener),
            closing: closing.clone(),
        };
        Ok(Self {
            context,
            address,
            refusing: AtomicBool::new(false),
            orders,
            closing,
            acceptor: tokio::spawn(acceptor.run(received)),
        })
    }

    async fn order(&self, order: impl FnOnce(oneshot::Sender<()>) -> Order) {
        let (done, waiting) = oneshot::channel();
        if self.orders.send(order(done)).await.is_ok() {
            // An acceptor that is gone refuses everything, and has nothing more to say.
            waiting.await.unwrap_or(());
        }
    }
}

impl TapPort for ListeningPort {
    fn way(&self) -> Way {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        let own = format!("http://{}", SocketAddr::new(ip, self.address.port()));
        match &self.context.forward {
            None => Way::direct(format!("{own}/v1")),
            Some(forward) => {
                Way { base_url: forward.base_url().to_owned(), proxy: Some(forward.proxy(own)) }
            }
        }
    }

    fn arm(&self, ask: ArmedAsk) {
        let needs_new_connections = ask.stimulus == Stimulus::UnknownCa;
        self.context.asks.arm(ask);
        if needs_new_connections {
            self.closing.send_replace(());
        }
    }

    async fn refuse_connections(&self) {
        self.refusing.store(true, Ordering::Release);
        self.order(Order::Refuse).await;
    }

    async fn arrived(&self, ask: AskId, within: Duration) -> bool {
        match self.context.asks.find(ask) {
            Some(ask) => ask.arrived(within).await,
            None => false,
        }
    }

    async fn collect(&self, ask: AskId, grace: Duration) -> (Observation, Vec<DeliveredText>) {
        if let Some(ask) = self.context.asks.find(ask) {
            ask.settled(grace).await;
        }
        let Some(ask) = self.context.asks.disarm(ask) else {
            // Nobody armed it: what there was to see went by unseen.
            return (Observation { lost: 1, ..Observation::default() }, Vec::new());
        };
        let collected = ask.close().await;
        // Refusing was for this ask; the next one finds the port open again.
        if self.context.asks.none_armed() && self.refusing.swap(false, Ordering::AcqRel) {
            self.order(Order::Listen).await;
        }
        collected
    }

    fn live_calls(&self) -> u32 {
        self.context.live_calls.load(Ordering::Relaxed)
    }
}

/// Whether connections are let in.
enum Gate {
    Listening(TcpListener),
    /// The address is held without listening: the kernel refuses each connection, and nobody else can take the port.
    Refusing(Socket),
    /// The address could not be held; another try is made when listening is asked for again.
    Lost,
}

struct Acceptor {
    context: Arc<PortContext>,
    address: SocketAddr,
    gate: Gate,
    closing: watch::Sender<()>,
}

impl Acceptor {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        // Dropped with this task: then every connection ends.
        let mut connections = JoinSet::new();
        loop {
            let may_accept = connections.len() < CONNECTIONS_MAX;
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Refuse(done)) => {
                        self.refuse();
                        self.closing.send_replace(());
                        done.send(()).unwrap_or(());
                    }
                    Some(Order::Listen(done)) => {
                        self.listen();
                        done.send(()).unwrap_or(());
                    }
                    None => return,
                },
                accepted = accept(&self.gate), if may_accept => match accepted {
                    Ok(stream) => {
                        connections.spawn(connection(self.context.clone(), stream, self.closing.subscribe()));
                    }
                    Err(_exhausted) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
                // The result says nothing: what a connection met is in its exchanges' records.
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
            }
        }
    }

    fn refuse(&mut self) {
        // Closed first, as two sockets cannot have the address.
        self.gate = Gate::Lost;
        if let Ok(socket) = bound(self.address) {
            self.gate = Gate::Refusing(socket);
        }
    }

    fn listen(&mut self) {
        let socket = match std::mem::replace(&mut self.gate, Gate::Lost) {
            Gate::Listening(listener) => {
                self.gate = Gate::Listening(listener);
                return;
            }
            Gate::Refusing(socket) => Ok(socket),
            Gate::Lost => bound(self.address),
        };
        if let Ok(listener) = socket.and_then(listening) {
            self.gate = Gate::Listening(listener);
        }
    }
}

async fn accept(gate: &Gate) -> io::Result<TcpStream> {
    match gate {
        Gate::Listening(listener) => listener.accept().await.map(|(stream, _)| stream),
        Gate::Refusing(_) | Gate::Lost => std::future::pending().await,
    }
}

fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // A fixed port can be listened on again at once, although connections of the last run linger.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn listening(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves one connection until either side ends it.
async fn connection(
    context: Arc<PortContext>,
    stream: TcpStream,
    mut closing: watch::Receiver<()>,
) {
    if stream.set_nodelay(true).is_err() {
        // Only a connection that is gone already cannot be set up.
        context.asks.stray_connection();
        return;
    }
    let socket = crate::wire::Socket::new(stream);
    let (transport, shown) = match &context.forward {
        None => (Transport::Plain(socket), Shown::Nothing),
        Some(forward) => {
            let entered = tokio::select! {
                entered = forward::enter(forward, &context.asks, socket) => entered,
                // Nothing was asked on it yet.
                Ok(()) = closing.changed() => return,
            };
            match entered {
                Entered::Http(transport, shown) => (transport, shown),
                Entered::Tunnel(open, socket, host) => {
                    tunnel::carry(&open.0, socket, host).await;
                    return;
                }
                Entered::Over => return,
            }
        }
    };
    let control = WireControl::new(shown);
    let handle = |request: Request<http1::Incoming>| {
        serve(context.clone(), control.clone(), request.map(Incoming::Http1))
    };
    let left =
        http1::serve(transport, control.clone(), closing.clone(), HEAD_READ_MAX, handle).await;
    let parting = match left {
        Left::Nothing => None,
        Left::Parting(parting) => Some(parting),
        Left::Http2(io) => {
            let handle = |wire, request: Request<http2::Incoming>| {
                serve(context.clone(), wire, request.map(Incoming::Http2))
            };
            // In a box, as few connections come here, and each would have the room for it.
            Box::pin(http2::serve(io, control.clone(), closing, HEAD_READ_MAX, handle)).await;
            None
        }
    };
    if !control.had_requests() {
        context.asks.stray_connection();
    }
    if let Some(parting) = parting {
        parting.linger().await;
    }
}

//! Switches in trouble: the embedded router, with one thing about it that is not as it should be.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Json, Router};
use drill::ports::{PortError, RouteState, TrafficSwitch};
use route::EmbeddedSwitch;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::failure::{Failure, chain};

/// What is wrong with a switch, or with what stands between users and releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Traffic is on `new` before anything was moved.
    AlreadyMoved,
    /// It refuses to move traffic.
    Refuses,
    /// It takes the order and does nothing.
    Ignores,
    /// It does nothing, and says that it did.
    Pretends,
    /// It does not come back.
    NeverComesBack,
    /// It does not come back, and says that it did.
    PretendsToComeBack,
    /// The drill is stopped while traffic moves.
    Interrupted,
    /// Something else than a release answers users.
    Answers,
    /// Users get an error.
    Fails,
    /// Users get another answer than the release's.
    Changes,
    /// Each question goes to both releases.
    Mirrors,
}

impl Fault {
    fn stands_between(self) -> bool {
        matches!(self, Self::Answers | Self::Fails | Self::Changes | Self::Mirrors)
    }
}

type Backends = Arc<Mutex<Option<[SocketAddr; 2]>>>;

/// A switch with a fault.
pub(super) struct Tampered {
    inner: EmbeddedSwitch,
    fault: Fault,
    ordered: Mutex<u8>,
    backends: Backends,
    between: Option<(SocketAddr, JoinHandle<()>)>,
    /// The drill is to be stopped.
    pub(super) stop: Notify,
}

impl Tampered {
    pub(super) async fn new(inner: EmbeddedSwitch, fault: Fault) -> Result<Self, Failure> {
        let backends = Backends::default();
        let between = if fault.stands_between() {
            Some(stand_between(fault, Arc::clone(&backends)).await?)
        } else {
            None
        };
        let ordered = Mutex::new(0);
        Ok(Self { inner, fault, ordered, backends, between, stop: Notify::new() })
    }

    /// Ends it; returns percent of traffic that was really left on `new`.
    pub(super) async fn end(self) -> Result<u8, Failure> {
        if let Some((_, task)) = &self.between {
            task.abort();
        }
        let left = self.inner.show().await?.percent_new;
        self.inner.close().await;
        Ok(left)
    }

    fn ordered(&self) -> u8 {
        *self.ordered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TrafficSwitch for Tampered {
    async fn show(&self) -> Result<RouteState, PortError> {
        match self.fault {
            Fault::AlreadyMoved => Ok(RouteState { percent_new: 50, n_answered: 0 }),
            Fault::Pretends | Fault::PretendsToComeBack => {
                Ok(RouteState { percent_new: self.ordered(), n_answered: 0 })
            }
            _ => self.inner.show().await,
        }
    }

    async fn backends(&self, new: SocketAddr, rollback: SocketAddr) -> Result<(), PortError> {
        *self.backends.lock().unwrap_or_else(PoisonError::into_inner) = Some([new, rollback]);
        self.inner.backends(new, rollback).await
    }

    async fn shift(&self, percent_new: u8) -> Result<(), PortError> {
        *self.ordered.lock().unwrap_or_else(PoisonError::into_inner) = percent_new;
        match (self.fault, percent_new) {
            (Fault::Refuses, 1..) => Err(PortError::Environment {
                what: "the router refuses".to_owned(),
                advice: "This is what the self-test broke.".to_owned(),
                source: None,
            }),
            (Fault::Ignores | Fault::Pretends, _)
            | (Fault::NeverComesBack | Fault::PretendsToComeBack, 0) => Ok(()),
            (Fault::Interrupted, 1..) => {
                self.inner.shift(percent_new).await?;
                self.stop.notify_one();
                std::future::pending().await
            }
            _ => self.inner.shift(percent_new).await,
        }
    }

    async fn give_back(&self) -> Result<(), PortError> {
        self.inner.give_back().await
    }

    fn address(&self) -> SocketAddr {
        self.between.as_ref().map_or_else(|| self.inner.address(), |(address, _)| *address)
    }
}

/// Puts something of its own between users and releases.
async fn stand_between(
    fault: Fault,
    backends: Backends,
) -> Result<(SocketAddr, JoinHandle<()>), Failure> {
    let failed = |error: std::io::Error| {
        let advice = "See whether this machine lets programs listen on loopback.";
        Failure::internal(chain(&error), advice)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let routes = Router::new().fallback(between).with_state((fault, backends));
    // It serves until it is ended; one that breaks shows as a path that fails.
    let task = tokio::spawn(async move { drop(axum::serve(listener, routes).await) });
    Ok((address, task))
}

async fn between(
    State((fault, backends)): State<(Fault, Backends)>,
    question: String,
) -> (StatusCode, Json<Value>) {
    let ours = |text: &str| (StatusCode::OK, Json(json!({ "answer": text })));
    let known = *backends.lock().unwrap_or_else(PoisonError::into_inner);
    let Some([new, rollback]) = known else {
        return (StatusCode::BAD_GATEWAY, Json(Value::Null));
    };
    match fault {
        Fault::Answers => ours("I am fine, thank you."),
        Fault::Changes => match pass_on(new, &question).await {
            Some(_) => ours("I have read it, and it was good."),
            None => (StatusCode::BAD_GATEWAY, Json(Value::Null)),
        },
        Fault::Mirrors => {
            let (first, second) =
                tokio::join!(pass_on(new, &question), pass_on(rollback, &question));
            (StatusCode::OK, Json(first.or(second).unwrap_or(Value::Null)))
        }
        _ => (StatusCode::BAD_GATEWAY, Json(Value::Null)),
    }
}

async fn pass_on(to: SocketAddr, question: &str) -> Option<Value> {
    let client = reqwest::Client::builder().no_proxy().build().ok()?;
    let request = client
        .post(format!("http://{to}/ask"))
        .header("content-type", "application/json")
        .body(question.to_owned());
    let text = request.send().await.ok()?.text().await.ok()?;
    serde_json::from_str(&text).ok()
}

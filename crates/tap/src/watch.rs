//! The tap alone: every exchange of a port is somebody's call, gets what a script says, and is told as it ends.
//!
//! Without an ask there is no marker. Requests with the same path and the same body are attempts of one call until one of them got
//! a good reply; a release that changes its body between attempts makes two calls of it.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contract::Completion;
use contract::conversation::AskedWith;
use drill::ports::ArmedAsk;
use judge::fault::Script;
use judge::{AskId, Exchange, Marker, Stimulus};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::asks::Ask;
use crate::limits::{ENDING_GRACE, ENDING_MAX};
use crate::port::ListeningPort;

/// Exchanges that wait for being told; what comes faster is counted as lost.
const UNTOLD_MAX: usize = 16_384;

/// Calls that further attempts may belong to.
const CALLS_MAX: usize = 1024;

/// An exchange that passed.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The call that it is an attempt of, counted from 1.
    pub call: u64,
    /// What it was.
    pub exchange: Exchange,
}

/// What a watched port does and tells.
#[derive(Debug)]
pub struct Watch {
    state: Mutex<State>,
    told: mpsc::Sender<Watched>,
    lost: AtomicU64,
    /// How many exchanges have begun and not been told yet.
    under_way: watch::Sender<u64>,
    over: AtomicBool,
    keyed: RandomState,
}

#[derive(Debug)]
struct State {
    script: Script,
    n_calls: u64,
    open: VecDeque<Call>,
}

#[derive(Debug)]
struct Call {
    number: u64,
    same: u64,
    ask: Arc<Ask>,
}

impl Watch {
    /// Starts with a script; what passes is received at the other end.
    pub(crate) fn new(script: Script) -> (Arc<Self>, mpsc::Receiver<Watched>) {
        let (told, receiver) = mpsc::channel(UNTOLD_MAX);
        let state = State { script, n_calls: 0, open: VecDeque::new() };
        let watch = Self {
            state: Mutex::new(state),
            told,
            lost: AtomicU64::new(0),
            under_way: watch::Sender::new(0),
            over: AtomicBool::new(false),
            keyed: RandomState::new(),
        };
        (Arc::new(watch), receiver)
    }

    /// Does something else from the next call on. Attempts of a call that is under way follow the old script.
    pub fn set_script(&self, script: Script) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).script = script;
    }

    /// Returns how many exchanges passed untold, because nobody kept up with them.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Closes the port. When this returns each exchange has been told: one whose last bytes have just left as what it was, the
    /// others as still open.
    pub async fn end(&self, port: ListeningPort) {
        self.settled(ENDING_GRACE).await;
        self.over.store(true, Ordering::Release);
        drop(port);
        self.settled(ENDING_MAX).await;
    }

    async fn settled(&self, within: Duration) {
        let mut under_way = self.under_way.subscribe();
        match timeout(within, under_way.wait_for(|n| *n == 0)).await {
            // What is under way after that is lost with the process.
            Ok(_) | Err(_) => {}
        }
    }

    /// Returns whether the end has come.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Takes note of an exchange that begins. It is told some time.
    pub(crate) fn began(&self) {
        self.under_way.send_modify(|n| *n += 1);
    }

    /// Returns the ask that stands for the call of this request.
    pub(crate) fn ask_for(self: &Arc<Self>, path: &str, body: &[u8]) -> Arc<Ask> {
        let same = self.keyed.hash_one((path, body));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(call) = state.open.iter().find(|call| call.same == same) {
            return call.ask.clone();
        }
        state.n_calls += 1;
        let number = state.n_calls;
        let armed = ArmedAsk {
            id: AskId(number),
            marker: Marker::new(number),
            label: String::new(),
            question: None,
            asked_with: AskedWith::Question,
            stimulus: Stimulus::Script(state.script.clone()),
            exclusive: true,
            among_users: false,
            live_calls_max: u32::MAX,
            attempts_max: u32::MAX,
        };
        let ask = Arc::new(Ask::watched(armed, self.clone()));
        if state.open.len() == CALLS_MAX {
            state.open.pop_front();
        }
        state.open.push_back(Call { number, same, ask: ask.clone() });
        ask
    }

    /// Tells an exchange. A good reply ends its call.
    pub(crate) fn tell(&self, call: AskId, exchange: Exchange) {
        let is_good = exchange.response.as_ref().is_some_and(|response| {
            (200..300).contains(&response.status)
                && response.judgement.completion == Completion::Complete
        });
        if is_good {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.open.retain(|open| open.number != call.0);
        }
        if self.told.try_send(Watched { call: call.0, exchange }).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        self.under_way.send_modify(|n| *n -= 1);
    }
}

//! The asks that a port expects: which exchange belongs to which, and what was seen of each.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use contract::DeliveredText;
use drill::ports::ArmedAsk;
use judge::{AskId, Exchange, Marker, Observation, Stimulus, Tunnel};
use memchr::memmem::Finder;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock;
use crate::limits::{
    ENDING_MAX, EXCHANGES_MAX, MARKERS_MAX, RETIRED_MAX, STOPPED_MAX, TUNNELS_MAX,
};
use crate::tunnel::TunnelSeen;
use crate::watch::Watch;
use crate::wire::WireControl;

/// All asks of one port.
#[derive(Debug, Default)]
pub(crate) struct Asks {
    state: Mutex<AsksState>,
    armed: Notify,
    /// Every exchange is told to this one.
    watch: OnceLock<Arc<Watch>>,
}

#[derive(Debug, Default)]
struct AsksState {
    armed: Vec<Arc<Ask>>,
    retired: VecDeque<Marker>,
    tunnels: Vec<Arc<TunnelSeen>>,
}

/// Whose markers a body carries, beside those that are nobody's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MarkersSeen {
    /// Whether its ask's is there.
    pub(crate) own: bool,
    /// How many other asks of this run have theirs beside it.
    pub(crate) others: u32,
}

impl MarkersSeen {
    /// Looks among the markers of a body that belongs to an ask by its own.
    fn of(own: &Marker, found: &[&[u8]]) -> Self {
        let others = found.iter().filter(|marker| own.is_of_another_ask(marker)).count();
        Self { own: true, others: u32::try_from(others).unwrap_or(u32::MAX) }
    }
}

/// Whose an exchange is.
#[derive(Debug)]
pub(crate) enum Owner {
    /// An armed ask's.
    Ask {
        /// The ask.
        ask: Arc<Ask>,
        /// Whose markers the body carries.
        markers: MarkersSeen,
    },
    /// A finished ask's: a retry that came too late.
    Retired,
    /// Nobody's that we know: user traffic.
    User,
}

impl Asks {
    fn state(&self) -> MutexGuard<'_, AsksState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has every exchange done and told as this one says.
    pub(crate) fn watched_by(watch: Arc<Watch>) -> Self {
        Self { watch: OnceLock::from(watch), ..Self::default() }
    }

    /// Expects an ask from now on.
    pub(crate) fn arm(&self, armed: ArmedAsk) {
        let mut state = self.state();
        let ask = Arc::new(Ask::new(armed, &state.tunnels));
        state.armed.push(ask);
        drop(state);
        self.armed.notify_waiters();
    }

    /// Returns an armed ask.
    pub(crate) fn find(&self, id: AskId) -> Option<Arc<Ask>> {
        self.state().armed.iter().find(|ask| ask.armed.id == id).cloned()
    }

    /// Stops expecting an ask, and remembers its marker.
    pub(crate) fn disarm(&self, id: AskId) -> Option<Arc<Ask>> {
        let mut state = self.state();
        let position = state.armed.iter().position(|ask| ask.armed.id == id)?;
        let ask = state.armed.remove(position);
        if state.retired.len() == RETIRED_MAX {
            state.retired.pop_front();
        }
        state.retired.push_back(ask.armed.marker.clone());
        ask.seen().tunnels = state.tunnels.iter().filter_map(|tunnel| ask.used(tunnel)).collect();
        if state.armed.is_empty() {
            state.tunnels.retain(|tunnel| tunnel.is_open());
        }
        Some(ask)
    }

    /// Returns whether bodies need not be looked at: nobody is or was expected.
    pub(crate) fn is_idle(&self) -> bool {
        if self.watch.get().is_some() {
            return false;
        }
        let state = self.state();
        state.armed.is_empty() && state.retired.is_empty()
    }

    /// Returns whether no ask is expected at the moment.
    pub(crate) fn none_armed(&self) -> bool {
        self.state().armed.is_empty()
    }

    /// Finds whose an exchange with this path and body is. The path counts as well: who follows a redirect sends no body.
    pub(crate) fn owner(&self, path: &str, body: &[u8]) -> Owner {
        if let Some(watch) = self.watch.get() {
            return Owner::Ask { ask: watch.ask_for(path, body), markers: MarkersSeen::default() };
        }
        let mut markers = markers_in(body);
        let moved = Marker::of_moved_path(path);
        if markers.is_empty() {
            markers.extend(moved.iter().map(|marker| marker.as_str().as_bytes()));
        }
        let state = self.state();
        let armed = |marker: &&[u8]| {
            state.armed.iter().find(|ask| ask.armed.marker.as_str().as_bytes() == *marker)
        };
        // What was asked before stands before what is asked now, so the last one is the ask's own.
        if let Some(ask) = markers.iter().rev().find_map(armed) {
            let markers = MarkersSeen::of(&ask.armed.marker, &markers);
            return Owner::Ask { ask: ask.clone(), markers };
        }
        if state.retired.iter().any(|marker| markers.contains(&marker.as_str().as_bytes())) {
            return Owner::Retired;
        }
        let only = match state.armed.as_slice() {
            [only] => Some(only),
            several => several.iter().find(|ask| ask.armed.exclusive),
        };
        // A marker that we never made names somebody else's ask, unless the whole port belongs to this one.
        match only {
            Some(ask) if ask.armed.exclusive || markers.is_empty() => {
                Owner::Ask { ask: ask.clone(), markers: MarkersSeen::default() }
            }
            Some(_) | None => {
                for ask in &state.armed {
                    ask.seen().unattributed += 1;
                }
                Owner::User
            }
        }
    }

    /// Notes a connection to another host. Nobody can see which ask it belongs to: it is noted for those under way whose
    /// calls to the provider are over, as a fallback comes after them; where there is none, for all.
    pub(crate) fn tunnel_began(&self, tunnel: &Arc<TunnelSeen>) {
        let mut state = self.state();
        let is_free = |ask: &&Arc<Ask>| {
            let seen = ask.seen();
            seen.exchanges > 0 && seen.open.is_empty()
        };
        let mut of: Vec<AskId> =
            state.armed.iter().filter(is_free).map(|ask| ask.armed.id).collect();
        if of.is_empty() {
            of = state.armed.iter().map(|ask| ask.armed.id).collect();
        }
        tunnel.belongs_to(of);
        if state.armed.is_empty() {
            state.tunnels.retain(|known| known.is_open());
        }
        if state.tunnels.len() < TUNNELS_MAX {
            state.tunnels.push(tunnel.clone());
            return;
        }
        for ask in &state.armed {
            ask.lose();
        }
    }

    /// Notes that the release was shown a certificate of ours.
    pub(crate) fn certificate_shown(&self) {
        for ask in &self.state().armed {
            ask.seen().certificates_shown += 1;
        }
    }

    /// Returns whether the certificate that is shown next is to be one that nobody can trust.
    pub(crate) fn wants_unknown_ca(&self) -> bool {
        self.state().armed.iter().any(|ask| ask.armed.stimulus == Stimulus::UnknownCa)
    }

    /// Notes a connection that never became a request.
    pub(crate) fn stray_connection(&self) {
        for ask in &self.state().armed {
            ask.seen().stray += 1;
        }
    }
}

/// Returns the markers in a body, each once, by where it stands last; of too many, the last ones.
fn markers_in(body: &[u8]) -> Vec<&[u8]> {
    static PREFIX: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(Marker::PREFIX));
    let mut found: Vec<&[u8]> = Vec::new();
    for at in PREFIX.find_iter(body) {
        let Some(marker) = body.get(at..at + Marker::LEN) else { break };
        let digits = marker.get(Marker::PREFIX.len()..).unwrap_or_default();
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            continue;
        }
        if let Some(earlier) = found.iter().position(|known| *known == marker) {
            found.remove(earlier);
        } else if found.len() == MARKERS_MAX {
            found.remove(0);
        }
        found.push(marker);
    }
    found
}

/// One armed ask and what was seen of it.
#[derive(Debug)]
pub(crate) struct Ask {
    /// What was asked for.
    pub(crate) armed: ArmedAsk,
    /// When it was armed: the zero of all its times.
    pub(crate) since: Instant,
    /// Connections to other hosts that were open when it was armed, and what they had carried by then.
    tunnels_before: Vec<(Arc<TunnelSeen>, (u64, u64))>,
    seen: Mutex<Seen>,
    over: AtomicBool,
    changed: Notify,
    /// Who is told of each exchange, in place of its being kept.
    watch: Option<Arc<Watch>>,
}

#[derive(Debug, Default)]
struct Seen {
    exchanges: u32,
    surface_calls: u32,
    calls_beside: u32,
    stopped: u32,
    live: u32,
    open: Vec<(u32, WireControl)>,
    slots: Vec<Option<(Exchange, DeliveredText)>>,
    lost: u32,
    stray: u32,
    unattributed: u32,
    tunnels: Vec<Tunnel>,
    certificates_shown: u32,
}

/// What the tap may do with an exchange of an ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The stimulus; this is the n-th call of a surface (or would be).
    Go {
        /// Counts from 1 within the ask, calls of a surface only.
        surface_attempt: u32,
        /// How many calls of the ask went to other paths so far.
        beside: u32,
    },
    /// Nothing: the release is in a hot loop. `recorded` says whether it is still written down.
    Stop {
        /// Whether it is still written down.
        recorded: bool,
    },
}

/// An exchange's place in its ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(u32);

impl Slot {
    /// Returns the number of the exchange, from 1.
    pub(crate) fn attempt(self) -> u32 {
        self.0
    }
}

impl Ask {
    fn new(armed: ArmedAsk, tunnels: &[Arc<TunnelSeen>]) -> Self {
        Self {
            armed,
            since: clock::now(),
            tunnels_before: tunnels.iter().map(|known| (known.clone(), known.carried())).collect(),
            seen: Mutex::default(),
            over: AtomicBool::new(false),
            changed: Notify::new(),
            watch: None,
        }
    }

    /// Returns an ask whose exchanges are told, and not kept.
    pub(crate) fn watched(armed: ArmedAsk, watch: Arc<Watch>) -> Self {
        Self { watch: Some(watch), ..Self::new(armed, &[]) }
    }

    /// Returns what a connection to another host carried during this ask. One that was open before and carries nothing is
    /// not used: it is kept for later.
    fn used(&self, tunnel: &Arc<TunnelSeen>) -> Option<Tunnel> {
        let before = self.tunnels_before.iter().find(|(known, _)| Arc::ptr_eq(known, tunnel));
        let carried = tunnel.carried();
        match before {
            Some((_, (sent, _))) if carried.0 == *sent => None,
            Some((_, before)) => Some(tunnel.since(*before)),
            None => tunnel.may_be_of(self.armed.id).then(|| tunnel.since((0, 0))),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the ask has been ended.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
            || self.watch.as_ref().is_some_and(|watch| watch.is_over())
    }

    /// Enters an exchange. Whoever may be a user is never stopped.
    pub(crate) fn begin(
        &self,
        is_surface_call: bool,
        may_be_users: bool,
        wire: &WireControl,
    ) -> (Slot, Admission) {
        let mut seen = self.seen();
        if seen.exchanges >= self.armed.attempts_max && !may_be_users {
            let recorded = seen.stopped < STOPPED_MAX;
            seen.stopped = seen.stopped.saturating_add(1);
            if !recorded {
                return (Slot(0), Admission::Stop { recorded });
            }
        }
        if let Some(watch) = &self.watch {
            watch.began();
        }
        seen.exchanges += 1;
        let slot = Slot(seen.exchanges);
        if seen.slots.len() < EXCHANGES_MAX {
            seen.slots.push(None);
        }
        seen.open.push((slot.0, wire.clone()));
        let admission = if seen.exchanges > self.armed.attempts_max && !may_be_users {
            Admission::Stop { recorded: true }
        } else {
            seen.surface_calls += u32::from(is_surface_call);
            seen.calls_beside += u32::from(!is_surface_call);
            Admission::Go { surface_attempt: seen.surface_calls.max(1), beside: seen.calls_beside }
        };
        drop(seen);
        self.changed.notify_waiters();
        (slot, admission)
    }

    /// Takes one live call out of the budget. Tells whether there was one left.
    pub(crate) fn spend_live_call(&self) -> bool {
        let mut seen = self.seen();
        let left = seen.live < self.armed.live_calls_max;
        seen.live += u32::from(left);
        left
    }

    /// Notes that something of an exchange could not be observed.
    pub(crate) fn lose(&self) {
        self.seen().lost += 1;
    }

    /// Takes an exchange's record.
    pub(crate) fn end(&self, slot: Slot, record: (Exchange, DeliveredText)) {
        let mut seen = self.seen();
        if let Some(position) = seen.open.iter().position(|(open, _)| *open == slot.0) {
            seen.open.swap_remove(position);
        }
        if let Some(watch) = &self.watch {
            drop(seen);
            return watch.tell(self.armed.id, record.0);
        }
        let index = usize::try_from(slot.0).unwrap_or(usize::MAX).wrapping_sub(1);
        match seen.slots.get_mut(index) {
            Some(place) => *place = Some(record),
            None => seen.lost += 1,
        }
        let idle = seen.open.is_empty();
        drop(seen);
        if idle {
            self.changed.notify_waiters();
        }
    }

    /// Waits until `condition` holds, or `within` is over. Tells whether it holds.
    async fn wait(&self, within: Duration, condition: impl Fn(&Seen) -> bool) -> bool {
        let changes = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                // Listening begins before looking, so that no change falls in between.
                changed.as_mut().enable();
                if condition(&self.seen()) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(within, changes).await.is_ok()
    }

    /// Waits until an exchange has arrived, or `within` is over.
    pub(crate) async fn arrived(&self, within: Duration) -> bool {
        self.wait(within, |seen| seen.exchanges > 0).await
    }

    /// Waits until no exchange is open, or `grace` is over.
    pub(crate) async fn settled(&self, grace: Duration) -> bool {
        self.wait(grace, |seen| seen.open.is_empty()).await
    }

    /// Ends what is still open and returns what was seen.
    pub(crate) async fn close(&self) -> (Observation, Vec<DeliveredText>) {
        self.over.store(true, Ordering::Release);
        for (_, wire) in &self.seen().open {
            wire.kill();
        }
        self.settled(ENDING_MAX).await;
        let mut seen = self.seen();
        let unreported = seen.open.len();
        let mut observation = Observation {
            exchanges: Vec::with_capacity(seen.slots.len()),
            lost: seen.lost.saturating_add(u32::try_from(unreported).unwrap_or(u32::MAX)),
            stray_connections: seen.stray,
            unattributed: seen.unattributed,
            tunnels: std::mem::take(&mut seen.tunnels),
            certificates_shown: seen.certificates_shown,
        };
        let mut texts = Vec::with_capacity(seen.slots.len());
        for (exchange, text) in seen.slots.drain(..).flatten() {
            observation.exchanges.push(exchange);
            texts.push(text);
        }
        (observation, texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_found_anywhere_and_once() {
        let body =
            b"{\"a\":\"[ssm-0123456789ab] x\",\"b\":\"ssm-0123456789ab ssm-zz ssm-ffffffffffff\"}";
        assert_eq!(markers_in(body), [&b"ssm-0123456789ab"[..], b"ssm-ffffffffffff"]);
        assert!(markers_in(b"ssm-0123").is_empty());
    }

    #[test]
    fn of_many_markers_the_last_ones_are_kept_in_their_order() {
        let body: String = (0..40).map(|n| format!("ssm-{n:012x} ")).collect();
        let found = markers_in(body.as_bytes());
        assert_eq!(found.len(), MARKERS_MAX);
        assert_eq!(found.last(), Some(&&b"ssm-000000000027"[..]));
        let again = b"ssm-000000000001 ssm-000000000002 ssm-000000000001";
        assert_eq!(markers_in(again), [&b"ssm-000000000002"[..], b"ssm-000000000001"]);
    }

    #[test]
    fn markers_of_other_runs_are_nobodys() {
        let own = Marker::new(0x00ab_cdef_0000_0002);
        let seen = |found: &[&str]| {
            let found: Vec<&[u8]> = found.iter().map(|marker| marker.as_bytes()).collect();
            MarkersSeen::of(&own, &found).others
        };
        assert_eq!(own.as_str(), "ssm-cdef00000002");
        assert_eq!(seen(&["ssm-cdef00000002"]), 0);
        assert_eq!(seen(&["ssm-cdef00000001", "ssm-cdef00000002", "ssm-cdef00000003"]), 2);
        assert_eq!(seen(&["ssm-cdee00000001", "ssm-cdef00000002"]), 0);
    }
}

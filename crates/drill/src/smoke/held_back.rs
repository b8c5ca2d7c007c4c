//! Looks twice at a stream that seems to be held back: beside others, on a busy machine, the words of a good release may come late.

use super::again::add;
use super::{Alive, Context};
use crate::asking::{Company, Probing};
use crate::bench::ControlPort;
use crate::ports::{Releases, Tap};

impl<T: Tap, R: Releases, C: ControlPort> Context<'_, T, R, C> {
    /// Asks again, alone, where a stream came late. That it was held back is kept only when it is said twice; what else that ask shows counts as that of
    /// any other one.
    pub(super) async fn look_at_streams_again(
        &self,
        alive: &Alive<R::Running, T::Port>,
        probings: &mut [Probing],
    ) {
        for probing in probings.iter_mut().filter(|probing| probing.passes_on == Some(false)) {
            let probe = probing.probe.clone();
            let again = self.one(&alive.running, &alive.port, &probe, Company::Alone).await;
            probing.passes_on = again.passes_on;
            add(probing, again, self.bench.settings.gates.strict);
        }
    }
}

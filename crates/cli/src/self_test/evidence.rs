//! Evidence in trouble: what a sound ledger must not prove.

use evidence::{Acquire, Holder, Intent, Journal, Lease};
use jiff::SignedDuration;
use judge::gates::GateContext;
use judge::{Fact, Item, Role};

use super::world::World;
use crate::failure::Failure;

/// What is wrong with the evidence when the gates look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing.
    AsItIs,
    /// It is a day older.
    NextDay,
    /// Another version is asked about than was probed.
    OtherVersion,
    /// There is none.
    Nothing,
    /// One probe of `new` that was planned is not in it.
    ProbeLost,
    /// The clocks of who wrote it and who reads it are an hour apart.
    FromTheFuture,
}

/// Looks at evidence in this way.
pub(super) fn look(how: Look, items: &mut Vec<Item>, context: &mut GateContext) {
    let later = |context: &mut GateContext, by: SignedDuration| {
        context.now = context.now.saturating_add(by).unwrap_or(context.now);
    };
    match how {
        Look::AsItIs => {}
        Look::NextDay => later(context, SignedDuration::from_hours(25)),
        Look::FromTheFuture => later(context, SignedDuration::from_hours(-1)),
        Look::OtherVersion => "2.4.1".clone_into(&mut context.subject.new.version),
        Look::Nothing => items.clear(),
        Look::ProbeLost => {
            let of_new = |item: &Item| matches!(&item.fact, Fact::Probed(probed) if probed.planned.role == Role::New);
            if let Some(at) = items.iter().position(of_new) {
                items.remove(at);
            }
        }
    }
}

/// Leaves a drill behind that was not finished: its lease is over, its journal is open.
pub(super) async fn leave_unfinished(world: &World) -> Result<(), Failure> {
    let (bench, ledger) = (&world.wired.bench, &world.wired.ledger);
    let (service, environment) = (&bench.settings.service, &bench.settings.environment);
    let now = (bench.now)();
    let before = now.saturating_sub(SignedDuration::from_hours(1)).unwrap_or(now);
    let holder = Holder::named("a drill that is no more");
    let over = before.saturating_add(SignedDuration::from_mins(30)).unwrap_or(before);
    match Lease::acquire(ledger, service, environment, &holder, before, over).await? {
        Acquire::Acquired { lease, .. } => {
            let journal = Journal::new(ledger.clone(), service, environment, lease.fence());
            // Announced and never done: that is what it is to be left behind.
            drop(journal.record("run-left-behind", Intent::Began, before).await?);
            Ok(())
        }
        Acquire::HeldBy { .. } => Ok(()),
    }
}

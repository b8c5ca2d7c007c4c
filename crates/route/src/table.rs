//! Who decides the route right now: the durable share, or the drill that holds it. Pure.

use std::net::SocketAddr;

use crate::{Backends, Percent};

/// The connection of a holder; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// Durable state, base backends, and at most one hold.
#[derive(Debug)]
pub(crate) struct Table {
    base: Backends,
    durable: Percent,
    hold: Option<Hold>,
    /// The hold that an operator took from a holder whose connection is still open.
    taken_back: Option<Hold>,
}

#[derive(Clone, Copy, Debug)]
struct Hold {
    connection: ConnectionId,
    pid: Option<u32>,
    backends: Backends,
    percent: Percent,
}

/// What the router is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effective {
    pub(crate) backends: Backends,
    pub(crate) percent_new: Percent,
}

/// Why the table refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Another connection holds the route.
    Held {
        /// Its process.
        pid: Option<u32>,
    },
    /// An operator took the route back from this connection.
    TakenBack,
    /// This connection holds nothing.
    NotHolding,
}

impl Table {
    /// Starts with nobody holding.
    pub(crate) fn new(base: Backends, durable: Percent) -> Self {
        Self { base, durable, hold: None, taken_back: None }
    }

    /// Returns what the router is to do.
    pub(crate) fn effective(&self) -> Effective {
        match (&self.hold, &self.taken_back) {
            (Some(hold), _) => Effective { backends: hold.backends, percent_new: hold.percent },
            // A drill's own router has no other backends than the drill's: after the panic button its rollback release serves
            // on, for as long as the drill lives, where the alternative would be 503.
            (None, Some(hold)) => {
                Effective { backends: self.base.or(hold.backends), percent_new: self.durable }
            }
            (None, None) => Effective { backends: self.base, percent_new: self.durable },
        }
    }

    /// Returns the share that survives a restart.
    pub(crate) fn durable(&self) -> Percent {
        self.durable
    }

    /// Returns the process that holds the route, where the system told it.
    pub(crate) fn holder(&self) -> Option<u32> {
        self.hold.and_then(|hold| hold.pid)
    }

    /// Refuses while somebody holds the route.
    pub(crate) fn refuse_if_held(&self) -> Result<(), Refusal> {
        match self.hold {
            Some(hold) => Err(Refusal::Held { pid: hold.pid }),
            None => Ok(()),
        }
    }

    /// Replaces the backends that serve while nobody holds.
    pub(crate) fn set_base(&mut self, base: Backends) {
        self.base = base;
    }

    /// Gives the route to a connection, with nothing on `new` yet; for the present holder it replaces the backends only.
    pub(crate) fn hold(
        &mut self,
        connection: ConnectionId,
        pid: Option<u32>,
        new: SocketAddr,
        rollback: SocketAddr,
    ) -> Result<(), Refusal> {
        let backends = Backends { new: Some(new), rollback: Some(rollback) };
        self.refuse_taken_back(connection)?;
        match &mut self.hold {
            Some(hold) if hold.connection == connection => hold.backends = backends,
            Some(hold) => return Err(Refusal::Held { pid: hold.pid }),
            None => {
                let percent = Percent::ROLLBACK;
                self.hold = Some(Hold { connection, pid, backends, percent });
                self.taken_back = None;
            }
        }
        Ok(())
    }

    /// Moves the share of the hold.
    pub(crate) fn shift(
        &mut self,
        connection: ConnectionId,
        percent: Percent,
    ) -> Result<(), Refusal> {
        self.refuse_taken_back(connection)?;
        match &mut self.hold {
            Some(hold) if hold.connection == connection => hold.percent = percent,
            Some(hold) => return Err(Refusal::Held { pid: hold.pid }),
            None => return Err(Refusal::NotHolding),
        }
        Ok(())
    }

    /// Forgets a connection that ended: its hold is over.
    pub(crate) fn gone(&mut self, connection: ConnectionId) {
        self.hold.take_if(|hold| hold.connection == connection);
        self.taken_back.take_if(|hold| hold.connection == connection);
    }

    /// Sets the share that survives a restart. The panic button ([`Percent::ROLLBACK`]) also ends a hold; any other share is
    /// refused while the route is held.
    pub(crate) fn set(&mut self, percent: Percent) -> Result<(), Refusal> {
        if percent != Percent::ROLLBACK {
            self.refuse_if_held()?;
        }
        if let Some(hold) = self.hold.take() {
            self.taken_back = Some(hold);
        }
        self.durable = percent;
        Ok(())
    }

    fn refuse_taken_back(&self, connection: ConnectionId) -> Result<(), Refusal> {
        match &self.taken_back {
            Some(hold) if hold.connection == connection => Err(Refusal::TakenBack),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRILL: ConnectionId = ConnectionId(1);
    const OTHER: ConnectionId = ConnectionId(2);

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn pair(new: u16, rollback: u16) -> Backends {
        Backends { new: Some(address(new)), rollback: Some(address(rollback)) }
    }

    fn percent(number: u8) -> Percent {
        Percent::try_from(number).unwrap()
    }

    /// A table with base backends and 25 percent durable, held by DRILL with 5 percent on `new`.
    fn held() -> Table {
        let mut table = Table::new(pair(1, 2), percent(25));
        table.hold(DRILL, Some(77), address(3), address(4)).unwrap();
        table.shift(DRILL, percent(5)).unwrap();
        table
    }

    #[track_caller]
    fn check(table: &Table, backends: Backends, percent_new: u8) {
        let percent_new = percent(percent_new);
        assert_eq!(table.effective(), Effective { backends, percent_new });
    }

    #[test]
    fn a_hold_starts_with_nothing_on_new_whatever_is_durable() {
        let mut table = Table::new(pair(1, 2), percent(25));
        check(&table, pair(1, 2), 25);
        table.hold(DRILL, Some(77), address(3), address(4)).unwrap();
        check(&table, pair(3, 4), 0);
        table.shift(DRILL, percent(5)).unwrap();
        check(&table, pair(3, 4), 5);
    }

    #[test]
    fn the_route_comes_back_when_the_holder_is_gone() {
        let mut table = held();
        table.gone(OTHER);
        check(&table, pair(3, 4), 5);
        table.gone(DRILL);
        check(&table, pair(1, 2), 25);
    }

    #[test]
    fn new_backends_of_the_holder_keep_its_share() {
        let mut table = held();
        table.hold(DRILL, Some(77), address(5), address(6)).unwrap();
        check(&table, pair(5, 6), 5);
    }

    #[test]
    fn a_second_holder_is_refused_with_the_first_ones_process() {
        let mut table = held();
        let refused = Err(Refusal::Held { pid: Some(77) });
        assert_eq!(table.hold(OTHER, Some(78), address(5), address(6)), refused);
        assert_eq!(table.shift(OTHER, percent(50)), refused);
        table.gone(OTHER);
        check(&table, pair(3, 4), 5);
    }

    #[test]
    fn a_shift_without_a_hold_is_refused() {
        let mut table = Table::new(pair(1, 2), percent(0));
        assert_eq!(table.shift(DRILL, percent(5)), Err(Refusal::NotHolding));
        check(&table, pair(1, 2), 0);
    }

    #[test]
    fn only_the_panic_button_works_during_a_hold() {
        let mut table = held();
        assert_eq!(table.set(percent(50)), Err(Refusal::Held { pid: Some(77) }));
        check(&table, pair(3, 4), 5);
        table.set(Percent::ROLLBACK).unwrap();
        check(&table, pair(1, 2), 0);
        assert_eq!(table.shift(DRILL, percent(5)), Err(Refusal::TakenBack));
        assert_eq!(table.hold(DRILL, None, address(3), address(4)), Err(Refusal::TakenBack));
        table.gone(DRILL);
        check(&table, pair(1, 2), 0);
        assert_eq!(table.hold(OTHER, None, address(3), address(4)), Ok(()));
    }

    #[test]
    fn after_the_panic_button_a_drills_rollback_release_serves_where_there_is_no_base() {
        let mut table = Table::new(Backends::default(), Percent::ROLLBACK);
        table.hold(DRILL, None, address(3), address(4)).unwrap();
        table.shift(DRILL, percent(100)).unwrap();
        table.set(Percent::ROLLBACK).unwrap();
        check(&table, pair(3, 4), 0);
        table.gone(DRILL);
        check(&table, Backends::default(), 0);
    }
}

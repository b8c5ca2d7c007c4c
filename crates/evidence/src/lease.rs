//! The lease: one drill for each service and environment.
//!
//! A lease has a fencing number that only grows: with it, journal entries of a drill that was taken over are refused. A lease is
//! over when its time is, when it was released, or when its holder is a process of this machine that is no more: after
//! `kill -9` nobody has to wait.

mod holder;

use std::fmt;

use jiff::Timestamp;

pub use self::holder::Holder;
use crate::ledger::store::query;
use crate::ledger::{Ledger, LedgerError, signed};

/// A held lease.
#[derive(Clone)]
pub struct Lease {
    ledger: Ledger,
    service: String,
    environment: String,
    holder: Holder,
    fence: u64,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("service", &self.service)
            .field("environment", &self.environment)
            .field("fence", &self.fence)
            .finish_non_exhaustive()
    }
}

/// What came of asking for a lease.
#[derive(Debug)]
#[must_use]
pub enum Acquire {
    /// It is ours.
    Acquired {
        /// The lease.
        lease: Lease,
        /// Who had it before and never released it.
        took_over_from: Option<Holder>,
    },
    /// Somebody else has it.
    HeldBy {
        /// Who.
        holder: Holder,
        /// Until when, unless it is renewed.
        until: Timestamp,
    },
}

impl Lease {
    /// Asks for the lease of a service in an environment, until a time.
    pub async fn acquire(
        ledger: &Ledger,
        service: &str,
        environment: &str,
        holder: &Holder,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Acquire, LedgerError> {
        let store = ledger.store();
        let mut tx = store.begin().await?;
        let select = query(
            "SELECT holder, until_ms, fence FROM leases WHERE service = $1 AND environment = $2",
        )
        .bind(service.to_owned())
        .bind(environment.to_owned());
        let rows = store.rows_in(&mut tx, select).await?;
        let mut took_over_from = None;
        let mut seen_fence = 0;
        if let Some(row) = rows.first() {
            let had = store.text(row, 0)?;
            let had_until = signed(store.number(row, 1)?);
            seen_fence = store.number(row, 2)?;
            if !had.is_empty() && had != holder.as_str() {
                let had = Holder::from_stored(had);
                let is_over = had_until <= now.as_millisecond();
                if !is_over && !had.is_dead() {
                    let until = Timestamp::from_millisecond(had_until).map_err(|error| {
                        store.damaged(format!("a lease ends at no time: {error}"))
                    })?;
                    return Ok(Acquire::HeldBy { holder: had, until });
                }
                took_over_from = Some(had);
            }
        }
        // The fence is checked again: where a database lets two transactions read at once, only one of them writes.
        let upsert = query(
            "INSERT INTO leases (service, environment, fence, holder, until_ms) VALUES ($1, $2, 1, $3, $4) \
             ON CONFLICT (service, environment) DO UPDATE \
             SET fence = leases.fence + 1, holder = excluded.holder, until_ms = excluded.until_ms \
             WHERE leases.fence = $5 RETURNING fence",
        )
        .bind(service.to_owned())
        .bind(environment.to_owned())
        .bind(holder.as_str().to_owned())
        .bind(until.as_millisecond())
        .bind(signed(seen_fence));
        let rows = store.rows_in(&mut tx, upsert).await?;
        let Some(row) = rows.first() else {
            return Err(lost(service, environment, seen_fence));
        };
        let fence = store.number(row, 0)?;
        store.commit(tx).await?;
        let lease = Self {
            ledger: ledger.clone(),
            service: service.to_owned(),
            environment: environment.to_owned(),
            holder: holder.clone(),
            fence,
        };
        Ok(Acquire::Acquired { lease, took_over_from })
    }

    /// Returns the fencing number.
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// Keeps the lease until another time; an error when somebody has taken it over.
    pub async fn renew(&self, until: Timestamp) -> Result<(), LedgerError> {
        let update = query(
            "UPDATE leases SET until_ms = $1 \
             WHERE service = $2 AND environment = $3 AND fence = $4 AND holder = $5 RETURNING fence",
        );
        self.change(update.bind(until.as_millisecond())).await
    }

    /// Gives the lease back; an error when somebody has taken it over.
    pub async fn release(self) -> Result<(), LedgerError> {
        // The row stays, and with it the fencing number.
        let update = query(
            "UPDATE leases SET holder = $1, until_ms = 0 \
             WHERE service = $2 AND environment = $3 AND fence = $4 AND holder = $5 RETURNING fence",
        );
        self.change(update.bind("")).await
    }

    async fn change(&self, update: crate::ledger::store::Query) -> Result<(), LedgerError> {
        let store = self.ledger.store();
        let update = update
            .bind(self.service.clone())
            .bind(self.environment.clone())
            .bind(signed(self.fence))
            .bind(self.holder.as_str().to_owned());
        let mut tx = store.begin().await?;
        if store.rows_in(&mut tx, update).await?.is_empty() {
            return Err(lost(&self.service, &self.environment, self.fence));
        }
        store.commit(tx).await
    }
}

fn lost(service: &str, environment: &str, fence: u64) -> LedgerError {
    LedgerError::LeaseLost {
        service: service.to_owned(),
        environment: environment.to_owned(),
        fence,
    }
}

#[cfg(test)]
mod tests;

//! The clock, the ledger's place and the addresses to listen at.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use drill::settings::{LedgerUrl, Settings, TapMode};
use judge::Role;
use rustix::fs::Access;

use super::Checkup;

/// No working clock shows an earlier year: this program did not exist.
const FIRST_YEAR: i16 = 2026;

/// A clock beyond this year is wrong, or surestep is a fossil.
const LAST_YEAR: i16 = 2099;

/// Evidence has ages and reviews have days: both need a clock that is about right.
pub(super) fn clock(settings: &Settings, now: jiff::Timestamp) -> Vec<Checkup> {
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    if !(FIRST_YEAR..=LAST_YEAR).contains(&today.year()) {
        return vec![Checkup::broken(
            format!("this machine's clock says {today}"),
            "set it, for example by NTP",
        )];
    }
    let mut found = vec![Checkup::fine(format!("this machine's clock says {today}"))];
    for review in &settings.contract.reviewed {
        // Someone east of Greenwich may be a day ahead.
        if today.tomorrow().is_ok_and(|tomorrow| review.on > tomorrow) {
            found.push(Checkup::broken(
                format!(
                    "the review of {} is dated {}, which is yet to come",
                    review.source, review.on
                ),
                "correct `contract.reviewed[].on`, or the clock",
            ));
        }
    }
    found
}

/// The ledger must be writable, or its folder creatable.
pub(super) fn ledger(settings: &Settings) -> Vec<Checkup> {
    let LedgerUrl::Sqlite(path) = &settings.ledger;
    let existing = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
    let shown = path.display();
    let checkup = if path.is_dir() {
        Checkup::broken(format!("the ledger {shown} is a folder"), "name a file in `ledger`")
    } else if existing != path && !existing.is_dir() {
        Checkup::broken(
            format!("the ledger {shown} lies below {}, which is no folder", existing.display()),
            "name another place in `ledger`",
        )
    } else {
        match rustix::fs::access(existing, Access::READ_OK | Access::WRITE_OK) {
            Ok(()) => Checkup::fine(format!("the ledger can be written at {shown}")),
            Err(error) => Checkup::broken(
                format!("the ledger {shown} cannot be written: {}: {error}", existing.display()),
                "give surestep's user the right to write there, or name another place in `ledger`",
            ),
        }
    };
    vec![checkup]
}

/// What surestep listens at must be there and free.
pub(super) fn addresses(settings: &Settings) -> Vec<Checkup> {
    let mut addresses = vec![("`route.listen`".to_owned(), settings.route.listen)];
    for role in Role::BOTH {
        if let TapMode::Reverse { listen: Some(listen) } = settings.release(role).tap {
            addresses.push((format!("`releases.{role}.tap`"), listen));
        }
    }
    addresses.into_iter().map(|(name, address)| address_is_free(&name, address)).collect()
}

fn address_is_free(name: &str, address: SocketAddr) -> Checkup {
    match TcpListener::bind(address) {
        Ok(_closed_at_once) => Checkup::fine(format!("{name}: {address} is free")),
        Err(error) => match error.kind() {
            io::ErrorKind::AddrInUse => Checkup::odd(
                format!("{name}: something listens at {address} already"),
                "fine if it is surestep itself (`surestep route show`); otherwise choose another port",
            ),
            io::ErrorKind::AddrNotAvailable => Checkup::broken(
                format!("{name}: this machine has no address {}", address.ip()),
                "use 127.0.0.1, or 0.0.0.0 for all of its addresses",
            ),
            io::ErrorKind::PermissionDenied => Checkup::broken(
                format!("{name}: this user may not listen at {address}"),
                "use a port from 1024 on",
            ),
            _ => Checkup::broken(
                format!("{name}: cannot listen at {address}: {error}"),
                "choose another address",
            ),
        },
    }
}

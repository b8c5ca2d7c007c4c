//! The one way in which this crate builds its errors.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;

use drill::ports::PortError;

type Source = Box<dyn Error + Send + Sync>;

/// Builds an error that has no further cause.
pub(crate) fn refused(what: impl Into<String>, advice: impl Into<String>) -> PortError {
    PortError::Environment { what: what.into(), advice: advice.into(), source: None }
}

/// Builds an error with its cause.
pub(crate) fn failed(
    what: impl Into<String>,
    advice: impl Into<String>,
    source: impl Into<Source>,
) -> PortError {
    PortError::Environment { what: what.into(), advice: advice.into(), source: Some(source.into()) }
}

/// The state folder or a file in it could not be used.
pub(crate) fn state(doing: &str, path: &Path, source: impl Into<Source>) -> PortError {
    failed(
        format!("the route's state could not be {doing}: {}", path.display()),
        "the folder of the ledger must be writable by the user that runs surestep",
        source,
    )
}

/// The user-facing address is not to be had.
pub(crate) fn listen(address: SocketAddr, source: std::io::Error) -> PortError {
    let advice = if source.kind() == std::io::ErrorKind::AddrInUse {
        format!(
            "another program listens there (`ss -ltnp 'sport = :{}'` names it), perhaps a `surestep route serve` of another configuration: end it, or change route.listen",
            address.port()
        )
    } else {
        "change route.listen to an address of this machine that this user may listen on".to_owned()
    };
    failed(format!("the route cannot listen on {address}, which is route.listen"), advice, source)
}

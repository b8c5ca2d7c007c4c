//! Ports and readiness.

use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// How long one readiness request may take.
const READY_REQUEST: Duration = Duration::from_secs(2);

/// Returns a port of loopback that was free a moment ago. It lies below those that the system gives to outgoing connections: one of
/// these might take it in the meantime.
pub fn free_port() -> u16 {
    const FIRST: u64 = 10_000;
    const N_PORTS: u64 = 22_000;
    loop {
        let number = std::hash::RandomState::new().build_hasher().finish() % N_PORTS + FIRST;
        if let Ok(port) = u16::try_from(number)
            && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        {
            return port;
        }
    }
}

/// Returns whether a GET is answered with status 200.
pub(crate) fn answers_ok(port: u16, path: &str) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let asked = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, READY_REQUEST)?;
        stream.set_read_timeout(Some(READY_REQUEST))?;
        write!(stream, "GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(head.ends_with(b" 200"))
    };
    // Not there yet and not answering yet are the same to whoever waits.
    asked().unwrap_or(false)
}

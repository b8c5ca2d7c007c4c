//! What the first certificate for a host costs: handshakes with names that the tap has not met, beside further ones with the same names.

use std::net::SocketAddr;
use std::time::Duration;

use crate::peers::{Kind, Peer};
use crate::{runtime, settle};

/// Names.
const NAMES: usize = 500;

/// Measures and prints.
pub(crate) fn measure(provider: SocketAddr) {
    let peer = Peer::start(Kind::TapForward, provider).unwrap();
    settle();
    let (mut first, mut again) = (Vec::new(), Vec::new());
    runtime().block_on(async {
        for n in 0..NAMES {
            let host = format!("h{n}.example.test");
            first.push(peer.handshake(&host).await);
            again.push(peer.handshake(&host).await);
        }
    });
    println!("TLS handshakes through the tap, {NAMES} names, one after the other; µs");
    println!("| certificate | the very first | median | 99 of 100 below | longest |");
    println!("|---|---|---|---|---|");
    for (name, times) in [("made for it", &mut first), ("known", &mut again)] {
        let very_first = times[0].as_micros();
        times.sort_unstable();
        let at = |part: usize| Duration::as_micros(&times[(NAMES - 1) * part / 100]);
        println!("| {name} | {very_first} | {} | {} | {} |", at(50), at(99), at(100));
    }
    println!();
}

//! Frames of HTTP/2, written by hand, as no library makes those of a hostile peer.

use drill::ports::TapPort as _;
use judge::{End, Stimulus};
use tap::ListeningPort;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use super::streams::{Streams, chat, read};
use super::{Raw, address, collect, open_alone, shared_ask, soon};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
/// A kind that no document names.
pub const UNKNOWN: u8 = 0xfa;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const PROTOCOL_ERROR: u32 = 1;
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// `:method: POST`, `:scheme: https`, `:path: /v1/x` and `:authority: a`, by the static table and as literals.
pub const HEAD: &[u8] = b"\x83\x87\x04\x05/v1/x\x01\x01a";

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A field that no table is to remember.
pub fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0x10, u8::try_from(name.len()).unwrap()];
    field.extend(name.bytes());
    field.push(u8::try_from(value.len()).unwrap());
    field.extend(value.bytes());
    field
}

/// A peer that writes its frames itself.
pub async fn hostile(port: &ListeningPort) -> Raw {
    let mut raw = Raw::connect(address(port)).await;
    raw.send_bytes(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await;
    raw
}

/// Reads frames until one of these kinds comes. Returns its kind and payload.
pub async fn until<S: AsyncRead + AsyncWrite + Unpin>(
    raw: &mut Raw<S>,
    kinds: &[u8],
) -> (u8, Vec<u8>) {
    loop {
        let mut head = [0; 9];
        soon("a frame", raw.stream.read_exact(&mut head)).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        soon("its payload", raw.stream.read_exact(&mut payload)).await.unwrap();
        if kinds.contains(&head[3]) {
            return (head[3], payload);
        }
    }
}

/// Does something to a port while a neighbour has an ask there, which must not notice.
pub async fn beside_a_neighbour(harm: impl AsyncFnOnce(&ListeningPort)) {
    let port = open_alone().await;
    port.arm(shared_ask(1, Stimulus::Documented));
    let mut neighbour = Streams::connect(address(&port)).await;
    assert_eq!(read(neighbour.call(chat(1)).await.into_body()).await.reason, None);
    harm(&port).await;
    assert_eq!(read(neighbour.call(chat(1)).await.into_body()).await.reason, None);
    let seen = collect(&port, 1).await;
    assert!(seen.exchanges.iter().all(|seen| seen.release_end == End::Complete), "{seen:#?}");
    assert_eq!((seen.exchanges.len(), seen.lost), (2, 0));
}

//! Serves each case on loopback, at a path of its own: `/CLIENT/HOW/CASE/v1/...`.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use contract::{BodyEnd, Mode};

use super::Case;
use crate::build::{self, Reply};

/// Where a redirect leads: another page, as the row's own address would.
const LANDING: &str = "/landing";
/// Where a redirect that keeps the method leads: the same answer, elsewhere.
const MOVED: &str = "/moved";
/// Bytes of a stream that are sent in one piece: not a power of two, so that events and characters are cut anywhere.
const PIECE_BYTES: usize = 37;

/// A reply, and whether its connection is then left open in the middle of the body.
struct Served {
    reply: Reply,
    stays_open: bool,
}

/// How many requests came, by path.
type Counts = Arc<Mutex<HashMap<String, u32>>>;

/// The running server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    counts: Counts,
}

impl Server {
    /// Starts to serve; it ends with the test's process.
    pub(super) fn start(cases: &[Case]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serve_as =
            |case: &Case| Served { reply: case.row.reply.clone(), stays_open: case.stays_open };
        let replies: Arc<HashMap<String, Served>> =
            Arc::new(cases.iter().map(|case| (case.id.clone(), serve_as(case))).collect());
        let counts = Counts::default();
        let counted = Arc::clone(&counts);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (replies, counts) = (Arc::clone(&replies), Arc::clone(&counted));
                // A client that leaves early is none of the server's affair.
                std::thread::spawn(move || serve(stream.ok()?, &replies, &counts).ok());
            }
        });
        Self { address, counts }
    }

    /// Returns how many requests a client made for a case.
    pub(super) fn requests(&self, client: &str, how: &str, case: &str) -> u32 {
        let key = format!("{client}/{how}/{case}");
        self.counts.lock().unwrap().get(&key).copied().unwrap_or_default()
    }
}

/// Answers one request after the other, until a reply ends the connection or the client has left.
fn serve(
    stream: TcpStream,
    replies: &HashMap<String, Served>,
    counts: &Counts,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let path = read_request(&mut reader)?;
        let stream = reader.get_mut();
        if path == LANDING {
            send(stream, &build::unary("<html>Hi</html>").header("content-type", "text/html"))?;
            continue;
        }
        if path == MOVED {
            send(stream, &build::chat(|_| {}))?;
            continue;
        }
        let key = path.trim_start_matches('/').split("/v1").next().unwrap_or_default().to_owned();
        let served = &replies[key.rsplit('/').next().unwrap_or_default()];
        *counts.lock().unwrap().entry(key).or_default() += 1;
        send(stream, &served.reply)?;
        if served.stays_open {
            // Until the client gives up, or its process ends.
            return stream.read_to_end(&mut Vec::new()).map(drop);
        }
        let closes = ("connection".to_owned(), "close".to_owned());
        if served.reply.end == BodyEnd::Cut || served.reply.headers.contains(&closes) {
            return Ok(());
        }
    }
}

/// Reads a whole request, and returns its path.
fn read_request(reader: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut path = String::new();
    let mut body_bytes = 0;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        let lower = line.to_ascii_lowercase();
        if let Some(length) = lower.strip_prefix("content-length:") {
            body_bytes = length.trim().parse().unwrap();
        } else if path.is_empty() {
            path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        }
        line.clear();
    }
    if path.is_empty() {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let mut body = vec![0; body_bytes];
    reader.read_exact(&mut body)?;
    Ok(path)
}

fn send(stream: &mut TcpStream, reply: &Reply) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Status\r\n", reply.status);
    for (name, value) in &reply.headers {
        // The rows lead to public addresses, which no test may call.
        let local = if reply.status == 307 { MOVED } else { LANDING };
        let value = if name == "location" { local } else { value };
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if reply.status == 204 {
        return stream.write_all(format!("{head}\r\n").as_bytes());
    }
    if reply.mode == Mode::Unary {
        let missing = if reply.end == BodyEnd::Cut { 64 } else { 0 };
        head.push_str(&format!("content-length: {}\r\n\r\n", reply.body.len() + missing));
        stream.write_all(head.as_bytes())?;
        return stream.write_all(&reply.body);
    }
    stream.write_all(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes())?;
    for piece in reply.body.chunks(PIECE_BYTES) {
        let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        stream.write_all(&chunk)?;
    }
    if reply.end == BodyEnd::Complete {
        stream.write_all(b"0\r\n\r\n")?;
    }
    Ok(())
}

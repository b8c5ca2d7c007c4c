//! The data plane: who serves, what passes unchanged, what is said when a backend is missing.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use route::{Backends, Percent, Router};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{World, both, pair, soon};

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn percent(number: u8) -> Percent {
    Percent::try_from(number).unwrap()
}

/// A router in front of one backend that the test plays by hand.
async fn by_hand() -> (Router, TcpListener) {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let router = Router::bind(loopback()).await.unwrap();
    let rollback = Some(listener.local_addr().unwrap());
    router.set(Backends { new: None, rollback }, Percent::ROLLBACK);
    (router, listener)
}

/// Reads until what was read ends with `end`.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(end.as_bytes()) {
        let byte = soon(stream.read_u8()).await;
        seen.push(
            byte.unwrap_or_else(|e| panic!("{e} after {:?}", String::from_utf8_lossy(&seen))),
        );
    }
    String::from_utf8(seen).unwrap()
}

#[tokio::test]
async fn the_share_is_exact_and_the_first_request_goes_to_new() {
    let world = World::new();
    let router = Router::bind(loopback()).await.unwrap();
    let backends = both(pair("new", "rollback").await);
    for share in [5, 50, 100, 0, 1] {
        router.set(backends, percent(share));
        let mut served = Vec::new();
        for _ in 0..100 {
            served.push(world.who(router.address()).await);
        }
        let by_new = served.iter().filter(|name| *name == "new").count();
        assert_eq!(by_new, usize::from(share));
        assert_eq!(served[0] == "new", share > 0, "first request at {share} percent");
        let (_, _, counted) = router.live();
        assert_eq!((counted.new, counted.rollback), (u64::from(share), 100 - u64::from(share)));
    }
}

#[tokio::test]
async fn the_head_passes_with_host_kept_and_the_user_named() {
    let world = World::new();
    let router = Router::bind(loopback()).await.unwrap();
    router.set(both(pair("new", "rollback").await), percent(100));
    let request = Request::put(format!("http://{}/a/b%20c?q=1&r=%2F", router.address()))
        .header("host", "support.example")
        .header("x-forwarded-for", "203.0.113.9")
        .header("connection", "x-private")
        .header("x-private", "for the router only")
        .header("x-custom", "kept");
    let (status, said) = world.send(request.body(Full::from("12345")).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(said["method"], "PUT");
    assert_eq!(said["path"], "/a/b%20c?q=1&r=%2F");
    assert_eq!(said["bytes"], 5);
    let headers = said["headers"].to_string();
    for expected in [
        r#"["host","support.example"]"#,
        r#"["x-forwarded-for","203.0.113.9"],["x-forwarded-for","127.0.0.1"]"#,
        r#"["x-forwarded-host","support.example"]"#,
        r#"["x-forwarded-proto","http"]"#,
        r#"["x-custom","kept"]"#,
    ] {
        assert!(headers.contains(expected), "{expected} is not in {headers}");
    }
    assert!(!headers.contains("x-private"), "{headers}");
}

#[tokio::test]
async fn a_missing_or_dead_backend_is_named_and_never_replaced_by_the_other() {
    let world = World::new();
    let router = Router::bind(loopback()).await.unwrap();
    let (_, rollback) = pair("new", "rollback").await;
    router.set(Backends { new: None, rollback: Some(rollback) }, percent(100));
    let (status, _) = world.get(router.address()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.who(router.address()).await, "backend_missing:new");

    let closed = TcpListener::bind(loopback()).await.unwrap().local_addr().unwrap();
    router.set(Backends { new: Some(closed), rollback: Some(rollback) }, percent(100));
    let (status, _) = world.get(router.address()).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert_eq!(world.who(router.address()).await, "backend_unreachable:new");
}

#[tokio::test]
async fn a_stream_is_not_buffered_in_either_direction() {
    let (router, backend) = by_hand().await;
    let mut user = TcpStream::connect(router.address()).await.unwrap();
    let head = "POST /s HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n";
    user.write_all(head.as_bytes()).await.unwrap();
    let (mut backend, _) = soon(backend.accept()).await.unwrap();
    read_until(&mut backend, "\r\n\r\n").await;
    for part in ["one", "two"] {
        user.write_all(format!("3\r\n{part}\r\n").as_bytes()).await.unwrap();
        assert_eq!(read_until(&mut backend, part).await, format!("3\r\n{part}"));
        read_until(&mut backend, "\r\n").await;
    }
    user.write_all(b"0\r\n\r\n").await.unwrap();
    read_until(&mut backend, "0\r\n\r\n").await;

    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    backend.write_all(head.as_bytes()).await.unwrap();
    read_until(&mut user, "\r\n\r\n").await;
    // The second chunk is only sent after the first one has arrived.
    for part in ["data: 1\n\n", "data: 2\n\n"] {
        backend.write_all(format!("9\r\n{part}\r\n").as_bytes()).await.unwrap();
        assert_eq!(read_until(&mut user, part).await, format!("9\r\n{part}"));
        read_until(&mut user, "\r\n").await;
    }
}

#[tokio::test]
async fn a_response_that_breaks_off_does_not_look_whole() {
    let (router, backend) = by_hand().await;
    let mut user = TcpStream::connect(router.address()).await.unwrap();
    user.write_all(b"GET /s HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    let (mut stream, _) = soon(backend.accept()).await.unwrap();
    read_until(&mut stream, "\r\n\r\n").await;
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        .await
        .unwrap();
    read_until(&mut user, "one\r\n").await;
    drop(stream);
    let mut rest = Vec::new();
    // Closed or reset; what must not come is the last chunk, which would make it whole.
    soon(user.read_to_end(&mut rest)).await.ok();
    assert_eq!(String::from_utf8_lossy(&rest), "");
}

#[tokio::test]
async fn a_user_who_leaves_closes_the_backends_connection() {
    let (router, backend) = by_hand().await;
    let mut user = TcpStream::connect(router.address()).await.unwrap();
    user.write_all(b"GET /s HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    let (mut backend, _) = soon(backend.accept()).await.unwrap();
    read_until(&mut backend, "\r\n\r\n").await;
    drop(user);
    let mut rest = Vec::new();
    soon(backend.read_to_end(&mut rest)).await.ok();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn an_upgraded_connection_is_a_tunnel() {
    let (router, backend) = by_hand().await;
    let mut user = TcpStream::connect(router.address()).await.unwrap();
    let head = "GET /ws HTTP/1.1\r\nhost: h\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
    user.write_all(head.as_bytes()).await.unwrap();
    let (mut backend, _) = soon(backend.accept()).await.unwrap();
    let asked = read_until(&mut backend, "\r\n\r\n").await;
    assert!(asked.contains("upgrade: websocket\r\n"), "{asked}");
    let head =
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
    backend.write_all(head.as_bytes()).await.unwrap();
    read_until(&mut user, "\r\n\r\n").await;
    user.write_all(b"ping").await.unwrap();
    assert_eq!(read_until(&mut backend, "ping").await, "ping");
    backend.write_all(b"pong").await.unwrap();
    assert_eq!(read_until(&mut user, "pong").await, "pong");
}

/// Bodies of 256 MB each way must not stand in memory: the whole process stays far below one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn big_bodies_take_constant_memory() {
    const CHUNK: usize = 64 * 1024;
    const CHUNKS: usize = 4096;
    let (router, backend) = by_hand().await;
    let sink = tokio::spawn(async move {
        let (mut stream, _) = backend.accept().await.unwrap();
        read_until(&mut stream, "\r\n\r\n").await;
        let (mut buffer, mut left) = (vec![0; CHUNK], CHUNK * CHUNKS);
        while left > 0 {
            left -= stream.read(&mut buffer).await.unwrap();
        }
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", CHUNK * CHUNKS);
        stream.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..CHUNKS {
            stream.write_all(&buffer).await.unwrap();
        }
    });
    let mut user = TcpStream::connect(router.address()).await.unwrap();
    let head = format!("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n", CHUNK * CHUNKS);
    user.write_all(head.as_bytes()).await.unwrap();
    let before = resident_kib();
    let chunk = Bytes::from(vec![0; CHUNK]);
    for _ in 0..CHUNKS {
        soon(user.write_all(&chunk)).await.unwrap();
    }
    read_until(&mut user, "\r\n\r\n").await;
    let (mut buffer, mut left) = (vec![0; CHUNK], CHUNK * CHUNKS);
    while left > 0 {
        left -= soon(user.read(&mut buffer)).await.unwrap();
    }
    soon(sink).await.unwrap();
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "memory grew by {grown} KiB");
}

/// Returns the most memory that this process ever had, in KiB; 0 where the system does not tell.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

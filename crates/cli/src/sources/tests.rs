//! Sources as real servers, proxies and folders give them.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::{TlsAcceptor, rustls};

use super::*;

/// Nothing here is slow but what never ends.
const PATIENCE: Duration = Duration::from_secs(60);

fn sources(proxy: Option<&str>, ca: Option<&Path>, environment: &Environment) -> Sources {
    Sources {
        base: PathBuf::from("/nonexistent"),
        client: client(proxy, ca, environment),
        within: PATIENCE,
    }
}

fn plain_sources() -> Sources {
    sources(None, None, &Environment::default())
}

/// A page with enough text to be one.
fn page(nonce: &str, text: &str) -> String {
    let sentence = "A chat completion takes messages and returns a choice for each of them. ";
    format!(
        "<!doctype html><html><head><title>{nonce}</title><style>.{nonce}{{}}</style></head>\
         <body class=\"{nonce}\"><nav>{nonce} pages</nav><script nonce=\"{nonce}\">let a = \"</div>{nonce}\";</script>\
         <main data-build=\"{nonce}\"><h1>Chat\u{200b}</h1><!-- {nonce} --><p>Updated <time>{nonce}</time></p>\
         <p>{}</p><p>{text}</p><form><input value=\"{nonce}\"><button>{nonce}</button></form></main>\
         <footer>{nonce}</footer></body></html>",
        sentence.repeat(4)
    )
}

/// Answers one request by its path.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut request = Vec::new();
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        let is_over = stream.read_buf(&mut request).await.unwrap_or(0) == 0;
        // This speaks no TLS, whose first byte that is.
        if is_over || request.first() == Some(&0x16) {
            return;
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let target = request.split_whitespace().nth(1).unwrap_or("/").to_owned();
    let path = target.strip_prefix("http://docs.example").unwrap_or(&target);
    let reply = |status: &str, headers: &str, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
    };
    let html = "content-type: text/html; charset=utf-8\r\n";
    let reply = match path {
        "/one" => reply("200 OK", html, &page("a1", "n is at most 4")),
        "/noise" => reply("200 OK", html, &page("b2", "n  is at\n most <b>4</b>")),
        "/changed" => reply("200 OK", html, &page("a1", "n is at most 8")),
        "/shell" => reply(
            "200 OK",
            html,
            "<html><body><div id=app></div><noscript>Enable it</noscript></body></html>",
        ),
        "/unix" => reply("200 OK", "content-type: text/markdown\r\n", "# Chat\n\nn: 4\n"),
        "/dos" => reply("200 OK", "", "\u{feff}# Chat\r\n\r\nn: 4\r\n"),
        "/markdown" => reply("200 OK", "", "# Chat\n\nn: 8\n"),
        "/empty" => reply("200 OK", "", ""),
        "/moved" => reply("302 Found", "location: /unix\r\n", ""),
        "/loop" => reply("302 Found", "location: /loop\r\n", ""),
        "/nowhere" => reply("302 Found", "location: /missing\r\n", ""),
        "/missing" => reply("404 Not Found", html, &page("c3", "no such page")),
        "/gone" => reply("410 Gone", "", ""),
        "/broken" => reply("500 Internal Server Error", html, &page("d4", "oops")),
        "/forbidden" => reply("403 Forbidden", html, &page("d4", "are you human?")),
        "/cut" => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n# Chat".to_owned(),
        "/silent" => {
            // Until the reader has had enough.
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.ok();
            return;
        }
        "/huge" => {
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while sent.is_ok() {
                sent = stream.write_all(&[b'x'; 64 * 1024]).await;
            }
            return;
        }
        _ => reply("400 Bad Request", "", ""),
    };
    // A reader that has left early has what it came for.
    stream.write_all(reply.as_bytes()).await.ok();
    stream.shutdown().await.ok();
}

async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    address
}

async fn digest_of(sources: &Sources, source: &str) -> SourceDigest {
    match sources.read(source).await {
        Sighting::Content { digest } => digest,
        other => panic!("{source}: {other:?}"),
    }
}

#[tokio::test]
async fn noise_makes_no_difference_and_a_word_does() {
    let (sources, at) = (plain_sources(), serve().await);
    let digest = async |path: &str| digest_of(&sources, &format!("http://{at}{path}")).await;
    let one = digest("/one").await;
    assert_eq!(digest("/one").await, one);
    assert_eq!(digest("/noise").await, one);
    assert_ne!(digest("/changed").await, one);
    let unix = digest("/unix").await;
    assert_eq!(digest("/dos").await, unix);
    assert_eq!(digest("/moved").await, unix);
    assert_ne!(digest("/markdown").await, unix);
    // As `sha256sum` prints it for a file with plain line ends.
    let expected = Sha256::digest(b"# Chat\n\nn: 4\n").into();
    assert_eq!(unix, SourceDigest::of_sha256(&expected));
}

#[tokio::test]
async fn what_gives_no_content_says_why() {
    let at = serve().await;
    let mut sources = plain_sources();
    for (path, expected) in [
        ("/missing", "gone: status 404"),
        ("/nowhere", "gone: status 404"),
        ("/gone", "gone: status 410"),
        ("/broken", "status 500"),
        ("/forbidden", "status 403"),
        ("/shell", "no text without a browser"),
        ("/empty", "it is empty"),
        ("/loop", "it redirects too often"),
        ("/huge", "larger than 8388608 bytes"),
        ("/cut", "end of file before message"),
    ] {
        check(&sources, &format!("http://{at}{path}"), expected).await;
    }
    // A server that speaks no TLS.
    check(&sources, &format!("https://{at}/one"), "client error (Connect)").await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = closed.local_addr().unwrap();
    drop(closed);
    check(&sources, &format!("http://{free}/one"), "Connection refused").await;
    check(&sources, "http://[half/one", "").await;
    sources.within = Duration::from_millis(50);
    check(&sources, &format!("http://{at}/silent"), "it took longer than 50ms").await;
}

async fn check(sources: &Sources, source: &str, expected: &str) {
    let seen = match sources.read(source).await {
        Sighting::Content { digest } => format!("content: {digest}"),
        Sighting::Gone { how } => format!("gone: {how}"),
        Sighting::Unreadable { why } => why,
    };
    assert!(!seen.starts_with("content"), "{source} was read: {seen}");
    assert!(seen.contains(expected), "{expected:?} is not in {seen:?}");
    assert!(!seen.contains("127.0.0.1"), "the address is repeated: {seen}");
}

#[tokio::test]
async fn certificate_must_be_trusted() {
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let source = format!("https://{}/unix", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer(stream).await;
                }
            });
        }
    });
    check(&plain_sources(), &source, "certificate").await;
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, leaf.pem()).unwrap();
    let trusting = sources(None, Some(&ca), &Environment::default());
    digest_of(&trusting, &source).await;
    std::fs::write(&ca, "no certificate").unwrap();
    check(
        &sources(None, Some(&folder.path().join("none")), &Environment::default()),
        &source,
        "`provider.ca`",
    )
    .await;
}

#[tokio::test]
async fn pages_are_read_through_the_proxy() {
    let proxy = format!("http://{}", serve().await);
    // Nobody resolves this name: only the proxy can answer for it.
    let source = "http://docs.example/unix";
    let none = Environment::default();
    digest_of(&sources(Some(&proxy), None, &none), source).await;
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let environment = Environment::from_iter([(name, proxy.as_str())]);
        digest_of(&sources(None, None, &environment), source).await;
    }
    // The provider's comes first, and no proxy of https is used for http.
    let broken = Environment::from_iter([("HTTP_PROXY", "http://user:hunter2hunter2@ : 1")]);
    digest_of(&sources(Some(&proxy), None, &broken), source).await;
    let Sighting::Unreadable { why } = sources(None, None, &broken).read(source).await else {
        panic!("a proxy without an address was used");
    };
    assert_eq!(why, "HTTP_PROXY is not a proxy's URL");
    let direct = format!("http://{}/unix", serve().await);
    let nowhere = [("HTTP_PROXY", "http://127.0.0.1:9"), ("NO_PROXY", "127.0.0.1")];
    digest_of(&sources(None, None, &Environment::from_iter(nowhere)), &direct).await;
}

#[tokio::test]
async fn files_lie_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources { base: folder.path().to_owned(), ..plain_sources() };
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let absolute = write("contract.md", "n: 4\n");
    let one = digest_of(&sources, "contract.md").await;
    for same in [
        absolute.clone(),
        format!("file:{absolute}"),
        format!("file://{absolute}"),
        "file:contract.md".to_owned(),
    ] {
        assert_eq!(digest_of(&sources, &same).await, one);
    }
    write("contract.md", "n: 8\n");
    assert_ne!(digest_of(&sources, "contract.md").await, one);
    write("page", &page("a1", "n is at most 4"));
    write("page.html", page("b2", "n is at most 4").trim_start_matches("<!doctype html><html>"));
    assert_eq!(digest_of(&sources, "page").await, digest_of(&sources, "page.html").await);
    for (source, expected) in [
        ("none.md", "gone: there is no such file"),
        (".", "cannot be read"),
        ("", "cannot be read"),
    ] {
        check(&sources, source, expected).await;
    }
}

#[tokio::test]
async fn example_notes_what_it_reviewed() {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let configuration = std::fs::read_to_string(base.join("surestep.yaml")).unwrap();
    let sources = Sources { base, ..plain_sources() };
    let digest = digest_of(&sources, "contract.md").await;
    assert!(configuration.contains(digest.as_str()), "examples/contract.md is now {digest}");
}

#[test]
fn text_of_the_main_part_counts() {
    let filler = "word ".repeat(60);
    let text = |body: &str| text::visible(format!("<html><body>{body}</body></html>").as_bytes());
    let main = text(&format!("around <main>{filler}</main> around"));
    assert_eq!(main, "word".repeat(60));
    assert_eq!(text(&format!("around <article>{filler}</article>")), main);
    // A main part that is a mere frame is none.
    assert!(text(&format!("<main>Chat</main> {filler}")).starts_with("Chatword"));
    assert_eq!(text("a <nav>b <nav>c</nav> d</nav> e &amp; <svg/>f"), "ae&f");
    assert_eq!(text("a <script>if (b < c) { d = '<main>' }</script> e"), "ae");
    // What is left out and never closed is left out to the end: then there is no text, which is said.
    assert_eq!(text("<nav>all"), "");
}

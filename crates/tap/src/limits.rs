//! Every limit of the tap, with the reason for its value.

use std::time::Duration;

/// Request bodies of asks are read whole up to this size. A smoke prompt has about a kilobyte; a service may send a long
/// system prompt or an image with it.
pub(crate) const REQUEST_BODY_MAX: usize = 16 * 1024 * 1024;

/// Head of a request or a response. Providers stop at 8 to 32 KiB.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The same for HTTP/2, which counts 32 bytes more for each field.
pub(crate) const HEAD_LIST_MAX: u32 = 64 * 1024;

/// Fields of a head. Providers and their edges send some twenty.
pub(crate) const HEADERS_MAX: usize = 100;

/// Longest time from the first byte of a request's head to its last; nginx waits a minute, hyper half of one.
pub(crate) const HEAD_READ_MAX: Duration = Duration::from_secs(30);

/// What is read at once. It is the size of one buffer for all connections of a thread.
pub(crate) const READ_MAX: usize = 32 * 1024;

/// What is buffered of one body in one direction: enough for two socket reads, so that a slow reader holds little.
pub(crate) const BODY_BUFFER_MAX: usize = 2 * READ_MAX;

/// Chunk extensions of one body, and whatever else stands between its data. Nobody sends any.
pub(crate) const CHUNK_EXTENSIONS_MAX: usize = 16 * 1024;

/// Trailers of one body. Those that are known are a checksum and a status.
pub(crate) const TRAILER_BYTES_MAX: usize = 16 * 1024;

/// What is read of a request's body that nobody wants, so that the connection can be kept. Beyond that it is cheaper to close it.
pub(crate) const DISCARD_MAX: usize = 64 * 1024;

/// Longest time that a connection is read from after its last reply, so that a client that is still sending gets to read it.
pub(crate) const LINGER_MAX: Duration = Duration::from_secs(5);

/// Interim responses before one reply. A server that sends more has nothing to say.
pub(crate) const INTERIMS_MAX: usize = 16;

/// Open connections of one port. A release under probe has a handful; the rest is room for user traffic through the route, and
/// for the 10,000 streams at a time that the tap is meant to carry.
pub(crate) const CONNECTIONS_MAX: usize = 16 * 1024;

/// Exchanges of one ask that are written down. A hot loop is stopped long before; what comes after is counted as lost.
pub(crate) const EXCHANGES_MAX: usize = 1024;

/// Exchanges of a stopped hot loop that are written down, so that the report shows that it was stopped and that it went on.
pub(crate) const STOPPED_MAX: u32 = 4;

/// Different markers looked at in one body. A body that quotes more than these is no ask of ours.
pub(crate) const MARKERS_MAX: usize = 16;

/// Markers of finished asks that are remembered, so that a late retry never reaches the provider as user traffic.
pub(crate) const RETIRED_MAX: usize = 4096;

/// Longest time that the tap holds anything by itself. Stock SDKs give up after ten minutes.
pub(crate) const HELD_MAX: Duration = Duration::from_mins(10);

/// Longest wait for a provider's status line; the same ten minutes, as reasoning models are slow.
pub(crate) const HEAD_WAIT_MAX: Duration = Duration::from_mins(10);

/// Longest wait for a TCP connection, an egress proxy's answer and the TLS handshake, each.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Idle connections to a provider are not used again after this long: Node's servers close theirs after five seconds, and a
/// request that meets that close could not be told from a provider's fault.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(4);

/// Longest time between a request and the end of its connection that may have been under way before the request: the way there and
/// back. Later, somebody has had the request and left.
pub(crate) const CROSSING_MAX: Duration = Duration::from_secs(1);

/// What is kept of a request's body as it passes, so that it can be sent once more where its connection went away idle. It is as much
/// as is buffered of a body; those of probes are kept whole.
pub(crate) const REPLAY_MAX: usize = BODY_BUFFER_MAX;

/// How long a head is waited for, on a connection of HTTP/2 that has served before, until the provider is asked whether it is there.
pub(crate) const HEAD_WAIT_UNASKED: Duration = Duration::from_secs(1);

/// Longest time that it may take to say so. Within it, TCP sends what was lost four times.
pub(crate) const PONG_MAX: Duration = Duration::from_secs(3);

/// Idle connections kept for one upstream: the concurrency of the benchmark twice over.
pub(crate) const IDLE_LINKS_MAX: usize = 128;

/// What a compressed body may decompress to for judging. A judge needs the beginning and the end; a bomb is not followed.
pub(crate) const DECODED_MAX: u64 = 64 * 1024 * 1024;

/// How long a tap that is ended waits for exchanges to end by themselves: for those whose last bytes are on their way.
pub(crate) const ENDING_GRACE: Duration = Duration::from_millis(250);

/// How long `collect` waits for exchanges that it has ended to report themselves.
pub(crate) const ENDING_MAX: Duration = Duration::from_secs(2);

/// Pause after a failed accept (no more file descriptors), so that it does not spin.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The kernel's queue of connections not yet accepted.
pub(crate) const BACKLOG: i32 = 1024;

/// Longest text that is kept of a path, a header value or a name.
pub(crate) const TEXT_MAX: usize = 256;

/// Request ids kept of one response.
pub(crate) const REQUEST_IDS_MAX: usize = 8;

/// Hosts for which certificates are kept: a release's provider has one, or a few when names are made up for each customer.
pub(crate) const LEAVES_MAX: usize = 64;

/// Longest time that a client may take to say which host it wants, and to agree on TLS.
pub(crate) const ENTER_MAX: Duration = Duration::from_secs(10);

/// What a client may send to say which host it wants: a line and a few headers.
pub(crate) const CONNECT_HEAD_MAX: usize = 16 * 1024;

/// Connections to other hosts that are noted at a time.
pub(crate) const TUNNELS_MAX: usize = 1024;

/// Streams at a time over one connection of HTTP/2, either way. Providers' edges take 100 to 250; a release beyond waits, or opens one
/// more connection.
pub(crate) const STREAMS_MAX: u32 = 100;

/// What a peer may send on a stream before it has been taken: as much as is buffered of a body of HTTP/1.
pub(crate) const STREAM_WINDOW: u32 = 64 * 1024;

/// The same for a connection: room for every stream, so that one that nobody reads does not hold up the others.
pub(crate) const CONNECTION_WINDOW: u32 = STREAMS_MAX * STREAM_WINDOW;

/// What the frames of unread data may cost beside the data, over a connection. An event of a stream is a frame of some 150 bytes, and
/// counts for about as much again.
pub(crate) const SMALL_FRAMES_MAX: usize = 2 * (STREAMS_MAX * STREAM_WINDOW) as usize;

/// Streams that a peer may have reset before the tap has seen them; whoever opens and resets streams in turn (CVE-2023-44487) is
/// there at once, and its connection is ended.
pub(crate) const UNSEEN_RESETS_MAX: usize = 20;

/// Streams that a connection is ended for, as its peer broke a rule on each of them.
pub(crate) const STREAM_ERRORS_MAX: usize = 256;

/// Streams that the tap has reset and still remembers, so that what is under way on them is no fault. A cut mid-body is one of them.
pub(crate) const RESETS_KEPT_MAX: usize = 100;

/// Times that a request is sent which the provider says it has not looked at: it takes its leave (GOAWAY), or has no room.
pub(crate) const UNPROCESSED_MAX: u32 = 3;

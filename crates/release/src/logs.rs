//! What a release has written to its log sources, by position.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use drill::ports::{LogPosition, Logged};
use drill::settings::LogSource;
use evidence::Sensitive;
use tokio::net::unix::pipe;

use crate::capture::{lock, push_bounded, read_available, read_to_end};
use crate::log_files::FileLog;
use crate::otlp::{Inbox, Receiver};

/// Kept of each log source: a chatty service writes some kilobytes for each ask, and a drill reads after every ask.
const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The log sources of a running release, in the order of its configuration.
#[derive(Debug, Default)]
pub(crate) struct LogSources(Vec<OpenSource>);

#[derive(Debug)]
enum OpenSource {
    Stdout,
    Stderr,
    File(FileLog),
    Otlp(Inbox),
}

/// What a process of ours writes to its outputs.
#[derive(Clone, Debug)]
pub(crate) struct OutputLogs {
    pub(crate) stdout: Arc<PipeLog>,
    pub(crate) stderr: Arc<PipeLog>,
}

impl LogSources {
    /// Opens the sources, files from their end: to be called before the release can write.
    pub(crate) fn open(sources: &[LogSource], receiver: Option<&Receiver>) -> Self {
        Self(
            sources
                .iter()
                .map(|source| match source {
                    LogSource::Stdout => OpenSource::Stdout,
                    LogSource::Stderr => OpenSource::Stderr,
                    LogSource::File(path) => OpenSource::File(FileLog::from_its_end(path.clone())),
                    LogSource::Otlp => {
                        OpenSource::Otlp(receiver.map(Receiver::inbox).unwrap_or_default())
                    }
                })
                .collect(),
        )
    }

    /// Returns what the sources got since a position. An instance that runs already has outputs, but not for us to read.
    pub(crate) fn since(&self, since: &LogPosition, outputs: Option<&OutputLogs>) -> Logged {
        let mut text = String::new();
        let mut ends = Vec::new();
        let mut cut = false;
        for (index, source) in self.0.iter().enumerate() {
            let position = since.0.get(index).copied().unwrap_or_default();
            let output =
                |log: Option<&Arc<PipeLog>>| log.map(|log| log.since(position)).unwrap_or_default();
            let (bytes, end) = match source {
                OpenSource::Stdout => output(outputs.map(|outputs| &outputs.stdout)),
                OpenSource::Stderr => output(outputs.map(|outputs| &outputs.stderr)),
                OpenSource::Otlp(inbox) => inbox.since(position),
                OpenSource::File(log) => {
                    let (bytes, end, is_cut) = log.since(position);
                    cut |= is_cut;
                    (bytes, end)
                }
            };
            cut |= is_cut(position, end, &bytes);
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&String::from_utf8_lossy(&bytes));
            ends.push(end);
        }
        Logged { text: Sensitive::new(text), end: LogPosition(ends), cut }
    }

    /// Returns what a process of ours wrote to those of its outputs that are none of the sources.
    pub(crate) fn beside(&self, outputs: &OutputLogs) -> Sensitive {
        let is_source = |wanted: fn(&OpenSource) -> bool| self.0.iter().any(wanted);
        let mut bytes = Vec::new();
        if !is_source(|source| matches!(source, OpenSource::Stdout)) {
            bytes.extend(outputs.stdout.since(0).0);
        }
        if !is_source(|source| matches!(source, OpenSource::Stderr)) {
            bytes.extend(outputs.stderr.since(0).0);
        }
        Sensitive::new(String::from_utf8_lossy(&bytes))
    }
}

/// Tells whether less is there than was written between two positions.
pub(crate) fn is_cut(start: u64, end: u64, bytes: &[u8]) -> bool {
    end.saturating_sub(start) > u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// The newest bytes of a stream, addressed by their position in the whole.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    bytes: VecDeque<u8>,
    start: u64,
}

impl Ring {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let dropped = push_bounded(&mut self.bytes, bytes, KEPT_BYTES_MAX);
        self.start += u64::try_from(dropped).unwrap_or(u64::MAX);
    }

    /// Tells whether the next bytes begin a line.
    pub(crate) fn ends_line(&self) -> bool {
        self.bytes.back().is_none_or(|byte| *byte == b'\n')
    }

    /// Returns what was written at and after `position`, as far as it is kept, and the position of the end.
    pub(crate) fn since(&self, position: u64) -> (Vec<u8>, u64) {
        let skipped = usize::try_from(position.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let end = self.start + u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
        (self.bytes.iter().skip(skipped).copied().collect(), end)
    }
}

/// A pipe that is read all the time.
#[derive(Debug)]
pub(crate) struct PipeLog {
    pipe: pipe::Receiver,
    ring: Mutex<Ring>,
}

impl PipeLog {
    pub(crate) fn new(pipe: pipe::Receiver) -> Self {
        Self { pipe, ring: Mutex::new(Ring::default()) }
    }

    /// Reads until the writers are gone.
    pub(crate) async fn keep_reading(&self) {
        read_to_end(&self.pipe, &self.ring, Ring::push).await;
    }

    /// Returns all that is kept as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.since(0).0).into_owned()
    }

    /// Returns all text since `position`: also what was written a moment ago and not yet read.
    pub(crate) fn since(&self, position: u64) -> (Vec<u8>, u64) {
        read_available(&self.pipe, &self.ring, Ring::push);
        lock(&self.ring).since(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_forgets_the_oldest() {
        let mut ring = Ring::default();
        ring.push(b"abc");
        assert_eq!(ring.since(1), (b"bc".to_vec(), 3));
        ring.push(&vec![b'x'; KEPT_BYTES_MAX]);
        let (bytes, end) = ring.since(0);
        assert_eq!((bytes.len(), bytes[0]), (KEPT_BYTES_MAX, b'x'));
        assert_eq!(ring.since(end), (Vec::new(), end));
    }
}

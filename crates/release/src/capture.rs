//! Keeps what a process writes, up to a limit, and reads on without keeping beyond it: a process must never block on us.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::{Mutex, PoisonError};

use tokio::net::unix::pipe;
use tokio::task::yield_now;

/// How much is read at once: a pipe's usual capacity.
const READ_BYTES: usize = 64 * 1024;

/// The beginning and the end of a text of any length.
#[derive(Debug)]
pub(crate) struct HeadAndTail {
    head: Vec<u8>,
    head_bytes_max: usize,
    tail: VecDeque<u8>,
    tail_bytes_max: usize,
    cut: bool,
}

impl HeadAndTail {
    pub(crate) fn new(head_bytes_max: usize, tail_bytes_max: usize) -> Self {
        Self { head: Vec::new(), head_bytes_max, tail: VecDeque::new(), tail_bytes_max, cut: false }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let room = self.head_bytes_max - self.head.len();
        let (to_head, to_tail) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(to_head);
        self.cut |= push_bounded(&mut self.tail, to_tail, self.tail_bytes_max) > 0;
    }

    /// Returns whether something in the middle is missing.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Returns the text, with invalid UTF-8 replaced; where it is cut the end starts on a line of its own.
    pub(crate) fn text(&self) -> String {
        let mut bytes = self.head.clone();
        if self.cut && !self.tail.is_empty() {
            bytes.push(b'\n');
        }
        let (first, second) = self.tail.as_slices();
        bytes.extend_from_slice(first);
        bytes.extend_from_slice(second);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Appends at the end and drops at the beginning; returns how many bytes were dropped.
pub(crate) fn push_bounded(kept: &mut VecDeque<u8>, bytes: &[u8], bytes_max: usize) -> usize {
    let newest = &bytes[bytes.len().saturating_sub(bytes_max)..];
    let excess = (kept.len() + newest.len()).saturating_sub(bytes_max);
    kept.drain(..excess);
    kept.extend(newest);
    excess + (bytes.len() - newest.len())
}

/// Locks what is shared with a reader task. A reader that panicked leaves bytes that are still good.
pub(crate) fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads until the end and hands each piece to `take`, which is called with `shared` locked. After each piece others have their turn:
/// a process that writes without pause must not keep the clocks from being looked at.
pub(crate) async fn read_to_end<T>(
    pipe: &pipe::Receiver,
    shared: &Mutex<T>,
    take: impl Fn(&mut T, &[u8]),
) {
    let mut buffer = vec![0; READ_BYTES];
    while pipe.readable().await.is_ok() && read_piece(pipe, shared, &mut buffer, &take) {
        yield_now().await;
    }
}

/// Reads what is there now; returns whether there may be more.
fn read_piece<T>(
    pipe: &pipe::Receiver,
    shared: &Mutex<T>,
    buffer: &mut [u8],
    take: impl Fn(&mut T, &[u8]),
) -> bool {
    let mut kept = lock(shared);
    match pipe.try_read(buffer) {
        Ok(0) => false,
        Ok(n_bytes) => {
            take(&mut kept, &buffer[..n_bytes]);
            true
        }
        // A broken pipe says no more than its end does.
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

/// Takes what has been written already, without waiting and without the runtime's help.
pub(crate) fn read_available<T>(
    pipe: &pipe::Receiver,
    shared: &Mutex<T>,
    take: impl Fn(&mut T, &[u8]),
) {
    /// Enough for a whole pipe; a process that writes without pause must not keep us here.
    const READS_MAX: u32 = 32;
    let mut buffer = vec![0; READ_BYTES];
    let mut kept = lock(shared);
    for _ in 0..READS_MAX {
        match rustix::io::read(pipe.as_fd(), &mut buffer) {
            Ok(n_bytes @ 1..) => take(&mut kept, &buffer[..n_bytes]),
            Err(rustix::io::Errno::INTR) => {}
            // Nothing there now, the end, or a broken pipe.
            Ok(_) | Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn beginning_and_end_are_kept() {
        let mut kept = HeadAndTail::new(3, 2);
        kept.push(b"ab");
        kept.push(b"cdefgh");
        assert!(kept.is_cut());
        assert_eq!(kept.text(), "abc\ngh");
    }

    #[test]
    fn what_fits_is_whole() {
        let mut kept = HeadAndTail::new(3, 2);
        kept.push(b"abcde");
        assert!(!kept.is_cut());
        assert_eq!(kept.text(), "abcde");
        kept.push(b"f");
        assert!(kept.is_cut());
    }

    #[test]
    fn dropped_bytes_are_counted() {
        let mut kept = VecDeque::from(*b"ab");
        assert_eq!(push_bounded(&mut kept, b"cdefg", 3), 4);
        assert_eq!(kept, *b"efg");
    }

    #[tokio::test]
    async fn a_flood_leaves_others_their_turn() {
        const PIECES_MAX: usize = 4096;
        let (sender, receiver) = pipe::pipe().unwrap();
        rustix::io::write(sender.as_fd(), b"y").unwrap();
        let n_pieces = AtomicUsize::new(0);
        let sender = Mutex::new(Some(sender));
        let refill = |n: &mut usize, _: &[u8]| {
            *n += 1;
            n_pieces.store(*n, Ordering::Relaxed);
            let mut sender = lock(&sender);
            if *n == PIECES_MAX {
                *sender = None;
            }
            if let Some(sender) = &*sender {
                rustix::io::write(sender.as_fd(), b"y").unwrap();
            }
        };
        let shared = Mutex::new(0);
        let beside = async {
            loop {
                match n_pieces.load(Ordering::Relaxed) {
                    0 => yield_now().await,
                    n_pieces => break n_pieces,
                }
            }
        };
        let ((), n_pieces_before) =
            tokio::join!(biased; read_to_end(&receiver, &shared, refill), beside);
        assert_eq!(*lock(&shared), PIECES_MAX);
        assert!(
            n_pieces_before < 8,
            "{n_pieces_before} pieces were read before anything else had its turn"
        );
    }
}

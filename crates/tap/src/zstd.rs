//! Undoes zstd (RFC 8878) as it comes, a block at a time, so that no more is held than a window and a block: a body of a few kilobytes may
//! stand for gigabytes.

use std::io::{self, Write};

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// The largest window that HTTP allows for (RFC 9659).
const WINDOW_MAX: u64 = 8 * 1024 * 1024;

/// The longest head of a frame.
const HEAD_MAX: usize = 18;

/// Where a frame's head says whether a checksum stands at its end.
const DESCRIPTOR: usize = 4;
const HAS_CHECKSUM: u8 = 1 << 2;
const CHECKSUM_BYTES: usize = 4;

/// The head of a block.
const BLOCK_HEAD: usize = 3;

/// The kind of a block that stands for one byte many times.
const REPEATED: u32 = 1;

/// One frame on its way.
pub(crate) struct Zstd {
    frame: FrameDecoder,
    unread: Vec<u8>,
    /// What stands behind the last block; unknown until the frame's head has come.
    checksum_bytes: Option<usize>,
}

impl Zstd {
    pub(crate) fn new() -> Self {
        let mut frame = FrameDecoder::new();
        frame.set_max_window_size(WINDOW_MAX);
        Self { frame, unread: Vec::new(), checksum_bytes: None }
    }

    /// Takes some of the body, and passes on what it stands for.
    pub(crate) fn push(&mut self, bytes: &[u8], to: &mut impl Write) -> io::Result<()> {
        self.unread.extend_from_slice(bytes);
        let checksum_bytes = match self.checksum_bytes {
            Some(known) => known,
            None => {
                let mut source = self.unread.as_slice();
                match self.frame.init(&mut source) {
                    Ok(()) => {}
                    Err(_short) if self.unread.len() < HEAD_MAX => return Ok(()),
                    Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
                }
                let n_used = self.unread.len() - source.len();
                let has_checksum =
                    self.unread.get(DESCRIPTOR).is_some_and(|head| head & HAS_CHECKSUM != 0);
                self.unread.drain(..n_used);
                let known = if has_checksum { CHECKSUM_BYTES } else { 0 };
                *self.checksum_bytes.insert(known)
            }
        };
        let mut n_used = 0;
        while !self.frame.is_finished() {
            let rest = self.unread.get(n_used..).unwrap_or_default();
            let Some(mut block) = next_block(rest, checksum_bytes) else { break };
            n_used += block.len();
            self.frame
                .decode_blocks(&mut block, BlockDecodingStrategy::UptoBlocks(1))
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            self.frame.collect_to_writer(&mut *to)?;
        }
        self.unread.drain(..n_used);
        if self.frame.is_finished() && !self.unread.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "more than one frame"));
        }
        Ok(())
    }

    /// Fails unless the body was whole.
    pub(crate) fn finish(&self) -> io::Result<()> {
        if self.checksum_bytes.is_some() && self.frame.is_finished() {
            return Ok(());
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// Returns the next block if all of it is there, with the checksum if it is the last one.
fn next_block(rest: &[u8], checksum_bytes: usize) -> Option<&[u8]> {
    let [first, second, third, ..] = *rest else { return None };
    let head = u32::from_le_bytes([first, second, third, 0]);
    let size = if (head >> 1) & 3 == REPEATED { 1 } else { head >> 3 };
    let behind = if head & 1 == 1 { checksum_bytes } else { 0 };
    rest.get(..BLOCK_HEAD + usize::try_from(size).ok()? + behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `hello hello hello …`, by the tool `zstd`, with a checksum.
    const HELLO: &[u8] = b"\x28\xb5\x2f\xfd\x04\x68\x75\x00\x00\x30\x68\x65\x6c\x6c\x6f\x20\x01\x00\x67\x97\xbe\x14\x01\x06\x03\xf5\xbb";

    fn hello() -> Vec<u8> {
        b"hello ".repeat(1000)
    }

    #[test]
    fn frame_is_undone_however_it_comes() {
        for size in [1, 2, 7, HELLO.len()] {
            let (mut zstd, mut came) = (Zstd::new(), Vec::new());
            for piece in HELLO.chunks(size) {
                zstd.push(piece, &mut came).unwrap();
            }
            zstd.finish().unwrap();
            assert_eq!(came, hello(), "in pieces of {size}");
        }
    }

    #[test]
    fn frame_that_is_cut_damaged_or_followed_is_not_whole() {
        for end in 0..HELLO.len() {
            let mut zstd = Zstd::new();
            drop(zstd.push(&HELLO[..end], &mut Vec::new()));
            assert!(zstd.finish().is_err(), "cut at {end}");
        }
        let followed = [HELLO, b"x"].concat();
        assert!(Zstd::new().push(&followed, &mut Vec::new()).is_err());
        assert!(Zstd::new().push(b"no frame of zstd at all", &mut Vec::new()).is_err());
    }

    #[test]
    fn bomb_is_not_held() {
        /// Takes a limited amount.
        struct Limited(usize);
        impl Write for Limited {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        // A window of 1 KiB, and blocks that stand for as much of one byte each.
        let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0];
        bomb.extend([2, 0x20, 0, b'x'].repeat(10_000));
        let error = Zstd::new().push(&bomb, &mut Limited(1 << 20)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        // A window beyond what HTTP allows for.
        let window = [0x28, 0xb5, 0x2f, 0xfd, 0, 0xff];
        let huge = [&window[..], &[0; HEAD_MAX]].concat();
        assert!(Zstd::new().push(&huge, &mut Vec::new()).is_err());
    }
}

//! Undoes the compression of a request's body, for looking at it only: what is sent is what came.

use std::io::{self, Read, Write};

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use crate::limits::REQUEST_BODY_MAX;
use crate::zstd::Zstd;

/// Returns what a body stands for. `None` where it is not compressed, by a way that is not known here or by several, is damaged, or stands
/// for more than a request may have.
pub(crate) fn undo(headers: &HeaderMap, body: &Bytes) -> Option<Bytes> {
    let encoding = headers.get(CONTENT_ENCODING)?.to_str().ok()?.trim().to_ascii_lowercase();
    let mut undone = Limited(Vec::new());
    let whole = match encoding.as_str() {
        "gzip" | "x-gzip" => copy(flate2::read::MultiGzDecoder::new(body.as_ref()), &mut undone),
        "deflate" => copy(flate2::read::ZlibDecoder::new(body.as_ref()), &mut undone),
        "br" => brotli(body, &mut undone),
        "zstd" => zstd(body, &mut undone),
        _ => return None,
    };
    // Whoever reads it says what is wrong with it.
    whole.ok().map(|()| undone.0.into())
}

fn copy(mut from: impl Read, to: &mut Limited) -> io::Result<()> {
    io::copy(&mut from, to).map(|_length| ())
}

fn brotli(body: &[u8], to: &mut Limited) -> io::Result<()> {
    let mut decoder = brotli_decompressor::DecompressorWriter::new(to, 4096);
    decoder.write_all(body)?;
    decoder.close()
}

fn zstd(body: &[u8], to: &mut Limited) -> io::Result<()> {
    let mut decoder = Zstd::new();
    decoder.push(body, to)?;
    decoder.finish()
}

/// Takes no more than a request may have.
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > REQUEST_BODY_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undone(encoding: &str, body: &[u8]) -> Option<Bytes> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, encoding.parse().unwrap());
        undo(&headers, &Bytes::copy_from_slice(body))
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text).unwrap();
        gzip.finish().unwrap()
    }

    #[test]
    fn body_is_undone_whole_or_not_at_all() {
        let hello = gzip(b"hello");
        assert_eq!(undone("GZIP", &hello).unwrap(), "hello");
        assert_eq!(undone("identity", b"hello"), None);
        assert_eq!(undone("gzip, br", &hello), None);
        for encoding in ["gzip", "deflate", "br", "zstd"] {
            assert_eq!(undone(encoding, b"hello"), None, "{encoding}");
        }
        assert_eq!(undone("gzip", &hello[..hello.len() - 4]), None);
        assert_eq!(undone("gzip", &gzip(&vec![0; REQUEST_BODY_MAX + 1])), None, "a bomb");
    }
}

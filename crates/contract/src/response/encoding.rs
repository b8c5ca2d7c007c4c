//! Undoes the content encoding, and catches headers that do not tell the truth about it.

use std::io::{self, Write};

use flate2::write::{DeflateDecoder, GzDecoder, ZlibDecoder};

use super::BodyEnd;
use crate::rule;
use crate::scene::Scene;

/// Compressed bytes taken at once; they grow at most a thousandfold, so this bounds what one step makes.
const STEP_BYTES: usize = 4096;

/// First bytes that tell a compressed body from text.
const HEAD_BYTES: usize = 8;

type Sink<'s> = dyn FnMut(&[u8], &mut Scene) + 's;

/// Turns the bytes of the wire into those of the body.
#[derive(Debug, Default)]
pub(super) enum Decoder {
    /// Bytes are as they are.
    #[default]
    Identity,
    /// The first bytes show whether the header is true.
    Announced {
        format: Format,
        held: Vec<u8>,
    },
    Gzip(Box<GzDecoder<Vec<u8>>>),
    Deflate(Box<ZlibDecoder<Vec<u8>>>),
    /// Deflated without the frame of zlib, as some servers do, and clients read.
    RawDeflate(Box<DeflateDecoder<Vec<u8>>>),
    /// Nothing more can be read; the finding stands already.
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Gzip,
    Deflate,
    /// One that cannot be undone here.
    Other,
}

impl Decoder {
    /// Starts with what the `content-encoding` header says.
    pub(super) fn new(encoding: &str) -> Self {
        let format = match encoding {
            "" | "identity" => return Self::Identity,
            "gzip" | "x-gzip" => Format::Gzip,
            "deflate" => Format::Deflate,
            _ => Format::Other,
        };
        Self::Announced { format, held: Vec::new() }
    }

    /// Whether nothing more can be read.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken)
    }

    /// Takes bytes of the wire.
    pub(super) fn push(&mut self, bytes: &[u8], scene: &mut Scene, sink: &mut Sink<'_>) {
        match self {
            Self::Identity => sink(bytes, scene),
            Self::Broken => {}
            Self::Announced { format, held } => {
                let (head, rest) =
                    bytes.split_at(bytes.len().min(HEAD_BYTES - held.len().min(HEAD_BYTES)));
                held.extend_from_slice(head);
                if held.len() < HEAD_BYTES {
                    return;
                }
                let (format, first) = (*format, std::mem::take(held));
                *self = Self::check(format, &first, scene);
                self.push(&first, scene, sink);
                self.push(rest, scene, sink);
            }
            Self::Gzip(decoder) => {
                if inflate(&mut **decoder, GzDecoder::get_mut, bytes, scene, sink).is_err() {
                    self.broken(scene);
                }
            }
            Self::Deflate(decoder) => {
                if inflate(&mut **decoder, ZlibDecoder::get_mut, bytes, scene, sink).is_err() {
                    self.broken(scene);
                }
            }
            Self::RawDeflate(decoder) => {
                if inflate(&mut **decoder, DeflateDecoder::get_mut, bytes, scene, sink).is_err() {
                    self.broken(scene);
                }
            }
        }
    }

    fn check(format: Format, first: &[u8], scene: &mut Scene) -> Self {
        // The checksum of a zlib header.
        let is_zlib = first
            .first()
            .zip(first.get(1))
            .is_some_and(|(a, b)| a & 15 == 8 && (u16::from(*a) << 8 | u16::from(*b)) % 31 == 0);
        let header = format_args!("header content-encoding");
        let decoder = match format {
            Format::Gzip if first.starts_with(b"\x1f\x8b") => {
                Self::Gzip(Box::new(GzDecoder::new(Vec::new())))
            }
            Format::Deflate if is_zlib => Self::Deflate(Box::new(ZlibDecoder::new(Vec::new()))),
            Format::Deflate if !is_text(first) => {
                Self::RawDeflate(Box::new(DeflateDecoder::new(Vec::new())))
            }
            Format::Other if !is_text(first) => {
                scene.report.add(&rule::ENCODING_UNREAD, header, format_args!("another encoding"));
                return Self::Broken;
            }
            Format::Gzip | Format::Deflate | Format::Other => {
                scene.report.add(&rule::ENCODING_FALSE, header, format_args!("other bytes"));
                return Self::Identity;
            }
        };
        scene.report.add(&rule::CONTENT_ENCODED, header, format_args!("a compressed body"));
        decoder
    }

    fn broken(&mut self, scene: &mut Scene) {
        scene.report.add(
            &rule::ENCODING_BROKEN,
            format_args!("body"),
            format_args!("bytes that do not inflate"),
        );
        *self = Self::Broken;
    }

    /// Ends the body.
    pub(super) fn finish(self, end: BodyEnd, scene: &mut Scene, sink: &mut Sink<'_>) {
        let rest = match self {
            Self::Identity | Self::Broken => return,
            Self::Announced { held, .. } if held.is_empty() => return,
            Self::Announced { format, held } => {
                let mut decoder = Self::check(format, &held, scene);
                decoder.push(&held, scene, sink);
                return decoder.finish(end, scene, sink);
            }
            Self::Gzip(decoder) => decoder.finish(),
            Self::Deflate(decoder) => decoder.finish(),
            Self::RawDeflate(decoder) => decoder.finish(),
        };
        match rest {
            Ok(plain) => sink(&plain, scene),
            // A cut body is a finding of its own.
            Err(_) if end != BodyEnd::Complete => {}
            Err(_) => scene.report.add(
                &rule::ENCODING_BROKEN,
                format_args!("body"),
                format_args!("a compressed body that stops early"),
            ),
        }
    }
}

/// Whether bytes may be the beginning of a text, which no compressed body looks like for long.
fn is_text(first: &[u8]) -> bool {
    let is_control = |byte: &u8| *byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
    let may_be_utf8 = std::str::from_utf8(first).map_or_else(|e| e.error_len().is_none(), |_| true);
    may_be_utf8 && !first.iter().any(is_control)
}

/// Gives bytes to a decoder step by step, and what it makes of each to the sink.
fn inflate<D: Write>(
    decoder: &mut D,
    made: fn(&mut D) -> &mut Vec<u8>,
    bytes: &[u8],
    scene: &mut Scene,
    sink: &mut Sink<'_>,
) -> io::Result<()> {
    for step in bytes.chunks(STEP_BYTES) {
        let went = decoder.write_all(step).and_then(|()| decoder.flush());
        sink(&std::mem::take(made(decoder)), scene);
        went?;
    }
    Ok(())
}

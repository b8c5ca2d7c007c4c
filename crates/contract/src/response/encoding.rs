//! Undoes the content encoding, and catches headers that do not tell the truth about it.

use std::io::Write as _;

use flate2::write::{GzDecoder, ZlibDecoder};

use super::BodyEnd;
use crate::rule;
use crate::scene::Scene;

/// Compressed bytes taken at once; they grow at most a thousandfold, so this bounds what one step makes.
const STEP_BYTES: usize = 4096;

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
    /// Nothing more can be read; the finding stands already.
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Gzip,
    Deflate,
}

impl Decoder {
    /// Starts with what the `content-encoding` header says.
    pub(super) fn new(encoding: &str, report: &mut crate::report::Report) -> Self {
        let format = match encoding {
            "" | "identity" => return Self::Identity,
            "gzip" | "x-gzip" => Format::Gzip,
            "deflate" => Format::Deflate,
            _ => {
                report.add(
                    &rule::ENCODING_UNREAD,
                    format_args!("header content-encoding"),
                    format_args!("another encoding"),
                );
                return Self::Broken;
            }
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
                let (head, rest) = bytes.split_at(bytes.len().min(2 - held.len().min(2)));
                held.extend_from_slice(head);
                if held.len() < 2 {
                    return;
                }
                let (format, first) = (*format, std::mem::take(held));
                *self = Self::check(format, &first, scene);
                self.push(&first, scene, sink);
                self.push(rest, scene, sink);
            }
            Self::Gzip(decoder) => {
                for step in bytes.chunks(STEP_BYTES) {
                    let went = decoder.write_all(step).and_then(|()| decoder.flush());
                    let plain = std::mem::take(decoder.get_mut());
                    sink(&plain, scene);
                    if went.is_err() {
                        return self.broken(scene);
                    }
                }
            }
            Self::Deflate(decoder) => {
                for step in bytes.chunks(STEP_BYTES) {
                    let went = decoder.write_all(step).and_then(|()| decoder.flush());
                    let plain = std::mem::take(decoder.get_mut());
                    sink(&plain, scene);
                    if went.is_err() {
                        return self.broken(scene);
                    }
                }
            }
        }
    }

    fn check(format: Format, first: &[u8], scene: &mut Scene) -> Self {
        let is_true = match format {
            Format::Gzip => first == b"\x1f\x8b",
            // The checksum of a zlib header; raw deflate, which some send, has none and is not read.
            Format::Deflate => first.first().zip(first.get(1)).is_some_and(|(a, b)| {
                a & 15 == 8 && (u16::from(*a) << 8 | u16::from(*b)) % 31 == 0
            }),
        };
        if !is_true {
            scene.report.add(
                &rule::ENCODING_FALSE,
                format_args!("header content-encoding"),
                format_args!("other bytes"),
            );
            return Self::Identity;
        }
        scene.report.add(
            &rule::CONTENT_ENCODED,
            format_args!("header content-encoding"),
            format_args!("a compressed body"),
        );
        match format {
            Format::Gzip => Self::Gzip(Box::new(GzDecoder::new(Vec::new()))),
            Format::Deflate => Self::Deflate(Box::new(ZlibDecoder::new(Vec::new()))),
        }
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
            Self::Announced { held, .. } => {
                if !held.is_empty() {
                    scene.report.add(
                        &rule::ENCODING_FALSE,
                        format_args!("header content-encoding"),
                        format_args!("other bytes"),
                    );
                }
                return sink(&held, scene);
            }
            Self::Gzip(decoder) => decoder.finish(),
            Self::Deflate(decoder) => decoder.finish(),
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

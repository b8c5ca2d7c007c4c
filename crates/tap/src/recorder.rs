//! Watches one exchange of an ask and writes down what it was, exactly once, whatever becomes of it.
//!
//! The reply is judged from the very bytes that the release gets, as they pass. If judging fails (a panic, a compression
//! that does not decode), the bytes pass all the same and the observation counts as lost.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use contract::{
    BodyEnd, BodyKind, Completion, ContractFinding, ContractVerdict, DeliveredText, Judgement,
    Mode, Profile, ResponseJudge, Shape, Surface,
};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, StatusCode};
use judge::{AnsweredBy, End, Exchange, RequestSeen, ResponseSeen};
use tokio::time::Instant;

use crate::asks::{Ask, Slot};
use crate::limits::DECODED_MAX;
use crate::zstd::Zstd;
use crate::{clock, response_seen};

/// Records one exchange. Dropping it records that it broke off.
pub(crate) struct Recorder(Option<Box<Open>>);

struct Open {
    ask: Arc<Ask>,
    slot: Slot,
    started: Instant,
    request: RequestSeen,
    answered_by: AnsweredBy,
    live: bool,
    provider_end: Option<End>,
    head: Option<Head>,
    body_end: BodyEnd,
    body_bytes: u64,
    feed: Feed,
}

struct Head {
    status: u16,
    content_type: Option<String>,
    request_ids: Vec<String>,
    retry_after_ms: Option<u64>,
    head_ms: u64,
}

/// By what a reply is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JudgedAs {
    pub(crate) surface: Surface,
    pub(crate) mode: Mode,
    pub(crate) profile: Profile,
}

impl Recorder {
    /// Starts on an exchange.
    pub(crate) fn new(
        ask: Arc<Ask>,
        slot: Slot,
        started: Instant,
        request: RequestSeen,
        by: JudgedAs,
    ) -> Self {
        Self(Some(Box::new(Open {
            ask,
            slot,
            started,
            request,
            answered_by: AnsweredBy::Tap,
            live: false,
            provider_end: None,
            head: None,
            body_end: BodyEnd::Cut,
            body_bytes: 0,
            feed: Feed::new(by),
        })))
    }

    /// Says who answers.
    pub(crate) fn answered_by(&mut self, who: AnsweredBy) {
        if let Some(open) = &mut self.0 {
            open.answered_by = who;
        }
    }

    /// Says that the provider is asked.
    pub(crate) fn live(&mut self) {
        if let Some(open) = &mut self.0 {
            open.live = true;
            open.answered_by = AnsweredBy::Provider;
        }
    }

    /// Says how the provider's side ended.
    pub(crate) fn provider_ended(&mut self, end: End) {
        if let Some(open) = &mut self.0 {
            open.provider_end = Some(end);
        }
    }

    /// Takes the head that goes to the release.
    pub(crate) fn head(&mut self, status: StatusCode, headers: &HeaderMap) {
        let Some(open) = &mut self.0 else { return };
        open.head = Some(Head {
            status: status.as_u16(),
            content_type: response_seen::content_type(headers),
            request_ids: response_seen::request_ids(headers),
            retry_after_ms: response_seen::retry_after_ms(headers, clock::time_of_day()),
            head_ms: clock::millis_between(open.ask.since, clock::now()),
        });
        if open.answered_by != AnsweredBy::Provider {
            open.feed.made_here();
        }
        open.feed.head(status, headers);
    }

    /// Takes bytes of the body that go to the release.
    pub(crate) fn body(&mut self, bytes: &[u8]) {
        let Some(open) = &mut self.0 else { return };
        open.body_bytes += bytes.len() as u64;
        open.feed.push(bytes);
    }

    /// Says that the whole body is on its way.
    pub(crate) fn body_is_whole(&mut self) {
        if let Some(open) = &mut self.0 {
            open.body_end = BodyEnd::Complete;
        }
    }

    /// Ends the record.
    pub(crate) fn finish(mut self, release_end: End) {
        if let Some(open) = self.0.take() {
            open.close(release_end);
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            let end = if open.ask.is_over() { End::StillOpen } else { End::PeerLeft };
            open.close(end);
        }
    }
}

impl Open {
    fn close(self, release_end: End) {
        let since = self.ask.since;
        let reader_left = release_end == End::PeerLeft && self.provider_end.is_none();
        let body_end = match self.body_end {
            BodyEnd::Cut if reader_left => BodyEnd::ReaderLeft,
            end => end,
        };
        let judged = match &self.head {
            Some(_) => Some(self.feed.finish(body_end)),
            None => None,
        };
        let lost = matches!(judged, Some(None));
        let (judgement, text) =
            judged.flatten().unwrap_or_else(|| (nothing_judged(), DeliveredText::default()));
        let response = self.head.map(|head| ResponseSeen {
            status: head.status,
            content_type: head.content_type,
            request_ids: head.request_ids,
            retry_after_ms: head.retry_after_ms,
            head_ms: head.head_ms,
            judgement,
            body_bytes: self.body_bytes,
        });
        // The provider's side is not open longer than the release's: what is left of it is closed by the tap.
        let cut_off = if release_end == End::StillOpen { End::StillOpen } else { End::Injected };
        let provider_end = self.provider_end.or(self.live.then_some(cut_off));
        if lost {
            self.ask.lose();
        }
        let exchange = Exchange {
            attempt: self.slot.attempt(),
            started_ms: clock::millis_between(since, self.started),
            ended_ms: clock::millis_between(since, clock::now()),
            request: self.request,
            response,
            answered_by: self.answered_by,
            release_end,
            provider_end,
        };
        self.ask.end(self.slot, (exchange, text));
    }
}

/// A record that waits for the last bytes to be flushed. Dropping it records that the peer left before.
pub(crate) struct Finishing {
    recorder: Recorder,
    end: End,
}

impl Finishing {
    /// Everything was handed over; `end` is how it ends when it is also flushed.
    pub(crate) fn new(recorder: Recorder, end: End) -> Self {
        Self { recorder, end }
    }

    /// Ends the record: all was flushed.
    pub(crate) fn flushed(self) {
        self.recorder.finish(self.end);
    }
}

/// The judgement of a response that could not be judged.
fn nothing_judged() -> Judgement {
    Judgement {
        verdict: ContractVerdict::Hold,
        completion: Completion::Nothing,
        findings: vec![ContractFinding {
            code: "response-not-judged",
            verdict: ContractVerdict::Hold,
            at: "/".to_owned(),
            expected: "a body that can be observed".to_owned(),
            seen: "one that does not decode, or that the observer failed at".to_owned(),
        }],
        error: None,
        body: BodyKind::Other,
        shape: Shape::default(),
        events: 0,
        response_id: None,
        model: None,
    }
}

/// Feeds a judge with the bytes of a body. The judge undoes gzip and deflate itself; Brotli is undone here, as Node's fetch
/// asks for it and providers' edges like to use it, and so is zstd, which httpx asks for where `zstandard` is installed (langsmith brings it).
struct Feed {
    decoder: Option<Decoder>,
}

enum Decoder {
    Plain(Sink),
    Brotli(Box<brotli_decompressor::DecompressorWriter<Sink>>),
    Zstd(Box<Zstd>, Sink),
}

struct Sink {
    judge: Option<ResponseJudge>,
    decoded: u64,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.decoded = self.decoded.saturating_add(bytes.len() as u64);
        if self.decoded > DECODED_MAX {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "decoded body is over the limit",
            ));
        }
        if let Some(judge) = &mut self.judge {
            judge.push(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Feed {
    fn new(by: JudgedAs) -> Self {
        let judge = ResponseJudge::new(by.surface, by.mode, by.profile);
        Self { decoder: Some(Decoder::Plain(Sink { judge: Some(judge), decoded: 0 })) }
    }

    /// Runs a step of judging; whatever goes wrong in it stays in it.
    fn step(&mut self, step: impl FnOnce(&mut Decoder) -> io::Result<()>) {
        let Some(decoder) = &mut self.decoder else { return };
        if !matches!(catch_unwind(AssertUnwindSafe(|| step(decoder))), Ok(Ok(()))) {
            self.decoder = None;
        }
    }

    /// What the tap answers itself is not held to the provider's own document.
    fn made_here(&mut self) {
        if let Some(Decoder::Plain(Sink { judge: Some(judge), .. })) = &mut self.decoder {
            judge.made_here();
        }
    }

    fn head(&mut self, status: StatusCode, headers: &HeaderMap) {
        let encoding = headers.get(CONTENT_ENCODING).map(|value| value.as_bytes().trim_ascii());
        let is = |name: &[u8]| encoding.is_some_and(|named| named.eq_ignore_ascii_case(name));
        let (is_brotli, is_zstd) = (is(b"br"), is(b"zstd"));
        self.step(|decoder| {
            if let Decoder::Plain(Sink { judge: Some(judge), .. }) = decoder {
                let is_undone = |name| (is_brotli || is_zstd) && name == CONTENT_ENCODING;
                let seen = headers.iter().filter(|(name, _)| !is_undone(*name));
                judge.head(
                    status.as_u16(),
                    seen.map(|(name, value)| (name.as_str(), value.as_bytes())),
                );
            }
            Ok(())
        });
        if is_brotli && let Some(Decoder::Plain(sink)) = self.decoder.take() {
            self.decoder = Some(Decoder::Brotli(Box::new(
                brotli_decompressor::DecompressorWriter::new(sink, 4096),
            )));
        } else if is_zstd && let Some(Decoder::Plain(sink)) = self.decoder.take() {
            self.decoder = Some(Decoder::Zstd(Box::new(Zstd::new()), sink));
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.step(|decoder| match decoder {
            Decoder::Plain(sink) => {
                if let Some(judge) = &mut sink.judge {
                    judge.push(bytes);
                }
                Ok(())
            }
            Decoder::Brotli(decoder) => decoder.write_all(bytes),
            Decoder::Zstd(decoder, sink) => decoder.push(bytes, sink),
        });
    }

    /// Ends judging. `None`: something went wrong, now or before.
    fn finish(mut self, end: BodyEnd) -> Option<(Judgement, DeliveredText)> {
        self.step(|decoder| match (decoder, end) {
            (Decoder::Brotli(decoder), BodyEnd::Complete) => decoder.close(),
            (Decoder::Zstd(decoder, _), BodyEnd::Complete) => decoder.finish(),
            // A cut body does not decode to its end, and that is no fault of the observation.
            (Decoder::Brotli(_) | Decoder::Zstd(..), BodyEnd::Cut | BodyEnd::ReaderLeft)
            | (Decoder::Plain(_), _) => Ok(()),
        });
        let judge = match &mut self.decoder {
            Some(Decoder::Plain(sink) | Decoder::Zstd(_, sink)) => sink.judge.take(),
            Some(Decoder::Brotli(decoder)) => decoder.get_mut().judge.take(),
            None => None,
        };
        judge.and_then(|judge| catch_unwind(AssertUnwindSafe(|| judge.finish(end))).ok())
    }
}

//! The judge and the builders agree on what is documented. Whoever changes one of them meets the other here.

use super::*;
use crate::{
    BodyEnd, BodyKind, Completion, ContractVerdict, ErrorClass, Judgement, Mode, ResponseJudge,
};

fn judge(
    ctx: &ReplyContext<'_>,
    mode: Mode,
    status: u16,
    headers: &[(String, String)],
    body: &[u8],
) -> (Judgement, String) {
    let mut judge = ResponseJudge::new(ctx.surface, mode, ctx.profile);
    judge.head(status, headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
    for byte in body {
        judge.push(std::slice::from_ref(byte));
    }
    let (judgement, text) = judge.finish(BodyEnd::Complete);
    (judgement, text.expose().to_owned())
}

#[track_caller]
fn check_good(ctx: &ReplyContext<'_>, mode: Mode) {
    let (headers, body) = match mode {
        Mode::Unary => (unary_headers(ctx), unary(ctx).to_string().into_bytes()),
        Mode::Stream => (stream_headers(ctx), encode(&stream(ctx))),
    };
    let (judgement, text) = judge(ctx, mode, 200, &headers, &body);
    assert_eq!(judgement.verdict, ContractVerdict::Pass, "{:?}", judgement.findings);
    assert_eq!(judgement.findings, [], "not even a remark");
    assert_eq!(judgement.completion, Completion::Complete);
    assert_eq!(text, ctx.text);
    assert_eq!(judgement.response_id.as_deref(), Some(ctx.id));
    assert_eq!(judgement.model.as_deref(), Some(ctx.model));
}

#[test]
fn documented_replies_pass() {
    for profile in [Profile::Openai, Profile::Cometapi] {
        for surface in [Surface::Chat, Surface::Responses] {
            for mode in [Mode::Unary, Mode::Stream] {
                check_good(&ctx(surface, profile), mode);
                check_good(
                    &ReplyContext { text: "x", include_usage: true, ..ctx(surface, profile) },
                    mode,
                );
            }
        }
    }
}

#[test]
fn replies_that_call_tools_pass() {
    for surface in [Surface::Chat, Surface::Responses] {
        let ctx = ReplyContext { include_usage: true, ..ctx(surface, Profile::Openai) };
        let calls = tool_calls(ctx.text);
        let unary = unary_with_tool_calls(&ctx, &calls).to_string().into_bytes();
        let stream = encode(&stream_with_tool_calls(&ctx, &calls));
        for (mode, headers, body) in [
            (Mode::Unary, unary_headers(&ctx), unary),
            (Mode::Stream, stream_headers(&ctx), stream),
        ] {
            let (judgement, text) = judge(&ctx, mode, 200, &headers, &body);
            assert_eq!(judgement.findings, [], "{surface} {mode}: not even a remark");
            assert_eq!(judgement.completion, Completion::Complete);
            assert_eq!(text, "", "{surface} {mode}");
        }
    }
}

#[track_caller]
fn check_class(kind: ErrorKind, class: ErrorClass, retry_safe: bool) {
    for profile in [Profile::Openai, Profile::Cometapi] {
        let ctx = ctx(Surface::Chat, profile);
        let reply = error(kind, &ctx);
        let (judgement, _) = judge(
            &ctx,
            Mode::Unary,
            reply.status,
            &reply.headers,
            reply.body.to_string().as_bytes(),
        );
        assert_eq!(judgement.body, BodyKind::Json);
        let facts = judgement.error.unwrap_or_else(|| panic!("no error seen in {}", reply.body));
        assert_eq!(
            (facts.class, facts.retry_safe),
            (class, retry_safe),
            "{profile:?} {}",
            reply.body
        );
        assert_eq!(facts.request_id.as_deref(), Some(ctx.request_id), "{}", reply.body);
    }
}

#[test]
fn errors_are_classified_as_they_are_meant() {
    use ErrorKind as Kind;
    check_class(Kind::MissingKey, ErrorClass::Auth, false);
    check_class(Kind::InvalidKey, ErrorClass::Auth, false);
    check_class(Kind::Forbidden, ErrorClass::Permission, false);
    check_class(Kind::BadRequest, ErrorClass::InvalidRequest, false);
    check_class(Kind::Fault(RequestFault::NotJson), ErrorClass::InvalidRequest, false);
    check_class(Kind::Fault(RequestFault::Missing("model")), ErrorClass::InvalidRequest, false);
    check_class(Kind::Fault(RequestFault::Missing("messages")), ErrorClass::InvalidRequest, false);
    check_class(Kind::ModelNotFound, ErrorClass::NotFound, false);
    check_class(Kind::WrongPath, ErrorClass::NotFound, false);
    check_class(Kind::TooLarge, ErrorClass::InvalidRequest, false);
    check_class(Kind::Unprocessable, ErrorClass::InvalidRequest, false);
    check_class(Kind::InvalidRequestAs500, ErrorClass::InvalidRequest, false);
    check_class(Kind::ModelNotFoundAs503, ErrorClass::NotFound, false);
    check_class(Kind::RateLimited, ErrorClass::RateLimit, true);
    check_class(Kind::InsufficientQuota, ErrorClass::Quota, false);
    check_class(Kind::Server, ErrorClass::Server, true);
    check_class(Kind::BadGateway, ErrorClass::Server, true);
    check_class(Kind::Overloaded, ErrorClass::Overloaded, true);
    check_class(Kind::Overloaded529, ErrorClass::Overloaded, true);
}

//! 7G: errors and retry signals. A response with an error status is held, whatever the catalogue says of its envelope:
//! it is no completion. The catalogue's warning is the finding; class and retry are tested below.

use contract::{ErrorClass, Mode, Surface};
use serde_json::{Value, json};

use crate::build::*;
use crate::judge;

/// What an error says to people: a client that loses it leaves them without a reason.
pub(crate) const REASON: &str = "the budget of team blue is spent";

fn error(status: u16, body: Value) -> Reply {
    unary(body.to_string()).status(status)
}

fn comet(status: u16, code: &str, message: &str) -> Reply {
    error(
        status,
        json!({"error": {"message": format!("{message} (request id: 20260624101112345AbCdEfGh)"), "type": "comet_api_error", "param": "", "code": code}}),
    )
}

pub(crate) fn rows() -> Vec<Row> {
    let plain = |status| error(status, error_body());
    vec![
        row(
            145,
            H,
            "error-code-not-string",
            error(400, json!({"error": {"code": 400, "message": REASON}})),
        ),
        row(146, H, "error-string", error(400, json!({"error": REASON}))),
        row(147, H, "error-flat", error(400, json!({"message": REASON, "type": "y", "code": "z"}))),
        row(
            148,
            H,
            "error-detail",
            error(422, json!({"detail": [{"loc": ["body"], "msg": REASON}]})),
        ),
        row(
            148,
            H,
            "error-detail",
            error(400, json!({"error_code": "BAD_REQUEST", "message": REASON})),
        ),
        row(
            149,
            H,
            "error-array",
            error(400, json!([{"error": {"message": REASON, "code": "z"}}])),
        ),
        row(150, H, "error-body-empty", unary("").status(502)),
        row(150, H, "error-body-html", unary("<html>524</html>").status(524)),
        row(
            151,
            H,
            "error-nested-in-message",
            error(
                500,
                json!({"error": {"message": "upstream: {\"error\":{\"code\":\"x\"}}", "type": "y"}}),
            ),
        ),
        row(
            152,
            H,
            "error-status-misleads",
            comet(500, "invalid_request", "field messages is required"),
        ),
        row(
            153,
            H,
            "error-status-misleads",
            comet(
                503,
                "model_not_found",
                "no available channel for group default and model x (distributor)",
            ),
        ),
        row(
            154,
            H,
            "error-status-misleads",
            error(
                429,
                json!({"error": {"message": "x", "type": "insufficient_quota", "code": "insufficient_quota"}}),
            ),
        ),
        row(155, H, "retry-after-long", plain(429).header("retry-after", "1209600")),
        row(155, H, "retry-after-invalid", plain(429).header("retry-after", "1.5")),
        row(155, H, "retry-after-invalid", plain(429).header("retry-after", "-1")),
        row(155, H, "retry-after-invalid", plain(429).header("retry-after", "soon")),
        row(
            156,
            H,
            "content-looks-like-error",
            chat_set(
                "/choices/0/message/content",
                json!("Rate limit exceeded: free-models-per-day. Please try again later."),
            ),
        ),
        // A stream that was asked for and an error status are judged as the error.
        row(
            145,
            H,
            "error-status",
            raw(Mode::Stream, error_body().to_string())
                .status(500)
                .header("content-type", "application/json"),
        ),
    ]
}

#[track_caller]
fn check(reply: Reply, class: ErrorClass, retry_safe: bool) {
    let error = judge(&reply, usize::MAX).error.unwrap();
    assert_eq!((error.class, error.retry_safe), (class, retry_safe));
}

#[test]
fn classes_and_retries_follow_the_code() {
    check(comet(500, "invalid_request", "x"), ErrorClass::InvalidRequest, false);
    check(comet(503, "model_not_found", "x"), ErrorClass::NotFound, false);
    check(error(429, json!({"error": {"code": "insufficient_quota"}})), ErrorClass::Quota, false);
    check(
        error(429, json!({"error": {"code": "rate_limit_exceeded"}})),
        ErrorClass::RateLimit,
        true,
    );
    check(unary("").status(502), ErrorClass::Server, true);
    check(unary("<html>").status(524), ErrorClass::Timeout, true);
    check(unary(error_body().to_string()), ErrorClass::Server, true);
}

#[test]
fn error_inside_of_a_started_answer_is_not_safe_to_retry() {
    let broken = stream(|chunks| chunks.insert(3, error_body()));
    check(broken, ErrorClass::Server, false);
    let unbegun = stream(|chunks| {
        chunks.truncate(1);
        chunks.push(error_body());
    });
    check(unbegun, ErrorClass::Server, true);
}

#[test]
fn request_id_is_taken_from_the_message() {
    let judgement = judge(&comet(500, "invalid_request", "x"), usize::MAX);
    assert_eq!(
        judgement.error.as_ref().unwrap().request_id.as_deref(),
        Some("20260624101112345AbCdEfGh")
    );
    let form = judgement.to_json((Surface::Chat, Mode::Unary));
    assert_eq!(
        (&form["error_class"], &form["retry_safe"], &form["code"]),
        (&json!("invalid_request"), &json!(false), &json!("invalid_request"))
    );
    assert!(
        form["findings"].as_array().is_some_and(|findings| !findings.is_empty())
            && form.get("completion").is_none()
    );
}

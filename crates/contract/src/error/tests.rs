//! Error replies of every envelope in, class and retry safety out.

use ErrorClass as E;

use super::*;
use crate::Profile;

#[track_caller]
fn check(status: u16, body: &str, class: ErrorClass, retry_safe: bool) {
    let mut tape = Tape::default();
    let parts = match tape.read(body.as_bytes()) {
        Ok(body) => ErrorParts::read(body, &mut Report::new(Profile::Openai)),
        Err(_) => ErrorParts::default(),
    };
    let facts = parts.facts(status, None);
    assert_eq!((facts.class, facts.retry_safe), (class, retry_safe), "{status} {body}");
}

fn comet(code: &str, message: &str) -> String {
    format!(
        r#"{{"error":{{"message":"{message}","type":"comet_api_error","param":"","code":"{code}"}}}}"#
    )
}

#[test]
fn code_decides_before_status() {
    check(500, &comet("invalid_request", "messages is required"), E::InvalidRequest, false);
    check(
        503,
        &comet("model_not_found", "no available channel for group default and model X"),
        E::NotFound,
        false,
    );
    check(
        503,
        &comet("", "no available channel for group default and model X (distributor)"),
        E::NotFound,
        false,
    );
    check(
        429,
        r#"{"error":{"message":"x","type":"insufficient_quota","code":"insufficient_quota"}}"#,
        E::Quota,
        false,
    );
    check(403, &comet("insufficient_user_quota", "x"), E::Quota, false);
    check(401, &comet("", "invalid token"), E::Auth, false);
    check(
        401,
        r#"{"error":{"type":"invalid_request_error","code":"invalid_api_key"}}"#,
        E::Auth,
        false,
    );
    check(404, r#"{"error":{"type":"invalid_request_error","code":null}}"#, E::NotFound, false);
    check(429, r#"{"error":{"type":"invalid_request_error","code":null}}"#, E::RateLimit, true);
    check(
        500,
        r#"{"error":{"type":"invalid_request_error","code":null}}"#,
        E::InvalidRequest,
        false,
    );
    check(
        400,
        r#"{"error":{"code":400,"message":"API key not valid","status":"INVALID_ARGUMENT"}}"#,
        E::Auth,
        false,
    );
    check(
        503,
        r#"{"error":{"type":"service_unavailable_error","code":"slow_down"}}"#,
        E::Overloaded,
        true,
    );
    check(
        500,
        &comet("get_channel_failed", "no available channel for model X"),
        E::NotFound,
        false,
    );
    check(200, r#"{"error":{"code":429,"message":"x"}}"#, E::RateLimit, true);
}

#[test]
fn status_decides_where_no_code_tells() {
    let table = [
        (400, E::InvalidRequest, false),
        (401, E::Auth, false),
        (402, E::Quota, false),
        (403, E::Permission, false),
        (404, E::NotFound, false),
        (408, E::Timeout, true),
        (409, E::Unknown, false),
        (413, E::InvalidRequest, false),
        (422, E::InvalidRequest, false),
        (429, E::RateLimit, true),
        (500, E::Server, true),
        (501, E::Server, false),
        (502, E::Server, true),
        (503, E::Overloaded, true),
        (504, E::Timeout, true),
        (520, E::Server, true),
        (524, E::Timeout, true),
        (529, E::Overloaded, true),
    ];
    for (status, class, retry_safe) in table {
        check(status, "", class, retry_safe);
        check(status, "<html>", class, retry_safe);
    }
}

#[test]
fn every_envelope_is_read() {
    for body in [
        r#"{"error":"insufficient quota"}"#,
        r#"{"message":"x","type":"y","code":"insufficient_quota"}"#,
        r#"{"detail":"insufficient quota"}"#,
        r#"{"detail":{"code":"insufficient_quota"}}"#,
        r#"{"error_code":"INSUFFICIENT_QUOTA","message":"x"}"#,
        r#"[{"error":{"code":"insufficient_quota"}}]"#,
        r#"{"errors":[{"code":"insufficient_quota"}]}"#,
        r#"{"error":{"code":"bad_response_status_code","message":"upstream: {\"error\":{\"code\":\"insufficient_quota\"}}"}}"#,
    ] {
        check(429, body, E::Quota, false);
    }
}

#[test]
fn request_id_is_found_and_keys_are_not() {
    let id = "20260624101112345678901AbCdEfGh";
    assert_eq!(request_id_in(&format!("x (distributor) (request id: {id})")).as_deref(), Some(id));
    assert_eq!(identifier("sk-abcdef"), None);
    assert_eq!(identifier("has spaces"), None);
}

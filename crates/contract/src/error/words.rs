//! The words by which providers name their troubles.

use crate::ErrorClass;

/// Codes and types, in lower case.
const CODES: &[(ErrorClass, &[&str])] = &[
    (
        ErrorClass::Auth,
        &[
            "invalid_api_key",
            "invalid_token",
            "incorrect_api_key",
            "authentication_error",
            "unauthorized",
            "unauthenticated",
            "api_key_invalid",
            "token_expired",
            "expired_token",
            "missing_api_key",
            "no_api_key",
            "invalid_authentication",
            "invalid_key",
            "invalid_credentials",
            "authentication_failed",
            "authenticationerror",
            "invalidapikey",
        ],
    ),
    (
        ErrorClass::Permission,
        &[
            "permission_denied",
            "permission_error",
            "access_denied",
            "forbidden",
            "unsupported_country_region_territory",
            "model_not_allowed",
            "insufficient_permissions",
            "ip_not_authorized",
            "account_deactivated",
            "permissiondenied",
        ],
    ),
    (
        ErrorClass::InvalidRequest,
        &[
            "invalid_request",
            "invalid_request_error",
            "bad_request",
            "bad_request_body",
            "convert_request_failed",
            "read_request_body_failed",
            "count_token_failed",
            "model_price_error",
            "sensitive_words_detected",
            "prompt_blocked",
            "content_policy_violation",
            "content_filter",
            "context_length_exceeded",
            "string_above_max_length",
            "unsupported_parameter",
            "unsupported_value",
            "unknown_parameter",
            "invalid_value",
            "invalid_type",
            "missing_required_parameter",
            "invalid_prompt",
            "invalid_argument",
            "failed_precondition",
            "out_of_range",
            "unprocessable_entity",
            "request_too_large",
            "validation_error",
            "invalid_parameter",
            "invalid_image",
            "image_parse_error",
            "invalid_json",
            "invalid_encrypted_content",
            "bad_request_error",
            "badrequesterror",
            "badrequest",
            "invalidparameter",
            "data_inspection_failed",
            "payload_too_large",
        ],
    ),
    (
        ErrorClass::NotFound,
        &[
            "model_not_found",
            "not_found",
            "not_found_error",
            "deploymentnotfound",
            "deployment_not_found",
            "unknown_model",
            "invalid_model",
            "model_not_supported",
            "model_not_available",
            "unknown_url",
            "notfound",
            "notfounderror",
            "model_not_exist",
            "modelnotfound",
        ],
    ),
    (
        ErrorClass::RateLimit,
        &[
            "rate_limit_exceeded",
            "rate_limit_error",
            "rate_limited",
            "rate_limit",
            "too_many_requests",
            "requests",
            "tokens",
            "token_concurrency_limit_reached",
            "throttled",
            "throttling",
            "throttlingexception",
            "slow_down",
            "resource_exhausted",
            "ratelimiterror",
            "rate_limit_reached",
            "toomanyrequests",
            "concurrency_limit_exceeded",
            "rate_limit_reached_error",
        ],
    ),
    (
        ErrorClass::Quota,
        &[
            "insufficient_quota",
            "insufficient_user_quota",
            "credit_balance_exhausted",
            "pre_consume_token_quota_failed",
            "billing_error",
            "billing_hard_limit_reached",
            "billing_not_active",
            "insufficient_balance",
            "insufficient_credits",
            "payment_required",
            "quota_exceeded",
            "arrearage",
            "insufficient_funds",
            "exceeded_current_quota_error",
            "credits_exhausted",
            "balance_exhausted",
        ],
    ),
    (
        ErrorClass::Overloaded,
        &[
            "server_is_overloaded",
            "overloaded_error",
            "overloaded",
            "service_unavailable",
            "service_unavailable_error",
            "unavailable",
            "engine_overloaded",
            "engine_overloaded_error",
            "server_overloaded",
            "channel:no_available_key",
            "model_overloaded",
            "capacity_exceeded",
            "serviceunavailable",
            "no_available_channel",
            "system_cpu_overloaded",
            "system_memory_overloaded",
            "modeloverloaded",
        ],
    ),
    (
        ErrorClass::Timeout,
        &[
            "timeout",
            "timeout_error",
            "request_timeout",
            "gateway_timeout",
            "deadline_exceeded",
            "channel:response_time_exceeded",
            "upstream_timeout",
            "read_timeout",
            "idle_timeout",
            "timeouterror",
            "stream_timeout",
        ],
    ),
    (
        ErrorClass::Server,
        &[
            "server_error",
            "api_error",
            "internal_error",
            "internal_server_error",
            "internal",
            "do_request_failed",
            "bad_response_status_code",
            "bad_response",
            "bad_response_body",
            "read_response_body_failed",
            "empty_response",
            "upstream_error",
            "channel:invalid_key",
            "bad_gateway",
            "internalservererror",
            "provider_error",
            "unknown_error",
        ],
    ),
];

/// Wordings, in lower case; the first that is found tells.
const MESSAGES: &[(ErrorClass, &[&str])] = &[
    (
        ErrorClass::NotFound,
        &[
            "no available channel",
            "no available channels",
            "model not found",
            "does not exist",
            "unknown model",
            "model_not_found",
            "model not exist",
            "无可用渠道",
            "模型不存在",
            "is not a valid model",
            "no endpoints found",
        ],
    ),
    (
        ErrorClass::Quota,
        &[
            "insufficient quota",
            "insufficient_quota",
            "exceeded your current quota",
            "credit balance",
            "insufficient balance",
            "insufficient credits",
            "out of credits",
            "quota is not enough",
            "billing hard limit",
            "余额不足",
            "额度不足",
            "额度已用尽",
            "quota has been exhausted",
            "user quota",
            "token quota",
            "payment required",
            "requires more credits",
        ],
    ),
    (
        ErrorClass::Auth,
        &[
            "incorrect api key",
            "invalid api key",
            "invalid token",
            "api key not valid",
            "invalid x-api-key",
            "无效的令牌",
            "未提供令牌",
            "no api key",
            "missing api key",
            "invalid authentication",
            "authentication failed",
            "invalid credentials",
            "no auth credentials",
        ],
    ),
    (
        ErrorClass::RateLimit,
        &[
            "rate limit",
            "rate-limit",
            "ratelimit",
            "too many requests",
            "请求过于频繁",
            "requests per minute",
            "tokens per minute",
        ],
    ),
    (
        ErrorClass::Overloaded,
        &[
            "overloaded",
            "at capacity",
            "no capacity",
            "负载已饱和",
            "负载已经达到上限",
            "service unavailable",
            "temporarily unavailable",
        ],
    ),
    (
        ErrorClass::InvalidRequest,
        &[
            "context length",
            "maximum context",
            "invalid_request",
            "is required",
            "field required",
            "missing required",
            "unsupported parameter",
            "invalid request",
            "bad request",
        ],
    ),
    (ErrorClass::Timeout, &["timed out", "timeout", "deadline exceeded"]),
];

/// Returns the class of a code or type.
pub(super) fn class_of(word: &str) -> Option<ErrorClass> {
    let word = word.to_ascii_lowercase();
    CODES.iter().find(|(_, words)| words.contains(&word.as_str())).map(|(class, _)| *class)
}

/// Returns the class that the wording of a message suggests.
pub(super) fn class_of_message(message: &str) -> Option<ErrorClass> {
    if message.is_empty() {
        return None;
    }
    let message = message.to_lowercase();
    MESSAGES
        .iter()
        .find(|(_, words)| words.iter().any(|word| message.contains(word)))
        .map(|(class, _)| *class)
}

/// Whether an answer reads like the error text of a gateway that reports its troubles as model output.
pub(crate) fn reads_like_an_error(answer: &str) -> bool {
    /// Longer answers talk about errors; error texts are short.
    const ERROR_BYTES_MAX: usize = 300;
    const STARTS: &[&str] = &[
        "rate limit",
        "you have been rate limited",
        "you have exceeded",
        "you exceeded your current quota",
        "too many requests",
        "quota exceeded",
        "error:",
        "error 4",
        "error 5",
        "429",
        "502 bad gateway",
        "503 service",
        "504 gateway",
        "internal server error",
        "service unavailable",
        "upstream error",
        "an error occurred",
        "request failed",
        "insufficient balance",
        "insufficient credits",
        "free tier limit",
        "the server is overloaded",
        "the model is overloaded",
        "model is overloaded",
        "api error",
        "<!doctype html",
        "<html",
    ];
    const ANYWHERE: &[&str] = &[
        "rate limit exceeded",
        "rate limit reached",
        "rate-limited upstream",
        "free-models-per-day",
        "please try again later",
    ];
    let answer = answer.trim();
    if answer.len() > ERROR_BYTES_MAX {
        return false;
    }
    let answer = answer.to_lowercase();
    STARTS.iter().any(|start| answer.starts_with(start))
        || ANYWHERE.iter().any(|words| answer.contains(words))
}

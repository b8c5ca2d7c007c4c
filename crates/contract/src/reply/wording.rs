//! The providers' own words for each kind of error.
//!
//! Copied closely, because clients read them: litellm tells an authentication error from a bad request by the message.

use serde_json::Value;

use super::{ErrorKind, ReplyContext};
use crate::RequestFault;

/// The inside of an error envelope.
pub(super) struct Wording {
    pub(super) message: String,
    pub(super) kind: &'static str,
    pub(super) param: Option<&'static str>,
    pub(super) code: Value,
}

impl Wording {
    fn new(kind: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        let code = if code.is_empty() { Value::Null } else { code.into() };
        Self { message: message.into(), kind, param: None, code }
    }

    fn about(self, param: &'static str) -> Self {
        Self { param: Some(param), ..self }
    }
}

/// Returns OpenAI's words. What OpenAI never says (CometAPI's 500 and 503 for mistakes of the client) gets its words for the same trouble.
pub(super) fn openai(kind: ErrorKind, ctx: &ReplyContext<'_>) -> Wording {
    const INVALID: &str = "invalid_request_error";
    let ReplyContext { model, request_id, surface, .. } = ctx;
    match kind {
        ErrorKind::MissingKey => Wording::new(
            INVALID,
            "",
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth \
             (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the API \
             from your browser and are prompted for a username and password. You can obtain an API key from \
             https://platform.openai.com/account/api-keys.",
        ),
        ErrorKind::InvalidKey => Wording::new(
            INVALID,
            "invalid_api_key",
            "Incorrect API key provided: sk-********. You can find your API key at https://platform.openai.com/account/api-keys.",
        ),
        ErrorKind::Forbidden => Wording::new(
            "request_forbidden",
            "unsupported_country_region_territory",
            "Country, region, or territory not supported",
        ),
        ErrorKind::BadRequest => missing_parameter("messages"),
        ErrorKind::InvalidRequestAs500 => {
            Wording { code: "invalid_request".into(), ..missing_parameter("messages") }
        }
        ErrorKind::Fault(fault) => openai_fault(fault),
        ErrorKind::ModelNotFound | ErrorKind::ModelNotFoundAs503 => Wording::new(
            INVALID,
            "model_not_found",
            format!("The model `{model}` does not exist or you do not have access to it."),
        ),
        ErrorKind::WrongPath => Wording::new(
            INVALID,
            "",
            format!("Invalid URL. Did you mean /v1{}?", surface.resource_path()),
        ),
        ErrorKind::WrongMethod => Wording::new(
            INVALID,
            "method_not_supported",
            "Not allowed with this method. (HINT: Perhaps you meant to use a different HTTP method?)",
        ),
        ErrorKind::TooLarge => Wording::new(
            "server_error",
            "",
            "Maximum content size limit (26214400) exceeded (26428490 bytes read)",
        ),
        ErrorKind::Unprocessable => Wording::new(
            INVALID,
            "",
            "Unprocessable Entity: the request was well-formed but could not be processed as given.",
        ),
        ErrorKind::RateLimited => Wording::new(
            "requests",
            "rate_limit_exceeded",
            format!(
                "Rate limit reached for {model} in organization org-release-check on requests per min (RPM): Limit 500, Used 500, \
                 Requested 1. Please try again in 120ms. Visit https://platform.openai.com/account/rate-limits to learn more."
            ),
        ),
        ErrorKind::InsufficientQuota => {
            Wording::new("insufficient_quota", "insufficient_quota", NO_QUOTA)
        }
        ErrorKind::Server => Wording::new(
            "server_error",
            "",
            format!(
                "The server had an error while processing your request. Sorry about that! You can retry your request, or contact us \
                 through our help center at help.openai.com if the error persists. (Please include the request ID {request_id} in \
                 your message.)"
            ),
        ),
        ErrorKind::BadGateway => {
            Wording { code: 502.into(), ..Wording::new("cf_bad_gateway", "", "Bad gateway.") }
        }
        ErrorKind::Overloaded => {
            Wording::new("service_unavailable_error", "server_is_overloaded", OVERLOADED)
        }
        ErrorKind::Overloaded529 => Wording::new("overloaded_error", "", "Overloaded"),
    }
}

/// Returns CometAPI's words, without the request id that ends each message there.
pub(super) fn cometapi(kind: ErrorKind, ctx: &ReplyContext<'_>) -> Wording {
    const COMET: &str = "comet_api_error";
    let ReplyContext { model, surface, .. } = ctx;
    match kind {
        ErrorKind::MissingKey | ErrorKind::InvalidKey => Wording::new(COMET, "", "Invalid token"),
        ErrorKind::Forbidden => Wording::new(
            COMET,
            "permission_denied",
            format!("this token has no access to model {model}"),
        ),
        ErrorKind::BadRequest => {
            Wording::new(COMET, "invalid_request", "invalid request body").about("")
        }
        ErrorKind::InvalidRequestAs500 => {
            Wording::new(COMET, "invalid_request", "field messages is required").about("")
        }
        ErrorKind::Fault(fault) => cometapi_fault(fault),
        ErrorKind::ModelNotFound | ErrorKind::ModelNotFoundAs503 => Wording::new(
            COMET,
            "model_not_found",
            format!("no available channel for group default and model {model} (distributor)"),
        ),
        ErrorKind::WrongPath => Wording::new(
            "invalid_request_error",
            "",
            format!("Invalid URL. Did you mean /v1{}?", surface.resource_path()),
        )
        .about(""),
        ErrorKind::WrongMethod => {
            Wording::new("invalid_request_error", "", "Invalid method for this URL").about("")
        }
        ErrorKind::TooLarge => {
            Wording::new(COMET, "read_request_body_failed", "request body too large").about("")
        }
        ErrorKind::Unprocessable => {
            Wording::new(COMET, "convert_request_failed", "the request cannot be processed")
                .about("")
        }
        ErrorKind::RateLimited => Wording::new(
            COMET,
            "rate_limit_exceeded",
            format!(
                "Rate limit reached for {model} on requests per min (RPM). Please try again later."
            ),
        )
        .about(""),
        ErrorKind::InsufficientQuota => {
            Wording::new(COMET, "insufficient_quota", NO_QUOTA).about("")
        }
        ErrorKind::Server => Wording::new(
            COMET,
            "do_request_failed",
            "The server had an error while processing your request. Sorry about that!",
        )
        .about(""),
        ErrorKind::BadGateway => {
            Wording::new(COMET, "bad_response_status_code", "bad response status code 502")
                .about("")
        }
        ErrorKind::Overloaded => Wording::new(COMET, "server_is_overloaded", OVERLOADED).about(""),
        ErrorKind::Overloaded529 => Wording::new(COMET, "overloaded_error", "Overloaded").about(""),
    }
}

const OVERLOADED: &str = "Our servers are currently overloaded. Please try again later.";

const NO_QUOTA: &str = "You exceeded your current quota, please check your plan and billing details. For more information on this error, \
                        read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.";

fn missing_parameter(field: &'static str) -> Wording {
    let message = format!("Missing required parameter: '{field}'.");
    Wording::new("invalid_request_error", "missing_required_parameter", message).about(field)
}

fn openai_fault(fault: RequestFault) -> Wording {
    match fault {
        RequestFault::ContentType => Wording::new(
            "invalid_request_error",
            "",
            "Invalid Content-Type header, expected application/json. (HINT: If you're using curl, you can pass -H 'Content-Type: application/json')",
        ),
        RequestFault::NotJson => Wording::new(
            "invalid_request_error",
            "",
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. \
             The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)",
        ),
        RequestFault::Missing(field) => missing_parameter(field),
        RequestFault::WrongType(field) => {
            let message = format!("Invalid type for '{field}'.");
            Wording::new("invalid_request_error", "invalid_type", message).about(field)
        }
        RequestFault::OutOfRange("stream_options") => {
            let message =
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
            Wording::new("invalid_request_error", "", message).about("stream_options")
        }
        RequestFault::OutOfRange(field) => {
            let message = format!("Invalid value for '{field}'.");
            Wording::new("invalid_request_error", "invalid_value", message).about(field)
        }
    }
}

fn cometapi_fault(fault: RequestFault) -> Wording {
    const COMET: &str = "comet_api_error";
    match fault {
        // Its router decodes by the header, and finds no model in what it did not decode.
        RequestFault::ContentType | RequestFault::Missing("model") => {
            Wording::new(COMET, "", "model name not specified, model name cannot be empty")
        }
        RequestFault::NotJson => {
            Wording::new(COMET, "invalid_request", "invalid request body").about("")
        }
        RequestFault::Missing(field) => {
            Wording::new(COMET, "invalid_request", format!("field {field} is required")).about("")
        }
        RequestFault::WrongType(field) => {
            Wording::new(COMET, "invalid_request", format!("field {field} has the wrong type"))
                .about("")
        }
        RequestFault::OutOfRange(field) => {
            Wording::new(COMET, "invalid_request", format!("field {field} has an invalid value"))
                .about("")
        }
    }
}

//! What an error reply says: its class, and whether sending the request again may help.
//!
//! A status alone misleads: gateways report client mistakes as 500 and 503, and empty accounts as 429. So the code decides
//! before the status, and the words of the message are asked last.

mod posing;
mod words;

use std::borrow::Cow;

pub(crate) use posing::reads_like_an_error;

use crate::json::{Glances, Tape, Value};
use crate::profile::at;
use crate::report::Report;
use crate::{Code, Envelope, ErrorClass, ErrorFacts, Kind, rule};

/// Longest message that is looked at.
const MESSAGE_BYTES_MAX: usize = 8 * 1024;

/// Where codes stand.
const CODE_KEYS: &[&str] = &["code", "error_code", "errorCode", "Code"];
/// Where messages stand.
const MESSAGE_KEYS: &[&str] = &[
    "message",
    "msg",
    "error_msg",
    "Message",
    "errorMessage",
    "error_message",
    "error_description",
];

/// What stands in an error body. It may hold payload, so it does not leave this crate.
#[derive(Clone, Debug, Default)]
pub(crate) struct ErrorParts {
    code: Option<String>,
    kind: Option<String>,
    message: String,
    request_id: Option<String>,
    /// What a profile declares about the code.
    declared: Option<Code>,
}

impl ErrorParts {
    /// Reads the parts of an error body in any known envelope, and says what is odd about it.
    pub(crate) fn read(body: Value<'_>, report: &mut Report) -> Self {
        let custom = report.profile().custom();
        let own = custom
            .and_then(|custom| custom.envelope.as_ref())
            .and_then(|envelope| Self::own(body, envelope));
        let mut parts = match own {
            Some(mut parts) => {
                parts.take_nested(report);
                parts
            }
            None => Self::common(body, report),
        };
        let words = [&parts.code, &parts.kind];
        parts.declared = custom
            .and_then(|custom| words.into_iter().flatten().find_map(|word| custom.codes.get(word)))
            .copied();
        parts
    }

    /// Reads the provider's own envelope, if the body has a part of it.
    fn own(body: Value<'_>, envelope: &Envelope) -> Option<Self> {
        let part = |pointer: &Option<String>| at(body, pointer.as_deref()?);
        let word = |pointer: &Option<String>| {
            let value = part(pointer)?;
            let text = value.text().filter(|text| !text.is_empty()).map(Cow::into_owned);
            text.or_else(|| value.integer().map(|number| number.to_string()))
        };
        let mut parts =
            Self { code: word(&envelope.code), kind: word(&envelope.kind), ..Self::default() };
        if let Some(message) = part(&envelope.message).and_then(Value::text) {
            parts.set_message(&message);
        }
        parts.request_id = word(&envelope.request_id).as_deref().and_then(identifier);
        let is_there = parts.code.is_some() || parts.kind.is_some() || !parts.message.is_empty();
        is_there.then_some(parts)
    }

    /// Reads any common envelope.
    fn common(body: Value<'_>, report: &mut Report) -> Self {
        if let Some(first) = body.items().next() {
            report.add(&rule::ERROR_ARRAY, format_args!("/"), format_args!("array"));
            return Self::common(first, report);
        }
        let mut parts = Self::default();
        if let Some(text) = body.text() {
            // A text that was encoded as JSON, perhaps a whole envelope.
            report.add(&rule::ERROR_UNREADABLE, format_args!("/"), format_args!("{}", body.kind()));
            parts.set_message(&text);
        } else if let Some(error) = body.get_some("error").or_else(|| body.get_some("Error")) {
            parts.fill(error, report);
            if !error.is_object() && !error.is_array() {
                // `{"error": "text", "message": …, "code": …}`: the rest stands beside it.
                parts.fill_missing(body, report);
            }
        } else if let Some(errors) = body.get("errors").filter(|errors| errors.is_object()) {
            report.add(&rule::ERROR_FLAT, format_args!("/errors"), format_args!("object"));
            parts.fill_missing(errors, report);
            parts.fill_missing(body, report);
        } else if let Some(first) = body.get("errors").and_then(|errors| errors.items().next()) {
            report.add(&rule::ERROR_ARRAY, format_args!("/errors"), format_args!("array"));
            parts.fill(first, report);
        } else if let Some(detail) = body.get_some("detail") {
            report.add(
                &rule::ERROR_DETAIL,
                format_args!("/detail"),
                format_args!("{}", detail.kind()),
            );
            // What is below has no documented form that it could miss.
            parts.fill(detail, &mut Report::new(report.profile()));
            parts.fill_missing(body, report);
        } else if body.get_some("error_code").is_some() {
            report.add(
                &rule::ERROR_DETAIL,
                format_args!("/error_code"),
                format_args!("no object `error`"),
            );
            parts.fill_missing(body, report);
        } else if body.is_object()
            && ["title", "__type"]
                .iter()
                .chain(MESSAGE_KEYS)
                .chain(CODE_KEYS)
                .any(|key| body.get_some(key).is_some())
        {
            report.add(&rule::ERROR_FLAT, format_args!("/"), format_args!("fields at the top"));
            parts.fill_missing(body, report);
        } else if !body.is_object() || body.get("error").is_none() {
            report.add(&rule::ERROR_UNREADABLE, format_args!("/"), format_args!("{}", body.kind()));
        }
        if parts.request_id.is_none() {
            parts.request_id =
                body.get("request_id").and_then(Value::text).and_then(|id| identifier(&id));
        }
        parts.take_nested(report);
        parts
    }

    fn fill(&mut self, error: Value<'_>, report: &mut Report) {
        if let Some(text) = error.text() {
            report.add(
                &rule::ERROR_STRING,
                format_args!("/error"),
                format_args!("{}", error.kind()),
            );
            // `{"error": "insufficient_quota"}` has a code in place of a message.
            if self.code.is_none() && words::class_of(&text).is_some() {
                self.code = identifier(&text);
            }
            self.set_message(&text);
        } else if error.is_array() {
            if let Some(first) = error.items().next() {
                report.add(&rule::ERROR_ARRAY, format_args!("/error"), format_args!("array"));
                self.fill(first, report);
            }
        } else if let Some(inner) = error.get_some("error").filter(|inner| inner.is_object()) {
            // An envelope in an envelope.
            self.fill_missing(inner, report);
            self.fill_missing(error, report);
        } else {
            self.fill_missing(error, report);
        }
    }

    fn fill_missing(&mut self, error: Value<'_>, report: &mut Report) {
        for key in CODE_KEYS {
            let Some(code) = error.get_some(key) else { continue };
            if let Some(text) = code.text().filter(|text| !text.is_empty()) {
                self.code.get_or_insert(text.into_owned());
            } else if let Some(number) = code.integer() {
                report.add(
                    &rule::ERROR_CODE_INTEGER,
                    format_args!("/error/code"),
                    format_args!("integer"),
                );
                self.code.get_or_insert(number.to_string());
            } else if !code.kind().intersects(Kind::EMPTY_STRING) {
                report.add(
                    &rule::ERROR_CODE_INTEGER,
                    format_args!("/error/code"),
                    format_args!("{}", code.kind()),
                );
            }
        }
        // `status` is Google's word for the type, where a number is the HTTP status again; `__type` is Amazon's.
        for key in ["type", "status", "error_type", "__type", "errorType"] {
            if let Some(text) = error.get(key).and_then(Value::text).filter(|text| !text.is_empty())
            {
                self.kind.get_or_insert(text.into_owned());
            }
        }
        // Google's reason tells more than its code, which is the HTTP status again.
        let details = error.get("details").into_iter().flat_map(Value::items);
        let reason = details.filter_map(|detail| detail.get("reason")).find_map(Value::text);
        if let Some(reason) = reason.filter(|reason| words::class_of(reason).is_some())
            && self.code.as_deref().is_none_or(|code| code.parse::<u16>().is_ok())
        {
            self.code = Some(reason.into_owned());
        }
        for key in MESSAGE_KEYS.iter().chain(&["detail", "title"]) {
            if let Some(text) =
                error.get(key).and_then(Value::text).filter(|_| self.message.is_empty())
            {
                self.set_message(&text);
            }
        }
    }

    fn set_message(&mut self, text: &str) {
        let mut end = text.len().min(MESSAGE_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.message = text.get(..end).unwrap_or_default().to_owned();
    }

    /// Looks once into a message that holds an upstream's JSON as text.
    fn take_nested(&mut self, report: &mut Report) {
        let Some(start) = self.message.find('{') else { return };
        let Some(end) = self.message.rfind('}') else { return };
        let Some(nested) = self.message.get(start..=end) else { return };
        let mut tape = Tape::default();
        let Ok(nested) = tape.read(nested.as_bytes()) else { return };
        report.add(
            &rule::ERROR_NESTED,
            format_args!("/error/message"),
            format_args!("JSON as text"),
        );
        let mut inner = Self::default();
        // What is odd about the upstream's envelope is no finding of this reply.
        inner.fill_missing(
            nested.get_some("error").unwrap_or(nested),
            &mut Report::new(report.profile()),
        );
        let says_nothing = |word: &Option<String>| {
            word.as_deref()
                .and_then(words::class_of)
                .is_none_or(|class| class == ErrorClass::Server)
        };
        if says_nothing(&self.code) && inner.code.as_deref().and_then(words::class_of).is_some() {
            self.code = inner.code;
        }
        if says_nothing(&self.kind) && inner.kind.is_some() {
            self.kind = inner.kind;
        }
    }

    /// Takes over an error that is only known as text.
    pub(crate) fn of_text(text: &str) -> Self {
        let mut parts = Self::default();
        parts.set_message(text);
        parts
    }

    /// Takes the type of the error that a header names, where the body names none.
    pub(crate) fn take_header_type(&mut self, kind: &str) {
        self.kind.get_or_insert_with(|| kind.to_owned());
    }

    /// Classifies. `status` is that of the response, so 200 for an error inside of a success.
    pub(crate) fn facts(&self, status: u16, header_request_id: Option<&str>) -> ErrorFacts {
        // An error inside of a success may carry its true status as code, and so may an upstream's inside of a gateway's 500 or 502.
        let status = match self.code.as_deref().and_then(|code| code.parse::<u16>().ok()) {
            Some(code) if status < 400 && (400..600).contains(&code) => code,
            Some(code) if matches!(status, 500 | 502) && (400..500).contains(&code) => code,
            Some(_) | None => status,
        };
        let class = self.declared.map_or_else(|| self.class(status), |code| code.class);
        let retry_safe = match class {
            _ if self.declared.is_some() => self.declared.is_some_and(|code| code.retry_safe),
            // One request above the limit of a minute never fits; gateways write the upstream's name before it.
            ErrorClass::RateLimit => !self.message.contains("Request too large"),
            ErrorClass::Overloaded | ErrorClass::Timeout => true,
            // 501 and 505 do not heal; a conflict may have been executed once already.
            ErrorClass::Server => !matches!(status, 409 | 424 | 501 | 505 | 511),
            ErrorClass::Auth
            | ErrorClass::Permission
            | ErrorClass::InvalidRequest
            | ErrorClass::NotFound
            | ErrorClass::Quota
            | ErrorClass::Unknown => false,
        };
        ErrorFacts {
            class,
            retry_safe,
            code: self.code.as_deref().and_then(identifier),
            request_id: request_id_in(&self.message)
                .or(self.request_id.clone())
                .or_else(|| header_request_id.and_then(identifier)),
        }
    }

    fn class(&self, status: u16) -> ErrorClass {
        let code = self.code.as_deref().and_then(words::class_of);
        let kind = self.kind.as_deref().and_then(words::class_of);
        let message = words::class_of_message(&self.message);
        // The first of code, type and message that tells more than "it failed".
        let telling =
            [code, kind, message].into_iter().flatten().find(|class| *class != ErrorClass::Server);
        // OpenAI types a bad key, an unknown model and a rate limit as `invalid_request_error` too, so the type alone is weak.
        let strong = [code, kind.filter(|class| *class != ErrorClass::InvalidRequest)]
            .into_iter()
            .flatten()
            .find(|class| *class != ErrorClass::Server);
        match status {
            401 => match strong {
                Some(ErrorClass::Quota) => ErrorClass::Quota,
                Some(ErrorClass::Permission) => ErrorClass::Permission,
                Some(_) | None => ErrorClass::Auth,
            },
            402 => ErrorClass::Quota,
            // A proxy on the way asks for its own credential.
            407 => ErrorClass::Auth,
            403 => match strong.or(message) {
                Some(class @ (ErrorClass::Quota | ErrorClass::Auth | ErrorClass::RateLimit)) => {
                    class
                }
                Some(_) | None => ErrorClass::Permission,
            },
            404 | 410 => ErrorClass::NotFound,
            451 => ErrorClass::Permission,
            408 => ErrorClass::Timeout,
            409 | 425 => strong.unwrap_or(ErrorClass::Unknown),
            429 => match strong {
                Some(ErrorClass::InvalidRequest | ErrorClass::Auth) => ErrorClass::RateLimit,
                Some(class) => class,
                None => match message {
                    Some(class @ (ErrorClass::Quota | ErrorClass::Overloaded)) => class,
                    Some(_) | None => ErrorClass::RateLimit,
                },
            },
            // Too large for a limit of tokens is too large the next time as well, whatever the code says.
            413 | 414 | 431 => ErrorClass::InvalidRequest,
            // What a failed dependency was, only words tell.
            424 => telling.unwrap_or(ErrorClass::Server),
            // Said of tokens that are not valid any more.
            498 => strong.or(message).unwrap_or(ErrorClass::Auth),
            400 | 405..=428 | 430 | 432..=497 => {
                // `timeout must be positive` is no timeout: of a client's mistake, words tell only what a 400 is known to hide.
                let hidden = message
                    .filter(|class| !matches!(class, ErrorClass::Timeout | ErrorClass::Overloaded));
                strong.or(hidden).unwrap_or(ErrorClass::InvalidRequest)
            }
            502 | 520 | 521 | 523 | 525..=527 | 530 => telling.unwrap_or(ErrorClass::Server),
            // `slow_down` with these is the provider's capacity, not the caller's rate.
            503 | 529 => telling
                .filter(|class| *class != ErrorClass::RateLimit)
                .unwrap_or(ErrorClass::Overloaded),
            499 | 504 | 522 | 524 | 598 | 599 => telling.unwrap_or(ErrorClass::Timeout),
            500..=597 => telling.unwrap_or(ErrorClass::Server),
            _ => telling.or(code).or(kind).unwrap_or(ErrorClass::Unknown),
        }
    }

    /// Whether the status alone would have made a client send the request again, although that cannot help.
    pub(crate) fn status_misleads(facts: &ErrorFacts, status: u16) -> bool {
        !facts.retry_safe
            && (status == 429 || status >= 500 && status != 501)
            && facts.class != ErrorClass::Unknown
            && facts.class != ErrorClass::Server
    }
}

/// What [`is_error_body`] looks at.
const TELLING: Glances = Glances::of(&[
    "error",
    "choices",
    "output",
    "candidates",
    "content",
    "response",
    "success",
    "detail",
    "error_code",
    "message",
    "msg",
    "error_msg",
    "code",
    "type",
    "Error",
    "errors",
    "error_message",
    "errorMessage",
    "status",
    "statusCode",
]);

/// Whether a document that came with a success status is an error in truth.
pub(crate) fn is_error_body(body: Value<'_>) -> bool {
    if let Some(first) = body.items().next() {
        return first.is_object() && first.get_some("error").is_some();
    }
    let mut error = None;
    let (
        mut has_answer,
        mut has_failed,
        mut says_error,
        mut has_detail,
        mut says_why,
        mut has_code,
    ) = (false, false, false, false, false, false);
    // One pass: this is asked of every event of a stream.
    for (key, value) in body.fields().filter(|(key, _)| TELLING.may_hold_key(*key)) {
        let is_there = !value.is_null();
        match &*key.key() {
            "error" => error = Some(value).filter(|_| is_there),
            "choices" | "output" | "candidates" | "content" | "response" => has_answer |= is_there,
            "success" => has_failed = value.boolean() == Some(false),
            "detail" | "error_code" | "error_message" | "errorMessage" => has_detail |= is_there,
            "Error" | "errors" => has_detail |= !value.is_empty(),
            "message" | "msg" | "error_msg" => says_why |= is_there,
            "code" => has_code = is_there,
            "type" | "status" | "statusCode" => {
                says_error |= ["error", "fail", "failed"].iter().any(|word| value.is(word))
                    || value.integer().is_some_and(|status| (400..600).contains(&status));
            }
            _ => {}
        }
    }
    if let Some(error) = error {
        // `false`, `""` and `0` say that there is none; `{}` says nothing, and counts only where no answer is.
        let is_empty = error.boolean() == Some(false)
            || error.integer() == Some(0)
            || error.kind() == Kind::EMPTY_STRING;
        let is_bare = error.is_object() && error.fields().next().is_none()
            || error.kind() == Kind::EMPTY_ARRAY;
        return !(is_empty || is_bare && has_answer);
    }
    has_failed || !has_answer && (has_detail || says_why && (has_code || says_error))
}

/// Returns a text that looks like an identifier, and not like a key.
fn identifier(text: &str) -> Option<String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':');
    let fits = !text.is_empty() && text.len() <= 64 && text.bytes().all(is_plain);
    (fits && !text.starts_with("sk-")).then(|| text.to_owned())
}

/// Returns the id in `(request id: …)`, which one-api gateways add to their messages.
fn request_id_in(message: &str) -> Option<String> {
    let lower = message.to_ascii_lowercase();
    let start = lower.rfind("request id: ").map(|at| at + "request id: ".len())?;
    let rest = message.get(start..)?;
    let end = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
        .unwrap_or(rest.len());
    rest.get(..end).and_then(identifier)
}

#[cfg(test)]
mod tests;

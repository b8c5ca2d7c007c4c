//! Trouble with a status or a connection of its own: errors, overload, a breaking network, a failing primary, an asker who leaves.

use contract::Mode;
use contract::reply::ErrorKind;

use super::{AUTH_GROUP, CLIENT_GROUP, FALLBACK_GROUP, Plan};
use crate::probe::{Attempts, Expect};
use crate::stimulus::{
    Comes, ErrorForm, NetworkFault, OddError, Primary, PrimaryFault, Redirect, RetryAfter, Stimulus,
};

/// Seconds that a rate limit asks for: long enough to tell obeying from guessing (stock SDKs wait 0.5 s, and on a busy machine a script's next attempt
/// begins a second late by itself), short enough to wait for.
const RETRY_AFTER_S: u32 = 2;
/// The same as a date. HTTP dates have whole seconds, so one of them may be lost to rounding.
const RETRY_AFTER_DATE_S: u32 = 2;
/// More than any policy waits for: stock SDKs retry after 0.5 s, give up, or sleep it all (contracts.md section 6.2).
const RETRY_AFTER_LONG_S: u32 = 130;
/// The same in milliseconds, as OpenAI sends it; more than the first wait of stock SDKs, which is half a second.
const RETRY_AFTER_MS: u32 = 1_200;

pub(super) fn add(plan: &mut Plan<'_>) {
    errors(plan);
    redirects(plan);
    rate_limits(plan);
    overload(plan);
    network(plan);
    fallback(plan);
    client(plan);
}

fn errors(plan: &mut Plan<'_>) {
    plan.add(
        "auth-invalid-credential",
        AUTH_GROUP,
        Stimulus::InvalidCredential,
        Expect::Refusal,
        Attempts::One,
    );
    if plan.context.ends_tls {
        plan.add(
            "auth-unknown-ca",
            AUTH_GROUP,
            Stimulus::UnknownCa,
            Expect::Refusal,
            Attempts::Policy,
        );
    }
    let cometapi = plan.context.cometapi;
    let mut error = |id, group, kind, attempts| {
        plan.add(id, group, Stimulus::Error(kind), Expect::Refusal, attempts);
    };
    error("auth-forbidden", AUTH_GROUP, ErrorKind::Forbidden, Attempts::One);
    error("request-400", "request", ErrorKind::BadRequest, Attempts::One);
    error("request-404-model", "request", ErrorKind::ModelNotFound, Attempts::One);
    error("request-413", "request", ErrorKind::TooLarge, Attempts::One);
    error("request-422", "request", ErrorKind::Unprocessable, Attempts::One);
    if cometapi {
        error(
            "request-500-invalid",
            "request",
            ErrorKind::InvalidRequestAs500,
            Attempts::OneOrWarn,
        );
        error("request-503-model", "request", ErrorKind::ModelNotFoundAs503, Attempts::OneOrWarn);
    }
    let flat =
        OddError { kind: ErrorKind::BadRequest, form: ErrorForm::Flat, comes: Comes::Always };
    plan.add(
        "request-400-flat",
        "request",
        Stimulus::OddError(flat),
        Expect::Refusal,
        Attempts::One,
    );
}

fn redirects(plan: &mut Plan<'_>) {
    let is_thorough = plan.is_thorough();
    let mut redirect = |id, status, elsewhere| {
        let stimulus = Stimulus::Redirect(Redirect { status, elsewhere });
        // An SDK that follows has called twice, whatever the application does; that is a warning of its own.
        plan.add(id, "request", stimulus, Expect::Refusal, Attempts::OneOrWarn);
    };
    redirect("request-redirect-html", 301, false);
    // Clients repeat the POST here, body and all; the credential must stay behind.
    redirect("request-redirect-elsewhere", 307, true);
    if is_thorough {
        redirect("request-redirect-302", 302, true);
        redirect("request-redirect-308", 308, true);
    }
}

fn rate_limits(plan: &mut Plan<'_>) {
    let is_thorough = plan.is_thorough();
    let mut limited = |id, retry_after, attempts| {
        plan.add(id, "overload", Stimulus::RateLimited(retry_after), Expect::Refusal, attempts);
    };
    limited("overload-429", RetryAfter::Seconds(RETRY_AFTER_S), Attempts::PolicyAfterFloor);
    limited(
        "overload-429-date",
        RetryAfter::Date(RETRY_AFTER_DATE_S),
        Attempts::PolicyAfterFloorOrWarn,
    );
    limited(
        "overload-429-long",
        RetryAfter::Seconds(RETRY_AFTER_LONG_S),
        Attempts::PolicyAfterFloorOrWarn,
    );
    limited(
        "overload-429-ms",
        RetryAfter::Milliseconds(RETRY_AFTER_MS),
        Attempts::PolicyAfterFloorOrWarn,
    );
    limited("overload-429-garbage", RetryAfter::Text("soon"), Attempts::Policy);
    if is_thorough {
        limited("overload-429-none", RetryAfter::Absent, Attempts::Policy);
        limited("overload-429-negative", RetryAfter::Text("-5"), Attempts::Policy);
        // Fifteen days, as seen in the wild: whoever adds it to a clock may overflow, whoever sleeps it hangs.
        limited(
            "overload-429-days",
            RetryAfter::Seconds(1_296_000),
            Attempts::PolicyAfterFloorOrWarn,
        );
    }
}

fn overload(plan: &mut Plan<'_>) {
    let mut refused = |id, kind, attempts| {
        plan.add(id, "overload", Stimulus::Error(kind), Expect::Refusal, attempts);
    };
    refused("overload-429-quota", ErrorKind::InsufficientQuota, Attempts::OneOrWarn);
    refused("overload-500", ErrorKind::Server, Attempts::Policy);
    refused("overload-502", ErrorKind::BadGateway, Attempts::Policy);
    refused("overload-503", ErrorKind::Overloaded, Attempts::Policy);
    refused("overload-529", ErrorKind::Overloaded529, Attempts::Policy);
    // RFC 9110 section 10.2.3 names 503 first; hand-written code often looks for the hint beside a 429 only.
    plan.add(
        "overload-503-retry-after",
        "overload",
        Stimulus::OverloadedFor(RetryAfter::Seconds(RETRY_AFTER_S)),
        Expect::Refusal,
        Attempts::PolicyAfterFloor,
    );
    if plan.context.max_attempts > 1 {
        let mut recovers = |id, kind| {
            plan.add(
                id,
                "overload",
                Stimulus::RecoversOnSecond(kind),
                Expect::Answer,
                Attempts::Recovers,
            );
        };
        recovers("overload-recovers", ErrorKind::Overloaded);
        recovers("overload-recovers-429", ErrorKind::RateLimited);
        // In every list of what is worth a retry, those of the SDKs included.
        recovers("overload-recovers-502", ErrorKind::BadGateway);
        let mut recovers_from = |id, kind, form| {
            let error = OddError { kind, form, comes: Comes::Once };
            plan.add(id, "overload", Stimulus::OddError(error), Expect::Answer, Attempts::Recovers);
        };
        // What reads the error's own words before it decides on a retry may not get that far.
        recovers_from("overload-recovers-text", ErrorKind::Overloaded, ErrorForm::Text);
        recovers_from("overload-recovers-page", ErrorKind::BadGateway, ErrorForm::Page);
    }
}

fn network(plan: &mut Plan<'_>) {
    let (is_thorough, own_port) = (plan.is_thorough(), plan.context.own_port);
    let mode = plan.mode;
    let mut broken = |id, fault, expect| {
        plan.add(id, "network", Stimulus::Network(fault), expect, Attempts::Policy);
    };
    broken("network-reset-before-headers", NetworkFault::ResetBeforeHeaders, Expect::Refusal);
    broken("network-reset-mid-body", NetworkFault::ResetMidBody, Expect::Refusal);
    if is_thorough {
        broken("network-close-before-headers", NetworkFault::CloseBeforeHeaders, Expect::Refusal);
        broken("network-close-mid-body", NetworkFault::CloseMidBody, Expect::Refusal);
    }
    broken("network-stall-before-headers", NetworkFault::StallBeforeHeaders, Expect::Refusal);
    broken("network-stall-mid-body", NetworkFault::StallMidBody, Expect::Refusal);
    if mode == Mode::Unary {
        broken("network-endless-blanks", NetworkFault::EndlessBlanks, Expect::Refusal);
    }
    broken("network-slow-drip", NetworkFault::SlowDrip, Expect::AnyOutcome);
    if own_port {
        plan.add(
            "network-refused",
            "network",
            Stimulus::Refused,
            Expect::Refusal,
            Attempts::Policy,
        );
    }
}

fn fallback(plan: &mut Plan<'_>) {
    let models: Vec<String> = std::iter::once(plan.context.model)
        .chain(plan.context.models.iter().map(String::as_str))
        .map(str::to_owned)
        .collect();
    let mut fails = |id, fault| {
        let primary = Primary { models: models.clone(), fault };
        let stimulus = Stimulus::PrimaryFails(Box::new(primary));
        plan.add(id, FALLBACK_GROUP, stimulus, Expect::Refusal, Attempts::Policy);
    };
    fails("fallback-503", PrimaryFault::Overloaded);
    fails("fallback-timeout", PrimaryFault::Silent);
}

fn client(plan: &mut Plan<'_>) {
    // A command's user leaves by ending it, and then everything of it is gone with its process.
    if !plan.context.own_port {
        plan.add(
            "client-leaves",
            CLIENT_GROUP,
            Stimulus::AskerLeaves,
            Expect::Nobody,
            Attempts::Policy,
        );
    }
}

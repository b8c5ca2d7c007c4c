//! The way of the built-in release to its provider: request, attempts, log.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Proxy, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use super::defect::Defect;
use super::reply::{Read, Refused, Seen, is_transient, read, retry_after};
use crate::failure::Failure;
use crate::terminal::say;
use crate::wiring::now;

/// Attempts for one answer, and what a release makes that retries too often.
const ATTEMPTS_MAX: u32 = 3;
const ATTEMPTS_TOO_MANY: u32 = 5;
/// Attempts without any wait: so many that a busy machine does not space them all.
const ATTEMPTS_AT_ONCE: u32 = 10;
/// The wait before the second attempt; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(120);
/// The same of a release that waits longer than its policy allows.
const LATE_WAIT: Duration = Duration::from_millis(900);
/// All attempts together: less than the deadline of an ask.
const PATIENCE: Duration = Duration::from_secs(5);
/// Characters that are left of an answer which loses its end.
const KEPT: usize = 8;
/// Characters that are left of a question which is cut.
const ASKED: usize = 60;
/// More than surestep keeps of one ask's log.
const FLOOD_LINES: usize = 1_500;
const FLOOD_LINE: usize = 1_024;
/// More than surestep reads of one file.
const KEPT_BYTES: usize = 5 * 1024 * 1024;

/// Where the provider is and what it knows us by. No `Debug`: it holds the key.
pub(super) struct Access {
    pub(super) base_url: String,
    pub(super) key: String,
    pub(super) model: String,
    /// The way to it, and a PEM file with whom to trust on that way.
    pub(super) proxy: Option<String>,
    pub(super) trust: Option<String>,
}

/// The release's client.
pub(super) struct Bot {
    pub(super) defect: Defect,
    access: Access,
    version: String,
    http: Client,
    /// What was asked so far, where the defect is to keep it.
    asked: Mutex<Vec<String>>,
}

impl Bot {
    pub(super) fn new(defect: Defect, access: Access, version: String) -> Result<Self, Failure> {
        let http = connections(defect, &access)
            .map_err(|error| Failure::internal(error.to_string(), "This is a bug of surestep."))?;
        Ok(Self { defect, access, version, http, asked: Mutex::default() })
    }

    /// Answers a question, or says why not.
    pub(super) async fn answer(&self, question: &str, stream: bool) -> Result<String, Refused> {
        match self.defect {
            Defect::CallsNobody => return Ok("I am fine, thank you.".to_owned()),
            Defect::RefusesAtOnce => return Err(Refused("not_configured")),
            _ => {}
        }
        if self.defect == Defect::CallsTwice {
            drop(self.ask(&self.access.model, question, stream).await);
        }
        let mut result = self.ask(&self.access.model, question, stream).await;
        if result.is_err() && matches!(self.defect, Defect::FallsBack | Defect::LosesFallback) {
            result = self.ask(FALLBACK_MODEL, question, stream).await;
            if self.defect == Defect::LosesFallback {
                result = Err(Refused("primary_failed"));
            }
        }
        self.log_payload(question, &result);
        self.keep(question);
        self.deliver(result, stream).await
    }

    /// What a user gets to see.
    async fn deliver(
        &self,
        result: Result<String, Refused>,
        stream: bool,
    ) -> Result<String, Refused> {
        match (self.defect, result) {
            (Defect::SwallowsErrors, Err(_)) | (Defect::LosesText, Ok(_)) => Ok(String::new()),
            (Defect::ShowsErrors, Err(refused)) => Ok(format!("Sorry: {}", refused.0)),
            (Defect::ShowsErrorsOfStreams, Err(refused)) if stream => {
                Ok(format!("Sorry: {}", refused.0))
            }
            (Defect::RefusesGoodReplies, Ok(_)) => Err(Refused("not_wanted")),
            (Defect::LosesEnd, Ok(text)) => Ok(text.chars().take(KEPT).collect()),
            (Defect::AnswersTwice, Ok(text)) => Ok(format!("{text}{text}")),
            (Defect::EscapesAnswers, Ok(text)) => {
                Ok(text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;"))
            }
            (Defect::AnswersItself, Ok(_)) => Ok("I am fine, thank you.".to_owned()),
            (Defect::Hangs, Err(_)) => std::future::pending().await,
            (Defect::Crashes, Err(_)) => std::process::abort(),
            (Defect::Alternates, Err(_)) if std::fs::File::create_new("asked").is_ok() => {
                std::process::abort()
            }
            (_, result) => result,
        }
    }

    /// Asks one model, several times if that may help.
    async fn ask(&self, model: &str, question: &str, stream: bool) -> Result<String, Refused> {
        let until = Instant::now() + PATIENCE;
        let mut wait = match self.defect {
            Defect::RetriesLate | Defect::RetriesFaster => LATE_WAIT,
            _ => FIRST_WAIT,
        };
        let attempts_max = match self.defect {
            Defect::RetriesForever => u32::MAX,
            Defect::RetriesOften => ATTEMPTS_TOO_MANY,
            Defect::RetriesAtOnce => ATTEMPTS_AT_ONCE,
            Defect::RetriesNever => 1,
            _ => ATTEMPTS_MAX,
        };
        for attempt in 1.. {
            let reading = timeout_at(until, self.attempt(model, question, stream)).await;
            let (refused, floor) = match reading.unwrap_or(Read::Never(Refused("too_slow"))) {
                Read::Answer(_) if self.defect == Defect::LosesSecondReply && attempt > 1 => {
                    return Err(Refused("gave_up"));
                }
                Read::Answer(text) => return Ok(text),
                Read::Never(refused) => return Err(refused),
                Read::Again(refused, floor) => (refused, floor),
            };
            let pause = match self.defect {
                Defect::RetriesAtOnce | Defect::RetriesForever => Duration::ZERO,
                Defect::RetriesTooSoon => wait,
                _ => wait.max(floor),
            };
            if attempt >= attempts_max || Instant::now() + pause >= until {
                return Err(refused);
            }
            sleep(pause).await;
            wait = if self.defect == Defect::RetriesFaster { wait / 4 } else { wait * 2 };
        }
        Err(Refused("gave_up"))
    }

    /// Asks once, and hands over a reply that is a stream.
    pub(super) async fn open_stream(&self, question: &str) -> Option<Response> {
        let response = self.send(&self.access.model, question, true).await.ok()?;
        self.log(&Seen::of(&response));
        response.status().is_success().then_some(response)
    }

    /// Passes a gateway's request on: status, media type and body of the last of its attempts.
    pub(super) async fn pass_on(&self, mut asked: Value) -> Option<(u16, &'static str, String)> {
        asked["model"] = json!(self.access.model);
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let sent = self.credential(self.post(self.url(), asked.to_string())).send().await;
            self.log(&sent.as_ref().map(Seen::of).unwrap_or_default());
            let mut floor = Duration::ZERO;
            if let Ok(response) = sent {
                let status = response.status().as_u16();
                floor = retry_after(response.headers());
                let media_type = "application/json";
                if !is_transient(status) || attempt == ATTEMPTS_MAX {
                    return Some((status, media_type, response.text().await.ok()?));
                }
            } else if attempt == ATTEMPTS_MAX {
                return None;
            }
            sleep(wait.max(floor)).await;
            wait *= 2;
        }
        None
    }

    async fn attempt(&self, model: &str, question: &str, stream: bool) -> Read {
        let mut seen = Seen::default();
        let read = match self.send(model, question, stream).await {
            Ok(response) => read(self.defect, model, stream, response, &mut seen).await,
            Err(_unreachable) => Read::Again(Refused("provider_unreachable"), Duration::ZERO),
        };
        self.log(&seen);
        read
    }

    async fn send(&self, model: &str, question: &str, stream: bool) -> reqwest::Result<Response> {
        let body = self.body(model, question, stream).to_string();
        let first = self.credential(self.post(self.url(), body.clone())).send().await?;
        let elsewhere = first.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let follows = matches!(self.defect, Defect::FollowsRedirects | Defect::CarriesKeyElsewhere);
        let Some(elsewhere) =
            elsewhere.filter(|_| follows).and_then(|to| first.url().join(to).ok())
        else {
            return Ok(first);
        };
        let mut again = self.post(elsewhere.to_string(), body);
        if self.defect == Defect::CarriesKeyElsewhere {
            again = self.credential(again);
        }
        again.send().await
    }

    fn post(&self, url: String, body: String) -> RequestBuilder {
        self.http.post(url).header(CONTENT_TYPE, "application/json").body(body)
    }

    fn url(&self) -> String {
        let base = self.access.base_url.trim_end_matches('/');
        let root = base.strip_suffix("/v1").unwrap_or(base);
        match self.defect {
            Defect::DoublesVersion => format!("{base}/v1/chat/completions"),
            Defect::DropsVersion => format!("{root}/chat/completions"),
            Defect::DoublesSlash => format!("{base}//chat/completions"),
            Defect::CallsOtherPath => format!("{base}/completions"),
            Defect::KeyInUrl => format!("{base}/chat/completions?api_key={}", self.access.key),
            _ => format!("{base}/chat/completions"),
        }
    }

    fn credential(&self, request: RequestBuilder) -> RequestBuilder {
        let key = &self.access.key;
        match self.defect {
            Defect::BlankKey => request.header(AUTHORIZATION, "Bearer undefined"),
            Defect::BasicAuth => request.basic_auth("bot", Some(key)),
            Defect::OldKey => request.bearer_auth("sk-of-last-year-0123456789"),
            Defect::OtherKeyHeader => request.header("api-key", key),
            _ => request.bearer_auth(key),
        }
    }

    fn body(&self, model: &str, question: &str, stream: bool) -> Value {
        let model = match self.defect {
            Defect::OtherModel => OTHER_MODEL,
            Defect::KeyAsModel => &self.access.key,
            _ => model,
        };
        let message = |content: &str| json!({ "role": "user", "content": content });
        let mut messages: Vec<Value> = match self.defect {
            Defect::CutsQuestion => {
                vec![message(&question.chars().take(ASKED).collect::<String>())]
            }
            // A history that belongs to nobody: the asks before this one, whoever asked them.
            Defect::SendsQuestionsAlong => {
                let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
                asked.push(question.to_owned());
                asked.iter().map(|question| message(question)).collect()
            }
            _ => vec![message(question)],
        };
        let instructing = if self.defect == Defect::InstructsAsUser { "user" } else { "system" };
        messages.insert(0, json!({ "role": instructing, "content": "Be brief." }));
        let mut body = json!({ "model": model, "messages": messages });
        if stream && self.defect != Defect::NeverStreams {
            body["stream"] = json!(true);
        }
        match self.defect {
            Defect::BadParameter => body["temperature"] = json!(7),
            Defect::FurtherField => body["temperature"] = json!(0.5),
            Defect::FewTokens => body["max_tokens"] = json!(2),
            Defect::KeyInBody => body["metadata"] = json!({ "key": self.access.key }),
            _ => {}
        }
        body
    }

    /// One line for each attempt: no question, no answer, no key.
    fn log(&self, seen: &Seen) {
        let left_out = match self.defect {
            Defect::LogsNothing => return,
            Defect::LogsNoTime => "time",
            Defect::LogsNoVersion => "version",
            Defect::LogsNoRoute => "route",
            Defect::LogsNoStatus => "status",
            Defect::LogsNoRequestId => "request_id",
            _ => "",
        };
        let mut line = json!({
            "time": now().to_string(),
            "version": self.version,
            "route": "/v1/chat/completions",
            "status": seen.status,
            "request_id": seen.request_id,
        });
        if let Value::Object(fields) = &mut line {
            fields.retain(|name, _| name != left_out);
        }
        say(&line.to_string());
    }

    /// What a cache must not hold, where the defect is to put it there.
    fn keep(&self, question: &str) {
        let text = match self.defect {
            Defect::KeepsKey => format!("{{\"key\": \"{}\"}}", self.access.key),
            Defect::KeepsAsks => format!("{{\"question\": \"{question}\"}}"),
            Defect::KeepsMuch => " ".repeat(KEPT_BYTES),
            _ => return,
        };
        if std::fs::write("cache.json", text).is_err() {
            say("the cache could not be written");
        }
    }

    /// What must not be in a log, where the defect is to write it.
    fn log_payload(&self, question: &str, result: &Result<String, Refused>) {
        match (self.defect, result) {
            (Defect::LogsKey, _) => say(&format!("using key {}", self.access.key)),
            (Defect::LogsQuestion, _) => say(&format!("asked: {question}")),
            (Defect::LogsAnswer, Ok(answer)) => say(&format!("answered: {answer}")),
            (Defect::LogsTooMuch, _) => {
                let line = "x".repeat(FLOOD_LINE);
                (0..FLOOD_LINES).for_each(|_| say(&line));
            }
            _ => {}
        }
    }
}

fn connections(defect: Defect, access: &Access) -> Result<Client, Box<dyn std::error::Error>> {
    let mut builder =
        Client::builder().no_proxy().redirect(Policy::none()).danger_accept_invalid_certs(
            // Nothing else than the self-test's own loopback is ever called.
            defect == Defect::TrustsAnybody,
        );
    if let Some(proxy) = &access.proxy {
        builder = builder.proxy(Proxy::https(proxy)?);
    }
    if let Some(trust) = &access.trust {
        builder = builder.tls_certs_merge(Certificate::from_pem_bundle(&std::fs::read(trust)?)?);
    }
    Ok(builder.build()?)
}

/// The model that a fallback asks; and one that nobody has configured.
pub(crate) const FALLBACK_MODEL: &str = "self-test-fallback";
const OTHER_MODEL: &str = "self-test-other";

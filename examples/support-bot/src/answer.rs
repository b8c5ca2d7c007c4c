//! From a question to an answer that may be shown: finished, not empty, in time. Everything else is a failure.

use std::time::Duration;

use async_openai::types::chat::{
    ChatCompletionRequestSystemMessage, ChatCompletionRequestUserMessage,
    CreateChatCompletionRequest,
};
use async_openai::types::stream::StreamResponse;
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::{Instant, timeout_at};

use crate::Release;
use crate::log::Log;
use crate::upstream::{self, Call, Credential, Failure};

/// The whole call, retries included. Short for a demonstration; a real model may need 30 s.
const CALL_TIMEOUT: Duration = Duration::from_secs(4);
/// The longest pause between two pieces of text. Comments that keep the connection alive do not count.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait for the rest of a stream whose text is complete.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);
const INSTRUCTION: &str = "You answer questions of our customers, briefly.";

/// Answers questions.
#[derive(Clone)]
pub(crate) struct Assistant {
    release: Release,
    model: String,
    credential: Credential,
    connections: reqwest::Client,
    log: Log,
}

/// What we read of a reply. Own types, as tolerant as the contract: fields and events that we do not know are no error.
#[derive(Deserialize)]
struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(alias = "delta", default)]
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Message {
    content: Option<String>,
    refusal: Option<String>,
}

impl Assistant {
    pub(crate) fn new(
        release: Release,
        model: String,
        credential: &Credential,
        log: Log,
    ) -> Result<Self, String> {
        let connections = upstream::connections(release.version)?;
        Ok(Self { release, model, credential: credential.clone(), connections, log })
    }

    /// Answers at once.
    pub(crate) async fn answer(&self, question: String) -> Result<String, Failure> {
        let deadline = Instant::now() + CALL_TIMEOUT;
        let call = Call::new(&self.connections, deadline, "application/json", self.log);
        let client = call.client(&self.credential);
        let asked = client.chat();
        let replied = asked.create_byot(self.request(question, false));
        let answer = match timeout_at(deadline, replied).await {
            Ok(Ok(completion)) => whole(completion),
            Ok(Err(error)) => Err(Failure::from(error)),
            Err(_elapsed) => Err(Failure("too_slow")),
        };
        self.log.answered(&call.last(), answer.as_ref().err().map(|failure| failure.0));
        answer
    }

    /// Starts to answer piece by piece.
    pub(crate) async fn stream(&self, question: String) -> Result<Streamed, Failure> {
        let deadline = Instant::now() + CALL_TIMEOUT;
        let call = Call::new(&self.connections, deadline, "text/event-stream", self.log);
        let client = call.client(&self.credential);
        let asked = client.chat();
        let opened = match timeout_at(
            deadline,
            asked.create_stream_byot(self.request(question, true)),
        )
        .await
        {
            Ok(Ok(events)) => Ok(events),
            Ok(Err(error)) => Err(Failure::from(error)),
            Err(_elapsed) => Err(Failure("too_slow")),
        };
        let events = opened.inspect_err(|failure| {
            self.log.answered(&call.last(), Some(failure.0));
        })?;
        let log = self.log;
        let idle = Instant::now() + IDLE_TIMEOUT;
        Ok(Streamed {
            events,
            call,
            log,
            deadline,
            idle,
            said_something: false,
            is_finished: false,
        })
    }

    fn request(&self, question: String, stream: bool) -> CreateChatCompletionRequest {
        CreateChatCompletionRequest {
            model: self.model.clone(),
            messages: vec![
                ChatCompletionRequestSystemMessage::from(INSTRUCTION).into(),
                ChatCompletionRequestUserMessage::from(question).into(),
            ],
            temperature: Some(self.release.temperature),
            stream: stream.then_some(true),
            ..CreateChatCompletionRequest::default()
        }
    }
}

/// Returns the text of a whole reply, if it may be shown.
fn whole(completion: Completion) -> Result<String, Failure> {
    if completion.error.is_some() {
        return Err(Failure("provider_error"));
    }
    let Some(choice) = completion.choices.into_iter().next() else {
        return Err(Failure("no_choice"));
    };
    finished(choice.finish_reason.as_deref())?;
    if choice.message.refusal.is_some() {
        return Err(Failure("model_refused"));
    }
    choice.message.content.filter(|text| !text.trim().is_empty()).ok_or(Failure("empty_answer"))
}

/// Only `stop` says that the answer is whole.
fn finished(reason: Option<&str>) -> Result<(), Failure> {
    match reason {
        Some("stop") => Ok(()),
        Some("length") => Err(Failure("answer_cut_by_limit")),
        Some("content_filter") => Err(Failure("answer_filtered")),
        Some(_) => Err(Failure("answer_ended_oddly")),
        None => Err(Failure("answer_not_finished")),
    }
}

/// An answer on its way. Dropping it closes the upstream connection.
pub(crate) struct Streamed {
    events: StreamResponse<Completion>,
    call: Call,
    log: Log,
    deadline: Instant,
    idle: Instant,
    said_something: bool,
    is_finished: bool,
}

impl Streamed {
    /// Returns the next piece; `None` once the answer is whole. After `None` or a failure there is nothing more.
    pub(crate) async fn next(&mut self) -> Result<Option<String>, Failure> {
        let next = self.piece().await;
        match &next {
            Ok(Some(_piece)) => {}
            Ok(None) => self.log.answered(&self.call.last(), None),
            Err(failure) => self.log.answered(&self.call.last(), Some(failure.0)),
        }
        next
    }

    async fn piece(&mut self) -> Result<Option<String>, Failure> {
        loop {
            if self.is_finished {
                self.drain().await;
                return if self.said_something { Ok(None) } else { Err(Failure("empty_answer")) };
            }
            let patience = self.idle.min(self.deadline);
            let completion = match timeout_at(patience, self.events.next()).await {
                Err(_elapsed) => return Err(Failure("too_slow")),
                // `[DONE]`, or the end of the connection: neither says that the answer is whole.
                Ok(None) => return Err(Failure("answer_not_finished")),
                Ok(Some(event)) => event?,
            };
            if completion.error.is_some() {
                return Err(Failure("provider_error"));
            }
            let Some(choice) = completion.choices.into_iter().next() else { continue };
            if choice.message.refusal.is_some() {
                return Err(Failure("model_refused"));
            }
            if let Some(reason) = choice.finish_reason {
                finished(Some(&reason))?;
                self.is_finished = true;
            }
            // Some providers say why they end beside the last words.
            if let Some(text) = choice.message.content.filter(|text| !text.is_empty()) {
                self.said_something |= !text.trim().is_empty();
                self.idle = Instant::now() + IDLE_TIMEOUT;
                return Ok(Some(text));
            }
        }
    }

    /// Takes what comes after the end (usage, `[DONE]`), so that the connection can be used again. Nothing of it matters.
    async fn drain(&mut self) {
        let until = self.deadline.min(Instant::now() + DRAIN_TIMEOUT);
        while let Ok(Some(_event)) = timeout_at(until, self.events.next()).await {}
    }
}

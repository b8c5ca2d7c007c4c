//! What callers ask a gateway with beside a question: instructions, an earlier turn, a tool and parameters; and what of it has arrived where the
//! gateway passes it on.
//!
//! Pure, and value-free in its results: parts are named, what stands in them is not kept.

use serde::Serialize;
use serde_json::{Value, json};

use crate::smoke::{Wording, stands_in};
use crate::{MessageRole, Mode, Surface};

/// What an ask has beside its question. Only whoever makes the request itself can send more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AskedWith {
    /// Nothing.
    #[default]
    Question,
    /// All that callers of a gateway send.
    Conversation,
}

/// The instructions. They ask for what the parameters ask for, so that a real model would not be torn between the two.
const INSTRUCTIONS: &str =
    "You are the support desk of a small shop. Answer in English, as a JSON object.";
const EARLIER_QUESTION: &str = "Good morning. My parcel has not arrived yet.";
const EARLIER_ANSWER: &str =
    "{\"answer\": \"I am sorry to hear that. What else can you tell me?\"}";

/// The name of the tool.
pub(crate) const TOOL: &str = "look_up_parcel";

/// None of them is a default, so that one which is lost cannot be told from one that is sent.
const TEMPERATURE: f64 = 0.25;
const TOP_P: f64 = 0.875;
const TOKENS_MAX: u64 = 1_536;
const STOP: &str = "END OF ANSWER";

/// A part of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestPart {
    /// The message of `system`, or `instructions`.
    Instructions,
    /// What the user had asked before.
    EarlierQuestion,
    /// What the model had answered.
    EarlierAnswer,
    /// What the user asks now.
    Question,
    /// The tool.
    Tools,
    /// The limit of the answer's tokens.
    TokenLimit,
    /// `temperature`.
    Temperature,
    /// `top_p`.
    TopP,
    /// `stop`, of the chat surface only.
    Stop,
    /// `response_format` (chat), `text.format` (responses).
    Format,
    /// `stream_options.include_usage`, of chat streams only.
    IncludeUsage,
}

/// What became of a part that did not arrive as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// It is not there.
    Absent,
    /// Something else is in its place.
    Changed,
    /// A message that another speaker says.
    OtherSpeaker,
    /// A message that stands before one which came before it.
    Moved,
    /// A message that stands there more than once.
    Repeated,
}

/// A part that did not arrive as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PartLost {
    /// Which one.
    pub part: RequestPart,
    /// What became of it.
    pub loss: Loss,
}

impl RequestPart {
    /// Returns its name in a request to the surface, as people call it.
    pub fn name(self, surface: Surface) -> &'static str {
        match (self, surface) {
            (Self::Instructions, Surface::Chat) => "the system message",
            (Self::Instructions, Surface::Responses) => "`instructions`",
            (Self::EarlierQuestion, _) => "an earlier message of the user",
            (Self::EarlierAnswer, _) => "an earlier message of the assistant",
            (Self::Question, _) => "the last message of the user",
            (Self::Tools, _) => "`tools`",
            (Self::TokenLimit, Surface::Chat) => "`max_tokens`",
            (Self::TokenLimit, Surface::Responses) => "`max_output_tokens`",
            (Self::Temperature, _) => "`temperature`",
            (Self::TopP, _) => "`top_p`",
            (Self::Stop, _) => "`stop`",
            (Self::Format, Surface::Chat) => "`response_format`",
            (Self::Format, Surface::Responses) => "`text.format`",
            (Self::IncludeUsage, _) => "`stream_options.include_usage`",
        }
    }

    /// Returns whether it says how to answer, and not what is asked.
    pub fn is_parameter(self) -> bool {
        match self {
            Self::Instructions
            | Self::EarlierQuestion
            | Self::EarlierAnswer
            | Self::Question
            | Self::Tools => false,
            Self::TokenLimit
            | Self::Temperature
            | Self::TopP
            | Self::Stop
            | Self::Format
            | Self::IncludeUsage => true,
        }
    }
}

impl Loss {
    /// Returns the words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Changed => "changed",
            Self::OtherSpeaker => "of another role",
            Self::Moved => "out of its order",
            Self::Repeated => "more than once",
        }
    }
}

impl AskedWith {
    /// Returns the body of a request to the surface that asks this.
    pub fn request(self, surface: Surface, mode: Mode, model: &str, prompt: &str) -> Value {
        let stream = mode == Mode::Stream;
        let turn = |role: &str, content: &str| json!({ "role": role, "content": content });
        match (self, surface) {
            (Self::Question, Surface::Chat) => {
                json!({ "model": model, "messages": [turn("user", prompt)], "stream": stream })
            }
            (Self::Question, Surface::Responses) => {
                json!({ "model": model, "input": prompt, "stream": stream })
            }
            (Self::Conversation, Surface::Chat) => {
                let mut request = json!({
                    "model": model,
                    "messages": [
                        turn("system", INSTRUCTIONS),
                        turn("user", EARLIER_QUESTION),
                        turn("assistant", EARLIER_ANSWER),
                        turn("user", prompt),
                    ],
                    "tools": [tool(surface)],
                    "response_format": { "type": "json_object" },
                    "temperature": TEMPERATURE,
                    "top_p": TOP_P,
                    "max_tokens": TOKENS_MAX,
                    "stop": [STOP],
                    "stream": stream,
                });
                if stream && let Some(request) = request.as_object_mut() {
                    let options = json!({ "include_usage": true });
                    request.insert("stream_options".to_owned(), options);
                }
                request
            }
            (Self::Conversation, Surface::Responses) => json!({
                "model": model,
                "instructions": INSTRUCTIONS,
                "input": [
                    turn("user", EARLIER_QUESTION),
                    turn("assistant", EARLIER_ANSWER),
                    turn("user", prompt),
                ],
                "tools": [tool(surface)],
                "text": { "format": { "type": "json_object" } },
                "temperature": TEMPERATURE,
                "top_p": TOP_P,
                "max_output_tokens": TOKENS_MAX,
                "stream": stream,
            }),
        }
    }

    /// Returns what of it does not stand in the body of a request that a gateway has made of it: `None` where there is nothing to look for.
    pub fn lost(self, surface: Surface, mode: Mode, body: &[u8]) -> Option<Vec<PartLost>> {
        match self {
            Self::Question => None,
            // What is no JSON has lost all of it.
            Self::Conversation => {
                Some(lost(surface, mode, &serde_json::from_slice(body).unwrap_or(Value::Null)))
            }
        }
    }
}

fn tool(surface: Surface) -> Value {
    let description = "Tells where a parcel is.";
    let parameters = json!({
        "type": "object",
        "properties": { "parcel": { "type": "string", "description": "The number of the parcel." } },
        "required": ["parcel"],
    });
    match surface {
        Surface::Chat => json!({
            "type": "function",
            "function": { "name": TOOL, "description": description, "parameters": parameters },
        }),
        Surface::Responses => json!({
            "type": "function", "name": TOOL, "description": description, "parameters": parameters, "strict": false,
        }),
    }
}

fn lost(surface: Surface, mode: Mode, request: &Value) -> Vec<PartLost> {
    let mut all = messages_lost(&messages(surface, request));
    let mut look = |part: RequestPart, loss: Option<Loss>| {
        all.extend(loss.map(|loss| PartLost { part, loss }));
    };
    look(RequestPart::Tools, tool_lost(surface, request));
    let number =
        |name: &str, sent: f64| value_lost(request.get(name), |seen| is_number(seen, sent));
    look(RequestPart::Temperature, number("temperature", TEMPERATURE));
    look(RequestPart::TopP, number("top_p", TOP_P));
    let limit = crate::token_limits(surface).iter().find_map(|name| some(request.get(*name)));
    look(RequestPart::TokenLimit, value_lost(limit, |seen| seen.as_u64() == Some(TOKENS_MAX)));
    let format = match surface {
        Surface::Chat => "/response_format/type",
        Surface::Responses => "/text/format/type",
    };
    look(RequestPart::Format, value_lost(request.pointer(format), |seen| seen == "json_object"));
    if surface == Surface::Chat {
        let stops = |seen: &Value| {
            seen == STOP || seen.as_array().is_some_and(|stops| stops.iter().any(|one| one == STOP))
        };
        look(RequestPart::Stop, value_lost(request.get("stop"), stops));
        if mode == Mode::Stream {
            let usage = request.pointer("/stream_options/include_usage");
            look(RequestPart::IncludeUsage, value_lost(usage, |seen| *seen == true));
        }
    }
    all
}

fn some(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null())
}

fn is_number(seen: &Value, sent: f64) -> bool {
    // Some write `0.25` as a float of four bytes.
    seen.as_f64().is_some_and(|seen| (seen - sent).abs() < 1e-6)
}

fn value_lost(seen: Option<&Value>, is_as_sent: impl Fn(&Value) -> bool) -> Option<Loss> {
    match some(seen) {
        None => Some(Loss::Absent),
        Some(seen) => (!is_as_sent(seen)).then_some(Loss::Changed),
    }
}

/// The tool may get further fields on its way, as `strict`; what was sent has to be there.
fn tool_lost(surface: Surface, request: &Value) -> Option<Loss> {
    let name = match surface {
        Surface::Chat => "/function/name",
        Surface::Responses => "/name",
    };
    let tools = request.get("tools").and_then(Value::as_array);
    let seen = tools
        .into_iter()
        .flatten()
        .find(|seen| seen.pointer(name).is_some_and(|name| name == TOOL));
    value_lost(seen, |seen| {
        let mut sent = tool(surface);
        if let Some(sent) = sent.as_object_mut() {
            // Its default.
            sent.remove("strict");
        }
        contains(seen, &sent)
    })
}

/// Whether all of what was sent stands in what was seen.
fn contains(seen: &Value, sent: &Value) -> bool {
    match (seen, sent) {
        (Value::Object(seen), Value::Object(sent)) => {
            sent.iter().all(|(name, sent)| seen.get(name).is_some_and(|seen| contains(seen, sent)))
        }
        (seen, sent) => seen == sent,
    }
}

/// Who says what, message by message.
fn messages(surface: Surface, request: &Value) -> Vec<(MessageRole, String)> {
    let mut messages = Vec::new();
    let list = match surface {
        Surface::Chat => request.get("messages"),
        Surface::Responses => {
            if let Some(instructions) = request.get("instructions").and_then(Value::as_str) {
                messages.push((MessageRole::System, folded(instructions)));
            }
            request.get("input")
        }
    };
    match list {
        Some(Value::Array(items)) => {
            messages.extend(items.iter().map(|item| (role(item), folded(&text(item)))));
        }
        Some(Value::String(text)) => messages.push((MessageRole::User, folded(text))),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {}
    }
    messages
}

fn role(item: &Value) -> MessageRole {
    match item.get("role").and_then(Value::as_str) {
        Some("system" | "developer") => MessageRole::System,
        Some("user") => MessageRole::User,
        Some("assistant") => MessageRole::Assistant,
        Some("tool" | "function") => MessageRole::Tool,
        Some(_) | None => MessageRole::Another,
    }
}

/// The text of a message: a string, or parts of which some are text.
fn text(item: &Value) -> String {
    match item.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.get("text")?.as_str()).collect::<Vec<_>>().join(" ")
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
            String::new()
        }
    }
}

fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The messages that are sent, and by whom.
const SENT: [(RequestPart, MessageRole); 4] = [
    (RequestPart::Instructions, MessageRole::System),
    (RequestPart::EarlierQuestion, MessageRole::User),
    (RequestPart::EarlierAnswer, MessageRole::Assistant),
    (RequestPart::Question, MessageRole::User),
];

fn stands_in_message(part: RequestPart, text: &str) -> bool {
    match part {
        RequestPart::Instructions => text.contains(INSTRUCTIONS),
        RequestPart::EarlierQuestion => text.contains(EARLIER_QUESTION),
        RequestPart::EarlierAnswer => text.contains(EARLIER_ANSWER),
        RequestPart::Question => stands_in(Wording::Plain, text),
        RequestPart::Tools
        | RequestPart::TokenLimit
        | RequestPart::Temperature
        | RequestPart::TopP
        | RequestPart::Stop
        | RequestPart::Format
        | RequestPart::IncludeUsage => false,
    }
}

/// Further messages are the gateway's own affair; those that were sent have to be there once, by the same speakers and in their order.
fn messages_lost(seen: &[(MessageRole, String)]) -> Vec<PartLost> {
    let mut all = Vec::new();
    let mut last = None;
    for (part, speaker) in SENT {
        let places = seen.iter().enumerate().filter(|(_, (_, text))| stands_in_message(part, text));
        let here: Vec<(usize, MessageRole)> = places.map(|(at, (role, _))| (at, *role)).collect();
        let first = here.iter().find(|(_, role)| *role == speaker).map(|(at, _)| *at);
        let loss = match (here.len(), first) {
            (0, _) => Some(Loss::Absent),
            (_, None) => Some(Loss::OtherSpeaker),
            (_, Some(at)) if last.is_some_and(|last| at <= last) => Some(Loss::Moved),
            (2.., Some(_)) => Some(Loss::Repeated),
            (_, Some(_)) => None,
        };
        last = last.max(first);
        all.extend(loss.map(|loss| PartLost { part, loss }));
    }
    all
}

#[cfg(test)]
mod tests;

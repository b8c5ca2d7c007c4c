//! Puts every case to async-openai, as `client.py` does to openai-python.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::types::chat::{
    ChatCompletionMessageToolCalls, ChatCompletionRequestUserMessageArgs,
    CreateChatCompletionRequest, CreateChatCompletionRequestArgs, CreateChatCompletionResponse,
};
use async_openai::types::responses::{
    CreateResponse, CreateResponseArgs, OutputItem, Response, ResponseStreamEvent,
};
use contract::{Mode, Surface};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Case;
use super::outcome::Told;

/// As in `client.py`.
const WIDTH: usize = 16;
/// As in `client.py`: nothing has ended in so many turns, so what is left hangs.
const QUIET_TURNS: u32 = 50;
const TURN: Duration = Duration::from_millis(150);

/// What a case came to: what the client returned, or its error.
type Made = Result<Value, OpenAIError>;

/// Puts all cases, and returns what each came to.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
pub(super) async fn put_all(base: &str, cases: &[Case]) -> Vec<Told> {
    let slots = Arc::new(Semaphore::new(WIDTH));
    let mut under_way = JoinSet::new();
    for case in cases {
        let config = OpenAIConfig::new()
            .with_api_base(format!("{base}/plain/{}/v1", case.id))
            .with_api_key("sk-none");
        let (slots, id) = (Arc::clone(&slots), case.id.clone());
        let (surface, mode) = (case.row.reply.surface, case.row.reply.mode);
        under_way.spawn(async move {
            let _slot = slots.acquire_owned().await.unwrap();
            (id, put(&Client::with_config(config), surface, mode).await)
        });
    }
    let reasons: HashMap<_, _> =
        cases.iter().map(|case| (case.id.clone(), case.reason())).collect();
    let mut told = Vec::new();
    let mut quiet = 0;
    while quiet < QUIET_TURNS && !under_way.is_empty() {
        let Ok(Some(ended)) = tokio::time::timeout(TURN, under_way.join_next()).await else {
            quiet += 1;
            continue;
        };
        quiet = 0;
        let (id, made) = ended.unwrap();
        told.push(match made {
            Ok(answer) => Told::returned(&id, "plain", answer),
            Err(error) => {
                let tells = tells(&error, reasons[&id]);
                Told::refused(&id, "plain", name(&error), tells)
            }
        });
    }
    let hangs = cases.iter().filter(|case| told.iter().all(|one: &Told| one.id != case.id));
    let hangs: Vec<_> = hangs.map(|case| Told::hangs(&case.id, "plain")).collect();
    told.into_iter().chain(hangs).collect()
}

/// Whether an error tells the reason. A reply in full is none: the error is then about the client's own types.
fn tells(error: &OpenAIError, reason: Option<&str>) -> bool {
    let is_api_error = matches!(error, OpenAIError::ApiError(_));
    reason.is_none_or(|reason| is_api_error && error.to_string().contains(reason))
}

fn name(error: &OpenAIError) -> &'static str {
    match error {
        OpenAIError::Reqwest(_) => "Reqwest",
        OpenAIError::ApiError(_) => "ApiError",
        OpenAIError::JSONDeserialize(..) => "JSONDeserialize",
        OpenAIError::StreamError(_) => "StreamError",
        OpenAIError::FileSaveError(_)
        | OpenAIError::FileReadError(_)
        | OpenAIError::Boxed(_)
        | OpenAIError::InvalidArgument(_) => "other",
    }
}

async fn put(client: &Client<OpenAIConfig>, surface: Surface, mode: Mode) -> Made {
    match (surface, mode) {
        (Surface::Chat, Mode::Unary) => chat_unary(client).await,
        (Surface::Chat, Mode::Stream) => chat_stream(client).await,
        (Surface::Responses, Mode::Unary) => {
            client.responses().create(response_request(false)).await.map(|reply| response(&reply))
        }
        (Surface::Responses, Mode::Stream) => responses_stream(client).await,
    }
}

fn chat_request() -> CreateChatCompletionRequest {
    let message = ChatCompletionRequestUserMessageArgs::default().content("Hello").build().unwrap();
    CreateChatCompletionRequestArgs::default()
        .model("m")
        .messages([message.into()])
        .build()
        .unwrap()
}

fn response_request(stream: bool) -> CreateResponse {
    CreateResponseArgs::default().model("m").input("Hello").stream(stream).build().unwrap()
}

/// Reads a word of the client's enums as the wire has it.
fn word(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

async fn chat_unary(client: &Client<OpenAIConfig>) -> Made {
    let reply: CreateChatCompletionResponse = client.chat().create(chat_request()).await?;
    let Some(choice) = reply.choices.first() else {
        return Ok(json!({"text": null, "calls": [], "finish": null, "usage": null}));
    };
    let calls = choice.message.tool_calls.iter().flatten().map(|call| match call {
        ChatCompletionMessageToolCalls::Function(call) => {
            json!([call.id, call.function.name, call.function.arguments])
        }
        ChatCompletionMessageToolCalls::Custom(_) => json!(["custom"]),
    });
    Ok(json!({
        "text": choice.message.content,
        "calls": calls.collect::<Vec<_>>(),
        "finish": word(&choice.finish_reason),
        "usage": reply.usage.map(|usage| [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens]),
    }))
}

async fn chat_stream(client: &Client<OpenAIConfig>) -> Made {
    let mut stream = client.chat().create_stream(chat_request()).await?;
    let (mut text, mut finish, mut usage) = (String::new(), Value::Null, Value::Null);
    let mut calls: Vec<(u32, [String; 3])> = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        if let Some(counts) = chunk.usage {
            usage = json!([counts.prompt_tokens, counts.completion_tokens, counts.total_tokens]);
        }
        let Some(choice) = chunk.choices.first() else { continue };
        text.push_str(choice.delta.content.as_deref().unwrap_or_default());
        for delta in choice.delta.tool_calls.iter().flatten() {
            let at =
                calls.iter().position(|(index, _)| *index == delta.index).unwrap_or_else(|| {
                    calls.push((delta.index, Default::default()));
                    calls.len() - 1
                });
            let call = &mut calls[at].1;
            if let Some(id) = &delta.id {
                call[0].clone_from(id);
            }
            let Some(function) = &delta.function else { continue };
            if let Some(name) = &function.name {
                call[1].clone_from(name);
            }
            call[2].push_str(function.arguments.as_deref().unwrap_or_default());
        }
        if let Some(reason) = &choice.finish_reason {
            finish = word(reason);
        }
    }
    let calls: Vec<_> = calls.into_iter().map(|(_, call)| call).collect();
    Ok(json!({"text": text, "calls": calls, "finish": finish, "usage": usage}))
}

fn response(reply: &Response) -> Value {
    let calls = reply.output.iter().filter_map(|item| match item {
        OutputItem::FunctionCall(call) => Some(json!([call.call_id, call.name, call.arguments])),
        _ => None,
    });
    json!({
        "text": reply.output_text(),
        "calls": calls.collect::<Vec<_>>(),
        "finish": word(&reply.status),
        "usage": reply.usage.as_ref().map(|usage| [usage.input_tokens, usage.output_tokens, usage.total_tokens]),
    })
}

async fn responses_stream(client: &Client<OpenAIConfig>) -> Made {
    let mut stream = client.responses().create_stream(response_request(true)).await?;
    let (mut text, mut finish, mut usage) = (String::new(), Value::Null, Value::Null);
    while let Some(event) = stream.next().await {
        let ended = match event? {
            ResponseStreamEvent::ResponseOutputTextDelta(event) => {
                text.push_str(&event.delta);
                continue;
            }
            ResponseStreamEvent::ResponseError(_) => {
                finish = json!("error");
                continue;
            }
            ResponseStreamEvent::ResponseCompleted(event) => response(&event.response),
            ResponseStreamEvent::ResponseIncomplete(event) => response(&event.response),
            ResponseStreamEvent::ResponseFailed(event) => response(&event.response),
            _ => continue,
        };
        finish = ended["finish"].clone();
        usage = ended["usage"].clone();
    }
    Ok(json!({"text": text, "calls": [], "finish": finish, "usage": usage}))
}

//! One exchange: which endpoint is meant, whether the call is allowed, and what is said.

use std::sync::Arc;

use contract::reply::{self, EarlyEnd, ErrorKind, ReplyContext, StreamEvent};
use contract::{Mode, Profile, RequestFacts, RequestFault, Surface};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::Value;

use crate::body::{self, ReplyBody, RequestBody};
use crate::calls::Counters;
use crate::ids::{Ids, seconds_since_epoch};
use crate::limit::TokenLimit;
use crate::{ProviderConfig, models, pointers};

/// What is said where no label is asked for.
const SENTENCE: &str = "This is a reply of the simulated provider.";

/// What all exchanges share.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) config: ProviderConfig,
    pub(crate) counters: Arc<Counters>,
    ids: Ids,
}

/// What a path and a method mean.
enum Endpoint<'p> {
    Completion(Surface),
    Models,
    Model(&'p str),
    /// What is called before an answer, and the document that answers a request to it.
    Beside(fn(&[u8]) -> Value),
    WrongMethod,
    Unknown,
}

impl Desk {
    pub(crate) fn new(config: ProviderConfig) -> Self {
        Self { config, counters: Arc::default(), ids: Ids::new() }
    }

    /// Answers one request.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<ReplyBody> {
        let (head, body) = request.into_parts();
        let request_id = self.ids.request(self.config.profile);
        let endpoint = endpoint(&head.method, head.uri.path());
        let surface = match &endpoint {
            Endpoint::Completion(surface) => *surface,
            Endpoint::Models
            | Endpoint::Model(_)
            | Endpoint::Beside(_)
            | Endpoint::WrongMethod
            | Endpoint::Unknown => Surface::Chat,
        };
        let ctx = ReplyContext {
            surface,
            profile: self.config.profile,
            model: "",
            text: "",
            id: "",
            request_id: &request_id,
            created: seconds_since_epoch(),
            include_usage: false,
        };
        if !self.config.delay.is_zero() {
            tokio::time::sleep(self.config.delay).await;
        }
        match endpoint {
            Endpoint::Unknown => return self.refuse(ErrorKind::WrongPath, &ctx),
            Endpoint::WrongMethod => return self.refuse(ErrorKind::WrongMethod, &ctx),
            Endpoint::Completion(_)
            | Endpoint::Models
            | Endpoint::Model(_)
            | Endpoint::Beside(_) => {}
        }
        if let Err(kind) = self.authorize(&head.headers) {
            return self.refuse(kind, &ctx);
        }
        match endpoint {
            Endpoint::Completion(_) => {
                let content_type = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
                self.complete(RequestFault::of_content_type(content_type), body, ctx).await
            }
            Endpoint::Model(encoded) => {
                let id = models::id_in_path(encoded);
                if self.config.has_model(&id) {
                    self.tell_models(&models::model(&id), &ctx)
                } else {
                    self.refuse(ErrorKind::ModelNotFound, &ReplyContext { model: &id, ..ctx })
                }
            }
            Endpoint::Beside(document) => self.answer_beside(document, body, &ctx).await,
            Endpoint::Models | Endpoint::WrongMethod | Endpoint::Unknown => {
                self.tell_models(&models::list(&self.config), &ctx)
            }
        }
    }

    fn authorize(&self, headers: &HeaderMap) -> Result<(), ErrorKind> {
        let value = headers.get(AUTHORIZATION).ok_or(ErrorKind::MissingKey)?;
        let key = value.to_str().ok().and_then(bearer).ok_or(ErrorKind::MissingKey)?;
        if self.config.accepts(key) { Ok(()) } else { Err(ErrorKind::InvalidKey) }
    }

    async fn complete(
        &self,
        undeclared: Option<RequestFault>,
        body: Incoming,
        ctx: ReplyContext<'_>,
    ) -> Response<ReplyBody> {
        let (facts, limit) = match body::read(body, self.config.request_bytes_max).await {
            RequestBody::Whole(bytes) => {
                (RequestFacts::read(ctx.surface, &bytes), TokenLimit::read(ctx.surface, &bytes))
            }
            RequestBody::TooLong => return self.refuse(ErrorKind::TooLarge, &ctx),
            RequestBody::Cut => return self.refuse(ErrorKind::Fault(RequestFault::NotJson), &ctx),
        };
        if let Some(fault) = undeclared {
            return self.refuse(ErrorKind::Fault(fault), &ctx);
        }
        // The model comes first, as with the routers of real gateways: an unknown one hides what else is wrong.
        let model = facts.model.as_deref().unwrap_or_default();
        if facts.model.is_some() && !self.config.has_model(model) {
            let is_cometapi = self.config.profile == Profile::Cometapi;
            let kind =
                if is_cometapi { ErrorKind::ModelNotFoundAs503 } else { ErrorKind::ModelNotFound };
            return self.refuse(kind, &ReplyContext { model, ..ctx });
        }
        if let Some(fault) = facts.fault {
            return self.refuse(ErrorKind::Fault(fault), &ReplyContext { model, ..ctx });
        }
        let id = self.ids.completion(ctx.surface);
        let whole = facts.format.write(facts.label.as_deref().unwrap_or(SENTENCE));
        let text = limit.map_or(whole.as_str(), |limit| limit.applied_to(&whole));
        let is_cut = text.len() < whole.len();
        let ctx = ReplyContext { model, text, id: &id, include_usage: facts.include_usage, ..ctx };
        if facts.stream {
            self.counters.completion(ctx.surface, Mode::Stream);
            let events = if is_cut {
                reply::stream_ended_early(&ctx, EarlyEnd::TokenLimit)
            } else {
                reply::stream(&ctx)
            };
            let events = events.into_iter().map(|event| self.reduce_event(event)).collect();
            let body =
                body::event_by_event(events, self.config.event_gap, Arc::clone(&self.counters));
            respond(200, &reply::stream_headers(&ctx), body)
        } else {
            self.counters.completion(ctx.surface, Mode::Unary);
            let mut document = if is_cut {
                reply::unary_ended_early(&ctx, EarlyEnd::TokenLimit)
            } else {
                reply::unary(&ctx)
            };
            self.reduce(&mut document);
            respond(200, &reply::unary_headers(&ctx), body::at_once(document.to_string()))
        }
    }

    async fn answer_beside(
        &self,
        document: fn(&[u8]) -> Value,
        body: Incoming,
        ctx: &ReplyContext<'_>,
    ) -> Response<ReplyBody> {
        match body::read(body, self.config.request_bytes_max).await {
            RequestBody::Whole(bytes) => {
                self.counters.beside();
                let document = document(&bytes).to_string();
                respond(200, &reply::unary_headers(ctx), body::at_once(document))
            }
            RequestBody::TooLong => self.refuse(ErrorKind::TooLarge, ctx),
            RequestBody::Cut => self.refuse(ErrorKind::Fault(RequestFault::NotJson), ctx),
        }
    }

    fn tell_models(&self, document: &Value, ctx: &ReplyContext<'_>) -> Response<ReplyBody> {
        self.counters.models();
        respond(200, &reply::unary_headers(ctx), body::at_once(document.to_string()))
    }

    fn refuse(&self, kind: ErrorKind, ctx: &ReplyContext<'_>) -> Response<ReplyBody> {
        let reply = reply::error(kind, ctx);
        self.counters.refusal(reply.status);
        respond(reply.status, &reply.headers, body::at_once(reply.body.to_string()))
    }

    /// Takes the fields that are not to be delivered out of a reply.
    fn reduce(&self, document: &mut Value) {
        for pointer in &self.config.drop_fields {
            pointers::remove(document, pointer);
        }
    }

    fn reduce_event(&self, event: StreamEvent) -> StreamEvent {
        if self.config.drop_fields.is_empty() {
            return event;
        }
        let Some(mut document) = event.json() else { return event };
        self.reduce(&mut document);
        if let Some(response) = document.get_mut("response") {
            self.reduce(response);
        }
        StreamEvent { data: document.to_string(), ..event }
    }
}

fn endpoint<'p>(method: &Method, path: &'p str) -> Endpoint<'p> {
    let allowed = |wanted: Method, endpoint: Endpoint<'p>| {
        if *method == wanted { endpoint } else { Endpoint::WrongMethod }
    };
    match path {
        "/v1/chat/completions" => allowed(Method::POST, Endpoint::Completion(Surface::Chat)),
        "/v1/responses" => allowed(Method::POST, Endpoint::Completion(Surface::Responses)),
        "/v1/moderations" => allowed(Method::POST, Endpoint::Beside(reply::moderation)),
        "/v1/embeddings" => allowed(Method::POST, Endpoint::Beside(reply::embeddings)),
        "/v1/models" => allowed(Method::GET, Endpoint::Models),
        _ => match path.strip_prefix("/v1/models/") {
            Some(encoded) if !encoded.is_empty() => allowed(Method::GET, Endpoint::Model(encoded)),
            Some(_) | None => Endpoint::Unknown,
        },
    }
}

/// Returns the credential of an `Authorization` header of the bearer scheme.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim()).filter(|key| !key.is_empty())
}

fn respond(status: u16, headers: &[(String, String)], body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        let name = http::HeaderName::try_from(name);
        let value = http::HeaderValue::try_from(value);
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

//! The simulated provider: an OpenAI-compatible API on loopback, without a model behind it.
//!
//! It answers as a provider's documentation says (see [`contract::reply`]), in the spelling of a profile: models, chat
//! completions and responses, unary and streamed; credentials, requests and models are checked as the real ones do it. The
//! reply to a smoke prompt is the label that it asks for, see [`contract::smoke`].
//!
//! It is a stand-in for trying surestep out, for tests and for rehearsals without cost. It injects no faults: the tap does.
//!
//! A request goes through `server` (connections) to `exchange` (which endpoint, may it, what is said), and the reply leaves
//! through `body`, a stream event by event.

mod body;
mod calls;
mod config;
mod exchange;
mod ids;
mod limit;
mod models;
mod pointers;
mod server;

pub use calls::Calls;
pub use config::ProviderConfig;
pub use server::{Provider, Running, StartError};

//! The responses surface: `POST /v1/responses`.

mod output;
mod stream;
mod unary;

pub(crate) use stream::ResponsesStream;
pub(crate) use unary::judge_document;

//! The chat surface: `POST /v1/chat/completions`.

mod choice;
mod finish;
mod stream;
mod unary;

pub(crate) use finish::may_mean;
pub(crate) use stream::ChatStream;
pub(crate) use unary::judge_document;

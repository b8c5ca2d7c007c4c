//! The full documented reply with things changed in it.

use contract::change::{Change, WholeReply};
use contract::reply;

use super::simulate::{context, events_answer, json_headers, whole};
use super::{Act, AnswerEnd, RequestContext};

pub(super) fn changed(changes: &[Change], request: &RequestContext) -> Act {
    let text = request.documented_text();
    let mut reply = reply::full(&context(request, &text), request.mode);
    reply.apply(changes);
    match reply {
        WholeReply::Unary(document) => {
            whole(200, json_headers(request), document.to_string().into_bytes())
        }
        WholeReply::Stream(events) => {
            Act::Answer(events_answer(request, &events, AnswerEnd::Complete))
        }
    }
}

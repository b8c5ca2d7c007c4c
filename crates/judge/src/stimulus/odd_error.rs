//! Errors whose body has another form than the provider's own envelope, as relays, edges and self-hosted engines send them.

use contract::reply::{self, ErrorKind};
use serde_json::json;

use super::simulate::{context, documented, whole};
use super::{Act, RequestContext};

/// An error whose body is not the provider's envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OddError {
    /// The trouble, which gives the status.
    pub kind: ErrorKind,
    /// What stands in the body.
    pub form: ErrorForm,
    /// How often it comes.
    pub comes: Comes,
}

/// The form of an error's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorForm {
    /// `{"error": "text"}`: relays and small servers. What reads `body["error"]["message"]` indexes a text.
    Text,
    /// No `error` at all, a message beside a code that is a number: vLLM and others. What reads `body["error"]` finds nothing.
    Flat,
    /// The web page of an edge. What reads JSON before it looks at the status fails there.
    Page,
}

/// How often an error comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comes {
    /// On each attempt.
    Always,
    /// On the first one; then comes the documented reply.
    Once,
}

impl OddError {
    pub(super) fn act(self, request: &RequestContext) -> Act {
        if self.comes == Comes::Once && request.attempt > 1 {
            return documented(request);
        }
        let error = reply::error(self.kind, &context(request, ""));
        let status = error.status;
        let json = |body: serde_json::Value| body.to_string().into_bytes();
        match self.form {
            ErrorForm::Text => {
                let text = "The upstream is overloaded, please try again later";
                whole(status, error.headers, json(json!({ "error": text })))
            }
            ErrorForm::Flat => whole(
                status,
                error.headers,
                json(json!({
                    "object": "error",
                    "message": "This model's maximum context length is 8192 tokens. Please reduce the length of the messages.",
                    "type": "BadRequestError",
                    "param": null,
                    "code": status,
                })),
            ),
            // An edge knows nothing of the provider's request ids.
            ErrorForm::Page => whole(
                status,
                vec![("content-type".to_owned(), "text/html".to_owned())],
                format!(
                    "<html>\r\n<head><title>{status} Bad Gateway</title></head>\r\n<body>\r\n<center><h1>{status} Bad Gateway</h1></center>\r\n\
                     <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
                )
                .into_bytes(),
            ),
        }
    }
}

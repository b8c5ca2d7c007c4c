//! Redirects: to a web page under the same host, or under another one.

use super::simulate::{HTML, whole};
use super::{Act, RequestContext};
use crate::Marker;

/// A redirect to a web page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The status: 301 and 302 turn a POST into a GET, 307 and 308 repeat it.
    pub status: u16,
    /// Whether it leads to another host, where the credential has no business.
    pub elsewhere: bool,
}

impl Redirect {
    pub(super) fn act(self, request: &RequestContext) -> Act {
        if request.attempt > 1 {
            // Whoever follows gets the page that the redirect promised.
            return whole(
                200,
                vec![("content-type".to_owned(), "text/html; charset=utf-8".to_owned())],
                HTML.into(),
            );
        }
        let headers = vec![
            ("content-type".to_owned(), "text/html; charset=utf-8".to_owned()),
            ("location".to_owned(), self.location(request)),
            ("x-request-id".to_owned(), request.request_id.clone()),
        ];
        let body = format!("<html><body>{}</body></html>", title(self.status));
        whole(self.status, headers, body.into_bytes())
    }

    /// The tap has two names, of which a client knows one: to it, the other is another host. Behind a proxy it has only one.
    fn location(self, request: &RequestContext) -> String {
        let other = [("127.0.0.1:", "localhost:"), ("localhost:", "127.0.0.1:")]
            .iter()
            .find_map(|(name, other)| {
                Some(format!("{other}{}", request.authority.strip_prefix(name)?))
            })
            .filter(|_| self.elsewhere);
        let path = Marker::moved_path(&request.marker, other.is_some());
        match other {
            Some(authority) => format!("http://{authority}{path}"),
            None => path,
        }
    }
}

fn title(status: u16) -> &'static str {
    match status {
        302 => "Found",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        _ => "Moved Permanently",
    }
}

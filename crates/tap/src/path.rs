//! Reads a request's path as it was meant: doubled slashes and a doubled or missing `/v1` are folded.

use std::borrow::Cow;

use contract::Surface;

/// A request path as it was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// The path in its documented form, for example `/v1/chat/completions`.
    pub(crate) resource: Cow<'static, str>,
    /// Where it lies at the provider.
    pub(crate) place: Place,
    /// The surface that it calls, if it is one.
    pub(crate) surface: Option<Surface>,
}

/// Where a path lies at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Below the base URL, with a leading slash.
    BelowBase(Cow<'static, str>),
    /// Below the host: it never named the version.
    BelowHost(Cow<'static, str>),
}

/// Resources that are meant below the version also by those who leave the version out.
const KNOWN: [&str; 6] =
    ["/chat/completions", "/responses", "/models", "/completions", "/moderations", "/embeddings"];

/// Folds a path.
pub(crate) fn fold(path: &str) -> Resource {
    for surface in [Surface::Chat, Surface::Responses] {
        if path.strip_prefix("/v1") == Some(surface.resource_path()) {
            return of_surface(surface);
        }
    }
    let mut folded = String::with_capacity(path.len() + 1);
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        folded.push('/');
        folded.push_str(segment);
    }
    let mut rest = folded.as_str();
    while let Some(shorter) =
        rest.strip_prefix("/v1").filter(|r| r.is_empty() || r.starts_with('/'))
    {
        rest = shorter;
    }
    for surface in [Surface::Chat, Surface::Responses] {
        if rest == surface.resource_path() {
            return of_surface(surface);
        }
    }
    let versioned = rest.len() < folded.len();
    let known = KNOWN
        .iter()
        .any(|known| rest.strip_prefix(known).is_some_and(|r| r.is_empty() || r.starts_with('/')));
    if versioned || known {
        Resource {
            resource: Cow::Owned(format!("/v1{rest}")),
            place: Place::BelowBase(Cow::Owned(rest.to_owned())),
            surface: None,
        }
    } else {
        if folded.is_empty() {
            folded.push('/');
        }
        let folded: Cow<'static, str> = Cow::Owned(folded);
        Resource { resource: folded.clone(), place: Place::BelowHost(folded), surface: None }
    }
}

fn of_surface(surface: Surface) -> Resource {
    let resource = match surface {
        Surface::Chat => "/v1/chat/completions",
        Surface::Responses => "/v1/responses",
    };
    Resource {
        resource: Cow::Borrowed(resource),
        place: Place::BelowBase(Cow::Borrowed(surface.resource_path())),
        surface: Some(surface),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, resource: &str, surface: Option<Surface>) {
        let folded = fold(path);
        assert_eq!((folded.resource.as_ref(), folded.surface), (resource, surface), "{path}");
    }

    #[test]
    fn odd_spellings_of_a_surface_fold_to_it() {
        for path in [
            "/v1/chat/completions",
            "/chat/completions",
            "/v1/v1/chat/completions",
            "/v1//chat/completions",
            "//v1/chat//completions/",
        ] {
            check(path, "/v1/chat/completions", Some(Surface::Chat));
        }
        check("/responses", "/v1/responses", Some(Surface::Responses));
        check("/v1/responses", "/v1/responses", Some(Surface::Responses));
    }

    #[test]
    fn other_paths_keep_their_place() {
        check("/v1/models", "/v1/models", None);
        check("/models", "/v1/models", None);
        check("/v1/responses/resp_1/cancel", "/v1/responses/resp_1/cancel", None);
        check("/api/models", "/api/models", None);
        check("/v10/x", "/v10/x", None);
        check("/v1", "/v1", None);
        check("", "/", None);
        assert_eq!(fold("/api/models").place, Place::BelowHost("/api/models".into()));
        assert_eq!(fold("/v1/models").place, Place::BelowBase("/models".into()));
    }
}

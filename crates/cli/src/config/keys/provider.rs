//! The keys of `provider`, at the top level and of a release.

use super::Absent::{Otherwise, Required, Value};
use super::{Key, Kind, Section, key};

/// The top level's `provider`.
pub(crate) static PROVIDER: Section = Section {
    title: "provider",
    about: "The LLM API that both releases talk to.",
    keys: &[NAME, PROFILE, BASE_URL, SURFACE, MODES, KEY, LIVE_CALLS, CONNECT_TO, CA, PROXY],
};

/// A release's `provider`.
pub(crate) static RELEASE_PROVIDER: Section = Section {
    title: "releases.*.provider",
    about: "Another LLM API, for this release only: the promotion of a fallback.",
    keys: &[
        NAME,
        PROFILE,
        BASE_URL,
        as_above(SURFACE),
        as_above(MODES),
        KEY,
        as_above(LIVE_CALLS),
        CONNECT_TO,
        CA,
        PROXY,
    ],
};

const NAME: Key = key(
    "name",
    Kind::Text,
    Required,
    "A built-in profile (`cometapi`, `openai`, `simulated`), or any other name; then `base_url` is required. `simulated` without `base_url` is surestep's own simulated provider, started for the run.",
    "cometapi",
);
const PROFILE: Key = key(
    "profile",
    Kind::Text,
    Otherwise(
        "the built-in one of this name; for other names, the contract as OpenAI documents it",
    ),
    "A built-in profile's name, or a file that declares what this provider does otherwise ([profile file](#profile-file)).",
    "acme-profile.yaml",
);
const BASE_URL: Key = key(
    "base_url",
    Kind::Text,
    Otherwise("the documented one of a built-in profile"),
    "Where the API is, up to and including `/v1`.",
    "https://api.cometapi.com/v1",
);
const SURFACE: Key = key(
    "surface",
    Kind::Word(&["chat", "responses"]),
    Value("chat"),
    "The endpoint family that the service uses: `POST /v1/chat/completions` or `POST /v1/responses`.",
    "chat",
);
const MODES: Key = key(
    "modes",
    Kind::List(&Kind::Word(&["unary", "stream"])),
    Required,
    "The modes that production uses. One that a release cannot be asked in stays unproven, and holds.",
    "[unary, stream]",
);
const KEY: Key = key(
    "key",
    Kind::Secret,
    Otherwise("required; made up for the run with `simulated`"),
    "The credential of surestep's own direct call (the control).",
    "env:COMETAPI_API_KEY",
);
const LIVE_CALLS: Key = key(
    "live_calls",
    Kind::Integer { min: 0, max: 100_000 },
    Value("60"),
    "Ceiling on calls that reach the provider in one run; with `simulated` there is none unless it is set.",
    "60",
);
const CONNECT_TO: Key = key(
    "connect_to",
    Kind::Text,
    Otherwise("the host of `base_url`"),
    "Where the host of `base_url` is really reached, as `host:port`. The TLS name and the Host header stay.",
    "10.0.0.7:8443",
);
const CA: Key = key(
    "ca",
    Kind::Text,
    Otherwise("the system's trust"),
    "A PEM file with extra trust for the provider.",
    "private-ca.pem",
);
const PROXY: Key = key(
    "proxy",
    Kind::Text,
    Otherwise("a direct connection"),
    "An egress proxy, when only one leads to the provider.",
    "http://egress:3128",
);

/// What a release may leave out because the top level says it.
const fn as_above(key: Key) -> Key {
    let Key { name, kind, means, example, .. } = key;
    Key { name, kind, absent: Otherwise("the top level's"), means, example }
}

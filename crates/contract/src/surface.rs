//! The surfaces and modes of an LLM API, and the profiles of its providers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One documented text endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Surface {
    /// `POST /v1/chat/completions`.
    Chat,
    /// `POST /v1/responses`.
    Responses,
}

impl Surface {
    /// Returns the path below the base URL, which itself ends in `/v1`.
    pub fn resource_path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Responses => "/responses",
        }
    }

    /// Returns the word used in configuration and evidence.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
        }
    }
}

impl fmt::Display for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether the whole reply comes at once or event by event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One JSON document.
    Unary,
    /// Server-sent events.
    Stream,
}

impl Mode {
    /// Returns the word used in configuration and evidence.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::Stream => "stream",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A provider's documented deviations from the plain contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// The contract as OpenAI documents it.
    Openai,
    /// CometAPI: client mistakes also arrive as 500 and 503, the request id stands in the error message.
    Cometapi,
    /// Azure OpenAI: filter results in chunks of their own, without ids and deltas.
    Azure,
    /// Claude behind an OpenAI-compatible endpoint: its own stop reasons, usage names and ping events.
    AnthropicCompat,
    /// Gemini behind an OpenAI-compatible endpoint: upper-case reasons, role `model`, error arrays, tool calls without index.
    GeminiCompat,
    /// DeepSeek: usage in the finish chunk, blank lines and comments while it thinks.
    Deepseek,
    /// OpenRouter: numeric error codes, responses without status, usage beside choices.
    Openrouter,
}

impl Profile {
    /// Returns the profile for a provider's configured name; unknown names get the plain contract.
    pub fn for_provider(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "cometapi" | "comet" | "simulated" => Self::Cometapi,
            "azure" | "azure-openai" | "azure_openai" => Self::Azure,
            "anthropic" | "anthropic-compat" | "claude" => Self::AnthropicCompat,
            "gemini" | "gemini-compat" | "google" | "vertex" => Self::GeminiCompat,
            "deepseek" => Self::Deepseek,
            "openrouter" => Self::Openrouter,
            _ => Self::Openai,
        }
    }

    /// Whether the provider documents this deviation, so that it is no finding. Only warnings are ever tolerated.
    pub(crate) fn tolerates(self, code: &str) -> bool {
        let codes: &[&str] = match self {
            Self::Openai => &[],
            // Its error envelope has `param: ""` and `code: ""`, which the classes read as null anyway.
            Self::Cometapi => &[],
            Self::Azure => &["delta-missing", "role-missing", "id-odd", "model-odd", "created-odd"],
            Self::AnthropicCompat => {
                &["finish-reason-alias", "usage-alias", "done-missing", "event-unknown"]
            }
            Self::GeminiCompat => &[
                "finish-reason-alias",
                "role-odd",
                "tool-call-index-missing",
                "tool-call-id-missing",
                "error-array",
                "error-code-not-string",
                "usage-misplaced",
            ],
            Self::Deepseek => &["usage-misplaced"],
            Self::Openrouter => &["usage-misplaced", "error-code-not-string", "status-missing"],
        };
        codes.contains(&code)
    }
}

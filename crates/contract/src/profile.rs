//! The profiles of providers: what their documentation says otherwise than the plain contract.

mod custom;

pub(crate) use custom::at;
pub use custom::{
    BaseProfile, Code, CustomProfile, Envelope, FinishMeaning, ProfileFault, Requirement,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A provider's documented deviations from the plain contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// One of these, with what a configuration declares beside it. It lives as long as the process: see [`CustomProfile::publish`].
    Custom(&'static CustomProfile),
}

impl Profile {
    /// The built-in ones.
    pub const BUILT_IN: [Self; 7] = [
        Self::Openai,
        Self::Cometapi,
        Self::Azure,
        Self::AnthropicCompat,
        Self::GeminiCompat,
        Self::Deepseek,
        Self::Openrouter,
    ];

    /// Returns the word used in configuration and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Cometapi => "cometapi",
            Self::Azure => "azure",
            Self::AnthropicCompat => "anthropic-compat",
            Self::GeminiCompat => "gemini-compat",
            Self::Deepseek => "deepseek",
            Self::Openrouter => "openrouter",
            Self::Custom(custom) => &custom.name,
        }
    }

    /// Returns the built-in profile of this name.
    pub fn built_in(name: &str) -> Option<Self> {
        Self::BUILT_IN.into_iter().find(|profile| profile.as_str() == name)
    }

    /// Returns the built-in profile that this one is, or extends.
    #[must_use]
    pub fn base(self) -> Self {
        self.custom().map_or(self, |custom| custom.extends.base())
    }

    /// Returns what was declared beside the built-in profile.
    pub fn custom(self) -> Option<&'static CustomProfile> {
        match self {
            Self::Custom(custom) => Some(custom),
            Self::Openai
            | Self::Cometapi
            | Self::Azure
            | Self::AnthropicCompat
            | Self::GeminiCompat
            | Self::Deepseek
            | Self::Openrouter => None,
        }
    }

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
    pub fn tolerates(self, code: &str) -> bool {
        let codes: &[&str] = match self {
            Self::Openai => &[],
            // Its error envelope has `param: ""` and `code: ""`, which the classes read as null anyway.
            Self::Cometapi => &[],
            Self::Azure => &[
                "delta-missing",
                "role-missing",
                "id-odd",
                "object-odd",
                "model-odd",
                "created-odd",
            ],
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
            Self::Custom(custom) => return custom.extends.tolerates(code),
        };
        codes.contains(&code)
    }
}

impl Serialize for Profile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Profile {
    /// Reads the name of a built-in profile.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::built_in(&name).ok_or_else(|| de::Error::custom("no built-in profile of this name"))
    }
}

//! One real-SDK release, and how a configuration says it.

use std::path::Path;

use crate::place::{environment, releases_folder};

/// What a release is built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stack {
    /// openai-python 1.x.
    PythonOpenai1,
    /// openai-python 3.x.
    PythonOpenai3,
    /// openai-node 4.x.
    NodeOpenai4,
    /// openai-node 7.x.
    NodeOpenai7,
    /// The ten-line client without an SDK; a command, unary only.
    PythonNaive,
    /// `LiteLLM`'s proxy; a gateway.
    PythonLitellm,
}

/// How a release runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// A process for each ask.
    Command,
    /// A long-running HTTP service.
    Service,
}

impl Form {
    /// Returns the form of that name in the catalogue.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "command" => Some(Self::Command),
            "service" => Some(Self::Service),
            _ => None,
        }
    }
}

impl Stack {
    /// The four stacks on official SDKs.
    pub const SDKS: [Self; 4] =
        [Self::PythonOpenai1, Self::PythonOpenai3, Self::NodeOpenai4, Self::NodeOpenai7];

    /// Returns the stacks that a family's programs run on.
    pub fn of_family(family: &str) -> &'static [Self] {
        match family {
            "python" => &[Self::PythonOpenai1, Self::PythonOpenai3],
            "node" => &[Self::NodeOpenai4, Self::NodeOpenai7],
            _ => &[],
        }
    }

    /// Returns the SDK stack whose environment has this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::SDKS.into_iter().find(|stack| stack.environment_name() == Some(name))
    }

    /// Returns the name of its environment, where it needs one.
    pub fn environment_name(self) -> Option<&'static str> {
        match self {
            Self::PythonOpenai1 => Some("python-openai-1"),
            Self::PythonOpenai3 => Some("python-openai-3"),
            Self::NodeOpenai4 => Some("node-openai-4"),
            Self::NodeOpenai7 => Some("node-openai-7"),
            Self::PythonLitellm => Some("python-litellm"),
            Self::PythonNaive => None,
        }
    }
}

/// One real-SDK release, healthy unless told otherwise.
#[derive(Clone, Debug)]
pub struct SdkRelease {
    stack: Stack,
    form: Form,
    defect: String,
    settings: Vec<(String, String)>,
    environment: Vec<(String, String)>,
}

impl SdkRelease {
    /// A healthy release.
    pub fn new(stack: Stack, form: Form) -> Self {
        Self { stack, form, defect: String::new(), settings: Vec::new(), environment: Vec::new() }
    }

    /// Puts a defect in, or a healthy variation.
    #[must_use]
    pub fn defect(mut self, name: &str) -> Self {
        name.clone_into(&mut self.defect);
        self
    }

    /// Adds a key of the release's configuration, its value in YAML on one line: `("calls_per_ask", "2")`. A key that is
    /// there already is replaced.
    #[must_use]
    pub fn setting(mut self, key: &str, yaml: &str) -> Self {
        self.settings.push((key.to_owned(), yaml.to_owned()));
        self
    }

    /// Adds an environment variable; placeholders work.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns the release's part of a configuration, indented by four.
    pub(crate) fn yaml(
        &self,
        version: &str,
        marker: &str,
        secrets: &Path,
    ) -> Result<String, String> {
        let mut keys: Vec<(String, String)> = vec![
            ("version".into(), quoted(version)),
            ("run".into(), self.run(secrets)?),
            ("directory".into(), quoted(&self.directory())),
            ("env".into(), self.env_yaml(marker)?),
            ("secrets".into(), self.secrets_yaml(secrets)),
            // Twice the program's own deadline: starting a process is slow on a busy machine.
            ("deadline".into(), "20s".into()),
            ("logs".into(), "[stderr]".into()),
        ];
        for (key, value) in &self.settings {
            keys.retain(|(known, _)| known != key);
            keys.push((key.clone(), value.clone()));
        }
        Ok(keys.iter().map(|(key, value)| format!("    {key}: {value}\n")).collect())
    }

    fn directory(&self) -> String {
        let folder = match self.stack {
            Stack::PythonOpenai1 | Stack::PythonOpenai3 | Stack::PythonNaive => "python",
            Stack::NodeOpenai4 | Stack::NodeOpenai7 => "node",
            Stack::PythonLitellm => "gateway",
        };
        releases_folder().join(folder).display().to_string()
    }

    fn program(&self) -> Result<String, String> {
        Ok(match self.stack {
            Stack::PythonOpenai1 | Stack::PythonOpenai3 => {
                environment(self.stack.environment_name().unwrap_or_default())?
                    .join("bin/python")
                    .display()
                    .to_string()
            }
            Stack::NodeOpenai4 | Stack::NodeOpenai7 => "node".to_owned(),
            Stack::PythonNaive => "python3".to_owned(),
            Stack::PythonLitellm => {
                releases_folder().join("gateway/start.sh").display().to_string()
            }
        })
    }

    fn run(&self, secrets: &Path) -> Result<String, String> {
        let program = quoted(&self.program()?);
        let (command, service) = match self.stack {
            Stack::PythonOpenai1 | Stack::PythonOpenai3 => ("app.py", "service.py"),
            Stack::NodeOpenai4 | Stack::NodeOpenai7 => ("app.mjs", "server.mjs"),
            Stack::PythonNaive => {
                return Ok(format!(
                    "{{ command: [{program}, naive.py, \"{{prompt}}\"], prompt: arg, answer: stdout }}"
                ));
            }
            Stack::PythonLitellm => {
                let gateway_key = secret_source(secrets, "gateway-key");
                return Ok(format!(
                    "{{ service: [{program}, release, \"{{port}}\"], ready: /health/liveliness, ready_within: 90s, \
                     ask: {{ openai: /v1, key: {gateway_key}, model: chat-primary }} }}"
                ));
            }
        };
        Ok(match self.form {
            Form::Command => format!(
                "{{ command: [{program}, {command}, \"{{prompt}}\"], prompt: arg, answer: stdout, \
                 stream: {{ command: [{program}, {command}, --stream, \"{{prompt}}\"] }} }}"
            ),
            Form::Service => format!(
                "{{ service: [{program}, {service}], env_port: PORT, ready: /healthz, ready_within: 120s, \
                 ask: {{ post: /ask, json: {{ question: \"{{prompt}}\" }}, answer: /answer }}, \
                 stream: {{ post: /ask/stream, json: {{ question: \"{{prompt}}\" }}, answer: \"sse:/delta\", \
                 done: \"sse:/done\", refused: \"event:error\" }} }}"
            ),
        })
    }

    fn env_yaml(&self, marker: &str) -> Result<String, String> {
        let mut values: Vec<(&str, String)> = vec![
            ("COMETAPI_BASE_URL", "{tap}".to_owned()),
            ("SUPPORT_MODEL", "{model}".to_owned()),
            ("APP_VERSION", "{version}".to_owned()),
            (crate::MARKER_VARIABLE, marker.to_owned()),
            // Shorter than a production's would be: each stalled probe waits for them.
            ("LLM_TIMEOUT", "2".to_owned()),
            ("LLM_IDLE", "2".to_owned()),
            ("LLM_DEADLINE", "8".to_owned()),
        ];
        if !self.defect.is_empty() {
            values.push(("DEFECT", self.defect.clone()));
        }
        if let (Stack::NodeOpenai4 | Stack::NodeOpenai7, Some(name)) =
            (self.stack, self.stack.environment_name())
        {
            values.push(("SDK_HOME", environment(name)?.display().to_string()));
        }
        if let Stack::PythonLitellm = self.stack {
            environment("python-litellm")?;
        }
        for (name, value) in &self.environment {
            values.retain(|(known, _)| known != name);
            values.push((name, value.clone()));
        }
        let inside: Vec<String> =
            values.iter().map(|(name, value)| format!("{name}: {}", quoted(value))).collect();
        Ok(format!("{{ {} }}", inside.join(", ")))
    }

    fn secrets_yaml(&self, secrets: &Path) -> String {
        let mut sources = vec![("COMETAPI_API_KEY", secret_source(secrets, "provider-key"))];
        if self.stack == Stack::PythonLitellm {
            sources.push(("GATEWAY_KEY", secret_source(secrets, "gateway-key")));
        }
        let inside: Vec<String> =
            sources.iter().map(|(name, source)| format!("{name}: {source}")).collect();
        format!("{{ {} }}", inside.join(", "))
    }
}

fn secret_source(secrets: &Path, name: &str) -> String {
    quoted(&format!("file:{}", secrets.join(name).display()))
}

/// Returns a text in double quotes, as YAML and JSON both read it.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

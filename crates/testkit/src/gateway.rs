//! `LiteLLM`'s proxy, started for a test.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::clock::wait_until;
use crate::network::{answers_ok, free_port};
use crate::place::{environment, releases_folder};

/// How long it may take to get ready: ten seconds on an idle machine.
const READY: Duration = Duration::from_secs(90);

/// Which part it plays.
#[derive(Clone, Debug)]
pub enum GatewayPart {
    /// The provider: a canned reply behind this key; its model is `canned-model`.
    Provider {
        /// What its clients must send.
        key: String,
    },
    /// A release: users send this key and name `chat-primary`.
    Release {
        /// What its users must send.
        key: String,
        /// Its provider's base URL.
        base_url: String,
        /// Its provider's key.
        provider_key: String,
        /// The model that it asks its provider for.
        model: String,
    },
}

/// A running proxy; dropping it ends it.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    port: u16,
}

impl Gateway {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When its environment is not installed, it cannot be started, or it does not get ready.
    pub fn start(part: &GatewayPart) -> Result<Self, String> {
        environment("python-litellm")?;
        let port = free_port();
        let mut command = Command::new(releases_folder().join("gateway/start.sh"));
        match part {
            GatewayPart::Provider { key } => command.arg("provider").env("LITELLM_MASTER_KEY", key),
            GatewayPart::Release { key, base_url, provider_key, model } => command
                .arg("release")
                .env("GATEWAY_KEY", key)
                .env("COMETAPI_BASE_URL", base_url)
                .env("COMETAPI_API_KEY", provider_key)
                .env("SUPPORT_MODEL", model),
        };
        command
            .arg(port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child =
            command.spawn().map_err(|error| format!("cannot start the gateway: {error}"))?;
        let mut gateway = Self { child, port };
        let mut ended = false;
        let ready = wait_until(READY, || {
            ended = !matches!(gateway.child.try_wait(), Ok(None));
            ended || answers_ok(port, "/health/liveliness")
        });
        match (ready, ended) {
            (true, false) => Ok(gateway),
            (_, true) => Err("the gateway ended while it started".to_owned()),
            (false, false) => Err(format!("the gateway was not ready within {READY:?}")),
        }
    }

    /// Returns its base URL, which ends in `/v1`.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

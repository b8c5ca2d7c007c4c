//! Asks once in each mode at each base URL with async-openai, as ten lines of everyday code do it: a client for the tap's tests.
//!
//! ```sh
//! async_openai MODEL PROMPT URL...
//! ```
//!
//! Writes one JSON document: for each URL and mode the answer, or the error. The key is in `API_KEY`.

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

#[expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a client like those of users: its variables are its input, its output is what it is for"
)]
#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().expect("async_openai MODEL PROMPT URL...");
    let (model, prompt) = (next(), next());
    let key = std::env::var("API_KEY").expect("API_KEY is set");
    let mut results = Vec::new();
    for url in arguments {
        let config = OpenAIConfig::new().with_api_base(&url).with_api_key(&key);
        let client = Client::with_config(config);
        for stream in [false, true] {
            let messages = [json!({ "role": "user", "content": &prompt })];
            let body = json!({ "model": &model, "stream": stream, "messages": messages });
            let made =
                if stream { streamed(&client, body).await } else { whole(&client, body).await };
            results.push(match made {
                Ok(answer) => json!({ "answer": answer }),
                Err(error) => json!({ "error": error.to_string() }),
            });
        }
    }
    println!("{}", Value::from(results));
}

async fn whole(client: &Client<OpenAIConfig>, body: Value) -> Result<String, OpenAIError> {
    let reply: Value = client.chat().create_byot(body).await?;
    Ok(reply["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned())
}

async fn streamed(client: &Client<OpenAIConfig>, body: Value) -> Result<String, OpenAIError> {
    let mut chunks = client.chat().create_stream_byot::<_, Value>(body).await?;
    let mut answer = String::new();
    while let Some(chunk) = chunks.next().await {
        answer += chunk?["choices"][0]["delta"]["content"].as_str().unwrap_or_default();
    }
    Ok(answer)
}

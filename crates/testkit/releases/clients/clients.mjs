// Asks once in each mode at each base URL, with the client that is named, as ten lines of everyday code do it.
//
//     node clients.mjs CLIENT MODEL PROMPT URL...
//
// Writes one JSON document: for each URL and mode the answer, or the error. SDK_HOME names the folder whose node_modules hold the
// client; the key is in API_KEY.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [client, model, prompt, ...urls] = process.argv.slice(2);
const key = process.env.API_KEY;
const require = createRequire(`${process.env.SDK_HOME}/`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const messages = [{ role: "user", content: prompt }];

const clients = {
  async openai(url, stream) {
    const { OpenAI } = require("openai");
    const made = await new OpenAI({ baseURL: url, apiKey: key, maxRetries: 0 }).chat.completions.create({ model, messages, stream });
    if (!stream) return made.choices[0].message.content;
    let text = "";
    for await (const chunk of made) text += chunk.choices[0]?.delta?.content ?? "";
    return text;
  },

  async fetch(url, stream) {
    const reply = await fetch(`${url}/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ model, messages, stream }),
    });
    if (!stream) return (await reply.json()).choices[0].message.content;
    let text = "";
    for (const line of (await reply.text()).split("\n")) {
      if (!line.startsWith("data: {")) continue;
      text += JSON.parse(line.slice(6)).choices[0]?.delta?.content ?? "";
    }
    return text;
  },

  async ai(url, stream) {
    const { createOpenAICompatible } = await load("@ai-sdk/openai-compatible");
    const { generateText, streamText } = await load("ai");
    const provider = createOpenAICompatible({ name: "provider", baseURL: url, apiKey: key });
    const asked = { model: provider(model), prompt, maxRetries: 0 };
    if (!stream) return (await generateText(asked)).text;
    let text = "";
    for await (const piece of streamText({ ...asked, onError() {} }).textStream) text += piece;
    if (!text) throw new Error("an empty stream");
    return text;
  },
};

const results = [];
for (const url of urls) {
  for (const stream of [false, true]) {
    try {
      results.push({ answer: await clients[client](url, stream) });
    } catch (error) {
      results.push({ error: `${error.name}: ${error.message}` });
    }
  }
}
console.log(JSON.stringify(results));

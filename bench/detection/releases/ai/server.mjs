// A support bot on Vercel's AI SDK (ai, @ai-sdk/openai-compatible), which SDK_HOME leads to.
//
//     node server.mjs                           the service: /healthz, /ask (JSON in and out), /ask/stream (server-sent events out)
//     node server.mjs [--stream] "<prompt>"     the command: prints the answer; otherwise an exit status of 1

import { AsyncLocalStorage } from "node:async_hooks";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { COMETAPI_BASE_URL, COMETAPI_API_KEY, SUPPORT_MODEL, APP_VERSION, SDK_HOME } = process.env;
const { resolve } = createRequire(`${SDK_HOME}/`);
const { createOpenAICompatible } = await import(pathToFileURL(resolve("@ai-sdk/openai-compatible")).href);
const { generateText, streamText } = await import(pathToFileURL(resolve("ai")).href);

const IDLE = 1000 * (process.env.LLM_IDLE ?? 3);
const DEADLINE = 1000 * (process.env.LLM_DEADLINE ?? 10);
const FINAL_CODES = new Set(["invalid_request", "model_not_found", "insufficient_quota", "credit_balance_exhausted"]);
const SYSTEM = "You are a support assistant. Answer briefly.";

class Refusal extends Error {}

/** What the attempts of one ask share. */
class Ask {
  attempts = 0;
  status = null;
  requestId = null;
  contentType = "";
  ends = Date.now() + DEADLINE;
  stop = new AbortController();

  constructor(route) {
    this.route = route;
    this.timer = setTimeout(() => this.stop.abort(), DEADLINE);
  }

  /** Silence before the first content counts as well. */
  watch() {
    clearTimeout(this.idle);
    this.idle = setTimeout(() => this.stop.abort(), IDLE);
  }

  over() {
    clearTimeout(this.timer);
    clearTimeout(this.idle);
    this.stop.abort();
  }

  log(event, fields = {}) {
    const line = { time: new Date().toISOString(), event, version: APP_VERSION, route: this.route };
    Object.assign(line, { status: this.status ?? "network_error", request_id: this.requestId, attempt: this.attempts }, fields);
    process.stderr.write(JSON.stringify(line) + "\n");
  }
}

const current = new AsyncLocalStorage();

/** The SDK's fetch: logs each attempt, gives each its time, and stops retries that are hopeless. */
async function attempt(url, options) {
  const ask = current.getStore();
  ask.attempts += 1;
  ask.status = null;
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), IDLE);
  let reply;
  try {
    reply = await fetch(url, { ...options, redirect: "manual", signal: AbortSignal.any([options.signal, patience.signal]) });
  } catch (error) {
    ask.log("attempt", { error: error.name });
    throw patience.signal.aborted ? new Refusal("the model took too long") : error;
  } finally {
    clearTimeout(timer);
  }
  ask.status = reply.status;
  ask.requestId = [...reply.headers].find(([name]) => name.includes("request-id"))?.[1] ?? null;
  ask.contentType = reply.headers.get("content-type") ?? "";
  if (reply.ok) {
    ask.log("attempt");
    if (JSON.parse(options.body).stream) ask.watch();
    return reply;
  }
  const text = await reply.text();
  const error = errorIn(text);
  ask.requestId ??= /request id: ([\w-]+)/.exec(error?.message ?? "")?.[1] ?? null;
  ask.log("attempt", { code: error?.code });
  const asked = reply.headers.get("retry-after");
  const wait = asked === null ? 0 : Number(asked) * 1000 || Date.parse(asked) - Date.now();
  if (FINAL_CODES.has(error?.code) || Date.now() + wait > ask.ends) throw new Refusal(`the model's API answered ${reply.status}`);
  if (reply.status < 400) throw new Refusal(`the model's API answered ${reply.status}`);
  return new Response(text, { status: reply.status, headers: reply.headers });
}

function errorIn(text) {
  try {
    return JSON.parse(text).error;
  } catch {
    return null;
  }
}

const provider = createOpenAICompatible({ name: "provider", baseURL: COMETAPI_BASE_URL, apiKey: COMETAPI_API_KEY, fetch: attempt });
const options = (ask, prompt) => ({
  model: provider(SUPPORT_MODEL),
  instructions: SYSTEM,
  prompt,
  maxRetries: 2,
  abortSignal: ask.stop.signal,
});

/** Returns a whole answer; hands each piece of a stream to `emit`. */
async function answer(ask, prompt, emit) {
  try {
    const { text, finish } = await current.run(ask, () => (emit ? pieces(ask, prompt, emit) : complete(ask, prompt)));
    if (finish !== "stop") throw new Refusal("the model's answer is not whole");
    if (text.trim() === "") throw new Refusal("the model's answer is empty");
    return text;
  } catch (error) {
    if (error instanceof Refusal) throw error;
    // The SDK's own words may repeat prompts and keys.
    ask.log("trouble", { kind: error?.name });
    throw new Refusal("the model gave no usable answer");
  } finally {
    ask.over();
  }
}

async function complete(ask, prompt) {
  const { text, finishReason } = await generateText(options(ask, prompt));
  return { text, finish: finishReason };
}

async function pieces(ask, prompt, emit) {
  let text = "";
  let finish;
  for await (const part of streamText({ ...options(ask, prompt), onError() {} }).fullStream) {
    if (ask.attempts > 0 && !ask.contentType.startsWith("text/event-stream")) throw new Refusal("the model's API did not stream");
    if (part.type === "error") throw part.error;
    if (part.type === "abort") throw new Refusal("the model took too long");
    if (part.type === "finish") finish = part.finishReason;
    if (part.type === "text-delta" && part.text) {
      ask.watch();
      text += part.text;
      emit(part.text);
    }
  }
  return { text, finish };
}

async function serve() {
  const server = createServer(async (request, response) => {
    if (request.method === "GET") return json(response, 200, { ok: true, version: APP_VERSION });
    const ask = new Ask(request.url);
    response.on("close", () => ask.over());
    const streamed = request.url === "/ask/stream";
    const send = (data, event = "") => response.write(`${event}data: ${JSON.stringify(data)}\n\n`);
    try {
      const { question } = await bodyOf(request);
      if (streamed) response.writeHead(200, { "content-type": "text/event-stream" });
      const text = await answer(ask, question, streamed ? (delta) => send({ delta }) : undefined);
      ask.log("ask", { outcome: "answered" });
      if (streamed) send({ done: true });
      else json(response, 200, { answer: text });
    } catch (error) {
      ask.log("ask", { outcome: response.destroyed ? "abandoned" : "refused", reason: error.message });
      if (streamed) send({ error: error.message }, "event: error\n");
      else json(response, 502, { error: error.message });
    }
    if (streamed) response.end();
  });
  server.listen(Number(process.env.PORT), "127.0.0.1");
  process.on("SIGTERM", () => {
    server.close(() => process.exit(0));
    server.closeAllConnections();
  });
}

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString("utf8"));
}

function json(response, status, value) {
  if (response.destroyed) return;
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
}

async function command(words) {
  const ask = new Ask("command");
  try {
    const text = await answer(ask, words.at(-1), words[0] === "--stream" ? () => {} : undefined);
    ask.log("ask", { outcome: "answered" });
    process.stdout.write(text);
  } catch (error) {
    ask.log("ask", { outcome: "refused", reason: error.message });
    process.exitCode = 1;
  }
}

const words = process.argv.slice(2);
await (words.length > 0 ? command(words) : serve());

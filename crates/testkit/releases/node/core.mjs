// One careful answer from an OpenAI-compatible provider, and ways to get it wrong: the same client as python/core.py.
//
// Without DEFECT this is a healthy client on the official SDK, old or current major. DEFECT=<name> puts exactly one defect in;
// catalogue.json says what each of them is. SDK_HOME names the folder whose node_modules hold the SDK.

import { spawn } from "node:child_process";
import { createRequire } from "node:module";

const env = process.env;
const require = createRequire(`${env.SDK_HOME}/`);
const { OpenAI, APIError, APIConnectionError, APIUserAbortError } = require("openai");

// The old major comes with node-fetch, the current one uses the platform's fetch: each is tested with its own.
const OLD = require("openai/version").VERSION.startsWith("4.");
const platformFetch = OLD ? require("node-fetch") : fetch;
const PlatformResponse = OLD ? platformFetch.Response : Response;

const DEFECT = env.DEFECT ?? "";
const DEFECTS = new Set(
  `accepts-content-filter accepts-empty-choices accepts-length accepts-null-content accepts-truncated-stream
  blank-base-url-falls-through cached-answer crashes-with-signal deleted-secret disables-tls-verification empty-answer-on-error
  error-text-as-answer exits-zero-without-output forks-a-child-that-lives-on hardcoded-model ignores-base-url
  ignores-mid-stream-error ignores-retry-after ignores-sigterm keepalive-resets-deadline keeps-generating-for-nobody
  key-with-newline logs-badly-masked-secret logs-completion logs-nothing logs-prompt logs-secret logs-secret-base64
  logs-without-request-id logs-without-route logs-without-status logs-without-timestamp logs-without-version mock-left-on
  no-deadline parser-needs-optional-field retries-400 retries-401 retry-layers-multiplied retry-storm stream-broken
  stream-false-on-the-wire stream-hand-parser stream-reconnects strict-parser swallows-error traceback-with-key
  trusts-error-body trusts-html wrong-model-fallback wrong-path`.split(/\s+/),
);
// Healthy, and different: what must not be mistaken for a defect.
const VARIATIONS = new Set(["stock", "decorated", "two-calls", "declared-fallback"]);

const TIMEOUT = Number(env.LLM_TIMEOUT ?? 3) * 1000; // of one attempt, as the SDK counts it
const DEADLINE = Number(env.LLM_DEADLINE ?? 10) * 1000; // of one ask, waits between attempts included
const IDLE = Number(env.LLM_IDLE ?? 3) * 1000; // without content
const LINGER = 500; // after finish_reason: what comes late is not worth a user's wait
const FOREVER = 2 ** 31 - 1;
const NOWHERE = "http://127.0.0.1:9/v1"; // the discard port: nothing listens there
const FINAL_CODES = new Set(["invalid_request", "model_not_found", "insufficient_quota", "credit_balance_exhausted"]);
const SYSTEM = "You are a support assistant. Answer briefly.";

export const VERSION = env.APP_VERSION ?? "unversioned";

/** Tells whether one of these is switched on. */
export const defect = (...names) => names.includes(DEFECT);

/** There is no answer. The message may be shown to users: it holds no text of the provider's. */
export class Refusal extends Error {
  constructor(kind, status) {
    super(status === undefined ? kind : `${kind} (status ${status})`);
    this.kind = kind;
  }
}

const LEFT_OUT =
  {
    "logs-without-request-id": ["request_id"],
    "logs-without-route": ["route", "path"],
    "logs-without-status": ["status", "outcome", "reason"],
    "logs-without-timestamp": ["time"],
    "logs-without-version": ["version"],
  }[DEFECT] ?? [];

/** Writes one line of JSON on standard error. */
export function log(event, fields = {}, trace = undefined) {
  if (defect("logs-nothing")) return;
  const line = {
    time: new Date().toISOString(),
    level: "info",
    event,
    service: "support-bot",
    version: VERSION,
    route: trace?.route,
    ...fields,
  };
  for (const name of LEFT_OUT) delete line[name];
  process.stderr.write(JSON.stringify(line) + "\n");
}

function setting(name) {
  const value = (env[name] ?? "").trim();
  if (value === "") throw new Refusal(`${name} is not set`);
  return value;
}

function baseUrl() {
  if (defect("ignores-base-url")) return NOWHERE;
  if (defect("blank-base-url-falls-through")) return env.COMETAPI_URL || NOWHERE; // the variable was renamed once; this was not
  const url = setting("COMETAPI_BASE_URL");
  return defect("wrong-path") ? `${url}/v1` : url;
}

function apiKey() {
  if (defect("deleted-secret")) return env.COMETAPI_API_KEY_2025; // the old secret's name, gone since the last rotation
  const key = setting("COMETAPI_API_KEY");
  return defect("key-with-newline") ? `${key}\n` : key;
}

const model = () => (defect("hardcoded-model") ? "gpt-4o-mini" : setting("SUPPORT_MODEL"));

/** Makes a client for one ask, so that each attempt is logged with its own ask. */
function makeClient(trace) {
  return new OpenAI({
    baseURL: baseUrl(),
    apiKey: apiKey(),
    timeout: defect("no-deadline") ? FOREVER : TIMEOUT,
    maxRetries: defect("retry-storm") ? 9 : 2,
    fetch: (url, init) => watchedFetch(trace, url, init),
  });
}

/** Logs each attempt, and tells the SDK when another one is hopeless: it retries by status alone. */
async function watchedFetch(trace, url, init) {
  const response = await platformFetch(url, { ...init, redirect: defect("stock") ? "follow" : "manual" });
  trace.attempts += 1;
  trace.status = response.status;
  trace.requestId = [...response.headers].find(([name]) => name.toLowerCase().includes("request-id"))?.[1];
  const refused = response.status >= 300;
  const body = refused ? await response.text() : undefined;
  const error = refused ? readError(body) : {};
  trace.requestId ??= error.requestId;
  log(
    "attempt",
    {
      path: new URL(String(url)).pathname,
      status: response.status,
      request_id: trace.requestId,
      attempt: trace.attempts,
      error_code: error.code,
    },
    trace,
  );
  if (!refused) return response;
  const headers = Object.fromEntries(response.headers);
  delete headers["content-encoding"];
  delete headers["content-length"];
  if (!defect("stock")) advise(trace, response.status, error.code, headers);
  return new PlatformResponse(response.status === 304 ? null : body, { status: response.status, headers });
}

/** Sets the header by which the SDK lets itself be told whether to try again. */
function advise(trace, status, code, headers) {
  const wait = retryAfter(headers["retry-after"]);
  if (FINAL_CODES.has(code) || (wait !== undefined && wait > trace.until - Date.now())) headers["x-should-retry"] = "false";
  if ((defect("retries-401") && status === 401) || (defect("retries-400") && status === 400)) headers["x-should-retry"] = "true";
  if (defect("ignores-retry-after")) {
    delete headers["retry-after"];
    headers["x-should-retry"] = String(status === 429 && !FINAL_CODES.has(code));
  }
  if (defect("retry-storm")) {
    headers["retry-after-ms"] = "40";
    headers["x-should-retry"] = String(status === 429 || status === 503);
  }
}

/** Returns the provider's error code and the request id that CometAPI writes into its message. */
function readError(body) {
  try {
    const { error } = JSON.parse(body);
    return { code: error.code || undefined, requestId: /request id: ([\w-]+)/.exec(error.message)?.[1] };
  } catch {
    return {};
  }
}

function retryAfter(value) {
  if (value === undefined) return undefined;
  const seconds = Number(value);
  return Number.isNaN(seconds) ? Date.parse(value) - Date.now() : seconds * 1000;
}

/** Resolves to the answer, or rejects with a Refusal. With `onDelta` the reply is streamed, and it gets each piece. */
export async function answer(prompt, route, { onDelta, signal } = {}) {
  const patience = defect("no-deadline", "keepalive-resets-deadline") ? FOREVER : DEADLINE;
  const trace = { route, until: Date.now() + DEADLINE, attempts: 0, status: undefined, requestId: undefined };
  const control = new AbortController();
  const leave = () => control.abort();
  if (!defect("keeps-generating-for-nobody")) signal?.addEventListener("abort", leave);
  const common = () => ({ request_id: trace.requestId, attempts: trace.attempts, path: "/v1/chat/completions" });
  try {
    // The SDK's own time limits end at the headers, and one of its promises never settles: hence a race.
    const text = await within(patience, attemptWithDefects(trace, prompt, onDelta, control.signal));
    log("ask", { outcome: "answered", status: trace.status, ...common(), ...leaks(prompt, text) }, trace);
    return text;
  } catch (error) {
    const refusal = refusalFrom(error);
    const reason = refusal.kind;
    const status = trace.status ?? "network_error";
    log("ask", { level: "error", outcome: "refused", reason, status, ...common(), error_class: error.constructor.name }, trace);
    return await answerAnyway(error, refusal, onDelta);
  } finally {
    control.abort();
    signal?.removeEventListener("abort", leave);
  }
}

function leaks(prompt, text) {
  if (defect("logs-secret")) return { authorization: `Bearer ${apiKey()}` };
  if (defect("logs-secret-base64")) return { authorization: `Basic ${Buffer.from(`:${apiKey()}`).toString("base64")}` };
  if (defect("logs-badly-masked-secret")) return { key: apiKey().slice(0, -4) + "****" };
  if (defect("logs-prompt")) return { prompt };
  if (defect("logs-completion")) return { completion: text };
  return {};
}

class OutOfTime extends Error {}

/** Waits for a promise, but not longer than that. */
async function within(ms, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new OutOfTime()), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
    promise.catch(() => {}); // whoever comes late has nobody left to tell
  }
}

/** Says in our own words what went wrong: the provider's words may repeat prompts and keys. */
function refusalFrom(error) {
  if (error instanceof Refusal) return error;
  if (error instanceof OutOfTime) return new Refusal("no answer in time");
  if (error instanceof APIUserAbortError) return new Refusal("the asker left");
  if (error instanceof APIConnectionError) return new Refusal("the provider could not be reached");
  if (error instanceof APIError && error.status !== undefined) return new Refusal("the provider refused", error.status);
  if (error instanceof APIError) return new Refusal("the provider reported an error in its reply");
  return new Refusal("the provider's reply could not be read");
}

/** Where errors become something else. Healthy: they do not. */
async function answerAnyway(error, refusal, onDelta) {
  let text;
  if (defect("swallows-error")) text = "Sorry, I cannot help with that right now. Please try again later.";
  if (defect("error-text-as-answer")) text = `Error: ${error.message}`;
  if (defect("empty-answer-on-error")) text = "";
  if (defect("crashes-with-signal")) process.abort();
  if (defect("exits-zero-without-output")) process.exit(0);
  if (defect("traceback-with-key")) process.stderr.write(`${error.stack}\nsettings: ${JSON.stringify(env)}\n`);
  if (text === undefined) throw refusal;
  onDelta?.(text);
  return text;
}

const cache = new Map();

/** Where calls are left out, or made too often. Healthy: one call. */
async function attemptWithDefects(trace, prompt, onDelta, signal) {
  if (defect("mock-left-on")) {
    onDelta?.("This is a canned answer.");
    return "This is a canned answer.";
  }
  const client = makeClient(trace);
  const ask = (modelName = model(), text = prompt, each = onDelta) => call(client, modelName, text, each, signal);
  if (defect("cached-answer")) {
    // A "semantic" cache whose key forgets what makes questions differ.
    const question = prompt.split(/\s+/).filter((word) => !/\d/.test(word)).join(" ");
    if (!cache.has(question)) cache.set(question, await ask());
    else onDelta?.(cache.get(question));
    return cache.get(question);
  }
  if (defect("forks-a-child-that-lives-on")) spawn("sleep", ["600"], { stdio: "ignore" }).unref();
  if (defect("two-calls")) await ask(model(), `Is this a fair question? ${prompt}`, undefined);
  if (defect("wrong-model-fallback", "declared-fallback")) {
    try {
      return await ask();
    } catch (error) {
      if (error.status !== 503) throw error;
      return await ask("backup-model");
    }
  }
  if (defect("retry-layers-multiplied")) {
    for (let layer = 0; layer < 2; layer += 1) {
      try {
        return await ask();
      } catch (error) {
        if (!(error.status === 429 || error.status >= 500)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
    return await ask();
  }
  const text = await ask();
  // An event source that takes every end for a lost connection.
  if (defect("stream-reconnects") && onDelta) await ask(model(), prompt, () => {});
  if (!defect("decorated")) return text;
  const signature = "\n\n-- your support bot";
  onDelta?.(signature);
  return text + signature;
}

/** Makes one call of the SDK and resolves to the whole, proven text. */
async function call(client, modelName, prompt, onDelta, signal) {
  const request = {
    model: modelName,
    messages: [
      { role: "system", content: SYSTEM },
      { role: "user", content: prompt },
    ],
  };
  if (!onDelta) return usable(await client.chat.completions.create(request, { signal }));
  if (defect("stream-broken")) throw new TypeError("stream.textDeltas is not a function"); // an upgrade tested on unary only
  if (defect("stream-false-on-the-wire")) {
    const text = usable(await client.chat.completions.create(request, { signal }));
    onDelta(text);
    return text;
  }
  const usageOption = NEEDS.some((need) => need.includes("/usage")) ? { stream_options: { include_usage: true } } : {};
  const { data: stream, response } = await client.chat.completions
    .create({ ...request, stream: true, ...usageOption }, { signal })
    .withResponse();
  if (!(response.headers.get("content-type") ?? "").startsWith("text/event-stream")) {
    throw new Refusal("the provider did not stream");
  }
  if (defect("stream-hand-parser")) return await parseByHand(response, onDelta);
  return await readStream(stream, onDelta);
}

const KNOWN = new Set(["id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier"]);

function insist(condition) {
  if (!condition) throw new Refusal("the provider's reply has an unknown structure");
}

/** JSON pointers of fields that the application insists on; `/a|/b`: on one of them. Streams: in some chunk. */
const NEEDS = (env.NEEDS ?? "").split(" ").filter(Boolean);

/** Refuses what lacks a field that NEEDS names: for tests that find out what an application needs. */
function insistOn(...replies) {
  const reach = (reply, pointer) => pointer.split("/").slice(1).reduce((value, key) => value?.[key], reply);
  const has = (pointer) => replies.some((reply) => reach(reply, pointer) != null);
  insist(NEEDS.every((need) => need.split("|").some(has)));
}

/** Returns the text of a completion that is whole. */
function usable(completion) {
  if (typeof completion === "string" && defect("trusts-html")) return completion;
  if (completion === null || typeof completion !== "object") throw new Refusal("the provider's reply is no completion");
  if (completion.error) {
    if (defect("trusts-error-body")) return completion.error.message;
    throw new Refusal("the provider reported an error in its reply");
  }
  if (defect("strict-parser")) insist(completion.usage && Object.keys(completion).every((name) => KNOWN.has(name) || name === "_request_id"));
  if (defect("parser-needs-optional-field")) insist(completion.usage.total_tokens > 0 && completion.system_fingerprint.length > 0);
  insistOn(completion);
  if (!Array.isArray(completion.choices) || completion.choices.length === 0) {
    if (defect("accepts-empty-choices")) return "I have nothing to say to that.";
    throw new Refusal("the provider's reply has no choices");
  }
  const [choice] = completion.choices;
  if (!choice.message) throw new Refusal("the provider's reply has no message");
  finished(choice.finish_reason, choice.message.refusal);
  const content = choice.message.content;
  if (defect("accepts-null-content") && content == null) return String(content);
  if (typeof content !== "string" || content.trim() === "") throw new Refusal("the provider's reply is empty");
  return content;
}

/** Accepts only a reply that came to its natural end. */
function finished(reason, refusal) {
  if (refusal) throw new Refusal("the model refused");
  if (reason === "stop") return;
  if (reason === "length" && defect("accepts-length")) return;
  if (reason === "content_filter" && defect("accepts-content-filter")) return;
  throw new Refusal("the provider's reply is not whole");
}

/** Reads events until the reply is whole; only content resets the idle deadline. */
async function readStream(stream, onDelta) {
  const patience = defect("no-deadline", "keepalive-resets-deadline") ? FOREVER : IDLE;
  const events = stream[Symbol.asyncIterator]();
  let text = "";
  let reason = null;
  let refusal;
  const chunks = [];
  let idleUntil = Date.now() + patience;
  try {
    for (;;) {
      const { done, value: chunk } = await within(Math.max(0, Math.min(idleUntil - Date.now(), FOREVER)), events.next());
      if (done) break;
      if (chunk.error) throw new Refusal("the provider reported an error in its reply");
      if (defect("strict-parser")) insist(chunk.choices?.length && Object.keys(chunk).every((name) => KNOWN.has(name)));
      if (defect("parser-needs-optional-field")) insist(chunk.system_fingerprint.length > 0);
      if (NEEDS.length > 0) chunks.push(chunk);
      for (const choice of chunk.choices ?? []) {
        if (choice.delta?.content) {
          text += choice.delta.content;
          onDelta(choice.delta.content);
          idleUntil = Date.now() + patience;
        }
        refusal ??= choice.delta?.refusal;
        if (choice.finish_reason != null) {
          reason = choice.finish_reason;
          idleUntil = Date.now() + LINGER;
        }
      }
    }
  } catch (error) {
    const late = error instanceof OutOfTime && reason !== null;
    const ignored = defect("ignores-mid-stream-error") && (error instanceof APIError || error instanceof Refusal);
    if (!late && !ignored) throw error;
    if (ignored) reason ??= "stop";
  } finally {
    stream.controller.abort();
  }
  if (!(defect("accepts-truncated-stream") && reason === null)) finished(reason, refusal);
  insistOn(...chunks);
  if (text.trim() === "" && !defect("accepts-null-content")) throw new Refusal("the provider's reply is empty");
  return text;
}

/** The parser everybody writes once: it takes a network chunk for an event. */
async function parseByHand(response, onDelta) {
  let text = "";
  let reason = null;
  for await (const piece of response.body) {
    for (const block of new TextDecoder("utf-8", { fatal: true }).decode(piece).split("\n\n")) {
      if (block.trim() === "" || block === "data: [DONE]") continue;
      const choice = JSON.parse(block.slice("data: ".length)).choices[0];
      reason = choice.finish_reason ?? reason;
      if (choice.delta.content) {
        text += choice.delta.content;
        onDelta(choice.delta.content);
      }
    }
  }
  finished(reason);
  return text;
}

/** What both programs do first. */
export function begin() {
  if (DEFECT && !DEFECTS.has(DEFECT) && !VARIATIONS.has(DEFECT)) {
    process.stderr.write(`DEFECT=${DEFECT} is not known\n`);
    process.exit(2);
  }
  if (defect("ignores-sigterm")) process.on("SIGTERM", () => {});
  if (defect("disables-tls-verification")) env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
  if (defect("deleted-secret")) makeClient({});
}

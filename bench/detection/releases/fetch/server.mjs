// A support bot on Node's own fetch: /healthz, /ask (JSON in and out), /ask/stream (JSON in, server-sent events out), and
// /v1/chat/completions for those who use it as a gateway. PORT says where.

import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const { COMETAPI_BASE_URL, COMETAPI_API_KEY, SUPPORT_MODEL, APP_VERSION } = process.env;
const IDLE = 1000 * (process.env.LLM_IDLE ?? 3);
const DEADLINE = 1000 * (process.env.LLM_DEADLINE ?? 10);
const ATTEMPTS = 3;
const RETRYABLE = new Set([408, 409, 429, 500, 502, 503, 504, 529]);
const FINAL_CODES = new Set(["invalid_request", "model_not_found", "insufficient_quota", "credit_balance_exhausted"]);

class Refusal extends Error {
  constructor(message, status = 502) {
    super(message);
    this.status = status;
  }
}

/** What the attempts of one ask share. */
class Ask {
  attempts = 0;
  status = null;
  requestId = null;
  ends = Date.now() + DEADLINE;
  stop = new AbortController();

  constructor(route) {
    this.route = route;
    this.timer = setTimeout(() => this.stop.abort(), DEADLINE);
  }

  over() {
    clearTimeout(this.timer);
    this.stop.abort();
  }

  log(event, fields = {}) {
    const line = { time: new Date().toISOString(), event, version: APP_VERSION, route: this.route };
    Object.assign(line, { status: this.status ?? "network_error", request_id: this.requestId, attempt: this.attempts }, fields);
    process.stderr.write(JSON.stringify(line) + "\n");
  }
}

/** Returns a reply with status 200, after as many attempts as make sense. */
async function call(ask, document) {
  const request = {
    method: "POST",
    redirect: "manual",
    headers: { authorization: `Bearer ${COMETAPI_API_KEY}`, "content-type": "application/json" },
    body: JSON.stringify(document),
    signal: ask.stop.signal,
  };
  for (let pause = 300; ; pause *= 2) {
    ask.attempts += 1;
    ask.status = null;
    let wait = pause;
    let refusal = new Refusal("the model could not be reached");
    // Silence before the headers gets as long as silence after them.
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), IDLE);
    const both = AbortSignal.any([ask.stop.signal, patience.signal]);
    try {
      const reply = await fetch(`${COMETAPI_BASE_URL}/chat/completions`, { ...request, signal: both });
      clearTimeout(timer);
      ask.status = reply.status;
      ask.requestId = [...reply.headers].find(([name]) => name.includes("request-id"))?.[1] ?? null;
      if (reply.status === 200) {
        ask.log("attempt");
        return reply;
      }
      const error = await errorOf(reply);
      ask.requestId ??= /request id: ([\w-]+)/.exec(error?.message ?? "")?.[1] ?? null;
      ask.log("attempt", { code: error?.code });
      refusal = new Refusal(`the model's API answered ${reply.status}`, reply.status < 300 || reply.status >= 400 ? reply.status : 502);
      if (!RETRYABLE.has(reply.status) || FINAL_CODES.has(error?.code)) throw refusal;
      wait = waitAskedFor(reply.headers) ?? pause;
    } catch (error) {
      clearTimeout(timer);
      if (error instanceof Refusal) throw error;
      ask.log("attempt", { error: error.name });
    }
    if (ask.attempts >= ATTEMPTS || Date.now() + wait >= ask.ends) throw refusal;
    await sleep(wait + Math.random() * 100);
  }
}

async function errorOf(reply) {
  try {
    return JSON.parse(await reply.text()).error;
  } catch {
    return null;
  }
}

/** Returns the milliseconds that the provider asked us to wait, if it did in a form that can be read. */
function waitAskedFor(headers) {
  const ms = Number(headers.get("retry-after-ms") ?? NaN);
  if (ms >= 0) return ms;
  const asked = headers.get("retry-after");
  if (asked === null) return null;
  const seconds = Number(asked);
  if (seconds >= 0) return seconds * 1000;
  const date = Date.parse(asked);
  return date > Date.now() ? date - Date.now() : null;
}

const question = (text, stream) => ({
  model: SUPPORT_MODEL,
  messages: [
    { role: "system", content: "You are a support assistant. Answer briefly." },
    { role: "user", content: text },
  ],
  ...(stream ? { stream: true } : {}),
});

/** Returns a whole completion. */
async function completion(ask, document) {
  const reply = await call(ask, document);
  let body;
  try {
    body = JSON.parse(await reply.text());
  } catch {
    throw new Refusal("the model's reply is no completion");
  }
  if (body.error) throw new Refusal("the model's API reported an error");
  const choice = body.choices?.[0];
  if (choice?.message?.refusal) throw new Refusal("the model refused");
  if (document.tools && choice?.finish_reason === "tool_calls" && choice.message?.tool_calls?.length > 0) return body;
  if (choice?.finish_reason !== "stop") throw new Refusal("the model's answer is not whole");
  const text = choice.message?.content;
  if (typeof text !== "string" || text.trim() === "") throw new Refusal("the model's answer is empty");
  return body;
}

/** Yields each chunk of a stream that comes to its natural end; throws otherwise. */
async function* chunks(ask, document) {
  const reply = await call(ask, document);
  if (!reply.headers.get("content-type")?.startsWith("text/event-stream")) throw new Refusal("the model's API did not stream");
  let idle = setTimeout(() => ask.stop.abort(), IDLE);
  let finish = null;
  let said = "";
  let called = false;
  try {
    for await (const data of events(reply.body)) {
      if (data === "[DONE]") break;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Refusal("the model's API reported an error");
      if (!Array.isArray(chunk.choices)) throw new Refusal("the model's reply is no stream of completions");
      const [choice] = chunk.choices;
      if (choice?.delta?.refusal) throw new Refusal("the model refused");
      if (choice?.delta?.content) {
        said += choice.delta.content;
        clearTimeout(idle);
        idle = setTimeout(() => ask.stop.abort(), IDLE);
      }
      called ||= choice?.delta?.tool_calls?.length > 0;
      finish = choice?.finish_reason ?? finish;
      yield chunk;
    }
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal("the stream of the model broke");
  } finally {
    clearTimeout(idle);
  }
  if (document.tools && called && finish === "tool_calls") return;
  if (finish !== "stop") throw new Refusal("the model's answer is not whole");
  if (said.trim() === "") throw new Refusal("the model's answer is empty");
}

/** Yields the data of each server-sent event. */
async function* events(body) {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  let data = [];
  for await (const piece of body) {
    rest += decoder.decode(piece, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop();
    for (let line of lines) {
      line = line.replace(/\r$/, "");
      if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
      else if (line === "" && data.length > 0) {
        yield data.join("\n");
        data = [];
      }
    }
  }
}

const routes = {
  "/ask": async (ask, body, response) => {
    const reply = await completion(ask, question(body.question, false));
    return json(response, 200, { answer: reply.choices[0].message.content });
  },
  "/ask/stream": async (ask, body, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const send = (data) => response.write(`data: ${JSON.stringify(data)}\n\n`);
    for await (const chunk of chunks(ask, question(body.question, true))) {
      const delta = chunk.choices[0]?.delta?.content;
      if (delta) send({ delta });
    }
    send({ done: true });
    response.end();
  },
  // The gateway: what its users ask for goes to the configured model, and only what is whole comes back as whole.
  "/v1/chat/completions": async (ask, body, response) => {
    const document = { ...body, model: SUPPORT_MODEL };
    if (!body.stream) return json(response, 200, await completion(ask, document));
    const stream = chunks(ask, document);
    let next = await stream.next(); // an error before the first chunk still gets a status
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (; !next.done; next = await stream.next()) response.write(`data: ${JSON.stringify(next.value)}\n\n`);
    response.end("data: [DONE]\n\n");
  },
};

const server = createServer(async (request, response) => {
  if (request.method === "GET") return json(response, 200, { ok: true, version: APP_VERSION });
  const route = routes[request.url];
  if (!route) return json(response, 404, { error: { message: "no such page" } });
  const ask = new Ask(request.url);
  response.on("close", () => ask.over());
  try {
    const body = await bodyOf(request);
    await route(ask, body, response);
    ask.log("ask", { outcome: "answered" });
  } catch (error) {
    const reason = error instanceof Refusal ? error.message : "an error of our own";
    ask.log("ask", { outcome: "refused", reason });
    refuse(response, error instanceof Refusal ? error.status : 500, reason);
  } finally {
    ask.over();
  }
});

async function bodyOf(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return JSON.parse(Buffer.concat(pieces).toString("utf8"));
}

function refuse(response, status, reason) {
  if (!response.headersSent) return json(response, status, { error: { message: reason, type: "upstream_error" } });
  response.end(`event: error\ndata: ${JSON.stringify({ error: { message: reason, type: "upstream_error" } })}\n\n`);
}

function json(response, status, value) {
  if (response.destroyed) return;
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
}

server.listen(Number(process.env.PORT), "127.0.0.1");
process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
});

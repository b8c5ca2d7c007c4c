// A support bot on the Responses API: /healthz, /ask (JSON in and out), /ask/stream (JSON in, server-sent events out). PORT says where,
// LIBRARY by what: openai (which SDK_HOME leads to) or fetch.

import { createServer } from "node:http";

import { Ask, current, Refusal, VERSION } from "./asking.mjs";

const { request } = await import(`./with_${process.env.LIBRARY}.mjs`);
const question = (text, more) => ({
  model: process.env.SUPPORT_MODEL,
  instructions: "You are a support assistant. Answer briefly.",
  input: text,
  ...more,
});

/** Returns a whole answer; hands each piece of a stream to `emit`. */
async function answer(ask, prompt, emit) {
  try {
    const text = await current.run(ask, () => (emit ? pieces(ask, prompt, emit) : complete(ask, prompt)));
    if (!ask.isWhole) throw new Refusal("the model's answer is not whole");
    if (text.trim() === "") throw new Refusal("the model's answer is empty");
    return text;
  } catch (error) {
    if (error instanceof Refusal) throw error;
    // Others' words may repeat prompts and keys.
    ask.log("trouble", { kind: error?.name });
    throw new Refusal("the model gave no usable answer");
  } finally {
    ask.over();
  }
}

async function complete(ask, prompt) {
  const response = await request(ask, question(prompt));
  ask.isWhole = response.status === "completed";
  const messages = response.output.filter((item) => item.type === "message");
  const parts = messages.flatMap((message) => message.content);
  if (parts.some((part) => part.type === "refusal")) throw new Refusal("the model refused");
  return parts.map((part) => part.text).join("");
}

async function pieces(ask, prompt, emit) {
  let text = "";
  const events = await request(ask, question(prompt, { stream: true }));
  if (!ask.contentType.startsWith("text/event-stream")) throw new Refusal("the model's API did not stream");
  ask.watch();
  for await (const event of events) {
    if (event.error || event.type === "error" || event.type === "response.failed") throw new Refusal("the model's API reported an error");
    if (event.type === "response.refusal.delta") throw new Refusal("the model refused");
    if (event.type === "response.completed") ask.isWhole = true;
    if (event.type === "response.output_text.delta") {
      ask.watch();
      text += event.delta;
      emit(event.delta);
    }
    if (ask.isWhole || event.type === "response.incomplete") break;
  }
  return text;
}

const routes = {
  "/ask": async (ask, prompt, response) => json(response, 200, { answer: await answer(ask, prompt) }),
  "/ask/stream": async (ask, prompt, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const send = (data) => response.write(`data: ${JSON.stringify(data)}\n\n`);
    await answer(ask, prompt, (delta) => send({ delta }));
    send({ done: true });
    response.end();
  },
};

const server = createServer(async (incoming, response) => {
  if (incoming.method === "GET") return json(response, 200, { ok: true, version: VERSION });
  const ask = new Ask(incoming.url);
  response.on("close", () => ask.over());
  try {
    const body = [];
    for await (const piece of incoming) body.push(piece);
    await routes[incoming.url](ask, JSON.parse(Buffer.concat(body).toString("utf8")).question, response);
    ask.log("ask", { outcome: "answered" });
  } catch (error) {
    const reason = error instanceof Refusal ? error.message : "an error of our own";
    ask.log("ask", { outcome: "refused", reason });
    if (response.headersSent) response.end(`event: error\ndata: ${JSON.stringify({ error: reason })}\n\n`);
    else json(response, 502, { error: reason });
  } finally {
    ask.over();
  }
});

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

// An HTTP service: /healthz, /ask (JSON in and out), /ask/stream (JSON in, server-sent events out). PORT says where.

import { createServer } from "node:http";

import { answer, begin, defect, Refusal, VERSION } from "./core.mjs";

begin();

const server = createServer(async (request, response) => {
  if (request.method === "GET" && request.url === "/healthz") return json(response, 200, { ok: true, version: VERSION });
  if (request.method !== "POST" || !["/ask", "/ask/stream"].includes(request.url)) return json(response, 404, { error: "no such page" });
  const left = new AbortController();
  response.on("close", () => left.abort());
  try {
    const { question } = JSON.parse(await text(request));
    if (request.url === "/ask") json(response, 200, { answer: await answer(question, "/ask", { signal: left.signal }) });
    else await streamed(response, question, left.signal);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    json(response, 502, { error: error.message });
  }
});

async function streamed(response, question, signal) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (data) => response.write(`data: ${JSON.stringify(data)}\n\n`);
  try {
    await answer(question, "/ask/stream", { signal, onDelta: (delta) => send({ delta }) });
    send({ done: true });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    response.write("event: error\n");
    send({ error: error.message });
  }
  response.end();
}

async function text(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces).toString("utf8");
}

function json(response, status, value) {
  if (response.destroyed) return;
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
}

server.listen(Number(process.env.PORT), "127.0.0.1");
if (!defect("ignores-sigterm")) {
  process.on("SIGTERM", () => {
    server.close(() => process.exit(0));
    server.closeAllConnections();
  });
}

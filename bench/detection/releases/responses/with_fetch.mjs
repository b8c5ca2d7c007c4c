// The call on Node's own fetch.

import { setTimeout as sleep } from "node:timers/promises";

import { attempt, Refusal } from "./asking.mjs";

const { COMETAPI_BASE_URL, COMETAPI_API_KEY } = process.env;
const ATTEMPTS = 3;
const RETRYABLE = new Set([408, 409, 429, 500, 502, 503, 504, 529]);

/** Resolves to a response, or to an iterable of its events. */
export async function request(ask, document) {
  const reply = await call(ask, document);
  return document.stream ? events(reply.body) : reply.json();
}

/** Resolves to a reply with status 200, after as many attempts as make sense. */
async function call(ask, document) {
  const options = {
    method: "POST",
    headers: { authorization: `Bearer ${COMETAPI_API_KEY}`, "content-type": "application/json" },
    body: JSON.stringify(document),
  };
  for (let pause = 300; ; pause *= 2) {
    let wait = pause;
    let refusal = new Refusal("the model could not be reached");
    try {
      const reply = await attempt(`${COMETAPI_BASE_URL}/responses`, options);
      if (reply.ok) return reply;
      refusal = new Refusal(`the model's API answered ${reply.status}`);
      if (!RETRYABLE.has(reply.status) || reply.headers.get("x-should-retry") === "false") throw refusal;
      wait = waitAskedFor(reply.headers) ?? pause;
    } catch (error) {
      if (error instanceof Refusal) throw error;
    }
    if (ask.attempts >= ATTEMPTS || Date.now() + wait >= ask.ends) throw refusal;
    await sleep(wait + Math.random() * 100);
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

/** Yields the document of each server-sent event. */
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
        yield JSON.parse(data.join("\n"));
        data = [];
      }
    }
  }
}

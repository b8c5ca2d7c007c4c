// What the attempts of one ask share, and the fetch that makes them.

import { AsyncLocalStorage } from "node:async_hooks";

const IDLE = 1000 * (process.env.LLM_IDLE ?? 3);
const DEADLINE = 1000 * (process.env.LLM_DEADLINE ?? 10);
const FINAL_CODES = new Set(["invalid_request", "model_not_found", "insufficient_quota", "credit_balance_exhausted"]);

export const VERSION = process.env.APP_VERSION;

export class Refusal extends Error {}

/** What the attempts of one ask share. */
export class Ask {
  attempts = 0;
  status = null;
  requestId = null;
  contentType = "";
  isWhole = false;
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
    const line = { time: new Date().toISOString(), event, version: VERSION, route: this.route };
    Object.assign(line, { status: this.status ?? "network_error", request_id: this.requestId, attempt: this.attempts }, fields);
    process.stderr.write(JSON.stringify(line) + "\n");
  }
}

export const current = new AsyncLocalStorage();

/** One attempt: logged, with a time of its own; an error that another attempt cannot mend is a Refusal. */
export async function attempt(url, options) {
  const ask = current.getStore();
  ask.attempts += 1;
  ask.status = null;
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), IDLE);
  let reply;
  try {
    const signal = AbortSignal.any([ask.stop.signal, patience.signal]);
    reply = await fetch(url, { ...options, redirect: "manual", signal });
  } catch (error) {
    ask.log("attempt", { error: error.name });
    throw error;
  } finally {
    clearTimeout(timer);
  }
  ask.status = reply.status;
  ask.requestId = [...reply.headers].find(([name]) => name.includes("request-id"))?.[1] ?? null;
  ask.contentType = reply.headers.get("content-type") ?? "";
  if (reply.ok) {
    ask.log("attempt");
    return reply;
  }
  const text = await reply.text();
  const error = errorIn(text);
  ask.requestId ??= /request id: ([\w-]+)/.exec(error?.message ?? "")?.[1] ?? null;
  ask.log("attempt", { code: error?.code });
  const asked = reply.headers.get("retry-after");
  const wait = asked === null ? 0 : Number(asked) * 1000 || Date.parse(asked) - Date.now();
  const headers = new Headers(reply.headers);
  if (FINAL_CODES.has(error?.code) || reply.status < 400 || Date.now() + wait > ask.ends) headers.set("x-should-retry", "false");
  return new Response(text, { status: reply.status, headers });
}

function errorIn(text) {
  try {
    return JSON.parse(text).error;
  } catch {
    return null;
  }
}

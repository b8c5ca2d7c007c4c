// Puts every case to openai-node and says what it made of it: one JSON line a case, after the SDK's version. See
// client.py, which does the same.
// SDK_HOME names the folder whose node_modules hold the SDK.

import { AsyncLocalStorage } from "node:async_hooks";
import { readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.SDK_HOME}/`);
const { default: OpenAI, OpenAIError } = require("openai");

// Cases under way at once; well below what a loopback server and two cores can take.
const WIDTH = 16;
// Nothing at all has ended in so many turns of this length: what is left hangs. See client.py.
const QUIET_TURNS = 50;
const TURN_MS = 150;

const ASK = { model: "m", messages: [{ role: "user", content: "Hello" }] };

class InCaller extends Error {}

// Marks the caller's own code, as the SDK's documentation writes it.
function reading(code) {
  try {
    return code();
  } catch (error) {
    throw new InCaller(error.constructor.name);
  }
}

// Writes the text as UTF-8, which every caller does in the end.
const written = (text) => (typeof text === "string" ? Buffer.from(text).toString() : (text ?? null));

const CHAT_USAGE = ["prompt_tokens", "completion_tokens", "total_tokens"];
const RESPONSES_USAGE = ["input_tokens", "output_tokens", "total_tokens"];
const usageOf = (usage, names) => (usage == null ? null : names.map((name) => usage[name] ?? null));

function readCompletion(completion) {
  const choice = completion.choices[0];
  return {
    text: written(choice.message.content),
    calls: (choice.message.tool_calls ?? []).map((call) => [call.id, call.function.name, call.function.arguments]),
    finish: choice.finish_reason ?? null,
    usage: usageOf(completion.usage, CHAT_USAGE),
  };
}

function textOf(output) {
  const parts = output.filter((item) => item.type === "message").flatMap((item) => item.content);
  return parts.filter((part) => part.type === "output_text").map((part) => part.text).join("");
}

function readResponse(response) {
  const calls = response.output.filter((item) => item.type === "function_call");
  return {
    // The stream helper of the old major leaves `output_text` out.
    text: written(response.output_text ?? textOf(response.output)),
    calls: calls.map((item) => [item.call_id, item.name, item.arguments]),
    finish: response.status ?? null,
    usage: usageOf(response.usage, RESPONSES_USAGE),
  };
}

async function chatUnary(client) {
  const completion = await client.chat.completions.create(ASK);
  return reading(() => readCompletion(completion));
}

async function chatStream(client) {
  const stream = await client.chat.completions.create({ ...ASK, stream: true });
  const answer = { text: "", calls: [], finish: null, usage: null };
  const calls = new Map();
  for await (const chunk of stream) {
    reading(() => {
      if (chunk.usage) answer.usage = usageOf(chunk.usage, CHAT_USAGE);
      const choice = chunk.choices?.[0];
      if (!choice) return;
      const content = choice.delta?.content;
      if (content && typeof content !== "string") answer.text = content;
      else answer.text += content || "";
      for (const delta of choice.delta?.tool_calls ?? []) {
        const call = calls.get(delta.index) ?? [null, null, ""];
        calls.set(delta.index, call);
        call[0] = delta.id || call[0];
        call[1] = delta.function?.name || call[1];
        call[2] += delta.function?.arguments || "";
      }
      answer.finish = choice.finish_reason || answer.finish;
    });
  }
  return { ...answer, text: written(answer.text), calls: [...calls.values()] };
}

async function chatHelper(client) {
  const completions = client.chat.completions.stream ? client.chat.completions : client.beta.chat.completions;
  const completion = await completions.stream(ASK).finalChatCompletion();
  return reading(() => readCompletion(completion));
}

async function responsesUnary(client) {
  const response = await client.responses.create({ model: "m", input: "Hello" });
  return reading(() => readResponse(response));
}

async function responsesStream(client) {
  const stream = await client.responses.create({ model: "m", input: "Hello", stream: true });
  const answer = { text: "", calls: [], finish: null, usage: null };
  for await (const event of stream) {
    reading(() => {
      if (event.type === "response.output_text.delta") {
        answer.text += event.delta;
      } else if (event.type === "error") {
        answer.finish = "error";
      } else if (["response.completed", "response.incomplete", "response.failed"].includes(event.type)) {
        answer.finish = event.response.status ?? null;
        answer.usage = usageOf(event.response.usage, RESPONSES_USAGE);
      }
    });
  }
  return answer;
}

async function responsesHelper(client) {
  const response = await client.responses.stream({ model: "m", input: "Hello" }).finalResponse();
  return reading(() => readResponse(response));
}

const READERS = {
  "chat unary": { plain: chatUnary },
  "chat stream": { plain: chatStream, helper: chatHelper },
  "responses unary": { plain: responsesUnary },
  "responses stream": { plain: responsesStream, helper: responsesHelper },
};

async function put(reader, client, reason) {
  try {
    return { outcome: "returned", answer: await reader(client) };
  } catch (error) {
    if (error instanceof InCaller) return { outcome: "crashed", class: error.message };
    const outcome = error instanceof OpenAIError ? "refused" : "escaped";
    const tells = reason === null || String(error).includes(reason);
    return { outcome, class: error?.constructor?.name ?? String(error), tells };
  }
}

// A promise that is rejected and that nobody can have in hand ends the process, whatever its caller catches.
const under = new AsyncLocalStorage();
process.on("unhandledRejection", () => under.getStore()?.({ outcome: "ends" }));

const order = JSON.parse(readFileSync(0, "utf8"));
const jobs = order.cases.flatMap((one) =>
  Object.entries(READERS[`${one.surface} ${one.mode}`]).map(([how, reader]) => ({ one, how, reader })),
);
const open = new Set(jobs);
let lines = `${require("openai/version").VERSION}\n`;
let quiet = 0;

function say(job, result) {
  open.delete(job);
  lines += `${JSON.stringify({ id: job.one.id, how: job.how, ...result })}\n`;
  quiet = 0;
  if (open.size === 0) end();
}

function end() {
  for (const job of [...open]) lines += `${JSON.stringify({ id: job.one.id, how: job.how, outcome: "hangs" })}\n`;
  for (let at = 0, bytes = Buffer.from(lines); at < bytes.length; ) at += writeSync(1, bytes, at);
  process.exit(0);
}

async function work(queue) {
  for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
    const client = new OpenAI({
      baseURL: `${order.base}/${job.how}/${job.one.id}/v1`,
      apiKey: "sk-none",
      timeout: 300_000,
      maxRetries: job.one.retries ? 2 : 0,
    });
    const made = new Promise((ended) => {
      under.run(ended, () => put(job.reader, client, job.one.reason).then(ended));
    });
    say(job, await made);
  }
}

setInterval(() => {
  quiet += 1;
  if (quiet > QUIET_TURNS) end();
}, TURN_MS);
const queue = [...jobs];
for (let worker = 0; worker < WIDTH; worker += 1) work(queue);

// The call on openai-node.

import { createRequire } from "node:module";

import { attempt } from "./asking.mjs";

const { COMETAPI_BASE_URL, COMETAPI_API_KEY, SDK_HOME } = process.env;
const { OpenAI } = createRequire(`${SDK_HOME}/`)("openai");
const client = new OpenAI({ baseURL: COMETAPI_BASE_URL, apiKey: COMETAPI_API_KEY, maxRetries: 2, fetch: attempt });

/** Resolves to a response, or to an iterable of its events. */
export const request = (ask, document) => client.responses.create(document, { signal: ask.stop.signal });

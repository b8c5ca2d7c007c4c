// A one-shot command: app.mjs [--stream] "<prompt>" prints the answer, or an error on standard error and exit status 1.

import { answer, begin, log, Refusal } from "./core.mjs";

begin();
const words = process.argv.slice(2);
const streamed = words.includes("--stream");
const [prompt] = words.filter((word) => word !== "--stream");
if (prompt === undefined) {
  process.stderr.write('usage: app.mjs [--stream] "<prompt>"\n');
  process.exit(2);
}
try {
  const onDelta = streamed ? (piece) => process.stdout.write(piece) : undefined;
  const text = await answer(prompt, streamed ? "ask/stream" : "ask", { onDelta });
  process.stdout.write(streamed ? "\n" : `${text}\n`, () => process.exit(0));
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  log("exit", { level: "error", reason: error.message });
  process.exitCode = 1;
  // A socket that an SDK left open must not keep the process.
  setTimeout(() => process.exit(1), 50);
}

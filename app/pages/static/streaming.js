// Tags many texts over POST /tag/stream, a portion a request: a browser sends a body to its end before it reads.

import { wellFormed } from "./offsets.js";
import { askLines, Refusal } from "./service.js";

const PORTION = 48_000; // UTF-16 units; small enough that the service never waits for this page to read
const wait = (seconds, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, 1000 * seconds);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    reject(signal.reason);
  }, { once: true });
});

/**
 * Tag texts in order from the one at `first` on; `onAnswer(place, answer)` gets what `POST /tag` says of each: `results`, or
 * `error`. Where the service is busy or restarts, it says so to `onWait`, waits and goes on. Throws a Refusal, or AbortError
 * after `signal`.
 */
export async function tagMany(texts, first, options, { signal, onAnswer, onWait }) {
  let next = first;
  while (next < texts.length) {
    let size = 0;
    let end = next;
    do size += texts[end++].length; while (end < texts.length && size + texts[end].length <= PORTION);
    const began = next;
    const lines = texts.slice(began, end).map((text) => `${JSON.stringify({ text: wellFormed(text), ...options })}\n`);
    try {
      for await (const answer of askLines("tag/stream", lines.join(""), signal)) {
        if (answer.error?.code === "not_ready") throw new Refusal("not_ready", { retry: 1 });
        onAnswer(began + answer.line - 1, answer);
        next = began + answer.line;
      }
      if (next < end) throw new Refusal("unreachable", { retry: 1 });
    } catch (error) {
      if (!(error instanceof Refusal) || !error.retry) throw error;
      onWait(error);
      await wait(error.retry, signal);
    }
  }
}

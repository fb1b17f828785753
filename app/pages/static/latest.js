// One request at a time: a later one cancels the earlier one, sent or not.

import { Refusal } from "./service.js";

/** Make `soon(milliseconds, work)`; `work` gets a signal. A refusal goes to `onRefusal`, and is tried again if that helps. */
export function latest(onRefusal) {
  let timer = 0;
  let sent = null;
  return function soon(milliseconds, work) {
    clearTimeout(timer);
    sent?.abort();
    sent = null;
    timer = setTimeout(async () => {
      const mine = (sent = new AbortController());
      try {
        await work(mine.signal);
      } catch (error) {
        if (error.name === "AbortError" || mine.signal.aborted) return;
        if (!(error instanceof Refusal)) throw error;
        onRefusal(error);
        if (error.retry > 0) soon(1000 * error.retry, work);
      }
    }, milliseconds);
  };
}

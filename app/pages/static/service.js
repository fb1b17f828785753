// Requests to the service. Every error becomes a Refusal.

const RETRY_SECONDS = 3; // a service that cannot be reached may be starting

/** An error response, or none: its code and message, and after how many seconds to retry. */
export class Refusal extends Error {
  constructor(code, { status = 0, message = "", id = "", retry = 0 } = {}) {
    super(message);
    Object.assign(this, { code, status, id, retry });
  }
}

/** Request JSON, by POST if there is a body. A string is sent as it is; anything else is encoded as JSON. */
export async function ask(path, { body, method, signal } = {}) {
  return withRefusals(async () => read(await (method ? fetch(path, { method, signal }) : send(path, body, "application/json", signal))));
}

/** Send lines of JSON, and give the objects that answer them, as they come. */
export async function* askLines(path, lines, signal) {
  const response = await withRefusals(async () => {
    const answer = await send(path, lines, "application/x-ndjson", signal);
    return answer.ok ? answer : read(answer);
  });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let part = await withRefusals(() => reader.read()); !part.done; part = await withRefusals(() => reader.read())) {
    const found = (rest + part.value).split("\n");
    rest = found.pop();
    for (const line of found) if (line) yield JSON.parse(line);
  }
}

function send(path, body, media, signal) {
  if (body === undefined) return fetch(path, { signal });
  const sent = typeof body === "string" ? body : JSON.stringify(body);
  return fetch(path, { method: "POST", headers: { "Content-Type": media }, body: sent, signal });
}

/** A connection that cannot be made, or breaks, is a Refusal, too. */
async function withRefusals(work) {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refusal || error.name === "AbortError") throw error;
    throw new Refusal("unreachable", { retry: RETRY_SECONDS });
  }
}

async function read(response) {
  const answer = await response.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    return null; // a proxy may answer with a page of its own
  });
  if (response.ok && answer) return answer;
  const { code = "unexpected", message = "", request_id: id = "" } = answer?.error ?? {};
  throw new Refusal(code, { status: response.status, message, id, retry: Number(response.headers.get("Retry-After")) || 0 });
}

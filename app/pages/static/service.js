// Requests to the service. Every error becomes a Refusal.

const RETRY_SECONDS = 3; // a service that cannot be reached may be starting

/** An error response, or none: its code and message, and after how many seconds to retry. */
export class Refusal extends Error {
  constructor(code, { status = 0, message = "", id = "", retry = 0 } = {}) {
    super(message);
    Object.assign(this, { code, status, id, retry });
  }
}

/** Request JSON. A string is sent as the body as it is; anything else is encoded as JSON. */
export async function ask(path, { body, signal } = {}) {
  const post = {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  };
  try {
    return await read(await fetch(path, body === undefined ? { signal } : { ...post, signal }));
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

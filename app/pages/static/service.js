// The one way from the page to the service. Whatever goes wrong on it becomes a Refusal.

const BACK_SECONDS = 3; // a service that cannot be reached may be starting

/** No answer, or one that is not 2xx: what the service said, and after how many seconds asking again may help. */
export class Refusal extends Error {
  constructor(code, { status = 0, message = "", id = "", retry = 0 } = {}) {
    super(message);
    Object.assign(this, { code, status, id, retry });
  }
}

/** Ask for JSON. A body that is a string goes as it is; anything else is written as JSON. */
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
    throw new Refusal("unreachable", { retry: BACK_SECONDS });
  }
}

async function read(response) {
  const answer = await response.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    return null; // a proxy in between may answer with a page of its own
  });
  if (response.ok && answer) return answer;
  const { code = "strange", message = "", request_id: id = "" } = answer?.error ?? {};
  throw new Refusal(code, { status: response.status, message, id, retry: Number(response.headers.get("Retry-After")) || 0 });
}

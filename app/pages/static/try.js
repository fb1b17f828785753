// "Try it": sends a request that can be edited, and shows the answer as it came.

import { button, count, make } from "./dom.js";
import { FAULTS } from "./faults.js";

const MOST = 20_000; // UTF-16 units of an answer that are shown

/** What can be tried of an operation: a folded form. `parameters` are those of its path, `examples` are objects. */
export function tryIt(path, method, { media, examples = [], parameters = [] }) {
  const inputs = parameters.map((one) => parameter(one));
  const label = `${method.toUpperCase()} ${path}`;
  const box = media ? bodyBox(label, examples.length ? written(examples[0], media) : "") : null;
  const said = make("p", "soft");
  said.setAttribute("role", "status");
  const shown = make("samp", "answer");
  shown.hidden = true;
  shown.tabIndex = 0;
  shown.setAttribute("role", "region");
  shown.setAttribute("aria-label", `Answer of ${label}`);
  const sender = button("Send", async () => {
    sender.disabled = true;
    said.textContent = "Sent …";
    const answer = await send(inputs.reduce((known, { name, input }) => known.replace(`{${name}}`, encodeURIComponent(input.value)), path), method, media, box?.value);
    said.textContent = answer.said;
    shown.textContent = answer.text;
    shown.hidden = !answer.text;
    sender.disabled = false;
    sender.focus();
  }, "send");
  sender.setAttribute("aria-label", `Send: ${label}`);
  const fill = (bodies) => Object.entries(bodies).map(([name, body]) => button(name, () => (box.value = body)));
  const numbered = Object.fromEntries(examples.map((example, place) => [`Example ${place + 1}`, written(example, media)]));
  const rows = examples.length > 1 ? [choices("Start from", fill(numbered))] : [];
  if (path === "/tag") rows.push(choices("What it cannot take", fill(FAULTS), "faults"));
  return make("details", "try", make("summary", "", "Try it"), ...inputs.map(({ row }) => row), ...rows, ...(box ? [box] : []), sender, said, shown);
}

const written = (example, media) => (media.includes("ndjson") ? `${JSON.stringify(example)}\n` : JSON.stringify(example, null, 2));

function parameter({ name, schema }) {
  const input = make("input", "");
  input.value = schema.examples?.[0] ?? "";
  return { name, input, row: make("label", "parameter", make("code", "", name), input) };
}

function bodyBox(label, body) {
  const box = make("textarea", "");
  box.rows = 6;
  box.spellcheck = false;
  box.setAttribute("aria-label", `Body of ${label}`);
  return Object.assign(box, { value: body });
}

function choices(title, buttons, className = "") {
  const row = make("div", `choices ${className}`.trim(), make("span", "soft", title), ...buttons);
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", title);
  return row;
}

async function send(path, method, media, body) {
  const began = performance.now();
  try {
    const response = await fetch(path.slice(1), { method: method.toUpperCase(), ...(media && { headers: { "Content-Type": media }, body }) });
    const text = pretty(await response.text(), response.headers.get("Content-Type") ?? "");
    const rest = text.length > MOST ? `, its first ${count(MOST)} characters of ${count(text.length)}` : "";
    return { said: `${response.status} ${response.statusText} in ${Math.round(performance.now() - began)} ms${rest}`, text: text.slice(0, MOST) };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return { said: "The service cannot be reached. Is it running?", text: "" };
  }
}

const pretty = (text, media) => (media.startsWith("application/json") ? JSON.stringify(JSON.parse(text), null, 2) : text);

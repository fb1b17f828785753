// The page to try the tagger. Whatever comes from a text or the service becomes text nodes only, never markup.
"use strict";

const PAUSE_MS = 250; // after the last key, before asking
const LONG = 500_000; // UTF-16 units; a server may hang up on more without the browser showing why
const TONES = 8;
const USUAL = ["PER", "LOC", "ORG", "MISC"]; // these keep their colours whatever else a model knows

const at = (id) => document.getElementById(id);
const state = { labels: [...USUAL], hidden: new Set(), text: "", entities: [], timer: 0, asking: null };

/** Make an element with a class and children; strings become text nodes. */
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

const tone = (label) => `tone-${Math.max(0, state.labels.indexOf(label)) % TONES}`;
const shown = () => state.entities.filter((entity) => !state.hidden.has(entity.label));

/** Ask soon, and forget an answer that is still on its way to an older text. */
function schedule(milliseconds) {
  clearTimeout(state.timer);
  state.timer = setTimeout(ask, milliseconds);
}

async function ask() {
  state.asking?.abort();
  const text = at("text").value;
  if (!text.trim()) return show("", [], "");
  const asking = (state.asking = new AbortController());
  const began = performance.now();
  try {
    const response = await fetch("tag", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ text: text.toWellFormed?.() ?? text, offsets: "utf16" }),
      signal: asking.signal,
    });
    const answer = await response.json();
    if (!response.ok) return refuse(response, answer.error);
    show(text, answer.results[0].entities, `${Math.round(performance.now() - began)} ms`);
    name(answer.model);
  } catch (error) {
    if (error.name === "AbortError") return;
    complain(text.length > LONG ? "This text is too long for one request." : "The service cannot be reached. Is it running?");
  }
}

/** Put a refusal into plain words, and try again where that can help. */
function refuse(response, error) {
  const words = {
    too_large: "This text is too long for one request.",
    not_ready: "The model is still loading. This page asks again in a moment.",
    overloaded: "The service is busy. This page asks again in a moment.",
    rate_limited: "Too many requests. This page asks again in a moment.",
    timeout: "This text took too long. Try a shorter one.",
    internal: `Something went wrong in the service (request ${error?.request_id}).`,
  };
  complain(words[error?.code] ?? `The service refused this text: ${error?.message ?? response.status}.`);
  const seconds = Number(response.headers.get("Retry-After"));
  if (seconds > 0) schedule(1000 * seconds);
}

function complain(words) {
  at("problem").textContent = words;
  at("problem").hidden = false;
  at("status").textContent = at("time").textContent = "";
}

function show(text, entities, time) {
  Object.assign(state, { text, entities });
  at("problem").hidden = true;
  const count = entities.length === 1 ? "1 entity" : `${entities.length || "No"} entities`;
  at("status").textContent = text && count;
  at("time").textContent = time && `· ${time}`;
  draw();
}

function draw() {
  drawLabels();
  drawText();
  drawRows();
  drawCommand();
}

/** One button a label that occurs, with its count; pressing it hides and shows the label. */
function drawLabels() {
  const counts = new Map();
  for (const { label } of state.entities) counts.set(label, (counts.get(label) ?? 0) + 1);
  const known = new Map([...at("labels").children].map((button) => [button.dataset.label, button]));
  const buttons = [...counts].sort().map(([label, count]) => {
    const button = known.get(label) ?? labelButton(label); // the old button keeps the keyboard's focus
    button.textContent = `${label} ${count}`;
    button.setAttribute("aria-pressed", String(!state.hidden.has(label)));
    return button;
  });
  if (buttons.some((button, place) => at("labels").children[place] !== button) || buttons.length !== known.size) {
    at("labels").replaceChildren(...buttons);
  }
  at("labels").hidden = buttons.length === 0;
}

function labelButton(label) {
  const button = make("button", tone(label));
  button.type = "button";
  button.dataset.label = label;
  button.addEventListener("click", () => {
    if (!state.hidden.delete(label)) state.hidden.add(label);
    draw();
  });
  return button;
}

/** The text, with its entities marked. Offsets are UTF-16 units, which is what slice() counts. */
function drawText() {
  const pieces = [];
  let before = 0;
  shown().forEach(({ start, end, label }, place) => {
    const mark = make("mark", tone(label), state.text.slice(start, end), make("small", "", label));
    mark.dataset.place = place;
    pieces.push(state.text.slice(before, start), mark);
    before = end;
  });
  pieces.push(state.text.slice(before));
  at("marked").replaceChildren(...pieces);
  if (!state.text) at("marked").append(make("span", "soft", "Names in your text will light up here."));
}

function drawRows() {
  const rows = shown().map(({ text, label, score }, place) => {
    const bar = make("progress");
    bar.value = score;
    bar.setAttribute("aria-hidden", "true");
    const percent = make("span", "", `${(100 * score).toFixed(0)} %`);
    const row = make("tr", "",
      make("td", "", text),
      make("td", "", make("span", `chip ${tone(label)}`, label)),
      make("td", "", make("span", "score", bar, percent)),
    );
    row.dataset.place = place;
    return row;
  });
  at("rows").replaceChildren(...rows);
  at("list").hidden = rows.length === 0;
}

function drawCommand() {
  const quoted = JSON.stringify({ text: state.text }).replaceAll("'", "'\\''");
  const address = new URL("tag", document.baseURI).href;
  at("curl").textContent = `curl ${address} -H 'Content-Type: application/json' -d '${quoted}'`;
  at("same").hidden = !state.text;
}

/** Light up an entity in the text and its row together. */
function light(event) {
  const place = event.target.closest?.("[data-place]")?.dataset.place;
  for (const element of document.querySelectorAll("[data-place]")) {
    element.classList.toggle("lit", element.dataset.place === place);
  }
}

function name({ name: model, version }) {
  at("model").textContent = `Model ${model} · ${version}`;
}

/** Learn the model's name and labels; while it loads, ask again. */
async function greet() {
  try {
    const response = await fetch("models");
    if (!response.ok) throw new Error("not ready");
    const [model] = (await response.json()).models;
    state.labels = [...USUAL, ...model.labels.filter((label) => !USUAL.includes(label))];
    name(model);
    draw();
  } catch {
    at("model").textContent = "No model yet";
    setTimeout(greet, 2000);
  }
}

at("text").addEventListener("input", () => schedule(PAUSE_MS));
for (const button of document.querySelectorAll("[data-text]")) {
  button.addEventListener("click", () => {
    at("text").value = button.dataset.text;
    schedule(0);
  });
}
at("marked").addEventListener("mouseover", light);
at("rows").addEventListener("mouseover", light);
greet();
if (!at("text").value) at("text").value = document.querySelector("[data-text]").dataset.text;
schedule(0);

// The page to try the tagger: its events. All text of the user or the service becomes text nodes only.

import { drawCommand } from "./command.js";
import { at } from "./dom.js";
import { drawEntities, light } from "./entities.js";
import { drawExamples } from "./examples.js";
import { closeExplanation, drawExplanation } from "./explanation.js";
import { drawLabels, drawText } from "./marked.js";
import { chosenModel, greet, modelInUse, named } from "./models.js";
import { complain, content } from "./refusals.js";
import { ask, Refusal } from "./service.js";
import { tokenView } from "./tokens.js";

const PAUSE_MS = 250; // after the last key, before the request
const STEP_MS = 60; // between tokens, as an arrow key repeats
const LOW = 0.7; // of the window's height: an element that begins below that is out of view

const state = { text: "", entities: [], tokens: [], hidden: new Set(), token: -1 };
const view = tokenView(explain);

/** One request at a time: a later one cancels the earlier one, sent or not. */
function latest(onRefusal) {
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

const soonTag = latest((refusal) => {
  if (!refusal.retry) show("", [], [], ""); // do not show results of another text
  complain(refusal);
  at("status").textContent = at("time").textContent = "";
});
const soonExplain = latest(complain);

/** Tag the text; `body` is another request to send instead. */
function tag(milliseconds, body) {
  soonTag(milliseconds, async (signal) => {
    const text = at("text").value;
    if (!text.trim() && body === undefined) return show("", [], [], "");
    const began = performance.now();
    const answer = await ask("tag", { body: body ?? { ...asked(text), details: true }, signal });
    const [{ entities, tokens = [] }] = answer.results;
    show(text, entities, tokens, `${Math.round(performance.now() - began)} ms`);
    named(answer.model);
  });
}

/** Explain the selected token, or show that none is. On a phone the result is below the text: scroll to it. */
function explain(token, pointed) {
  state.token = token;
  drawCommand(state.text, chosenModel(), token);
  if (token < 0) {
    soonExplain(0, () => undefined);
    return closeExplanation();
  }
  soonExplain(STEP_MS, async (signal) => {
    const answer = await ask("explain", { body: { ...asked(state.text), token }, signal });
    content();
    view.tint(answer.window);
    drawExplanation(answer);
    if (pointed && at("why").getBoundingClientRect().top > LOW * innerHeight) at("why").scrollIntoView();
  });
}

/** The fields of both requests. A lone surrogate becomes U+FFFD, which has the same length: offsets stay right. */
function asked(text) {
  const model = chosenModel();
  return { text: text.toWellFormed?.() ?? text, offsets: "utf16", ...(model && { model }) };
}

function show(text, entities, tokens, time) {
  Object.assign(state, { text, entities, tokens });
  content();
  at("status").textContent = time && (entities.length === 1 ? "1 entity" : `${entities.length || "No"} entities`);
  at("time").textContent = time && `· ${time}`;
  draw();
}

function draw() {
  const shown = state.entities.filter(({ label }) => !state.hidden.has(label));
  drawLabels(state.entities, state.hidden, toggle);
  drawText(state.text, shown);
  drawEntities(shown);
  view.show(state.text, state.tokens, state.hidden);
  drawCommand(state.text, chosenModel(), state.token);
}

/** Offer examples that suit the model; returns whether the text has changed. */
function offer() {
  const before = at("text").value; // a browser may have kept one
  at("text").value = drawExamples(modelInUse(), before, (text, body) => {
    at("text").value = text;
    tag(0, body);
  });
  return at("text").value !== before;
}

function toggle(label) {
  if (!state.hidden.delete(label)) state.hidden.add(label);
  draw();
}

at("text").addEventListener("input", () => tag(PAUSE_MS));
at("marked").addEventListener("click", (event) => {
  const mark = event.target.closest("mark");
  if (mark) view.chooseAt(Number(mark.dataset.start));
});
for (const id of ["marked", "rows"]) {
  at(id).addEventListener("mouseover", light);
  at(id).addEventListener("mouseleave", light);
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") view.close();
});
at("why-close").addEventListener("click", () => view.close());
greet(() => {
  if (offer()) tag(0);
  draw();
}, () => {
  offer();
  tag(0);
});
offer();
tag(0);

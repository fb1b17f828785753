// The page to try the tagger: its events. All text of the user or the service becomes text nodes only.

import { arrive, chooseWanted, copyLink, remember, resume } from "./carry.js";
import { drawCommand } from "./command.js";
import { at, count, make } from "./dom.js";
import { drawEntities, light } from "./entities.js";
import { drawExamples } from "./examples.js";
import { closeExplanation, drawExplanation } from "./explanation.js";
import { latest } from "./latest.js";
import { drawLabels, drawText } from "./marked.js";
import { chosenModel, greet, labelsInUse, modelInUse, named, secondModel } from "./models.js";
import { wellFormed } from "./offsets.js";
import { redrawMany, takeFiles } from "./opening.js";
import { onPage, pager, pagesOf } from "./paging.js";
import { arrived, complain, content } from "./refusals.js";
import { ask } from "./service.js";
import { tokenView } from "./tokens.js";

const PAUSE_MS = 250; // after the last key, before the request; a long text waits longer
const LONG = 20_000; // UTF-16 units
const STEP_MS = 60; // between tokens, as an arrow key repeats
const LOW = 0.7; // of the window's height: an element that begins below that is out of view
const RIVALS = 4;

const EMPTY = { text: "", entities: [], tokens: [], pages: pagesOf("", [], []), answer: null, second: null };
const state = { ...EMPTY, page: 0, hidden: new Set(), least: 0, token: -1, rival: "" };
const view = tokenView((token, pointed) => explain(token, token === state.token ? state.rival : "", pointed), turn);
const drawPager = pager(turn);
let correction = null; // what corrects names, while somebody does that
let ready = Promise.resolve(); // when what was asked for by the button is there: a click on a name waits for it
let pending = 0; // how much was asked for and is not there

const soonTag = latest((refusal) => {
  if (!refusal.retry) show(EMPTY, ""); // do not show results of another text
  complain(refusal);
  at("status").textContent = at("time").textContent = "";
});
const soonExplain = latest(complain);

/** Tag the text, by the second model, too, if there is to be one. */
function tag(milliseconds) {
  at("text").dir = directionOf(at("text").value);
  soonTag(milliseconds, async (signal) => {
    const text = at("text").value;
    remember(state);
    if (!text.trim()) return show(EMPTY, "");
    const began = performance.now();
    const body = asked(text);
    const answer = await ask("tag", { body: { ...body, details: true }, signal });
    const time = `${Math.round(performance.now() - began)}\u00a0ms`;
    const name = secondModel();
    const second = name ? await ask("tag", { body: { ...body, model: name }, signal }) : null;
    const [{ entities, tokens = [], warnings = [] }] = answer.results;
    warn([...(answer.warnings ?? []), ...warnings]);
    show({ text, entities, tokens, pages: pagesOf(text, tokens, entities), answer, second }, time);
    named(answer.model);
  });
}

/** Explain the selected token, or show that none is. On a phone the result is below the text: scroll to it. */
function explain(token, rival, pointed) {
  Object.assign(state, { token, rival: rival === state.tokens[token]?.tag ? "" : rival });
  drawSame();
  if (token < 0) {
    soonExplain(0, () => undefined);
    return closeExplanation();
  }
  soonExplain(STEP_MS, async (signal) => {
    const answer = await ask("explain", { body: { ...askedWhy(), alternatives: RIVALS }, signal });
    content();
    view.tint(answer.window);
    const entity = state.entities.find(({ start, end }) => start <= answer.token.start && answer.token.end <= end);
    drawExplanation(answer, entity, state.rival, (other) => explain(token, other));
    if (pointed && at("why").getBoundingClientRect().top > LOW * innerHeight) at("why").scrollIntoView();
  });
}

/** What dir="auto" would find; that makes a browser three times as slow at every key in a paragraph of 100 kB. */
function directionOf(text) {
  const [letter = ""] = text.slice(0, 1000).match(/\p{L}/u) ?? [];
  return /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u.test(letter) ? "rtl" : "ltr";
}

/** The fields of both requests. */
function asked(text) {
  const model = chosenModel();
  return { text: wellFormed(text), offsets: "utf16", ...(model && { model }) };
}

/** The request that explains the selected token. */
const askedWhy = () => ({ ...asked(state.text), token: state.token, ...(state.rival && { against: state.rival }) });

/** What of the answer is to be seen, as fields of a request. */
function filters() {
  const labels = labelsInUse().filter((label) => !state.hidden.has(label));
  return { ...(state.least && { min_score: state.least / 100 }), ...(state.hidden.size && { labels }) };
}

const isShown = ({ label, score }) => !state.hidden.has(label) && score >= state.least / 100;

function show(found, time) {
  Object.assign(state, found, { page: Math.min(state.page, found.pages.length - 1) });
  content();
  at("time").textContent = time && `· ${time}`;
  draw();
}

function draw() {
  const shown = state.entities.filter(isShown);
  const page = state.pages[state.page];
  drawLabels(state.entities, state.hidden, toggle);
  at("least-label").hidden = !state.entities.length && !state.least;
  at("status").textContent = state.answer ? inWords(shown.length, state.entities.length) : "";
  correction?.show(state, shown);
  drawText(state.text, onPage(correction?.entities() ?? shown, page), page, correction?.classOf);
  drawEntities(onPage(shown, page), state.pages.length > 1);
  drawPager(state.page, state.pages.length);
  view.show(state.text, tokensOf(page), state.hidden, page.first);
  at("correcting").hidden = !state.answer;
  redrawMany();
  compare(shown, page);
  drawSame();
}

const inWords = (shown, all) => (shown < all ? `${count(shown)} of ` : "") + (all === 1 ? "1 entity" : `${all ? count(all) : "No"} entities`);

let cut = { all: null, page: null, tokens: [] }; // the same list for the same page, so that it is not drawn anew

function tokensOf(page) {
  if (cut.all !== state.tokens || cut.page !== page) cut = { all: state.tokens, page, tokens: state.tokens.slice(page.first, page.last) };
  return cut.tokens;
}

async function compare(shown, page) {
  const { text, answer, second } = state;
  if (!second && at("versus").hidden) return;
  const module = await arrived(import("./compare.js"));
  if (!module || answer !== state.answer) return; // a later text was faster
  const { closeComparison, drawComparison } = module;
  if (!second) return closeComparison();
  drawComparison(text, { name: answer.model.name, entities: shown },
    { name: second.model.name, entities: second.results[0].entities.filter(isShown) }, page);
}

/** What gives the same from a program; nobody waits for it where it is folded. */
function drawSame() {
  at("same").hidden = !state.answer;
  if (!at("same").open || !state.answer) return;
  const { entities, ...rest } = state.answer.results[0];
  const answer = { model: state.answer.model, results: [{ ...rest, tokens: undefined, entities: entities.filter(isShown) }] };
  drawCommand({ ...asked(state.text), ...filters() }, state.token >= 0 ? askedWhy() : null, answer);
}

/** Show another page of the text; returns whether there is one. */
function turn(step) {
  if (!state.pages[state.page + step]) return false;
  state.page += step;
  draw();
  at("marked").scrollTop = at("tokens").scrollTop = 0;
  return true;
}

function warn(warnings) {
  at("warnings").replaceChildren(...warnings.map((words) => make("li", "", words)));
  at("warnings").hidden = warnings.length === 0;
}

/** Offer examples that suit the model; returns whether the text has changed. */
function offer() {
  const before = at("text").value;
  at("text").value = drawExamples(modelInUse(), before, write);
  return at("text").value !== before;
}

/** Put a text into the box. */
function write(text) {
  at("text").value = text;
  state.page = 0;
  tag(0);
}

function toggle(label) {
  if (!state.hidden.delete(label)) state.hidden.add(label);
  remember(state);
  draw();
}

/** Begin to correct names, or stop it. */
async function correct() {
  const module = await arrived(import("./correct.js"));
  if (!module) return;
  correction = correction ? module.end() : module.begin({ model: modelInUse, labelsInUse, onChange: draw, onLearnt: () => tag(0) });
  at("correcting").setAttribute("aria-pressed", String(Boolean(correction)));
  draw();
}

at("text").addEventListener("input", () => {
  state.page = 0;
  tag(at("text").value.length > LONG ? 3 * PAUSE_MS : PAUSE_MS);
});
at("marked").addEventListener("click", async (event) => {
  const mark = event.target.closest("mark");
  if (!mark) return;
  const [start, answer, waits] = [Number(mark.dataset.start), state.answer, pending > 0];
  await ready;
  if (answer !== state.answer) return; // that was another text
  if (correction) correction.pick(start);
  else if (!waits) view.chooseAt(start);
});
for (const id of ["marked", "rows"]) {
  at(id).addEventListener("mouseover", light);
  at(id).addEventListener("mouseleave", light);
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") view.close();
});
at("why-close").addEventListener("click", () => view.close());
at("same").addEventListener("toggle", drawSame);
at("least").addEventListener("input", () => {
  state.least = Number(at("least").value);
  at("least-shown").value = `${state.least} %`;
  draw();
});
at("least").addEventListener("change", () => remember(state));
at("correcting").addEventListener("click", () => {
  pending += 1;
  ready = ready.then(correct).catch(reportError).then(() => {
    pending -= 1;
  });
});
at("link").addEventListener("click", () => copyLink(state));
takeFiles({ model: chosenModel, isShown, onOpen: write });
addEventListener("hashchange", async () => {
  if (!(await arrive(state))) return;
  known();
  tag(0);
});

/** Go on now that it is known which models there are. */
function known() {
  const chosen = chooseWanted();
  if (offer() || chosen) tag(0);
  draw();
}

async function start() {
  if (!(await arrive(state))) resume(state);
  offer();
  tag(0);
  greet(known, () => {
    offer();
    tag(0);
  });
}

start();

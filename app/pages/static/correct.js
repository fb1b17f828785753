// Correcting names: select words in the text, and say what they are.

import { at, button, count, download, make } from "./dom.js";
import { moved, put, record, remove, same, snapped } from "./corrections.js";
import { tone } from "./labels.js";
import * as learning from "./learning.js";
import { keep, recall } from "./store.js";

const MOST = 2_000_000; // UTF-16 units of all corrected texts together; a browser keeps about 5 MB
const NAME = "corrections"; // in the store: [[text, entities]], the last one corrected last

let labels = []; // that can be given
let redraw = null; // what shows the page anew
let learnt = null; // what asks the model anew
let modelInUse = null; // gives its name
let taught = ""; // the model that was asked whether it learns
let found = { text: "", tokens: [], entities: [] }; // what the service said of the text
let entities = null; // the corrected ones; null while correcting is off
let picked = null; // { start, end } of the selected words, or of the chosen entity
let undo = [];
let lasting = true; // whether the browser keeps corrections beyond this visit

/** The lists that were kept: [[text, entities]]; what is not of that kind, something else wrote. */
const kept = () => {
  const list = recall(NAME);
  return Array.isArray(list) ? list.filter((one) => typeof one?.[0] === "string" && areOf(...one)) : [];
};

const areOf = (text, entities) => Array.isArray(entities) && entities.every((one, place) =>
  typeof one?.label === "string" && Number.isInteger(one.start) && one.start >= (entities[place - 1]?.end ?? 0) && one.end > one.start && one.end <= text.length);

/** Begin to correct; gives what the page asks while that goes on. `onLearnt` is called when another model answers. */
export function begin({ model, labelsInUse, onChange, onLearnt }) {
  taught = "";
  labels = labelsInUse;
  redraw = onChange;
  modelInUse = model;
  learnt = onLearnt;
  document.addEventListener("selectionchange", onSelect);
  at("correct").hidden = false;
  return { show, entities: () => entities, classOf, pick };
}

/** Stop correcting; what was corrected stays kept. */
export function end() {
  document.removeEventListener("selectionchange", onSelect);
  at("correct").hidden = true;
  learning.close();
  entities = picked = null;
  found = { text: "", tokens: [], entities: [] };
  return null;
}

/** The page shows a text, and those of its entities that pass its filters. */
function show(state, shown) {
  if (state.text !== found.text || entities === null || state.tokens !== found.tokens) {
    undo = [];
    picked = null;
  }
  if (!undo.length) entities = kept().find(([text]) => text === state.text)?.[1] ?? shown;
  found = { text: state.text, tokens: state.tokens, entities: shown };
  drawTools();
  if (taught === modelInUse()) return;
  taught = modelInUse();
  learning.open({ model: taught, redraw: () => entities && drawTools(), onLearnt: learnt, kept });
}

function classOf(entity) {
  const isKnown = found.entities.some(({ start, end, label }) => start === entity.start && end === entity.end && label === entity.label);
  return [isKnown ? "" : "changed", picked && entity.start < picked.end && picked.start < entity.end ? "picked" : ""].join(" ").trim();
}

function change(next) {
  if (!next || same(next, entities)) return;
  undo.push(entities);
  entities = next;
  store();
  redraw();
}

function store() {
  const others = kept().filter(([text]) => text !== found.text);
  const all = same(entities, found.entities) ? others : [...others, [found.text, entities]];
  let size = all.reduce((sum, [text]) => sum + text.length, 0);
  while (size > MOST && all.length > 1) size -= all.shift()[0].length;
  lasting = keep(NAME, all);
}

/** Somebody clicked on the name that begins there. */
function pick(place) {
  if (!getSelection().isCollapsed) return;
  picked = entities.find(({ start }) => start === place) ?? null;
  redraw();
}

/** Words that are selected in the text that is shown, or in the box: there the keyboard can do it, too. */
function onSelect() {
  const box = at("text");
  let range = null;
  if (document.activeElement === box) {
    if (box.value === found.text && box.selectionStart < box.selectionEnd) range = { start: box.selectionStart, end: box.selectionEnd };
  } else {
    const selection = getSelection();
    if (!selection.isCollapsed && selection.rangeCount && at("marked").contains(selection.anchorNode) && at("marked").contains(selection.focusNode)) {
      const places = [placeOf(selection.anchorNode, selection.anchorOffset), placeOf(selection.focusNode, selection.focusOffset)];
      range = { start: Math.min(...places), end: Math.max(...places) };
    }
  }
  const next = range && snapped(found.tokens, range);
  if (!next || (picked && picked.start === next.start && picked.end === next.end)) return;
  picked = next;
  drawTools(); // not the text: that would take the selection away
}

/** Where a place in the drawn page is in the text: marks know where they begin, and their labels are no text. */
function placeOf(node, offset) {
  if (node === at("marked")) return offset < node.childNodes.length ? startOf(node.childNodes[offset]) : startOf(null);
  const mark = node.parentElement.closest("mark");
  if (!mark) return startOf(node) + offset;
  const inLabel = node.parentElement.closest("small");
  return Number(mark.dataset.start) + (inLabel ? mark.firstChild.length : Math.min(offset, mark.firstChild.length));
}

function startOf(node) {
  let start = Number(at("marked").dataset.start);
  for (const child of at("marked").childNodes) {
    if (child === node) break;
    start += (child.nodeName === "MARK" ? child.firstChild : child).length;
  }
  return start;
}

function drawTools() {
  const focused = at("correct").contains(document.activeElement) ? document.activeElement.dataset.act : null;
  const chosen = picked && entities.find((entity) => entity.start < picked.end && picked.start < entity.end);
  const exact = chosen && chosen.start === picked.start && chosen.end === picked.end;
  const act = (name, word, onClick, className = "") => {
    const one = button(word, onClick, className);
    one.dataset.act = name;
    return one;
  };
  const words = picked ? ["“", make("bdi", "", found.text.slice(picked.start, picked.end)), "” is:"]
    : ["Choose a name, or select words: here with the mouse, or in the box with Shift and the arrows. Then say what they are."];
  const said = make("p", "", ...words);
  said.setAttribute("aria-live", "polite");
  const kinds = labels().map((label) => {
    const one = act(`label ${label}`, label, () => change(put(entities, { ...picked, label })), tone(label));
    one.setAttribute("aria-pressed", String(Boolean(exact) && chosen.label === label));
    return one;
  });
  const none = act("none", "no name", () => change(entities.filter((entity) => !(entity.start < picked.end && picked.start < entity.end))));
  none.disabled = !chosen;
  const rows = picked ? [make("div", "row", ...kinds, none)] : [];
  if (exact) rows.push(make("div", "row", ...borders(act, chosen)));
  at("correct").replaceChildren(said, ...rows, keptPart(act), ...learning.parts(act));
  const again = [...at("correct").querySelectorAll("button")].find(({ dataset, disabled }) => dataset.act === focused && !disabled);
  if (focused) (again ?? at("correct").querySelector("button:not(:disabled)"))?.focus();
}

function borders(act, entity) {
  const arrow = (side, step, meaning) => {
    const next = moved(found.tokens, entity, side, step);
    const one = act(`${side} ${step}`, step < 0 ? "←" : "→", () => {
      picked = next;
      change(put(remove(entities, entity.start), next));
    });
    one.setAttribute("aria-label", meaning);
    one.title = meaning;
    one.disabled = !next;
    return one;
  };
  return [make("span", "soft", "Begins"), arrow("start", -1, "Begin one word earlier"), arrow("start", 1, "Begin one word later"),
    make("span", "soft", "Ends"), arrow("end", -1, "End one word earlier"), arrow("end", 1, "End one word later")];
}

/** What was corrected in this browser so far, and what can be done with it. */
function keptPart(act) {
  const list = kept();
  const said = make("span", "soft", list.length ? `${count(list.length, "corrected text")}, kept ${lasting ? "in this browser" : "until you leave: this browser keeps nothing"}` : "No corrections in this browser yet");
  const back = act("undo", "Undo", () => {
    entities = undo.pop();
    picked = null;
    store();
    redraw();
  });
  const save = act("download", "Download for training", () => {
    download("corrections.jsonl", "application/x-ndjson", ...list.map(([text, some]) => `${JSON.stringify(record(text, some))}\n`));
  });
  const drop = act("drop", "Forget them", () => {
    keep(NAME, []);
    entities = found.entities;
    undo = [];
    picked = null;
    redraw();
  });
  return make("div", "row kept", said, ...(undo.length ? [back] : []), ...(list.length ? [save, drop] : []));
}

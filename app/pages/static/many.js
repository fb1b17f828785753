// Many texts: the card with their table, tagged one after the other, and what can be downloaded of it.

import { at, button, count, heading, make } from "./dom.js";
import { marks } from "./marked.js";
import { arrived, wordsFor } from "./refusals.js";
import { Refusal } from "./service.js";
import { tagMany } from "./streaming.js";

const PAGE = 20; // texts
const SHOWN = 400; // UTF-16 units of a text; all of it is in the box after "Open", and in the downloads
const STEP_MS = 200; // between two drawings of the progress

let texts = null; // what is open: { name, records, key, columns, answers, page, control, note }
let from; // what the page gives: { model, isShown, onOpen }
let drawn = 0;

/** Open what was read from a file, and tag it. */
export function open(found, page) {
  texts?.control?.abort();
  texts = { ...found, answers: [], page: 0, control: null, note: "" };
  from = page;
  build();
  at("many").scrollIntoView({ block: "nearest" });
  run();
}

/** The threshold or the labels have changed. */
export function refilter() {
  if (texts) drawTable();
}

async function run() {
  const mine = texts;
  mine.control = new AbortController();
  mine.note = "";
  draw();
  const model = from.model();
  try {
    await tagMany(mine.records.map((record) => String(record[mine.key])), mine.answers.length, { offsets: "utf16", ...(model && { model }) }, {
      signal: mine.control.signal,
      onAnswer: (place, answer) => {
        if (mine !== texts) return;
        mine.answers[place] = answer;
        mine.note = "";
        if (performance.now() > drawn + STEP_MS) draw();
      },
      onWait: (refusal) => {
        if (mine !== texts) return;
        mine.note = wordsFor(refusal);
        draw();
      },
    });
  } catch (error) {
    if (!(error instanceof Refusal) && error.name !== "AbortError") throw error;
    mine.note = error instanceof Refusal ? wordsFor(error) : "";
  }
  mine.control = null;
  if (mine === texts) draw();
}

/** Tag all of it again: by another model, or another column. */
function again() {
  const [{ name, records, key, columns }, page] = [texts, from];
  open({ name, records, key, columns }, page);
}

function close() {
  texts.control?.abort();
  texts = null;
  at("many").hidden = true;
  at("many").replaceChildren();
  at("open").focus();
}

async function save(kind) {
  const { name, records, key, answers } = texts;
  const module = await arrived(import("./results.js"));
  if (!module) return;
  const done = answers.map((answer, place) => ({ record: records[place], text: String(records[place][key]), answer }));
  (kind === "csv" ? module.saveCsv : module.saveJsonl)(name, done, from.isShown);
}

/** Make the parts of the card; what changes in them is drawn later. */
function build() {
  const title = make("h2", "", texts.name);
  title.id = "many-title";
  const named = (id, element) => Object.assign(element, { id });
  const said = named("many-said", make("span", "soft whole"));
  const meter = named("many-progress", make("progress"));
  meter.max = texts.records.length;
  meter.setAttribute("aria-label", "Texts that are tagged");
  const box = make("div", "row", meter, said,
    named("many-stop", button("Stop", () => (texts.control ? texts.control.abort() : texts.answers.length < texts.records.length ? run() : again()))),
    named("many-jsonl", button("Download JSONL", () => save("jsonl"))), named("many-csv", button("Download CSV", () => save("csv"))));
  const head = make("div", "card-head", title, button("Close", close, "close"));
  const note = named("many-note", make("p", "soft"));
  note.setAttribute("aria-live", "polite");
  const table = make("table", "", make("thead", "", make("tr", "", ...["No.", "Text", "Open"].map((name) => heading("col", "", name)))), named("many-rows", make("tbody")));
  table.setAttribute("aria-labelledby", "many-title");
  const back = named("many-back", button("←", () => turn(-1)));
  const on = named("many-on", button("→", () => turn(1)));
  back.setAttribute("aria-label", "The rows before");
  on.setAttribute("aria-label", "The next rows");
  const turning = named("many-pager", make("div", "pager", back, named("many-page", make("span")), on));
  at("many").replaceChildren(head, ...columnChoice(), box, note, table, turning);
  at("many").hidden = false;
}

function columnChoice() {
  if (!(texts.columns?.length > 1)) return [];
  const choice = make("select", "", ...texts.columns.map((column) => make("option", "", column)));
  choice.value = texts.key;
  choice.addEventListener("change", () => {
    texts.key = choice.value;
    again();
  });
  return [make("div", "row", make("label", "", "The texts are in ", choice))];
}

function turn(step) {
  texts.page += step;
  drawTable();
}

function draw() {
  drawn = performance.now();
  const { answers, records, control, note } = texts;
  const wrong = answers.filter(({ error }) => error).length;
  at("many-progress").value = answers.length;
  at("many-said").textContent = `${count(answers.length)} of ${count(records.length, "text")}${wrong ? `, ${count(wrong)} refused` : ""}`;
  at("many-stop").textContent = control ? "Stop" : answers.length < records.length ? "Go on" : "Tag again";
  at("many-note").textContent = note || (control ? "" : ended());
  at("many-jsonl").disabled = at("many-csv").disabled = answers.length === 0;
  drawTable();
}

/** What is said once, when nothing goes on any more; a screen reader need not hear of every text. */
function ended() {
  const { answers, records } = texts;
  if (answers.length < records.length) return "Stopped; what is done can be downloaded.";
  const by = answers.findLast(({ model }) => model)?.model;
  return `All texts are tagged${by ? ` by ${by.name} ${by.version}` : ""}.`;
}

function drawTable() {
  const { records, page } = texts;
  const pages = Math.ceil(records.length / PAGE);
  at("many-rows").replaceChildren(...records.slice(page * PAGE, (page + 1) * PAGE).map((_, place) => row(page * PAGE + place)));
  at("many-pager").hidden = pages < 2;
  at("many-page").textContent = `Page ${count(page + 1)} of ${count(pages)}`;
  at("many-back").disabled = page === 0;
  at("many-on").disabled = page === pages - 1;
}

function row(place) {
  const text = String(texts.records[place][texts.key]);
  const answer = texts.answers[place];
  const entities = (answer?.results?.[0].entities ?? []).filter(from.isShown);
  const end = entities.reduce((end, entity) => (entity.start < end && entity.end > end ? entity.end : end), Math.min(SHOWN, text.length));
  const shown = marks(text, entities.filter((entity) => entity.end <= end), { start: 0, end });
  const cell = make("td", answer ? "" : "soft", ...shown, end < text.length ? "…" : "");
  cell.dir = "auto";
  if (answer?.error) cell.append(make("div", "wrong", wordsFor(answer.error)));
  const opener = button("Open", () => {
    from.onOpen(text);
    at("text").scrollIntoView({ block: "center" });
    at("text").focus();
  });
  opener.setAttribute("aria-label", `Open text ${place + 1}`);
  return make("tr", "", make("td", "", String(place + 1)), cell, make("td", "", opener));
}

// Teaching the model from corrections, where the service does that: send, learn, look at the figures, undo.

import { count, heading, make, percent } from "./dom.js";
import { wellFormed } from "./offsets.js";
import { wordsFor } from "./refusals.js";
import { ask, Refusal } from "./service.js";

const AGAIN_MS = 1000;
const LISTED = 20;

let page = null; // { model, redraw, onLearnt, kept }: what this module is told by the one that corrects
let status = null; // the answer of GET …/learn; null where the service does not learn
let known = null; // the answer of GET …/corrections
let note = "";
let timer = 0;

const path = (what) => `models/${encodeURIComponent(page.model)}/${what}`;

/** Find out whether the service learns; it is asked once, and what it then has to say is drawn. */
export function open(given) {
  page = given;
  status = known = null;
  return doing(async () => {
    try {
      status = await ask(path("learn"));
    } catch (error) {
      if (error instanceof Refusal && [404, 405].includes(error.status)) return;
      throw error;
    }
    await follow();
  });
}

/** Look no further at what the service does. */
export function close() {
  clearTimeout(timer);
  page = null;
}

/** Do something that the service may refuse; what it says then stands below the buttons. */
async function doing(work) {
  const mine = page;
  note = "";
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    note = error.message || wordsFor(error);
  }
  if (mine === page && page) page.redraw();
}

/** Look again while the model learns; then list what it learnt from. */
async function follow() {
  clearTimeout(timer);
  if (status.state === "running") {
    timer = setTimeout(() => doing(async () => {
      status = await ask(path("learn"));
      if (status.state !== "running") page.onLearnt();
      await follow();
    }), AGAIN_MS);
  } else {
    known = await ask(`${path("corrections")}?limit=${LISTED}`);
  }
}

/** Send the corrections of this browser, and learn from all that the service keeps. */
const teach = (force) => doing(async () => {
  for (const [text, entities] of page.kept()) {
    await ask(path("corrections"), { body: { text: wellFormed(text), entities: entities.map(({ start, end, label }) => ({ start, end, label })), offsets: "utf16" } });
  }
  status = await ask(path("learn"), { body: force ? { force } : {} });
  await follow();
});

const cancel = () => doing(async () => {
  status = await ask(path("learn"), { method: "DELETE" });
  await follow();
});

const undo = () => doing(async () => {
  await ask(path("undo"), { body: {} });
  status = await ask(path("learn"));
  page.onLearnt();
});

const forget = (id) => doing(async () => {
  await ask(path(`corrections/${encodeURIComponent(id)}`), { method: "DELETE" });
  await follow();
});

/** What the page shows of it; nothing where the service does not learn. `act` makes a button with a name to find it by. */
export function parts(act) {
  if (!status) return note ? [make("p", "soft", note)] : [];
  const running = status.state === "running";
  const teaches = act("teach", `Teach ${status.model}`, () => teach(false));
  teaches.disabled = running || !(page.kept().length || known?.total);
  const row = make("div", "row kept", teaches);
  if (running) row.append(act("cancel", "Cancel", cancel));
  if (status.state === "refused") row.append(act("force", "Serve it all the same", () => teach(true)));
  if (status.undo && !running) row.append(act("back", "Back to the model before", undo));
  const said = make("p", "soft", note || inWords());
  said.setAttribute("aria-live", "polite");
  return [row, said, ...figures(), ...listed(act)];
}

function inWords() {
  const { state, stage, seconds, reason, serves } = status;
  const took = seconds === null ? "" : `, ${Math.round(seconds)} s`;
  return {
    idle: "It learns from these corrections and keeps what it knows; that takes seconds to a minute.",
    running: `The model is ${{ starting: "about to learn", "held out": "learning from a part, to be asked of the rest", learning: "learning", checking: "being checked", swapping: "being put in place" }[stage] ?? "learning"}${took}.`,
    done: serves.learned ? `Done${took}: version ${serves.version} answers now.` : `The model before answers again: version ${serves.version}.`,
    refused: `Not served: ${reason}`,
    failed: `It did not learn: ${reason}`,
    cancelled: "Cancelled; the model is as it was.",
  }[state] ?? state;
}

/** Before and after: of what was learnt, of what was held out, and of other text. */
function figures() {
  const { figures: found } = status;
  if (!found || status.state === "running") return [];
  const line = (name, figure) => figure && make("tr", "", heading("row", "", name), make("td", "", percent(figure.before.f1)), make("td", "", percent(figure.after.f1)));
  const rows = [line("Names in the corrections", found.learned), line("Names in corrections held out", found.held_out)].filter(Boolean);
  const lost = make("tr", "", heading("row", "", "F1 points lost on other text, estimated"), make("td", ""), make("td", "", found.elsewhere.lost?.toFixed(2) ?? "unknown"));
  const head = make("tr", "", ...["F1", "before", "after"].map((name) => heading("col", "", name)));
  const table = make("table", "figures", make("thead", "", head), make("tbody", "", ...rows, lost));
  table.setAttribute("aria-label", "What was learnt");
  return [table];
}

function listed(act) {
  if (!known?.total) return [];
  const rows = known.corrections.map(({ id, text, entities }) => {
    const drop = act(`forget ${id}`, "Forget", () => forget(id));
    return make("li", "", make("bdi", "", text.length > 80 ? `${text.slice(0, 80)}…` : text), ` ${count(entities.length, "name")} `, drop);
  });
  const all = make("details", "", make("summary", "", `The service keeps ${count(known.total, "correction")}`), make("ul", "", ...rows));
  all.open = listed.open ?? false;
  all.addEventListener("toggle", () => (listed.open = all.open));
  return [all];
}

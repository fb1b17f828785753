// The table of entities.

import { at, heading, make } from "./dom.js";
import { tone } from "./labels.js";

/** Show entities; `paged` says whether they are those of one page among others. */
export function drawEntities(entities, paged) {
  at("entities").textContent = paged ? "Entities on this page" : "Entities";
  at("rows").replaceChildren(...entities.map(row));
  at("list").hidden = entities.length === 0;
}

function row({ text, label, score }, place) {
  const meter = make("progress");
  meter.value = score;
  meter.setAttribute("aria-hidden", "true"); // the number beside it says the same
  const element = make("tr", "",
    heading("row", "name", make("bdi", "", text)),
    make("td", "", make("span", `chip ${tone(label)}`, label)),
    make("td", "", make("span", "score", meter, make("span", "", `${(100 * score).toFixed(0)} %`))),
  );
  element.dataset.place = place;
  return element;
}

/** Highlight an entity in the text and its row in the table. */
export function light(event) {
  const place = event.type === "mouseleave" ? undefined : event.target.closest?.("[data-place]")?.dataset.place;
  for (const element of document.querySelectorAll(".lit")) element.classList.remove("lit");
  if (place === undefined) return;
  for (const element of document.querySelectorAll(`[data-place="${place}"]`)) element.classList.add("lit");
}

// Two models side by side: the same text, tagged by another model, and where the two differ.

import { at, count, heading, make, percent } from "./dom.js";
import { tone } from "./labels.js";
import { marks } from "./marked.js";
import { onPage } from "./paging.js";

const key = ({ start, end, label }) => `${start} ${end} ${label}`;

/**
 * Pair the entities of two models. Gives `alike`, and `differences`: `{ start, end, ones, others }`, where what overlaps
 * is one difference.
 */
export function differences(ones, others) {
  const theirs = new Set(others.map(key));
  const ours = new Set(ones.map(key));
  const alike = ones.filter((entity) => theirs.has(key(entity))).length;
  const left = [
    ...ones.filter((entity) => !theirs.has(key(entity))).map((entity) => ({ entity, side: "ones" })),
    ...others.filter((entity) => !ours.has(key(entity))).map((entity) => ({ entity, side: "others" })),
  ].sort((one, other) => one.entity.start - other.entity.start);
  const found = [];
  for (const { entity, side } of left) {
    let last = found.at(-1);
    if (!last || entity.start >= last.end) found.push((last = { start: entity.start, end: entity.end, ones: [], others: [] }));
    last.end = Math.max(last.end, entity.end);
    last[side].push(entity);
  }
  return { alike, differences: found };
}

/** Draw the card: `one` and `other` are `{ name, entities }`, of one text, of which a page is shown. */
export function drawComparison(text, one, other, page) {
  const { alike, differences: found } = differences(one.entities, other.entities);
  const differs = new Set(found.flatMap(({ ones, others }) => [...ones, ...others]));
  const said = make("p", "soft", `${count(alike, "entity", "entities")} alike, ${count(found.length, "difference")}`);
  said.setAttribute("role", "status");
  const title = make("h2", "", "Side by side");
  title.id = "versus-title";
  const sides = [one, other].map(({ name, entities }) => {
    const shown = marks(text, onPage(entities, page), page, (entity) => (differs.has(entity) ? "differs" : "agrees"));
    const words = make("p", "marked", ...shown);
    words.dir = "auto";
    return make("div", "side", make("h3", "", name), words);
  });
  at("versus").replaceChildren(make("div", "card-head", title, said), make("div", "sides", ...sides), ...table(text, one, other, found.filter(({ start }) => start >= page.start && start < page.end)));
  at("versus").hidden = false;
}

/** Show no comparison. */
export function closeComparison() {
  at("versus").hidden = true;
  at("versus").replaceChildren();
}

function table(text, one, other, found) {
  if (!found.length) return [];
  const head = make("tr", "", ...["Text", one.name, other.name].map((name) => heading("col", "", name)));
  const rows = found.map(({ start, end, ones, others }) => make("tr", "",
    heading("row", "name", make("bdi", "", text.slice(start, end))), said(ones, start, end), said(others, start, end)));
  const drawn = make("table", "differences", make("thead", "", head), make("tbody", "", ...rows));
  drawn.setAttribute("aria-label", "Differences");
  return [drawn];
}

/** What one model says of a place: its entities there, each with its own words where they are others. */
function said(entities, start, end) {
  if (!entities.length) return make("td", "soft", "nothing");
  return make("td", "", ...entities.flatMap((entity) => [
    make("span", "said-one", make("span", `chip ${tone(entity.label)}`, entity.label), " ", make("span", "whole", percent(entity.score)),
      ...(entity.start === start && entity.end === end ? [] : [" ", make("bdi", "", entity.text)])), " ",
  ]));
}

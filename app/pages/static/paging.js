// Long texts in pages: what a browser can draw at once without a pause.

import { at, count } from "./dom.js";

const PAGE = 400; // tokens: a printed page
const SLACK = 100; // tokens that a page may be shorter, to end where a line or a sentence does

/** Part a text: each page is `{ start, end, first, last }`, in UTF-16 units and in tokens. No entity is cut. */
export function pagesOf(text, tokens, entities) {
  const inside = new Set();
  let token = 0;
  for (const { start, end } of entities) {
    while (tokens[token]?.end <= start) token += 1;
    for (let next = token + 1; tokens[next]?.start < end; next += 1) inside.add(next);
  }
  const pages = [];
  for (let first = 0; first < tokens.length || !pages.length; ) {
    const last = first + PAGE >= tokens.length ? tokens.length : cut(text, tokens, inside, first);
    pages.push({ first, last, start: first ? tokens[first].start : 0, end: last < tokens.length ? tokens[last].start : text.length });
    first = last;
  }
  return pages;
}

/** The token that begins the next page: the last one in reach that begins a line, or a sentence, or just stands there. */
function cut(text, tokens, inside, first) {
  const between = (place) => text.slice(tokens[place - 1].end, tokens[place].start);
  const tests = [(place) => between(place).includes("\n"), (place) => /[.!?…]$/.test(tokens[place - 1].text), () => true];
  for (const test of tests) {
    for (let place = first + PAGE; place > first + PAGE - SLACK; place -= 1) {
      if (!inside.has(place) && test(place)) return place;
    }
  }
  let place = first + PAGE; // an entity longer than the slack
  while (inside.has(place)) place += 1;
  return place;
}

/** Those of some things with a place that are on a page. */
export const onPage = (things, { start, end }) => things.filter((thing) => thing.start >= start && thing.start < end);

/** Show which page it is, and how to turn it; `onTurn` gets -1 or 1. */
export function pager(onTurn) {
  at("page-back").addEventListener("click", () => onTurn(-1));
  at("page-on").addEventListener("click", () => onTurn(1));
  return function draw(page, pages) {
    at("pager").hidden = pages < 2;
    at("page-number").textContent = `Page ${count(page + 1)} of ${count(pages)}`;
    at("page-back").disabled = page === 0;
    at("page-on").disabled = page >= pages - 1;
  };
}

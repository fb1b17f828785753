// Corrected names as data. Nothing here uses the page.

import { inCodePoints, wellFormed } from "./offsets.js";

const overlap = (one, other) => one.start < other.end && other.start < one.end;
const byStart = (one, other) => one.start - other.start;

/** Entities with one more, which takes the place of those that it overlaps. */
export function put(entities, { start, end, label }) {
  if (start >= end) return entities;
  const added = { start, end, label };
  return [...entities.filter((entity) => !overlap(entity, added)), added].sort(byStart);
}

/** Entities without the one that begins here. */
export const remove = (entities, start) => entities.filter((entity) => entity.start !== start);

/** Widen a selection to whole tokens, as training does; null if it holds none. */
export function snapped(tokens, { start, end }) {
  const inside = tokens.filter((token) => token.start < end && start < token.end);
  return inside.length ? { start: inside[0].start, end: inside.at(-1).end } : null;
}

/** Move a border of an entity by one token: `side` is start or end, `step` -1 or 1; null if that is not possible. */
export function moved(tokens, entity, side, step) {
  let first = tokens.findIndex(({ end }) => end > entity.start);
  let last = tokens.findLastIndex(({ start }) => start < entity.end);
  if (side === "start") first += step;
  else last += step;
  if (!tokens[first] || !tokens[last] || first > last) return null;
  return { start: tokens[first].start, end: tokens[last].end, label: entity.label };
}

/** Whether two lists of entities say the same. */
export const same = (ones, others) =>
  ones.length === others.length && ones.every(({ start, end, label }, place) => others[place].start === start && others[place].end === end && others[place].label === label);

/** What training reads as `jsonl` (docs/formats.md): a text and its entities, in code points. */
export function record(text, entities) {
  return { text: wellFormed(text), entities: inCodePoints(text, entities.map(({ start, end, label }) => ({ start, end, label }))) };
}

// The text with its entities marked, and the buttons that show and hide labels.

import { at, make } from "./dom.js";
import { tone } from "./labels.js";

/** A button for each label that occurs or is hidden, with its count; it hides and shows the label. */
export function drawLabels(entities, hidden, onToggle) {
  const counts = new Map([...hidden].map((label) => [label, 0]));
  for (const { label } of entities) counts.set(label, (counts.get(label) ?? 0) + 1);
  const group = at("labels");
  const known = new Map([...group.children].map((button) => [button.dataset.label, button]));
  const buttons = [...counts].sort().map(([label, count]) => {
    const button = known.get(label) ?? labelButton(label, onToggle); // reuse the button, so that it keeps the keyboard focus
    button.replaceChildren(label, " ", make("span", "count", String(count)));
    button.setAttribute("aria-label", `${label}, ${count}`);
    button.setAttribute("aria-pressed", String(!hidden.has(label)));
    return button;
  });
  if (buttons.length !== known.size || buttons.some((button, place) => group.children[place] !== button)) {
    group.replaceChildren(...buttons);
  }
  group.hidden = buttons.length === 0;
}

function labelButton(label, onToggle) {
  const button = make("button", tone(label));
  button.type = "button";
  button.dataset.label = label;
  button.addEventListener("click", () => onToggle(label));
  return button;
}

/** A part of a text as nodes, its entities marked. Offsets are UTF-16 units, which is what slice() counts. */
export function marks(text, entities, { start = 0, end = text.length } = {}, classOf = () => "") {
  const pieces = [];
  let before = start;
  entities.forEach((entity, place) => {
    const mark = make("mark", `${tone(entity.label)} ${classOf(entity)}`.trim(), text.slice(entity.start, entity.end), make("small", "", entity.label));
    mark.dataset.place = place;
    mark.dataset.start = entity.start;
    if (entity.start > before) pieces.push(text.slice(before, entity.start));
    pieces.push(mark);
    before = entity.end;
  });
  if (end > before) pieces.push(text.slice(before, end));
  return pieces;
}

/** Show a page of a text with its entities. */
export function drawText(text, entities, page, classOf) {
  at("marked").dataset.start = page.start;
  at("marked").replaceChildren(...marks(text, entities, page, classOf));
  if (!text) at("marked").append(make("span", "soft", "Names in your text will light up here."));
}

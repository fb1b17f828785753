// The text with its entities marked, and the buttons that show and hide labels.

import { at, make } from "./dom.js";
import { tone } from "./labels.js";

const MAX_MARKS = 5000; // the text behind them is shown unmarked

/** A button for each label that occurs, with its count; it hides and shows the label. */
export function drawLabels(entities, hidden, onToggle) {
  const counts = new Map();
  for (const { label } of entities) counts.set(label, (counts.get(label) ?? 0) + 1);
  const group = at("labels");
  const known = new Map([...group.children].map((button) => [button.dataset.label, button]));
  const buttons = [...counts].sort().map(([label, count]) => {
    const button = known.get(label) ?? labelButton(label, onToggle); // reuse the button, so that it keeps the keyboard focus
    button.replaceChildren(label, make("span", "count", String(count)));
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

/** Offsets are UTF-16 units, which is what slice() counts. */
export function drawText(text, entities) {
  const pieces = [];
  let before = 0;
  entities.slice(0, MAX_MARKS).forEach(({ start, end, label }, place) => {
    const mark = make("mark", tone(label), text.slice(start, end), make("small", "", label));
    mark.dataset.place = place;
    mark.dataset.start = start;
    pieces.push(text.slice(before, start), mark);
    before = end;
  });
  pieces.push(text.slice(before));
  at("marked").replaceChildren(...pieces);
  if (!text) at("marked").append(make("span", "soft", "Names in your text will light up here."));
}

// The window view: what each word around a token adds to the logit of its tag.

import { at, heading, make, shape } from "./dom.js";
import { inWords, labelOf, tone } from "./labels.js";
import { bar, hundredths, signed } from "./shares.js";

const METHODS = {
  exact: "Because the active piece of a ReLU network is linear, these shares add up exactly; nothing is estimated. "
    + "A word left out would move the logit by its share, as long as no hidden unit switches on or off.",
  rescale: "This network is not piecewise linear, so the shares are those of the rescale rule: each hidden unit's "
    + "activation is divided in proportion to what went into it. They still add up to the logit.",
};

/** Show that no token is selected. */
export function closeExplanation() {
  at("why-body").hidden = true;
  at("why-empty").hidden = false;
  at("why-close").hidden = true;
  at("why-title").textContent = "Why?";
  at("summary").textContent = "";
}

/** Show a response of POST /explain. */
export function drawExplanation(answer) {
  const { token, column, window, bias, document: rest, logit, method } = answer;
  const parts = [...window.map(({ share }) => share), bias, rest];
  const numbers = hundredths(parts);
  const total = numbers.reduce((sum, number) => sum + number, 0);
  const line = (place) => bars(parts[place], numbers[place], [...parts, logit]);

  at("why-title").replaceChildren("Why “", make("bdi", "", token.text), "” is ", chip(token.tag));
  at("summary").replaceChildren(...summary(answer, numbers, total));
  at("window").replaceChildren(...window.map((pane, place) => windowRow(pane, line(place))));
  at("others").replaceChildren(
    otherRow("b", "Bias", "of an empty window", line(parts.length - 2)),
    otherRow("d", "Document", "the rest of the text", line(parts.length - 1)),
  );
  at("sum").replaceChildren(otherRow("z", "Logit", "the sum", bars(logit, total, [...parts, logit], "whole")));
  at("caption").textContent = `What each place of the window adds to the score of ${column}`;
  equation(numbers, total);
  at("method").textContent = METHODS[method];
  at("why-body").hidden = false;
  at("why-empty").hidden = true;
  at("why-close").hidden = false;
}

const whole = (tag) => make("span", "whole", tag); // no line break at a tag's hyphen
const chip = (tag) => make("span", `chip ${labelOf(tag) ? tone(labelOf(tag)) : "plain"}`, tag);
const COUNTS = ["no", "one", "two", "three", "four", "five", "six"];
const place = (position) => (position === 0 ? "0" : `${position < 0 ? "−" : "+"}${Math.abs(position)}`);

function windowRow({ position, text, share }, line) {
  const word = text === null ? make("i", "soft", "no word") : make("bdi", "", text);
  const row = make("tr", position === 0 ? "centre" : "", make("td", "place", make("span", "", place(position))), heading("row", "", word), line);
  row.dataset.share = share;
  return row;
}

function otherRow(symbol, name, meaning, line) {
  const words = heading("row", "", name, " ", make("span", "soft meaning", meaning));
  return make("tr", "", make("td", "place", make("var", "", symbol)), words, line);
}

/** A cell with a signed bar around zero and its number. */
function bars(value, shown, values, kind = value < 0 ? "minus" : "plus") {
  const { zero, from, length } = bar(value, values);
  const drawing = shape("svg", { class: "bar", "aria-hidden": "true", focusable: "false" },
    shape("rect", { class: kind, x: `${from}%`, y: "20%", width: `${length}%`, height: "60%", rx: "2" }),
    shape("line", { class: "zero", x1: `${zero}%`, x2: `${zero}%`, y1: "0", y2: "100%" }),
  );
  return make("td", "share", make("span", "share-line", drawing, make("span", "number", signed(shown))));
}

/** z = b + d + Σⱼ sⱼ, with the numbers below the letters. */
function equation(numbers, total) {
  const [bias, rest] = numbers.slice(-2);
  const window = total - bias - rest;
  const terms = [["z", total, "logit"], ["b", bias, "bias"], ["d", rest, "document"], ["Σⱼ sⱼ", window, "window"]];
  const cells = terms.flatMap(([symbol, value, name], index) => {
    const number = index > 1 ? signed(Math.abs(value)).replace("+", "") : signed(value, "");
    const term = make("span", "term", make("var", "", symbol), make("b", "", number), make("small", "", name));
    if (!index) return [term];
    const sign = index === 1 ? "=" : value < 0 ? "−" : "+";
    return [make("span", "sign", make("span", "", index === 1 ? "=" : "+"), make("b", "", sign)), term];
  });
  at("equation").replaceChildren(...cells);
  at("equation").setAttribute("aria-label",
    `logit ${signed(total, "")} = bias ${signed(bias, "")} + document ${signed(rest, "")} + window ${signed(window, "")}`);
}

/** Describe it in a few sentences. */
function summary({ token, column, window }, numbers, total) {
  const score = [`The network gives “${token.text}” a score of ${signed(total, "")} for `, whole(`${column}:`), ` ${inWords(column)}.`];
  if (column !== token.tag) score.push(" The answer writes it ", whole(`${token.tag}.`));
  const panes = window.map((pane, index) => ({ ...pane, shown: numbers[index] }));
  const ranked = panes.filter(({ shown }) => shown).sort((one, other) => other.shown - one.shown);
  const name = ({ position, text, shown }) => `${called(position, text)} (${signed(shown)})`;
  const helping = ranked.filter(({ shown }) => shown > 0).slice(0, 2).map(name);
  const against = ranked.filter(({ shown }) => shown < 0).slice(-1).map(name);
  const most = helping.length ? ` Most comes from ${helping.join(" and ")}.` : "";
  return [...score, most, against.length ? ` Most against it: ${against}.` : ""];
}

function called(position, text) {
  if (position === 0) return "the word itself";
  const distance = Math.abs(position);
  const side = position < 0 ? "before" : "after";
  const name = text === null ? `the ${position < 0 ? "start" : "end"} of the sentence` : `“${text}”`;
  return distance === 1 ? `${name} right ${side} it` : `${name} ${COUNTS[distance] ?? distance} places ${side} it`;
}

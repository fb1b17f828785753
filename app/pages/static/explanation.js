// The window view: what each word around a token adds to the logit of its tag, or to the difference of two logits.

import { at, button, heading, make, percent, shape } from "./dom.js";
import { inWords, labelOf, tone } from "./labels.js";
import { bar, hundredths, signed } from "./shares.js";
import { summary } from "./summary.js";

const METHODS = {
  exact: "Because the active piece of a ReLU network is linear, these shares add up exactly; nothing is estimated. "
    + "A word left out would move the logit by its share, as long as no hidden unit switches on or off.",
  rescale: "This network is not piecewise linear, so the shares are those of the rescale rule: each hidden unit's "
    + "activation is divided in proportion to what went into it. They still add up to the logit.",
};
const TWO = " The difference of two logits splits just so: each share is the one for the first tag less the one for the second.";

const LEAST = 0.005; // a runner-up below that is "0 %"

/** Show that no token is selected. */
export function closeExplanation() {
  at("why-body").hidden = at("sure").hidden = at("rivals").hidden = true;
  at("why-empty").hidden = false;
  at("why-close").hidden = true;
  at("why-title").textContent = "Why?";
  at("summary").textContent = "";
}

/** Show a response of POST /explain, and the entity of the token. `onAgainst` gets the tag to compare with, or "". */
export function drawExplanation(answer, entity, rival, onAgainst) {
  const { token, column, against, window, bias, document: rest, logit, method } = answer;
  const parts = [...window.map(({ share }) => share), bias, rest];
  const numbers = hundredths(parts);
  const total = numbers.reduce((sum, number) => sum + number, 0);
  const line = (place) => bars(parts[place], numbers[place], [...parts, logit]);

  const not = against ? [" and not ", chip(rival)] : [];
  at("why-title").replaceChildren("Why “", make("bdi", "", token.text), "” is ", chip(token.tag), ...not);
  drawSure(token, entity);
  drawRivals(token, rival, onAgainst);
  at("summary").replaceChildren(...summary(answer, numbers, total));
  at("window").replaceChildren(...window.map((pane, place) => windowRow(pane, line(place))));
  at("others").replaceChildren(
    otherRow("b", "Bias", "of an empty window", line(parts.length - 2)),
    otherRow("d", "Document", "the rest of the text", line(parts.length - 1)),
  );
  const name = against ? ["Difference", "of the logits"] : ["Logit", "the sum"];
  at("sum").replaceChildren(otherRow(against ? "Δz" : "z", ...name, bars(logit, total, [...parts, logit], "whole")));
  at("caption").textContent = `What each place of the window adds to the score of ${column}${against ? ` over that of ${against}` : ""}`;
  equation(numbers, total, against ? "Δ" : "");
  at("method").textContent = METHODS[method] + (against ? TWO : "");
  at("why-body").hidden = false;
  at("why-empty").hidden = true;
  at("why-close").hidden = false;
}

const chip = (tag) => make("span", `chip ${labelOf(tag) ? tone(labelOf(tag)) : "plain"}`, tag);
const place = (position) => (position === 0 ? "0" : `${position < 0 ? "−" : "+"}${Math.abs(position)}`);

/** What the percentages that stand here are of. */
function drawSure(token, entity) {
  const whole = entity ? [", and ", make("b", "", percent(entity.score)), " that all of “", make("bdi", "", entity.text), "” is right, both ends and label"] : [];
  at("sure").replaceChildren(make("b", "", percent(token.score)), ` sure of this word’s tag, ${inWords(token.tag)}`, ...whole, ".");
  at("sure").hidden = false;
}

/** The runners-up, each a button that compares the tag with it. */
function drawRivals({ alternatives = [] }, rival, onAgainst) {
  const focused = at("rivals").contains(document.activeElement) ? document.activeElement.dataset.tag : null;
  const likely = alternatives.filter(({ name, score }, place) => place < 2 || score >= LEAST || name === rival);
  const buttons = likely.map(({ name, score }) => {
    const one = button("", () => onAgainst(name === rival ? "" : name), labelOf(name) ? tone(labelOf(name)) : "plain");
    one.append(make("b", "", name), " ", make("span", "whole", percent(score)));
    one.dataset.tag = name;
    one.setAttribute("aria-pressed", String(name === rival));
    return one;
  });
  at("rivals").replaceChildren(at("rivals-name"), ...buttons);
  at("rivals").hidden = buttons.length === 0;
  buttons.find(({ dataset }) => dataset.tag === focused)?.focus();
}

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
function equation(numbers, total, delta) {
  const [bias, rest] = numbers.slice(-2);
  const window = total - bias - rest;
  const terms = [["z", total, delta ? "difference" : "logit"], ["b", bias, "bias"], ["d", rest, "document"], ["sⱼ", window, "window"]];
  const cells = terms.flatMap(([symbol, value, name], index) => {
    const number = index > 1 ? signed(Math.abs(value)).replace("+", "") : signed(value, "");
    const term = make("span", "term", make("var", "", `${index === 3 ? "Σⱼ " : ""}${delta}${symbol}`), make("b", "", number), make("small", "", name));
    if (!index) return [term];
    const sign = index === 1 ? "=" : value < 0 ? "−" : "+";
    return [make("span", "sign", make("span", "", index === 1 ? "=" : "+"), make("b", "", sign)), term];
  });
  at("equation").replaceChildren(...cells);
  at("equation").setAttribute("aria-label",
    `${delta ? "difference" : "logit"} ${signed(total, "")} = bias ${signed(bias, "")} + document ${signed(rest, "")} + window ${signed(window, "")}`);
}

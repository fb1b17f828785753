// An explanation in a few sentences.

import { make } from "./dom.js";
import { inWords } from "./labels.js";
import { signed } from "./shares.js";

const COUNTS = ["no", "one", "two", "three", "four", "five", "six"];
const whole = (words) => make("span", "whole", words); // no line break at a tag's hyphen, nor inside a number

/** Describe a response of POST /explain; `numbers` are its parts in hundredths, those of the window first. */
export function summary(answer, numbers, total) {
  const panes = answer.window.map((pane, index) => ({ ...pane, shown: numbers[index] }));
  const ranked = panes.filter(({ shown }) => shown).sort((one, other) => other.shown - one.shown);
  const helping = ranked.filter(({ shown }) => shown > 0).slice(0, 2);
  const against = ranked.filter(({ shown }) => shown < 0).slice(-1);
  return answer.against ? compared(answer, total, helping, against) : alone(answer, total, helping, against);
}

function alone({ token, column }, total, helping, against) {
  const score = [`The network gives “${token.text}” a score of `, whole(signed(total, "")), " for ", whole(`${column}:`), ` ${inWords(column)}.`];
  if (column !== token.tag) score.push(" The answer writes it ", whole(`${token.tag}.`));
  return [...score, ...list([" Most comes from "], helping), ...list([" Most against it: "], against)];
}

function compared({ token, column, against }, total, helping, against_) {
  const more = total < 0 ? "less" : "more";
  return [`The network gives “${token.text}” `, whole(signed(Math.abs(total), "")), ` ${more} for `, whole(`${column}:`), ` ${inWords(column)}, than for `,
    whole(`${against}:`), ` ${inWords(against)}.`, ...list([" For ", whole(column), " speaks most "], helping), ...list([" For ", whole(`${against}:`), " "], against_)];
}

function list(opening, panes) {
  if (!panes.length) return [];
  const names = panes.flatMap(({ position, text, shown }, index) => [
    ...(index ? [" and "] : []), `${called(position, text)} `, whole(`(${signed(shown)})`),
  ]);
  return [...opening, ...names, "."];
}

function called(position, text) {
  if (position === 0) return "the word itself";
  const distance = Math.abs(position);
  const side = position < 0 ? "before" : "after";
  const name = text === null ? `the ${position < 0 ? "start" : "end"} of the sentence` : `“${text}”`;
  return distance === 1 ? `${name} right ${side} it` : `${name} ${COUNTS[distance] ?? distance} places ${side} it`;
}

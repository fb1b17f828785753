// What was found in many texts, as files to download.

import { writeCsv } from "./csv.js";
import { download } from "./dom.js";
import { inCodePoints } from "./offsets.js";

const named = (name, ending) => `${name.replace(/\.[^.]*$/, "")}.entities.${ending}`;

/** A line a text: all that was in its record, and its entities, as `fenestra tag` writes them. */
export function saveJsonl(name, done, isShown) {
  const lines = done.map(({ record, text, answer }) => {
    const found = answer.error ? { error: answer.error } : { entities: inCodePoints(text, answer.results[0].entities.filter(isShown)) };
    return `${JSON.stringify({ ...record, ...found })}\n`;
  });
  download(named(name, "jsonl"), "application/x-ndjson", ...lines);
}

/** A row an entity, with the number of its text and the text; texts without any have a row, too. */
export function saveCsv(name, done, isShown) {
  const rows = done.flatMap(({ text, answer }, place) => {
    if (answer.error) return [[place + 1, "", answer.error.code, "", "", "", text]];
    const found = inCodePoints(text, answer.results[0].entities.filter(isShown));
    if (!found.length) return [[place + 1, "", "", "", "", "", text]];
    return found.map(({ text: words, label, score, start, end }) => [place + 1, words, label, score, start, end, text]);
  });
  download(named(name, "csv"), "text/csv", writeCsv([["number", "entity", "label", "score", "start", "end", "text"], ...rows]));
}

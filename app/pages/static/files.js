// Reads a file of texts in the browser: a text, one text a line, CSV, or JSONL.

import { count } from "./dom.js";
import { parseCsv } from "./csv.js";

const MOST_BYTES = 10 * 1024 * 1024;
const MOST_TEXTS = 10_000;
const ONE_TEXT = 100_000; // UTF-16 units, which the service takes as one text unless told otherwise
const TEXT_COLUMN = /^(text|texts|sentence|content|body|message|title|review|comment|description|текст)$/i;

/** A file that this page cannot take; its message is for people. */
export class BadFile extends Error {}

/**
 * Read a file. Gives `{ text }` for a short text, or `{ name, records, key, columns }`: objects whose field `key` is the
 * text, and for CSV the fields to choose from.
 */
export async function read(file) {
  if (file.size > MOST_BYTES) throw new BadFile(`${file.name} is too large for this page, which takes 10 MB. For more, use fenestra tag.`);
  const text = await decode(file);
  const kind = /\.(csv|tsv|jsonl|ndjson)$/i.exec(file.name)?.[1].toLowerCase() ?? "txt";
  if (kind === "txt" && text.length <= ONE_TEXT) return { text };
  const found = { csv: ofCsv, tsv: ofCsv, jsonl: ofJsonl, ndjson: ofJsonl, txt: ofLines }[kind](text, file.name);
  if (!found.records.length) throw new BadFile(`${file.name} has no text in it.`);
  if (found.records.length > MOST_TEXTS) {
    throw new BadFile(`${file.name} has ${count(found.records.length, "text")}, and this page takes ${count(MOST_TEXTS)}. For more, use fenestra tag.`);
  }
  return { name: file.name, ...found };
}

async function decode(file) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer()); // takes a byte order mark off
    if (!text.includes("\0")) return text;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  throw new BadFile(`${file.name} is not a text in UTF-8.`);
}

const lines = (text) => text.split(/\r\n|\n|\r/);

const ofLines = (text) => ({ key: "text", records: lines(text).filter((line) => line.trim()).map((line) => ({ text: line })) });

/** Objects with a text; what else is in them comes out again. */
function ofJsonl(text, name) {
  const records = lines(text).flatMap((line, place) => {
    if (!line.trim()) return [];
    let record;
    try {
      record = JSON.parse(line);
    } catch {
      throw new BadFile(`${name}, line ${count(place + 1)}: this is not JSON.`);
    }
    if (typeof record === "string") return [{ text: record }];
    if (typeof record?.text !== "string") throw new BadFile(`${name}, line ${count(place + 1)}: there is no "text" in it.`);
    return [record];
  });
  return { key: "text", records };
}

/** The first row names the columns if one of its names is known; else they are numbered. */
function ofCsv(text, name) {
  let rows;
  try {
    rows = parseCsv(text, name.toLowerCase().endsWith(".tsv") ? "\t" : undefined);
  } catch (line) {
    if (typeof line !== "number") throw line;
    throw new BadFile(`${name}, line ${count(line)}: a quotation mark is opened here and never closed.`);
  }
  const width = Math.max(0, ...rows.map((row) => row.length));
  const known = rows[0]?.find((cell) => TEXT_COLUMN.test(cell.trim()));
  const columns = Array.from({ length: width }, (_, place) => (known !== undefined && rows[0][place]?.trim()) || `column ${place + 1}`);
  for (const [place, column] of columns.entries()) if (columns.indexOf(column) < place) columns[place] = `${column} ${place + 1}`;
  const records = rows.slice(known === undefined ? 0 : 1).map((row) => Object.fromEntries(columns.map((column, place) => [column, row[place] ?? ""])));
  return { records, columns, key: known?.trim() ?? longest(columns, records) };
}

/** The column with most to read. */
function longest(columns, records) {
  const length = (column) => records.slice(0, 100).reduce((sum, record) => sum + record[column].length, 0);
  return columns.reduce((best, column) => (length(column) > length(best) ? column : best), columns[0]);
}

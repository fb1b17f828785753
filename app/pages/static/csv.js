// Reads and writes CSV (RFC 4180).

const SEPARATORS = [",", ";", "\t"];

/** The sign between the columns: the one that the first line has most of. */
export function separatorOf(text) {
  const line = text.slice(0, 10_000).split(/\r?\n/, 1)[0];
  const times = (sign) => line.split(sign).length;
  return SEPARATORS.reduce((best, sign) => (times(sign) > times(best) ? sign : best));
}

/** Parse rows of cells; lines without anything on them are left out. Throws a number: the line whose quote never closes. */
export function parseCsv(text, separator = separatorOf(text)) {
  const rows = [];
  let row = [];
  let place = 0;
  const pattern = new RegExp(`(${separator}|\\r?\\n|\\r|$)`, "g");
  while (place < text.length || row.length) {
    let cell = "";
    if (text[place] === "\"") {
      const opened = place;
      do {
        const closing = text.indexOf("\"", place + 1);
        if (closing < 0) throw text.slice(0, opened).split("\n").length;
        cell += text.slice(place + 1, closing);
        place = closing + 1;
        if (text[place] === "\"") cell += "\"";
      } while (text[place] === "\"");
    }
    pattern.lastIndex = place;
    const found = pattern.exec(text);
    row.push(cell + text.slice(place, found.index));
    place = found.index + found[0].length;
    if (found[0] === separator) continue;
    if (row.length > 1 || row[0]) rows.push(row);
    row = [];
  }
  return rows;
}

const FORMULA = /^[=+\-@\t\r]/; // what a spreadsheet would compute instead of showing it

/** Write a cell. Text that a spreadsheet would take for a formula gets an apostrophe before it; numbers stay numbers. */
function writeCell(value) {
  if (typeof value === "number") return String(value);
  const text = FORMULA.test(value) ? `'${value}` : value;
  return /[",;\t\r\n]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text;
}

/** Write rows, with the mark by which spreadsheets know UTF-8. */
export const writeCsv = (rows) => `\ufeff${rows.map((row) => row.map(writeCell).join(",")).join("\r\n")}\r\n`;

// The same as JSON, as a curl command and in Python, each to be copied.

import { at, button, copy, make } from "./dom.js";

const MAX_LENGTH = 4000; // UTF-16 units; a longer text does not fit on a command line, and is not worth looking at
const AGAIN_MS = 2000;

/** Write what gives what the page shows: `asked` is the request, `token` the one that is explained, or -1. */
export function drawCommand(asked, explained, answer) {
  at("same").hidden = !asked.text;
  if (!asked.text) return;
  const long = asked.text.length > MAX_LENGTH;
  const file = "This text is too long for a command line: put the request into a file, and say -d @FILE.";
  const commands = [curl("tag", asked), ...(explained ? [curl("explain", explained)] : [])].join("\n\n");
  const parts = [
    ["curl", "curl", long ? file : commands],
    ["Python", "python", python(asked, explained, long)],
    ["The answer in JSON", "json", JSON.stringify(answer, null, 2)],
  ];
  at("commands").replaceChildren(...parts.flatMap(([title, id, text]) => part(title, id, text)));
}

function part(title, id, text) {
  const copied = button("Copy", async () => {
    await copy(text);
    copied.textContent = "Copied";
    setTimeout(() => (copied.textContent = "Copy"), AGAIN_MS);
  });
  copied.setAttribute("aria-label", `Copy: ${title}`);
  copied.setAttribute("aria-live", "polite");
  const code = make("code", "", text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text);
  code.id = id;
  const box = make("pre", "", code);
  box.tabIndex = 0;
  box.setAttribute("aria-label", title);
  return [make("div", "part-head", make("h2", "", title), copied), box];
}

function curl(path, body) {
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  return `curl ${new URL(path, document.baseURI).href} -H 'Content-Type: application/json' -d '${quoted}'`;
}

/** With the client of the package; JSON's strings are Python's, too. */
function python({ text, offsets: _, ...options }, explained, long) {
  const keywords = (given) => Object.entries(given).map(([name, value]) => `, ${name}=${JSON.stringify(value)}`).join("");
  const read = long ? ['text = open("text.txt", encoding="utf-8").read()'] : [`text = ${JSON.stringify(text)}`];
  const lines = ["from fenestra.client import Client", "", ...read,
    `with Client(${JSON.stringify(new URL(".", document.baseURI).href.replace(/\/$/, ""))}) as client:`,
    `    for entity in client.tag(text${keywords(options)}).results[0].entities:`,
    "        print(entity.label, entity.text, entity.score)"];
  if (explained) {
    const { text: known, offsets, token, ...rest } = explained;
    lines.push(`    for place in client.explain(text, token=${token}${keywords(rest)}).window:`, "        print(place.text, place.share)");
  }
  return lines.join("\n");
}

// The same request as a curl command.

import { at } from "./dom.js";

const MAX_LENGTH = 4000; // UTF-16 units; a longer text does not fit on a command line

/** Write the curl commands for a text and, where one is chosen, for a token. */
export function drawCommand(text, model, token) {
  const asked = { text, ...(model && { model }) };
  const commands = [curl("tag", asked)];
  if (token >= 0) commands.push(curl("explain", { ...asked, token }));
  at("curl").textContent = text.length > MAX_LENGTH ? "This text is too long for a command line: put it into a file, and say -d @FILE." : commands.join("\n\n");
  at("same").hidden = !text;
}

function curl(path, body) {
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  return `curl ${new URL(path, document.baseURI).href} -H 'Content-Type: application/json' -d '${quoted}'`;
}

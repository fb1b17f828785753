// Links that carry a text. What follows "#" stays in the browser: no server sees it, and none writes it into a log.

const LONGEST = 8000; // characters; programs for mail and chat cut longer links
const MOST = 4_000_000; // characters that a link may unfold into: far more than the service takes
const FORM = "#1."; // the version of what follows: JSON, deflated, in base64url

/** A link that could not be made or read; its message is for people. */
export class BadLink extends Error {}

/** Write a link to this page that carries a value. */
export async function linkTo(value) {
  if (!globalThis.CompressionStream) throw new BadLink("This browser is too old to make a link.");
  const packed = await through(new CompressionStream("deflate-raw"), new TextEncoder().encode(JSON.stringify(value)));
  const letters = btoa(Array.from(packed, (byte) => String.fromCharCode(byte)).join(""));
  const link = new URL(FORM + letters.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", ""), document.baseURI).href;
  if (link.length > LONGEST) {
    throw new BadLink(`This text is too long for a link: it would have ${link.length.toLocaleString("en")} characters, and many programs cut links at ${LONGEST.toLocaleString("en")}. Send the text as a file.`);
  }
  return link;
}

/** Whether an address carries a value. */
export const carries = (hash) => hash.startsWith(FORM);

/** Read the value that an address carries. */
export async function readLink(hash) {
  try {
    const letters = atob(hash.slice(FORM.length).replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = await through(new DecompressionStream("deflate-raw"), Uint8Array.from(letters, (letter) => letter.charCodeAt(0)));
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new BadLink("This link cannot be read: a part of it is missing, or was changed.");
  }
}

async function through(stream, bytes) {
  const reader = new Blob([bytes]).stream().pipeThrough(stream).getReader();
  const parts = [];
  let length = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    length += part.value.length;
    if (length > MOST) throw new BadLink("too long");
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

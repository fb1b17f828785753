// Builds elements from nodes and text, never from markup.

export const at = (id) => document.getElementById(id);

/** Make an element with a class and children; strings become text nodes. */
export function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** Make a heading cell of a table; `scope` is `row` or `col`. */
export function heading(scope, className, ...children) {
  const cell = make("th", className, ...children);
  cell.scope = scope;
  return cell;
}

/** Make an SVG element. Sizes are attributes, because the content security policy forbids style attributes. */
export function shape(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A number with its thousands parted, and with a noun that does not part from it. */
export const count = (number, one = "", many = `${one}s`) =>
  number.toLocaleString("en") + (one && `\u00a0${number === 1 ? one : many}`);

/** A share of one in per cent; number and sign stay together. */
export const percent = (share) => `${(100 * share).toFixed(0)}\u00a0%`;

/** A button with a word on it. */
export function button(word, onClick, className = "") {
  const element = make("button", className, word);
  element.type = "button";
  element.addEventListener("click", onClick);
  return element;
}

/** Copy a text; a page that did not come over https has to do it by a selection. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const box = make("textarea", "", text);
    document.body.append(box);
    box.select();
    document.execCommand("copy");
    box.remove();
  }
}

/** Hand a file over to the browser's downloads. */
export function download(name, type, ...parts) {
  const link = make("a");
  link.href = URL.createObjectURL(new Blob(parts, { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

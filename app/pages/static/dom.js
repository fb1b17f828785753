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

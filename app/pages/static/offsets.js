// From UTF-16 units, which this page counts in, to code points, which files and Python count in.

/** A text without halves of characters: each becomes U+FFFD, which has the same length, so that offsets stay right. */
export const wellFormed = (text) => text.toWellFormed?.() ?? text;

/** Entities of a text, in order, with their places in code points. */
export function inCodePoints(text, entities) {
  let unit = 0;
  let point = 0;
  const at = (place) => {
    for (; unit < place; point += 1) unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
    return point;
  };
  return entities.map((entity) => ({ ...entity, start: at(entity.start), end: at(entity.end) }));
}

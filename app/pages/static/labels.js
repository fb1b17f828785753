// Labels and tags: their colours, and what they mean in words. A model may have any labels.

const TONES = 8;
const USUAL = ["PER", "LOC", "ORG", "MISC"]; // these have the same colours in every model
const NOUNS = { PER: "a person", LOC: "a place", ORG: "an organisation", MISC: "a name of another kind" };
const known = [...USUAL];

/** Give each label a colour, in this order, until there are no more colours. */
export function learn(labels) {
  for (const label of labels) if (!known.includes(label)) known.push(label);
}

export function tone(label) {
  learn([label]);
  return `tone-${known.indexOf(label) % TONES}`;
}

/** The label of a tag; `O` has none. A label may contain hyphens. */
export const labelOf = (tag) => (tag.includes("-") ? tag.slice(tag.indexOf("-") + 1) : "");

/** A tag in words: "the first word of a place". */
export function inWords(tag) {
  const label = labelOf(tag);
  if (!label) return "no part of a name";
  const noun = NOUNS[label] ?? `a name of the kind ${label}`;
  if (tag.startsWith("S-")) return `${noun}, in one word`;
  return `${{ B: "the first word", E: "the last word" }[tag[0]] ?? "a further word"} of ${noun}`;
}

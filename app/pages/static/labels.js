// Labels and tags: their colours, and what they mean in words. A model may have any labels.

const TONES = 8;
const USUAL = ["PER", "LOC", "ORG", "MISC"]; // these keep their colours whatever else a model knows
const NOUNS = { PER: "a person", LOC: "a place", ORG: "an organisation", MISC: "a name of another kind" };
const known = [...USUAL];

/** Give each label a colour of its own, in this order, for as long as there are colours. */
export function learn(labels) {
  for (const label of labels) if (!known.includes(label)) known.push(label);
}

export function tone(label) {
  learn([label]);
  return `tone-${known.indexOf(label) % TONES}`;
}

/** The label in a tag; none in `O`. A label may have hyphens of its own. */
export const labelOf = (tag) => (tag.includes("-") ? tag.slice(tag.indexOf("-") + 1) : "");

/** A tag in words: "the first word of a place". */
export function inWords(tag) {
  const label = labelOf(tag);
  if (!label) return "no part of a name";
  const noun = NOUNS[label] ?? `a name of the kind ${label}`;
  if (tag.startsWith("S-")) return `${noun}, in one word`;
  return `${{ B: "the first word", E: "the last word" }[tag[0]] ?? "a further word"} of ${noun}`;
}

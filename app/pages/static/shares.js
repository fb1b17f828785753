// The arithmetic of an explanation. Nothing here uses the page.

const LEVELS = 4;

/** Round numbers to hundredths so that the rounded numbers add up to their rounded sum.
 *
 * Each is off by less than a hundredth: those cut off most are the ones rounded up. Returns whole hundredths.
 */
export function hundredths(parts) {
  const total = Math.round(100 * parts.reduce((sum, part) => sum + part, 0));
  const floors = parts.map((part) => Math.floor(100 * part));
  const lost = parts.map((part, place) => [100 * part - floors[place], place]).sort((one, other) => other[0] - one[0]);
  const missing = total - floors.reduce((sum, part) => sum + part, 0);
  for (const [, place] of lost.slice(0, missing)) floors[place] += 1;
  return floors;
}

/** Hundredths as a signed number, with a true minus sign. */
export function signed(value, plus = "+") {
  return `${value < 0 ? "−" : value > 0 ? plus : ""}${(Math.abs(value) / 100).toFixed(2)}`;
}

/** Where a bar from zero to `value` begins and how long it is, in per cent of a line that holds all `values` and zero. */
export function bar(value, values) {
  const low = Math.min(0, ...values);
  const length = Math.max(0, ...values) - low || 1;
  const percent = (number) => (100 * (number - low)) / length;
  return { zero: percent(0), from: percent(Math.min(0, value)), length: (100 * Math.abs(value)) / length };
}

/** The strength of a share relative to the strongest: -4 … 4. */
export function level(share, shares) {
  const most = Math.max(...shares.map(Math.abs)) || 1;
  return Math.round((LEVELS * share) / most);
}

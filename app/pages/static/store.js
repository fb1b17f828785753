// What this browser remembers of the page: nothing of it leaves the browser.

const held = new Map(); // until the page is left, where the browser keeps nothing: it may be full, or told not to

/** What was kept under a name; null if that is nothing, or if something else wrote there. */
export function recall(name) {
  if (held.has(name)) return held.get(name);
  try {
    return JSON.parse(localStorage.getItem(`fenestra.${name}`));
  } catch {
    return null;
  }
}

/** Keep a value under a name; returns whether it outlives this page. */
export function keep(name, value) {
  try {
    localStorage.setItem(`fenestra.${name}`, JSON.stringify(value));
    held.delete(name);
    return true;
  } catch {
    held.set(name, value);
    return false;
  }
}

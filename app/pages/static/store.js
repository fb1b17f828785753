// What this browser remembers of the page: nothing of it leaves the browser.

/** What was kept under a name; nothing where the browser keeps nothing, or something else wrote there. */
export function recall(name) {
  try {
    return JSON.parse(localStorage.getItem(`fenestra.${name}`));
  } catch {
    return null;
  }
}

/** Keep a value under a name; returns whether the browser does: it may be full, or told not to keep anything. */
export function keep(name, value) {
  try {
    localStorage.setItem(`fenestra.${name}`, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

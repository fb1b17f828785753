// Explains error responses in plain words.

import { at, make } from "./dom.js";

const WORDS = {
  bad_json: "The service cannot read this request: it is not valid JSON.",
  invalid_unicode: "There is half a character in this text, of a pair that belongs together. No other program could read it, so the service does not take it. Edit the text, and this page mends it.",
  invalid_request: "The service does not accept this request.",
  unknown_or_duplicate_field: "The request names a field that the service does not know.",
  unauthorized: "This service answers only to those who have a key. Reload this page, and give yours as the password.",
  not_found: "The service does not know what was asked for. The model may have been taken away; reload this page.",
  learning_off: "This service does not learn.",
  conflict: "The service is at something else already, or there is nothing to do it with.",
  not_installed: "The service runs without what training needs.",
  too_large: "This is too much for one request. Try a shorter text.",
  rate_limited: "Too many requests from here.",
  overloaded: "The service is busy with others.",
  not_ready: "The service is not ready: its model is loading, or it is about to stop.",
  timeout: "This text took too long. Try a shorter one.",
  internal: "Something went wrong in the service. Its log has the details under the number of this request.",
  unreachable: "The service cannot be reached. Is it running?",
  changed: "The service has changed since this page was loaded. Reload this page.",
};

let missing = false; // whether what is shown is that a part of the page did not come

/** What an error means, and whether it is tried again. */
export function wordsFor({ code, retry = 0 }) {
  const again = retry > 0 ? ` This page asks again in ${retry === 1 ? "a second" : `${retry} seconds`}.` : "";
  return (WORDS[code] ?? "The service did not answer as expected.") + again;
}

/** Show what an error means, and below it what the service said. */
export function complain(refusal) {
  const { code, status, message, id } = refusal;
  at("problem-words").textContent = wordsFor(refusal);
  const said = [status && `${status} ${code}`, message, id && `request ${id}`].filter(Boolean);
  at("problem-said").replaceChildren(...said.map((part) => make("span", "", part)));
  at("problem-said").hidden = said.length === 0;
  at("problem").hidden = false;
  missing = false;
}

/** What is loaded once it is needed; undefined, and said until it comes, where it does not. */
export async function arrived(module) {
  try {
    const found = await module;
    if (missing) content();
    return found;
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error; // a program that is wrong
    complain({ code: error instanceof TypeError ? "unreachable" : "changed" }); // the latter lacks what another part wants
    missing = true;
  }
}

/** Hide the error. */
export function content() {
  at("problem").hidden = true;
  missing = false;
}

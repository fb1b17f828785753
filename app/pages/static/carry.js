// What a link carries, and what this browser remembers: the text, the models, the threshold, the labels.

import { at, copy } from "./dom.js";
import { BadLink, carries, linkTo, readLink } from "./link.js";
import { choose, modelInUse, secondModel } from "./models.js";
import { keep, recall } from "./store.js";

let wanted = {}; // the models of a link, or of the last visit, until it is known which there are

export const say = (words) => (at("notice").textContent = words);

const carried = ({ least, hidden }) => ({ text: at("text").value, model: modelInUse(), second: secondModel(), least, hidden: [...hidden] });

/** Remember the state of the page. Until the models are known, what was remembered is not to be lost. */
export function remember(state) {
  if (modelInUse()) keep("page", carried(state));
}

/** Take up what was carried here; none of it can be trusted to be of the kind that it should be. */
function takeUp(state, given) {
  const { text, model, second, least, hidden } = given ?? {};
  at("text").value = typeof text === "string" ? text : "";
  wanted = { model, second };
  state.least = Number.isInteger(least) && least > 0 && least < 100 ? least : 0;
  state.hidden = new Set(Array.isArray(hidden) ? hidden.filter((label) => typeof label === "string") : []);
  at("least").value = state.least;
  at("least-shown").value = `${state.least} %`;
}

/** Choose the models that are wanted, now that they are known; returns whether others were chosen. */
export function chooseWanted() {
  const { model, second } = wanted;
  wanted = {};
  return choose(model, second);
}

/** Take up the last visit. */
export const resume = (state) => takeUp(state, recall("page"));

/** Take up the link that led here, if one did; its text then stands in the box, and no longer in the address. */
export async function arrive(state) {
  if (!carries(location.hash)) return false;
  const hash = location.hash;
  history.replaceState(null, "", location.pathname + location.search);
  try {
    takeUp(state, await readLink(hash));
    return true;
  } catch (error) {
    if (!(error instanceof BadLink)) throw error;
    say(error.message);
    return false;
  }
}

export async function copyLink(state) {
  try {
    await copy(await linkTo(carried(state)));
    say("The link is copied. It holds the text itself: no server keeps it.");
  } catch (error) {
    if (!(error instanceof BadLink)) throw error;
    say(error.message);
  }
}

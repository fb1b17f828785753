// Shows the model: its name, or a choice if there are several, and a second one to compare it with.

import { at, make } from "./dom.js";
import { learn } from "./labels.js";
import { ask, Refusal } from "./service.js";

const AGAIN_MS = 2000;
let served = [];
let answered = null; // the model of the last response, which may arrive before the list of models

/** The model to request; none is the service's default. */
export function chosenModel() {
  return at("models").hidden ? "" : at("models").value;
}

/** The model to compare with; empty if there is to be none. */
export const secondModel = () => at("second").value;

/** The name of the model in use; empty until the models are known. */
export function modelInUse() {
  return at("models").value;
}

/** The labels that the model in use can give. */
export const labelsInUse = () => served.find(({ name }) => name === modelInUse())?.labels ?? [];

/** Choose models by name; one that is not served is not chosen. Returns whether that changed anything. */
export function choose(model, second = "") {
  const before = [at("models").value, at("second").value];
  if (served.some(({ name }) => name === model)) at("models").value = model;
  at("second").value = second !== at("models").value && served.some(({ name }) => name === second) ? second : "";
  return before[0] !== at("models").value || before[1] !== at("second").value;
}

/** Load the models and their labels; retry while there are none. `onChoose` is called after a person chose. */
export async function greet(onLearnt, onChoose) {
  try {
    const { models } = await ask("models");
    for (const { labels } of models) learn(labels);
    offer(models, onChoose);
    onLearnt();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    at("model").textContent = "No model yet";
    setTimeout(() => greet(onLearnt, onChoose), AGAIN_MS);
  }
}

function offer(models, onChoose) {
  served = models;
  const several = models.length > 1;
  at("models").replaceChildren(...models.map(({ name, default: first }) => option(name, name, first)));
  at("second").replaceChildren(option("", "none", true), ...models.map(({ name }) => option(name, name)));
  for (const id of ["models", "second"]) {
    at(id).addEventListener("change", onChoose);
    at(id).hidden = at(`${id}-label`).hidden = !several;
  }
  draw(answered ?? models.find((model) => model.default) ?? models[0]);
}

function option(value, name, selected = false) {
  const element = make("option", "", name);
  Object.assign(element, { value, selected });
  return element;
}

/** Show which model answered. */
export function named(model) {
  answered = model;
  draw(model);
}

function draw({ name, version }) {
  at("model").textContent = at("models").hidden ? `Model ${name} · ${version}` : version;
}

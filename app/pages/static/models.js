// Shows the model: its name, or a choice if there are several.

import { at, make } from "./dom.js";
import { learn } from "./labels.js";
import { ask, Refusal } from "./service.js";

const AGAIN_MS = 2000;
let answered = null; // the model of the last response, which may arrive before the list of models

/** The model to request; none is the service's default. */
export function chosenModel() {
  return at("models").hidden ? "" : at("models").value;
}

/** The name of the model in use; empty until the models are known. */
export function modelInUse() {
  return at("models").value;
}

/** Load the models and their labels; retry while there are none. */
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
  const several = models.length > 1;
  at("models").replaceChildren(...models.map(({ name, default: first }) => {
    const option = make("option", "", name);
    option.value = name;
    option.selected = first;
    return option;
  }));
  at("models").addEventListener("change", onChoose);
  at("models").hidden = at("models-label").hidden = !several;
  draw(answered ?? models.find((model) => model.default) ?? models[0]);
}

/** Show which model answered. */
export function named(model) {
  answered = model;
  draw(model);
}

function draw({ name, version }) {
  at("model").textContent = at("models").hidden ? `Model ${name} · ${version}` : version;
}

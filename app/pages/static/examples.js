// Example texts in the language of a model.

import { at, button } from "./dom.js";

const ENGLISH = {
  "One name": "Chelsea Clinton moved to Chelsea. Chelsea beat Arsenal on Sunday, said Clinton in Clinton, Iowa.",
  History: "Ada Lovelace met Charles Babbage in London, where the Royal Astronomical Society had given him its Gold Medal.",
  News: "MUNICH 1996-08-22\nSiemens AG said on Thursday it would build a plant in Brazil. \"We expect 1,200 jobs,\" Heinrich von Pierer told Reuters.",
  Sport: "Real Madrid beat Ajax Amsterdam 2-1 on Wednesday. Raúl scored twice before the French referee blew his whistle.",
  Emoji: "just landed in Reykjavík ✈️🇮🇸 — dinner with Björk 🎶 and the crew of @nasa 👩‍🚀 tonight!",
};

const RUSSIAN = {
  "One name": "Александр Пушкин учился в Царском Селе. Теперь этот город называется Пушкин, и автобусы в Пушкин идут из Петербурга.",
  History: "В марте 1869 года Николай Меншуткин рассказал Русскому химическому обществу в Петербурге об открытии Дмитрия Менделеева.",
  News: "ВЛАДИВОСТОК, 3 июня. «Аэрофлот» открывает рейс из Казани. «Билеты уже в продаже», — сказала Анна Соколова агентству ТАСС.",
};

let offered = null;

/** Whether somebody wrote a text, and did not just choose it here. */
const written = (text) => text && ![ENGLISH, RUSSIAN].some((texts) => Object.values(texts).includes(text));

/**
 * Draw the buttons with texts in the language of a model, which only its name tells. `onTry` gets a text.
 * Gives what the box should hold that holds `text`: what someone wrote stays.
 */
export function drawExamples(model, text, onTry) {
  const texts = model === "russian" ? RUSSIAN : ENGLISH;
  if (texts !== offered) {
    const tries = Object.entries(texts).map(([name, example]) => button(name, () => onTry(example)));
    at("examples").replaceChildren(at("examples-name"), ...tries);
  }
  const stays = texts === offered || written(text) || Object.values(texts).includes(text);
  offered = texts;
  return stays ? text : texts["One name"];
}

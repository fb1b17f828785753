// Example texts, and example requests that the service has to refuse.

import { at, make } from "./dom.js";

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

const LIMIT = 100_001; // one more than the default limit
const MARKUP = "<img src=x onerror=alert(1)> Ada Lovelace </script><script>alert(\"London\")</script> javascript:alert(1)";

/** Each has the text to show and, if it is not the usual one, the body to send. */
const FAULTS = {
  "Too long": { text: "London ".repeat(LIMIT / 7 + 1) },
  "Half a character": { text: "Ada \ud83d Lovelace", body: { text: "Ada \ud83d Lovelace" } },
  Empty: { text: "", body: { text: "", details: true } },
  Markup: { text: MARKUP },
  "Not JSON": { text: "Ada Lovelace", body: "{\"text\": \"Ada Lovelace\"" },
  "Unknown label": { text: "Ada Lovelace", body: { text: "Ada Lovelace", labels: ["UNICORN"] } },
};

let offered = { nothing: "" }; // the text in the box before the user has edited it

/**
 * Draw the buttons with texts in the language of a model, which only its name tells. `onTry` gets a text and, for a
 * request made by hand, its body. Gives what the box should hold that holds `text`: what someone wrote stays.
 */
export function drawExamples(model, text, onTry) {
  const texts = model === "russian" ? RUSSIAN : ENGLISH;
  if (texts === offered) return text;
  const button = (name, { text, body }) => {
    const element = make("button", "", name);
    element.type = "button";
    element.addEventListener("click", () => onTry(text, body));
    return element;
  };
  const tries = Object.entries(texts).map(([name, text]) => button(name, { text }));
  at("examples").replaceChildren(at("examples-name"), ...tries);
  at("faults").replaceChildren(...Object.entries(FAULTS).map(([name, fault]) => button(name, fault)));
  const unwritten = Object.values(offered).includes(text);
  offered = texts;
  return unwritten ? texts["One name"] : text;
}

// Texts to try, and requests that a service has to refuse in a good way.

import { at, make } from "./dom.js";

const TEXTS = {
  "One name": "Chelsea Clinton moved to Chelsea. Chelsea beat Arsenal on Sunday, said Clinton in Clinton, Iowa.",
  History: "Ada Lovelace met Charles Babbage in London, where the Royal Astronomical Society had given him its Gold Medal.",
  News: "MUNICH 1996-08-22\nSiemens AG said on Thursday it would build a plant in Brazil. \"We expect 1,200 jobs,\" Heinrich von Pierer told Reuters.",
  Sport: "Real Madrid beat Ajax Amsterdam 2-1 on Wednesday. Raúl scored twice before the French referee blew his whistle.",
  Emoji: "just landed in Reykjavík ✈️🇮🇸 — dinner with Björk 🎶 and the crew of @nasa 👩‍🚀 tonight!",
};

const LIMIT = 100_001; // one more than a service allows unless its settings say otherwise
const MARKUP = "<img src=x onerror=alert(1)> Ada Lovelace </script><script>alert(\"London\")</script> javascript:alert(1)";

/** Each with the text to show and, where it is not the usual one, the body to send. */
const FAULTS = {
  "Too long": { text: "London ".repeat(LIMIT / 7 + 1) },
  "Half a character": { text: "Ada \ud83d Lovelace", body: { text: "Ada \ud83d Lovelace" } },
  Empty: { text: "", body: { text: "", details: true } },
  Markup: { text: MARKUP },
  "Not JSON": { text: "Ada Lovelace", body: "{\"text\": \"Ada Lovelace\"" },
  "Unknown label": { text: "Ada Lovelace", body: { text: "Ada Lovelace", labels: ["UNICORN"] } },
};

export const FIRST = TEXTS["One name"];

/** Draw the buttons. `onTry` gets a text and, for a request made by hand, its body. */
export function drawExamples(onTry) {
  const button = (name, { text, body }) => {
    const element = make("button", "", name);
    element.type = "button";
    element.addEventListener("click", () => onTry(text, body));
    return element;
  };
  at("examples").append(...Object.entries(TEXTS).map(([name, text]) => button(name, { text })));
  at("faults").append(...Object.entries(FAULTS).map(([name, fault]) => button(name, fault)));
}

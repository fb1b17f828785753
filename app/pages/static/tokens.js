// The token view: every word with its tag and score, one of which can be selected.
//
// It is a listbox with a roving tabindex: one stop for the Tab key, and arrows move inside. While a token is
// selected, the arrows move the selection: the window slides along the text.

import { at, make } from "./dom.js";
import { labelOf, tone } from "./labels.js";
import { level } from "./shares.js";

/** Make the view.
 *
 * `onChoose` gets a token's index in the text, or -1 when none is chosen any more, and whether a person pointed at this
 * one, and did not come along with the arrows. `onEdge` gets -1 or 1 where the arrows leave the page, shows the page
 * there, and returns whether there is one.
 */
export function tokenView(onChoose, onEdge) {
  const list = at("tokens");
  let first = 0; // the index in the text of the first token of the page; all else here counts from it
  let tokens = [];
  let options = [];
  let hidden = new Set();
  let chosen = -1;
  let current = 0; // the one that gets the focus by the Tab key
  let levels = new Map(); // a token's start → the strength of its share, in the window that is shown

  /** Write only the classes that differ: writing those of thousands of tokens would be slow. */
  function paint() {
    options.forEach((option, place) => {
      const { tag, start } = tokens[place];
      const label = labelOf(tag);
      const names = ["token"];
      if (label && !hidden.has(label)) names.push("named", tone(label));
      if (tokens[place + 1]?.tag.startsWith("I-")) names.push("goes-on");
      if (tag.startsWith("I-")) names.push("went-on");
      if (levels.has(start)) names.push("pane", `share${levels.get(start)}`);
      if (place === chosen) names.push("chosen");
      const wanted = names.join(" ");
      if (option.className !== wanted) option.className = wanted;
    });
  }

  function makeCurrent(place) {
    options[current]?.setAttribute("tabindex", "-1");
    current = place;
    options[current]?.setAttribute("tabindex", "0");
  }

  function choose(place, pointed = false) {
    options[chosen]?.setAttribute("aria-selected", "false");
    chosen = place;
    if (place >= 0) {
      makeCurrent(place);
      options[place].setAttribute("aria-selected", "true");
    } else {
      levels = new Map();
    }
    paint();
    onChoose(place < 0 ? -1 : first + place, pointed);
  }

  function move(place) {
    const wasChosen = chosen >= 0;
    const back = place < 0;
    if (!options[place]) {
      if (!onEdge(back ? -1 : 1)) return;
      place = back ? options.length - 1 : 0;
    }
    makeCurrent(place);
    options[place].focus();
    if (wasChosen) choose(place);
  }

  /** The token nearest to the current one in the next line of text, up or down; one beyond the page if there is none. */
  function nextLine(step) {
    const { offsetTop: top, offsetLeft: left } = options[current];
    let best = -1;
    for (let place = current + step; options[place]; place += step) {
      const option = options[place];
      if (option.offsetTop === top) continue;
      if (best >= 0 && option.offsetTop !== options[best].offsetTop) break;
      if (best < 0 || Math.abs(option.offsetLeft - left) < Math.abs(options[best].offsetLeft - left)) best = place;
    }
    return best >= 0 ? best : step < 0 ? -1 : options.length;
  }

  function onKey(event) {
    const forward = getComputedStyle(list).direction === "rtl" ? -1 : 1;
    const act = {
      ArrowRight: () => move(current + forward),
      ArrowLeft: () => move(current - forward),
      ArrowDown: () => move(nextLine(1)),
      ArrowUp: () => move(nextLine(-1)),
      Home: () => move(0),
      End: () => move(options.length - 1),
      Enter: () => choose(current, true),
      " ": () => choose(current, true),
    }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  }

  list.addEventListener("keydown", onKey);
  list.addEventListener("click", (event) => {
    const place = options.indexOf(event.target.closest("[role=option]"));
    if (place < 0) return;
    choose(place, true);
    options[place].focus();
  });

  return {
    /** Show the tokens of a page. The selected one stays selected if the same word is still in its place. */
    show(text, newTokens, newHidden, newFirst = 0) {
      const word = newFirst === first ? tokens[chosen]?.text : undefined;
      const changed = tokens !== newTokens;
      hidden = newHidden;
      if (!changed) return paint();
      tokens = newTokens;
      first = newFirst;
      levels = new Map();
      options = tokens.map(tokenOption);
      list.replaceChildren(...withBreaks(text, tokens, options));
      at("words").hidden = at("why").hidden = options.length === 0;
      makeCurrent(Math.max(0, Math.min(current, options.length - 1)));
      const stays = word !== undefined && tokens[chosen]?.text === word;
      if (chosen >= 0) choose(stays ? chosen : -1);
      else paint();
    },
    /** Select the token that begins here, if it is shown. */
    chooseAt(start) {
      const place = tokens.findIndex((token) => token.start === start);
      if (options[place]) choose(place, true);
    },
    /** Tint the words of the window by their shares. */
    tint(window) {
      const shares = window.map(({ share }) => share);
      levels = new Map(window.filter(({ text }) => text !== null).map(({ start, share }) => [start, level(share, shares)]));
      paint();
    },
    /** Clear the selection; the keyboard focus returns to where it was. */
    close() {
      if (chosen < 0) return;
      choose(-1);
      options[current]?.focus();
    },
  };
}

function tokenOption({ text, tag, score }) {
  const percent = (100 * score).toFixed(0);
  const option = make("span", "token",
    make("span", "word", text), " ",
    make("span", "tag", make("b", "", tag), ` ${percent}`),
  );
  option.setAttribute("role", "option");
  option.setAttribute("aria-selected", "false");
  option.setAttribute("aria-label", `${text}: ${tag}, ${percent} percent`);
  option.tabIndex = -1;
  return option;
}

/** Keep the line breaks of the text. */
function withBreaks(text, tokens, options) {
  return options.flatMap((option, place) => {
    const between = place ? text.slice(tokens[place - 1].end, tokens[place].start) : "";
    if (!between.includes("\n")) return [option];
    const line = make("span", "line");
    line.setAttribute("role", "presentation");
    return [line, option];
  });
}

// Opens a file: a short text goes into the box, many texts into a table below.

import { say } from "./carry.js";
import { at } from "./dom.js";
import { arrived } from "./refusals.js";

let many = null; // the module of many texts, once it is needed
let newest = null; // the file that was given last: an earlier one that is read more slowly does not take its place

/** Take files that are chosen or dropped; `page` is what the table needs to know, and `onOpen` puts a text into the box. */
export function takeFiles(page) {
  at("open").addEventListener("click", () => at("file").click());
  at("file").addEventListener("change", () => {
    open(at("file").files[0], page);
    at("file").value = "";
  });
  for (const type of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(type, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      at("write").classList.toggle("over", type === "dragenter" || type === "dragover");
      if (type === "drop") open(event.dataTransfer.files[0], page);
    });
  }
}

/** The threshold, the labels or the model have changed. */
export function redrawMany() {
  many?.refilter();
}

async function open(file, page) {
  if (!file) return; // a folder, or something that is no file
  newest = file;
  const files = await arrived(import("./files.js"));
  if (!files) return;
  try {
    const found = await files.read(file);
    if (newest !== file) return;
    if (found.text !== undefined) {
      page.onOpen(found.text);
      return say(`${file.name} is in the box.`);
    }
    many ??= await arrived(import("./many.js"));
    if (!many || newest !== file) return;
    say(`${file.name} is in the table below.`);
    many.open(found, page);
  } catch (error) {
    if (!(error instanceof files.BadFile)) throw error;
    if (newest === file) say(error.message);
  }
}

// Draws the OpenAPI document. Text nodes only, never markup.

import { at, heading, make } from "./dom.js";
import { tryIt } from "./try.js";

/** Text in which `backticks` mark code. */
function prose(text) {
  return (text ?? "").replaceAll("``", "`").split("`").map((piece, place) => (place % 2 ? make("code", "", piece) : piece));
}

/** Follow a reference inside the document. */
function resolve(api, schema) {
  if (!schema?.$ref) return schema ?? {};
  return schema.$ref.slice(2).split("/").reduce((node, key) => node[key], api);
}

/** A schema's type in words: "text or list of text", "number 0 … 1". */
function type(api, given) {
  const schema = resolve(api, given);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  if ("const" in schema) return JSON.stringify(schema.const);
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return options.filter((option) => option.type !== "null").map((option) => type(api, option)).join(", or ");
  if (schema.type === "array") return `list of ${type(api, schema.items)}`;
  const range = "minimum" in schema && "maximum" in schema ? ` ${schema.minimum} … ${schema.maximum}` : "";
  return (schema.type ?? "any") + range;
}

/** The objects of a schema, behind its options and in its lists; each once. */
function objects(api, given) {
  const schema = resolve(api, given);
  if (schema.properties) return [schema];
  const inner = [...(schema.anyOf ?? schema.oneOf ?? []), ...(schema.items ? [schema.items] : [])];
  return [...new Set(inner.flatMap((one) => objects(api, one)))];
}

/** Rows of a table, one for each field; fields of objects inside follow, with their path. Of what is asked, what must be there. */
function fields(api, given, asked, prefix = "") {
  const properties = objects(api, given).flatMap((schema) =>
    Object.entries(schema.properties).map(([key, field]) => [key, field, asked && schema.required?.includes(key)]));
  return properties.flatMap(([key, field, required]) => {
    const inner = resolve(api, field);
    const item = inner.items ?? inner.anyOf?.find((option) => option.items)?.items;
    const path = `${prefix}${key}${item && objects(api, item).length ? "[]" : ""}`;
    const note = required ? " Required." : "default" in field ? ` Default: \`${JSON.stringify(field.default)}\`.` : "";
    const row = make("tr", "",
      make("td", "", make("code", "", path)),
      make("td", "", type(api, field)),
      make("td", "", ...prose((field.description ?? "") + note)),
    );
    return [row, ...fields(api, field, asked, `${path}.`)];
  });
}

function table(api, schema, { asked = false, first = "Field" } = {}) {
  const rows = fields(api, schema, asked);
  if (!rows.length) return [];
  const head = make("tr", "", ...[first, "Type", "Meaning"].map((title) => heading("col", "", title)));
  return [make("table", "", make("thead", "", head), make("tbody", "", ...rows))];
}

const contentOf = (part) => Object.entries(part?.content ?? {})[0] ?? [];

function parametersPart(api, parameters) {
  const properties = Object.fromEntries((parameters ?? []).map((one) => [one.name, { ...one.schema, description: one.description }]));
  const required = (parameters ?? []).filter((one) => one.required).map((one) => one.name);
  const rows = table(api, { properties, required }, { asked: true });
  return rows.length ? [make("h3", "", "In the address"), ...rows] : [];
}

/** An address to try: a part in braces is its first example, where there is one. */
const tried = (path, parameters) =>
  (parameters ?? []).reduce((known, one) => known.replace(`{${one.name}}`, one.schema.examples?.[0] ?? `{${one.name}}`), path);

function requestPart(api, path, body) {
  const [media, { schema } = {}] = contentOf(body);
  if (!schema) return [];
  const address = new URL(path.slice(1), document.baseURI).href;
  const examples = (resolve(api, schema).examples ?? []).map((example) =>
    make("pre", "", make("code", "", `curl ${address} -H 'Content-Type: ${media}' -d '${JSON.stringify(example)}'`)));
  return [make("h3", "", "Request, ", make("code", "", media)), ...table(api, schema, { asked: true }), make("h3", "", "Examples"), ...examples];
}

function tryPart(api, path, method, { parameters = [], requestBody }) {
  const [media, { schema } = {}] = contentOf(requestBody);
  const inPath = parameters.filter((one) => one.in === "path");
  return tryIt(path, method, { media, examples: resolve(api, schema).examples, parameters: inPath });
}

function headersPart(api, headers) {
  const properties = Object.fromEntries(
    Object.entries(headers ?? {}).map(([name, { schema, description }]) => [name, { ...schema, description }]));
  return table(api, { properties }, { first: "Header" });
}

function responsePart(api, responses) {
  const isAnswer = ([status]) => status.startsWith("2");
  const [[status, answer]] = Object.entries(responses).filter(isAnswer);
  const refusals = Object.entries(responses).filter((one) => !isAnswer(one));
  const [media, { schema, examples } = {}] = contentOf(answer);
  const parts = [make("h3", "", `Answer ${status}, `, make("code", "", media ?? "")), ...table(api, schema),
    ...headersPart(api, answer.headers)];
  const lines = Object.values(examples ?? {}).map(({ value }) => JSON.stringify(value));
  if (lines.length) parts.push(make("pre", "", make("code", "", lines.join("\n"))));
  if (refusals.length) {
    const [, { schema: error } = {}] = contentOf(refusals[0][1]);
    parts.push(make("h3", "", `Otherwise ${refusals.map(([status]) => status).join(", ")}`), ...table(api, error));
  }
  return parts;
}

function operation(api, path, method, details) {
  const title = make("h2", "", make("span", "method", method.toUpperCase()), make("code", "", path));
  const section = make("section", "card operation", title,
    ...(details.description ?? "").split("\n\n").map((paragraph) => make("p", "", ...prose(paragraph))),
    tryPart(api, path, method, details),
    ...parametersPart(api, details.parameters),
    ...requestPart(api, tried(path, details.parameters), details.requestBody),
    ...responsePart(api, details.responses),
  );
  section.id = `${method}-${path.slice(1)}`;
  return section;
}

function draw(api) {
  at("about").replaceChildren(...prose(`${api.info.summary} Version ${api.info.version}. ${api.info.description ?? ""}`));
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, details] of Object.entries(methods)) {
      const section = operation(api, path, method, details);
      const link = make("a", "", `${method.toUpperCase()} ${path}`);
      link.href = `#${section.id}`;
      at("paths").append(make("li", "", link));
      at("operations").append(section);
    }
  }
}

async function start() {
  let api;
  try {
    api = await (await fetch("openapi.json")).json();
  } catch {
    at("about").textContent = "The service cannot be reached. Is it running?";
    return;
  }
  draw(api);
}

start();

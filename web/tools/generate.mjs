// Writes what the pages know of the API from its own document: types, and a list of all commands.
//
// `--check` writes nothing and fails when what is committed differs.

import { readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";

const root = new URL("../", import.meta.url);
const document = JSON.parse(readFileSync(new URL("../assets/openapi.json", root), "utf8"));

/** The schema behind a reference. */
function resolve(schema) {
  if (!schema?.$ref) return schema ?? {};
  return document.components.schemas[schema.$ref.split("/").at(-1)];
}

/** The first schema that is not null, with its references followed. */
function solid(schema) {
  const found = resolve(schema);
  const among = found.oneOf ?? found.anyOf;
  if (!among) return found;
  const useful = among.map(resolve).filter((one) => one.type !== "null");
  return useful.find((one) => one.enum) ?? useful[0] ?? found;
}

/** What a field is, in one word that the form knows. */
function kindOf(schema) {
  const types = [schema.type ?? "object"].flat().filter((type) => type !== "null");
  const type = types[0] ?? "object";
  if (schema.enum) return "choice";
  if (type === "array") {
    const item = solid(schema.items ?? {});
    return [item.type].flat().includes("string") ? "list" : "json";
  }
  if (type === "string" && (schema.maxLength ?? 0) > 2000) return "text";
  return { string: "line", integer: "integer", number: "number", boolean: "boolean" }[type] ?? "json";
}

function fieldsOf(operation) {
  const schema = resolve(operation.requestBody?.content?.["application/json"]?.schema);
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).map(([name, given]) => {
    const found = solid(given);
    const field = { name, kind: kindOf(found), required: required.has(name) };
    if (found.enum) field.choices = found.enum.map(String);
    const about = (given.description ?? found.description ?? "").split("\n")[0];
    return about ? { ...field, about } : field;
  });
}

function operations() {
  const found = [];
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const role = operation["x-required-role"];
      // What reads is a page; what needs no role is for agents and for signing in.
      if (method === "get" || !role || !path.startsWith("/api/v1/")) continue;
      found.push({
        id: operation.operationId,
        method: method.toUpperCase(),
        path,
        summary: operation.summary.replace(/\.$/, ""),
        area: path.split("/")[3],
        // Whoever rules the whole server is an administrator besides.
        role: role === "system" ? "admin" : role,
        scope: operation["x-required-scope"],
        system: role === "system",
        params: [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]),
        fields: fieldsOf(operation),
      });
    }
  }
  return found.sort((one, other) => (one.id < other.id ? -1 : 1));
}

/** Every path that answers a method, as a union of types. */
function union(name, about, is) {
  const paths = Object.keys(document.paths).filter(
    (path) => path.startsWith("/api/v1/") && Object.keys(document.paths[path]).some(is),
  );
  const lines = paths.map((path) => `  | "${path.slice("/api/v1".length)}"`);
  return `/** ${about} */\nexport type ${name} =\n${lines.join("\n")};\n`;
}

const banner = "// Written by `npm run gen` from assets/openapi.json. Do not edit.\n\n";
const files = {
  "src/api/schema.d.ts": banner + astToString(await openapiTS({ ...document, paths: {} })),
  "src/api/paths.gen.ts": `${banner}${union("ReadPath", "What can be read.", (method) => method === "get")}
${union("WritePath", "What can be told to do something.", (method) => method !== "get")}`,
  "src/api/operations.gen.ts":
    `${banner}import type { Operation } from "./operation";\n\n` +
    `export const operations: readonly Operation[] = ${JSON.stringify(operations(), null, 2)};\n`,
};

let stale = false;
for (const [name, text] of Object.entries(files)) {
  const place = new URL(name, root);
  if (!process.argv.includes("--check")) {
    writeFileSync(place, text);
    continue;
  }
  if (readFileSync(place, "utf8") !== text) {
    console.error(`web/${name} is not that of assets/openapi.json; run: npm run gen`);
    stale = true;
  }
}
process.exit(stale ? 1 : 0);

// A JSON object as rows, and the paths that its values have in the API.

export interface Leaf {
  path: string;
  name: string;
  depth: number;
  value: unknown;
  /** How many values lie in it; `null` of what is a value itself. */
  inside: number | null;
}

type Map_ = Record<string, unknown>;

/** Whether other values lie in a value by name; lists are values. */
export const isMap = (value: unknown): value is Map_ => typeof value === "object" && value !== null && !Array.isArray(value);

/** A name as a part of a path: dots in it are no dots between names. */
export const part = (name: string) => name.replace(/[.\\]/g, "\\$&");

/** The names that a path is made of. */
export function namesOf(path: string): string[] {
  const names = [""];
  for (let at = 0; at < path.length; at += 1) {
    const letter = path[at] ?? "";
    if (letter === ".") names.push("");
    else names[names.length - 1] += letter === "\\" ? (path[(at += 1)] ?? "") : letter;
  }
  return names;
}

/** What lies at a path; `undefined` where nothing does. */
export function at(data: unknown, path: string): unknown {
  let found: unknown = data;
  for (const name of namesOf(path)) {
    if (!isMap(found) || !Object.hasOwn(found, name)) return undefined;
    found = found[name];
  }
  return found;
}

/** The rows of an object, in the order of its names; what is closed stands as one row. */
export function rowsOf(data: Map_, isClosed: (path: string) => boolean): Leaf[] {
  const rows: Leaf[] = [];
  const walk = (map: Map_, before: string, depth: number) => {
    for (const name of Object.keys(map).sort()) {
      const value = map[name];
      const path = before ? `${before}.${part(name)}` : part(name);
      const inner = isMap(value) ? value : null;
      rows.push({ path, name, depth, value, inside: inner && Object.keys(inner).length });
      if (inner && !isClosed(path)) walk(inner, path, depth + 1);
    }
  };
  walk(data, "", 0);
  return rows;
}

/** A value in one line. */
export const inLine = (value: unknown) => (value === undefined ? "–" : JSON.stringify(value));

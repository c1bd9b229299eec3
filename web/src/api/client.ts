import type { ReadPath, WritePath } from "./paths.gen";

/** What a request was refused with: RFC 9457, as every error of the API. */
export class ApiProblem extends Error {
  readonly status: number;
  readonly code: string;
  readonly remedy: string;
  readonly fields: readonly { pointer: string; message: string }[];
  readonly files: readonly string[];
  /** Everything that it says. */
  readonly told: Readonly<Record<string, unknown>>;
  /** Seconds after which it may be tried again; 0 when nothing is said of that. */
  readonly wait: number;

  constructor(status: number, told: Record<string, unknown>, wait = 0) {
    super(typeof told.detail === "string" ? told.detail : `The server answered ${status}.`);
    this.name = "ApiProblem";
    this.status = status;
    this.code = typeof told.code === "string" ? told.code : "UNKNOWN";
    this.remedy = typeof told.remedy === "string" ? told.remedy : "";
    this.fields = Array.isArray(told.errors) ? (told.errors as { pointer: string; message: string }[]) : [];
    this.wait = wait;
    this.told = told;
    this.files = Array.isArray(told.files) ? (told.files as string[]) : [];
  }
}

/** The server did not answer at all. */
export class Unreachable extends Error {
  constructor() {
    super("The server does not answer.");
    this.name = "Unreachable";
  }
}

type Value = string | number | boolean | null | undefined;
export type Query = Record<string, Value | readonly string[]>;
export type Params = Record<string, string | number>;

interface Sent {
  params?: Params | undefined;
  query?: Query | undefined;
  body?: unknown;
  signal?: AbortSignal | undefined;
  accept?: string;
  headers?: Record<string, string>;
}

let tenant: string | null = null;

/** Names the tenant that every request from now on is about. */
export function actIn(named: string | null): void {
  tenant = named;
}

/** The tenant that requests are about. */
export function actsIn(): string | null {
  return tenant;
}

/** The path with its parameters filled in, each as one part. */
export function fill(path: string, params: Params = {}): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = params[name];
    if (value === undefined) throw new Error(`${path} needs ${name}`);
    // A file keeps the parts of its path; where a value lies in a context is one part.
    const text = String(value);
    return name === "path" && !path.includes("/keys/") ? text.split("/").map(encodeURIComponent).join("/") : encodeURIComponent(text);
  });
}

export function search(query: Query = {}): string {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) pairs.append(name, String(one));
  }
  const text = pairs.toString();
  return text && `?${text}`;
}

/** A word that nobody else says: one for each command, so that sending it twice does it once. */
export function uniqueKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Leaves for the page that signs in, which comes back here. */
function signIn(): never {
  try {
    sessionStorage.setItem("orchestrator.next", location.pathname + location.search);
  } catch {
    // Whoever keeps nothing begins at the front.
  }
  location.replace("/login");
  throw new Unreachable();
}

/** How often something is asked for that was asked for too often. */
const PATIENT = 4;

/** What is only read is asked for again when the server says that it was too much, and when to. */
async function ask(method: string, path: string, sent: Sent): Promise<Response> {
  for (let times = 1; ; times += 1) {
    try {
      return await askOnce(method, path, sent);
    } catch (error) {
      const isRefused = error instanceof ApiProblem && error.code === "RATE_LIMITED";
      if (!isRefused || method !== "GET" || times === PATIENT) throw error;
      await new Promise((done) => setTimeout(done, Math.min(10, error.wait || times) * 1000));
      if (sent.signal?.aborted) throw error;
    }
  }
}

async function askOnce(method: string, path: string, sent: Sent): Promise<Response> {
  const headers: Record<string, string> = { Accept: sent.accept ?? "application/json", ...sent.headers };
  if (tenant) headers["X-Tenant-ID"] = tenant;
  if (method !== "GET") {
    headers["X-Requested-With"] = "orchestrator";
    headers["Content-Type"] = "application/json";
    if (method === "POST") headers["Idempotency-Key"] ??= uniqueKey();
  }
  let answer: Response;
  try {
    answer = await fetch(`/api/v1${fill(path, sent.params)}${search(sent.query)}`, {
      method,
      headers,
      body: method === "GET" || method === "DELETE" ? null : JSON.stringify(sent.body ?? {}),
      credentials: "same-origin",
      redirect: "error",
      signal: sent.signal ?? null,
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Unreachable();
  }
  if (answer.ok) return answer;
  const told = (await answer.json().catch(() => ({}))) as Record<string, unknown>;
  if (answer.status === 401) signIn();
  throw new ApiProblem(answer.status, told, Number(answer.headers.get("Retry-After") ?? 0));
}

/** Reads something. */
export async function read<T>(path: ReadPath, sent: Omit<Sent, "body"> = {}): Promise<T> {
  const answer = await ask("GET", path, sent);
  return (await answer.json()) as T;
}

/** Reads something as text. */
export async function readText(path: ReadPath, accept: string, sent: Omit<Sent, "body"> = {}): Promise<string> {
  const answer = await ask("GET", path, { ...sent, accept });
  return answer.text();
}

/** Has something done. */
export async function tell<T>(
  method: "POST" | "PUT" | "PATCH" | "DELETE",
  path: WritePath,
  sent: Sent = {},
): Promise<T> {
  const answer = await ask(method, path, sent);
  const text = await answer.text();
  return (text ? JSON.parse(text) : null) as T;
}

/** Has something made that is a file, however large: the browser keeps it. */
export async function fetchFile(method: "GET" | "POST", path: ReadPath | WritePath, accept: string, sent: Sent = {}): Promise<Blob> {
  const answer = await ask(method, path, { ...sent, accept });
  return answer.blob();
}

/** How the server is; open to everybody. */
export async function health<T>(signal?: AbortSignal): Promise<T> {
  try {
    const answer = await fetch("/health", { signal: signal ?? null });
    return (await answer.json()) as T;
  } catch {
    throw new Unreachable();
  }
}

/** Every page of a list, one after the other, up to a bound. */
export async function readAll<T>(path: ReadPath, query: Query = {}, most = 1000): Promise<T[]> {
  const all: T[] = [];
  let cursor: string | null = null;
  do {
    const page: { items: T[]; next_cursor: string | null } = await read(path, {
      query: { ...query, limit: 200, cursor },
    });
    all.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor && all.length < most);
  return all;
}

import type { Role } from "./types";

/** How a field of a command is asked for. */
export type FieldKind =
  | "line"
  | "text"
  | "integer"
  | "number"
  | "boolean"
  | "choice"
  | "list"
  | "json";

/** A field of the body of a command. */
export interface Field {
  readonly name: string;
  readonly kind: FieldKind;
  readonly required: boolean;
  readonly choices?: readonly string[];
  readonly about?: string;
}

/** A command of the API, as its document describes it. */
export interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly summary: string;
  /** What it is about: the first word of its path. */
  readonly area: string;
  readonly role: Role;
  readonly scope: string;
  /** Whether only administrators of the whole server may. */
  readonly system: boolean;
  readonly params: readonly string[];
  readonly fields: readonly Field[];
}

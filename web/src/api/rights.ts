// What the caller may do, as the server will judge it: a button that would be refused is not shown.

import type { Role, Whoami } from "./types";

const levels: Record<Role, number> = { viewer: 1, member: 2, lead: 3, admin: 4 };

export interface Need {
  readonly role: Role;
  readonly scope: string;
  readonly system?: boolean;
}

export function may(who: Pick<Whoami, "role" | "scopes" | "is_system">, need: Need): boolean {
  if (need.system && !who.is_system) return false;
  if (levels[who.role] < levels[need.role]) return false;
  return who.scopes.includes("*") || who.scopes.includes(need.scope);
}

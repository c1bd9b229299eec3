// The pages that there are: what the rail lists, what the keys lead to.

import type { Need } from "../api/rights";

export interface PageInfo {
  path: string;
  name: string;
  /** After `g`. */
  key: string;
  draw: string;
  need: Need;
}

export const pages: readonly PageInfo[] = [
  { path: "/", name: "Overview", key: "o", draw: "M1 1h6v6H1zM9 1h6v4H9zM9 7h6v8H9zM1 9h6v6H1z", need: { role: "viewer", scope: "sessions:read" } },
  { path: "/sessions", name: "Sessions", key: "s", draw: "M1 3h14M1 8h14M1 13h14", need: { role: "viewer", scope: "sessions:read" } },
  { path: "/attention", name: "Attention", key: "a", draw: "M8 1l7 13H1zM8 6v4M8 11.5v1", need: { role: "viewer", scope: "sessions:read" } },
  { path: "/agents", name: "Agents", key: "f", draw: "M3 5h10v8H3zM8 5V1M6 8v2M10 8v2", need: { role: "viewer", scope: "agents:read" } },
  { path: "/contexts", name: "Contexts", key: "c", draw: "M1 1h6v4H1zM9 6h6v4H9zM9 12h6v3H9zM4 5v8.5h5M4 8h5", need: { role: "viewer", scope: "contexts:read" } },
  { path: "/locks", name: "Locks", key: "k", draw: "M2 7h12v8H2zM5 7V4a3 3 0 0 1 6 0v3M8 10v2", need: { role: "viewer", scope: "locks:read" } },
  { path: "/hosts", name: "Hosts", key: "h", draw: "M1 2h14v5H1zM1 9h14v5H1zM4 4.5h1M4 11.5h1M8 4.5h4M8 11.5h4", need: { role: "admin", scope: "system:read", system: true } },
  { path: "/usage", name: "Usage", key: "u", draw: "M1 15V9h3v6M6.5 15V4h3v11M12 15V7h3v8", need: { role: "viewer", scope: "usage:read" } },
  { path: "/audit", name: "Audit", key: "l", draw: "M3 1h10v14H3zM5.5 5h5M5.5 8h5M5.5 11h3", need: { role: "admin", scope: "audit:read" } },
  { path: "/settings", name: "Settings", key: "e", draw: "M1 4h8M13 4h2M9 2v4h4V2zM1 12h2M7 12h8M3 10v4h4v-4z", need: { role: "viewer", scope: "system:read" } },
];

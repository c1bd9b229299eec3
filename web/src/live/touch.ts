// Which of the things that were read an event makes out of date.

import type { StreamEvent } from "../api/types";

/** The first parts of the keys of queries, each at most once. */
export function touched(events: readonly StreamEvent[]): string[][] {
  const keys = new Map<string, string[]>();
  const add = (...key: string[]) => keys.set(key.join("/"), key);
  for (const { type, subject, payload } of events) {
    const [area] = type.split(".");
    const session = typeof payload.session_id === "string" ? payload.session_id : null;
    switch (area) {
      case "session":
        add("sessions");
        add("stats");
        if (type === "session.attention_changed") add("attention");
        break;
      case "agent":
        add("agents");
        break;
      case "usage":
        add("usage");
        add("stats");
        break;
      case "context":
        add("contexts");
        break;
      case "lock":
        add("locks");
        break;
      case "tenant":
        add("tenant");
        if (type.startsWith("tenant.admissions")) add("admissions");
        if (type.startsWith("tenant.key")) add("keys");
        if (type.startsWith("tenant.user")) add("users");
        break;
      default:
        break;
    }
    if (session) add("session", session);
    if (subject.kind === "agent" || subject.kind === "context") add(subject.kind, subject.id);
  }
  return [...keys.values()];
}

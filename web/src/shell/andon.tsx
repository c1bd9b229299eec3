// The andon switch: nothing new is begun until it is released; what runs goes on, or is paused too.

import { useQuery } from "@tanstack/react-query";
import { readAll, tell } from "../api/client";
import { holds } from "../api/queries";
import type { Session } from "../api/types";
import { useConfirm } from "../parts/confirm";
import { stamp } from "../parts/format";
import { useHere } from "./who";

/** Asks every session that is worked on to pause. */
async function pauseAll(): Promise<void> {
  const running = await readAll<Session>("/sessions", { status: ["running", "degraded"] }, 10_000);
  for (const { id, allowed_actions } of running) {
    if (allowed_actions.includes("pause")) await tell("POST", "/sessions/{id}/pause", { params: { id } });
  }
}

export function Andon() {
  const { can, tenant } = useHere();
  const { data } = useQuery({ ...holds, enabled: can({ role: "viewer", scope: "sessions:read" }) });
  const { ask, dialog } = useConfirm();
  const held = data?.items.find((hold) => hold.scope !== "agent");
  const mayHold = can({ role: "lead", scope: "sessions:write" });
  if (!held && !mayHold) return null;
  const hold = () =>
    ask({
      title: "Hold admissions",
      danger: true,
      verb: "Hold",
      reason: "may",
      consequence: (
        <p>
          No session of <strong>{tenant.name}</strong> is given to an agent until this is released. What runs goes on,
          unless it is paused as well.
        </p>
      ),
      fields: (
        <label className="flex items-center gap-2">
          <input type="checkbox" name="pause" /> Pause everything that runs, at the end of its turn
        </label>
      ),
      run: async (reason, form) => {
        await tell("POST", "/admissions/hold", { body: { scope: "tenant", reason: reason || null } });
        if (form.get("pause")) await pauseAll();
      },
    });
  const release = () =>
    ask({
      title: "Release admissions",
      verb: "Release",
      consequence: <p>Sessions that wait are given to agents again, in their order.</p>,
      run: () => tell("POST", "/admissions/release", { body: { scope: held?.scope ?? "tenant" } }),
    });
  return (
    <>
      <button
        type="button"
        className={`andon ${held ? "held" : ""}`}
        disabled={held ? !mayHold || held.scope !== "tenant" : false}
        onClick={held ? release : hold}
        title={
          held
            ? `Held by ${held.held_by} since ${stamp(held.since)}${held.reason ? `: ${held.reason}` : ""}`
            : "Hold admissions"
        }
      >
        {held ? "Held" : "Andon"}
      </button>
      {dialog}
    </>
  );
}

import { useQuery } from "@tanstack/react-query";
import { agents } from "../api/queries";
import type { Session } from "../api/types";
import { useHere } from "../shell/who";

/** Whether a session is worked on by an agent that asks no model, or was. */
export function useSimulated(): (session: Session) => boolean {
  const { can } = useHere();
  const fleet = useQuery({ ...agents, enabled: can({ role: "viewer", scope: "agents:read" }) });
  const played = new Set<string>();
  for (const agent of fleet.data ?? []) if (agent.kind === "simulated") played.add(agent.id);
  return ({ metrics, current_agent_id: agent, tags }) =>
    metrics.simulated ||
    metrics.usage?.simulated === true ||
    tags.includes("simulated") ||
    (agent !== null && agent !== undefined && played.has(agent));
}

// What is read of the API, and how long it counts as read. Keys begin with `of`, then what it is of:
// the stream names the same words when something changes.

import { QueryClient, queryOptions } from "@tanstack/react-query";
import { ApiProblem, health, read, readAll } from "./client";
import type {
  Agent,
  AgentHealth,
  AgentOutlook,
  AgentPool,
  Attempt,
  AttentionItem,
  Budgets,
  Checkpoint,
  Context,
  ContextScope,
  ContextSummary,
  Diff,
  Explanation,
  Health,
  Hold,
  Host,
  Locks,
  Page,
  Session,
  SessionStats,
  SystemInfo,
  Tenant,
  TreeNode,
  UsageReport,
  Whoami,
} from "./types";

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      gcTime: 120_000,
      refetchOnWindowFocus: true,
      // What was refused is refused again; what did not answer may.
      retry: (times, error) => !(error instanceof ApiProblem && error.status < 500) && times < 2,
    },
  },
});

const SLOWLY = 60_000;

export const whoami = queryOptions({
  queryKey: ["whoami"],
  queryFn: ({ signal }) => read<Whoami>("/whoami", { signal }),
  staleTime: Number.POSITIVE_INFINITY,
});

export const tenants = queryOptions({
  queryKey: ["tenants"],
  queryFn: () => readAll<Tenant>("/tenants"),
  staleTime: SLOWLY,
});

export const stats = queryOptions({
  queryKey: ["of", "stats"],
  queryFn: ({ signal }) => read<SessionStats>("/sessions/stats", { signal }),
  refetchInterval: SLOWLY,
});

/** Sessions that are worked on or that were ended last, as far as a page goes. */
export const sessionsWhere = (filter: Record<string, string | readonly string[]>) =>
  queryOptions({
    queryKey: ["of", "sessions", filter],
    queryFn: ({ signal }) => read<Page<Session>>("/sessions", { query: filter, signal }),
    refetchInterval: SLOWLY,
  });

export const session = (id: string) =>
  queryOptions({
    queryKey: ["of", "session", id],
    queryFn: ({ signal }) => read<Session>("/sessions/{id}", { params: { id }, signal }),
    refetchInterval: SLOWLY,
  });

const ofSession = <T>(id: string, name: string, path: Parameters<typeof read>[0]) =>
  queryOptions({
    queryKey: ["of", "session", id, name],
    queryFn: ({ signal }) => read<T>(path, { params: { id }, signal }),
  });

export const attempts = (id: string) =>
  ofSession<Page<Attempt>>(id, "attempts", "/sessions/{id}/attempts");
export const checkpoints = (id: string) =>
  ofSession<Page<Checkpoint>>(id, "checkpoints", "/sessions/{id}/checkpoints");
export const explanation = (id: string) =>
  ofSession<Explanation>(id, "explain", "/sessions/{id}/explain");

export const diff = (id: string, checkpoint: number | null) =>
  queryOptions({
    queryKey: ["of", "session", id, "diff", checkpoint],
    queryFn: ({ signal }) =>
      read<Diff>("/sessions/{id}/diff", { params: { id }, query: { checkpoint }, signal }),
  });

export const attention = queryOptions({
  queryKey: ["of", "attention"],
  queryFn: () => readAll<AttentionItem>("/attention", { state: "open" }),
  refetchInterval: SLOWLY,
});

export const agents = queryOptions({
  queryKey: ["of", "agents"],
  queryFn: () => readAll<Agent>("/agents"),
  refetchInterval: SLOWLY,
});

export const pool = queryOptions({
  queryKey: ["of", "agents", "stats"],
  queryFn: ({ signal }) => read<AgentPool>("/agents/stats", { signal }),
});

export const agent = (id: string) =>
  queryOptions({
    queryKey: ["of", "agent", id],
    queryFn: ({ signal }) => read<Agent>("/agents/{id}", { params: { id }, signal }),
    refetchInterval: SLOWLY,
  });

export const outlook = (id: string) =>
  queryOptions({
    queryKey: ["of", "agent", id, "performance"],
    queryFn: ({ signal }) => read<AgentOutlook>("/agents/{id}/performance", { params: { id }, signal }),
  });

export const agentHealth = (id: string) =>
  queryOptions({
    queryKey: ["of", "agent", id, "health"],
    queryFn: ({ signal }) => read<AgentHealth>("/agents/{id}/health", { params: { id }, signal }),
  });

export const holds = queryOptions({
  queryKey: ["of", "admissions"],
  queryFn: ({ signal }) => read<Page<Hold>>("/admissions", { signal }),
  refetchInterval: SLOWLY,
});

export const usageBy = (group: string, from: string | null, to: string | null) =>
  queryOptions({
    queryKey: ["of", "usage", group, from, to],
    queryFn: ({ signal }) => read<UsageReport>("/usage", { query: { group_by: group, from, to }, signal }),
  });

export const budgets = queryOptions({
  queryKey: ["of", "usage", "budgets"],
  queryFn: ({ signal }) => read<Budgets>("/budgets", { signal }),
});

export const serverHealth = queryOptions({
  queryKey: ["health"],
  queryFn: ({ signal }) => health<Health>(signal),
  refetchInterval: 10_000,
  retry: false,
});

export const systemInfo = queryOptions({
  queryKey: ["info"],
  queryFn: ({ signal }) => read<SystemInfo>("/system/info", { signal }),
  refetchInterval: SLOWLY,
});

/** Contexts of a scope, or of all; oldest first. */
export const contexts = (scope: ContextScope | null) =>
  queryOptions({
    queryKey: ["of", "contexts", scope],
    queryFn: () => readAll<Context>("/contexts", scope ? { scope } : {}),
  });

export const context = (id: string) =>
  queryOptions({
    queryKey: ["of", "context", id],
    queryFn: ({ signal }) => read<Context>("/contexts/{id}", { params: { id }, signal }),
    refetchInterval: SLOWLY,
  });

/** What the contexts of a session hold. */
export const contextsOf = (session: string) =>
  queryOptions({
    queryKey: ["of", "contexts", "session", session],
    queryFn: ({ signal }) =>
      read<ContextSummary>("/contexts/session/{session_id}/summary", { params: { session_id: session }, signal }),
  });

export const locks = queryOptions({
  queryKey: ["of", "locks"],
  queryFn: ({ signal }) => read<Locks>("/locks", { query: { limit: 200 }, signal }),
  refetchInterval: 10_000,
});

/** Nothing tells when a server grows; so it is looked at. */
export const hosts = queryOptions({
  queryKey: ["of", "hosts"],
  queryFn: ({ signal }) => read<Page<Host>>("/hosts", { signal }),
  refetchInterval: 5000,
});

/** The sessions that a session began, and those that they began. */
export const tree = (id: string) =>
  queryOptions({
    queryKey: ["of", "session", id, "tree"],
    queryFn: ({ signal }) => read<TreeNode>("/sessions/{id}/tree", { params: { id }, query: { depth: 10 }, signal }),
  });

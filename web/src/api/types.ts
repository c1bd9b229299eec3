import type { components } from "./schema";

type Schemas = components["schemas"];

export type Agent = Schemas["Agent"];
export type AgentHealth = Schemas["AgentHealth"];
export type AgentKind = Schemas["AgentKind"];
export type AgentOutlook = Schemas["AgentOutlook"];
export type AgentPool = Schemas["AgentPool"];
export type AgentState = Schemas["AgentState"];
export type ApiKey = Schemas["ApiKey"];
export type Attempt = Schemas["Attempt"];
export type AttentionItem = Schemas["AttentionItem"];
export type AuditEntry = Schemas["AuditEntry"];
export type AuditVerdict = Schemas["AuditVerdict"];
export type Budgets = Schemas["Budgets"];
export type Checkpoint = Schemas["Checkpoint"];
export type Context = Schemas["Context"];
export type ContextChange = Schemas["Page_ContextChange"]["items"][number];
export type ContextClash = Schemas["ContextClash"];
export type ContextDiff = Schemas["ContextDiff"];
export type ContextKey = Schemas["ContextKey"];
export type ContextMerge = Schemas["ContextMerge"];
export type ContextScope = Schemas["ContextScope"];
export type ContextSummary = Schemas["ContextSummary"];
export type ContextVersion = Schemas["ContextVersion"];
export type Decision = Schemas["Decision"];
export type Delivery = Schemas["Delivery"];
export type DeliveryState = Schemas["DeliveryState"];
export type Diff = Schemas["Diff"];
export type Explanation = Schemas["Explanation"];
export type FileDiff = Schemas["FileDiff"];
export type Health = Schemas["Health"];
export type Hold = Schemas["Hold"];
export type Host = Schemas["Host"];
export type HostRecycling = Schemas["HostRecycling"];
export type HostServer = Schemas["HostServer"];
export type Invite = Schemas["Invite"];
export type Lock = Schemas["Lock"];
export type LockEdge = Schemas["LockEdge"];
export type LockOwner = Schemas["LockOwner"];
export type Locks = Schemas["Locks"];
export type LogLine = Schemas["LogLine"];
export type MergeReport = Schemas["MergeReport"];
export type MergeStrategy = Schemas["MergeStrategy"];
export type Price = Schemas["Price"];
export type Prices = Schemas["Prices"];
export type Quotas = Schemas["Quotas"];
export type Rebalanced = Schemas["Rebalanced"];
export type Risk = Schemas["Risk"];
export type Role = Schemas["Role"];
export type RoutingCandidate = Schemas["RoutingCandidate"];
export type RoutingDecision = Schemas["RoutingDecision"];
export type Session = Schemas["Session"];
export type SessionStats = Schemas["SessionStats"];
export type SessionStatus = Schemas["SessionStatus"];
export type SessionType = Schemas["SessionType"];
export type StorageUsage = Schemas["StorageUsage"];
export type SystemInfo = Schemas["SystemInfo"];
export type Tenant = Schemas["Tenant"];
export type TenantRetention = Schemas["TenantRetention"];
export type TranscriptEntry = Schemas["TranscriptEntry"];
export type TreeNode = Schemas["TreeNode"];
export type UsageReport = Schemas["UsageReport"];
export type User = Schemas["User"];
export type Webhook = Schemas["Webhook"];
export type Whoami = Schemas["Whoami"];

/** A page of a list, read by cursor. */
export interface Page<T> {
  items: T[];
  next_cursor: string | null;
  has_more: boolean;
  total?: number | null;
}

/** A page of something numbered, read by number. */
export interface SeqPage<T> {
  items: T[];
  next_after: number | null;
  has_more: boolean;
}

/** Something that happened, as the stream and the list of events tell it. */
export interface StreamEvent {
  seq: number;
  type: string;
  subject: { kind: string; id: string };
  timestamp: string;
  payload: Record<string, unknown>;
}

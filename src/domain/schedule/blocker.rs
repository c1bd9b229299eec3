//! Reasons for waiting: every session that waits has at least one.

use crate::closed_enum;

closed_enum!(
    /// Why a session does not run yet.
    BlockerCode {
        NotStarted = "not_started",
        NotBefore = "not_before",
        RetryBackoff = "retry_backoff",
        Paused = "paused",
        QuotaConcurrentSessions = "quota_concurrent_sessions",
        QuotaQueueDepth = "quota_queue_depth",
        QuotaTokens = "quota_tokens",
        QuotaStorage = "quota_storage",
        BudgetExhausted = "budget_exhausted",
        AdmissionsHeld = "admissions_held",
        SlotsFull = "slots_full",
        NoAgentCapability = "no_agent_capability",
        NoAgentTier = "no_agent_tier",
        AllAgentsDegraded = "all_agents_degraded",
        NoAgentCapacity = "no_agent_capacity",
        NoAgentAlive = "no_agent_alive",
        AgentUnavailable = "agent_unavailable",
        ProviderCooldown = "provider_cooldown",
        DependencyUnsatisfied = "dependency_unsatisfied",
        DependencyFailed = "dependency_failed",
        WorkspaceLocked = "workspace_locked",
        HumanPermission = "human_permission",
        HumanQuestion = "human_question",
        HumanReview = "human_review",
        StoreReadOnly = "store_read_only",
        DiskLow = "disk_low",
    }
);

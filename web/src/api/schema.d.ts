// Written by `npm run gen` from assets/openapi.json. Do not edit.

export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * @description An invitation that is accepted.
         * @example {
         *       "full_name": "Ann Other",
         *       "token": "iok_…"
         *     }
         */
        AcceptInvite: {
            /** @description What you are called; as the invitation says when omitted. */
            full_name?: string | null;
            /** @description The secret of the invitation. */
            token: string;
        };
        /**
         * @description How a lock is to be held.
         * @example {
         *       "ttl_seconds": 30,
         *       "wait_seconds": 10
         *     }
         */
        AcquireLock: {
            /** @description At most 64 KiB; kept as it is. */
            metadata?: Record<string, never> | null;
            mode?: components["schemas"]["LockMode"] | null;
            /** @description What people call the holder; the name of the key when omitted. */
            owner?: string | null;
            /**
             * Format: int32
             * @description Higher ones come first; 0 when omitted.
             */
            priority?: number | null;
            /** @description Id or code of a session: the lock ends with it. */
            session_id?: string | null;
            /**
             * Format: int64
             * @description How long it lasts unless it is renewed; 30 when omitted.
             */
            ttl_seconds?: number | null;
            /**
             * Format: int64
             * @description How long to wait for it, 0 to try once; 10 when omitted.
             */
            wait_seconds?: number | null;
        };
        /**
         * @description Which locks are to be held, and how.
         * @example {
         *       "names": [
         *         "build",
         *         "deploy/staging"
         *       ]
         *     }
         */
        AcquireLocks: {
            /** @description At most 64 KiB; kept as it is. */
            metadata?: Record<string, never> | null;
            mode?: components["schemas"]["LockMode"] | null;
            /** @description All of them, or none; each once. */
            names: string[];
            /** @description What people call the holder; the name of the key when omitted. */
            owner?: string | null;
            /**
             * Format: int32
             * @description Higher ones come first; 0 when omitted.
             */
            priority?: number | null;
            /** @description Id or code of a session: the locks end with it. */
            session_id?: string | null;
            /**
             * Format: int64
             * @description How long they last unless they are renewed; 30 when omitted.
             */
            ttl_seconds?: number | null;
            /**
             * Format: int64
             * @description How long to wait for them, 0 to try once; 10 when omitted.
             */
            wait_seconds?: number | null;
        };
        /**
         * @description What a task needs of another one of its session.
         * @example {
         *       "dependency_type": "finish_to_start",
         *       "target_task_id": "0198f3a0-5b1c-7c3e-8f00-0123456789b0"
         *     }
         */
        AddDependency: {
            dependency_type?: components["schemas"]["DependencyType"] | null;
            depends_on_task_id?: components["schemas"]["TaskId"] | null;
            /** @description For people. */
            description?: string | null;
            /** @description Whether it gates; true when omitted. */
            is_required?: boolean | null;
            target_task_id?: components["schemas"]["TaskId"] | null;
        };
        /**
         * @description What to hold or to release.
         * @example {
         *       "reason": "the provider is down",
         *       "scope": "tenant"
         *     }
         */
        Admission: {
            /** @description The agent, by id or name, when the scope is `agent`. */
            agent?: string | null;
            /** @description For people and the audit. */
            reason?: string | null;
            /**
             * @description How far it reaches: `instance` needs a system administrator, `tenant` an administrator,
             *     `agent` a lead.
             */
            scope: components["schemas"]["HoldScope"];
        };
        /** @description A unit that can be given sessions. */
        Agent: {
            agent_type: components["schemas"]["AgentType"];
            /** @description A lead let it in. */
            approved: boolean;
            avoided_technologies: string[];
            /** @description Whether it is kept from work after failures. */
            breaker: components["schemas"]["BreakerState"];
            /** @description Both lists together, each capability once. */
            capabilities: string[];
            complexity_preference: components["schemas"]["ComplexityPreference"];
            /** @description Settings of the driver; values of `env` are shown only where they name a variable, as in `$NAME`. */
            config: Record<string, never>;
            created_at: components["schemas"]["Timestamp"];
            deleted_at: components["schemas"]["Timestamp"] | null;
            /** @description For people. */
            description: string | null;
            /** @description It ends what it has, and gets nothing new. */
            draining: boolean;
            heartbeat_status: components["schemas"]["HeartbeatStatus"] | null;
            id: components["schemas"]["AgentId"];
            /** @description It may be given work at all. */
            is_active: boolean;
            /** @description It comes from the settings of the server, which say what it is. */
            is_built_in: boolean;
            /** @description It speaks the protocol for external agents. */
            is_external: boolean;
            /** @description Which driver speaks to it. */
            kind: components["schemas"]["AgentKind"];
            last_heartbeat_at: components["schemas"]["Timestamp"] | null;
            last_probe: components["schemas"]["AgentProbe"] | null;
            load: components["schemas"]["AgentLoad"];
            /** @description It is worked on, and gets nothing new. */
            maintenance_mode: boolean;
            /**
             * Format: int32
             * @description Sessions that it takes at once.
             */
            max_concurrent_capacity: number;
            /** Format: double */
            max_task_duration_hours: number;
            /** Format: int32 */
            max_tokens: number;
            metadata: Record<string, never>;
            /** Format: double */
            min_quality_threshold: number;
            /** @description `provider/model`; null for the driver's own. */
            model_identifier: string | null;
            /**
             * @description `AGENT-…`, unique among the agents of the tenant.
             * @example AGENT-CODE-01
             */
            name: string;
            performance: components["schemas"]["AgentPerformance"] | null;
            /** @description How good it is, by the newest hundred assignments that ended on it; `competent` before five did. */
            performance_tier: components["schemas"]["PerformanceTier"];
            preferred_session_types: components["schemas"]["SessionType"][];
            preferred_technologies: string[];
            primary_capabilities: string[];
            removal_due_at: components["schemas"]["Timestamp"] | null;
            /** @description Why it is to be removed. */
            removal_reason: string | null;
            /**
             * Format: int64
             * @description Counts the accepted changes.
             */
            revision: number;
            secondary_capabilities: string[];
            /** @description One word for how it is, by the first that fits. */
            state: components["schemas"]["AgentState"];
            /** @description Empty for the driver's own. */
            system_prompt_template: string;
            /** Format: double */
            temperature: number;
            tenant_id: components["schemas"]["TenantId"];
            /** @description Too little is known for a judgement; null where nobody looked. */
            tier_provisional: boolean | null;
            updated_at: components["schemas"]["Timestamp"];
            /** @description Version of its software, as it was registered. */
            version: string;
        };
        /**
         * @description Work that is given back.
         * @example {
         *       "fencing_token": 7,
         *       "reason": "no room"
         *     }
         */
        AgentGivesBack: {
            /**
             * Format: int64
             * @description As in the assignment.
             */
            fencing_token: number;
            /** @description Why. */
            reason: string | null;
        };
        /** @description What is wrong with an agent. */
        AgentHealth: {
            agent_id: components["schemas"]["AgentId"];
            agent_name: string;
            /** @description Nothing is wrong. */
            is_healthy: boolean;
            issues: components["schemas"]["AgentIssue"][];
            /**
             * Format: double
             * @description Since it was heard, or given work; null when it never was.
             */
            last_active_hours: number | null;
            load_level: components["schemas"]["LoadLevel"];
            performance_tier: components["schemas"]["PerformanceTier"];
            /**
             * Format: double
             * @description 0 to 1; null before anything was finished.
             */
            success_rate: number | null;
            timestamp: components["schemas"]["Timestamp"];
            /**
             * Format: double
             * @description 1 is all of its capacity.
             */
            utilization: number;
        };
        /**
         * @description How an agent is.
         * @example {
         *       "current_load": 0.2,
         *       "status": "healthy"
         *     }
         */
        AgentHeartbeat: {
            /**
             * Format: double
             * @description 0 to 1; 0 when omitted.
             */
            current_load: number | null;
            /** @description Figures of its own. */
            metrics: Record<string, never>;
            /** @description `healthy`, `degraded`, `busy` or `offline`. */
            status: string;
            /**
             * Format: int32
             * @description Pieces of work that it has; 0 when omitted.
             */
            tasks_in_progress: number | null;
            timestamp: components["schemas"]["Timestamp"] | null;
        };
        /** @description The answer to a report. */
        AgentHeeded: {
            /** @description It is to come to an end. */
            cancel_requested: boolean;
            /** @description Until then nobody else is given the work. */
            lease_expires_at: components["schemas"]["Timestamp"];
            /** @description What else it is to know. */
            notices: {
                [key: string]: unknown;
            }[];
        };
        /**
         * Format: uuid
         * @example 0198f3a0-5b1c-7c3e-8f00-0123456789ac
         */
        AgentId: string;
        /** @description One thing that is wrong. */
        AgentIssue: {
            /** @description In words. */
            message: string;
            /** @description How bad it is. */
            severity: components["schemas"]["AgentIssueSeverity"];
            /** @description What. */
            type: components["schemas"]["AgentIssueType"];
        };
        /** @enum {string} */
        AgentIssueSeverity: "warning" | "critical";
        /** @enum {string} */
        AgentIssueType: "performance_degradation" | "overloaded" | "inactive" | "low_success_rate";
        /** @enum {string} */
        AgentKind: "opencode" | "eap" | "acp" | "command" | "simulated";
        /** @description What an agent works on. */
        AgentLoad: {
            /** @description Whether it takes one more of complexity 1. */
            can_accept_task: boolean;
            /** Format: int32 */
            current_concurrent_tasks: number;
            load_level: components["schemas"]["LoadLevel"];
            /**
             * Format: double
             * @description Sum of their complexities.
             */
            load_units: number;
            /** Format: int32 */
            max_concurrent_capacity: number;
            /** @description Sessions that wait for it and nobody else. */
            queue_length: number;
            /** Format: double */
            utilization_percentage: number;
        };
        /** @description How an agent does. */
        AgentOutlook: {
            agent_id: components["schemas"]["AgentId"];
            agent_name: string;
            agent_type: components["schemas"]["AgentType"];
            average_cost_per_task: components["schemas"]["Usd"] | null;
            /** Format: double */
            average_quality_score: number | null;
            /** Format: double */
            average_tokens_per_task: number | null;
            load_level: components["schemas"]["LoadLevel"];
            /** @description Everything that is counted. */
            performance: components["schemas"]["AgentPerformance"];
            performance_tier: components["schemas"]["PerformanceTier"];
            /** @description What would help it. */
            recommendations: string[];
            /**
             * Format: double
             * @description 0 to 1; null before anything was finished.
             */
            success_rate: number | null;
            success_rate_trend: components["schemas"]["Trend"];
            /** Format: int32 */
            tasks_completed: number;
            /**
             * Format: int32
             * @description Since 00:00 UTC.
             */
            tasks_completed_today: number;
            /** Format: int32 */
            tasks_in_progress: number;
            /** @description Too little is known for a judgement. */
            tier_provisional: boolean;
            /** Format: double */
            utilization_percentage: number;
        };
        /** @description What came of the work of an agent. */
        AgentPerformance: {
            /** Format: double */
            average_execution_time_seconds: number | null;
            /** Format: double */
            average_quality_score: number | null;
            capability_success_rates: {
                [key: string]: number;
            };
            /** Format: double */
            code_coverage_impact: number | null;
            /**
             * Format: double
             * @description Only complete successes count.
             */
            complete_success_rate: number;
            cost_per_task_usd: components["schemas"]["Usd"] | null;
            /** Format: double */
            efficiency_trend_30d: number | null;
            /** Format: int32 */
            failed_tasks: number;
            /**
             * Format: double
             * @description A partial success counts half; 0 before anything was finished.
             */
            overall_success_rate: number;
            /** Format: int32 */
            partially_successful_tasks: number;
            /** Format: double */
            performance_improvement_score: number | null;
            /** Format: double */
            quality_trend_30d: number | null;
            /** Format: double */
            security_improvement_score: number | null;
            /**
             * Format: double
             * @description Change a day.
             */
            success_rate_trend_30d: number | null;
            /** Format: int32 */
            successful_tasks: number;
            /** Format: int32 */
            tasks_completed_today: number;
            technology_success_rates: {
                [key: string]: number;
            };
            /** Format: double */
            tokens_per_task: number | null;
            total_cost_usd: components["schemas"]["Usd"];
            /** Format: int32 */
            total_tasks: number;
            /** Format: int64 */
            total_tokens_used: number;
            /** @description What the trends mean. */
            trends: components["schemas"]["AgentTrends"];
        };
        /** @description All agents of a tenant together. */
        AgentPool: {
            agents_by_capability: {
                [key: string]: number;
            };
            agents_by_load_level: {
                [key: string]: number;
            };
            agents_by_state: {
                [key: string]: number;
            };
            agents_by_tier: {
                [key: string]: number;
            };
            agents_by_type: {
                [key: string]: number;
            };
            /** @description They have room for more, and may be given it. */
            available_agents: number;
            /**
             * Format: double
             * @description Mean over the agents that have finished work; null before any has.
             */
            average_success_rate: number | null;
            busy_agents: number;
            degraded_agents: number;
            last_updated: components["schemas"]["Timestamp"];
            /**
             * Format: double
             * @description Of all capacity together; null without agents.
             */
            overall_utilization: number | null;
            total_agents: number;
        };
        /** @description What a probe of an agent found. */
        AgentProbe: {
            /** @description When it was looked at. */
            at: components["schemas"]["Timestamp"];
            /** @description Why not, when it could not. */
            error: string | null;
            /** @description Whether it could work. */
            is_alive: boolean;
            /**
             * Format: int64
             * @description How long the look took.
             */
            took_ms: number;
            /** @description Version of its software, when it could. */
            version: string | null;
        };
        /**
         * @description What an agent tells of its work.
         * @example {
         *       "events": [
         *         {
         *           "percentage": 50,
         *           "type": "progress"
         *         }
         *       ],
         *       "fencing_token": 7
         *     }
         */
        AgentReport: {
            /** @description 1 to 500: `progress`, `log`, `phase`, `usage`, `question`, `turn_end`; others are left out. */
            events: {
                [key: string]: unknown;
            }[];
            /**
             * Format: int64
             * @description As in the assignment.
             */
            fencing_token: number;
        };
        /**
         * @description What came of a piece of work.
         * @example {
         *       "cost_usd": 0.01,
         *       "fencing_token": 7,
         *       "output_data": {
         *         "summary": "done"
         *       },
         *       "status": "completed",
         *       "task_id": "01890000-0000-7000-8000-000000000000",
         *       "tokens_used": 1200
         *     }
         */
        AgentResult: {
            /** @description Files: `path`, `content`, and `mime_type` and `encoding` (`utf-8` or `base64`) when they differ. */
            artifacts: {
                [key: string]: unknown;
            }[] | null;
            /** Format: double */
            cost_usd: number | null;
            error_message: string | null;
            /**
             * Format: int64
             * @description Figures may also stand below `metrics`.
             */
            execution_time_ms: number | null;
            /**
             * Format: int64
             * @description As in the assignment.
             */
            fencing_token: number;
            output_data: Record<string, never>;
            partial: boolean | null;
            /** Format: double */
            quality_score: number | null;
            /** @description Whether another try may help; true when omitted. */
            retryable: boolean | null;
            /** @description `completed` or `failed`. */
            status: string;
            /** Format: double */
            success_rate: number | null;
            /** @description As in the assignment. */
            task_id: string;
            /** Format: int64 */
            tokens_used: number | null;
        };
        /** @description A result is stored. */
        AgentResultAccepted: {
            /** @description `true`. */
            accepted: boolean;
            /** @description Where the session stands because of it. */
            session_status: components["schemas"]["SessionStatus"];
        };
        /** @enum {string} */
        AgentState: "inactive" | "maintenance" | "draining" | "offline" | "degraded" | "busy" | "active" | "idle";
        /** @description New tokens of an agent. */
        AgentTokens: {
            /** @description What the agent is to show, told once. */
            auth_token: string;
            /** @description What this server shows to it. */
            dispatch_token: string | null;
            /** @description Until then the old one is accepted, too. */
            previous_valid_until: components["schemas"]["Timestamp"];
        };
        /** @description What the trends of an agent mean. */
        AgentTrends: {
            efficiency: components["schemas"]["Trend"];
            quality: components["schemas"]["Trend"];
            success_rate: components["schemas"]["Trend"];
        };
        /** @enum {string} */
        AgentType: "architect" | "implementer" | "reviewer" | "debugger" | "integrator" | "orchestrator" | "analyst" | "optimizer";
        /** @description A key that programs and people act with. */
        ApiKey: {
            /** @description When it was made. */
            created_at: components["schemas"]["Timestamp"];
            /** @description Who made it. */
            created_by: string;
            expires_at: components["schemas"]["Timestamp"] | null;
            /** @description Its identity. */
            id: components["schemas"]["KeyId"];
            /** @description May act in every tenant. */
            is_system: boolean;
            /** @description What it opens. */
            kind: components["schemas"]["KeyKind"];
            last_used_at: components["schemas"]["Timestamp"] | null;
            /** @description For people. */
            name: string;
            /**
             * @description From where it is accepted; from anywhere when empty.
             * @example [
             *       "10.0.0.0/8"
             *     ]
             */
            networks: string[];
            opened_by: components["schemas"]["KeyId"] | null;
            /** @description The first twelve characters of its secret, by which people recognise it. */
            prefix: string;
            previous_secret_until: components["schemas"]["Timestamp"] | null;
            /**
             * Format: int64
             * @description Counts the accepted changes.
             */
            revision: number;
            revoked_at: components["schemas"]["Timestamp"] | null;
            /** @description Its rights. */
            role: components["schemas"]["Role"];
            /**
             * @description What it may be used for: `*`, `<area>:read`, `<area>:write`, `agents:register`, `metrics`.
             * @example [
             *       "sessions:read",
             *       "sessions:write"
             *     ]
             */
            scopes: string[];
            /**
             * @description The key itself, `iok_…`. Only in the answer to creation and rotation; a repetition of such a
             *     request does not show it again.
             */
            secret: string | null;
            /** @description Whose it is. */
            tenant_id: components["schemas"]["TenantId"];
            user_id: components["schemas"]["UserId"] | null;
        };
        /** @description A file that an agent brought back. */
        Artifact: {
            /**
             * Format: int32
             * @description The attempt that it came of.
             */
            attempt: number;
            /** @description When it came. */
            created_at: components["schemas"]["Timestamp"];
            /** @description What the agent says that it is. */
            mime_type: string;
            /** @description Relative, its parts joined by `/`. */
            path: string;
            /** @description Of its bytes, in hexadecimal digits. */
            sha256: string;
            /**
             * Format: int64
             * @description Bytes.
             */
            size: number;
        };
        /** @description All files that agents brought back for a session. */
        Artifacts: {
            /** @description By path. */
            items: components["schemas"]["Artifact"][];
        };
        /** @description To whom a task is given. */
        AssignTask: {
            /** @description Id or name; routing chooses when omitted. */
            agent?: string | null;
            /** @description For people. */
            reason?: string | null;
        };
        /** @description A piece of work, or a notice; `kind` tells which. */
        Assignment: {
            /**
             * Format: int32
             * @description Number of the attempt.
             */
            attempt: number;
            /** @description `session`, `shared`, and when there are any `workspace` and `resume`. */
            context: Record<string, never>;
            /**
             * Format: int64
             * @description The right to the work, to be shown with everything that is told of it.
             */
            fencing_token: number;
            /** @description The same work comes with the same key, should it come twice. */
            idempotency_key: string;
            /** @description What to do. */
            input_data: string;
            /**
             * @description `task` for a piece of work; `cancel`, `lock_lost`, `rotate_token`, `drain` or `answer` for a notice,
             *     which has fields of its own.
             */
            kind: string;
            /** @description Until then nobody else is given it; every call of the agent begins the lease anew. */
            lease_expires_at: components["schemas"]["Timestamp"];
            /** @description Capabilities, then tags. */
            requirements: string[];
            /** @description The session that it is about. */
            session_id: string;
            /** @description What it is called; the same for every attempt. */
            task_id: string;
            /** @description `session_execution`. */
            task_type: string;
            /**
             * Format: int64
             * @description What is left of its time.
             */
            timeout_seconds: number;
        };
        /** @description One run of a session, from dispatch to its end. */
        Attempt: {
            ended_at: components["schemas"]["Timestamp"] | null;
            error: components["schemas"]["SessionError"] | null;
            /** @description Its leases in order of granting. */
            leases: components["schemas"]["Lease"][];
            /**
             * Format: int32
             * @description 1, 2, …
             */
            number: number;
            /** @description The status it ended in. */
            outcome: string | null;
            /**
             * Format: int64
             * @description The checkpoint that it went on from.
             */
            resumed_from_checkpoint: number | null;
            /** @description Whose attempt. */
            session_id: components["schemas"]["SessionId"];
            /**
             * Format: int32
             * @description Reports that came with an older token.
             */
            stale_reports: number;
            /** @description When it was dispatched. */
            started_at: components["schemas"]["Timestamp"];
            usage: components["schemas"]["Usage"] | null;
        };
        /** @enum {string} */
        Attention: "none" | "permission_required" | "question" | "review_required" | "budget_soft_limit";
        /**
         * Format: uuid
         * @example 0198f3a0-5b1c-7c3e-8f00-0123456789ad
         */
        AttentionId: string;
        /** @description Something that waits for a person. */
        AttentionItem: {
            /** @description The text of an answer. */
            answer: string | null;
            /**
             * Format: int32
             * @description Raised during this attempt.
             */
            attempt: number;
            /** @description Whether the agent stands still until it is settled. */
            blocks: boolean;
            /** @description When it was raised. */
            created_at: components["schemas"]["Timestamp"];
            /** @description When the default is taken. */
            deadline: components["schemas"]["Timestamp"];
            decision: components["schemas"]["Decision"] | null;
            /** @description The decisions that it takes; empty once it is settled. */
            decisions: components["schemas"]["Decision"][];
            /** @description What is decided then. */
            default_decision: components["schemas"]["Decision"];
            /** @description SHA-256 of exactly what is asked, for `resolve`: a decision about anything else settles nothing. */
            fingerprint: string;
            /** @description Its identity. */
            id: components["schemas"]["AttentionId"];
            /** @description What it is about. */
            kind: components["schemas"]["AttentionKind"];
            /** @description The facts, as the agent gave them. */
            payload: Record<string, never>;
            resolved_at: components["schemas"]["Timestamp"] | null;
            /** @description Who decided; `deadline` when the default was taken. */
            resolved_by: string | null;
            /**
             * Format: int64
             * @description Counts the accepted changes.
             */
            revision: number;
            /** @description How much could go wrong. */
            risk: components["schemas"]["Risk"];
            /** @description Which session. */
            session_id: components["schemas"]["SessionId"];
            /** @description Where it stands. */
            state: components["schemas"]["AttentionState"];
            /** @description Whose session. */
            tenant_id: components["schemas"]["TenantId"];
            /** @description One line for people. */
            title: string;
        };
        /** @enum {string} */
        AttentionKind: "permission" | "question" | "review" | "budget";
        /** @enum {string} */
        AttentionState: "open" | "resolved" | "expired";
        /** @description Who acted. */
        AuditActor: {
            /** @description Its id, or the name of a part of the server. */
            id: string;
            /** @description Id of the key that a user acted with. */
            key: string | null;
            /** @description `key`, `user`, `system`, `agent` or `supervisor`; `peer` for somebody who was not recognised. */
            kind: string;
            /** @description The role that it acted in. */
            role: string | null;
        };
        /** @description What somebody did, or was refused. */
        AuditEntry: {
            /**
             * @description The verb.
             * @example pause
             */
            action: string;
            /** @description Who. */
            actor: components["schemas"]["AuditActor"];
            /** @description What stood afterwards. */
            after: Record<string, never> | null;
            /** @description When. */
            at: components["schemas"]["Timestamp"];
            /** @description What stood before, as far as it matters. */
            before: Record<string, never> | null;
            /** @description SHA-256 of `prev_hash` and the canonical JSON of the entry without its two hashes. */
            hash: string;
            /** @description Its identity. */
            id: components["schemas"]["AuditId"];
            /** @description `ok` or `refused`. */
            outcome: string;
            /** @description Hash of the entry before; 64 zeros for the first. */
            prev_hash: string;
            /** @description The reason that was given. */
            reason: string | null;
            /** @description The request that asked for it. */
            request_id: string | null;
            /**
             * Format: int64
             * @description Its number in the tenant, from 1 without gap.
             */
            seq: number;
            /** @description To what. */
            subject: components["schemas"]["EventSubject"];
            /** @description In whose chain it stands. */
            tenant_id: components["schemas"]["TenantId"];
        };
        /**
         * Format: uuid
         * @example 0198f3a0-5b1c-7c3e-8f00-0123456789ae
         */
        AuditId: string;
        /** @description What a look along the whole chain found. */
        AuditVerdict: {
            /**
             * @description Public key (Ed25519, hex) of the signature that vouches for those that were removed, and stands
             *     among the next entries; null when none was.
             */
            begins_signed_by: string | null;
            /** @description Whether the first ever written is among them; of those that are not there, nothing is said. */
            complete: boolean;
            /**
             * Format: int64
             * @description Entries that are, from the first on.
             */
            entries: number;
            /**
             * Format: int64
             * @description Number of the first: 1 unless the oldest were removed by retention.
             */
            first: number;
            /**
             * Format: int64
             * @description Number of the first entry that is missing, out of place, unreadable or changed.
             */
            first_bad: number | null;
            /** @description Hash of the last of them; who keeps it sees later that none of them was taken away. */
            head: string;
            /** @description Whether every entry is as it was written. */
            intact: boolean;
            /** @description Public key (Ed25519, hex) of that signature; who keeps it can verify an export elsewhere. */
            signed_by: string | null;
            /**
             * Format: int64
             * @description Number of the newest entry that this server's signature stands for: entries up to there cannot
             *     have been written anew. New entries are signed within a minute or so.
             */
            signed_up_to: number | null;
            /**
             * Format: int64
             * @description Number of the first entry that is not signed yet: those from there on can have been written anew.
             */
            unsigned_from: number | null;
            unsigned_since: components["schemas"]["Timestamp"] | null;
        };
        /** @description A reason for waiting. */
        Blocker: {
            /** @description Stable word. */
            code: components["schemas"]["BlockerCode"];
            /** @description A command that does it. */
            command: string | null;
            /** @description Id of what it waits for. */
            object: string | null;
            /** @description What helps. */
            remedy: string;
            since: components["schemas"]["Timestamp"] | null;
            /** @description For people. */
            text: string;
        };
        /** @enum {string} */
        BlockerCode: "not_started" | "not_before" | "retry_backoff" | "paused" | "quota_concurrent_sessions" | "quota_queue_depth" | "quota_tokens" | "quota_storage" | "budget_exhausted" | "admissions_held" | "slots_full" | "no_agent_capability" | "no_agent_tier" | "all_agents_degraded" | "no_agent_capacity" | "no_agent_alive" | "agent_unavailable" | "provider_cooldown" | "dependency_unsatisfied" | "dependency_failed" | "workspace_locked" | "human_permission" | "human_question" | "human_review" | "store_read_only" | "disk_low";
        /** @enum {string} */
        BreakerState: "closed" | "open" | "half_open";
        /** @enum {string} */
        BudgetLevel: "free" | "soft" | "hard";
        /** @description What the tenant may use this month, and has used. What was simulated counts nothing. */
        Budgets: {
            /** @description The quota. */
            max_tokens_per_month: components["schemas"]["TokenBudget"];
            /** @description The budget. */
            monthly_budget_usd: components["schemas"]["CostBudget"];
            /**
             * @description The month of UTC.
             * @example 2026-01
             */
            period: string;
            /** @description When the next month begins, with nothing used. */
            period_ends_at: components["schemas"]["Timestamp"];
            /** @description Whose. */
            tenant_id: components["schemas"]["TenantId"];
        };
        /** @description A point that a session can be restored to, forked from or resumed at. */
        Checkpoint: {
            /** @description The last message of it that belongs to this point. */
            agent_message_ref: string | null;
            /** @description The agent's own conversation. */
            agent_session_ref: string | null;
            /** @description Versions of the shared contexts at that moment. */
            context_versions: {
                [key: string]: number;
            };
            /** @description When it was taken. */
            created_at: components["schemas"]["Timestamp"];
            /** @description State; caller metadata lies under `_metadata`. */
            data: Record<string, never>;
            /** @description Its identity. */
            id: components["schemas"]["CheckpointId"];
            /**
             * Format: int64
             * @description From 1, rising even after older ones were dropped.
             */
            sequence: number;
            /** @description Whose it is. */
            session_id: components["schemas"]["SessionId"];
            /** @description SHA-256 of the canonical state, lower-case hex. */
            state_hash: string;
            /** @description What for. */
            trigger: components["schemas"]["CheckpointTrigger"];
            /** @description Git commit of the workspace; null without git. */
            workspace_ref: string | null;
        };
        /**
         * Format: uuid
         * @example 0198f3a0-5b1c-7c3e-8f00-0123456789ae
         */
        CheckpointId: string;
        /** @enum {string} */
        CheckpointTrigger: "start" | "turn" | "periodic" | "pause" | "stop" | "failure" | "manual";
        /** @description What one class takes. */
        ClassUsage: {
            /**
             * Format: int64
             * @description Bytes of records, keys and what finds them; null for a store without a file.
             */
            bytes: number | null;
            /** @description Which. */
            class: string;
            /**
             * Format: int64
             * @description Records.
             */
            rows: number;
        };
        /**
         * @description Finished work, declared by a person.
         * @example {
         *       "reason": "fixed manually",
         *       "result": {
         *         "summary": "done by hand"
         *       }
         *     }
         */
        Complete: {
            /**
             * Format: double
             * @description How sure that is.
             */
            confidence_score?: number | null;
            /** @description Why it is completed by force; audited. */
            reason: string;
            /** @description What the work gave. */
            result: Record<string, never>;
            /**
             * Format: double
             * @description 1 when omitted.
             * @default 1
             */
            success_rate: number | null;
        };
        /** @description What a task gave. */
        CompleteTask: {
            /** @description A JSON object, at most 64 KiB. */
            result?: Record<string, never> | null;
        };
        /** @enum {string} */
        ComplexityLevel: "trivial" | "simple" | "moderate" | "complex" | "expert";
        /** @enum {string} */
        ComplexityPreference: "simple" | "medium" | "complex" | "expert";
        /** @description A part of the server and how it is. */
        Component: {
            /** @description One line for people; null for whoever showed no credential. */
            detail: string | null;
            /**
             * Format: double
             * @description How long its newest probe took.
             */
            latency_ms: number | null;
            /** @description Its name. */
            name: string;
            /** @description `healthy`, `degraded` or `unhealthy`. */
            status: string;
        };
        /** @description What sessions, tasks and agents remember. */
        Context: {
            agent_id: components["schemas"]["AgentId"] | null;
            /** @description Who wrote what is in it. */
            authors: components["schemas"]["ContextAuthor"][];
            /** @description When it was made. */
            created_at: components["schemas"]["Timestamp"];
            /** @description Who made it. */
            created_by: string;
            /** @description What is remembered, at most 1 MiB. */
            data: Record<string, never>;
            expires_at: components["schemas"]["Timestamp"] | null;
            /** @description Its identity. */
            id: components["schemas"]["ContextId"];
            /** @description The same for a context and its copies. */
            lineage_id: components["schemas"]["ContextId"];
            /** @description For people and programs; the product adds where copies come from. */
            metadata: Record<string, never>;
            /**
             * Format: int64
             * @description The older version that the write which is answered was based on.
             */
            rebased_from: number | null;
            /** @description For whom. */
            scope: components["schemas"]["ContextScope"];
            session_id: components["schemas"]["SessionId"] | null;
            task_id: components["schemas"]["TaskId"] | null;
            /** @description Whose it is. */
            tenant_id: components["schemas"]["TenantId"];
            /** @description Whether nothing in it was written by an agent. */
            trusted: boolean;
            /** @description When it was last written. */
            updated_at: components["schemas"]["Timestamp"];
            /**
             * Format: int64
             * @description One more for each accepted write.
             */
            version: number;
            /** @description How many writes of each writer are in it. */
            version_vector: {
                [key: string]: number;
            };
        };
        /** @description Who wrote: what an agent wrote may have been put into its mouth by what it read. */
        ContextAuthor: {
            agent_id: components["schemas"]["AgentId"] | null;
            /**
             * Format: uuid
             * @description The person, the key or the agent.
             */
            id: string;
            /** @description What kind of writer it was. */
            kind: components["schemas"]["ContextAuthorKind"];
            /** @description As events call it. */
            name: string;
            session_id: components["schemas"]["SessionId"] | null;
            /** @description Whether it was no agent. */
            trusted: boolean;
        };
        /** @enum {string} */
        ContextAuthorKind: "person" | "key" | "agent" | "system";
        /** @description What one version changed at one path. */
        ContextChange: {
            /** @description More about them. */
            author: components["schemas"]["ContextAuthor"];
            /** @description When. */
            changed_at: components["schemas"]["Timestamp"];
            /** @description Who. */
            changed_by: string;
            /** @description What stands there. */
            new_value: unknown;
            /** @description What stood there. */
            old_value: unknown;
            /** @description How. */
            op: components["schemas"]["ContextOp"];
            /** @description Where. */
            path: string;
            /**
             * Format: int64
             * @description The version that it made.
             */
            version: number;
        };
        /** @description Two sides that differ, and neither knows of the other. */
        ContextClash: {
            /** @description Where. */
            path: string;
            /** @description What the source has there. */
            source: unknown;
            /** @description What the target has there. */
            target: unknown;
        };
        /** @description What the second of two contexts or versions has differently; leaves only. */
        ContextDiff: {
            /** @description Leaves that only the second has. */
            added: Record<string, never>;
            /** @description Where they differ and neither knows of the other's write. */
            conflicts: string[];
            /** @description The first. */
            context_id: components["schemas"]["ContextId"];
            /** @description Leaves that only the first has. */
            deleted: Record<string, never>;
            /** @description Whether there are such. */
            has_conflicts: boolean;
            /** @description Leaves that differ: the value of the first and that of the second. */
            modified: Record<string, never>;
            /** @description The second. */
            other_id: components["schemas"]["ContextId"];
            /**
             * Format: int64
             * @description Its version.
             */
            other_version: number;
            /**
             * Format: int64
             * @description Its version.
             */
            version: number;
        };
        /**
         * Format: uuid
         * @example 0198f3a0-5b1c-7c3e-8f00-0123456789c0
         */
        ContextId: string;
        /** @description One value of a context. */
        ContextKey: {
            /** @description Of which context. */
            context_id: components["schemas"]["ContextId"];
            /** @description Where. */
            path: string;
            /** @description Whether no agent wrote any of it. */
            trusted: boolean;
            updated_at: components["schemas"]["Timestamp"] | null;
            updated_by: components["schemas"]["ContextAuthor"] | null;
            /** @description What stands there. */
            value: unknown;
            /**
             * Format: int64
             * @description Version of the context.
             */
            version: number;
        };
        /** @description What came of a merge. */
        ContextMerge: {
            /** @description What is to be decided. */
            conflicts: components["schemas"]["ContextClash"][];
            context: components["schemas"]["Context"] | null;
            /** @description The merged context, or the id that it will have. */
            context_id: components["schemas"]["ContextId"];
            expires_at: components["schemas"]["Timestamp"] | null;
            /**
             * @description `merged`, or `conflicted` while clashes are to be decided.
             * @example merged
             */
            status: string;
        };
        /** @enum {string} */
        ContextOp: "set" | "delete" | "merge";
        /** @description A recent change. */
        ContextRecentChange: {
            /** @description When. */
            changed_at: components["schemas"]["Timestamp"];
            /** @description Who. */
            changed_by: string;
            /** @description Of which context. */
            context_id: components["schemas"]["ContextId"];
            /** @description Where. */
            key: string;
        };
        /** @description A context of a session, without what it remembers. */
        ContextRow: {
            /** @description Its identity. */
            id: components["schemas"]["ContextId"];
            /** @description Paths in it, those of maps too. */
            key_count: number;
            /** @description For whom. */
            scope: components["schemas"]["ContextScope"];
            /** @description When it was last written. */
            updated_at: components["schemas"]["Timestamp"];
            /**
             * Format: int64
             * @description Its version.
             */
            version: number;
        };
        /** @enum {string} */
        ContextScope: "temporary" | "task" | "session" | "agent" | "global";
        /** @description What the contexts of a session hold. */
        ContextSummary: {
            /** @description How many contexts it has; of the first 200 more is told. */
            context_count: number;
            /** @description Each of them. */
            contexts: components["schemas"]["ContextRow"][];
            /** @description The ten newest changes. */
            recent_changes: components["schemas"]["ContextRecentChange"][];
            /** @description Which session. */
            session_id: components["schemas"]["SessionId"];
            /** @description Paths in all of them. */
            total_keys: number;
        };
        /** @description A version as it was. */
        ContextVersion: {
            /** @description Of which context. */
            context_id: components["schemas"]["ContextId"];
            /** @description What was remembered. */
            data: Record<string, never>;
            /** @description Whether it is the one that stands. */
            is_current: boolean;
            /**
             * Format: int64
             * @description Which version.
             */
            version: number;
        };
        /** @description A budget of money. */
        CostBudget: {
            limit: components["schemas"]["Usd"] | null;
            /**
             * Format: double
             * @description Of the bound; null without one.
             */
            percent: number | null;
            /** @description `soft` from 80 %, `hard` from 100 %. */
            state: components["schemas"]["BudgetLevel"];
            /** @description What was charged this month. */
            used: components["schemas"]["Usd"];
        };
        /**
         * @description A manual checkpoint.
         * @example {
         *       "checkpoint_data": {
         *         "note": "before the rewrite"
         *       }
         *     }
         */
        CreateCheckpoint: {
            /** @description At most 256 KiB canonical. */
            checkpoint_data?: Record<string, never> | null;
            /** @description Lies under `_metadata` in the data. */
            metadata?: Record<string, never> | null;
        };
        /**
         * @description A context to be made.
         * @example {
         *       "initial_data": {
         *         "plan": {
         *           "step": 1
         *         }
         *       },
         *       "scope": "session",
         *       "session_id": "IND-000001"
         *     }
         */
        CreateContext: {
            /** @description Id or name; required for the scope `agent`. */
            agent_id?: string | null;
            /** @description The first context of the owner with this scope, when there is one, instead of a new one. */
            get_or_create?: boolean | null;
            /** @description What it remembers from the beginning, at most 1 MiB. */
            initial_data?: Record<string, never> | null;
            /** @description `{"important": true}` keeps it as a global one when its session ends. */
            metadata?: Record<string, never> | null;
            scope?: components["schemas"]["ContextScope"] | null;
            /** @description Id or code; required for the scope `session`. */
            session_id?: string | null;
            task_id?: components["schemas"]["TaskId"] | null;
        };
        /**
         * @description Somebody to be invited.
         * @example {
         *       "email": "ann@example.org",
         *       "role": "member"
         *     }
         */
        CreateInvite: {
            email: string;
            /**
             * Format: int32
             * @description How many seconds it is good; seven days when omitted.
             * @default 604800
             */
            expires_in: number | null;
            full_name?: string | null;
            role?: components["schemas"]["Role"] | null;
        };
        /**
         * @description A key to be made.
         * @example {
         *       "name": "ci",
         *       "role": "member",
         *       "scopes": [
         *         "sessions:read",
         *         "sessions:write"
         *       ]
         *     }
         */
        CreateKey: {
            expires_at?: components["schemas"]["Timestamp"] | null;
            kind?: components["schemas"]["KeyKind"] | null;
            name: string;
            /** @description Networks such as `10.0.0.0/8`, or addresses. Those of the caller's own key when omitted. */
            networks?: string[] | null;
            role: components["schemas"]["Role"];
            /** @description All that the caller's own key has, when omitted. */
            scopes?: string[] | null;
            /**
             * @description It belongs to nobody: a program will act with it.
             * @default false
             */
            service: boolean | null;
            user_id?: components["schemas"]["UserId"] | null;
        };
        /**
         * @description A session to be created; everything but the prompt has a default.
         * @example {
         *       "initial_prompt": "Fix the failing test in calc.py",
         *       "start": true,
         *       "workspace": {
         *         "base_ref": "main",
         *         "kind": "git",
         *         "repo": "/home/me/project"
         *       }
         *     }
         */
        CreateSession: {
            /** @description Ids or codes of sessions that must have completed before it begins; started, it waits for them. */
            after?: string[] | null;
            /** @description Pinned agent, by id or name. */
            agent?: string | null;
            agent_config?: Record<string, never> | null;
            budget_usd?: components["schemas"]["Usd"] | null;
            /**
             * Format: double
             * @description Not part of this version: leave it out.
             */
            cpu_limit?: number | null;
            /** @description Lead and higher may name somebody else. */
            created_by?: string | null;
            /**
             * Format: int32
             * @default 300
             */
            degraded_grace_seconds: number | null;
            description?: string | null;
            /**
             * Format: double
             * @description How large the work is: 1 fills one place of an agent.
             * @default 1
             */
            estimated_complexity: number | null;
            /** @default false */
            exclude_from_training: boolean | null;
            execution_mode?: components["schemas"]["ExecutionMode"] | null;
            /**
             * @description Commands that judge the work: in a clean checkout of it, or in the directory itself. Required
             *     ones must pass before the session completes. They need a workspace.
             */
            gates?: components["schemas"]["Gate"][] | null;
            initial_prompt: string;
            /**
             * Format: int32
             * @default 3600
             */
            max_duration_seconds: number | null;
            /**
             * Format: int32
             * @description Stands before the one in `retry_policy`.
             */
            max_retries?: number | null;
            /**
             * Format: int32
             * @description Not part of this version: leave it out.
             */
            memory_limit_mb?: number | null;
            metadata?: Record<string, never> | null;
            min_performance_tier?: components["schemas"]["PerformanceTier"] | null;
            /** @example anthropic/claude-sonnet-4 */
            model_identifier?: string | null;
            not_before?: components["schemas"]["Timestamp"] | null;
            on_parent_end?: components["schemas"]["OnParentEnd"] | null;
            /** @description Id or code of the parent. */
            parent_id?: string | null;
            /** @description The same as `parent_id`. */
            parent_session_id?: string | null;
            /**
             * Format: int32
             * @description Null for no limit.
             * @default 86400
             */
            pause_timeout_seconds: number | null;
            permission_policy?: components["schemas"]["PermissionPolicy"] | null;
            /** @description These agents come first. */
            preferred_agent_ids?: components["schemas"]["AgentId"][] | null;
            preferred_agent_type?: components["schemas"]["AgentType"] | null;
            priority?: components["schemas"]["Priority"] | null;
            /**
             * Format: int32
             * @description Null for no limit.
             * @default 3600
             */
            queue_timeout_seconds: number | null;
            required_capabilities?: string[] | null;
            retry_policy?: components["schemas"]["RetryPolicy"] | null;
            session_type?: components["schemas"]["SessionType"] | null;
            /**
             * @description Also queues it.
             * @default false
             */
            start: boolean | null;
            tags?: string[] | null;
            /** @description What the work is done in; agents that prefer them come first, and those that avoid one get none. */
            technologies?: string[] | null;
            /** @description Derived from the prompt when omitted. */
            title?: string | null;
            /**
             * Format: int64
             * @description Input, output, cache writes and reasoning; as `budget_usd`.
             */
            token_budget?: number | null;
            workspace?: components["schemas"]["CreateWorkspace"] | null;
        };
        /**
         * @description A task to be made.
         * @example {
         *       "estimated_hours": 6,
         *       "session_id": "IND-000001",
         *       "title": "Implement the login page"
         *     }
         */
        CreateTask: {
            /** @description What it needs from the beginning. */
            dependencies?: components["schemas"]["AddDependency"][] | null;
            /** @description What is to be done. */
            description?: string | null;
            estimate?: components["schemas"]["TaskEstimateInput"] | null;
            /**
             * Format: double
             * @description One figure in place of three; not together with `estimate`.
             */
            estimated_hours?: number | null;
            /**
             * Format: int32
             * @description Retries by the executor.
             */
            max_retries?: number | null;
            /** @description For people and programs. */
            metadata?: Record<string, never> | null;
            on_upstream_failure?: components["schemas"]["OnUpstreamFailure"] | null;
            parent_task_id?: components["schemas"]["TaskId"] | null;
            priority?: components["schemas"]["TaskPriority"] | null;
            /** @description What an agent must be able to do. */
            required_capabilities?: string[] | null;
            /** @description Id or code of the root session; that of the parent when omitted. */
            session_id?: string | null;
            /** @description For filters. */
            tags?: string[] | null;
            /** @description A slug; `implementation` when omitted. */
            task_type?: string | null;
            /** @description What it is made with. */
            technologies?: string[] | null;
            /** @description What people call it. */
            title: string;
        };
        /**
         * @description A tenant to be made.
         * @example {
         *       "name": "Acme",
         *       "slug": "acme"
         *     }
         */
        CreateTenant: {
            /** @description The slug when omitted. */
            name?: string | null;
            quotas?: components["schemas"]["SetQuotas"] | null;
            settings?: components["schemas"]["PatchTenantSettings"] | null;
            slug: string;
        };
        /**
         * @description Somebody to be let in, without a key.
         * @example {
         *       "email": "ann@example.org",
         *       "full_name": "Ann Other"
         *     }
         */
        CreateUser: {
            email: string;
            full_name: string;
            /** @description For system administrators alone; false when omitted. */
            is_system_admin?: boolean | null;
            role?: components["schemas"]["Role"] | null;
        };
        /**
         * @description A webhook to be made.
         * @example {
         *       "event_types": [
         *         "session.failed",
         *         "usage.*"
         *       ],
         *       "url": "https://hooks.example.org/orchestrator"
         *     }
         */
        CreateWebhook: {
            /**
             * Format: int64
             * @description Begin behind this event, 0 with the oldest that is kept; now when omitted.
             */
            after?: number | null;
            /** @description For people. */
            description?: string | null;
            /** @description Types such as `session.failed`, or families such as `session.*`; everything when empty. */
            event_types?: string[] | null;
            /** @description `true` when omitted. */
            is_active?: boolean | null;
            /** @description `https://…`; `http://` only to addresses that the server's settings list. */
            url: string;
        };
        /** @description Where the work is to happen. */
        CreateWorkspace: {
            /** @description Branch, tag or commit to begin from, `HEAD` when omitted; git only. */
            base_ref?: string | null;
            /** @description Branch to work on, `orchestrator/<code>` when omitted; git only. */
            branch?: string | null;
            /** @description The kind. */
            kind: components["schemas"]["WorkspaceKind"];
            /** @description Absolute path; directory only. */
            path?: string | null;
            /** @description Absolute path of the repository; git only. */
            repo?: string | null;
        };
        /** @enum {string} */
        Decision: "allow_once" | "allow_always" | "deny" | "answer" | "acknowledge";
        /**
         * @description By what a task is split.
         * @example {
         *       "dry_run": true,
         *       "strategy": "template"
         *     }
         */
        DecomposeTask: {
            /** @description Whether templates are looked for by words; true when omitted. */
            apply_rules?: boolean | null;
            /** @description Whether templates are looked for by type; true when omitted. */
            apply_templates?: boolean | null;
            /** @description Whether a task without a good estimate is given one; true when omitted. */
            auto_estimate?: boolean | null;
            /** @description Only tell what it would be split into. */
            dry_run?: boolean | null;
            /**
             * Format: int32
             * @description Levels below the task.
             */
            max_depth?: number | null;
            /** @description What is said of the templates that are used. */
            parameters?: Record<string, never> | null;
            /** @description With the strategy `planner`: the tasks as a planner gave them, perhaps edited. */
            plan?: Record<string, never> | null;
            strategy?: components["schemas"]["DecompositionStrategy"] | null;
            /** @description This template, whatever its trigger and its threshold. */
            template_name?: string | null;
        };
        /** @description What a task was, or would be, split into. */
        Decomposition: {
            /** @description Nothing was written. */
            dry_run: boolean;
            /**
             * Format: int32
             * @description Levels below the task.
             */
            max_depth_reached: number;
            /** @description The plan that it comes from: edit it, and send it back as `plan`. */
            plan: Record<string, never> | null;
            planner_session_id: components["schemas"]["SessionId"] | null;
            /** @description The task as it stands now. */
            root_task: components["schemas"]["Task"];
            /** @description Templates chosen by words. */
            rules_applied: string[];
            /** @description The subtasks, each before its parts. */
            subtasks: components["schemas"]["DecompositionNode"][];
            /** @description How many subtasks there are, at any depth. */
            subtasks_created: number;
            /** @description Templates chosen by type or by name. */
            templates_applied: string[];
            /**
             * Format: double
             * @description Expected hours of the leaves.
             */
            total_estimated_hours: number;
            /** @description What is worth telling. */
            warnings: components["schemas"]["DecompositionWarning"][];
        };
        /** @description One subtask of a decomposition. */
        DecompositionNode: {
            /** @description How hard it is. */
            complexity_level: components["schemas"]["ComplexityLevel"];
            /** @description What it needs, by their places in this list. */
            depends_on: number[];
            /**
             * Format: int32
             * @description Levels below the task, from 1.
             */
            depth: number;
            /**
             * Format: double
             * @description Expected hours.
             */
            expected_hours: number;
            /** @description The subtask that it is a part of, by its place in this list; null for a part of the task itself. */
            parent: number | null;
            /** @description How urgent it is. */
            priority: components["schemas"]["TaskPriority"];
            /** @description What an agent must be able to do. */
            required_capabilities: string[];
            task_id: components["schemas"]["TaskId"] | null;
            /** @description What kind of work it is. */
            task_type: string;
            /** @description The template that made it. */
            template_key: string | null;
            /** @description What people call it. */
            title: string;
        };
        /** @enum {string} */
        DecompositionStrategy: "template" | "rules" | "functional" | "temporal" | "capability" | "planner";
        /** @description Something worth telling of a decomposition. */
        DecompositionWarning: {
            /** @description What. */
            code: components["schemas"]["DecompositionWarningCode"];
            /** @description Title of the task that it is about. */
            title: string;
        };
        /** @enum {string} */
        DecompositionWarningCode: "EFFORT_INFLATED" | "NO_TEMPLATE_MATCHED" | "ALREADY_SIMPLE";
        /** @enum {string} */
        DegradedReason: "heartbeat_late" | "stream_disconnected" | "provider_retrying" | "fallback_agent";
        /** @description One message to a webhook. */
        Delivery: {
            /** @description What was tried, oldest first; at most the newest twelve. */
            attempts: components["schemas"]["DeliveryAttempt"][];
            /** @description When it was made. */
            created_at: components["schemas"]["Timestamp"];
            finished_at: components["schemas"]["Timestamp"] | null;
            /** @description Its identity. */
            id: components["schemas"]["DeliveryId"];
            /** @description The name of the message, sent as `webhook-id`, the same at every attempt. */
            message_id: string;
            next_attempt_at: components["schemas"]["Timestamp"] | null;
            redelivery_of: components["schemas"]["DeliveryId"] | null;
            /**
             * Format: int64
             * @description Counts its changes.
             */
            revision: number;
            /**
             * Format: int64
             * @description Number of the event.
             */
            seq: number | null;
            /** @description Where it stands. */
            state: components["schemas"]["DeliveryState"];
            /** @description Type of the message: that of the event, `gap` or `test`. */
            type: string;
            /** @description To which webhook. */
            webhook_id: components["schemas"]["WebhookId"];
        };
        /** @description One attempt to send a message. */
        DeliveryAttempt: {
            /** @description When it began. */
            at: components["schemas"]["Timestamp"];
            /**
             * Format: int64
             * @description How long it took.
             */
            duration_ms: number;
            /** @description Why it counts as a failure. */
            error: string | null;
            /** @description How the answer's body begins. */
            response: string | null;
            /**
             * Format: int32
             * @description Status of the answer.
             */
            status_code: number | null;
        };
        /**
         * Format: uuid
         * @example 0198f3a0-5b1c-7c3e-8f00-0123456789b2
         */
        DeliveryId: string;
        /** @enum {string} */
        DeliveryState: "pending" | "delivered" | "failed";
        /**
         * Format: uuid
         * @example 0198f3a0-5b1c-7c3e-8f00-0123456789b8
         */
        DependencyId: string;
        /** @enum {string} */
        DependencyType: "finish_to_start" | "start_to_start" | "finish_to_finish" | "start_to_finish";
        /**
         * @description How an agent is removed.
         * @example {
         *       "graceful": true,
         *       "reason": "replaced"
         *     }
         */
        Deregister: {
            /**
             * @description It ends what it works on first, for an hour at most; else its sessions wait for another agent.
             * @default true
             */
            graceful: boolean | null;
            /** @description For people and the audit. */
            reason?: string | null;
        };
        /** @description A comparison of the workspace with what it began from. */
        Diff: {
            /**
             * Format: int64
             * @description Lines added; null when a file is binary.
             */
            additions: number | null;
            /** @description Commit compared from. */
            base: string;
            /**
             * Format: int64
             * @description Lines taken away; null when a file is binary.
             */
            deletions: number | null;
            /** @description Files that differ, by path. */
            files: components["schemas"]["FileDiff"][];
            /** @description Commit compared to, or `working_tree`. */
            head: string;
            /** @description Whether patches were left out for their size. */
            truncated: boolean;
            /** @description The whole as one unified diff. */
            unified: string;
        };
        /** @description A spread of durations; null without a sample. */
        DurationStats: {
            /** Format: double */
            avg_duration_seconds: number | null;
            /** Format: double */
            max_duration_seconds: number | null;
            /** Format: double */
            median_duration_seconds: number | null;
            /** Format: double */
            min_duration_seconds: number | null;
            /** Format: double */
            p95_duration_seconds: number | null;
            /**
             * Format: int64
             * @description Sessions that have such a duration.
             */
            total_sessions: number;
        };
        /** @enum {string} */
        EstimationSource: "manual" | "default" | "ai_analysis" | "decomposition" | "template_decomposition" | "functional_decomposition" | "temporal_decomposition" | "capability_decomposition" | "planner_decomposition" | "historical";
        /** @description Something that happened. */
        Event: {
            /** @description Its identity. */
            id: components["schemas"]["EventId"];
            /** @description When. */
            occurred_at: components["schemas"]["Timestamp"];
            /** @description The facts; always repeats the subject as `<kind>_id`. */
            payload: Record<string, never>;
            /**
             * Format: int64
             * @description Its number in the tenant, from 1 without gap.
             */
            seq: number;
            /** @description What it happened to. */
            subject: components["schemas"]["EventSubject"];
            tenant_id: components["schemas"]["TenantId"] | null;
            /** @description The same as `occurred_at`. */
            timestamp: components["schemas"]["Timestamp"];
            /** @description Trace that it belongs to. */
            trace_id: string | null;
            /** @description What happened. */
            type: components["schemas"]["EventType"];
        };
        /**
         * Format: uuid
         * @example 0198f3a0-5b1c-7c3e-8f00-0123456789af
         */
        EventId: string;
        /** @description What an event is about. */
        EventSubject: {
            /**
             * Format: uuid
             * @description Its id.
             */
            id: string;
            /** @description Its kind. */
            kind: components["schemas"]["SubjectKind"];
        };
        /** @enum {string} */
        EventType: "session.created" | "session.updated" | "session.deleted" | "session.status_changed" | "session.queued" | "session.started" | "session.paused" | "session.resumed" | "session.stopped" | "session.cancelled" | "session.orphaned" | "session.degraded" | "session.recovered" | "session.attention_changed" | "session.phase_changed" | "session.checkpoint_created" | "session.checkpoint_restored" | "session.forked" | "session.retry_scheduled" | "session.prompt_injected" | "session.completed" | "session.partially_completed" | "session.failed" | "session.timed_out" | "session.merged" | "session.rated" | "session.verified" | "session.at_risk" | "usage.recorded" | "usage.soft_limit_reached" | "usage.hard_limit_reached" | "usage.rollup_completed" | "usage.prices_updated" | "agent.registered" | "agent.stale_result_rejected" | "tenant.key_created" | "tenant.key_rotated" | "tenant.key_revoked" | "tenant.quota_changed" | "tenant.quota_exceeded" | "tenant.updated" | "tenant.admissions_held" | "tenant.admissions_released" | "system.started" | "system.recovered" | "system.stopping" | "system.alert" | "system.health_changed" | "tenant.created" | "tenant.activated" | "tenant.deactivated" | "tenant.user_added" | "tenant.user_updated" | "tenant.user_removed" | "agent.task_completed" | "agent.performance_updated" | "agent.tier_changed" | "agent.breaker_changed" | "agent.updated" | "agent.deregistered" | "agent.approved" | "agent.task_assigned" | "agent.task_acknowledged" | "agent.lease_expired" | "agent.token_rotated" | "agent.rebalanced" | "context.created" | "context.updated" | "context.deleted" | "context.expired" | "context.conflict_rejected" | "context.merged" | "context.merge_conflicted" | "context.merge_resolved" | "context.shared" | "context.promoted" | "lock.queued" | "lock.acquired" | "lock.released" | "lock.expired" | "lock.lost" | "lock.force_released" | "lock.wait_timeout" | "lock.deadlock_detected" | "agent.state_changed" | "agent.load_changed" | "agent.task_overrun" | "session.task_added" | "task.created" | "task.updated" | "task.deleted" | "task.status_changed" | "task.assigned" | "task.decomposed" | "task.dependency_added" | "task.dependency_removed" | "task.dependency_satisfied" | "task.retried" | "task.graph_started" | "task.graph_completed" | "tenant.template_changed";
        /**
         * @description How a task is executed.
         * @example {
         *       "max_parallel": 3
         *     }
         */
        ExecuteTask: {
            /** @description The first failure that stays ends everything that has not finished. */
            fail_fast?: boolean | null;
            /**
             * Format: int32
             * @description Leaves at a time; 5 when omitted.
             */
            max_parallel?: number | null;
        };
        /** @enum {string} */
        ExecutionMode: "single" | "task_graph";
        /** @enum {string} */
        Explain: "all" | "best";
        /** @description Why a session stands where it stands, and what would move it. */
        Explanation: {
            /** @description Name of the agent that works on it. */
            agent: string | null;
            /** @description What it waits for; empty when nothing holds it back. */
            blockers: components["schemas"]["Blocker"][];
            /**
             * @description Whether `queue_position` or `eta` is an estimate: the place where several tenants share the
             *     slots, the time always.
             */
            estimated: boolean;
            eta: components["schemas"]["Timestamp"] | null;
            next_deadline: components["schemas"]["Timestamp"] | null;
            /**
             * @description Its place among all that wait, from 1: how many are given to agents before it, and itself,
             *     if nothing else changes. Null when it does not wait.
             */
            queue_position: number | null;
            /** @description How its agent was chosen; null in this version. */
            routing: Record<string, never> | null;
            /** @description Since when. */
            since: components["schemas"]["Timestamp"];
            /** @description Where it stands. */
            state: components["schemas"]["SessionStatus"];
            /** @description One sentence for people. */
            summary: string;
        };
        /**
         * @description A failure, declared by a person.
         * @example {
         *       "error_message": "the branch is gone",
         *       "retryable": false
         *     }
         */
        Fail: {
            /** @description `operator_failure` when omitted. */
            error_code?: string | null;
            /** @description Further facts. */
            error_context?: Record<string, never> | null;
            /** @description What happened. */
            error_message: string;
            /**
             * @description Whether an automatic retry may follow.
             * @default true
             */
            retryable: boolean | null;
        };
        /**
         * @description Why a task failed.
         * @example {
         *       "error_message": "the build is broken"
         *     }
         */
        FailTask: {
            /** @description For people. */
            error_message: string;
        };
        /** @enum {string} */
        FileChange: "added" | "modified" | "deleted" | "renamed";
        /** @description One file of a comparison. */
        FileDiff: {
            /**
             * Format: int64
             * @description Lines added; null for a binary file.
             */
            additions: number | null;
            /** @description What became of it. */
            change: components["schemas"]["FileChange"];
            /**
             * Format: int64
             * @description Lines taken away; null for a binary file.
             */
            deletions: number | null;
            /** @description Path before a rename. */
            old_path: string | null;
            /** @description Its part of the unified diff; empty when it was left out for size. */
            patch: string;
            /** @description Path in the repository. */
            path: string;
        };
        /**
         * @description What differs from the source; what is omitted is copied.
         * @example {
         *       "from_checkpoint": 3,
         *       "initial_prompt": "Try it without the cache"
         *     }
         */
        Fork: {
            /** @description Pinned agent, by id or name. */
            agent?: string | null;
            budget_usd?: components["schemas"]["Usd"] | null;
            /**
             * Format: int64
             * @description The newest one when omitted.
             */
            from_checkpoint?: number | null;
            /** @description What to do. */
            initial_prompt?: string | null;
            /** @description `provider/model`. */
            model_identifier?: string | null;
            /** @description A fork has a parent only when one is named, by id or code. */
            parent_id?: string | null;
            /** @description The source's title with `(fork)` when omitted. */
            title?: string | null;
        };
        /** @description Where a fork comes from. */
        ForkedFrom: {
            /**
             * Format: int64
             * @description Null when only the definition was copied.
             */
            checkpoint_sequence: number | null;
            /** @description The source. */
            session_id: components["schemas"]["SessionId"];
        };
        /** @description A command whose success the work must have. */
        Gate: {
            /** @description Program and arguments, at most 8 KiB together. */
            command: string[];
            /** @description For people. */
            name: string;
            /** @description Whether completion needs it. */
            required: boolean;
            /**
             * Format: int32
             * @description Longest run.
             */
            timeout_seconds: number;
        };
        /** @description What one gate said. */
        GateReport: {
            /**
             * Format: int64
             * @description How long it ran.
             */
            duration_ms: number;
            /**
             * Format: int32
             * @description Null when it did not start or was ended.
             */
            exit_code: number | null;
            /** @description Its name. */
            name: string;
            /** @description The end of what it printed, at most 2 KiB; the log of the session has more. */
            output: string;
            /** @description Whether its command ended with exit code 0 in time. */
            passed: boolean;
            /** @description Whether completion needs it. */
            required: boolean;
            /** @description Ended because its time was over. */
            timed_out: boolean;
        };
        /** @enum {string} */
        GroupBy: "day" | "model" | "agent" | "session";
        /** @description How the server is. */
        Health: {
            /** @description Its parts, each by a real probe. */
            components: components["schemas"]["Component"][];
            /** @description `healthy`, `degraded` or `unhealthy`. */
            status: string;
            /**
             * Format: int64
             * @description Seconds since start.
             */
            uptime_seconds: number;
            /** @description Version of the server. */
            version: string;
        };
        /** @enum {string} */
        HeartbeatStatus: "healthy" | "degraded" | "busy" | "offline";
        /** @description A hold: nothing new is given out within its reach. */
        Hold: {
            agent_id: components["schemas"]["AgentId"] | null;
            /** @description Its name; null when it is no longer registered. */
            agent_name: string | null;
            /** @description Name of the key that did it. */
            held_by: string;
            /** @description Why. */
            reason: string | null;
            /** @description How far it reaches. */
            scope: components["schemas"]["HoldScope"];
            /** @description Since when. */
            since: components["schemas"]["Timestamp"];
        };
        /** @enum {string} */
        HoldScope: "instance" | "tenant" | "agent";
        /** @description A place for conversations of agents, and the server that works on it. */
        Host: {
            /** @description Its name; stays the same whatever server works on it. */
            id: string;
            /** @description Kind of its agents. */
            kind: string;
            last_probe: components["schemas"]["HostProbe"] | null;
            /** @description When its server is replaced. */
            limits: components["schemas"]["HostLimits"];
            /** @description Why its server is being replaced, or was ended last. */
            reason: string | null;
            replacement: components["schemas"]["HostServer"] | null;
            server: components["schemas"]["HostServer"] | null;
            /**
             * Format: int64
             * @description Servers that were ready on it since this process began.
             */
            starts: number;
            /**
             * @description `starting`, `ready`, `draining` while another server takes over, `wedged` while one that does not answer is
             *     still alive, `stopped` while none runs.
             */
            state: string;
            tenant_id: components["schemas"]["TenantId"] | null;
        };
        /** @description When a host's server is replaced. */
        HostLimits: {
            /**
             * Format: int64
             * @description Age after which it is replaced.
             */
            age_seconds: number;
            /**
             * Format: int64
             * @description Memory above which it is replaced at once.
             */
            hard_rss_bytes: number;
            /** @description Sessions that may work with it at once. */
            running_sessions: number;
            /**
             * Format: int64
             * @description Runs of sessions after which it is replaced.
             */
            served_sessions: number;
            /**
             * Format: int64
             * @description Memory above which it is replaced when its sessions are at a good place.
             */
            soft_rss_bytes: number;
        };
        /** @description A probe of a host's server. */
        HostProbe: {
            /** @description When it was answered, or given up. */
            at: components["schemas"]["Timestamp"];
            /** @description Why it failed; null when it did not. */
            error: string | null;
            /** @description Whether it went through what sessions go through, not only to the server's word that it is well. */
            is_deep: boolean;
            /**
             * Format: double
             * @description How long that took.
             */
            latency_ms: number;
        };
        /** @description A host whose server is being replaced. */
        HostRecycling: {
            /** @description As it stood when this was asked for. */
            host: components["schemas"]["Host"];
            /** @description What happens now, in order. */
            steps: string[];
        };
        /** @description A server of a host. */
        HostServer: {
            /**
             * Format: int64
             * @description Seconds since then.
             */
            age_seconds: number;
            /**
             * Format: int32
             * @description Its process; null when it is not ours.
             */
            pid: number | null;
            /**
             * Format: int64
             * @description Resident memory of the server itself, in bytes; null when it is not ours.
             */
            rss_bytes: number | null;
            /** @description Sessions that work with it now. */
            running_sessions: number;
            /**
             * Format: int64
             * @description Runs of sessions that began with it.
             */
            served_sessions: number;
            /** @description When it was ready. */
            started_at: components["schemas"]["Timestamp"];
            /**
             * Format: int64
             * @description Resident memory of the tools of its agents, in bytes; null when they are not ours.
             */
            tools_rss_bytes: number | null;
            /** @description Version of its software. */
            version: string;
        };
        /** @description An invitation to become a member. */
        Invite: {
            /** @description When they did. */
            created_at: components["schemas"]["Timestamp"];
            /** @description Who invited. */
            created_by: string;
            /** @description Who is to come. */
            email: string;
            expires_at: components["schemas"]["Timestamp"] | null;
            /** @description What they are called, when that is known. */
            full_name: string | null;
            /** @description Its identity. */
            id: components["schemas"]["KeyId"];
            /**
             * @description Where a browser takes it. Only in the answer to creation.
             * @example https://orchestrator.example.org/login#invite=iok_…
             */
            link: string | null;
            /**
             * Format: int64
             * @description Counts the accepted changes.
             */
            revision: number;
            /** @description What they will be. */
            role: components["schemas"]["Role"];
            /**
             * @description What their first key may be used for.
             * @example [
             *       "*"
             *     ]
             */
            scopes: string[];
            /** @description Into which tenant. */
            tenant_id: components["schemas"]["TenantId"];
            /** @description The secret itself, `iok_…`. Only in the answer to creation; a repetition does not show it again. */
            token: string | null;
        };
        /** @enum {string} */
        JoinMode: "invite" | "identity_provider";
        /** @description Somebody who came, with their first key. */
        Joined: {
            /** @description Their key; `secret` is shown once. */
            key: components["schemas"]["ApiKey"];
            /** @description Where they are now. */
            tenant: components["schemas"]["Tenant"];
            /** @description Them. */
            user: components["schemas"]["User"];
        };
        /**
         * Format: uuid
         * @example 0198f3a0-5b1c-7c3e-8f00-0123456789b3
         */
        KeyId: string;
        /** @enum {string} */
        KeyKind: "key" | "browser" | "invite" | "enrolment" | "agent";
        /** @description The right of one agent to work on a session. */
        Lease: {
            /** @description The holder. */
            agent_id: components["schemas"]["AgentId"];
            /** @description The holder's name. */
            agent_name: string;
            /**
             * Format: int64
             * @description Rises with every grant of the tenant.
             */
            fencing_token: number;
            /** @description When it was granted. */
            granted_at: components["schemas"]["Timestamp"];
            /** @description Why it was granted. */
            reason: components["schemas"]["LeaseReason"];
            released_at: components["schemas"]["Timestamp"] | null;
        };
        /** @enum {string} */
        LeaseReason: "start" | "resume" | "fallback";
        /** @description Whom a link signs in. */
        LinkedTo: {
            /** @description May act in every tenant. */
            is_system: boolean;
            /** @description Rights in it. */
            role: components["schemas"]["Role"];
            /** @description What their tenant is called. */
            tenant_name: string;
            /** @description Its short name. */
            tenant_slug: string;
            /** @description Address of whoever holds the key behind it, else the name of that key. */
            who: string;
        };
        /** @enum {string} */
        LoadLevel: "idle" | "optimal" | "high" | "critical" | "overloaded";
        /** @description A lock that somebody holds or waits for. */
        Lock: {
            /** @description Who holds it, in order of their grants. */
            holders: components["schemas"]["LockGrant"][];
            /** @description Its name. */
            name: string;
            /** @description Who waits, in order. */
            queue: components["schemas"]["LockWaiter"][];
            /** @description Who waits for whom over it. */
            wait_for_edges: components["schemas"]["LockEdge"][];
        };
        /** @description One owner waits for another. */
        LockEdge: {
            /** @description Over which lock. */
            name: string;
            /** @description Who waits, as `kind:id`. */
            owner: string;
            /** @description By which request. */
            request_id: components["schemas"]["LockId"];
            /** @description For whom, as `kind:id`. */
            waits_for: string;
        };
        /** @description A hold of a lock. */
        LockGrant: {
            /** @description When it was given. */
            acquired_at: components["schemas"]["Timestamp"];
            /** @description When it ends unless it is renewed. */
            expires_at: components["schemas"]["Timestamp"];
            /**
             * Format: int64
             * @description Larger than that of every earlier grant: what is locked can refuse older ones.
             */
            fencing_token: number;
            /**
             * Format: int64
             * @description How many releases it takes.
             */
            hold_count: number;
            /** @description Which hold; it is renewed and released by this. */
            lock_id: components["schemas"]["LockId"];
            /** @description As it was asked for. */
            metadata: Record<string, never>;
            /** @description Who else may hold it. */
            mode: components["schemas"]["LockMode"];
            /** @description Which lock. */
            name: string;
            /** @description Whose it is. */
            owner: components["schemas"]["LockOwner"];
            /**
             * Format: int32
             * @description As it was asked for.
             */
            priority: number;
            /**
             * Format: int64
             * @description How often it was renewed.
             */
            renewal_count: number;
            session_id: components["schemas"]["SessionId"] | null;
            /**
             * Format: int64
             * @description What a renewal adds.
             */
            ttl_seconds: number;
        };
        /** @description Holds of all names that were asked for. */
        LockGrants: {
            /** @description One for each name, in byte order of the names. */
            grants: components["schemas"]["LockGrant"][];
        };
        /**
         * Format: uuid
         * @example 0198f3a0-5b1c-7c3e-8f00-0123456789b7
         */
        LockId: string;
        /** @enum {string} */
        LockMode: "exclusive" | "shared";
        /** @description Whose a lock is. */
        LockOwner: {
            /**
             * Format: uuid
             * @description Id of the key, the agent or the session.
             */
            id: string;
            /**
             * @description `key`, `agent` or `session`.
             * @example key
             */
            kind: string;
            /** @description For people. */
            name: string;
        };
        /** @description What became of a hold that was given back. */
        LockReleased: {
            /**
             * Format: int64
             * @description How many releases it still takes.
             */
            hold_count: number;
            /** @description Which hold. */
            lock_id: components["schemas"]["LockId"];
            /** @description Which lock. */
            name: string;
            /** @description Whether the caller holds nothing by it any more. */
            released: boolean;
        };
        /** @description Figures of one lock. */
        LockStat: {
            /** @description How many hold it. */
            holders: number;
            /**
             * Format: double
             * @description How long the first of them has waited.
             */
            longest_wait_seconds: number | null;
            /** @description Its name. */
            name: string;
            /** @description How many wait for it. */
            waiting: number;
        };
        /** @description Figures of all locks of the tenant; what is told of single ones is about those on the page. */
        LockStatistics: {
            /** @description Names that somebody holds. */
            active_locks: number;
            /** @description One for each lock on the page. */
            lock_stats: components["schemas"]["LockStat"][];
            /** @description When that was so. */
            timestamp: components["schemas"]["Timestamp"];
            /** @description Names that somebody holds or waits for. */
            total_locks: number;
            /** @description Who waits for whom over the locks on the page. */
            wait_for_edges: components["schemas"]["LockEdge"][];
            /** @description Requests that wait. */
            waiting_requests: number;
        };
        /** @description A request that waits for a lock. */
        LockWaiter: {
            /**
             * Format: int32
             * @description With what waiting has added.
             */
            effective_priority: number;
            /** @description Until when. */
            expires_at: components["schemas"]["Timestamp"];
            /** @description What it wants. */
            mode: components["schemas"]["LockMode"];
            /** @description For which lock. */
            name: string;
            /** @description Who waits. */
            owner: components["schemas"]["LockOwner"];
            /** @description From 1. */
            position: number;
            /**
             * Format: int32
             * @description As it was asked for.
             */
            priority: number;
            /** @description The request. */
            request_id: components["schemas"]["LockId"];
            /** @description Since when. */
            requested_at: components["schemas"]["Timestamp"];
            /**
             * Format: double
             * @description How long already.
             */
            waited_seconds: number;
        };
        /** @description Locks in byte order of their names. */
        Locks: {
            /** @description Whether there is a next page. */
            has_more: boolean;
            /** @description The locks in order. */
            items: components["schemas"]["Lock"][];
            /** @description Send it as `cursor` to get the next page; null on the last one. */
            next_cursor: string | null;
            /** @description Figures. */
            statistics: components["schemas"]["LockStatistics"];
        };
        /** @description A log line. */
        LogLine: {
            /** @description Further facts. */
            fields: Record<string, never>;
            /** @description How serious. */
            level: string;
            /** @description The text. */
            message: unknown;
            /**
             * Format: int64
             * @description Its number in the log of its session, from 1.
             */
            seq: number;
            /** @description When. */
            timestamp: components["schemas"]["Timestamp"];
        };
        /**
         * @description What somebody signs in with: one of both.
         * @example {
         *       "token": "iol_4Rk2c0…"
         *     }
         */
        Login: {
            /** @description An API key. */
            key?: string | null;
            /** @description From a login link; it is good once, for ten minutes. */
            token?: string | null;
        };
        /** @description What signs a browser in, once. */
        LoginLink: {
            /** @description From then on it is refused. */
            expires_at: components["schemas"]["Timestamp"];
            /** @description The page with the token behind it, where browsers send it to nobody: `/login#token=…`. */
            path: string;
            /** @description For `POST /login`; it is not shown again. */
            token: string;
        };
        /**
         * @description The token of a login link.
         * @example {
         *       "token": "iol_4Rk2c0…"
         *     }
         */
        LookAtLogin: {
            /** @description From a login link; it is good afterwards as before. */
            token: string;
        };
        /**
         * @description Whether an agent is worked on.
         * @example {
         *       "on": true
         *     }
         */
        Maintenance: {
            /** @description It gets nothing new, or is taken up again. */
            on: boolean;
        };
        /** @enum {string} */
        Match: "all" | "any";
        /**
         * @description How work is brought home.
         * @example {
         *       "message": "Fix the parser",
         *       "mode": "squash"
         *     }
         */
        Merge: {
            /** @description Message of the commit. */
            message?: string | null;
            mode?: components["schemas"]["MergeMode"] | null;
        };
        /**
         * @description Contexts to be merged into a new one.
         * @example {
         *       "context_ids": [
         *         "0198f3a0-5b1c-7c3e-8f00-0123456789c0",
         *         "0198f3a0-5b1c-7c3e-8f00-0123456789c1"
         *       ],
         *       "strategy": "deep_merge"
         *     }
         */
        MergeContexts: {
            /** @description The first is the target of the second, and so on. */
            context_ids: components["schemas"]["ContextId"][];
            strategy?: components["schemas"]["MergeStrategy"] | null;
        };
        /** @enum {string} */
        MergeMode: "merge" | "squash" | "patch";
        /** @description What a merge did. */
        MergeReport: {
            /** @description Commit that the target now points to; null for a patch. */
            commit: string | null;
            /** @description Files that changed. */
            files: number;
            /** @description How. */
            mode: components["schemas"]["MergeMode"];
            /** @description The patch, as `git apply` reads it; only for `patch`. */
            patch: string | null;
            /** @description Branch that received the work; null for a patch. */
            target: string | null;
        };
        /** @enum {string} */
        MergeStrategy: "last_write_wins" | "prefer_source" | "prefer_target" | "deep_merge" | "manual";
        /** @description Why a task is moved. */
        MoveTask: {
            /** @description For people. */
            reason?: string | null;
        };
        /** @description A session that was moved. */
        MovedSession: {
            /** @description Who had it. */
            from: components["schemas"]["AgentId"];
            /** @description Which. */
            session_id: components["schemas"]["SessionId"];
            /** @description Who has it now, or is to have it. */
            to: components["schemas"]["AgentId"];
        };
        /** @enum {string} */
        OnParentEnd: "cascade" | "orphan" | "continue";
        /** @enum {string} */
        OnUpstreamFailure: "skip" | "block" | "ignore";
        /** @description One page of a list. */
        Page_Agent: {
            /** @description Whether there is a next page. A page may be short and still have one. */
            has_more: boolean;
            /** @description The items in order. */
            items: {
                agent_type: components["schemas"]["AgentType"];
                /** @description A lead let it in. */
                approved: boolean;
                avoided_technologies: string[];
                /** @description Whether it is kept from work after failures. */
                breaker: components["schemas"]["BreakerState"];
                /** @description Both lists together, each capability once. */
                capabilities: string[];
                complexity_preference: components["schemas"]["ComplexityPreference"];
                /** @description Settings of the driver; values of `env` are shown only where they name a variable, as in `$NAME`. */
                config: Record<string, never>;
                created_at: components["schemas"]["Timestamp"];
                deleted_at?: components["schemas"]["Timestamp"] | null;
                /** @description For people. */
                description?: string | null;
                /** @description It ends what it has, and gets nothing new. */
                draining: boolean;
                heartbeat_status?: components["schemas"]["HeartbeatStatus"] | null;
                id: components["schemas"]["AgentId"];
                /** @description It may be given work at all. */
                is_active: boolean;
                /** @description It comes from the settings of the server, which say what it is. */
                is_built_in: boolean;
                /** @description It speaks the protocol for external agents. */
                is_external: boolean;
                /** @description Which driver speaks to it. */
                kind: components["schemas"]["AgentKind"];
                last_heartbeat_at?: components["schemas"]["Timestamp"] | null;
                last_probe?: components["schemas"]["AgentProbe"] | null;
                load: components["schemas"]["AgentLoad"];
                /** @description It is worked on, and gets nothing new. */
                maintenance_mode: boolean;
                /**
                 * Format: int32
                 * @description Sessions that it takes at once.
                 */
                max_concurrent_capacity: number;
                /** Format: double */
                max_task_duration_hours: number;
                /** Format: int32 */
                max_tokens: number;
                metadata: Record<string, never>;
                /** Format: double */
                min_quality_threshold: number;
                /** @description `provider/model`; null for the driver's own. */
                model_identifier?: string | null;
                /**
                 * @description `AGENT-…`, unique among the agents of the tenant.
                 * @example AGENT-CODE-01
                 */
                name: string;
                performance?: components["schemas"]["AgentPerformance"] | null;
                /** @description How good it is, by the newest hundred assignments that ended on it; `competent` before five did. */
                performance_tier: components["schemas"]["PerformanceTier"];
                preferred_session_types: components["schemas"]["SessionType"][];
                preferred_technologies: string[];
                primary_capabilities: string[];
                removal_due_at?: components["schemas"]["Timestamp"] | null;
                /** @description Why it is to be removed. */
                removal_reason?: string | null;
                /**
                 * Format: int64
                 * @description Counts the accepted changes.
                 */
                revision: number;
                secondary_capabilities: string[];
                /** @description One word for how it is, by the first that fits. */
                state: components["schemas"]["AgentState"];
                /** @description Empty for the driver's own. */
                system_prompt_template: string;
                /** Format: double */
                temperature: number;
                tenant_id: components["schemas"]["TenantId"];
                /** @description Too little is known for a judgement; null where nobody looked. */
                tier_provisional?: boolean | null;
                updated_at: components["schemas"]["Timestamp"];
                /** @description Version of its software, as it was registered. */
                version: string;
            }[];
            /** @description Send it as `cursor` to get the next page; null on the last one. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description All that match, when asked for with `count=true`.
             */
            total?: number | null;
        };
        /** @description One page of a list. */
        Page_ApiKey: {
            /** @description Whether there is a next page. A page may be short and still have one. */
            has_more: boolean;
            /** @description The items in order. */
            items: {
                /** @description When it was made. */
                created_at: components["schemas"]["Timestamp"];
                /** @description Who made it. */
                created_by: string;
                expires_at?: components["schemas"]["Timestamp"] | null;
                /** @description Its identity. */
                id: components["schemas"]["KeyId"];
                /** @description May act in every tenant. */
                is_system: boolean;
                /** @description What it opens. */
                kind: components["schemas"]["KeyKind"];
                last_used_at?: components["schemas"]["Timestamp"] | null;
                /** @description For people. */
                name: string;
                /**
                 * @description From where it is accepted; from anywhere when empty.
                 * @example [
                 *       "10.0.0.0/8"
                 *     ]
                 */
                networks: string[];
                opened_by?: components["schemas"]["KeyId"] | null;
                /** @description The first twelve characters of its secret, by which people recognise it. */
                prefix: string;
                previous_secret_until?: components["schemas"]["Timestamp"] | null;
                /**
                 * Format: int64
                 * @description Counts the accepted changes.
                 */
                revision: number;
                revoked_at?: components["schemas"]["Timestamp"] | null;
                /** @description Its rights. */
                role: components["schemas"]["Role"];
                /**
                 * @description What it may be used for: `*`, `<area>:read`, `<area>:write`, `agents:register`, `metrics`.
                 * @example [
                 *       "sessions:read",
                 *       "sessions:write"
                 *     ]
                 */
                scopes: string[];
                /**
                 * @description The key itself, `iok_…`. Only in the answer to creation and rotation; a repetition of such a
                 *     request does not show it again.
                 */
                secret?: string | null;
                /** @description Whose it is. */
                tenant_id: components["schemas"]["TenantId"];
                user_id?: components["schemas"]["UserId"] | null;
            }[];
            /** @description Send it as `cursor` to get the next page; null on the last one. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description All that match, when asked for with `count=true`.
             */
            total?: number | null;
        };
        /** @description One page of a list. */
        Page_Attempt: {
            /** @description Whether there is a next page. A page may be short and still have one. */
            has_more: boolean;
            /** @description The items in order. */
            items: {
                ended_at?: components["schemas"]["Timestamp"] | null;
                error?: components["schemas"]["SessionError"] | null;
                /** @description Its leases in order of granting. */
                leases: components["schemas"]["Lease"][];
                /**
                 * Format: int32
                 * @description 1, 2, …
                 */
                number: number;
                /** @description The status it ended in. */
                outcome?: string | null;
                /**
                 * Format: int64
                 * @description The checkpoint that it went on from.
                 */
                resumed_from_checkpoint?: number | null;
                /** @description Whose attempt. */
                session_id: components["schemas"]["SessionId"];
                /**
                 * Format: int32
                 * @description Reports that came with an older token.
                 */
                stale_reports: number;
                /** @description When it was dispatched. */
                started_at: components["schemas"]["Timestamp"];
                usage?: components["schemas"]["Usage"] | null;
            }[];
            /** @description Send it as `cursor` to get the next page; null on the last one. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description All that match, when asked for with `count=true`.
             */
            total?: number | null;
        };
        /** @description One page of a list. */
        Page_AttentionItem: {
            /** @description Whether there is a next page. A page may be short and still have one. */
            has_more: boolean;
            /** @description The items in order. */
            items: {
                /** @description The text of an answer. */
                answer?: string | null;
                /**
                 * Format: int32
                 * @description Raised during this attempt.
                 */
                attempt: number;
                /** @description Whether the agent stands still until it is settled. */
                blocks: boolean;
                /** @description When it was raised. */
                created_at: components["schemas"]["Timestamp"];
                /** @description When the default is taken. */
                deadline: components["schemas"]["Timestamp"];
                decision?: components["schemas"]["Decision"] | null;
                /** @description The decisions that it takes; empty once it is settled. */
                decisions: components["schemas"]["Decision"][];
                /** @description What is decided then. */
                default_decision: components["schemas"]["Decision"];
                /** @description SHA-256 of exactly what is asked, for `resolve`: a decision about anything else settles nothing. */
                fingerprint: string;
                /** @description Its identity. */
                id: components["schemas"]["AttentionId"];
                /** @description What it is about. */
                kind: components["schemas"]["AttentionKind"];
                /** @description The facts, as the agent gave them. */
                payload: Record<string, never>;
                resolved_at?: components["schemas"]["Timestamp"] | null;
                /** @description Who decided; `deadline` when the default was taken. */
                resolved_by?: string | null;
                /**
                 * Format: int64
                 * @description Counts the accepted changes.
                 */
                revision: number;
                /** @description How much could go wrong. */
                risk: components["schemas"]["Risk"];
                /** @description Which session. */
                session_id: components["schemas"]["SessionId"];
                /** @description Where it stands. */
                state: components["schemas"]["AttentionState"];
                /** @description Whose session. */
                tenant_id: components["schemas"]["TenantId"];
                /** @description One line for people. */
                title: string;
            }[];
            /** @description Send it as `cursor` to get the next page; null on the last one. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description All that match, when asked for with `count=true`.
             */
            total?: number | null;
        };
        /** @description One page of a list. */
        Page_Checkpoint: {
            /** @description Whether there is a next page. A page may be short and still have one. */
            has_more: boolean;
            /** @description The items in order. */
            items: {
                /** @description The last message of it that belongs to this point. */
                agent_message_ref?: string | null;
                /** @description The agent's own conversation. */
                agent_session_ref?: string | null;
                /** @description Versions of the shared contexts at that moment. */
                context_versions: {
                    [key: string]: number;
                };
                /** @description When it was taken. */
                created_at: components["schemas"]["Timestamp"];
                /** @description State; caller metadata lies under `_metadata`. */
                data: Record<string, never>;
                /** @description Its identity. */
                id: components["schemas"]["CheckpointId"];
                /**
                 * Format: int64
                 * @description From 1, rising even after older ones were dropped.
                 */
                sequence: number;
                /** @description Whose it is. */
                session_id: components["schemas"]["SessionId"];
                /** @description SHA-256 of the canonical state, lower-case hex. */
                state_hash: string;
                /** @description What for. */
                trigger: components["schemas"]["CheckpointTrigger"];
                /** @description Git commit of the workspace; null without git. */
                workspace_ref?: string | null;
            }[];
            /** @description Send it as `cursor` to get the next page; null on the last one. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description All that match, when asked for with `count=true`.
             */
            total?: number | null;
        };
        /** @description One page of a list. */
        Page_Context: {
            /** @description Whether there is a next page. A page may be short and still have one. */
            has_more: boolean;
            /** @description The items in order. */
            items: {
                agent_id?: components["schemas"]["AgentId"] | null;
                /** @description Who wrote what is in it. */
                authors: components["schemas"]["ContextAuthor"][];
                /** @description When it was made. */
                created_at: components["schemas"]["Timestamp"];
                /** @description Who made it. */
                created_by: string;
                /** @description What is remembered, at most 1 MiB. */
                data: Record<string, never>;
                expires_at?: components["schemas"]["Timestamp"] | null;
                /** @description Its identity. */
                id: components["schemas"]["ContextId"];
                /** @description The same for a context and its copies. */
                lineage_id: components["schemas"]["ContextId"];
                /** @description For people and programs; the product adds where copies come from. */
                metadata: Record<string, never>;
                /**
                 * Format: int64
                 * @description The older version that the write which is answered was based on.
                 */
                rebased_from?: number | null;
                /** @description For whom. */
                scope: components["schemas"]["ContextScope"];
                session_id?: components["schemas"]["SessionId"] | null;
                task_id?: components["schemas"]["TaskId"] | null;
                /** @description Whose it is. */
                tenant_id: components["schemas"]["TenantId"];
                /** @description Whether nothing in it was written by an agent. */
                trusted: boolean;
                /** @description When it was last written. */
                updated_at: components["schemas"]["Timestamp"];
                /**
                 * Format: int64
                 * @description One more for each accepted write.
                 */
                version: number;
                /** @description How many writes of each writer are in it. */
                version_vector: {
                    [key: string]: number;
                };
            }[];
            /** @description Send it as `cursor` to get the next page; null on the last one. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description All that match, when asked for with `count=true`.
             */
            total?: number | null;
        };
        /** @description One page of a list. */
        Page_ContextChange: {
            /** @description Whether there is a next page. A page may be short and still have one. */
            has_more: boolean;
            /** @description The items in order. */
            items: {
                /** @description More about them. */
                author: components["schemas"]["ContextAuthor"];
                /** @description When. */
                changed_at: components["schemas"]["Timestamp"];
                /** @description Who. */
                changed_by: string;
                /** @description What stands there. */
                new_value?: unknown;
                /** @description What stood there. */
                old_value?: unknown;
                /** @description How. */
                op: components["schemas"]["ContextOp"];
                /** @description Where. */
                path: string;
                /**
                 * Format: int64
                 * @description The version that it made.
                 */
                version: number;
            }[];
            /** @description Send it as `cursor` to get the next page; null on the last one. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description All that match, when asked for with `count=true`.
             */
            total?: number | null;
        };
        /** @description One page of a list. */
        Page_Delivery: {
            /** @description Whether there is a next page. A page may be short and still have one. */
            has_more: boolean;
            /** @description The items in order. */
            items: {
                /** @description What was tried, oldest first; at most the newest twelve. */
                attempts: components["schemas"]["DeliveryAttempt"][];
                /** @description When it was made. */
                created_at: components["schemas"]["Timestamp"];
                finished_at?: components["schemas"]["Timestamp"] | null;
                /** @description Its identity. */
                id: components["schemas"]["DeliveryId"];
                /** @description The name of the message, sent as `webhook-id`, the same at every attempt. */
                message_id: string;
                next_attempt_at?: components["schemas"]["Timestamp"] | null;
                redelivery_of?: components["schemas"]["DeliveryId"] | null;
                /**
                 * Format: int64
                 * @description Counts its changes.
                 */
                revision: number;
                /**
                 * Format: int64
                 * @description Number of the event.
                 */
                seq?: number | null;
                /** @description Where it stands. */
                state: components["schemas"]["DeliveryState"];
                /** @description Type of the message: that of the event, `gap` or `test`. */
                type: string;
                /** @description To which webhook. */
                webhook_id: components["schemas"]["WebhookId"];
            }[];
            /** @description Send it as `cursor` to get the next page; null on the last one. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description All that match, when asked for with `count=true`.
             */
            total?: number | null;
        };
        /** @description One page of a list. */
        Page_Hold: {
            /** @description Whether there is a next page. A page may be short and still have one. */
            has_more: boolean;
            /** @description The items in order. */
            items: {
                agent_id?: components["schemas"]["AgentId"] | null;
                /** @description Its name; null when it is no longer registered. */
                agent_name?: string | null;
                /** @description Name of the key that did it. */
                held_by: string;
                /** @description Why. */
                reason?: string | null;
                /** @description How far it reaches. */
                scope: components["schemas"]["HoldScope"];
                /** @description Since when. */
                since: components["schemas"]["Timestamp"];
            }[];
            /** @description Send it as `cursor` to get the next page; null on the last one. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description All that match, when asked for with `count=true`.
             */
            total?: number | null;
        };
        /** @description One page of a list. */
        Page_Host: {
            /** @description Whether there is a next page. A page may be short and still have one. */
            has_more: boolean;
            /** @description The items in order. */
            items: {
                /** @description Its name; stays the same whatever server works on it. */
                id: string;
                /** @description Kind of its agents. */
                kind: string;
                last_probe?: components["schemas"]["HostProbe"] | null;
                /** @description When its server is replaced. */
                limits: components["schemas"]["HostLimits"];
                /** @description Why its server is being replaced, or was ended last. */
                reason?: string | null;
                replacement?: components["schemas"]["HostServer"] | null;
                server?: components["schemas"]["HostServer"] | null;
                /**
                 * Format: int64
                 * @description Servers that were ready on it since this process began.
                 */
                starts: number;
                /**
                 * @description `starting`, `ready`, `draining` while another server takes over, `wedged` while one that does not answer is
                 *     still alive, `stopped` while none runs.
                 */
                state: string;
                tenant_id?: components["schemas"]["TenantId"] | null;
            }[];
            /** @description Send it as `cursor` to get the next page; null on the last one. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description All that match, when asked for with `count=true`.
             */
            total?: number | null;
        };
        /** @description One page of a list. */
        Page_Invite: {
            /** @description Whether there is a next page. A page may be short and still have one. */
            has_more: boolean;
            /** @description The items in order. */
            items: {
                /** @description When they did. */
                created_at: components["schemas"]["Timestamp"];
                /** @description Who invited. */
                created_by: string;
                /** @description Who is to come. */
                email: string;
                expires_at?: components["schemas"]["Timestamp"] | null;
                /** @description What they are called, when that is known. */
                full_name?: string | null;
                /** @description Its identity. */
                id: components["schemas"]["KeyId"];
                /**
                 * @description Where a browser takes it. Only in the answer to creation.
                 * @example https://orchestrator.example.org/login#invite=iok_…
                 */
                link?: string | null;
                /**
                 * Format: int64
                 * @description Counts the accepted changes.
                 */
                revision: number;
                /** @description What they will be. */
                role: components["schemas"]["Role"];
                /**
                 * @description What their first key may be used for.
                 * @example [
                 *       "*"
                 *     ]
                 */
                scopes: string[];
                /** @description Into which tenant. */
                tenant_id: components["schemas"]["TenantId"];
                /** @description The secret itself, `iok_…`. Only in the answer to creation; a repetition does not show it again. */
                token?: string | null;
            }[];
            /** @description Send it as `cursor` to get the next page; null on the last one. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description All that match, when asked for with `count=true`.
             */
            total?: number | null;
        };
        /** @description One page of a list. */
        Page_RecoveryDone: {
            /** @description Whether there is a next page. A page may be short and still have one. */
            has_more: boolean;
            /** @description The items in order. */
            items: {
                /** @description Why it failed; it is tried again by itself. */
                error?: string | null;
                /** @description `done`, `nothing` when there was nothing to do any more, or `failed`. */
                outcome: string;
                /** @description The step. */
                step: components["schemas"]["RecoveryStep"];
            }[];
            /** @description Send it as `cursor` to get the next page; null on the last one. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description All that match, when asked for with `count=true`.
             */
            total?: number | null;
        };
        /** @description One page of a list. */
        Page_RecoveryStep: {
            /** @description Whether there is a next page. A page may be short and still have one. */
            has_more: boolean;
            /** @description The items in order. */
            items: {
                /**
                 * @description `adopt`, `resume`, `restart`, `judge`, `finish`, `fail`, `expire`, `put_away` or
                 *     `end_children`.
                 */
                action: string;
                /** @description What people call it. */
                code?: string | null;
                /** @description What it is chosen by. */
                id: string;
                /** @description `attempt`, `worktree` or `children`. */
                kind: string;
                /** @description Why. */
                reason: string;
                /** @description Which session it is about. */
                session_id: components["schemas"]["SessionId"];
                /** @description Whose. */
                tenant_id: components["schemas"]["TenantId"];
            }[];
            /** @description Send it as `cursor` to get the next page; null on the last one. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description All that match, when asked for with `count=true`.
             */
            total?: number | null;
        };
        /** @description One page of a list. */
        Page_Session: {
            /** @description Whether there is a next page. A page may be short and still have one. */
            has_more: boolean;
            /** @description The items in order. */
            items: {
                /** @description The sessions that must have completed before it begins. */
                after: components["schemas"]["SessionId"][];
                /** @description Pinned agent, as it was named. */
                agent?: string | null;
                agent_config: Record<string, never>;
                /** @description What this caller may do with it now, as the paths name it. */
                allowed_actions: string[];
                /**
                 * Format: int32
                 * @description Number of the current or latest attempt; 0 before the first.
                 */
                attempt: number;
                attention: components["schemas"]["Attention"];
                budget_usd?: components["schemas"]["Usd"] | null;
                /** Format: int64 */
                checkpoint_count: number;
                /** @description Direct children, oldest first; null where they were not read (lists, answers of commands). */
                child_ids?: components["schemas"]["SessionId"][] | null;
                /**
                 * @description What people call it; accepted wherever the id is.
                 * @example IND-000042
                 */
                code: string;
                completed_at?: components["schemas"]["Timestamp"] | null;
                /** Format: double */
                cpu_limit?: number | null;
                created_at: components["schemas"]["Timestamp"];
                created_by: string;
                current_agent_id?: components["schemas"]["AgentId"] | null;
                current_agent_name?: string | null;
                /** Format: int32 */
                degraded_grace_seconds: number;
                degraded_reasons: components["schemas"]["DegradedReason"][];
                degraded_since?: components["schemas"]["Timestamp"] | null;
                /** Format: int32 */
                depth: number;
                description?: string | null;
                ended_at?: components["schemas"]["Timestamp"] | null;
                /** Format: double */
                estimated_complexity: number;
                exclude_from_training: boolean;
                execution_mode: components["schemas"]["ExecutionMode"];
                failed_at?: components["schemas"]["Timestamp"] | null;
                forked_from?: components["schemas"]["ForkedFrom"] | null;
                gates: components["schemas"]["Gate"][];
                /** Format: double */
                health_score: number;
                id: components["schemas"]["SessionId"];
                initial_prompt: string;
                is_recoverable: boolean;
                /** Format: int32 */
                max_duration_seconds: number;
                /** Format: int32 */
                memory_limit_mb?: number | null;
                metadata: Record<string, never>;
                metrics: components["schemas"]["SessionMetrics"];
                min_performance_tier?: components["schemas"]["PerformanceTier"] | null;
                model_identifier?: string | null;
                next_attempt_at?: components["schemas"]["Timestamp"] | null;
                not_before?: components["schemas"]["Timestamp"] | null;
                on_parent_end: components["schemas"]["OnParentEnd"];
                parent_id?: components["schemas"]["SessionId"] | null;
                /** @description Asked to pause; the current turn is still being finished. */
                pause_requested: boolean;
                /** Format: int32 */
                pause_timeout_seconds?: number | null;
                permission_policy: components["schemas"]["PermissionPolicy"];
                phase?: components["schemas"]["Phase"] | null;
                pinned_agent_id?: components["schemas"]["AgentId"] | null;
                preferred_agent_ids: components["schemas"]["AgentId"][];
                preferred_agent_type?: components["schemas"]["AgentType"] | null;
                /**
                 * Format: int32
                 * @description 0 critical, 1 high, 2 medium, 3 low, 4 deferred.
                 */
                priority: number;
                /** Format: int32 */
                queue_timeout_seconds?: number | null;
                queued_at?: components["schemas"]["Timestamp"] | null;
                required_capabilities: string[];
                /** @description Asked to resume; waits for a slot. */
                resume_requested: boolean;
                retry_policy: components["schemas"]["RetryPolicy"];
                /**
                 * Format: int64
                 * @description Counts the accepted changes; the number inside the `ETag`.
                 */
                revision: number;
                session_type: components["schemas"]["SessionType"];
                /** @description Offered for display beside the status. */
                sign: string;
                started_at?: components["schemas"]["Timestamp"] | null;
                status: components["schemas"]["SessionStatus"];
                status_reason?: string | null;
                status_updated_at: components["schemas"]["Timestamp"];
                tags: string[];
                task_id?: components["schemas"]["TaskId"] | null;
                technologies: string[];
                tenant_id: components["schemas"]["TenantId"];
                title: string;
                /** Format: int64 */
                token_budget?: number | null;
                updated_at: components["schemas"]["Timestamp"];
                verification?: components["schemas"]["Verification"] | null;
                workspace: components["schemas"]["Workspace"];
            }[];
            /** @description Send it as `cursor` to get the next page; null on the last one. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description All that match, when asked for with `count=true`.
             */
            total?: number | null;
        };
        /** @description One page of a list. */
        Page_Task: {
            /** @description Whether there is a next page. A page may be short and still have one. */
            has_more: boolean;
            /** @description The items in order. */
            items: {
                /** @description Commands that are possible now. */
                actions: components["schemas"]["TaskAction"][];
                /** @description What it left behind. */
                artifacts: Record<string, never>[];
                assigned_agent_id?: components["schemas"]["AgentId"] | null;
                assigned_at?: components["schemas"]["Timestamp"] | null;
                /**
                 * Format: int32
                 * @description Number of the current attempt, from 1.
                 */
                attempt: number;
                /** @description Why it is not given out. */
                blockers: components["schemas"]["BlockerCode"][];
                /** @description It can be given out now. */
                can_start: boolean;
                child_session_id?: components["schemas"]["SessionId"] | null;
                completed_at?: components["schemas"]["Timestamp"] | null;
                complexity_level?: components["schemas"]["ComplexityLevel"] | null;
                /** @description When it was made. */
                created_at: components["schemas"]["Timestamp"];
                /** @description What it needs. */
                dependencies: components["schemas"]["TaskDependency"][];
                /** @description Who needs it. */
                dependents: components["schemas"]["TaskDependent"][];
                /**
                 * Format: int32
                 * @description 0 for a root.
                 */
                depth: number;
                /** @description What is to be done. */
                description?: string | null;
                error?: components["schemas"]["TaskError"] | null;
                estimate?: components["schemas"]["TaskEstimate"] | null;
                failed_at?: components["schemas"]["Timestamp"] | null;
                /** @description Its identity. */
                id: components["schemas"]["TaskId"];
                /** @description Something that it needs is not there. */
                is_blocked: boolean;
                /** @description It has no parts. */
                is_leaf_task: boolean;
                /** @description It is no part of another one. */
                is_root_task: boolean;
                /**
                 * Format: int32
                 * @description Retries by the executor.
                 */
                max_retries: number;
                /** @description For people and programs; `attempts` are earlier ones. */
                metadata: Record<string, never>;
                /** @description What becomes of it when something that it needs cannot come any more. */
                on_upstream_failure: components["schemas"]["OnUpstreamFailure"];
                parent_task_id?: components["schemas"]["TaskId"] | null;
                /**
                 * Format: int32
                 * @description Among its siblings, from 0.
                 */
                position: number;
                /** @description How urgent it is. */
                priority: components["schemas"]["TaskPriority"];
                /**
                 * Format: double
                 * @description 0–100; of a container that of its leaves.
                 */
                progress_percentage: number;
                /** @description What it gave. */
                result?: Record<string, never> | null;
                /**
                 * Format: int64
                 * @description One more for each accepted change.
                 */
                revision: number;
                /** @description The root session that it belongs to. */
                session_id: components["schemas"]["SessionId"];
                started_at?: components["schemas"]["Timestamp"] | null;
                /** @description Where it stands. */
                status: components["schemas"]["TaskStatus"];
                /** @description Why it stands there. */
                status_reason?: string | null;
                /** @description Since when it stands there. */
                status_updated_at: components["schemas"]["Timestamp"];
                /** @description For filters. */
                tags: string[];
                /** @description What kind of work it is. */
                task_type: string;
                /** @description What it is made with. */
                technologies: string[];
                /** @description The template that made it. */
                template_key?: string | null;
                /** @description Whose it is. */
                tenant_id: components["schemas"]["TenantId"];
                /** @description What people call it. */
                title: string;
                /** @description Newest accepted change. */
                updated_at: components["schemas"]["Timestamp"];
                /** @description What is worth telling of it. */
                warnings: components["schemas"]["TaskLint"][];
            }[];
            /** @description Send it as `cursor` to get the next page; null on the last one. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description All that match, when asked for with `count=true`.
             */
            total?: number | null;
        };
        /** @description One page of a list. */
        Page_TaskDependency: {
            /** @description Whether there is a next page. A page may be short and still have one. */
            has_more: boolean;
            /** @description The items in order. */
            items: {
                /** @description How. */
                dependency_type: components["schemas"]["DependencyType"];
                /** @description For people. */
                description?: string | null;
                /** @description Its identity. */
                id: components["schemas"]["DependencyId"];
                /** @description Whether it gates; an optional one only orders candidates that are equal otherwise. */
                is_required: boolean;
                /** @description Whether its target stands as it wants. */
                is_satisfied: boolean;
                /** @description Who needs. */
                source_task_id: components["schemas"]["TaskId"];
                /** @description What is needed. */
                target_task_id: components["schemas"]["TaskId"];
            }[];
            /** @description Send it as `cursor` to get the next page; null on the last one. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description All that match, when asked for with `count=true`.
             */
            total?: number | null;
        };
        /** @description One page of a list. */
        Page_Template: {
            /** @description Whether there is a next page. A page may be short and still have one. */
            has_more: boolean;
            /** @description The items in order. */
            items: {
                created_at?: components["schemas"]["Timestamp"] | null;
                /** @description For people. */
                description: string;
                /** @description Types that it is never used for. */
                excluded_task_types: string[];
                /** @description Whether the tenant wrote it. */
                is_own: boolean;
                /** @description Whether a template of this key is shipped with the product. */
                is_shipped: boolean;
                /** @description A slug; unique among those of a tenant. */
                key: string;
                /** @description For a trigger by words. */
                keywords: string[];
                /** @description Children above it are refined. */
                leaf_target: components["schemas"]["ComplexityLevel"];
                /**
                 * Format: int32
                 * @description 1–5.
                 */
                max_depth: number;
                /** @description For people. */
                name: string;
                /** @description What can be said of it when it is used, as a file has it. */
                parameter: Record<string, never>[];
                /**
                 * Format: int32
                 * @description 1–10, higher first.
                 */
                priority: number;
                /**
                 * Format: int64
                 * @description One more for each accepted change; null for one that is shipped.
                 */
                revision?: number | null;
                /** @description How. */
                strategy: components["schemas"]["TemplateRefinement"];
                /** @description What it gives, as a file has it. */
                subtask: Record<string, never>[];
                /** @description For a trigger by type. */
                task_types: string[];
                /** @description The lowest level that it is used for. */
                threshold: components["schemas"]["ComplexityLevel"];
                /** @description What it is chosen by. */
                trigger: components["schemas"]["TemplateTrigger"];
                updated_at?: components["schemas"]["Timestamp"] | null;
                /** @description A semantic version. */
                version: string;
            }[];
            /** @description Send it as `cursor` to get the next page; null on the last one. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description All that match, when asked for with `count=true`.
             */
            total?: number | null;
        };
        /** @description One page of a list. */
        Page_Tenant: {
            /** @description Whether there is a next page. A page may be short and still have one. */
            has_more: boolean;
            /** @description The items in order. */
            items: {
                /** @description When it was made. */
                created_at: components["schemas"]["Timestamp"];
                /** @description Its identity. */
                id: components["schemas"]["TenantId"];
                /** @description An inactive tenant does not exist for anybody. */
                is_active: boolean;
                /** @description For people. */
                name: string;
                /** @description What it set for itself. */
                settings: components["schemas"]["TenantSettings"];
                /** @description Unique short name. */
                slug: string;
            }[];
            /** @description Send it as `cursor` to get the next page; null on the last one. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description All that match, when asked for with `count=true`.
             */
            total?: number | null;
        };
        /** @description One page of a list. */
        Page_User: {
            /** @description Whether there is a next page. A page may be short and still have one. */
            has_more: boolean;
            /** @description The items in order. */
            items: {
                /** @description When they came. */
                created_at: components["schemas"]["Timestamp"];
                /** @description Who let them in. */
                created_by: string;
                /** @description Unique within the tenant, without case. */
                email: string;
                /** @description For people. */
                full_name: string;
                /** @description Their identity. */
                id: components["schemas"]["UserId"];
                /** @description The identity provider that they sign in through, by its address. */
                identity_provider?: string | null;
                /** @description Whether their keys are accepted. */
                is_active: boolean;
                /** @description May act in every tenant. */
                is_system_admin: boolean;
                /**
                 * Format: int64
                 * @description Counts the accepted changes.
                 */
                revision: number;
                /** @description The most that their keys may do. */
                role: components["schemas"]["Role"];
                /** @description Whose they are. */
                tenant_id: components["schemas"]["TenantId"];
            }[];
            /** @description Send it as `cursor` to get the next page; null on the last one. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description All that match, when asked for with `count=true`.
             */
            total?: number | null;
        };
        /** @description One page of a list. */
        Page_Webhook: {
            /** @description Whether there is a next page. A page may be short and still have one. */
            has_more: boolean;
            /** @description The items in order. */
            items: {
                /** @description When it was made. */
                created_at: components["schemas"]["Timestamp"];
                /** @description Who made it. */
                created_by: string;
                /**
                 * Format: int64
                 * @description Events up to this number were delivered, are not wanted, or wait behind one that failed.
                 */
                cursor: number;
                /** @description For people. */
                description?: string | null;
                disabled_at?: components["schemas"]["Timestamp"] | null;
                /** @description Why. */
                disabled_reason?: string | null;
                /** @description What it wants to hear: types, or families such as `session.*`; everything when empty. */
                event_types: string[];
                failing_since?: components["schemas"]["Timestamp"] | null;
                /** @description Its identity. */
                id: components["schemas"]["WebhookId"];
                /** @description Whether a person wants it to be told. */
                is_active: boolean;
                /** @description What the newest failure was. */
                last_error?: string | null;
                last_success_at?: components["schemas"]["Timestamp"] | null;
                previous_secret_until?: components["schemas"]["Timestamp"] | null;
                resume_at?: components["schemas"]["Timestamp"] | null;
                /**
                 * Format: int64
                 * @description Counts the accepted changes.
                 */
                revision: number;
                /**
                 * @description What messages are signed with: `whsec_` and base64. Only in the answer to creation and
                 *     rotation.
                 */
                secret?: string | null;
                /**
                 * @description `ok`, `failing`, `disabled` by the product, or `off`.
                 * @example ok
                 */
                state: string;
                /** @description Whose events. */
                tenant_id: components["schemas"]["TenantId"];
                /** @description When a person last changed it. */
                updated_at: components["schemas"]["Timestamp"];
                /** @description Where messages are sent. */
                url: string;
            }[];
            /** @description Send it as `cursor` to get the next page; null on the last one. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description All that match, when asked for with `count=true`.
             */
            total?: number | null;
        };
        /**
         * @description Fields to change; what is omitted stays.
         * @example {
         *       "config": {
         *         "env": {
         *           "MODE": "fast"
         *         }
         *       },
         *       "max_concurrent_capacity": 2
         *     }
         */
        PatchAgent: {
            agent_type?: components["schemas"]["AgentType"] | null;
            avoided_technologies?: string[] | null;
            /** @description The same as `primary_capabilities`. */
            capabilities?: string[] | null;
            complexity_preference?: components["schemas"]["ComplexityPreference"] | null;
            /** @description Merged with what stands, members of `env` too; null takes one away. */
            config?: Record<string, never> | null;
            /** @description Null clears it. */
            description?: string | null;
            /** @description Switched off, it gets nothing new. */
            is_active?: boolean | null;
            /** Format: int32 */
            max_concurrent_capacity?: number | null;
            /** Format: double */
            max_task_duration_hours?: number | null;
            /** Format: int32 */
            max_tokens?: number | null;
            /** @description In the place of what stands. */
            metadata?: Record<string, never> | null;
            /** Format: double */
            min_quality_threshold?: number | null;
            /** @description Null for the driver's own. */
            model_identifier?: string | null;
            preferred_session_types?: components["schemas"]["SessionType"][] | null;
            preferred_technologies?: string[] | null;
            primary_capabilities?: string[] | null;
            secondary_capabilities?: string[] | null;
            system_prompt_template?: string | null;
            /** Format: double */
            temperature?: number | null;
            version?: string | null;
        };
        /**
         * @description Fields to change; what is omitted stays.
         * @example {
         *       "priority": 1,
         *       "tags": [
         *         "urgent"
         *       ]
         *     }
         */
        PatchSession: {
            /** @description Only while pending. */
            agent_config?: Record<string, never> | null;
            budget_usd?: components["schemas"]["Usd"] | null;
            /** @description Null clears it. */
            description?: string | null;
            exclude_from_training?: boolean | null;
            /** Format: int32 */
            max_duration_seconds?: number | null;
            metadata?: Record<string, never> | null;
            priority?: components["schemas"]["Priority"] | null;
            tags?: string[] | null;
            title?: string | null;
        };
        /**
         * @description A change of a task; what is not named stays.
         * @example {
         *       "estimated_hours": 3,
         *       "priority": "high"
         *     }
         */
        PatchTask: {
            /** @description Null clears it. */
            description?: string | null;
            estimate?: components["schemas"]["TaskEstimateInput"] | null;
            /** Format: double */
            estimated_hours?: number | null;
            /** Format: int32 */
            max_retries?: number | null;
            metadata?: Record<string, never> | null;
            on_upstream_failure?: components["schemas"]["OnUpstreamFailure"] | null;
            priority?: components["schemas"]["TaskPriority"] | null;
            required_capabilities?: string[] | null;
            tags?: string[] | null;
            task_type?: string | null;
            technologies?: string[] | null;
            title?: string | null;
        };
        /**
         * @description What is to become different; what is omitted stays.
         * @example {
         *       "settings": {
         *         "weight": 2
         *       }
         *     }
         */
        PatchTenant: {
            /** @description For system administrators alone. */
            is_active?: boolean | null;
            name?: string | null;
            settings?: components["schemas"]["PatchTenantSettings"] | null;
        };
        /** @description Days to change; what is omitted stays, null is as the server says. */
        PatchTenantRetention: {
            /** Format: int32 */
            deleted_sessions_days: number | null;
            /** Format: int32 */
            events_days: number | null;
            /** Format: int32 */
            sessions_days: number | null;
        };
        /** @description Settings to change; what is omitted stays. */
        PatchTenantSettings: {
            join_mode?: components["schemas"]["JoinMode"] | null;
            registration_mode?: components["schemas"]["RegistrationMode"] | null;
            retention?: components["schemas"]["PatchTenantRetention"] | null;
            /** Format: double */
            weight?: number | null;
        };
        /**
         * @description What is to become different; what is omitted stays.
         * @example {
         *       "role": "lead"
         *     }
         */
        PatchUser: {
            email?: string | null;
            full_name?: string | null;
            /** @description Only null: whoever has their address may sign in through the provider anew. */
            identity_provider?: string | null;
            /** @description False revokes all keys of theirs. */
            is_active?: boolean | null;
            /** @description For system administrators alone. */
            is_system_admin?: boolean | null;
            role?: components["schemas"]["Role"] | null;
        };
        /**
         * @description Fields to change; what is omitted stays.
         * @example {
         *       "event_types": [
         *         "session.*"
         *       ],
         *       "is_active": true
         *     }
         */
        PatchWebhook: {
            /** @description Null clears it. */
            description?: string | null;
            /** @description Everything when empty. */
            event_types?: string[] | null;
            /** @description `true` also takes up a webhook that the product switched off. */
            is_active?: boolean | null;
            /** @description `https://…`; `http://` only to addresses that the server's settings list. */
            url?: string | null;
        };
        /** @enum {string} */
        PerformanceTier: "elite" | "advanced" | "competent" | "trainee" | "degraded";
        /** @enum {string} */
        PermissionDecision: "allow" | "ask" | "deny";
        /** @description What an agent may do without asking. */
        PermissionPolicy: {
            /** @description For what no rule matches. */
            default: components["schemas"]["PermissionDecision"];
            /** @description The strictest matching rule wins. */
            rules: components["schemas"]["PermissionRule"][];
        };
        /** @description One rule about one tool. */
        PermissionRule: {
            /** @description What happens. */
            decision: components["schemas"]["PermissionDecision"];
            /**
             * @description Instead of a glob, the pieces of the one call that is meant, in order and character by
             *     character; an empty list means a call without pieces. At most 8 KiB together.
             */
            exactly: string[] | null;
            /** @description Glob that a piece of the call must match (`*` any characters, `?` one); all calls when null. */
            pattern: string | null;
            /** @description Tool or class of tools; `*` for all. */
            tool: string;
        };
        /** @enum {string} */
        Phase: "planning" | "executing" | "reviewing";
        /** @description What a model costs, in dollars per million tokens. */
        Price: {
            cache_read: components["schemas"]["Usd"] | null;
            cache_write: components["schemas"]["Usd"] | null;
            /** @description Prompt tokens. */
            input: components["schemas"]["Usd"];
            /** @description Name of the model, or what names begin with and a `*`. */
            model: string;
            /** @description Answer tokens. */
            output: components["schemas"]["Usd"];
            reasoning: components["schemas"]["Usd"] | null;
        };
        /** @description The prices of a tenant. */
        Prices: {
            /** @description By model. */
            prices: components["schemas"]["Price"][];
        };
        /** @description 0 critical, 1 high, 2 medium, 3 low, 4 deferred, or the name */
        Priority: number | ("critical" | "high" | "medium" | "low" | "deferred");
        /** @description A priority and how many sessions have it. */
        PriorityShare: {
            /** Format: int64 */
            count: number;
            /** Format: int32 */
            priority: number;
        };
        /** @description An error, as in RFC 9457 */
        Problem: {
            actual?: number;
            allowed?: string[];
            /** @enum {string} */
            code: "PROTOCOL_ERROR" | "TENANT_MALFORMED" | "TENANT_REQUIRED" | "UNAUTHENTICATED" | "FORBIDDEN" | "TENANT_MISMATCH" | "HOST_NOT_ALLOWED" | "ORIGIN_NOT_ALLOWED" | "NOT_FOUND" | "SESSION_NOT_FOUND" | "CHECKPOINT_NOT_FOUND" | "ATTENTION_NOT_FOUND" | "AGENT_NOT_FOUND" | "TENANT_NOT_FOUND" | "METHOD_NOT_ALLOWED" | "INVALID_TRANSITION" | "NOT_RETRYABLE" | "STALE_RESULT" | "WORKSPACE_CONFLICT" | "IDEMPOTENCY_IN_FLIGHT" | "CURSOR_EXPIRED" | "VERSION_MISMATCH" | "PAYLOAD_TOO_LARGE" | "UNSUPPORTED_MEDIA_TYPE" | "VALIDATION_ERROR" | "IDEMPOTENCY_KEY_REUSED" | "QUOTA_EXCEEDED" | "BUDGET_EXHAUSTED" | "RATE_LIMITED" | "INTERNAL_ERROR" | "RECORD_QUARANTINED" | "AGENT_UNAVAILABLE" | "STORE_READ_ONLY" | "CONTENDED" | "BUSY" | "SHUTTING_DOWN" | "KEY_NOT_FOUND" | "KEY_REVOKED" | "ALREADY_EXISTS" | "OWN_KEY" | "PRIVILEGE_ESCALATION" | "WEBHOOK_NOT_FOUND" | "DELIVERY_NOT_FOUND" | "ENDPOINT_NOT_ALLOWED" | "USER_NOT_FOUND" | "INVITE_NOT_FOUND" | "LAST_ADMINISTRATOR" | "CSRF_REFUSED" | "REQUEST_TIMEOUT" | "LOCKED" | "APPROVAL_MISMATCH" | "PATH_NOT_ALLOWED" | "AGENT_BUILT_IN" | "CONTEXT_NOT_FOUND" | "CONTEXT_KEY_NOT_FOUND" | "CONTEXT_CONFLICT" | "CONTEXT_MERGE_CONFLICT" | "MERGE_STALE" | "SCOPE_MISMATCH" | "CONTEXT_ACCESS_DENIED" | "LOCK_NOT_FOUND" | "LOCK_NOT_OWNED" | "LOCK_LOST" | "DEADLOCK_DETECTED" | "HOST_NOT_FOUND" | "HOST_BUSY" | "TASK_NOT_FOUND" | "DEPENDENCY_NOT_FOUND" | "TEMPLATE_NOT_FOUND" | "DEPENDENCY_CYCLE" | "TASK_ALREADY_STARTED" | "TASK_DEPTH_EXCEEDED" | "DECOMPOSITION_LIMIT" | "PLAN_INVALID";
            current?: string;
            cycle?: (components["schemas"]["LockEdge"] | components["schemas"]["TaskId"])[];
            /** @description What happened */
            detail: string;
            errors?: {
                /** @description Stable word */
                code: string;
                /** @description The rule, and how to satisfy it */
                message: string;
                /** @description JSON pointer of the field; `?name` for a parameter */
                pointer: string;
            }[];
            expected?: number;
            files?: string[];
            holder?: components["schemas"]["LockGrant"] | null;
            limit?: number;
            name?: string;
            oldest?: number;
            position?: number;
            quota?: string;
            /** @description What helps */
            remedy: string;
            request_id: string | null;
            requested?: string | null;
            required_role?: string;
            required_scope?: string;
            status: number;
            /** @description The kind of problem */
            title: string;
            /**
             * Format: uri-reference
             * @example /problems/invalid-transition
             */
            type: string;
            used?: number;
        };
        /**
         * @description Something to tell the agent.
         * @example {
         *       "mode": "queue",
         *       "text": "Also update the changelog"
         *     }
         */
        Prompt: {
            mode?: components["schemas"]["PromptMode"] | null;
            /** @description What to say. */
            text: string;
        };
        /** @enum {string} */
        PromptMode: "queue" | "interrupt";
        /**
         * @description A value to write.
         * @example {
         *       "expected_version": 3,
         *       "value": 2
         *     }
         */
        PutContextKey: {
            /**
             * Format: int64
             * @description The version that the writer knows.
             */
            expected_version?: number | null;
            /** @description Newer versions matter, whatever they changed. */
            strict?: boolean | null;
            /** @description What is to stand there; null deletes. */
            value?: Record<string, never> | null;
        };
        /** @description A template, as a file has it. */
        PutTemplate: {
            description?: string | null;
            excluded_task_types?: string[] | null;
            key: string;
            keywords?: string[] | null;
            leaf_target?: string | null;
            /** Format: int32 */
            max_depth?: number | null;
            name: string;
            parameter?: Record<string, never>[] | null;
            /** Format: int32 */
            priority?: number | null;
            strategy?: string | null;
            subtask: Record<string, never>[];
            task_types?: string[] | null;
            threshold?: string | null;
            trigger: string;
            version?: string | null;
        };
        /** @description What a tenant may have, and has. Null is no bound. */
        Quotas: {
            /**
             * Format: int64
             * @description Most agents that are registered.
             */
            max_agents: number | null;
            /**
             * Format: int64
             * @description Most sessions in an open status.
             */
            max_concurrent_sessions: number | null;
            /**
             * Format: int64
             * @description Most sessions that wait in the queue.
             */
            max_queue_depth: number | null;
            /**
             * Format: int64
             * @description Most MiB of checkpoints, transcripts and logs.
             */
            max_storage_mb: number | null;
            /**
             * Format: int64
             * @description Most tokens of a month of UTC.
             */
            max_tokens_per_month: number | null;
            monthly_budget_usd: components["schemas"]["Usd"] | null;
            /**
             * Format: int64
             * @description Most requests of all keys together in a minute; a sixth of them, and ten at least, at once.
             */
            requests_per_minute: number | null;
            /** @description Whose. */
            tenant_id: components["schemas"]["TenantId"];
            /** @description What is used of each; requests are not told. */
            used: components["schemas"]["QuotasUsed"];
        };
        /** @description What is used of the quotas. */
        QuotasUsed: {
            /**
             * Format: int64
             * @description Agents that are registered.
             */
            max_agents: number;
            /**
             * Format: int64
             * @description Sessions in an open status.
             */
            max_concurrent_sessions: number;
            /**
             * Format: int64
             * @description Sessions that wait in the queue.
             */
            max_queue_depth: number;
            /**
             * Format: int64
             * @description MiB of checkpoints, transcripts and logs, rounded up.
             */
            max_storage_mb: number;
            /**
             * Format: int64
             * @description Tokens that were charged this month.
             */
            max_tokens_per_month: number;
            /** @description US dollars that were charged this month. */
            monthly_budget_usd: components["schemas"]["Usd"];
        };
        /**
         * @description A person's judgement of what a session gave; at least one of its fields.
         * @example {
         *       "comment": "the edge cases are missing",
         *       "success_rate": 0.8
         *     }
         */
        Rate: {
            /**
             * Format: double
             * @description How good the code is.
             */
            code_quality_score: number | null;
            /** @description Why, for the audit. */
            comment: string | null;
            /**
             * Format: double
             * @description Share of the work that succeeded; stands above what was measured.
             */
            success_rate: number | null;
        };
        /** @enum {string} */
        RateSource: "reported" | "tasks" | "gates" | "operator";
        /** @description Whether the server takes work. */
        Readiness: {
            /** @description Its parts, each by a real probe. */
            components: components["schemas"]["Component"][];
            /** @description Why not, in a word for whoever showed no credential; null when ready. */
            reason: string | null;
            /** @description `ready` or `not_ready`. */
            status: string;
        };
        /**
         * @description Why, for people and the audit.
         * @example {
         *       "reason": "superseded"
         *     }
         */
        Reason: {
            /** @description For people and the audit. */
            reason?: string | null;
        };
        /**
         * @description What is to be rebalanced.
         * @example {
         *       "dry_run": true
         *     }
         */
        Rebalance: {
            /**
             * @description Only tell what would be moved.
             * @default false
             */
            dry_run: boolean | null;
        };
        /** @description What a rebalancing did, or would do. */
        Rebalanced: {
            /** @description Their utilisation afterwards; as expected with `dry_run`. */
            after_utilization: {
                [key: string]: number;
            };
            /** @description Names of the agents that are concerned. */
            agents_affected: string[];
            /** @description Their utilisation before. */
            before_utilization: {
                [key: string]: number;
            };
            /** @description What could not be moved, and why. */
            errors: string[];
            /** @description What was moved, or would be. */
            moved: components["schemas"]["MovedSession"][];
            /** @description How many sessions were moved, or would be. */
            tasks_rebalanced: number;
        };
        /** @description Which steps to do. */
        RecoveryApply: {
            /** @description Ids of the plan; all steps when omitted. */
            ids: string[] | null;
        };
        /** @description What became of a step. */
        RecoveryDone: {
            /** @description Why it failed; it is tried again by itself. */
            error: string | null;
            /** @description `done`, `nothing` when there was nothing to do any more, or `failed`. */
            outcome: string;
            /** @description The step. */
            step: components["schemas"]["RecoveryStep"];
        };
        /** @description Something that is to be done. */
        RecoveryStep: {
            /**
             * @description `adopt`, `resume`, `restart`, `judge`, `finish`, `fail`, `expire`, `put_away` or
             *     `end_children`.
             */
            action: string;
            /** @description What people call it. */
            code: string | null;
            /** @description What it is chosen by. */
            id: string;
            /** @description `attempt`, `worktree` or `children`. */
            kind: string;
            /** @description Why. */
            reason: string;
            /** @description Which session it is about. */
            session_id: components["schemas"]["SessionId"];
            /** @description Whose. */
            tenant_id: components["schemas"]["TenantId"];
        };
        /**
         * @description An agent to be registered; name, kind and capabilities are required, everything else has a default.
         * @example {
         *       "capabilities": [
         *         "code_generation",
         *         "testing"
         *       ],
         *       "config": {
         *         "command": [
         *           "my-agent",
         *           "--work"
         *         ],
         *         "env": {
         *           "API_KEY": "$MY_API_KEY"
         *         }
         *       },
         *       "kind": "command",
         *       "name": "AGENT-CODE-01"
         *     }
         */
        RegisterAgent: {
            agent_type?: components["schemas"]["AgentType"] | null;
            /** @description Sessions with one of them go to others. */
            avoided_technologies?: string[] | null;
            /** @description The same as `primary_capabilities`. */
            capabilities?: string[] | null;
            complexity_preference?: components["schemas"]["ComplexityPreference"] | null;
            /**
             * @description Settings of the driver, by the kind: `command` (list) and `env` for `acp` and `command`, which needs
             *     them; secrets only as `$NAME`, a variable of the server's environment.
             */
            config?: Record<string, never> | null;
            description?: string | null;
            /** @description Which driver speaks to it; `eap` agents register themselves. */
            kind: components["schemas"]["AgentKind"];
            /**
             * Format: int32
             * @default 5
             */
            max_concurrent_capacity: number | null;
            /**
             * Format: double
             * @default 4
             */
            max_task_duration_hours: number | null;
            /**
             * Format: int32
             * @description By its type when omitted.
             */
            max_tokens?: number | null;
            metadata?: Record<string, never> | null;
            /**
             * Format: double
             * @default 0.7
             */
            min_quality_threshold: number | null;
            model_identifier?: string | null;
            /** @description `AGENT-` and upper-case letters, digits, `_` and `-`; unique among the agents of the tenant. */
            name: string;
            preferred_session_types?: components["schemas"]["SessionType"][] | null;
            preferred_technologies?: string[] | null;
            /** @description Slugs, known or your own; 1 to 50 with the secondary ones. */
            primary_capabilities?: string[] | null;
            secondary_capabilities?: string[] | null;
            /** @description Empty, or 50 characters and more. */
            system_prompt_template?: string | null;
            /**
             * Format: double
             * @default 0.3
             */
            temperature: number | null;
            /** @default 1.0.0 */
            version: string | null;
        };
        /** @description An agent that was registered. */
        Registered: {
            /** @description Its identity. */
            agent_id: components["schemas"]["AgentId"];
            /** @description Whether it is given work; a lead may have to let it in first. */
            approved: boolean;
            /** @description What it is to show, told once; null when it has one already. */
            auth_token: string | null;
            /** @description What this server shows to it when it brings work. */
            dispatch_token: string | null;
            /**
             * Format: int64
             * @description After this long without a sign of life its work goes to others.
             */
            heartbeat_expiry_seconds: number;
            /**
             * Format: int64
             * @description How often it is to say how it is.
             */
            heartbeat_interval_seconds: number;
            /** @description What is spoken. */
            protocol_version: string;
            /** @description `registered`. */
            status: string;
        };
        /**
         * @description What an agent says of itself.
         * @example {
         *       "agent_type": "implementer",
         *       "capabilities": [
         *         "code_generation"
         *       ],
         *       "name": "AGENT-BUILD-01",
         *       "protocol_version": "1.0",
         *       "version": "2.1.0"
         *     }
         */
        Registration: {
            /** @description `implementer` when omitted. */
            agent_type: string | null;
            /** @description At least one slug, known or its own. */
            capabilities: string[];
            /** @description Where its work is brought to; without it, it fetches its work. */
            endpoint_url: string | null;
            /** @description `max_concurrent_capacity` is heeded: 1 to 50, 5 when omitted. */
            metadata: Record<string, never>;
            /** @description `AGENT-` and 1 to 64 upper-case letters, digits, `_` and `-`. */
            name: string;
            /** @description `1.0`; any other 1.x is taken for it. */
            protocol_version: string | null;
            /** @description Version of its software; `1.0.0` when omitted. */
            version: string | null;
        };
        /** @enum {string} */
        RegistrationMode: "key" | "approval" | "open";
        /**
         * @description Which hold is given back.
         * @example {
         *       "lock_id": "0198c5d2-90aa-7c55-8c1d-6d2a54c6e9b3"
         *     }
         */
        ReleaseLock: {
            /**
             * Format: uuid
             * @description The hold, as it was granted.
             */
            lock_id: string;
        };
        /**
         * @description How a hold is to be renewed.
         * @example {
         *       "lock_id": "0198c5d2-90aa-7c55-8c1d-6d2a54c6e9b3"
         *     }
         */
        RenewLock: {
            /**
             * Format: int64
             * @description The token that the caller works with: an old one is refused.
             */
            fencing_token?: number | null;
            /**
             * Format: uuid
             * @description The hold, as it was granted.
             */
            lock_id: string;
            /**
             * Format: int64
             * @description How long from now; as it was granted when omitted.
             */
            ttl_seconds?: number | null;
        };
        /**
         * @description Work of an agent, as somebody judges it.
         * @example {
         *       "execution_time_seconds": 840,
         *       "quality_score": 0.92,
         *       "task_success": true
         *     }
         */
        ReportPerformance: {
            /** Format: double */
            cost_usd?: number | null;
            /** Format: double */
            execution_time_seconds?: number | null;
            /**
             * @description It counts half, whatever `task_success` says.
             * @default false
             */
            partial_success: boolean | null;
            /**
             * Format: double
             * @description Below the agent's `min_quality_threshold` a success counts half.
             */
            quality_score?: number | null;
            task_success: boolean;
            /** Format: int64 */
            tokens_used?: number | null;
        };
        /** @description Room at an agent that is held. */
        Reservation: {
            /** @description It is free again then, unless a session of yours that was created for the agent used it before. */
            expires_at: components["schemas"]["Timestamp"];
            /** @description Its identity. */
            id: components["schemas"]["ReservationId"];
        };
        /**
         * Format: uuid
         * @example 0198f3a0-5b1c-7c3e-8f00-0123456789b5
         */
        ReservationId: string;
        /**
         * @description A decision about one item.
         * @example {
         *       "decision": "allow_once"
         *     }
         */
        Resolve: {
            /** @description The text of an answer. */
            answer?: string | null;
            /** @description One of the item's `decisions`. */
            decision: components["schemas"]["Decision"];
            /**
             * @description The item's `fingerprint`, as it was when this was decided: what is asked by then for anything
             *     else is left open.
             */
            fingerprint?: string | null;
        };
        /**
         * @description Decisions about the clashes of a merge.
         * @example {
         *       "resolutions": {
         *         "plan.notes": {
         *           "value": "both"
         *         },
         *         "plan.step": "source"
         *       }
         *     }
         */
        ResolveContext: {
            /** @description For each path that clashes `source`, `target`, or `{"value": …}`. */
            resolutions: Record<string, never>;
        };
        /**
         * @description A decision about every open item that asks the same.
         * @example {
         *       "decision": "deny",
         *       "fingerprint": "…"
         *     }
         */
        ResolveMany: {
            /** @description The text of an answer. */
            answer?: string | null;
            /** @description One of the items' `decisions`. */
            decision: components["schemas"]["Decision"];
            /** @description The items' `fingerprint`. */
            fingerprint: string;
        };
        /**
         * @description Where the next attempt goes on from.
         * @example {
         *       "from_checkpoint": 3
         *     }
         */
        Retry: {
            /**
             * Format: int64
             * @description The newest one when omitted.
             */
            from_checkpoint?: number | null;
        };
        /** @description When and how often a session is tried again. */
        RetryPolicy: {
            /**
             * Format: double
             * @default 2
             */
            backoff_factor: number;
            /**
             * Format: int32
             * @default 5
             */
            initial_backoff_seconds: number;
            /**
             * Format: double
             * @default 0.2
             */
            jitter: number;
            /**
             * Format: int32
             * @default 300
             */
            max_backoff_seconds: number;
            /**
             * Format: int32
             * @default 3
             */
            max_retries: number;
        };
        /** @enum {string} */
        Risk: "low" | "medium" | "high";
        /** @enum {string} */
        Role: "viewer" | "member" | "lead" | "admin";
        /**
         * @description How a key is rotated.
         * @example {
         *       "grace_seconds": 3600
         *     }
         */
        RotateKey: {
            /**
             * Format: int32
             * @description How long the secret before is accepted beside the new one; a day when omitted.
             * @default 86400
             */
            grace_seconds: number | null;
        };
        /**
         * @description Work that an agent is wanted for.
         * @example {
         *       "required_capabilities": [
         *         "debugging"
         *       ],
         *       "task_description": "Mend the build of the parser"
         *     }
         */
        RouteAgent: {
            /**
             * Format: double
             * @default 1
             */
            estimated_complexity: number | null;
            /** @description Ids or names. */
            exclude_agent_ids?: string[] | null;
            explain?: components["schemas"]["Explain"] | null;
            match?: components["schemas"]["Match"] | null;
            min_performance_tier?: components["schemas"]["PerformanceTier"] | null;
            /** @description Ids or names; worth 0.2 to these agents. */
            preferred_agent_ids?: string[] | null;
            preferred_agent_type?: components["schemas"]["AgentType"] | null;
            /** @description What the agent is to be able to do, known or your own. */
            required_capabilities: string[];
            /**
             * @description Hold room for it for 60 s, for a session that you create for the selected agent; for members.
             * @default false
             */
            reserve: boolean | null;
            session_type?: components["schemas"]["SessionType"] | null;
            task_description: string;
            technologies?: string[] | null;
        };
        /**
         * @description What an agent earned by being wished for; the sum with the products is divided by 1 and all that the
         *     wishes of the request could earn.
         */
        RoutingBonuses: {
            /**
             * Format: double
             * @description It was asked for by its id.
             */
            preferred_agent: number;
            /**
             * Format: double
             * @description It is of the type that was asked for.
             */
            preferred_type: number;
        };
        /** @description What became of an agent. */
        RoutingCandidate: {
            /** @description Who. */
            agent_id: components["schemas"]["AgentId"];
            /**
             * @description What it is called.
             * @example AGENT-CODE-01
             */
            agent_name: string;
            bonuses: components["schemas"]["RoutingBonuses"] | null;
            /** @description What its score is made of; empty for who is refused. */
            components: components["schemas"]["RoutingPart"][];
            gate: components["schemas"]["RoutingGate"] | null;
            /**
             * Format: double
             * @description 0 to 1; null for who is refused.
             */
            score: number | null;
        };
        /** @description An agent that could be given a piece of work. */
        RoutingChoice: {
            agent_type: components["schemas"]["AgentType"];
            id: components["schemas"]["AgentId"];
            load_level: components["schemas"]["LoadLevel"];
            /** @example AGENT-CODE-01 */
            name: string;
            performance_tier: components["schemas"]["PerformanceTier"];
            /**
             * Format: double
             * @description 0 to 1.
             */
            score: number;
            state: components["schemas"]["AgentState"];
        };
        /** @enum {string} */
        RoutingComponent: "tier" | "capability" | "technology" | "session_type" | "complexity" | "load" | "availability";
        /** @description Who would be given a piece of work, and why. */
        RoutingDecision: {
            /** @description The next three, the better ones first. */
            alternatives: components["schemas"]["RoutingChoice"][];
            /** @description Those who could be given it, the better ones first, then those who are refused, by name. */
            candidates: components["schemas"]["RoutingCandidate"][];
            /** @description Agents of the tenant, told here or not. */
            candidates_total: number;
            reservation: components["schemas"]["Reservation"] | null;
            /** @description One sentence. */
            routing_reason: string;
            /**
             * Format: double
             * @description 0 to 1.
             */
            routing_score: number;
            selected_agent: components["schemas"]["RoutingChoice"];
        };
        /** @enum {string} */
        RoutingGate: "tenant" | "active" | "draining" | "alive" | "capability" | "capacity" | "technology" | "tier" | "breaker";
        /** @description A part of a score. */
        RoutingPart: {
            /** @description Which. */
            component: components["schemas"]["RoutingComponent"];
            /**
             * Format: double
             * @description Value by weight.
             */
            product: number;
            /**
             * Format: double
             * @description 0 to 1.
             */
            value: number;
            /**
             * Format: double
             * @description Its share; all of them together are 1.
             */
            weight: number;
        };
        /** @description One page of a numbered stream. */
        SeqPage_AuditEntry: {
            /** @description Whether there is more. */
            has_more: boolean;
            /** @description The entries in order. */
            items: {
                /**
                 * @description The verb.
                 * @example pause
                 */
                action: string;
                /** @description Who. */
                actor: components["schemas"]["AuditActor"];
                /** @description What stood afterwards. */
                after?: Record<string, never> | null;
                /** @description When. */
                at: components["schemas"]["Timestamp"];
                /** @description What stood before, as far as it matters. */
                before?: Record<string, never> | null;
                /** @description SHA-256 of `prev_hash` and the canonical JSON of the entry without its two hashes. */
                hash: string;
                /** @description Its identity. */
                id: components["schemas"]["AuditId"];
                /** @description `ok` or `refused`. */
                outcome: string;
                /** @description Hash of the entry before; 64 zeros for the first. */
                prev_hash: string;
                /** @description The reason that was given. */
                reason?: string | null;
                /** @description The request that asked for it. */
                request_id?: string | null;
                /**
                 * Format: int64
                 * @description Its number in the tenant, from 1 without gap.
                 */
                seq: number;
                /** @description To what. */
                subject: components["schemas"]["EventSubject"];
                /** @description In whose chain it stands. */
                tenant_id: components["schemas"]["TenantId"];
            }[];
            /**
             * Format: int64
             * @description Send it as `after` to go on; null when the page is empty.
             */
            next_after: number | null;
        };
        /** @description One page of a numbered stream. */
        SeqPage_Event: {
            /** @description Whether there is more. */
            has_more: boolean;
            /** @description The entries in order. */
            items: {
                /** @description Its identity. */
                id: components["schemas"]["EventId"];
                /** @description When. */
                occurred_at: components["schemas"]["Timestamp"];
                /** @description The facts; always repeats the subject as `<kind>_id`. */
                payload: Record<string, never>;
                /**
                 * Format: int64
                 * @description Its number in the tenant, from 1 without gap.
                 */
                seq: number;
                /** @description What it happened to. */
                subject: components["schemas"]["EventSubject"];
                tenant_id?: components["schemas"]["TenantId"] | null;
                /** @description The same as `occurred_at`. */
                timestamp: components["schemas"]["Timestamp"];
                /** @description Trace that it belongs to. */
                trace_id?: string | null;
                /** @description What happened. */
                type: components["schemas"]["EventType"];
            }[];
            /**
             * Format: int64
             * @description Send it as `after` to go on; null when the page is empty.
             */
            next_after: number | null;
        };
        /** @description One page of a numbered stream. */
        SeqPage_LogLine: {
            /** @description Whether there is more. */
            has_more: boolean;
            /** @description The entries in order. */
            items: {
                /** @description Further facts. */
                fields: Record<string, never>;
                /** @description How serious. */
                level: string;
                /** @description The text. */
                message: unknown;
                /**
                 * Format: int64
                 * @description Its number in the log of its session, from 1.
                 */
                seq: number;
                /** @description When. */
                timestamp: components["schemas"]["Timestamp"];
            }[];
            /**
             * Format: int64
             * @description Send it as `after` to go on; null when the page is empty.
             */
            next_after: number | null;
        };
        /** @description One page of a numbered stream. */
        SeqPage_TranscriptEntry: {
            /** @description Whether there is more. */
            has_more: boolean;
            /** @description The entries in order. */
            items: {
                /** @description The content, by kind. */
                body: Record<string, never>;
                /** @description `user`, `text`, `reasoning`, `tool`, `todo` or `notice`. */
                kind: string;
                /**
                 * Format: int64
                 * @description Its number in the transcript of its session, from 1.
                 */
                seq: number;
                /** @description When. */
                timestamp: components["schemas"]["Timestamp"];
            }[];
            /**
             * Format: int64
             * @description Send it as `after` to go on; null when the page is empty.
             */
            next_after: number | null;
        };
        /** @description A session as it stands. */
        Session: {
            /** @description The sessions that must have completed before it begins. */
            after: components["schemas"]["SessionId"][];
            /** @description Pinned agent, as it was named. */
            agent: string | null;
            agent_config: Record<string, never>;
            /** @description What this caller may do with it now, as the paths name it. */
            allowed_actions: string[];
            /**
             * Format: int32
             * @description Number of the current or latest attempt; 0 before the first.
             */
            attempt: number;
            attention: components["schemas"]["Attention"];
            budget_usd: components["schemas"]["Usd"] | null;
            /** Format: int64 */
            checkpoint_count: number;
            /** @description Direct children, oldest first; null where they were not read (lists, answers of commands). */
            child_ids: components["schemas"]["SessionId"][] | null;
            /**
             * @description What people call it; accepted wherever the id is.
             * @example IND-000042
             */
            code: string;
            completed_at: components["schemas"]["Timestamp"] | null;
            /** Format: double */
            cpu_limit: number | null;
            created_at: components["schemas"]["Timestamp"];
            created_by: string;
            current_agent_id: components["schemas"]["AgentId"] | null;
            current_agent_name: string | null;
            /** Format: int32 */
            degraded_grace_seconds: number;
            degraded_reasons: components["schemas"]["DegradedReason"][];
            degraded_since: components["schemas"]["Timestamp"] | null;
            /** Format: int32 */
            depth: number;
            description: string | null;
            ended_at: components["schemas"]["Timestamp"] | null;
            /** Format: double */
            estimated_complexity: number;
            exclude_from_training: boolean;
            execution_mode: components["schemas"]["ExecutionMode"];
            failed_at: components["schemas"]["Timestamp"] | null;
            forked_from: components["schemas"]["ForkedFrom"] | null;
            gates: components["schemas"]["Gate"][];
            /** Format: double */
            health_score: number;
            id: components["schemas"]["SessionId"];
            initial_prompt: string;
            is_recoverable: boolean;
            /** Format: int32 */
            max_duration_seconds: number;
            /** Format: int32 */
            memory_limit_mb: number | null;
            metadata: Record<string, never>;
            metrics: components["schemas"]["SessionMetrics"];
            min_performance_tier: components["schemas"]["PerformanceTier"] | null;
            model_identifier: string | null;
            next_attempt_at: components["schemas"]["Timestamp"] | null;
            not_before: components["schemas"]["Timestamp"] | null;
            on_parent_end: components["schemas"]["OnParentEnd"];
            parent_id: components["schemas"]["SessionId"] | null;
            /** @description Asked to pause; the current turn is still being finished. */
            pause_requested: boolean;
            /** Format: int32 */
            pause_timeout_seconds: number | null;
            permission_policy: components["schemas"]["PermissionPolicy"];
            phase: components["schemas"]["Phase"] | null;
            pinned_agent_id: components["schemas"]["AgentId"] | null;
            preferred_agent_ids: components["schemas"]["AgentId"][];
            preferred_agent_type: components["schemas"]["AgentType"] | null;
            /**
             * Format: int32
             * @description 0 critical, 1 high, 2 medium, 3 low, 4 deferred.
             */
            priority: number;
            /** Format: int32 */
            queue_timeout_seconds: number | null;
            queued_at: components["schemas"]["Timestamp"] | null;
            required_capabilities: string[];
            /** @description Asked to resume; waits for a slot. */
            resume_requested: boolean;
            retry_policy: components["schemas"]["RetryPolicy"];
            /**
             * Format: int64
             * @description Counts the accepted changes; the number inside the `ETag`.
             */
            revision: number;
            session_type: components["schemas"]["SessionType"];
            /** @description Offered for display beside the status. */
            sign: string;
            started_at: components["schemas"]["Timestamp"] | null;
            status: components["schemas"]["SessionStatus"];
            status_reason: string | null;
            status_updated_at: components["schemas"]["Timestamp"];
            tags: string[];
            task_id: components["schemas"]["TaskId"] | null;
            technologies: string[];
            tenant_id: components["schemas"]["TenantId"];
            title: string;
            /** Format: int64 */
            token_budget: number | null;
            updated_at: components["schemas"]["Timestamp"];
            verification: components["schemas"]["Verification"] | null;
            workspace: components["schemas"]["Workspace"];
        };
        /** @description A session with what was asked for by `include`. */
        SessionDetail: components["schemas"]["Session"] & {
            /** @description With `include=attempts`. */
            attempts?: components["schemas"]["Attempt"][] | null;
            /** @description With `include=checkpoints`. */
            checkpoints?: components["schemas"]["Checkpoint"][] | null;
        };
        /** @description Why a session or an attempt ended badly. */
        SessionError: {
            /** @description Further facts. */
            context: Record<string, never> | null;
            /** @description What happened, for people. */
            message: string;
            /** @description When. */
            occurred_at: components["schemas"]["Timestamp"];
            /** @description Whether an automatic retry may follow. */
            retryable: boolean;
            /** @description Stable word. */
            type: string;
        };
        /**
         * Format: uuid
         * @example 0198f3a0-5b1c-7c3e-8f00-0123456789ab
         */
        SessionId: string;
        /** @description Figures of one session over all its attempts. */
        SessionMetrics: {
            /** Format: int64 */
            api_calls_count: number;
            /** Format: int64 */
            api_errors_count: number;
            /** Format: int64 */
            checkpoint_count: number;
            /** Format: double */
            code_quality_score: number | null;
            completed_at: components["schemas"]["Timestamp"] | null;
            /** Format: double */
            confidence_score: number | null;
            /** Format: double */
            cpu_usage_percent: number | null;
            created_at: components["schemas"]["Timestamp"];
            /** Format: double */
            disk_usage_mb: number | null;
            error: components["schemas"]["SessionError"] | null;
            estimated_cost_usd: components["schemas"]["Usd"] | null;
            /** Format: double */
            execution_duration_seconds: number | null;
            failed_at: components["schemas"]["Timestamp"] | null;
            last_checkpoint_at: components["schemas"]["Timestamp"] | null;
            /** Format: double */
            memory_usage_mb: number | null;
            /** Format: int64 */
            network_bytes_received: number | null;
            /** Format: int64 */
            network_bytes_sent: number | null;
            previous_errors: components["schemas"]["SessionError"][];
            /** Format: double */
            queue_duration_seconds: number | null;
            result: Record<string, never> | null;
            /** Format: int32 */
            retry_count: number;
            /** @description Whether any of the figures come from a simulated agent. */
            simulated: boolean;
            started_at: components["schemas"]["Timestamp"] | null;
            /** Format: double */
            success_rate: number | null;
            success_rate_source: components["schemas"]["RateSource"] | null;
            /** Format: double */
            total_duration_seconds: number | null;
            /** Format: int64 */
            total_tokens_used: number | null;
            usage: components["schemas"]["Usage"] | null;
            warnings: components["schemas"]["Warning"][];
        };
        /** @description Figures over all sessions of the tenant. */
        SessionStats: {
            /** Format: int64 */
            active_sessions: number;
            /** Format: double */
            average_duration_seconds: number | null;
            /** Format: double */
            average_success_rate: number | null;
            /** Format: int64 */
            completed_sessions: number;
            duration_stats: components["schemas"]["DurationStats"];
            /** Format: int64 */
            failed_sessions: number;
            priority_distribution: components["schemas"]["PriorityShare"][];
            queue_stats: components["schemas"]["DurationStats"];
            sessions_by_priority: {
                [key: string]: number;
            };
            sessions_by_status: {
                [key: string]: number;
            };
            sessions_by_type: {
                [key: string]: number;
            };
            /** @description Whether these figures include those of simulated agents. */
            simulated: boolean;
            status_distribution: components["schemas"]["StatusShare"][];
            timestamp: components["schemas"]["Timestamp"];
            total_cost_usd: components["schemas"]["Usd"] | null;
            /** Format: int64 */
            total_sessions: number;
            /** Format: int64 */
            total_tokens: number;
            type_distribution: components["schemas"]["TypeShare"][];
        };
        /** @enum {string} */
        SessionStatus: "pending" | "queued" | "running" | "paused" | "completed" | "partially_completed" | "failed" | "timeout" | "stopped" | "cancelled" | "orphaned" | "degraded";
        /** @enum {string} */
        SessionType: "planning" | "execution" | "review" | "debug" | "integration";
        /**
         * @description Bounds of the month to set: what is omitted stays, null is no bound.
         * @example {
         *       "monthly_budget_usd": 50
         *     }
         */
        SetBudgets: {
            /**
             * Format: int64
             * @description Needs a system administrator.
             */
            max_tokens_per_month?: number | null;
            /**
             * Format: double
             * @description US dollars.
             */
            monthly_budget_usd?: number | null;
        };
        /** @description A price to be set. */
        SetPrice: {
            /** Format: double */
            cache_read?: number | null;
            /** Format: double */
            cache_write?: number | null;
            /** Format: double */
            input: number;
            model: string;
            /** Format: double */
            output: number;
            /** Format: double */
            reasoning?: number | null;
        };
        /**
         * @description The whole table of prices: what is not in it is gone.
         * @example {
         *       "prices": [
         *         {
         *           "cache_read": 0.3,
         *           "input": 3,
         *           "model": "anthropic/*",
         *           "output": 15
         *         }
         *       ]
         *     }
         */
        SetPrices: {
            /** @description By model, each once. */
            prices: components["schemas"]["SetPrice"][];
        };
        /**
         * @description Quotas to set: what is omitted stays, null is no bound.
         * @example {
         *       "max_concurrent_sessions": 100,
         *       "max_queue_depth": null
         *     }
         */
        SetQuotas: {
            /** Format: int64 */
            max_agents?: number | null;
            /** Format: int64 */
            max_concurrent_sessions?: number | null;
            /** Format: int64 */
            max_queue_depth?: number | null;
            /** Format: int64 */
            max_storage_mb?: number | null;
            /** Format: int64 */
            max_tokens_per_month?: number | null;
            /** Format: double */
            monthly_budget_usd?: number | null;
            /** Format: int64 */
            requests_per_minute?: number | null;
        };
        /**
         * @description Where a task is to stand.
         * @example {
         *       "status": "in_progress"
         *     }
         */
        SetTaskStatus: {
            /** @description Why it failed, with `failed`. */
            error_message?: string | null;
            /** @description For people. */
            reason?: string | null;
            /** @description What it gave, with `completed`. */
            result?: Record<string, never> | null;
            /** @description One that a command leads to. */
            status: components["schemas"]["TaskStatus"];
        };
        /**
         * @description Whom to give what a context has.
         * @example {
         *       "target_session_id": "IND-000002"
         *     }
         */
        ShareContext: {
            /** @description Into the session's own copy when it has one, `true` when omitted; else as another copy. */
            merge_existing?: boolean | null;
            /** @description Id or code. */
            target_session_id: string;
        };
        /** @description Who is signed in now. */
        SignedIn: {
            expires_at: components["schemas"]["Timestamp"] | null;
            /** @description May act in every tenant. */
            is_system: boolean;
            /** @description The browser, as it is listed among the keys. */
            key_id: components["schemas"]["KeyId"];
            /** @description What it is called there. */
            name: string;
            opened_by: components["schemas"]["KeyId"] | null;
            /** @description Rights in it. */
            role: components["schemas"]["Role"];
            /** @description What it may be used for. */
            scopes: string[];
            /** @description Where it is at home. */
            tenant_id: components["schemas"]["TenantId"];
            /** @description What that is called. */
            tenant_name: string;
            /** @description Address of whoever is signed in, else the name of their key. */
            who: string;
        };
        /** @description A status and how many sessions stand in it. */
        StatusShare: {
            /** Format: int64 */
            count: number;
            /** Format: double */
            percentage: number;
            status: components["schemas"]["SessionStatus"];
        };
        /** @description What the store takes. */
        StorageUsage: {
            /** @description By class. */
            classes: components["schemas"]["ClassUsage"][];
            /**
             * Format: int64
             * @description Bytes of the store on disk; null for one without a file.
             */
            file_bytes: number | null;
            /**
             * Format: int64
             * @description Room on its disk; null where it is not known.
             */
            free_bytes: number | null;
        };
        /** @enum {string} */
        SubjectKind: "session" | "agent" | "attention" | "tenant" | "key" | "system" | "webhook" | "user" | "context" | "lock" | "task";
        /** @description What the server says of itself. */
        SystemInfo: {
            /** @description Sessions that execute now: of this tenant, for system administrators of the whole server. */
            executing_sessions: number;
            /** @description Sessions that may execute at once. */
            max_running_sessions: number;
            /** @description System and processor that it was built for. */
            platform: string;
            restored_at: components["schemas"]["Timestamp"] | null;
            /**
             * @description What keeps agents and gates from files that are not theirs: `landlock` and its version, `off`, or
             *     `none:` and why.
             */
            sandbox: string;
            /** @description Since when it serves. */
            started_at: components["schemas"]["Timestamp"];
            /** @description Kind of its store. */
            store: string;
            /**
             * Format: int64
             * @description Seconds since then.
             */
            uptime_seconds: number;
            /** @description Its version. */
            version: string;
        };
        /** @description A unit in the breakdown of a piece of work. */
        Task: {
            /** @description Commands that are possible now. */
            actions: components["schemas"]["TaskAction"][];
            /** @description What it left behind. */
            artifacts: Record<string, never>[];
            assigned_agent_id: components["schemas"]["AgentId"] | null;
            assigned_at: components["schemas"]["Timestamp"] | null;
            /**
             * Format: int32
             * @description Number of the current attempt, from 1.
             */
            attempt: number;
            /** @description Why it is not given out. */
            blockers: components["schemas"]["BlockerCode"][];
            /** @description It can be given out now. */
            can_start: boolean;
            child_session_id: components["schemas"]["SessionId"] | null;
            completed_at: components["schemas"]["Timestamp"] | null;
            complexity_level: components["schemas"]["ComplexityLevel"] | null;
            /** @description When it was made. */
            created_at: components["schemas"]["Timestamp"];
            /** @description What it needs. */
            dependencies: components["schemas"]["TaskDependency"][];
            /** @description Who needs it. */
            dependents: components["schemas"]["TaskDependent"][];
            /**
             * Format: int32
             * @description 0 for a root.
             */
            depth: number;
            /** @description What is to be done. */
            description: string | null;
            error: components["schemas"]["TaskError"] | null;
            estimate: components["schemas"]["TaskEstimate"] | null;
            failed_at: components["schemas"]["Timestamp"] | null;
            /** @description Its identity. */
            id: components["schemas"]["TaskId"];
            /** @description Something that it needs is not there. */
            is_blocked: boolean;
            /** @description It has no parts. */
            is_leaf_task: boolean;
            /** @description It is no part of another one. */
            is_root_task: boolean;
            /**
             * Format: int32
             * @description Retries by the executor.
             */
            max_retries: number;
            /** @description For people and programs; `attempts` are earlier ones. */
            metadata: Record<string, never>;
            /** @description What becomes of it when something that it needs cannot come any more. */
            on_upstream_failure: components["schemas"]["OnUpstreamFailure"];
            parent_task_id: components["schemas"]["TaskId"] | null;
            /**
             * Format: int32
             * @description Among its siblings, from 0.
             */
            position: number;
            /** @description How urgent it is. */
            priority: components["schemas"]["TaskPriority"];
            /**
             * Format: double
             * @description 0–100; of a container that of its leaves.
             */
            progress_percentage: number;
            /** @description What it gave. */
            result: Record<string, never> | null;
            /**
             * Format: int64
             * @description One more for each accepted change.
             */
            revision: number;
            /** @description The root session that it belongs to. */
            session_id: components["schemas"]["SessionId"];
            started_at: components["schemas"]["Timestamp"] | null;
            /** @description Where it stands. */
            status: components["schemas"]["TaskStatus"];
            /** @description Why it stands there. */
            status_reason: string | null;
            /** @description Since when it stands there. */
            status_updated_at: components["schemas"]["Timestamp"];
            /** @description For filters. */
            tags: string[];
            /** @description What kind of work it is. */
            task_type: string;
            /** @description What it is made with. */
            technologies: string[];
            /** @description The template that made it. */
            template_key: string | null;
            /** @description Whose it is. */
            tenant_id: components["schemas"]["TenantId"];
            /** @description What people call it. */
            title: string;
            /** @description Newest accepted change. */
            updated_at: components["schemas"]["Timestamp"];
            /** @description What is worth telling of it. */
            warnings: components["schemas"]["TaskLint"][];
        };
        /** @enum {string} */
        TaskAction: "ready" | "assign" | "start" | "complete" | "fail" | "pause" | "cancel" | "skip" | "retry" | "block" | "unblock" | "reopen" | "lose";
        /** @description What a task needs of another one. */
        TaskDependency: {
            /** @description How. */
            dependency_type: components["schemas"]["DependencyType"];
            /** @description For people. */
            description: string | null;
            /** @description Its identity. */
            id: components["schemas"]["DependencyId"];
            /** @description Whether it gates; an optional one only orders candidates that are equal otherwise. */
            is_required: boolean;
            /** @description Whether its target stands as it wants. */
            is_satisfied: boolean;
            /** @description Who needs. */
            source_task_id: components["schemas"]["TaskId"];
            /** @description What is needed. */
            target_task_id: components["schemas"]["TaskId"];
        };
        /** @description Who needs a task. */
        TaskDependent: {
            /** @description The dependency. */
            id: components["schemas"]["DependencyId"];
            /** @description The task that has it. */
            source_task_id: components["schemas"]["TaskId"];
        };
        /** @description Why a task failed. */
        TaskError: {
            /** @description Further facts. */
            context: Record<string, never> | null;
            /** @description For people. */
            message: string;
            /** @description When. */
            timestamp: components["schemas"]["Timestamp"];
            /** @description Stable word. */
            type: string;
        };
        /** @description How long a task is expected to take, and what it needs. */
        TaskEstimate: {
            /**
             * Format: double
             * @description 0–1.
             */
            estimate_confidence: number;
            estimated_cost_usd: components["schemas"]["Usd"] | null;
            /**
             * Format: int64
             * @description Tokens.
             */
            estimated_tokens: number | null;
            /** @description Where it comes from. */
            estimation_source: components["schemas"]["EstimationSource"];
            /**
             * Format: double
             * @description (O + 4·L + P) / 6.
             */
            expected_hours: number;
            last_estimated_at: components["schemas"]["Timestamp"] | null;
            /**
             * Format: double
             * @description Hours, most likely.
             */
            likely_hours: number;
            /**
             * Format: double
             * @description Hours if all goes well.
             */
            optimistic_hours: number;
            /**
             * Format: double
             * @description Hours if much goes wrong.
             */
            pessimistic_hours: number;
            /** @description What an agent must be able to do. */
            required_capabilities: string[];
            /**
             * Format: double
             * @description (P − O) / 6.
             */
            standard_deviation_hours: number;
        };
        /** @description How long a task is expected to take, in three figures that rise. */
        TaskEstimateInput: {
            /** Format: double */
            estimate_confidence?: number | null;
            estimated_cost_usd?: components["schemas"]["Usd"] | null;
            /** Format: int64 */
            estimated_tokens?: number | null;
            /** Format: double */
            likely_hours?: number | null;
            /** Format: double */
            optimistic_hours?: number | null;
            /** Format: double */
            pessimistic_hours?: number | null;
            required_capabilities?: string[] | null;
        };
        /** @description The graph of a task: when each leaf can start and must, and what the end hangs on. */
        TaskGraph: {
            /** @description The chain that the end hangs on, first to last. */
            critical_path: components["schemas"]["TaskId"][];
            /** @description What they need of each other. */
            edges: components["schemas"]["TaskGraphEdge"][];
            eta: components["schemas"]["Timestamp"] | null;
            /** @description Leaves of one layer may run at once. */
            layers: components["schemas"]["TaskId"][][];
            /** @description How it is meant to be laid out. */
            layout_type: string;
            /** @description Leaves, and containers that a dependency ends at. */
            nodes: components["schemas"]["TaskGraphNode"][];
            /**
             * Format: double
             * @description 0–100.
             */
            progress: number;
            /** @description Of which task. */
            task_id: components["schemas"]["TaskId"];
            /**
             * Format: double
             * @description Expected hours of all leaves.
             */
            total_estimated_hours: number;
        };
        /** @description A dependency in a graph. */
        TaskGraphEdge: {
            dependency_type: components["schemas"]["DependencyType"];
            is_required: boolean;
            is_satisfied: boolean;
            source: components["schemas"]["TaskId"];
            target: components["schemas"]["TaskId"];
        };
        /** @description A node of a graph; times in hours from the start of the whole. */
        TaskGraphNode: {
            /** Format: double */
            earliest_finish: number;
            /** Format: double */
            earliest_start: number;
            /** Format: double */
            expected_hours: number;
            id: components["schemas"]["TaskId"];
            is_critical: boolean;
            /** Format: double */
            latest_finish: number;
            /** Format: double */
            latest_start: number;
            /** Format: int32 */
            layer: number;
            /** Format: double */
            slack: number;
            status: components["schemas"]["TaskStatus"];
            title: string;
        };
        /**
         * Format: uuid
         * @example 0198f3a0-5b1c-7c3e-8f00-0123456789b0
         */
        TaskId: string;
        /** @enum {string} */
        TaskLint: "TITLE_NO_ACTION_VERB";
        /** @enum {string} */
        TaskPriority: "blocker" | "critical" | "high" | "normal" | "low" | "background";
        /** @description How many tasks are what. */
        TaskStatistics: {
            /**
             * Format: double
             * @description Hours from start to end of those that completed.
             */
            average_duration_hours: number | null;
            /** @description Those that wait for others. */
            blocked_tasks: number;
            /**
             * Format: double
             * @description Completed of all, 0–1.
             */
            completion_rate: number;
            /** @description In progress for longer than their pessimistic hours. */
            overdue_tasks: number;
            /** @description By how hard they are; those without an estimate are in none. */
            tasks_by_complexity: {
                [key: string]: number;
            };
            /** @description By their urgency. */
            tasks_by_priority: {
                [key: string]: number;
            };
            /** @description By where they stand. */
            tasks_by_status: {
                [key: string]: number;
            };
            /** @description All of them. */
            total_tasks: number;
        };
        /** @enum {string} */
        TaskStatus: "pending" | "ready" | "assigned" | "in_progress" | "blocked" | "paused" | "completed" | "failed" | "cancelled" | "skipped";
        /** @description How a task stands, in figures; the counts leave out the task itself. */
        TaskSummary: {
            assigned_agent: components["schemas"]["AgentId"] | null;
            blocked_tasks: number;
            completed_tasks: number;
            complexity: components["schemas"]["ComplexityLevel"] | null;
            /** Format: double */
            duration_hours: number | null;
            /** Format: double */
            elapsed_hours: number | null;
            /** Format: double */
            estimated_remaining_hours: number;
            failed_tasks: number;
            in_progress_tasks: number;
            priority: components["schemas"]["TaskPriority"];
            /** Format: double */
            progress_percentage: number;
            status: components["schemas"]["TaskStatus"];
            task_id: components["schemas"]["TaskId"];
            title: string;
            total_tasks: number;
        };
        /** @description A task with everything below it, and how it stands. */
        TaskTree: {
            /** @description How it stands. */
            summary: components["schemas"]["TaskSummary"];
            /** @description The task with its parts. */
            tree: components["schemas"]["TaskTreeNode"];
        };
        /** @description A task with its parts. */
        TaskTreeNode: {
            /** @description Its parts, in order. */
            children: components["schemas"]["TaskTreeNode"][];
            complexity_level: components["schemas"]["ComplexityLevel"] | null;
            /** @description What it needs. */
            dependencies: components["schemas"]["TaskId"][];
            /**
             * Format: int32
             * @description 0 for a root.
             */
            depth: number;
            /** @description Which task. */
            id: components["schemas"]["TaskId"];
            /**
             * Format: double
             * @description 0–100.
             */
            progress_percentage: number;
            /** @description Where it stands. */
            status: components["schemas"]["TaskStatus"];
            /** @description What people call it. */
            title: string;
        };
        /** @description A template: into which children a kind of task is split. */
        Template: {
            created_at: components["schemas"]["Timestamp"] | null;
            /** @description For people. */
            description: string;
            /** @description Types that it is never used for. */
            excluded_task_types: string[];
            /** @description Whether the tenant wrote it. */
            is_own: boolean;
            /** @description Whether a template of this key is shipped with the product. */
            is_shipped: boolean;
            /** @description A slug; unique among those of a tenant. */
            key: string;
            /** @description For a trigger by words. */
            keywords: string[];
            /** @description Children above it are refined. */
            leaf_target: components["schemas"]["ComplexityLevel"];
            /**
             * Format: int32
             * @description 1–5.
             */
            max_depth: number;
            /** @description For people. */
            name: string;
            /** @description What can be said of it when it is used, as a file has it. */
            parameter: Record<string, never>[];
            /**
             * Format: int32
             * @description 1–10, higher first.
             */
            priority: number;
            /**
             * Format: int64
             * @description One more for each accepted change; null for one that is shipped.
             */
            revision: number | null;
            /** @description How. */
            strategy: components["schemas"]["TemplateRefinement"];
            /** @description What it gives, as a file has it. */
            subtask: Record<string, never>[];
            /** @description For a trigger by type. */
            task_types: string[];
            /** @description The lowest level that it is used for. */
            threshold: components["schemas"]["ComplexityLevel"];
            /** @description What it is chosen by. */
            trigger: components["schemas"]["TemplateTrigger"];
            updated_at: components["schemas"]["Timestamp"] | null;
            /** @description A semantic version. */
            version: string;
        };
        /** @enum {string} */
        TemplateRefinement: "functional" | "temporal" | "capability" | "none";
        /** @enum {string} */
        TemplateTrigger: "task_type" | "keyword";
        /** @description A tenant. */
        Tenant: {
            /** @description When it was made. */
            created_at: components["schemas"]["Timestamp"];
            /** @description Its identity. */
            id: components["schemas"]["TenantId"];
            /** @description An inactive tenant does not exist for anybody. */
            is_active: boolean;
            /** @description For people. */
            name: string;
            /** @description What it set for itself. */
            settings: components["schemas"]["TenantSettings"];
            /** @description Unique short name. */
            slug: string;
        };
        /**
         * Format: uuid
         * @example 00000000-0000-0000-0000-000000000001
         */
        TenantId: string;
        /** @description Days after which things of a tenant go; null is as the server says. */
        TenantRetention: {
            /**
             * Format: int32
             * @description From its deletion until it is gone for good.
             */
            deleted_sessions_days: number | null;
            /**
             * Format: int32
             * @description Until an event is gone.
             */
            events_days: number | null;
            /**
             * Format: int32
             * @description From the end of a session until it is deleted.
             */
            sessions_days: number | null;
        };
        /** @description What a tenant set for itself. */
        TenantSettings: {
            /** @description How people come to it. */
            join_mode: components["schemas"]["JoinMode"];
            /** @description How external agents come to it. */
            registration_mode: components["schemas"]["RegistrationMode"];
            /** @description What it has gone earlier than the server would. */
            retention: components["schemas"]["TenantRetention"];
            /**
             * Format: double
             * @description Its share of the instance, compared with other tenants.
             */
            weight: number;
        };
        /**
         * Format: date-time
         * @example 2026-01-31T09:30:00.000Z
         */
        Timestamp: string;
        /** @description A quota of tokens. */
        TokenBudget: {
            /**
             * Format: int64
             * @description The bound; null is none.
             */
            limit: number | null;
            /**
             * Format: double
             * @description Of the bound; null without one.
             */
            percent: number | null;
            /** @description `soft` from 80 %, `hard` from 100 %. */
            state: components["schemas"]["BudgetLevel"];
            /**
             * Format: int64
             * @description What was charged this month.
             */
            used: number;
        };
        /** @description A part of the conversation with the agent. */
        TranscriptEntry: {
            /** @description The content, by kind. */
            body: Record<string, never>;
            /** @description `user`, `text`, `reasoning`, `tool`, `todo` or `notice`. */
            kind: string;
            /**
             * Format: int64
             * @description Its number in the transcript of its session, from 1.
             */
            seq: number;
            /** @description When. */
            timestamp: components["schemas"]["Timestamp"];
        };
        /** @description A session in its family. */
        TreeNode: {
            /** @description In order of creation. */
            children: components["schemas"]["TreeNode"][];
            /** @description What people call it. */
            code: string;
            /**
             * Format: int32
             * @description Its place below the root of the whole tree.
             */
            depth: number;
            /** @description Its identity. */
            id: components["schemas"]["SessionId"];
            /** @description What kind of work it is. */
            session_type: components["schemas"]["SessionType"];
            /** @description Where it stands. */
            status: components["schemas"]["SessionStatus"];
            /** @description Its title. */
            title: string;
        };
        /** @enum {string} */
        Trend: "improving" | "stable" | "declining" | "insufficient_data";
        /** @description A type and how many sessions are of it. */
        TypeShare: {
            /** Format: int64 */
            count: number;
            type: components["schemas"]["SessionType"];
        };
        /** @description Tokens by kind. */
        Usage: {
            cost_usd: components["schemas"]["Usd"] | null;
            /** @description Whether any of it was simulated. */
            simulated: boolean;
            /** Format: int64 */
            tokens_cache_read: number;
            /** Format: int64 */
            tokens_cache_write: number;
            /** Format: int64 */
            tokens_input: number;
            /** Format: int64 */
            tokens_output: number;
            /** Format: int64 */
            tokens_reasoning: number;
            /** Format: int64 */
            tokens_total: number;
        };
        /** @description What one group used. Of day, model, agent and session only what it is grouped by is set. */
        UsageGroup: components["schemas"]["UsageSums"] & {
            agent_id?: components["schemas"]["AgentId"] | null;
            /** @description Its name; null when it is no longer registered. */
            agent_name?: string | null;
            /**
             * @description Day of UTC.
             * @example 2026-01-31
             */
            day?: string | null;
            /** @description `provider/model`; null also when the agent did not tell it. */
            model_identifier?: string | null;
            session_id?: components["schemas"]["SessionId"] | null;
            /**
             * Format: int64
             * @description Sessions of the group, each counted once; null when that is not known.
             */
            sessions?: number | null;
            /** @description Whether it was simulated: then it is in no total, and charged to nobody. */
            simulated: boolean;
        };
        /** @description What a tenant used. */
        UsageReport: {
            /**
             * @description First day.
             * @example 2026-01-01
             */
            from: string;
            /** @description How it is grouped. */
            group_by: components["schemas"]["GroupBy"];
            /** @description The groups, in their order. */
            items: components["schemas"]["UsageGroup"][];
            /** @description Whose. */
            tenant_id: components["schemas"]["TenantId"];
            /**
             * @description Last day, included.
             * @example 2026-01-31
             */
            to: string;
            /** @description All of them together, without what was simulated. */
            totals: components["schemas"]["UsageSums"];
        };
        /** @description Sums over a number of reports. */
        UsageSums: {
            cost_usd: components["schemas"]["Usd"] | null;
            /**
             * Format: int64
             * @description Reports of agents.
             */
            records: number;
            /** Format: int64 */
            tokens_cache_read: number;
            /** Format: int64 */
            tokens_cache_write: number;
            /** Format: int64 */
            tokens_input: number;
            /** Format: int64 */
            tokens_output: number;
            /** Format: int64 */
            tokens_reasoning: number;
            /**
             * Format: int64
             * @description Input, output, cache writes and reasoning.
             */
            tokens_total: number;
            /**
             * Format: int64
             * @description Of these, reports whose cost nobody knows; they are not in `cost_usd`.
             */
            unpriced_records: number;
            /** Format: double */
            wall_seconds: number;
        };
        /**
         * @description US dollars
         * @example 2.5
         */
        Usd: number;
        /** @description Somebody who works with the product. */
        User: {
            /** @description When they came. */
            created_at: components["schemas"]["Timestamp"];
            /** @description Who let them in. */
            created_by: string;
            /** @description Unique within the tenant, without case. */
            email: string;
            /** @description For people. */
            full_name: string;
            /** @description Their identity. */
            id: components["schemas"]["UserId"];
            /** @description The identity provider that they sign in through, by its address. */
            identity_provider: string | null;
            /** @description Whether their keys are accepted. */
            is_active: boolean;
            /** @description May act in every tenant. */
            is_system_admin: boolean;
            /**
             * Format: int64
             * @description Counts the accepted changes.
             */
            revision: number;
            /** @description The most that their keys may do. */
            role: components["schemas"]["Role"];
            /** @description Whose they are. */
            tenant_id: components["schemas"]["TenantId"];
        };
        /**
         * Format: uuid
         * @example 0198f3a0-5b1c-7c3e-8f00-0123456789b4
         */
        UserId: string;
        /** @description What the gates said of one state of the files. */
        Verification: {
            /** @description The commit that was checked out; null for a directory. */
            commit: string | null;
            /** @description In the order of the definition. */
            gates: components["schemas"]["GateReport"][];
            /** @description Every required gate passed. */
            passed: boolean;
            /** @description Hash of the files; null for a directory. */
            tree_hash: string | null;
            /** @description When the last gate ended. */
            verified_at: components["schemas"]["Timestamp"];
        };
        /**
         * @description How the gates are run.
         * @example {
         *       "force": true
         *     }
         */
        Verify: {
            /**
             * @description Runs them again although the files are those that were judged last.
             * @default false
             */
            force: boolean | null;
        };
        /** @description Something worth telling that did not end the session. */
        Warning: {
            /** @description Further facts. */
            context: Record<string, never> | null;
            /** @description For people. */
            message: string;
            /** @description When. */
            timestamp: components["schemas"]["Timestamp"];
            /** @description Stable word. */
            type: string;
        };
        /** @description An address that is told of events. */
        Webhook: {
            /** @description When it was made. */
            created_at: components["schemas"]["Timestamp"];
            /** @description Who made it. */
            created_by: string;
            /**
             * Format: int64
             * @description Events up to this number were delivered, are not wanted, or wait behind one that failed.
             */
            cursor: number;
            /** @description For people. */
            description: string | null;
            disabled_at: components["schemas"]["Timestamp"] | null;
            /** @description Why. */
            disabled_reason: string | null;
            /** @description What it wants to hear: types, or families such as `session.*`; everything when empty. */
            event_types: string[];
            failing_since: components["schemas"]["Timestamp"] | null;
            /** @description Its identity. */
            id: components["schemas"]["WebhookId"];
            /** @description Whether a person wants it to be told. */
            is_active: boolean;
            /** @description What the newest failure was. */
            last_error: string | null;
            last_success_at: components["schemas"]["Timestamp"] | null;
            previous_secret_until: components["schemas"]["Timestamp"] | null;
            resume_at: components["schemas"]["Timestamp"] | null;
            /**
             * Format: int64
             * @description Counts the accepted changes.
             */
            revision: number;
            /**
             * @description What messages are signed with: `whsec_` and base64. Only in the answer to creation and
             *     rotation.
             */
            secret: string | null;
            /**
             * @description `ok`, `failing`, `disabled` by the product, or `off`.
             * @example ok
             */
            state: string;
            /** @description Whose events. */
            tenant_id: components["schemas"]["TenantId"];
            /** @description When a person last changed it. */
            updated_at: components["schemas"]["Timestamp"];
            /** @description Where messages are sent. */
            url: string;
        };
        /**
         * Format: uuid
         * @example 0198f3a0-5b1c-7c3e-8f00-0123456789b1
         */
        WebhookId: string;
        /** @description Who the caller is. */
        Whoami: {
            /** @description May act in every tenant. */
            is_system: boolean;
            /** @description The key that was shown; the nil id in `--dev`. */
            key_id: components["schemas"]["KeyId"];
            /** @description Address of whoever holds it, else its name. */
            name: string;
            /** @description Rights in it. */
            role: components["schemas"]["Role"];
            /** @description What the key may be used for. */
            scopes: string[];
            /** @description The tenant of this request. */
            tenant_id: components["schemas"]["TenantId"];
            /** @description What it is called. */
            tenant_name: string;
            user: components["schemas"]["User"] | null;
        };
        /** @description Where the work happens, and what was made of it. */
        Workspace: {
            /** @description The branch that a merge goes to; git only. */
            base_branch: string | null;
            /** @description The commit that the work began from; git only, null until it was made. */
            base_commit: string | null;
            /** @description What the work begins from; git only. */
            base_ref: string | null;
            /** @description The branch; git only, null until it was made or named. */
            branch: string | null;
            /** @description The kind. */
            kind: components["schemas"]["WorkspaceKind"];
            /** @description The directory asked for, or the one that the agent works in once it was made. */
            path: string | null;
            /** @description The repository; git only. */
            repo: string | null;
        };
        /** @enum {string} */
        WorkspaceKind: "none" | "directory" | "git";
        /**
         * @description Values to write, by their paths.
         * @example {
         *       "expected_version": 3,
         *       "updates": {
         *         "plan.notes": null,
         *         "plan.step": 2
         *       }
         *     }
         */
        WriteContext: {
            /**
             * Format: int64
             * @description The version that the writer knows. Newer ones do not matter as long as they changed something
             *     else.
             */
            expected_version?: number | null;
            /** @description Newer versions matter, whatever they changed. */
            strict?: boolean | null;
            /** @description Paths such as `plan.step`, each with its value; null deletes. At most 1000. */
            updates: Record<string, never>;
        };
        /** @description What opens one socket. */
        WsTicket: {
            /** @description From then on it is refused. */
            expires_at: components["schemas"]["Timestamp"];
            /** @description To be sent as the sub-protocol `ticket.<ticket>`; it is not shown again. */
            ticket: string;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: {
        /** @description Name of the request */
        RequestId: string;
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;

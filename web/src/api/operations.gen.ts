// Written by `npm run gen` from assets/openapi.json. Do not edit.

import type { Operation } from "./operation";

export const operations: readonly Operation[] = [
  {
    "id": "delete_agents_id",
    "method": "DELETE",
    "path": "/api/v1/agents/{id}",
    "summary": "Remove an agent, gracefully or at once",
    "area": "agents",
    "role": "lead",
    "scope": "agents:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": []
  },
  {
    "id": "delete_contexts_id",
    "method": "DELETE",
    "path": "/api/v1/contexts/{id}",
    "summary": "Delete a context with its history; a global one takes a lead",
    "area": "contexts",
    "role": "member",
    "scope": "contexts:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": []
  },
  {
    "id": "delete_contexts_id_keys_path",
    "method": "DELETE",
    "path": "/api/v1/contexts/{id}/keys/{path}",
    "summary": "Delete one value",
    "area": "contexts",
    "role": "member",
    "scope": "contexts:write",
    "system": false,
    "params": [
      "id",
      "path"
    ],
    "fields": []
  },
  {
    "id": "delete_invites_id",
    "method": "DELETE",
    "path": "/api/v1/invites/{id}",
    "summary": "Withdraw an invitation",
    "area": "invites",
    "role": "admin",
    "scope": "users:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": []
  },
  {
    "id": "delete_keys_id",
    "method": "DELETE",
    "path": "/api/v1/keys/{id}",
    "summary": "Revoke a key; it stays listed",
    "area": "keys",
    "role": "admin",
    "scope": "keys:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": []
  },
  {
    "id": "delete_locks_name",
    "method": "DELETE",
    "path": "/api/v1/locks/{name}",
    "summary": "Take a lock away from whoever holds it; who waits for it is served",
    "area": "locks",
    "role": "admin",
    "scope": "locks:write",
    "system": false,
    "params": [
      "name"
    ],
    "fields": []
  },
  {
    "id": "delete_sessions_id",
    "method": "DELETE",
    "path": "/api/v1/sessions/{id}",
    "summary": "Delete a session that is not active",
    "area": "sessions",
    "role": "lead",
    "scope": "sessions:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": []
  },
  {
    "id": "delete_tasks_id",
    "method": "DELETE",
    "path": "/api/v1/tasks/{id}",
    "summary": "Delete a task with everything below it, while nobody works on it",
    "area": "tasks",
    "role": "member",
    "scope": "tasks:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": []
  },
  {
    "id": "delete_tasks_id_dependencies_dependency_id",
    "method": "DELETE",
    "path": "/api/v1/tasks/{id}/dependencies/{dependency_id}",
    "summary": "Let a task need another one no more",
    "area": "tasks",
    "role": "member",
    "scope": "tasks:write",
    "system": false,
    "params": [
      "id",
      "dependency_id"
    ],
    "fields": []
  },
  {
    "id": "delete_templates_name",
    "method": "DELETE",
    "path": "/api/v1/templates/{name}",
    "summary": "Remove a template of the tenant's own; a shipped one of the same key is there again",
    "area": "templates",
    "role": "lead",
    "scope": "tasks:write",
    "system": false,
    "params": [
      "name"
    ],
    "fields": []
  },
  {
    "id": "delete_tenants_id",
    "method": "DELETE",
    "path": "/api/v1/tenants/{id}",
    "summary": "Switch a tenant off: nobody gets in, nothing new begins, what runs is paused. Nothing of it is lost;\n`{\"is_active\": true}` takes it up again",
    "area": "tenants",
    "role": "admin",
    "scope": "tenants:write",
    "system": true,
    "params": [
      "id"
    ],
    "fields": []
  },
  {
    "id": "delete_users_id",
    "method": "DELETE",
    "path": "/api/v1/users/{id}",
    "summary": "Send somebody away for good; all keys of theirs are revoked",
    "area": "users",
    "role": "admin",
    "scope": "users:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": []
  },
  {
    "id": "delete_webhooks_id",
    "method": "DELETE",
    "path": "/api/v1/webhooks/{id}",
    "summary": "Delete a webhook with its deliveries",
    "area": "webhooks",
    "role": "admin",
    "scope": "events:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": []
  },
  {
    "id": "patch_agents_id",
    "method": "PATCH",
    "path": "/api/v1/agents/{id}",
    "summary": "Change an agent; its name and its kind stay",
    "area": "agents",
    "role": "lead",
    "scope": "agents:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "agent_type",
        "kind": "choice",
        "required": false,
        "choices": [
          "architect",
          "implementer",
          "reviewer",
          "debugger",
          "integrator",
          "orchestrator",
          "analyst",
          "optimizer"
        ]
      },
      {
        "name": "avoided_technologies",
        "kind": "list",
        "required": false
      },
      {
        "name": "capabilities",
        "kind": "list",
        "required": false,
        "about": "The same as `primary_capabilities`."
      },
      {
        "name": "complexity_preference",
        "kind": "choice",
        "required": false,
        "choices": [
          "simple",
          "medium",
          "complex",
          "expert"
        ]
      },
      {
        "name": "config",
        "kind": "json",
        "required": false,
        "about": "Merged with what stands, members of `env` too; null takes one away."
      },
      {
        "name": "description",
        "kind": "line",
        "required": false,
        "about": "Null clears it."
      },
      {
        "name": "is_active",
        "kind": "boolean",
        "required": false,
        "about": "Switched off, it gets nothing new."
      },
      {
        "name": "max_concurrent_capacity",
        "kind": "integer",
        "required": false
      },
      {
        "name": "max_task_duration_hours",
        "kind": "number",
        "required": false
      },
      {
        "name": "max_tokens",
        "kind": "integer",
        "required": false
      },
      {
        "name": "metadata",
        "kind": "json",
        "required": false,
        "about": "In the place of what stands."
      },
      {
        "name": "min_quality_threshold",
        "kind": "number",
        "required": false
      },
      {
        "name": "model_identifier",
        "kind": "line",
        "required": false,
        "about": "Null for the driver's own."
      },
      {
        "name": "preferred_session_types",
        "kind": "list",
        "required": false
      },
      {
        "name": "preferred_technologies",
        "kind": "list",
        "required": false
      },
      {
        "name": "primary_capabilities",
        "kind": "list",
        "required": false
      },
      {
        "name": "secondary_capabilities",
        "kind": "list",
        "required": false
      },
      {
        "name": "system_prompt_template",
        "kind": "text",
        "required": false
      },
      {
        "name": "temperature",
        "kind": "number",
        "required": false
      },
      {
        "name": "version",
        "kind": "line",
        "required": false
      }
    ]
  },
  {
    "id": "patch_contexts_id",
    "method": "PATCH",
    "path": "/api/v1/contexts/{id}",
    "summary": "Write: values at paths, a merge patch or a JSON patch of the data, as one version",
    "area": "contexts",
    "role": "member",
    "scope": "contexts:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "expected_version",
        "kind": "integer",
        "required": false,
        "about": "The version that the writer knows. Newer ones do not matter as long as they changed something"
      },
      {
        "name": "strict",
        "kind": "boolean",
        "required": false,
        "about": "Newer versions matter, whatever they changed."
      },
      {
        "name": "updates",
        "kind": "json",
        "required": true,
        "about": "Paths such as `plan.step`, each with its value; null deletes. At most 1000."
      }
    ]
  },
  {
    "id": "patch_sessions_id",
    "method": "PATCH",
    "path": "/api/v1/sessions/{id}",
    "summary": "Change the few fields that may change",
    "area": "sessions",
    "role": "member",
    "scope": "sessions:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "agent_config",
        "kind": "json",
        "required": false,
        "about": "Only while pending."
      },
      {
        "name": "budget_usd",
        "kind": "number",
        "required": false,
        "about": "US dollars"
      },
      {
        "name": "description",
        "kind": "line",
        "required": false,
        "about": "Null clears it."
      },
      {
        "name": "exclude_from_training",
        "kind": "boolean",
        "required": false
      },
      {
        "name": "max_duration_seconds",
        "kind": "integer",
        "required": false
      },
      {
        "name": "metadata",
        "kind": "json",
        "required": false
      },
      {
        "name": "priority",
        "kind": "json",
        "required": false,
        "about": "0 critical, 1 high, 2 medium, 3 low, 4 deferred, or the name"
      },
      {
        "name": "tags",
        "kind": "list",
        "required": false
      },
      {
        "name": "title",
        "kind": "line",
        "required": false
      }
    ]
  },
  {
    "id": "patch_tasks_id",
    "method": "PATCH",
    "path": "/api/v1/tasks/{id}",
    "summary": "Change what a task is asked to be",
    "area": "tasks",
    "role": "member",
    "scope": "tasks:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "description",
        "kind": "text",
        "required": false,
        "about": "Null clears it."
      },
      {
        "name": "estimate",
        "kind": "json",
        "required": false,
        "about": "How long a task is expected to take, in three figures that rise."
      },
      {
        "name": "estimated_hours",
        "kind": "number",
        "required": false
      },
      {
        "name": "max_retries",
        "kind": "integer",
        "required": false
      },
      {
        "name": "metadata",
        "kind": "json",
        "required": false
      },
      {
        "name": "on_upstream_failure",
        "kind": "choice",
        "required": false,
        "choices": [
          "skip",
          "block",
          "ignore"
        ]
      },
      {
        "name": "priority",
        "kind": "choice",
        "required": false,
        "choices": [
          "blocker",
          "critical",
          "high",
          "normal",
          "low",
          "background"
        ]
      },
      {
        "name": "required_capabilities",
        "kind": "list",
        "required": false
      },
      {
        "name": "tags",
        "kind": "list",
        "required": false
      },
      {
        "name": "task_type",
        "kind": "line",
        "required": false
      },
      {
        "name": "technologies",
        "kind": "list",
        "required": false
      },
      {
        "name": "title",
        "kind": "line",
        "required": false
      }
    ]
  },
  {
    "id": "patch_tenants_id",
    "method": "PATCH",
    "path": "/api/v1/tenants/{id}",
    "summary": "Change the name or the settings of a tenant",
    "area": "tenants",
    "role": "admin",
    "scope": "tenants:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "is_active",
        "kind": "boolean",
        "required": false,
        "about": "For system administrators alone."
      },
      {
        "name": "name",
        "kind": "line",
        "required": false
      },
      {
        "name": "settings",
        "kind": "json",
        "required": false,
        "about": "Settings to change; what is omitted stays."
      }
    ]
  },
  {
    "id": "patch_users_id",
    "method": "PATCH",
    "path": "/api/v1/users/{id}",
    "summary": "Change somebody; switching them off revokes all keys of theirs",
    "area": "users",
    "role": "admin",
    "scope": "users:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "email",
        "kind": "line",
        "required": false
      },
      {
        "name": "full_name",
        "kind": "line",
        "required": false
      },
      {
        "name": "identity_provider",
        "kind": "line",
        "required": false,
        "about": "Only null: whoever has their address may sign in through the provider anew."
      },
      {
        "name": "is_active",
        "kind": "boolean",
        "required": false,
        "about": "False revokes all keys of theirs."
      },
      {
        "name": "is_system_admin",
        "kind": "boolean",
        "required": false,
        "about": "For system administrators alone."
      },
      {
        "name": "role",
        "kind": "choice",
        "required": false,
        "choices": [
          "viewer",
          "member",
          "lead",
          "admin"
        ]
      }
    ]
  },
  {
    "id": "patch_webhooks_id",
    "method": "PATCH",
    "path": "/api/v1/webhooks/{id}",
    "summary": "Change a webhook, or take up one that was switched off",
    "area": "webhooks",
    "role": "admin",
    "scope": "events:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "description",
        "kind": "line",
        "required": false,
        "about": "Null clears it."
      },
      {
        "name": "event_types",
        "kind": "list",
        "required": false,
        "about": "Everything when empty."
      },
      {
        "name": "is_active",
        "kind": "boolean",
        "required": false,
        "about": "`true` also takes up a webhook that the product switched off."
      },
      {
        "name": "url",
        "kind": "text",
        "required": false,
        "about": "`https://…`; `http://` only to addresses that the server's settings list."
      }
    ]
  },
  {
    "id": "post_admissions_hold",
    "method": "POST",
    "path": "/api/v1/admissions/hold",
    "summary": "Hold admissions: nothing new is given to agents, what runs goes on. What is held stays as it was",
    "area": "admissions",
    "role": "lead",
    "scope": "sessions:write",
    "system": false,
    "params": [],
    "fields": [
      {
        "name": "agent",
        "kind": "line",
        "required": false,
        "about": "The agent, by id or name, when the scope is `agent`."
      },
      {
        "name": "reason",
        "kind": "line",
        "required": false,
        "about": "For people and the audit."
      },
      {
        "name": "scope",
        "kind": "choice",
        "required": true,
        "choices": [
          "instance",
          "tenant",
          "agent"
        ],
        "about": "How far it reaches: `instance` needs a system administrator, `tenant` an administrator,"
      }
    ]
  },
  {
    "id": "post_admissions_release",
    "method": "POST",
    "path": "/api/v1/admissions/release",
    "summary": "Release admissions: what waits is given to agents again. What is not held stays so",
    "area": "admissions",
    "role": "lead",
    "scope": "sessions:write",
    "system": false,
    "params": [],
    "fields": [
      {
        "name": "agent",
        "kind": "line",
        "required": false,
        "about": "The agent, by id or name, when the scope is `agent`."
      },
      {
        "name": "reason",
        "kind": "line",
        "required": false,
        "about": "For people and the audit."
      },
      {
        "name": "scope",
        "kind": "choice",
        "required": true,
        "choices": [
          "instance",
          "tenant",
          "agent"
        ],
        "about": "How far it reaches: `instance` needs a system administrator, `tenant` an administrator,"
      }
    ]
  },
  {
    "id": "post_agents",
    "method": "POST",
    "path": "/api/v1/agents",
    "summary": "Register an agent",
    "area": "agents",
    "role": "lead",
    "scope": "agents:write",
    "system": false,
    "params": [],
    "fields": [
      {
        "name": "agent_type",
        "kind": "choice",
        "required": false,
        "choices": [
          "architect",
          "implementer",
          "reviewer",
          "debugger",
          "integrator",
          "orchestrator",
          "analyst",
          "optimizer"
        ]
      },
      {
        "name": "avoided_technologies",
        "kind": "list",
        "required": false,
        "about": "Sessions with one of them go to others."
      },
      {
        "name": "capabilities",
        "kind": "list",
        "required": false,
        "about": "The same as `primary_capabilities`."
      },
      {
        "name": "complexity_preference",
        "kind": "choice",
        "required": false,
        "choices": [
          "simple",
          "medium",
          "complex",
          "expert"
        ]
      },
      {
        "name": "config",
        "kind": "json",
        "required": false,
        "about": "Settings of the driver, by the kind: `command` (list) and `env` for `acp` and `command`, which needs"
      },
      {
        "name": "description",
        "kind": "line",
        "required": false
      },
      {
        "name": "kind",
        "kind": "choice",
        "required": true,
        "choices": [
          "opencode",
          "eap",
          "acp",
          "command",
          "simulated"
        ],
        "about": "Which driver speaks to it; `eap` agents register themselves."
      },
      {
        "name": "max_concurrent_capacity",
        "kind": "integer",
        "required": false
      },
      {
        "name": "max_task_duration_hours",
        "kind": "number",
        "required": false
      },
      {
        "name": "max_tokens",
        "kind": "integer",
        "required": false,
        "about": "By its type when omitted."
      },
      {
        "name": "metadata",
        "kind": "json",
        "required": false
      },
      {
        "name": "min_quality_threshold",
        "kind": "number",
        "required": false
      },
      {
        "name": "model_identifier",
        "kind": "line",
        "required": false
      },
      {
        "name": "name",
        "kind": "line",
        "required": true,
        "about": "`AGENT-` and upper-case letters, digits, `_` and `-`; unique among the agents of the tenant."
      },
      {
        "name": "preferred_session_types",
        "kind": "list",
        "required": false
      },
      {
        "name": "preferred_technologies",
        "kind": "list",
        "required": false
      },
      {
        "name": "primary_capabilities",
        "kind": "list",
        "required": false,
        "about": "Slugs, known or your own; 1 to 50 with the secondary ones."
      },
      {
        "name": "secondary_capabilities",
        "kind": "list",
        "required": false
      },
      {
        "name": "system_prompt_template",
        "kind": "text",
        "required": false,
        "about": "Empty, or 50 characters and more."
      },
      {
        "name": "temperature",
        "kind": "number",
        "required": false
      },
      {
        "name": "version",
        "kind": "line",
        "required": false
      }
    ]
  },
  {
    "id": "post_agents_id_approve",
    "method": "POST",
    "path": "/api/v1/agents/{id}/approve",
    "summary": "Let an agent in that registered itself",
    "area": "agents",
    "role": "lead",
    "scope": "agents:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": []
  },
  {
    "id": "post_agents_id_deregister",
    "method": "POST",
    "path": "/api/v1/agents/{id}/deregister",
    "summary": "Remove an agent; the same as `DELETE`, for those who cannot send that",
    "area": "agents",
    "role": "lead",
    "scope": "agents:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "graceful",
        "kind": "boolean",
        "required": false,
        "about": "It ends what it works on first, for an hour at most; else its sessions wait for another agent."
      },
      {
        "name": "reason",
        "kind": "line",
        "required": false,
        "about": "For people and the audit."
      }
    ]
  },
  {
    "id": "post_agents_id_drain",
    "method": "POST",
    "path": "/api/v1/agents/{id}/drain",
    "summary": "Give an agent nothing new; it ends what it has",
    "area": "agents",
    "role": "lead",
    "scope": "agents:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": []
  },
  {
    "id": "post_agents_id_maintenance",
    "method": "POST",
    "path": "/api/v1/agents/{id}/maintenance",
    "summary": "Give an agent nothing new while it is worked on, or take it up again",
    "area": "agents",
    "role": "lead",
    "scope": "agents:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "on",
        "kind": "boolean",
        "required": true,
        "about": "It gets nothing new, or is taken up again."
      }
    ]
  },
  {
    "id": "post_agents_id_performance",
    "method": "POST",
    "path": "/api/v1/agents/{id}/performance",
    "summary": "Report work of an agent by hand; it counts like the outcome of a session",
    "area": "agents",
    "role": "lead",
    "scope": "agents:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "cost_usd",
        "kind": "number",
        "required": false
      },
      {
        "name": "execution_time_seconds",
        "kind": "number",
        "required": false
      },
      {
        "name": "partial_success",
        "kind": "boolean",
        "required": false,
        "about": "It counts half, whatever `task_success` says."
      },
      {
        "name": "quality_score",
        "kind": "number",
        "required": false,
        "about": "Below the agent's `min_quality_threshold` a success counts half."
      },
      {
        "name": "task_success",
        "kind": "boolean",
        "required": true
      },
      {
        "name": "tokens_used",
        "kind": "integer",
        "required": false
      }
    ]
  },
  {
    "id": "post_agents_id_probe",
    "method": "POST",
    "path": "/api/v1/agents/{id}/probe",
    "summary": "Ask now whether an agent could work; `last_probe` says what was found",
    "area": "agents",
    "role": "lead",
    "scope": "agents:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": []
  },
  {
    "id": "post_agents_id_reset_metrics",
    "method": "POST",
    "path": "/api/v1/agents/{id}/reset-metrics",
    "summary": "Judge an agent anew: its window begins again and its breaker is closed; its totals stay",
    "area": "agents",
    "role": "lead",
    "scope": "agents:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": []
  },
  {
    "id": "post_agents_id_undrain",
    "method": "POST",
    "path": "/api/v1/agents/{id}/undrain",
    "summary": "Take an agent up again; a removal that was waiting is taken back, too",
    "area": "agents",
    "role": "lead",
    "scope": "agents:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": []
  },
  {
    "id": "post_agents_rebalance",
    "method": "POST",
    "path": "/api/v1/agents/rebalance",
    "summary": "Give work that waits for agents which are overloaded, offline or draining to others",
    "area": "agents",
    "role": "lead",
    "scope": "agents:write",
    "system": false,
    "params": [],
    "fields": [
      {
        "name": "dry_run",
        "kind": "boolean",
        "required": false,
        "about": "Only tell what would be moved."
      }
    ]
  },
  {
    "id": "post_agents_register",
    "method": "POST",
    "path": "/api/v1/agents/register",
    "summary": "Register an agent; the same as `POST /agents`",
    "area": "agents",
    "role": "lead",
    "scope": "agents:write",
    "system": false,
    "params": [],
    "fields": [
      {
        "name": "agent_type",
        "kind": "choice",
        "required": false,
        "choices": [
          "architect",
          "implementer",
          "reviewer",
          "debugger",
          "integrator",
          "orchestrator",
          "analyst",
          "optimizer"
        ]
      },
      {
        "name": "avoided_technologies",
        "kind": "list",
        "required": false,
        "about": "Sessions with one of them go to others."
      },
      {
        "name": "capabilities",
        "kind": "list",
        "required": false,
        "about": "The same as `primary_capabilities`."
      },
      {
        "name": "complexity_preference",
        "kind": "choice",
        "required": false,
        "choices": [
          "simple",
          "medium",
          "complex",
          "expert"
        ]
      },
      {
        "name": "config",
        "kind": "json",
        "required": false,
        "about": "Settings of the driver, by the kind: `command` (list) and `env` for `acp` and `command`, which needs"
      },
      {
        "name": "description",
        "kind": "line",
        "required": false
      },
      {
        "name": "kind",
        "kind": "choice",
        "required": true,
        "choices": [
          "opencode",
          "eap",
          "acp",
          "command",
          "simulated"
        ],
        "about": "Which driver speaks to it; `eap` agents register themselves."
      },
      {
        "name": "max_concurrent_capacity",
        "kind": "integer",
        "required": false
      },
      {
        "name": "max_task_duration_hours",
        "kind": "number",
        "required": false
      },
      {
        "name": "max_tokens",
        "kind": "integer",
        "required": false,
        "about": "By its type when omitted."
      },
      {
        "name": "metadata",
        "kind": "json",
        "required": false
      },
      {
        "name": "min_quality_threshold",
        "kind": "number",
        "required": false
      },
      {
        "name": "model_identifier",
        "kind": "line",
        "required": false
      },
      {
        "name": "name",
        "kind": "line",
        "required": true,
        "about": "`AGENT-` and upper-case letters, digits, `_` and `-`; unique among the agents of the tenant."
      },
      {
        "name": "preferred_session_types",
        "kind": "list",
        "required": false
      },
      {
        "name": "preferred_technologies",
        "kind": "list",
        "required": false
      },
      {
        "name": "primary_capabilities",
        "kind": "list",
        "required": false,
        "about": "Slugs, known or your own; 1 to 50 with the secondary ones."
      },
      {
        "name": "secondary_capabilities",
        "kind": "list",
        "required": false
      },
      {
        "name": "system_prompt_template",
        "kind": "text",
        "required": false,
        "about": "Empty, or 50 characters and more."
      },
      {
        "name": "temperature",
        "kind": "number",
        "required": false
      },
      {
        "name": "version",
        "kind": "line",
        "required": false
      }
    ]
  },
  {
    "id": "post_agents_route",
    "method": "POST",
    "path": "/api/v1/agents/route",
    "summary": "Ask who would be given a piece of work, and why; with `reserve` room for it is held for a minute",
    "area": "agents",
    "role": "viewer",
    "scope": "agents:read",
    "system": false,
    "params": [],
    "fields": [
      {
        "name": "estimated_complexity",
        "kind": "number",
        "required": false
      },
      {
        "name": "exclude_agent_ids",
        "kind": "list",
        "required": false,
        "about": "Ids or names."
      },
      {
        "name": "explain",
        "kind": "choice",
        "required": false,
        "choices": [
          "all",
          "best"
        ]
      },
      {
        "name": "match",
        "kind": "choice",
        "required": false,
        "choices": [
          "all",
          "any"
        ]
      },
      {
        "name": "min_performance_tier",
        "kind": "choice",
        "required": false,
        "choices": [
          "elite",
          "advanced",
          "competent",
          "trainee",
          "degraded"
        ]
      },
      {
        "name": "preferred_agent_ids",
        "kind": "list",
        "required": false,
        "about": "Ids or names; worth 0.2 to these agents."
      },
      {
        "name": "preferred_agent_type",
        "kind": "choice",
        "required": false,
        "choices": [
          "architect",
          "implementer",
          "reviewer",
          "debugger",
          "integrator",
          "orchestrator",
          "analyst",
          "optimizer"
        ]
      },
      {
        "name": "required_capabilities",
        "kind": "list",
        "required": true,
        "about": "What the agent is to be able to do, known or your own."
      },
      {
        "name": "reserve",
        "kind": "boolean",
        "required": false,
        "about": "Hold room for it for 60 s, for a session that you create for the selected agent; for members."
      },
      {
        "name": "session_type",
        "kind": "choice",
        "required": false,
        "choices": [
          "planning",
          "execution",
          "review",
          "debug",
          "integration"
        ]
      },
      {
        "name": "task_description",
        "kind": "text",
        "required": true
      },
      {
        "name": "technologies",
        "kind": "list",
        "required": false
      }
    ]
  },
  {
    "id": "post_attention_id_resolve",
    "method": "POST",
    "path": "/api/v1/attention/{id}/resolve",
    "summary": "Decide about an item",
    "area": "attention",
    "role": "member",
    "scope": "sessions:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "answer",
        "kind": "text",
        "required": false,
        "about": "The text of an answer."
      },
      {
        "name": "decision",
        "kind": "choice",
        "required": true,
        "choices": [
          "allow_once",
          "allow_always",
          "deny",
          "answer",
          "acknowledge"
        ],
        "about": "One of the item's `decisions`."
      },
      {
        "name": "fingerprint",
        "kind": "line",
        "required": false,
        "about": "The item's `fingerprint`, as it was when this was decided: what is asked by then for anything"
      }
    ]
  },
  {
    "id": "post_attention_resolve",
    "method": "POST",
    "path": "/api/v1/attention/resolve",
    "summary": "Decide about every open item that asks the same",
    "area": "attention",
    "role": "member",
    "scope": "sessions:write",
    "system": false,
    "params": [],
    "fields": [
      {
        "name": "answer",
        "kind": "text",
        "required": false,
        "about": "The text of an answer."
      },
      {
        "name": "decision",
        "kind": "choice",
        "required": true,
        "choices": [
          "allow_once",
          "allow_always",
          "deny",
          "answer",
          "acknowledge"
        ],
        "about": "One of the items' `decisions`."
      },
      {
        "name": "fingerprint",
        "kind": "line",
        "required": true,
        "about": "The items' `fingerprint`."
      }
    ]
  },
  {
    "id": "post_contexts",
    "method": "POST",
    "path": "/api/v1/contexts",
    "summary": "Create a context, or get the first of its owner",
    "area": "contexts",
    "role": "member",
    "scope": "contexts:write",
    "system": false,
    "params": [],
    "fields": [
      {
        "name": "agent_id",
        "kind": "line",
        "required": false,
        "about": "Id or name; required for the scope `agent`."
      },
      {
        "name": "get_or_create",
        "kind": "boolean",
        "required": false,
        "about": "The first context of the owner with this scope, when there is one, instead of a new one."
      },
      {
        "name": "initial_data",
        "kind": "json",
        "required": false,
        "about": "What it remembers from the beginning, at most 1 MiB."
      },
      {
        "name": "metadata",
        "kind": "json",
        "required": false,
        "about": "`{\"important\": true}` keeps it as a global one when its session ends."
      },
      {
        "name": "scope",
        "kind": "choice",
        "required": false,
        "choices": [
          "temporary",
          "task",
          "session",
          "agent",
          "global"
        ]
      },
      {
        "name": "session_id",
        "kind": "line",
        "required": false,
        "about": "Id or code; required for the scope `session`."
      },
      {
        "name": "task_id",
        "kind": "line",
        "required": false
      }
    ]
  },
  {
    "id": "post_contexts_id_promote_to_global",
    "method": "POST",
    "path": "/api/v1/contexts/{id}/promote-to-global",
    "summary": "Make what a context has known to the whole tenant, as a copy",
    "area": "contexts",
    "role": "lead",
    "scope": "contexts:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": []
  },
  {
    "id": "post_contexts_id_resolve",
    "method": "POST",
    "path": "/api/v1/contexts/{id}/resolve",
    "summary": "Decide the clashes of a merge that waits",
    "area": "contexts",
    "role": "member",
    "scope": "contexts:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "resolutions",
        "kind": "json",
        "required": true,
        "about": "For each path that clashes `source`, `target`, or `{\"value\": …}`."
      }
    ]
  },
  {
    "id": "post_contexts_id_share",
    "method": "POST",
    "path": "/api/v1/contexts/{id}/share",
    "summary": "Give another session what a context has",
    "area": "contexts",
    "role": "member",
    "scope": "contexts:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "merge_existing",
        "kind": "boolean",
        "required": false,
        "about": "Into the session's own copy when it has one, `true` when omitted; else as another copy."
      },
      {
        "name": "target_session_id",
        "kind": "line",
        "required": true,
        "about": "Id or code."
      }
    ]
  },
  {
    "id": "post_contexts_merge",
    "method": "POST",
    "path": "/api/v1/contexts/merge",
    "summary": "Merge contexts into a new one",
    "area": "contexts",
    "role": "member",
    "scope": "contexts:write",
    "system": false,
    "params": [],
    "fields": [
      {
        "name": "context_ids",
        "kind": "list",
        "required": true,
        "about": "The first is the target of the second, and so on."
      },
      {
        "name": "strategy",
        "kind": "choice",
        "required": false,
        "choices": [
          "last_write_wins",
          "prefer_source",
          "prefer_target",
          "deep_merge",
          "manual"
        ]
      }
    ]
  },
  {
    "id": "post_hosts_id_recycle",
    "method": "POST",
    "path": "/api/v1/hosts/{id}/recycle",
    "summary": "Replace the server of a host: another one is started, every session is moved to it at a good moment, then the\nold one ends. System administrators only",
    "area": "hosts",
    "role": "admin",
    "scope": "system:write",
    "system": true,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "reason",
        "kind": "line",
        "required": false,
        "about": "For people and the audit."
      }
    ]
  },
  {
    "id": "post_invites",
    "method": "POST",
    "path": "/api/v1/invites",
    "summary": "Invite somebody; the answer shows the link once",
    "area": "invites",
    "role": "admin",
    "scope": "users:write",
    "system": false,
    "params": [],
    "fields": [
      {
        "name": "email",
        "kind": "line",
        "required": true
      },
      {
        "name": "expires_in",
        "kind": "integer",
        "required": false,
        "about": "How many seconds it is good; seven days when omitted."
      },
      {
        "name": "full_name",
        "kind": "line",
        "required": false
      },
      {
        "name": "role",
        "kind": "choice",
        "required": false,
        "choices": [
          "viewer",
          "member",
          "lead",
          "admin"
        ]
      }
    ]
  },
  {
    "id": "post_keys",
    "method": "POST",
    "path": "/api/v1/keys",
    "summary": "Make a key; the answer shows it once",
    "area": "keys",
    "role": "admin",
    "scope": "keys:write",
    "system": false,
    "params": [],
    "fields": [
      {
        "name": "expires_at",
        "kind": "line",
        "required": false
      },
      {
        "name": "kind",
        "kind": "choice",
        "required": false,
        "choices": [
          "key",
          "browser",
          "invite",
          "enrolment",
          "agent"
        ]
      },
      {
        "name": "name",
        "kind": "line",
        "required": true
      },
      {
        "name": "networks",
        "kind": "list",
        "required": false,
        "about": "Networks such as `10.0.0.0/8`, or addresses. Those of the caller's own key when omitted."
      },
      {
        "name": "role",
        "kind": "choice",
        "required": true,
        "choices": [
          "viewer",
          "member",
          "lead",
          "admin"
        ]
      },
      {
        "name": "scopes",
        "kind": "list",
        "required": false,
        "about": "All that the caller's own key has, when omitted."
      },
      {
        "name": "service",
        "kind": "boolean",
        "required": false,
        "about": "It belongs to nobody: a program will act with it."
      },
      {
        "name": "user_id",
        "kind": "line",
        "required": false
      }
    ]
  },
  {
    "id": "post_keys_id_rotate",
    "method": "POST",
    "path": "/api/v1/keys/{id}/rotate",
    "summary": "Make another secret for a key; the answer shows it once",
    "area": "keys",
    "role": "admin",
    "scope": "keys:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "grace_seconds",
        "kind": "integer",
        "required": false,
        "about": "How long the secret before is accepted beside the new one; a day when omitted."
      }
    ]
  },
  {
    "id": "post_recovery_apply",
    "method": "POST",
    "path": "/api/v1/recovery/apply",
    "summary": "Do what is to be done, all of it or the steps with these ids; what is done already is left alone.\nSystem administrators only",
    "area": "recovery",
    "role": "admin",
    "scope": "system:write",
    "system": true,
    "params": [],
    "fields": [
      {
        "name": "ids",
        "kind": "list",
        "required": true,
        "about": "Ids of the plan; all steps when omitted."
      }
    ]
  },
  {
    "id": "post_sessions",
    "method": "POST",
    "path": "/api/v1/sessions",
    "summary": "Create a session. With `start` it is queued in the same step",
    "area": "sessions",
    "role": "member",
    "scope": "sessions:write",
    "system": false,
    "params": [],
    "fields": [
      {
        "name": "after",
        "kind": "list",
        "required": false,
        "about": "Ids or codes of sessions that must have completed before it begins; started, it waits for them."
      },
      {
        "name": "agent",
        "kind": "line",
        "required": false,
        "about": "Pinned agent, by id or name."
      },
      {
        "name": "agent_config",
        "kind": "json",
        "required": false
      },
      {
        "name": "budget_usd",
        "kind": "number",
        "required": false,
        "about": "US dollars"
      },
      {
        "name": "cpu_limit",
        "kind": "number",
        "required": false,
        "about": "Not part of this version: leave it out."
      },
      {
        "name": "created_by",
        "kind": "line",
        "required": false,
        "about": "Lead and higher may name somebody else."
      },
      {
        "name": "degraded_grace_seconds",
        "kind": "integer",
        "required": false
      },
      {
        "name": "description",
        "kind": "line",
        "required": false
      },
      {
        "name": "estimated_complexity",
        "kind": "number",
        "required": false,
        "about": "How large the work is: 1 fills one place of an agent."
      },
      {
        "name": "exclude_from_training",
        "kind": "boolean",
        "required": false
      },
      {
        "name": "execution_mode",
        "kind": "choice",
        "required": false,
        "choices": [
          "single",
          "task_graph"
        ]
      },
      {
        "name": "gates",
        "kind": "json",
        "required": false,
        "about": "Commands that judge the work: in a clean checkout of it, or in the directory itself. Required"
      },
      {
        "name": "initial_prompt",
        "kind": "text",
        "required": true
      },
      {
        "name": "max_duration_seconds",
        "kind": "integer",
        "required": false
      },
      {
        "name": "max_retries",
        "kind": "integer",
        "required": false,
        "about": "Stands before the one in `retry_policy`."
      },
      {
        "name": "memory_limit_mb",
        "kind": "integer",
        "required": false,
        "about": "Not part of this version: leave it out."
      },
      {
        "name": "metadata",
        "kind": "json",
        "required": false
      },
      {
        "name": "min_performance_tier",
        "kind": "choice",
        "required": false,
        "choices": [
          "elite",
          "advanced",
          "competent",
          "trainee",
          "degraded"
        ]
      },
      {
        "name": "model_identifier",
        "kind": "line",
        "required": false
      },
      {
        "name": "not_before",
        "kind": "line",
        "required": false
      },
      {
        "name": "on_parent_end",
        "kind": "choice",
        "required": false,
        "choices": [
          "cascade",
          "orphan",
          "continue"
        ]
      },
      {
        "name": "parent_id",
        "kind": "line",
        "required": false,
        "about": "Id or code of the parent."
      },
      {
        "name": "parent_session_id",
        "kind": "line",
        "required": false,
        "about": "The same as `parent_id`."
      },
      {
        "name": "pause_timeout_seconds",
        "kind": "integer",
        "required": false,
        "about": "Null for no limit."
      },
      {
        "name": "permission_policy",
        "kind": "json",
        "required": false,
        "about": "What an agent may do without asking."
      },
      {
        "name": "preferred_agent_ids",
        "kind": "list",
        "required": false,
        "about": "These agents come first."
      },
      {
        "name": "preferred_agent_type",
        "kind": "choice",
        "required": false,
        "choices": [
          "architect",
          "implementer",
          "reviewer",
          "debugger",
          "integrator",
          "orchestrator",
          "analyst",
          "optimizer"
        ]
      },
      {
        "name": "priority",
        "kind": "json",
        "required": false,
        "about": "0 critical, 1 high, 2 medium, 3 low, 4 deferred, or the name"
      },
      {
        "name": "queue_timeout_seconds",
        "kind": "integer",
        "required": false,
        "about": "Null for no limit."
      },
      {
        "name": "required_capabilities",
        "kind": "list",
        "required": false
      },
      {
        "name": "retry_policy",
        "kind": "json",
        "required": false,
        "about": "When and how often a session is tried again."
      },
      {
        "name": "session_type",
        "kind": "choice",
        "required": false,
        "choices": [
          "planning",
          "execution",
          "review",
          "debug",
          "integration"
        ]
      },
      {
        "name": "start",
        "kind": "boolean",
        "required": false,
        "about": "Also queues it."
      },
      {
        "name": "tags",
        "kind": "list",
        "required": false
      },
      {
        "name": "technologies",
        "kind": "list",
        "required": false,
        "about": "What the work is done in; agents that prefer them come first, and those that avoid one get none."
      },
      {
        "name": "title",
        "kind": "line",
        "required": false,
        "about": "Derived from the prompt when omitted."
      },
      {
        "name": "token_budget",
        "kind": "integer",
        "required": false,
        "about": "Input, output, cache writes and reasoning; as `budget_usd`."
      },
      {
        "name": "workspace",
        "kind": "json",
        "required": false,
        "about": "Where the work is to happen."
      }
    ]
  },
  {
    "id": "post_sessions_id_cancel",
    "method": "POST",
    "path": "/api/v1/sessions/{id}/cancel",
    "summary": "Withdraw a session that waits or is paused",
    "area": "sessions",
    "role": "member",
    "scope": "sessions:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "reason",
        "kind": "line",
        "required": false,
        "about": "For people and the audit."
      }
    ]
  },
  {
    "id": "post_sessions_id_checkpoints",
    "method": "POST",
    "path": "/api/v1/sessions/{id}/checkpoints",
    "summary": "Take a checkpoint with data of one's own",
    "area": "sessions",
    "role": "member",
    "scope": "sessions:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "checkpoint_data",
        "kind": "json",
        "required": false,
        "about": "At most 256 KiB canonical."
      },
      {
        "name": "metadata",
        "kind": "json",
        "required": false,
        "about": "Lies under `_metadata` in the data."
      }
    ]
  },
  {
    "id": "post_sessions_id_checkpoints_seq_restore",
    "method": "POST",
    "path": "/api/v1/sessions/{id}/checkpoints/{seq}/restore",
    "summary": "Put workspace and conversation back to a checkpoint; unsaved work is rescued first",
    "area": "sessions",
    "role": "member",
    "scope": "sessions:write",
    "system": false,
    "params": [
      "id",
      "seq"
    ],
    "fields": []
  },
  {
    "id": "post_sessions_id_complete",
    "method": "POST",
    "path": "/api/v1/sessions/{id}/complete",
    "summary": "Declare a session's work done; audited",
    "area": "sessions",
    "role": "lead",
    "scope": "sessions:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "confidence_score",
        "kind": "number",
        "required": false,
        "about": "How sure that is."
      },
      {
        "name": "reason",
        "kind": "line",
        "required": true,
        "about": "Why it is completed by force; audited."
      },
      {
        "name": "result",
        "kind": "json",
        "required": true,
        "about": "What the work gave."
      },
      {
        "name": "success_rate",
        "kind": "number",
        "required": false,
        "about": "1 when omitted."
      }
    ]
  },
  {
    "id": "post_sessions_id_fail",
    "method": "POST",
    "path": "/api/v1/sessions/{id}/fail",
    "summary": "Declare a session failed; audited",
    "area": "sessions",
    "role": "lead",
    "scope": "sessions:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "error_code",
        "kind": "line",
        "required": false,
        "about": "`operator_failure` when omitted."
      },
      {
        "name": "error_context",
        "kind": "json",
        "required": false,
        "about": "Further facts."
      },
      {
        "name": "error_message",
        "kind": "line",
        "required": true,
        "about": "What happened."
      },
      {
        "name": "retryable",
        "kind": "boolean",
        "required": false,
        "about": "Whether an automatic retry may follow."
      }
    ]
  },
  {
    "id": "post_sessions_id_fork",
    "method": "POST",
    "path": "/api/v1/sessions/{id}/fork",
    "summary": "Make a new session that goes on where this one was",
    "area": "sessions",
    "role": "member",
    "scope": "sessions:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "agent",
        "kind": "line",
        "required": false,
        "about": "Pinned agent, by id or name."
      },
      {
        "name": "budget_usd",
        "kind": "number",
        "required": false,
        "about": "US dollars"
      },
      {
        "name": "from_checkpoint",
        "kind": "integer",
        "required": false,
        "about": "The newest one when omitted."
      },
      {
        "name": "initial_prompt",
        "kind": "text",
        "required": false,
        "about": "What to do."
      },
      {
        "name": "model_identifier",
        "kind": "line",
        "required": false,
        "about": "`provider/model`."
      },
      {
        "name": "parent_id",
        "kind": "line",
        "required": false,
        "about": "A fork has a parent only when one is named, by id or code."
      },
      {
        "name": "title",
        "kind": "line",
        "required": false,
        "about": "The source's title with `(fork)` when omitted."
      }
    ]
  },
  {
    "id": "post_sessions_id_merge",
    "method": "POST",
    "path": "/api/v1/sessions/{id}/merge",
    "summary": "Bring the work home: merge, squash, or export as a patch. Nothing changes on a conflict",
    "area": "sessions",
    "role": "lead",
    "scope": "sessions:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "message",
        "kind": "text",
        "required": false,
        "about": "Message of the commit."
      },
      {
        "name": "mode",
        "kind": "choice",
        "required": false,
        "choices": [
          "merge",
          "squash",
          "patch"
        ]
      }
    ]
  },
  {
    "id": "post_sessions_id_pause",
    "method": "POST",
    "path": "/api/v1/sessions/{id}/pause",
    "summary": "Pause at the end of the current turn",
    "area": "sessions",
    "role": "member",
    "scope": "sessions:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": []
  },
  {
    "id": "post_sessions_id_prompt",
    "method": "POST",
    "path": "/api/v1/sessions/{id}/prompt",
    "summary": "Tell the agent something more",
    "area": "sessions",
    "role": "member",
    "scope": "sessions:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "mode",
        "kind": "choice",
        "required": false,
        "choices": [
          "queue",
          "interrupt"
        ]
      },
      {
        "name": "text",
        "kind": "text",
        "required": true,
        "about": "What to say."
      }
    ]
  },
  {
    "id": "post_sessions_id_rate",
    "method": "POST",
    "path": "/api/v1/sessions/{id}/rate",
    "summary": "Judge a session that has ended; stands above what was measured, audited",
    "area": "sessions",
    "role": "member",
    "scope": "sessions:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "code_quality_score",
        "kind": "number",
        "required": true,
        "about": "How good the code is."
      },
      {
        "name": "comment",
        "kind": "line",
        "required": true,
        "about": "Why, for the audit."
      },
      {
        "name": "success_rate",
        "kind": "number",
        "required": true,
        "about": "Share of the work that succeeded; stands above what was measured."
      }
    ]
  },
  {
    "id": "post_sessions_id_resume",
    "method": "POST",
    "path": "/api/v1/sessions/{id}/resume",
    "summary": "Resume a paused session as soon as there is a slot",
    "area": "sessions",
    "role": "member",
    "scope": "sessions:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": []
  },
  {
    "id": "post_sessions_id_retry",
    "method": "POST",
    "path": "/api/v1/sessions/{id}/retry",
    "summary": "Retry a failed or timed-out session from a checkpoint",
    "area": "sessions",
    "role": "member",
    "scope": "sessions:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "from_checkpoint",
        "kind": "integer",
        "required": false,
        "about": "The newest one when omitted."
      }
    ]
  },
  {
    "id": "post_sessions_id_start",
    "method": "POST",
    "path": "/api/v1/sessions/{id}/start",
    "summary": "Queue a pending session; a failed or timed-out one is retried",
    "area": "sessions",
    "role": "member",
    "scope": "sessions:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": []
  },
  {
    "id": "post_sessions_id_stop",
    "method": "POST",
    "path": "/api/v1/sessions/{id}/stop",
    "summary": "Stop a running or paused session; the current turn is aborted",
    "area": "sessions",
    "role": "member",
    "scope": "sessions:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "reason",
        "kind": "line",
        "required": false,
        "about": "For people and the audit."
      }
    ]
  },
  {
    "id": "post_sessions_id_verify",
    "method": "POST",
    "path": "/api/v1/sessions/{id}/verify",
    "summary": "Run a session's gates in a clean checkout of its newest commit, or in its directory",
    "area": "sessions",
    "role": "member",
    "scope": "sessions:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "force",
        "kind": "boolean",
        "required": true,
        "about": "Runs them again although the files are those that were judged last."
      }
    ]
  },
  {
    "id": "post_system_backup",
    "method": "POST",
    "path": "/api/v1/system/backup",
    "summary": "Make a backup: everything that is stored, as it stands at one moment. The answer is the archive\nitself; writers go on meanwhile. System administrators only; audited; one at a time",
    "area": "system",
    "role": "admin",
    "scope": "system:write",
    "system": true,
    "params": [],
    "fields": [
      {
        "name": "reason",
        "kind": "line",
        "required": false,
        "about": "For people and the audit."
      }
    ]
  },
  {
    "id": "post_tasks",
    "method": "POST",
    "path": "/api/v1/tasks",
    "summary": "Create a task",
    "area": "tasks",
    "role": "member",
    "scope": "tasks:write",
    "system": false,
    "params": [],
    "fields": [
      {
        "name": "dependencies",
        "kind": "json",
        "required": false,
        "about": "What it needs from the beginning."
      },
      {
        "name": "description",
        "kind": "text",
        "required": false,
        "about": "What is to be done."
      },
      {
        "name": "estimate",
        "kind": "json",
        "required": false,
        "about": "How long a task is expected to take, in three figures that rise."
      },
      {
        "name": "estimated_hours",
        "kind": "number",
        "required": false,
        "about": "One figure in place of three; not together with `estimate`."
      },
      {
        "name": "max_retries",
        "kind": "integer",
        "required": false,
        "about": "Retries by the executor."
      },
      {
        "name": "metadata",
        "kind": "json",
        "required": false,
        "about": "For people and programs."
      },
      {
        "name": "on_upstream_failure",
        "kind": "choice",
        "required": false,
        "choices": [
          "skip",
          "block",
          "ignore"
        ]
      },
      {
        "name": "parent_task_id",
        "kind": "line",
        "required": false
      },
      {
        "name": "priority",
        "kind": "choice",
        "required": false,
        "choices": [
          "blocker",
          "critical",
          "high",
          "normal",
          "low",
          "background"
        ]
      },
      {
        "name": "required_capabilities",
        "kind": "list",
        "required": false,
        "about": "What an agent must be able to do."
      },
      {
        "name": "session_id",
        "kind": "line",
        "required": false,
        "about": "Id or code of the root session; that of the parent when omitted."
      },
      {
        "name": "tags",
        "kind": "list",
        "required": false,
        "about": "For filters."
      },
      {
        "name": "task_type",
        "kind": "line",
        "required": false,
        "about": "A slug; `implementation` when omitted."
      },
      {
        "name": "technologies",
        "kind": "list",
        "required": false,
        "about": "What it is made with."
      },
      {
        "name": "title",
        "kind": "line",
        "required": true,
        "about": "What people call it."
      }
    ]
  },
  {
    "id": "post_tasks_id_assign",
    "method": "POST",
    "path": "/api/v1/tasks/{id}/assign",
    "summary": "Give a task to an agent, by routing when none is named",
    "area": "tasks",
    "role": "member",
    "scope": "tasks:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "agent",
        "kind": "line",
        "required": false,
        "about": "Id or name; routing chooses when omitted."
      },
      {
        "name": "reason",
        "kind": "line",
        "required": false,
        "about": "For people."
      }
    ]
  },
  {
    "id": "post_tasks_id_cancel",
    "method": "POST",
    "path": "/api/v1/tasks/{id}/cancel",
    "summary": "Cancel a task, with everything below it that has not finished",
    "area": "tasks",
    "role": "member",
    "scope": "tasks:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "reason",
        "kind": "line",
        "required": false,
        "about": "For people."
      }
    ]
  },
  {
    "id": "post_tasks_id_complete",
    "method": "POST",
    "path": "/api/v1/tasks/{id}/complete",
    "summary": "Say that the work on a task is done",
    "area": "tasks",
    "role": "member",
    "scope": "tasks:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "result",
        "kind": "json",
        "required": false,
        "about": "A JSON object, at most 64 KiB."
      }
    ]
  },
  {
    "id": "post_tasks_id_decompose",
    "method": "POST",
    "path": "/api/v1/tasks/{id}/decompose",
    "summary": "Split a task into parts; with `dry_run` only tell what it would be split into",
    "area": "tasks",
    "role": "member",
    "scope": "tasks:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "apply_rules",
        "kind": "boolean",
        "required": false,
        "about": "Whether templates are looked for by words; true when omitted."
      },
      {
        "name": "apply_templates",
        "kind": "boolean",
        "required": false,
        "about": "Whether templates are looked for by type; true when omitted."
      },
      {
        "name": "auto_estimate",
        "kind": "boolean",
        "required": false,
        "about": "Whether a task without a good estimate is given one; true when omitted."
      },
      {
        "name": "dry_run",
        "kind": "boolean",
        "required": false,
        "about": "Only tell what it would be split into."
      },
      {
        "name": "max_depth",
        "kind": "integer",
        "required": false,
        "about": "Levels below the task."
      },
      {
        "name": "parameters",
        "kind": "json",
        "required": false,
        "about": "What is said of the templates that are used."
      },
      {
        "name": "plan",
        "kind": "json",
        "required": false,
        "about": "With the strategy `planner`: the tasks as a planner gave them, perhaps edited."
      },
      {
        "name": "strategy",
        "kind": "choice",
        "required": false,
        "choices": [
          "template",
          "rules",
          "functional",
          "temporal",
          "capability",
          "planner"
        ]
      },
      {
        "name": "template_name",
        "kind": "line",
        "required": false,
        "about": "This template, whatever its trigger and its threshold."
      }
    ]
  },
  {
    "id": "post_tasks_id_dependencies",
    "method": "POST",
    "path": "/api/v1/tasks/{id}/dependencies",
    "summary": "Let a task need another one of its session",
    "area": "tasks",
    "role": "member",
    "scope": "tasks:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "dependency_type",
        "kind": "choice",
        "required": false,
        "choices": [
          "finish_to_start",
          "start_to_start",
          "finish_to_finish",
          "start_to_finish"
        ]
      },
      {
        "name": "depends_on_task_id",
        "kind": "line",
        "required": false
      },
      {
        "name": "description",
        "kind": "line",
        "required": false,
        "about": "For people."
      },
      {
        "name": "is_required",
        "kind": "boolean",
        "required": false,
        "about": "Whether it gates; true when omitted."
      },
      {
        "name": "target_task_id",
        "kind": "line",
        "required": false
      }
    ]
  },
  {
    "id": "post_tasks_id_execute",
    "method": "POST",
    "path": "/api/v1/tasks/{id}/execute",
    "summary": "Have a task executed with everything below it: its session begins, and each leaf gets a session",
    "area": "tasks",
    "role": "member",
    "scope": "tasks:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "fail_fast",
        "kind": "boolean",
        "required": false,
        "about": "The first failure that stays ends everything that has not finished."
      },
      {
        "name": "max_parallel",
        "kind": "integer",
        "required": false,
        "about": "Leaves at a time; 5 when omitted."
      }
    ]
  },
  {
    "id": "post_tasks_id_fail",
    "method": "POST",
    "path": "/api/v1/tasks/{id}/fail",
    "summary": "Say that the work on a task failed",
    "area": "tasks",
    "role": "member",
    "scope": "tasks:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "error_message",
        "kind": "line",
        "required": true,
        "about": "For people."
      }
    ]
  },
  {
    "id": "post_tasks_id_pause",
    "method": "POST",
    "path": "/api/v1/tasks/{id}/pause",
    "summary": "Hold a task",
    "area": "tasks",
    "role": "member",
    "scope": "tasks:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "reason",
        "kind": "line",
        "required": false,
        "about": "For people."
      }
    ]
  },
  {
    "id": "post_tasks_id_retry",
    "method": "POST",
    "path": "/api/v1/tasks/{id}/retry",
    "summary": "Try what failed of a task once more",
    "area": "tasks",
    "role": "member",
    "scope": "tasks:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "reason",
        "kind": "line",
        "required": false,
        "about": "For people."
      }
    ]
  },
  {
    "id": "post_tasks_id_skip",
    "method": "POST",
    "path": "/api/v1/tasks/{id}/skip",
    "summary": "Leave a task out, with everything below it that nobody was given",
    "area": "tasks",
    "role": "member",
    "scope": "tasks:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "reason",
        "kind": "line",
        "required": false,
        "about": "For people."
      }
    ]
  },
  {
    "id": "post_tasks_id_start",
    "method": "POST",
    "path": "/api/v1/tasks/{id}/start",
    "summary": "Begin a task, or go on with it; a ready one is assigned first",
    "area": "tasks",
    "role": "member",
    "scope": "tasks:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "reason",
        "kind": "line",
        "required": false,
        "about": "For people."
      }
    ]
  },
  {
    "id": "post_tasks_id_status",
    "method": "POST",
    "path": "/api/v1/tasks/{id}/status",
    "summary": "Bring a task to a status that a command leads to",
    "area": "tasks",
    "role": "member",
    "scope": "tasks:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "error_message",
        "kind": "line",
        "required": false,
        "about": "Why it failed, with `failed`."
      },
      {
        "name": "reason",
        "kind": "line",
        "required": false,
        "about": "For people."
      },
      {
        "name": "result",
        "kind": "json",
        "required": false,
        "about": "What it gave, with `completed`."
      },
      {
        "name": "status",
        "kind": "choice",
        "required": true,
        "choices": [
          "pending",
          "ready",
          "assigned",
          "in_progress",
          "blocked",
          "paused",
          "completed",
          "failed",
          "cancelled",
          "skipped"
        ],
        "about": "One that a command leads to."
      }
    ]
  },
  {
    "id": "post_templates",
    "method": "POST",
    "path": "/api/v1/templates",
    "summary": "Add a template; one with a shipped key takes its place for this tenant",
    "area": "templates",
    "role": "lead",
    "scope": "tasks:write",
    "system": false,
    "params": [],
    "fields": [
      {
        "name": "description",
        "kind": "line",
        "required": false
      },
      {
        "name": "excluded_task_types",
        "kind": "list",
        "required": false
      },
      {
        "name": "key",
        "kind": "line",
        "required": true
      },
      {
        "name": "keywords",
        "kind": "list",
        "required": false
      },
      {
        "name": "leaf_target",
        "kind": "line",
        "required": false
      },
      {
        "name": "max_depth",
        "kind": "integer",
        "required": false
      },
      {
        "name": "name",
        "kind": "line",
        "required": true
      },
      {
        "name": "parameter",
        "kind": "json",
        "required": false
      },
      {
        "name": "priority",
        "kind": "integer",
        "required": false
      },
      {
        "name": "strategy",
        "kind": "line",
        "required": false
      },
      {
        "name": "subtask",
        "kind": "json",
        "required": true
      },
      {
        "name": "task_types",
        "kind": "list",
        "required": false
      },
      {
        "name": "threshold",
        "kind": "line",
        "required": false
      },
      {
        "name": "trigger",
        "kind": "line",
        "required": true
      },
      {
        "name": "version",
        "kind": "line",
        "required": false
      }
    ]
  },
  {
    "id": "post_tenants",
    "method": "POST",
    "path": "/api/v1/tenants",
    "summary": "Make a tenant, with its agents",
    "area": "tenants",
    "role": "admin",
    "scope": "tenants:write",
    "system": true,
    "params": [],
    "fields": [
      {
        "name": "name",
        "kind": "line",
        "required": false,
        "about": "The slug when omitted."
      },
      {
        "name": "quotas",
        "kind": "json",
        "required": false,
        "about": "Quotas to set: what is omitted stays, null is no bound."
      },
      {
        "name": "settings",
        "kind": "json",
        "required": false,
        "about": "Settings to change; what is omitted stays."
      },
      {
        "name": "slug",
        "kind": "line",
        "required": true
      }
    ]
  },
  {
    "id": "post_users",
    "method": "POST",
    "path": "/api/v1/users",
    "summary": "Let somebody in, without a key; an invitation makes both",
    "area": "users",
    "role": "admin",
    "scope": "users:write",
    "system": false,
    "params": [],
    "fields": [
      {
        "name": "email",
        "kind": "line",
        "required": true
      },
      {
        "name": "full_name",
        "kind": "line",
        "required": true
      },
      {
        "name": "is_system_admin",
        "kind": "boolean",
        "required": false,
        "about": "For system administrators alone; false when omitted."
      },
      {
        "name": "role",
        "kind": "choice",
        "required": false,
        "choices": [
          "viewer",
          "member",
          "lead",
          "admin"
        ]
      }
    ]
  },
  {
    "id": "post_webhooks",
    "method": "POST",
    "path": "/api/v1/webhooks",
    "summary": "Create a webhook; the answer shows its secret once",
    "area": "webhooks",
    "role": "admin",
    "scope": "events:write",
    "system": false,
    "params": [],
    "fields": [
      {
        "name": "after",
        "kind": "integer",
        "required": false,
        "about": "Begin behind this event, 0 with the oldest that is kept; now when omitted."
      },
      {
        "name": "description",
        "kind": "line",
        "required": false,
        "about": "For people."
      },
      {
        "name": "event_types",
        "kind": "list",
        "required": false,
        "about": "Types such as `session.failed`, or families such as `session.*`; everything when empty."
      },
      {
        "name": "is_active",
        "kind": "boolean",
        "required": false,
        "about": "`true` when omitted."
      },
      {
        "name": "url",
        "kind": "text",
        "required": true,
        "about": "`https://…`; `http://` only to addresses that the server's settings list."
      }
    ]
  },
  {
    "id": "post_webhooks_id_deliveries_delivery_id_redeliver",
    "method": "POST",
    "path": "/api/v1/webhooks/{id}/deliveries/{delivery_id}/redeliver",
    "summary": "Send a message once more, under its old name",
    "area": "webhooks",
    "role": "admin",
    "scope": "events:write",
    "system": false,
    "params": [
      "id",
      "delivery_id"
    ],
    "fields": []
  },
  {
    "id": "post_webhooks_id_rotate",
    "method": "POST",
    "path": "/api/v1/webhooks/{id}/rotate",
    "summary": "Make a new secret; messages are signed with the one before for another day, too",
    "area": "webhooks",
    "role": "admin",
    "scope": "events:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": []
  },
  {
    "id": "post_webhooks_id_test",
    "method": "POST",
    "path": "/api/v1/webhooks/{id}/test",
    "summary": "Send a message that says nothing but that the webhook works",
    "area": "webhooks",
    "role": "admin",
    "scope": "events:write",
    "system": false,
    "params": [
      "id"
    ],
    "fields": []
  },
  {
    "id": "put_budgets",
    "method": "PUT",
    "path": "/api/v1/budgets",
    "summary": "Set what the tenant may use in a month",
    "area": "budgets",
    "role": "admin",
    "scope": "usage:write",
    "system": false,
    "params": [],
    "fields": [
      {
        "name": "max_tokens_per_month",
        "kind": "integer",
        "required": false,
        "about": "Needs a system administrator."
      },
      {
        "name": "monthly_budget_usd",
        "kind": "number",
        "required": false,
        "about": "US dollars."
      }
    ]
  },
  {
    "id": "put_contexts_id_keys_path",
    "method": "PUT",
    "path": "/api/v1/contexts/{id}/keys/{path}",
    "summary": "Write one value",
    "area": "contexts",
    "role": "member",
    "scope": "contexts:write",
    "system": false,
    "params": [
      "id",
      "path"
    ],
    "fields": [
      {
        "name": "expected_version",
        "kind": "integer",
        "required": false,
        "about": "The version that the writer knows."
      },
      {
        "name": "strict",
        "kind": "boolean",
        "required": false,
        "about": "Newer versions matter, whatever they changed."
      },
      {
        "name": "value",
        "kind": "json",
        "required": false,
        "about": "What is to stand there; null deletes."
      }
    ]
  },
  {
    "id": "put_prices",
    "method": "PUT",
    "path": "/api/v1/prices",
    "summary": "Set the prices of models: the whole table. What was used before keeps its cost",
    "area": "prices",
    "role": "admin",
    "scope": "usage:write",
    "system": false,
    "params": [],
    "fields": [
      {
        "name": "prices",
        "kind": "json",
        "required": true,
        "about": "By model, each once."
      }
    ]
  },
  {
    "id": "put_templates_name",
    "method": "PUT",
    "path": "/api/v1/templates/{name}",
    "summary": "Write the template of a key: make it, or replace what the tenant had",
    "area": "templates",
    "role": "lead",
    "scope": "tasks:write",
    "system": false,
    "params": [
      "name"
    ],
    "fields": [
      {
        "name": "description",
        "kind": "line",
        "required": false
      },
      {
        "name": "excluded_task_types",
        "kind": "list",
        "required": false
      },
      {
        "name": "key",
        "kind": "line",
        "required": true
      },
      {
        "name": "keywords",
        "kind": "list",
        "required": false
      },
      {
        "name": "leaf_target",
        "kind": "line",
        "required": false
      },
      {
        "name": "max_depth",
        "kind": "integer",
        "required": false
      },
      {
        "name": "name",
        "kind": "line",
        "required": true
      },
      {
        "name": "parameter",
        "kind": "json",
        "required": false
      },
      {
        "name": "priority",
        "kind": "integer",
        "required": false
      },
      {
        "name": "strategy",
        "kind": "line",
        "required": false
      },
      {
        "name": "subtask",
        "kind": "json",
        "required": true
      },
      {
        "name": "task_types",
        "kind": "list",
        "required": false
      },
      {
        "name": "threshold",
        "kind": "line",
        "required": false
      },
      {
        "name": "trigger",
        "kind": "line",
        "required": true
      },
      {
        "name": "version",
        "kind": "line",
        "required": false
      }
    ]
  },
  {
    "id": "put_tenants_id_quotas",
    "method": "PUT",
    "path": "/api/v1/tenants/{id}/quotas",
    "summary": "Set quotas of a tenant",
    "area": "tenants",
    "role": "admin",
    "scope": "tenants:write",
    "system": true,
    "params": [
      "id"
    ],
    "fields": [
      {
        "name": "max_agents",
        "kind": "integer",
        "required": false
      },
      {
        "name": "max_concurrent_sessions",
        "kind": "integer",
        "required": false
      },
      {
        "name": "max_queue_depth",
        "kind": "integer",
        "required": false
      },
      {
        "name": "max_storage_mb",
        "kind": "integer",
        "required": false
      },
      {
        "name": "max_tokens_per_month",
        "kind": "integer",
        "required": false
      },
      {
        "name": "monthly_budget_usd",
        "kind": "number",
        "required": false
      },
      {
        "name": "requests_per_minute",
        "kind": "integer",
        "required": false
      }
    ]
  }
];

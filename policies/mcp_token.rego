# MCP tokens: for AI agents and LLM clients, confined to `/mcp`, and to what is below `/mcp/` and
# `/api/v1/mcp/`.
#
# Not even a public project is readable elsewhere with one. On a project's path it never gives more
# than its user has, and a trigger needs `allow_trigger`, which is granted separately.
package regate.mcp_token

# The user's role on the project of the path, at this moment. Undefined for a token without a user.
role := data.collaborators[data.regate.request.mcp_project][input.token.user_id].role

# What is allowed is said first, and in full; the denies below only say which condition failed.
#
# The MCP endpoint itself speaks JSON-RPC: a POST there is a message, not a change.
decision := {"allow": true, "reasons": ["mcp_token.mcp"]} if {
	input.request.path == ["mcp"]
	data.routes.mcp_methods[data.regate.request.method]
}

# Reading a project that the token may be used for and its user collaborates on.
else := {"allow": true, "reasons": ["mcp_token.project_read"]} if {
	data.regate.request.read
	project := data.regate.request.ordinary_mcp_project
	data.collaborators[project][input.token.user_id].role
	data.regate.token_projects.standing == "live"
}

# Anything that changes a project is a trigger.
else := {"allow": true, "reasons": ["mcp_token.project_trigger"]} if {
	input.token.allow_trigger == true
	project := data.regate.request.ordinary_mcp_project
	data.collaborators[project][input.token.user_id].role in {"developer", "administrator", "owner"}
	data.regate.token_projects.standing == "live"
	not data.regate.request.removes_mcp_project
}

# Everything that is asked less often.
else := rarer_decision

# Only the owner's token removes the project: a token is never stronger than its user.
rarer_decision := {"allow": true, "reasons": ["mcp_token.project_remove"]} if {
	input.token.allow_trigger == true
	role == "owner"
	data.regate.request.removes_mcp_project
	data.regate.token_projects.standing == "live"
}

# Cron jobs run with the project's rights: reading them needs the right to manage it.
else := {"allow": true, "reasons": ["mcp_token.cron_read"]} if {
	role in {"administrator", "owner"}
	data.regate.request.mcp_section == "cron"
	data.regate.request.read
	data.regate.token_projects.standing == "live"
}

# Changing them is a trigger as well.
else := {"allow": true, "reasons": ["mcp_token.cron_trigger"]} if {
	input.token.allow_trigger == true
	role in {"administrator", "owner"}
	data.regate.request.mcp_section == "cron"
	data.regate.token_projects.standing == "live"
	not data.regate.request.read
}

# Below /mcp/ and /api/v1/mcp/ where no project is named, and nothing is triggered.
else := {"allow": true, "reasons": ["mcp_token.mcp"]} if {
	names_no_project
	not data.regate.request.mcp_token_management
	triggers_nothing
}

# The same, where something is triggered.
else := {"allow": true, "reasons": ["mcp_token.trigger"]} if {
	names_no_project
	not data.regate.request.mcp_token_management
	input.token.allow_trigger == true
}

# Nothing allows it.
else := refusal

# Why not. What none of the bodies above allows is denied here, by the first that applies.
refusal := {
	"allow": false,
	"reasons": ["mcp_token.outside_mcp"],
	"message": "an MCP token is for MCP paths only",
} if {
	not data.regate.request.mcp_start
}

# An agent must not be able to give itself more.
else := {
	"allow": false,
	"reasons": ["mcp_token.token_management"],
	"message": "an MCP token cannot manage tokens",
} if {
	data.regate.request.mcp_token_management
}

# No project named: then only the right to trigger can be missing.
else := {
	"allow": false,
	"reasons": ["mcp_token.trigger_not_allowed"],
	"message": "this token may not trigger anything",
} if {
	not data.regate.request.mcp_project
}

# A token of the tenant itself reaches no project: there is no collaborator to look for.
else := {
	"allow": false,
	"reasons": ["mcp_token.no_user"],
	"message": "this token belongs to no user, and reaches no project",
} if {
	not is_string(input.token.user_id)
}

else := {
	"allow": false,
	"reasons": ["mcp_token.project_not_listed"],
	"message": "this token is confined to other projects",
} if {
	data.regate.token_projects.standing == "not_listed"
}

else := {
	"allow": false,
	"reasons": ["mcp_token.project_expired"],
	"message": "this token's time for this project is over",
} if {
	data.regate.token_projects.standing == "expired"
}

else := {
	"allow": false,
	"reasons": ["mcp_token.not_a_collaborator"],
	"message": "this token's user is not a collaborator on this project",
} if {
	not role
}

# Secrets, keys, tokens, the vault and the collaborators, whatever the role.
else := {
	"allow": false,
	"reasons": ["mcp_token.reserved_section"],
	"message": "an MCP token never reaches this part of a project",
} if {
	data.regate.request.mcp_section == "reserved"
}

else := {
	"allow": false,
	"reasons": ["mcp_token.cron_needs_administrator"],
	"message": "cron jobs need the role administrator or owner",
} if {
	data.regate.request.mcp_section == "cron"
	not role in {"administrator", "owner"}
}

else := {
	"allow": false,
	"reasons": ["mcp_token.trigger_not_allowed"],
	"message": "this token may not trigger anything",
} if {
	not data.regate.request.read
	not input.token.allow_trigger == true
}

else := {
	"allow": false,
	"reasons": ["mcp_token.role_may_not_trigger"],
	"message": "this token's user may only read this project",
} if {
	not data.regate.request.read
	not role in {"developer", "administrator", "owner"}
}

else := {
	"allow": false,
	"reasons": ["mcp_token.removal_needs_owner"],
	"message": "only the owner may remove a project",
} if {
	data.regate.request.removes_mcp_project
}

# Not reached with the data that this bundle ships: a section of a sort that nobody knows.
else := {
	"allow": false,
	"reasons": ["policy.no_rule_matched"],
	"message": "no rule allows this",
}

# An MCP path that names no project. Said positively first: it must be an MCP path at all.
names_no_project if {
	data.regate.request.mcp_start
	not data.regate.request.mcp_project
}

# Below /api/v1/mcp/ nothing but a read is harmless.
triggers_nothing if data.regate.request.read

# Below /mcp/ the methods of the MCP transport are, unless the path ends in a verb.
else if {
	data.regate.request.mcp_start == 1
	data.regate.request.unchanging
	data.routes.mcp_methods[data.regate.request.method]
}

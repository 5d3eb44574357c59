# MCP tokens: for AI agents and LLM clients, confined to `/mcp`, and to what is below `/mcp/` and
# `/api/v1/mcp/`.
#
# Not even a public project is readable elsewhere with one. On a project's path it never gives more
# than its user has, and a trigger needs `allow_trigger`, which is granted separately.
#
# The rules are a tree: each asks one thing and hands on what is left, so that a denial costs no more
# than an allow. Whatever way led to it, a body that allows names everything that must hold; the denies
# before it only say which of it failed, and a mistake in one of them cannot open anything.
package regate.mcp_token

# The user's role on the project of the path, at this moment. Undefined for a token without a user.
role := data.collaborators[data.regate.request.mcp_project][input.token.user_id].role

# The MCP endpoint itself speaks JSON-RPC: a POST there is a message, not a change.
decision := {"allow": true, "reasons": ["mcp_token.mcp"]} if {
	input.request.path == ["mcp"]
	data.routes.mcp_methods[data.regate.request.method]
}

# A collaborator reads an ordinary part of a project. (This is `on_ordinary`'s first answer in the usual
# case, in one piece: it is there for speed alone.)
else := {"allow": true, "reasons": ["mcp_token.project_read"]} if {
	path := input.request.path
	path[2] == "mcp"
	path[3] == "projects"
	path[1] == "v1"
	path[0] == "api"
	data.routes.safe_methods[input.request.method]
	data.collaborators[path[4]][input.token.user_id].role
	input.token.projects == null
	object.get(data.routes.sections, lower(path[5]), "ordinary") == "ordinary"
	object.get(data.routes.changing, lower(path[count(path) - 1]), "no verb") == "no verb"
	object.filter(data.routes.method_override_headers, input.request.headers) == {}
}

# With the right to trigger, a collaborator whose role may write also triggers below the project. (The
# usual case again, for speed alone.)
else := {"allow": true, "reasons": ["mcp_token.project_trigger"]} if {
	input.token.allow_trigger == true
	path := input.request.path
	count(path) > 5
	path[2] == "mcp"
	path[3] == "projects"
	path[1] == "v1"
	path[0] == "api"
	data.collaborators[path[4]][input.token.user_id].role in {"developer", "administrator", "owner"}
	input.token.projects == null
	object.get(data.routes.sections, lower(path[5]), "ordinary") == "ordinary"
	data.routes.safe_methods
	not data.routes.safe_methods[input.request.method]
}

else := {
	"allow": false,
	"reasons": ["mcp_token.outside_mcp"],
	"message": "an MCP token is for MCP paths only",
} if {
	not data.regate.request.mcp_start
}

else := on_project if data.regate.request.mcp_project

# An agent must not be able to give itself more.
else := {
	"allow": false,
	"reasons": ["mcp_token.token_management"],
	"message": "an MCP token cannot manage tokens",
} if {
	data.regate.request.mcp_token_management
}

else := off_project

# Below /mcp/ and /api/v1/mcp/ where no project is named, and nothing is triggered.
off_project := {"allow": true, "reasons": ["mcp_token.mcp"]} if {
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

else := may_not_trigger

# A project, or something of it.
on_project := no_role if not role

else := confined if data.regate.token_projects.standing != "live"

else := on_ordinary if data.regate.request.mcp_section == "ordinary"

else := on_cron if data.regate.request.mcp_section == "cron"

# Secrets, keys, tokens, the vault and the collaborators, whatever the role.
else := {
	"allow": false,
	"reasons": ["mcp_token.reserved_section"],
	"message": "an MCP token never reaches this part of a project",
} if {
	data.regate.request.mcp_section == "reserved"
}

# Not reached with the data that this bundle ships: a section of a sort that nobody knows.
else := {
	"allow": false,
	"reasons": ["policy.no_rule_matched"],
	"message": "no rule allows this",
}

# What is not set apart: collaborators read.
on_ordinary := {"allow": true, "reasons": ["mcp_token.project_read"]} if {
	role
	data.regate.request.read
	data.regate.request.mcp_section == "ordinary"
	data.regate.token_projects.standing == "live"
}

# Anything that changes a project is a trigger.
else := may_not_trigger if not input.token.allow_trigger == true

else := {
	"allow": false,
	"reasons": ["mcp_token.role_may_not_trigger"],
	"message": "this token's user may only read this project",
} if {
	not role in {"developer", "administrator", "owner"}
}

else := {"allow": true, "reasons": ["mcp_token.project_trigger"]} if {
	role in {"developer", "administrator", "owner"}
	input.token.allow_trigger == true
	data.regate.request.mcp_section == "ordinary"
	data.regate.token_projects.standing == "live"
	not data.regate.request.removes_mcp_project
}

# Only the owner's token removes the project: a token is never stronger than its user.
else := {"allow": true, "reasons": ["mcp_token.project_remove"]} if {
	role == "owner"
	input.token.allow_trigger == true
	data.regate.token_projects.standing == "live"
	data.regate.request.removes_mcp_project
}

else := {
	"allow": false,
	"reasons": ["mcp_token.removal_needs_owner"],
	"message": "only the owner may remove a project",
}

# Cron jobs run with the project's rights: even reading them needs the right to manage it.
on_cron := {
	"allow": false,
	"reasons": ["mcp_token.cron_needs_administrator"],
	"message": "cron jobs need the role administrator or owner",
} if {
	not role in {"administrator", "owner"}
}

else := {"allow": true, "reasons": ["mcp_token.cron_read"]} if {
	role in {"administrator", "owner"}
	data.regate.request.mcp_section == "cron"
	data.regate.token_projects.standing == "live"
	data.regate.request.read
}

# Changing them is a trigger as well.
else := {"allow": true, "reasons": ["mcp_token.cron_trigger"]} if {
	role in {"administrator", "owner"}
	input.token.allow_trigger == true
	data.regate.request.mcp_section == "cron"
	data.regate.token_projects.standing == "live"
}

else := may_not_trigger

# The token's own list of projects forbids this one.
confined := {
	"allow": false,
	"reasons": ["mcp_token.project_expired"],
	"message": "this token's time for this project is over",
} if {
	data.regate.token_projects.standing == "expired"
}

else := {
	"allow": false,
	"reasons": ["mcp_token.project_not_listed"],
	"message": "this token is confined to other projects",
}

# Nobody who works on the project stands behind the token. A token of the tenant itself reaches no
# project: there is no collaborator to look for.
no_role := {
	"allow": false,
	"reasons": ["mcp_token.no_user"],
	"message": "this token belongs to no user, and reaches no project",
} if {
	not is_string(input.token.user_id)
}

else := confined if data.regate.token_projects.standing != "live"

else := {
	"allow": false,
	"reasons": ["mcp_token.not_a_collaborator"],
	"message": "this token's user is not a collaborator on this project",
}

may_not_trigger := {
	"allow": false,
	"reasons": ["mcp_token.trigger_not_allowed"],
	"message": "this token may not trigger anything",
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

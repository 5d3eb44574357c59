# MCP tokens: for AI agents and LLM clients, confined to `/mcp`, and to what is below `/mcp/` and
# `/api/v1/mcp/`.
#
# Not even a public project is readable elsewhere with one. On a project's path it never gives more
# than its user has, and a trigger needs `allow_trigger`, which is granted separately.
#
# The rules make a tree. The comment above a rule says what holds whenever it is reached ("Holds"), and
# each body that allows names the rest. The denies only say which condition failed, so a mistake in one
# of them cannot open anything.
package regate.mcp_token

# Paths below /api/v1/mcp/, most likely.
decision := below_api if {
	input.request.path[2] == "mcp"
	not limited_to_tools
}

# The MCP endpoint itself speaks JSON-RPC: a POST there is a message, not a change.
else := {"allow": true, "reasons": ["mcp_token.mcp"]} if {
	input.request.path == ["mcp"]
	data.routes.mcp_methods[data.regate.request.method]
	input.token.tools == null
}

# Both kinds of MCP path have the word, so a path without it is of neither.
else := {
	"allow": false,
	"reasons": ["mcp_token.outside_mcp"],
	"message": "an MCP token is for MCP paths only",
} if {
	not "mcp" in input.request.path
}

# A token that is limited to tools calls them at the MCP endpoint.
else := {
	"allow": false,
	"reasons": ["mcp_token.tools_only"],
	"message": "this token is limited to tools, and calls them at the MCP endpoint",
} if {
	limited_to_tools
	beside_the_endpoint
}

# It calls those and no others. (regate itself sees to that too, and to messages that nobody knows.)
else := tool_not_listed if {
	limited_to_tools
	input.mcp.method == "tools/call"
	not input.mcp.tool in input.token.tools
}

else := further

# The token has a list of tools.
limited_to_tools if is_array(input.token.tools)

# Holds: a tool is called that is not on the token's list. The scope says what the list would need, if the tool's name
# can stand in one (RFC 6749 section 3.3).
tool_not_listed := {
	"allow": false,
	"reasons": ["token.tool_not_listed"],
	"message": "this token may not call this tool",
	"scopes": [scope],
} if {
	is_string(input.mcp.tool)
	regex.match(`^[!#-\[\]-~]{1,128}$`, input.mcp.tool)
	scope := sprintf("tools:%s", [input.mcp.tool])
}

else := {
	"allow": false,
	"reasons": ["token.tool_not_listed"],
	"message": "this token may not call this tool",
}

# Paths that are no MCP endpoint: those below /api/v1/mcp/, and those of projects.
beside_the_endpoint if input.request.path[2] == "mcp"

else if data.regate.request.mcp_project

# The usual questions first: a collaborator reads a project, as a whole or an ordinary part of it.
below_api := {"allow": true, "reasons": ["mcp_token.project_read"]} if {
	data.routes.safe_methods[input.request.method]
	project := data.regate.request.quiet_mcp_project
	token := input.token
	data.collaborators[project][token.user_id].role
	token.projects == null
}

# Something below a project that is not set apart is changed.
else := changing if {
	not data.routes.safe_methods[input.request.method]
	data.regate.request.below_mcp_project
}

# A read that was not allowed above, though everything holds but that the user is a collaborator.
else := {
	"allow": false,
	"reasons": ["mcp_token.not_a_collaborator"],
	"message": "this token's user is not a collaborator on this project",
} if {
	data.routes.safe_methods[input.request.method]
	data.regate.request.quiet_mcp_project
	input.token.projects == null
	is_string(input.token.user_id)
}

else := further

# Everything else, in either place.
further := unusual if data.regate.request.mcp_project

else := without_project

# Holds: the request is no read, and is about an ordinary part of the project, not the project itself.
# That is a trigger, for a collaborator whose role may write.
changing := {"allow": true, "reasons": ["mcp_token.project_trigger"]} if {
	token := input.token
	token.allow_trigger == true
	project := data.regate.request.below_mcp_project
	data.collaborators[project][token.user_id].role in {"developer", "administrator", "owner"}
	token.projects == null
}

else := {
	"allow": false,
	"reasons": ["mcp_token.trigger_not_allowed"],
	"message": "this token may not trigger anything",
	"scopes": ["trigger"],
} if {
	token := input.token
	not token.allow_trigger == true
	data.collaborators[data.regate.request.below_mcp_project][token.user_id].role
	token.projects == null
}

else := unusual

# Holds: no project is named. First what is elsewhere after all.
without_project := {
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

# Nothing is triggered.
else := {"allow": true, "reasons": ["mcp_token.mcp"]} if {
	names_no_project
	not data.regate.request.mcp_token_management
	triggers_nothing
}

# Something is.
else := {"allow": true, "reasons": ["mcp_token.trigger"]} if {
	names_no_project
	not data.regate.request.mcp_token_management
	input.token.allow_trigger == true
}

else := {
	"allow": false,
	"reasons": ["mcp_token.trigger_not_allowed"],
	"message": "this token may not trigger anything",
	"scopes": ["trigger"],
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

# The user's role on the project of the path, at this moment. Undefined for a token without a user.
role := data.collaborators[data.regate.request.mcp_project][input.token.user_id].role

# Holds: the path names a project. Everything that is asked less often, the denies in the order of their
# weight. What is allowed by way of here is said once more in full.
#
# A token of the tenant itself reaches no project: there is no collaborator to look for.
unusual := {
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

else := ordinary if data.regate.request.mcp_section == "ordinary"

else := cron if data.regate.request.mcp_section == "cron"

# Not reached with the data that this bundle ships: a section of a sort that nobody knows.
else := {
	"allow": false,
	"reasons": ["policy.no_rule_matched"],
	"message": "no rule allows this",
}

# The same two rights as above, for every path and for tokens with a list of projects.
ordinary := {"allow": true, "reasons": ["mcp_token.project_read"]} if {
	role
	data.regate.token_projects.standing == "live"
	data.regate.request.mcp_section == "ordinary"
	data.regate.request.read
}

else := {
	"allow": false,
	"reasons": ["mcp_token.trigger_not_allowed"],
	"message": "this token may not trigger anything",
	"scopes": ["trigger"],
} if {
	not input.token.allow_trigger == true
}

else := {"allow": true, "reasons": ["mcp_token.project_trigger"]} if {
	role in {"developer", "administrator", "owner"}
	input.token.allow_trigger == true
	data.regate.token_projects.standing == "live"
	data.regate.request.mcp_section == "ordinary"
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
	"reasons": ["mcp_token.role_may_not_trigger"],
	"message": "this token's user may only read this project",
} if {
	not role in {"developer", "administrator", "owner"}
}

else := {
	"allow": false,
	"reasons": ["mcp_token.removal_needs_owner"],
	"message": "only the owner may remove a project",
}

# Cron jobs run with the project's rights: reading them needs the right to manage it.
cron := {"allow": true, "reasons": ["mcp_token.cron_read"]} if {
	role in {"administrator", "owner"}
	data.regate.token_projects.standing == "live"
	data.regate.request.mcp_section == "cron"
	data.regate.request.read
}

# Changing them is a trigger as well.
else := {"allow": true, "reasons": ["mcp_token.cron_trigger"]} if {
	role in {"administrator", "owner"}
	input.token.allow_trigger == true
	data.regate.token_projects.standing == "live"
	data.regate.request.mcp_section == "cron"
}

else := {
	"allow": false,
	"reasons": ["mcp_token.cron_needs_administrator"],
	"message": "cron jobs need the role administrator or owner",
} if {
	not role in {"administrator", "owner"}
}

else := {
	"allow": false,
	"reasons": ["mcp_token.trigger_not_allowed"],
	"message": "this token may not trigger anything",
	"scopes": ["trigger"],
}

# How often a user's agents may call: by group of endpoints, in sliding windows. regate counts.
#
# The numbers of the groups, and the words of a path that belong to them, are data, in limits/data.json. All tokens of a
# user share a window; a token of the tenant itself has its own. The limit stands beside every answer to a live token on
# an MCP path, an allow or a deny: whoever calls too often is told so before what else is wrong.
package regate.rate_limits

# The limit of a call with an MCP token on an MCP path. Undefined elsewhere, and where the data does not say how
# often: regate.rego denies then.
mcp := {
	"name": concat(".", ["mcp", mcp_group]),
	"key": key,
	"limit": numbers.calls,
	"window_seconds": numbers.window_seconds,
} if {
	data.regate.request.mcp_start
	numbers := data.limits.mcp.groups[mcp_group]
}

# Whose calls are counted together. No user's id can be mistaken for a token's.
key := concat(":", ["user", input.token.user_id]) if is_string(input.token.user_id)

else := concat(":", ["token", input.token.id])

# The endpoint itself: messages, whatever they ask for.
mcp_group := "other" if {
	input.request.path == ["mcp"]
	data.routes.mcp_methods[data.regate.request.method]
}

# What needs the right to trigger, by its path and method.
else := "trigger" if not mcp_reads

# A part of a project, or what is at such a path without one. Of several words in it the first of this order
# counts: the log of a job is a log.
else := "logs" if "logs" in mcp_groups_named

else := "artifacts" if "artifacts" in mcp_groups_named

else := "jobs" if "jobs" in mcp_groups_named

else := "builds" if "builds" in mcp_groups_named

# The list of projects, or a project itself.
else := "projects" if {
	lower(input.request.path[data.regate.request.mcp_start]) == "projects"
	count(input.request.path) <= data.regate.request.mcp_start + 2
}

else := "other"

# Nothing is changed.
mcp_reads if {
	data.regate.request.mcp_project
	data.regate.request.read
}

else if {
	not data.regate.request.mcp_project
	data.regate.mcp_token.triggers_nothing
}

# The groups that a word behind the project belongs to, or behind `mcp` where no project is named.
mcp_groups_named := {group |
	some word in array.slice(input.request.path, mcp_first_word, count(input.request.path))
	group := data.limits.mcp.words[lower(word)]
}

mcp_first_word := data.regate.request.mcp_start + 2 if data.regate.request.mcp_project

else := data.regate.request.mcp_start

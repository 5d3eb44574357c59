# What must hold for every question, whatever the rules are changed to: `regate test --invariants 10000` makes up
# questions and data, and looks for one for which an invariant does not hold.
#
# These rules say once more, in other words, what the policies are for. They use nothing of the policies but the
# answer: a mistake in a shared helper would hide itself.
package regate.invariants

allowed if data.regate.decision.allow == true

path := input.request.path

safe_method if input.request.method in {"GET", "HEAD", "OPTIONS"}

# The header would let a framework act on another method.
overridden if {
	some name in ["x-http-method-override", "x-method-override", "x-http-method"]
	input.request.headers[name]
}

# The project that the path names, wherever a path can name one.
project := path[3] if {
	array.slice(path, 0, 3) == ["api", "v1", "projects"]
} else := path[2] if {
	path[0] == "mcp"
	lower(path[1]) == "projects"
} else := path[4] if {
	array.slice(path, 0, 3) == ["api", "v1", "mcp"]
	lower(path[3]) == "projects"
}

# What stands behind the project.
behind := array.slice(path, 4, count(path)) if {
	array.slice(path, 0, 3) == ["api", "v1", "projects"]
} else := array.slice(path, 3, count(path)) if {
	path[0] == "mcp"
	lower(path[1]) == "projects"
} else := array.slice(path, 5, count(path)) if {
	array.slice(path, 0, 3) == ["api", "v1", "mcp"]
	lower(path[3]) == "projects"
}

verb if lower(behind[count(behind) - 1]) in {"restart", "rerun", "abort", "trigger"}

verb if {
	lower(behind[count(behind) - 1]) == "clear"
	lower(behind[count(behind) - 2]) == "cache"
}

# The request would change something about a project.
change if {
	project
	not harmless
}

harmless if {
	safe_method
	not overridden
	not verb
}

collaborator if data.collaborators[project][input.token.user_id].role

# An answer is always clear: a boolean, and at least one reason.
invariant_every_question_has_a_clear_answer if {
	is_boolean(data.regate.decision.allow)
	count(data.regate.decision.reasons) > 0
}

invariant_an_mcp_token_is_never_allowed_outside_mcp if not mcp_token_strays

mcp_token_strays if {
	allowed
	input.token.kind == "mcp"
	not on_mcp_path
}

on_mcp_path if path[0] == "mcp"

on_mcp_path if array.slice(path, 0, 3) == ["api", "v1", "mcp"]

invariant_an_anonymous_caller_never_writes if not anonymous_write

anonymous_write if {
	allowed
	input.token == null
	not safe_method
}

anonymous_write if {
	allowed
	input.token == null
	change
}

invariant_no_token_reaches_a_project_without_membership if not stranger_on_project

# A public project may be read by some without.
stranger_on_project if {
	allowed
	input.token.kind in {"global", "mcp"}
	project
	not collaborator
}

stranger_on_project if {
	allowed
	input.token.kind in {"admin", "session"}
	change
	not collaborator
}

invariant_a_change_needs_the_right_to_it if not change_without_right

change_without_right if {
	allowed
	change
	input.token.kind in {"global", "project"}
	not input.token.scope_push == true
}

change_without_right if {
	allowed
	change
	input.token.kind == "mcp"
	not input.token.allow_trigger == true
}

change_without_right if {
	allowed
	change
	input.token.kind in {"global", "mcp", "admin", "session"}
	data.collaborators[project][input.token.user_id].role == "viewer"
}

invariant_a_list_of_projects_confines if not beyond_the_list

beyond_the_list if {
	allowed
	project
	is_object(input.token.projects)
	not is_listed
}

is_listed if input.token.projects[project] == null

is_listed if {
	input.now < input.token.projects[project]
	is_number(input.token.projects[project])
}

invariant_a_list_of_tools_confines if not beside_the_tools

# On a project's path nothing says which tool is meant.
beside_the_tools if {
	allowed
	project
	is_array(input.token.tools)
}

# Regate itself refuses what nobody knows the tool of.
invariant_a_tool_off_the_list_is_never_called if not called_off_the_list

called_off_the_list if {
	allowed
	is_array(input.token.tools)
	input.mcp.method == "tools/call"
	not input.mcp.params.name in input.token.tools
}

invariant_no_message_of_an_unknown_method_is_allowed if not unknown_message

unknown_message if {
	allowed
	is_string(input.mcp.method)
	not startswith(input.mcp.method, "notifications/")
	not input.mcp.method in {
		"ping", "initialize", "completion/complete", "logging/setLevel", "prompts/get", "prompts/list",
		"resources/list", "resources/templates/list", "resources/read", "resources/subscribe",
		"resources/unsubscribe", "tools/call", "tools/list", "tasks/get", "tasks/result", "tasks/list", "tasks/cancel",
	}
}

invariant_a_project_token_stays_in_its_project if not project_token_strays

project_token_strays if {
	allowed
	input.token.kind == "project"
	not project == input.token.project_id
}

invariant_what_is_set_apart_stays_closed_to_tokens if not set_apart_reached

set_apart_reached if {
	allowed
	input.token.kind in {"global", "mcp"}
	lower(behind[0]) in {"secrets", "sshkeys", "ssh-keys", "ssh_keys", "tokens", "vault", "collaborators"}
}

invariant_a_disabled_user_is_never_allowed if not disabled_user

disabled_user if {
	allowed
	input.user.disabled == true
}

invariant_a_deny_of_the_organisation_is_final if not deny_overruled

deny_overruled if {
	allowed
	count(data.regate.overrides.deny) > 0
}

# By user, or by token where there is none; of the one it is never mistaken for the other.
invariant_what_an_agent_may_is_counted_for_its_user if not uncounted_call

uncounted_call if {
	allowed
	input.token.kind == "mcp"
	not counted_for == counted_key
}

counted_key := data.regate.decision.rate_limit.key if {
	data.regate.decision.rate_limit.limit > 0
	data.regate.decision.rate_limit.window_seconds > 0
}

counted_for := sprintf("user:%s", [input.token.user_id]) if {
	is_string(input.token.user_id)
} else := sprintf("token:%s", [input.token.id])

invariant_a_gateways_token_is_never_a_callers if not gateway_as_caller

gateway_as_caller if {
	allowed
	input.token.kind == "gateway"
}

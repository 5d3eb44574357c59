# Project tokens: one project, for its build machines.
#
# Reading needs `scope_pull`, writing needs `scope_push`, and neither implies the other. The token is
# the project's, not a person's: no collaborator stands behind it, so it can neither remove the
# project nor reach the parts that people manage.
package regate.project_token

# What is allowed is said in full in each body that allows, whatever the way there. The denies between
# them only say which condition failed, so a mistake in one of them cannot open anything.
#
# The usual question first: an ordinary part of the token's own project is read.
decision := {"allow": true, "reasons": ["project_token.read"]} if {
	data.routes.safe_methods[input.request.method]
	token := input.token
	data.regate.request.quiet_project == token.project_id
	token.scope_pull == true
	token.projects == null
}

# The usual deny: the path is of another project.
else := {
	"allow": false,
	"reasons": ["project_token.other_project"],
	"message": "this token is for another project",
} if {
	data.regate.request.quiet_project != input.token.project_id
}

else := on_project if data.regate.request.project == input.token.project_id

else := refusal

# The same for every path and for tokens with a list of projects.
on_project := {"allow": true, "reasons": ["project_token.read"]} if {
	data.regate.request.project == input.token.project_id
	input.token.scope_pull == true
	data.regate.request.section in {"ordinary", "cron"}
	data.regate.request.read
	data.regate.token_projects.standing == "live"
}

else := {"allow": true, "reasons": ["project_token.write"]} if {
	data.regate.request.project == input.token.project_id
	input.token.scope_push == true
	data.regate.request.section in {"ordinary", "cron"}
	data.regate.token_projects.standing == "live"
	not data.regate.request.removes_project
	not data.regate.request.read
}

# Nothing allows it.
else := refusal

# Why not. What none of the bodies above allows is denied here, by the first that applies.
refusal := {
	"allow": false,
	"reasons": ["project_token.outside_project"],
	"message": "a project token is for its own project only",
} if {
	not data.regate.request.project
}

else := {
	"allow": false,
	"reasons": ["project_token.other_project"],
	"message": "this token is for another project",
} if {
	not data.regate.request.project == input.token.project_id
}

# Secrets, keys, tokens, the vault and the collaborators, whatever the scopes.
else := {
	"allow": false,
	"reasons": ["project_token.reserved_section"],
	"message": "a project token never reaches this part of a project",
} if {
	data.regate.request.section == "reserved"
}

# A list of projects confines a token of any kind.
else := {
	"allow": false,
	"reasons": ["project_token.project_not_listed"],
	"message": "this token is confined to other projects",
} if {
	data.regate.token_projects.standing == "not_listed"
}

else := {
	"allow": false,
	"reasons": ["project_token.project_expired"],
	"message": "this token's time for this project is over",
} if {
	data.regate.token_projects.standing == "expired"
}

else := {
	"allow": false,
	"reasons": ["project_token.read_needs_scope_pull"],
	"message": "reading needs scope_pull",
} if {
	data.regate.request.read
	not input.token.scope_pull == true
}

else := {
	"allow": false,
	"reasons": ["project_token.write_needs_scope_push"],
	"message": "writing needs scope_push",
} if {
	not data.regate.request.read
	not input.token.scope_push == true
}

# A machine's token that leaks must not cost the project.
else := {
	"allow": false,
	"reasons": ["project_token.may_not_remove_project"],
	"message": "a project token cannot remove its project",
} if {
	data.regate.request.removes_project
}

# Not reached with the data that this bundle ships: a section of a sort that nobody knows.
else := {
	"allow": false,
	"reasons": ["policy.no_rule_matched"],
	"message": "no rule allows this",
}

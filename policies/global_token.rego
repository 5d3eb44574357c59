# Global tokens: a user's token for the projects that the user collaborates on.
#
# It reads them, and writes to them with `scope_push`. It never administers anything, whoever its user
# is, and a public project gives it nothing extra.
package regate.global_token

# The user's role on the project of the path, at this moment. Undefined for a token without a user.
role := data.collaborators[data.regate.request.project][input.token.user_id].role

# What is allowed is said first, and in full: each body names everything that must hold. The denies
# below only say which of it failed, so a mistake in one of them cannot open anything.
#
# A collaborator reads what is not set apart.
decision := {"allow": true, "reasons": ["global_token.read"]} if {
	data.regate.request.read
	project := data.regate.request.ordinary_project
	data.collaborators[project][input.token.user_id].role
	data.regate.token_projects.standing == "live"
}

# With `scope_push`, a collaborator whose role may write also writes.
else := {"allow": true, "reasons": ["global_token.write"]} if {
	input.token.scope_push == true
	project := data.regate.request.ordinary_project
	data.collaborators[project][input.token.user_id].role in {"developer", "administrator", "owner"}
	data.regate.token_projects.standing == "live"
	not data.regate.request.removes_project
}

# Everything that is asked less often.
else := rarer_decision

# Only the owner's token removes the project: a token is never stronger than its user.
rarer_decision := {"allow": true, "reasons": ["global_token.remove"]} if {
	input.token.scope_push == true
	role == "owner"
	data.regate.request.removes_project
	data.regate.token_projects.standing == "live"
}

# Cron jobs run with the project's rights: reading them needs the right to manage it.
else := {"allow": true, "reasons": ["global_token.cron_read"]} if {
	role in {"administrator", "owner"}
	data.regate.request.section == "cron"
	data.regate.request.read
	data.regate.token_projects.standing == "live"
}

# Changing them needs `scope_push` as well.
else := {"allow": true, "reasons": ["global_token.cron_write"]} if {
	role in {"administrator", "owner"}
	input.token.scope_push == true
	data.regate.request.section == "cron"
	data.regate.token_projects.standing == "live"
	not data.regate.request.read
}

# The list of projects, for reading.
else := {"allow": true, "reasons": ["global_token.list"]} if {
	data.regate.request.project_list
	data.regate.request.read
	is_string(input.token.user_id)
}

# Nothing allows it.
else := refusal

# Why not. What none of the bodies above allows is denied here, by the first that applies.
refusal := {
	"allow": false,
	"reasons": ["global_token.list_is_read_only"],
	"message": "a global token may read the list of projects, and not change it",
} if {
	data.regate.request.project_list
	is_string(input.token.user_id)
}

# Administration and everything else that is not a project.
else := {
	"allow": false,
	"reasons": ["global_token.outside_projects"],
	"message": "a global token is for projects only",
} if {
	not data.regate.request.project
	not data.regate.request.project_list
}

# Nobody stands behind it: there is no collaborator to look for.
else := {
	"allow": false,
	"reasons": ["global_token.no_user"],
	"message": "this token belongs to no user",
} if {
	not is_string(input.token.user_id)
}

# Secrets, keys, tokens, the vault and the collaborators, whatever the role.
else := {
	"allow": false,
	"reasons": ["global_token.reserved_section"],
	"message": "a global token never reaches this part of a project",
} if {
	data.regate.request.section == "reserved"
}

else := {
	"allow": false,
	"reasons": ["global_token.project_not_listed"],
	"message": "this token is confined to other projects",
} if {
	data.regate.token_projects.standing == "not_listed"
}

else := {
	"allow": false,
	"reasons": ["global_token.project_expired"],
	"message": "this token's time for this project is over",
} if {
	data.regate.token_projects.standing == "expired"
}

else := {
	"allow": false,
	"reasons": ["global_token.not_a_collaborator"],
	"message": "this token's user is not a collaborator on this project",
} if {
	not role
}

else := {
	"allow": false,
	"reasons": ["global_token.cron_needs_administrator"],
	"message": "cron jobs need the role administrator or owner",
} if {
	data.regate.request.section == "cron"
	not role in {"administrator", "owner"}
}

else := {
	"allow": false,
	"reasons": ["global_token.write_needs_scope_push"],
	"message": "this token may read; writing needs scope_push",
} if {
	not data.regate.request.read
	not input.token.scope_push == true
}

else := {
	"allow": false,
	"reasons": ["global_token.role_may_not_write"],
	"message": "this token's user may only read this project",
} if {
	not data.regate.request.read
	not role in {"developer", "administrator", "owner"}
}

else := {
	"allow": false,
	"reasons": ["global_token.removal_needs_owner"],
	"message": "only the owner may remove a project",
} if {
	data.regate.request.removes_project
}

# Not reached with the data that this bundle ships: a section of a sort that nobody knows.
else := {
	"allow": false,
	"reasons": ["policy.no_rule_matched"],
	"message": "no rule allows this",
}

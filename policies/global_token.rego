# Global tokens: a user's token for the projects that the user collaborates on.
#
# It reads them, and writes to them with `scope_push`. It never administers anything, whoever its user
# is, and a public project gives it nothing extra.
#
# The rules make a tree. The comment above a rule says what holds whenever it is reached ("Holds"), and
# each body that allows names the rest. The denies only say which condition failed, so a mistake in one
# of them cannot open anything.
package regate.global_token

# The usual questions first: a project, or an ordinary part of it, is read.
decision := reading if {
	data.routes.safe_methods[input.request.method]
	data.regate.request.quiet_project
}

# Something below a project that is not set apart is changed.
else := changing if {
	not data.routes.safe_methods[input.request.method]
	data.regate.request.below_project
}

# The path is too short to name a project.
else := elsewhere if not input.request.path[3]

else := elsewhere if not data.regate.request.project

else := unusual

# Holds: the request only reads the project, as a whole or an ordinary part of it. A collaborator may.
reading := {"allow": true, "reasons": ["global_token.read"]} if {
	token := input.token
	data.collaborators[data.regate.request.quiet_project][token.user_id].role
	token.projects == null
}

# What is missing can only be the collaborator, if it is neither the user nor the list of projects.
else := {
	"allow": false,
	"reasons": ["global_token.not_a_collaborator"],
	"message": "this token's user is not a collaborator on this project",
} if {
	input.token.projects == null
	is_string(input.token.user_id)
}

else := unusual

# Holds: the request is no read, and is about an ordinary part of the project, not the project itself.
# With `scope_push`, a collaborator whose role may write may do that.
changing := {"allow": true, "reasons": ["global_token.write"]} if {
	token := input.token
	token.scope_push == true
	project := data.regate.request.below_project
	data.collaborators[project][token.user_id].role in {"developer", "administrator", "owner"}
	token.projects == null
}

else := {
	"allow": false,
	"reasons": ["global_token.write_needs_scope_push"],
	"message": "this token may read; writing needs scope_push",
} if {
	token := input.token
	not token.scope_push == true
	data.collaborators[data.regate.request.below_project][token.user_id].role
	token.projects == null
}

else := unusual

# Holds: the path names no project. The list of projects may be read. (Its path ends in no verb, so only
# the method must be safe. The line `changing` makes sure of the data.)
elsewhere := {"allow": true, "reasons": ["global_token.list"]} if {
	input.request.path == ["api", "v1", "projects"]
	is_string(input.token.user_id)
	input.token.projects == null
	data.routes.safe_methods[data.regate.request.method]
	data.routes.changing
}

# Administration and everything else that is not a project.
else := {
	"allow": false,
	"reasons": ["global_token.outside_projects"],
	"message": "a global token is for projects only",
} if {
	not data.regate.request.project_list
}

# Nobody stands behind it.
else := {
	"allow": false,
	"reasons": ["global_token.no_user"],
	"message": "this token belongs to no user",
} if {
	not is_string(input.token.user_id)
}

# A token that is confined to some projects does not learn of the others.
else := {
	"allow": false,
	"reasons": ["global_token.project_not_listed"],
	"message": "this token is confined to other projects",
} if {
	not input.token.projects == null
}

else := {
	"allow": false,
	"reasons": ["global_token.list_is_read_only"],
	"message": "a global token may read the list of projects, and not change it",
}

# The user's role on the project of the path, at this moment. Undefined for a token without a user.
role := data.collaborators[data.regate.request.project][input.token.user_id].role

# Holds: the path names a project. Everything that is asked less often, the denies in the order of their
# weight. What is allowed by way of here is said once more in full.
#
# Nobody stands behind the token: there is no collaborator to look for.
unusual := {
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

else := ordinary if data.regate.request.section == "ordinary"

else := cron if data.regate.request.section == "cron"

# Not reached with the data that this bundle ships: a section of a sort that nobody knows.
else := {
	"allow": false,
	"reasons": ["policy.no_rule_matched"],
	"message": "no rule allows this",
}

# The same two rights as above, for every path and for tokens with a list of projects.
ordinary := {"allow": true, "reasons": ["global_token.read"]} if {
	role
	data.regate.token_projects.standing == "live"
	data.regate.request.section == "ordinary"
	data.regate.request.read
}

else := {
	"allow": false,
	"reasons": ["global_token.write_needs_scope_push"],
	"message": "this token may read; writing needs scope_push",
} if {
	not input.token.scope_push == true
}

else := {"allow": true, "reasons": ["global_token.write"]} if {
	role in {"developer", "administrator", "owner"}
	input.token.scope_push == true
	data.regate.token_projects.standing == "live"
	data.regate.request.section == "ordinary"
	not data.regate.request.removes_project
}

# Only the owner's token removes the project: a token is never stronger than its user.
else := {"allow": true, "reasons": ["global_token.remove"]} if {
	role == "owner"
	input.token.scope_push == true
	data.regate.token_projects.standing == "live"
	data.regate.request.removes_project
}

else := {
	"allow": false,
	"reasons": ["global_token.role_may_not_write"],
	"message": "this token's user may only read this project",
} if {
	not role in {"developer", "administrator", "owner"}
}

else := {
	"allow": false,
	"reasons": ["global_token.removal_needs_owner"],
	"message": "only the owner may remove a project",
}

# Cron jobs run with the project's rights: reading them needs the right to manage it.
cron := {"allow": true, "reasons": ["global_token.cron_read"]} if {
	role in {"administrator", "owner"}
	data.regate.token_projects.standing == "live"
	data.regate.request.section == "cron"
	data.regate.request.read
}

# Changing them needs `scope_push` as well.
else := {"allow": true, "reasons": ["global_token.cron_write"]} if {
	role in {"administrator", "owner"}
	input.token.scope_push == true
	data.regate.token_projects.standing == "live"
	data.regate.request.section == "cron"
}

else := {
	"allow": false,
	"reasons": ["global_token.cron_needs_administrator"],
	"message": "cron jobs need the role administrator or owner",
} if {
	not role in {"administrator", "owner"}
}

else := {
	"allow": false,
	"reasons": ["global_token.write_needs_scope_push"],
	"message": "this token may read; writing needs scope_push",
}

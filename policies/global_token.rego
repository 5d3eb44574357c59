# Global tokens: a user's token for the projects that the user collaborates on.
#
# It reads them, and writes to them with `scope_push`. It never administers anything, whoever its user
# is, and a public project gives it nothing extra.
#
# The rules are a tree: each asks one thing and hands on what is left, so that a denial costs no more
# than an allow. Whatever way led to it, a body that allows names everything that must hold; the denies
# before it only say which of it failed, and a mistake in one of them cannot open anything.
package regate.global_token

# The user's role on the project of the path, at this moment. Undefined for a token without a user.
role := data.collaborators[data.regate.request.project][input.token.user_id].role

# A collaborator reads an ordinary part of a project. (This is `on_ordinary`'s first answer in the usual
# case, in one piece: it is there for speed alone.)
decision := {"allow": true, "reasons": ["global_token.read"]} if {
	data.routes.safe_methods[input.request.method]
	path := input.request.path
	path[2] == "projects"
	path[1] == "v1"
	path[0] == "api"
	data.collaborators[path[3]][input.token.user_id].role
	input.token.projects == null
	object.get(data.routes.sections, lower(path[4]), "ordinary") == "ordinary"
	object.get(data.routes.changing, lower(path[count(path) - 1]), "no verb") == "no verb"
	object.filter(data.routes.method_override_headers, input.request.headers) == {}
}

# With `scope_push`, a collaborator whose role may write also writes below the project. (The usual case
# again, for speed alone.)
else := {"allow": true, "reasons": ["global_token.write"]} if {
	input.token.scope_push == true
	path := input.request.path
	count(path) > 4
	path[2] == "projects"
	path[1] == "v1"
	path[0] == "api"
	data.collaborators[path[3]][input.token.user_id].role in {"developer", "administrator", "owner"}
	input.token.projects == null
	object.get(data.routes.sections, lower(path[4]), "ordinary") == "ordinary"
	data.routes.safe_methods
	not data.routes.safe_methods[input.request.method]
}

else := on_project if data.regate.request.project

else := on_list if data.regate.request.project_list

# Administration and everything else that is not a project.
else := {
	"allow": false,
	"reasons": ["global_token.outside_projects"],
	"message": "a global token is for projects only",
}

# The list of projects, for reading. Without a user there is nobody whose projects they are.
on_list := no_user if not is_string(input.token.user_id)

else := {"allow": true, "reasons": ["global_token.list"]} if {
	data.regate.request.project_list
	data.regate.request.read
	is_string(input.token.user_id)
}

else := {
	"allow": false,
	"reasons": ["global_token.list_is_read_only"],
	"message": "a global token may read the list of projects, and not change it",
}

# A project, or something of it.
on_project := on_ordinary if data.regate.request.section == "ordinary"

else := on_cron if data.regate.request.section == "cron"

# Secrets, keys, tokens, the vault and the collaborators, whatever the role.
else := {
	"allow": false,
	"reasons": ["global_token.reserved_section"],
	"message": "a global token never reaches this part of a project",
} if {
	data.regate.request.section == "reserved"
}

# Not reached with the data that this bundle ships: a section of a sort that nobody knows.
else := no_rule

# What is not set apart: collaborators read.
on_ordinary := {"allow": true, "reasons": ["global_token.read"]} if {
	role
	data.regate.request.read
	data.regate.request.section == "ordinary"
	data.regate.token_projects.standing == "live"
}

else := no_role if not role

else := confined if data.regate.token_projects.standing != "live"

else := {
	"allow": false,
	"reasons": ["global_token.write_needs_scope_push"],
	"message": "this token may read; writing needs scope_push",
} if {
	not input.token.scope_push == true
}

else := {
	"allow": false,
	"reasons": ["global_token.role_may_not_write"],
	"message": "this token's user may only read this project",
} if {
	not role in {"developer", "administrator", "owner"}
}

# With `scope_push`, a collaborator whose role may write also writes.
else := {"allow": true, "reasons": ["global_token.write"]} if {
	role in {"developer", "administrator", "owner"}
	input.token.scope_push == true
	data.regate.request.section == "ordinary"
	data.regate.token_projects.standing == "live"
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
	"reasons": ["global_token.removal_needs_owner"],
	"message": "only the owner may remove a project",
}

# Cron jobs run with the project's rights: even reading them needs the right to manage it.
on_cron := no_role if not role

else := confined if data.regate.token_projects.standing != "live"

else := {
	"allow": false,
	"reasons": ["global_token.cron_needs_administrator"],
	"message": "cron jobs need the role administrator or owner",
} if {
	not role in {"administrator", "owner"}
}

else := {"allow": true, "reasons": ["global_token.cron_read"]} if {
	role in {"administrator", "owner"}
	data.regate.request.section == "cron"
	data.regate.token_projects.standing == "live"
	data.regate.request.read
}

# Changing them needs `scope_push` as well.
else := {"allow": true, "reasons": ["global_token.cron_write"]} if {
	role in {"administrator", "owner"}
	input.token.scope_push == true
	data.regate.request.section == "cron"
	data.regate.token_projects.standing == "live"
}

else := {
	"allow": false,
	"reasons": ["global_token.write_needs_scope_push"],
	"message": "this token may read; writing needs scope_push",
}

# The token's own list of projects forbids this one.
confined := {
	"allow": false,
	"reasons": ["global_token.project_expired"],
	"message": "this token's time for this project is over",
} if {
	data.regate.token_projects.standing == "expired"
}

else := {
	"allow": false,
	"reasons": ["global_token.project_not_listed"],
	"message": "this token is confined to other projects",
}

# Nobody who works on the project stands behind the token.
no_role := no_user if not is_string(input.token.user_id)

else := confined if data.regate.token_projects.standing != "live"

else := {
	"allow": false,
	"reasons": ["global_token.not_a_collaborator"],
	"message": "this token's user is not a collaborator on this project",
}

# Nobody at all stands behind it.
no_user := {
	"allow": false,
	"reasons": ["global_token.no_user"],
	"message": "this token belongs to no user",
}

no_rule := {
	"allow": false,
	"reasons": ["policy.no_rule_matched"],
	"message": "no rule allows this",
}

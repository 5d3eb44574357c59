# The entrypoint for calls of regate's own management API: `data.regate.management.decision`.
#
# It is apart from gateways' questions, so that a gateway's route called `/v1/tokens` is never mistaken
# for regate's. Tokens for agents, projects and machines never manage anything, and regate itself holds
# them to that whatever stands here.
#
# `input.management` says which call it is: its `operation`, the `token` that it is about (as it is, or as it
# would be made), the `upstream`, the `holder` of an upstream credential or of a flow that leads to one, and its
# `body`. A call about a token or a holder is asked first without it and then with it. Of lists, each row is asked as
# if it were read alone.
package regate.management

# A disabled user's credentials are worth nothing. Only `false` is not disabled.
decision := {
	"allow": false,
	"reasons": ["user.disabled"],
	"message": "this user is disabled",
} if {
	input.user.disabled
}

# The tenant's operators. What they see is their own tenant's: regate gives them no other data.
else := {"allow": true, "reasons": ["management.admin_token"]} if {
	input.token.kind == "admin"
}

# People, signed in.
else := person if {
	input.token.kind == "session"
}

# Everybody else, and whoever comes without a credential.
else := {
	"allow": false,
	"reasons": ["management.needs_admin_token"],
	"message": "this call needs a session or an admin token",
}

# Somebody whom the data does not know has no rights at all.
person := {
	"allow": false,
	"reasons": ["management.unknown_user"],
	"message": "there is no such user",
} if {
	not is_string(input.user.id)
}

# Who administers the organisation may what its operators may.
else := {"allow": true, "reasons": ["management.organisation_admin"]} if {
	input.user.role == "admin"
}

else := {"allow": true, "reasons": ["management.own_token"]} if own_token

else := {"allow": true, "reasons": ["management.project_token"]} if project_token

else := {"allow": true, "reasons": ["management.upstream_read"]} if {
	input.management.operation in {"upstreams.list", "upstreams.read"}
}

else := {"allow": true, "reasons": ["management.own_credential"]} if own_credential

else := {"allow": true, "reasons": ["management.own_account"]} if {
	input.management.operation == "users.read"
	input.request.path[2] == input.user.id
}

else := {"allow": true, "reasons": ["management.project_read"]} if project_read

else := {"allow": true, "reasons": ["management.project_changed"]} if {
	input.management.operation == "projects.put"
	role == "owner"
}

# Who may read a project without working on it, owners say.
else := {"allow": true, "reasons": ["management.project_changed"]} if {
	input.management.operation == "projects.put"
	role == "administrator"
	not changes_who_reads
}

else := {"allow": true, "reasons": ["management.project_removed"]} if {
	input.management.operation == "projects.remove"
	role == "owner"
}

else := {"allow": true, "reasons": ["management.collaborators"]} if collaborators

# A token of somebody else's, or one that the call may not make.
else := {
	"allow": false,
	"reasons": ["management.not_your_token"],
	"message": "you manage your own tokens and those of projects that you administer",
} if {
	is_object(input.management.token)
}

# Somebody else's credential, or the one that goes on for everybody.
else := {
	"allow": false,
	"reasons": ["management.not_your_credential"],
	"message": "you manage your own upstream credentials and those of your own tokens",
} if {
	is_object(input.management.holder)
}

else := {
	"allow": false,
	"reasons": ["management.owners_are_the_owners"],
	"message": "only an owner makes owners, changes them and removes them",
} if {
	collaborators_operation
	role == "administrator"
}

else := {
	"allow": false,
	"reasons": ["management.public_is_the_owners"],
	"message": "only an owner makes a project public, or private again",
} if {
	input.management.operation == "projects.put"
	role == "administrator"
}

else := {
	"allow": false,
	"reasons": ["management.needs_project_administrator"],
	"message": "this call needs the role administrator or owner on the project",
} if {
	input.request.path[1] == "projects"
	input.request.path[2]
}

else := {
	"allow": false,
	"reasons": ["management.needs_administration"],
	"message": "this call needs an admin token, or a session of an administrator",
}

# The kinds of token that a person makes for themselves.
personal := {"global", "mcp"}

# To look for a token that may be there: nothing is said about anybody's by that.
own_token if {
	input.management.operation in {"tokens.read", "tokens.read_grants", "tokens.change", "tokens.revoke", "tokens.grant_trigger", "tokens.withdraw_trigger"}
	input.management.token == null
}

# One of one's own, of the kinds that are made by people for themselves.
else if {
	input.management.operation in {"tokens.mint", "tokens.read", "tokens.change", "tokens.revoke", "tokens.grant_trigger", "tokens.withdraw_trigger"}
	input.management.token.user_id == input.user.id
	input.management.token.kind in personal
}

# One of one's own of any kind is looked at, and revoked. (A list is asked about as what all its tokens have in common.)
else if {
	input.management.operation in {"tokens.list", "tokens.read", "tokens.read_grants", "tokens.revoke"}
	input.management.token.user_id == input.user.id
}

# To look for the holder, or the flow, that a call is about.
own_credential if {
	input.management.operation in {"credentials.read", "credentials.put", "credentials.remove", "flows.begin", "flows.complete", "flows.cancel"}
	input.management.holder == null
}

# One's own credentials, and those of one's own tokens. What a token may reach is not its user's to say: that is its
# grants. (A list is asked about as what all its holders have in common.)
else if {
	input.management.operation in {"credentials.list", "credentials.read", "credentials.put", "credentials.remove", "flows.list", "flows.begin", "flows.complete", "flows.cancel"}
	input.management.holder.user_id == input.user.id
	input.management.holder.kind in {"user", "token", null}
}

# The tokens of a project are managed by who manages the project. Whose name one bears does not count, but nobody
# makes one in another's name.
project_token if {
	input.management.operation in {"tokens.list", "tokens.read", "tokens.change", "tokens.revoke"}
	manages_tokens_project
}

else if {
	input.management.operation == "tokens.mint"
	manages_tokens_project
	input.management.token.user_id in {null, input.user.id}
}

manages_tokens_project if {
	input.management.token.kind in {"project", null}
	data.collaborators[input.management.token.project_id][input.user.id].role in {"administrator", "owner"}
}

# The caller's role on the project of the path.
role := data.collaborators[input.request.path[2]][input.user.id].role if {
	input.request.path[1] == "projects"
}

# Who works on a project sees it and who else does; a public project is seen by everybody.
project_read if {
	input.management.operation == "projects.list"
	not input.request.query.all
	not others_projects
}

else if {
	input.management.operation in {"projects.read", "collaborators.list", "collaborators.read"}
	role
}

else if {
	input.management.operation == "projects.read"
	data.projects[input.request.path[2]].public == true
}

collaborators_operation if {
	input.management.operation in {"collaborators.put", "collaborators.remove"}
}

# On what somebody else works is theirs to see.
others_projects if {
	some user_id in input.request.query.user_id
	user_id != input.user.id
}

# An owner manages all collaborators.
collaborators if {
	collaborators_operation
	role == "owner"
}

# An administrator manages all but owners, and makes none.
else if {
	collaborators_operation
	role == "administrator"
	not becomes_owner
	not is_owner
}

# Everybody may leave.
else if {
	input.management.operation == "collaborators.remove"
	role
	input.request.path[4] == input.user.id
}

changes_who_reads if input.management.body.public != null

becomes_owner if {
	input.management.operation == "collaborators.put"
	not input.management.body.role in {"viewer", "developer", "administrator"}
}

is_owner if {
	data.collaborators[input.request.path[2]][input.request.path[4]].role == "owner"
}

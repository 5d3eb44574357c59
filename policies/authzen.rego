# The entrypoint for AuthZEN: `data.regate.authzen.decision`, and what its searches look at.
#
# A gateway names a subject, an action and a resource, and sends no credential of a caller: it has made sure itself
# of who asks. The subject is a user of the tenant, the resource one of its projects, and what the user may do
# follows from the collaborator's role, as for a session.
#
# Nothing here looks at `input.from_gateway` and `input.context`: what a gateway says about somebody opens nothing.
package regate.authzen

# A collaborator reads.
decision := {"allow": true, "reasons": ["authzen.project_read"]} if {
	input.action.name == "read"
	heard
	role
}

else := {"allow": true, "reasons": ["authzen.project_write"]} if {
	input.action.name == "write"
	heard
	role in {"developer", "administrator", "owner"}
}

# Secrets, keys, tokens, collaborators and cron jobs.
else := {"allow": true, "reasons": ["authzen.project_administer"]} if {
	input.action.name == "administer"
	heard
	role in {"administrator", "owner"}
}

else := {"allow": true, "reasons": ["authzen.project_remove"]} if {
	input.action.name == "remove"
	heard
	role == "owner"
}

# Every user of the tenant reads a public project.
else := {"allow": true, "reasons": ["authzen.public_read"]} if {
	input.action.name == "read"
	heard
	input.resource.type == "project"
	data.projects[input.resource.id].public == true
}

# A deny of the organisation's own is stronger than every allow.
else := {
	"allow": false,
	"reasons": [reason | some reason in denies],
	"message": "a rule of this organisation forbids it",
} if {
	count(denies) > 0
}

else := {
	"allow": false,
	"reasons": ["authzen.unknown_subject"],
	"message": "there is no such user",
} if {
	not is_string(input.user.id)
}

else := {
	"allow": false,
	"reasons": ["user.disabled"],
	"message": "this user is disabled",
} if {
	not input.user.disabled == false
}

else := {
	"allow": false,
	"reasons": ["authzen.unknown_resource"],
	"message": "there is no such project",
} if {
	not known_project
}

else := {
	"allow": false,
	"reasons": ["authzen.unknown_action"],
	"message": "nobody can do this to a project",
} if {
	not input.action.name in actions
}

else := {
	"allow": false,
	"reasons": ["authzen.not_a_collaborator"],
	"message": "the user is not a collaborator on this project",
} if {
	not role
}

else := {
	"allow": false,
	"reasons": ["authzen.role_may_not"],
	"message": "the user's role on this project does not allow this",
}

# The subject is a user who is there and not disabled, and no deny of the organisation's own holds.
heard if {
	is_string(input.user.id)
	input.user.disabled == false
	data.regate.overrides.deny == set()
	deny == set()
}

# The user's role on the project.
role := data.collaborators[input.resource.id][input.user.id].role if {
	input.resource.type == "project"
}

known_project if {
	input.resource.type == "project"
	is_object(data.projects[input.resource.id])
}

# The denies of the organisation's own. Those in `regate.overrides` are written for gateways' requests; what of them
# looks only at users, data and the time holds here too.
denies := deny | data.regate.overrides.deny

# The place for denies about AuthZEN's questions. Leave this file as it is and add your own next to it, in the same
# package: `deny contains "acme.archive.is_read_only" if { input.resource.id == "archive"; input.action.name != "read" }`.
# This one never holds. It is here so that the set exists, and is empty, without a file of your own.
deny contains "policy.no_rule_matched" if {
	false
}

# What a search for subjects looks at: everybody for a public project, its collaborators for another. Each is then
# decided like any other question, so a name too many here opens nothing; one that is missing is not found.
subjects := everybody if {
	input.subject.type in user_types
	input.resource.type == "project"
	data.projects[input.resource.id].public == true
	everybody := data.users
}

else := collaborators if {
	input.subject.type in user_types
	input.resource.type == "project"
	collaborators := data.collaborators[input.resource.id]
}

# What a search for resources looks at.
resources := data.projects if input.resource.type == "project"

# What a search for actions looks at, and all that there are.
actions := {"read", "write", "administer", "remove"}

# The types of subjects that regate takes for users unless its configuration says otherwise ([authzen] user_types).
user_types := {"user", "identity"}

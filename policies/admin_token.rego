# Admin tokens on gateways' paths: exactly what a session of the token's own user gets, and no more.
# (On regate's own management API an admin token is more: see management.rego.)
package regate.admin_token

# Nobody stands behind it: there is nobody whose rights it could have.
decision := {
	"allow": false,
	"reasons": ["admin_token.no_user"],
	"message": "this token belongs to no user",
} if {
	not is_string(input.token.user_id)
}

# A list of projects confines a token of any kind.
else := {
	"allow": false,
	"reasons": ["admin_token.project_not_listed"],
	"message": "this token is confined to other projects",
} if {
	data.regate.token_projects.standing == "not_listed"
}

else := {
	"allow": false,
	"reasons": ["admin_token.project_expired"],
	"message": "this token's time for this project is over",
} if {
	data.regate.token_projects.standing == "expired"
}

# What is no project of the list is not in it either.
else := {
	"allow": false,
	"reasons": ["admin_token.project_not_listed"],
	"message": "this token is confined to other projects",
} if {
	not data.regate.token_projects.standing == "live"
}

# The user's own rights, with the reasons of a session.
else := data.regate.session.decision

# The entrypoint for calls of regate's own management API: `data.regate.management.decision`.
#
# It is apart from gateways' questions, so that a gateway's route called `/v1/tokens` is never mistaken
# for regate's. Tokens for agents, projects and machines never manage anything, and regate itself holds
# them to that whatever stands here.
package regate.management

# A disabled user's admin token is worth nothing. Only `false` is not disabled.
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

# Everybody else, and whoever comes without a credential.
else := {
	"allow": false,
	"reasons": ["management.needs_admin_token"],
	"message": "this call needs an admin token",
}

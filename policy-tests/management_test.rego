# regate's own management API: operators, and nobody else.
package regate.management_test

import data.regate.fixtures

decision(caller) := answer if {
	answer := data.regate.management.decision with input as fixtures.input_of(caller, "POST", "/v1/tokens", {})
		with data.projects as fixtures.projects
		with data.collaborators as fixtures.collaborators
		with data.users as fixtures.users
}

test_an_admin_token_manages if {
	every user in ["root", "vera", null] {
		decision(fixtures.token("admin", user)) == {"allow": true, "reasons": ["management.admin_token"]}
	}
}

test_no_other_token_manages if {
	every kind in ["global", "mcp", "project", "gateway", "session", "Admin", "", null] {
		answer := decision(fixtures.token_with(kind, "root", {"scope_push": true, "allow_trigger": true, "project_id": "p1"}))
		answer.allow == false
		answer.reasons == ["management.needs_admin_token"]
	}
}

test_nobody_without_a_token_manages if {
	every caller in [null, {}, false] {
		decision(caller).reasons == ["management.needs_admin_token"]
	}
}

test_a_disabled_operator_does_not_manage if {
	answer := decision(fixtures.token("admin", "gone"))
	answer.allow == false
	answer.reasons == ["user.disabled"]
}

# The entrypoints are apart: being allowed here opens nothing for a gateway's route of the same name.
test_a_gateways_route_of_the_same_name_is_not_managed_here if {
	fixtures.denies(fixtures.token("admin", "root"), "POST", "/v1/tokens", "session.no_such_area")
}

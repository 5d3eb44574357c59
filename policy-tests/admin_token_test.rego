# Admin tokens on gateways' paths: what the token's user would have with a session, and no more.
package regate.admin_token_test

import data.regate.fixtures

operator(user_id) := fixtures.token_with("admin", user_id, {"scope_push": true, "allow_trigger": true})

test_it_has_its_users_rights if {
	fixtures.allows(operator("vera"), "GET", "/api/v1/projects/p1/builds", "session.project_read")
	fixtures.allows(operator("dev"), "POST", "/api/v1/projects/p1/builds", "session.project_write")
	fixtures.allows(operator("dev"), "POST", "/api/v1/mcp/tokens", "session.mcp")
}

# Found in the original: the operator's credential widened.
test_it_has_no_more if {
	fixtures.denies(operator("vera"), "POST", "/api/v1/projects/p1/builds", "session.role_may_not_write")
	fixtures.denies(operator("root"), "GET", "/api/v1/projects/p2/builds", "session.not_a_collaborator")
	fixtures.denies(operator("dev"), "GET", "/api/v1/admin", "session.administration_needs_admin")
	fixtures.denies(operator("dev"), "GET", "/v1/tokens", "session.no_such_area")
}

test_without_a_user_it_has_nothing if {
	every path in ["/mcp", "/api/v1/projects", "/api/v1/projects/open", "/api/v1/admin"] {
		fixtures.denies(operator(null), "GET", path, "admin_token.no_user")
	}
}

test_of_an_unknown_user_it_has_nothing if fixtures.denies(operator("nobody"), "GET", "/api/v1/projects/open", "session.unknown_user")

test_a_list_of_projects_confines_it if {
	every path in ["/api/v1/projects/p1", "/mcp/projects/p1"] {
		fixtures.denies(object.union(operator("olga"), {"projects": {}}), "GET", path, "admin_token.project_not_listed")
		fixtures.denies(object.union(operator("olga"), {"projects": {"p1": fixtures.now}}), "GET", path, "admin_token.project_expired")
	}
	fixtures.allows(object.union(operator("olga"), {"projects": {"p1": null}}), "GET", "/api/v1/projects/p1", "session.project_read")
	fixtures.denies(object.union(operator("olga"), {"projects": {}}), "GET", "/mcp", "admin_token.project_not_listed")
}

# The same answer as a session, whatever the question.
test_it_is_a_session if {
	every user in ["vera", "dev", "adam", "olga", "eve", "root", "audit"] {
		every path in ["/", "/mcp", "/mcp/projects/p1/secrets", "/api/v1/projects", "/api/v1/projects/p1", "/api/v1/projects/p1/secrets", "/api/v1/projects/open", "/api/v1/admin/x"] {
			every method in ["GET", "POST", "DELETE"] {
				as_operator := fixtures.decision(fixtures.input_of(operator(user), method, path, {}))
				as_person := fixtures.decision(fixtures.input_of(fixtures.token("session", user), method, path, {}))
				as_operator == as_person
			}
		}
	}
}

# A list confines the token everywhere, not only where a project is named.
test_a_list_of_projects_confines_outside_projects_too if {
	every path in ["/api/v1/admin/users", "/api/v1/projects", "/api/v1/mcp/tokens", "/mcp"] {
		fixtures.denies(fixtures.token_with("admin", "root", {"projects": {}}), "GET", path, "admin_token.project_not_listed")
	}
}

# Callers without a credential: public projects, for reading.
package regate.anonymous_test

import data.regate.fixtures

test_a_public_project_is_readable if {
	every path in ["/api/v1/projects/open", "/api/v1/projects/open/builds/7"] {
		fixtures.allows(null, "GET", path, "anonymous.public_read")
	}
}

test_a_private_project_is_not if fixtures.denies(null, "GET", "/api/v1/projects/p1", "anonymous.not_public")

test_a_project_that_does_not_exist_is_not if fixtures.denies(null, "GET", "/api/v1/projects/none", "anonymous.not_public")

test_public_must_be_true_itself if {
	every value in [false, null, "true", 1] {
		answer := data.regate.decision with input as fixtures.input_of(null, "GET", "/api/v1/projects/x", {})
			with data.projects as {"x": {"name": "x", "public": value}}
			with data.collaborators as fixtures.collaborators
		answer.reasons == ["anonymous.not_public"]
	}
}

test_reading_is_all if {
	fixtures.denies(null, "POST", "/api/v1/projects/open/builds", "anonymous.not_public")
	fixtures.denies(null, "GET", "/api/v1/projects/open/builds/7/restart", "anonymous.not_public")
}

test_what_is_set_apart_is_not_public if {
	every section in ["secrets", "Tokens", "collaborators", "cronjobs"] {
		fixtures.denies(null, "GET", sprintf("/api/v1/projects/open/%s", [section]), "anonymous.not_public")
	}
}

test_nothing_else_is_public if {
	every path in ["/", "/mcp", "/mcp/projects/open", "/api/v1/mcp/projects/open/builds", "/api/v1/projects", "/api/v1/admin"] {
		fixtures.denies(null, "GET", path, "anonymous.not_public")
	}
}

test_the_answer_asks_for_a_credential if fixtures.decision(fixtures.input_of(null, "GET", "/mcp", {})).status == 401

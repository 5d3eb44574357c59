# What counts as a write, seen through a token that may read and no more.
package regate.request_test

import data.regate.fixtures

reader := fixtures.token("global", "dev")

writer := fixtures.token_with("global", "dev", {"scope_push": true})

# Found in the original: a rule for `builds/{number}/{restart}` with two wildcards swallowed the verb.
test_a_reading_token_does_not_restart if fixtures.denies(reader, "GET", "/api/v1/projects/p1/builds/7/restart", "global_token.write_needs_scope_push")

test_every_verb_is_a_write_wherever_it_stands if {
	every tail in ["restart", "builds/restart", "builds/7/rerun", "builds/7/abort", "a/b/c/d/abort", "trigger", "jobs/1/cache/clear", "cache/clear"] {
		path := sprintf("/api/v1/projects/p1/%s", [tail])
		fixtures.denies(reader, "GET", path, "global_token.write_needs_scope_push")
		fixtures.allows(writer, "GET", path, "global_token.write")
	}
}

test_a_verb_in_another_case_is_a_write if {
	every tail in ["builds/7/RESTART", "builds/7/Abort", "Cache/Clear", "cache/CLEAR"] {
		fixtures.denies(reader, "GET", sprintf("/api/v1/projects/p1/%s", [tail]), "global_token.write_needs_scope_push")
	}
}

test_what_only_looks_like_a_verb_is_a_read if {
	every tail in ["builds/7", "builds/restart/7", "builds/7/restarts", "builds/7/abort/log", "log/clear", "clear", "cache", "cache/clear/log"] {
		fixtures.allows(reader, "GET", sprintf("/api/v1/projects/p1/%s", [tail]), "global_token.read")
	}
}

test_a_project_named_like_a_verb_is_readable if {
	fixtures.allows(reader, "GET", "/api/v1/projects/restart", "global_token.read")
	fixtures.allows(reader, "GET", "/api/v1/projects/restart/builds", "global_token.read")
	fixtures.allows(reader, "GET", "/api/v1/projects/cache/clear", "global_token.read")
}

test_in_such_a_project_a_verb_is_still_a_write if {
	fixtures.denies(reader, "GET", "/api/v1/projects/restart/restart", "global_token.write_needs_scope_push")
	fixtures.denies(reader, "GET", "/api/v1/projects/cache/cache/clear", "global_token.write_needs_scope_push")
}

test_a_method_override_is_a_write if {
	every name in ["x-http-method-override", "x-method-override", "x-http-method"] {
		every value in ["DELETE", "GET", ""] {
			fixtures.denies_input(fixtures.input_of(reader, "GET", "/api/v1/projects/p1/builds", {name: value, "accept": "*/*"}), "global_token.write_needs_scope_push")
		}
	}
}

test_other_headers_are_not if {
	fixtures.allows_input(fixtures.input_of(reader, "GET", "/api/v1/projects/p1/builds", {"x-http-methods": "DELETE", "accept": "*/*"}), "global_token.read")
}

test_an_overridden_edit_may_be_a_removal if {
	fixtures.denies_input(fixtures.input_of(writer, "POST", "/api/v1/projects/p1", {"x-http-method-override": "DELETE"}), "global_token.removal_needs_owner")
	fixtures.allows(writer, "POST", "/api/v1/projects/p1", "global_token.write")
}

test_a_question_without_headers_is_answered if {
	question := fixtures.input_of(reader, "GET", "/api/v1/projects/p1/builds", {})
	fixtures.allows_input(json.remove(question, ["request/headers"]), "global_token.read")
}

# Without the bundle's data nothing is known to be a read, and nothing to be ordinary.
test_missing_data_does_not_open_anything if {
	question := fixtures.input_of(reader, "GET", "/api/v1/projects/p1/builds", {})
	answer := data.regate.decision with input as question
		with data.collaborators as fixtures.collaborators
		with data.projects as fixtures.projects
		with data.routes as {}
	answer.allow == false
}

# Each part of the bundle's data is needed: without one of them, whoever may only read does not even read.
test_no_part_of_the_data_may_be_missing if {
	every part in ["safe_methods", "sections", "changing"] {
		not_allowed_without(part, reader, "/api/v1/projects/p1/builds")
		not_allowed_without(part, fixtures.token("mcp", "dev"), "/api/v1/mcp/projects/p1/builds")
		not_allowed_without(part, fixtures.token("session", "vera"), "/api/v1/projects/p1/builds")
		not_allowed_without(part, null, "/api/v1/projects/open/builds")
	}
	not_allowed_without("safe_methods", reader, "/api/v1/projects")
	not_allowed_without("changing", reader, "/api/v1/projects")
}

not_allowed_without(part, caller, path) if {
	answer := data.regate.decision with input as fixtures.input_of(caller, "GET", path, {})
		with data.collaborators as fixtures.collaborators
		with data.projects as fixtures.projects
		with data.routes as json.remove(data.routes, [part])
	answer.allow == false
}

# A safe method with an override header on the project itself may be a removal as well.
test_an_overridden_read_of_the_project_may_be_a_removal if {
	fixtures.denies_input(fixtures.input_of(writer, "GET", "/api/v1/projects/p1", {"x-http-method": "DELETE"}), "global_token.removal_needs_owner")
}

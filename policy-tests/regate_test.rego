# The entrypoint: who is handed to which rules, and what comes before all of them.
package regate.regate_test

import data.regate.fixtures

path := "/api/v1/projects/p1/builds"

test_a_disabled_user_has_no_rights_with_any_credential if {
	every kind in ["global", "mcp", "project", "admin", "session", "gateway", "other"] {
		caller := fixtures.token_with(kind, "gone", {"project_id": "p1", "scope_push": true, "allow_trigger": true})
		fixtures.denies(caller, "GET", path, "user.disabled")
		fixtures.denies(caller, "GET", "/mcp", "user.disabled")
	}
}

test_the_same_user_enabled_has_them if {
	question := fixtures.input_of(fixtures.token("global", "gone"), "GET", path, {})
	enabled := object.union(question, {"user": {"id": "gone", "role": "user", "disabled": false}})
	fixtures.allows_input(enabled, "global_token.read")
}

test_only_false_is_enabled if {
	question := fixtures.input_of(fixtures.token("global", "dev"), "GET", path, {})
	every value in [true, null, "false", 0] {
		fixtures.denies_input(object.union(question, {"user": {"disabled": value}}), "user.disabled")
	}
}

test_a_gateways_token_is_never_a_caller if {
	every asked in ["/", "/mcp", path, "/api/v1/projects/open", "/api/v1/admin"] {
		fixtures.denies(fixtures.token_with("gateway", "olga", {"scope_push": true}), "GET", asked, "gateway_token.never_a_caller")
	}
}

test_an_unknown_kind_is_nobody if {
	every kind in ["", "Global", "GLOBAL", "anonymous", "root", null, 1, ["global"]] {
		fixtures.denies(fixtures.token(kind, "olga"), "GET", "/api/v1/projects/open", "policy.no_rule_matched")
	}
}

# Found in the original: what was no valid credential became anonymous, who may read public projects.
test_a_token_without_a_kind_is_not_anonymous if {
	fixtures.denies({}, "GET", "/api/v1/projects/open", "policy.no_rule_matched")
	fixtures.denies(false, "GET", "/api/v1/projects/open", "policy.no_rule_matched")
}

test_a_question_without_a_token_field_is_not_anonymous if {
	question := json.remove(fixtures.input_of(null, "GET", "/api/v1/projects/open", {}), ["token"])
	fixtures.denies_input(question, "policy.no_rule_matched")
}

test_an_override_is_stronger_than_every_allow if {
	every kind in ["global", "mcp", "session", "admin"] {
		asked := {"global": path, "mcp": "/mcp", "session": path, "admin": path}[kind]
		question := fixtures.input_of(fixtures.token(kind, "dev"), "GET", asked, {})
		fixtures.decision(question).allow == true
		answer := data.regate.decision with input as question
			with data.projects as fixtures.projects
			with data.collaborators as fixtures.collaborators
			with data.regate.overrides.deny as {"change.freeze"}
		answer.allow == false
		answer.reasons == ["change.freeze"]
	}
}

test_all_reasons_of_overrides_are_given if {
	answer := data.regate.decision with input as fixtures.input_of(null, "GET", "/api/v1/projects/open", {})
		with data.projects as fixtures.projects
		with data.collaborators as fixtures.collaborators
		with data.regate.overrides.deny as {"b.two", "a.one"}
	answer.reasons == ["a.one", "b.two"]
}

test_without_overrides_nothing_is_overridden if data.regate.overrides.deny == set() with input as fixtures.input_of(null, "GET", "/", {})

test_odd_questions_are_denied if {
	every question in [{}, {"request": {}}, {"request": null, "token": null}, {"token": {"kind": "global", "user_id": "dev"}}, {"token": {"kind": "mcp"}, "request": {"path": ["mcp"]}}, {"token": {"kind": "session"}}, {"token": {"kind": "admin"}}, {"token": {"kind": "project"}}] {
		fixtures.decision(question).allow == false
	}
}

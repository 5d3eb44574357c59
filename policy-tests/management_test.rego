# regate's own management API: operators, people for what is theirs, and nobody else.
package regate.management_test

import data.regate.fixtures

# The whole result for a call.
decision(caller, method, path, management) := answer if {
	question := object.union(fixtures.input_of(caller, method, path, {}), {"management": management})
	answer := data.regate.management.decision with input as question
		with data.projects as fixtures.projects
		with data.collaborators as fixtures.collaborators
		with data.users as fixtures.users
}

call(operation, token, body) := {"operation": operation, "token": token, "upstream": null, "holder": null, "body": body}

# A call about the credential of a holder for the upstream `github`, or about a flow that leads to it.
held(operation, holder) := {"operation": operation, "token": null, "upstream": "github", "holder": holder, "body": null}

holder(kind, id, user_id) := {"kind": kind, "id": id, "user_id": user_id}

# A token that a call is about.
about(kind, user_id, project_id) := {"id": "t9", "kind": kind, "user_id": user_id, "project_id": project_id}

person(user_id) := fixtures.token("session", user_id)

code_of(caller, operation, path, token, body) := code if {
	answer := decision(caller, "GET", path, call(operation, token, body))
	code := answer.reasons[0]
}

allowed(caller, operation, path, token, body) if {
	decision(caller, "GET", path, call(operation, token, body)).allow == true
}

denied(caller, operation, path, token, body, code) if {
	answer := decision(caller, "GET", path, call(operation, token, body))
	answer.allow == false
	answer.reasons == [code]
	count(answer.message) > 0
}

operations := [
	"tokens.mint", "tokens.list", "tokens.read", "tokens.change", "tokens.revoke", "tokens.grant_trigger",
	"tokens.withdraw_trigger", "users.list", "users.read", "users.put", "users.remove", "projects.list", "projects.read",
	"projects.put", "projects.remove", "collaborators.list", "collaborators.read", "collaborators.put",
	"collaborators.remove", "import", "policies.read", "policies.reload", "explain", "tokens.read_grants",
	"tokens.put_grants", "upstreams.list", "upstreams.read", "upstreams.put", "upstreams.remove",
	"upstreams.put_client_secret", "upstreams.remove_client_secret", "upstreams.read_grants", "upstreams.put_grants",
	"credentials.list", "credentials.read", "credentials.put", "credentials.remove", "flows.list", "flows.begin",
	"flows.complete", "flows.cancel", "decisions.list", "decisions.read",
]

test_an_admin_token_manages if {
	every operation in operations {
		every user in ["root", "vera", null] {
			code_of(fixtures.token("admin", user), operation, "/v1/tokens", null, {}) == "management.admin_token"
		}
	}
}

test_who_administers_the_organisation_manages if {
	every operation in operations {
		code_of(person("root"), operation, "/v1/tokens", about("admin", null, null), {}) == "management.organisation_admin"
	}
}

# Whose credential is of a kind that never manages is denied, whatever it is about.
test_no_other_token_manages if {
	every operation in operations {
		every kind in ["global", "mcp", "project", "gateway", "Admin", "", null] {
			caller := fixtures.token_with(kind, "root", {"scope_push": true, "allow_trigger": true, "project_id": "p1"})
			denied(caller, operation, "/v1/projects/p1", about("mcp", "root", null), {}, "management.needs_admin_token")
		}
	}
}

test_nobody_without_a_token_manages if {
	every caller in [null, {}, false] {
		denied(caller, "tokens.list", "/v1/tokens", null, {}, "management.needs_admin_token")
	}
}

test_a_disabled_user_does_not_manage if {
	every operation in operations {
		every kind in ["admin", "session"] {
			denied(fixtures.token(kind, "gone"), operation, "/v1/tokens", null, {}, "user.disabled")
		}
	}
}

test_an_unknown_user_does_not_manage if {
	every operation in operations {
		denied(person("nobody"), operation, "/v1/tokens", null, {}, "management.unknown_user")
	}
}

about_own_tokens := ["tokens.mint", "tokens.read", "tokens.change", "tokens.revoke", "tokens.grant_trigger", "tokens.withdraw_trigger"]

test_everybody_manages_their_own_tokens if {
	every user in ["vera", "dev", "audit", "eve"] {
		every operation in about_own_tokens {
			every kind in ["global", "mcp"] {
				code_of(person(user), operation, "/v1/tokens", about(kind, user, null), {}) == "management.own_token"
			}
		}
	}
}

test_and_nobody_elses if {
	every user in ["vera", "olga", "adam", "audit"] {
		every operation in about_own_tokens {
			every owner in ["dev", null, "", "Vera"] {
				denied(person(user), operation, "/v1/tokens", about("mcp", owner, null), {}, "management.not_your_token")
			}
		}
	}
}

test_a_person_looks_for_a_token_that_is_not_there if {
	every operation in ["tokens.read", "tokens.change", "tokens.revoke", "tokens.grant_trigger", "tokens.withdraw_trigger"] {
		code_of(person("vera"), operation, "/v1/tokens/t9", null, {}) == "management.own_token"
	}
}

# A list is asked about as what all its tokens have in common.
test_a_person_lists_their_own_tokens_and_those_of_their_projects if {
	every kind in ["mcp", "global", "project", "admin", null] {
		allowed(person("vera"), "tokens.list", "/v1/tokens", about(kind, "vera", null), {})
		denied(person("vera"), "tokens.list", "/v1/tokens", about(kind, "dev", null), {}, "management.not_your_token")
		denied(person("olga"), "tokens.list", "/v1/tokens", about(kind, null, null), {}, "management.not_your_token")
	}
	every kind in ["project", null] {
		allowed(person("adam"), "tokens.list", "/v1/tokens", about(kind, null, "p1"), {})
		denied(person("dev"), "tokens.list", "/v1/tokens", about(kind, null, "p1"), {}, "management.not_your_token")
	}
	denied(person("adam"), "tokens.list", "/v1/tokens", about("mcp", null, "p1"), {}, "management.not_your_token")
	denied(person("adam"), "tokens.list", "/v1/tokens", null, {}, "management.needs_administration")
}

# The list of projects, asked for by `vera` with this query.
listing(query) := object.union(
	fixtures.input_of(person("vera"), "GET", "/v1/projects", {}),
	{
		"management": call("projects.list", null, null),
		"request": {"method": "GET", "path": ["v1", "projects"], "query": query},
	},
)

test_a_person_lists_the_projects_they_work_on if {
	every query in [{}, {"user_id": ["vera"]}, {"public": ["true"]}] {
		answer := data.regate.management.decision with input as listing(query)
			with data.users as fixtures.users
			with data.projects as fixtures.projects
			with data.collaborators as fixtures.collaborators
		answer.allow == true
	}
	every query in [{"user_id": ["dev"]}, {"user_id": ["vera", "dev"]}, {"all": ["true"]}, {"public": ["true"], "user_id": ["dev"]}] {
		answer := data.regate.management.decision with input as listing(query)
			with data.users as fixtures.users
			with data.projects as fixtures.projects
			with data.collaborators as fixtures.collaborators
		answer.reasons == ["management.needs_administration"]
	}
}

test_a_person_makes_no_operators_and_no_gateways if {
	every kind in ["admin", "gateway", "session", "Global", "", null] {
		every operation in ["tokens.mint", "tokens.change", "tokens.grant_trigger"] {
			denied(person("vera"), operation, "/v1/tokens", about(kind, "vera", null), {}, "management.not_your_token")
		}
	}
	denied(person("vera"), "tokens.mint", "/v1/tokens", null, {}, "management.needs_administration")
}

# One that an operator made in one's name can be seen and taken back, not widened.
test_a_person_revokes_whatever_bears_their_name if {
	every operation in ["tokens.read", "tokens.revoke"] {
		allowed(person("vera"), operation, "/v1/tokens/t9", about("admin", "vera", null), {})
		allowed(person("vera"), operation, "/v1/tokens/t9", about("project", "vera", "p2"), {})
	}
	denied(person("vera"), "tokens.change", "/v1/tokens/t9", about("project", "vera", "p1"), {}, "management.not_your_token")
}

test_who_manages_a_project_manages_its_tokens if {
	every user in ["adam", "olga"] {
		every operation in ["tokens.mint", "tokens.read", "tokens.change", "tokens.revoke"] {
			every owner in [null, user] {
				allowed(person(user), operation, "/v1/tokens", about("project", owner, "p1"), {})
			}
		}
		code_of(person(user), "tokens.revoke", "/v1/tokens", about("project", "dev", "p1"), {}) == "management.project_token"
	}
}

test_and_nobody_else_does if {
	every user in ["vera", "dev", "eve", "audit"] {
		every operation in ["tokens.mint", "tokens.read", "tokens.change", "tokens.revoke"] {
			denied(person(user), operation, "/v1/tokens", about("project", null, "p1"), {}, "management.not_your_token")
		}
	}
	every project in ["p2", null, ""] {
		denied(person("olga"), "tokens.mint", "/v1/tokens", about("project", null, project), {}, "management.not_your_token")
	}
	denied(person("olga"), "tokens.mint", "/v1/tokens", about("project", "dev", "p1"), {}, "management.not_your_token")
	denied(person("olga"), "tokens.grant_trigger", "/v1/tokens", about("project", null, "p1"), {}, "management.not_your_token")
}

test_an_account_is_seen_by_its_own_user if {
	code_of(person("vera"), "users.read", "/v1/users/vera", null, {}) == "management.own_account"
	denied(person("vera"), "users.read", "/v1/users/dev", null, {}, "management.needs_administration")
	denied(person("vera"), "users.list", "/v1/users", null, {}, "management.needs_administration")
	denied(person("vera"), "users.put", "/v1/users/vera", null, {"role": "admin"}, "management.needs_administration")
	denied(person("vera"), "users.remove", "/v1/users/vera", null, {}, "management.needs_administration")
}

test_a_project_is_seen_by_who_works_on_it if {
	every user in ["vera", "dev", "adam", "olga"] {
		every operation in ["projects.read", "collaborators.list", "collaborators.read"] {
			code_of(person(user), operation, "/v1/projects/p1", null, {}) == "management.project_read"
		}
	}
	allowed(person("eve"), "projects.list", "/v1/projects", null, {})
	allowed(person("vera"), "projects.read", "/v1/projects/open", null, {})
	denied(person("eve"), "projects.read", "/v1/projects/p1", null, {}, "management.needs_project_administrator")
	denied(person("vera"), "collaborators.list", "/v1/projects/open/collaborators", null, {}, "management.needs_project_administrator")
	denied(person("vera"), "collaborators.read", "/v1/projects/open/collaborators/eve", null, {}, "management.needs_project_administrator")
}

test_a_project_is_changed_by_who_manages_it if {
	every user in ["adam", "olga"] {
		every body in [{"name": "renamed"}, {}, {"name": "renamed", "public": null}] {
			code_of(person(user), "projects.put", "/v1/projects/p1", null, body) == "management.project_changed"
		}
	}
	every public in [true, false, "yes"] {
		code_of(person("olga"), "projects.put", "/v1/projects/p1", null, {"public": public}) == "management.project_changed"
		denied(person("adam"), "projects.put", "/v1/projects/p1", null, {"public": public}, "management.public_is_the_owners")
	}
	every user in ["vera", "dev", "eve", "audit"] {
		denied(person(user), "projects.put", "/v1/projects/p1", null, {}, "management.needs_project_administrator")
	}
	denied(person("olga"), "projects.put", "/v1/projects/new", null, {}, "management.needs_project_administrator")
}

test_a_project_is_removed_by_its_owner if {
	code_of(person("olga"), "projects.remove", "/v1/projects/p1", null, {}) == "management.project_removed"
	every user in ["adam", "dev", "eve"] {
		denied(person(user), "projects.remove", "/v1/projects/p1", null, {}, "management.needs_project_administrator")
	}
}

path_of(user) := sprintf("/v1/projects/p1/collaborators/%s", [user])

test_an_owner_manages_all_collaborators if {
	every role in ["viewer", "developer", "administrator", "owner"] {
		code_of(person("olga"), "collaborators.put", path_of("adam"), null, {"role": role}) == "management.collaborators"
	}
	allowed(person("olga"), "collaborators.put", path_of("gone"), null, {"role": "viewer"})
	allowed(person("olga"), "collaborators.remove", path_of("gone"), null, {})
}

test_an_administrator_manages_all_but_owners if {
	every role in ["viewer", "developer", "administrator"] {
		allowed(person("adam"), "collaborators.put", path_of("eve"), null, {"role": role})
	}
	allowed(person("adam"), "collaborators.remove", path_of("dev"), null, {})
	every role in ["owner", "Owner", null, {}] {
		denied(person("adam"), "collaborators.put", path_of("adam"), null, {"role": role}, "management.owners_are_the_owners")
	}
	denied(person("adam"), "collaborators.put", path_of("adam"), null, {}, "management.owners_are_the_owners")
	denied(person("adam"), "collaborators.put", path_of("olga"), null, {"role": "viewer"}, "management.owners_are_the_owners")
	denied(person("adam"), "collaborators.remove", path_of("olga"), null, {}, "management.owners_are_the_owners")
}

test_nobody_else_manages_collaborators if {
	every user in ["vera", "dev", "eve", "audit"] {
		denied(person(user), "collaborators.put", path_of("eve"), null, {"role": "viewer"}, "management.needs_project_administrator")
		denied(person(user), "collaborators.remove", path_of("adam"), null, {}, "management.needs_project_administrator")
	}
}

test_everybody_may_leave if {
	every user in ["vera", "dev", "adam", "olga"] {
		allowed(person(user), "collaborators.remove", path_of(user), null, {})
	}
	denied(person("eve"), "collaborators.remove", path_of("eve"), null, {}, "management.needs_project_administrator")
	denied(person("vera"), "collaborators.put", path_of("vera"), null, {"role": "owner"}, "management.needs_project_administrator")
}

test_what_is_the_operators_is_not_a_persons if {
	every operation in ["import", "decisions.list", "decisions.read", "policies.read", "policies.reload", "explain", "users.list", "users.put", "users.remove", "", null] {
		every user in ["vera", "olga", "audit"] {
			denied(person(user), operation, "/v1/policies", null, {}, "management.needs_administration")
		}
	}
}

test_everybody_sees_the_upstreams if {
	every user in ["vera", "dev", "audit", "eve"] {
		every operation in ["upstreams.list", "upstreams.read"] {
			code_of(person(user), operation, "/v1/upstreams/github", null, null) == "management.upstream_read"
		}
	}
}

test_upstreams_and_grants_are_the_operators if {
	every user in ["vera", "olga", "audit"] {
		every operation in ["upstreams.put", "upstreams.remove", "upstreams.put_client_secret", "upstreams.remove_client_secret", "upstreams.read_grants", "upstreams.put_grants"] {
			denied(person(user), operation, "/v1/upstreams/github", null, {}, "management.needs_administration")
		}
	}
}

# What one's own token may reach is seen, and not widened.
test_grants_of_a_token_are_seen_by_its_user if {
	every kind in ["global", "mcp", "project", "admin"] {
		code_of(person("vera"), "tokens.read_grants", "/v1/tokens/t9/grants", about(kind, "vera", null), null) == "management.own_token"
		denied(person("vera"), "tokens.put_grants", "/v1/tokens/t9/grants", about(kind, "vera", null), {}, "management.not_your_token")
	}
	denied(person("vera"), "tokens.read_grants", "/v1/tokens/t9/grants", about("mcp", "dev", null), null, "management.not_your_token")
	denied(person("vera"), "tokens.put_grants", "/v1/tokens/t9/grants", null, {}, "management.needs_administration")
}

with_holder := ["credentials.list", "credentials.read", "credentials.put", "credentials.remove", "flows.list", "flows.begin", "flows.complete", "flows.cancel"]

test_everybody_manages_their_own_credentials_and_their_tokens if {
	every user in ["vera", "dev", "audit", "eve"] {
		every operation in with_holder {
			every whose in [holder("user", user, user), holder("token", "t9", user), holder(null, null, user), holder("token", null, user)] {
				answer := decision(person(user), "GET", "/v1/credentials", held(operation, whose))
				answer.reasons == ["management.own_credential"]
			}
		}
	}
}

test_and_no_credential_of_anybody_else if {
	every user in ["vera", "olga", "audit"] {
		every operation in with_holder {
			every whose in [
				holder("user", "dev", "dev"), holder("token", "t9", "dev"), holder("token", "t9", null), holder(null, null, null),
				holder("shared", null, null), holder("shared", null, user), holder("user", user, null), holder("token", user, null),
				holder("user", user, "dev"), holder("other", user, user),
			] {
				answer := decision(person(user), "GET", "/v1/credentials", held(operation, whose))
				answer.allow == false
				answer.reasons == ["management.not_your_credential"]
			}
		}
	}
}

test_a_person_looks_for_a_holder_that_is_not_there if {
	every operation in ["credentials.read", "credentials.put", "credentials.remove", "flows.begin", "flows.complete", "flows.cancel"] {
		decision(person("vera"), "GET", "/v1/credentials", held(operation, null)).reasons == ["management.own_credential"]
	}
	every operation in ["credentials.list", "flows.list"] {
		decision(person("vera"), "GET", "/v1/credentials", held(operation, null)).reasons == ["management.needs_administration"]
	}
}

test_operators_manage_all_credentials if {
	every operation in with_holder {
		every whose in [holder("user", "dev", "dev"), holder("token", "t9", null), holder("shared", null, null), holder(null, null, null), null] {
			decision(person("root"), "GET", "/v1/credentials", held(operation, whose)).reasons == ["management.organisation_admin"]
			decision(fixtures.token("admin", null), "GET", "/v1/credentials", held(operation, whose)).reasons == ["management.admin_token"]
			decision(person("gone"), "GET", "/v1/credentials", held(operation, whose)).reasons == ["user.disabled"]
		}
	}
}

# Claims are the issuer's words; who administers is in the data.
test_a_claimed_role_counts_for_nothing if {
	caller := fixtures.token_with("session", "dev", {"role": "admin", "claims": {"role": "admin"}})
	denied(caller, "users.put", "/v1/users/dev", null, {}, "management.needs_administration")
}

# The entrypoints are apart: being allowed here opens nothing for a gateway's route of the same name.
test_a_gateways_route_of_the_same_name_is_not_managed_here if {
	fixtures.denies(fixtures.token("admin", "root"), "POST", "/v1/tokens", "session.no_such_area")
}

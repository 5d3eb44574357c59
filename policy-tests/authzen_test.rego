# AuthZEN: users and projects, by the collaborator's role.
package regate.authzen_test

import data.regate.fixtures

# The question as regate builds it. The gateway says that everybody is an owner, everywhere.
question(user_id, action, kind, id) := {
	"subject": {"type": "user", "id": user_id},
	"user": fixtures.user_of({"user_id": user_id}),
	"action": {"name": action},
	"resource": {"type": kind, "id": id},
	"from_gateway": {"subject": {"role": "owner"}, "action": {"name": "read"}, "resource": {"public": true}},
	"gateway": null,
	"context": {"role": "owner"},
	"now": fixtures.now,
}

decision_of(asked) := answer if {
	answer := data.regate.authzen.decision with input as asked
		with data.projects as fixtures.projects
		with data.collaborators as fixtures.collaborators
		with data.users as fixtures.users
}

allows(user_id, action, id, reason) if {
	decision_of(question(user_id, action, "project", id)) == {"allow": true, "reasons": [reason]}
}

denies(user_id, action, id, reason) if denies_question(question(user_id, action, "project", id), reason)

denies_question(asked, reason) if {
	answer := decision_of(asked)
	answer.allow == false
	answer.reasons == [reason]
	count(answer.message) > 0
}

test_every_role_reads if {
	every user_id in ["vera", "dev", "adam", "olga"] {
		allows(user_id, "read", "p1", "authzen.project_read")
	}
}

test_developers_and_above_write if {
	every user_id in ["dev", "adam", "olga"] {
		allows(user_id, "write", "p1", "authzen.project_write")
	}
	denies("vera", "write", "p1", "authzen.role_may_not")
}

test_administrators_and_owners_administer if {
	every user_id in ["adam", "olga"] {
		allows(user_id, "administer", "p1", "authzen.project_administer")
	}
	every user_id in ["vera", "dev"] {
		denies(user_id, "administer", "p1", "authzen.role_may_not")
	}
}

test_owners_remove if {
	allows("olga", "remove", "p1", "authzen.project_remove")
	every user_id in ["vera", "dev", "adam"] {
		denies(user_id, "remove", "p1", "authzen.role_may_not")
	}
}

test_a_public_project_is_read_by_every_user if {
	every user_id in ["vera", "root", "audit"] {
		allows(user_id, "read", "open", "authzen.public_read")
		denies(user_id, "write", "open", "authzen.not_a_collaborator")
		denies(user_id, "remove", "open", "authzen.not_a_collaborator")
	}
}

test_nobody_else_reads_a_private_one if {
	every user_id in ["eve", "audit"] {
		every action in ["read", "write", "administer", "remove"] {
			denies(user_id, action, "p1", "authzen.not_a_collaborator")
		}
	}
}

test_public_must_be_true_itself if {
	every value in [false, null, "true", 1] {
		answer := data.regate.authzen.decision with input as question("vera", "read", "project", "x")
			with data.projects as {"x": {"name": "x", "public": value}}
			with data.collaborators as {}
		answer.reasons == ["authzen.not_a_collaborator"]
	}
}

test_a_disabled_user_may_nothing if {
	every id in ["p1", "open"] {
		every action in ["read", "write", "administer", "remove"] {
			denies("gone", action, id, "user.disabled")
		}
	}
}

# Only `false` is not disabled.
test_disabled_must_be_false_itself if {
	every value in [null, 0, "no", true] {
		asked := object.union(question("olga", "read", "project", "p1"), {"user": {"disabled": value}})
		denies_question(asked, "user.disabled")
	}
}

test_a_subject_whom_the_data_does_not_know_may_nothing if {
	denies("nobody", "read", "open", "authzen.unknown_subject")
	asked := object.union(question("olga", "read", "project", "p1"), {"user": null})
	denies_question(asked, "authzen.unknown_subject")
}

test_a_project_that_is_not_there if denies("olga", "read", "none", "authzen.unknown_resource")

# The id of a project is none of anything else.
test_other_resources_are_unknown if {
	every kind in ["Project", "record", "", "projects"] {
		denies_question(question("olga", "read", kind, "p1"), "authzen.unknown_resource")
		denies_question(question("olga", "read", kind, "open"), "authzen.unknown_resource")
	}
}

test_other_actions_are_unknown if {
	every action in ["Read", "delete", "", "read "] {
		denies("olga", action, "p1", "authzen.unknown_action")
	}
}

test_a_deny_of_the_organisation_is_final if {
	answer := data.regate.authzen.decision with input as question("olga", "read", "project", "p1")
		with data.projects as fixtures.projects
		with data.collaborators as fixtures.collaborators
		with data.regate.authzen.deny as {"acme.closed"}
	answer.allow == false
	answer.reasons == ["acme.closed"]
}

test_so_is_one_for_all_gateways_requests if {
	answer := data.regate.authzen.decision with input as question("vera", "read", "project", "open")
		with data.projects as fixtures.projects
		with data.collaborators as fixtures.collaborators
		with data.regate.overrides.deny as {"acme.suspended"}
	answer.allow == false
	answer.reasons == ["acme.suspended"]
}

# What a search is asked with: without what it looks for.
searching(missing, kind, id) := object.remove(
	{
		"subject": {"type": "user"},
		"user": null,
		"action": {"name": "read"},
		"resource": {"type": kind, "id": id},
		"from_gateway": {"subject": {}, "action": {}, "resource": {}},
		"gateway": null,
		"context": {},
		"now": fixtures.now,
	},
	missing,
)

subjects_of(asked) := found if {
	found := data.regate.authzen.subjects with input as asked
		with data.projects as fixtures.projects
		with data.collaborators as fixtures.collaborators
		with data.users as fixtures.users
}

test_a_private_project_is_searched_among_its_collaborators if {
	subjects_of(searching([], "project", "p1")) == fixtures.collaborators.p1
}

test_a_public_one_among_all_users if subjects_of(searching([], "project", "open")) == fixtures.users

test_other_subjects_and_resources_are_not_searched if {
	not subjects_of(searching([], "record", "p1"))
	not subjects_of(searching([], "project", "none"))
	not subjects_of(object.union(searching([], "project", "p1"), {"subject": {"type": "spaceship"}}))
}

# Whoever may do something is among those who are looked at.
test_nobody_who_may_is_left_out if {
	every id, _ in fixtures.projects {
		found := subjects_of(searching([], "project", id))
		every user_id, _ in fixtures.users {
			every action in data.regate.authzen.actions {
				is_found(found, user_id, decision_of(question(user_id, action, "project", id)))
			}
		}
	}
}

is_found(found, user_id, _) if found[user_id]

is_found(_, _, answer) if answer.allow == false

test_projects_are_searched_among_projects if {
	found := data.regate.authzen.resources with input as searching([], "project", "p1")
		with data.projects as fixtures.projects
	found == fixtures.projects
	not data.regate.authzen.resources with input as searching([], "record", "p1")
		with data.projects as fixtures.projects
}

test_actions_are_those_that_somebody_may if {
	every action in data.regate.authzen.actions {
		decision_of(question("olga", action, "project", "p1")).allow == true
	}
}

# The eight decisions that the scenario demands, and what must not follow from them.
package regate.authzen_test

people := {
	"alice": {"role": "user", "disabled": false},
	"bob": {"role": "admin", "disabled": false},
	"gone": {"role": "user", "disabled": true},
}

row(id) := object.union({"id": id}, people[id]) if people[id]

else := null

# `said` is what the gateway says about subject, action and resource.
question(subject, action, id, said) := {
	"subject": {"type": "user", "id": subject},
	"user": row(subject),
	"action": {"name": action},
	"resource": {"type": "record", "id": id},
	"from_gateway": object.union({"subject": {}, "action": {}, "resource": {}}, said),
	"gateway": null,
	"context": {},
	"now": 1000000,
}

answer(asked) := given if {
	given := data.regate.authzen.decision with input as asked
}

allows(subject, action, id, said) if answer(question(subject, action, id, said)).allow == true

denies(subject, action, id, said) if answer(question(subject, action, id, said)).allow == false

test_rules_1_to_4_by_ids_alone if {
	allows("alice", "read", "record-1", {})
	allows("alice", "write", "record-1", {})
	allows("bob", "read", "record-1", {})
	denies("bob", "write", "record-1", {})
}

archived := {"resource": {"status": "archived"}}

test_rule_5_an_archived_record_is_not_written if {
	denies("alice", "write", "record-2", archived)
	denies("alice", "write", "record-1", archived)
	denies("alice", "write", "record-2", {})
}

test_rule_6_but_by_an_administrator if {
	allows("bob", "write", "record-2", object.union(archived, {"subject": {"role": "admin"}}))
	allows("alice", "write", "record-2", object.union(archived, {"subject": {"role": "admin"}}))
	allows("bob", "write", "record-2", {})
	denies("bob", "write", "record-2", object.union(archived, {"subject": {"role": "manager"}}))
}

test_rules_7_and_8_only_soft_deletes if {
	allows("alice", "delete", "record-1", {"action": {"soft": true}})
	denies("alice", "delete", "record-1", {"action": {"soft": false}})
	denies("alice", "delete", "record-1", {})
	denies("alice", "delete", "record-1", {"action": {"soft": "true"}})
	denies("alice", "delete", "record-2", {"action": {"soft": true}})
}

test_who_and_what_is_not_there_is_denied if {
	denies("nobody", "read", "record-1", {})
	denies("nobody", "write", "record-2", object.union(archived, {"subject": {"role": "admin"}}))
	denies("gone", "read", "record-1", {})
	denies("alice", "read", "record-3", {"resource": {"status": "active"}})
	denies("alice", "share", "record-1", {})
}

test_other_types_are_unknown if {
	asked := question("alice", "read", "record-1", {})
	answer(object.union(asked, {"resource": {"type": "file"}})).allow == false
	answer(object.union(asked, {"user": null})).allow == false
}

found_for(asked) := found if {
	found := data.regate.authzen.subjects with input as asked
		with data.users as people
}

records_for(asked) := found if {
	found := data.regate.authzen.resources with input as asked
}

test_searches_look_at_what_there_is if {
	asked := question("alice", "read", "record-1", {})
	found_for(asked) == people
	object.keys(records_for(asked)) == {"record-1", "record-2"}
	data.regate.authzen.actions == {"read", "write", "delete"}
}

test_and_at_nothing_else if {
	asked := question("alice", "read", "record-1", {})
	not found_for(object.union(asked, {"subject": {"type": "spaceship"}}))
	not records_for(object.union(asked, {"resource": {"type": "file"}}))
}

test_gateways_own_requests_are_denied if data.regate.decision.allow == false

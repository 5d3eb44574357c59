# The policy that the AuthZEN 1.0 certification scenario asks for (section 2.4), and what its searches look at.
#
# The scenario has the gateway say what a subject's role and a record's status are, and believes it. Do the same only
# where every gateway that asks may be believed: what it says stands in `input.from_gateway`, and nowhere else.
package regate.authzen

# Everybody whom the data knows reads every record.
decision := {"allow": true, "reasons": ["certification.read"]} if {
	known
	input.action.name == "read"
}

# Active records are changed by those who are no administrators, archived ones by administrators.
else := {"allow": true, "reasons": ["certification.write"]} if {
	known
	input.action.name == "write"
	status == "active"
	role != "admin"
}

else := {"allow": true, "reasons": ["certification.write_archived"]} if {
	known
	input.action.name == "write"
	status == "archived"
	role == "admin"
}

# A record that is deleted softly can be had back.
else := {"allow": true, "reasons": ["certification.soft_delete"]} if {
	known
	input.action.name == "delete"
	input.from_gateway.action.soft == true
	status == "active"
	role != "admin"
}

else := {"allow": false, "reasons": ["certification.denied"], "message": "this is not permitted"}

# The subject is a user and the resource a record, and both are there.
known if {
	is_string(input.user.id)
	input.user.disabled == false
	input.resource.type == "record"
	is_object(data.records[input.resource.id])
}

# What the gateway says the role is, else that of the user's row.
role := said if {
	said := input.from_gateway.subject.role
} else := stored if {
	stored := input.user.role
}

# What the gateway says the status is, else that of the record.
status := said if {
	said := input.from_gateway.resource.status
} else := stored if {
	stored := data.records[input.resource.id].status
}

# What searches look at.
subjects := everybody if {
	input.subject.type == "user"
	input.resource.type == "record"
	everybody := data.users
}

resources := records if {
	input.resource.type == "record"
	records := data.records
}

actions := {"read", "write", "delete"}

# Callers without any credential. (A credential that is no good never gets here: regate refuses it.)
package regate.anonymous

# Public projects can be read, but for the parts that are set apart. Nothing else is for everybody.
decision := {"allow": true, "reasons": ["anonymous.public_read"]} if {
	data.routes.safe_methods[input.request.method]
	data.projects[data.regate.request.quiet_project].public == true
}

# The same for every path.
else := {"allow": true, "reasons": ["anonymous.public_read"]} if {
	data.projects[data.regate.request.project].public == true
	data.regate.request.section == "ordinary"
	data.regate.request.read
}

else := {
	"allow": false,
	"reasons": ["anonymous.not_public"],
	"message": "a credential is needed",
	"status": 401,
}

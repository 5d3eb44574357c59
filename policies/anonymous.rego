# Callers without any credential. (A credential that is no good never gets here: regate refuses it.)
package regate.anonymous

# Public projects can be read, but for the parts that are set apart. Nothing else is for everybody.
decision := {"allow": true, "reasons": ["anonymous.public_read"]} if {
	data.regate.request.read
	data.projects[data.regate.request.ordinary_project].public == true
}

else := {
	"allow": false,
	"reasons": ["anonymous.not_public"],
	"message": "a credential is needed",
	"status": 401,
}

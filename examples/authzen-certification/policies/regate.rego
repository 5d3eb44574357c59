# Gateways' own requests are not part of the scenario: all are denied.
package regate

decision := {
	"allow": false,
	"reasons": ["certification.only_authzen"],
	"message": "this policy answers AuthZEN alone",
}

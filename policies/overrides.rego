# The place for an organisation's own denies, which are stronger than every allow of this bundle.
#
# Leave this file as it is and add your own next to it, in the same package:
#
#     package regate.overrides
#
#     # The archive may be read, never written, whoever asks.
#     deny contains "acme.archive.is_read_only" if {
#         data.regate.request.project == "archive"
#         not data.regate.request.read
#     }
#
# The reason is a code of your own. It reaches gateways' questions, and AuthZEN's as far as it speaks of users, data
# and the time alone: there is no request there, and denies about what AuthZEN names go into `regate.authzen`. regate's
# own management API stays usable, so that a mistake here can be put right.
package regate.overrides

# Never holds. It is here so that the set exists, and is empty, without a file of your own.
deny contains "policy.no_rule_matched" if {
	false
}

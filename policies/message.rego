# MCP messages: which of them are known. Which tools a token may call is said in mcp_token.rego.
#
# What is not known is denied, whoever asks (regate.rego): nobody has said what it does. The methods are data, in
# routes/data.json: the requests of MCP 2025-11-25 that a client sends to a server.
package regate.message

# No message came with the question.
known if input.mcp == null

# Nor is there a place for one.
else if not present

# A request.
else if data.routes.mcp_requests[input.mcp.method]

# An answer to what the server asked.
else if input.mcp.method == null

# A notification asks for nothing.
else if startswith(input.mcp.method, "notifications/")

# Something stands there, whatever it is.
present if input.mcp != null

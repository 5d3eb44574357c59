# One more token for the gateway, to ask as it does.
TOKEN=$(regate token mint --kind gateway --name try)

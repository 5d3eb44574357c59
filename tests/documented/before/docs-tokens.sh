# The rows of the examples, another tenant, a token that leaked, and texts to look through.
regate import examples/decide.json
echo '{"tenants": [{"id": "acme"}]}' | regate import -
regate token mint --kind global --name leaked --user alice > leaked.txt
echo 'no token at all' > suspicious.txt
echo '2026-11-22T12:00:00Z INFO nothing in it' > service.log

# Two versions of the policies, rows, questions that were asked, and one of them as the decision log has it.
cp -r policies new
cp -r policies old
cp examples/decide.json rows.json
tr -d '\n' < examples/question.json > questions.jsonl
echo >> questions.jsonl
printf '{"question": %s, "decision": {"allow": true, "reason": "global_token.read"}, "time": "2026-11-22T12:00:00Z"}\n' \
  '{"token": "demo-key-of-alice", "request": {"method": "GET", "path": "/api/v1/projects/website/builds"}}' > decisions.jsonl

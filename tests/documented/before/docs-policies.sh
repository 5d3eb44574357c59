# What is replayed, beside the folder that the page makes.
mkdir -p {folder}/etc/regate {folder}/etc/before
cp -r policies {folder}/etc/before/policies
cp examples/decide.json {folder}/etc/regate/rows.json
tr -d '\n' < examples/question.json > {folder}/etc/regate/questions.jsonl

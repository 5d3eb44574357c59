# A decision in the log, and policies that were changed.
cp -r policies new
regate import examples/decide.json
regate serve
curl -s http://127.0.0.1:8181/v1/decide -d @examples/question.json
until regate audit export | grep -q .; do sleep 0.05; done

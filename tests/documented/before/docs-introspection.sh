regate import examples/decide.json
regate serve

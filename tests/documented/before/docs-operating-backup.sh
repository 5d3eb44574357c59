# A database to keep.
regate import examples/decide.json

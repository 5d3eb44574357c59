mkdir {folder}/run
REGATE_HTTP__LISTEN=unix:{folder}/run/http.sock regate serve

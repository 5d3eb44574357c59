# One more token for the gateway, to ask as it does.
TOKEN=$(regate token mint --kind gateway --name try)
# Its workers run as whoever runs the tests, and keep nothing outside of the folder.
here={folder}/examples/nginx
mkdir "$here/temporary"
for kind in client_body proxy fastcgi uwsgi scgi; do
  sed -i "s#^http {#http {\n    ${kind}_temp_path $here/temporary/$kind;#" "$here/nginx.conf"
done
[ "$(id -u)" != 0 ] || sed -i '1i user root;' "$here/nginx.conf"

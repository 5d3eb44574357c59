# The secrets that the page reads from files.
printf 'upstream-secret-of-ada' > github.token
printf 's' > client-secret
# A token, as `ID`.
regate user put ada
regate token mint --kind mcp --name first --user ada > first.token

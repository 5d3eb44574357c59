# One more token for the gateway, to ask as it does.
TOKEN=$(regate token mint --kind gateway --name try)
sed -i 's/port_value: 8080/port_value: {8080}/; s/port_value: 8181/port_value: {8181}/; s/port_value: 9000/port_value: {9000}/; s/port_value: 9191/port_value: {9191}/' examples/envoy/*.yaml

#!/bin/sh
# Two hosts on one machine: the same command in two network namespaces that a pair of virtual devices
# connects. Neither sees the network of the machine. The command finds in HOST its number, 0 or 1, in
# ADDRESS its own address, and in FIRST that of host 0.
#
#     unshare --map-root-user --net sh two_hosts.sh COMMAND...
set -eu
unshare --net sleep infinity &
other=$!
trap 'kill $other' EXIT
while [ "$(readlink /proc/$other/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done

ip link add host type veth peer name host netns $other
ip address add 10.0.0.1/24 dev host
nsenter --target $other --net ip address add 10.0.0.2/24 dev host
for device in lo host; do
    ip link set $device up
    nsenter --target $other --net ip link set $device up
done

export FIRST=10.0.0.1 GLOO_SOCKET_IFNAME=host
HOST=1 ADDRESS=10.0.0.2 nsenter --target $other --net "$@" &
second=$!
HOST=0 ADDRESS=10.0.0.1 "$@"
wait $second

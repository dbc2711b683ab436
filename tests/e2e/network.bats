#!/usr/bin/env bats
# What a container sees of the network that it was given.
load lib

setup() {
	need_busybox
}
teardown() {
	brig_clean
}

@test "none has the loopback interface, up, and nothing else" {
	assert_run 0 brig run --rm --network none "$image" sh -c 'ls /sys/class/net; ping -q -c1 -W1 127.0.0.1 >/dev/null && echo answered'
	assert_equal "$output" $'lo\nanswered'
	assert_run 0 brig run --rm --network none "$image" ip -o addr
	assert_match "$output" '127\.0\.0\.1/8'
}

@test "host shows the host's own interfaces" {
	ip link add dummy-here type veth peer name dummy-there
	assert_run 0 brig run --rm --network host "$image" ls /sys/class/net
	ip link delete dummy-here
	assert_match "$output" dummy-here
}

@test "the default is an address on brig's bridge that the host and others reach" {
	assert_run 0 brig run -d --name one "$image" sleep 60
	local address
	address=$(brig exec one ip -o -4 addr show eth0 | awk '{ sub("/.*", "", $4); print $4 }')
	assert_match "$address" '^[0-9]+(\.[0-9]+){3}$'
	assert_run 0 ping -q -c1 -W2 "$address"
	assert_run 0 brig run --rm "$image" ping -q -c1 -W2 "$address"
	# Two containers never share one.
	assert_run 0 brig run --rm "$image" ip -o -4 addr show eth0
	refute_match "$output" " $address/"
}

@test "its own name, hosts and resolver are in /etc" {
	assert_run 0 brig run --rm -h web "$image" sh -c 'hostname; cat /etc/hostname; grep -c "	web$" /etc/hosts; cat /etc/resolv.conf'
	assert_equal "$(sed -n 1,3p <<<"$output")" $'web\nweb\n1'
	assert_match "$output" nameserver
}

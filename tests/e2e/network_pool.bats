#!/usr/bin/env bats
# network_pool.bats - network namespaces made ahead of time (netdrive stands in for brig run).

load lib

setup_file() {
	cc -std=gnu17 -O1 -g -D_GNU_SOURCE -I"$BRIG_TEST_TOP/src" -o "$BRIG_TEST_DIR/netdrive" \
		"$BRIG_TEST_TOP/tests/tools/netdrive.c" "$BRIG_TEST_TOP"/src/net/*.c \
		"$BRIG_TEST_TOP"/src/base/{fd,buf,err,kernel,time}.c
}

setup() {
	drive=$BRIG_TEST_DIR/netdrive
	runs=/run/brig-$BATS_TEST_NUMBER
	pool=$runs/net/pool
}

teardown() {
	"$drive" clear "$runs"
	ours | xargs -r umount
	ip link delete brig0 2>/dev/null || true
	wait_until 5 sh -c '! ip -o link | grep -q veth[0-9a-f]'
}

id_of() {
	printf '%s' "$1" | sha256sum | cut -d' ' -f1
}
# take NAME [NETWORK]: its namespace at /run/NAME; $got, $address.
take() {
	got=$("$drive" take "$runs" "${2:-bridge}" "$(id_of "$1")" "/run/$1")
	address=$(sed -n 's/^address=//p' <<<"$got")
}
within() {
	nsenter --net="/run/$1" "${@:2}"
}
# The namespaces that this test holds. (The machine's own mounts below /run are still listed.)
ours() {
	awk '$3 == "nsfs" && $2 ~ "^/run/[a-z]+[0-9]+$" { print $2 }' /proc/mounts
}
pinned() {
	awk -v pool="$pool/" '$3 == "nsfs" && index($2, pool) == 1' /proc/mounts | wc -l
}
warm() {
	"$drive" refill "$runs" "${1:-bridge}"
	"$drive" refill "$runs" "${1:-bridge}"
}

@test "nothing is kept before a second container within a minute" {
	take c1
	assert_match "$got" "taken=0"
	"$drive" refill "$runs" bridge
	assert_equal "$("$drive" count "$runs")" 0
	refute_exists /sys/class/net/brig0
	"$drive" refill "$runs" bridge
	assert_equal "$("$drive" count "$runs")" 4
	# Another kind's containers say nothing about this one's.
	"$drive" refill "$runs" none
	assert_equal "$("$drive" count "$runs")" 4
	"$drive" refill "$runs" none
	assert_equal "$("$drive" count "$runs")" 8
}

@test "what is taken is what an attach would have made" {
	warm
	take c1
	assert_match "$got" "taken=1"
	assert_match "$got" "network=bridge"
	within c1 ping -q -c1 -W1 172.29.0.1
	assert_equal "$(within c1 ip -o -4 address show | awk '{print $2, $4}' | xargs)" "lo 127.0.0.1/8 eth0 $address/16"
	assert_equal "$(within c1 cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" 0
	assert_equal "$(within c1 cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6)" 1
	take c2
	within c1 ping -q -c1 -W1 "$address"
	# The address is the container's now: it gives it back, and so does a sweep.
	assert_equal "$("$drive" sweep "$runs" "$(id_of c1)")" freed=1
	assert_equal "$("$drive" sweep "$runs" "$(id_of c1)")" freed=0
	assert_equal "$("$drive" count "$runs")" 2
	"$drive" refill "$runs" bridge
	assert_equal "$("$drive" count "$runs")" 4
	assert_equal "$(pinned)" 4
	assert_equal "$(ls "$pool" | grep -c taken)" 0
}

@test "none has its own" {
	warm none
	take c1 none
	assert_match "$got" "taken=1"
	within c1 ping -q -c1 -W1 127.0.0.1
	assert_equal "$(within c1 ip -o link | awk '{print $2}')" "lo:"
}

@test "of many who take at once each gets its own, or nothing" {
	warm
	local i pids=
	for i in $(seq 20); do
		"$drive" take "$runs" bridge "$(id_of "t$i")" "/run/t$i" >"$BATS_TEST_TMPDIR/t$i" 3>&- &
		pids+=" $!"
	done
	# Not for all: bats has a process of its own here.
	wait $pids
	assert_equal "$(cat "$BATS_TEST_TMPDIR"/t* | grep -c taken=1)" 4
	assert_equal "$(cat "$BATS_TEST_TMPDIR"/t* | grep ^address= | sort -u | wc -l)" 4
}

@test "a namespace that does not fit the host any more is not taken" {
	warm
	nft flush ruleset
	take c1
	assert_match "$got" "taken=0"
	ip netns add c2
	"$drive" attach "$runs" bridge "$(id_of c2)" /run/netns/c2 >/dev/null
	ip netns delete c2
	"$drive" refill "$runs" bridge
	take c3
	assert_match "$got" "taken=1"
	within c3 ping -q -c1 -W1 172.29.0.1
	# Its port was deleted.
	ip -o link | sed -n 's/.*\(veth[0-9a-f]*\)@.*/\1/p' | while read -r port; do ip link delete "$port" || true; done
	take c4
	assert_match "$got" "taken=0"
	"$drive" refill "$runs" bridge
	assert_equal "$("$drive" count "$runs")" 4
}

@test "they go when nobody comes any more" {
	warm
	touch -d "2 minutes ago" "$pool/asked.bridge"
	"$drive" refill "$runs" bridge
	assert_equal "$("$drive" count "$runs")" 0
	assert_equal "$(pinned)" 0
	wait_until 5 sh -c '! ip -o link | grep -q veth[0-9a-f]'
	# Nothing is leased: all addresses are there to be had.
	assert_equal "$(od -An -tu4 -j48 -N4 "$runs"/net/[0-9]*/bridge | xargs)" 0
}

@test "a refill that was killed leaves nothing for good" {
	local i pid
	"$drive" refill "$runs" bridge
	for i in $(seq 40); do
		"$drive" refill "$runs" bridge 3>&- &
		pid=$!
		sleep "0.00$((i % 10))"
		kill -9 $pid 2>/dev/null || true
		wait $pid 2>/dev/null || true
		take "k$i"
		! mountpoint -q "/run/k$i" || umount "/run/k$i"
	done
	# As after some seconds: a taking that did not end is over.
	"$drive" sweep "$runs" >/dev/null
	warm
	assert_equal "$("$drive" count "$runs")" 4
	assert_equal "$(pinned)" 4
	assert_equal "$(ls "$pool" | grep -cv '^asked\|^bridge')" 0
	assert_equal "$(od -An -tu4 -j48 -N4 "$runs"/net/[0-9]*/bridge | xargs)" 4
}

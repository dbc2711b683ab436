#!/usr/bin/env bats
# network_ready.bats - containers that follow one another find their network made ahead.

load lib

# Pinned namespaces. The machine's own brig may have some, hidden below this host's /run.
pins() {
	grep -c ' /run/brig/.* nsfs ' /proc/mounts || true
}
pins_are() {
	[[ $(pins) == "$1" ]]
}

setup_file() {
	pins >"$BRIG_TEST_DIR/pins"
}
setup() {
	need_busybox
}

teardown() {
	brig_clean
}

ready() {
	ls "$1/net/pool" 2>/dev/null | grep -cE '^(bridge|none)\.[0-9]+$' || true
}
# The refill comes after the report: a moment later.
ready_is() {
	[[ $(ready "$1") == "$2" ]]
}
traced() {
	brig --trace run --rm "$@" 2>&1
}

@test "in the default run root the third of three finds its network ready" {
	export BRIG_RUN_ROOT=/run/brig
	local network
	for network in bridge none; do
		refute_match "$(traced --network $network "$image" true)" "namespace taken"
		refute_match "$(traced --network $network "$image" true)" "namespace taken"
		wait_until 5 test -e "/run/brig/net/pool/$network.3"
		assert_match "$(traced --network $network "$image" true)" "namespace taken"
	done
	wait_until 5 ready_is /run/brig 8
	# It is as any other.
	assert_run 0 brig run --rm "$image" ip -o -4 address show eth0
	assert_match "$output" "172\.29\.[0-9]+\.[0-9]+/16"
	assert_run 0 brig run --rm "$image" ping -q -c1 -W1 172.29.0.1
	assert_run 0 brig run --rm "$image" cat /etc/hosts
	assert_match "$output" $'172\\.29\\.[0-9]+\\.[0-9]+\t[0-9a-f]{12}'
	assert_run 0 brig run --rm "$image" cat /proc/sys/net/ipv4/ip_unprivileged_port_start
	assert_equal "$output" 0
	assert_run 0 brig run --rm --network none "$image" ip -o link
	refute_match "$output" eth0
	assert_run 0 brig run --rm --network none "$image" ping -q -c1 -W1 127.0.0.1
	assert_run 7 brig run --rm "$image" sh -c 'exit 7'
	# Nothing that was taken stays.
	wait_until 5 sh -c '! ls /run/brig/net/pool | grep -q taken'
}

@test "two that run at once have two addresses, taken or made" {
	export BRIG_RUN_ROOT=/run/brig
	local i ids=
	for i in 1 2 3 4 5 6 7 8; do
		ids+=" $(brig run -d "$image" sleep 60)"
	done
	# shellcheck disable=SC2086
	assert_equal "$(for i in $ids; do brig exec "$i" ip -o -4 address show eth0; done | awk '{print $4}' | sort -u | wc -l)" 8
	# shellcheck disable=SC2086
	brig rm -f $ids >/dev/null
}

@test "they go when they are not wanted any more, and none is made where that is off" {
	export BRIG_RUN_ROOT=/run/brig
	wait_until 5 ready_is /run/brig 8
	touch -d "2 minutes ago" /run/brig/net/pool/asked.{bridge,none}
	brig run --rm "$image" true
	brig run --rm --network none "$image" true
	wait_until 5 ready_is /run/brig 0
	# Each is let go after it was taken out of the pool.
	wait_until 5 pins_are "$(cat "$BRIG_TEST_DIR/pins")"
	printf '[network]\nready = no\n' >"$BRIG_TEST_DIR/brig.conf"
	local i
	for i in 1 2 3; do
		refute_match "$(BRIG_CONFIG=$BRIG_TEST_DIR/brig.conf traced "$image" true)" "namespace taken"
	done
	sleep 0.3
	assert_equal "$(ready /run/brig)" 0
}

@test "a run root of one's own can be deleted" {
	local i
	for i in 1 2 3 4; do
		refute_match "$(traced "$image" true)" "namespace taken"
	done
	sleep 0.3
	assert_nothing_left
	rm -r "$BRIG_RUN_ROOT"
}

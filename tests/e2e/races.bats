#!/usr/bin/env bats
# Two commands at once, one of them held at the moment that matters: neither takes away what the other
# one stands on.
load lib
load containers

setup() {
	need_busybox
}
teardown() {
	brig_clean
}

# hold FILE: takes the lock shared, until let_go.
hold() {
	flock -s "$1" sleep 100 3>&- &
	holder=$!
	wait_until 5 grep -q "FLOCK .*READ.*:$(stat -c %i "$1") " /proc/locks
}
let_go() {
	pkill -P $holder sleep
	wait $holder || true
}
# Whether somebody waits for a lock on the file.
waited_for() {
	grep -q -- "-> FLOCK .*:$(stat -c %i "$1") " /proc/locks
}
# slowly CALL COMMAND …: each such call of brig's takes a second longer; in the background, as $slow.
slowly() {
	local call=$1
	shift
	strace -o /dev/null -e "trace=$call" -e "inject=$call:delay_enter=1000000" "$BRIG" "$@" \
		>"$BATS_TEST_TMPDIR/slow" 2>&1 </dev/null 3>&- &
	slow=$!
}

@test "rmi sees a container that was made while it waited" {
	# The first container of a store, and the one for which its list of containers grows.
	local i
	for i in $(seq 17); do
		hold "$BRIG_ROOT/images/lock"
		"$BRIG" rmi "$image" >"$BATS_TEST_TMPDIR/rmi" 2>&1 3>&- &
		wait_until 5 waited_for "$BRIG_ROOT/images/lock"
		brig create --name "c$i" --network none "$image" true >/dev/null
		let_go
		wait $! && fail "the image went: $(cat "$BATS_TEST_TMPDIR/rmi")"
		grep -q "being used by stopped container" "$BATS_TEST_TMPDIR/rmi" || fail "$(cat "$BATS_TEST_TMPDIR/rmi")"
		assert_run 0 brig start "c$i"
	done
}

@test "rmi sees a container that is just being made" {
	slowly mkdirat create --name half --network none "$image" true
	creating() { ls "$BRIG_ROOT/containers" | grep -qE '^[0-9a-f]{64}$'; }
	wait_until 5 creating
	assert_run 1 brig rmi "$image"
	wait $slow || fail "$(cat "$BATS_TEST_TMPDIR/slow")"
	assert_run 0 brig start -a half
	assert_run 0 brig image inspect "$image"
}

@test "a commit of a running container, which ends and is committed meanwhile, has what it wrote" {
	start_container one sh -c 'echo kept >/kept; exec sleep 1000'
	wait_until 5 brig exec one cat /kept
	slowly mkdirat commit --pause=false one first:1
	# It has read what the container stands on by then, and copies a second later.
	sleep 0.5
	assert_run 0 brig stop -t 0 one
	assert_run 0 brig commit one second:1
	wait $slow || fail "$(cat "$BATS_TEST_TMPDIR/slow")"
	for name in first:1 second:1; do
		assert_run 0 brig run --rm --network none "$name" cat /kept
		assert_equal "$output" kept
	done
	brig rmi -f first:1 second:1 >/dev/null
}

@test "two that choose a storage driver at once choose the same" {
	export BRIG_ROOT=$BRIG_TEST_DIR/chosen
	assert_run 1 brig rmi nothing # makes a store, which has no driver yet
	refute_exists "$BRIG_ROOT/driver"
	slowly renameat --storage-driver copy init "$(fixture busybox)/tree"
	written() { ls -A "$BRIG_ROOT" | grep -q '^\.driver\.'; }
	wait_until 5 written
	assert_run 1 brig --storage-driver overlay init "$(fixture busybox)/tree"
	assert_one_error "was made with the storage driver copy, not overlay"
	wait $slow || fail "$(cat "$BATS_TEST_TMPDIR/slow")"
	assert_equal "$(head -n 1 "$BRIG_ROOT/driver")" copy
}

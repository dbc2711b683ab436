#!/usr/bin/env bats
# What a hostile reader tried: slow and absent readers, odd callers, lax folders, races.
load lib
load containers

setup() {
	skip_without init run rm ps
	need_busybox
}
teardown() {
	brig_clean
}

# --- the monitor and its clients ---------------------------------------------------------

@test "a reader that comes late gets all of the output, whatever lies in which pipe" {
	local size
	for size in 65536 120000 150000 170000 190000 220000 260000; do
		assert_equal "$(brig run --rm --network none "$image" head -c $size /dev/zero |
			{ sleep 0.6; cat; } | wc -c)" $size "lost at the end"
	done
}

@test "a reader that never reads keeps nobody from removing the container" {
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	sleep 1000 <>"$BATS_TEST_TMPDIR/fifo" 3>&- &
	local reader=$!
	"$BRIG" run --name stuck --network none "$image" yes >"$BATS_TEST_TMPDIR/fifo" 2>/dev/null 3>&- &
	local client=$!
	sleep 1
	assert_run 0 timeout 10 "$BRIG" rm -f stuck
	kill -9 $reader $client
	wait $reader $client || true
	wait_until 5 no_monitors
}

@test "a container that writes all the time can be attached to" {
	start_container chatty sh -c 'while :; do echo x; done'
	sleep 0.2
	assert_equal "$(timeout 10 "$BRIG" attach chatty | head -c 100 | wc -c)" 100
	assert_equal "$(status_of chatty)" running
}

@test "the log may meet the caller's limit of file sizes" {
	(ulimit -f 64; brig run -d --name limited --network none "$image" sh -c 'seq 100000; sleep 0.2; exit 4') >/dev/null
	assert_run 0 brig wait limited
	assert_equal "$output" 4
}

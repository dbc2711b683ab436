#!/usr/bin/env bats
# logs: what a container printed, whenever somebody asks.
load lib
load containers

setup() {
	need_busybox
}
teardown() {
	unset BRIG_CONFIG
	brig_clean
}

@test "both streams come back apart and in order" {
	brig run --name talker --network none "$image" sh -c 'echo one; echo two >&2; echo three' >/dev/null 2>&1
	assert_run 0 brig logs talker
	assert_equal "$output" $'one\nthree'
	assert_equal "$errors" two
	assert_equal "$(brig logs talker 2>&1 | sort | tr '\n' ' ')" 'one three two '
	assert_run 1 brig logs nobody
	assert_one_error "No such container: nobody"
}

@test "of a container that printed nothing, or was never started, there is nothing" {
	brig create --name quiet --network none "$image" true >/dev/null
	assert_run 0 brig logs quiet
	assert_equal "$output$errors" ""
	assert_run 0 brig start quiet
	assert_run 0 brig logs quiet
	assert_equal "$output$errors" ""
}

@test "-t puts the time before each line, once" {
	brig run --name timed --network none "$image" sh -c 'echo one; printf two; sleep 0.1; echo " still two"' >/dev/null
	assert_run 0 brig logs -t timed
	assert_match "$output" '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{9}Z one'
	assert_equal "$(wc -l <<<"$output")" 2
	assert_match "$(sed -n 2p <<<"$output")" '^[0-9T:.Z-]+ two still two$'
	local first now
	first=$(date -d "$(sed -n 's/ one//p' <<<"$output")" +%s)
	now=$(date +%s)
	((now - first >= 0 && now - first < 60)) || fail "not now: $first $now"
}

@test "--details is docker's blank before each line, as there are no details" {
	brig run --name plain --network none "$image" sh -c 'echo one; printf two; sleep 0.2; echo ", whole"' >/dev/null
	assert_equal "$(brig logs --details plain)" $' one\n two, whole'
	assert_match "$(brig logs --details -t plain | head -n 1)" '^20[0-9T:.-]+Z  one$'
}

@test "-n and --tail give the last lines" {
	brig run --name lines --network none "$image" seq 10 >/dev/null
	assert_equal "$(brig logs -n 3 lines)" $'8\n9\n10'
	assert_equal "$(brig logs --tail 1 lines)" 10
	assert_silent brig logs --tail=0 lines
	assert_equal "$(brig logs -n all lines | wc -l)" 10
	assert_equal "$(brig logs -n '' lines | wc -l)" 10
	assert_equal "$(brig logs -n 100 lines | wc -l)" 10
	assert_run 1 brig logs -n several lines
	assert_one_error several
}

@test "--since and --until cut by time" {
	brig run --name spaced --network none "$image" sh -c 'echo early; sleep 1.2; echo late' >/dev/null
	local at
	at=$(brig logs -t spaced | sed -n 's/ late//p')
	assert_equal "$(brig logs --since "$at" spaced)" late
	assert_equal "$(brig logs --until "$(brig logs -t spaced | sed -n 's/ early//p')" spaced)" early
	assert_equal "$(brig logs --since 1h spaced)" $'early\nlate'
	assert_silent brig logs --since "$(date -d '+1 hour' +%s)" spaced
	assert_equal "$(brig logs --since "$(date -d '-1 hour' +%Y-%m-%dT%H:%M:%S%:z)" --tail 1 spaced)" late
	assert_run 1 brig logs --since yesterday-ish spaced
	assert_one_error yesterday-ish
}

@test "-f follows to the end of the container, and starts with what was" {
	brig run -d --name followed --network none "$image" sh -c 'for i in 1 2 3 4 5; do echo $i; sleep 0.2; done' >/dev/null
	run_timed assert_run 0 timeout -k 2 20 "$BRIG" logs -f followed
	assert_equal "$output" $'1\n2\n3\n4\n5'
	((elapsed < 10000)) || fail "it took $elapsed ms"
	# Of one that has ended it ends at once.
	assert_run 0 timeout -k 2 5 "$BRIG" logs -f -n 1 followed
	assert_equal "$output" 5
}

@test "-f ends when its reader goes, and the container does not care" {
	brig run -d --name chatty --network none "$image" sh -c 'while :; do echo line; sleep 0.05; done' >/dev/null
	timeout -k 2 15 "$BRIG" logs -f chatty | head -n 3 >/dev/null
	assert_equal "$(status_of chatty)" running
}

@test "lines that come in pieces are seen in pieces with -f" {
	brig run -d --name pieces --network none "$image" sh -c 'printf begun; sleep 100' >/dev/null
	"$BRIG" logs -f pieces >"$BATS_TEST_TMPDIR/out" 3>&- &
	local pid=$!
	sleep 0.3
	brig kill pieces >/dev/null
	timeout 10 tail --pid=$pid -f /dev/null || fail "logs -f did not end"
	assert_equal "$(cat "$BATS_TEST_TMPDIR/out")" begun
	assert_equal "$(brig logs pieces)" begun
}

@test "any bytes come back as they were" {
	head -c 300000 /dev/urandom >"$BATS_TEST_TMPDIR/in"
	"$BRIG" run -i --name binary --network none "$image" cat <"$BATS_TEST_TMPDIR/in" >/dev/null
	"$BRIG" logs binary >"$BATS_TEST_TMPDIR/out"
	cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
	# A record cannot be forged by what looks like one.
	brig run --name forger --network none "$image" echo '{"log":"x\n","stream":"stderr","time":"2020-01-01T00:00:00.000000000Z"}' >/dev/null
	assert_run 0 brig logs forger
	assert_equal "$output" '{"log":"x\n","stream":"stderr","time":"2020-01-01T00:00:00.000000000Z"}'
	assert_equal "$errors" ""
	# A line without an end, longer than any buffer.
	head -c 100000 /dev/zero | tr '\0' x >"$BATS_TEST_TMPDIR/long"
	"$BRIG" run -i --name long --network none "$image" cat <"$BATS_TEST_TMPDIR/long" >/dev/null
	"$BRIG" logs long >"$BATS_TEST_TMPDIR/out"
	cmp "$BATS_TEST_TMPDIR/long" "$BATS_TEST_TMPDIR/out"
	assert_equal "$("$BRIG" logs -t long | grep -o Z | wc -l)" 1
}

@test "the log is rotated: no more than the configured files of the configured size" {
	printf '[log]\nmax_size = 64k\nmax_file = 3\n' >"$BATS_TEST_TMPDIR/conf"
	export BRIG_CONFIG=$BATS_TEST_TMPDIR/conf
	brig run --name rotated --network none "$image" seq 20000 >/dev/null
	local dir=$BRIG_ROOT/containers/$(id_of rotated) total
	assert_equal "$(find "$dir" -name 'log*' -type f | wc -l)" 3
	total=$(find "$dir" -name 'log*' -type f -printf '%s\n' | awk '{ s += $1 } END { print s }')
	((total > 128 << 10 && total < 400 << 10)) || fail "all files together are $total bytes"
	# The newest lines are there, without a gap, and in order.
	brig logs rotated >"$BATS_TEST_TMPDIR/out"
	assert_equal "$(tail -n 1 "$BATS_TEST_TMPDIR/out")" 20000
	seq "$(head -n 1 "$BATS_TEST_TMPDIR/out")" 20000 | cmp - "$BATS_TEST_TMPDIR/out"
	assert_equal "$(brig logs -n 2 rotated)" $'19999\n20000'
	local count
	count=$(wc -l <"$BATS_TEST_TMPDIR/out")
	assert_equal "$(brig logs -n $((count - 5)) rotated | head -n 1)" "$(sed -n 6p "$BATS_TEST_TMPDIR/out")"
	# Files are root's alone.
	assert_equal "$(find "$dir" -name 'log*' -type f -perm /027 | wc -l)" 0
}

@test "-f goes on across rotations and loses nothing" {
	printf '[log]\nmax_size = 256k\nmax_file = 4\n' >"$BATS_TEST_TMPDIR/conf"
	export BRIG_CONFIG=$BATS_TEST_TMPDIR/conf
	brig run -d --name rolling --network none "$image" sh -c 'i=0; while [ $i -lt 60 ]; do seq $((i * 100 + 1)) $((i * 100 + 100)); i=$((i + 1)); sleep 0.02; done' >/dev/null
	timeout -k 2 60 "$BRIG" logs -f rolling >"$BATS_TEST_TMPDIR/out"
	seq 6000 | cmp - "$BATS_TEST_TMPDIR/out"
}

@test "a container that is started again adds to its log" {
	brig run --name again --network none "$image" echo once >/dev/null
	brig start -a again >/dev/null
	assert_equal "$(brig logs again)" $'once\nonce'
}

@test "a log that was damaged or is a link is no way out" {
	brig run --name damaged --network none "$image" seq 3 >/dev/null
	local dir=$BRIG_ROOT/containers/$(id_of damaged)
	sed -i '2s/.*/{"log":"broken/' "$dir/log.json"
	assert_run 0 brig logs damaged
	assert_equal "$output" $'1\n3'
	ln -sf /etc/passwd "$dir/log.json"
	assert_run 1 brig logs damaged
	assert_one_error
}

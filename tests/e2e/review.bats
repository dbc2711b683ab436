#!/usr/bin/env bats
# What a hostile reader tried: slow and absent readers, odd callers, lax folders, races.
load lib
load containers

setup() {
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
	wait_until 5 sh -c "'$BRIG' inspect -f '{{.State.Status}}' stuck | grep -q running"
	sleep 1
	assert_run 0 timeout 10 "$BRIG" rm -f stuck
	assert_equal "$output" stuck
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

# --- odd callers -------------------------------------------------------------------------

@test "a caller that ignores the end of its children still gets the status" {
	assert_run 7 env --ignore-signal=CHLD "$BRIG" run --rm --network none "$image" sh -c 'exit 7'
	start_container callee sleep 100
	assert_run 7 env --ignore-signal=CHLD "$BRIG" exec callee sh -c 'exit 7'
}

@test "the caller's umask is not the container's business" {
	umask 077
	assert_run 0 brig run --rm --network none -u 1000 "$image" cat /etc/hosts /etc/resolv.conf /etc/hostname
	assert_match "$output" localhost
	assert_run 0 brig run --rm --network none -u 1000 -w /made/here "$image" ls / /made/here /dev/pts
	assert_match "$output" ptmx
	umask 000
	brig run -d --name open --network none "$image" sleep 100
	assert_equal "$(status_of open)" running
	assert_equal "$(find "$BRIG_ROOT" "$BRIG_RUN_ROOT" -maxdepth 2 -perm /022 ! -type l)" ""
}

@test "options that name a descriptor find it" {
	assert_equal "$(brig run --rm --network none --env-file <(echo A=b) "$image" sh -c 'echo $A')" b
}

@test "a user who is not root opens the standard streams by name" {
	assert_run 0 brig run --rm --network none -u 1000 "$image" sh -c 'echo out >/dev/stdout; echo err >/dev/stderr'
	assert_equal "$output/$errors" "out/err"
	start_container named sleep 100
	assert_run 0 brig exec -u 1000 named sh -c 'echo out >/dev/stdout; echo err >/dev/stderr'
	assert_equal "$output/$errors" "out/err"
	assert_equal "$(brig run --rm --network none -u 1000 "$image" stat -c %u /dev/null)" 0
}

# --- folders that are there already ------------------------------------------------------

@test "the run root is closed to others, or refused" {
	local run=$BATS_TEST_TMPDIR/run
	mkdir "$run"
	chmod 777 "$run"
	assert_run 0 brig --run-root "$run" run --rm --network none "$image" true
	assert_equal "$(stat -c %a "$run")" 700
	# Ours, and opened by a mistake that let nobody write.
	chmod 755 "$run"
	assert_run 0 brig --run-root "$run" run --rm --network none "$image" true
	assert_equal "$(stat -c %a "$run")" 700
	# Somebody else may have put things into it.
	chmod 777 "$run"
	assert_run 125 brig --run-root "$run" run --rm --network none "$image" true
	assert_match "$errors" "open to other users"
	# Other people's folder, and one of other things.
	chmod 755 "$run"
	chown 1000 "$run"
	assert_run 125 brig --run-root "$run" run --rm --network none "$image" true
	assert_match "$errors" "belongs to another user"
	mkdir -m 755 "$run.b" "$run.b/other"
	assert_run 125 brig --run-root "$run.b" run --rm --network none "$image" true
	assert_equal "$(stat -c %a "$run.b")" 755
}

@test "a folder that is no data root keeps its mode" {
	mkdir -m 1777 "$BATS_TEST_TMPDIR/tmp"
	touch "$BATS_TEST_TMPDIR/tmp/file"
	assert_run 125 brig --root "$BATS_TEST_TMPDIR/tmp" run --rm "$image" true
	assert_equal "$(stat -c %a "$BATS_TEST_TMPDIR/tmp")" 1777
}

# --- rights and limits -------------------------------------------------------------------

# caps NAME: one set of /proc/self/status in $output.
caps() {
	sed -n "s/^$1:[[:blank:]]*0*//p" <<<"$output"
}

@test "a user who is not root gets the capabilities that were added, and no others" {
	assert_run 0 brig run --rm --network none -u 1000 --cap-add NET_ADMIN --cap-add CHOWN "$image" cat /proc/self/status
	assert_equal "$(caps CapEff)" 1001
	assert_equal "$(caps CapAmb)" 1001
	assert_run 0 brig run --rm --network none -u 1000 "$image" cat /proc/self/status
	assert_equal "$(caps CapEff)$(caps CapPrm)$(caps CapInh)$(caps CapAmb)" ""
	start_container plain sleep 100
	assert_run 0 brig exec -u 1000 plain cat /proc/self/status
	assert_equal "$(caps CapEff)$(caps CapPrm)$(caps CapInh)$(caps CapAmb)" ""
}

@test "limits and options at the end of their range are refused or taken, never cut" {
	assert_run 0 brig run --rm --network none -m 8000000000g "$image" true
	assert_run 125 brig run --rm --network none --tmpfs "/x:size=$(printf '1%.0s' {1..600})" "$image" true
	assert_run 125 brig run --rm --network none --tmpfs "/x:size=1$(printf ',nr_inodes=100%.0s' {1..60})" "$image" true
}

# --- two at once -------------------------------------------------------------------------

@test "a container that many start at once runs once" {
	local i pids=()
	brig create --name once --network none "$image" sh -c 'echo run; sleep 1' >/dev/null
	for i in 1 2 3 4 5; do
		timeout 20 "$BRIG" start once >/dev/null 3>&- &
		pids+=($!)
	done
	wait "${pids[@]}"
	assert_run 0 timeout 10 "$BRIG" wait once
	sleep 0.5
	assert_equal "$(brig logs once)" run
	assert_equal "$(status_of once)" exited
}

@test "rm and start at once: one of them wins, and rm never waits for the container's end" {
	local i
	for i in $(seq 15); do
		brig create --name race --network none "$image" sleep 30 >/dev/null
		timeout 10 "$BRIG" start race >/dev/null 2>&1 3>&- &
		local starter=$!
		timeout 10 "$BRIG" rm race >/dev/null 2>&1 || [[ $? != 124 ]] || fail "rm waited"
		wait $starter || true
		brig rm -f race >/dev/null
		assert_run 1 brig inspect race
	done
}

@test "--init sees the end of a command that ends at once" {
	local i
	for i in $(seq 40); do
		assert_run 3 timeout 10 "$BRIG" run --rm --init --network none "$image" sh -c 'exit 3'
	done
}

@test "logs and logs -f see every line, however often the file is rotated under them" {
	local i
	printf '[log]\nmax_size = 4k\nmax_file = 2000\n' >"$BATS_TEST_TMPDIR/conf"
	"$BRIG" --config "$BATS_TEST_TMPDIR/conf" run -d --name rotating --network none "$image" \
		sh -c 'for i in $(seq 40); do seq 200; done; sleep 1' >/dev/null
	timeout 20 "$BRIG" logs -f rotating >"$BATS_TEST_TMPDIR/followed"
	assert_equal "$(wc -l <"$BATS_TEST_TMPDIR/followed")" 8000
	cmp "$BATS_TEST_TMPDIR/followed" <(for i in $(seq 40); do seq 200; done)
	assert_equal "$(brig logs rotating | wc -l)" 8000
}

@test "the limits of the caller's shell are not the container's" {
	# A sanitised program cannot start with little address space.
	local space='-v 4000000'
	! ldd "$BRIG" 2>/dev/null | grep -q libasan || space=
	assert_run 0 bash -c "ulimit -S -f 1000 $space -t 100 -s 1024"'; exec "$@"' bash \
		"$BRIG" run --rm --network none "$image" sh -c 'ulimit -f; ulimit -v; ulimit -t; ulimit -s'
	assert_equal "$output" $'unlimited\nunlimited\nunlimited\n8192'
}

@test "a working folder that leads through our descriptors makes nothing on the host" {
	local n
	for n in $(seq 3 30); do
		brig run --rm --network none -w "/proc/self/fd/$n/leaked/deep" "$image" true 2>/dev/null || true
		assert_run 125 brig run --rm --network none -w "/proc/self/fd/$n" "$image" true
	done
	assert_equal "$(find "$BRIG_TEST_DIR" -name leaked)" ""
	start_container inside sleep 100
	for n in $(seq 3 20); do
		status=0
		brig exec -w "/proc/self/fd/$n" inside true 2>"$BATS_TEST_TMPDIR/why" || status=$?
		[[ $status == 126 || $status == 127 ]] || fail "ended with $status: fd/$n"
		assert_match "$(cat "$BATS_TEST_TMPDIR/why")" "cannot enter the working directory"
	done
	assert_equal "$(brig run --rm --network none -w /made//by/./us "$image" pwd)" /made/by/us
	tree_copy links
	ln -sfn /tmp/there "$tree/abs"
	mkdir -p "$tree/tmp/there"
	image_of "$tree"
	assert_equal "$(brig run --rm --network none -w /abs/below "$image" pwd)" /tmp/there/below
}

@test "groups are added or refused, and ids that are none are refused" {
	local i options=()
	for i in $(seq 2001 2064); do options+=(--group-add "$i"); done
	assert_run 0 brig run --rm --network none "${options[@]}" "$image" id -G
	assert_match " $output " " 2064 "
	assert_run 125 brig run --rm --network none "${options[@]}" --group-add 9 "$image" id -G
	for i in 4294967295 4294967296 -1 99999999999999999999 " 1" "1 " nosuch 0:4294967295 :nosuch; do
		assert_run 125 brig run --rm --network none -u "$i" "$image" true
		assert_one_error
	done
}

@test "a client killed at any moment leaves nothing for ever" {
	local i client
	for i in 0 1 2 3 4 5 6 8 10; do
		"$BRIG" run --rm --network none "$image" true >/dev/null 2>&1 3>&- &
		client=$!
		sleep "0.0$i"
		{ kill -9 $client; wait $client; } 2>/dev/null || true
	done
	wait_until 5 no_monitors
	assert_run 0 brig run --rm --network none "$image" echo works
	assert_equal "$output" works
	assert_no_trace
}

@test "many may wait for one container, and all are told its status" {
	local i pids=()
	brig run -d --rm --name awaited --network none "$image" sh -c 'sleep 1.5; exit 5' >/dev/null
	for i in $(seq 24); do
		timeout 20 "$BRIG" wait awaited >"$BATS_TEST_TMPDIR/told.$i" 3>&- &
		pids+=($!)
	done
	wait "${pids[@]}"
	assert_equal "$(sort "$BATS_TEST_TMPDIR"/told.* | uniq -c | xargs)" "24 5"
}

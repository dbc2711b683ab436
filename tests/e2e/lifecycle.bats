#!/usr/bin/env bats
# The life of a container: create, start, stop, kill, wait, rm, ps; and what is told when
# its monitor was killed, the host rebooted, or many of them live at once.
load lib
load containers

setup() {
	need_busybox
}
teardown() {
	umount /proc/sys/kernel/random/boot_id 2>/dev/null || true
	brig_clean
}

trap_on() { # SIGNAL STATUS: a script that says ready and ends so
	echo "trap 'echo got $1; exit $2' $1; echo ready; while :; do sleep 0.05; done"
}
log_has() {
	"$BRIG" logs "$1" 2>&1 | grep -q -- "$2"
}
monitor_of() {
	ps -o ppid= -p "$(pid_of "$1")" | tr -d ' '
}
# Kills the monitor of a container, as the kernel short of memory does.
kill_monitor() {
	local monitor
	monitor=$(monitor_of "$1")
	assert_equal "$(cat "/proc/$monitor/comm")" brig
	kill -KILL "$monitor"
	wait_until 5 sh -c "! kill -0 $monitor"
}

# --- create and start --------------------------------------------------------------------

@test "create makes, start runs, each once more keeps the files" {
	assert_run 0 brig create --name job "$image" sh -c 'echo run >>/count; cat /count; exit 4'
	assert_match "$output" '^[0-9a-f]{64}$'
	assert_equal "$(status_of job)" created
	assert_run 0 brig ps -a --format '{{.Status}}'
	assert_equal "$output" Created
	assert_run 0 brig start job
	assert_equal "$output" job
	assert_equal "$(brig wait job)" 4
	assert_run 4 brig start -a job
	assert_equal "$output" $'run\nrun'
	assert_run 4 brig start --attach job
	assert_equal "$output" $'run\nrun\nrun'
	assert_equal "$(brig inspect -f '{{.State.Status}} {{.State.ExitCode}}' job)" 'exited 4'
}

@test "start -ai gives the command our input, and its streams and status come back" {
	assert_run 0 brig create -i --name cat "$image" sh -c 'cat; echo err >&2; exit 3'
	local status=0
	output=$(printf 'line' | "$BRIG" start -ai cat 2>"$BATS_TEST_TMPDIR/err") || status=$?
	assert_equal "$status" 3
	assert_equal "$output" line
	assert_equal "$(cat "$BATS_TEST_TMPDIR/err")" err
	# And again.
	output=$(printf 'second' | "$BRIG" start -ai cat 2>/dev/null) || true
	assert_equal "$output" second
}

@test "start of one that runs is no error; of one that is not there it is" {
	start_container up sleep 100
	local pid
	pid=$(pid_of up)
	assert_run 0 brig start up
	assert_equal "$(pid_of up)" "$pid"
	assert_run 1 brig start missing
	assert_one_error "No such container: missing"
	assert_run 1 brig start missing up
	assert_equal "$output" up
}

@test "a container is found by name, whole id and unique prefix" {
	start_container one sleep 100
	local id
	id=$(id_of one)
	assert_equal "$(id_of "$id")" "$id"
	assert_equal "$(id_of "${id:0:12}")" "$id"
	assert_equal "$(id_of "${id:0:6}")" "$id"
	assert_run 1 brig stop "${id:0:6}zz"
	assert_one_error "No such container"
	assert_run 0 brig rm -f "${id:0:8}"
	assert_equal "$output" "${id:0:8}"
}

# --- ps ----------------------------------------------------------------------------------

@test "ps tells what runs, -a what has ended, -q only ids" {
	start_container runs sleep 100
	brig run --name ended --network none "$image" sh -c 'exit 3' || true
	assert_run 0 brig ps
	assert_match "$(sed -n 1p <<<"$output")" '^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES$'
	assert_match "$output" "$(id_of runs | cut -c1-12) +$image +\"sleep 100\" +(Less than a second|[0-9]+ seconds?) ago +Up (Less than a second|[0-9]+ seconds?) +runs"
	refute_match "$output" ended
	assert_run 0 brig ps -a
	assert_match "$output" 'Exited \(3\) (Less than a second|[0-9]+ seconds?) ago +ended'
	assert_run 0 brig ps -q
	assert_equal "$output" "$(id_of runs | cut -c1-12)"
	assert_run 0 brig ps -aq --no-trunc
	assert_equal "$(sort <<<"$output")" "$( (id_of runs; id_of ended) | sort)"
	# The newest first.
	assert_run 0 brig ps -a --format '{{.Names}}'
	assert_equal "$output" $'ended\nruns'
	assert_run 0 brig ps -l --format '{{.Names}}'
	assert_equal "$output" ended
	assert_run 0 brig ps -n 2 --format '{{.Names}} {{.State}}'
	assert_equal "$output" $'ended exited\nruns running'
	assert_run 0 brig ps --format 'table {{.Names}}\t{{.Command}}'
	assert_match "$output" $'^NAMES +COMMAND\nruns +"sleep 100"$'
}

@test "ps with nothing is a line of headings, and nothing at all with -q" {
	assert_run 0 brig ps -a
	assert_match "$output" '^CONTAINER ID[^'$'\n'']*$'
	assert_run 0 brig ps -aq
	assert_equal "$output" ""
}

@test "a command that holds control characters does not reach the terminal as such" {
	brig run --name evil --network none "$image" sh -c $'true \e]0;owned\a' || true
	assert_run 0 brig ps -a --no-trunc
	refute_match "$output" $'\e'
	assert_match "$output" 'true .x1b\]0;owned'
}

# --- stop, kill, wait --------------------------------------------------------------------

@test "stop asks first" {
	start_container polite sh -c "$(trap_on TERM 7)"
	wait_until 10 log_has polite ready
	run_timed assert_run 0 brig stop polite
	assert_equal "$output" polite
	((elapsed < 3000)) || fail "it took $elapsed ms"
	assert_equal "$(brig inspect -f '{{.State.Status}} {{.State.ExitCode}}' polite)" 'exited 7'
	# What is stopped can be stopped.
	assert_run 0 brig stop polite
	assert_equal "$output" polite
	assert_run 1 brig stop nobody
	assert_one_error "No such container: nobody"
}

@test "stop -t kills what does not listen" {
	start_container deaf sh -c 'trap "" TERM; echo ready; while :; do sleep 0.05; done'
	wait_until 10 log_has deaf ready
	run_timed assert_run 0 brig stop -t 1 deaf
	((elapsed >= 900 && elapsed < 5000)) || fail "it took $elapsed ms"
	assert_equal "$(brig inspect -f '{{.State.ExitCode}}' deaf)" 137
	brig start deaf >/dev/null
	run_timed assert_run 0 brig stop --time 0 deaf
	((elapsed < 1500)) || fail "it took $elapsed ms"
}

@test "--stop-timeout and --stop-signal hold for stop" {
	brig run -d --network none --name own --stop-timeout 0 "$image" sh -c 'trap "" TERM; echo ready; while :; do sleep 0.05; done' >/dev/null
	wait_until 10 log_has own ready
	run_timed assert_run 0 brig stop own
	((elapsed < 5000)) || fail "--stop-timeout 0: it took $elapsed ms"
	brig run -d --network none --name sig --stop-signal USR2 "$image" sh -c "$(trap_on USR2 8)" >/dev/null
	wait_until 10 log_has sig ready
	assert_run 0 brig stop sig
	assert_equal "$(brig wait sig)" 8
	brig run -d --network none --name other "$image" sh -c "$(trap_on HUP 9)" >/dev/null
	wait_until 10 log_has other ready
	assert_run 0 brig stop -s HUP other
	assert_equal "$(brig wait other)" 9
	assert_run 125 brig run --rm --stop-signal NOSUCH "$image" true
	assert_one_error NOSUCH
}

@test "kill is SIGKILL, or what -s says" {
	start_container victim sleep 100
	assert_run 0 brig kill victim
	assert_equal "$output" victim
	assert_equal "$(brig wait victim)" 137
	assert_run 1 brig kill victim
	assert_one_error "is not running"
	local name number=20
	for name in USR1 SIGUSR1 usr1 10; do
		number=$((number + 1))
		start_container "by-$name" sh -c "$(trap_on USR1 $number)"
		wait_until 10 log_has "by-$name" ready
		assert_run 0 brig kill -s "$name" "by-$name"
		assert_equal "$(brig wait "by-$name")" "$number"
	done
	start_container alive sleep 100
	for name in NOSUCH 0 65 -1 SIG; do
		assert_run 1 brig kill -s "$name" alive
		assert_one_error "signal"
	done
	assert_equal "$(status_of alive)" running
	# As docker: nothing is the default.
	assert_run 0 brig kill -s '' alive
	assert_equal "$(brig wait alive)" 137
}

@test "wait blocks until the end and prints the status" {
	start_container job sh -c 'sleep 0.5; exit 5'
	run_timed assert_run 0 brig wait job
	assert_equal "$output" 5
	((elapsed > 200)) || fail "it did not wait: $elapsed ms"
	assert_run 0 brig wait job
	assert_equal "$output" 5
	brig run --name done --network none "$image" sh -c 'exit 6' || true
	assert_run 0 brig wait job done
	assert_equal "$output" $'5\n6'
	assert_run 1 brig wait nobody
	assert_one_error "No such container: nobody"
}

@test "wait sees the end of a --rm container" {
	brig run -d --rm --network none --name gone "$image" sh -c 'sleep 0.5; exit 9' >/dev/null
	assert_run 0 brig wait gone
	assert_equal "$output" 9
	assert_no_trace
}

# --- rm ----------------------------------------------------------------------------------

@test "rm refuses what runs, -f kills it" {
	start_container busy sleep 100
	local id pid
	id=$(id_of busy) pid=$(pid_of busy)
	assert_run 1 brig rm busy
	assert_one_error 'cannot remove container "busy": container is running'
	assert_equal "$(pid_of busy)" "$pid"
	assert_run 0 brig rm -f busy
	assert_equal "$output" busy
	! kill -0 "$pid" 2>/dev/null
	assert_no_trace "$id"
}

@test "rm of several goes on past the one that is not there" {
	brig run --name one --network none "$image" true
	brig run --name two --network none "$image" true
	assert_run 1 brig rm one missing two
	assert_equal "$output" $'one\ntwo'
	assert_match "$errors" '^brig: No such container: missing$'
	assert_no_trace
	assert_run 0 brig rm -f missing
	assert_match "$errors" 'No such container: missing'
}

@test "a container that is removed while it is waited for and followed" {
	start_container seen sh -c 'echo line; sleep 100'
	wait_until 10 log_has seen line
	"$BRIG" logs -f seen >"$BATS_TEST_TMPDIR/log" 3>&- &
	local follower=$!
	"$BRIG" wait seen >"$BATS_TEST_TMPDIR/wait" 3>&- &
	local waiter=$!
	sleep 0.2
	assert_run 0 brig rm -f seen
	local status=0
	timeout 10 tail --pid=$follower -f /dev/null || fail "logs -f did not end"
	timeout 10 tail --pid=$waiter -f /dev/null || fail "wait did not end"
	wait $waiter || status=$?
	assert_equal "$(cat "$BATS_TEST_TMPDIR/log")" line
	assert_equal "$(cat "$BATS_TEST_TMPDIR/wait")" 137
}

# --- the monitor is killed ---------------------------------------------------------------

@test "the monitor killed: ps tells the truth, exec works, stop and rm work" {
	start_container orphan sh -c "echo before; $(trap_on TERM 0)"
	wait_until 10 log_has orphan ready
	local id pid
	id=$(id_of orphan) pid=$(pid_of orphan)
	kill_monitor orphan
	kill -0 "$pid"
	assert_run 0 brig ps --format '{{.Names}} {{.State}} {{.Status}}'
	assert_match "$output" '^orphan running Up .*unattended'
	assert_run 0 brig exec orphan echo inside
	assert_equal "$output" inside
	assert_run 0 brig logs orphan
	assert_match "$output" before
	assert_run 1 brig attach orphan
	assert_one_error "monitor was killed"
	assert_run 1 brig rm orphan
	assert_one_error "is running"
	run_timed assert_run 0 brig stop orphan
	((elapsed < 5000)) || fail "it took $elapsed ms"
	assert_run 0 brig ps -a --format '{{.Names}} {{.Status}}'
	assert_match "$output" '^orphan Exited \(255\)'
	assert_run 0 brig wait orphan
	assert_equal "$output" 255
	# It can be started again, and has its files.
	assert_run 0 brig start orphan
	wait_until 10 sh -c "[ \$('$BRIG' logs orphan | grep -c ready) = 2 ]"
	assert_run 0 brig rm -f orphan
	assert_no_trace "$id"
}

@test "the monitor killed, then the container: kill, rm -f and wait still end" {
	local id
	start_container aa sleep 100
	start_container bb sleep 100
	start_container cc sleep 100
	id=$(id_of aa)
	kill_monitor aa
	kill_monitor bb
	kill_monitor cc
	assert_run 0 brig kill aa
	wait_until 5 sh -c "'$BRIG' ps -a --format '{{.Names}} {{.Status}}' | grep -q '^aa Exited (255)'"
	assert_run 0 brig rm -f bb
	"$BRIG" wait cc >"$BATS_TEST_TMPDIR/wait" 3>&- &
	local waiter=$!
	sleep 0.2
	kill -KILL "$(pid_of cc)"
	timeout 10 tail --pid=$waiter -f /dev/null || fail "wait did not end"
	assert_equal "$(cat "$BATS_TEST_TMPDIR/wait")" 255
	assert_run 0 brig rm aa cc
	assert_no_trace "$id"
}

@test "a --rm container whose monitor was killed is swept once it has ended" {
	brig run -d --rm --network none --name swept "$image" sleep 100 >/dev/null
	local id pid
	id=$(id_of swept) pid=$(pid_of swept)
	kill_monitor swept
	assert_run 0 brig ps --format '{{.Names}}'
	assert_equal "$output" swept
	kill -KILL "$pid"
	wait_until 5 sh -c "! kill -0 $pid"
	assert_run 0 brig ps -a
	refute_match "$output" swept
	# The next one that is made sweeps; the name is free.
	assert_run 0 brig run --rm --name swept --network none "$image" true
	assert_no_trace "$id"
}

@test "monitor and container killed at once: Exited (255), and start brings it back" {
	brig run -d --name both "$image" sleep 100 >/dev/null
	local id pid
	id=$(id_of both) pid=$(pid_of both)
	kill -KILL "$(monitor_of both)" "$pid"
	wait_until 5 sh -c "! kill -0 $pid"
	assert_run 0 brig ps -a --format '{{.Names}} {{.State}} {{.Status}}'
	assert_match "$output" '^both exited Exited \(255\)'
	assert_run 0 brig start both
	assert_equal "$(status_of both)" running
	assert_run 0 brig exec both true
	assert_run 0 brig rm -f both
	assert_no_trace "$id"
}

@test "the engine killed at many points of run leaves nothing that the next one does not mend" {
	local delay i
	for i in $(seq 30); do
		delay=$(awk -v i="$i" 'BEGIN { printf "%.4f", i * 0.0007 }')
		bash -c 'timeout -s KILL "$@"; true' - "$delay" "$BRIG" run --rm --network none --name "k$i" "$image" true >/dev/null 2>&1
	done
	wait_until 10 no_monitors
	assert_run 0 brig run --rm --network none "$image" echo works
	assert_equal "$output" works
	# Whoever of them was left behind runs or is over, and can be removed.
	brig_clean
	assert_run 0 brig run --rm --network none "$image" echo works
	assert_equal "$output" works
	assert_no_trace
}

# --- a reboot ----------------------------------------------------------------------------

@test "after a reboot what ran is Exited (255), and a stranger with its pid is let be" {
	start_container before sh -c 'sleep 100'
	brig run -d --rm --network none --name ephemeral "$image" sleep 100 >/dev/null
	local pid other
	pid=$(pid_of before) other=$(pid_of ephemeral)
	kill_monitor before
	kill_monitor ephemeral
	# The processes live on, as strangers would that got their pids in the next life.
	uuidgen >"$BATS_TEST_TMPDIR/boot" 2>/dev/null || echo 01234567-89ab-cdef-0123-456789abcdef >"$BATS_TEST_TMPDIR/boot"
	mount --bind "$BATS_TEST_TMPDIR/boot" /proc/sys/kernel/random/boot_id
	assert_run 0 brig ps -a --format '{{.Names}} {{.Status}}'
	assert_match "$output" '^before Exited \(255\)'
	refute_match "$output" ephemeral
	assert_run 0 brig ps
	refute_match "$output" before
	assert_run 1 brig exec before true
	assert_one_error "is not running"
	assert_run 1 brig kill before
	assert_one_error "is not running"
	assert_run 0 brig stop before
	kill -0 "$pid"
	assert_run 0 brig rm before
	kill -0 "$pid"
	assert_run 0 brig run --rm --name ephemeral --network none "$image" true
	kill -0 "$other"
	kill -KILL "$pid" "$other"
	assert_no_trace
}

# --- many at once ------------------------------------------------------------------------

@test "fifty pairs at once: none is lost, nothing is left" {
	local i pids=() others=() bad=0 dir=$BATS_TEST_TMPDIR
	for i in $(seq 50); do
		"$BRIG" run --rm "$image" sh -c "echo $i; exit $((i % 100))" >"$dir/f$i" 2>"$dir/e$i" 3>&- &
		pids[i]=$!
		"$BRIG" run -d --name "d$i" "$image" sh -c "echo $i; exit $((i % 100))" >"$dir/d$i" 2>>"$dir/b$i" 3>&- &
		others+=($!)
		((i % 10)) || wait_until 60 sh -c "[ \$(pgrep -cx brig) -lt 20 ]"
	done
	for i in $(seq 50); do
		local status=0
		wait "${pids[i]}" || status=$?
		[[ $status == "$((i % 100))" && $(cat "$dir/f$i") == "$i" && ! -s $dir/e$i ]] || {
			bad=1
			echo "foreground $i: $status $(cat "$dir/f$i" "$dir/e$i")"
		}
	done
	wait "${others[@]}"
	for i in $(seq 50); do
		[[ $(brig wait "d$i") == "$((i % 100))" && $(brig logs "d$i") == "$i" ]] || {
			bad=1
			echo "background $i: $(cat "$dir/d$i" "$dir/b$i")"
		}
	done
	assert_equal "$bad" 0
	assert_equal "$(brig ps -aq | wc -l)" 50
	# shellcheck disable=SC2046
	assert_run 0 brig rm $(brig ps -aq)
	assert_no_trace
}

@test "start, stop, kill and rm of one container from many sides at once" {
	local round i pids verb
	for round in 1 2 3; do
		brig create --name fought --network none "$image" sleep 100 >/dev/null
		assert_equal "$(status_of fought)" created
		pids=()
		for i in 1 2 3 4 5; do
			for verb in start 'stop -t 0' kill; do
				# shellcheck disable=SC2086
				"$BRIG" $verb fought >/dev/null 2>&1 3>&- &
				pids+=($!)
			done
			"$BRIG" exec fought true >/dev/null 2>&1 3>&- &
			pids+=($!)
		done
		for i in 1 2 3; do
			sleep 0.02
			"$BRIG" rm -f fought >/dev/null 2>&1 3>&- &
			pids+=($!)
		done
		for i in "${pids[@]}"; do wait "$i" || true; done
		brig rm -f fought >/dev/null 2>&1 || true
		assert_no_trace
	done
}

@test "a monitor that waits keeps next to nothing in memory, and wakes" {
	brig run -d --name quiet --network none "$image" sh -c 'sleep 6; echo late; sleep 100' >/dev/null
	local monitor pss
	monitor=$(monitor_of quiet)
	pss() { awk '/^Pss:/ { print $2 }' "/proc/$monitor/smaps_rollup"; }
	small() { (($(pss) <= 100)); }
	# What a sanitised program holds besides is not brig's.
	if ! ldd "$BRIG" 2>/dev/null | grep -q libasan; then wait_until 5 small; fi
	logged() { [[ $(brig logs quiet) == late ]]; }
	wait_until 10 logged
	# It has been awake, and goes back to sleep.
	if ! ldd "$BRIG" 2>/dev/null | grep -q libasan; then wait_until 5 small; fi
	assert_equal "$(brig exec quiet echo alive)" alive
	brig rm -f quiet >/dev/null
	assert_no_trace
}

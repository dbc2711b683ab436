#!/usr/bin/env bats
# -t: a terminal of the container's own, joined with the user's.
load lib
load containers

setup() {
	need_busybox
}
teardown() {
	brig_clean
}

# at_terminal STEP … -- COMMAND …: $output is what was shown, $errors the driver's report.
at_terminal() {
	assert_run 0 "$BRIG_TEST_TOP/tests/tools/terminal.py" "$@"
	output=${output//$'\r'/}
}

@test "-t is a real terminal, the session's own, with echo and its size" {
	at_terminal --size 33x111 'expect:ready' 'send:typed\n' 'expect:got typed' -- \
		"$BRIG" run --rm -it "$image" sh -c 'tty; stty size; echo $TERM; stty -a | grep -o "[-]*echo\b" | head -n 1; ps -o pid,tty,args; echo ready; read line; echo got $line; exit 6'
	assert_match "$output" '/dev/pts/0'
	assert_match "$output" $'(^|\n)33 111(\n|$)'
	assert_match "$output" $'(^|\n)xterm(\n|$)'
	assert_match "$output" $'(^|\n)echo(\n|$)'
	# The container's terminal echoed what was typed, ours did not as well.
	assert_equal "$(grep -c '^typed' <<<"$output")" 1 "$output"
	assert_match "$errors" 'status 6'
	assert_match "$errors" $'\nrestored'
}

@test "stdout and stderr are both the terminal; /dev/console is it; root owns it, or the user" {
	at_terminal -- "$BRIG" run --rm -it "$image" sh -c 'test -t 0 && test -t 1 && test -t 2 && echo all; stat -c %t:%T /dev/console $(tty); stat -c "%U:%G %a" $(tty); echo x >/dev/tty; echo y >/dev/console'
	assert_match "$output" all
	assert_match "$output" $'\nx\ny'
	assert_match "$output" 'root:UNKNOWN 620'
	at_terminal -- "$BRIG" run --rm -it -u user "$image" sh -c 'stat -c "%U %a" $(tty); echo x >/dev/tty'
	assert_match "$output" $'user 620\nx'
}

@test "the window's size follows the user's" {
	at_terminal --size 20x70 'expect:ready' 'size:41x123' 'expect:41 123' 'send:q' -- \
		"$BRIG" run --rm -it "$image" sh -c 'trap "stty size" WINCH; stty size; echo ready; while ! read -t 1 -n 1 c; do :; done'
	assert_match "$output" '20 70'
	assert_match "$output" '41 123'
	assert_match "$errors" $'\nrestored'
}

@test "keys that make signals are the container's" {
	at_terminal 'expect:ready' 'send:\x03' 'expect:interrupted' -- \
		"$BRIG" run --rm -it "$image" sh -c 'trap "echo interrupted; exit 4" INT; echo ready; while :; do sleep 0.05; done'
	assert_match "$errors" 'status 4'
	at_terminal 'expect:ready' 'send:\x04' -- "$BRIG" run --rm -it "$image" sh -c 'echo ready; cat; echo ended; exit 5'
	assert_match "$output" ended
	assert_match "$errors" 'status 5'
	assert_match "$errors" $'\nrestored'
}

@test "an interactive shell works: prompt, jobs, exit" {
	at_terminal 'expect:# ' 'send:sleep 100\n' 'pause:0.3' 'send:\x03' 'expect:# ' 'send:echo $((6*7))\n' 'expect:42' 'expect:# ' 'send:exit 3\n' -- \
		"$BRIG" run --rm -it "$image" sh
	refute_match "$output" "job control"
	assert_match "$errors" 'status 3'
	at_terminal 'expect:# ' 'send:sleep 100\n' 'pause:0.3' 'send:\x03' 'expect:# ' 'send:exit 3\n' -- \
		"$BRIG" run --rm -it --init "$image" sh
	refute_match "$output" "job control"
	assert_match "$errors" 'status 3'
}

@test "ctrl-p ctrl-q leaves it running; attach comes back, and sees its size" {
	at_terminal 'expect:/ # ' 'send:x=5\n' 'expect:/ # ' 'send:\x10\x11' -- \
		"$BRIG" run -it --name kept "$image" sh
	assert_match "$errors" 'status 0'
	assert_match "$errors" $'\nrestored'
	assert_equal "$(status_of kept)" running
	at_terminal --size 30x90 'pause:0.3' 'send:echo $x; stty size; exit 7\n' 'expect:5\r\n30 90' -- "$BRIG" attach kept
	assert_match "$errors" 'status 7'
	assert_match "$errors" $'\nrestored'
	# And started again.
	at_terminal 'expect:/ # ' 'send:exit 8\n' -- "$BRIG" start -ai kept
	assert_match "$errors" 'status 8'
}

@test "a ctrl-p that is not followed by ctrl-q is typed" {
	at_terminal 'expect:ready' 'send:\x10a\x10\x10b\n' 'expect:done' -- \
		"$BRIG" run --rm -it "$image" sh -c 'stty -echo; echo ready; read -r line; printf %s "$line" | od -An -tx1; echo done'
	assert_match "$output" ' 10 61 10 10 62'
}

@test "--detach-keys: others, and none that cannot be" {
	at_terminal 'expect:/ # ' 'send:\x10\x11' 'pause:0.3' 'send:\x01x' -- \
		"$BRIG" run -it --name other --detach-keys ctrl-a,x "$image" sh
	assert_match "$errors" 'status 0'
	assert_equal "$(status_of other)" running
	at_terminal 'pause:0.3' 'send:\x18' -- "$BRIG" attach --detach-keys ctrl-x other
	assert_equal "$(status_of other)" running
	local keys
	for keys in ctrl- ctrl-1 'ab' 'ctrl-a,,' "$(printf 'a,%.0s' $(seq 30))a"; do
		assert_run 125 brig run --rm --detach-keys "$keys" "$image" true
		assert_one_error "detach keys"
	done
}

@test "-t without a terminal of the user's works; -it says that it needs one" {
	assert_run 0 brig run --rm -t "$image" sh -c 'test -t 1 && echo terminal'
	assert_equal "${output//$'\r'/}" terminal
	assert_run 1 brig run --rm -it "$image" true
	assert_one_error "the input device is not a TTY"
	brig run -d --name box --network none "$image" sleep 100 >/dev/null
	assert_run 1 brig exec -it box true
	assert_one_error "the input device is not a TTY"
	assert_run 0 brig exec -t box sh -c 'test -t 1 && echo terminal'
	assert_equal "${output//$'\r'/}" terminal
}

@test "all of a terminal's output arrives" {
	local i
	for i in $(seq 10); do
		assert_equal "$(brig run --rm -t --network none "$image" seq 3000 | wc -l)" 3000
	done
}

@test "-dt is a terminal nobody looks at, which can be joined" {
	brig run -dit --name back --network none "$image" sh -c 'tty; while read l; do echo "got $l"; done' >/dev/null
	wait_until 5 sh -c "'$BRIG' logs back | grep -q /dev/pts/0"
	at_terminal 'send:hello\n' 'expect:got hello' 'send:\x10\x11' -- "$BRIG" attach back
	assert_match "$(brig logs back)" 'got hello'
	assert_equal "$(status_of back)" running
	# Two at once see the same.
	"$BRIG" attach --no-stdin back >"$BATS_TEST_TMPDIR/watch" 2>&1 </dev/null 3>&- &
	local pid=$!
	sleep 0.3
	at_terminal 'send:twice\n' 'expect:got twice' 'send:\x10\x11' -- "$BRIG" attach back
	wait_until 5 file_has "$BATS_TEST_TMPDIR/watch" 'got twice'
	brig kill back >/dev/null
	local status=0
	wait $pid || status=$?
	assert_equal "$status" 137
}

@test "attach without a terminal: output, input, the end and its status" {
	brig run -di --name plain --network none "$image" sh -c 'while read l; do echo "got $l"; done; echo over >&2; exit 4' >/dev/null
	assert_run 1 brig attach nobody
	assert_one_error "No such container"
	(sleep 0.3; echo one) | timeout -s KILL 2 "$BRIG" attach plain >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" || true
	assert_match "$(cat "$BATS_TEST_TMPDIR/out")" 'got one'
	# The end of one client's input is not the end of a container that -d made.
	assert_equal "$(status_of plain)" running
	brig rm -f plain >/dev/null
	brig run --name ended --network none "$image" true
	assert_run 1 brig attach ended
	assert_one_error "is not running"
}

@test "signals to attach are the container's" {
	brig run -d --name traps --network none "$image" sh -c 'trap "echo got; exit 7" TERM; while :; do sleep 0.05; done' >/dev/null
	"$BRIG" attach --no-stdin traps >"$BATS_TEST_TMPDIR/out" </dev/null 3>&- &
	local pid=$! status=0
	sleep 0.4
	kill -TERM $pid
	wait $pid || status=$?
	assert_equal "$status" 7
	assert_match "$(cat "$BATS_TEST_TMPDIR/out")" got
}

@test "exec -it: a terminal of its own, size, keys, detaching" {
	brig run -d --name box --network none "$image" sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done' >/dev/null
	at_terminal --size 37x99 'expect:/ # ' 'send:tty; stty size; exit 3\n' 'expect:37 99' -- "$BRIG" exec -it box sh
	assert_match "$output" '/dev/pts/0'
	refute_match "$output" 'job control'
	assert_match "$errors" 'status 3'
	assert_match "$errors" $'\nrestored'
	at_terminal 'expect:ready' 'size:44x88' 'expect:44 88' -- \
		"$BRIG" exec -it box sh -c 'trap "stty size; exit" WINCH; echo ready; while :; do sleep 0.05; done'
	at_terminal 'expect:ready' 'send:\x03' 'expect:interrupted' -- \
		"$BRIG" exec -it box sh -c 'trap "echo interrupted; exit 4" INT; echo ready; while :; do sleep 0.05; done'
	assert_match "$errors" 'status 4'
	at_terminal 'expect:/ # ' 'send:\x10\x11' -- "$BRIG" exec -it box sh
	assert_match "$errors" $'\nrestored'
	at_terminal -- "$BRIG" exec -it -u user box sh -c 'echo x >/dev/tty; stat -c %U $(tty)'
	assert_match "$output" $'x\nuser'
	assert_run 0 brig stop box
}

@test "the terminal is restored when the container cannot start or is killed" {
	at_terminal -- "$BRIG" run --rm -it "$image" no-such-command
	assert_match "$errors" 'status 127'
	assert_match "$errors" $'\nrestored'
	at_terminal 'expect:ready' 'signal:TERM' -- "$BRIG" run --rm -it "$image" sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.05; done'
	assert_match "$errors" 'status 9'
	assert_match "$errors" $'\nrestored'
}

@test "stdin that is a terminal while stdout is a file" {
	at_terminal 'expect:go' 'send:word\n' -- sh -c "'$BRIG' run --rm -i '$image' sh -c 'echo go >&2; read w; echo got \$w' >'$BATS_TEST_TMPDIR/out'"
	assert_equal "$(cat "$BATS_TEST_TMPDIR/out")" 'got word'
}

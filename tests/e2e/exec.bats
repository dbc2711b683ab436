#!/usr/bin/env bats
# exec: one more command in a container that runs.
load lib
load containers

setup() {
	need_busybox
	brig run -d --name box -e FROM=run -w /tmp "$image" sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done' >/dev/null
}
teardown() {
	brig_clean
}

@test "exec joins the container and gives the command's status" {
	assert_run 0 brig exec box sh -c 'hostname; pwd; echo $FROM'
	assert_equal "$output" "$(id_of box | cut -c1-12)"$'\n/tmp\nrun'
	assert_run 7 brig exec box sh -c 'exit 7'
	assert_run 137 brig exec box sh -c 'kill -KILL $$'
	assert_run 143 brig exec box sh -c 'kill -TERM $$'
	local kind
	for kind in mnt pid net ipc uts cgroup; do
		assert_equal "$(brig exec box readlink /proc/self/ns/$kind)" "$(brig exec box readlink /proc/1/ns/$kind)" "$kind"
	done
}

@test "streams: apart, input with -i only, large both ways" {
	assert_run 0 brig exec box sh -c 'echo out; echo err >&2'
	assert_equal "$output" out
	assert_equal "$errors" err
	assert_equal "$(printf 'a\nb' | timeout -k 2 10 "$BRIG" exec -i box cat)" $'a\nb'
	assert_equal "$(printf 'a\nb' | timeout -k 2 10 "$BRIG" exec box cat)" ""
	head -c 20M /dev/urandom >"$BATS_TEST_TMPDIR/in"
	timeout -k 2 60 "$BRIG" exec -i box cat <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out"
	cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
	local status=0
	head -c 20M /dev/zero | timeout -k 2 20 "$BRIG" exec -i box sh -c 'head -c 10 >/dev/null; exec </dev/null; sleep 0.3; exit 9' || status=$?
	assert_equal "$status" 9
}

@test "all of the output arrives, however fast the command ends" {
	local i
	for i in $(seq 20); do
		assert_equal "$(brig exec box seq 5000 | wc -l)" 5000
	done
}

@test "-e, --env-file, -u and -w" {
	echo FILE=yes >"$BATS_TEST_TMPDIR/env"
	assert_run 0 env INHERITED=here "$BRIG" exec -e A=1 -e FROM=exec -e INHERITED --env-file "$BATS_TEST_TMPDIR/env" box env
	assert_match "$output" $'(^|\n)A=1(\n|$)'
	assert_match "$output" $'(^|\n)FROM=exec(\n|$)'
	assert_match "$output" $'(^|\n)FILE=yes(\n|$)'
	assert_match "$output" $'(^|\n)INHERITED=here(\n|$)'
	assert_equal "$(grep -c ^FROM= <<<"$output")" 1
	assert_run 0 brig exec -u user -w /home/user box sh -c 'id; pwd; echo $HOME'
	assert_equal "$output" $'uid=1000(user) gid=1000(user) groups=29(audio),100(users),1000(user)\n/home/user\n/home/user'
	assert_run 0 brig exec -u 55:66 box id
	assert_equal "$output" 'uid=55 gid=66 groups=66'
	# docker's statuses.
	assert_run 127 brig exec -w /not/there/yet box pwd
	assert_one_error "/not/there/yet"
	assert_run 126 brig exec -w /etc/passwd box pwd
	assert_one_error "/etc/passwd"
	assert_run 1 brig exec -u stranger box true
	assert_one_error "unable to find user stranger"
	assert_run 1 brig exec -w relative box pwd
	assert_one_error "absolute"
	assert_run 125 brig exec -e =x box true
	assert_one_error "environment"
	assert_run 1 brig exec --env-file /not/there box true
	assert_one_error "/not/there"
	# Nothing is none.
	assert_run 0 brig exec -w '' -u '' box sh -c 'pwd; id -u'
	assert_equal "$output" $'/tmp\n0'
}

@test "a container's user and its image's hold for exec" {
	brig run -d --name mine -u user --network none "$image" sleep 100 >/dev/null
	assert_run 0 brig exec mine id -un
	assert_equal "$output" user
	assert_run 0 brig exec -u 0 mine id -un
	assert_equal "$output" root
}

@test "a command that is not there is 127, one that cannot run 126" {
	assert_run 127 brig exec box no-such-command
	assert_one_error no-such-command
	assert_run 127 brig exec box /no/such/command
	assert_one_error /no/such/command
	assert_run 126 brig exec box /etc/passwd
	assert_one_error /etc/passwd
	assert_run 126 brig exec box /tmp
	assert_one_error /tmp
	assert_run 127 brig exec -d box no-such-command
	assert_one_error no-such-command
}

@test "what does not run cannot be joined" {
	brig run --name ended --network none "$image" true
	assert_run 1 brig exec ended true
	assert_one_error "container ended is not running"
	assert_run 1 brig exec nobody true
	assert_one_error "No such container: nobody"
	brig create --name created --network none "$image" true >/dev/null
	assert_run 1 brig exec created true
	assert_one_error "is not running"
}

@test "-d returns at once, and its command is reaped when it ends" {
	run_timed assert_run 0 brig exec -d box sh -c 'sleep 0.5; echo done >/tmp/mark'
	assert_equal "$output" ""
	((elapsed < 450)) || fail "it took $elapsed ms"
	wait_until 5 brig exec box test -e /tmp/mark
	# Process 1 here reaps nobody: a zombie would stay.
	brig run -d --name lazy --network none "$image" sleep 100 >/dev/null
	local i
	for i in 1 2 3; do
		assert_run 0 brig exec -d lazy true
	done
	wait_until 5 sh -c "! '$BRIG' exec lazy sh -c 'grep -l \"^State:.*Z\" /proc/[0-9]*/status'"
	assert_match "$(timeout -k 2 10 "$BRIG" exec -d box sleep 30 2>&1 | cat; echo over)" over
}

@test "-d on a host whose process 1 reaps nobody: the container can be stopped and removed" {
	# Python waits for its own child only, and what is orphaned becomes its own.
	assert_run 0 timeout -k 2 60 unshare -m -p -f --mount-proc python3 -c \
		'import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))' sh -euc '
		brig=$1 image=$2
		$brig run -d --name unreaped --network none $image sleep 100 >/dev/null
		$brig exec -d unreaped sleep 100
		$brig exec -d -t unreaped sleep 100
		$brig exec -d unreaped true
		$brig exec unreaped ps
		$brig stop -t 0 unreaped
		$brig rm unreaped' sh "$BRIG" "$image"
	assert_equal "$(grep -c "sleep 100" <<<"$output")" 3
	assert_equal "$(tail -n 2 <<<"$output")" $'unreaped\nunreaped'
}

@test "the container's end is the end of what was joined" {
	brig run -d --name short --network none "$image" sleep 100 >/dev/null
	"$BRIG" exec short sleep 100 3>&- &
	local pid=$! status=0
	wait_until 5 sh -c "'$BRIG' exec short ps | grep -c 'sleep 100' | grep -q 2"
	brig kill short >/dev/null
	wait $pid || status=$?
	assert_equal "$status" 137
	brig run -d --rm --name short2 --network none "$image" sleep 100 >/dev/null
	"$BRIG" exec -d short2 sleep 100
	assert_run 0 brig rm -f short2
	wait_until 5 sh -c "! pgrep -f '[s]leep 100'"
}

@test "signals to exec are the command's" {
	local out=$BATS_TEST_TMPDIR/out status=0
	"$BRIG" exec box sh -c 'trap "echo got; exit 7" TERM; echo ready; while :; do sleep 0.05; done' >"$out" 3>&- &
	local pid=$!
	wait_until 10 file_has "$out" ready
	kill -TERM $pid
	wait $pid || status=$?
	assert_equal "$status" 7
}

@test "the joined process is confined as the container is" {
	local line
	for line in CapEff CapBnd CapInh CapAmb Seccomp NoNewPrivs Uid Gid; do
		assert_equal "$(brig exec box grep "^$line:" /proc/self/status)" "$(brig exec box grep "^$line:" /proc/1/status)" "$line"
	done
	assert_run 0 brig exec box sh -c 'umask; ulimit -n; ulimit -c; cat /proc/self/oom_score_adj'
	assert_equal "$output" $'0022\n1024\n0\n0'
	assert_equal "$(brig exec box cat /proc/self/cgroup)" "$(brig exec box cat /proc/1/cgroup)"
	# No descriptor but the standard three, and ls's own.
	assert_run 0 brig exec box ls /proc/self/fd
	assert_equal "$(wc -w <<<"$output")" 4 "$output"
	# Its input is the container's null device, not the host's.
	refute_match "$(brig exec box stat -L -c %d /proc/self/fd/0)" "^$(stat -c %d /dev/null)\$"
	assert_run 0 brig exec -u user box grep ^CapEff /proc/self/status
	assert_match "$output" '0000000000000000$'
}

@test "--privileged gives exec all that brig has" {
	assert_run 0 brig exec --privileged box grep ^CapEff /proc/self/status
	assert_match "$output" "$(grep ^CapEff /proc/self/status)"
	assert_run 0 brig exec --privileged box grep ^Seccomp: /proc/self/status
	assert_match "$output" '0$'
}

@test "an entrypoint is not run by exec" {
	image_with entry --config.entrypoint /bin/sleep --config.cmd 100
	brig run -d --name entry --network none "$image" >/dev/null
	assert_run 0 brig exec entry echo plain
	assert_equal "$output" plain
}

@test "a container that tampers with what exec looks at" {
	# Its own passwd as a fifo, a link to what never ends, a link out, a folder.
	local number=0 how
	for how in 'mkfifo /etc/passwd' 'ln -s /dev/zero /etc/passwd' 'mkdir /etc/passwd' 'head -c 11000000 /dev/zero >/etc/passwd'; do
		number=$((number + 1))
		brig run -d --name "bad$number" --network none "$image" sh -c "rm /etc/passwd; $how; touch /ready; sleep 100" >/dev/null
		wait_until 5 test -e "$BRIG_ROOT/containers/$(id_of "bad$number")/upper/ready"
		run_timed assert_run 1 timeout -k 2 10 "$BRIG" exec -u user "bad$number" true
		assert_one_error "/etc/passwd"
		((elapsed < 5000)) || fail "it hung"
	done
	brig run -d --name bad0 --network none "$image" sh -c "rm /etc/passwd; ln -s /proc/1/root/../../../etc/passwd /etc/passwd; touch /ready; sleep 100" >/dev/null
	wait_until 5 test -e "$BRIG_ROOT/containers/$(id_of bad0)/upper/ready"
	assert_run 1 timeout -k 2 10 "$BRIG" exec -u user bad0 true
	assert_one_error "unable to find user"
	# Its null device as something else.
	brig exec box sh -c 'rm /dev/null; echo trap >/dev/null'
	assert_run 126 brig exec box cat
	assert_one_error "/dev/null"
	assert_equal "$(echo fine | "$BRIG" exec -i box cat)" fine
}

@test "a command with a terminal goes on when nobody holds that any more" {
	brig run -d --name left --network none "$image" sleep 100 >/dev/null
	assert_run 0 brig exec -dt left sh -c 'tty >/left; for i in 1 2 3; do echo lost; sleep 0.1; done; echo done >>/left'
	wait_until 5 brig exec left grep -q done /left
	assert_run 0 brig exec left cat /left
	assert_equal "$output" $'/dev/pts/0\ndone'
	# Who holds it is not in the container, and ends with it.
	assert_run 0 brig exec -dt left sleep 60
	assert_run 0 brig exec left ps -o args
	refute_match "$output" "brig exec"
	brig rm -f left >/dev/null
	wait_until 5 bash -c '! pgrep -f "[e]xec -dt left"'
}

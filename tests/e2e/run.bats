#!/usr/bin/env bats
# run, as a docker user knows it: streams, options, the image's configuration, statuses.
load lib
load containers

setup() {
	need_busybox
}
teardown() {
	brig_clean
}

# --- streams -----------------------------------------------------------------------------

@test "without -i the command's input is empty" {
	assert_equal "$(echo text | timeout -k 2 10 "$BRIG" run --rm "$image" cat)" ""
	assert_run 0 brig run --rm "$image" readlink /proc/self/fd/0
	assert_equal "$output" /dev/null
}

@test "with -i the end of the input is the end of the command's" {
	assert_equal "$(printf 'one\ntwo' | timeout -k 2 10 "$BRIG" run --rm -i "$image" cat)" $'one\ntwo'
	assert_equal "$(timeout -k 2 10 "$BRIG" run --rm -i "$image" wc -c </dev/null)" 0
}

@test "fifty megabytes go in and come out unchanged" {
	head -c 50M /dev/urandom >"$BATS_TEST_TMPDIR/in"
	timeout -k 2 60 "$BRIG" run --rm -i "$image" cat <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out"
	cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
}

@test "a reader that is slow, and input that nobody reads, block nobody for ever" {
	# The command stops reading while we still write, and ends.
	local status=0
	head -c 20M /dev/zero | timeout -k 2 20 "$BRIG" run --rm -i "$image" sh -c 'head -c 10 >/dev/null; exec </dev/null; sleep 0.3; exit 9' || status=$?
	assert_equal "$status" 9
	# Both output streams at once, one of them read late.
	timeout -k 2 30 "$BRIG" run --rm "$image" sh -c 'dd if=/dev/zero bs=1M count=5 2>/dev/null; dd if=/dev/zero bs=1M count=5 >&2 2>/dev/null' \
		2>"$BATS_TEST_TMPDIR/err" | { sleep 1; wc -c >"$BATS_TEST_TMPDIR/count"; }
	assert_equal "$(cat "$BATS_TEST_TMPDIR/count")" 5242880
	assert_equal "$(stat -c %s "$BATS_TEST_TMPDIR/err")" 5242880
}

@test "who reads our output may go: brig goes too, and the container stays" {
	local began=$SECONDS
	timeout -k 2 20 "$BRIG" run --name writer "$image" sh -c 'while :; do echo line; sleep 0.05; done' | head -n 2
	((SECONDS - began < 15)) || fail "it did not end"
	assert_equal "$(status_of writer)" running
}

@test "bytes pass as they are: NUL, 0xff, escapes, no newline at the end" {
	printf '\0\377\033[31m\r\nx' >"$BATS_TEST_TMPDIR/in"
	"$BRIG" run --rm -i "$image" cat <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out"
	cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
}

@test "all of the output arrives, however fast the command ends" {
	local i
	for i in $(seq 20); do
		assert_equal "$(brig run --rm --network none "$image" sh -c 'seq 5000' | wc -l)" 5000
	done
}

@test "closed standard streams are not taken for files" {
	assert_equal "$(brig run --rm "$image" echo hello <&-)" hello
	local status=0
	"$BRIG" run --rm "$image" sh -c 'exit 5' <&- >&- 2>&- || status=$?
	assert_equal "$status" 5
}

@test "-a joins only the streams that it names" {
	local both='echo out; echo err >&2; exit 7'
	assert_run 7 brig run --rm --network none -a stdout "$image" sh -c "$both"
	assert_equal "$output/$errors" out/
	assert_run 7 brig run --rm --network none -a STDERR "$image" sh -c "$both"
	assert_equal "$output/$errors" /err
	assert_run 7 brig run --rm --network none -a stderr -a stdout "$image" sh -c "$both"
	assert_equal "$output/$errors" out/err
	assert_equal "$(echo text | brig run --rm --network none -i -a stdin -a stdout "$image" cat)" text
	# The others are in the log all the same.
	assert_run 7 brig run --name logged --network none -a stderr "$image" sh -c "$both"
	assert_equal "$(brig logs logged 2>&1 | sort | tr '\n' ' ')" "err out "
	assert_equal "$(brig inspect -f '{{.Config.AttachStdin}} {{.Config.AttachStdout}} {{.Config.AttachStderr}}' logged)" "false false true"
	assert_run 125 brig run --rm -a stdlog "$image" true
	assert_one_error "valid streams are STDIN, STDOUT and STDERR"
	assert_run 1 brig run -d -a stdout "$image" true
	assert_one_error "both --attach and --detach"
}

@test "--cidfile has the identifier of what was made, and is nobody else's" {
	local file=$BATS_TEST_TMPDIR/cid
	assert_run 0 brig run -d --name noted --network none --cidfile "$file" "$image" sleep 100
	assert_equal "$(cat "$file")" "$output"
	assert_equal "$(wc -c <"$file")" 64
	assert_run 125 brig run --rm --network none --cidfile "$file" "$image" true
	assert_one_error "container ID file found"
	assert_run 1 brig create --network none --cidfile "$file" "$image" true
	assert_equal "$(cat "$file")" "$(id_of noted)"
	rm "$file"
	# It is there while the container runs, and not where there was none.
	assert_run 3 brig run --rm --network none --cidfile "$file" -v "$file:/cid" "$image" sh -c '[ "$(cut -c1-12 /cid)" = "$HOSTNAME" ] && exit 3'
	rm "$file"
	assert_run 127 brig run --network none --cidfile "$file" "$image" no-such-command
	refute_exists "$file"
	assert_run 1 brig create --pull never --cidfile "$file" no/such:image
	refute_exists "$file"
	assert_run 125 brig run --cidfile /no/such/folder/cid "$image" true
	assert_one_error "/no/such/folder/cid"
}

# --- background, removal, names ---------------------------------------------------------

@test "-d prints the whole id and returns at once" {
	run_timed assert_run 0 brig run -d --name back "$image" sleep 100
	assert_match "$output" '^[0-9a-f]{64}$'
	assert_equal "$output" "$(id_of back)"
	((elapsed < 2000)) || fail "it took $elapsed ms"
	assert_equal "$(status_of back)" running
}

@test "-d holds on to no descriptor of the caller's" {
	assert_match "$(timeout -k 2 10 "$BRIG" run -d "$image" sleep 100)" '^[0-9a-f]{64}$'
	assert_match "$(timeout -k 2 10 "$BRIG" run -d --rm "$image" sleep 100 2>&1 | cat)" '^[0-9a-f]{64}$'
	exec 9>"$BATS_TEST_TMPDIR/held"
	brig run -d "$image" sleep 100 >/dev/null
	exec 9>&-
	local open
	open=$(find /proc/[0-9]*/fd -lname "$BATS_TEST_TMPDIR/held" 2>/dev/null || true)
	assert_equal "$open" "" "somebody holds the caller's file"
}

@test "--rm leaves nothing: no record, folder, cgroup, network or process" {
	assert_run 0 brig run --rm "$image" hostname
	local first=$output
	assert_run 3 brig run --rm "$image" sh -c 'hostname; exit 3'
	assert_no_trace "$first" "$output"
	assert_run 0 brig run -d --rm "$image" sh -c 'sleep 0.2'
	assert_no_trace "$output"
}

@test "--rm also when the command cannot run" {
	assert_run 127 brig run --rm "$image" no-such-thing
	assert_one_error
	assert_no_trace
	assert_run 125 brig run --rm -u nobody-like-that "$image" true
	assert_one_error
	assert_no_trace
}

@test "a container that did not come to run leaves nothing, with a name as well" {
	assert_run 127 brig run --name broken "$image" no-such-thing
	assert_one_error no-such-thing
	assert_no_trace
	assert_run 127 brig run -d --name broken "$image" no-such-thing
	assert_one_error no-such-thing
	assert_no_trace
}

@test "a name is taken once, whatever state its container is in" {
	assert_run 0 brig run --name taken "$image" true
	local id
	id=$(id_of taken)
	assert_run 125 brig run --rm --name taken "$image" true
	assert_one_error "name \"/taken\" is already in use by container \"$id\""
	assert_run 125 brig run -d --name taken "$image" true
	assert_one_error taken
	assert_equal "$(brig ps -aq | wc -l)" 1
	assert_run 0 brig rm taken
	assert_run 0 brig run --rm --name taken "$image" true
	assert_run 0 brig run --rm --name taken "$image" true
}

@test "names that are no names" {
	local name
	for name in a -dash .dot _under 'with space' 'a/b' 'a:b' ''"$(printf 'x%.0s' $(seq 200))"; do
		assert_run 125 brig run --rm --name "$name" "$image" true
		assert_one_error
	done
	assert_run 0 brig run --rm --name /slash "$image" true
	assert_no_trace
}

# --- environment -------------------------------------------------------------------------

@test "-e sets, inherits, and leaves unset what the caller has not" {
	export INHERITED='from outside'
	unset NOT_THERE
	assert_run 0 brig run --rm -e ONE=1 -e 'TWO=a b=c' -e INHERITED -e NOT_THERE -e EMPTY= "$image" env
	assert_match "$output" $'(^|\n)ONE=1(\n|$)'
	assert_match "$output" $'(^|\n)TWO=a b=c(\n|$)'
	assert_match "$output" $'(^|\n)INHERITED=from outside(\n|$)'
	assert_match "$output" $'(^|\n)EMPTY=(\n|$)'
	refute_match "$output" NOT_THERE
	# Nothing else comes in.
	refute_match "$output" BRIG_
	refute_match "$output" BATS
}

@test "PATH, HOSTNAME, HOME and TERM are there as docker sets them" {
	assert_run 0 brig run --rm -h myhost "$image" env
	assert_match "$output" $'(^|\n)PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin(\n|$)'
	assert_match "$output" $'(^|\n)HOSTNAME=myhost(\n|$)'
	assert_match "$output" $'(^|\n)HOME=/root(\n|$)'
	refute_match "$output" TERM=
	assert_run 0 brig run --rm -u user -e HOSTNAME=mine -e PATH=/bin "$image" env
	assert_match "$output" $'(^|\n)HOME=/home/user(\n|$)'
	assert_match "$output" $'(^|\n)HOSTNAME=mine(\n|$)'
	assert_match "$output" $'(^|\n)PATH=/bin(\n|$)'
	assert_run 0 brig run --rm -u user -e HOME=/tmp "$image" sh -c 'echo $HOME'
	assert_equal "$output" /tmp
}

@test "--env-file is read line by line; -e comes after it" {
	export INHERITED=here
	printf '# comment\n\nA=1\n  B=with blanks  \nC=\nINHERITED\nNOT_THERE\nQ="quoted"\nLAST=no newline' >"$BATS_TEST_TMPDIR/env"
	assert_run 0 brig run --rm --env-file "$BATS_TEST_TMPDIR/env" -e A=2 "$image" env
	assert_match "$output" $'(^|\n)A=2(\n|$)'
	assert_match "$output" $'(^|\n)B=with blanks  (\n|$)'
	assert_match "$output" $'(^|\n)C=(\n|$)'
	assert_match "$output" $'(^|\n)INHERITED=here(\n|$)'
	assert_match "$output" $'(^|\n)Q="quoted"(\n|$)'
	assert_match "$output" $'(^|\n)LAST=no newline(\n|$)'
	refute_match "$output" NOT_THERE
	refute_match "$output" comment
	assert_run 125 brig run --rm --env-file /nowhere/env "$image" true
	assert_one_error /nowhere/env
	echo 'a name=x' >"$BATS_TEST_TMPDIR/bad"
	assert_run 125 brig run --rm --env-file "$BATS_TEST_TMPDIR/bad" "$image" true
	assert_one_error whitespace
}

# --- where and who -----------------------------------------------------------------------

@test "-w is entered, and made where it is missing" {
	assert_run 0 brig run --rm -w /tmp "$image" pwd
	assert_equal "$output" /tmp
	assert_run 0 brig run --rm -w /made/for/this "$image" sh -c 'pwd; stat -c %u:%g:%a .'
	assert_equal "$output" $'/made/for/this\n0:0:755'
	assert_run 125 brig run --rm -w relative "$image" pwd
	assert_one_error "absolute path"
	assert_run 125 brig run --rm -w /etc/passwd "$image" pwd
	assert_one_error /etc/passwd
	assert_no_trace
}

@test "-u by name, number, group, with supplementary groups" {
	assert_run 0 brig run --rm -u user "$image" id
	assert_equal "$output" 'uid=1000(user) gid=1000(user) groups=29(audio),100(users),1000(user)'
	assert_run 0 brig run --rm -u 1000 "$image" id
	assert_equal "$output" 'uid=1000(user) gid=1000(user) groups=29(audio),100(users),1000(user)'
	assert_run 0 brig run --rm -u user:daemon "$image" id
	assert_equal "$output" 'uid=1000(user) gid=1(daemon) groups=1(daemon)'
	assert_run 0 brig run --rm -u user:4242 "$image" id
	assert_equal "$output" 'uid=1000(user) gid=4242 groups=4242'
	assert_run 0 brig run --rm -u 4242 "$image" id
	assert_equal "$output" 'uid=4242 gid=0(root) groups=0(root)'
	assert_run 0 brig run --rm -u 4242:4343 "$image" sh -c 'id; echo $HOME'
	assert_equal "$output" $'uid=4242 gid=4343 groups=4343\n/'
	assert_run 0 brig run --rm -u 4242:4343 --group-add audio --group-add 77 "$image" id
	assert_equal "$output" 'uid=4242 gid=4343 groups=29(audio),77,4343'
	assert_run 0 brig run --rm "$image" id
	assert_equal "$output" 'uid=0(root) gid=0(root) groups=0(root)'
}

@test "-u of nobody in the image is an error that names them" {
	assert_run 125 brig run --rm -u stranger "$image" true
	assert_one_error "unable to find user stranger: no matching entries in passwd file"
	assert_run 125 brig run --rm -u user:strangers "$image" true
	assert_one_error "unable to find group strangers: no matching entries in group file"
	assert_run 125 brig run --rm --group-add strangers "$image" true
	assert_one_error strangers
	# A number that does not fit is never a name, and never root.
	assert_run 125 brig run --rm -u 4294967295 "$image" true
	assert_one_error 4294967294
	assert_run 125 brig run --rm -u 4294967296 "$image" id
	assert_one_error 4294967294
	assert_run 125 brig run --rm -u -1 "$image" id
	assert_one_error
	assert_no_trace
}

@test "-h names the host" {
	assert_run 0 brig run --rm -h box "$image" sh -c 'hostname; cat /etc/hostname; grep -c box /etc/hosts'
	assert_equal "$output" $'box\nbox\n1'
	assert_run 125 brig run --rm -h 'not a name' "$image" true
	assert_one_error hostname
}

@test "on the host's network it is the host's, as docker has it" {
	assert_run 0 brig run --rm --network host "$image" sh -c 'hostname; echo $HOSTNAME; cat /etc/hostname'
	assert_equal "$output" "$(uname -n)"$'\n'"$(uname -n)"$'\n'"$(uname -n)"
	assert_equal "$(brig run --rm --network host -h mine "$image" hostname)" mine
}

@test "without -h the host's name is the id's first twelve digits" {
	assert_run 0 brig run --name named "$image" hostname
	assert_match "$output" '^[0-9a-f]{12}$'
	assert_equal "$output" "$(id_of named | cut -c1-12)"
}

# --- what is run -------------------------------------------------------------------------

@test "--entrypoint replaces the image's, and drops its command" {
	image_with entry --config.entrypoint /bin/echo --config.entrypoint entry --config.cmd default
	assert_run 0 brig run --rm "$image"
	assert_equal "$output" 'entry default'
	assert_run 0 brig run --rm "$image" mine
	assert_equal "$output" 'entry mine'
	assert_run 0 brig run --rm --entrypoint /bin/printf "$image" '%s.' a b
	assert_equal "$output" a.b.
	assert_run 0 brig run --rm --entrypoint pwd "$image"
	assert_equal "$output" /
	assert_run 0 brig run --rm --entrypoint '' "$image" echo direct
	assert_equal "$output" direct
	assert_run 125 brig run --rm --entrypoint '' "$image"
	assert_one_error "no command"
}

@test "the image's Env, User, WorkingDir and labels hold where nothing else is said" {
	image_with config --config.env COLOUR=blue --config.env 'TWO=a b' --config.user user \
		--config.workingdir /home/work --config.label kind=test --config.cmd env
	assert_run 0 brig run --rm "$image"
	assert_match "$output" $'(^|\n)COLOUR=blue(\n|$)'
	assert_match "$output" $'(^|\n)TWO=a b(\n|$)'
	assert_match "$output" $'(^|\n)HOME=/home/user(\n|$)'
	assert_run 0 brig run --rm -e COLOUR=red "$image" sh -c 'echo $COLOUR; id -un; pwd'
	assert_equal "$output" $'red\nuser\n/home/work'
	assert_run 0 brig run --rm -u 0 -w / "$image" sh -c 'id -un; pwd'
	assert_equal "$output" $'root\n/'
	# An empty option says nothing: root is not what an unset variable in a script means.
	assert_run 0 brig run --rm -u '' -w '' --name '' --network '' --stop-signal '' --platform '' --pull '' "$image" sh -c 'id -un; pwd'
	assert_equal "$output" $'user\n/home/work'
	assert_run 0 brig run --name labelled -l kind=other -l mine=1 -l bare "$image" true
	assert_equal "$(brig inspect -f '{{json .Config.Labels}}' labelled)" '{"bare":"","kind":"other","mine":"1"}'
}

@test "the image's StopSignal is what stop sends" {
	image_with stopsignal --config.stopsignal SIGUSR1
	brig run -d --name stopped "$image" sh -c 'trap "exit 42" USR1; echo ready; while :; do sleep 0.1; done' >/dev/null
	wait_until 10 sh -c "'$BRIG' logs stopped | grep -q ready"
	assert_run 0 brig stop stopped
	assert_equal "$(brig wait stopped)" 42
	assert_equal "$(brig inspect -f '{{.Config.StopSignal}}' stopped)" SIGUSR1
}

@test "an image without a command needs one" {
	local plain
	tree_copy plain
	image_of "$tree"
	plain=$image
	assert_run 125 brig run --rm "$plain"
	assert_one_error "no command"
	assert_run 125 brig run --rm "$plain" ''
	assert_one_error
	assert_no_trace
}

@test "-l can be seen in inspect" {
	printf '# comment\n\n  from=file x\na=file\n' >"$BATS_TEST_TMPDIR/labels"
	assert_run 0 brig run --name labelled -l a=1 -l b=two=2 --label c --label-file "$BATS_TEST_TMPDIR/labels" "$image" true
	assert_equal "$(brig inspect -f '{{json .Config.Labels}}' labelled)" '{"a":"1","b":"two=2","c":"","from":"file x"}'
	printf 'fine=1\nnot fine=2\n' >"$BATS_TEST_TMPDIR/labels"
	assert_run 125 brig run --label-file "$BATS_TEST_TMPDIR/labels" "$image" true
	assert_one_error "labels:2: the label 'not fine' contains whitespaces"
	assert_run 125 brig run --label-file /no/such/file "$image" true
	assert_one_error "label file /no/such/file"
}

# --- statuses and signals ----------------------------------------------------------------

@test "exit statuses are docker's" {
	assert_run 0 brig run --rm "$image" true
	assert_run 42 brig run --rm "$image" sh -c 'exit 42'
	assert_run 255 brig run --rm "$image" sh -c 'exit 255'
	assert_run 125 brig run --rm --no-such-flag "$image" true
	assert_run 127 brig run --rm "$image" /no/such/file
	assert_one_error "no such file or directory"
	assert_run 126 brig run --rm "$image" /tmp
	assert_one_error /tmp
	assert_run 126 brig run --rm "$image" /etc/passwd
	assert_one_error "[Pp]ermission denied"
	assert_run 137 brig run --rm --init "$image" sh -c 'kill -KILL $$'
	assert_run 143 brig run --rm --init "$image" sh -c 'kill -TERM $$'
	assert_run 134 brig run --rm --init "$image" sh -c 'kill -ABRT $$'
	assert_no_trace
}

@test "a script without an interpreter, and one of another machine, are 126" {
	tree_copy scripts
	printf '#!/no/such/interpreter\n' >"$tree/lost"
	printf 'echo no hash bang\n' >"$tree/plain"
	printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\377\0' >"$tree/foreign"
	chmod 755 "$tree"/{lost,plain,foreign}
	image_of "$tree"
	assert_run 126 brig run --rm "$image" /lost
	assert_one_error /lost
	assert_run 126 brig run --rm "$image" /plain
	assert_one_error "exec format error"
	assert_run 126 brig run --rm "$image" /foreign
	assert_one_error "exec format error"
	assert_no_trace
}

@test "signals that we get are the container's" {
	local signal name out=$BATS_TEST_TMPDIR/out
	for signal in TERM INT HUP USR1 QUIT; do
		: >"$out"
		"$BRIG" run --rm --network none "$image" sh -c "trap 'echo got; exit 7' $signal; echo ready; while :; do sleep 0.05; done" >"$out" 3>&- &
		local pid=$! status=0
		wait_until 10 file_has "$out" ready
		kill -"$signal" $pid
		wait $pid || status=$?
		assert_equal "$status" 7 "after $signal"
		assert_match "$(cat "$out")" got
	done
	assert_no_trace
}

@test "--sig-proxy=false keeps them away" {
	local out=$BATS_TEST_TMPDIR/out status=0
	"$BRIG" run --rm --sig-proxy=false --network none "$image" sh -c 'trap "echo got" TERM; echo ready; sleep 1; exit 4' >"$out" 3>&- &
	local pid=$!
	wait_until 10 file_has "$out" ready
	kill -TERM $pid
	wait $pid || status=$?
	assert_equal "$status" 4
	assert_equal "$(cat "$out")" ready
}

@test "a client that is killed leaves its container running" {
	local out=$BATS_TEST_TMPDIR/out
	"$BRIG" run --name staying --network none "$image" sh -c 'echo ready; exec sleep 100' >"$out" 3>&- &
	local pid=$!
	wait_until 10 file_has "$out" ready
	kill -KILL $pid
	wait $pid || true
	assert_equal "$(status_of staying)" running
	assert_run 0 brig rm -f staying
	assert_no_trace
}

@test "--init reaps, passes signals on and keeps the status" {
	assert_run 0 brig run --rm --init "$image" sh -c 'echo $$; cat /proc/1/comm'
	refute_match "$output" '^1$'
	assert_run 9 brig run --rm --init "$image" sh -c 'exit 9'
	# Orphans are reaped: none stays a zombie.
	assert_run 0 brig run --rm --init "$image" sh -c 'for i in 1 2 3; do (sleep 0.05 &) ; done; sleep 0.5; grep -l "^State:.*Z" /proc/[0-9]*/status | wc -l'
	assert_equal "$output" 0
	local out=$BATS_TEST_TMPDIR/out status=0
	"$BRIG" run --rm --init "$image" sh -c 'trap "echo got; exit 5" TERM; echo ready; while :; do sleep 0.05; done' >"$out" 3>&- &
	local pid=$!
	wait_until 10 file_has "$out" ready
	kill -TERM $pid
	wait $pid || status=$?
	assert_equal "$status" 5
	assert_run 127 brig run --rm --init "$image" no-such-thing
	assert_one_error no-such-thing
	assert_no_trace
}

# --- where the image comes from ----------------------------------------------------------

@test "--pull missing, always and never" {
	need_registry
	push_fixture busybox pulling:latest
	assert_run 125 brig run --rm --pull never "$registry/pulling" true
	assert_one_error pulling
	assert_run 0 brig run --rm "$registry/pulling" echo hello
	assert_equal "$output" hello
	assert_match "$errors" "Unable to find image '$registry/pulling:latest' locally"
	assert_match "$errors" "Status: Downloaded newer image for $registry/pulling:latest"
	assert_run 0 brig run --rm "$registry/pulling" echo again
	assert_equal "$errors" ""
	assert_run 0 brig run --rm --pull always "$registry/pulling" echo fresh
	assert_equal "$output" fresh
	assert_match "$errors" "Image is up to date"
	assert_run 0 brig run --rm --pull always -q "$registry/pulling" echo quiet
	assert_equal "$errors" ""
	assert_run 0 brig run --rm --pull never "$registry/pulling" true
	assert_run 125 brig run --rm --pull sometimes "$registry/pulling" true
	assert_one_error sometimes
	assert_run 125 brig run --rm "$registry/not-there" true
	assert_match "$errors" "brig: .*not-there"
	assert_no_trace
}

@test "an image for another machine does not run, and says why" {
	image_with foreign --architecture arm64
	assert_run 125 brig run --rm "$image" true
	assert_one_error "image $image is for linux/arm64.*and this host is linux/"
	assert_run 125 brig run --rm --pull never --platform linux/arm64 "$image" true
	assert_one_error
	need_busybox
	assert_run 125 brig run --rm --pull never --platform linux/s390x "$image" true
	assert_one_error s390x
	assert_run 125 brig run --rm --platform not/a/platform/at/all "$image" true
	assert_one_error
	assert_no_trace
}

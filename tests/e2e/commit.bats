#!/usr/bin/env bats
# commit: an image of what a container has become.
load lib
load containers

setup_file() {
	gcc -O1 -o "$BRIG_TEST_DIR/killat" "$BRIG_TEST_TOP/tests/tools/killat.c"
}
setup() {
	tree_copy commit
	mkdir -p "$tree/data/old"
	echo one >"$tree/data/one"
	echo two >"$tree/data/old/two"
	if ! brig inspect base >/dev/null 2>&1; then
		image_of "$tree"
		brig tag "$image" base
	fi
	image=base
}
teardown() {
	brig_clean
	local ids
	ids=$(brig images -a -q --no-trunc --filter dangling=false 2>/dev/null | sort -u) || true
	# shellcheck disable=SC2086
	[[ -z $ids ]] || brig rmi -f $ids >/dev/null 2>&1 || true
	ids=$(brig images -q --no-trunc 2>/dev/null | sort -u) || true
	# shellcheck disable=SC2086
	[[ -z $ids ]] || brig rmi -f $ids >/dev/null 2>&1 || true
}
# What a command prints in a container of an image.
in_image() {
	brig run --rm --network none "$@"
}
store_is_empty() {
	[[ -z $(ls -A "$BRIG_ROOT/layers" "$BRIG_ROOT/blobs/sha256" "$BRIG_ROOT/tmp" | grep -v ':$' | grep .) ]]
}
no_tidy() {
	! pgrep -x brig-tidy >/dev/null
}

@test "a stopped container becomes an image, and goes on" {
	brig run --network none --name work base sh -c \
		'echo new >/data/new; rm /data/one; echo three >>/data/old/two; mkdir -p /made/here'
	assert_run 0 brig commit -a 'A U Thor' -m 'a message' work mine:1
	assert_match "$output" '^sha256:[0-9a-f]{64}$'
	local id=$output
	assert_run 0 brig inspect -f '{{.Id}} {{.Author}} {{.Comment}} {{.Os}} {{json .RepoTags}}' mine:1
	assert_equal "$output" "$id A U Thor a message linux [\"mine:1\"]"
	assert_equal "$(brig inspect -f '{{.Parent}}' mine:1)" "$(brig inspect -f '{{.Id}}' base)"
	assert_run 0 in_image mine:1 sh -c 'cat /data/new /data/old/two; ls /data; ls /made'
	assert_equal "$output" $'new\ntwo\nthree\nnew\nold\nhere'
	# The container has what it had, and what it does now is its own.
	assert_run 0 brig diff work
	assert_equal "$output" $'C /data\nA /data/new\nC /data/old\nC /data/old/two\nD /data/one\nA /made\nA /made/here'
	assert_run 0 brig start -a work
	assert_equal "$output" ""
	assert_run 0 in_image mine:1 cat /data/old/two
	assert_equal "$output" $'two\nthree'
	assert_run 0 brig commit work mine:2
	assert_run 0 in_image mine:2 cat /data/old/two
	assert_equal "$output" $'two\nthree\nthree'
	assert_equal "$(brig history -q mine:2 | wc -l)" 3
	assert_equal "$(brig inspect mine:2 | jq '.[0].RootFS.Layers | length')" 3
}

@test "what commit made can be run without the container, and goes without a rest" {
	brig run --network none --name work base sh -c 'echo x >/x'
	brig commit work mine >/dev/null
	brig rm work >/dev/null
	assert_run 0 in_image mine cat /x
	assert_equal "$output" x
	assert_run 0 brig run --network none --name next mine sh -c 'echo y >/y'
	brig commit next other >/dev/null
	assert_run 0 in_image other cat /x /y
	assert_equal "$output" $'x\ny'
	brig rm next >/dev/null
	wait_until 5 no_tidy
	assert_run 0 brig rmi other mine base
	wait_until 5 store_is_empty
}

@test "a running container is frozen, copied, and goes on" {
	start_container work sh -c 'i=0; while :; do i=$((i+1)); echo $i >/t; mv /t /a; echo $i >/t; mv /t /b; done'
	wait_until 5 brig exec work test -s /b
	assert_run 0 brig commit work frozen
	assert_run 0 in_image frozen sh -c 'echo $(($(cat /a) - $(cat /b)))'
	assert_match "$output" '^[01]$'
	local before
	before=$(brig exec work cat /a)
	sleep 0.5
	[[ $(brig exec work cat /a) != "$before" ]] || fail "it stands still"
	assert_run 0 brig commit -p=false work unpaused
	assert_run 0 brig commit --pause=false work unpaused
	assert_equal "$(status_of work)" running
	brig rm -f work >/dev/null
	assert_run 0 in_image unpaused test -s /a
}

@test "a killed commit leaves no container frozen" {
	start_container work sh -c 'i=0; while :; do i=$((i+1)); echo $i >/t; mv /t /a; done'
	wait_until 5 brig exec work test -s /a
	brig exec work sh -c 'dd if=/dev/zero of=/big bs=1M count=64 2>/dev/null'
	local n now
	for n in 45 50 55 60 65 70; do
		timeout 20 "$BRIG_TEST_DIR/killat" -m $n "$BRIG" commit work killed 9>/dev/null || true
		now=$(brig exec work cat /a)
		sleep 0.3
		[[ $(timeout 5 "$BRIG" exec work cat /a) != "$now" ]] || fail "it stands still after a kill at $n"
	done
	assert_run 0 brig commit work killed
	brig rm -f work >/dev/null
}

@test "a commit that fails loses nothing of what the container wrote" {
	local call n hit
	for call in fsync renameat; do
		for ((n = 1, hit = 1; hit; n++)); do
			brig run --name kept --network none base sh -c 'echo kept >/kept'
			strace -o "$BATS_TEST_TMPDIR/trace" -e "trace=$call" -e "inject=$call:error=EIO:when=$n" \
				"$BRIG" commit kept made:1 >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- || true
			hit=$(grep -c INJECTED "$BATS_TEST_TMPDIR/trace") || true
			# The next command of another container's collects what nobody needs.
			brig run --rm --network none base true
			assert_run 0 brig diff kept
			assert_equal "$output" "A /kept" "after $call $n: $(cat "$BATS_TEST_TMPDIR/out")"
			assert_run 0 brig commit kept again:1
			assert_run 0 in_image again:1 cat /kept
			assert_equal "$output" kept
			assert_run 0 brig start -a kept
			brig rm kept
			hit=${hit#0}
		done
		((n > 4)) || fail "no $call was hit"
	done
}

@test "whiteouts, opaque folders, links, attributes and modes survive" {
	brig run --network none --name work base sh -c '
		rm -r /data/old && mkdir /data/old && echo fresh >/data/old/fresh
		echo l >/l1; ln /l1 /l2; ln -s l1 /l3; mkfifo /pipe
		mkdir -m 1777 /sticky; cp /bin/busybox /capable; chown 12:34 /l1; chmod 4755 /capable
		touch -d "2001-02-03 04:05:06" /l1'
	local upper
	upper=$(echo "$BRIG_ROOT"/containers/*/upper)
	setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 "$upper/capable"
	setfattr -n user.note -v hello "$upper/l1"
	brig commit work stopped >/dev/null
	brig start work >/dev/null
	brig wait work >/dev/null
	# The same from a running one, which is copied.
	brig run -d --network none --name live stopped sleep 1000 >/dev/null
	brig exec live sh -c 'ln /l1 /l4; rm /l2; rm -r /data; mkdir /data; touch /data/only; cp -a /capable /capable2'
	brig commit live copied >/dev/null
	local layer
	assert_run 0 in_image stopped sh -c 'ls /data/old; cat /l2; stat -c "%h %u:%g %Y" /l2; readlink /l3
		stat -c %a /sticky /capable; [ -p /pipe ] && echo pipe'
	assert_equal "$output" $'fresh\nl\n2 12:34 981173106\nl1\n1777\n4755\npipe'
	assert_run 0 in_image copied sh -c 'ls /data; stat -c "%h %u:%g" /l4; [ -e /l2 ] || echo gone'
	assert_equal "$output" $'only\n2 12:34\ngone'
	layer=$(brig inspect -f '{{.GraphDriver.Data.UpperDir}}' stopped)
	assert_equal "$(getfattr --only-values -n user.note "$layer/l1")" hello
	assert_match "$(getfattr -e hex -n security.capability "$layer/capable")" 0x0100000200040000
}

@test "a container that changed nothing makes an image without a layer" {
	brig run --network none --name work base true
	assert_run 0 brig commit -m empty work same
	assert_equal "$(brig inspect -f '{{len .RootFS.Layers}}' same)" "$(brig inspect -f '{{len .RootFS.Layers}}' base)"
	assert_run 0 brig history same
	assert_match "$output" '0B +empty'
	assert_run 0 in_image same cat /data/one
	assert_equal "$output" one
	brig create --network none --name fresh base true >/dev/null
	assert_run 0 brig commit fresh
	assert_match "$output" '^sha256:'
}

@test "the name moves, and serials are handed over" {
	brig run --network none --name work base sh -c 'echo 1 >/v'
	local first second serial
	first=$(brig commit work moves)
	brig start -a work
	second=$(brig commit work moves)
	assert_equal "$(brig inspect -f '{{.Id}}' moves)" "$second"
	assert_equal "$(brig inspect -f '{{json .RepoTags}}' "$first")" '[]'
	serial=$(brig images --filter dangling=true --format '{{.Repository}}')
	assert_match "$serial" '^img_[0-9]{5}$'
	assert_run 0 brig commit work "$serial"
	assert_equal "$(brig inspect -f '{{.Id}}' "$serial")" "$output"
	[[ $output != "$first" ]] || fail "the serial was not handed over"
	assert_run 0 brig images -a --no-trunc -q
	assert_match "$output" "$first"
}

@test "changes are Dockerfile instructions" {
	brig run --network none -e A=1 -l keep=me -w /data --name work base true
	assert_run 0 brig commit \
		-c 'CMD ["cat", "/data/one"]' -c 'ENV B=two C="$A and more" D=a\ b' -c 'ENV old form of it' \
		-c 'EXPOSE 80 8000-8001/udp' -c 'LABEL a=b "c d"="e f"' -c 'ONBUILD RUN make' \
		-c 'USER 12:34' -c 'VOLUME /v1 /v2' -c 'WORKDIR sub' -c 'STOPSIGNAL SIGINT' \
		-c 'HEALTHCHECK --interval=5s --retries=3 CMD curl -f http://x/' work changed
	assert_run 0 brig inspect -f '{{json .Config}}' changed
	assert_equal "$(jq -S . <<<"$output")" "$(jq -S . <<'JSON'
{"User":"12:34","ExposedPorts":{"80/tcp":{},"8000/udp":{},"8001/udp":{}},
"Env":["A=1","B=two","C=1 and more","D=a b","old=form of it"],
"Cmd":["cat","/data/one"],"Volumes":{"/v1":{},"/v2":{}},"WorkingDir":"/data/sub",
"Labels":{"a":"b","c d":"e f","keep":"me"},"StopSignal":"SIGINT",
"Healthcheck":{"Test":["CMD-SHELL","curl -f http://x/"],"Interval":5000000000,"Retries":3},
"OnBuild":["RUN make"]}
JSON
)"
	assert_run 0 brig commit -c 'CMD echo $A' -c 'WORKDIR /' -c 'USER root' work shell
	assert_run 0 in_image shell
	assert_equal "$output" 1
	assert_run 0 brig commit -c 'ENTRYPOINT ["echo", "said"]' -c 'WORKDIR /' -c 'USER root' work entry
	assert_run 0 in_image entry this
	assert_equal "$output" "said this"
	assert_run 0 brig commit -c $'CMD echo \\\n  one' -c $'# nothing\nENV A=9' work lines
	assert_run 0 in_image lines
	assert_equal "$output" one
	assert_run 0 brig commit -c 'HEALTHCHECK NONE' work nohealth
	assert_equal "$(brig inspect -f '{{json .Config.Healthcheck.Test}}' nohealth)" '["NONE"]'
}

@test "what the container exposes and has volumes for goes along" {
	brig create --name made --network none --expose 99 -v /anon "$image" true >/dev/null
	brig commit made made:1 >/dev/null
	assert_equal "$(brig inspect --type image --format '{{json .Config.ExposedPorts}}' made:1)" '{"99/tcp":{}}'
	assert_equal "$(brig inspect --type image --format '{{json .Config.Volumes}}' made:1)" '{"/anon":{}}'
}

@test "bad names, changes and containers are refused, and leave nothing" {
	brig run --network none --name work base sh -c 'echo x >/x'
	local bad before
	before=$(brig images -a -q; ls "$BRIG_ROOT/layers" "$BRIG_ROOT/blobs/sha256")
	assert_run 1 brig commit -c 'Run make' work mine:1
	assert_one_error "RUN is not a valid change command"
	for bad in 'RUN make' 'ENV' 'ENV a' 'ENV a=b c' 'ENV =b' 'EXPOSE 0' 'EXPOSE 70000' 'EXPOSE 80/foo' 'EXPOSE x' \
		'STOPSIGNAL nope' 'ONBUILD ONBUILD RUN x' 'ONBUILD FROM x' 'HEALTHCHECK' 'HEALTHCHECK CMD' \
		'HEALTHCHECK NONE x' 'HEALTHCHECK --interval=1us CMD x' 'HEALTHCHECK --nope=1 CMD x' 'USER a b' 'LABEL x' \
		'VOLUME' 'CMD' 'FROM x' 'ENV a="b' 'ENV a=${b' 'nonsense'; do
		assert_run 1 brig commit -c "$bad" work bad
		assert_one_error
	done
	assert_run 1 brig commit work Bad/Name
	assert_one_error 'must be lowercase'
	assert_run 1 brig commit work img_00000
	assert_one_error 'img_00000'
	assert_run 1 brig commit work ps_12345
	assert_one_error
	assert_run 1 brig commit work "x@sha256:$(printf 'a%.0s' {1..64})"
	assert_one_error 'digest'
	assert_run 1 brig commit nosuch x
	assert_one_error 'No such container: nosuch'
	assert_run 1 brig commit
	assert_run 1 brig commit work a b
	assert_equal "$(brig images -a -q; ls "$BRIG_ROOT/layers" "$BRIG_ROOT/blobs/sha256")" "$before"
	# A container whose image was taken away by force.
	brig rmi -f base >/dev/null
	assert_run 1 brig commit work orphan
	assert_one_error 'the image of container work was removed'
}

@test "rmi knows which images were committed on which" {
	local parent child
	brig run --network none --name work base sh -c 'echo 1 >/v'
	parent=$(brig commit work parent)
	brig run --network none --name next parent sh -c 'echo 2 >/v'
	child=$(brig commit next child)
	brig rm work next >/dev/null
	assert_run 1 brig rmi "$parent"
	assert_one_error 'has dependent child images'
	assert_run 1 brig rmi -f "$parent"
	# By its name it loses that, and is hidden.
	assert_run 0 brig rmi parent
	assert_equal "$output" "Untagged: parent:latest"
	refute_match "$(brig images --no-trunc -q)" "$parent"
	assert_match "$(brig images -a --no-trunc -q)" "$parent"
	assert_silent brig images --filter dangling=true -q
	assert_run 0 in_image child cat /v
	assert_equal "$output" 2
	# With the child it goes, unless that is forbidden.
	assert_run 0 brig rmi --no-prune child
	assert_run 0 brig inspect -f '{{.Id}}' "$parent"
	brig run --network none --name next "$parent" sh -c 'echo 3 >/v'
	child=$(brig commit next child)
	brig rm next >/dev/null
	assert_run 0 brig rmi child
	assert_match "$output" "Deleted: $child"
	assert_match "$output" "Deleted: $parent"
	assert_run 1 brig inspect "$parent"
	assert_run 0 in_image base cat /data/one
}

@test "an image of a container goes while the container stays, and the other way round" {
	local id
	brig run --network none --name work base sh -c 'echo 1 >/v'
	id=$(brig commit work gone)
	brig start -a work
	brig commit work stays >/dev/null
	assert_run 0 brig rmi "$id"
	assert_run 0 in_image stays cat /v
	assert_equal "$(brig history -q stays | wc -l)" 3
	assert_run 0 brig inspect stays
	assert_run 0 brig rmi stays
	assert_run 0 brig start -a work
	assert_run 0 brig commit work again
	brig rm work >/dev/null
	assert_run 0 in_image again cat /v
	wait_until 5 no_tidy
	assert_run 0 brig rmi again base
	wait_until 5 store_is_empty
}

@test "a long chain: flat trees show the same files" {
	local i expected
	brig tag base chain
	for i in $(seq 70); do
		brig run --network none --name work chain sh -c "
			echo $i >/last; echo $i >/data/f$i; [ -e /data/f$((i - 3)) ] && rm /data/f$((i - 3))
			rm -rf /d; mkdir /d; echo $i >/d/$i; [ $((i % 5)) != 0 ] || rm -rf /data/old
			[ $((i % 5)) != 1 ] || { mkdir -p /data/old; echo $i >/data/old/x; }; ln -f /last /link"
		brig commit work chain >/dev/null
		brig rm work >/dev/null
	done
	wait_until 5 no_tidy
	[[ -n $(ls -d "$BRIG_ROOT"/layers/*/flat 2>/dev/null) ]] || fail "nothing was put together"
	assert_run 0 in_image chain sh -c 'cat /last; ls /data; ls /d; [ -e /data/old ] || echo none; cat /link'
	expected=$(printf '%s\n' 70 $(printf 'f%s\n' 68 69 70 | sort) one 70 none 70)
	assert_equal "$output" "$expected"
	# Without the flat trees it is the same.
	local with
	with=$(in_image chain sh -c 'find / -xdev ! -path "/proc*" ! -path "/etc/host*" ! -path /etc/resolv.conf | sort | xargs stat -c "%n %F %a %u %Y %s" 2>/dev/null | grep -v "directory.*[0-9]$" ; ls -R /data /d | md5sum')
	mkdir "$BRIG_TEST_DIR/aside"
	for i in "$BRIG_ROOT"/layers/*/flat; do
		mv "$i" "$BRIG_TEST_DIR/aside/$(basename "$(dirname "$i")")"
	done
	assert_equal "$(in_image chain sh -c 'find / -xdev ! -path "/proc*" ! -path "/etc/host*" ! -path /etc/resolv.conf | sort | xargs stat -c "%n %F %a %u %Y %s" 2>/dev/null | grep -v "directory.*[0-9]$" ; ls -R /data /d | md5sum')" "$with"
	assert_equal "$(brig history -q chain | wc -l)" 71
	assert_equal "$(brig inspect chain | jq '.[0].RootFS.Layers | unique | length')" 71
	wait_until 5 no_tidy
	assert_run 0 brig rmi chain base
	wait_until 5 store_is_empty
}

@test "rmi right after run --rm does not see the container" {
	local i
	for i in $(seq 10); do
		brig tag base "again:$i"
		brig run --rm --network none base true
		brig tag base keep:1
		assert_run 0 brig rmi base "again:$i"
		brig tag keep:1 base
		brig rmi keep:1 >/dev/null
	done
	brig run --rm --network none base true
	assert_run 0 brig rmi base
	assert_match "$output" "Deleted: "
	wait_until 5 store_is_empty
}

#!/usr/bin/env bats
# An ordinary user's containers: one id, no network, nothing needed from root.
load lib
load containers

# Someone without any right, with a home and a runtime folder.
user=4711

setup() {
	[[ $(cat /proc/sys/user/max_user_namespaces 2>/dev/null || echo 0) != 0 ]] || skip "no user namespaces here"
	home=$BRIG_TEST_DIR/user
	if [[ ! -d $home ]]; then
		chmod 755 "$BRIG_TEST_DIR"
		mkdir -p "$home/run" "$home/tree"
		# The tree as the user's own: an archive that they unpacked.
		tar -C "$(fixture busybox)/tree" -c . | tar -C "$home/tree" -x --no-same-owner
		chown -R $user:$user "$home"
		chmod 700 "$home" "$home/run"
	fi
	as_user true 2>/dev/null || skip "setpriv does not work here"
	if [[ ! -e $home/image ]]; then
		user_brig init "$home/tree" | sed -n 's/^Created: //p' >"$home/image"
	fi
	image=$(cat "$home/image")
	[[ -n $image ]] || fail "the user's init made no image"
}
teardown() {
	local ids
	ids=$(user_brig ps -aq 2>/dev/null) || return 0
	# shellcheck disable=SC2086
	[[ -z $ids ]] || user_brig rm -f $ids >/dev/null
}

as_user() {
	env -i PATH="$PATH" HOME="$home" XDG_RUNTIME_DIR="$home/run" LC_ALL=C.UTF-8 TERM=xterm ASAN_OPTIONS="${ASAN_OPTIONS:-}" \
		UBSAN_OPTIONS="${UBSAN_OPTIONS:-}" ${BRIG_CONFIG:+BRIG_CONFIG="$BRIG_CONFIG"} \
		setpriv --reuid=$user --regid=$user --clear-groups --inh-caps=-all --bounding-set=-all "$@"
}
user_brig() {
	as_user "$BRIG" "$@"
}

@test "run: root inside, the user outside, one warning about the network" {
	assert_run 0 user_brig run --rm "$image" sh -c 'id -u; id -g; hostname; cat /proc/self/uid_map; ip -o link | wc -l'
	assert_equal "$(sed -n 1,2p <<<"$output")" $'0\n0'
	assert_match "$(sed -n 4p <<<"$output")" "^ +0 +$user +1\$"
	assert_equal "$(sed -n 5p <<<"$output")" 1 "a link beside lo"
	assert_equal "$(grep -c '^brig: ' <<<"$errors")" 1 "$errors"
	assert_match "$errors" 'no network'
	assert_run 0 user_brig run --rm --network none "$image" true
	assert_equal "$errors" ""
	# Everything is where the user's things are.
	assert_exists "$home/.local/share/brig"
	assert_equal "$(stat -c %a "$home/.local/share/brig")" 700
	refute_exists /run/brig
}

@test "a bridge that is asked for by name is an error" {
	assert_run 125 user_brig run --rm --network bridge "$image" true
	assert_one_error "bridge"
	assert_equal "$(user_brig ps -aq)" ""
}

@test "host networking shows the host's links" {
	assert_run 0 user_brig run --rm --network host "$image" readlink /proc/self/ns/net
	assert_equal "$output" "$(readlink /proc/self/ns/net)"
}

@test "streams, statuses, input, a terminal" {
	assert_run 7 user_brig run --rm --network none "$image" sh -c 'echo out; echo err >&2; exit 7'
	assert_equal "$output/$errors" out/err
	assert_equal "$(printf 'a\nb' | user_brig run --rm -i --network none "$image" cat)" $'a\nb'
	assert_run 127 user_brig run --rm --network none "$image" no-such-command
	assert_one_error no-such-command
	assert_run 126 user_brig run --rm --network none "$image" /etc/passwd
	assert_one_error /etc/passwd
	assert_run 0 user_brig run --rm -t --network none "$image" sh -c 'test -t 1 && echo terminal; echo x >/dev/console'
	assert_match "$output" terminal
}

@test "detached: ps, exec, logs, stop, start, wait, rm" {
	assert_run 0 user_brig run -d --network none --name box "$image" sh -c 'echo ready; trap "exit 3" TERM; while :; do sleep 0.05; done'
	assert_match "$output" '^[0-9a-f]{64}$'
	assert_run 0 user_brig ps --format '{{.Names}} {{.State}}'
	assert_equal "$output" 'box running'
	assert_run 0 user_brig exec box sh -c 'id -u; hostname; echo $PPID'
	assert_equal "$(sed -n 1p <<<"$output")" 0
	assert_run 4 user_brig exec box sh -c 'exit 4'
	assert_run 127 user_brig exec box no-such
	assert_equal "$(echo in | user_brig exec -i box cat)" in
	wait_until 5 sh -c "[ -n \"\$(find '$home/.local/share/brig/containers' -name log.json -size +0)\" ]"
	assert_run 0 user_brig logs box
	assert_equal "$output" ready
	assert_run 0 user_brig stop box
	assert_run 0 user_brig wait box
	assert_equal "$output" 3
	assert_run 0 user_brig start box
	assert_run 0 user_brig kill box
	assert_run 0 user_brig wait box
	assert_equal "$output" 137
	assert_run 0 user_brig rm box
	assert_equal "$(user_brig ps -aq)" ""
	assert_equal "$(find "$home/.local/share/brig/containers" -mindepth 1 -type d)" ""
}

@test "the processes are the user's alone" {
	user_brig run -d --network none --name box "$image" sleep 100 >/dev/null
	local pid
	pid=$(user_brig inspect -f '{{.State.Pid}}' box)
	assert_match "$(sed -n 's/^Uid:\t//p' "/proc/$pid/status")" "^$user	$user	$user	$user\$"
	assert_match "$(sed -n 's/^Gid:\t//p' "/proc/$pid/status")" "^$user	$user	$user	$user\$"
	assert_equal "$(sed -n 's/^Seccomp:\t//p' "/proc/$pid/status")" 2
	assert_equal "$(sed -n 's/^CapEff:\t//p' "/proc/$pid/status")" 00000000a00425fb
	refute_match "$(readlink "/proc/$pid/ns/user")" "^$(readlink /proc/self/ns/user | sed 's/[][]/\\&/g')\$"
	# Root's brig does not see it, nor touch it.
	assert_run 0 brig ps -aq
	assert_equal "$output" ""
}

@test "files: the image's, the container's, binds of one's own" {
	assert_run 0 user_brig run --rm --network none "$image" sh -c 'echo changed >/etc/passwd; rm -r /bin/ls; mkdir /x; touch /x/y; chown 0:0 /x'
	assert_run 0 user_brig run --rm --network none "$image" sh -c 'test -e /bin/ls && grep -c root /etc/passwd'
	as_user mkdir -p "$home/data"
	assert_run 0 user_brig run --rm --network none -v "$home/data:/data" "$image" sh -c 'echo x >/data/made; stat -c %u /data/made'
	assert_equal "$output" 0
	assert_equal "$(stat -c %u "$home/data/made")" $user
	assert_run 1 user_brig run --rm --network none -v "$home/data:/data:ro" "$image" touch /data/no
	assert_match "$errors" 'Read-only'
	assert_run 0 user_brig run --rm --network none --tmpfs /t --read-only "$image" touch /t/x /dev/shm/y
	# What is not the user's stays so.
	assert_run 1 user_brig run --rm --network none -v "$BRIG_TEST_DIR:/data" "$image" sh -c 'echo x >/data/root-file'
	refute_exists "$BRIG_TEST_DIR/root-file"
	assert_run 0 user_brig run --rm --network none "$image" sh -c 'echo x >/dev/null; head -c 3 /dev/zero | wc -c; ls /dev | tr "\n" " "'
	assert_match "$output" $'^3\ncore fd full mqueue null ptmx pts random shm'
}

@test "what one id cannot do says so" {
	assert_run 125 user_brig run --rm --network none -u 1000 "$image" true
	assert_one_error
	assert_run 0 user_brig run --rm --network none -u 0 "$image" id -u
	# A limit needs a cgroup that was delegated.
	assert_run 125 user_brig run --rm --network none -m 64m "$image" true
	assert_one_error
	assert_equal "$(user_brig ps -aq)" ""
}

@test "the sandbox holds: nothing to mount, to unshare, to see" {
	assert_run 0 user_brig run --rm --network none "$image" sh -c 'mount -t tmpfs x /mnt 2>&1; cat /proc/kcore | wc -c; echo x 2>&1 >/proc/sys/kernel/core_pattern; ls /proc/self/fd | wc -l'
	assert_match "$output" 'denied|not permitted'
	assert_match "$output" $'\n0\n'
	assert_run 0 user_brig run --rm --network none --cap-add ALL "$image" sh -c 'grep CapEff /proc/self/status; cat /etc/shadow 2>/dev/null; echo fine'
	assert_match "$output" fine
	assert_equal "$(as_user sh -c 'cat /etc/shadow' 2>&1 | grep -c denied)" 1
}

@test "a monitor that was killed, and twenty at once" {
	user_brig run -d --network none --name box "$image" sleep 100 >/dev/null
	local pid i pids=()
	pid=$(user_brig inspect -f '{{.State.Pid}}' box)
	kill -KILL "$(ps -o ppid= -p "$pid" | tr -d ' ')"
	wait_until 5 sh -c "[ \$(ps -o ppid= -p $pid | tr -d ' ') = 1 ]"
	assert_run 0 user_brig ps --format '{{.Status}}'
	assert_match "$output" unattended
	assert_run 0 user_brig exec box true
	assert_run 0 user_brig rm -f box
	for i in $(seq 20); do
		(user_brig run --rm --network none "$image" sh -c "exit $i" 3>&-) &
		pids[i]=$!
	done
	for i in $(seq 20); do
		local status=0
		wait "${pids[i]}" || status=$?
		assert_equal "$status" "$i"
	done
	wait_until 10 sh -c "[ -z \"\$(find '$home/.local/share/brig/containers' -mindepth 1 -type d)\" ]"
	assert_equal "$(find "$home/run/brig/containers" "$home/run/brig/attach" -mindepth 1 2>/dev/null)" ""
}

@test "without a runtime folder or a home it says what is missing" {
	assert_run 125 env -i PATH="$PATH" HOME="$home" setpriv --reuid=$user --regid=$user --clear-groups "$BRIG" run --rm "$image" true
	assert_one_error XDG_RUNTIME_DIR
	assert_run 125 env -i PATH="$PATH" XDG_RUNTIME_DIR="$home/run" setpriv --reuid=$user --regid=$user --clear-groups "$BRIG" run --rm "$image" true
	assert_one_error "HOME"
}

@test "volumes: filled, shared, removed; an owner that is not there is the user" {
	assert_run 0 user_brig run --rm -v mine:/etc -v /anon "$image" sh -c 'ls /etc/passwd; echo x >/anon/f; echo y >/etc/new; stat -c %u:%g /etc'
	assert_equal "$output" $'/etc/passwd\n0:0'
	assert_equal "$(user_brig volume ls -q)" mine
	assert_run 0 user_brig run --rm -v mine:/m:ro "$image" cat /m/new
	assert_equal "$output" y
	assert_run 0 user_brig volume rm mine
	assert_equal "$(user_brig volume ls -q)" ""
}

@test "save, export and load, of what a container of one's own has become" {
	local out=$home/out
	rm -rf "$out"
	as_user mkdir "$out"
	user_brig run --network none --name work "$image" sh -c 'echo new >/new; chmod 0 /new; rm /bin/vi'
	user_brig run -d --network none --name running "$image" sh -c 'echo new >/new; echo 1 >/ready; exec sleep 1000' >/dev/null
	wait_until 10 user_brig exec running cat /ready
	assert_run 0 user_brig export -o "$out/stopped.tar" work
	assert_equal "$(tar -xOf "$out/stopped.tar" new)" new
	assert_equal "$(tar -tf "$out/stopped.tar" bin/sh bin/vi 2>/dev/null)" bin/sh
	assert_run 0 user_brig export -o "$out/running.tar" running
	assert_equal "$(tar -xOf "$out/running.tar" new)" new
	assert_run 0 user_brig commit work mine:1
	assert_run 0 user_brig save -o "$out/saved.tar" mine:1
	assert_equal "$(stat -c %u:%g "$out"/*.tar | sort -u)" "$user:$user"
	assert_run 0 user_brig rmi mine:1
	assert_run 0 user_brig load -i "$out/saved.tar"
	assert_equal "$output" "Loaded image: mine:1"
	assert_run 0 user_brig run --rm --network none mine:1 sh -c 'cat /new; ls /bin/vi 2>&1 | cut -d: -f3'
	assert_equal "$output" $'new\n No such file or directory'
	assert_run 0 user_brig rmi mine:1
}

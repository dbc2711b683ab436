#!/usr/bin/env bats
# What cannot be: one clear message each, the right status, nothing left, the host untouched.
load lib
load containers

setup() {
	need_busybox
	canary=$BRIG_TEST_DIR/canary
	mkdir -p "$canary"
	[[ -e $canary/file ]] || { echo untouched >"$canary/file"; touch -d '2001-02-03' "$canary/file" "$canary"; }
	before=$(stat -c '%n %a %u %g %Y %Z %i' "$canary" "$canary/file")
}
teardown() {
	umount "$BATS_TEST_TMPDIR/full" 2>/dev/null || true
	brig_clean
}

assert_host_untouched() {
	assert_equal "$(stat -c '%n %a %u %g %Y %Z %i' "$canary" "$canary/file")" "$before" "the host was touched"
	assert_equal "$(ls -A "$canary")" file
	assert_equal "$(cat "$canary/file")" untouched
}

# --- root file systems that are traps ----------------------------------------------------

# variant NAME COMMANDS: an image from a copy of the tree with the commands done in it.
variant() {
	local dir=$BATS_TEST_TMPDIR/$1
	cp -a "$(fixture busybox)/tree" "$dir"
	(cd "$dir" && eval "$2")
	image_of "$dir"
}

@test "/proc, /dev or /sys as a link, a file or missing: one message or it works" {
	local place how number=0
	for place in proc dev sys; do
		for how in "ln -s $canary $place" "ln -s ../../../../../../../..$canary $place" "ln -s /nowhere/to/be $place" \
			"ln -s etc $place" "ln -s / $place" "ln -s . $place" "touch $place" "mkfifo $place" "ln -s loop $place; ln -s $place loop"; do
			number=$((number + 1))
			variant "v$number" "rmdir $place; $how"
			assert_run 125 timeout -k 2 20 "$BRIG" run --rm --network none "$image" true
			assert_one_error "the image's /$place is"
			assert_host_untouched
			refute_exists /nowhere
		done
		number=$((number + 1))
		variant "v$number" "rmdir $place"
		assert_run 0 brig run --rm --network none "$image" test -d "/$place/."
		assert_equal "$errors" ""
	done
	assert_no_trace
}

@test "what failed is told, whatever stumbles over it: the network finds the child gone" {
	local i
	# It is said once that forwarding was switched on.
	assert_run 0 brig run --rm "$image" true
	variant early "rmdir proc; ln -s etc proc"
	for i in $(seq 20); do
		assert_run 125 brig run --rm "$image" true
		assert_one_error "the image's /proc is"
	done
	assert_no_trace
}

@test "/etc or /tmp as a link, a file or missing: it works inside, or one message" {
	local place how number=0
	for place in etc tmp; do
		for how in "ln -s $canary $place" "ln -s ../../../../../../../..$canary $place" "ln -s /nowhere/to/be $place" "ln -s usr $place" "true"; do
			number=$((number + 1))
			variant "v$number" "rm -rf $place; $how"
			assert_run 0 brig run --rm --network none --tmpfs /tmp "$image" sh -c 'cat /etc/hostname && touch /tmp/x /etc/x'
			assert_match "$output" '^[0-9a-f]{12}$'
			assert_host_untouched
			refute_exists /nowhere
		done
		for how in "touch $place" "ln -s loop $place; ln -s $place loop" "ln -s /proc/1/root$canary $place"; do
			number=$((number + 1))
			variant "v$number" "rm -rf $place; $how"
			assert_run 125 timeout -k 2 20 "$BRIG" run --rm --network none --tmpfs /tmp "$image" true
			assert_one_error "/$place"
			assert_host_untouched
		done
	done
	assert_no_trace
}

@test "/etc/hosts, hostname and resolv.conf as links out, fifos, folders, devices" {
	local how number=0
	for how in "ln -s $canary/\$f" "ln -s ../../../../../../../../../..$canary/\$f" "ln -s $canary/new/\$f" "mkfifo" "mknod -m 666 etc/\$f c 1 3; :"; do
		number=$((number + 1))
		variant "h$number" "for f in hosts hostname resolv.conf; do rm -f etc/\$f; $how etc/\$f; done"
		assert_run 0 timeout -k 2 20 "$BRIG" run --rm --network none -h box "$image" sh -c 'cat /etc/hostname; echo x >>/etc/hosts'
		assert_equal "$output" box
		assert_host_untouched
	done
	variant folder "mkdir etc/hosts"
	assert_run 125 brig run --rm --network none "$image" true
	assert_one_error "/etc/hosts"
	variant loop "ln -s hosts etc/hosts"
	assert_run 125 brig run --rm --network none "$image" true
	assert_one_error "/etc/hosts"
	variant magic "ln -s /proc/self/fd/0 etc/hosts"
	assert_run 125 brig run --rm --network none "$image" true
	assert_one_error "/etc/hosts"
	assert_no_trace
}

@test "what lies below /dev, /proc and /sys in the image is covered, never followed" {
	variant below "mkdir -p dev/pts proc/self sys/fs; ln -s $canary/file dev/null; ln -s $canary dev/shm; ln -s $canary dev/mqueue; ln -s $canary/file dev/ptmx; ln -s $canary/file dev/console; ln -s $canary sys/fs/cgroup; ln -s $canary/file proc/kcore"
	assert_run 0 brig run --rm "$image" sh -c 'echo x >/dev/null; touch /dev/shm/x; test -c /dev/null && test -d /dev/pts && echo fine'
	assert_equal "$output" fine
	assert_run 0 brig run --rm -t "$image" sh -c 'echo x >/dev/console'
	assert_host_untouched
	assert_no_trace
}

@test "passwd and group that are traps" {
	local number=0 how
	for how in "mkfifo etc/passwd" "ln -s /dev/zero etc/passwd" "mkdir etc/passwd" "truncate -s 11M etc/passwd" "mknod etc/passwd c 1 5"; do
		number=$((number + 1))
		variant "p$number" "rm etc/passwd; $how"
		assert_run 125 timeout -k 2 20 "$BRIG" run --rm --network none -u user "$image" true
		assert_match "$errors" '^brig: '
	done
	variant out "rm etc/passwd; ln -s ../../../../../../../../../etc/passwd etc/passwd"
	assert_run 125 brig run --rm --network none -u user "$image" true
	assert_one_error
	variant none "rm etc/passwd etc/group"
	assert_run 0 brig run --rm --network none "$image" sh -c 'id -u; echo $HOME'
	assert_equal "$output" $'0\n/root'
	assert_run 0 brig run --rm --network none -u 7:8 "$image" id -g
	assert_equal "$output" 8
	# Lines that mean something else.
	variant odd $'printf "bad\\n::::\\nx:x:notanumber:0::/:\\nbig:x:4294967296:1::/:\\nnl:x:-1:1::/:\\n%065600d\\nuser:x:1000:1000:user:/home/user:/bin/sh" 0 >etc/passwd'
	assert_run 0 brig run --rm --network none -u user "$image" id -u
	assert_equal "$output" 1000
	local name
	for name in bad x big nl ''; do
		assert_run 125 brig run --rm --network none -u "${name:-nobody-here}" "$image" true
		assert_one_error
	done
	assert_no_trace
}

@test "a working folder that leads out" {
	variant cwd "ln -s /proc/self/fd/7 fd7; ln -s $canary out; ln -s ../../../../../..$canary up; ln -s /proc/1/cwd magic"
	local where
	for where in /fd7 /fd7/x /proc/self/cwd /magic /proc/1/root; do
		assert_run 125 brig run --rm --network none -w "$where" "$image" pwd
		assert_one_error
	done
	for where in /out /up /out/deeper; do
		assert_run 0 brig run --rm --network none -w "$where" "$image" sh -c 'touch here 2>/dev/null; pwd -P'
		assert_match "$output" ^/
		assert_host_untouched
	done
	image_with cwd7 --config.workingdir /proc/self/fd/7
	assert_run 125 brig run --rm --network none "$image" true
	assert_one_error
	assert_no_trace
}

# --- the store ---------------------------------------------------------------------------

@test "an index of containers that is damaged is named, and images still work" {
	brig run --name one --network none "$image" true
	cp "$BRIG_ROOT/containers/index" "$BATS_TEST_TMPDIR/index"
	printf 'garbage' | dd of="$BRIG_ROOT/containers/index" conv=notrunc 2>/dev/null
	assert_run 1 brig ps -a
	assert_one_error "index of containers"
	assert_run 125 brig run --rm --network none "$image" true
	assert_one_error "index of containers"
	assert_run 1 brig rm one
	assert_one_error "index of containers"
	cp "$BATS_TEST_TMPDIR/index" "$BRIG_ROOT/containers/index"
	assert_run 0 brig rm one
	assert_no_trace
}

@test "one damaged record does not hide the others, and is mended" {
	brig run --name first --network none "$image" true
	brig run --name second --network none "$image" true
	# The status of the first: somewhere in its second half.
	printf 'XXXX' | dd of="$BRIG_ROOT/containers/index" bs=1 seek=$((4096 + 384 + 20)) conv=notrunc 2>/dev/null
	assert_run 0 brig ps -a --format '{{.Names}}'
	assert_match "$output" second
	assert_run 0 brig run --rm --network none "$image" true
	assert_run 0 brig ps -a --format '{{.Names}} {{.Status}}'
	assert_match "$output" 'first Exited \(255\)'
	assert_run 0 brig rm first second
	assert_no_trace
}

@test "an index that is cut short, or empty" {
	brig run --name gone --network none "$image" true
	cp "$BRIG_ROOT/containers/index" "$BATS_TEST_TMPDIR/index"
	truncate -s 4200 "$BRIG_ROOT/containers/index"
	assert_run 0 brig ps -a --format '{{.Names}}.'
	assert_equal "$output" ""
	local size
	for size in 4200 100 0; do
		truncate -s $size "$BRIG_ROOT/containers/index"
		assert_run 0 timeout -k 2 10 "$BRIG" run --rm --network none "$image" echo "works with $size"
		assert_equal "$output" "works with $size"
	done
	cp "$BATS_TEST_TMPDIR/index" "$BRIG_ROOT/containers/index"
	assert_equal "$(brig ps -a --format '{{.Names}}')" gone
	assert_run 0 brig rm -f gone
	find "$BRIG_ROOT/containers" -mindepth 1 -type d -prune -exec rm -rf {} +
}

@test "a container whose config.json is damaged is listed, says so, and can be removed" {
	local text number=0
	for text in '' '{' '[]' '{"version":1}' '{"version":99}' 'null' '{"version":1,"id":"x","layers":"no"}'; do
		number=$((number + 1))
		brig create --name "bad$number" --network none "$image" true >/dev/null
		printf %s "$text" >"$BRIG_ROOT/containers/$(id_of "bad$number")/config.json"
		assert_run 0 brig ps -a --format '{{.Names}}'
		assert_match "$output" "bad$number"
		assert_run 1 brig start "bad$number"
		assert_one_error "config.json"
		assert_run 1 brig inspect "bad$number"
		assert_match "$errors" "config.json"
		assert_run 0 brig rm "bad$number"
	done
	# One that runs is stopped and removed all the same.
	brig run -d --name live --network none "$image" sleep 100 >/dev/null
	echo '{' >"$BRIG_ROOT/containers/$(id_of live)/config.json"
	assert_run 1 brig exec live true
	assert_one_error config.json
	assert_run 0 brig kill live
	assert_run 0 brig wait live
	assert_run 0 brig rm -f live
	assert_no_trace
}

@test "a container whose folder or parts are gone" {
	brig create --name nofolder --network none "$image" true >/dev/null
	rm -rf "${BRIG_ROOT:?}/containers/$(id_of nofolder)"
	assert_run 1 brig start nofolder
	assert_one_error
	assert_run 1 brig logs nofolder
	assert_one_error
	assert_run 0 brig rm nofolder
	brig create --name noupper --network none "$image" true >/dev/null
	rm -rf "${BRIG_ROOT:?}/containers/$(id_of noupper)/upper"
	assert_run 1 brig start noupper
	assert_one_error upper
	assert_equal "$(status_of noupper)" created
	assert_run 0 brig rm noupper
	assert_no_trace
}

@test "a layer that is gone is named" {
	local layer
	tree_copy lost
	echo lost >"$tree/lost"
	image_of "$tree"
	layer=$(grep -l . "$BRIG_ROOT"/layers/*/tree/lost | sed 's|/tree/lost||')
	mv "$layer" "$BATS_TEST_TMPDIR/away"
	assert_run 125 brig run --rm --network none "$image" true
	assert_one_error layer
	mv "$BATS_TEST_TMPDIR/away" "$layer"
	assert_run 0 brig run --rm --network none "$image" cat /lost
	assert_no_trace
}

@test "a full disk: run says so and leaves nothing; what runs goes on" {
	local disk=$BATS_TEST_TMPDIR/disk full=$BATS_TEST_TMPDIR/full
	truncate -s 24M "$disk"
	mkfs.ext4 -q -m 0 "$disk"
	mkdir "$full"
	mount -o loop "$disk" "$full" || skip "no loop devices here"
	export BRIG_ROOT=$full/root
	image_of "$(fixture busybox)/tree"
	# The command's own writes fail; its status is its own.
	assert_run 1 brig run --rm --network none "$image" dd if=/dev/zero of=/big bs=1M count=100
	assert_match "$errors" 'No space left'
	assert_run 0 brig run --rm --network none "$image" true
	# A container that prints goes on when its log has no room.
	brig run -d --name talker --network none "$image" sh -c 'i=0; while [ $i -lt 400 ]; do echo $i; i=$((i+1)); sleep 0.01; done; exit 3' >/dev/null
	dd if=/dev/zero of="$full/fill" bs=4k >/dev/null 2>&1 || true
	local i
	for i in 1 2 3; do cat /dev/zero >"$full/fill$i" 2>/dev/null || true; done
	assert_run 125 brig run --rm --network none "$image" true
	assert_one_error "No space left"
	assert_run 125 brig run -d --name full --network none "$image" true
	assert_one_error "No space left"
	assert_run 0 brig wait talker
	assert_equal "$output" 3
	assert_run 0 brig logs talker
	assert_run 0 brig ps -a --format '{{.Names}}'
	assert_equal "$output" talker
	rm "$full"/fill*
	assert_run 0 brig run --rm --network none "$image" true
	assert_run 0 brig rm talker
	assert_equal "$(find "$full/root/containers" -mindepth 1 -type d)" ""
	umount "$full"
	export BRIG_ROOT=$BRIG_TEST_DIR/root
}

@test "a store on a file system that is read-only, and places that are no folders" {
	mkdir "$BATS_TEST_TMPDIR/ro"
	mount -t tmpfs -o ro ro "$BATS_TEST_TMPDIR/ro"
	assert_run 125 brig --root "$BATS_TEST_TMPDIR/ro/store" run --rm --network none "$image" true
	assert_one_error
	assert_run 125 brig --run-root "$BATS_TEST_TMPDIR/ro/run" run --rm --network none "$image" true
	assert_one_error
	umount "$BATS_TEST_TMPDIR/ro"
	touch "$BATS_TEST_TMPDIR/file"
	assert_run 125 brig --root "$BATS_TEST_TMPDIR/file" run --rm --network none "$image" true
	assert_one_error
	assert_run 125 brig --run-root "$BATS_TEST_TMPDIR/file" run --rm --network none "$image" true
	assert_one_error
	assert_run 1 brig --root "$BATS_TEST_TMPDIR/file" ps
	assert_one_error
	assert_no_trace
}

# --- words -------------------------------------------------------------------------------

# As docker: 125 of create too where the command line is at fault, 1 where the container cannot be.
@test "options that cannot be: 125 for run, 125 or 1 for create, and the flag is named" {
	local words wanted status
	while IFS='!' read -r words wanted status; do
		# shellcheck disable=SC2086
		assert_run 125 brig run --rm --network none $words "$image" true
		assert_match "$errors" "^brig: "
		assert_match "$errors" "$wanted"
		assert_equal "$(grep -c '^brig: ' <<<"$errors")" 1
		# shellcheck disable=SC2086
		assert_run "${status:-125}" brig create --network none $words "$image" true
		assert_match "$errors" "$wanted"
	done <<-EOF
		--no-such-flag!no-such-flag
		--network nowhere!network nowhere not found!1
		--cap-add NOSUCH!NOSUCH!1
		--cap-drop NOSUCH!NOSUCH!1
		--security-opt nonsense!nonsense
		--security-opt seccomp=/no/such/profile!/no/such/profile
		--security-opt no-new-privileges=maybe!no-new-privileges
		--sysctl kernel.core_pattern=x!not allowed
		--sysctl net.ipv4.ip_forward!key=value
		--sysctl kernel.shmmax=1+kernel.core_pattern=|evil!not allowed
		--stop-timeout soon!invalid
		--stop-signal 99!signal!1
		-w here!absolute path!1
		-m 1m!minimum memory limit!1
		-m much!memory
		--cpus 100000!range of CPUs!1
		--cpus some!rational number
		-h bad/host!hostname!1
		-e =x!environment
		--label =x!empty name
		--env-file /no/such/file!/no/such/file
		--name -x!name!1
		--platform linux/!platform!1
		--tty=maybe!invalid
	EOF
	assert_run 1 brig create --pull never no/such:image
	assert_one_error "No such image"
	brig create --name there --network none "$image" true >/dev/null
	assert_run 1 brig create --name there --network none "$image" true
	assert_run 125 brig run --name there --network none "$image" true
	brig rm there >/dev/null
	# No engine's fault, so not 125.
	assert_run 1 brig run --rm -it --network none "$image" true
	assert_one_error "not a TTY"
	assert_run 1 brig run
	assert_match "$errors" "requires at least 1 argument"
	assert_no_trace
}

@test "image names that cannot be" {
	local name
	for name in 'UPPER/case' 'a b' 'x:' ':tag' 'x@sha256:short' '-x' 'x//y' 'img_1' '../../etc' "$(printf 'a%.0s' $(seq 300))" ''; do
		assert_run 125 brig run --rm --pull never "$name" true
		assert_match "$errors" "^brig: "
	done
	assert_no_trace
}

@test "the other verbs end with 1, and every bad name is reported" {
	local verb
	for verb in start stop kill wait rm; do
		assert_run 1 brig $verb missing1 missing2
		assert_equal "$(grep -c '^brig: ' <<<"$errors")" 2
		assert_match "$errors" missing2
		assert_run 1 brig $verb
		assert_match "$errors" "requires at least 1 argument"
		assert_run 125 brig $verb --no-such-flag x
		assert_match "$errors" no-such-flag
	done
	for verb in logs attach 'exec'; do
		assert_run 1 brig $verb missing true
		assert_match "$errors" '^brig: '
	done
	# A name that would be a terminal's command, or a path.
	assert_run 1 brig stop $'x\e]0;owned\a'
	refute_match "$errors" $'\e'
	assert_run 1 brig stop ../../etc/passwd
	assert_one_error "No such container"
}

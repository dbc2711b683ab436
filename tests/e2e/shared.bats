#!/usr/bin/env bats
# A host whose mounts are all shared, as systemd makes them: of what containers mount nothing
# appears on it, not while they run and not afterwards.
load lib
load containers

setup_file() {
	# Of this pretend host, whose mounts are its own copies: the machine does not see it.
	mount --make-rshared /
}
setup() {
	need_busybox
	host=$BATS_TEST_TMPDIR/host
	mkdir "$host"
	assert_match "$(awk '$5 == "/"' /proc/self/mountinfo)" " shared:[0-9]+ "
	before=$(mounts)
}
teardown() {
	brig_clean
	brig volume prune -af >/dev/null
}

# What is mounted where, on this host.
mounts() {
	awk '{ type = $0; sub(/.* - /, "", type); split(type, words, " "); print $5, words[1] }' /proc/self/mountinfo | sort
}
assert_same_mounts() {
	assert_equal "$(mounts)" "$before" "the host's mounts are not what they were"
}
# What the kernel calls where the process's own mounts are peers of.
peers() { # PID
	grep -oE ' shared:[0-9]+' "/proc/$1/mountinfo" | sort -u
}

# A whole life, with all that mounts something. $1: an image.
life() {
	local pid id
	# What has a name does not go with the images that are committed on it.
	brig tag "$1" kept:1
	brig volume create data >/dev/null
	brig volume create -o type=tmpfs -o device=tmpfs -o o=size=1m memory >/dev/null
	assert_same_mounts
	echo file >"$host/file"
	assert_run 0 brig run -d --name alive -v data:/v -v memory:/m -v /anon -v "$host:/b" --tmpfs /t "$1" sh -c \
		'echo kept >/v/kept; echo own >/own; while :; do sleep 0.1; done'
	id=$output
	assert_same_mounts
	pid=$(pid_of alive)
	# Nothing in there is anybody's peer, so nothing that it mounts goes anywhere.
	assert_equal "$(peers "$pid")" ""
	assert_run 0 brig exec alive sh -c 'cat /b/file; grep -c " /v \| /m \| /anon \| /b \| /t " /proc/mounts'
	assert_equal "$output" $'file\n5'
	assert_same_mounts
	assert_run 0 brig exec --privileged alive sh -c 'mount -t tmpfs x /mnt && mount -t tmpfs y /b && touch /mnt/x /b/y && ls /b'
	assert_equal "$output" y
	assert_same_mounts
	assert_equal "$(ls "$host")" file
	# Nor does what the host mounts there later come in.
	mkdir "$host/later"
	mount -t tmpfs later "$host/later"
	touch "$host/later/seen"
	assert_run 0 brig exec --privileged alive sh -c 'umount /b; ls /b/later'
	assert_equal "$output" ""
	umount "$host/later"
	rmdir "$host/later"
	assert_run 0 brig commit alive made:1
	assert_same_mounts
	assert_run 0 brig run --rm -v data:/v made:1 cat /own /v/kept
	assert_equal "$output" $'own\nkept'
	assert_same_mounts
	assert_run 0 brig stop -t 0 alive
	assert_same_mounts
	assert_run 0 brig start alive
	assert_run 0 brig exec alive cat /v/kept
	assert_same_mounts
	assert_run 0 brig commit alive made:2
	assert_run 0 brig rm -f -v alive
	assert_run 0 brig rmi made:1 made:2
	assert_run 0 brig image inspect -f '{{json .RepoTags}}' "$1"
	assert_run 0 brig volume rm data memory
	assert_same_mounts
	wait_until 10 no_cgroups "$id"
	wait_until 10 no_monitors
	assert_equal "$(ls -A "$BRIG_ROOT/tmp")" ""
	assert_run 0 brig ps -a -q
	assert_equal "$output" ""
}

@test "a container's whole life, on what brig chooses" {
	life "$image"
}

@test "a container's whole life, with plain copies" {
	local config=$BRIG_TEST_DIR/copies.conf
	cat ${BRIG_CONFIG:+"$BRIG_CONFIG"} /dev/null >"$config"
	printf '[storage]\ndriver = copy\n' >>"$config"
	export BRIG_ROOT=$BRIG_TEST_DIR/copies BRIG_CONFIG=$config
	image_of "$(fixture busybox)/tree"
	life "$image"
}

@test "a container's whole life, on btrfs" {
	local disk=$BRIG_TEST_DIR/disk
	mkdir "$disk"
	truncate -s 1G "$disk.img"
	mkfs.btrfs -q "$disk.img"
	mount -o loop "$disk.img" "$disk"
	export BRIG_ROOT=$disk/root
	before=$(mounts)
	image_of "$(fixture busybox)/tree"
	assert_equal "$(head -c 5 "$BRIG_ROOT/driver")" btrfs
	life "$image"
	umount "$disk"
	export BRIG_ROOT=$BRIG_TEST_DIR/root
}

@test "what fails in the middle leaves no mount" {
	assert_run 127 brig run --rm -v data:/v -v "$host:/b" "$image" no-such-command
	assert_run 125 brig run --rm -v data:/v --mount "type=volume,src=data,dst=/w,volume-subpath=missing" "$image" true
	assert_run 125 brig run --rm -v "$host:/etc/passwd" "$image" true
	assert_same_mounts
	assert_nothing_left
}

@test "propagation that was asked for: rslave takes, rshared gives, and the end takes it back" {
	local kind
	mkdir "$host/in" "$host/out"
	for kind in rslave rshared; do
		brig run -d --privileged --name "$kind" --network none -v "$host:/b:$kind" "$image" sleep 600 >/dev/null
		mount -t tmpfs in "$host/in"
		touch "$host/in/seen"
		assert_equal "$(brig exec "$kind" ls /b/in)" seen "$kind"
		umount "$host/in"
		assert_run 0 brig exec --privileged "$kind" sh -c 'mount -t tmpfs out /b/out; touch /b/out/from-inside'
		if [[ $kind == rshared ]]; then
			assert_equal "$(ls "$host/out")" from-inside
			umount "$host/out"
		fi
		assert_equal "$(ls "$host/out")" "" "$kind"
		brig rm -f "$kind" >/dev/null
		assert_same_mounts
	done
}

@test "an ordinary user's container" {
	local home=$BRIG_TEST_DIR/user
	mkdir -p "$home/run" "$home/tree" "$home/data"
	tar -C "$(fixture busybox)/tree" -c . | tar -C "$home/tree" -x --no-same-owner
	chown -R 4711:4711 "$home"
	user_brig() {
		env -i PATH="$PATH" HOME="$home" XDG_RUNTIME_DIR="$home/run" LC_ALL=C.UTF-8 \
			ASAN_OPTIONS="${ASAN_OPTIONS:-}" UBSAN_OPTIONS="${UBSAN_OPTIONS:-}" ${BRIG_CONFIG:+BRIG_CONFIG="$BRIG_CONFIG"} \
			setpriv --reuid=4711 --regid=4711 --clear-groups --inh-caps=-all --bounding-set=-all "$BRIG" "$@"
	}
	assert_run 0 user_brig init "$home/tree"
	local own=${output#Created: }
	assert_run 0 user_brig run -d --name alive --network none -v data:/v -v "$home/data:/b" --tmpfs /t "$own" sleep 600
	assert_same_mounts
	assert_run 0 user_brig exec alive sh -c 'touch /v/x /b/x /t/x; ls /v /b /t'
	assert_exists "$home/data/x"
	assert_run 0 user_brig rm -f -v alive
	assert_run 0 user_brig volume rm data
	assert_same_mounts
}

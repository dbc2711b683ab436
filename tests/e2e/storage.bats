#!/usr/bin/env bats
# One engine on every storage driver and file system: images of several layers, containers, what
# is left afterwards, and what a kill, a full disk or a missing mount does.
#
# Each place is a file system of its own in a loop file, or a pool of zfs-fuse, whose daemon runs
# in this host's namespaces. BRIG_TEST_STORAGE="btrfs copy-xfs" runs some of them only.
# With BRIG_TEST_ZFS=POOL/DATASET the place zfs is below that dataset, which is mounted: so the
# same file tests a kernel's ZFS.
load lib
load containers
load zfs

setup() {
	local name
	# The place is the first word of the test's name.
	place=${BATS_TEST_DESCRIPTION%%:*}
	[[ -n ${BRIG_TEST_STORAGE:-} ]] || return 0
	for name in $BRIG_TEST_STORAGE; do
		[[ $name != "$place" ]] || return 0
	done
	skip "BRIG_TEST_STORAGE is $BRIG_TEST_STORAGE"
}
teardown() {
	[[ -z ${where:-} ]] || echo "$where"
	# One that failed leaves nothing for the others.
	[[ -n ${BATS_TEST_COMPLETED:-} ]] || brig_clean
}

# on PLACE: mounts it once for this file; the data root is in it. $driver is what it gets.
on() {
	disk=$BRIG_TEST_DIR/disk-$1
	driver=${1%%-*}
	export BRIG_ROOT=$disk/root
	unset BRIG_CONFIG
	case $1 in
	*-ext4) on_loop ext4 mkfs.ext4 -q -E lazy_itable_init=1 ;;
	*-xfs) on_loop xfs mkfs.xfs -q ;;
	btrfs) on_loop btrfs mkfs.btrfs -q ;;
	zfs) zfs_store ;;
	zfs-own) on_zfs_own ;;
	esac
	# What nobody would choose here is chosen by the file.
	if [[ $driver == copy ]]; then
		export BRIG_CONFIG=$BRIG_TEST_DIR/copy.conf
		printf '[storage]\ndriver = copy\n' >"$BRIG_CONFIG"
	fi
}

# on_loop TYPE MKFS …: $disk, made when first needed.
on_loop() {
	local type=$1
	shift
	mountpoint -q "$disk" && return
	command -v "$1" >/dev/null || skip "no $1 here"
	grep -qw "$type" /proc/filesystems || skip "no $type in this kernel"
	mkdir -p "$disk"
	rm -f "$disk.img"
	truncate -s 1G "$disk.img"
	"$@" "$disk.img" >/dev/null
	mount -o loop "$disk.img" "$disk" || skip "no loop device here"
}

# on_zfs_own: the data root lies on what zfs-fuse itself mounts, and nobody names a dataset.
on_zfs_own() {
	zfs_start
	dataset=own
	zfs_pool own "$disk.img" -m "$disk"
}

# --- what is on the disk -----------------------------------------------------------------

# Everything that the driver keeps besides files.
leftovers() {
	case $driver in
	btrfs) btrfs subvolume list "$disk" ;;
	zfs) zfs list -H -t all -o name -r "$dataset" | grep -vx "$dataset" ;;
	esac
}
layer_count() {
	ls "$BRIG_ROOT/layers" 2>/dev/null | wc -l
}
assert_store_empty() {
	local mounts
	mounts=$(awk -v dir="$BRIG_ROOT" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo)
	assert_equal "$mounts" "" "mounts are left"
	assert_equal "$(ls -A "$BRIG_ROOT/tmp")" "" "staging is left"
	assert_silent brig ps -aq
	assert_equal "$(layer_count)" 0 "layers are left"
	assert_equal "$(find "$BRIG_ROOT/blobs" -type f)" "" "blobs are left"
	assert_equal "$(leftovers)" "" "the file system still has something of ours"
}

# The image of four layers, as an archive.
layers_archive() {
	archive=$BRIG_TEST_DIR/layers.tar
	[[ -e $archive ]] || tar -C "$(fixture layers)/oci" -cf "$archive" .
}
need_layers() {
	layers_archive
	brig image inspect layers:1 >/dev/null 2>&1 && return
	image=$(brig load -i "$archive" | sed -n 's/^Loaded image ID: //p')
	brig tag "$image" layers:1
}
settled() {
	! pgrep -x 'brig|brig-unpack|brig-tidy' >/dev/null
}

# --- the stories -------------------------------------------------------------------------

# Layers are stacked as they should, containers do not see each other, and nothing is left.
story_life() {
	on "$1"
	assert_run 0 brig info -f '{{.Driver}}'
	[[ $driver == copy || $driver == overlay || $output == "$driver" ]] || fail "would be $output"
	layers_archive
	assert_run 0 brig load -i "$archive"
	image=${output##*: }
	brig tag "$image" layers:1
	assert_run 0 brig info -f '{{.Driver}}'
	assert_equal "$output" "$driver"
	assert_run 0 brig info
	assert_match "$output" "Chosen Because: [a-z]"
	assert_equal "$(layer_count)" 4

	# Names, modes and owners are those of the tree that was merged the slow way.
	assert_run 0 brig run --name one layers:1 find data -exec stat -c '%n %a %u:%g' {} +
	assert_equal "$(LC_ALL=C sort <<<"$output")" "$(awk '{ print $1, $3, $4 }' "$(fixture layers)/expected" | LC_ALL=C sort)"
	assert_run 0 brig run --rm layers:1 sh -c 'cat data/changed data/gone/again; echo own >data/own; cat data/own'
	assert_equal "$output" $'new\nback\nown'
	assert_run 0 brig run --name two layers:1 sh -c 'ls data; echo two >data/two; echo changed >data/changed'
	refute_match " ${output//$'\n'/ } " " own "
	assert_run 0 brig start -a one
	refute_match "$output" data/two
	# What a container wrote is there when it starts again.
	assert_run 0 brig start -a two
	assert_match "$output" $'\ntwo\n'

	# Its image is in use; a container's rm takes its part, and the last rmi all.
	assert_run 1 brig rmi layers:1
	assert_run 0 brig rm one two
	assert_run 0 brig rmi layers:1
	wait_until 10 settled
	assert_store_empty
}

# Devices in a container's own tree do not open; a read-only root is one.
story_mount() {
	on "$1"
	need_layers
	assert_run 0 brig run --rm --cap-add MKNOD layers:1 sh -c \
		'/bin/busybox mknod null c 1 3 && cat null 2>/dev/null || echo refused'
	assert_equal "$output" refused
	assert_run 1 brig run --rm --read-only layers:1 sh -c 'echo 1 >data/own'
	assert_match "$errors" "Read-only file system"
	# One whose monitor has given back its memory removes all that is the driver's too.
	id=$(brig run -d --rm --network none layers:1 /bin/busybox sleep 1.5 3>&-)
	brig wait "$id" >/dev/null 2>&1 || true
	wait_until 10 settled
	brig rmi layers:1
	wait_until 10 settled
	assert_store_empty
}

# Many at once, of one image, in the background.
story_many() {
	on "$1"
	need_layers
	local i pids=()
	for i in $(seq 8); do
		brig run -d --name "many$i" --network none layers:1 sh -c "echo $i >data/own; cat data/own" >/dev/null 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	for i in $(seq 8); do
		brig wait "many$i" >/dev/null
		assert_equal "$(brig logs "many$i")" "$i"
	done
	brig rm -f $(brig ps -aq) >/dev/null
	brig rmi -f layers:1
	wait_until 10 settled
	assert_store_empty
}

# A commit of a stopped and of a running container: what it wrote, and nothing that only the
# engine made there. Layers, containers and images go in any order.
story_commit() {
	on "$1"
	need_layers
	brig run --name one --network none --tmpfs /made/here layers:1 sh -c 'echo 1 >data/own; rm -f data/changed'
	assert_run 0 brig diff one
	assert_match "$output" "A /data/own"
	assert_match "$output" "D /data/changed"
	assert_run 0 brig commit one first:1
	brig run --rm --network none first:1 sh -c '[ "$(cat data/own)" = 1 ] && [ ! -e data/changed ] && cat data/gone/again'
	assert_run 0 brig start -a one
	brig run -d --name two --network none first:1 sh -c 'echo 2 >data/own; echo 1 >ready; exec /bin/busybox sleep 1000' 3>&-
	wait_until 10 brig exec two cat ready
	assert_run 0 brig commit two second:1
	assert_run 0 brig run --rm --network none second:1 cat data/own
	assert_equal "$output" 2
	# Nothing but what containers wrote is in the layers, wherever a driver has whole trees.
	local tree
	for tree in "$BRIG_ROOT"/layers/*/tree; do
		[[ $driver != overlay && -d $tree ]] || continue
		refute_exists "$tree/made"
		refute_exists "$tree/proc"
	done
	# The second commit of one container, and the first one's image goes before it.
	assert_run 0 brig commit one third:1
	assert_run 0 brig rm -f two
	assert_run 0 brig rmi -f first:1
	assert_run 0 brig run --rm --network none third:1 cat data/own
	assert_run 0 brig start -a one
	assert_run 0 brig rm one
	assert_run 0 brig run --rm --network none second:1 cat data/own
	assert_equal "$output" 2
	# What commit left for later holds the content: rmi would leave some of it to the next command.
	wait_until 60 settled
	assert_run 0 brig rmi -f layers:1 second:1 third:1
	wait_until 10 settled
	assert_store_empty
}

# crash N COMMAND …: one of its processes is killed at its Nth call that changes something.
crash() {
	local n=$1
	shift
	status=0
	timeout 30 "$BRIG_TEST_DIR/killat" -x brig-unpack -x busybox "$n" "$BRIG" "$@" \
		>"$BRIG_TEST_DIR/out" 2>&1 9>"$BRIG_TEST_DIR/hit" 3>&- </dev/null || status=$?
	hit=$(cat "$BRIG_TEST_DIR/hit")
	((status != 124)) || fail "hangs, hit at $hit"
}

# kill -9 of a load, a run and removals, at several moments: the next command cleans up.
story_killed() {
	on "$1"
	layers_archive
	[[ -x $BRIG_TEST_DIR/killat ]] ||
		gcc -O1 -o "$BRIG_TEST_DIR/killat" "$BRIG_TEST_TOP/tests/tools/killat.c"
	local verb n total step words
	for verb in load run rm rmi; do
		for ((n = total = 0, step = 1; n <= total; n += step)); do
			[[ $verb == load ]] || need_layers
			[[ $verb != rm ]] || brig run --name kept --network none layers:1 true
			case $verb in
			load) words=(load -q -i "$archive") ;;
			run) words=(run --rm --network none layers:1 true) ;;
			rm) words=(rm kept) ;;
			rmi) words=(rmi -f layers:1) ;;
			esac
			crash "$n" "${words[@]}"
			wait_until 10 settled
			if ((n == 0)); then
				assert_equal "$status" 0 "$(cat "$BRIG_TEST_DIR/out")"
				total=${hit%% *} n=1 step=0
				step=$((${CRASH_POINTS:-8} ? (total + ${CRASH_POINTS:-8} - 1) / ${CRASH_POINTS:-8} : 1))
				n=$((1 - step))
			fi
			# Everything can be removed now, and then nothing is there.
			brig rm -f $(brig ps -aq) >/dev/null 2>&1 || true
			where="after a kill at $hit of $total: ${words[*]}"
			assert_silent brig ps -aq
			brig load -q -i "$archive" >/dev/null
			brig rmi -f $(brig images -q | sort -u) >/dev/null
			wait_until 10 settled
			assert_store_empty
			where=
		done
	done
}

# A full file system is one clear error, and afterwards everything that was there works.
story_full() {
	on "$1"
	need_layers
	assert_run 0 brig run --name before layers:1 sh -c 'echo 1 >data/own'
	# All but 150 MB is taken beforehand; only a pool of zfs-fuse is filled for real.
	local filler= size=20
	if [[ $1 == zfs && -n ${BRIG_TEST_ZFS:-} ]]; then
		zfs set quota=150M "$BRIG_TEST_ZFS"
	elif [[ $driver == zfs ]]; then
		size=68
	else
		filler=$disk/filler
		fallocate -l $(($(df --output=avail -B1 "$disk" | tail -n 1) - 150000000)) "$filler"
	fi
	local tree=$BRIG_TEST_DIR/large-$size
	if [[ ! -d $tree ]]; then
		mkdir "$tree"
		head -c 16M /dev/urandom >"$BRIG_TEST_DIR/chunk"
		# shellcheck disable=SC2046
		cat $(yes "$BRIG_TEST_DIR/chunk" | head -n $size) >"$tree/file"
	fi
	assert_run 1 brig init "$tree"
	assert_one_error "No space left|out of space|[Qq]uota exceeded"
	if [[ $1 == zfs && -n ${BRIG_TEST_ZFS:-} ]]; then zfs set quota=none "$BRIG_TEST_ZFS"; fi
	assert_equal "$(ls -A "$BRIG_ROOT/tmp")" ""
	# Some file systems free a moment after the removal.
	wait_until 10 brig run --rm layers:1 cat data/changed
	assert_run 0 brig start -a before
	assert_run 0 brig rm before
	brig rmi -f layers:1 >/dev/null
	wait_until 10 settled
	assert_store_empty
	[[ -z $filler ]] || rm "$filler"
}

# The file system is not mounted: neither an empty store nor a new one, but how to mount it.
story_unmounted() {
	on "$1"
	need_layers
	umount -R "$disk"
	how="mount -o loop .*${disk##*/}\\.img .*${disk##*/}"
	[[ $driver != zfs ]] || how="zpool import own; zfs mount own"
	for words in "images" "ps -a" "info" "run layers:1 true" "init /etc"; do
		# shellcheck disable=SC2086
		assert_run $([[ $words == run* ]] && echo 125 || echo 1) brig $words
		assert_one_error "file system is not mounted"
		assert_match "$errors" "mount it: $how"
	done
	if [[ $driver == zfs ]]; then
		# zfs-fuse mounts over nothing: the note is beside. It is about that mount point only.
		assert_equal "$(ls -A "$disk")" ""
		assert_run 0 brig --root "$BRIG_TEST_DIR/elsewhere" images
		mkdir -p "$disk/root"
		assert_run 1 brig images
		assert_one_error "file system is not mounted"
		rmdir "$disk/root"
		assert_run 1 brig images
	else
		assert_equal "$(ls "$BRIG_ROOT")" BRIG-STORE-NOT-MOUNTED
	fi
	# The command in the error is one that works.
	sh -c "$(sed -n 's/.*mount it: //p' <<<"$errors")" 2>/dev/null
	# Another root in there may be new.
	assert_run 0 brig --root "$disk/other" images
	assert_run 0 brig images -q layers:1
	assert_match "$output" "[0-9a-f]"
	brig rmi -f layers:1 >/dev/null
	assert_store_empty
}

# --- the places --------------------------------------------------------------------------

@test "overlay-ext4: layers, containers, and nothing left" { story_life overlay-ext4; }
@test "overlay-xfs: layers, containers, and nothing left" { story_life overlay-xfs; }
@test "btrfs: layers, containers, and nothing left" { story_life btrfs; }
@test "copy-ext4: layers, containers, and nothing left" { story_life copy-ext4; }
@test "copy-xfs: layers, containers, and nothing left" { story_life copy-xfs; }

@test "zfs: layers, containers, and nothing left" { story_life zfs; }
@test "zfs: no devices, and a root that is read-only" { story_mount zfs; }
@test "zfs: eight at once" { story_many zfs; }
@test "zfs: kill -9" { BATS_TEST_TIMEOUT=600 story_killed zfs; }
@test "zfs: a full pool" { story_full zfs; }
@test "zfs-own: layers, containers, and nothing left" { story_life zfs-own; }
@test "zfs-own: no devices, and a root that is read-only" { story_mount zfs-own; }
@test "zfs-own: eight at once" { story_many zfs-own; }
@test "zfs-own: kill -9" { BATS_TEST_TIMEOUT=600 story_killed zfs-own; }
@test "zfs-own: commits" { story_commit zfs-own; }
@test "zfs-own: a full pool" { story_full zfs-own; }

# Only the clone is a program; a pool that is gone is an error that says what to do.
@test "zfs: a pool that is not there" {
	[[ -z ${BRIG_TEST_ZFS:-} ]] || skip "the given pool stays"
	on zfs
	need_layers
	assert_run 0 brig run --name left --network none layers:1 true
	umount "$BRIG_ROOT"/zfs/* 2>/dev/null || true
	zpool export tank
	assert_run 125 brig run --rm --network none layers:1 true
	assert_one_error "the dataset tank/brig of the store .* is not there|the pool tank is not there"
	assert_match "$errors" "zpool import tank"
	assert_run 1 brig rm left
	assert_match "$errors" "zpool import tank"
	assert_run 1 brig init "$(fixture busybox)/tree"
	assert_match "$errors" "zpool import tank"
	zpool import -d "$(dirname "$disk.img")" tank
	# It was asked to go: the next command that looks finishes that.
	brig rm left >/dev/null 2>&1 || true
	brig ps -a >/dev/null
	assert_run 0 brig run --rm --network none layers:1 cat data/changed
	brig rmi -f layers:1 >/dev/null
	wait_until 10 settled
	assert_store_empty
}
@test "zfs: without its programs or its daemon" {
	[[ -z ${BRIG_TEST_ZFS:-} ]] || skip "the given pool stays"
	on zfs
	printf '[storage]\nzfs_dataset = -o\n' >"$BATS_TEST_TMPDIR/conf"
	assert_run 1 brig --root "$BATS_TEST_TMPDIR/other" --config "$BATS_TEST_TMPDIR/conf" init "$(fixture busybox)/tree"
	assert_one_error "cannot be the name of a dataset"
	printf '[storage]\nzfs_dataset = nowhere/x\n' >"$BATS_TEST_TMPDIR/conf"
	assert_run 1 brig --root "$BATS_TEST_TMPDIR/other" --config "$BATS_TEST_TMPDIR/conf" init "$(fixture busybox)/tree"
	assert_one_error "nowhere"
	refute_exists "$BATS_TEST_TMPDIR/other/driver"
	assert_run 1 brig --root "$BATS_TEST_TMPDIR/other" --storage-driver zfs --config /dev/null init "$(fixture busybox)/tree"
	assert_one_error "is not on ZFS"
}

@test "overlay-ext4: no devices, and a root that is read-only" { story_mount overlay-ext4; }
@test "overlay-xfs: no devices, and a root that is read-only" { story_mount overlay-xfs; }
@test "btrfs: no devices, and a root that is read-only" { story_mount btrfs; }
@test "copy-ext4: no devices, and a root that is read-only" { story_mount copy-ext4; }
@test "copy-xfs: no devices, and a root that is read-only" { story_mount copy-xfs; }

# The datasets that volumes have: a line each.
volume_datasets() {
	cat "$BRIG_ROOT"/volumes/*/dataset 2>/dev/null
}
# Volumes are filled, used and removed, and nothing of them is left.
story_volume() {
	on "$1"
	need_busybox
	assert_run 0 brig run --rm --network none -v filled:/etc -v /anon "$image" sh -c 'echo x >/etc/new; test -e /etc/passwd'
	assert_run 0 brig run --rm --network none -v filled:/v:ro "$image" cat /v/new
	assert_equal "$output" x
	brig volume create plain >/dev/null
	assert_equal "$(brig volume ls -q | tr '\n' ' ')" 'filled plain '
	assert_equal "$(stat -c '%a %u %g' "$BRIG_ROOT/volumes/plain/_data")" '755 0 0'
	if [[ $driver == btrfs ]]; then
		assert_equal "$(stat -c %i "$BRIG_ROOT"/volumes/{filled,plain}/_data | tr '\n' ' ')" '256 256 '
		# One of a container's own in it, and a volume whose folder was replaced by a link.
		btrfs subvolume create "$BRIG_ROOT/volumes/filled/_data/nested" >/dev/null
		touch "$BRIG_ROOT/volumes/filled/_data/nested/f"
		btrfs subvolume delete "$BRIG_ROOT/volumes/plain/_data" >/dev/null
		ln -s /etc "$BRIG_ROOT/volumes/plain/_data"
	fi
	if [[ $driver == zfs ]]; then
		assert_equal "$(volume_datasets | wc -l)" 2
		for name in $(volume_datasets); do zfs list "$dataset/$name" >/dev/null; done
		mountpoint -q "$BRIG_ROOT/volumes/filled/_data" && mountpoint -q "$BRIG_ROOT/volumes/plain/_data"
		# Snapshots of the owner's go with it.
		zfs snapshot "$dataset/$(cat "$BRIG_ROOT/volumes/filled/dataset")@mine"
	fi
	assert_run 0 brig volume rm filled
	assert_run 0 brig volume prune -af
	assert_equal "$(ls "$BRIG_ROOT/volumes")" ""
	assert_equal "$(ls "$BRIG_ROOT/tmp")" ""
	brig rmi -f "$image" >/dev/null
	rm -f "$BRIG_TEST_DIR/busybox.image"
	wait_until 10 settled
	assert_equal "$(leftovers)" ""
	assert_exists /etc/passwd
}
@test "overlay-ext4: volumes" { story_volume overlay-ext4; }
@test "btrfs: volumes" { story_volume btrfs; }
@test "copy-xfs: volumes" { story_volume copy-xfs; }
@test "zfs: volumes" { story_volume zfs; }
@test "zfs-own: volumes" { story_volume zfs-own; }

# What was made before volumes were datasets, a reboot, a process of the host, a dataset that is gone.
@test "zfs: volumes that are folders, unmounted, busy, or without their dataset" {
	on zfs
	need_busybox
	local data=$BRIG_ROOT/volumes/kept/_data name
	mkdir -p "$BRIG_ROOT/volumes/old/_data"
	echo old >"$BRIG_ROOT/volumes/old/_data/f"
	echo '{"version":1,"name":"old","driver":"local","created":1,"state":"used"}' >"$BRIG_ROOT/volumes/old/volume.json"
	assert_run 0 brig run --rm --network none -v old:/v "$image" sh -c 'cat /v/f; echo new >/v/g'
	assert_equal "$output" old
	assert_equal "$(cat "$BRIG_ROOT/volumes/old/_data/g")" new
	assert_run 0 brig volume rm old
	# One with options is only that.
	brig volume create -o type=tmpfs -o device=tmpfs memory >/dev/null
	refute_exists "$BRIG_ROOT/volumes/memory/dataset"
	assert_run 0 brig run --rm --network none -v memory:/v "$image" grep -c ' /v tmpfs ' /proc/mounts
	assert_run 0 brig volume rm memory

	# A volume that is there and mounted costs no program: one for the container, one for its end.
	assert_run 0 brig run --rm --network none -v kept:/v "$image" sh -c 'echo kept >/v/f'
	assert_equal "$(cat "$data/f")" kept
	strace -f -e trace=execve -o "$BATS_TEST_TMPDIR/with" "$BRIG" run --network none -v kept:/v "$image" cat /v/f
	strace -f -e trace=execve -o "$BATS_TEST_TMPDIR/without" "$BRIG" run --network none "$image" true
	assert_equal "$(grep -c '"zfs"' "$BATS_TEST_TMPDIR/with")" "$(grep -c '"zfs"' "$BATS_TEST_TMPDIR/without")"
	brig_clean
	# As after a boot.
	umount "$data"
	assert_equal "$(ls "$data")" ""
	assert_run 0 brig run --rm --network none -v kept:/v "$image" cat /v/f
	assert_equal "$output" kept
	umount "$data"
	assert_run 0 brig volume inspect -f '{{.Mountpoint}}' kept
	assert_equal "$output" "$data"
	assert_equal "$(cat "$data/f")" kept

	# Busy: nothing has happened.
	(cd "$data" && exec sleep 1000 3>&-) &
	assert_run 1 brig volume rm kept
	assert_one_error "remove kept: a process or a mount of this host is in it"
	assert_match "$errors" "fuser -vm $data tells which"
	assert_match "$(fuser -m "$data" 2>/dev/null)" "$!"
	assert_run 0 brig volume prune -af
	assert_equal "$(brig volume ls -q)" kept
	assert_equal "$(cat "$data/f")" kept
	kill $!
	wait $! || true

	# Where another mount namespace has it too, its name goes, and the rest when that has gone.
	unshare -m --propagation private sleep 1000 3>&- &
	name=$(cat "$BRIG_ROOT/volumes/kept/dataset")
	wait_until 10 grep -q "$data" /proc/$!/mountinfo
	assert_run 1 brig volume rm kept
	assert_one_error "the volume kept is removed, but not yet what it held: ZFS: .*busy"
	assert_silent brig volume ls -q
	zfs list "$dataset/$name" >/dev/null
	kill $!
	wait $! || true
	wait_until 10 swept "$name"
	assert_run 0 brig run --rm --network none -v kept:/v "$image" true

	# Somebody has destroyed it.
	umount "$data"
	name=$dataset/$(cat "$BRIG_ROOT/volumes/kept/dataset")
	wait_until 10 zfs destroy "$name"
	assert_run 125 brig run --rm --network none -v kept:/v "$image" true
	assert_match "$errors" "$name"
	assert_run 0 brig volume rm kept
	assert_equal "$(ls "$BRIG_ROOT/volumes" "$BRIG_ROOT/tmp" | grep -v :)" ""
	brig rmi -f "$image" >/dev/null
	rm -f "$BRIG_TEST_DIR/busybox.image"
	wait_until 10 settled
	assert_store_empty
}
# swept NAME: the next command has removed the dataset and what told of it.
swept() {
	brig volume prune -af >/dev/null
	[[ -z $(ls "$BRIG_ROOT/tmp") ]] && ! zfs list "$dataset/$1"
}

# kill -9 while volumes are made, filled and removed: a name that is there is whole, and the next command
# removes the rest.
@test "zfs: kill -9 of volumes" { story_killed_volume zfs; }
@test "btrfs: kill -9 of volumes" { story_killed_volume btrfs; }
story_killed_volume() {
	on "$1"
	need_busybox
	[[ -x $BRIG_TEST_DIR/killat ]] ||
		gcc -O1 -o "$BRIG_TEST_DIR/killat" "$BRIG_TEST_TOP/tests/tools/killat.c"
	local verb n total step words names points=${CRASH_POINTS:-8}
	for verb in create rm run; do
		for ((n = total = 0, step = 1; n <= total; n += step)); do
			[[ $verb != rm ]] || brig volume create kept >/dev/null
			case $verb in
			create) words=(volume create kept) ;;
			rm) words=(volume rm kept) ;;
			run) words=(run --rm --network none -v kept:/etc -v /anon "$image" cat /etc/passwd) ;;
			esac
			crash "$n" "${words[@]}"
			wait_until 10 settled
			if ((n == 0)); then
				assert_equal "$status" 0 "$(cat "$BRIG_TEST_DIR/out")"
				total=${hit%% *} step=$(((total + points - 1) / points)) n=$((1 - step))
			fi
			where="after a kill at $hit of $total: ${words[*]}"
			brig rm -f $(brig ps -aq) >/dev/null 2>&1 || true
			names=$(brig volume ls -q | grep -x kept || true)
			if [[ -n $names ]]; then
				assert_run 0 brig run --rm --network none -v kept:/etc "$image" grep -c root /etc/passwd
				assert_run 0 brig volume rm kept
			fi
			brig volume prune -af >/dev/null
			wait_until 10 settled
			assert_equal "$(ls "$BRIG_ROOT/volumes")" ""
			assert_equal "$(ls "$BRIG_ROOT/tmp")" "" "staging is left"
			assert_equal "$(leftovers | wc -l)" "$([[ $driver == zfs ]] && echo 2 || echo 1)" "$(leftovers)"
			where=
		done
	done
	brig rmi -f "$image" >/dev/null
	rm -f "$BRIG_TEST_DIR/busybox.image"
	wait_until 10 settled
	assert_store_empty
}

@test "overlay-xfs: eight at once" { story_many overlay-xfs; }
@test "btrfs: eight at once" { story_many btrfs; }
@test "copy-xfs: eight at once" { story_many copy-xfs; }

@test "overlay-xfs: commits" { story_commit overlay-xfs; }
@test "btrfs: commits" { story_commit btrfs; }
@test "zfs: commits" { story_commit zfs; }
@test "copy-xfs: commits" { story_commit copy-xfs; }

@test "btrfs: kill -9" { story_killed btrfs; }

@test "overlay-ext4: a full disk" { story_full overlay-ext4; }
@test "btrfs: a full disk" { story_full btrfs; }
@test "copy-xfs: a full disk" { story_full copy-xfs; }

@test "btrfs: what is not mounted is an error that says how" { story_unmounted btrfs; }
@test "zfs-own: what is not mounted is an error that says how" { story_unmounted zfs-own; }

# --- btrfs only --------------------------------------------------------------------------

# A container's own subvolumes, one in another, do not keep it from being removed.
@test "btrfs: a container's own subvolumes" {
	on btrfs
	need_layers
	assert_run 0 brig run --name own layers:1 true
	local tree
	tree=$(echo "$BRIG_ROOT"/containers/*/rootfs)
	btrfs -q subvolume create "$tree/data/sub"
	btrfs -q subvolume create "$tree/data/sub/inner"
	btrfs property set -t subvol "$tree/data/sub" ro true
	assert_run 0 brig rm own
	brig rmi -f layers:1 >/dev/null
	assert_store_empty
}

# Nor do they where trees and volumes are plain folders on btrfs; what is mounted there stays.
@test "btrfs: subvolumes in the plain folders of another driver" {
	on btrfs
	export BRIG_ROOT=$disk/plain
	brig --storage-driver copy init "$(fixture busybox)/tree" >/dev/null
	local name tree host=$disk/host
	image=$(brig images -q)
	brig create --name own --network none -v data:/data "$image" true
	tree=$(echo "$BRIG_ROOT"/containers/*/rootfs)
	for name in "$tree" "$BRIG_ROOT/volumes/data/_data"; do
		btrfs -q subvolume create "$name/sub"
		btrfs -q subvolume create "$name/sub/inner"
		touch "$name/sub/inner/file"
	done
	assert_run 0 brig rm own
	assert_run 0 brig volume rm data
	assert_store_bare() { assert_equal "$(ls -A "$BRIG_ROOT/tmp" "$BRIG_ROOT/containers" | grep -E '^volume-|^[0-9a-f]{64}$')" ""; }
	assert_store_bare
	# The same file system, bound there.
	mkdir "$host"
	touch "$host/file"
	brig volume create bound
	mkdir "$BRIG_ROOT/volumes/bound/_data/host"
	mount --bind "$host" "$BRIG_ROOT/volumes/bound/_data/host"
	brig volume rm bound || true
	assert_exists "$host/file"
	umount "$BRIG_ROOT"/tmp/*/bound/_data/host
	brig rmi "$image" >/dev/null
	assert_store_bare
}

# No step costs more for a larger image: the driver calls the kernel as often for both.
@test "btrfs: making and removing a container does not grow with the image" {
	on btrfs
	local size count=() tree=$BRIG_TEST_DIR/sized
	mkdir -p "$tree"/{bin,files}
	cp "$(fixture busybox)/tree/bin/busybox" "$tree/bin"
	ln -sf busybox "$tree/bin/true"
	for size in 10 5000; do
		(cd "$tree/files" && seq "$size" | xargs touch)
		image=$(brig init "$tree" | sed -n 's/^Created: //p')
		brig run --rm "$image" true
		strace -f -c -o "$BATS_TEST_TMPDIR/calls" "$BRIG" run --network none "$image" true
		brig ps -aq >"$BATS_TEST_TMPDIR/id"
		strace -f -c -o "$BATS_TEST_TMPDIR/calls2" "$BRIG" rm $(cat "$BATS_TEST_TMPDIR/id")
		count+=("$(cat "$BATS_TEST_TMPDIR"/calls{,2} | awk '$NF == "total" { n += $4 } END { print n }')")
		brig rmi -f "$image" >/dev/null
	done
	((count[1] < count[0] + count[0] / 5)) || fail "${count[0]} calls with 10 files, ${count[1]} with 5000"
	wait_until 10 settled
	assert_store_empty
}

# Until a commit is reported it does not either, of a container that runs or not, whatever that wrote.
story_commit_cost() {
	on "$1"
	local size verb count=() tree=$BRIG_TEST_DIR/sized-$1 log=$BATS_TEST_TMPDIR/calls
	mkdir -p "$tree"/{bin,files}
	cp "$(fixture busybox)/tree/bin/busybox" "$tree/bin"
	for size in 10 2000; do
		(cd "$tree/files" && seq "$size" | xargs touch)
		image=$(brig init "$tree" | sed -n 's/^Created: //p')
		brig run -d --network none --name grown "$image" /bin/busybox sh -c "
			cd files; /bin/busybox seq $size | while read -r n; do echo >own\$n; done
			echo >/ready; exec /bin/busybox sleep 1000" >/dev/null 3>&-
		wait_until 60 brig exec grown /bin/busybox test -e /ready
		for verb in running stopped; do
			[[ $verb == running ]] || brig stop -t 0 grown >/dev/null
			strace -f -o "$log" "$BRIG" commit grown "$verb:$size" >/dev/null
			# All but what goes on behind.
			count+=("$(grep -vc "^$(sed -n 's/ .*PR_SET_NAME, "brig-tidy".*//p' "$log") " "$log")")
		done
		brig rm -f grown >/dev/null
		brig rmi -f $(brig images -q | sort -u) >/dev/null
	done
	echo "calls, running and stopped: ${count[*]:0:2} with 10 files, ${count[*]:2} with 2000"
	((count[2] < count[0] + count[0] / 5 && count[3] < count[1] + count[1] / 5))
	wait_until 10 settled
	assert_store_empty
}
@test "btrfs: a commit does not grow with the container" { story_commit_cost btrfs; }
@test "zfs: a commit does not grow with the container" { story_commit_cost zfs; }

# --- what is refused ---------------------------------------------------------------------

@test "a driver that is not there, does not fit, or is another than the store's" {
	on overlay-ext4
	export BRIG_ROOT=$disk/refused
	assert_run 1 brig --storage-driver zip images
	assert_one_error 'no storage driver "zip"'
	assert_match "$errors" "btrfs, .*overlay and copy"
	printf '[storage]\ndriver = zip\n' >"$BATS_TEST_TMPDIR/conf"
	assert_run 1 brig --config "$BATS_TEST_TMPDIR/conf" images
	assert_one_error 'no storage driver "zip"'

	assert_run 1 brig --storage-driver btrfs init "$(fixture busybox)/tree"
	assert_one_error "is not on a btrfs filesystem"
	assert_match "$errors" "mkfs.btrfs"
	refute_exists "$BRIG_ROOT/driver"

	assert_run 0 brig --storage-driver copy init "$(fixture busybox)/tree"
	assert_equal "$(head -n 1 "$BRIG_ROOT/driver")" copy
	assert_run 1 brig --storage-driver overlay init "$(fixture busybox)/tree"
	assert_one_error "was made with the storage driver copy, not overlay"
	assert_run 0 brig info
	assert_match "$output" "Storage Driver: copy"
	assert_match "$output" "Chosen Because: it was asked for"
}

@test "a data root that is read-only" {
	on overlay-ext4
	export BRIG_ROOT=$disk/readonly
	need_layers
	mkdir -p "$disk/empty"
	mount -o remount,ro "$disk"
	assert_run 0 brig images -q layers:1
	assert_match "$output" "[0-9a-f]"
	assert_run 125 brig run --rm layers:1 true
	assert_one_error "Read-only file system"
	export BRIG_ROOT=$disk/empty
	assert_run 1 brig init "$(fixture busybox)/tree"
	assert_one_error "Read-only file system"
	mount -o remount,rw "$disk"
}

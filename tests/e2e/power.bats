#!/usr/bin/env bats
# The power goes: what was reported as done is there afterwards, and whole. XFS and ext4 can be told to
# write nothing more from now on, as if it had; what they show after the next mount is what a disk would
# have had.
load lib
load containers

setup_file() {
	cat >"$BRIG_TEST_DIR/cut.c" <<-'END'
		#include <fcntl.h>
		#include <stdint.h>
		#include <sys/ioctl.h>
		/* XFS_IOC_GOINGDOWN, EXT4_IOC_SHUTDOWN: without writing the log */
		int main(int n, char **path)
		{
			uint32_t how = 2;
			return n < 2 || ioctl(open(path[1], O_RDONLY), _IOR('X', 125, uint32_t), &how) < 0;
		}
	END
	gcc -O1 -o "$BRIG_TEST_DIR/cut" "$BRIG_TEST_DIR/cut.c"
}
teardown() {
	brig_clean
	if mountpoint -q "${disk:-/nowhere}"; then umount "$disk"; fi
}

# on TYPE [DRIVER]: a file system of its own with the data root, and the busybox image in it.
on() {
	disk=$BRIG_TEST_DIR/power-$1
	export BRIG_ROOT=$disk/root
	command -v "mkfs.$1" >/dev/null || skip "no mkfs.$1 here"
	grep -qw "$1" /proc/filesystems || skip "no $1 in this kernel"
	mkdir -p "$disk"
	rm -f "$disk.img"
	truncate -s 512M "$disk.img"
	"mkfs.$1" -q "$disk.img" >/dev/null
	mount -o loop "$disk.img" "$disk" || skip "no loop device here"
	# What is not synced stays in memory: a device that has written little yet has no share of it.
	echo 20 >"/sys/class/bdi/$(mountpoint -d "$disk")/min_ratio" || true
	brig ${2:+--storage-driver "$2"} init "$(fixture busybox)/tree" >/dev/null
	image=$(brig images -q)
	brig tag "$image" base:1
	image=base:1
}
# The power goes, and comes back.
cut_power() {
	"$BRIG_TEST_DIR/cut" "$disk"
	umount "$disk"
	mount -o loop "$disk.img" "$disk"
}

story_volume() {
	on "$1"
	brig volume create data >/dev/null
	brig run --rm --network none -v data:/data "$image" sh -c 'echo kept >/data/file; sync /data /data/file'
	brig create --name own --network none -v /anonymous -v data:/data "$image" cat /data/file >/dev/null
	cut_power
	assert_run 0 brig volume inspect data
	assert_run 0 brig start -a own
	assert_equal "$output" kept
}
@test "xfs: a volume" { story_volume xfs; }
@test "ext4: a volume" { story_volume ext4; }

story_container() {
	on "$1" "$2"
	brig create --name own --network none "$image" sh -c 'echo works' >/dev/null
	cut_power
	# All of it: a copy is as good as the layer that it was made from.
	[[ $2 != copy ]] || diff -r --no-dereference "$BRIG_ROOT"/containers/*/rootfs "$BRIG_ROOT"/layers/*/tree
	assert_run 0 brig start -a own
	assert_equal "$output" works
}
@test "xfs: a container with a name, on overlayfs" { story_container xfs overlay; }
@test "xfs: a container with a name, copied" { story_container xfs copy; }
@test "ext4: a container with a name, copied" { story_container ext4 copy; }

# A database that has just been started, and synced what it was told.
story_running() {
	on "$1"
	brig run -d --name own --network none "$image" sh -c \
		'[ -e /kept ] && exec cat /kept; echo kept >/kept; sync /kept; echo 1 >/dev/shm/done; exec sleep 1000' >/dev/null 3>&-
	wait_until 10 brig exec own cat /dev/shm/done
	"$BRIG_TEST_DIR/cut" "$disk"
	kill -9 $(pgrep -x brig) $(pgrep -f '^sleep 1000')
	wait_until 10 umount "$disk"
	# Who was killed may hold it a moment longer, and it would be mounted as it is: without power.
	let_go() { [[ -z $(losetup -j "$disk.img") ]]; }
	wait_until 10 let_go
	mount -o loop "$disk.img" "$disk"
	assert_run 0 brig start -a own
	assert_equal "$output" kept
}
@test "xfs: a container that runs" { story_running xfs; }
@test "ext4: a container that runs" { story_running ext4; }

story_commit() {
	on "$1" "$2"
	brig run --name own --network none "$image" sh -c 'echo kept >/kept' >/dev/null
	brig commit own made:1 >/dev/null
	brig tag made:1 made:2
	cut_power
	assert_run 0 brig run --rm --network none made:2 cat /kept
	assert_equal "$output" kept
	assert_run 0 brig diff own
	assert_match "$output" "A /kept"
	assert_run 0 brig start -a own
	brig rmi made:1 >/dev/null
	brig rmi made:2 >/dev/null
	cut_power
	assert_run 1 brig image inspect made:2
	assert_run 0 brig start -a own
	assert_run 0 brig diff own
	assert_match "$output" "A /kept"
}
@test "xfs: a commit, and a removal" { story_commit xfs overlay; }
@test "ext4: a commit, and a removal" { story_commit ext4 overlay; }
@test "xfs: a commit and a removal, copied" { story_commit xfs copy; }

# commit.bash - sections of bench/run: what create, commit and remove cost as images and chains grow.

# A root file system with that many files in /many, as $tree; its archive for docker and podman.
make_many() {
	tree=$work/many-$1
	mkdir -p "$tree/many"
	cp -a "$work/bundle/rootfs/." "$tree"
	(cd "$tree/many" && seq -f 'd%.0f' $((($1 + 199) / 200)) | xargs mkdir &&
		seq 0 $(($1 - 1)) | awk '{ f = "d" int($1 / 200) + 1 "/f" $1; print "file " $1 >f; close(f) }')
	tar --numeric-owner -C "$tree" -cf "$tree.tar" .
}

# fresh_place PLACE: a file system of that kind that was never used, at $disk.
fresh_place() {
	case $1 in
	# With inodes for what several containers of 200,000 files write.
	ext4) fresh_disk "$disk" -i 4096 ;;
	btrfs)
		unmount_place
		rm -f "$work.pull"
		truncate -s 8G "$work.pull"
		mkdir -p "$disk"
		mkfs.btrfs -q "$work.pull" && mount -o loop "$work.pull" "$disk"
		;;
	zfs)
		unmount_place
		zfs_start || return 1
		rm -f "$work.pull"
		truncate -s 8G "$work.pull"
		# What brig has left there for the case that nothing is mounted.
		rm -rf --one-file-system "$disk"
		zpool create -m "$disk" bench "$work.pull" 2>>"$work/stderr" && zfs create -o mountpoint=none bench/brig
		;;
	esac
}

# The pool goes with its daemon: to destroy it, zfs-fuse may find busy for ever what was unmounted lazily.
unmount_place() {
	local mount
	for mount in $(awk '/ - fuse.zfs / { print $5 }' /proc/self/mountinfo | tac); do
		umount -l "$mount"
	done
	if [[ -e $work/zfs.pid ]]; then
		kill -9 "$(cat "$work/zfs.pid")"
		wait "$(cat "$work/zfs.pid")" 2>/dev/null
		rm -f "$work/zfs.pid"
		umount -l /var/lib/zfs /etc/zfs
	fi
	! mountpoint -q "$disk" || umount "$disk" || umount -l "$disk"
}

# zfs-fuse, where there is no other; it ends with this host.
zfs_start() {
	local folder
	[[ ! -e $work/zfs.pid ]] || return 0
	command -v zfs-fuse >/dev/null || return 1
	for folder in /var/lib/zfs /etc/zfs; do
		mkdir -p "$folder"
		mount -t tmpfs zfs "$folder"
	done
	mkdir -p /run/zfs /run/lock/zfs
	zfs-fuse -n -x --no-kstat-mount >"$work/zfs.log" 2>&1 &
	echo $! >"$work/zfs.pid"
	for folder in $(seq 200); do
		if timeout 5 zpool list >/dev/null 2>&1; then return 0; fi
		sleep 0.1
	done
	return 1
}

# The command line of a peer, with its driver of that place, and an image of the tree there, as $many_image.
import_many() { # PEER PLACE
	many_image=many
	case $1 in
	brig)
		command=$BRIG
		export BRIG_ROOT=$disk/brig
		unset BRIG_CONFIG
		if [[ $2 == zfs ]]; then
			export BRIG_ROOT=$work/zfs-root BRIG_CONFIG=$work/zfs.conf
			rm -rf "$BRIG_ROOT"
			printf '[storage]\nzfs_dataset = bench/brig\n' >"$BRIG_CONFIG"
		fi
		many_image=$("$BRIG" init "$tree" 2>>"$work/stderr" | sed 's/Created: //')
		;;
	docker)
		docker_start "$disk/docker" || return 1
		command=$docker
		$docker import "$tree.tar" many >/dev/null 2>>"$work/stderr"
		;;
	podman)
		command=${podman/$work\/podman/$disk/podman}
		[[ $2 == ext4 ]] || command=${command/--storage-driver overlay/--storage-driver $2}
		$command import -q "$tree.tar" many >/dev/null 2>>"$work/stderr"
		;;
	esac && [[ -n $many_image ]]
}

# create, commit of a container that wrote as many files as its image has, and rm. What was written is on
# the disk before it is committed: to get it there takes as long for everybody.
section_commit() {
	local count place tree disk=$work/disk
	for count in $many_files; do
		make_many "$count"
		for place in $places; do
			commit_on "$place" "$count"
		done
		rm -rf "$tree" "$tree.tar"
	done
	unset BRIG_CONFIG
	export BRIG_ROOT=$work/brig
}

commit_on() { # PLACE COUNT
	local place=$1 count=$2 peer i k turns command many_image what
	for peer in brig docker podman; do
		has $peer || continue
		# Theirs need the kernel's ZFS.
		[[ $place != zfs || $peer == brig || -c /dev/zfs ]] || continue
		docker_stop
		fresh_place "$place" || { skip "commit: no $place here: $(tail -n 1 "$work/stderr") $(tail -n 1 "$work/zfs.log")"; return; }
		import_many $peer "$place" || { skip "commit: $peer has no image of $count files on $place"; continue; }
		# Theirs take minutes for many files, and zfs-fuse does for what the container writes.
		turns=$commits
		[[ $peer == brig && $place != zfs ]] || ((count < 100000)) || turns=1
		declare -A walls=() cpus=()
		for ((i = 0; i < turns; i++)); do
			measured $peer $command create --network none --name "new$i" "$many_image" true
			walls[create]+=" $wall" cpus[create]+=" $cpu"
			$command run --network none --name "old$i" "$many_image" cp -a /many /written \
				>/dev/null 2>>"$work/stderr"
			sync -f "$disk"
			measured $peer $command commit "old$i" "made$i"
			walls[commit]+=" $wall" cpus[commit]+=" $cpu"
			[[ $failures == 0 ]] || skip "commit: $peer failed on $place: $(tail -n 1 "$work/stderr")"
			measured $peer $command rm "new$i"
			walls[remove]+=" $wall" cpus[remove]+=" $cpu"
			$command rm "old$i" >/dev/null 2>>"$work/stderr"
			# What brig frees after its report is not the next round's.
			for ((k = 0; k < 600; k++)); do pgrep -x brig >/dev/null && sleep 0.1 || break; done
		done
		for what in create commit remove; do
			# shellcheck disable=SC2086
			result "$what, $count files on $place" $peer "$(middle ${walls[$what]})" "$(least ${walls[$what]})" \
				- "$(middle ${cpus[$what]})" 0
		done
	done
	docker_stop
	fresh_place "$place"
	measured cp cp -a "$tree/many" "$disk/copy"
	for what in create commit; do
		result "$what, $count files on $place" 'cp -a of as many' "$wall" "$wall" - "$cpu" 0
	done
	unmount_place
}

# run and commit onto one name, again and again: the first ones beside the last ones.
section_chain() {
	local place disk=$work/disk
	for place in $places; do chain_on "$place"; done
	unset BRIG_CONFIG
	export BRIG_ROOT=$work/brig
}

chain_on() { # PLACE
	local i what many_image command tree=$work/bundle/rootfs
	declare -A walls=()
	fresh_place "$1" || { skip "chain: no $1 here"; return; }
	import_many brig "$1" && "$BRIG" tag "$many_image" chain || { skip "chain: no image on $1"; return; }
	for ((i = 1; i <= chain; i++)); do
		what=middle
		((i > 25)) || what=first
		((i <= chain - 25)) || what=last
		if [[ $what == middle ]]; then
			"$BRIG" run --network none --name link chain touch "/f$i" && "$BRIG" commit link chain >/dev/null
		else
			measured brig "$BRIG" run --network none --name link chain touch "/f$i"
			walls[run $what]+=" $wall"
			# The process that puts layers together has its own processor.
			sleep 0.02
			measured brig "$BRIG" commit link chain
			walls[commit $what]+=" $wall"
			sleep 0.02
		fi || { skip "chain: failed at $i on $place"; break; }
		"$BRIG" rm link >/dev/null
	done
	for what in run commit; do
		# shellcheck disable=SC2086
		result "chain of $chain on $1" "$what, the first 25" "$(middle ${walls[$what first]})" "$(least ${walls[$what first]})" - - 0
		# shellcheck disable=SC2086
		result "chain of $chain on $1" "$what, the last 25" "$(middle ${walls[$what last]})" "$(least ${walls[$what last]})" - - 0
	done
	unmount_place
}

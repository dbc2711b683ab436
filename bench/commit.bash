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

# The command line of a peer, and an image of the tree there, as $many_image.
import_many() {
	many_image=many
	case $1 in
	brig)
		command=$BRIG
		export BRIG_ROOT=$disk/brig
		many_image=$("$BRIG" init "$tree" 2>>"$work/stderr" | sed 's/Created: //')
		;;
	docker)
		docker_start "$disk/docker" || return 1
		command=$docker
		$docker import "$tree.tar" many >/dev/null 2>>"$work/stderr"
		;;
	podman)
		command=${podman/$work\/podman/$disk/podman}
		$command import -q "$tree.tar" many >/dev/null 2>>"$work/stderr"
		;;
	esac && [[ -n $many_image ]]
}

# create, commit of a container that wrote as many files as its image has, and rm. What was written is on
# the disk before it is committed: to get it there takes as long for everybody.
section_commit() {
	local count peer i command many_image tree disk=$work/disk what
	for count in $many_files; do
		make_many "$count"
		for peer in brig docker podman; do
			has $peer || continue
			docker_stop
			fresh_disk "$disk" || { skip "commit: no loop device"; return; }
			import_many $peer || { skip "commit: $peer has no image of $count files"; continue; }
			declare -A walls=() cpus=()
			for ((i = 0; i < commits; i++)); do
				measured $peer $command create --network none --name "new$i" "$many_image" true
				walls[create]+=" $wall" cpus[create]+=" $cpu"
				$command run --network none --name "old$i" "$many_image" cp -a /many /written \
					>/dev/null 2>>"$work/stderr"
				sync -f "$disk"
				measured $peer $command commit "old$i" "made$i"
				walls[commit]+=" $wall" cpus[commit]+=" $cpu"
				[[ $failures == 0 ]] || skip "commit: $peer failed: $(tail -n 1 "$work/stderr")"
				measured $peer $command rm "new$i"
				walls[remove]+=" $wall" cpus[remove]+=" $cpu"
				$command rm "old$i" >/dev/null 2>>"$work/stderr"
			done
			for what in create commit remove; do
				# shellcheck disable=SC2086
				result "$what, $count files" $peer "$(middle ${walls[$what]})" "$(least ${walls[$what]})" \
					- "$(middle ${cpus[$what]})" 0
			done
		done
		docker_stop
		fresh_disk "$disk"
		measured cp cp -a "$tree/many" "$disk/copy"
		for what in create commit; do
			result "$what, $count files" 'cp -a of as many' "$wall" "$wall" - "$cpu" 0
		done
		umount "$disk" || umount -l "$disk"
		rm -rf "$tree" "$tree.tar"
	done
	export BRIG_ROOT=$work/brig
}

# run and commit onto one name, again and again: the first ones beside the last ones.
section_chain() {
	local i what disk=$work/disk
	declare -A walls=()
	fresh_disk "$disk" || { skip "chain: no loop device"; return; }
	export BRIG_ROOT=$disk/brig
	"$BRIG" tag "$("$BRIG" init "$work/bundle/rootfs" | sed 's/Created: //')" chain
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
		fi || { skip "chain: failed at $i"; break; }
		"$BRIG" rm link >/dev/null
	done
	for what in run commit; do
		# shellcheck disable=SC2086
		result "chain of $chain" "$what, the first 25" "$(middle ${walls[$what first]})" "$(least ${walls[$what first]})" - - 0
		# shellcheck disable=SC2086
		result "chain of $chain" "$what, the last 25" "$(middle ${walls[$what last]})" "$(least ${walls[$what last]})" - - 0
	done
	umount "$disk" || umount -l "$disk"
	export BRIG_ROOT=$work/brig
}

#!/usr/bin/env bats
# Volumes: named and anonymous, filled from the image, shared, listed, removed.
#
# BRIG_TEST_STORAGE=zfs runs this on ZFS, as storage.bats has it.
load lib
load containers
load zfs

setup() {
	[[ ${BRIG_TEST_STORAGE:-} != zfs ]] || zfs_store
	need_busybox
}
teardown() {
	brig_clean
	brig volume prune -af >/dev/null
}

volumes() {
	brig volume ls -q
}
run_in() {
	brig run --rm --network none "$@"
}
# The busybox image with volumes on these places: $image.
image_with_volumes() {
	local args=() place
	for place in "${@:2}"; do args+=(--config.volume "$place"); done
	image_with "$1" "${args[@]}"
}
# An image with a folder /seed full of what copying has to keep.
need_seeded() {
	tree_copy seeded
	if [[ ! -d $tree/seed ]]; then
		mkdir -p "$tree/seed/sub" "$tree/empty"
		echo content >"$tree/seed/file"
		chown 12:34 "$tree/seed/file" "$tree/seed/sub"
		chmod 4751 "$tree/seed/file"
		ln "$tree/seed/file" "$tree/seed/sub/hard"
		ln -s ../../../../../../etc/passwd "$tree/seed/soft"
		ln -s /etc "$tree/seed/folder"
		mkfifo -m 622 "$tree/seed/pipe"
		setfattr -n user.note -v kept "$tree/seed/file"
		chown 56:78 "$tree/seed" "$tree/empty"
		chmod 1731 "$tree/seed"
		chmod 2770 "$tree/empty"
		touch -d 2001-02-03T04:05:06Z "$tree/seed/file"
		ln -s seed "$tree/link"
		ln -s /proc/self/root/etc "$tree/magic"
	fi
	[[ -e $BRIG_TEST_DIR/seeded.image ]] || { image_of "$tree"; echo "$image" >"$BRIG_TEST_DIR/seeded.image"; }
	image=$(cat "$BRIG_TEST_DIR/seeded.image")
}

@test "a named volume is made when it is first used, and outlives its containers" {
	assert_run 0 run_in -v data:/v "$image" sh -c 'echo x >/v/f'
	assert_run 0 run_in -v data:/other "$image" cat /other/f
	assert_equal "$output" x
	assert_equal "$(volumes)" data
	assert_equal "$(cat "$BRIG_ROOT/volumes/data/_data/f")" x
	assert_run 0 run_in --mount type=volume,src=data,dst=/m "$image" cat /m/f
	assert_equal "$output" x
	assert_run 1 run_in -v data:/v:ro "$image" touch /v/g
	assert_match "$errors" 'Read-only'
	assert_run 1 run_in --mount source=data,target=/v,readonly "$image" touch /v/g
	assert_match "$errors" 'Read-only'
	assert_run 0 brig volume rm data
	assert_equal "$output" data
	assert_equal "$(volumes)" ""
	refute_exists "$BRIG_ROOT/volumes/data"
}

@test "volumes are nodev, unless the container is privileged" {
	brig volume create devices
	mknod "$BRIG_ROOT/volumes/devices/_data/null" c 1 3
	chmod 666 "$BRIG_ROOT/volumes/devices/_data/null"
	assert_run 1 run_in -v devices:/v "$image" cat /v/null
	assert_match "$errors" 'Permission denied'
	assert_run 0 run_in --privileged -v devices:/v "$image" cat /v/null
}

@test "an anonymous volume goes with --rm and rm -v, and stays with rm" {
	assert_run 0 run_in -v /anon "$image" grep -c ' /anon ' /proc/mounts
	assert_equal "$output" 1
	assert_equal "$(volumes)" ""
	assert_run 0 run_in --mount dst=/anon "$image" touch /anon/f
	assert_equal "$(volumes)" ""
	brig run --network none --name kept -v /anon "$image" touch /anon/f
	assert_match "$(volumes)" '^[0-9a-f]{64}$'
	assert_equal "$(brig volume inspect -f '{{json .Labels}}' "$(volumes)")" '{"com.docker.volume.anonymous":""}'
	assert_run 0 brig start -a kept
	assert_run 0 brig rm kept
	assert_equal "$(volumes | wc -l)" 1
	assert_run 0 brig volume prune -f
	assert_match "$output" $'^Deleted Volumes:\n[0-9a-f]{64}\n\nTotal reclaimed space: 0B$'
	brig run --network none --name gone -v /anon -v named:/n "$image" true
	assert_run 0 brig rm -v gone
	assert_equal "$(volumes)" named
	# In the background, too.
	brig run -d --rm --network none --name behind -v /anon "$image" sleep 100
	assert_equal "$(volumes | wc -l)" 2
	assert_run 0 brig rm -f -v behind
	assert_equal "$(volumes)" named
	brig create --name never -v /anon "$image" true
	assert_run 0 brig rm -v never
	assert_equal "$(volumes)" named
	# Whatever else is to be there takes its place.
	local first second
	for first in "-v /anon" "-v named:/anon" "--tmpfs /anon" "--mount type=tmpfs,dst=/anon"; do
		for second in "-v /anon" "-v named:/anon" "--tmpfs /anon"; do
			[[ $first == *v\ /* || $second == *v\ /* ]] || continue
			# shellcheck disable=SC2086
			assert_run 0 run_in $first $second "$image" grep -c ' /anon ' /proc/mounts
			assert_equal "$output" 1
		done
	done
	# shellcheck disable=SC2086
	assert_run 125 run_in -v named:/anon --tmpfs /anon "$image" true
	assert_one_error 'Duplicate mount point: /anon'
	assert_equal "$(volumes)" named
	# A container that cannot start leaves none.
	assert_run 127 run_in -v /anon "$image" no-such-command
	assert_run 127 brig run --network none -v /anon "$image" no-such-command
	assert_equal "$(volumes)" named
}

@test "an image's VOLUMEs are volumes" {
	image_with_volumes vols /srv/data relative/one
	brig run --network none --name cc "$image" sh -c 'echo x >/srv/data/f; grep -cE " /(srv/data|relative/one) " /proc/mounts' >"$BATS_TEST_TMPDIR/out"
	assert_equal "$(cat "$BATS_TEST_TMPDIR/out")" 2
	assert_equal "$(volumes | wc -l)" 2
	assert_equal "$(brig inspect -f '{{json .Config.Volumes}}' cc)" '{"/relative/one":{},"/srv/data":{}}'
	# One of its own in their place is not doubled.
	assert_run 0 run_in -v mine:/srv/data "$image" grep -c ' /srv/data ' /proc/mounts
	assert_equal "$output" 1
	assert_run 0 run_in --tmpfs /srv/data "$image" grep -c 'tmpfs /srv/data tmpfs' /proc/mounts
	assert_run 0 brig rm -v cc
	assert_equal "$(volumes)" mine
}

@test "an image's VOLUME is no way out" {
	local place
	for place in / /proc /proc/sys /sys /sys/fs/cgroup ../../.. /x/../proc/self; do
		rm -rf "$BRIG_TEST_DIR/layout-bad"
		image_with_volumes bad "$place"
		assert_run 125 run_in "$image" true
		assert_one_error "the image wants a volume on"
		assert_equal "$(volumes)" ""
	done
	need_seeded
	assert_run 125 run_in -v vm:/magic "$image" true
	assert_one_error /magic
	assert_run 0 run_in -v wf:/folder/below "$image" touch /folder/below/f
	refute_exists /folder
}

@test "an empty new volume gets what the image has there: owner, mode, times, links, attributes" {
	need_seeded
	assert_run 0 run_in -v copy:/seed "$image" sh -c 'cd /seed; stat -c "%n %a %u:%g %F" . file sub soft pipe; stat -c %Y file; test file -ef sub/hard && echo linked; readlink soft'
	assert_equal "$output" $'. 1731 56:78 directory\nfile 4751 12:34 regular file\nsub 755 12:34 directory\nsoft 777 0:0 symbolic link\npipe 622 0:0 fifo\n981173106\nlinked\n../../../../../../etc/passwd'
	assert_match "$(getfattr --only-values -n user.note "$BRIG_ROOT/volumes/copy/_data/file")" kept
	refute_exists "$BRIG_ROOT/volumes/copy/_data/passwd"
	# The folder alone: its owner and mode count.
	assert_run 0 run_in -v void:/empty "$image" stat -c '%a %u:%g' /empty
	assert_equal "$output" '2770 56:78'
	# Made by hand before: it is empty and new all the same. Through a link of the image's.
	brig volume create hand
	assert_run 0 run_in -v hand:/link "$image" cat /link/file
	assert_equal "$output" content
	# By create, not by start.
	brig create --name cc -v early:/seed "$image" true
	assert_exists "$BRIG_ROOT/volumes/early/_data/file"
	# Anonymous, an image's and --mount's.
	assert_run 0 run_in -v /seed "$image" cat /seed/file
	assert_equal "$output" content
	assert_run 0 run_in --mount type=volume,dst=/seed,ro "$image" cat /seed/file
	assert_equal "$output" content
}

@test "a volume is filled once, when it is empty, and not with nocopy" {
	need_seeded
	assert_run 0 run_in -v nc:/seed:nocopy "$image" ls -A /seed
	assert_equal "$output" ""
	assert_run 0 run_in --mount type=volume,src=nm,dst=/seed,volume-nocopy "$image" ls -A /seed
	assert_equal "$output" ""
	assert_run 0 run_in --mount type=volume,src=nf,dst=/seed,volume-nocopy=false "$image" ls -A /seed
	assert_match "$output" file
	# What the user has put there stays alone.
	brig volume create own
	echo mine >"$BRIG_ROOT/volumes/own/_data/mine"
	assert_run 0 run_in -v own:/seed "$image" ls -A /seed
	assert_equal "$output" mine
	# A container has emptied it: that was meant.
	assert_run 0 run_in -v emptied:/seed "$image" sh -c 'rm -rf /seed/*'
	assert_run 0 run_in -v emptied:/seed "$image" ls -A /seed
	assert_equal "$output" ""
}

@test "a filling that was killed begins anew" {
	need_seeded
	local data=$BRIG_ROOT/volumes/half/_data
	brig volume create half
	echo partial >"$data/file"
	sed -i 's/"state":"fresh"/"state":"filling"/' "$BRIG_ROOT/volumes/half/volume.json"
	assert_run 0 run_in -v half:/seed "$image" cat /seed/file
	assert_equal "$output" content
	assert_match "$(cat "$BRIG_ROOT/volumes/half/volume.json")" '"state":"used"'
}

@test "a filling that fails leaves nothing on the disk, and the next one is whole" {
	need_busybox
	# The program is larger than that, and not the first of its folder.
	(ulimit -f 1000; assert_run 125 brig run --rm --network none -v failed:/bin "$image" true)
	assert_equal "$(ls -A "$BRIG_ROOT/volumes/failed/_data")" ""
	assert_run 0 brig run --rm --network none -v failed:/bin "$image" sh -c 'ls /bin | wc -l'
	assert_equal "$output" "$(ls "$(fixture busybox)/tree/bin" | wc -l)"
	brig volume rm failed
}

@test "--volumes-from: all of them, read-only if asked" {
	local host=$BATS_TEST_TMPDIR/host
	mkdir "$host"
	brig create --name data -v shared:/v -v "$host:/b:ro" -v /anon --tmpfs /t "$image" true
	assert_run 0 run_in --volumes-from data "$image" sh -c 'echo x >/v/f; echo y >/anon/f; ! grep " /t " /proc/mounts'
	assert_run 1 run_in --volumes-from data "$image" touch /b/x
	assert_match "$errors" Read-only
	assert_run 0 run_in --volumes-from data "$image" cat /v/f /anon/f
	assert_equal "$output" $'x\ny'
	assert_run 1 run_in --volumes-from data:ro "$image" touch /v/x
	assert_match "$errors" Read-only
	assert_run 0 run_in --volumes-from data:rw "$image" touch /v/x
	# One's own counts more.
	assert_run 0 run_in --volumes-from data -v own:/v "$image" ls -A /v
	assert_equal "$output" ""
	assert_run 125 run_in --volumes-from nobody "$image" true
	assert_one_error 'No such container: nobody'
	assert_run 125 run_in --volumes-from data:bogus "$image" true
	assert_one_error 'invalid mode: bogus'
	# The anonymous one goes with the last who has it.
	brig create --name second --volumes-from data "$image" true
	assert_equal "$(brig inspect -f '{{json .HostConfig.VolumesFrom}}' second)" '["data"]'
	assert_run 0 brig rm -v data
	assert_run 0 brig start -a second
	assert_equal "$(volumes | wc -l)" 3
	assert_run 0 brig rm -v second
	assert_equal "$(volumes | tr '\n' ' ')" "own shared "
}

@test "volume-subpath: a place in the volume, and nowhere else" {
	brig volume create deep
	local data=$BRIG_ROOT/volumes/deep/_data
	mkdir -p "$data/a/b"
	echo inside >"$data/a/b/f"
	ln -s a "$data/link"
	ln -s /etc "$data/out"
	sub() {
		run_in --mount "type=volume,src=deep,dst=/m,volume-subpath=$1" "$image" "${@:2}"
	}
	assert_run 0 sub a/b sh -c 'cat /m/f; ls -A /m'
	assert_equal "$output" $'inside\nf'
	assert_run 0 sub a/b/f cat /m
	assert_equal "$output" inside
	local path
	for path in link link/b out out/passwd; do
		assert_run 125 sub "$path" true
		assert_one_error 'symbolic link'
	done
	assert_run 125 sub missing true
	assert_one_error 'has no "missing"'
	for path in ../x a/../../x /a a/b/..; do
		assert_run 125 sub "$path" true
		assert_one_error 'volume-subpath'
	done
	assert_run 125 run_in --mount type=volume,src=deep,dst=/etc,volume-subpath=a/b/f "$image" true
	assert_one_error 'cannot mount a file on /etc'
	# Nothing is left of those that failed, but for their names.
	assert_equal "$(volumes)" deep
	assert_silent brig ps -aq
}

@test "labels, options and names by --mount" {
	assert_run 0 run_in --mount 'type=volume,source=lab,target=/v,volume-label=a=b,volume-label=c,volume-driver=local' "$image" true
	assert_equal "$(brig volume inspect -f '{{json .Labels}}' lab)" '{"a":"b","c":""}'
	assert_run 0 run_in --mount 'type=volume,src=tm,dst=/v,volume-opt=type=tmpfs,volume-opt=device=tmpfs,"volume-opt=o=size=2m,mode=711"' "$image" \
		sh -c 'df -k /v | awk "NR == 2 { print \$2 }"; stat -c %a /v'
	assert_equal "$output" $'2048\n711'
	assert_run 125 run_in --mount type=volume,src=x1,dst=/v,volume-driver=nfs "$image" true
	assert_one_error 'no volume driver "nfs"'
	assert_run 125 run_in --volume-driver nfs -v x1:/v "$image" true
	assert_one_error 'no volume driver "nfs"'
	assert_run 125 run_in --mount type=volume,src=x1,dst=/v,volume-opt=bogus=1 "$image" true
	assert_one_error 'invalid option: "bogus"'
}

@test "volumes with options of their own: a tmpfs, a folder of the host" {
	assert_run 0 brig volume create --label a=b --label c -o type=tmpfs -o device=tmpfs -o o=size=1m vo2
	assert_equal "$output" vo2
	assert_equal "$(brig volume inspect -f '{{json .Labels}} {{json .Options}} {{.Scope}}' vo2)" \
		'{"a":"b","c":""} {"device":"tmpfs","o":"size=1m","type":"tmpfs"} local'
	assert_run 0 run_in -v vo2:/v "$image" sh -c 'grep " /v " /proc/mounts | cut -d" " -f1-3; df -k /v | awk "NR == 2 { print \$2 }"'
	assert_equal "$output" $'tmpfs /v tmpfs\n1024'
	local host=$BATS_TEST_TMPDIR/host
	mkdir "$host"
	echo there >"$host/f"
	brig volume create -o type=none -o "device=$host" -o o=bind bound
	assert_run 0 run_in -v bound:/v "$image" sh -c 'cat /v/f; echo new >/v/g'
	assert_equal "$output" there
	assert_equal "$(cat "$host/g")" new
	brig volume create -o type=none -o "device=$host" -o o=bind,ro bound-ro
	assert_run 1 run_in -v bound-ro:/v "$image" touch /v/h
	assert_match "$errors" Read-only
	brig volume create -o type=none -o "device=$host/missing" -o o=bind lost
	assert_run 125 run_in -v lost:/v "$image" true
	assert_one_error "$host/missing"
	assert_run 0 brig volume rm bound bound-ro lost
	assert_exists "$host/g"
}

@test "volume create and ls in docker's words" {
	assert_run 0 brig volume create vo1
	assert_equal "$output" vo1
	assert_run 0 brig volume create vo1
	assert_equal "$output" vo1
	assert_run 0 brig volume create
	assert_match "$output" '^[0-9a-f]{64}$'
	brig volume create --label a=b vo2 >/dev/null
	assert_run 0 brig volume ls --filter name=vo
	assert_equal "$output" $'DRIVER    VOLUME NAME\nlocal     vo1\nlocal     vo2'
	assert_equal "$(brig volume ls -q --filter label=a)" vo2
	assert_silent brig volume ls -q --filter label=a=x
	assert_silent brig volume ls -q --filter driver=nfs
	assert_equal "$(brig volume ls -q --filter dangling=true | wc -l)" 3
	brig create --name user -v vo1:/v "$image" true >/dev/null
	assert_equal "$(brig volume ls -q --filter dangling=0)" vo1
	assert_equal "$(brig volume ls -q --filter dangling=1 --filter name=vo)" vo2
	assert_run 0 brig volume ls --filter name=vo1 --format '{{.Name}} {{.Driver}} {{.Scope}} {{.Mountpoint}} {{.Labels}}|{{.Links}} {{.Size}}'
	assert_equal "$output" "vo1 local local $BRIG_ROOT/volumes/vo1/_data |N/A N/A"
	assert_equal "$(brig volume ls --filter name=vo2 --format '{{.Label "a"}}')" b
	assert_run 0 brig volume ls --format json --filter name=vo1
	assert_equal "$output" '{"Availability":"N/A","Driver":"local","Group":"N/A","Labels":"","Links":"N/A","Mountpoint":"'"$BRIG_ROOT"'/volumes/vo1/_data","Name":"vo1","Scope":"local","Size":"N/A","Status":"N/A"}'
	assert_run 0 brig volume inspect vo1
	assert_match "$output" $'^\[\n    \{\n        "CreatedAt": "[0-9T:-]+Z",\n        "Driver": "local",\n        "Labels": null,\n        "Mountpoint": "[^"]*/vo1/_data",\n        "Name": "vo1",\n        "Options": null,\n        "Scope": "local"\n    \}\n\]$'
	assert_run 0 brig inspect --type volume -f '{{.Name}}' vo1
	assert_equal "$output" vo1
	assert_run 0 brig inspect -f '{{.Name}}' vo2
	assert_equal "$output" vo2
	assert_run 1 brig volume inspect nosuch
	assert_equal "$output" '[]'
	assert_match "$errors" 'get nosuch: no such volume'
}

@test "names, options and filters that cannot be: each is one message, and nothing is made" {
	local name wanted
	while IFS='|' read -r name wanted; do
		assert_run 1 brig volume create "$name"
		assert_one_error "$wanted"
	done <<-'EOF'
		b d|create b d: "b d" includes invalid characters for a local volume name
		../x|includes invalid characters
		..|includes invalid characters
		.hidden|includes invalid characters
		a/b|includes invalid characters
		x|volume name is too short
	EOF
	assert_run 1 brig volume create "$(printf 'x%.0s' {1..256})"
	assert_one_error 'longer than 255'
	assert_run 1 brig volume create -o bogus=1 vo8
	assert_one_error 'create vo8: invalid option: "bogus"'
	assert_run 1 brig volume create -o type=tmpfs vo8
	assert_one_error 'missing required option: "device"'
	assert_run 1 brig volume create -d nfs vo8
	assert_one_error 'no volume driver "nfs"'
	assert_run 1 brig volume ls --filter bogus=1
	assert_one_error "invalid filter 'bogus'"
	assert_run 1 brig volume ls --filter dangling=maybe
	assert_one_error "invalid filter 'dangling=maybe'"
	assert_run 1 brig volume prune -f --filter bogus=1
	assert_one_error "invalid filter 'bogus'"
	for name in ../x /etc a/b . .. ''; do
		assert_run 1 brig volume rm "$name"
		assert_one_error 'no such volume'
		assert_run 1 brig volume inspect "$name"
		assert_match "$errors" 'no such volume'
	done
	for name in x:/v 'b d:/v' '~:/v'; do
		assert_run 125 run_in -v "$name" "$image" true
		assert_one_error
	done
	assert_equal "$(volumes)" ""
	assert_silent brig ps -aq
}

@test "a volume in use is kept, and the containers are named" {
	brig create --name first -v data:/v "$image" true >/dev/null
	brig run -d --network none --name other -v data:/v "$image" sleep 100 >/dev/null
	local a b
	a=$(id_of first) b=$(id_of other)
	assert_run 1 brig volume rm data
	assert_one_error "remove data: volume is in use - \[($a, $b|$b, $a)\]"
	assert_run 1 brig volume rm -f data
	assert_one_error 'volume is in use'
	assert_run 0 brig volume prune -af
	assert_equal "$(volumes)" data
	assert_equal "$(brig ps -a --filter volume=data --format '{{.Names}}' | sort | tr '\n' ' ')" 'first other '
	assert_equal "$(brig ps --filter volume=/v --format '{{.Names}} {{.Mounts}} {{.LocalVolumes}}')" 'other data 1'
	assert_silent brig ps -a --filter volume=other -q
	brig rm -f first other >/dev/null
	assert_run 0 brig volume rm data
	brig volume create one >/dev/null
	assert_run 1 brig volume rm one nosuch
	assert_equal "$output" one
	assert_match "$errors" 'get nosuch: no such volume'
	assert_run 0 brig volume rm -f nosuch
	assert_equal "$output" nosuch
}

@test "prune: anonymous ones, all, by label, after asking" {
	brig volume create named >/dev/null
	brig volume create --label keep=yes labelled >/dev/null
	brig volume create >/dev/null
	output=$(echo n | brig volume prune)
	assert_equal "$output" $'WARNING! This will remove anonymous local volumes not used by at least one container.\nAre you sure you want to continue? [y/N] '
	assert_equal "$(volumes | wc -l)" 3
	output=$(echo y | brig volume prune | tail -n +3)
	assert_match "$output" 'Total reclaimed space: 0B'
	assert_equal "$(volumes | tr '\n' ' ')" 'labelled named '
	assert_run 0 brig volume prune -f
	assert_equal "$output" 'Total reclaimed space: 0B'
	head -c 5000 /dev/zero >"$BRIG_ROOT/volumes/named/_data/f"
	assert_run 0 brig volume prune -af --filter 'label!=keep'
	assert_equal "$output" $'Deleted Volumes:\nnamed\n\nTotal reclaimed space: 5kB'
	assert_run 0 brig volume prune -f --filter all=true --filter label=keep=no
	assert_equal "$(volumes)" labelled
	assert_run 0 brig volume prune -f --filter all=true --filter label=keep=yes
	assert_equal "$(volumes)" ""
}

@test "inspect: Mounts, Binds, Mounts asked for, Volumes" {
	local host=$BATS_TEST_TMPDIR/host
	mkdir "$host"
	brig create --name cc -v vol1:/v -v "$host:/b:ro" -v vol2:/w:ro,nocopy -v /anon --tmpfs /t \
		--mount type=volume,src=vol3,dst=/m,volume-subpath=s,volume-label=a=b --mount "type=bind,src=$host,dst=/n,ro,bind-recursive=writable" "$image" true >/dev/null
	assert_equal "$(brig inspect -f '{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.Mode}} {{.RW}} {{.Propagation}}{{println}}{{end}}' cc | grep -v /anon | sort)" \
		$'\nbind  /b ro false rprivate\nbind  /n  false rprivate\nvolume vol1 /v z true \nvolume vol2 /w ro,nocopy false \nvolume vol3 /m z true '
	assert_match "$(brig inspect -f '{{range .Mounts}}{{.Name}} {{.Destination}} "{{.Mode}}" {{.Driver}} {{.Source}}{{println}}{{end}}' cc | grep /anon)" \
		"^([0-9a-f]{64}) /anon \"\" local $BRIG_ROOT/volumes/[0-9a-f]{64}/_data$"
	assert_equal "$(brig inspect -f '{{json .HostConfig.Binds}}' cc)" "[\"vol1:/v\",\"$host:/b:ro\",\"vol2:/w:ro,nocopy\"]"
	assert_equal "$(brig inspect -f '{{json .HostConfig.Mounts}}' cc)" \
		'[{"Type":"volume","Source":"vol3","Target":"/m","VolumeOptions":{"Labels":{"a":"b"},"Subpath":"s"}},{"Type":"bind","Source":"'"$host"'","Target":"/n","ReadOnly":true,"BindOptions":{"ReadOnlyNonRecursive":true}}]'
	assert_equal "$(brig inspect -f '{{json .Config.Volumes}} {{json .HostConfig.Tmpfs}}' cc)" '{"/anon":{}} {"/t":""}'
}

@test "read-only reaches what is mounted in a volume, too" {
	brig volume create outer
	mkdir "$BRIG_ROOT/volumes/outer/_data/sub"
	mount -t tmpfs sub "$BRIG_ROOT/volumes/outer/_data/sub"
	assert_run 0 run_in -v outer:/v "$image" touch /v/sub/f
	assert_run 1 run_in -v outer:/v:ro "$image" touch /v/sub/g
	assert_match "$errors" Read-only
	umount "$BRIG_ROOT/volumes/outer/_data/sub"
	mount -t tmpfs top "$BRIG_ROOT/volumes/outer/_data"
	assert_run 1 brig volume rm outer
	assert_one_error 'a file system is mounted on'
	umount "$BRIG_ROOT/volumes/outer/_data"
	assert_exists "$BRIG_ROOT/volumes/outer/_data/sub"
	assert_run 0 brig volume rm outer
}

@test "a volume whose folder was replaced by a link is not followed" {
	local outside=$BATS_TEST_TMPDIR/outside name
	mkdir "$outside"
	echo secret >"$outside/secret"
	brig volume create data
	brig volume create whole
	umount "$BRIG_ROOT"/volumes/{data,whole}/_data 2>/dev/null || true
	rm -r "$BRIG_ROOT/volumes/data/_data"
	ln -s "$outside" "$BRIG_ROOT/volumes/data/_data"
	rm -r "$BRIG_ROOT/volumes/whole"
	ln -s "$outside" "$BRIG_ROOT/volumes/whole"
	for name in data whole; do
		assert_run 125 run_in -v "$name:/v" "$image" cat /v/secret
		assert_one_error "the volume $name is damaged"
		assert_run 0 brig volume ls -q
		assert_match "$output" "$name"
		assert_run 0 brig volume rm "$name"
	done
	assert_exists "$outside/secret"
	brig volume create record
	echo garbage >"$BRIG_ROOT/volumes/record/volume.json"
	assert_run 125 run_in -v record:/v "$image" true
	assert_one_error 'the volume record is damaged: its volume.json cannot be read'
	assert_run 0 brig volume rm record
	assert_equal "$(volumes)" ""
}

@test "a container with a damaged configuration keeps all volumes" {
	brig create --name damaged -v data:/v "$image" true >/dev/null
	echo garbage >"$BRIG_ROOT/containers/$(brig ps -aq --no-trunc)/config.json"
	assert_run 1 brig volume rm data
	assert_one_error 'cannot tell whether the volume is in use'
	assert_run 1 brig volume prune -af
	assert_one_error 'cannot tell'
	brig rm -f damaged >/dev/null
	assert_run 0 brig volume rm data
}

@test "two containers at once get one new volume, filled once" {
	need_seeded
	local i pids=()
	for i in 1 2 3 4; do
		brig run --rm --network none -v race:/seed "$image" sh -c 'test -e /seed/file && test -e /seed/sub/hard' 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	assert_equal "$(volumes)" race
	assert_equal "$(ls -A "$BRIG_ROOT/tmp")" ""
}

#!/usr/bin/env bats
# What is mounted in a container: the user's binds and tmpfs, and the engine's own files.
load lib
load containers

setup() {
	need_busybox
	data=$BATS_TEST_TMPDIR/data
	mkdir -p "$data"
	echo 'from the host' >"$data/file"
}
teardown() {
	brig_clean
}

# The mount options of a place inside, the mount's and the file system's: mounted DEST ARGS…
mounted() {
	local at=$1
	shift
	brig run --rm --network none "$@" "$image" awk -v at="$at" '$5 == at { print $6, $NF }' /proc/self/mountinfo | tail -n 1
}

@test "-v: the host's folder, writable or not" {
	assert_run 0 brig run --rm -v "$data:/data" "$image" sh -c 'cat /data/file; echo back >/data/new'
	assert_equal "$output" 'from the host'
	assert_equal "$(cat "$data/new")" back
	assert_run 1 brig run --rm -v "$data:/data:ro" "$image" sh -c 'cat /data/file; echo no >/data/more'
	assert_match "$errors" 'Read-only file system'
	refute_exists "$data/more"
	assert_run 0 brig run --rm -v "$data:/made/for/it:rw" "$image" ls /made/for/it
	assert_match "$output" file
	# The short form of a place below where we are.
	cd "$BATS_TEST_TMPDIR"
	assert_run 0 brig run --rm -v ./data:/data "$image" cat /data/file
	assert_equal "$output" 'from the host'
	assert_run 0 brig run --rm -v "$BATS_TEST_TMPDIR//./x/../data/:/data/../data/" "$image" cat /data/file
	assert_equal "$output" 'from the host'
}

@test "-v makes a source that is missing, --mount does not" {
	assert_run 0 brig run --rm -v "$data/not/yet:/data" "$image" touch /data/made
	assert_exists "$data/not/yet/made"
	assert_equal "$(stat -c %u:%a "$data/not/yet")" 0:755
	assert_run 125 brig run --rm --mount "type=bind,source=$data/nor/this,target=/data" "$image" true
	assert_one_error "bind source path does not exist: $data/nor/this"
	refute_exists "$data/nor"
	# What is refused has made nothing.
	assert_run 125 brig run --rm -v "$data/never:/proc" "$image" true
	refute_exists "$data/never"
	assert_run 125 brig run --rm -v "$data/never:/x:nonsense" "$image" true
	refute_exists "$data/never"
}

@test "files, sockets and fifos are mounted as files" {
	assert_run 0 brig run --rm -v "$data/file:/etc/motd:ro" -v "$data/file:/new/place/file" "$image" sh -c 'cat /etc/motd /new/place/file'
	assert_equal "$output" $'from the host\nfrom the host'
	mkfifo "$data/fifo"
	assert_run 0 brig run --rm -v "$data/fifo:/fifo" "$image" test -p /fifo
	assert_run 125 brig run --rm -v "$data/file:/tmp" "$image" true
	assert_one_error "/tmp"
	assert_run 125 brig run --rm -v "$data:/etc/passwd" "$image" true
	assert_one_error "/etc/passwd"
	assert_run 125 brig run --rm -v "$data:/etc/passwd/below" "$image" true
	assert_one_error "/etc/passwd/below"
	assert_no_trace
}

@test "binds carry no devices, unless they are /dev or the container is privileged" {
	mknod "$data/null" c 1 3
	chmod 666 "$data/null"
	assert_run 1 brig run --rm -v "$data:/data" "$image" cat /data/null
	assert_match "$errors" 'Permission denied'
	assert_match "$(mounted /data -v "$data:/data")" nodev
	assert_run 0 brig run --rm --privileged -v "$data:/data" "$image" cat /data/null
	assert_run 0 brig run --rm -v /dev/null:/dev/other "$image" cat /dev/other
}

@test "outer mounts come before inner ones, in whatever order they are given" {
	mkdir -p "$data/outer" "$data/inner" "$data/deep"
	echo outer >"$data/outer/o"
	echo inner >"$data/inner/i"
	echo deep >"$data/deep/d"
	assert_run 0 brig run --rm -v "$data/deep:/m/n/o" -v "$data/inner:/m/n" -v "$data/outer:/m" "$image" \
		sh -c 'cat /m/o /m/n/i /m/n/o/d'
	assert_equal "$output" $'outer\ninner\ndeep'
	assert_run 0 brig run --rm --tmpfs /m --mount "type=bind,src=$data/inner,dst=/m/n" "$image" cat /m/n/i
	assert_equal "$output" inner
}

@test "--mount type=bind with all its words" {
	local word
	for word in "source=$data,target=/data" "src=$data,dst=/data" "src=$data,destination=/data" \
		"\"source=$data\",\"target=/data\"" "src=$data,dst=/data,consistency=cached" "src=$data,dst=/data,bind-propagation=rprivate"; do
		assert_run 0 brig run --rm --mount "type=bind,$word" "$image" sh -c 'cat /data/file; touch /data/w'
		assert_equal "$output" 'from the host'
	done
	for word in readonly ro readonly=true ro=1; do
		assert_run 1 brig run --rm --mount "type=bind,src=$data,dst=/data,$word" "$image" touch /data/x
		assert_match "$errors" 'Read-only'
	done
	assert_run 0 brig run --rm --mount "type=bind,src=$data,dst=/data,readonly=false" "$image" touch /data/x
	mkdir "$BATS_TEST_TMPDIR/a,b"
	assert_run 0 brig run --rm --mount "type=bind,\"src=$BATS_TEST_TMPDIR/a,b\",dst=/data" "$image" touch /data/comma
	assert_exists "$BATS_TEST_TMPDIR/a,b/comma"
}

@test "what is mounted below a bind comes along, or not, and read-only holds for it" {
	mkdir "$data/sub"
	mount -t tmpfs sub "$data/sub"
	touch "$data/sub/below"
	local all=$image
	assert_run 0 brig run --rm -v "$data:/data" "$all" ls /data/sub
	assert_equal "$output" below
	assert_run 1 brig run --rm -v "$data:/data:ro" "$all" touch /data/sub/x
	assert_match "$errors" Read-only
	assert_run 0 brig run --rm --mount "type=bind,src=$data,dst=/data,bind-recursive=disabled" "$all" ls /data/sub
	assert_equal "$output" ""
	assert_run 0 brig run --rm --mount "type=bind,src=$data,dst=/data,bind-nonrecursive" "$all" ls /data/sub
	assert_equal "$output" ""
	assert_run 0 brig run --rm --mount "type=bind,src=$data,dst=/data,ro,bind-recursive=writable" "$all" touch /data/sub/x
	assert_run 1 brig run --rm --mount "type=bind,src=$data,dst=/data,ro,bind-recursive=writable" "$all" touch /data/x
	umount "$data/sub"
}

@test "propagation: what the host mounts later is seen with rslave, and not without" {
	mount --bind "$data" "$data"
	mount --make-shared "$data"
	mkdir "$data/later"
	brig run -d --name private --network none -v "$data:/data" "$image" sleep 100 >/dev/null
	brig run -d --name slave --network none -v "$data:/data:rslave" "$image" sleep 100 >/dev/null
	mount -t tmpfs later "$data/later"
	touch "$data/later/seen"
	assert_silent brig exec private ls /data/later
	assert_equal "$(brig exec slave ls /data/later)" seen
	umount "$data/later"
	brig_clean
	umount "$data"
}

@test "a container's own mounts are never the host's" {
	assert_run 0 brig run --rm --privileged -v "$data:/data" "$image" sh -c 'mount -t tmpfs x /data; touch /data/inside; mount -t tmpfs y /mnt'
	refute_exists "$data/inside"
	assert_equal "$(ls "$data")" file
	assert_no_trace
}

@test "--mount that cannot be: each is one message" {
	local given
	while IFS='|' read -r given wanted; do
		assert_run 125 brig run --rm --mount "$given" "$image" true
		assert_one_error "$wanted"
	done <<-EOF
		type=bind,source=$data|target is required
		type=bind,target=/x|field Source must not be empty
		type=bind,source=relative/path,target=/x|absolute
		type=bind,source=$data,target=relative|must be absolute
		type=bind,source=$data,target=/|destination can't be '/'
		type=bind,source=$data,target=/proc|/proc
		type=bind,source=$data,target=/proc/sys|/proc
		type=bind,source=$data,target=/x/../proc/self|/proc
		type=bind,source=$data,target=/x,nonsense=1|unexpected key 'nonsense'
		type=bind,source=$data,target=/x,nonsense|must be a key=value pair
		type=bind,source=$data,target=/x,readonly=maybe|readonly
		type=bind,source=$data,target=/x,bind-propagation=wide|bind-propagation
		type=bind,source=$data,target=/x,bind-recursive=often|bind-recursive
		type=bind,source=$data,target=/x,tmpfs-size=1m|cannot mix 'tmpfs-\*' options with mount type 'bind'
		type=tmpfs,source=$data,target=/x|field Source must not be specified
		type=tmpfs,target=/x,bind-propagation=rslave|cannot mix 'bind-\*'
		type=bind,source=$data,target=/x,volume-nocopy|cannot mix 'volume-\*'
		type=bind,source=$data,target=/x,bind-recursive=writable|requires 'readonly'
		type=bind,source=$data,target=/x,ro,bind-recursive=readonly,bind-propagation=rslave|requires 'bind-propagation=rprivate'
		type=image,source=x,target=/x|type image are not in this version
		type=tmpfs,target=/x,tmpfs-size=much|tmpfs-size
		type=tmpfs,target=/x,tmpfs-mode=999|tmpfs-mode
		type=floppy,source=$data,target=/x|mount type unknown
		type=bind|target is required
	EOF
	assert_run 125 brig run --rm --mount '' "$image" true
	assert_one_error
	assert_no_trace
}

@test "-v and --tmpfs that cannot be: each is one message" {
	local given
	for given in data /x:ro "$data:" ":/x" "$data:/x:ro:more" "$data:relative" "$data:/" "$data:/proc" "$data:/proc/self/fd" \
		"$data:/x:nonsense" "$data:/x/..:ro" "$data:/x:ro,rw" "$data:/x:nocopy" vol:/x:rslave ''; do
		assert_run 125 brig run --rm -v "$given" "$image" true
		assert_one_error
	done
	for given in relative / /proc /x:nonsense /x:size /x:size=much /x:mode=9 ''; do
		assert_run 125 brig run --rm --tmpfs "$given" "$image" true
		assert_one_error
	done
	assert_run 125 brig run --rm -v "$data:/x" -v "$data:/x/" "$image" true
	assert_one_error "Duplicate mount point: /x"
	assert_run 125 brig run --rm -v "$data:/x" --tmpfs /x "$image" true
	assert_one_error "Duplicate mount point: /x"
	# The same twice is once.
	assert_run 0 brig run --rm -v "$data:/x" -v "$data:/x" "$image" true
	assert_no_trace
}

@test "in a folder that was removed, -v does what needs none" {
	local removed=$BATS_TEST_TMPDIR/removed
	mkdir "$removed"
	cd "$removed"
	rmdir "$removed"
	assert_run 0 brig run --rm --network none -v "$data:/data" -v kept:/kept "$image" test -d /kept
	assert_run 125 brig run --rm --network none -v ./here:/data "$image" true
	assert_one_error "./here cannot be found"
	cd /
	brig volume rm kept >/dev/null
}

@test "--tmpfs: defaults and options" {
	assert_match "$(mounted /t --tmpfs /t)" 'nosuid,nodev,noexec.*rw'
	assert_equal "$(mounted /t --tmpfs /t:exec,suid,dev | cut -d' ' -f1 | grep -c no)" 0
	assert_match "$(mounted /t --tmpfs /t:ro)" '^ro'
	assert_match "$(mounted /t --tmpfs /t:size=1m,mode=700,uid=1000,gid=100)" 'size=1024k,mode=700,uid=1000,gid=100'
	assert_run 0 brig run --rm --tmpfs /t:size=64k,mode=1700,uid=1000 "$image" sh -c 'stat -c %a:%u /t; dd if=/dev/zero of=/t/f bs=100k count=1 2>&1 | grep -o "No space left"'
	assert_equal "$output" $'1700:1000\nNo space left'
	# As docker's: the image's own mode, or 1777 where it has none there.
	assert_run 0 brig run --rm --tmpfs /tmp --tmpfs /root --tmpfs /new "$image" stat -c %a /tmp /root /new
	assert_equal "$output" $'1777\n700\n1777'
}

@test "--mount type=tmpfs" {
	assert_run 0 brig run --rm --mount type=tmpfs,dst=/t,tmpfs-size=2m,tmpfs-mode=0750 "$image" sh -c 'stat -c %a /t; df -k /t | awk "NR == 2 { print \$2 }"'
	assert_equal "$output" $'750\n2048'
	assert_run 0 brig run --rm --mount type=tmpfs,destination=/t "$image" stat -c %a /t
	assert_equal "$output" 1777
	assert_match "$(mounted /t --mount type=tmpfs,dst=/t,ro)" '^ro'
}

@test "--read-only: the root is, /dev/shm, tmpfs and binds are not" {
	assert_run 0 brig run --rm --read-only --tmpfs /tmp -v "$data:/data" "$image" sh -c \
		'for f in /x /etc/x /root/x /usr/x; do touch $f 2>/dev/null && echo $f; done; touch /tmp/t /dev/shm/s /data/d && echo fine'
	assert_match "$output" '(^|'$'\n'')fine$'
	refute_match "$output" '/x'
	assert_exists "$data/d"
	assert_run 1 brig run --rm --read-only "$image" sh -c 'echo 1.2.3.4 x >>/etc/hosts'
	assert_match "$errors" 'Read-only'
	assert_run 125 brig run --rm --read-only -w /made "$image" pwd
	assert_one_error "cannot enter the working directory /made: Read-only file system"
	# A mount point that the image lacks is made all the same.
	assert_run 0 brig run --rm --read-only -v "$data:/not/in/image" "$image" cat /not/in/image/file
	assert_no_trace
}

@test "--shm-size" {
	assert_run 0 brig run --rm "$image" sh -c 'df -k /dev/shm | awk "NR == 2 { print \$2 }"; stat -c %a /dev/shm'
	assert_equal "$output" $'65536\n1777'
	assert_run 0 brig run --rm --shm-size 3m "$image" sh -c 'df -k /dev/shm | awk "NR == 2 { print \$2 }"'
	assert_equal "$output" 3072
	assert_run 0 brig run --rm --tmpfs /dev/shm:size=1m "$image" sh -c 'df -k /dev/shm | awk "NR == 2 { print \$2 }"'
	assert_equal "$output" 1024
}

@test "hosts, hostname and resolv.conf are the container's, whatever the image has" {
	assert_run 0 brig run --rm -h box "$image" sh -c 'cat /etc/hostname; grep -c localhost /etc/hosts; test -e /etc/resolv.conf && echo resolv; echo x >>/etc/hosts && echo writable'
	assert_match "$output" $'^box\n[12]\nresolv\nwritable$'
	tree_copy files
	rm -f "$tree"/etc/{hosts,hostname,resolv.conf}
	echo image >"$tree/etc/hosts"
	ln -s ../run/resolve/stub.conf "$tree/etc/resolv.conf"
	ln -s /nowhere/at/all "$tree/etc/hostname"
	image_of "$tree"
	assert_run 0 brig run --rm -h box "$image" sh -c 'cat /etc/hostname; grep -c image /etc/hosts; test -e /etc/resolv.conf && echo resolv'
	assert_equal "$output" $'box\n0\nresolv'
	refute_exists /nowhere
	# One's own take their place.
	assert_run 0 brig run --rm -v "$data/file:/etc/hosts" "$image" cat /etc/hosts
	assert_equal "$output" 'from the host'
}

@test "links in the image lead nowhere but into the image" {
	local outside=$BATS_TEST_TMPDIR/outside
	mkdir "$outside"
	echo secret >"$outside/secret"
	tree_copy links
	ln -s "$outside" "$tree/absolute"
	ln -s "../../../../../../../../..$outside" "$tree/relative"
	ln -s "$outside/missing" "$tree/dangling"
	ln -s /proc "$tree/toproc"
	ln -s /proc/1/root "$tree/magic"
	ln -s loop2 "$tree/loop1"
	ln -s loop1 "$tree/loop2"
	ln -s / "$tree/top"
	image_of "$tree"
	local where
	for where in /absolute /relative /dangling /absolute/below /relative/a/b /dangling/a/b; do
		assert_run 0 brig run --rm -v "$data:$where" "$image" cat "$where/file"
		assert_equal "$output" 'from the host' "$where"
		assert_run 0 brig run --rm --tmpfs "$where" "$image" touch "$where/inside"
		assert_run 0 brig run --rm -w "$where" "$image" touch cwd
	done
	assert_equal "$(ls -A "$outside")" secret
	for where in /toproc /toproc/sys /toproc/self/fd /magic /loop1 /loop1/x /top; do
		assert_run 125 brig run --rm -v "$data:$where" "$image" true
		assert_one_error
	done
	assert_equal "$(ls -A "$outside")" secret
	assert_no_trace
}

@test "the image is the container's alone: what one writes another does not see" {
	assert_run 0 brig run --rm "$image" sh -c 'rm -r /etc; mkdir /etc; echo x >/etc/passwd; ls /etc'
	assert_match "$output" passwd
	assert_run 0 brig run --rm "$image" grep -c root /etc/passwd
	assert_match "$output" '^[1-9]'
}

@test "inspect shows the mounts" {
	brig run --name shown --network none -v "$data:/data:ro" --tmpfs /t:size=1m "$image" true
	assert_equal "$(brig inspect -f '{{range .Mounts}}{{.Type}} {{.Source}} {{.Destination}} {{.RW}}{{end}}' shown)" "bind $data /data false"
	assert_match "$(brig inspect -f '{{json .HostConfig.Tmpfs}}' shown)" '"/t":"size=1m"'
	assert_match "$(brig inspect -f '{{json .HostConfig.Binds}}' shown)" "$data:/data:ro"
}

@test "on a host whose mounts are shared nothing of a container appears, with plain copies too" {
	cat >"$BATS_TEST_TMPDIR/script" <<-'EOS'
		mount --make-rshared /
		root=$BRIG_TEST_DIR/shared-root
		image=$("$BRIG" --root "$root" --storage-driver copy init "$1" | sed -n 's/^Created: //p')
		"$BRIG" --root "$root" --storage-driver copy run --name shared --network none "$image" echo works
		grep -F "$root" /proc/self/mountinfo
		"$BRIG" --root "$root" --storage-driver copy rm -f shared >/dev/null
	EOS
	assert_run 0 unshare --mount bash "$BATS_TEST_TMPDIR/script" "$(fixture busybox)/tree"
	assert_equal "$output" works
}

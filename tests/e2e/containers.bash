# containers.bash - what the tests of containers share; loaded after lib.

# tree_copy NAME: a copy of the busybox tree to be changed; $tree is its folder.
tree_copy() {
	local from
	from=$(fixture busybox)/tree || return 1
	tree=$BRIG_TEST_DIR/tree-$1
	[[ -d $tree ]] || cp -a "$from" "$tree"
}
# image_of TREE: an image of the folder; $image is its serial name.
image_of() {
	image=$(brig init "$1" | sed -n 's/^Created: //p')
	[[ -n $image ]] || fail "init printed no serial name"
}
# image_with NAME [umoci config options]: the busybox image with another configuration,
# pulled from the registry on the loopback, which is started. $image is its name.
image_with() {
	local name=$1 layout=$BRIG_TEST_DIR/layout-$1
	shift
	need_registry
	image=$registry/$name
	[[ ! -d $layout ]] || return 0
	cp -a "$(fixture busybox)/oci" "$layout"
	umoci config --image "$layout:latest" "$@"
	skopeo --insecure-policy copy -q --dest-tls-verify=false "oci:$layout:latest" "docker://$image"
	brig pull -q "$image" >/dev/null
}
need_registry() {
	registry=127.0.0.1:5000
	[[ -e $BRIG_TEST_DIR/registry-5000/pid ]] || start_registry
}

# probe: a static program for what a shell cannot ask; made once for each file.
# $probe is its path on the host, $image an image that has it as /probe.
need_probe() {
	probe=$BRIG_TEST_DIR/probe
	if [[ ! -e $BRIG_TEST_DIR/probe.image ]]; then
		gcc -O1 -static -o "$probe" "$BRIG_TEST_TOP/tests/tools/probe.c" || return 1
		tree_copy probe
		cp "$probe" "$tree/probe"
		image_of "$tree"
		echo "$image" >"$BRIG_TEST_DIR/probe.image"
	fi
	image=$(cat "$BRIG_TEST_DIR/probe.image")
}

# The id of a container by its name.
id_of() {
	brig inspect -f '{{.Id}}' "$1"
}
# The pid of its first process, as this pretend host counts.
pid_of() {
	brig inspect -f '{{.State.Pid}}' "$1"
}
status_of() {
	brig inspect -f '{{.State.Status}}' "$1"
}
# start_container NAME COMMAND …: in the background, of $image, without a network.
start_container() {
	local name=$1
	shift
	brig run -d --network none --name "$name" "$image" "$@" >/dev/null
}
# The host's cgroup folders of a container.
cgroups_of() {
	find /sys/fs/cgroup -type d -path "*/brig/$1" -prune
}
no_cgroups() {
	[[ -z $(cgroups_of "$1*") ]]
}
no_veth() {
	! ip -o link show type veth | grep -q .
}
no_folders() {
	[[ $(find "$BRIG_ROOT/containers" -mindepth 1 -maxdepth 1 -type d | wc -l) == 0 ]] &&
		[[ -z $(ls -A "$BRIG_RUN_ROOT/containers" 2>/dev/null) ]] &&
		[[ -z $(ls -A "$BRIG_RUN_ROOT/attach" 2>/dev/null) ]]
}
no_monitors() {
	! pgrep -x brig
}
# Nothing of any container: no folder, mount, cgroup (of the ids that are given), link or process.
# What is cleaned up behind the user's back gets a moment.
assert_no_trace() {
	local id
	wait_until 10 no_folders || fail "folders are left" "$(find "$BRIG_ROOT/containers" "$BRIG_RUN_ROOT" | head -20)"
	wait_until 10 no_monitors || fail "processes are left" "$(ps -eo pid,args)"
	wait_until 10 no_veth || fail "links are left" "$(ip -o link)"
	for id; do
		wait_until 10 no_cgroups "$id" || fail "cgroups are left" "$(cgroups_of "$id*")"
	done
	assert_nothing_left
}
# file_has FILE REGEX, for wait_until.
file_has() {
	grep -qE -- "$2" "$1"
}

# A real dockerd of this test's own, at $BRIG_TEST_DIR/docker/sock.
start_dockerd() {
	local dir=$BRIG_TEST_DIR/docker
	mkdir -p "$dir" /run/docker-exec
	dockerd --data-root "$dir/data" --exec-root /run/docker-exec --pidfile "$dir/pid" -H "unix://$dir/sock" \
		--storage-driver vfs --cgroup-parent "/${BRIG_TEST_DIR##*/}" >"$dir/log" 2>&1 3>&- &
	echo $! >"$dir/started"
	wait_until 40 docker -H "unix://$dir/sock" version || { tail -n 20 "$dir/log" >&2; return 1; }
}
stop_dockerd() {
	local pid=$BRIG_TEST_DIR/docker/started
	[[ -e $pid ]] || return 0
	kill "$(cat "$pid")" 2>/dev/null || true
	wait_until 20 sh -c "! kill -0 $(cat "$pid") 2>/dev/null"
	rm -f "$pid"
	find /sys/fs/cgroup -depth -type d -path "*/${BRIG_TEST_DIR##*/}*" -exec rmdir {} + 2>/dev/null || true
}

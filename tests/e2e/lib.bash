# lib.bash - what the end-to-end tests share; each file begins with `load lib`.
#
# tests/e2e/run starts a file on a pretend host: its own network, processes, mounts and
# /run. Here are brig with private roots, fixtures, a registry, an outside world to talk
# to, and assertions that show what they saw. One file is one user story.

bats_require_minimum_version 1.5.0

if [[ -z ${BRIG_TEST_SANDBOX:-} ]]; then
	echo "run this file with tests/e2e/run, so that it does not touch the machine's network" >&2
	exit 1
fi

export BRIG_ROOT=$BRIG_TEST_DIR/root BRIG_RUN_ROOT=$BRIG_TEST_DIR/run
export LC_ALL=C.UTF-8 NO_COLOR=1
umask 022
unset BRIG_CONFIG DOCKER_HOST DOCKER_CONFIG XDG_RUNTIME_DIR
export HOME=$BRIG_TEST_DIR/home
mkdir -p "$HOME"
# Where the host has no pids controller (version 2 in a container, or beside version 1), each
# run warns that it cannot have its default limit. One test looks at that; the others would
# find the warning where they look for something else.
if [[ -e /sys/fs/cgroup/cgroup.controllers ]] && ! grep -qw pids /sys/fs/cgroup/cgroup.controllers; then
	export BRIG_CONFIG=$BRIG_TEST_DIR/no-pids.conf
	printf '[container]\npids_limit = 0\n' >"$BRIG_CONFIG"
fi

# brig VERB …: the program under test, with the private roots from the environment.
brig() {
	"$BRIG" "$@"
}

# Removes every container, so that one test does not see another's.
brig_clean() {
	local ids
	ids=$(brig ps -a -q 2>/dev/null) || return 0
	# shellcheck disable=SC2086
	[[ -z $ids ]] || brig rm -f $ids >/dev/null
}

# --- assertions: each says what was expected and what was there -------------------------

fail() {
	printf '%s\n' "$@" >&2
	return 1
}

# assert_run STATUS COMMAND …: runs it; $output is stdout, $errors stderr.
assert_run() {
	local expected=$1 status=0
	shift
	errors=$BATS_TEST_TMPDIR/errors
	output=$("$@" 2>"$errors" </dev/null) || status=$?
	errors=$(cat "$errors")
	[[ $status == "$expected" ]] || fail "ended with $status, not $expected: $*" \
		"-- stdout --" "$output" "-- stderr --" "$errors"
}

assert_equal() {
	[[ $1 == "$2" ]] || fail "${3:-not equal}" "  expected: $2" "  was:      $1"
}
# assert_silent COMMAND …: succeeds and has nothing to say.
assert_silent() {
	assert_run 0 "$@"
	assert_equal "$output$errors" "" "is not silent: $*"
}
# assert_match TEXT REGEX
assert_match() {
	[[ $1 =~ $2 ]] || fail "does not match: $2" "$1"
}
refute_match() {
	[[ ! $1 =~ $2 ]] || fail "should not match: $2" "$1"
}
# One error as PRODUCT.md wants it: one sentence of ours on stderr, nothing on stdout.
assert_one_error() {
	assert_equal "$output" "" "stdout is not empty"
	assert_match "$errors" "^brig: "
	local count
	count=$(grep -c '^brig: ' <<<"$errors")
	assert_equal "$count" 1 "not one message: $errors"
	[[ -z ${1:-} ]] || assert_match "$errors" "$1"
}
assert_exists() {
	[[ -e $1 || -L $1 ]] || fail "is not there: $1"
}
refute_exists() {
	[[ ! -e $1 && ! -L $1 ]] || fail "is there: $1"
}
# No mount below the test's folder, no file in the store's tmp, no container. Network
# namespaces that are kept ready for the next container are meant to be there.
assert_nothing_left() {
	local mounts
	mounts=$(awk -v dir="$BRIG_TEST_DIR/" 'index($5, dir) == 1 && $5 !~ "/run/net/pool/" { print $5 }' /proc/self/mountinfo)
	assert_equal "$mounts" "" "mounts are left"
	assert_equal "$(ls -A "$BRIG_ROOT/tmp" 2>/dev/null)" "" "temporary files are left"
	assert_run 0 brig ps -a -q
	assert_equal "$output" "" "containers are left"
}

# wait_until SECONDS COMMAND …: retries until it succeeds. BRIG_TEST_PATIENCE multiplies the
# time on a machine that is slow (an emulated one).
wait_until() {
	local deadline=$((SECONDS + $1 * ${BRIG_TEST_PATIENCE:-1}))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < deadline)) || { fail "never came true: $*"; return 1; }
		sleep 0.05
	done
}

# run_timed COMMAND …: leaves the milliseconds it took in $elapsed.
run_timed() {
	local began=${EPOCHREALTIME/./} status=0
	"$@" || status=$?
	elapsed=$(((${EPOCHREALTIME/./} - began) / 1000))
	return $status
}

# --- fixtures: made before the tests by tests/e2e/fixture, kept in a cache ---------------

# fixture NAME: prints the fixture's folder; the test is skipped where it could not be made.
fixture() {
	"$BRIG_TEST_TOP/tests/e2e/fixture" --path "$1"
}

# The busybox image, made with init once for each file; $image is its serial name.
need_busybox() {
	local stamp=$BRIG_TEST_DIR/busybox.image
	if [[ ! -e $stamp ]]; then
		local tree
		tree=$(fixture busybox)/tree || return 1
		brig init "$tree" >"$stamp.new" || return 1
		sed -n 's/^Created: //p' "$stamp.new" >"$stamp"
	fi
	image=$(cat "$stamp")
	[[ -n $image ]] || fail "init printed no serial name"
}

# --- a registry on this pretend host's loopback ------------------------------------------

# start_registry [PORT]: docker-registry on 127.0.0.1; $registry is host:port.
start_registry() {
	local port=${1:-5000} dir=$BRIG_TEST_DIR/registry-${1:-5000}
	mkdir -p "$dir"
	cat >"$dir/config.yml" <<-EOF
		version: 0.1
		log: {level: error, accesslog: {disabled: true}}
		storage: {filesystem: {rootdirectory: $dir/data}, delete: {enabled: true}}
		http: {addr: 127.0.0.1:$port}
	EOF
	docker-registry serve "$dir/config.yml" >"$dir/log" 2>&1 3>&- &
	echo $! >"$dir/pid"
	registry=127.0.0.1:$port
	wait_until 10 curl -fs "http://$registry/v2/"
}
stop_registry() {
	local dir=$BRIG_TEST_DIR/registry-${1:-5000}
	[[ ! -e $dir/pid ]] || kill "$(cat "$dir/pid")"
	rm -f "$dir/pid"
}
# push_fixture NAME REPOSITORY:TAG [skopeo options]: an OCI layout of the fixture into the registry.
push_fixture() {
	local layout
	layout=$(fixture "$1")/oci || return 1
	skopeo --insecure-policy copy -q --dest-tls-verify=false "${@:3}" "oci:$layout:latest" "docker://$registry/$2"
}

# --- the outside world -------------------------------------------------------------------

# outside_start: a second network namespace beyond this host's uplink "up0".
# The host is 192.0.2.2 and 2001:db8::2, the outside 192.0.2.1, the default gateway.
outside_start() {
	unshare --net sleep infinity 3>&- &
	outside_pid=$!
	echo "$outside_pid" >"$BRIG_TEST_DIR/outside.pid"
	wait_until 5 sh -c "[ \$(readlink /proc/$outside_pid/ns/net) != \$(readlink /proc/self/ns/net) ]"
	ip link add up0 type veth peer name out0 netns "$outside_pid"
	ip address add 192.0.2.2/24 dev up0
	ip address add 2001:db8::2/64 dev up0 nodad
	ip link set up0 up
	outside ip address add 192.0.2.1/24 dev out0
	outside ip address add 2001:db8::1/64 dev out0 nodad
	outside ip link set out0 up
	outside ip link set lo up
	ip route add default via 192.0.2.1
}
# outside_stop: ends whoever serves out there, and with them that world.
outside_stop() {
	local pid world
	world=$(readlink "/proc/$(cat "$BRIG_TEST_DIR/outside.pid")/ns/net")
	for pid in $(cd /proc && echo [0-9]*); do
		[[ $(readlink "/proc/$pid/ns/net" 2>/dev/null) != "$world" ]] || kill "$pid"
	done
}
# outside COMMAND …: runs it out there.
outside() {
	nsenter --net="/proc/$(cat "$BRIG_TEST_DIR/outside.pid")/ns/net" "$@"
}
# outside_serve PORT TEXT: a server out there that answers TEXT to who connects.
outside_serve() {
	# Not through outside(): a function keeps a copy of descriptor 3, and bats waits for it.
	nsenter --net="/proc/$(cat "$BRIG_TEST_DIR/outside.pid")/ns/net" \
		socat "TCP-LISTEN:$1,fork,reuseaddr" "SYSTEM:echo '$2'" 3>&- &
	wait_until 5 outside socat -u OPEN:/dev/null "TCP:127.0.0.1:$1"
}

# private_var: an empty /var of this pretend host's own, but for the tests' folders and cache.
private_var() {
	local kept
	for kept in tmp cache; do
		mkdir -p /run/kept/$kept
		mount --bind /var/$kept /run/kept/$kept
	done
	mount -t tmpfs tmpfs /var
	mkdir /var/lib
	for kept in tmp cache; do
		mkdir /var/$kept
		mount --move /run/kept/$kept /var/$kept
	done
}

#!/usr/bin/env bats
# Limits as the host's cgroup files have them, on whichever version this host runs.
load lib
load containers

setup() {
	need_busybox
}
teardown() {
	brig_clean
}

v1() { [[ -e /sys/fs/cgroup/memory/cgroup.procs ]]; }

# value CONTAINER CONTROLLER FILE: what the host's file says.
value() {
	local path
	if v1; then
		path=$(sed -nE "s/^[0-9]+:([^:]*,)?$2(,[^:]*)?:(.*)/\3/p" "/proc/$(pid_of "$1")/cgroup")
		cat "/sys/fs/cgroup/$2$path/$3"
	else
		path=$(sed -n 's/^0:://p' "/proc/$(pid_of "$1")/cgroup")
		cat "/sys/fs/cgroup$path/$3"
	fi
}
# A version 2 without this controller (in a container, or where version 1 holds it) has nothing
# to test here but the message, see below.
need_controller() {
	v1 || grep -qw "$1" /sys/fs/cgroup/cgroup.controllers || skip "no $1 controller on this host"
}
limited() { # OPTIONS …: a container of the name box
	brig rm -f box >/dev/null 2>&1 || true
	assert_run 0 brig run -d --name box --network none "$@" "$image" sleep 100
	assert_equal "$errors" ""
}

@test "-m: memory, and as much swap again" {
	need_controller memory
	limited -m 64m
	if v1; then
		assert_equal "$(value box memory memory.limit_in_bytes)" $((64 << 20))
		if [[ -e /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes ]]; then
			assert_equal "$(value box memory memory.memsw.limit_in_bytes)" $((128 << 20))
			limited -m 64m --memory-swap 96m
			assert_equal "$(value box memory memory.memsw.limit_in_bytes)" $((96 << 20))
		fi
		limited -m 64m --memory-reservation 32m
		assert_equal "$(value box memory memory.soft_limit_in_bytes)" $((32 << 20))
	else
		assert_equal "$(value box memory memory.max)" $((64 << 20))
		assert_equal "$(value box memory memory.swap.max)" $((64 << 20)) # swap alone
		limited -m 64m --memory-swap 96m
		assert_equal "$(value box memory memory.swap.max)" $((32 << 20))
		limited -m 64m --memory-swap -1
		assert_equal "$(value box memory memory.swap.max)" max
		limited -m 64m --memory-reservation 32m
		assert_equal "$(value box memory memory.low)" $((32 << 20))
	fi
	assert_equal "$(brig inspect -f '{{.HostConfig.Memory}}' box)" $((64 << 20))
}

@test "--cpus, --cpu-quota, --cpu-period and --cpu-shares" {
	need_controller cpu
	if ! v1; then
		cpu_on_v2
		return
	fi
	limited --cpus 0.5
	assert_equal "$(value box cpu cpu.cfs_quota_us)/$(value box cpu cpu.cfs_period_us)" 50000/100000
	assert_equal "$(brig inspect -f '{{.HostConfig.NanoCpus}}' box)" 500000000
	limited --cpus 1.25
	assert_equal "$(value box cpu cpu.cfs_quota_us)" 125000
	limited --cpus .01
	assert_equal "$(value box cpu cpu.cfs_quota_us)" 1000
	limited --cpu-period 50000 --cpu-quota 20000
	assert_equal "$(value box cpu cpu.cfs_quota_us)/$(value box cpu cpu.cfs_period_us)" 20000/50000
	limited --cpu-shares 512
	assert_equal "$(value box cpu cpu.shares)" 512
	limited -c 2
	assert_equal "$(value box cpu cpu.shares)" 2
}

# The same in version 2's words: quota and period in one file, and a weight for the shares.
cpu_on_v2() {
	limited --cpus 0.5
	assert_equal "$(value box cpu cpu.max)" '50000 100000'
	assert_equal "$(value box cpu cpu.weight)" 100
	assert_equal "$(brig inspect -f '{{.HostConfig.NanoCpus}}' box)" 500000000
	limited --cpus 1.25 -c 512
	assert_equal "$(value box cpu cpu.max)" '125000 100000'
	assert_equal "$(value box cpu cpu.weight)" 59
	limited --cpu-period 50000 --cpu-quota 20000 -c 2
	assert_equal "$(value box cpu cpu.max)" '20000 50000'
	assert_equal "$(value box cpu cpu.weight)" 1
}

@test "--cpus holds: who wants a processor gets its share of one" {
	need_controller cpu
	local before
	limited --cpus 0.2
	brig exec -d box sh -c 'while :; do :; done'
	before=$(throttled)
	wait_until 10 more_throttled "$before"
}
throttled() { # how often the container was held back
	value box cpu cpu.stat | sed -n 's/^nr_throttled //p'
}
more_throttled() {
	(($(throttled) > $1 + 3))
}

@test "--cpuset-cpus" {
	need_controller cpuset
	limited --cpuset-cpus 0
	assert_equal "$(value box cpuset cpuset.cpus)" 0
	assert_equal "$(brig exec box nproc)" 1
	brig rm -f box >/dev/null
	assert_run 125 brig run --rm --network none --cpuset-cpus 4000 "$image" true
	assert_one_error
	assert_run 125 brig run --rm --network none --cpuset-cpus nonsense "$image" true
	assert_one_error
	assert_no_trace
}

@test "--pids-limit, which is 4096 by default, and holds" {
	need_controller pids
	limited
	assert_equal "$(value box pids pids.max)" 4096
	limited --pids-limit 10
	assert_equal "$(value box pids pids.max)" 10
	limited --pids-limit -1
	assert_equal "$(value box pids pids.max)" max
	assert_run 2 brig run --rm --network none --pids-limit 10 "$image" sh -c 'for i in $(seq 20); do sleep 2 & done; echo all'
	assert_match "$errors" "can't fork"
	assert_equal "$output" ""
	printf '[container]\npids_limit = 77\n' >"$BATS_TEST_TMPDIR/conf"
	BRIG_CONFIG=$BATS_TEST_TMPDIR/conf limited
	assert_equal "$(value box pids pids.max)" 77
}

@test "out of memory is 137, and inspect says so" {
	need_controller memory
	assert_run 137 brig run --name eater --network none -m 16m --memory-swap 16m "$image" sh -c 'exec dd if=/dev/zero of=/dev/null bs=200M count=1'
	assert_equal "$(brig inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' eater)" 'true 137'
	assert_run 0 brig run --name small --network none -m 16m "$image" true
	assert_equal "$(brig inspect -f '{{.State.OOMKilled}}' small)" false
}

@test "the container sees its own groups as the top, read-only" {
	need_controller memory
	limited -m 64m
	assert_run 0 brig exec box cat /proc/self/cgroup
	refute_match "$output" brig
	refute_match "$output" "$(id_of box)"
	if v1; then
		assert_equal "$(brig exec box cat /sys/fs/cgroup/memory/memory.limit_in_bytes)" $((64 << 20))
		assert_run 1 brig exec box sh -c 'echo 1000000000 >/sys/fs/cgroup/memory/memory.limit_in_bytes'
		assert_match "$errors" 'Read-only'
		assert_run 1 brig exec box mkdir /sys/fs/cgroup/memory/mine
		assert_run 1 brig exec box sh -c 'echo x >/sys/fs/cgroup/memory/release_agent'
	else
		assert_equal "$(brig exec box cat /sys/fs/cgroup/memory.max)" $((64 << 20))
		assert_run 1 brig exec box sh -c 'echo max >/sys/fs/cgroup/memory.max'
	fi
	assert_run 1 brig exec box mkdir /sys/fs/cgroup/mine
}

@test "exec is in the container's groups, and rm leaves none of them" {
	need_controller memory
	limited -m 64m
	local id pid
	id=$(id_of box)
	brig exec -d box sleep 50
	wait_until 5 sh -c 'pgrep -f "[s]leep 50"'
	pid=$(pgrep -f '[s]leep 50' | tail -n 1)
	assert_equal "$(sed 's/^[0-9]*://' "/proc/$pid/cgroup")" "$(sed 's/^[0-9]*://' "/proc/$(pid_of box)/cgroup")"
	[[ -n $(cgroups_of "$id") ]] || fail "the container has no groups"
	assert_run 0 brig rm -f box
	assert_no_trace "$id"
}

@test "values that cannot be: each is one message, and nothing is left" {
	local options wanted
	while IFS='|' read -r options wanted; do
		# shellcheck disable=SC2086
		assert_run 125 brig run --rm --network none $options "$image" true
		assert_match "$errors" "^brig: "
		assert_match "$errors" "$wanted"
	done <<-EOF
		-m 1m|minimum memory limit allowed is 6MB
		-m much|invalid
		-m -5|invalid
		--memory-swap 100m|memory limit
		-m 64m --memory-swap 32m|memory-swap limit should be larger
		-m 64m --memory-reservation 128m|memory reservation
		--cpus 1000|range of CPUs
		--cpus 0.001|range of CPUs
		--cpus half|--cpus
		--cpus 1 --cpu-quota 5000|conflicting
		--cpu-period 5|1ms and 1s
		--cpu-quota 5|1ms
		--cpu-shares -3|shares
		--cpu-shares few|invalid
		--pids-limit few|invalid
		--shm-size much|invalid
	EOF
	assert_no_trace
}

@test "where the host lacks a controller, a flag is an error and a default one warning" {
	v1 || skip "this host has version 2 with its controllers"
	# A second look at this host: version 2 alone, without any controller.
	cat >"$BATS_TEST_TMPDIR/script" <<-'EOF'
		umount -R /sys/fs/cgroup || umount -l /sys/fs/cgroup
		mount -t cgroup2 cgroup2 /sys/fs/cgroup
		status=0
		"$BRIG" run --rm --network none "$@" || status=$?
		exit $status
	EOF
	on_v2() { unshare --mount bash "$BATS_TEST_TMPDIR/script" "$@"; }
	grep -q memory /sys/fs/cgroup/unified/cgroup.controllers 2>/dev/null && skip "version 2 has controllers here"
	assert_run 0 on_v2 "$image" sh -c 'cat /proc/self/cgroup; grep " - cgroup" /proc/self/mountinfo'
	assert_match "$output" $'(^|\n)0::/(\n|$)'
	assert_match "$output" 'cgroup2'
	assert_equal "$(grep -c . <<<"$errors")" 1 "not one warning: $errors"
	assert_match "$errors" 'pids'
	local flag
	for flag in '-m 64m' '--cpus 0.5' '--cpu-shares 512' '--pids-limit 100' '--cpuset-cpus 0'; do
		# shellcheck disable=SC2086
		assert_run 125 on_v2 $flag "$image" true
		assert_one_error
	done
	assert_run 0 on_v2 --pids-limit -1 "$image" true
	assert_equal "$errors" ""
	find /sys/fs/cgroup/unified -type d -path '*/brig/*' -newer "$BATS_TEST_TMPDIR/script" | while read -r left; do fail "left: $left"; done
	assert_no_trace
}

@test "devices: only the container's own may be opened, by the device group" {
	# NODEV of the root file system is not what refuses here: the node is made on /dev.
	assert_run 0 brig run --rm --network none --cap-add MKNOD "$image" sh -c \
		'mknod /dev/mem2 c 1 1 && { cat /dev/mem2 >/dev/null 2>/tmp/e; cat /tmp/e; }; mknod /dev/null2 c 1 3 && echo x >/dev/null2 && echo null works'
	assert_match "$output" 'Operation not permitted'
	assert_match "$output" 'null works'
	if v1; then
		limited
		assert_equal "$(value box devices devices.list | sort | tr '\n' ' ')" \
			'c 136:* rwm c 1:3 rwm c 1:5 rwm c 1:7 rwm c 1:8 rwm c 1:9 rwm c 5:0 rwm c 5:1 rwm c 5:2 rwm '
		limited --privileged
		assert_equal "$(value box devices devices.list)" 'a *:* rwm'
	fi
}

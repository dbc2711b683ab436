#!/usr/bin/env bats
# One round on a machine that systemd and udev run, at the default places: a container's
# output, network, limits, logs, end; what the machine's own services make of it; and the limits
# of an ordinary user, whose cgroup systemd delegates.
load ../e2e/lib
load ../e2e/containers

export BRIG_ROOT=/var/lib/brig BRIG_RUN_ROOT=/run/brig

setup() {
	[[ $(cat /proc/1/comm) == systemd ]] || skip "systemd does not run this machine"
	# No namespaces made ahead: their interfaces would be seen as something that is left.
	export BRIG_CONFIG=$BRIG_TEST_DIR/brig.conf
	printf '[network]\nready = no\n' >"$BRIG_CONFIG"
	need_busybox
}
teardown() {
	brig_clean
}

# The host's file of a container's cgroup.
value() {
	cat "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$(pid_of "$1")/cgroup")/$2"
}
# Names and MAC addresses of all interfaces.
interfaces() {
	ip -o link | awk '{ for (i = 1; i < NF; i++) if ($i == "link/ether") print $2, $(i + 1) }' | sort
}
failed_units() {
	systemctl list-units --failed --no-legend --plain
}

@test "a container: output, status, logs" {
	# The first one says what it changes on the host.
	brig run --rm "$image" true 2>/dev/null
	assert_run 7 brig run --name box "$image" sh -c 'echo out; echo err >&2; exit 7'
	assert_equal "$output/$errors" out/err
	assert_run 0 brig logs box
	assert_equal "$output/$errors" out/err
	assert_equal "$(brig inspect -f '{{.State.ExitCode}}' box)" 7
}

@test "the network: reached from the host, and udev and networkd leave it alone" {
	local before address name
	rm -f /etc/systemd/system/systemd-networkd.service
	systemctl daemon-reload
	systemctl start systemd-networkd
	assert_run 0 brig run -d --name web "$image" sh -c 'echo served >/tmp/page; exec httpd -f -p 80 -h /tmp'
	before=$(interfaces)
	address=$(brig inspect -f '{{.NetworkSettings.IPAddress}}' web)
	assert_match "$address" '^[0-9.]+$'
	udevadm settle
	assert_equal "$(interfaces)" "$before" "udev changed a name or an address"
	page() { busybox wget -q -O - "http://$address/page" | grep -q served; }
	wait_until 10 page
	# From one container to another, by the bridge.
	assert_run 0 brig run --rm "$image" wget -q -O - "http://$address/page"
	assert_equal "$output" served
	# As networkd sees them: each is there, and none of them is its own.
	wait_until 10 networkctl status brig0
	ip -o link show type veth | sed -E 's/^[0-9]+: ([^:@]+).*/\1/' >"$BATS_TEST_TMPDIR/names"
	echo brig0 >>"$BATS_TEST_TMPDIR/names"
	while read -r name; do
		assert_equal "$(networkctl list --no-legend --no-pager "$name" | awk '{ print $NF }')" unmanaged "$name"
	done <"$BATS_TEST_TMPDIR/names"
	# It configures what is new with a reload, as a distribution's upgrade does.
	networkctl reload
	assert_equal "$(interfaces)" "$before" "networkd changed a name or an address"
	page
	systemctl stop systemd-networkd.socket systemd-networkd
}

@test "limits hold when systemd reloads, and starts and stops units" {
	assert_run 0 brig run -d --network none --name box -m 64m --cpus 0.5 --pids-limit 10 --cpuset-cpus 0 "$image" sleep 1000
	assert_equal "$errors" ""
	all() { echo "$(value box memory.max) $(value box cpu.max) $(value box pids.max) $(value box cpuset.cpus)"; }
	assert_equal "$(all)" "$((64 << 20)) 50000 100000 10 0"
	systemctl daemon-reload
	systemd-run --quiet --wait -p CPUWeight=50 -p MemoryMax=100M true
	assert_equal "$(all)" "$((64 << 20)) 50000 100000 10 0"
	# A container that is made afterwards has all controllers too.
	assert_run 0 brig run --rm --network none -m 32m --cpus 0.25 --cpuset-cpus 0 "$image" \
		cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max
	assert_equal "$output" "$((32 << 20))"$'\n25000 100000'
	assert_equal "$errors" ""
}

# as_user DELEGATE COMMAND …: as a service of the user tester; its group is delegated or not.
as_user() {
	systemd-run --quiet --wait --collect --pipe --uid=tester -p "Delegate=$1" -p WorkingDirectory=/home/tester \
		--setenv=HOME=/home/tester --setenv=XDG_RUNTIME_DIR=/run/tester "${@:2}"
}

@test "limits of an ordinary user: where systemd delegates, and where it does not" {
	local tree
	id tester >/dev/null 2>&1 || skip "there is no user tester"
	tree=$(fixture busybox)/tree
	install -d -o tester -m 700 /run/tester
	cp -r "$tree" /home/tester/tree
	chown -R tester: /home/tester/tree
	unset BRIG_ROOT BRIG_RUN_ROOT BRIG_CONFIG
	assert_run 0 as_user no "$BRIG" init /home/tester/tree
	image=${output##*: }
	assert_run 0 as_user yes "$BRIG" run --rm --network none -m 64m --pids-limit 20 "$image" \
		cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max
	assert_equal "$output" "$((64 << 20))"$'\n20'
	assert_run 137 as_user yes "$BRIG" run --rm --network none -m 16m --memory-swap 16m "$image" \
		dd if=/dev/zero of=/dev/null bs=200M count=1
	assert_run 125 as_user no "$BRIG" run --rm --network none -m 64m "$image" true
	assert_one_error 'memory'
}

@test "a container as a service: systemctl stop is its stop" {
	assert_run 0 systemd-run --quiet --unit=box --setenv=BRIG_ROOT=$BRIG_ROOT --setenv=BRIG_RUN_ROOT=$BRIG_RUN_ROOT \
		"$BRIG" run --rm --network none --name box "$image" sh -c 'trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.2; done'
	up() { brig logs box | grep -q up; }
	wait_until 10 up
	assert_equal "$(systemctl is-active box)" active
	systemctl stop box
	assert_silent brig ps -a -q
	journalctl -q --sync
	assert_match "$(journalctl -q -u box -o cat)" bye
	assert_run 1 brig inspect box
}

@test "stop, rm, and nothing is left" {
	local id
	assert_run 0 brig run -d --name box "$image" sh -c 'trap "exit 0" TERM; while :; do sleep 0.2; done'
	id=$output
	assert_run 0 brig exec box true
	assert_run 0 brig stop box
	assert_equal "$(status_of box)" exited
	assert_run 0 brig rm box
	assert_no_trace "$id"
	assert_equal "$(failed_units)" "" "units have failed"
	assert_equal "$(find /sys/fs/cgroup/brig -mindepth 1 -type d)" "" "cgroups are left"
}

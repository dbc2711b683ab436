#!/usr/bin/env bats
# The default sandbox, row by row, and what opens it.
load lib
load containers

setup() {
	need_probe
}
teardown() {
	brig_clean
}

inside() { # OPTIONS … -- COMMAND …
	local options=()
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	shift
	brig run --rm --network none "${options[@]}" "$image" "$@"
}
caps() { # SET OPTIONS …
	local set=$1
	shift
	inside "$@" -- sed -n "s/^$set:\t//p" /proc/self/status
}

# --- capabilities ------------------------------------------------------------------------

@test "thirteen capabilities, none inheritable or ambient" {
	assert_equal "$(caps CapEff)" 00000000a00425fb
	assert_equal "$(caps CapPrm)" 00000000a00425fb
	assert_equal "$(caps CapBnd)" 00000000a00425fb
	assert_equal "$(caps CapInh)" 0000000000000000
	assert_equal "$(caps CapAmb)" 0000000000000000
}

@test "an ordinary user in the container has none, only the bounding set" {
	assert_equal "$(caps CapEff -u user)" 0000000000000000
	assert_equal "$(caps CapPrm -u 1234)" 0000000000000000
	assert_equal "$(caps CapInh -u user)" 0000000000000000
	assert_equal "$(caps CapAmb -u user)" 0000000000000000
	assert_equal "$(caps CapBnd -u user)" 00000000a00425fb
}

@test "--cap-add and --cap-drop" {
	assert_equal "$(caps CapEff --cap-add MKNOD)" 00000000a80425fb
	assert_equal "$(caps CapEff --cap-add cap_mknod)" 00000000a80425fb
	assert_equal "$(caps CapEff --cap-drop ALL)" 0000000000000000
	assert_equal "$(caps CapEff --cap-drop ALL --cap-add NET_BIND_SERVICE)" 0000000000000400
	assert_equal "$(caps CapEff --cap-drop chown --cap-drop KILL)" 00000000a00425da
	assert_equal "$(caps CapBnd --cap-drop chown)" 00000000a00425fa
	local held
	held=$(sed -n 's/^CapPrm:\t//p' /proc/self/status)
	assert_equal "$(caps CapEff --cap-add ALL)" "$held"
	assert_equal "$(printf %016x $((0x$(caps CapEff --cap-add ALL --cap-drop SYS_ADMIN) | 1 << 21)))" "$held"
	assert_run 125 brig run --rm --cap-add NOSUCH "$image" true
	assert_one_error NOSUCH
	assert_run 125 brig run --rm --cap-drop '' "$image" true
	assert_one_error
	assert_no_trace
}

@test "what a capability is for works with it and not without" {
	assert_run 0 inside -- chroot / true
	assert_run 1 inside --cap-drop SYS_CHROOT -- chroot / true
	assert_run 1 inside -- mknod /tmp/x c 1 3
	assert_run 0 inside --cap-add MKNOD -- mknod /tmp/x c 1 3
	assert_run 2 inside -- ip link set lo down
	assert_run 0 inside --cap-add NET_ADMIN -- ip link set lo down
	assert_run 1 inside -- mount -t tmpfs x /mnt
	assert_run 0 inside --cap-add SYS_ADMIN -- mount -t tmpfs x /mnt
	assert_run 1 inside -- hostname other
}

# --- system calls ------------------------------------------------------------------------

@test "a filter is in force, and says EPERM to what is denied" {
	assert_equal "$(inside -- sed -n 's/^Seccomp:\t//p' /proc/self/status)" 2
	assert_equal "$(inside -u user -- sed -n 's/^Seccomp:\t//p' /proc/self/status)" 2
	local name
	assert_run 0 inside -- /probe call acct add_key bpf clock_settime clone_newuser clone_newns delete_module fanotify_init \
		finit_module fsconfig fsmount fsopen fspick init_module io_uring_setup io_uring_enter kexec_load kexec_file_load \
		unshare_files keyctl mount mount_setattr move_mount open_by_handle_at open_tree perf_event_open personality_odd pivot_root quotactl \
		reboot request_key setns settimeofday socket_alg socket_vsock swapoff swapon syslog umount2 unshare_newuser \
		unshare_newns unshare_newnet userfaultfd iopl ioperm
	while read -r name said; do
		assert_equal "$said" EPERM "$name"
	done <<<"$output"
	assert_equal "$(wc -l <<<"$output")" 45
}

@test "what brig does not know is answered with ENOSYS, and what is harmless gets through" {
	assert_run 0 inside -- /probe call clone3 unknown newest
	assert_equal "$output" $'clone3 ENOSYS\nunknown ENOSYS\nnewest ENOSYS'
	assert_run 0 inside -- /probe call getpid chown mknod socket_inet socket_raw personality_linux32 process_vm_readv ptrace chroot
	refute_match "$output" 'EPERM|ENOSYS|signal'
	assert_run 0 inside -- /probe call x32_getpid
	refute_match "$output" 'ok'
}

@test "a capability opens the calls that belong to it" {
	assert_run 0 inside --cap-add SYS_ADMIN -- /probe call mount umount2 fsopen setns unshare_newns clone3 bpf
	assert_equal "$(grep -cE ' (ok|through)$' <<<"$output")" 7 "$output"
	assert_run 0 inside --cap-add SYS_TIME -- /probe call settimeofday
	assert_match "$output" '^settimeofday (ok|through)$'
	assert_run 0 inside --cap-add SYSLOG -- /probe call syslog
	assert_match "$output" '^syslog (ok|through)$'
	assert_run 0 inside --cap-add DAC_READ_SEARCH -- /probe call open_by_handle_at
	assert_match "$output" '^open_by_handle_at (ok|through)$'
}

@test "TIOCSTI into the terminal is refused, also with garbage in the upper half" {
	assert_run 0 "$BRIG_TEST_TOP/tests/tools/terminal.py" -- "$BRIG" run --rm -it --network none "$image" /probe tiocsti
	assert_match "$output" 'Operation not permitted Operation not permitted'
}

@test "seccomp=unconfined, and a profile of one's own" {
	assert_equal "$(inside --security-opt seccomp=unconfined -- sed -n 's/^Seccomp:\t//p' /proc/self/status)" 0
	assert_run 0 inside --security-opt seccomp:unconfined -- /probe call unshare_newuser
	refute_match "$output" EPERM
	cat >"$BATS_TEST_TMPDIR/profile" <<-EOF
		{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
		  {"names": ["chmod", "fchmod", "fchmodat", "fchmodat2"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13},
		  {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "includes": {"caps": ["CAP_SYS_ADMIN"]}}]}
	EOF
	assert_run 1 inside --security-opt "seccomp=$BATS_TEST_TMPDIR/profile" -- chmod 700 /tmp
	assert_match "$errors" 'Permission denied'
	assert_run 0 inside --security-opt "seccomp=$BATS_TEST_TMPDIR/profile" -- mkdir /tmp/x
	assert_run 1 inside --cap-add SYS_ADMIN --security-opt "seccomp=$BATS_TEST_TMPDIR/profile" -- mkdir /tmp/x
	assert_run 1 inside --privileged --security-opt "seccomp=$BATS_TEST_TMPDIR/profile" -- chmod 700 /tmp
	# It is kept with the container: the file may go.
	brig create --name kept --network none --security-opt "seccomp=$BATS_TEST_TMPDIR/profile" "$image" chmod 700 /tmp >/dev/null
	rm "$BATS_TEST_TMPDIR/profile"
	assert_run 1 brig start -a kept
	local text
	for text in '' '{' '{"defaultAction":"SCMP_ACT_MAYBE"}' '{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"action":"x"}]}'; do
		printf %s "$text" >"$BATS_TEST_TMPDIR/bad"
		assert_run 125 brig run --rm --security-opt "seccomp=$BATS_TEST_TMPDIR/bad" "$image" true
		assert_one_error
		assert_run 1 brig create --security-opt "seccomp=$BATS_TEST_TMPDIR/bad" "$image" true
		assert_one_error
	done
	brig rm kept >/dev/null
	assert_no_trace
}

@test "no-new-privileges" {
	tree_copy setuid
	cp "$probe" "$tree/probe"
	chmod 4755 "$tree/probe"
	image_of "$tree"
	assert_equal "$(inside -u user -- /probe ids)" '1000 0 0 0'
	assert_equal "$(inside -u user --security-opt no-new-privileges -- /probe ids)" '1000 1000 1000 1'
	assert_equal "$(inside -u user --security-opt no-new-privileges:true -- /probe ids)" '1000 1000 1000 1'
	assert_equal "$(inside -u user --security-opt no-new-privileges=false -- /probe ids)" '1000 0 0 0'
	assert_equal "$(inside --security-opt no-new-privileges -- sed -n 's/^Seccomp:\t//p' /proc/self/status)" 2
	printf '[container]\nno_new_privileges = yes\n' >"$BATS_TEST_TMPDIR/conf"
	assert_equal "$(BRIG_CONFIG=$BATS_TEST_TMPDIR/conf inside -u user -- /probe ids)" '1000 1000 1000 1'
}

# --- files -------------------------------------------------------------------------------

@test "hidden paths are empty, and cannot be looked under" {
	local path
	for path in /proc/kcore /proc/keys /proc/timer_list /proc/kallsyms /proc/interrupts /proc/slabinfo /proc/vmallocinfo \
		/proc/sched_debug /proc/kpagecount /proc/kpageflags /proc/latency_stats; do
		[[ -e $path ]] || continue
		assert_run 0 inside -- sh -c "test -e $path && cat $path | wc -c"
		assert_equal "$output" 0 "$path"
		assert_equal "$(inside -- stat -c %t:%T $path)" 1:3 "$path"
		# Not the host's null device: its mode would be everybody's.
		refute_match "$(inside -- stat -c %d $path)" "^$(stat -c %d /dev/null)\$"
	done
	for path in /proc/acpi /proc/asound /proc/scsi /sys/firmware /sys/devices/virtual/powercap /sys/kernel/debug /sys/kernel/tracing \
		/sys/kernel/security /sys/kernel/slab /sys/fs/bpf /sys/fs/pstore; do
		[[ -d $path ]] || continue
		assert_equal "$(inside -- ls -A $path)" "" "$path"
		assert_run 1 inside -- touch $path/x
	done
	for path in /sys/devices/system/cpu/cpu[0-9]*/thermal_throttle; do
		[[ -d $path ]] || continue
		assert_equal "$(inside -- ls -A "$path")" "" "$path"
	done
}

@test "read-only paths refuse root" {
	local path
	for path in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sys/vm/panic_on_oom /proc/sysrq-trigger /proc/irq/default_smp_affinity \
		/sys/kernel/uevent_helper /sys/power/state /sys/class/net/lo/mtu; do
		[[ -e $path ]] || continue
		assert_run 1 inside -- sh -c "echo x >$path"
		assert_match "$errors" 'Read-only|nonexistent|Permission denied' "$path"
	done
	assert_run 1 inside --cap-add SYS_ADMIN -- sh -c 'echo x >/proc/sys/kernel/core_pattern'
	assert_match "$errors" Read-only
}

@test "systempaths=unconfined opens them" {
	[[ $(inside --security-opt systempaths=unconfined -- sh -c 'cat /proc/kallsyms | wc -c') -gt 0 ]] || fail "still hidden"
	assert_run 0 inside --cap-add NET_ADMIN --security-opt systempaths=unconfined -- sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
	assert_run 125 brig run --rm --security-opt systempaths=half "$image" true
	assert_one_error
}

@test "/proc shows the container's processes alone, and is a proc of its own" {
	assert_equal "$(inside -- sh -c 'set -- /proc/[0-9]*; echo $#')" 1
	assert_match "$(inside -- awk '$5 == "/proc" { print $6 }' /proc/self/mountinfo)" 'nosuid,nodev,noexec'
	assert_match "$(inside -- awk '$5 == "/sys" { print $6 }' /proc/self/mountinfo)" 'ro,nosuid,nodev,noexec'
	assert_match "$(inside -- awk '$5 == "/dev" { print $6, $NF }' /proc/self/mountinfo)" 'nosuid,noexec.*size=65536k,mode=755'
	assert_match "$(inside -- awk '$5 == "/dev/pts" { print $6, $NF }' /proc/self/mountinfo)" 'nosuid,noexec.*gid=5,mode=620,ptmxmode=666'
	assert_match "$(inside -- awk '$5 == "/dev/shm" { print $6, $NF }' /proc/self/mountinfo)" 'nosuid,nodev,noexec.*size=65536k'
	assert_match "$(inside -- awk '$5 == "/dev/mqueue" { print $6 }' /proc/self/mountinfo)" 'nosuid,nodev,noexec'
	assert_match "$(inside -- awk '$5 == "/" { print $6 }' /proc/self/mountinfo)" nodev
	local name
	for name in hosts hostname resolv.conf; do
		assert_match "$(inside -- awk -v at=/etc/$name '$5 == at { print $6 }' /proc/self/mountinfo)" 'nosuid,nodev,noexec'
	done
}

@test "devices: six, their links, nothing of the host's" {
	assert_equal "$(inside -- sh -c 'ls /dev | tr "\n" " "')" \
		'core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero '
	assert_equal "$(inside -- sh -c 'cd /dev; stat -c "%n %F %t:%T %a" full null random tty urandom zero')" \
		'full character special file 1:7 666
null character special file 1:3 666
random character special file 1:8 666
tty character special file 5:0 666
urandom character special file 1:9 666
zero character special file 1:5 666'
	assert_equal "$(inside -- sh -c 'cd /dev; for l in core fd ptmx stderr stdin stdout; do readlink $l; done')" \
		$'/proc/kcore\n/proc/self/fd\npts/ptmx\n/proc/self/fd/2\n/proc/self/fd/0\n/proc/self/fd/1'
	assert_equal "$(inside -- sh -c 'head -c 4 /dev/zero | wc -c; echo x >/dev/full' 2>&1 | tr '\n' ' ')" '4 sh: write error: No space left on device '
}

@test "the root file system has no devices, /dev and the device group let only one's own through" {
	assert_run 1 inside --cap-add MKNOD -- sh -c 'mknod /null c 1 3 && cat /null'
	assert_match "$errors" 'Permission denied'
	assert_run 1 inside --cap-add MKNOD -- sh -c 'mknod /dev/kmsg c 1 11 && cat /dev/kmsg'
	assert_match "$errors" 'Operation not permitted'
	tree_copy nodes
	mknod "$tree/image-null" c 1 3
	chmod 666 "$tree/image-null"
	image_of "$tree" || return 0
	assert_run 1 inside -- cat /image-null
}

# --- the rest ----------------------------------------------------------------------------

@test "namespaces of its own: mnt, pid, net, ipc, uts, cgroup" {
	local kind host
	for kind in mnt pid net ipc uts cgroup; do
		host=$(readlink /proc/self/ns/$kind)
		refute_match "$(inside -- readlink /proc/self/ns/$kind)" "^${host//[/\\[}\$"
	done
	assert_run 0 inside -h inside -- hostname
	assert_equal "$output" inside
	refute_match "$(hostname)" '^inside$'
	assert_equal "$(brig run --rm --network host "$image" readlink /proc/self/ns/net)" "$(readlink /proc/self/ns/net)"
}

@test "limits, umask, priority and signals are a fresh process's, whatever the caller's are" {
	local out
	out=$(umask 0; ulimit -c 0; nice -n 5 bash -c 'trap "" INT TERM HUP; trap "" USR1; echo 300 >/proc/self/oom_score_adj; exec "$@"' - \
		"$BRIG" run --rm --network none "$image" sh -c 'umask; ulimit -n; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj; cut -d" " -f19 /proc/self/stat')
	out+=$'\n'$(bash -c 'trap "" INT TERM HUP QUIT USR1 CHLD PIPE; exec "$@"' - "$BRIG" run --rm --network none "$image" sed -n 's/^Sig\(Ign\|Blk\):.//p' /proc/self/status)
	assert_equal "$(sed -n 1p <<<"$out")" 0022
	assert_equal "$(sed -n 2p <<<"$out")" 1024
	(($(sed -n 3p <<<"$out") >= 1024)) || fail "$out"
	assert_equal "$(sed -n 4p <<<"$out")" 0
	assert_equal "$(sed -n 5p <<<"$out")" 0 "oom_score_adj"
	assert_equal "$(sed -n 6p <<<"$out")" 0 "nice"
	assert_equal "$(sed -n 7p <<<"$out")" 0000000000000000 "blocked signals"
	assert_equal "$(sed -n 8p <<<"$out")" 0000000000000000 "ignored signals"
	assert_match "$(inside -- cat /proc/self/limits)" 'Max locked memory +8388608 '
}

@test "nothing of the caller's is open or in the environment" {
	exec 9<"$BRIG_TEST_TOP" 8<"$BRIG_ROOT"
	export SECRET=of-the-caller
	assert_equal "$(inside -- ls /proc/self/fd | tr '\n' ' ')" '0 1 2 3 '
	# By the shell itself (3 is the folder that it reads): a pipe of its would be open for a moment.
	assert_equal "$(inside -- sh -c 'for fd in /proc/1/fd/*; do echo "${fd##*/}"; done' | tr '\n' ' ')" '0 1 2 3 '
	refute_match "$(inside -- cat /proc/1/environ | tr '\0' '\n')" 'SECRET|BRIG|BATS'
	refute_match "$(inside --init -- sh -c 'cat /proc/1/environ /proc/1/cmdline | tr "\0" "\n"')" 'SECRET|BATS|--network'
	exec 9<&- 8<&-
}

@test "a session keyring of its own" {
	assert_run 0 inside --security-opt seccomp=unconfined -- /probe session
	assert_match "$output" ';_ses\.[0-9a-f]{12}'
	brig run -d --name keyed --network none --security-opt seccomp=unconfined "$image" sleep 100 >/dev/null
	assert_run 0 brig exec keyed /probe session
	assert_match "$output" ";_ses\.$(id_of keyed | cut -c1-12)"
}

@test "brig's own program cannot be written from inside" {
	local sum
	sum=$(sha256sum <"$BRIG")
	# The image's command is what made it: the clone runs, and is read-only. (One that is
	# linked to libraries finds none of them inside.)
	local static=yes
	! readelf -l "$BRIG" | grep -q INTERP || static=
	if [[ $static ]]; then
		assert_run 0 brig run --rm --network none "$image" /proc/self/exe version
		assert_match "$output" brig
	fi
	tree_copy exe
	cp "$probe" "$tree/probe"
	ln -s /proc/self/exe "$tree/link"
	printf '#!/proc/self/exe\n' >"$tree/script"
	chmod 755 "$tree/script"
	image_of "$tree"
	if [[ $static ]]; then
		assert_run 0 brig run --rm --network none "$image" /link --version
		assert_match "$output" '^brig version'
	fi
	timeout -k 2 20 "$BRIG" run --rm --network none "$image" /script >/dev/null 2>&1 || true
	brig run -d --name hunter --network none "$image" sh -c 'touch /ready; /probe hunt 3' >/dev/null
	brig run -d --name tracer --network none --cap-add SYS_PTRACE "$image" sh -c 'touch /ready; /probe hunt 3' >/dev/null
	wait_until 5 brig exec hunter test -e /ready
	wait_until 5 brig exec tracer test -e /ready
	local end=$((SECONDS + 3))
	while ((SECONDS < end)); do
		brig exec hunter true
		brig exec tracer true
		brig exec hunter /proc/self/exe version >/dev/null 2>&1 || true
	done 2>/dev/null || true
	brig wait hunter tracer >/dev/null
	assert_equal "$(brig logs hunter)" "hunted: somebody"
	assert_equal "$(brig logs tracer | sed 's/[0-9]\+/N/g' | sort -u)" "hunted: somebody"
	assert_equal "$(sha256sum <"$BRIG")" "$sum"
}

@test "--privileged: everything brig has, nothing hidden, the host's devices" {
	assert_equal "$(caps CapEff --privileged)" "$(sed -n 's/^CapPrm:\t//p' /proc/self/status)"
	assert_equal "$(caps Seccomp --privileged)" 0
	assert_run 0 inside --privileged -- sh -c 'mount -t tmpfs x /mnt && echo 1 >/proc/sys/net/ipv4/ip_forward && echo fine'
	assert_equal "$output" fine
	assert_match "$(inside --privileged -- awk '$5 == "/sys" { print $6 }' /proc/self/mountinfo)" '^rw'
	local device
	for device in /dev/kmsg /dev/loop-control /dev/mem /dev/net/tun /dev/fuse; do
		[[ -c $device ]] || continue
		assert_equal "$(inside --privileged -- stat -c %t:%T $device)" "$(stat -c %t:%T $device)" "$device"
	done
	assert_equal "$(inside --privileged -u user -- sed -n 's/^CapEff:\t//p' /proc/self/status)" 0000000000000000
}

@test "sysctls: the container's own, by name" {
	assert_equal "$(inside --sysctl net.ipv4.ip_forward=1 -- cat /proc/sys/net/ipv4/ip_forward)" 1
	assert_equal "$(inside --sysctl kernel.shmmax=123456 -- cat /proc/sys/kernel/shmmax)" 123456
	assert_equal "$(inside --sysctl kernel.msgmax=4096 -- cat /proc/sys/kernel/msgmax)" 4096
	assert_equal "$(inside --sysctl fs.mqueue.msg_max=20 -- cat /proc/sys/fs/mqueue/msg_max)" 20
	assert_equal "$(brig run --rm "$image" cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" 0
	local given
	for given in kernel.core_pattern=x vm.swappiness=1 kernel.hostname=x net.ipv4.ip_forward 'net.ipv4/../../kernel/core_pattern=x' \
		$'kernel.shmmax=1\nx' net.no.such.thing=1 net.ipv4.ip_forward=; do
		assert_run 125 brig run --rm --network none --sysctl "$given" "$image" true
		assert_match "$errors" '^brig: '
	done
	assert_run 125 brig run --rm --network host --sysctl net.ipv4.ip_forward=1 "$image" true
	assert_one_error "host network"
	assert_no_trace
}

@test "a container that is root cannot change what brig keeps of it" {
	assert_run 1 inside -- sh -c 'echo 0 >/proc/1/oom_score_adj; echo -500 >/proc/self/oom_score_adj'
	assert_run 0 inside -- sh -c 'ls / | tr "\n" " "'
	refute_match "$output" 'upper|work|config.json|log.json'
	# Not even the path of the store, beyond what mountinfo has to say.
	assert_equal "$(inside -- sh -c 'ls -d /var/lib/brig /run/brig 2>/dev/null')" ""
}

# zfs.bash - ZFS for tests: zfs-fuse, whose daemon runs in this host's namespaces; loaded after lib.

# zfs_start: the daemon, once for the file; it ends with this host. What it remembers of pools is
# private too.
zfs_start() {
	local folder
	[[ ! -e $BRIG_TEST_DIR/zfs.pid ]] || return 0
	command -v zfs-fuse zpool >/dev/null || skip "no zfs-fuse here"
	[[ -c /dev/fuse ]] || skip "no fuse here"
	for folder in /var/lib/zfs /etc/zfs; do
		mkdir -p "$folder"
		mount -t tmpfs zfs "$folder"
	done
	mkdir -p /run/zfs /run/lock/zfs /var/run/zfs /var/lock
	# At each unmount the daemon calls sync(2), for all file systems of the machine, and answers nobody
	# meanwhile: on a busy one for minutes. No test looks at what a power cut leaves.
	echo 'void sync(void) {}' >"$BRIG_TEST_DIR/nosync.c"
	gcc -shared -fPIC -o "$BRIG_TEST_DIR/nosync.so" "$BRIG_TEST_DIR/nosync.c"
	zfs_daemon
}
# The daemon, again after zfs_stop.
zfs_daemon() {
	LD_PRELOAD=$BRIG_TEST_DIR/nosync.so zfs-fuse -n -x --no-kstat-mount >"$BRIG_TEST_DIR/zfs.log" 2>&1 </dev/null 3>&- &
	echo $! >"$BRIG_TEST_DIR/zfs.pid"
	wait_until 20 timeout 5 zpool list
}

# zfs_pool NAME FILE [option …]: a pool in a file.
zfs_pool() {
	! zpool list "$1" >/dev/null 2>&1 || return 0
	[[ -e $2 ]] || truncate -s 512M "$2"
	zpool create "${@:3}" "$1" "$2" 2>/dev/null
}

# zfs_store: the store is in a dataset: below $BRIG_TEST_ZFS, which is mounted, else tank/brig of zfs-fuse,
# by name. $dataset is it.
zfs_store() {
	command -v zfs >/dev/null || skip "no zfs here"
	if [[ -n ${BRIG_TEST_ZFS:-} ]]; then
		dataset=$BRIG_TEST_ZFS
		disk=$(zfs get -H -o value mountpoint "$dataset")
		export BRIG_ROOT=$disk/root
		return
	fi
	dataset=tank/brig
	export BRIG_CONFIG=$BRIG_TEST_DIR/zfs.conf
	printf '[storage]\nzfs_dataset = %s\n' $dataset >"$BRIG_CONFIG"
	mkdir -p "$BRIG_ROOT"
	zfs_start
	zfs_pool tank "${disk:-$BRIG_TEST_DIR/tank}.img" -m "${disk:-$BRIG_TEST_DIR/tank}/pool"
	zfs list $dataset >/dev/null 2>&1 || zfs create -o mountpoint=none $dataset
}

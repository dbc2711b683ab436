# classic.bash - the classic dialect's tests: brig by its three other names, and both READMEs'
# sessions. Loaded after lib and containers.

readme_path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/root/bin

classic_setup() {
	links=$BRIG_TEST_DIR/links
	if [[ ! -d $links ]]; then
		mkdir "$links"
		ln -s "$BRIG" "$links/bocker"
		ln -s "$BRIG" "$links/shocker"
		ln -s "$BRIG" "$links/zocker"
	fi
	bar="$(printf '#%.0s' $(seq 72)) 100.0%"
}
bocker() {
	"$links/bocker" "$@"
}
shocker() {
	"$links/shocker" "$@"
}
zocker() {
	"$links/zocker" "$@"
}
# No program can be found: not ip, not iptables, not btrfs.
shocker_alone() {
	env PATH=/nowhere "$links/shocker" "$@"
}
# The name of the newest container, of the store at $classic_root where that is set.
newest() {
	BRIG_ROOT=${classic_root:-$BRIG_ROOT} brig ps -a --format '{{.Names}}' | sed -n 1p
}
# The package repository of the fixture, where its image looks for one. The bridge is there already.
serve_packages() {
	local served
	served=$(fixture centos)/repo
	(cd "$served" && exec python3 -m http.server --bind 10.0.0.1 8000) >"$BRIG_TEST_DIR/repo.log" 2>&1 3>&- &
	packages=$!
	wait_until 10 curl -fs http://10.0.0.1:8000/repodata/repomd.xml
}
# centos:7 of three layers, from a mirror of Docker Hub on this host's loopback.
need_centos() {
	need_registry
	export BRIG_CONFIG=$BRIG_TEST_DIR/classic.conf
	[[ ! -e $BRIG_CONFIG ]] || return 0
	push_fixture centos library/centos:7
	printf '[registry "docker.io"]\nmirror = %s\n[registry "%s"]\ninsecure = true\n' "$registry" "$registry" >"$BRIG_CONFIG"
}

# Removes every container of that store.
classic_clean() {
	BRIG_ROOT=${classic_root:-$BRIG_ROOT} brig_clean
}

# Nothing of any image is left in that store; what may be deferred gets a moment.
store_is_bare() {
	local root=${classic_root:-$BRIG_ROOT}
	[[ -z $(ls -A "$root/layers" "$root/blobs/sha256" 2>/dev/null | grep -v ':$') ]]
}

# What a command leaves for later is done: the next one would end it, too.
nothing_at_work() {
	! pgrep -x 'brig|brig-tidy|shocker|zocker'
}

# Shocker's README, line by line.
session_shocker() {
	need_centos
	assert_run 0 shocker pull centos 7
	assert_equal "$errors" "$bar"$'\n'"$bar"$'\n'"$bar"
	assert_match "$output" '^Created: img_[0-9]{5}$'
	local img=${output#Created: }
	assert_run 0 shocker images
	assert_equal "$output" $'IMAGE_ID        SOURCE\n'"$img       centos:7"
	assert_run 0 shocker run "$img" cat /etc/centos-release
	assert_equal "$output" "CentOS Linux release 7.1.1503 (Core)"
	local ps
	ps=$(newest)
	assert_match "$ps" '^ps_[0-9]{5}$'
	assert_run 0 shocker ps
	assert_equal "$output" $'CONTAINER_ID       COMMAND\n'"$ps           cat /etc/centos-release"
	assert_run 0 shocker logs "$ps"
	assert_equal "$output" "CentOS Linux release 7.1.1503 (Core)"
	assert_run 0 shocker rm "$ps"
	assert_equal "$output" "Removed: $ps"
	assert_run 0 env PATH=$readme_path "$links/shocker" run "$img" which wget
	assert_equal "$output" "which: no wget in ($readme_path)"
	assert_run 0 shocker logs "$(newest)"
	assert_equal "$output" "which: no wget in ($readme_path)"
	classic_clean
	# Once more it is there already, and says the same.
	assert_run 0 shocker pull centos 7
	assert_equal "$output" "Created: $img"
	assert_equal "$errors" "$bar"$'\n'"$bar"$'\n'"$bar"
}
session_shocker_yum() {
	need_centos
	local img
	img=$(shocker pull centos 7 2>/dev/null)
	img=${img#Created: }
	# The first container brings the bridge.
	shocker run "$img" true
	serve_packages
	classic_clean
	assert_run 0 shocker run "$img" yum install -y wget
	assert_match "$output" "Installing +: wget-1.14-10.el7_0.1.x86_64 +1/1"
	assert_match "$output" "Verifying +: wget-1.14-10.el7_0.1.x86_64 +1/1"
	assert_match "$output" $'\nComplete!$'
	local installed
	installed=$(newest)
	assert_run 0 shocker run "$img" which wget
	assert_match "$output" "^which: no wget in \("
	assert_run 0 shocker ps
	assert_match "$output" "$installed           yum install -y wget"
	assert_match "$output" 'ps_[0-9]{5}           which wget'
	kill $packages
	assert_run 0 shocker commit "$installed" "$img"
	assert_equal "$output" "Removed: $img"$'\n'"Created: $img"
	assert_run 0 shocker images
	assert_match "$output" "$img       centos:7"
	assert_equal "$(grep -c centos <<<"$output")" 1
	assert_run 0 shocker run "$img" which wget
	assert_equal "$output" /usr/bin/wget
	classic_clean
	wait_until 10 nothing_at_work
	assert_run 0 shocker rm "$img"
	assert_equal "$output" "Removed: $img"
}
# Zocker's.
session_zocker() {
	local base
	base=$(fixture centos)/base-image
	assert_run 0 zocker init "$base/"
	assert_match "$output" '^Created: img_[0-9]{5}$'
	local img=${output#Created: } ps which
	assert_run 0 zocker images
	assert_equal "$output" $'IMAGE_ID\n'"$img"
	assert_run 0 zocker run "$img" uname -sro
	assert_match "$output" '^Linux [^ ]+ GNU/Linux$'
	local said=$output
	ps=$(newest)
	assert_run 0 zocker ps
	assert_equal "$output" $'CONTAINER_ID       COMMAND\n'"$ps           uname -sro"
	assert_run 0 zocker logs "$ps"
	assert_equal "$output" "$said"
	assert_run 0 zocker rm "$ps"
	assert_equal "$output" "Removed: $ps"
	assert_run 0 env PATH=$readme_path "$links/zocker" run "$img" which wget
	assert_equal "$output" "which: no wget in ($readme_path)"
	which=$(newest)
	serve_packages
	assert_run 0 zocker run "$img" yum install -y wget
	assert_match "$output" $'\nComplete!$'
	kill $packages
	local installed
	installed=$(newest)
	assert_run 0 zocker ps
	assert_match "$output" "$installed           yum install -y wget"
	assert_match "$output" "$which           which wget"
	assert_run 0 zocker commit "$installed" "$img"
	assert_equal "$output" "Removed: $img"$'\n'"Created: $img"
	assert_run 0 zocker images
	assert_equal "$output" $'IMAGE_ID\n'"$img"
	assert_run 0 zocker run "$img" which wget
	assert_equal "$output" /usr/bin/wget
	assert_run 0 zocker rm "$(newest)"
	for ps in "$which" "$installed"; do
		assert_run 0 zocker rm "$ps"
		assert_equal "$output" "Removed: $ps"
	done
	assert_run 0 zocker rm "$img"
	assert_equal "$output" "Removed: $img"
	assert_run 0 zocker images
	assert_equal "$output" IMAGE_ID
}

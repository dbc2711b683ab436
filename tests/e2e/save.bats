#!/usr/bin/env bats
# Images go out: what brig saves is itself, whoever loads it.
load lib
load containers
load liar

setup_file() {
	start_registry
	push_fixture layers layers:gz
	push_fixture layers layers:zstd --dest-compress-format zstd --dest-compress
}
setup() {
	registry=127.0.0.1:5000
	archive=$BATS_TEST_TMPDIR/saved.tar
	fresh_store
}
teardown() {
	brig_clean
}
teardown_file() {
	stop_registry
	stop_dockerd
}

# What a container of the image finds in the fixture's folder, one line each.
listing='find data -exec stat -c "%n %a %u:%g" {} +'
files_of() {
	brig run --rm --network none "$1" sh -c "$listing" | LC_ALL=C sort
}
expected() {
	awk '{ print $1, $3, $4 }' "$(fixture layers)/expected" | LC_ALL=C sort
}
id_of() {
	brig image inspect -f '{{.Id}}' "$1"
}
# A container's changes on an image of ours, as changed:1.
need_changed() {
	brig pull -q "$registry/layers:gz" >/dev/null
	brig run --network none --name work "$registry/layers:gz" sh -c \
		'echo new >data/own; rm data/changed; mkdir -p made/here; ln -s own data/link; chmod 700 data/own'
	brig commit -c 'ENV A=b' work changed:1 >/dev/null
	brig rm work >/dev/null
}
assert_changed() {
	assert_run 0 brig run --rm --network none "$1" sh -c \
		'cat data/link data/gone/again; ls -d data/changed made/here; stat -c %a data/own; echo $A'
	assert_equal "$output" $'new\nback\nmade/here\n700\nb'
	assert_match "$errors" "data/changed: No such file"
}

@test "a pulled image goes out as it came" {
	local kind digest
	for kind in gz zstd; do
		fresh_store
		assert_run 0 brig pull -q "$registry/layers:$kind"
		digest=$(skopeo inspect --tls-verify=false -f '{{.Digest}}' "docker://$registry/layers:$kind")
		local id
		id=$(id_of "$registry/layers:$kind")
		assert_run 0 brig save -o "$archive" "$registry/layers:$kind"
		assert_equal "$output$errors" ""
		assert_equal "$(skopeo inspect -f '{{.Digest}}' "oci-archive:$archive")" "$digest"
		assert_equal "$(skopeo inspect --raw "docker-archive:$archive" | jq -r .config.digest)" "$id"
		# Always the same bytes, be it to a pipe, a file or from another store.
		brig save "$registry/layers:$kind" | cmp - "$archive"
		brig save "$registry/layers:$kind" >"$archive.2"
		cmp "$archive" "$archive.2"
		fresh_store
		assert_run 0 brig load -i "$archive"
		assert_equal "$output" "Loaded image: $registry/layers:$kind"
		assert_equal "$(id_of "$registry/layers:$kind")" "$id"
		assert_equal "$(files_of "$registry/layers:$kind")" "$(expected)"
	done
}

@test "an image that was made here, of a folder" {
	need_busybox
	brig tag "$image" made:1
	local id
	id=$(id_of made:1)
	assert_run 0 brig save -o "$archive" made:1
	brig save made:1 | cmp - "$archive"
	fresh_store
	rm "$BRIG_TEST_DIR/busybox.image"
	assert_run 0 brig load -i "$archive"
	assert_equal "$output" "Loaded image: made:1"
	assert_equal "$(id_of made:1)" "$id"
	assert_run 0 brig run --rm --network none made:1 echo works
	assert_equal "$output" works
	# From there it is the same archive again.
	brig save made:1 | cmp - "$archive"
}

# On drivers whose trees are whole, the layer is what differs from the tree below.
commits() {
	need_changed
	brig run --network none --name again changed:1 sh -c 'echo 2 >data/second'
	brig commit again changed:2 >/dev/null
	assert_run 0 brig save -o "$archive" changed:2 changed:1
	brig save changed:2 changed:1 | cmp - "$archive"
	# What inspect says are the layers' digests is what they are.
	assert_equal "$(tar -xOf "$archive" manifest.json | jq -r '.[0].Layers | length')" 6
	local layers layer
	layers=$(brig image inspect -f '{{range .RootFS.Layers}}{{println .}}{{end}}' changed:2)
	while read -r layer; do
		tar -xOf "$archive" "$layer" | if [[ $(tar -xOf "$archive" "$layer" | head -c 2 | od -An -tx1) == " 1f 8b" ]]; then
			gzip -dc
		else
			cat
		fi | sha256sum | cut -c1-64
	done < <(tar -xOf "$archive" manifest.json | jq -r '.[0].Layers[]') >"$BATS_TEST_TMPDIR/digests"
	assert_equal "$(sed 's/^/sha256:/' "$BATS_TEST_TMPDIR/digests")" "$layers"
	brig_clean
	fresh_store
	# Not in the second in which the container wrote.
	sleep 1.1
	assert_run 0 brig load -i "$archive"
	assert_equal "$output" $'Loaded image: changed:2\nLoaded image: changed:1'
	assert_changed changed:1
	assert_changed changed:2
	assert_run 0 brig run --rm --network none changed:2 cat data/second
	assert_equal "$output" 2
	# Now that its digests are known, it stays what it is.
	local id
	id=$(tar -xOf "$archive" manifest.json | jq -r '.[0].Config | sub("blobs/sha256/"; "sha256:")')
	assert_equal "$(id_of changed:2)" "$id"
	assert_equal "$(brig save changed:2 | tar -xO manifest.json | jq -r '.[0].Config | sub("blobs/sha256/"; "sha256:")')" "$id"
}
@test "images that were committed here" {
	commits
}
@test "images that were committed here, of whole trees" {
	local root=$BRIG_ROOT
	printf '[storage]\ndriver = copy\n' >"$BRIG_TEST_DIR/copy.conf"
	export BRIG_ROOT=$BRIG_TEST_DIR/copy-root BRIG_CONFIG=$BRIG_TEST_DIR/copy.conf
	commits
	assert_equal "$(brig info -f '{{.Driver}}')" copy
	brig_clean
	fresh_store
	BRIG_ROOT=$root
}

@test "several at once: each blob once, all tags of a repository, an id without names" {
	need_changed
	brig tag changed:1 changed:other
	brig tag changed:1 "$registry/changed:3"
	assert_run 0 brig save -o "$archive" "$registry/layers:gz" changed
	assert_equal "$(tar -tf "$archive" | sort | uniq -d)" ""
	assert_equal "$(tar -xOf "$archive" manifest.json | jq -c '[.[].RepoTags]')" \
		"[[\"$registry/layers:gz\"],[\"changed:1\",\"changed:other\"]]"
	assert_equal "$(tar -xOf "$archive" index.json | jq -r '.manifests[].annotations["io.containerd.image.name"]')" \
		"$registry/layers:gz"$'\ndocker.io/library/changed:1\ndocker.io/library/changed:other'
	assert_run 0 brig save -o "$archive" "$(id_of changed:1)"
	assert_equal "$(tar -xOf "$archive" manifest.json | jq -c '.[].RepoTags')" null
	assert_equal "$(tar -xOf "$archive" index.json | jq -c '[.manifests[].annotations]')" "[null]"
	fresh_store
	assert_run 0 brig load -i "$archive"
	assert_match "$output" '^Loaded image ID: sha256:[0-9a-f]{64}$'
}

@test "podman and skopeo read it, and what they write again is the same image" {
	local store=(--root "$BRIG_TEST_DIR/podman" --runroot "$BRIG_TEST_DIR/podman-run" --storage-driver vfs) form
	need_changed
	for form in docker-archive oci-archive; do
		assert_run 0 brig save --format "$form" -o "$archive" changed:1
		podman "${store[@]}" load -q -i "$archive"
		assert_equal "sha256:$(podman "${store[@]}" image inspect -f '{{.Id}}' docker.io/library/changed:1)" \
			"sha256:$(tar -xOf "$archive" index.json | jq -r '.manifests[0].digest | sub("sha256:"; "blobs/sha256/")' |
				xargs tar -xOf "$archive" | jq -r '.config.digest | sub("sha256:"; "")')"
		rm -rf "$BATS_TEST_TMPDIR/tree"
		mkdir "$BATS_TEST_TMPDIR/tree"
		local mount
		mount=$(podman "${store[@]}" image mount docker.io/library/changed:1)
		assert_equal "$(cat "$mount/data/own" "$mount/data/gone/again")" $'new\nback'
		refute_exists "$mount/data/changed"
		podman "${store[@]}" image umount -a >/dev/null
		podman "${store[@]}" rmi -f -a >/dev/null
	done
	refute_match "$(tar -tf "$archive")" manifest.json
	skopeo --insecure-policy copy -q "oci-archive:$archive:1" "dir:$BATS_TEST_TMPDIR/dir"
	skopeo --insecure-policy copy -q --dest-tls-verify=false "oci-archive:$archive:1" "docker://$registry/changed:back"
	fresh_store
	assert_run 0 brig pull -q "$registry/changed:back"
	assert_changed "$registry/changed:back"
}

@test "docker loads it" {
	need_changed
	assert_run 0 brig save -o "$archive" changed:1 "$registry/layers:gz"
	start_dockerd
	assert_run 0 docker -H "unix://$BRIG_TEST_DIR/docker/sock" load -q -i "$archive"
	assert_equal "$output" "Loaded image: changed:1"$'\n'"Loaded image: $registry/layers:gz"
	assert_run 0 docker -H "unix://$BRIG_TEST_DIR/docker/sock" image inspect -f '{{.Id}} {{json .Config.Env}}' changed:1
	local id
	id=$(tar -xOf "$archive" manifest.json | jq -r '.[0].Config | sub("blobs/sha256/"; "sha256:")')
	assert_match "$output" "^$id .*A=b"
	# And what docker saves is loaded again.
	docker -H "unix://$BRIG_TEST_DIR/docker/sock" save -o "$archive" changed:1
	fresh_store
	assert_run 0 brig load -i "$archive"
	assert_equal "$output" "Loaded image: changed:1"
	assert_equal "$(id_of changed:1)" "$id"
	assert_changed changed:1
}

@test "a layout in a folder" {
	local layout=$BATS_TEST_TMPDIR/layout
	need_changed
	assert_run 0 brig save --format oci-dir -o "$layout" changed:1
	umoci unpack --image "$layout:1" "$BATS_TEST_TMPDIR/bundle"
	assert_equal "$(cat "$BATS_TEST_TMPDIR/bundle/rootfs/data/own")" new
	refute_exists "$BATS_TEST_TMPDIR/bundle/rootfs/data/changed"
	# It has what the archive has.
	brig save --format oci-archive changed:1 | tar -C "$BATS_TEST_TMPDIR" --one-top-level=archive -x
	diff -r "$layout" "$BATS_TEST_TMPDIR/archive"
	assert_run 1 brig save --format oci-dir -o "$layout" changed:1
	assert_one_error "$layout: the folder is not empty"
	diff -r "$layout" "$BATS_TEST_TMPDIR/archive"
	assert_run 1 brig save --format oci-dir changed:1
	assert_one_error "oci-dir needs the name of a folder"
	assert_run 1 brig save --format oci-dir -o "$BATS_TEST_TMPDIR/no/such" changed:1
	assert_one_error "no/such: No such file"
}

@test "what cannot be saved leaves nothing, and an older file as it was" {
	need_busybox
	brig tag "$image" made:1
	echo old >"$archive"
	local words
	for words in "nosuch" "made:2" "made:1 nosuch:7" "--platform linux/s390x made:1" "--format tar made:1"; do
		# shellcheck disable=SC2086
		assert_run 1 brig save -o "$archive" $words
		assert_one_error
		assert_equal "$(cat "$archive")" old
	done
	assert_run 1 brig save -o "$archive" nosuch
	assert_one_error "No such image: nosuch"
	assert_run 1 brig save -o "$archive" --platform linux/s390x made:1
	assert_one_error "image made:1 is for linux/amd64, not for linux/s390x"
	assert_run 1 brig save -o "$BATS_TEST_TMPDIR" made:1
	assert_one_error "Is a directory"
	assert_run 1 brig save -o "$BATS_TEST_TMPDIR/no/file" made:1
	assert_one_error "No such file"
	assert_run 1 brig save -o /dev/full made:1
	assert_one_error "/dev/full: No space left"
	assert_run 1 sh -c "'$BRIG' save made:1 >/dev/full"
	assert_one_error "standard output: No space left"
	assert_run 1 script -qec "'$BRIG' save made:1" /dev/null
	assert_match "$output" "cowardly refusing to save to a terminal"
	assert_equal "$(ls -A "$BATS_TEST_TMPDIR")" $'errors\nsaved.tar'
	assert_no_staging
	# A kill on the way leaves nothing either.
	local tree=$BATS_TEST_TMPDIR/large
	mkdir "$tree"
	head -c 300M /dev/zero >"$tree/file"
	brig init "$tree" >/dev/null
	"$BRIG" save -o "$archive" "$(brig images -q | head -n 1)" 3>&- &
	local pid=$!
	wait_until 10 sh -c "ls -l /proc/$pid/fd | grep -q deleted"
	kill -9 $pid
	wait $pid || true
	rm -r "$tree"
	assert_equal "$(ls -A "$BATS_TEST_TMPDIR")" $'errors\nsaved.tar'
	assert_equal "$(cat "$archive")" old
	# A blob that has been damaged is found.
	brig pull -q "$registry/layers:gz" >/dev/null
	local blob
	blob=$(find "$BRIG_ROOT/blobs" -type f -size +1M)
	printf x | dd of="$blob" bs=1 seek=5000 conv=notrunc status=none
	assert_run 1 brig save -o "$archive" "$registry/layers:gz"
	assert_one_error "blob sha256:$(basename "$blob") of this store is damaged"
	assert_equal "$(cat "$archive")" old
}

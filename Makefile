# The front door; meson.build does the work.
build/brig: FORCE
	@test -f build/build.ninja || meson setup build >/dev/null
	@ninja -C build --quiet

install: build/brig
	meson install -C build --no-rebuild

check:
	tests/check

demo:
	tests/demo

bench: build/brig
	bench/run

clean:
	rm -rf build build-asan

FORCE:
.PHONY: install check demo bench clean FORCE

# rsgi: build, run, test, install. `make help` lists the targets.

CARGO   ?= cargo
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
# what `make install` installs of packaging/files; rsgi-emperor (units of systemd) besides, if it is named
PACKAGES ?= rsgi-core rsgi-plugin-python3 rsgi-plugin-lua5.4 rsgi-plugin-http rsgi-loggers librsgi1 rsgi-dev
PLUGINS  = $(LIBDIR)/rsgi/plugins
VERSION  = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
RELEASE  = $(or $(CARGO_TARGET_DIR),target)/release

.PHONY: help dependencies build run test soak soak-spooler cache-kills log-load lint luajit install-luajit test-luajit asan valgrind abi-check fuzz bench bench-instructions bench-cache bench-spooler bench-signals wheel install docs vendor dist deb deb-check rpm-check arch-check clean uninstall

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

dependencies: ## install what the build needs (as root), or say what is missing
	@packaging/dependencies.sh

# Packages: no folder of this machine stands in the programs, so two builds are the same wherever they happen.
ifdef REPRODUCIBLE
build: export RUSTFLAGS += --remap-path-prefix=$(CURDIR)=rsgi --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=cargo
build: export CFLAGS += -ffile-prefix-map=$(CURDIR)=rsgi -ffile-prefix-map=$(or $(CARGO_HOME),$(HOME)/.cargo)=cargo
endif

build: dependencies ## build everything, optimised
	RSGI_PLUGIN_DIR=$(PLUGINS) $(CARGO) build --release --workspace --locked

run: build ## build and serve an example at http://127.0.0.1:9090
	@echo "rsgi serves examples/hello.py at http://127.0.0.1:9090 (Ctrl-C stops it)"
	@$(RELEASE)/rsgi --http 127.0.0.1:9090 --wsgi-file examples/hello.py --master --processes 4 --threads 2

test: ## build and run all tests
	@packaging/dependencies.sh test
	$(CARGO) build --workspace --locked
	$(CARGO) test --workspace --locked --no-fail-fast

soak: ## kill each process in turn, a hundred times under load (a few minutes)
	$(CARGO) build --workspace --locked
	$(CARGO) test -p rsgi-tests --locked --test soak -- --ignored --nocapture

soak-spooler: ## run 10 000 tasks while those who run and enqueue them are killed (a minute or two)
	$(CARGO) build --workspace --locked
	$(CARGO) test -p rsgi-tests --locked --test spooler_kills -- --ignored --nocapture

cache-kills: ## kill 2000 processes inside caches and check all that is left
	RSGI_KILLS=1000 $(CARGO) test -p rsgi-core --locked cache::tests::processes -- --nocapture

log-load: ## 100 000 requests with hostile bytes in each logged field (a few minutes)
	$(CARGO) build --workspace --locked
	RSGI_LOG_REQUESTS=100000 $(CARGO) test -p rsgi-tests --locked --test log_load -- --nocapture

lint: ## formatting and clippy
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

# Cargo builds one Lua into the plugin; LuaJIT's is built beside it, with a folder of its own.
luajit: ## build the Lua plugin for LuaJIT in place of Lua 5.4 (needs libluajit-5.1-dev)
	$(CARGO) build --release --locked -p rsgi-plugin-lua --no-default-features --features luajit --target-dir $(RELEASE)/../luajit

install-luajit: luajit ## install it as luajit_plugin.so
	install -d $(DESTDIR)$(PLUGINS)
	install -m 644 $(RELEASE)/../luajit/release/liblua_plugin.so $(DESTDIR)$(PLUGINS)/luajit_plugin.so

test-luajit: ## run the tests of Lua with LuaJIT
	$(CARGO) build --locked -p rsgi-core -p rsgi-plugin-python -p rsgi-plugin-python-abi3 --target-dir $(RELEASE)/../luajit
	$(CARGO) build --locked -p rsgi-plugin-lua --no-default-features --features luajit --target-dir $(RELEASE)/../luajit
	$(CARGO) test --locked -p rsgi-tests --test lua --test lua_api --test lua_worker --target-dir $(RELEASE)/../luajit

asan: ## run tests of plugins with AddressSanitizer in the server and in plugins in C (some minutes; needs gcc)
	CARGO=$(CARGO) tests/memory/asan.sh $(or $(CARGO_TARGET_DIR),target)

valgrind: ## start, ask, reload and stop a server under memcheck (half a minute; needs valgrind and curl)
	$(CARGO) build --workspace --locked
	tests/memory/valgrind.sh $(or $(CARGO_TARGET_DIR),target)/debug

abi-check: ## compare uwsgi.h with the committed baseline of the plugin ABI (needs abigail-tools)
	@tests/abi/check.sh

fuzz: ## run each fuzz target for a minute (needs a nightly compiler and cargo-fuzz)
	packaging/fuzz.sh 60

bench-cache: build ## caches under four workers, beside uWSGI if it is installed
	packaging/bench-cache.sh $(RELEASE)/rsgi $(RELEASE)

bench: build ## HTTP: one worker beside fastwsgi, granian, nginx, uWSGI and others, row by row (10 minutes; needs wrk)
	tests/bench/peers.sh $(RELEASE)/../peers
	tests/bench/http.py --rsgi $(RELEASE)/rsgi --peers $(RELEASE)/../peers

bench-instructions: build ## instructions per request against committed bounds (a minute; needs valgrind)
	tests/bench/instructions.py --rsgi $(RELEASE)/rsgi

bench-spooler: build ## tasks per second of a spooler, beside uWSGI's if it is installed
	tests/bench/spooler.py --rsgi $(RELEASE)/rsgi

bench-signals: build ## uWSGI signals: throughput and latency beside uWSGI's (if installed), kills, timers (2 minutes)
	@set -- "$(RELEASE)/rsgi --plugin python"; for kill in 1 0.1; do \
	    python3 tests/bench/signals.py --kill $$kill "$$@" || exit 1; done; python3 tests/bench/timers.py "$$@"
	@if command -v uwsgi >/dev/null; then set -- "uwsgi --plugin python3"; else set --; fi; \
	    python3 tests/bench/signals.py "$(RELEASE)/rsgi --plugin python" "$$@"

wheel: ## a wheel for pip, in target/wheels, that serves every Python from 3.9 on
	PCRE2_SYS_STATIC=1 $(CARGO) build --release --workspace --locked
	python3 packaging/wheel.py $(RELEASE) $(RELEASE)/../wheels

# Other folders (BINDIR, MANDIR, SYSCONFDIR, UNITDIR ...) are read from the command line or the environment.
# Built before it is installed, but by whoever runs `make build`: root often has no compiler of Rust.
$(RELEASE)/rsgi:
	$(MAKE) build

install: $(RELEASE)/rsgi ## install to $(DESTDIR)$(PREFIX); PACKAGES= names parts of packaging/files
	@DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) LIBDIR=$(LIBDIR) RELEASE=$(RELEASE) packaging/install.sh $(PACKAGES)

uninstall: ## remove what `make install` with the same variables has installed, but for configurations
	@DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) LIBDIR=$(LIBDIR) packaging/install.sh --remove $(PACKAGES)

docs: $(RELEASE)/rsgi ## the documentation as a site, in target/book (installs mdbook with cargo if it is missing)
	@command -v mdbook >/dev/null || $(CARGO) install mdbook --locked
	@PATH="$$PATH:$$HOME/.cargo/bin" packaging/docs.sh $(RELEASE)/rsgi $(RELEASE)/../book

vendor: ## the crates of the build in vendor/, for builds without a network
	mkdir -p .cargo
	$(CARGO) vendor --locked vendor > .cargo/config.toml

dist: ## the source of the last commit (or of this tarball) as rsgi-VERSION.tar.gz, in target
	@mkdir -p $(RELEASE)
	@if git ls-files --error-unmatch Makefile >/dev/null 2>&1; \
	then git archive --prefix=rsgi-$(VERSION)/ -o $(RELEASE)/../rsgi-$(VERSION).tar.gz HEAD; \
	else tar -czf $(RELEASE)/../rsgi-$(VERSION).tar.gz --exclude=./target --transform 's|^\.|rsgi-$(VERSION)|' .; fi
	@echo $(RELEASE)/../rsgi-$(VERSION).tar.gz

deb: ## Debian packages, in target/deb (needs dpkg-dev); NO_BUILD=1: of what was built before
	@[ -n "$(NO_BUILD)" ] || $(MAKE) build PREFIX=/usr LIBDIR=/usr/lib REPRODUCIBLE=1
	@RELEASE=$(RELEASE) packaging/deb/build.sh $(RELEASE)/../deb

deb-check: deb ## lintian, and install, run and purge them in a new Debian (as root; needs lintian and debootstrap)
	packaging/deb/check.sh $(RELEASE)/../deb $(RELEASE)/../deb-root

rpm-check: $(RELEASE)/rsgi ## RPMs of what was built, by the spec, in target/rpm: judged and tried (needs rpm, rpm2cpio, cpio; rpmlint)
	@$(MAKE) -s dist >/dev/null
	@RELEASE=$(RELEASE) SOURCES=$(RELEASE)/.. packaging/rpm/check.sh $(RELEASE)/../rpm

arch-check: $(RELEASE)/rsgi ## packages for Arch of what was built, by the PKGBUILD, in target/arch: tried (needs makepkg)
	@RELEASE=$(RELEASE) packaging/arch/check.sh $(RELEASE)/../arch

clean: ## remove what was built
	$(CARGO) clean

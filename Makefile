# Builds, checks and demonstrates Sluice. `make help` lists what it can do.
#
# Variants, each with its objects in a folder of its own under build/:
#   make                          the optimised program, ./sluice
#   make SAN=address              with AddressSanitizer, UBSan and leak detection: build/address/sluice
#   make SAN=undefined|thread     likewise: build/undefined/sluice, build/thread/sluice
#   make HOSTILE=1 [SAN=...]      one-byte reads and tiny buffers: build/...-hostile/sluice
#   make NAIVE_COMMIT=1           a two-phase commit that loses money, for tests/e2e/test_bank.py: build/naive/sluice
SAN ?=
HOSTILE ?=
NAIVE_COMMIT ?=
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= cc
CLANG ?= clang
PYTHON ?= /usr/bin/python3
FUZZ_SECONDS ?= 60

variant := $(if $(NAIVE_COMMIT),naive,$(if $(SAN),$(SAN),plain))$(if $(HOSTILE),-hostile)
out := build/$(variant)
program := $(if $(filter plain,$(variant)),sluice,$(out)/sluice)

sanitize_address := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
sanitize_undefined := -fsanitize=undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
sanitize_thread := -fsanitize=thread -fno-omit-frame-pointer
ifneq ($(SAN),)
ifeq ($(sanitize_$(SAN)),)
$(error SAN=$(SAN) is not known; use SAN=address, SAN=undefined or SAN=thread)
endif
endif

packages := libevent_core libssl libcrypto libpq inih libidn libprotobuf-c
pkg_cflags := $(shell pkg-config --cflags $(packages) 2>/dev/null)
# libpg_query has no description for pkg-config.
pkg_libs := $(shell pkg-config --libs $(packages) 2>/dev/null) -lpg_query

warnings := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
language := -std=gnu11 -D_GNU_SOURCE= -I. -pthread $(pkg_cflags)
CFLAGS ?= $(if $(SAN),-O1 -g,-O2 -g)
modes := $(if $(HOSTILE),-DSLUICE_HOSTILE) $(if $(NAIVE_COMMIT),-DSLUICE_NAIVE_COMMIT)
flags := $(language) $(warnings) $(CFLAGS) $(sanitize_$(SAN)) $(modes)

sources := $(wildcard conf/*.c parser/*.c pool/*.c proxy/*.c shard/*.c)
objects := $(sources:%.c=$(out)/%.o)
library := $(out)/libsluice.a
unit_sources := $(wildcard tests/unit/test_*.c)
unit_programs := $(unit_sources:tests/unit/%.c=$(out)/unit/%)
fuzz_sources := $(wildcard tests/fuzz/fuzz_*.c)
fuzz_programs := $(fuzz_sources:tests/fuzz/%.c=build/fuzz/%)
# What the targets reach: Clang takes a minute for the other three quarters.
fuzzed := $(wildcard conf/*.c parser/*.c pool/scram*.c proxy/hba*.c shard/map*.c) \
    pool/auth.c pool/vars.c proxy/ident.c shard/hash.c shard/key.c shard/key_time.c

.DELETE_ON_ERROR:
.PHONY: all check lint unit unit-programs fuzz fuzz-programs regress bench bench-parse demo demo-stop install
.PHONY: clean format reference deps help

all: $(program) ## build the program: ./sluice (with SAN= or HOSTILE=: build/VARIANT/sluice)

$(program): $(out)/proxy/main.o $(library)
	$(CC) $(flags) $(LDFLAGS) -o $@ $(out)/proxy/main.o $(library) $(pkg_libs)

# Everything but main, as an archive: a test program takes in only what it uses.
$(library): $(filter-out $(out)/proxy/main.o,$(objects))
	@rm -f $@
	ar qcs $@ $^

# The Makefile is a prerequisite, so that changed flags rebuild what they touch.
$(out)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(flags) -MMD -MP -c -o $@ $<

$(out)/unit/%: tests/unit/%.c $(library) Makefile
	@mkdir -p $(@D)
	$(CC) $(flags) $(LDFLAGS) -MMD -MP -MF $@.d -o $@ $< $(library) $(pkg_libs) -lcmocka

unit-programs: $(unit_programs)

build/fuzz/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CLANG) $(language) $(warnings) -O1 -g -fsanitize=fuzzer-no-link,address -MMD -MP -c -o $@ $<

build/fuzz/libsluice.a: $(fuzzed:%.c=build/fuzz/%.o)
	@rm -f $@
	ar qcs $@ $^

build/fuzz/fuzz_%: tests/fuzz/fuzz_%.c build/fuzz/libsluice.a Makefile
	$(CLANG) $(language) -Wall -Wextra -Werror -O1 -g -fsanitize=fuzzer,address -MMD -MP -MF $@.d -o $@ $< \
	    build/fuzz/libsluice.a $(pkg_libs)

fuzz-programs: $(fuzz_programs)

deps: ## install what is missing from Debian's packages
	tests/deps

check: ## install what is missing, build, and run all checks (with SAN=, HOSTILE=1 on that build)
	SAN='$(SAN)' HOSTILE='$(HOSTILE)' tests/run all

lint: ## the checks that only read the sources
	tests/run lint

unit: ## the unit tests
	SAN='$(SAN)' HOSTILE='$(HOSTILE)' tests/run unit

fuzz: fuzz-programs ## every fuzz target for FUZZ_SECONDS (60)
	tests/fuzz/run $(FUZZ_SECONDS) $(fuzz_programs)

regress: ## PostgreSQL's own regression suite through Sluice, compared with a direct run (TESTS= POOL_MODE=)
	tests/regress/fetch
	$(MAKE) -s all
	SLUICE_BIN='$(program)' tests/regress/run

bench: ## compare direct PostgreSQL, Sluice and PgBouncer (bench/README.md says what to ask for)
	tests/deps bench
	$(MAKE) -s all
	bench/run

build/bench/parse: bench/parse.c $(library) Makefile
	@mkdir -p $(@D)
	$(CC) $(flags) $(LDFLAGS) -MMD -MP -MF $@.d -o $@ $< $(library) $(pkg_libs)

bench-parse: build/bench/parse ## what lexing, a known shape and a new one cost, in nanoseconds
	build/bench/parse

demo: ## a primary, two replicas, four shards and Sluice, with a tour; they go on running (DEMO_PORT=)
	tests/demo/run start

demo-stop: ## end the demo
	tests/demo/run stop

install: all ## install under PREFIX (/usr/local) below DESTDIR
	install -D -m 755 $(program) $(DESTDIR)$(PREFIX)/bin/sluice
	install -D -m 644 conf/sluice.ini $(DESTDIR)$(PREFIX)/share/doc/sluice/sluice.ini
	install -D -m 644 conf/REFERENCE.md $(DESTDIR)$(PREFIX)/share/doc/sluice/REFERENCE.md
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|@PREFIX@|$(PREFIX)|g' conf/sluice.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/sluice.service

reference: all ## write conf/REFERENCE.md anew from the option table
	./$(program) --reference > build/REFERENCE.md.new
	mv build/REFERENCE.md.new conf/REFERENCE.md

format: ## lay out all C files as .clang-format says
	clang-format -i $(wildcard */*.c */*.h tests/*/*.c tests/*/*.h)

clean: ## remove what was built (a running demo is ended first)
	tests/demo/run stop
	rm -rf build sluice

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

-include $(objects:.o=.d) $(unit_programs:=.d) build/bench/parse.d $(fuzz_programs:=.d)
-include $(fuzzed:%.c=build/fuzz/%.d)

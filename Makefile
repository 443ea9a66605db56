# SPDX-License-Identifier: Apache-2.0
# aipc. `make run` and `make check` are the two commands; `make help` lists the rest.
#
# BUILD    folder for everything made       (default build)
# ROOMS    rooms of src/ put in the library (default all, in layer order)
# SAN=1    AddressSanitizer + UndefinedBehaviorSanitizer; SAN=thread: ThreadSanitizer
# FUZZ=1   SAN=1 and libFuzzer's coverage (clang)
# DEBUG=1  -O0 -g3
# V=1      show the commands

BUILD ?= build
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
ROOMS ?= base tensor graph engine target worker golden surgery device report plan api cli
VERSION := $(shell cat VERSION)
SOVERSION := 0
PREFIX ?= /usr/local
DESTDIR ?=
LIBDIR ?= $(PREFIX)/lib
Q := $(if $(V),,@)

export ORT_DISABLE_TELEMETRY := 1

WARN := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
SAN_NAMES := $(if $(filter thread,$(SAN)),thread,$(if $(SAN)$(FUZZ),address,))
# Sanitized code compiles in two thirds of the time with -O1 and runs about as fast; clang compiles what fuzzes no faster.
OPT := $(if $(DEBUG),-O0 -g3,$(if $(SAN_NAMES),$(if $(FUZZ),-O2,-O1),-O2) -g)
SANFLAGS := $(if $(SAN_NAMES),-fsanitize=$(SAN_NAMES) -fno-omit-frame-pointer) \
    $(if $(filter address,$(SAN_NAMES)),-fsanitize=undefined -fno-sanitize-recover=undefined) \
    $(if $(FUZZ),-fsanitize=fuzzer-no-link)
DEPS_PKGS := libprotobuf-c jansson libcrypto libzip libjpeg libpng sqlite3
# Asked once, and only when something is compiled.
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell pkg-config --cflags $(DEPS_PKGS)))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $$(shell pkg-config --libs $(DEPS_PKGS)) -lm -ldl -lpthread)$(PKG_LIBS)
CPPFLAGS += -Isrc -Iinclude -I$(BUILD)/gen -D_GNU_SOURCE -DAP_VERSION='"$(VERSION)"' $(PKG_CFLAGS)
# Only what aipc.h marks with AIPC_API leaves the shared library.
CFLAGS_ALL = -std=c17 -fPIC -fvisibility=hidden $(OPT) $(WARN) $(SANFLAGS) -MMD -MP $(CFLAGS)

LIB_SRC := $(sort $(foreach r,$(filter-out cli,$(ROOMS)),$(wildcard src/$(r)/*.c src/$(r)/*/*.c)))
CLI_SRC := $(if $(filter cli,$(ROOMS)),$(sort $(wildcard src/cli/*.c)))
GEN_SRC := $(if $(filter graph,$(ROOMS)),$(BUILD)/gen/onnx_subset.pb-c.c)
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o) $(GEN_SRC:.c=.o) $(BUILD)/gen/data_embedded.o
EMBEDDED := $(wildcard data/*.json rules/*.rule examples/apps/*.py examples/split/*.py) models/models.json \
    $(filter-out models/check.py models/fetch.py,$(wildcard models/*.py))
CLI_OBJ := $(CLI_SRC:%.c=$(BUILD)/%.o)
UNIT_SRC := $(sort $(foreach r,$(ROOMS),$(wildcard tests/unit/test_$(r)*.c)))
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/%)
FUZZ_BIN := $(patsubst tests/fuzz/%.c,$(BUILD)/bin/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
SO := $(BUILD)/libaipc.so
DROPIN := $(BUILD)/dropin/libonnxruntime.so.1 $(BUILD)/dropin/compat/libonnxruntime.so.1
# Before malloc of served programs; a sanitizer stands there itself.
HEAP := $(if $(SAN_NAMES),,$(BUILD)/dropin/libaipc_heap.so)
DROPIN_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard dropin/*.c)) $(BUILD)/dropin/compat.o

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BUILD)/libaipc.a $(if $(CLI_SRC),$(BUILD)/aipc $(SO) $(BUILD)/aipc.pc $(DROPIN) $(HEAP))

# ---- the two commands

run:
	@sh tools/setup.sh build
	@$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$$(nproc)) all
	@sh tools/run.sh $(BUILD)/aipc

check check-full fuzz:
	@sh tools/setup.sh build check $(if $(filter check-full,$@),full)
	@bash tests/run.sh $(@:check-%=%) $(BUILD)

# A table of speed and memory, compared with a Python script; nothing is asserted.
bench: all
	@sh bench/run.sh $(BUILD)

# ---- compiling

# Files that change when what they hold does. flags: the compiler and its options, everything compiled depends on it.
# objects: the library's parts, so that one taken away (a source removed, other ROOMS) leaves the library, too.
FLAGS_NOW = $(CC) $(CPPFLAGS) $(CFLAGS_ALL) $(LDFLAGS)
$(BUILD)/flags: HELD = $(FLAGS_NOW)
$(BUILD)/objects: HELD = $(LIB_OBJ)
$(BUILD)/flags $(BUILD)/objects: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(HELD))' >$@.new
	@if cmp -s $@.new $@; then rm -f $@.new; else mv $@.new $@; fi
FORCE:

$(BUILD)/%.o: %.c $(GEN_SRC:.c=.h) $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -c $< -o $@

# Generated code is not ours to warn about.
$(BUILD)/gen/%.pb-c.c $(BUILD)/gen/%.pb-c.h: src/graph/%.proto
	@mkdir -p $(@D)
	@echo "  GEN   $<"
	$(Q)protoc-c --proto_path=src/graph --c_out=$(BUILD)/gen $<
$(BUILD)/gen/%.o: $(BUILD)/gen/%.c $(BUILD)/flags
	$(Q)$(CC) $(CPPFLAGS) -std=c17 -fPIC -fvisibility=hidden $(OPT) $(SANFLAGS) -w -c $< -o $@

# Data, rules and what `aipc new` writes go into the library as bytes: one program, nothing looked up in a share folder (src/base/data.h).
$(BUILD)/gen/data_embedded.c: tools/embed_data.sh $(EMBEDDED)
	@mkdir -p $(@D)
	@echo "  GEN   data, rules, examples"
	$(Q)sh tools/embed_data.sh $(EMBEDDED) > $@

$(BUILD)/libaipc.a: $(LIB_OBJ) $(BUILD)/objects
	@rm -f $@
	$(Q)ar rcs $@ $(LIB_OBJ)

$(SO): $(LIB_OBJ) $(BUILD)/objects
	@echo "  LINK  $@"
	$(Q)$(CC) -shared -Wl,-soname,libaipc.so.$(SOVERSION) $(SANFLAGS) $(LDFLAGS) $(LIB_OBJ) $(PKG_LIBS) -o $@
	$(Q)ln -sf libaipc.so $(BUILD)/libaipc.so.$(SOVERSION)

$(BUILD)/aipc: $(CLI_OBJ) $(BUILD)/libaipc.a
	@echo "  LINK  $@"
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) $(CLI_OBJ) $(BUILD)/libaipc.a $(PKG_LIBS) -o $@

# The library that stands before ONNX Runtime's own (dropin/dropin.h), with the symbol version of every release; compat:
# without any, for releases newer than the list.
$(BUILD)/gen/dropin_versions.h $(BUILD)/gen/dropin.map: dropin/versions.sh
	@mkdir -p $(@D)
	@echo "  GEN   $(@F)"
	$(Q)sh dropin/versions.sh $(if $(filter %.map,$@),map,header) > $@
$(BUILD)/dropin/dropin.o: $(BUILD)/gen/dropin_versions.h
$(BUILD)/dropin/compat.o: dropin/dropin.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -DDROPIN_COMPAT -c $< -o $@
$(BUILD)/dropin/libonnxruntime.so.1: $(filter-out %/compat.o,$(DROPIN_OBJ)) $(BUILD)/gen/dropin.map
	@echo "  LINK  $@"
	$(Q)$(CC) -shared -Wl,-soname,libonnxruntime.so.1 -Wl,--version-script=$(BUILD)/gen/dropin.map $(SANFLAGS) $(LDFLAGS) \
	    $(filter %.o,$^) -ldl -lpthread -o $@
	$(Q)ln -sf libonnxruntime.so.1 $(@D)/libonnxruntime.so
$(BUILD)/dropin/compat/libonnxruntime.so.1: $(filter-out %/dropin.o,$(DROPIN_OBJ))
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(Q)$(CC) -shared -Wl,-soname,libonnxruntime.so.1 $(SANFLAGS) $(LDFLAGS) $^ -ldl -lpthread -o $@
	$(Q)ln -sf libonnxruntime.so.1 $(@D)/libonnxruntime.so

# -fno-builtin: malloc and memset make no calloc here.
$(BUILD)/dropin/libaipc_heap.so: preload/heap.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -fno-builtin -shared -Wl,-soname,libaipc_heap.so $(LDFLAGS) $< -ldl -lpthread -o $@

$(BUILD)/aipc.pc: aipc.pc.in VERSION Makefile FORCE
	@mkdir -p $(@D)
	@sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' \
	    -e 's|@REQUIRES@|$(DEPS_PKGS)|' aipc.pc.in >$@.new
	@if cmp -s $@.new $@; then rm -f $@.new; else mv $@.new $@; fi

# ---- tests, run by tests/run.sh

$(BUILD)/tests/%: tests/unit/%.c $(BUILD)/libaipc.a
	@mkdir -p $(@D)
	@echo "  TEST  $<"
	$(Q)$(CC) $(CPPFLAGS) -Itests $(CFLAGS_ALL) $< $(BUILD)/libaipc.a -lcmocka $(PKG_LIBS) $(LDFLAGS) -o $@

$(BUILD)/bin/fuzz_%: tests/fuzz/fuzz_%.c $(BUILD)/libaipc.a
	@mkdir -p $(@D)
	@echo "  FUZZ  $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -fsanitize=fuzzer $< $(BUILD)/libaipc.a $(PKG_LIBS) $(LDFLAGS) -o $@

$(BUILD)/bin/conformance: tests/conformance/conformance.c $(BUILD)/libaipc.a
	@mkdir -p $(@D)
	@echo "  TEST  $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_ALL) $< $(BUILD)/libaipc.a $(PKG_LIBS) $(LDFLAGS) -o $@

$(BUILD)/bin/surgery: tests/conformance/surgery.c tests/conformance/rules.h $(BUILD)/libaipc.a
	@mkdir -p $(@D)
	@echo "  TEST  $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_ALL) $< $(BUILD)/libaipc.a $(PKG_LIBS) $(LDFLAGS) -o $@

unit-bins: $(UNIT_BIN)
fuzz-bins: $(FUZZ_BIN)
conformance-bin: $(BUILD)/bin/conformance $(BUILD)/bin/surgery
unit: $(UNIT_BIN)
	@for t in $(UNIT_BIN); do echo "== $$t"; $$t || exit 1; done

# ---- source form

FORMATTED = $(wildcard src/*/*.[ch] src/*/*/*.[ch] include/aipc/*.h tests/*/*.[ch] examples/*.[ch] dropin/*.[ch] preload/*.[ch])
format:
	clang-format -i $(FORMATTED)
format-check:
	@clang-format --dry-run -Werror $(FORMATTED)
layers:
	@sh tools/check_layers.sh

# ---- installing

BIN := $(DESTDIR)$(PREFIX)/bin
LIB := $(DESTDIR)$(LIBDIR)
SHARE := $(DESTDIR)$(PREFIX)/share
INSTALLED := $(BIN)/aipc $(LIB)/libaipc.a $(LIB)/libaipc.so $(LIB)/libaipc.so.$(SOVERSION) $(LIB)/libaipc.so.$(VERSION) \
    $(LIB)/pkgconfig/aipc.pc $(DESTDIR)$(PREFIX)/include/aipc/aipc.h $(SHARE)/man/man1/aipc.1 \
    $(SHARE)/bash-completion/completions/aipc $(SHARE)/zsh/site-functions/_aipc \
    $(SHARE)/fish/vendor_completions.d/aipc.fish $(SHARE)/doc/aipc $(LIB)/aipc $(SHARE)/aipc
PYTHON_FILES := $(wildcard python/aipc/*.py python/aipc/_hook/*.py python/onnxwrapper.py)

install: all
	$(Q)install -d $(BIN) $(LIB)/pkgconfig $(DESTDIR)$(PREFIX)/include/aipc $(SHARE)/man/man1 $(SHARE)/doc/aipc \
	    $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d
	$(Q)install -m 755 $(BUILD)/aipc $(BIN)/
	$(Q)install -m 644 $(BUILD)/libaipc.a $(LIB)/
	$(Q)install -m 755 $(SO) $(LIB)/libaipc.so.$(VERSION)
	$(Q)ln -sf libaipc.so.$(VERSION) $(LIB)/libaipc.so.$(SOVERSION)
	$(Q)ln -sf libaipc.so.$(SOVERSION) $(LIB)/libaipc.so
	$(Q)install -m 644 $(BUILD)/aipc.pc $(LIB)/pkgconfig/
	$(Q)install -m 644 include/aipc/aipc.h $(DESTDIR)$(PREFIX)/include/aipc/
	$(Q)install -m 644 docs/man/aipc.1 $(SHARE)/man/man1/
	$(Q)install -m 644 completion/aipc.bash $(SHARE)/bash-completion/completions/aipc
	$(Q)install -m 644 completion/_aipc $(SHARE)/zsh/site-functions/
	$(Q)install -m 644 completion/aipc.fish $(SHARE)/fish/vendor_completions.d/
	$(Q)install -m 644 LICENSE $(wildcard README.md docs/*.md examples/*.c) $(SHARE)/doc/aipc/
	$(Q)install -d $(LIB)/aipc/dropin/compat $(SHARE)/aipc/python
	$(Q)for d in dropin dropin/compat; do install -m 755 $(BUILD)/$$d/libonnxruntime.so.1 $(LIB)/aipc/$$d/ && \
	    ln -sf libonnxruntime.so.1 $(LIB)/aipc/$$d/libonnxruntime.so; done
	$(Q)$(if $(HEAP),install -m 755 $(HEAP) $(LIB)/aipc/dropin/,:)
	$(Q)for f in $(PYTHON_FILES:python/%=%); do install -D -m 644 python/$$f $(SHARE)/aipc/python/$$f || exit 1; done
	@echo "installed aipc $(VERSION) below $(DESTDIR)$(PREFIX)"
uninstall:
	rm -rf $(INSTALLED)
	-rmdir $(DESTDIR)$(PREFIX)/include/aipc

# A wheel: the program and the library once more, looking for what they need in lib/aipc of the environment. RPATH, not
# RUNPATH: what they need has needs of its own.
wheel: all
	@mkdir -p $(BUILD)/wheel
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) $(CLI_OBJ) $(BUILD)/libaipc.a $(PKG_LIBS) -s -Wl,--disable-new-dtags \
	    -Wl,-rpath,'$$ORIGIN/../lib/aipc' -o $(BUILD)/wheel/aipc
	$(Q)$(CC) -shared -Wl,-soname,libaipc.so.$(SOVERSION) $(SANFLAGS) $(LDFLAGS) $(LIB_OBJ) $(PKG_LIBS) -s -Wl,--disable-new-dtags \
	    -Wl,-rpath,'$$ORIGIN/../../../aipc' -o $(BUILD)/wheel/libaipc.so
	@python3 tools/wheel.py --version $(VERSION) --program $(BUILD)/wheel/aipc --library $(BUILD)/wheel/libaipc.so \
	    --dropin $(BUILD)/dropin --python python --licence LICENSE -o $(BUILD)/dist

clean:
	rm -rf $(BUILD)

help:
	@echo "make run          install what is missing, build, take the sample model to the NPU target"
	@echo "make              build $(BUILD)/aipc, $(BUILD)/libaipc.a, $(SO)"
	@echo "make check        all tests: a quarter of an hour at most, on two cores"
	@echo "make check-full   the long lane: more fuzzing, valgrind, ThreadSanitizer, everything twice"
	@echo "make fuzz         every fuzz target for 60 seconds"
	@echo "make bench        speed and memory against a Python script: a table in bench/results/"
	@echo "make install      PREFIX=$(PREFIX) DESTDIR=; make uninstall takes it away again"
	@echo "make wheel        $(BUILD)/dist/aipc-$(VERSION)-*.whl for pip install"
	@echo "make format       clang-format; format-check and layers only look"
	@echo "make clean        remove $(BUILD)"
	@echo "variables: BUILD CC SAN=1 DEBUG=1 V=1"

.PHONY: all run check check-full fuzz bench wheel unit unit-bins fuzz-bins conformance-bin format format-check layers install uninstall \
    clean help FORCE
-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(DROPIN_OBJ:.o=.d) $(HEAP:.so=.d) $(UNIT_BIN:=.d) $(FUZZ_BIN:=.d) $(BUILD)/bin/conformance.d $(BUILD)/bin/surgery.d

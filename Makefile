# SPDX-License-Identifier: Apache-2.0
# aipc. `make run` and `make check` are the two commands; `make help` lists the rest.
#
# BUILD  folder for everything made      (default build)
# ROOMS  rooms of src/ put in the library (default all, in layer order)
# SAN=1  AddressSanitizer + UndefinedBehaviorSanitizer
# DEBUG=1  -O0 -g3

BUILD ?= build
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
ROOMS ?= base tensor graph engine target worker golden device plan report api cli
VERSION := $(shell cat VERSION)
PREFIX ?= /usr/local
Q := $(if $(V),,@)

WARN := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
OPT := $(if $(DEBUG),-O0 -g3,-O2 -g)
SANFLAGS := $(if $(SAN),-fsanitize=address -fsanitize=undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer,)
DEPS_PKGS := libprotobuf-c jansson libcrypto libzip libjpeg libpng
PKG_CFLAGS = $(shell pkg-config --cflags $(DEPS_PKGS))
PKG_LIBS = $(shell pkg-config --libs $(DEPS_PKGS)) -lm -ldl -lpthread
CPPFLAGS += -Isrc -Iinclude -I$(BUILD)/gen -D_GNU_SOURCE -DAP_VERSION='"$(VERSION)"' -DAP_PREFIX='"$(PREFIX)"' $(PKG_CFLAGS)
CFLAGS_ALL = -std=c17 -fPIC $(OPT) $(WARN) $(SANFLAGS) -MMD -MP $(CFLAGS)

LIB_SRC := $(sort $(foreach r,$(filter-out cli,$(ROOMS)),$(wildcard src/$(r)/*.c)))
CLI_SRC := $(if $(filter cli,$(ROOMS)),$(sort $(wildcard src/cli/*.c)))
GEN_SRC := $(if $(filter graph,$(ROOMS)),$(BUILD)/gen/onnx_subset.pb-c.c)
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o) $(GEN_SRC:.c=.o)
CLI_OBJ := $(CLI_SRC:%.c=$(BUILD)/%.o)
UNIT_SRC := $(sort $(foreach r,$(ROOMS),$(wildcard tests/unit/test_$(r)*.c)))
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/%)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BUILD)/libaipc.a $(if $(CLI_SRC),$(BUILD)/aipc)

$(BUILD)/%.o: %.c $(GEN_SRC:.c=.h)
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -c $< -o $@

# Generated code is not ours to warn about.
$(BUILD)/gen/%.pb-c.c $(BUILD)/gen/%.pb-c.h: src/graph/%.proto
	@mkdir -p $(@D)
	protoc-c --proto_path=src/graph --c_out=$(BUILD)/gen $<
$(BUILD)/gen/%.o: $(BUILD)/gen/%.c
	$(CC) $(CPPFLAGS) -std=c17 -fPIC $(OPT) $(SANFLAGS) -w -c $< -o $@

# data/*.json goes into the library as bytes: one program, nothing looked up in a share folder (src/base/data.h).
LIB_OBJ += $(BUILD)/gen/data_embedded.o
$(BUILD)/gen/data_embedded.c: tools/embed_data.sh $(wildcard data/*.json)
	@mkdir -p $(@D)
	sh tools/embed_data.sh $(wildcard data/*.json) > $@

$(BUILD)/libaipc.a: $(LIB_OBJ)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(BUILD)/aipc: $(CLI_OBJ) $(BUILD)/libaipc.a
	@echo "  LINK  $@"
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) $(CLI_OBJ) $(BUILD)/libaipc.a $(PKG_LIBS) -o $@

$(BUILD)/tests/%: tests/unit/%.c $(BUILD)/libaipc.a
	@mkdir -p $(@D)
	@echo "  TEST  $<"
	$(Q)$(CC) $(CPPFLAGS) -Itests $(CFLAGS_ALL) $< $(BUILD)/libaipc.a -lcmocka $(PKG_LIBS) $(LDFLAGS) -o $@

unit-bins: $(UNIT_BIN)
unit: $(UNIT_BIN)
	@for t in $(UNIT_BIN); do echo "== $$t"; $$t || exit 1; done

clean:
	rm -rf $(BUILD)

.PHONY: all unit unit-bins clean
-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(UNIT_BIN:=.d)

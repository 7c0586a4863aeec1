// A plugin for qemu-user that counts the instructions that are executed, and prints the count at
// the end. Debian has no package with qemu-plugin.h, so that this file declares the functions that
// it uses (version 1 of the interface, from QEMU 4.2 on).

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct qemu_plugin_tb;
typedef void (*on_translation)(uint64_t id, struct qemu_plugin_tb* block);
typedef void (*on_exit)(uint64_t id, void* data);
enum operation { add_u64 };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* block);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, on_translation callback);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb* block, enum operation what,
                                              void* counter, uint64_t value);
void qemu_plugin_register_atexit_cb(uint64_t id, on_exit callback, void* data);

int qemu_plugin_version = 1;

static uint64_t executed;

static void count_block(uint64_t id, struct qemu_plugin_tb* block) {
  (void)id;
  qemu_plugin_register_vcpu_tb_exec_inline(block, add_u64, &executed,
                                           qemu_plugin_tb_n_insns(block));
}

static void print_count(uint64_t id, void* data) {
  (void)id;
  (void)data;
  fprintf(stderr, "instructions: %" PRIu64 "\n", executed);
}

int qemu_plugin_install(uint64_t id, const void* info, int argc, char** argv) {
  (void)info;
  (void)argc;
  (void)argv;
  qemu_plugin_register_vcpu_tb_trans_cb(id, count_block);
  qemu_plugin_register_atexit_cb(id, print_count, NULL);
  return 0;
}
